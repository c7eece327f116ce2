/*
 * store_cell - the hash table behind store_memory: cells in locked shards.
 *
 * A cell is a counter or a note under (space, key).  Whoever touches a cell
 * or calls a function here that takes a shard holds that shard's lock; the
 * exceptions say so.  space and key never change while the cell lives.
 *
 * When all cells together weigh more than is allowed, a new counter puts out
 * a cold one: a hand goes round, and takes the first that counted only once,
 * or the coldest of the next 64 buckets.  How often it counted is what
 * matters, not when: a key that had its share of use keeps its count for
 * as long as its window, whatever number of new keys comes by.  Never a cell
 * that is reserved or being saved, and never a note.  The new cell takes the
 * row over, so the file does not grow either.
 */
#ifndef SERVICE_STORE_CELL_H
#define SERVICE_STORE_CELL_H

#include <pthread.h>
#include <stdatomic.h>

#include "service/members.h"
#include "service/slots.h"
#include "service/store_memory.h"

#define STORE_SHARDS	64

struct store_cell {
	struct store_cell *next;
	int64_t		 id;		/* row on disk; 0: none */
	uint32_t	 hash;
	uint32_t	 refs;		/* reservations and the writer */
	uint16_t	 nspace, nkey;
	uint8_t		 kind;		/* enum store_kind */
	uint8_t		 heat;		/* log2 of how often it counted */
	bool		 queued;	/* the journal has it */
	bool		 heir;		/* its row may still have members */
};

struct store_counter {
	struct store_cell cell;
	struct slots	 slots;
	int64_t		 window_ms;
	uint64_t	 reserved;
	uint32_t	 uses, weight;
	struct members	*members;	/* NULL: plain units */
	char		 text[];	/* space, then key */
};

struct store_note {
	struct store_cell cell;
	int64_t		 expires_ms;	/* 0: gone */
	char		*value;
	uint8_t		 nvalue;
	char		 text[];
};

struct store_shard {
	pthread_mutex_t	 lock;
	struct store_cell **buckets;
	size_t		 nbuckets, ncells;
	size_t		 hand;		/* next bucket to look for idle cells */
	uint8_t		 cold;		/* how warm what is put out is now */
} __attribute__((aligned(64)));

struct store_memory {
	struct store_shard	 shards[STORE_SHARDS];
	struct store_journal journal;
	atomic_int_least64_t ahead;	/* wall - monotonic, the most seen */
	atomic_uint_least64_t counters, notes;
	/* Bytes, about, of both kinds and of notes alone; and how many may be.
	 * Half of it is for notes. */
	atomic_uint_least64_t bytes, note_bytes, evicted;
	atomic_uint_least64_t bytes_max;
	uint64_t	 secret[2];	/* what members are hashed with */
};

/* What a cell is found by. */
struct store_name {
	enum store_kind	 kind;
	struct str	 space, key;
	int64_t		 window_ms;	/* 0 for notes */
	uint32_t	 hash;
};

/* No lock: wall time that never goes back.  Where the wall clock is set back
 * time runs on by the monotonic clock. */
int64_t		 store_cell_now(struct store_memory *);
struct store_name store_cell_name(enum store_kind, struct str space,
		    struct str key, int64_t window_ms);
struct store_shard *store_cell_shard(struct store_memory *, uint32_t hash);
struct store_counter *store_cell_counter(struct store_cell *);
struct store_note *store_cell_note(struct store_cell *);
struct members_of store_cell_members(struct store_counter *);
struct str	 store_cell_space(struct store_cell *);
struct str	 store_cell_key(struct store_cell *);
struct store_cell *store_cell_find(struct store_shard *,
		    const struct store_name *);
/* Finds or makes; NULL when there is no place for more of its kind. */
struct store_cell *store_cell_get(struct store_memory *,
		    const struct store_name *);
void		 store_cell_set_note(struct store_memory *,
		    struct store_note *, struct str value, int64_t expires_ms);
/* A counter has counted, or grown. */
void		 store_cell_used(struct store_counter *);
void		 store_cell_weigh(struct store_memory *,
		    struct store_counter *);
/* Tells the journal, which holds the cell until it is saved. */
void		 store_cell_changed(struct store_memory *, struct store_cell *);
/* Frees it if there is nothing in it and nobody refers to it. */
void		 store_cell_drop_if_empty(struct store_memory *,
		    struct store_shard *, struct store_cell *);

#endif
