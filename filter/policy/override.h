/*
 * override - what the administrator says in place of a domain's DMARC policy.
 *
 * `dmarc override' is a table of domains; the value of each is a policy, and
 * perhaps the last day (UTC) that it holds.  An entry whose time is over is as
 * good as not there: a wider one (".example.org") counts then.
 *
 * override_judge() is the table's while it is read; override_find() is
 * what DMARC asks (check/check.h), from any thread.
 */
#ifndef POLICY_OVERRIDE_H
#define POLICY_OVERRIDE_H

#include "check/dmarc.h"
#include "mail/session.h"
#include "policy/table.h"

struct override {
	enum dmarc_policy policy;
	bool		 pass;		/* what fails passes all the same */
	int64_t		 until_ms;	/* the first moment after; 0: none */
};

/* "none until 2026-12-31"; false with *why. */
bool		 override_parse(struct str value, struct override *,
		    const char **why);
table_judge_fn	 override_judge;
/* What session->policy says of a From domain (A-labels); false: nothing. */
bool		 override_find(struct txn *, struct str domain,
		    struct dmarc_override *);

#endif
