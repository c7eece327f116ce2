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
	    expires_ms);
}

static void
test_notes_have_an_end(void **state)
{
	struct store_memory *m = store_memory_new(NULL);
	struct store_window w = window("user=a", HOUR, 3, 1);
	struct store_usage u;
	struct store_held *h = NULL;

	(void)state;
	m->notes_max = 100;
	for (int i = 0; i < 100; i++)
		assert_int_equal(note(m, i, T0 + HOUR), STORE_OK);
	assert_int_equal(note(m, 100, T0 + HOUR), STORE_DOWN);
	/* What is there can be changed, and counters are as before. */
	assert_int_equal(note(m, 7, T0 + HOUR / 2), STORE_OK);
	assert_int_equal(store_memory_reserve(m, &w, 1, &h, &u), STORE_OK);
	store_memory_refund(m, &h);
	store_memory_free(&m);
}

/* Those that have expired make room again, as the hand moves on. */
static void
test_expired_notes_make_room(void **state)
{
	struct store_memory *m = store_memory_new(NULL);
	int taken = 0;

	(void)state;
	m->notes_max = 100;
	for (int i = 0; i < 100; i++)
		assert_int_equal(note(m, i, T0 + HOUR), STORE_OK);
	clock_fake_advance(2 * HOUR);
	for (int i = 1000; i < 21000; i++)
		taken += note(m, i, T0 + 3 * HOUR) == STORE_OK;
	assert_int_equal(taken, 100);
	store_memory_free(&m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_notes_have_an_end),
		T(test_expired_notes_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
