/*
 * apply - an outcome carried out at the end of a message.
 *
 * Edits in an order that keeps the MTA's numbering true, deleted recipients,
 * the hold queue, the reply.  Called by the connection's thread in xxfi_eom
 * (apply_outcome) or before a refusal (apply_reply).  What the MTA did not
 * offer is left out and logged; an edit it refuses ends in a tempfail.
 */
#ifndef MILTER_APPLY_H
#define MILTER_APPLY_H

#include <libmilter/mfapi.h>

#include "mail/session.h"
#include "policy/road.h"

struct offer {			/* what the MTA and we agreed on */
	unsigned long	 actions;	/* SMFIF_ */
	unsigned long	 protocol;	/* SMFIP_ */
};

/* Sets the text of a refusal; the answer to give. */
sfsistat apply_reply(SMFICTX *, enum action, const struct reply *);
sfsistat apply_outcome(SMFICTX *, const struct offer *, struct session *,
	    const struct outcome *);

#endif
