/*
 * ZIP (APPNOTE.TXT 6.3).
 *
 * A ZIP says twice what is in it: in the directory at its end, which most
 * programs believe, and before each member, which is what others unpack by.
 * Both are listed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/archive_part.h"

#define END_BYTES     22
#define END_LOOK      (65536 + END_BYTES)
#define ENTRY_BYTES   46
#define LOCAL_BYTES   30
#define BEHIND_BYTES  16
#define PEEK_BYTES    512
#define FLAG_SECRET   1
#define FLAG_BEHIND   8 /* the sizes stand behind the data */
#define METHOD_STORE  0
#define METHOD_DEFLATE 8

struct member {
	struct archive_entry entry;
	uint64_t at; /* of its local header */
	uint16_t flags, method;
};

struct zip {
	struct archive_level *level;
	struct str s;
	struct member *members;
	size_t count, room;
	bool ooxml, odf, jar, apk, appx; /* what its members tell */
};

/* --- unpacking --------------------------------------------------------- */

/* Its bytes where they stand, packed. */
static struct str
member_data(const struct zip *z, const struct member *m)
{
	uint64_t at = m->at + LOCAL_BYTES;
	const char *local;

	if (!archive_has(z->s, m->at, LOCAL_BYTES))
		return STR_NONE;
	local = z->s.p + m->at;
	at += archive_le16(local + 26) + archive_le16(local + 28);
	if (memcmp(local, "PK\x03\x04", 4) != 0 || !archive_has(z->s, at, 0))
		return STR_NONE;
	return str_sub(z->s, at, m->entry.packed);
}

static void
unpack(struct zip *z, const struct member *m, struct str data, size_t most)
{
	struct archive *a = z->level->a;
	struct buf out = BUF_INIT(most);
	enum filetype type;
	unsigned int odd;

	if (m->method == METHOD_DEFLATE)
		archive_inflate(data, -15, PEEK_BYTES, &out);
	else
		buf_addstr(&out, str_sub(data, 0, PEEK_BYTES));
	a->unpacked += out.n;
	type = filetype_of(buf_str(&out));
	if (type != FILETYPE_OLE && !filetype_is_archive(type)) {
		buf_free(&out);
		return;
	}
	buf_truncate(&out, 0);
	if (m->method == METHOD_DEFLATE)
		archive_inflate(data, -15, most, &out);
	else
		buf_addstr(&out, str_sub(data, 0, most));
	a->unpacked += out.n < archive_room(a) ? out.n : archive_room(a);
	odd = a->odd;
	archive_look(z->level, m->entry.name, buf_str(&out), type);
	/* What was cut off here is not broken. */
	if (out.n == most && out.n < m->entry.size)
		a->odd =
		    (a->odd & ~ODD(ARCHIVE_BROKEN)) | odd | ODD(ARCHIVE_MANY);
	buf_free(&out);
}

/* Is it an archive or a document itself?  Its name proves nothing. */
static void
look_into(struct zip *z, const struct member *m)
{
	struct archive *a = z->level->a;
	struct str data = member_data(z, m);
	size_t most = archive_room(a);

	if (m->entry.encrypted || data.n == 0 ||
	    (m->method != METHOD_STORE && m->method != METHOD_DEFLATE))
		return;
	if (most <= PEEK_BYTES || a->peeks == ARCHIVE_MAX_PEEKS) {
		a->odd |= ODD(ARCHIVE_MANY);
		return;
	}
	a->peeks++;
	unpack(z, m, data, most);
}

/* --- members ----------------------------------------------------------- */

static void
tell_kind(struct zip *z, const struct member *m)
{
	struct str name = m->entry.name;
	struct str media = STR("application/");

	z->ooxml |= str_ieq(name, STR("[Content_Types].xml"));
	z->jar |= str_ieq(name, STR("META-INF/MANIFEST.MF"));
	z->apk |= str_eq(name, STR("AndroidManifest.xml"));
	z->appx |= str_ieq(name, STR("AppxManifest.xml"));
	if (m->method == METHOD_STORE && str_eq(name, STR("mimetype")))
		z->odf |= str_starts(member_data(z, m), media);
}

static enum filetype
kind_of(const struct zip *z)
{
	if (z->apk)
		return FILETYPE_APK;
	if (z->appx)
		return FILETYPE_APPX;
	if (z->odf)
		return FILETYPE_ODF;
	if (z->ooxml)
		return FILETYPE_OOXML;
	return z->jar ? FILETYPE_JAR : FILETYPE_ZIP;
}

static bool
take_member(struct zip *z, const struct member *m)
{
	if (!archive_add(z->level, &m->entry))
		return false;
	tell_kind(z, m);
	if (z->count == z->room) {
		z->room = z->room * 2 + 64;
		z->members =
		    mem_resize(z->members, z->room * sizeof(*z->members));
	}
	z->members[z->count++] = *m;
	return true;
}

/* The header before a member; false: there is none. */
static bool
read_local(const struct zip *z, uint64_t at, struct member *m)
{
	const char *p;

	if (!archive_has(z->s, at, LOCAL_BYTES))
		return false;
	p = z->s.p + at;
	if (memcmp(p, "PK\x03\x04", 4) != 0 ||
	    !archive_has(z->s, at + LOCAL_BYTES, archive_le16(p + 26)))
		return false;
	*m = (struct member){ .at = at,
		.flags = archive_le16(p + 6),
		.method = archive_le16(p + 8) };
	m->entry = (struct archive_entry){ .name = { p + LOCAL_BYTES,
					       archive_le16(p + 26) },
		.packed = archive_le32(p + 18),
		.size = archive_le32(p + 22),
		.encrypted = (m->flags & FLAG_SECRET) != 0 };
	return true;
}

