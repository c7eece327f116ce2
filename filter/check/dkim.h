/*
 * dkim - RFC 6376 and RFC 8463 signatures of a message, verified.
 *
 * The only file that sees libopendkim.  The order is the message's:
 * dkim_feed_header() for each field (starts the key lookup of a signature),
 * dkim_feed_eoh(), dkim_feed_body() for each chunk, dkim_check() at the end.
 * (libopendkim itself exports dkim_header(), dkim_eoh() and dkim_body().)
 * At most DKIM_MAX_SIGNATURES are looked at, and the library sees only what
 * dkim_signature.c has understood.  Our own checks stand around it: rsa-sha1,
 * short keys, l= that leaves content unsigned, a second From, temporary
 * key failures (RFC 8301).  An error is a result.
 *
 * libopendkim allocates with malloc(): what it holds of a message is bounded
 * by the caps of mail/header.h and freed by the txn's arena at the latest.
 * One thread at a time for each txn; the library handle is shared.
 */
#ifndef CHECK_DKIM_H
#define CHECK_DKIM_H

#include "check/check.h"

#define DKIM_MAX_SIGNATURES	8

struct dkim_signature {
	struct dkim_signature *next;
	enum auth_result result;
	struct str	 domain, selector, algorithm, identity;
	struct str	 b;		/* start of b=, for header.b */
	struct str	 problem;	/* why it did not pass */
	unsigned int	 key_bits;	/* 0: not known */
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

/*
 * The value of a DKIM-Signature field for the message as it was kept, with
 * its leading space and LF folds: relaxed/relaxed, From signed once more than
 * it occurs, rsa-sha256 or ed25519-sha256 by the kind of key in the PEM
 * file.  false, with *why: the key can't be used, or the body or the header
 * was not kept whole.
 */
bool		 dkim_sign_message(struct txn *, struct str domain,
		    struct str selector, struct str keyfile, struct str *value,
		    const char **why);

#endif
