/*
 * relay_form - how a Received field may be written, and what it then tells.
 *
 * A form is text that must be there, with these in between:
 *	%XK	a run of characters, kept in the slot of letter X (see
 *		relay_slot; "_" keeps nothing), of kind K:
 *		+ * o l	no space: one or more, any number, with a dot
 *			inside, as few as can be (one or more)
 *		( p ) 4 no space nor parenthesis; no `)': any number, one
 *			or more, up to 40
 *		n z	no dot; zone of an IPv6 address
 *		, . ~	anything: as much as can be, as little, 10 to 80
 *	%i %j	an IP address, kept or not
 *	%9 %a	digits; a letter
 *	%?c	perhaps the character c
 *	%{..%}	perhaps what is between (these do not nest)
 *	%E %L	HELO or EHLO; a name or address of this host itself
 *	%Q	SMTP or QMQP, and no " id " behind it
 *	%| %! %e %$	at the edge of a word; no `.' or `-' follows; a space
 *		follows, or nothing; nothing follows
 *	%%	a percent sign
 *
 * Work is bounded by the line's steps.  Any thread.
 */
#ifndef MAIL_RELAY_FORM_H
#define MAIL_RELAY_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

/* h r i b d f n x s */
enum relay_slot {
	SLOT_HELO, SLOT_RDNS, SLOT_IP, SLOT_BY, SLOT_IDENT, SLOT_ENVFROM,
	SLOT_ID, SLOT_AUTH, SLOT_SUB, SLOT_COUNT
};

#define RELAY_MAX_STEPS	100000

struct relay_line {
	struct str	 s;
	struct str	 slot[SLOT_COUNT];
	unsigned int	 steps;
};

/* From the line's start.  true: the slots the form names are filled. */
bool		 relay_form_match(struct relay_line *, const char *form);

/* A value as rules may match it: what would end one becomes "!". */
struct str	 relay_value(struct arena *, struct str);

/* The table of forms. */
enum relay_family {
	FAMILY_ANY, FAMILY_SMTPSVC, FAMILY_MICROSOFT, FAMILY_XMAIL,
	FAMILY_ECELERITY, FAMILY_EXIM, FAMILY_POSTFIX, FAMILY_SCALIX,
	FAMILY_DOMINO
};

enum {
	FORM_ASKED	= 1 << 0,	/* the MTA looks up the name */
	FORM_UNKNOWN	= 1 << 1,	/* and writes "unknown" for none */
	FORM_SAME	= 1 << 2,	/* no HELO: it was the name */
	FORM_SUB	= 1 << 3,	/* helo= and ident= in the sub slot */
	FORM_NO_ID	= 1 << 4,
	FORM_IDENT	= 1 << 5,	/* ident@ before the name */
	FORM_NOT_QMAIL	= 1 << 6,
	FORM_GO_ON	= 1 << 7,	/* not enough yet */
	FORM_IF_IP	= 1 << 8,	/* enough with an address */
	FORM_SKIP	= 1 << 9,	/* no handover of interest */
	FORM_FETCHED	= 1 << 10,	/* by a mail fetcher */
	FORM_SCANNER	= 1 << 11,	/* envelope sender of the next hop */
	FORM_XMAIL	= 1 << 12,	/* id <> and from <> follow */
	FORM_HOTMAIL	= 1 << 13,
	FORM_WEBMAIL	= 1 << 14,	/* where a webmail program tells */
	FORM_QMAIL	= 1 << 15,	/* which of qmail's says the rest */
	FORM_WORDS	= 1 << 16	/* its last ones are looked for first */
};

struct relay_form {
	enum relay_family family;
	unsigned int	 flags;
	const char	*form;
};

extern const struct relay_form relay_forms[];	/* form NULL: the end */
extern const struct relay_form relay_qmail_forms[];
extern const struct relay_form relay_families[];

#endif
