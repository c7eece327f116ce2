/*
 * spf - RFC 7208 for MAIL FROM, or for HELO where the sender is null; and for
 * HELO by itself where somebody asks (section 2.3).
 *
 * check_host() is our own (spf_eval.c), on the shared resolver.  spf_start()
 * only starts the first lookup; spf_check() waits, at most until
 * check_deadline(), and remembers its answer.  Never fails: an error is a
 * result (temperror, permerror).  One thread at a time for each txn.
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
	struct str	 mechanism;	/* that decided; "": none did */
};

void		 spf_start(struct txn *);
const struct spf_result *spf_check(struct txn *);	/* NULL: arena full */
/* The HELO identity; the same answer as spf_check() for the null sender. */
void		 spf_start_helo(struct txn *);
const struct spf_result *spf_check_helo(struct txn *);
/* The value of a Received-SPF field (section 9.1), folded; p is NULL where
 * the arena is full. */
struct str	 spf_received(const struct txn *, const struct spf_result *);

#endif
