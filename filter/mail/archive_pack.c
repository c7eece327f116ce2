/*
 * One file, packed: gzip (RFC 1952), bzip2, xz and Zstandard (RFC 8878).
 */
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "mail/archive_part.h"

#define BLOCK_BYTES	(16 * 1024)
#define SAMPLE_BYTES	(256 * 1024)
#define DEEP_PEEKS	25	/* what a look at more counts as */
#define SUFFIX_MAX	5
/* What a file may ask for to be unpacked: as much as `xz -9' writes.  Little
 * of it is touched before the caps on unpacked bytes end it. */
#define XZ_MEMORY	(80 * 1024 * 1024)
#define ZST_WINDOW_LOG	26

/* At most `most' bytes into out; how many of the packed ones that took. */
typedef size_t	unpacker(struct str packed, size_t most, struct buf *out);

/* --- libraries ---------------------------------------------------------- */

/* Of a block, what there is still room for. */
static size_t
block_room(const struct buf *out, size_t most)
{
	return most - out->n < BLOCK_BYTES ? most - out->n : BLOCK_BYTES;
}

size_t
archive_inflate(struct str packed, int bits, size_t most, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.p,
		.avail_in = (uInt)packed.n };
	unsigned char block[BLOCK_BYTES];
	int status = Z_OK;

	if (inflateInit2(&z, bits) != Z_OK)
		return 0;
	while (status == Z_OK && out->n < most) {
		z.next_out = block;
		z.avail_out = (uInt)block_room(out, most);
		status = inflate(&z, Z_SYNC_FLUSH);
		buf_add(out, block, (size_t)(z.next_out - block));
	}
	inflateEnd(&z);
	return packed.n - z.avail_in;
}

static size_t
unpack_gzip(struct str packed, size_t most, struct buf *out)
{
	return archive_inflate(packed, 15 + 16, most, out);
}

static size_t
unpack_bzip2(struct str packed, size_t most, struct buf *out)
{
	bz_stream z = { .next_in = (char *)(uintptr_t)packed.p,
		.avail_in = (unsigned int)packed.n };
	char block[BLOCK_BYTES];
	int status = BZ_OK;

	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return 0;
	while (status == BZ_OK && out->n < most) {
		z.next_out = block;
		z.avail_out = (unsigned int)block_room(out, most);
		status = BZ2_bzDecompress(&z);
		if (z.next_out == block && z.avail_in == 0)
			break;	/* its end is missing */
		buf_add(out, block, (size_t)(z.next_out - block));
	}
	BZ2_bzDecompressEnd(&z);
	return packed.n - z.avail_in;
}

static size_t
unpack_xz(struct str packed, size_t most, struct buf *out)
{
	lzma_stream z = LZMA_STREAM_INIT;
	uint8_t block[BLOCK_BYTES];
	lzma_ret status = LZMA_OK;

	if (lzma_stream_decoder(&z, XZ_MEMORY, 0) != LZMA_OK)
		return 0;
	z.next_in = (const uint8_t *)packed.p;
	z.avail_in = packed.n;
	while (status == LZMA_OK && out->n < most) {
		z.next_out = block;
		z.avail_out = block_room(out, most);
		status = lzma_code(&z, LZMA_FINISH);
		buf_add(out, block, (size_t)(z.next_out - block));
	}
	lzma_end(&z);
	return packed.n - z.avail_in;
}

static size_t
unpack_zstandard(struct str packed, size_t most, struct buf *out)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	ZSTD_inBuffer in = { packed.p, packed.n, 0 };
	char block[BLOCK_BYTES];
	ZSTD_outBuffer to = { block, 0, 0 };
	size_t left = 1;

	if (z != NULL)
		ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZST_WINDOW_LOG);
	while (z != NULL && left != 0 && out->n < most) {
		to.pos = 0;
		to.size = block_room(out, most);
		left = ZSTD_decompressStream(z, &to, &in);
		if (ZSTD_isError(left) || (to.pos == 0 && in.pos == in.size))
			break;
		buf_add(out, block, to.pos);
	}
	ZSTD_freeDCtx(z);
	return in.pos;
}

static unpacker *const unpackers[FILETYPE_COUNT] = {
	[FILETYPE_GZ] = unpack_gzip,
	[FILETYPE_BZ2] = unpack_bzip2,
	[FILETYPE_XZ] = unpack_xz,
	[FILETYPE_ZST] = unpack_zstandard,
};

/* --- what is in them ---------------------------------------------------- */

/* The name in a gzip's header, where it has one. */
static struct str
gzip_name(struct str s)
{
	unsigned char flags = (unsigned char)s.p[3];
	size_t at = 10;

	if (flags & 4 && archive_has(s, at, 2))
		at += 2 + archive_le16(s.p + at);
	if (!(flags & 8) || !archive_has(s, at, 1))
		return STR_NONE;
	return str_cut(str_sub(s, at, s.n), '\0', &(struct str){ 0 });
}

