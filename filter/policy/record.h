/*
 * record - a decision about mail as the history keeps it, and back.
 *
 * Lines of fields parted by TAB; a field's TAB, LF and backslash are \t, \n,
 * \\.  The first field says what a line is:
 *	I key value			a fact, in the order to be printed
 *	T recipient action rule		a recipient
 *	H rule score			a score rule that hit
 *	R where stage answer shadow source detail	a rule asked
 *	F name value unknown us		a fact the last rule read
 *	N count				rules and facts not kept
 * Unknown lines are to be passed over.  No more than HISTORY_RECORD_MAX.
 */
#ifndef POLICY_RECORD_H
#define POLICY_RECORD_H

#include "mail/session.h"
#include "policy/policy.h"

struct outcome;

#define RECORD_FIELDS	7

struct record_line {
	char		 kind;
	struct str	 fields[RECORD_FIELDS];	/* "" where there is none */
};

/* These put a record into the history, if there is one: a message that was
 * judged; one that was given up after something of it was refused; a
 * connection that was refused at connect or HELO. */
void	record_message(const struct session *, const struct outcome *);
void	record_given_up(const struct session *);
void	record_connection(const struct session *, const struct decision *);
/* The next line; its fields are decoded into *room.  false: the end. */
bool	record_next(struct str *text, struct record_line *, struct buf *room);

#endif
