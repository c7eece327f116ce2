/*
 * archive - what is in an archive, by name, without unpacking it to disk.
 *
 * ZIP (by its directory and by the headers of its members, which need not
 * agree), RAR, 7z, tar, CAB and ISO images are listed, and what is packed with
 * gzip, bzip2, xz or Zstandard; an archive in a ZIP or tar, or packed with one
 * of these, is unpacked in memory and listed as well, one level deep.
 * Members of a ZIP that are compound files or archives are recognised
 * by their bytes, whatever they are called.
 *
 * A struct archive is for all attachments of one message: its caps, on
 * members, on unpacked bytes and on members looked into, are over all of
 * them.  What is past a cap is left out, and a bit of `odd' says so.  Names
 * live in the arena.  One thread at a time.
 */
#ifndef MAIL_ARCHIVE_H
#define MAIL_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/filetype.h"

#define ARCHIVE_MAX_MEMBERS	2000
#define ARCHIVE_MAX_NAME	512		/* bytes; the last ones count */
#define ARCHIVE_MAX_UNPACKED	(8 * 1024 * 1024)
#define ARCHIVE_MAX_PEEKS	200
#define ARCHIVE_BOMB_BYTES	(100ULL * 1024 * 1024)
#define ARCHIVE_BOMB_RATIO	250

/* One member, or what of it is known. */
struct archive_member {
	struct archive_member *next;
	struct str	 name;		/* UTF-8; "inner.zip/name" in it */
	bool		 encrypted;
};

/* A member that was unpacked and is no archive; bytes go with the call. */
typedef void	archive_file(void *arg, struct str name, struct str bytes);

struct archive {
	struct arena	*arena;
	archive_file	*on_file;	/* may be NULL */
	void		*arg;
	struct archive_member *first, **tail;
	size_t		 count, peeks;
	size_t		 unpacked;	/* bytes */
	unsigned int	 odd;		/* ODD() of mail/oddity.h */
	bool		 encrypted;	/* something that is listed now, or
					 * all of it */
	bool		 full;		/* the arena is */
};

void		 archive_init(struct archive *, struct arena *, archive_file *,
		    void *arg);
/* Lists a whole file of that name, which may be none, and type.  What it is,
 * told better by what is in it: a ZIP may be a document or a program. */
enum filetype	 archive_list(struct archive *, struct str name,
		    struct str bytes, enum filetype);

#endif
