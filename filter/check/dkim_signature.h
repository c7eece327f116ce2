/*
 * dkim_signature - a DKIM-Signature field read by RFC 6376 section 3.5.
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
	size_t		 b_from, b_to;	/* what b= has, in the field's value */
};

/* false: *why is set (static), or the arena is full. */
bool		 dkim_tags_parse(struct arena *, struct str value,
		    struct dkim_tags *, const char **why);
/* i= is in d= itself, as t=s of a key demands. */
bool		 dkim_identity_strict(const struct dkim_tags *);
/* A DNS name of letters, digits, "-" and "_"; dotted: of two labels or more. */
bool		 dkim_name_valid(struct str, bool dotted);
/* Base64 that is not empty, without white space. */
bool		 dkim_base64_valid(struct str);
/* Where the value of b= stands in its field, white space around it included:
 * what is left out when the field itself is hashed (section 3.7). */
void		 dkim_value_place(struct str field, struct str value,
		    size_t *from, size_t *to);

#endif
