/*
 * archive_part - what the readers of formats share; for archive*.c alone.
 *
 * A reader walks over the headers of one archive, never back, and tells each
 * member.  Nothing of an archive is believed: places and sizes are checked
 * before they are used.
 */
#ifndef MAIL_ARCHIVE_PART_H
#define MAIL_ARCHIVE_PART_H

#include "mail/archive.h"
#include "mail/oddity.h"

#define ARCHIVE_DEPTH	1	/* of archives in archives that are listed */

struct archive_level {
	struct archive	*a;
	struct str	 name;		/* of the file; may be none */
	struct str	 prefix;	/* "inner.zip/" */
	unsigned int	 depth;
	uint64_t	 size, packed;	/* of all members, as declared */
};

struct archive_entry {
	struct str	 name;		/* as it stands there */
	uint64_t	 size, packed;
	bool		 encrypted;
};

typedef enum filetype archive_reader(struct archive_level *, struct str);

archive_reader	archive_zip, archive_rar, archive_tar, archive_gzip,
    archive_bzip2, archive_xz, archive_zstandard, archive_cab, archive_iso,
    archive_7z;

/* false: enough, or no memory. */
bool	archive_add(struct archive_level *, const struct archive_entry *);
/* The member's bytes, as far as the budget went; they may be an archive. */
void	archive_look(struct archive_level *, struct str name, struct str bytes,
	    enum filetype);
/* windowBits as inflateInit2() has them; at most `most' bytes into out.  How
 * many of the packed ones that took. */
size_t	archive_inflate(struct str packed, int bits, size_t most,
	    struct buf *out);
/* How many bytes may still be unpacked for this message. */
size_t	archive_room(const struct archive *);

/* Is there so much behind that place? */
bool	 archive_has(struct str, uint64_t at, uint64_t n);
uint16_t archive_le16(const char *);
uint32_t archive_le32(const char *);
uint64_t archive_le64(const char *);

#endif
