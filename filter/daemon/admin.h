/*
 * admin - what an admin asks about limits and blocks, and changes.
 *
 *	who		the keys nearest to their limits, and the blocked
 *	show KEY	every window and block of the keys that KEY means
 *	release KEY	empties those windows and lifts those blocks
 *	block KEY TIME	one key, whatever its counters say
 *
 * The counters come from the store, their maxima from the policy in force: a
 * counter of a limit that is no longer there has none.  Answers are text,
 * or one JSON object a line; postern(8) lists the keys.  Each change is
 * logged (LOG_EV_ADMIN) with the one who asked for it.
 *
 * Several threads may ask at once, each with a struct admin of its own; a
 * store's or a policy's lock is never held here.
 * What a stranger sized (a million keys) is looked through, and no more of
 * it kept than ADMIN_ROWS_MAX.
 */
#ifndef DAEMON_ADMIN_H
#define DAEMON_ADMIN_H

#include "check/check.h"
#include "daemon/control.h"
#include "policy/policy.h"

#define ADMIN_WORDS_MAX	2
#define ADMIN_ROWS	20	/* of `who' */
#define ADMIN_ROWS_MAX	100000	/* of `who --all', and of `show' */

/* A request, its options read, and what is needed to answer it. */
struct admin {
	struct control_call *call;
	struct services	*services;
	struct policy	*policy;
	bool		 json, all;
	struct str	 client, from, to;
	struct str	 words[ADMIN_WORDS_MAX];
	size_t		 nwords;
};

/* Reads the options of a request; false with a text in call->out. */
bool	admin_read(struct admin *, struct control_call *);
/* Answers; false: call->out is an error text.  The words are there. */
bool	admin_who(struct admin *);
bool	admin_show(struct admin *);
bool	admin_release(struct admin *);
bool	admin_block(struct admin *);
/* The log's line of a change; number: seconds, or how many counters. */
void	admin_audit(const struct control_call *, const char *what,
	    struct str key, long long number);

#endif
