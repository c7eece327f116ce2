/*
 * 7z (7zFormat.txt of the LZMA SDK): all names stand in one header at the
 * end, which itself is compressed as a rule.  To come to the names, what
 * stands in front of them has to be read: how the data is packed.
 */
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/archive_part.h"
#include "mail/charset.h"

#define START_BYTES  32
#define FOLDERS_MAX  4096
#define CODERS_MAX   32
#define HEADER_MAX   (4 * 1024 * 1024) /* unpacked */

enum id {
	ID_END = 0x00,
	ID_HEADER = 0x01,
	ID_PROPERTIES = 0x02,
	ID_MORE_STREAMS = 0x03,
	ID_STREAMS = 0x04,
	ID_FILES = 0x05,
	ID_PACKED = 0x06,
	ID_UNPACKED = 0x07,
	ID_SUBSTREAMS = 0x08,
	ID_SIZE = 0x09,
	ID_CRC = 0x0a,
	ID_FOLDER = 0x0b,
	ID_UNPACK_SIZE = 0x0c,
	ID_COUNT = 0x0d,
	ID_NAMES = 0x11,
	ID_ENCODED = 0x17
};

/* A group of coders that makes one stream, of one or several files. */
struct folder {
	unsigned int outs; /* streams that its coders make */
	uint64_t size; /* the largest of them */
	uint64_t files;
	bool has_crc;
};

struct header {
	struct archive_level *level;
	struct str s; /* what is left */
	bool bad;
	struct folder *folders;
	size_t nfolders;
	uint64_t pack_at, pack_size; /* of the first packed stream */
	bool secret; /* encrypted by one coder */
	struct str method, properties; /* of the first coder */
};

/* --- pieces ------------------------------------------------------------ */

static struct str
take(struct header *h, uint64_t n)
{
	struct str s = str_sub(h->s, 0, n);

	h->bad |= n > h->s.n;
	h->s = str_sub(h->s, s.n, h->s.n);
	return s;
}

static unsigned int
take_byte(struct header *h)
{
	struct str s = take(h, 1);

	return s.n > 0 ? (unsigned char)s.p[0] : ID_END;
}

/* The leading ones of the first byte tell how many follow. */
static uint64_t
take_number(struct header *h)
{
	unsigned int first = take_byte(h), mask = 0x80;
	uint64_t n = 0;

	for (int i = 0; i < 8; i++, mask >>= 1) {
		if ((first & mask) == 0)
			return n | (uint64_t)(first & (mask - 1)) << (8 * i);
		n |= (uint64_t)take_byte(h) << (8 * i);
	}
	return n;
}

/* Of n things, which are there: all, or those of a set of bits.  How many. */
static uint64_t
take_set(struct header *h, uint64_t n, struct str *bits)
{
	uint64_t count = 0;

	*bits = STR_NONE;
	if (take_byte(h) != 0)
		return n;
	*bits = take(h, n / 8 + (n % 8 != 0));
	for (size_t i = 0; i < bits->n; i++)
		for (unsigned int b = (unsigned char)bits->p[i]; b; b >>= 1)
			count += b & 1;
	return count;
}

static void
skip_numbers(struct header *h, uint64_t n)
{
	while (n-- > 0 && !h->bad)
		take_number(h);
}

/* --- how it is packed -------------------------------------------------- */

static void
read_packed(struct header *h)
{
	uint64_t n;
	struct str bits;
	unsigned int id;

	h->pack_at = take_number(h);
	n = take_number(h);
	while (!h->bad && (id = take_byte(h)) != ID_END) {
		if (id == ID_SIZE && n > 0) {
			h->pack_size = take_number(h);
			skip_numbers(h, n - 1);
		} else if (id == ID_CRC) {
			uint64_t crcs = take_set(h, n, &bits);

			take(h, crcs > h->s.n ? UINT64_MAX : crcs * 4);
		} else
			h->bad = true;
	}
}

/* Its inputs and outputs are counted. */
static void
read_coder(struct header *h, uint64_t *ins, uint64_t *outs)
{
	unsigned int flags = take_byte(h);
	struct str method = take(h, flags & 0x0f), properties = STR_NONE;
	uint64_t in = 1, out = 1;

	if (flags & 0x10) {
		in = take_number(h);
		out = take_number(h);
	}
	if (flags & 0x20)
		properties = take(h, take_number(h));
	h->bad |= in > CODERS_MAX || out > CODERS_MAX;
	*ins += in;
	*outs += out;
	h->secret |= str_eq(method, STR("\x06\xf1\x07\x01"));
	if (h->method.p == NULL) {
		h->method = method;
		h->properties = properties;
	}
}

