#include "base/clock.h"

#include <stdatomic.h>

/* Frozen wall time, < 0 for the real one; monotonic time is `gap' behind. */
static _Atomic int64_t fake_wall = -1;
static _Atomic int64_t fake_gap;
/* What clock_pretend() adds to the real wall clock. */
static _Atomic int64_t pretended;

static int64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
	int64_t fake = atomic_load(&fake_wall);

	if (fake >= 0)
		return fake;
	return clock_us(CLOCK_REALTIME) / 1000 + atomic_load(&pretended);
}

int64_t
clock_mono_us(void)
{
	int64_t fake = atomic_load(&fake_wall);

	if (fake >= 0)
		return (fake - atomic_load(&fake_gap)) * 1000;
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

void
clock_fake(int64_t wall_ms)
{
	/* Monotonic time stays where it is, whatever the wall clock does. */
	if (wall_ms >= 0)
		atomic_store(&fake_gap, wall_ms - clock_mono_ms());
	atomic_store(&fake_wall, wall_ms >= 0 ? wall_ms : -1);
}

void
clock_fake_advance(int64_t ms)
{
	if (atomic_load(&fake_wall) >= 0)
		atomic_fetch_add(&fake_wall, ms);
}

void
clock_pretend(int64_t wall_ms)
{
	atomic_store(&pretended, wall_ms - clock_us(CLOCK_REALTIME) / 1000);
}

bool
clock_is_fake(void)
{
	return atomic_load(&fake_wall) >= 0;
}

struct timespec
clock_timespec(int64_t mono_ms)
{
	return (struct timespec){ .tv_sec = mono_ms / 1000,
		.tv_nsec = mono_ms % 1000 * 1000000 };
}

int64_t
clock_thread_us(void)
{
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}
