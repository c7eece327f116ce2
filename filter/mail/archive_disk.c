/*
 * CAB, and CD images (ECMA-119, with Joliet's longer names where they are).
 */
#include <string.h>

#include "mail/archive_part.h"
#include "mail/charset.h"

/* --- CAB --------------------------------------------------------------- */

#define CAB_BYTES  36
#define FILE_BYTES 16

enum filetype
archive_cab(struct archive_level *l, struct str s)
{
	uint64_t at;
	unsigned int left;
	bool more = true;

	if (s.n < CAB_BYTES) {
		l->a->odd |= ODD(ARCHIVE_BROKEN);
		return FILETYPE_CAB;
	}
	l->packed = s.n;
	at = archive_le32(s.p + 16);
	left = archive_le16(s.p + 28);
	for (; more && left > 0 && archive_has(s, at, FILE_BYTES); left--) {
		struct archive_entry e = { .size = archive_le32(s.p + at) };

		at += FILE_BYTES;
		e.name =
		    str_cut(str_sub(s, at, s.n - at), '\0', &(struct str){ 0 });
		at += e.name.n + 1;
		more = archive_add(l, &e);
	}
	if (more && left > 0)
		l->a->odd |= ODD(ARCHIVE_BROKEN);
	return FILETYPE_CAB;
}

/* --- CD images --------------------------------------------------------- */

#define SECTOR	    2048
#define VOLUME_AT   (16 * SECTOR)
#define VOLUME_MAX  32
#define RECORD_MIN  34
#define RECORD_ROOT 156
#define IS_FOLDER   2
#define FOLDERS_MAX 64

struct iso {
	struct archive_level *level;
	struct str s;
	bool wide; /* names are UTF-16 */
	struct folder {
		uint64_t at, size;
	} folders[FOLDERS_MAX];
	size_t nfolders;
	size_t bytes; /* of folders read */
};

/* The names of a folder are behind those read already, each once. */
static void
folder_add(struct iso *iso, const char *record)
{
	struct folder f = { .at = (uint64_t)archive_le32(record + 2) * SECTOR,
		.size = archive_le32(record + 10) };

	for (size_t i = 0; i < iso->nfolders; i++)
		if (iso->folders[i].at == f.at)
			return;
	if (iso->nfolders < FOLDERS_MAX)
		iso->folders[iso->nfolders++] = f;
	else
		iso->level->a->odd |= ODD(ARCHIVE_MANY);
}

/* "NAME.EXT;1" without the version. */
static struct str
record_name(const struct iso *iso, struct str name, struct buf *wide)
{
	ptrdiff_t end;

	if (iso->wide) {
		charset_add(wide, STR("UTF-16BE"), name);
		name = buf_str(wide);
	}
	end = str_rchr(name, ';');
	return end > 0 ? str_sub(name, 0, end) : name;
}

static bool
record_read(struct iso *iso, struct str record)
{
	struct buf wide = BUF_INIT(1024);
	size_t n = (unsigned char)record.p[32];
	struct archive_entry e = { .size = archive_le32(record.p + 10) };
	struct str name = str_sub(record, 33, n);
	bool ok = true;

	/* The first two are the folder itself and the one around it. */
	if (n == 1 && (unsigned char)name.p[0] < 2)
		return true;
	if (record.p[25] & IS_FOLDER)
		folder_add(iso, record.p);
	else {
		e.name = record_name(iso, name, &wide);
		e.packed = e.size;
		ok = archive_add(iso->level, &e);
	}
	buf_free(&wide);
	return ok;
}

static bool
folder_read(struct iso *iso, struct folder f)
{
	struct str s = str_sub(iso->s, f.at, f.size);
	size_t at = 0, n;

	/* Folders may overlap: no image has more of them than bytes. */
	iso->bytes += s.n;
	if (iso->bytes > iso->s.n) {
		iso->level->a->odd |= ODD(ARCHIVE_BROKEN);
		return false;
	}
	while (at < s.n) {
		n = (unsigned char)s.p[at];
		if (n == 0) {	/* the rest of the sector is empty */
			at = (at / SECTOR + 1) * SECTOR;
			continue;
		}
		if (n < RECORD_MIN || !archive_has(s, at, n))
			return true;
		if (!record_read(iso, str_sub(s, at, n)))
			return false;
		at += n;
	}
	return true;
}

static bool
is_joliet(const char *volume)
{
	return volume[0] == 2 && volume[88] == '%' && volume[89] == '/' &&
	    (volume[90] == '@' || volume[90] == 'C' || volume[90] == 'E');
}

enum filetype
archive_iso(struct archive_level *l, struct str s)
{
	struct iso iso = { .level = l, .s = s };
	const char *volume, *root = NULL;
	uint64_t at = VOLUME_AT;

	for (int i = 0; i < VOLUME_MAX && archive_has(s, at, SECTOR); i++) {
		volume = s.p + at;
		at += SECTOR;
		if (memcmp(volume + 1, "CD001", 5) != 0)
			break;
		if (is_joliet(volume) || (volume[0] == 1 && root == NULL)) {
			root = volume + RECORD_ROOT;
			iso.wide = volume[0] == 2;
		}
	}
	if (root == NULL) {
		l->a->odd |= ODD(ARCHIVE_BROKEN);
		return FILETYPE_ISO;
	}
	folder_add(&iso, root);
	for (size_t i = 0; i < iso.nfolders; i++)
		if (!folder_read(&iso, iso.folders[i]))
			break;
	return FILETYPE_ISO;
}
