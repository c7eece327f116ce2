/*
 * gate - where threads sleep that are all woken at once.
 *
 * Who is about to sleep takes a number while nothing can happen (under the
 * lock of whatever he waits for), unlocks, and waits.  A gate that was opened
 * after he took the number does not let him sleep.  Opening it for many is one
 * call of the kernel's, and none of them needs a lock to go on: what he waited
 * for may be of his own, and atomic.
 *
 * It belongs to whoever has it in a struct, begins as all zeros and ends
 * without a call; nobody may wait when it ends.  Any thread may call these;
 * they don't fail.  gate_wait() returns for no reason as well: look again.
 */
#ifndef BASE_GATE_H
#define BASE_GATE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>

#define GATE_ALL INT_MAX

struct gate {
	_Atomic uint32_t opened; /* so many times */
};

uint32_t	gate_number(struct gate *);
void		gate_wait(struct gate *, uint32_t number);
/* Wakes at most so many of those who sleep. */
void		gate_open(struct gate *, int n);

#endif
