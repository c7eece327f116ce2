/*
 * clock - what time it is, and a hand for tests to set it.
 *
 * Wall time is for what is stored or shown; monotonic time for deadlines.
 * clock_fake() freezes both at a value until clock_fake_advance() moves
 * them, for the whole process.  Any thread may call these.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

int64_t	clock_wall_ms(void);		/* since 1970 */
int64_t	clock_mono_ms(void);
int64_t	clock_mono_us(void);
int64_t	clock_thread_us(void);		/* what this thread has computed */
void	clock_fake(int64_t wall_ms);	/* < 0: the real clock again */
void	clock_fake_advance(int64_t ms);
/* The wall clock says this now and goes on from there; monotonic time is
 * untouched.  For judging old mail. */
void	clock_pretend(int64_t wall_ms);
bool	clock_is_fake(void);
/* A point of monotonic time as CLOCK_MONOTONIC timespec. */
struct timespec	clock_timespec(int64_t mono_ms);

#endif
