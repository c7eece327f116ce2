/*
 * RAR: its headers stand before each member, as blocks that tell their length.
 * Version 4 (and before) has fields of fixed width, version 5 integers of
 * seven bits a byte.
 */
#include <string.h>

#include "mail/archive_part.h"

#define BLOCK4_MAIN   0x73
#define BLOCK4_FILE   0x74
#define BLOCK4_END    0x7b
#define FLAG4_SECRET_HEADERS 0x0080
#define FLAG4_SECRET  0x0004
#define FLAG4_LARGE   0x0100
#define FLAG4_MORE    0x8000
#define FILE4_BYTES   32

#define BLOCK5_FILE   2
#define BLOCK5_SECRET 4
#define BLOCK5_END    5
#define FLAG5_EXTRA   1
#define FLAG5_DATA    2
#define EXTRA5_SECRET 1

/* All of it is a secret, names too. */
static void
secret_headers(struct archive_level *l)
{
	l->a->encrypted = true;
}

/* --- version 4 --------------------------------------------------------- */

/* A file's header; p has FILE4_BYTES at least. */
static bool
file4(struct archive_level *l, struct str block, unsigned int flags)
{
	const char *p = block.p;
	size_t at = FILE4_BYTES + (flags & FLAG4_LARGE ? 8 : 0);
	struct archive_entry e = { .packed = archive_le32(p + 7),
		.size = archive_le32(p + 11),
		.encrypted = (flags & FLAG4_SECRET) != 0 };

	/* Behind a NUL stands a form for UTF-16 that only RAR has. */
	e.name = str_cut(str_sub(block, at, archive_le16(p + 26)), '\0',
	    &(struct str){ 0 });
	return archive_add(l, &e);
}

static void
rar4(struct archive_level *l, struct str s)
{
	unsigned int flags, type;
	uint64_t at = 7, size, data;
	struct str block;

	while (archive_has(s, at, 7)) {
		type = (unsigned char)s.p[at + 2];
		flags = archive_le16(s.p + at + 3);
		size = archive_le16(s.p + at + 5);
		if (size < 7 || !archive_has(s, at, size)) {
			l->a->odd |= ODD(ARCHIVE_BROKEN);
			return;
		}
		block = str_sub(s, at, size);
		data = size >= 11 && flags & FLAG4_MORE ?
		    archive_le32(block.p + 7) :
		    0;
		if (type == BLOCK4_MAIN && flags & FLAG4_SECRET_HEADERS) {
			secret_headers(l);
			return;
		}
		if (type == BLOCK4_FILE && size >= FILE4_BYTES &&
		    !file4(l, block, flags))
			return;
		if (type == BLOCK4_FILE && flags & FLAG4_LARGE &&
		    size >= FILE4_BYTES + 4)
			data |= (uint64_t)archive_le32(block.p + FILE4_BYTES)
			    << 32;
		if (type == BLOCK4_END || data > s.n)
			return;
		at += size + data;
	}
}

/* --- version 5 --------------------------------------------------------- */

/* Takes a number off the front; UINT64_MAX where there is none. */
static uint64_t
number5(struct str *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n && i < 10; i++) {
		n |= (uint64_t)(s->p[i] & 0x7f) << (7 * i);
		if ((s->p[i] & 0x80) == 0) {
			*s = str_sub(*s, i + 1, s->n);
			return n;
		}
	}
	*s = STR_NONE;
	return UINT64_MAX;
}

static bool
extra5_secret(struct str extra)
{
	while (extra.n > 0) {
		uint64_t size = number5(&extra);
		struct str record = str_sub(extra, 0, size);

		extra = str_sub(extra, record.n, extra.n);
		if (number5(&record) == EXTRA5_SECRET)
			return true;
	}
	return false;
}

static bool
file5(struct archive_level *l, struct str fields, struct str extra,
    uint64_t packed)
{
	struct archive_entry e = { .packed = packed,
		.encrypted = extra5_secret(extra) };
	uint64_t flags = number5(&fields);

	e.size = number5(&fields);
	number5(&fields);	/* attributes */
	if (flags & 2)		/* time */
		fields = str_sub(fields, 4, fields.n);
	if (flags & 4)		/* checksum */
		fields = str_sub(fields, 4, fields.n);
	number5(&fields);	/* method */
	number5(&fields);	/* system */
	e.name = str_sub(fields, 0, 0);
	if (fields.n > 0) {
		uint64_t n = number5(&fields);

		e.name = str_sub(fields, 0, n);
	}
	if (e.size == UINT64_MAX)
		e.size = 0;
	return archive_add(l, &e);
}

/* One block, without its checksum and length; false: no more. */
static bool
block5(struct archive_level *l, struct str block, uint64_t *data)
{
	struct str all = block;
	uint64_t type = number5(&block), flags = number5(&block), extra = 0;
	struct str behind;

	if (flags == UINT64_MAX)
		return false;
	if (flags & FLAG5_EXTRA)
		extra = number5(&block);
	*data = flags & FLAG5_DATA ? number5(&block) : 0;
	if (extra > all.n)
		extra = 0;
	behind = str_sub(all, all.n - extra, extra);
	if (type == BLOCK5_SECRET)
		secret_headers(l);
	if (type == BLOCK5_FILE && !file5(l, block, behind, *data))
		return false;
	return type != BLOCK5_SECRET && type != BLOCK5_END;
}

static void
rar5(struct archive_level *l, struct str s)
{
	struct str rest = str_sub(s, 8, s.n);
	uint64_t size, data = 0;

	while (rest.n > 4) {
		rest = str_sub(rest, 4, rest.n);
		size = number5(&rest);
		if (size == 0 || size > rest.n) {
			l->a->odd |= ODD(ARCHIVE_BROKEN);
			return;
		}
		if (!block5(l, str_sub(rest, 0, size), &data))
			return;
		rest = str_sub(rest, size, rest.n);
		rest = str_sub(rest, data, rest.n);
	}
}

enum filetype
archive_rar(struct archive_level *l, struct str s)
{
	if (str_starts(s, STR("Rar!\x1a\x07\x01\0")))
		rar5(l, s);
	else if (str_starts(s, STR("Rar!\x1a\x07\0")))
		rar4(l, s);
	else
		l->a->odd |= ODD(ARCHIVE_BROKEN);
	return FILETYPE_RAR;
}
