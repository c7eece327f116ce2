/*
 * oddity - what no honest program puts into mail, by name.
 *
 * Where a message meets a cap, or is not what it says, a bit is set while it
 * is read, and a policy asks for it with `tag NAME'.  Names before the dot
 * are reserved: no rule sets such a tag.
 */
#ifndef MAIL_ODDITY_H
#define MAIL_ODDITY_H

#include <stdbool.h>

#include "base/str.h"

/* id, name, its content must be read, what it says */
#define ODDITIES(X)							\
	X(HEADER_MANY,	"header.too-many",	false,			\
	    "more header fields than are kept")				\
	X(HEADER_LONG,	"header.too-long",	false,			\
	    "a header field or all of them longer than is kept")	\
	X(HEADER_NUL,	"header.nul",		false,			\
	    "a NUL in a header field")					\
	X(BODY_CUT,	"body.truncated",	true,			\
	    "a body longer than `body max'")				\
	X(BODY_NUL,	"body.nul",		true,			\
	    "a NUL in the body")					\
	X(MIME_BROKEN,	"mime.broken",		true,			\
	    "a boundary that is missing or not closed, two fields of a " \
	    "kind, no part in a multipart")				\
	X(MIME_DEEP,	"mime.too-deep",	true,			\
	    "parts nested deeper than are read")			\
	X(MIME_PARTS,	"mime.too-many-parts",	true,			\
	    "more parts than are read")					\
	X(MIME_HEADERS,	"mime.too-many-headers", true,			\
	    "more header fields or parameters of parts than are read")	\
	X(TEXT_LARGE,	"mime.too-large",	true,			\
	    "more decoded text than is read")				\
	X(LINKS_MANY,	"html.too-many-links",	true,			\
	    "more links than are kept")					\
	X(HTML_LARGE,	"html.too-large",	true,			\
	    "more HTML tags than a page has")				\
	X(ARCHIVE_BOMB,	"archive.bomb",		true,			\
	    "an archive that unpacks to hundreds of times its size")	\
	X(ARCHIVE_BROKEN, "archive.broken",	true,			\
	    "an archive that can't be read, or hides members")		\
	X(ARCHIVE_DEEP,	"archive.too-deep",	true,			\
	    "archives nested deeper than are listed")			\
	X(ARCHIVE_MANY,	"archive.too-many",	true,			\
	    "more members, or more to unpack, than is looked at")

enum oddity {
#define X(id, name, content, help) ODDITY_##id,
	ODDITIES(X)
#undef X
	ODDITY_COUNT
};

#define ODD(id)	(1u << ODDITY_##id)	/* in a set */

struct txn;

/* false: there is no such name. */
bool		 oddity_find(struct str name, enum oddity *);
bool		 oddity_needs_content(enum oddity);
/* Is the message so?  Reads its content if need be; *full, and false, where
 * there was no memory for that. */
bool		 oddity_has(struct txn *, enum oddity, bool *full);
/* Is that a name only these may have? */
bool		 oddity_reserved(struct str name);
/* All names; *n of them. */
const char *const *oddity_names(size_t *n);

#endif
