/*
 * envelope - addresses as SMTP carries them, in one form.
 *
 * An envelope argument comes with or without <>, perhaps with a source route
 * (RFC 5321 section 4.1.2), quoted by the client's taste.  envelope_parse()
 * strips, unquotes, folds the domain's case and turns IDNA into A-labels, so
 * one mailbox has one form; the local part keeps its case.  The base form
 * also drops what changes per message; limits and tables by sender use it:
 *	prvs=TAG=local, btv1==TAG==local, msprvs1=TAG=local	(BATV)
 *	SRS0=HASH=TT=domain=local, SRS1=HASH=host==HASH=TT=domain=local
 *	list-return-N-user=domain, bounce(s)-user=domain	(VERP)
 *	local+tag
 * Anything that merely looks like one of these is left alone.
 *
 * Everything points into the arena given.  Any thread.  An address that
 * is no RFC 5321 mailbox has valid false: it is the policy's business, never
 * a reason to lose mail.  Its parts are there where they can be told (the
 * last @ counts; a name that is no name is lower case); control characters,
 * more than 1,024 bytes or an unclosed quote leave it as it came, with
 * domain empty.
 */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

struct address {
	struct str	 raw;		/* as the MTA gave it, without <> */
	struct str	 text;		/* "local@domain", normal; "" if null */
	struct str	 local;		/* unquoted */
	struct str	 domain;	/* lower case A-labels; "" if none */
	struct str	 base;		/* text without tags, lower case */
	bool		 null;		/* <> */
	bool		 valid;
};

/* RFC 5321 section 4.1.2 Path, RFC 6531.  false: the arena is full. */
bool	envelope_parse(struct arena *, struct str arg, struct address *);
/* A domain name to lower case A-labels without the last dot, "[...]" kept;
 * STR_NONE where it is not a name. */
struct str envelope_domain(struct arena *, struct str);
/* "SIZE=1234" among ESMTP arguments; argv ends in NULL and starts behind the
 * path.  0: not declared. */
uint64_t envelope_size(char *const *argv);

#endif
