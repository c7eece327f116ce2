/*
 * why - what was decided about mail of the last days, and why.
 *
 * Answers `why QUEUE-ID' and `why --client A --from A --to A' from the
 * history, about messages and what was refused before it was one: who sent
 * it, each recipient, the verdict, every rule that was asked with the facts
 * it read.  Any thread.
 */
#ifndef DAEMON_WHY_H
#define DAEMON_WHY_H

#include "daemon/admin.h"

#define WHY_MAX	20	/* messages that are told */

bool	why_answer(struct admin *);

#endif
