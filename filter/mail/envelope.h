/*
 * envelope - addresses as SMTP carries them, in one form.
 *
 * An envelope argument comes with or without <>, perhaps with a source route
 * (RFC 5321 section 4.1.2), quoted by the client's taste.  envelope_parse()
 * strips, unquotes, folds the domain's case and turns IDNA into A-labels, so
 * one mailbox has one form; the local part keeps its case.  The base form
 * also drops what changes per message: BATV (prvs=), SRS0/SRS1, VERP and the
 * plus-tag; limits and tables by sender use it.
 *
 * Everything points into the arena given.  Any thread.  An address that
 * can't be understood is kept as it came, with domain empty and valid false:
 * it is the policy's business, never a reason to lose mail.
 */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

struct address {
	struct str	 raw;		/* as the MTA gave it, without <> */
	struct str	 text;		/* normal form "local@domain"; "" if null */
	struct str	 local;		/* unquoted */
	struct str	 domain;	/* lower case A-labels; "" if none */
	struct str	 base;		/* normal form without tags, lower case */
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
