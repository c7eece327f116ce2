/*
 * store_memory - counters and notes in memory, for every kind of store.
 *
 * A hash table in 64 shards with a mutex each; a call that concerns several
 * keys locks their shards in ascending order.  Nothing here waits for
 * anything but those mutexes.  A cell that holds nothing and that nobody
 * refers to is freed: at once when a reservation is given back, otherwise by
 * a hand that moves on with every new key.
 *
 * A journal, if there is one, hears of every change, under the shard's lock;
 * it must not call back.  The cell it hears of stays until it is saved
 * (store_row.h).
 */
#ifndef SERVICE_STORE_MEMORY_H
#define SERVICE_STORE_MEMORY_H

#include "service/store.h"

#define STORE_BYTES_MAX	(512 * 1024 * 1024ULL)	/* where nobody says */

struct store_cell;
struct store_memory;

struct store_journal {
	void		 (*changed)(void *, struct store_cell *);
	void		*arg;
};

enum store_kind { STORE_COUNTER, STORE_NOTE };

struct store_memory *store_memory_new(const struct store_journal *);
void		 store_memory_free(struct store_memory **);

enum store_result store_memory_reserve(struct store_memory *,
		    const struct store_window *, size_t n,
		    struct store_held **, struct store_usage *);
void		 store_memory_change(struct store_memory *,
		    struct store_held *, size_t index, uint64_t cost);
/* Counts, but leaves the reservation to be kept or refunded. */
void		 store_memory_commit(struct store_memory *,
		    struct store_held *);
void		 store_memory_refund(struct store_memory *,
		    struct store_held **);
void		 store_memory_keep(struct store_memory *, struct store_held **);
enum store_result store_memory_peek(struct store_memory *,
		    const struct store_window *, struct store_usage *);
enum store_result store_memory_count(struct store_memory *,
		    const struct store_window *);
enum store_result store_memory_note_put(struct store_memory *,
		    struct str space, struct str key, struct str value,
		    int64_t expires_ms, bool claim);
enum store_result store_memory_note_get(struct store_memory *,
		    struct str space, struct str key, struct buf *value,
		    int64_t *expires_ms);
enum store_result store_memory_note_del(struct store_memory *,
		    struct str space, struct str key);
void		 store_memory_each(struct store_memory *,
		    bool (*seen)(void *, const struct store_seen *), void *);
/* About how much memory, and so file, all may take; half of it notes. */
void		 store_memory_set_max(struct store_memory *, uint64_t bytes);
size_t		 store_memory_clear(struct store_memory *, struct str key);
void		 store_memory_stats(struct store_memory *,
		    struct store_stats *);

#endif
