/*
 * store - the state that outlives a message: counters of limits, and
 * notes (blocks, greylist entries) with an expiry.
 *
 * The promise for counters: of `max' per window, never more than max units
 * are committed in any interval of the window's length.  Time is cut into
 * slots of 1/60 window; the slot that is leaving counts whole, so capacity
 * comes back at most 1/60 late.  A reservation counts as used until it is
 * committed or refunded.
 *
 * store_commit() returns when the charge survives a kill of this process
 * (a power cut may lose the last second).  Reservations live in memory: a
 * process that dies had not accepted what they stood for.
 *
 * Any thread may call these, and no caller may hold a lock.  A store that
 * can't do its work says STORE_DOWN, logs once when it goes and once when
 * it is back, and counts METRIC_STORE_FAULTS.
 *
 * "sqlite:PATH" keeps counters in memory, written by one writer thread in
 * groups (WAL, synchronous=NORMAL); "memory:" forgets at the end.
 */
#ifndef SERVICE_STORE_H
#define SERVICE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct store;
struct store_held;		/* a reservation */

enum store_result { STORE_OK, STORE_OVER, STORE_DOWN };

/* One window of one limit for one key. */
struct store_window {
	struct str	 limit;		/* name and unit: "submission/messages" */
	struct str	 key;		/* normalised: "user=alice" */
	int64_t		 window_ms;
	uint64_t	 max;
	uint64_t	 cost;		/* units this event would use */
};

struct store_usage {
	size_t		 index;		/* which window of the call it is about */
	uint64_t	 used;		/* committed + reserved, before this call */
	int64_t		 retry_ms;	/* until the cost fits; 0 if it does */
};

/* NULL with a text in *err: bad spec, unreadable, corrupt, newer schema. */
struct store	*store_open(struct str spec, struct buf *err);
void		 store_close(struct store **);	/* writes what is pending */

/*
 * All windows or none.  STORE_OK: *held is set.  STORE_OVER: *usage tells of
 * the first window that is full (the one with the longest retry_ms).
 */
enum store_result store_reserve(struct store *, const struct store_window *,
		    size_t n, struct store_held **held,
		    struct store_usage *usage);
/* Both end the reservation and clear *held; NULL is allowed. */
enum store_result store_commit(struct store *, struct store_held **held);
void		 store_refund(struct store *, struct store_held **held);
/* Several at once, one wait for the disk. */
enum store_result store_commit_all(struct store *, struct store_held **helds[],
		    size_t n);
/* Reads without reserving; STORE_OVER if cost would not fit. */
enum store_result store_peek(struct store *, const struct store_window *,
		    struct store_usage *usage);

/*
 * Notes: a small text under (space, key), gone after expires_ms (wall time).
 * STORE_OVER from store_note_get means: there is none.
 */
enum store_result store_note_put(struct store *, struct str space,
		    struct str key, struct str value, int64_t expires_ms);
enum store_result store_note_get(struct store *, struct str space,
		    struct str key, struct buf *value, int64_t *expires_ms);
enum store_result store_note_del(struct store *, struct str space,
		    struct str key);

/* Numbers for `postern status': keys in memory, bytes on disk, rows waiting. */
struct store_stats {
	uint64_t	 keys, notes, disk_bytes, pending;
	bool		 down;
};
void		 store_stats(struct store *, struct store_stats *);

#endif
