/*
 * dkim_signature - a DKIM-Signature field read by RFC 6376 section 3.5, and
 * the length of a canonical body.
 *
 * What libopendkim is given has passed here first: tags well-formed and there
 * once each, the required ones present, lists and lengths bounded.  Texts
 * live in the arena or in the field given.  Nothing here waits.  Any thread.
 */
#ifndef CHECK_DKIM_SIGNATURE_H
#define CHECK_DKIM_SIGNATURE_H

#include "base/arena.h"
#include "base/str.h"

#define DKIM_FIELD_MAX	16384	/* bytes of a signature field */
#define DKIM_NAMES_MAX	256	/* names in h= */

struct dkim_tags {
	struct str	 a, b, bh, c, d, h, i, s;	/* "" if not valid */
	bool		 have_l;
	uint64_t	 l;
	bool		 relaxed_body;
	unsigned int	 from_signed;	/* how often h= names From */
};

/* false: *why is set (static), or the arena is full. */
bool		 dkim_tags_parse(struct arena *, struct str value,
		    struct dkim_tags *, const char **why);
/* k= of a key record fits a= of a signature. */
bool		 dkim_key_fits(struct str record, struct str algorithm);

/* The canonical lengths of a body that comes in chunks. */
struct dkim_length {
	uint64_t	 simple, relaxed;
	uint64_t	 simple_ends;	/* line ends not yet counted */
	uint64_t	 relaxed_ends;
	bool		 cr, space;
};

void		 dkim_length_add(struct dkim_length *, const void *, size_t);
uint64_t	 dkim_length_get(const struct dkim_length *, bool relaxed);

#endif
