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
 * A counter may count different members instead (store_window.member): of N
 * per window, no interval of the window's length sees more than N different
 * ones.  A member is in from its reservation until the window, and at most
 * 1/60 of it more, has passed since it was last counted; while it is in it
 * may come again for nothing.  Members are told apart by 64-bit hashes under
 * a secret of the store; one counter knows MEMBERS_MAX (65,536) at most, and
 * a higher maximum means that.  A counter counts units or members, not both.
 *
 * store_commit() returns when the charge survives a kill of this process
 * (a power cut may lose the last second).  Reservations live in memory: a
 * process that dies had not accepted what they stood for.
 *
 * Any thread may call these, and no caller may hold a lock.  A store that
 * can't write says STORE_DOWN to whoever reserves, commits or puts; it still
 * answers store_peek() and store_note_get() from memory, tries again by
 * itself and loses nothing meanwhile.  It logs once when it goes and once
 * when it is back, and counts METRIC_STORE_FAULTS.
 *
 * "sqlite:PATH" keeps everything in memory, written by one writer thread in
 * groups (WAL, synchronous=NORMAL); one process at a time may have the file.
 * A disk that does not answer for 5 s is a store that is down.
 * "memory:" forgets at the end.
 * "redis://HOST" and its like (redis_url.h) keep it all on a server that
 * several posterns may share: the server decides, in one script, by its own
 * clock, and what it says is as lasting as the server is.  A process that
 * dies loses its reservations after 30 s.  While the server is away, peeks
 * and notes are STORE_DOWN as well; what was committed, counted or noted
 * meanwhile is sent when it is back (once, also where only the answer was
 * lost), even past max; beyond 200,000 such changes the log says how many
 * were lost.  A commit whose reservation has run out is checked again, and
 * is STORE_DOWN when it does not fit any more.
 */
#ifndef SERVICE_STORE_H
#define SERVICE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define STORE_KEY_MAX	2048	/* longer keys are cut: they share a counter */
#define STORE_VALUE_MAX	255	/* bytes of a note's text; longer is cut */

struct store;
struct store_held;		/* a reservation */

enum store_result { STORE_OK, STORE_OVER, STORE_DOWN };

/* One window of one limit for one key. */
struct store_window {
	struct str	 limit;		/* "submission/messages" */
	struct str	 key;		/* normalised: "user=alice" */
	int64_t		 window_ms;
	uint64_t	 max;
	uint64_t	 cost;		/* units this event would use */
	/* units that must fit besides, but are not reserved */
	uint64_t	 room;
	/* Not STR_NONE: different members are counted; the cost is one, or
	 * nothing where the member is there already.  A window without it
	 * (cost 0) asks the same counter about anybody. */
	struct str	 member;
};

struct store_usage {
	size_t		 index;		/* which window of the call */
	uint64_t	 used;		/* committed + reserved before */
	/* until the cost fits; 0: it does; the window's length: it never can */
	int64_t		 retry_ms;
};

/* NULL with a text in *err: bad spec, unreadable, corrupt, foreign, newer
 * schema, in use by another process. */
struct store	*store_open(struct str spec, struct buf *err);
void		 store_close(struct store **);	/* writes what is pending */

/*
 * All windows or none.  STORE_OK: *held is set.  STORE_OVER: *usage (may be
 * NULL) tells of the window that is full with the longest retry_ms.
 */
enum store_result store_reserve(struct store *, const struct store_window *,
		    size_t n, struct store_held **held,
		    struct store_usage *usage);
/* Changes the cost of a reservation's window (by its index in the call),
 * once the real size is known.  Not checked against max.  Not for members. */
void		 store_change(struct store *, struct store_held *,
		    size_t index, uint64_t cost);
/*
 * Moves a reservation into the window.  STORE_OK ends it and clears *held.
 * STORE_DOWN: it is counted in memory and will be written when the store is
 * back; *held stays, for store_keep() to let it stand or store_refund() to
 * take it back.  *held may be NULL.
 */
enum store_result store_commit(struct store *, struct store_held **held);
/* Several at once, one wait for the disk. */
enum store_result store_commit_all(struct store *, struct store_held **helds[],
		    size_t n);
/* Gives everything back; clears *held, which may be NULL. */
void		 store_refund(struct store *, struct store_held **held);
/* After a commit that said STORE_DOWN: the charge stands; clears *held. */
void		 store_keep(struct store *, struct store_held **held);
/* Reads without reserving; STORE_OVER if cost would not fit. */
enum store_result store_peek(struct store *, const struct store_window *,
		    struct store_usage *usage);
/* Counts the cost at once, even past max, and does not wait for the disk:
 * the writer takes it with its next group. */
enum store_result store_count(struct store *, const struct store_window *);

/*
 * Notes: a small text under (space, key), gone after expires_ms (wall time).
 * STORE_OVER from store_note_get means: there is none.
 */
enum store_result store_note_put(struct store *, struct str space,
		    struct str key, struct str value, int64_t expires_ms);
/* The same where there is none, else STORE_OVER: of several who try, threads
 * or hosts, one is told STORE_OK. */
enum store_result store_note_claim(struct store *, struct str space,
		    struct str key, struct str value, int64_t expires_ms);
enum store_result store_note_get(struct store *, struct str space,
		    struct str key, struct buf *value, int64_t *expires_ms);
enum store_result store_note_del(struct store *, struct str space,
		    struct str key);

/*
 * For `postern who' and `show': every counter with something in it, and
 * every note.  The callback gets copies and may call the store; false ends.
 */
struct store_seen {
	bool		 note;
	struct str	 limit;		/* or the note's space */
	struct str	 key;
	int64_t		 window_ms;	/* counters */
	uint64_t	 used;
	struct str	 value;		/* notes */
	int64_t		 expires_ms;
};
void		 store_each(struct store *,
		    bool (*seen)(void *, const struct store_seen *), void *);
/* Empties every counter of that key; reservations stay.  How many it were. */
size_t		 store_clear(struct store *, struct str key);

/*
 * About how many bytes all may take in memory, and so on disk.  When that is
 * full, a new counter puts out the coldest there is: the one that counted
 * least often.  Notes get half of it; when that is full, new ones but blocks
 * are STORE_DOWN.  A Redis server has its own setting.
 */
void		 store_set_max(struct store *, uint64_t bytes);

/* Numbers for `postern status': keys in memory, bytes on disk, rows waiting. */
struct store_stats {
	uint64_t	 keys, notes, disk_bytes, pending;
	uint64_t	 memory_bytes;	/* about; 0 where a server keeps it */
	uint64_t	 evicted;	/* counters that made room for others */
	bool		 down;
};
void		 store_stats(struct store *, struct store_stats *);

#endif
