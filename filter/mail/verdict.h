/*
 * verdict - what has been decided: collected first, applied once.
 *
 * Rules add to it; milter/apply.c (or `postern scan') carries it out at
 * the end.  Edits that contradict each other are settled here, so that what
 * is applied never conflicts: a field once removed stays removed, of two
 * changes of a field the later holds, additions all stay.  Strings live in
 * the arena of the txn (or of the session).  One thread at a time.
 */
#ifndef MAIL_VERDICT_H
#define MAIL_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

enum action {			/* how a stage, a recipient or a message ends */
	ACTION_NONE,		/* nothing decided: go on */
	ACTION_ACCEPT,
	ACTION_REJECT,
	ACTION_TEMPFAIL,
	ACTION_DISCARD,
	ACTION_QUARANTINE
};

struct reply {
	int		 code;		/* 550, 451; 0: the usual one */
	char		 enhanced[12];	/* "5.7.1"; "": the usual one */
	struct str	 text;		/* lines parted by LF, % not doubled */
};

enum edit_op { EDIT_ADD, EDIT_INSERT, EDIT_CHANGE, EDIT_REMOVE };

struct edit {
	struct edit	*next;
	enum edit_op	 op;
	struct str	 name;
	struct str	 value;		/* not for EDIT_REMOVE */
	unsigned int	 nth;		/* of CHANGE and REMOVE, from 1 */
};

struct tag {
	struct tag	*next;
	struct str	 name;
};

struct verdict {
	enum action	 action;	/* of the message (or the connection) */
	struct reply	 reply;
	struct str	 rule;		/* "file:line" that decided */
	struct str	 quarantine;	/* reason; "" if not held */
	struct edit	*edits, **edits_tail;
	struct tag	*tags;
	double		 score;		/* what `score N' added */
};

const char	*action_word(enum action);
void		 verdict_init(struct verdict *);
/* Copies what a connection collected: tags, score, edits, and a hold or a
 * discard, which have no answer before there is a message. */
bool		 verdict_inherit(struct arena *, struct verdict *,
		    const struct verdict *from);
bool		 verdict_tag(struct arena *, struct verdict *, struct str name);
bool		 verdict_has_tag(const struct verdict *, struct str name);
/* name and value are copied, CR and NUL dropped, LF made a proper fold.  A
 * new field whose name has no allowed character is passed over.  false: the
 * arena is full. */
bool		 verdict_edit(struct arena *, struct verdict *, enum edit_op,
		    struct str name, struct str value, unsigned int nth);
/* Is this field to be removed, by what is collected so far? */
bool		 verdict_removes(const struct verdict *, struct str name,
		    unsigned int nth);
/* Fills code and enhanced status from the text's own ("550 5.7.1 ...", one
 * of them, or none) or the action's usual ones; the text is cut to 32 lines
 * of 900 bytes.  false if they contradict the action, the reply then has the
 * usual codes and all of the text; or if the arena is full (text.p NULL). */
bool		 reply_make(struct arena *, enum action, struct str text,
		    struct reply *);

#endif
