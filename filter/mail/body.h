/*
 * body - what a message's content says, decoded once, on demand.
 *
 * body_add() keeps the raw body as the MTA sends it, up to a cap; past
 * it bytes are counted and `truncated' is set.  body_parse() runs GMime over
 * headers and body, with caps on depth, parts and decoded size, and leaves
 * text, attachments and URLs.  mail/mime.c is the only file that sees GMime.
 *
 * The raw body lives outside the arena in a buffer of its own limit, freed
 * with the txn.  One thread at a time.
 */
#ifndef MAIL_BODY_H
#define MAIL_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/header.h"

#define BODY_MAX_PARTS		1000
#define BODY_MAX_DEPTH		50
#define BODY_MAX_DECODED	(8 * 1024 * 1024)

struct attachment {
	struct attachment *next;
	struct str	 name;		/* decoded; "" if it has none */
	struct str	 type;		/* "application/pdf", lower case */
	struct str	 magic;		/* what it is: mail/filetype.h; or "" */
	uint64_t	 size;		/* decoded bytes */
};

/* A text of a list. */
struct note {
	struct note	*next;
	struct str	 text;
};

struct archive_member;		/* mail/archive.h */

struct text_part {
	struct text_part *next;
	struct str	 text;		/* UTF-8; HTML already made to text */
	bool		 html;
};

struct url {
	struct url	*next;
	struct str	 text;
};

struct content {
	struct str	 text;		/* all text parts, joined by LF */
	struct text_part *texts;
	struct attachment *attachments;
	struct archive_member *members;	/* of all archives */
	struct note	*encrypted;	/* attachments that are, by name */
	struct note	*macros;	/* words of mail/ole.h, each once */
	struct note	*mismatches;	/* attachments under a false name */
	struct url	*urls;
	unsigned int	 parts, depth;
	unsigned int	 odd;		/* ODD() of mail/oddity.h */
	bool		 truncated;	/* a cap was met */
	bool		 broken;	/* boundary missing or unclosed, two
					 * Content-Types and the like */
};

struct body {
	struct buf	 raw;
	uint64_t	 size;		/* all bytes seen, kept or not */
	bool		 truncated;
	struct content	*content;	/* NULL until parsed */
};

void	body_init(struct body *, size_t max_kept);
void	body_add(struct body *, const void *, size_t);
void	body_free(struct body *);
/* Parses once; NULL only when the arena is full. */
const struct content *body_content(struct body *, struct arena *,
	    const struct headers *);

#endif
