#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static int
real_clock(void **state)
{
	(void)state;
	clock_fake(-1);
	return 0;
}

static void
test_real(void **state)
{
	int64_t wall = clock_wall_ms(), mono = clock_mono_us();

	(void)state;
	assert_true(wall / 1000 - time(NULL) <= 1);
	assert_true(time(NULL) - wall / 1000 <= 1);
	nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
	assert_true(clock_wall_ms() > wall);
	assert_true(clock_mono_us() >= mono + 3000);
	clock_fake_advance(1000000);	/* nothing to move */
	assert_true(clock_wall_ms() < wall + 100000);
}

static void
test_fake(void **state)
{
	int64_t mono = clock_mono_ms(), frozen;

	(void)state;
	clock_fake(1000);
	frozen = clock_mono_ms();
	assert_true(frozen >= mono && frozen < mono + 10000);
	nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
	assert_int_equal(clock_wall_ms(), 1000);
	assert_int_equal(clock_mono_ms(), frozen);
	clock_fake_advance(250);
	assert_int_equal(clock_wall_ms(), 1250);
	assert_int_equal(clock_mono_ms(), frozen + 250);
	assert_int_equal(clock_mono_us(), (frozen + 250) * 1000);
}

/* Setting the wall clock back must not take monotonic time along. */
static void
test_fake_twice(void **state)
{
	int64_t frozen;

	(void)state;
	clock_fake(1000000);
	frozen = clock_mono_ms();
	clock_fake(500);
	assert_int_equal(clock_wall_ms(), 500);
	assert_int_equal(clock_mono_ms(), frozen);
	clock_fake(-1);
	assert_true(clock_wall_ms() > 1000000);
}

/* Another day, on which time goes on and deadlines are as they were. */
static void
test_pretend(void **state)
{
	int64_t mono = clock_mono_ms(), wall;

	(void)state;
	clock_pretend(1000000000000LL);
	wall = clock_wall_ms();
	assert_true(wall >= 1000000000000LL && wall < 1000000060000LL);
	nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
	assert_true(clock_wall_ms() > wall);
	assert_true(clock_mono_ms() >= mono);
	assert_true(clock_mono_ms() < mono + 60000);
	clock_pretend((int64_t)time(NULL) * 1000);
}

static void
test_timespec(void **state)
{
	struct timespec ts = clock_timespec(12345);

	(void)state;
	assert_int_equal(ts.tv_sec, 12);
	assert_int_equal(ts.tv_nsec, 345000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_real, real_clock),
		cmocka_unit_test_teardown(test_fake, real_clock),
		cmocka_unit_test_teardown(test_fake_twice, real_clock),
		cmocka_unit_test(test_pretend),
		cmocka_unit_test(test_timespec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
