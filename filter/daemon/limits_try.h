/*
 * limits_try - limits of a policy, tried on the mail of a log.
 *
 * Each connection, message and refused recipient that the log tells of takes
 * the road that mail takes, under a clock set to the log's time and with
 * an empty store in memory.  What a log does not tell decides nothing: of the
 * policy's rules those take part that ask a limit or a block, or set one, and
 * accept, next, tag and score.  Nothing is sent, run or written.
 *
 * One entry is kept for each window of each key, LIMITS_TRY_KEYS at most: how
 * often it refused, and how near it came.  One thread.
 */
#ifndef DAEMON_LIMITS_TRY_H
#define DAEMON_LIMITS_TRY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/maillog.h"
#include "policy/policy.h"

#define LIMITS_TRY_KEYS	400000

struct limits_try;

/* Takes a reference to the policy and changes its rules: it is nobody
 * else's.  NULL with a text in *err. */
struct limits_try *limits_try_new(struct policy *, struct buf *err);
void		 limits_try_event(void *, const struct maillog_event *);
/* What was found: the hit, then the nearest others, `others' at most. */
void		 limits_try_report(struct limits_try *,
		    const struct maillog_stats *, bool json, size_t others,
		    struct buf *out);
void		 limits_try_free(struct limits_try **);

/* The command `postern limits'. */
int		 limits_main(int argc, char **argv);

#endif
