/*
 * spf - RFC 7208 for MAIL FROM, or for HELO where the sender is null.
 *
 * check/spf.c is the only file that sees libspf2, and libspf2 never sees a
 * record that spf_record.c has not parsed by the RFC's grammar, bounded and
 * simplified for this client.  spf_start() only starts lookups; spf_check()
 * waits.  Never fails: an error is a result (temperror, permerror).
 */
#ifndef CHECK_SPF_H
#define CHECK_SPF_H

#include "check/check.h"

struct spf_result {
	enum auth_result result;
	struct str	 domain;	/* the domain that was checked */
	bool		 helo;		/* identity: HELO instead of MAIL FROM */
	struct str	 explanation;	/* of fail; "" if the domain gives none */
	struct str	 problem;	/* why temperror or permerror */
};

void		 spf_start(struct txn *);
const struct spf_result *spf_check(struct txn *);	/* NULL: arena full */

#endif
