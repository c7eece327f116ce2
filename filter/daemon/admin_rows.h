/*
 * admin_rows - the counters and blocks of the store, the most pressing ones.
 *
 * Collects no more than `max' rows, whatever the store holds: the first in
 * the order that they are printed in, and how many there are in all.  A row
 * has copies of what the store told; limit and window are the policy's.
 * One thread; freed by admin_rows_free().
 */
#ifndef DAEMON_ADMIN_ROWS_H
#define DAEMON_ADMIN_ROWS_H

#include "daemon/admin_key.h"
#include "policy/policy.h"
#include "service/store.h"

struct admin_row {
	bool		 block;
	char		*key;
	/* counters */
	char		*counter;	/* "submission/messages" */
	const struct limit *limit;	/* NULL: the policy has none like it */
	const struct limit_window *window;
	int64_t		 window_ms;
	uint64_t	 used, max;
	double		 share;		/* used / max */
	/* blocks */
	char		*by;
	int64_t		 expires_ms;
};

struct admin_rows {
	struct admin_row *rows;
	size_t		 n, max;
	size_t		 counters, blocks;	/* that there were in all */
};

/* who NULL: those of everybody, and of the limits of the policy alone. */
void	admin_rows_collect(struct admin_rows *, size_t max, struct store *,
	    const struct policy *, const struct admin_key *who);
void	admin_rows_free(struct admin_rows *);
/* How long until one more unit fits, 0 now, and until all of it is free. */
void	admin_rows_times(const struct admin_row *, struct store *,
	    int64_t *room_ms, int64_t *empty_ms);

#endif
