/*
 * limit_book - what a connection or a message holds of its limits.
 *
 * For limit*.c alone: check/limit.h is the door.  A book lives in the
 * arena of its session or txn, is made when the first limit is asked, and
 * gives back what was neither counted nor dropped when the arena goes.  A
 * tally is a limit for one key; a charge is one reservation in the store,
 * with a part for each window (or each member counted in it).  One thread.
 */
#ifndef CHECK_LIMIT_BOOK_H
#define CHECK_LIMIT_BOOK_H

#include "check/limit.h"

#define LIMIT_BUCKETS	256

/* A recipient with the key. */
struct whom {
	struct whom *next;
	struct rcpt *rcpt;
};

/* What one connection or message holds of a limit for one key. */
struct tally {
	struct tally *next; /* in its bucket */
	struct tally *next_asked;
	struct str name, key;
	unsigned int rcpts; /* how many of this event have the key */
	struct whom *whom; /* at message: who they are */
	bool at_mail; /* was asked before any recipient */
	size_t n;
	struct tally_window {
		enum limit_unit unit;
		int64_t window_ms;
		struct str counter; /* "submission/messages" */
		uint64_t held;
		uint64_t max; /* when it was last asked */
	} windows[];
};

enum charge_state { CHARGE_ASKED, CHARGE_KEPT, CHARGE_COUNTED, CHARGE_GONE };

/* A reservation; its parts stand in the order of the store's call. */
struct charge {
	struct charge *next;
	struct store_held *held;
	/* The store was down and nothing is reserved: what is to be counted
	 * in the end all the same, one a part.  NULL: it was not. */
	struct store_window *owed;
	enum charge_state state;
	size_t n;
	struct {
		struct tally *tally;
		size_t window;
		uint64_t cost;
	} parts[];
};

struct answer {
	struct answer *next;
	const struct limit *limit; /* compared, never followed */
	bool valid; /* of this event */
	bool granted; /* in this message or connection, once */
	enum limit_answer answer;
	struct limit_info info;
};

struct limit_book {
	struct arena *arena;
	struct store *store;
	struct charge *charges; /* newest first */
	struct answer *answers;
	struct tally *tallies[LIMIT_BUCKETS];
};

/* The books of a connection and of a message; NULL: there is no store, or the
 * arena is full. */
struct limit_book *limit_book_of(struct checks *, struct arena *);
struct limit_book *limit_book_at(struct session *, enum stage);
/* The book if there is one. */
struct limit_book *limit_book_open(struct session *, enum stage);
struct tally	*limit_tally_find(struct limit_book *, const struct limit *,
		    struct str key);
/* A new one where there is none; NULL: the arena is full. */
struct tally	*limit_tally_get(struct limit_book *, const struct limit *,
		    struct str key);
/* The reservation ends without counting; a counted one is taken back. */
void		 limit_charge_drop(struct limit_book *, struct charge *);
/* Where this event's answer stands, perhaps not yet valid; NULL: the arena is
 * full. */
struct answer	*limit_answer_of(struct limit_book *, const struct limit *);

#endif
