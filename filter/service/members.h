/*
 * members - which different members a window has seen, and when last.
 *
 * A member counts from when it is held until it has left the window it was
 * last counted in.  Whoever is held (by any number of reservations) counts
 * in *reserved; whoever is not, in the slot of its last time: so the sum of
 * both is the number of different members, and struct slots tells when they
 * leave.  Members are 64-bit hashes under a key that nobody outside knows:
 * 16 bytes each, MEMBERS_MAX at most.
 *
 * Not locked: whoever owns a struct members guards it, with the slots and
 * the number that are handed in with it (advanced to now before).
 */
#ifndef SERVICE_MEMBERS_H
#define SERVICE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/slots.h"

#define MEMBERS_MAX	65536	/* of one counter; a limit beyond is cut */
#define MEMBERS_NEVER	(-1)

struct members;

/* A counter, as far as its members are concerned. */
struct members_of {
	struct members	**set;		/* NULL inside: none yet */
	struct slots	 *slots;
	uint64_t	 *reserved;
};

struct member_row {
	uint64_t	 hash;
	int64_t		 last;		/* slot; MEMBERS_NEVER: gone */
};

void		 members_free(struct members **);
size_t		 members_bytes(const struct members *);	/* NULL: 0 */
/* Held, or still in the window? */
bool		 members_there(const struct members_of *, uint64_t hash);
/* Counts from now on, until given back; false: MEMBERS_MAX are there. */
bool		 members_hold(const struct members_of *, uint64_t hash);
/* One that is held was seen in the newest slot.  The slot before, for
 * members_uncount(). */
int64_t		 members_count(const struct members_of *, uint64_t hash);
/* What members_count() did, as far as nobody else saw the member since. */
void		 members_uncount(const struct members_of *, uint64_t hash,
		    int64_t index, int64_t before);
void		 members_let_go(const struct members_of *, uint64_t hash);
/* Forgets who is not held, and when the others were seen. */
void		 members_clear(const struct members_of *);
/* Seen in that slot, as a file says. */
void		 members_load(const struct members_of *, uint64_t hash,
		    int64_t last);
/*
 * What changed since the last call, or everything (asked for, or after
 * members_unsaved(): *all): *rows is the caller's to free().
 */
size_t		 members_save(const struct members_of *, bool everything,
		    bool *all, struct member_row **rows);
void		 members_unsaved(struct members *);

#endif
