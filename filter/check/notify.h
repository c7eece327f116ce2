/*
 * notify - runs the administrator's command when a rule says so.
 *
 * The command goes to /bin/sh, with no input and no output, in a session of
 * its own, and is killed after NOTIFY_MAX_MS.  For one command and key it
 * runs at most once in NOTIFY_EVERY_MS: a note in the store says when; where
 * no store is configured a table of the last NOTIFY_REMEMBERED in memory.
 * That table and the count of running commands are the process's.
 *
 * Any thread may call this; it does not wait for the command.  What does not
 * run or fails is logged and never fails a message.
 */
#ifndef CHECK_NOTIFY_H
#define CHECK_NOTIFY_H

#include "check/check.h"

#define NOTIFY_EVERY_MS	  (3600 * 1000LL)
#define NOTIFY_AT_ONCE	  4
#define NOTIFY_MAX_MS	  (60 * 1000)
#define NOTIFY_REMEMBERED 256

/* envp: all of the command's environment; copied.  true: it was started. */
bool		 notify_run(struct services *, struct str command,
		    struct str key, char *const envp[]);

#endif
