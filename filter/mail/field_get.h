/*
 * field_get - between field.c and field_pseudo.c alone: what a message's
 * open fields are, and the names that are not those of fields.
 */
#ifndef MAIL_FIELD_GET_H
#define MAIL_FIELD_GET_H

#include "mail/field.h"

#define FIELD_MAX_VALUE 8192	/* more of a field is not seen */
#define FIELD_MAX_NAME	65536	/* nor of all fields of one name */
#define FIELD_MAX_ALL	65536	/* nor of all fields in ALL */

#define FIELD_SLOTS	64

/* What was asked for once is not made again. */
struct field_answer {
	struct field_answer *next;	/* of the same slot */
	struct str	 name;
	unsigned int	 flags;
	struct field_values values;
	struct str	 joined;	/* all of these */
	bool		 is_joined;
};

struct fields {
	struct arena	*arena;
	struct txn	*txn;
	const struct relay_trust *trust;
	const struct tld_set *tlds;
	const struct relays *relays;
	struct field_answer *answers[FIELD_SLOTS];
	struct str	*decoded;	/* by `at' of a header; p NULL: not
					 * yet */
	size_t		 ndecoded;
	struct field_values lines;	/* of ALL, decoded */
	bool		 have_lines;
	bool		 have_envelope;
	struct str	 envelope;	/* p NULL: not known */
};

/* A copy of s is not made; false: the arena is full. */
bool		 field_push(struct fields *, struct field_values *, struct str);
struct str	 field_raw(struct fields *, const struct header *);
/* field_decode() without trimming. */
struct str	 field_decode_phrase(struct arena *, struct str name,
		    struct str phrase);
/* Raw, but each fold is one space. */
struct str	 field_unfolded(struct fields *, const struct header *);
struct str	 field_decoded(struct fields *, const struct header *);
/* All of that name, as one of these has them. */
void		 field_add_named(struct fields *, struct field_values *,
		    struct str name,
		    struct str (*form)(struct fields *,
			const struct header *));
/* false: it is not the name of a pseudo-header. */
bool		 field_pseudo(struct fields *, struct field_values *,
		    struct str name, unsigned int flags);

#endif
