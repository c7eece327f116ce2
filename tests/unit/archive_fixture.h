/*
 * archive_fixture - archives and compound files, written byte by byte.
 */
#ifndef TESTS_UNIT_ARCHIVE_FIXTURE_H
#define TESTS_UNIT_ARCHIVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/arena.h"
#include "mail/archive.h"

static inline void
put16(struct buf *b, unsigned int n)
{
	buf_addc(b, (char)(n & 0xff));
	buf_addc(b, (char)(n >> 8 & 0xff));
}

static inline void
put32(struct buf *b, uint32_t n)
{
	put16(b, n & 0xffff);
	put16(b, n >> 16);
}

static inline void
put_zeros(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_addc(b, 0);
}

/* bits as deflateInit2() has them. */
static inline struct buf
packed(struct str s, int bits)
{
	struct buf out = BUF_INIT(64 << 20);
	unsigned char block[4096];
	z_stream z = { .next_in = (Bytef *)(uintptr_t)s.p,
		.avail_in = (uInt)s.n };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 9, 0), Z_OK);
	do {
		z.next_out = block;
		z.avail_out = sizeof(block);
		deflate(&z, Z_FINISH);
		buf_add(&out, block, sizeof(block) - z.avail_out);
	} while (z.avail_out == 0);
	deflateEnd(&z);
	return out;
}

struct zipper {
	struct buf out, dir;
	unsigned int n;
	size_t base;
};

struct zipped {
	const char *name;
	struct str data;
	bool store, secret, hidden, behind;
	const char *local;	/* its other name */
	uint32_t size;		/* a lie */
};

static inline struct zipper
zip_begin(void)
{
	return (struct zipper){ .out = BUF_INIT(64 << 20),
		.dir = BUF_INIT(64 << 20) };
}

static inline void
zip_fields(struct buf *b, const struct zipped *e, size_t n, bool sizes)
{
	put16(b, 20);
	put16(b, (e->secret ? 1 : 0) | (e->behind ? 8 : 0));
	put16(b, e->store ? 0 : 8);
	put32(b, 0);
	put32(b, 0);
	put32(b, sizes ? (uint32_t)n : 0);
	put32(b, !sizes ? 0 : e->size ? e->size : (uint32_t)e->data.n);
}

static inline void
zip_add(struct zipper *z, struct zipped e)
{
	struct buf data = BUF_INIT(64 << 20);
	struct str local = str_of(e.local != NULL ? e.local : e.name);
	uint32_t at = (uint32_t)(z->out.n - z->base);

	if (e.store)
		buf_addstr(&data, e.data);
	else
		data = packed(e.data, -15);
	buf_add(&z->out, "PK\x03\x04", 4);
	zip_fields(&z->out, &e, data.n, !e.behind);
	put16(&z->out, (unsigned)local.n);
	put16(&z->out, 0);
	buf_addstr(&z->out, local);
	buf_addstr(&z->out, buf_str(&data));
	if (e.behind) {
		buf_add(&z->out, "PK\x07\x08\0\0\0\0", 8);
		put32(&z->out, (uint32_t)data.n);
		put32(&z->out, (uint32_t)e.data.n);
	}
	if (!e.hidden) {
		buf_add(&z->dir, "PK\x01\x02", 4);
		put16(&z->dir, 20);
		zip_fields(&z->dir, &e, data.n, true);
		put16(&z->dir, (unsigned)strlen(e.name));
		put_zeros(&z->dir, 12);
		put32(&z->dir, at);
		buf_adds(&z->dir, e.name);
		z->n++;
	}
	buf_free(&data);
}

/* Where the directory is what follows counts from. */
static inline struct buf
zip_end(struct zipper *z)
{
	size_t at = z->out.n;

	buf_addstr(&z->out, buf_str(&z->dir));
	buf_add(&z->out, "PK\x05\x06\0\0\0\0", 8);
	put16(&z->out, z->n);
	put16(&z->out, z->n);
	put32(&z->out, (uint32_t)z->dir.n);
	put32(&z->out, (uint32_t)(at - z->base));
	put16(&z->out, 0);
	buf_free(&z->dir);
	return z->out;
}

static inline struct buf
zip_of(const char *name, struct str data)
{
	struct zipper z = zip_begin();

	zip_add(&z, (struct zipped){ .name = name, .data = data });
	return zip_end(&z);
}

