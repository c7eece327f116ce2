/*
 * dkim_sign - the message as it will leave, signed (RFC 6376 section 5).
 *
 * dkim_sign_body() takes the body as it comes; nothing of it is kept.  A rule
 * says with dkim_sign_want() by which keys the message is to be signed; when
 * all edits are settled, dkim_sign_make() makes the field for each from the
 * header that will be delivered.
 * What is kept lives in the txn's arena.  One thread at a time for each txn.
 */
#ifndef CHECK_DKIM_SIGN_H
#define CHECK_DKIM_SIGN_H

#include "check/check.h"
#include "check/dkim_signer.h"

#define DKIM_SIGN_MAX	8	/* signatures that a message gets */

struct dkim_wanted {
	const struct dkim_signer *signers[DKIM_SIGN_MAX];
	size_t		 n;
	bool		 too_many;
};

/* simple: some key of the policy wants that of bodies. */
void		 dkim_sign_body(struct txn *, bool simple, const void *,
		    size_t);
/* All of a list, or one alone.  Each once; false: the arena is full. */
bool		 dkim_sign_want(struct txn *, const struct dkim_signer *,
		    bool list);
/* NULL: none is wanted. */
const struct dkim_wanted *dkim_sign_wanted(const struct txn *);
/*
 * The value of a DKIM-Signature field, with its leading space and LF folds.
 * From, To, Subject and Date (where it is there: MTAs add it) are signed once
 * more than they occur.  NULL, or why it can't be signed (static).
 */
const char	*dkim_sign_make(struct txn *, const struct headers *delivered,
		    const struct dkim_signer *, struct str *value);

#endif
