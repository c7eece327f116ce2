#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/gate.h"

#define SLEEPERS 8
#define ROUNDS	 20000

static struct gate gate;
static atomic_int passed;
static atomic_bool open_for_good;

static void
pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Waits a second at most. */
static bool
come_to(int n)
{
	for (int i = 0; i < 1000 && atomic_load(&passed) < n; i++)
		pause_ms(1);
	return atomic_load(&passed) >= n;
}

static void *
sleep_once(void *arg)
{
	(void)arg;
	gate_wait(&gate, gate_number(&gate));
	atomic_fetch_add(&passed, 1);
	return NULL;
}

static void
test_all(void **state)
{
	pthread_t t[SLEEPERS];

	(void)state;
	atomic_store(&passed, 0);
	for (int i = 0; i < SLEEPERS; i++)
		pthread_create(&t[i], NULL, sleep_once, NULL);
	pause_ms(50);
	assert_int_equal(atomic_load(&passed), 0);
	gate_open(&gate, 1);
	assert_true(come_to(1));
	pause_ms(20);
	/* one, and whoever was still on his way to sleep */
	assert_true(atomic_load(&passed) < SLEEPERS);
	gate_open(&gate, GATE_ALL);
	assert_true(come_to(SLEEPERS));
	for (int i = 0; i < SLEEPERS; i++)
		pthread_join(t[i], NULL);
}

/* Who took a number before it was opened does not sleep after. */
static void
test_opened_before(void **state)
{
	uint32_t number = gate_number(&gate);

	(void)state;
	gate_open(&gate, GATE_ALL);
	gate_wait(&gate, number);
	assert_int_equal(gate_number(&gate), number + 1);
}

/* Two by turns, each of whom the other wakes: one call lost and both sleep. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long turn;

static void *
take_turns(void *arg)
{
	long mine = (intptr_t)arg;
	uint32_t number;

	pthread_mutex_lock(&lock);
	while (turn < ROUNDS) {
		if (turn % 2 == mine) {
			turn++;
			pthread_mutex_unlock(&lock);
			gate_open(&gate, GATE_ALL);
		} else {
			number = gate_number(&gate);
			pthread_mutex_unlock(&lock);
			gate_wait(&gate, number);
		}
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	atomic_store(&open_for_good, true);
	return NULL;
}

static void
test_none_lost(void **state)
{
	pthread_t t[2];

	(void)state;
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < 20000 && !atomic_load(&open_for_good); i++)
		pause_ms(1);
	assert_true(atomic_load(&open_for_good));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(turn, ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_opened_before),
		cmocka_unit_test(test_none_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
