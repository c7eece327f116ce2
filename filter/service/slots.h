/*
 * slots - how much was used in which sixtieth of a window.
 *
 * Slot i is the time [i, i+1) * window / 60, in exact arithmetic.  What fell
 * into the newest slot or one of the 60 before it counts: an interval of the
 * window's length never touches more than these 61.  Only slots that hold
 * something take memory, eight bytes each; a single one takes none besides
 * the struct.  The newest slot never goes back, whatever the clock does.
 *
 * Not locked: whoever owns a struct slots guards it.
 */
#ifndef SERVICE_SLOTS_H
#define SERVICE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_PER_WINDOW 60
#define SLOTS_MAX	 (SLOTS_PER_WINDOW + 1)
#define SLOTS_COUNT_MAX	 (UINT64_MAX >> 8)	/* a count stops there */

struct slots {
	int64_t		 head;		/* index of the newest slot */
	uint8_t		 n, cap;	/* cap 0: the one slot is inline */
	union {
		uint64_t	 one;	/* count << 6 | index & 63 */
		uint64_t	*many;	/* oldest first */
	};
};

int64_t		 slots_index(int64_t now_ms, int64_t window_ms);
void		 slots_free(struct slots *);	/* empty again */
/* Makes `index' the newest slot and drops what has left the window. */
void		 slots_advance(struct slots *, int64_t index);
uint64_t	 slots_sum(const struct slots *);
void		 slots_add(struct slots *, uint64_t count);	/* newest */
/* Adds to slot `index', unless that has left the window. */
void		 slots_put(struct slots *, int64_t index, uint64_t count);
/* Takes from slot `index', as far as it is still there. */
void		 slots_take(struct slots *, int64_t index, uint64_t count);
/* Wall time from which on `count' units of those now held have left. */
int64_t		 slots_leave_ms(const struct slots *, int64_t window_ms,
		    uint64_t count);
/* Wall time from which on nothing counts any more. */
int64_t		 slots_end_ms(const struct slots *, int64_t window_ms);
/* The words as they are kept on disk; out has room for SLOTS_MAX. */
size_t		 slots_save(const struct slots *, uint64_t *out);
/* false: not what slots_save() makes. */
bool		 slots_load(struct slots *, int64_t head, const uint64_t *,
		    size_t n);
/* The whole history moves, so that `head' is the newest slot. */
void		 slots_shift(struct slots *, int64_t head);

#endif
