/*
 * authres - Authentication-Results, RFC 8601: ours written, forged ones found.
 *
 * authres_forged() tells whether a field claims our authserv-id, comments,
 * quoting, folding, case, IDNA and a last dot considered; such a field that
 * came from outside is removed (section 5).  authres_make() writes the value
 * of ours from what the checks have computed, folded at 78 columns by LF;
 * the space behind the field's colon is not part of it.
 */
#ifndef CHECK_AUTHRES_H
#define CHECK_AUTHRES_H

#include "check/check.h"

/* value: as the MTA gave it. */
bool		 authres_forged(struct str value, struct str authserv_id);
/* Marks every forged field of the message in the verdict (EDIT_REMOVE).
 * false: the arena is full, or there were more fields than are kept, so that
 * a forged one may be among those not seen. */
bool		 authres_strip(struct txn *, struct str authserv_id);
/* The offset behind white space and comments, which nest; an unclosed comment
 * swallows the rest. */
size_t		 authres_skip_cfws(struct str, size_t from);
/* STR_NONE: the arena is full. */
struct str	 authres_make(struct txn *, struct str authserv_id);

#endif
