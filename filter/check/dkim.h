/*
 * dkim - RFC 6376 and RFC 8463 signatures of a message, verified.
 *
 * The order is the message's: dkim_feed_header() for each field (starts the
 * key lookup of a signature), dkim_feed_eoh(), dkim_feed_body() for each
 * chunk, dkim_check() at the end.  Fields must stay where they are until then.
 * The topmost DKIM_MAX_SIGNATURES are looked at, others are as if not there.
 *
 * The result of a signature (RFC 8601 section 2.7.1):
 *   neutral    the field can't be used: v= not 1, a tag missing, malformed or
 *              there twice, unknown a=, c= or q=, h= without From, i= not in
 *              d= or below it, x= not after t=; or the header was not kept
 *              whole; or the key is for tests (t=y) and the signature
 *              would not pass (RFC 6376 section 3.6.1)
 *   temperror  the key could not be asked for in time
 *   permerror  no key, or one that is revoked, malformed, of another version
 *              or type, not for this hash (h=) or not for mail (s=), or
 *              whose t=s forbids an i= below d=; g= and other tags are
 *              passed over; of several records the first that fits is taken
 *   fail       header or body do not verify, x= is past, t= is more than an
 *              hour ahead, l= is more than there is
 *   policy     it verifies, but with rsa-sha1 or an RSA key under 1,024 bits
 *              (RFC 8301), with an l= that leaves content unsigned, or with
 *              a From field that is not signed
 *   pass       none of these
 * The result of the message is the best of its signatures, in the order pass,
 * temperror, policy, fail, permerror, neutral.  DMARC takes those that
 * passed, whatever the others say.  A pass with a key for tests is a pass.
 *
 * What is kept lives in the txn's arena.  One thread at a time for each txn;
 * parsed keys are shared by all.
 */
#ifndef CHECK_DKIM_H
#define CHECK_DKIM_H

#include "check/check.h"

#define DKIM_MAX_SIGNATURES	8

struct dkim_signature {
	struct dkim_signature *next;
	enum auth_result result;
	struct str	 domain, selector, algorithm, identity;
	struct str	 b;		/* b= without white space */
	struct str	 problem;	/* why it did not pass */
	unsigned int	 key_bits;	/* of RSA; 0: not known */
	bool		 testing;	/* t=y of the key */
};

struct dkim_result {
	enum auth_result result;	/* the best of all; none: not signed */
	struct str	 domain;	/* of the best signature */
	struct dkim_signature *signatures;	/* in the message's order */
	struct dkim_state *state;	/* while the message still comes */
};

bool		 dkim_global_init(void);	/* once, before any thread */
void		 dkim_global_free(void);
void		 dkim_feed_header(struct txn *, const struct header *);
void		 dkim_feed_eoh(struct txn *);
void		 dkim_feed_body(struct txn *, const void *, size_t);
const struct dkim_result *dkim_check(struct txn *);	/* NULL: arena full */

#endif
