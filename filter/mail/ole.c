#include "mail/ole.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

#define HEADER_BYTES  512
#define HEADER_FATS   109 /* sectors of the FAT that the header names */
#define ENTRY_BYTES   128
#define SECTOR_LAST   0xfffffffau /* from here on they mean something else */
#define TYPE_STORAGE  1
#define TYPE_STREAM   2
#define TYPE_ROOT     5
#define MINI_CUTOFF   4096
#define MINI_SHIFT    6
#define RECORDS_MAX   20000
#define SLIDES_MAX    (4 * 1024 * 1024) /* of a presentation read */
#define PROJECTS_MAX  8 /* in a presentation */
#define RECORD_SHEET  0x0085
#define RECORD_SECRET 0x002f

/* Where the words are told apart, longer ones stand first. */
static const char *const starts[] = { "auto_open", "auto_close",
	"auto_activate", "autoexec", "autoopen", "autoclose", "autoexit",
	"autonew", "document_open", "document_close", "document_new",
	"document_beforeclose", "workbook_open", "workbook_activate",
	"workbook_beforeclose", "workbook_deactivate", "presentation_open",
	"app_workbookopen", "inkpicture1_painted", NULL };

struct cfb {
	struct str s;
	unsigned int shift; /* of a sector's size */
	uint32_t *fat; /* the sectors that the FAT is in */
	size_t nfats;
	struct buf mini; /* the stream that short ones are in */
	struct buf minifat;
	struct buf directory;
	struct ole_findings *found;
	bool inner; /* it was in another one */
};

static void read_file(struct str, struct ole_findings *, bool);

static uint16_t
le16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint16_t)(u[0] | u[1] << 8);
}

