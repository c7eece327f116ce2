/*
 * spf - RFC 7208 for MAIL FROM, or for HELO where the sender is null.
 *
 * check_host() is our own, on the shared resolver: a record is parsed whole by
 * spf_record.c before anything of it is acted on, and every count that
 * a stranger's record could drive is bounded (section 4.6.4).  spf_start() only
 * starts the first lookup; spf_check() waits, at most until check_deadline(),
 * and remembers its answer.  Never fails: an error is a result (temperror,
 * permerror).  One thread at a time for each txn.
 */
#ifndef CHECK_SPF_H
#define CHECK_SPF_H

#include "check/check.h"

struct spf_result {
	enum auth_result result;
	struct str	 domain;	/* the domain that was checked */
	bool		 helo;		/* identity: HELO, not MAIL FROM */
	struct str	 explanation;	/* of fail; "" if there is none */
	struct str	 problem;	/* why temperror or permerror */
};

void		 spf_start(struct txn *);
const struct spf_result *spf_check(struct txn *);	/* NULL: arena full */

#endif
