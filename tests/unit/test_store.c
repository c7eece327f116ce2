/*
 * The store's promises, the same body for each kind of store.
 */
#include "redis_fixture.h"

/* ---- the same for every store ---- */

static void
reserve_commit_refund(struct store *st)
{
	struct store_window w = window("user=a", HOUR, 3, 2);
	struct store_held *h = NULL, *h2 = NULL;
	struct store_usage u;

	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OK);
	assert_int_equal(u.used, 0);
	assert_int_equal(u.retry_ms, 0);
	assert_int_equal(used(st, "user=a", HOUR), 2);
	assert_int_equal(store_reserve(st, &w, 1, &h2, &u), STORE_OVER);
	assert_null(h2);
	assert_int_equal(u.used, 2);
	store_refund(st, &h);
	assert_null(h);
	assert_int_equal(used(st, "user=a", HOUR), 0);
	assert_int_equal(keys(st), 0);

	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OK);
	assert_int_equal(store_commit(st, &h), STORE_OK);
	assert_null(h);
	assert_int_equal(store_commit(st, &h), STORE_OK);
	store_refund(st, &h);
	assert_int_equal(used(st, "user=a", HOUR), 2);
	assert_int_equal(keys(st), 1);

	w.cost = 4; /* can never fit */
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OVER);
	assert_int_equal(u.retry_ms, HOUR);
	w.cost = 0, w.room = 1;
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OK);
	store_refund(st, &h);
	w.room = 2;
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OVER);
	w.cost = UINT64_MAX;
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OVER);
	w.max = UINT64_MAX;
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OVER);
	w.max = 0, w.cost = w.room = 0;
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OK);
	store_refund(st, &h);
	w.cost = 1;
	assert_int_equal(store_reserve(st, &w, 1, &h, &u), STORE_OVER);
}

static void
retry_is_exact(struct store *st)
{
	struct store_window w = window("user=r", HOUR, 10, 5);
	struct store_usage u;

	assert_int_equal(charge(st, w), STORE_OK);
	clock_fake_advance(7 * 60000 + 11);
	assert_int_equal(charge(st, w), STORE_OK);
	clock_fake_advance(1);
	w.cost = 6;
	assert_int_equal(store_peek(st, &w, &u), STORE_OVER);
	assert_int_equal(u.used, 10);
	assert_in_range(u.retry_ms, HOUR - 1, HOUR * 61 / 60);
	clock_fake_advance(u.retry_ms - 1);
	assert_int_equal(store_peek(st, &w, NULL), STORE_OVER);
	clock_fake_advance(1);
	assert_int_equal(store_peek(st, &w, &u), STORE_OK);
	clock_fake_advance(2 * HOUR);
	assert_int_equal(used(st, "user=r", HOUR), 0);
}

static void
several_windows(struct store *st)
{
	struct store_window w[3] = { window("user=s", HOUR, 5, 1),
		window("user=s", 24 * HOUR, 4, 1),
		window("rcpt=t", HOUR, 100, 50) };
	struct store_held *h;
	struct store_usage u;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_reserve(st, w, 3, &h, &u), STORE_OK);
		assert_int_equal(store_commit(st, &h), STORE_OK);
	}
	/* the third window is full: the others are not touched */
	assert_int_equal(store_reserve(st, w, 3, &h, &u), STORE_OVER);
	assert_int_equal(u.index, 2);
	assert_int_equal(used(st, "user=s", HOUR), 2);
	w[2].cost = 0;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_reserve(st, w, 3, &h, &u), STORE_OK);
		assert_int_equal(store_commit(st, &h), STORE_OK);
	}
	w[0].cost = 2;
	w[2].cost = 1;
	/* all full; the day lasts longest */
	assert_int_equal(store_reserve(st, w, 3, &h, &u), STORE_OVER);
	assert_int_equal(u.index, 1);
	/* the same window twice in a call adds up */
	w[0] = w[1] = window("user=twice", HOUR, 1, 1);
	assert_int_equal(store_reserve(st, w, 2, &h, &u), STORE_OVER);
	assert_int_equal(used(st, "user=twice", HOUR), 0);
}