static uint32_t
le32(const char *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

/* --- sectors ----------------------------------------------------------- */

/* The header is one sector; p NULL where there is none. */
static struct str
sector_at(const struct cfb *c, uint32_t n)
{
	uint64_t at = ((uint64_t)n + 1) << c->shift;

	if (n >= SECTOR_LAST || at >= c->s.n)
		return STR_NONE;
	return str_sub(c->s, at, (size_t)1 << c->shift);
}

static uint32_t
sector_next(const struct cfb *c, uint32_t n)
{
	uint32_t per = 1u << (c->shift - 2);
	struct str fat;

	if (n / per >= c->nfats)
		return UINT32_MAX;
	fat = sector_at(c, c->fat[n / per]);
	return (size_t)(n % per) * 4 + 4 <= fat.n ? le32(fat.p + n % per * 4) :
						    UINT32_MAX;
}

static bool
may_read(struct cfb *c, size_t n)
{
	struct ole_findings *f = c->found;

	if (n > OLE_MAX_READ - f->read) {
		f->cut = true;
		return false;
	}
	f->read += n;
	return true;
}

/* A chain of more sectors than the file has is a ring. */
static void
read_chain(struct cfb *c, uint32_t n, uint64_t size, struct buf *out)
{
	size_t left = (c->s.n >> c->shift) + 1;

	for (; left > 0 && out->n < size; left--, n = sector_next(c, n)) {
		struct str sector = str_sub(sector_at(c, n), 0, size - out->n);

		if (sector.n == 0 || !may_read(c, sector.n))
			return;
		buf_addstr(out, sector);
	}
}

static void
read_mini(struct cfb *c, uint32_t n, uint64_t size, struct buf *out)
{
	size_t left = (c->mini.n >> MINI_SHIFT) + 1;

	for (; left > 0 && out->n < size; left--) {
		struct str part = str_sub(buf_str(&c->mini),
		    (uint64_t)n << MINI_SHIFT, 1u << MINI_SHIFT);

		part = str_sub(part, 0, size - out->n);
		if (part.n == 0 || !may_read(c, part.n))
			return;
		buf_addstr(out, part);
		if ((uint64_t)n * 4 + 4 > c->minifat.n)
			return;
		n = le32(c->minifat.p + (size_t)n * 4);
	}
}

/* --- the header -------------------------------------------------------- */

static void
fat_add(struct cfb *c, size_t room, const char *p, size_t count)
{
	for (size_t i = 0; i < count && c->nfats < room; i++) {
		uint32_t n = le32(p + 4 * i);

		if (n < SECTOR_LAST)
			c->fat[c->nfats++] = n;
	}
}

/* The header names the first sectors of the FAT; of a large file the others
 * are named by sectors of their own, in a chain. */
static void
read_fat(struct cfb *c)
{
	size_t sectors = (c->s.n >> c->shift) + 1;
	size_t per = ((size_t)1 << (c->shift - 2)) - 1;
	size_t room = sectors / per + 2;
	uint32_t n = le32(c->s.p + 68);

	c->fat = mem_alloc(room * sizeof(*c->fat));
	fat_add(c, room, c->s.p + 76, HEADER_FATS);
	for (size_t left = sectors; left > 0 && c->nfats < room; left--) {
		struct str sector = sector_at(c, n);

		if (sector.n < (per + 1) * 4)
			return;
		fat_add(c, room, sector.p, per);
		n = le32(sector.p + per * 4);
	}
}

static bool
open_file(struct cfb *c)
{
	if (c->s.n < HEADER_BYTES ||
	    memcmp(c->s.p, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) != 0)
		return false;
	c->shift = le16(c->s.p + 30);
	if (c->shift != 9 && c->shift != 12)
		return false;
	read_fat(c);
	read_chain(c, le32(c->s.p + 48), OLE_MAX_ENTRIES * ENTRY_BYTES,
	    &c->directory);
	read_chain(c, le32(c->s.p + 60), OLE_MAX_STREAM, &c->minifat);
	return c->directory.n >= ENTRY_BYTES;
}

/* --- streams ----------------------------------------------------------- */

struct entry {
	char name[32];		/* its ASCII, lower case */
	unsigned int type;
	uint32_t start, size;
};

static void
read_entry(const struct cfb *c, size_t i, struct entry *e)
{
	const char *p = c->directory.p + i * ENTRY_BYTES;
	size_t n = le16(p + 64) / 2;

	*e = (struct entry){ .type = (unsigned char)p[66],
		.start = le32(p + 116),
		.size = le32(p + 120) };
	for (size_t k = 0; k + 1 < n && k < sizeof(e->name) - 1; k++) {
		unsigned int ch = le16(p + 2 * k);

		e->name[k] = ch < 0x80 ? (char)chr_lower((int)ch) : '?';
	}
}

static void
read_stream(struct cfb *c, const struct entry *e, struct buf *out)
{
	uint64_t size = e->size < out->max ? e->size : out->max;

	if (e->size < MINI_CUTOFF)
		read_mini(c, e->start, size, out);
	else
		read_chain(c, e->start, size, out);
}

/* --- VBA --------------------------------------------------------------- */

/* One chunk ([MS-OVBA] 2.4.1): eight tokens behind a byte of flags, each a
 * byte as it is or a copy of what came before in the chunk. */
static void
unpack_chunk(struct str in, struct buf *out)
{
	size_t from = out->n, i = 0;

	while (i < in.n) {
		unsigned int flags = (unsigned char)in.p[i++];

		for (int bit = 0; bit < 8 && i < in.n; bit++, flags >>= 1) {
			unsigned int token, bits = 4, length;
			size_t done = out->n - from, back;

			if ((flags & 1) == 0) {
				buf_addc(out, in.p[i++]);
				continue;
			}
			if (i + 2 > in.n || done == 0)
				return;
			token = le16(in.p + i);
			i += 2;
			while (1u << bits < done)
				bits++;
			length = (token & (0xffffu >> bits)) + 3;
			back = (token >> (16 - bits)) + 1;
			if (back > done)
				return;
			while (length-- > 0 && !out->failed)
				buf_addc(out, out->p[out->n - back]);
			if (out->failed)
				return;
		}
	}
}

static void
unpack_source(struct str in, struct buf *out)
{
	size_t at = 1;

	while (at + 2 <= in.n && !out->failed) {
		unsigned int header = le16(in.p + at);
		struct str chunk = str_sub(in, at + 2, (header & 0xfff) + 1);

		if ((header >> 12 & 7) != 3)
			return;
		if (header & 0x8000)
			unpack_chunk(chunk, out);
		else
			buf_addstr(out, chunk);
		at += 2 + chunk.n;
	}
}

/* A name in running text, not a part of a longer one. */
static bool
has_word(struct str text, struct str word)
{
	ptrdiff_t at;

	while ((at = str_ifind(text, word)) >= 0) {
		size_t end = (size_t)at + word.n;

		if ((at == 0 || !chr_alnum((unsigned char)text.p[at - 1])) &&
		    (end == text.n || !chr_alnum((unsigned char)text.p[end])))
			return true;
		text = str_sub(text, end, text.n);
	}
	return false;
}

/* Behind its compiled form a module has its source, whose first line begins
 * with "Attribute", of which eight letters stand there as they are. */
static void
read_module(struct cfb *c, struct str stream)
{
	struct ole_findings *f = c->found;
	struct buf source = BUF_INIT(OLE_MAX_SOURCE - f->unpacked);
	ptrdiff_t at = str_find(stream, STR("\0Attribut"));

	if (at < 3 || stream.p[at - 3] != 1)
		return;
	unpack_source(str_sub(stream, (size_t)at - 3, stream.n), &source);
	f->unpacked += source.n;
	f->cut |= source.failed;
	for (unsigned int i = 0; starts[i] != NULL; i++)
		if (has_word(buf_str(&source), str_of(starts[i])))
			f->starts |= 1u << i;
	buf_free(&source);
}

/* --- Excel ------------------------------------------------------------- */

/* The records of a workbook in front of its sheets ([MS-XLS] 2.4). */
static void
read_workbook(struct cfb *c, struct str s)
{
	for (int i = 0; i < RECORDS_MAX && s.n >= 4; i++) {
		unsigned int type = le16(s.p), n = le16(s.p + 2);
		struct str data = str_sub(s, 4, n);

		if (type == RECORD_SHEET && data.n >= 6 && data.p[5] == 1)
			c->found->xlm = true;
		c->found->encrypted |= type == RECORD_SECRET;
		s = str_sub(s, 4 + data.n, s.n);
	}
}

/* --- PowerPoint -------------------------------------------------------- */

static void
unpack_project(struct cfb *c, struct str packed)
{
	struct ole_findings *f = c->found;
	struct buf out = BUF_INIT(OLE_MAX_SOURCE - f->unpacked);
	z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.p,
		.avail_in = (uInt)packed.n };
	unsigned char block[16 * 1024];
	int status = Z_OK;

	if (inflateInit(&z) != Z_OK)
		return;
	while (status == Z_OK && !out.failed) {
		z.next_out = block;
		z.avail_out = sizeof(block);
		status = inflate(&z, Z_SYNC_FLUSH);
		buf_add(&out, block, sizeof(block) - z.avail_out);
	}
	inflateEnd(&z);
	f->unpacked += out.n;
	f->cut |= out.failed;
	read_file(buf_str(&out), f, true);
	buf_free(&out);
}

