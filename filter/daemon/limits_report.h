/*
 * limits_report - what a trial of limits found, on paper or as JSON.
 *
 * Sorts the entries; the strings stay their owner's.  One thread.
 */
#ifndef DAEMON_LIMITS_REPORT_H
#define DAEMON_LIMITS_REPORT_H

#include "daemon/maillog.h"
#include "policy/policy.h"

/* One window of one key, and how often one rule fired for it, or (rule NULL)
 * how near it came; limit NULL: a block. */
struct limits_entry {
	const struct rule *rule;
	const struct limit *limit;
	const struct limit_window *window;
	char		*key;
	uint64_t	 hits;
	int64_t		 first_ms, last_ms;
	uint64_t	 used, max;	/* when it came nearest */
	double		 share;
	int64_t		 at_ms;
	bool		 hit;		/* rule NULL: there is one that hit */
};

struct limits_found {
	struct limits_entry **entries;
	size_t		 n;
	uint64_t	 left_out;	/* found where there was no more room */
};

void	limits_report(struct limits_found *, const struct policy *,
	    const struct maillog_stats *, bool json, size_t others,
	    struct buf *out);

#endif