static void
change_and_count(struct store *st)
{
	struct store_window w = window("user=c", HOUR, 1000, 0);
	struct store_held *h;

	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	store_change(st, h, 0, 700);
	assert_int_equal(used(st, "user=c", HOUR), 700);
	store_change(st, h, 0, 600);
	assert_int_equal(store_commit(st, &h), STORE_OK);
	assert_int_equal(used(st, "user=c", HOUR), 600);
	w.cost = 500;
	assert_int_equal(store_count(st, &w), STORE_OK);
	assert_int_equal(used(st, "user=c", HOUR), 1100);
	w.cost = 1;
	assert_int_equal(store_peek(st, &w, NULL), STORE_OVER);
	assert_int_equal(store_clear(st, STR("user=c")), 1);
	assert_int_equal(used(st, "user=c", HOUR), 0);
}

static void
clock_set_back(struct store *st)
{
	struct store_window w = window("user=b", HOUR, 2, 1);

	assert_int_equal(charge(st, w), STORE_OK);
	clock_fake(T0 - 50 * HOUR);
	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(charge(st, w), STORE_OVER);
	clock_fake(T0 + HOUR - 1);
	assert_int_equal(charge(st, w), STORE_OVER);
	clock_fake(T0 + 2 * HOUR);
	assert_int_equal(charge(st, w), STORE_OK);
}

static bool
count_seen(void *arg, const struct store_seen *s)
{
	char(*got)[200] = arg;

	snprintf(*got, sizeof(*got), "%d %.*s %.*s %lld %.*s", s->note,
	    STR_FMT(s->limit), STR_FMT(s->key), (long long)s->used,
	    STR_FMT(s->value));
	return true;
}

static void
notes(struct store *st)
{
	struct buf v = BUF_INIT(1000);
	char seen[200] = "", big[400];
	int64_t until = 0;

	assert_int_equal(store_note_get(st, STR("block"), STR("k"), &v, &until),
	    STORE_OVER);
	assert_int_equal(store_note_put(st, STR("block"), STR("k"),
			     STR("by hand"), T0 + HOUR),
	    STORE_OK);
	assert_int_equal(store_note_get(st, STR("other"), STR("k"), &v, &until),
	    STORE_OVER);
	assert_int_equal(store_note_get(st, STR("block"), STR("k"), &v, &until),
	    STORE_OK);
	assert_string_equal(v.p, "by hand");
	assert_int_equal(until, T0 + HOUR);
	store_each(st, count_seen, &seen);
	assert_string_equal(seen, "1 block k 0 by hand");
	clock_fake_advance(HOUR - 1);
	assert_int_equal(store_note_get(st, STR("block"), STR("k"), NULL, NULL),
	    STORE_OK);
	clock_fake_advance(1);
	assert_int_equal(store_note_get(st, STR("block"), STR("k"), NULL, NULL),
	    STORE_OVER);
	memset(big, 'x', sizeof(big));
	assert_int_equal(store_note_put(st, STR("b"), (struct str){ big, 400 },
			     (struct str){ big, 400 }, T0 + 9 * HOUR),
	    STORE_OK);
	buf_truncate(&v, 0);
	assert_int_equal(store_note_get(st, STR("b"), (struct str){ big, 400 },
			     &v, NULL),
	    STORE_OK);
	assert_int_equal(v.n, STORE_VALUE_MAX);
	assert_int_equal(store_note_del(st, STR("b"), (struct str){ big, 400 }),
	    STORE_OK);
	assert_int_equal(store_note_del(st, STR("b"), (struct str){ big, 400 }),
	    STORE_OVER);
	buf_free(&v);
}

static enum store_result
claim(struct store *st, const char *text, int64_t expires_ms)
{
	return store_note_claim(st, STR("once"), STR("k"), str_of(text),
	    expires_ms);
}

