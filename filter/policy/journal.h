/*
 * journal - the one log line of a message, or of what was refused before.
 *
 * key=value, a stranger's text quoted, no more than JOURNAL_MAX bytes.
 * Reads what the checks have found; computes nothing.  Never fails.
 */
#ifndef POLICY_JOURNAL_H
#define POLICY_JOURNAL_H

#include "mail/session.h"
#include "policy/policy.h"

#define JOURNAL_MAX	7500	/* less than a line of the log */

struct outcome;

/* LOG_EV_REFUSED: a connection, HELO, sender or recipient. */
void	journal_refused(const struct session *, enum stage,
	    const struct decision *);
/* LOG_EV_MESSAGE */
void	journal_message(const struct session *, const struct outcome *);

#endif
