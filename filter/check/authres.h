/*
 * authres - Authentication-Results, RFC 8601: ours written, forged ones found.
 *
 * authres_forged() tells whether a field claims our authserv-id, comments,
 * quoting, folding and case considered; such a field that came from outside
 * is removed.  authres_make() writes the value of ours from what the checks
 * have computed, folded at 78 columns by LF.
 */
#ifndef CHECK_AUTHRES_H
#define CHECK_AUTHRES_H

#include "check/check.h"

/* value: as the MTA gave it. */
bool		 authres_forged(struct str value, struct str authserv_id);
/* Marks every forged field of the message in the verdict (EDIT_REMOVE). */
bool		 authres_strip(struct txn *, struct str authserv_id);
struct str	 authres_make(struct txn *, struct str authserv_id);

#endif