/* Of those who claim a note the first has it, until it is over. */
static void
claims(struct store *st)
{
	struct buf v = BUF_INIT(1000);

	clock_fake(T0);
	assert_int_equal(claim(st, "first", T0 + HOUR), STORE_OK);
	assert_int_equal(claim(st, "second", T0 + 2 * HOUR), STORE_OVER);
	clock_fake(T0 + HOUR - 1);
	assert_int_equal(claim(st, "third", T0 + 2 * HOUR), STORE_OVER);
	store_note_get(st, STR("once"), STR("k"), &v, NULL);
	assert_string_equal(v.p, "first");
	clock_fake(T0 + HOUR);
	assert_int_equal(claim(st, "fourth", T0 + 2 * HOUR), STORE_OK);
	assert_int_equal(store_note_del(st, STR("once"), STR("k")), STORE_OK);
	assert_int_equal(claim(st, "fifth", T0 + 2 * HOUR), STORE_OK);
	assert_int_equal(store_note_put(st, STR("once"), STR("k"),
			     STR("anyway"), T0 + 2 * HOUR),
	    STORE_OK);
	buf_truncate(&v, 0);
	store_note_get(st, STR("once"), STR("k"), &v, NULL);
	assert_string_equal(v.p, "anyway");
	buf_free(&v);
}

static void
hostile_keys(struct store *st)
{
	struct store_window w = window("", HOUR, 10, 1);
	char *huge = malloc(1 << 20);

	w.key = (struct str){ "a\0b", 3 };
	assert_int_equal(charge(st, w), STORE_OK);
	w.key = (struct str){ "a\0c", 3 };
	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(used(st, "a", HOUR), 0);
	w.key = STR_NONE;
	assert_int_equal(charge(st, w), STORE_OK);
	memset(huge, 'h', 1 << 20);
	w.key = (struct str){ huge, 1 << 20 };
	assert_int_equal(charge(st, w), STORE_OK);
	w.key.n = STORE_KEY_MAX;
	assert_int_equal(store_peek(st, &w, &(struct store_usage){ 0 }),
	    STORE_OK);
	huge[STORE_KEY_MAX] = '\0';
	assert_int_equal(used(st, huge, HOUR), 1);
	w.window_ms = 0;
	assert_int_equal(charge(st, w), STORE_OK);
	free(huge);
}

/* Idle keys make room for new ones. */
static void
idle_keys_go(struct store *st)
{
	char key[40];

	for (int i = 0; i < 3000; i++) {
		struct store_window w = window(key, 1000, 10, 1);

		snprintf(key, sizeof(key), "user=%d", i);
		w.key = str_of(key);
		assert_int_equal(store_count(st, &w), STORE_OK);
		if (i % 100 == 99)
			clock_fake_advance(1100);
	}
	assert_true(store_commit_all(st, NULL, 0) == STORE_OK);
	assert_in_range(keys(st), 1, 3000);
}

static void
different_members(struct store *st)
{
	struct store_window w = member("user=d", HOUR, 2, "x@a");
	struct store_usage u;

	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(members(st, "user=d", HOUR), 1);
	clock_fake_advance(10 * 60000);
	assert_int_equal(charge(st, member("user=d", HOUR, 2, "y@a")),
	    STORE_OK);
	assert_int_equal(charge(st, member("user=d", HOUR, 2, "z@a")),
	    STORE_OVER);
	/* who is in may come again, and stays longer for it */
	assert_int_equal(charge(st, w), STORE_OK);
	clock_fake_advance(52 * 60000);
	assert_int_equal(members(st, "user=d", HOUR), 2);
	w.member = STR("z@a");
	assert_int_equal(store_peek(st, &w, &u), STORE_OVER);
	assert_int_equal(u.used, 2);
	assert_in_range(u.retry_ms, 8 * 60000, 9 * 60000);
	clock_fake_advance(u.retry_ms - 1);
	assert_int_equal(charge(st, w), STORE_OVER);
	clock_fake_advance(1);
	assert_int_equal(charge(st, w), STORE_OK);
	/* one without a name is anybody */
	w.member = STR_NONE;
	w.cost = 0;
	w.room = 1;
	assert_int_equal(store_peek(st, &w, NULL), STORE_OK);
	w.max = 1;
	assert_int_equal(store_peek(st, &w, NULL), STORE_OVER);
	assert_int_equal(store_clear(st, STR("user=d")), 1);
	assert_int_equal(members(st, "user=d", HOUR), 0);
	/* past the maximum, for those who only count */
	for (int i = 0; i < 3; i++) {
		char who[2] = { 'a' + i, 0 };
		struct store_window c = member("user=e", HOUR, 2, who);

		assert_int_equal(store_count(st, &c), STORE_OK);
	}
	assert_int_equal(members(st, "user=e", HOUR), 3);
}