static void
read_folder(struct header *h, struct folder *f)
{
	uint64_t n = take_number(h), ins = 0, outs = 0;

	h->bad |= n == 0 || n > CODERS_MAX;
	for (uint64_t i = 0; i < n && !h->bad; i++)
		read_coder(h, &ins, &outs);
	if (h->bad || outs == 0) {
		h->bad = true;
		return;
	}
	f->outs = (unsigned int)outs;
	f->files = 1;
	skip_numbers(h, 2 * (outs - 1));
	if (ins > outs)
		skip_numbers(h, ins - outs + 1);
}

static void
read_crcs(struct header *h)
{
	struct str bits;
	uint64_t n = take_set(h, h->nfolders, &bits);

	for (size_t i = 0; i < h->nfolders; i++)
		h->folders[i].has_crc = bits.p == NULL ||
		    (i / 8 < bits.n &&
			((unsigned char)bits.p[i / 8] & 0x80 >> i % 8) != 0);
	take(h, n * 4);
}

static void
read_unpacked(struct header *h)
{
	uint64_t n;

	if (take_byte(h) != ID_FOLDER || (n = take_number(h)) > FOLDERS_MAX ||
	    take_byte(h) != 0 || h->folders != NULL) {
		h->bad = true;
		return;
	}
	h->folders = mem_alloc((n + 1) * sizeof(*h->folders));
	h->nfolders = n;
	for (size_t i = 0; i < n && !h->bad; i++)
		read_folder(h, &h->folders[i]);
	if (take_byte(h) != ID_UNPACK_SIZE)
		h->bad = true;
	for (size_t i = 0; i < n && !h->bad; i++)
		for (unsigned int k = 0; k < h->folders[i].outs; k++) {
			uint64_t size = take_number(h);

			if (size > h->folders[i].size)
				h->folders[i].size = size;
		}
	for (unsigned int id; !h->bad && (id = take_byte(h)) != ID_END;)
		if (id == ID_CRC)
			read_crcs(h);
		else
			h->bad = true;
}

/* The files of each folder. */
static void
read_substreams(struct header *h)
{
	uint64_t crcs = 0, sizes = 0, n;
	unsigned int id = take_byte(h);
	struct str bits;

	if (id == ID_COUNT) {
		for (size_t i = 0; i < h->nfolders && !h->bad; i++)
			h->folders[i].files = take_number(h);
		id = take_byte(h);
	}
	for (size_t i = 0; i < h->nfolders; i++) {
		const struct folder *f = &h->folders[i];

		h->bad |= f->files > UINT32_MAX;
		sizes += f->files > 0 ? f->files - 1 : 0;
		crcs += f->files == 1 && f->has_crc ? 0 : f->files;
	}
	if (id == ID_SIZE) {
		skip_numbers(h, sizes);
		id = take_byte(h);
	}
	if (id == ID_CRC && !h->bad) {
		n = take_set(h, crcs, &bits);
		take(h, n * 4);
		id = take_byte(h);
	}
	h->bad |= id != ID_END;
}

static void
read_streams(struct header *h)
{
	unsigned int id;

	while (!h->bad && (id = take_byte(h)) != ID_END) {
		if (id == ID_PACKED)
			read_packed(h);
		else if (id == ID_UNPACKED)
			read_unpacked(h);
		else if (id == ID_SUBSTREAMS)
			read_substreams(h);
		else
			h->bad = true;
	}
}

/* --- files ------------------------------------------------------------- */

/* UTF-16 in little endian, each ended by a zero. */
static void
read_names(struct header *h, struct str s)
{
	struct archive_entry e = { .encrypted = h->secret };
	struct buf name = BUF_INIT(64 * 1024);
	size_t n;
	bool more = true;

	for (; more && s.n >= 2; s = str_sub(s, n + 2, s.n)) {
		for (n = 0; n + 1 < s.n && (s.p[n] | s.p[n + 1]) != 0; n += 2)
			continue;
		buf_truncate(&name, 0);
		charset_add(&name, STR("UTF-16LE"), str_sub(s, 0, n));
		e.name = buf_str(&name);
		more = archive_add(h->level, &e);
	}
	buf_free(&name);
}

static void
read_files(struct header *h)
{
	unsigned int id;

	take_number(h);
	while (!h->bad && (id = take_byte(h)) != ID_END) {
		struct str property = take(h, take_number(h));

		if (id == ID_NAMES && property.n > 0 && property.p[0] == 0)
			read_names(h, str_sub(property, 1, property.n));
	}
}

