/*
 * dkim - RFC 6376 and RFC 8463 signatures of a message, verified.
 *
 * The only file that sees libopendkim.  The order is the message's:
 * dkim_header() for each field (starts the key lookup of a signature),
 * dkim_eoh(), dkim_body() for each chunk, dkim_check() at the end.
 * At most DKIM_MAX_SIGNATURES are looked at.  Our own checks stand around
 * the library: rsa-sha1, short keys, l= that leaves content unsigned, a second
 * From, temporary key failures (RFC 8301).  An error is a result.
 */
#ifndef CHECK_DKIM_H
#define CHECK_DKIM_H

#include "check/check.h"

#define DKIM_MAX_SIGNATURES	8

struct dkim_signature {
	struct dkim_signature *next;
	enum auth_result result;
	struct str	 domain, selector, algorithm, identity;
	struct str	 b;		/* first characters of b=, for header.b */
	struct str	 problem;	/* why it did not pass */
	unsigned int	 key_bits;
};

struct dkim_result {
	enum auth_result result;	/* the best of all; none: not signed */
	struct str	 domain;	/* of the best signature */
	struct dkim_signature *signatures;	/* in the message's order */
	struct dkim_state *state;	/* while the message still comes */
};

bool		 dkim_global_init(void);	/* once, before any thread */
void		 dkim_global_free(void);
void		 dkim_header(struct txn *, const struct header *);
void		 dkim_eoh(struct txn *);
void		 dkim_body(struct txn *, const void *, size_t);
const struct dkim_result *dkim_check(struct txn *);	/* NULL: arena full */

#endif