static inline void
tar_add(struct buf *b, const char *name, struct str data, char type)
{
	char block[512] = { 0 };
	unsigned int sum = 0;

	snprintf(block, 100, "%s", name);
	snprintf(block + 124, 12, "%011zo", data.n);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 257, "ustar", 6);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	buf_add(b, block, sizeof(block));
	buf_addstr(b, data);
	put_zeros(b, (512 - data.n % 512) % 512);
}

/*
 * A compound file of sectors of 512 bytes: the FAT in sector 0, the directory
 * behind it, then each stream; short ones are made long.
 */
struct cfb_part {
	const char *name;
	unsigned char type;	/* 1 storage, 2 stream, 5 root */
	struct str data;
};

static inline void
cfb_entry(struct buf *dir, const struct cfb_part *p, uint32_t start, size_t n)
{
	size_t at = dir->n;

	for (const char *c = p->name; *c != '\0'; c++)
		put16(dir, (unsigned char)*c);
	put_zeros(dir, 64 - (dir->n - at));
	put16(dir, (unsigned)(2 * strlen(p->name) + 2));
	buf_addc(dir, (char)p->type);
	buf_addc(dir, 1);
	for (int i = 0; i < 3; i++)
		put32(dir, UINT32_MAX);
	put_zeros(dir, 36);
	put32(dir, start);
	put32(dir, (uint32_t)n);
	put32(dir, 0);
}

static inline struct buf
cfb_of(const struct cfb_part *parts, size_t count)
{
	struct buf out = BUF_INIT(8 << 20), dir = BUF_INIT(1 << 20);
	struct buf fat = BUF_INIT(4096), data = BUF_INIT(8 << 20);
	size_t folders = (count + 3) / 4;
	uint32_t next = 1 + (uint32_t)folders;

	put32(&fat, 0xfffffffdu);
	for (size_t i = 0; i < folders; i++)
		put32(&fat, i + 1 < folders ? (uint32_t)i + 2 : 0xfffffffeu);
	for (size_t i = 0; i < count; i++) {
		size_t size = parts[i].data.n > 4096 ? parts[i].data.n : 4096;
		size_t sectors = (size + 511) / 512;

		if (parts[i].type != 2) {
			cfb_entry(&dir, &parts[i], 0xfffffffeu, 0);
			continue;
		}
		cfb_entry(&dir, &parts[i], next, size);
		for (size_t k = 1; k < sectors; k++)
			put32(&fat, ++next);
		put32(&fat, 0xfffffffeu);
		next++;
		buf_addstr(&data, parts[i].data);
		put_zeros(&data, sectors * 512 - parts[i].data.n);
	}
	assert_true(fat.n <= 512);
	while (fat.n < 512)
		put32(&fat, UINT32_MAX);
	while (dir.n < folders * 512)
		put32(&dir, 0);
	buf_add(&out, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	put_zeros(&out, 16);
	put16(&out, 0x3e);
	put16(&out, 3);
	put16(&out, 0xfffe);
	put16(&out, 9);
	put16(&out, 6);
	put_zeros(&out, 10);
	put32(&out, 1);
	put32(&out, 1);
	put32(&out, 0);
	put32(&out, 4096);
	put32(&out, 0xfffffffeu);
	put32(&out, 0);
	put32(&out, 0xfffffffeu);
	put32(&out, 0);
	put32(&out, 0);
	while (out.n < 512)
		put32(&out, UINT32_MAX);
	buf_addstr(&out, buf_str(&fat));
	buf_addstr(&out, buf_str(&dir));
	buf_addstr(&out, buf_str(&data));
	buf_free(&fat);
	buf_free(&dir);
	buf_free(&data);
	return out;
}

/* The source of a module as VBA keeps it, nothing in it shortened. */
static inline struct buf
vba_source(const char *text)
{
	struct str s = str_of(text);
	struct buf b = BUF_INIT(1 << 16), chunk = BUF_INIT(1 << 16);

	for (size_t i = 0; i < s.n; i += 8) {
		buf_addc(&chunk, 0);
		buf_addstr(&chunk, str_sub(s, i, 8));
	}
	buf_adds(&b, "compiled code");
	buf_addc(&b, 1);
	put16(&b, 0xb000 | (unsigned)(chunk.n - 1));
	buf_addstr(&b, buf_str(&chunk));
	buf_free(&chunk);
	return b;
}

#endif