/* Whoever is reserved is in; a refund leaves nothing behind. */
static void
members_reserved(struct store *st)
{
	struct store_window w = member("user=m", HOUR, 1, "x"),
			    y = member("user=m", HOUR, 1, "y");
	struct store_held *a, *b, *c;

	assert_int_equal(store_reserve(st, &w, 1, &a, NULL), STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &b, NULL), STORE_OK);
	assert_int_equal(store_reserve(st, &y, 1, &c, NULL), STORE_OVER);
	assert_int_equal(members(st, "user=m", HOUR), 1);
	store_refund(st, &a);
	assert_int_equal(store_reserve(st, &y, 1, &c, NULL), STORE_OVER);
	store_refund(st, &b);
	assert_int_equal(keys(st), 0);
	assert_int_equal(charge(st, w), STORE_OK);
	/* x comes again just before its time, and is counted just behind */
	clock_fake_advance(HOUR);
	assert_int_equal(store_reserve(st, &w, 1, &a, NULL), STORE_OK);
	clock_fake_advance(HOUR);
	assert_int_equal(store_reserve(st, &y, 1, &c, NULL), STORE_OVER);
	assert_int_equal(store_commit(st, &a), STORE_OK);
	assert_int_equal(members(st, "user=m", HOUR), 1);
	/* a refund of somebody who was in before leaves him where he was */
	clock_fake_advance(30 * 60000);
	assert_int_equal(store_reserve(st, &w, 1, &a, NULL), STORE_OK);
	store_refund(st, &a);
	clock_fake_advance(31 * 60000 + 1000);
	assert_int_equal(charge(st, y), STORE_OK);
}

static void (*const bodies[])(struct store *) = { reserve_commit_refund,
	retry_is_exact, several_windows, change_and_count, clock_set_back,
	notes, claims, hostile_keys, different_members, members_reserved,
	idle_keys_go };

static void
test_each_on_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct store *st = open_as("memory:");

		clock_fake(T0);
		bodies[i](st);
		store_close(&st);
		assert_null(st);
	}
}

static void
test_each_on_sqlite(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct store *st;

		unlink(path);
		clock_fake(T0);
		st = open_as(spec);
		bodies[i](st);
		store_close(&st);
		assert_null(st);
	}
}

static void
test_each_on_redis(void **state)
{
	(void)state;
	NEEDS_REDIS();
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct store *st;

		redis_say("FLUSHALL");
		clock_fake(T0);
		st = open_as(redis_spec);
		bodies[i](st);
		store_close(&st);
		assert_null(st);
	}
}

static void
test_idle_keys_are_freed(void **state)
{
	struct store *st = open_as("memory:");

	(void)state;
	idle_keys_go(st);
	assert_in_range(keys(st), 1, 600);
	store_close(&st);
}

/* ---- the window promise against every timestamp ---- */

#define EVENTS 100000

struct event {
	int64_t at;
	uint64_t units;
};