/* "order.exe" of "order.exe.xz": what programs call it that unpack it. */
static struct str
name_inside(struct str name)
{
	size_t n = name.n;

	while (n > 0 && name.p[n - 1] != '.')
		n--;
	return n > 1 && name.n - n <= SUFFIX_MAX ? str_sub(name, 0, n - 1) :
						   STR_NONE;
}

/* How many times longer the beginning is unpacked; 0: it is less than `most',
 * or no longer than that of other files. */
static size_t
growth(unpacker *unpack, struct str s, size_t most, struct buf *out)
{
	size_t in = unpack(s, most, out), ratio = in > 0 ? out->n / in : 0;

	return out->n == most && ratio > ARCHIVE_BOMB_RATIO ? ratio : 0;
}

static bool
is_bomb(struct str s, size_t ratio)
{
	return ratio > 0 && s.n > ARCHIVE_BOMB_BYTES / ratio;
}

/* What it says of its size may be nothing, or a lie: so that is judged by its
 * beginning as well. */
static enum filetype
sample(struct archive *a, unpacker *unpack, struct str s)
{
	struct buf out = BUF_INIT(SAMPLE_BYTES);
	struct buf more = BUF_INIT(ARCHIVE_MAX_UNPACKED);
	enum filetype type;
	size_t ratio;

	a->peeks++;
	ratio = growth(unpack, s, SAMPLE_BYTES, &out);
	/* 45 bytes of bzip2 may be as many megabytes: what is behind the
	 * first of them has to be seen. */
	if (ratio > 0 && !is_bomb(s, ratio) &&
	    a->peeks + DEEP_PEEKS <= ARCHIVE_MAX_PEEKS) {
		a->peeks += DEEP_PEEKS;
		ratio = growth(unpack, s, ARCHIVE_MAX_UNPACKED, &more);
		buf_free(&more);
	}
	if (is_bomb(s, ratio))
		a->odd |= ODD(ARCHIVE_BOMB);
	if (out.n == 0)
		a->odd |= ODD(ARCHIVE_BROKEN);
	type = filetype_of(buf_str(&out));
	buf_free(&out);
	return type;
}

/* What is packed as one is one level, to people. */
static void
look(struct archive_level *l, unpacker *unpack, struct str name, struct str s,
    enum filetype type)
{
	struct archive *a = l->a;
	struct buf out = BUF_INIT(archive_room(a));

	unpack(s, archive_room(a), &out);
	a->unpacked += out.n;
	if (archive_room(a) == 0)
		a->odd |= ODD(ARCHIVE_MANY);
	if (type == FILETYPE_TAR)
		archive_tar(l, buf_str(&out));
	else
		archive_look(l, name, buf_str(&out), type);
	buf_free(&out);
}

/* Some programs go by the file's name, others by the one in it. */
static void
names_add(struct archive_level *l, struct archive_entry *e)
{
	struct archive_entry called = { .name = name_inside(l->name) };

	if (e->name.n == 0)
		e->name = called.name;
	else if (called.name.n > 0 && !str_ieq(called.name, e->name))
		archive_add(l, &called);
	if (e->name.n > 0)
		archive_add(l, e);
	else
		l->size += e->size;
}

static enum filetype
pack_list(struct archive_level *l, struct str s, struct archive_entry *e,
    enum filetype pack)
{
	unpacker *unpack = unpackers[pack];
	struct archive *a = l->a;
	enum filetype type;

	names_add(l, e);
	if (archive_room(a) == 0 || a->peeks == ARCHIVE_MAX_PEEKS) {
		a->odd |= ODD(ARCHIVE_MANY);
		return pack;
	}
	type = sample(a, unpack, s);
	if (filetype_is_archive(type) || type == FILETYPE_OLE)
		look(l, unpack,
		    e->name.n > 0 ? e->name : str_of(filetype_word(pack)), s,
		    type);
	return pack;
}

enum filetype
archive_gzip(struct archive_level *l, struct str s)
{
	struct archive_entry e = { .packed = s.n };

	if (s.n < 18) {
		l->a->odd |= ODD(ARCHIVE_BROKEN);
		return FILETYPE_GZ;
	}
	e.size = archive_le32(s.p + s.n - 4);
	e.name = gzip_name(s);
	return pack_list(l, s, &e, FILETYPE_GZ);
}

enum filetype
archive_bzip2(struct archive_level *l, struct str s)
{
	return pack_list(l, s, &(struct archive_entry){ .packed = s.n },
	    FILETYPE_BZ2);
}

enum filetype
archive_xz(struct archive_level *l, struct str s)
{
	return pack_list(l, s, &(struct archive_entry){ .packed = s.n },
	    FILETYPE_XZ);
}

enum filetype
archive_zstandard(struct archive_level *l, struct str s)
{
	return pack_list(l, s, &(struct archive_entry){ .packed = s.n },
	    FILETYPE_ZST);
}