static void
read_header(struct header *h)
{
	unsigned int id;

	while (!h->bad && (id = take_byte(h)) != ID_END) {
		if (id == ID_PROPERTIES)
			while (!h->bad && take_byte(h) != ID_END)
				take(h, take_number(h));
		else if (id == ID_STREAMS)
			read_streams(h);
		else if (id == ID_FILES)
			read_files(h);
		else
			h->bad = true;
	}
	for (size_t i = 0; i < h->nfolders; i++) {
		uint64_t sum = h->level->size + h->folders[i].size;

		h->level->size = sum < h->level->size ? UINT64_MAX : sum;
	}
	h->level->a->encrypted |= h->secret;
}

/* --- the header's own packing ------------------------------------------ */

static bool
unpack_lzma(struct str in, struct str properties, struct buf *out, size_t n)
{
	lzma_filter filters[2] = { { .id = LZMA_FILTER_LZMA1 },
		{ .id = LZMA_VLI_UNKNOWN } };
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma *options;
	unsigned char block[16 * 1024];
	lzma_ret status = LZMA_OK;

	if (lzma_properties_decode(&filters[0], NULL,
		(const uint8_t *)properties.p, properties.n) != LZMA_OK)
		return false;
	/* Nothing is copied from further away than there is. */
	options = filters[0].options;
	if (options->dict_size > n)
		options->dict_size = (uint32_t)n;
	if (lzma_raw_decoder(&z, filters) != LZMA_OK)
		status = LZMA_PROG_ERROR;
	z.next_in = (const uint8_t *)in.p;
	z.avail_in = in.n;
	while (status == LZMA_OK && out->n < n) {
		z.next_out = block;
		z.avail_out = sizeof(block);
		status = lzma_code(&z, LZMA_FINISH);
		buf_add(out, block, sizeof(block) - z.avail_out);
	}
	lzma_end(&z);
	free(options);
	return out->n >= n;
}

/* The bytes of a packed header; false: they can't be had. */
static bool
unpack_header(struct header *h, struct str all, struct buf *out)
{
	struct archive *a = h->level->a;
	uint64_t n = h->nfolders == 1 ? h->folders[0].size : 0;
	struct str in;

	if (h->bad || n == 0 || !archive_has(all, START_BYTES, h->pack_at) ||
	    !archive_has(all, START_BYTES + h->pack_at, h->pack_size))
		return false;
	if (n > HEADER_MAX || n > archive_room(a)) {
		a->odd |= ODD(ARCHIVE_MANY);
		return false;
	}
	in = str_sub(all, START_BYTES + h->pack_at, h->pack_size);
	a->unpacked += n;
	if (str_eq(h->method, STR("\0"))) {
		buf_addstr(out, in);
		return true;
	}
	return str_eq(h->method, STR("\x03\x01\x01")) &&
	    unpack_lzma(in, h->properties, out, n);
}

static void
read_encoded(struct archive_level *l, struct str all, struct header *h)
{
	struct buf out = BUF_INIT(HEADER_MAX + 16 * 1024);
	struct header inner = { .level = l };

	read_streams(h);
	if (h->secret) {	/* names as well */
		l->a->encrypted = true;
		return;
	}
	if (unpack_header(h, all, &out)) {
		inner.s = buf_str(&out);
		if (take_byte(&inner) == ID_HEADER)
			read_header(&inner);
		else
			inner.bad = true;
		h->bad |= inner.bad;
		free(inner.folders);
	} else if ((l->a->odd & ODD(ARCHIVE_MANY)) == 0)
		h->bad = true;
	buf_free(&out);
}

enum filetype
archive_7z(struct archive_level *l, struct str s)
{
	struct header h = { .level = l };
	uint64_t at, size;
	unsigned int id;

	if (s.n < START_BYTES) {
		l->a->odd |= ODD(ARCHIVE_BROKEN);
		return FILETYPE_SEVENZ;
	}
	at = archive_le64(s.p + 12);
	size = archive_le64(s.p + 20);
	if (size == 0)		/* nothing is in it */
		return FILETYPE_SEVENZ;
	if (archive_has(s, START_BYTES, at) &&
	    archive_has(s, START_BYTES + at, size))
		h.s = str_sub(s, START_BYTES + at, size);
	id = take_byte(&h);
	if (id == ID_HEADER)
		read_header(&h);
	else if (id == ID_ENCODED)
		read_encoded(l, s, &h);
	else
		h.bad = true;
	if (h.bad)
		l->a->odd |= ODD(ARCHIVE_BROKEN);
	free(h.folders);
	return FILETYPE_SEVENZ;
}
