/*
 * field - header fields by the names and forms that rules use.
 *
 * A name is that of a field, or one of SpamAssassin's own: ALL, ALL-TRUSTED
 * and its like, ToCc, MESSAGEID, EnvelopeFrom, X-Spam-Relays-External and
 * its like.  Its forms: decoded, :raw, :addr, :name, :first, :last and what
 * they combine to.  Several fields of a name are joined by LF.
 *
 * Values live in the arena given.  Any thread, one message each.
 */
#ifndef MAIL_FIELD_H
#define MAIL_FIELD_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/session.h"

enum field_flag {
	FIELD_RAW	= 1 << 0,
	FIELD_ADDR	= 1 << 1,
	FIELD_NAME	= 1 << 2,
	FIELD_FIRST	= 1 << 3,
	FIELD_LAST	= 1 << 4
	/* owned with the rest of this header: further forms go here */
};

/* STR_NONE (p NULL): the message has no such field; or the arena is full. */
struct str	 field_get(struct arena *, struct txn *, struct str name,
		    unsigned int flags);
/* "From:addr" into "From" and FIELD_ADDR; false: no such form. */
bool		 field_parse(struct str spec, struct str *name,
		    unsigned int *flags);

#endif
