/*
 * A disk that hangs: who waits is told so in time, and hears no "down" any
 * more when it is back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MAX_MS 200
#include "service/store_writer.c"

static atomic_bool hangs, fails;
static atomic_int saves, work_us;
static atomic_bool healthy;

void
store_health_set(struct store_health *h, const char *why)
{
	(void)h;
	healthy = why[0] == '\0';
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static bool
save(void *arg, struct store_cell **cells, size_t n, struct buf *why)
{
	(void)cells;
	saves++;
	while (hangs)
		usleep(1000);
	for (int64_t until = now_us() + work_us; now_us() < until;)
		;
	if (!fails)
		return true;
	buf_adds(why, "disk full");
	for (size_t i = 0; i < n; i++)
		store_writer_changed(arg, cells[i]);
	return false;
}

static void
tidy(void *arg)
{
	(void)arg;
}

static const struct store_writer_ops ops = { save, tidy };

/* The writer's first argument is itself, known only afterwards. */
static struct store_writer *
writer(void)
{
	struct store_writer *w = store_writer_new(&ops, NULL, NULL);

	w->arg = w;
	hangs = fails = false;
	saves = work_us = 0;
	healthy = true;
	assert_true(store_writer_start(w));
	return w;
}

static void *
wait_once(void *arg)
{
	struct store_writer *w = arg;

	store_writer_changed(w, NULL);
	return (void *)(uintptr_t)store_writer_wait(w);
}

static void
wait_healthy(bool wanted)
{
	for (int i = 0; i < 2000 && healthy != wanted; i++)
		usleep(1000);
	assert_int_equal(healthy, wanted);
}

static void
test_hangs(void **state)
{
	struct store_writer *w = writer();
	pthread_t first, others[4];
	void *said;
	int64_t began;

	(void)state;
	hangs = true;
	assert_int_equal(pthread_create(&first, NULL, wait_once, w), 0);
	while (!saves)
		usleep(1000);
	began = now_ms();
	for (int i = 0; i < 4; i++)
		pthread_create(&others[i], NULL, wait_once, w);
	for (int i = 0; i < 4; i++) {
		pthread_join(others[i], &said);
		assert_int_equal((uintptr_t)said, STORE_DOWN);
	}
	assert_in_range(now_ms() - began, 150, 1500);
	assert_false(healthy);
	/* known to be down: nobody waits any more */
	began = now_ms();
	assert_int_equal((uintptr_t)wait_once(w), STORE_DOWN);
	assert_in_range(now_ms() - began, 0, 150);
	hangs = false;
	pthread_join(first, NULL); /* whoever saved for it */
	wait_healthy(true);
	/* what the others had is saved all the same */
	for (int i = 0; i < 2000 && store_writer_pending(w); i++)
		usleep(1000);
	assert_int_equal(store_writer_pending(w), 0);
	store_writer_free(&w);
}

static void
test_slow_is_the_threads(void **state)
{
	struct store_writer *w = writer();
	pthread_t first;
	int64_t began;

	(void)state;
	hangs = true;
	assert_int_equal(pthread_create(&first, NULL, wait_once, w), 0);
	usleep(150000);
	pthread_mutex_lock(&w->lock);
	w->turn++; /* nothing but the first group */
	pthread_mutex_unlock(&w->lock);
	hangs = false;
	pthread_join(first, NULL);
	hangs = true;
	pthread_mutex_lock(&w->lock);
	w->turn--;
	assert_true(w->slow);
	pthread_mutex_unlock(&w->lock);
	/* we would hang for ever, were we to save */
	began = now_ms();
	assert_int_equal((uintptr_t)wait_once(w), STORE_DOWN);
	assert_in_range(now_ms() - began, 150, 1500);
	hangs = false;
	wait_healthy(true);
	store_writer_free(&w);
}

static void
test_fails_and_returns(void **state)
{
	struct store_writer *w = writer();

	(void)state;
	fails = true;
	assert_int_equal((uintptr_t)wait_once(w), STORE_DOWN);
	assert_false(healthy);
	assert_int_equal(store_writer_pending(w), 1);
	fails = false;
	wait_healthy(true);
	assert_int_equal(store_writer_pending(w), 0);
	assert_int_equal((uintptr_t)wait_once(w), STORE_OK);
	store_writer_free(&w);
}

#define CROWD 8
#define TIMES 500

static void *
wait_often(void *arg)
{
	uintptr_t failed = 0;

	for (int i = 0; i < TIMES; i++)
		failed += (uintptr_t)wait_once(arg) != STORE_OK;
	return (void *)failed;
}

/* Each would save for itself alone, were the next not let come first. */
static void
test_crowd_saves_together(void **state)
{
	struct store_writer *w = writer();
	pthread_t all[CROWD];
	void *failed;

	(void)state;
	work_us = 50;
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&all[i], NULL, wait_often, w),
		    0);
	for (int i = 0; i < CROWD; i++) {
		pthread_join(all[i], &failed);
		assert_int_equal((uintptr_t)failed, 0);
	}
	assert_int_equal(store_writer_pending(w), 0);
	print_message("%d groups for %d\n", saves, CROWD * TIMES);
	assert_in_range(saves, TIMES, CROWD * TIMES / 2);
	store_writer_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hangs),
		cmocka_unit_test(test_slow_is_the_threads),
		cmocka_unit_test(test_fails_and_returns),
		cmocka_unit_test(test_crowd_saves_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
