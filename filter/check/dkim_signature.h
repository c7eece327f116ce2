/*
 * dkim_signature - a DKIM-Signature field read by RFC 6376 section 3.5, and
 * its like.
 *
 * What is verified has passed here first: tags well-formed and there once
 * each, the required ones present, lists and lengths bounded.  Texts
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
	bool		 have_l, have_x;
	uint64_t	 l, t, x;
	bool		 sha1;		/* of a=, else SHA-256 */
	bool		 relaxed_header, relaxed_body;
	unsigned int	 from_signed;	/* how often h= names From */
	/* What b= has, in the field's value, with the white space around it:
	 * left out when the field itself is hashed (section 3.7). */
	size_t		 b_from, b_to;
};

/*
 * What a field of tags may have, in the order of what is missed first; the
 * last one has no name.  Tags that are not named there are passed over.
 */
struct dkim_tag_def {
	const char	*name;
	/* what is wrong with it (static), or NULL */
	const char	*(*take)(struct dkim_tags *, struct str);
	const char	*missing;	/* NULL: the tag is optional */
};

/* Reads to the end in any case, for the report.  false: *why is set (static),
 * or the arena is full. */
bool		 dkim_tags_read(struct arena *, const struct dkim_tag_def *,
		    struct str value, struct dkim_tags *, const char **why);
/* Those that ARC's fields have as well (RFC 8617 section 4.1). */
const char	*dkim_take_b(struct dkim_tags *, struct str);
const char	*dkim_take_bh(struct dkim_tags *, struct str);
const char	*dkim_take_canon(struct dkim_tags *, struct str);
const char	*dkim_take_domain(struct dkim_tags *, struct str);
const char	*dkim_take_length(struct dkim_tags *, struct str);
const char	*dkim_take_query(struct dkim_tags *, struct str);
const char	*dkim_take_selector(struct dkim_tags *, struct str);
const char	*dkim_take_time(struct dkim_tags *, struct str);
const char	*dkim_take_expiry(struct dkim_tags *, struct str);

/* A DKIM-Signature's. */
bool		 dkim_tags_parse(struct arena *, struct str value,
		    struct dkim_tags *, const char **why);
/* i= is in d= itself, as t=s of a key demands. */
bool		 dkim_identity_strict(const struct dkim_tags *);
/* A DNS name of letters, digits, "-" and "_"; dotted: of two labels or more. */
bool		 dkim_name_valid(struct str, bool dotted);
/* Base64 that is not empty, without white space. */
bool		 dkim_base64_valid(struct str);

#endif
