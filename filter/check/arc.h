/*
 * arc - the Authenticated Received Chain of a message, RFC 8617, validated.
 *
 * arc_feed_eoh() reads the sets when the header is complete, and starts the
 * key lookups of a chain whose structure is right; arc_feed_body() hashes
 * each chunk; arc_check() waits for keys until check_deadline() and judges:
 * none (no field of ARC's), pass, fail, or temperror (a key could not be
 * asked for, and nothing else was wrong).
 *
 * A chain passes when its newest message signature and every seal verify
 * (section 5.2).  That alone says who handled the message, not that any of
 * them tells the truth: each sealer could have changed the message, and all
 * before it is only its word.
 *
 * Beyond the letter: a newest signature that does not cover every From field,
 * or by l= not all of the body, does not pass.
 *
 * What a message holds is bounded: ARC_MAX_SETS, the caps of mail/header.h,
 * two running hashes.  One thread at a time for each txn.
 */
#ifndef CHECK_ARC_H
#define CHECK_ARC_H

#include "check/arc_set.h"
#include "check/check.h"

struct arc_state;

struct arc_result {
	enum auth_result result;
	struct str	 problem;	/* why it did not pass */
	unsigned int	 count;		/* sets; 0: none, or it failed */
	/* Section 5.2 step 5: the oldest set whose signature still verifies,
	 * 0 where all do; only when the chain passed. */
	unsigned int	 oldest_pass;
	bool		 oldest_known;	/* no key was missing, and it was
					 * not too much to hash */
	/* d= of the seals, newest first; with temperror what they claim. */
	struct str	*domains;
	/* What the first sealer says it found; UNKNOWN: nothing. */
	enum auth_result spf, dkim, dmarc;
	struct arc_state *state;
};

void		 arc_feed_eoh(struct txn *);
void		 arc_feed_body(struct txn *, const void *, size_t);
const struct arc_result *arc_check(struct txn *);	/* NULL: arena full */

#endif
