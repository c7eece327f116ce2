/*
 * spf_record - an SPF record by the letter of RFC 7208's grammar.
 *
 * spf_record_parse() accepts what sections 4.6.1, 5, 6, 7.1 and 12 accept and
 * nothing else; a syntax error anywhere makes the whole record a permanent
 * error, so the evaluator never meets half a record.  spf_macro_expand()
 * is section 7.  Both are linear in their input and write only to the arena
 * or the buffer given; neither asks DNS (%{p} asks through a callback).
 * Any thread.
 */
#ifndef CHECK_SPF_RECORD_H
#define CHECK_SPF_RECORD_H

#include "base/addr.h"
#include "base/arena.h"
#include "check/check.h"

#define SPF_NAME_MAX	253	/* RFC 1035, without the last dot */
#define SPF_TEXT_MAX	900	/* of an explanation: fits an SMTP reply */

enum spf_mechanism { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4,
    SPF_IP6, SPF_EXISTS };

struct spf_term {
	struct spf_term	*next;
	enum spf_mechanism mechanism;
	enum auth_result on_match;	/* from the qualifier */
	struct str	 text;		/* the whole term */
	struct str	 domain;	/* domain-spec as it is; "" if absent */
	unsigned int	 bits4, bits6;	/* a and mx: CIDR lengths */
	struct addr_net	 net;		/* ip4 and ip6 */
};

struct spf_record {
	struct spf_term	*terms;		/* in the record's order */
	struct str	 redirect;	/* p is NULL: there is none */
	struct str	 exp;
	const char	*problem;	/* what is wrong, static */
	struct str	 near;		/* the term where it is */
};

/* Is this TXT record for us: "v=spf1", then a space or the end? */
bool		 spf_record_is(struct str txt);
/* false: *out says what is wrong; the arena may also be full. */
bool		 spf_record_parse(struct arena *, struct str txt,
		    struct spf_record *out);

/* What the macro letters stand for. */
struct spf_macros {
	struct str	 local, sender_domain;	/* s, l, o */
	struct str	 domain;		/* d: the current domain */
	struct addr	 client;		/* i, c, v */
	struct str	 helo;			/* h */
	struct str	 receiver;		/* r */
	struct str	 (*validated)(void *);	/* p; NULL: "unknown" */
	void		*arg;
};

/* A domain-spec or macro-string by its grammar; explain: also spaces and the
 * letters c, r and t. */
bool		 spf_macro_valid(struct str, bool explain);
/* Expands what spf_macro_valid() accepted into out (cleared first), a name
 * over 253 bytes cut from the left at a dot; false: nothing is left of it. */
bool		 spf_macro_name(const struct spf_macros *, struct str spec,
		    struct buf *out);
/* An explanation, cut at SPF_TEXT_MAX. */
void		 spf_macro_text(const struct spf_macros *, struct str text,
		    struct buf *out);

#endif
