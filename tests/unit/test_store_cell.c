/*
 * Notes, which strangers make, leave room for counters.
 */
#include "store_fixture.h"

#include "service/store_cell.h"

static enum store_result
note(struct store_memory *m, int i, int64_t expires_ms)
{
	char key[32];

	snprintf(key, sizeof(key), "triple-%d", i);
	return store_memory_note_put(m, STR("greylist"), str_of(key), STR("x"),
	    expires_ms, false);
}

static int
fill(struct store_memory *m, int from, int64_t expires_ms)
{
	int n = 0;

	while (note(m, from + n, expires_ms) == STORE_OK)
		n++;
	return n;
}

static void
test_notes_have_an_end(void **state)
{
	struct store_memory *m = store_memory_new(NULL);
	struct store_window w = window("user=a", HOUR, 3, 1);
	struct store_usage u;
	struct store_held *h = NULL;

	(void)state;
	store_memory_set_max(m, 20000);
	assert_in_range(fill(m, 100, T0 + HOUR), 60, 140);
	/* What is there can be changed, and counters are as before. */
	assert_int_equal(note(m, 107, T0 + HOUR / 2), STORE_OK);
	assert_int_equal(store_memory_reserve(m, &w, 1, &h, &u), STORE_OK);
	store_memory_refund(m, &h);
	/* A block is worth more than what strangers leave. */
	assert_int_equal(store_memory_note_put(m, STR("block"), STR("user=a"),
			     STR_NONE, T0 + HOUR, false),
	    STORE_OK);
	store_memory_free(&m);
}

/* Those that have expired make room again, as the hand moves on. */
static void
test_expired_notes_make_room(void **state)
{
	struct store_memory *m = store_memory_new(NULL);
	int first, taken = 0;

	(void)state;
	store_memory_set_max(m, 20000);
	first = fill(m, 1000, T0 + HOUR);
	clock_fake_advance(2 * HOUR);
	for (int i = 2000; i < 9000; i++)
		taken += note(m, i, T0 + 3 * HOUR) == STORE_OK;
	assert_in_range(taken, first - 2, first + 2);
	store_memory_free(&m);
}

/* Everything that weighs something is let go of. */
static void
test_bytes_add_up(void **state)
{
	struct store_memory *m = store_memory_new(NULL);
	struct store_window w;
	char key[32], who[32];
	struct store_held *h;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "user=%d", i % 37);
		snprintf(who, sizeof(who), "who-%d", i);
		w = i % 3 ? window(key, HOUR, 500, 1) :
			    member(key, HOUR, 500, who);
		assert_int_equal(store_memory_count(m, &w), STORE_OK);
		assert_int_equal(store_memory_reserve(m, &w, 1, &h, NULL),
		    STORE_OK);
		store_memory_refund(m, &h);
		note(m, i % 50, T0 + HOUR + i);
		clock_fake_advance(2000);
	}
	assert_true(m->bytes > 10000);
	clock_fake_advance(4 * HOUR);
	for (int i = 0; i < 500000 && m->counters + m->notes > 0; i++) {
		snprintf(key, sizeof(key), "other=%d", i);
		w = window(key, HOUR, 3, 1);
		assert_int_equal(store_memory_reserve(m, &w, 1, &h, NULL),
		    STORE_OK);
		store_memory_refund(m, &h);
	}
	assert_int_equal(m->counters + m->notes, 0);
	assert_int_equal(m->bytes, 0);
	assert_int_equal(m->note_bytes, 0);
	store_memory_free(&m);
}

#define WARM	 400
#define STRANGER "stranger=%d"

static struct store_window
of(char key[32], const char *format, int i)
{
	snprintf(key, 32, format, i);
	return window(key, HOUR, 10, 1);
}

/* As if a slow disk had them to save: all of the cold ones but each 200th. */
static void
keep_busy(struct store_memory *m, bool busy)
{
	struct store_shard *s;
	struct store_cell *c;
	int n = 0;

	for (s = m->shards; s < m->shards + STORE_SHARDS; s++)
		for (size_t b = 0; b < s->nbuckets; b++)
			for (c = s->buckets[b]; c != NULL; c = c->next)
				if (c->heat == 0)
					c->queued = busy && n++ % 200 != 0;
}

/* Cold ones that wait to be saved are no reason to put out a warm one. */
static void
test_warm_ones_stay(void **state)
{
	struct store_memory *m = store_memory_new(NULL);
	struct store_window w;
	struct store_usage u;
	char key[32];
	int i = 0;

	(void)state;
	store_memory_set_max(m, 3 << 20);
	for (int n = 0; n < 3 * WARM; n++) {
		w = of(key, "user=%d", n % WARM);
		assert_int_equal(store_memory_count(m, &w), STORE_OK);
	}
	for (; m->evicted == 0; i++) {
		w = of(key, STRANGER, i);
		assert_int_equal(store_memory_count(m, &w), STORE_OK);
	}
	keep_busy(m, true);
	for (int n = 0; n < 600; n++, i++) {
		w = of(key, STRANGER, i);
		assert_int_equal(store_memory_count(m, &w), STORE_OK);
	}
	assert_true(m->evicted > 200);
	for (int n = 0; n < WARM; n++) {
		w = of(key, "user=%d", n);
		store_memory_peek(m, &w, &u);
		assert_int_equal(u.used, 3);
	}
	keep_busy(m, false);
	store_memory_free(&m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_notes_have_an_end),
		T(test_expired_notes_make_room),
		T(test_bytes_add_up),
		T(test_warm_ones_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