static uint64_t
local_end(const struct zip *z, const struct member *m)
{
	const char *p = z->s.p + m->at;

	return m->at + LOCAL_BYTES + archive_le16(p + 26) +
	    archive_le16(p + 28) + m->entry.packed;
}

/* Without a directory: from header to header, by the sizes they tell or else
 * to the next that looks like one. */
static void
walk_locals(struct zip *z, uint64_t at, uint64_t end)
{
	struct member m;
	const char *next;
	uint64_t after;

	end = end < z->s.n ? end : z->s.n;
	while (at < end && read_local(z, at, &m)) {
		z->level->a->odd |= ODD(ARCHIVE_BROKEN);
		if (!take_member(z, &m))
			return;
		after = local_end(z, &m);
		if (m.flags & FLAG_BEHIND && after < end) {
			next = memmem(z->s.p + after, end - after, "PK\x03\x04",
			    4);
			after = next ? (uint64_t)(next - z->s.p) : end;
		}
		at = after;
	}
}

/* --- the directory ----------------------------------------------------- */

/* Where it begins; false: there is none that can be used.  What stands
 * before the archive, as in a program that unpacks itself, is in *before. */
static bool
find_directory(struct str s, uint64_t *at, uint64_t *end, uint64_t *before)
{
	size_t low = s.n > END_LOOK ? s.n - END_LOOK : 0;
	uint64_t size, told;

	for (size_t i = s.n; i-- > low;) {
		if (s.p[i] != 'P' || !archive_has(s, i, END_BYTES) ||
		    memcmp(s.p + i, "PK\x05\x06", 4) != 0)
			continue;
		size = archive_le32(s.p + i + 12);
		told = archive_le32(s.p + i + 16);
		if (size > i)
			continue;
		*end = i;
		*at = i - size;
		*before = *at >= told ? *at - told : 0;
		return true;
	}
	return false;
}

static bool
read_entry(const struct zip *z, uint64_t at, uint64_t before, struct member *m)
{
	const char *p;

	if (!archive_has(z->s, at, ENTRY_BYTES))
		return false;
	p = z->s.p + at;
	if (memcmp(p, "PK\x01\x02", 4) != 0 ||
	    !archive_has(z->s, at + ENTRY_BYTES, archive_le16(p + 28)))
		return false;
	*m = (struct member){ .at = before + archive_le32(p + 42),
		.flags = archive_le16(p + 8),
		.method = archive_le16(p + 10) };
	m->entry = (struct archive_entry){ .name = { p + ENTRY_BYTES,
					       archive_le16(p + 28) },
		.packed = archive_le32(p + 20),
		.size = archive_le32(p + 24),
		.encrypted = (m->flags & FLAG_SECRET) != 0 };
	return true;
}

/* Another name in front of the data than in the directory. */
static void
check_local(struct zip *z, const struct member *m)
{
	struct member local;

	if (!read_local(z, m->at, &local)) {
		z->level->a->odd |= ODD(ARCHIVE_BROKEN);
	} else if (!str_eq(local.entry.name, m->entry.name)) {
		z->level->a->odd |= ODD(ARCHIVE_BROKEN);
		local.entry.size = local.entry.packed = 0;
		archive_add(z->level, &local.entry);
	}
}

static int
by_place(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Members that the directory does not name lie in the gaps between those
 * that it does. */
static void
find_hidden(struct zip *z, uint64_t from, uint64_t directory)
{
	size_t n = z->count;
	uint64_t at = from;

	if (n > 1)
		qsort(z->members, n, sizeof(*z->members), by_place);
	for (size_t i = 0; i < n; i++) {
		const struct member m = z->members[i];

		if (m.at > at)
			walk_locals(z, at, m.at);
		else if (m.at + BEHIND_BYTES < at && m.entry.packed > 0)
			z->level->a->odd |= ODD(ARCHIVE_BROKEN);
		if (read_local(z, m.at, &(struct member){ 0 })) {
			uint64_t end = local_end(z, &m);

			at = end > at ? end : at;
			if (m.flags & FLAG_BEHIND)
				at += archive_has(z->s, at, 4) &&
					memcmp(z->s.p + at, "PK\x07\x08", 4) ==
					    0 ?
				    BEHIND_BYTES :
				    BEHIND_BYTES - 4;
		}
	}
	walk_locals(z, at, directory);
}

static void
walk_directory(struct zip *z, uint64_t at, uint64_t end, uint64_t before)
{
	uint64_t directory = at;
	struct member m;
	bool more = true;
	const char *p;

	while (more && at < end && read_entry(z, at, before, &m)) {
		p = z->s.p + at;
		at += ENTRY_BYTES + archive_le16(p + 28) +
		    archive_le16(p + 30) + archive_le16(p + 32);
		more = take_member(z, &m);
		if (more)
			check_local(z, &m);
	}
	if (!more)
		return;
	if (at != end)
		z->level->a->odd |= ODD(ARCHIVE_BROKEN);
	find_hidden(z, before, directory);
}

enum filetype
archive_zip(struct archive_level *l, struct str s)
{
	struct zip z = { .level = l, .s = s };
	uint64_t at, end, before;

	if (find_directory(s, &at, &end, &before))
		walk_directory(&z, at, end, before);
	else
		walk_locals(&z, 0, s.n);
	if (z.count == 0 && s.n > END_BYTES)
		l->a->odd |= ODD(ARCHIVE_BROKEN);
	for (size_t i = 0; i < z.count; i++)
		look_into(&z, &z.members[i]);
	free(z.members);
	return kind_of(&z);
}
