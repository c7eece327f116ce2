/*
 * maillog_time - the time that a log line begins with, and the year it lacks.
 *
 * One struct a log, whose lines come in order; time never goes back.
 */
#ifndef DAEMON_MAILLOG_TIME_H
#define DAEMON_MAILLOG_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct maillog_time {
	int64_t		 now_ms;	/* no log is from later */
	int64_t		 last_ms;
	int		 year;
	char		 stamp[15];	/* the last one, and what it meant */
	int64_t		 cached;
};

/* false: no time.  *rest: what stands behind it. */
bool	maillog_time_read(struct maillog_time *, struct str line, int64_t *ms,
	    struct str *rest);

#endif