/* A presentation keeps its VBA project, a compound file itself, packed in a
 * record ([MS-PPT] 2.10.35, ExOleObjStgCompressedAtom). */
static void
read_slides(struct cfb *c, struct str s)
{
	static const struct str head = { "\x10\0\x11\x10", 4 };
	ptrdiff_t at;

	for (int i = 0; i < PROJECTS_MAX && (at = str_find(s, head)) >= 0;
	     i++) {
		s = str_sub(s, (size_t)at + head.n, s.n);
		if (s.n > 8)
			unpack_project(c, str_sub(s, 8, le32(s.p)));
	}
}

/* --- what there is ----------------------------------------------------- */

static bool
is(const struct entry *e, const char *name)
{
	return strcmp(e->name, name) == 0;
}

static void
take_storage(struct cfb *c, const struct entry *e)
{
	c->found->vba |=
	    is(e, "vba") || is(e, "_vba_project_cur") || is(e, "macros");
}

static void
take_stream(struct cfb *c, const struct entry *e)
{
	bool slides = !c->inner && is(e, "powerpoint document");
	struct buf b = BUF_INIT(slides ? SLIDES_MAX : OLE_MAX_STREAM);

	c->found->vba |= is(e, "_vba_project");
	c->found->encrypted |=
	    is(e, "encryptedpackage") || is(e, "encryptedsummary");
	read_stream(c, e, &b);
	if (is(e, "workbook") || is(e, "book"))
		read_workbook(c, buf_str(&b));
	else if (slides)
		read_slides(c, buf_str(&b));
	else if (is(e, "worddocument") && b.n >= 12)
		c->found->encrypted |= (b.p[11] & 1) != 0;
	else
		read_module(c, buf_str(&b));
	buf_free(&b);
}

/* The class that a root entry names: {000C1084-0000-0000-C000-...46}. */
static bool
is_installer(const struct cfb *c, size_t i)
{
	const char *p = c->directory.p + i * ENTRY_BYTES + 80;

	return memcmp(p, "\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F", 16) == 0;
}

static void
read_directory(struct cfb *c)
{
	size_t n = c->directory.n / ENTRY_BYTES;
	struct entry e;

	for (size_t i = 0; i < n; i++) {
		if (c->found->entries++ >= OLE_MAX_ENTRIES) {
			c->found->cut = true;
			return;
		}
		read_entry(c, i, &e);
		if (e.type == TYPE_ROOT && c->mini.n == 0) {
			c->found->installer |= is_installer(c, i);
			read_chain(c, e.start,
			    e.size < OLE_MAX_READ / 2 ? e.size :
							OLE_MAX_READ / 2,
			    &c->mini);
		}
		if (e.type == TYPE_STORAGE)
			take_storage(c, &e);
		if (e.type == TYPE_STREAM)
			take_stream(c, &e);
	}
}

static void
read_file(struct str bytes, struct ole_findings *found, bool inner)
{
	struct cfb c = { .s = bytes,
		.found = found,
		.inner = inner,
		.mini = BUF_INIT(OLE_MAX_READ),
		.minifat = BUF_INIT(OLE_MAX_STREAM),
		.directory = BUF_INIT(OLE_MAX_ENTRIES * ENTRY_BYTES + 4096) };

	if (open_file(&c))
		read_directory(&c);
	else if (!inner)
		found->broken = true;
	free(c.fat);
	buf_free(&c.mini);
	buf_free(&c.minifat);
	buf_free(&c.directory);
}

void
ole_read(struct str bytes, struct ole_findings *found)
{
	*found = (struct ole_findings){ .read = found->read,
		.unpacked = found->unpacked,
		.entries = found->entries,
		.cut = found->cut };
	read_file(bytes, found, false);
}

const char *
ole_start_word(unsigned int i)
{
	return i < sizeof(starts) / sizeof(starts[0]) ? starts[i] : NULL;
}
