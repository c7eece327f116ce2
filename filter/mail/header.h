/*
 * header - the header fields of a message, raw and decoded.
 *
 * Fields are kept in order as the MTA gave them: name, value with its
 * leading space and folds (LF alone).  Decoding (RFC 2047, RFC 5322 comments
 * and folds) happens on demand into the txn's arena.  There is a cap on the
 * number of fields and on their bytes; past it fields are counted, not kept,
 * and `truncated' says so.
 *
 * A struct headers belongs to its txn: one thread at a time.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define HEADER_BUCKETS		64
#define HEADER_MAX_COUNT	2000
#define HEADER_MAX_BYTES	(2 * 1024 * 1024)

struct header {
	struct header	*next;
	struct header	*older;		/* earlier one of the same bucket */
	uint64_t	 hash;		/* of the name */
	struct str	 name;
	struct str	 value;		/* as given: leading space, LF folds */
	unsigned int	 nth;		/* 1-based among fields of that name */
	unsigned int	 at;		/* 0-based among all */
};

struct headers {
	struct header	*first, *last;
	struct header	*by_name[HEADER_BUCKETS];	/* the last ones */
	uint64_t	 lengths;	/* of names, modulo 64: a bit each */
	size_t		 count;		/* all, kept or not */
	size_t		 bytes;		/* all, as on the wire with CR LF */
	bool		 truncated;
};

/* White space behind the name is dropped, as MTAs do.  false: the arena is
 * full. */
bool	header_add(struct arena *, struct headers *, struct str name,
	    struct str value);
/* The nth (1-based) field of that name from the top, NULL if there is none. */
const struct header *header_get(const struct headers *, struct str name,
	    unsigned int nth);
/* Is there one?  hash is str_ihash(name). */
bool	header_has(const struct headers *, uint64_t hash, struct str name);
const struct header *header_last(const struct headers *, struct str name);
unsigned int header_count(const struct headers *, struct str name);
/* Unfolded and trimmed, bytes otherwise as they came. */
struct str header_unfold(struct arena *, struct str value);
/* Unfolded, encoded words decoded (RFC 2047) to UTF-8; words that can't be
 * decoded stay as they are.  Raw 8-bit text is UTF-8 where it is valid, else
 * windows-1252 (mail/charset.h).  Linear. */
struct str header_decode(struct arena *, struct str value);

/* The mailboxes of an address field (RFC 5322 section 3.4), groups opened. */
struct mailbox {
	struct mailbox	*next;
	struct str	 name;		/* display name, decoded */
	struct str	 addr;		/* local@domain, domain lower case */
	struct str	 domain;
};
/* At most `most' mailboxes; *more says there were more. */
struct mailbox *header_mailboxes(struct arena *, struct str value, size_t most,
	    bool *more);

#endif
