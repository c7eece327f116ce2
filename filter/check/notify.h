/*
 * notify - tells somebody when a rule says so: runs a command, sends a mail,
 * posts JSON.
 *
 * A command goes to /bin/sh, with no input and no output, in a session of
 * its own, and is killed after NOTIFY_MAX_MS.  A mail goes to the MTA by SMTP
 * or through sendmail(1), from the null sender.  JSON is posted by HTTP.
 *
 * About one key the same notice is given at most once in NOTIFY_EVERY_MS, by
 * all hosts that share a store: a note in it says when, and a table of the
 * last NOTIFY_REMEMBERED in memory, which is all there is without a store or
 * while it is down.
 * NOTIFY_AT_ONCE threads give notices, and NOTIFY_WAITING more wait for one;
 * what comes then is skipped, and may be told later.  The table, the queue
 * and the threads are the process's.
 *
 * Any thread may call this; it waits for the store alone.  What is not given
 * or fails is logged and never fails a message.
 */
#ifndef CHECK_NOTIFY_H
#define CHECK_NOTIFY_H

#include "check/check.h"

#define NOTIFY_EVERY_MS	  (3600 * 1000LL)
#define NOTIFY_AT_ONCE	  4
#define NOTIFY_WAITING	  64
#define NOTIFY_MAX_MS	  (60 * 1000)
#define NOTIFY_POST_MS	  (20 * 1000)
#define NOTIFY_REMEMBERED 256

enum notify_how { NOTIFY_COMMAND, NOTIFY_MAIL, NOTIFY_HTTP };

/* Copied by notify_send(). */
struct notice {
	enum notify_how	 how;
	struct str	 to;	/* command, address or URL */
	struct str	 same;	/* what makes it the same notice */
	struct str	 key;	/* whom it is about */
	struct str	 text;	/* of a mail or JSON */
	struct str	 via;	/* of a mail: smtp://HOST:PORT or sendmail */
	struct str	 hostname;
	/* NAME=VALUE, NULL-ended: all of a command's environment; those whose
	 * name begins with POSTERN_ are told in a mail or JSON as well. */
	char *const	*facts;
};

/* true: it will be given. */
bool		 notify_send(struct services *, const struct notice *);

#endif
