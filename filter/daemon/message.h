/*
 * message - mail on disk, as a milter would have been told of it.
 *
 * A file holds one message, a ".mbox" file many (mboxrd quoting undone), a
 * folder one in each file; "-" is the standard input.  Line ends may be LF or
 * CRLF; the body comes out with CRLF, header values with their leading
 * space and LF folds.  Used by `postern scan' alone, one thread.
 */
#ifndef DAEMON_MESSAGE_H
#define DAEMON_MESSAGE_H

#include <stdbool.h>

#include "base/str.h"

struct message_field {
	struct message_field *next;
	struct str	 name, value;
};

struct message {
	struct str	 label;		/* "x.eml", "x.mbox:3" */
	struct message_field *fields;
	struct str	 body;
	struct arena	*arena;		/* owns all of it */
};

/* Calls fn for each message; false with *err when something is unreadable. */
bool	message_each(const char *path, void (*fn)(void *, struct message *),
	    void *arg, struct buf *err);
/* The first field of that name, unfolded by nobody; STR_NONE. */
struct str message_field(const struct message *, struct str name);

#endif
