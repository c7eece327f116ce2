/*
 * A flood of keys that each come once stays within the maximum in memory and
 * on disk, and the keys in use keep their counts.  STORE_KEYS says how many.
 */
#include "store_fixture.h"

#define IN_USE	  400
#define MAX_BYTES (16 * 1024 * 1024)

static void
use(struct store *st, int i, int times)
{
	char key[32];

	snprintf(key, sizeof(key), "user=%d", i);
	for (int n = 0; n < times; n++) {
		struct store_window w = window(key, 24 * HOUR, 1000, 1);

		assert_int_equal(store_count(st, &w), STORE_OK);
	}
}

static void
in_use_are_there(struct store *st, const int *times)
{
	char key[32];

	for (int i = 0; i < IN_USE; i++) {
		snprintf(key, sizeof(key), "user=%d", i);
		assert_int_equal(used(st, key, 24 * HOUR), times[i]);
	}
}

static void
stranger(struct store *st, long i)
{
	struct store_window w;
	struct store_held *h;
	char key[64];

	snprintf(key, sizeof(key), "sender=%lx.%ld@example.net", i * 7919, i);
	w = window(key, 24 * HOUR, 100, 1);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	if (i % 64 == 0) { /* the others do not wait for the disk */
		assert_int_equal(store_commit(st, &h), STORE_OK);
		return;
	}
	store_refund(st, &h);
	assert_int_equal(store_count(st, &w), STORE_OK);
}

static void
flood(const char *as, long keys_wanted, uint64_t max)
{
	struct store *st = open_as(as);
	struct store_stats stats;
	int times[IN_USE];

	store_set_max(st, max);
	for (int i = 0; i < IN_USE; i++)
		use(st, i, times[i] = 2 + i % 30);
	for (long i = 0; i < keys_wanted; i++) {
		stranger(st, i);
		if (i % 5000 == 0)
			use(st, (int)(i / 5000 % 50), 1),
			    times[i / 5000 % 50]++;
		if (i % 1000 == 0) {
			store_stats(st, &stats);
			assert_in_range(stats.memory_bytes, 0, max + max / 20);
			/* the log stands beside what it is for */
			assert_in_range(stats.disk_bytes, 0, max + max / 8);
		}
	}
	store_stats(st, &stats);
	print_message("%ld keys: %llu kept in %llu bytes, %llu on disk\n",
	    keys_wanted, (unsigned long long)stats.keys,
	    (unsigned long long)stats.memory_bytes,
	    (unsigned long long)stats.disk_bytes);
	assert_true(stats.evicted > 0 && stats.keys < (uint64_t)keys_wanted);
	/* and it is used: not everything was put out */
	assert_true(stats.memory_bytes > max / 2);
	in_use_are_there(st, times);
	store_close(&st);
	if (strcmp(as, "memory:") == 0)
		return;
	st = open_as(as);
	in_use_are_there(st, times);
	/* a smaller maximum puts out the coldest, from the file as well */
	store_set_max(st, max / 4);
	store_stats(st, &stats);
	in_use_are_there(st, times);
	store_close(&st);
	st = open_as(as);
	store_stats(st, &stats);
	assert_in_range(stats.memory_bytes, max / 8, max / 4 + max / 20);
	in_use_are_there(st, times);
	store_close(&st);
}

static void
test_flood_in_memory(void **state)
{
	const char *text = getenv("STORE_KEYS");

	(void)state;
	flood("memory:", text ? strtol(text, NULL, 10) : 300000, MAX_BYTES);
}

static void
test_flood_on_disk(void **state)
{
	const char *text = getenv("STORE_KEYS");

	(void)state;
	flood(spec, text ? strtol(text, NULL, 10) : 150000, MAX_BYTES);
}

/* The room of a counter of many members comes from others as well. */
static void
test_members_take_room(void **state)
{
	struct store *st = open_as("memory:");
	struct store_stats stats;
	char who[32];

	(void)state;
	store_set_max(st, 1024 * 1024);
	for (int i = 0; i < 20000; i++)
		stranger(st, i);
	for (int i = 0; i < 10000; i++) {
		struct store_window w = member("user=m", HOUR, 20000, who);

		snprintf(who, sizeof(who), "%d", i);
		w.member = str_of(who);
		assert_int_equal(store_count(st, &w), STORE_OK);
		stranger(st, 20000 + i);
	}
	assert_int_equal(members(st, "user=m", HOUR), 10000);
	store_stats(st, &stats);
	assert_in_range(stats.memory_bytes, 0, 1024 * 1024 * 5 / 4);
	store_close(&st);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_flood_in_memory),
		T(test_flood_on_disk),
		T(test_members_take_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
