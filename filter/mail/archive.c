#include "mail/archive.h"

#include <string.h>

#include "mail/archive_part.h"
#include "mail/charset.h"

void
archive_init(struct archive *a, struct arena *arena, archive_file *fn,
    void *arg)
{
	*a = (struct archive){ .arena = arena, .on_file = fn, .arg = arg };
	a->tail = &a->first;
}

bool
archive_has(struct str s, uint64_t at, uint64_t n)
{
	return at <= s.n && n <= s.n - at;
}

uint16_t
archive_le16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint16_t)(u[0] | u[1] << 8);
}

uint32_t
archive_le32(const char *p)
{
	return archive_le16(p) | (uint32_t)archive_le16(p + 2) << 16;
}

uint64_t
archive_le64(const char *p)
{
	return archive_le32(p) | (uint64_t)archive_le32(p + 4) << 32;
}

size_t
archive_room(const struct archive *a)
{
	return ARCHIVE_MAX_UNPACKED - a->unpacked;
}

/* --- members ----------------------------------------------------------- */

/* Of a long name the end counts, where its extension is. */
static struct str
member_name(struct archive_level *l, struct str name)
{
	struct archive *a = l->a;

	if (name.p == NULL)	/* the archive is cut off there */
		name = STR("");
	if (name.n > ARCHIVE_MAX_NAME)
		name = str_sub(name, name.n - ARCHIVE_MAX_NAME, name.n);
	name = charset_guess(a->arena, name);
	if (name.p == NULL)
		return name;
	return l->prefix.n == 0 ? arena_str(a->arena, name) :
				  arena_printf(a->arena, "%.*s%.*s",
				      STR_FMT(l->prefix), STR_FMT(name));
}

static void
count_sizes(struct archive_level *l, const struct archive_entry *e)
{
	uint64_t sum = l->size + e->size;

	l->size = sum < l->size ? UINT64_MAX : sum;
	l->packed += e->packed;
}

bool
archive_add(struct archive_level *l, const struct archive_entry *e)
{
	struct archive *a = l->a;
	struct archive_member *m;

	a->encrypted |= e->encrypted;
	count_sizes(l, e);
	if (a->count == ARCHIVE_MAX_MEMBERS) {
		a->odd |= ODD(ARCHIVE_MANY);
		return false;
	}
	m = arena_alloc(a->arena, sizeof(*m));
	if (m == NULL || (m->name = member_name(l, e->name)).p == NULL) {
		a->full = true;
		return false;
	}
	m->encrypted = e->encrypted;
	*a->tail = m;
	a->tail = &m->next;
	a->count++;
	return true;
}

/* --- levels ------------------------------------------------------------ */

static archive_reader *const readers[FILETYPE_COUNT] = {
	[FILETYPE_ZIP] = archive_zip,
	[FILETYPE_RAR] = archive_rar,
	[FILETYPE_TAR] = archive_tar,
	[FILETYPE_GZ] = archive_gzip,
	[FILETYPE_BZ2] = archive_bzip2,
	[FILETYPE_XZ] = archive_xz,
	[FILETYPE_ZST] = archive_zstandard,
	[FILETYPE_CAB] = archive_cab,
	[FILETYPE_ISO] = archive_iso,
	[FILETYPE_SEVENZ] = archive_7z,
};

static enum filetype
read_level(struct archive_level *l, struct str bytes, enum filetype type)
{
	if (readers[type] != NULL)
		type = readers[type](l, bytes);
	if (l->size > ARCHIVE_BOMB_BYTES &&
	    l->size / ARCHIVE_BOMB_RATIO > bytes.n)
		l->a->odd |= ODD(ARCHIVE_BOMB);
	return type;
}

void
archive_look(struct archive_level *l, struct str name, struct str bytes,
    enum filetype type)
{
	struct archive_level inner = { .a = l->a,
		.name = name,
		.depth = l->depth + 1 };
	struct archive *a = l->a;