static void
window_promise(int64_t win, uint64_t max, unsigned int seed, int events)
{
	struct store *st = open_as("memory:");
	struct event *kept = calloc(events, sizeof(*kept));
	size_t n = 0, strict = 0, loose = 0;
	uint64_t in_strict = 0, in_loose = 0, passed = 0;
	int64_t now = T0 + seed, step;

	print_message("window %lld ms, max %llu, seed %u\n", (long long)win,
	    (unsigned long long)max, seed);
	clock_fake(now);
	for (int i = 0; i < events; i++) {
		uint64_t cost = 1 + rand_r(&seed) % 3;

		step = rand_r(&seed) % 8 == 0 ? rand_r(&seed) % (win / 4 + 1) :
						rand_r(&seed) % (win / 200 + 2);
		now += step;
		clock_fake_advance(step);
		/* what an interval of the length ending now holds */
		for (; strict < n && kept[strict].at < now - win; strict++)
			in_strict -= kept[strict].units;
		for (; loose < n && now - kept[loose].at > win + win / 60;
		     loose++)
			in_loose -= kept[loose].units;
		if (charge(st, window("k", win, max, cost)) == STORE_OK) {
			kept[n++] = (struct event){ now, cost };
			in_strict += cost;
			in_loose += cost;
			passed++;
			assert_true(in_strict <= max);
		} else {
			assert_true(in_loose + cost > max);
		}
	}
	assert_true(passed > (uint64_t)events / 50);
	assert_true(passed < (uint64_t)events);
	free(kept);
	store_close(&st);
}

static void
test_window_promise(void **state)
{
	(void)state;
	window_promise(HOUR, 20, 1, EVENTS / 2);
	window_promise(60 * 1000, 50, 2, EVENTS / 8);
	window_promise(7919, 9, 3, EVENTS / 8);
	window_promise(7 * 24 * HOUR, 100, 4, EVENTS / 4);
}

/* ---- threads ---- */

struct hammer {
	struct store *st;
	int passed;
};

static void *
hammer_main(void *arg)
{
	struct hammer *h = arg;
	char other[32];

	for (int i = 0; i < 400; i++) {
		struct store_window w[2] = { window("user=hot", HOUR, 1000, 1),
			window(other, HOUR, 100000, 1) };
		struct store_held *held;

		snprintf(other, sizeof(other), "other=%d", i % 7);
		w[1].key = str_of(other);
		if (store_reserve(h->st, w, 2, &held, NULL) != STORE_OK)
			continue;
		if (i % 5 == 0) {
			store_refund(h->st, &held);
			continue;
		}
		if (store_commit(h->st, &held) == STORE_OK)
			h->passed++;
	}
	return NULL;
}

static void
hammer(const char *as)
{
	struct store *st = open_as(as);
	struct hammer h[8];
	pthread_t t[8];
	int passed = 0;

	for (int i = 0; i < 8; i++) {
		h[i] = (struct hammer){ st, 0 };
		assert_int_equal(pthread_create(&t[i], NULL, hammer_main,
				     &h[i]),
		    0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		passed += h[i].passed;
	}
	/* refunds may leave room at the end: fill it */
	while (charge(st, window("user=hot", HOUR, 1000, 1)) == STORE_OK)
		passed++;
	assert_int_equal(passed, 1000);
	assert_int_equal(used(st, "user=hot", HOUR), 1000);
	store_close(&st);
}

static void
test_eight_threads(void **state)
{
	(void)state;
	hammer("memory:");
	hammer(spec);
}

static void
test_eight_threads_on_redis(void **state)
{
	(void)state;
	NEEDS_REDIS();
	clock_fake(-1);
	hammer(redis_real_spec);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define R(f) cmocka_unit_test_setup_teardown(f, redis_setup, redis_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_each_on_memory),
		T(test_each_on_sqlite),
		R(test_each_on_redis),
		R(test_eight_threads_on_redis),
		T(test_idle_keys_are_freed),
		T(test_window_promise),
		T(test_eight_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
