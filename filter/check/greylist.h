/*
 * greylist - a first delivery from an unknown triple is asked to come back.
 *
 * The triple is (client /24 or /64, sender base, recipient base).  It must
 * wait `delay', come back within GREYLIST_RETRY, and is then known for
 * GREYLIST_KNOWN from its last delivery, give or take a day.  A client
 * network that passed GREYLIST_AUTO times is known as a whole.
 */
#ifndef CHECK_GREYLIST_H
#define CHECK_GREYLIST_H

#include "check/check.h"

#define GREYLIST_DELAY_MS	(5 * 60 * 1000LL)
#define GREYLIST_RETRY_MS	(24 * 3600 * 1000LL)
#define GREYLIST_KNOWN_MS	(36 * 24 * 3600 * 1000LL)
#define GREYLIST_AUTO		5

enum greylist_answer { GREYLIST_PASS, GREYLIST_WAIT, GREYLIST_UNKNOWN };

/* At rcpt, about txn->rcpt.  *retry_ms: how long it still has to wait. */
enum greylist_answer greylist_check(struct txn *, int64_t delay_ms,
		    int64_t *retry_ms);

#endif