	if (readers[type] == NULL) {
		if (a->on_file != NULL)
			a->on_file(a->arg, name, bytes);
		return;
	}
	if (inner.depth > ARCHIVE_DEPTH) {
		/* Documents are archives too, and no reason for alarm. */
		if (filetype_names_archive(name))
			a->odd |= ODD(ARCHIVE_DEEP);
		return;
	}
	name = member_name(l, name);
	inner.prefix = arena_printf(a->arena, "%.*s/", STR_FMT(name));
	if (inner.prefix.p == NULL)
		a->full = true;
	else
		read_level(&inner, bytes, type);
}

enum filetype
archive_list(struct archive *a, struct str name, struct str bytes,
    enum filetype type)
{
	struct archive_level top = { .a = a, .name = name, .prefix = STR("") };

	a->encrypted = false;
	return read_level(&top, bytes, type);
}

/* --- tar --------------------------------------------------------------- */

#define TAR_BLOCK 512

static uint64_t
octal(struct str s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= '0' && s.p[i] <= '7')
			n = n << 3 | (unsigned)(s.p[i] - '0');
		else if (s.p[i] != ' ')
			break;
	return n;
}

static struct str
until_nul(struct str s)
{
	return str_cut(s, '\0', &(struct str){ 0 });
}

/* Its checksum is the sum of its bytes, its own taken for blanks. */
static bool
is_tar_header(struct str block)
{
	uint64_t sum = 8 * ' ';

	for (size_t i = 0; i < TAR_BLOCK; i++)
		if (i < 148 || i >= 156)
			sum += (unsigned char)block.p[i];
	return sum == octal(str_sub(block, 148, 8));
}

/* "LENGTH path=NAME\n" of a pax header. */
static struct str
pax_path(struct str data)
{
	ptrdiff_t at = str_find(data, STR(" path="));

	if (at < 0)
		return STR_NONE;
	return str_cut(str_sub(data, (size_t)at + 6, data.n), '\n',
	    &(struct str){ 0 });
}

/* Members of a tar lie there as they are. */
static bool
tar_take(struct archive_level *l, const struct archive_entry *e,
    struct str data)
{
	enum filetype type = filetype_of(data);
	struct archive *a = l->a;

	if (!archive_add(l, e))
		return false;
	if (type != FILETYPE_OLE && !filetype_is_archive(type))
		return true;
	if (a->peeks == ARCHIVE_MAX_PEEKS)
		a->odd |= ODD(ARCHIVE_MANY);
	else {
		a->peeks++;
		archive_look(l, e->name, data, type);
	}
	return true;
}

static bool
tar_member(struct archive_level *l, struct str block, struct str longer,
    uint64_t size, struct str data)
{
	struct str name = until_nul(str_sub(block, 0, 100));
	struct str prefix = until_nul(str_sub(block, 345, 155));
	struct archive_entry e = { .size = size, .packed = size };
	char both[256];

	if (longer.p != NULL) {
		e.name = longer;
		return tar_take(l, &e, data);
	}
	e.name = name;
	if (memcmp(block.p + 257, "ustar", 5) == 0 && prefix.n > 0) {
		memcpy(both, prefix.p, prefix.n);
		both[prefix.n] = '/';
		memcpy(both + prefix.n + 1, name.p, name.n);
		e.name = (struct str){ both, prefix.n + 1 + name.n };
	}
	return tar_take(l, &e, data);
}

enum filetype
archive_tar(struct archive_level *l, struct str s)
{
	struct str longer = STR_NONE, block, data;
	bool more = true;
	uint64_t size;

	for (uint64_t at = 0; more && archive_has(s, at, TAR_BLOCK);
	     at += (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK) {
		block = str_sub(s, at, TAR_BLOCK);
		at += TAR_BLOCK;
		if (!is_tar_header(block))
			break;
		size = octal(str_sub(block, 124, 12));
		if (size > s.n)
			more = false;
		data = at <= s.n ? str_sub(s, at, size) : STR_NONE;
		if (block.p[156] == 'L')
			longer = until_nul(data);
		else if (block.p[156] == 'x')
			longer = pax_path(data);
		else {
			more &= tar_member(l, block, longer, size, data);
			longer = STR_NONE;
		}
	}
	return FILETYPE_TAR;
}
