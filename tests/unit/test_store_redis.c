/*
 * What a server that others share, and that goes and comes, must not break.
 */
#include "redis_fixture.h"

#include "service/redis_url.h"

static void
test_two_posterns_share(void **state)
{
	struct store *a, *b;
	int passed = 0;

	(void)state;
	NEEDS_REDIS();
	a = open_as(redis_spec);
	b = open_as(redis_spec);
	for (int i = 0; i < 20; i++)
		passed += charge(i % 2 ? a : b, window("user=x", HOUR, 7, 1)) ==
		    STORE_OK;
	assert_int_equal(passed, 7);
	/* members are the same to both */
	assert_int_equal(charge(a, member("user=x", HOUR, 1, "m")), STORE_OK);
	assert_int_equal(charge(b, member("user=x", HOUR, 1, "m")), STORE_OK);
	assert_int_equal(charge(b, member("user=x", HOUR, 1, "n")), STORE_OVER);
	assert_int_equal(store_note_put(a, STR("block"), STR("k"), STR("v"),
			     T0 + HOUR),
	    STORE_OK);
	assert_int_equal(store_note_get(b, STR("block"), STR("k"), NULL, NULL),
	    STORE_OK);
	assert_int_equal(store_note_claim(b, STR("block"), STR("k"), STR("w"),
			     T0 + HOUR),
	    STORE_OVER);
	assert_int_equal(store_note_claim(b, STR("once"), STR("k"), STR("v"),
			     T0 + HOUR),
	    STORE_OK);
	assert_int_equal(store_note_claim(a, STR("once"), STR("k"), STR("v"),
			     T0 + HOUR),
	    STORE_OVER);
	assert_int_equal(store_clear(b, STR("user=x")), 2);
	assert_int_equal(used(a, "user=x", HOUR), 0);
	store_close(&a);
	store_close(&b);
}

/* A commit that only changes a counter's head, and one that needs all of it,
 * in one batch; in either order. */
static void
test_short_and_long_way(void **state)
{
	struct store_window short_way = window("user=x", HOUR, 100, 3),
			    long_way[] = { window("user=x", HOUR, 100, 5),
				    member("user=x", HOUR, 9, "m") };
	struct store_held *a, *b;
	struct store *st;
	uint64_t sum = 0;

	(void)state;
	NEEDS_REDIS();
	st = open_as(redis_spec);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(store_reserve(st, &short_way, 1, &a, NULL),
		    STORE_OK);
		assert_int_equal(store_reserve(st, long_way, 2, &b, NULL),
		    STORE_OK);
		assert_int_equal(used(st, "user=x", HOUR), sum + 8);
		assert_int_equal(store_commit_all(st,
				     i % 2 ?
					 (struct store_held * *[]){ &a, &b } :
					 (struct store_held * *[]){ &b, &a },
				     2),
		    STORE_OK);
		sum += 8;
		assert_int_equal(used(st, "user=x", HOUR), sum);
		clock_fake_advance(i < 2 ? 0 : HOUR / 12);
	}
	clock_fake_advance(HOUR - HOUR / 9);
	assert_int_equal(used(st, "user=x", HOUR), 8);
	store_close(&st);
}

/* Several counters at once, one of them even twice. */
static void
test_several_at_once(void **state)
{
	struct store_window w[] = { window("user=x", HOUR, 6, 2),
		window("user=y", HOUR, 5, 2), window("user=x", HOUR, 6, 1) };
	struct store_held *h;
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	st = open_as(redis_spec);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(store_reserve(st, w, 3, &h, NULL), STORE_OK);
		assert_int_equal(store_commit(st, &h), STORE_OK);
		assert_int_equal(used(st, "user=x", HOUR), 3 * i);
		assert_int_equal(used(st, "user=y", HOUR), 2 * i);
	}
	/* the first would fit, and then does not stay */
	w[0].max = 100;
	assert_int_equal(store_reserve(st, w, 2, &h, NULL), STORE_OVER);
	assert_int_equal(used(st, "user=x", HOUR), 6);
	w[1].max = 100;
	assert_int_equal(store_reserve(st, w, 2, &h, NULL), STORE_OK);
	assert_int_equal(used(st, "user=x", HOUR), 8);
	store_refund(st, &h);
	assert_int_equal(used(st, "user=x", HOUR), 6);
	assert_int_equal(used(st, "user=y", HOUR), 4);
	store_close(&st);
}

/* A process that dies had not accepted what its reservations stood for. */
static void
test_dead_posterns_let_go(void **state)
{
	struct store_window w = window("user=x", HOUR, 3, 3),
			    m = member("user=y", HOUR, 1, "m");
	struct store_held *h;
	struct store *st;
	int status;
	pid_t pid;

	(void)state;
	NEEDS_REDIS();
	pid = fork();
	if (pid == 0) {
		st = open_as(redis_spec);
		_exit(store_reserve(st, &w, 1, &h, NULL) != STORE_OK ||
		    store_reserve(st, &m, 1, &h, NULL) != STORE_OK);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	st = open_as(redis_spec);
	m.member = STR("n");
	clock_fake_advance(20000);
	assert_int_equal(charge(st, w), STORE_OVER);
	assert_int_equal(charge(st, m), STORE_OVER);
	clock_fake_advance(11000);
	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(charge(st, m), STORE_OK);
	assert_int_equal(used(st, "user=x", HOUR), 3);
	store_close(&st);
}

/* Nothing that was counted is forgotten, nothing is counted twice. */
static void
test_killed_and_back(void **state)
{
	struct store_window w = window("user=x", HOUR, 10, 1);
	struct store_held *kept, *given, *late;
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	st = open_as(redis_spec);
	for (int i = 0; i < 4; i++)
		assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &kept, NULL), STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &given, NULL), STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &late, NULL), STORE_OK);
	redis_stop(SIGKILL);
	assert_int_equal(store_commit(st, &kept), STORE_DOWN);
	store_keep(st, &kept);
	assert_null(kept);
	store_refund(st, &given);
	assert_int_equal(store_reserve(st, &w, 1, &given, NULL), STORE_DOWN);
	assert_int_equal(store_peek(st, &w, NULL), STORE_DOWN);
	assert_int_equal(store_count(st, &w), STORE_DOWN);
	assert_int_equal(store_note_put(st, STR("block"), STR("k"), STR("v"),
			     T0 + HOUR),
	    STORE_DOWN);
	wait_until(st, true);
	redis_start();
	wait_until(st, false);
	/* four, the one that was kept, the one counted, and the reservation */
	assert_int_equal(used(st, "user=x", HOUR), 7);
	assert_int_equal(store_note_get(st, STR("block"), STR("k"), NULL, NULL),
	    STORE_OK);
	assert_int_equal(store_commit(st, &late), STORE_OK);
	assert_int_equal(used(st, "user=x", HOUR), 7);
	store_close(&st);
}

/* The server works on what it was sent, but its answer comes too late. */
static void
test_stalled(void **state)
{
	struct store_window w = window("user=x", HOUR, 10, 1);
	struct store_held *a, *b, *c;
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	st = open_as(redis_spec);
	assert_int_equal(store_reserve(st, &w, 1, &a, NULL), STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &b, NULL), STORE_OK);
	kill(redis_pid, SIGSTOP);
	assert_int_equal(store_commit_all(st,
			     (struct store_held * *[]){ &a, &b }, 2),
	    STORE_DOWN);
	assert_int_equal(store_reserve(st, &w, 1, &c, NULL), STORE_DOWN);
	store_refund(st, &a);
	wait_until(st, true);
	kill(redis_pid, SIGCONT);
	wait_until(st, false);
	store_keep(st, &b);
	assert_int_equal(used(st, "user=x", HOUR), 1);
	/* a reservation whose answer was lost is nobody's */
	kill(redis_pid, SIGSTOP);
	assert_int_equal(store_reserve(st, &w, 1, &c, NULL), STORE_DOWN);
	assert_null(c);
	kill(redis_pid, SIGCONT);
	wait_until(st, false);
	assert_int_equal(used(st, "user=x", HOUR), 1);
	store_close(&st);
}

/* A reservation that ran out while we were away is asked for again. */
static void
test_outlived(void **state)
{
	struct store_window w = window("user=x", HOUR, 2, 2);
	struct store_held *a, *b;
	struct store *st, *other;

	(void)state;
	NEEDS_REDIS();
	st = open_as(redis_spec);
	other = open_as(redis_spec);
	assert_int_equal(store_reserve(st, &w, 1, &a, NULL), STORE_OK);
	assert_int_equal(store_reserve(other, &w, 1, &b, NULL), STORE_OVER);
	clock_fake_advance(31000);
	/* the other takes the place of what looks dead */
	assert_int_equal(store_reserve(other, &w, 1, &b, NULL), STORE_OK);
	assert_int_equal(store_commit(st, &a), STORE_DOWN);
	store_refund(st, &a);
	assert_int_equal(store_commit(other, &b), STORE_OK);
	assert_int_equal(used(st, "user=x", HOUR), 2);
	store_close(&st);
	store_close(&other);
}

static void
test_flushed_script(void **state)
{
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	st = open_as(redis_spec);
	redis_say("SCRIPT FLUSH");
	assert_int_equal(charge(st, window("a", HOUR, 2, 1)), STORE_OK);
	redis_say("FLUSHALL");
	assert_int_equal(charge(st, window("a", HOUR, 2, 2)), STORE_OK);
	store_close(&st);
}

static void
test_login(void **state)
{
	char as[200];
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	redis_say("CONFIG SET requirepass s3cret:@");
	open_fails(redis_spec, "NOAUTH");
	snprintf(as, sizeof(as), "redis+unix://:wrong@%s", redis_socket);
	open_fails(as, "WRONGPASS");
	snprintf(as, sizeof(as), "redis+unix://:s3cret%%3a%%40@%s?db=3",
	    redis_socket);
	st = open_as(as);
	assert_int_equal(charge(st, window("a", HOUR, 2, 1)), STORE_OK);
	store_close(&st);
}

/* One that is away at the start is waited for. */
static void
test_away_at_the_start(void **state)
{
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	redis_stop(SIGKILL);
	st = open_as(redis_spec);
	assert_true(is_down(st));
	assert_int_equal(charge(st, window("a", HOUR, 2, 1)), STORE_DOWN);
	redis_start();
	wait_until(st, false);
	assert_int_equal(charge(st, window("a", HOUR, 2, 1)), STORE_OK);
	store_close(&st);
}

/* By the server's own clock, and keys that go by themselves. */
static void
test_real_time(void **state)
{
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	clock_fake(-1);
	st = open_as(redis_real_spec);
	assert_int_equal(charge(st, window("a", 300, 1, 1)), STORE_OK);
	assert_int_equal(charge(st, window("a", 300, 1, 1)), STORE_OVER);
	assert_int_equal(charge(st, member("a", 300, 1, "m")), STORE_OK);
	assert_int_equal(charge(st, member("a", 300, 1, "n")), STORE_OVER);
	store_note_put(st, STR("s"), STR("k"), STR("v"), clock_wall_ms() + 300);
	usleep(310000);
	assert_int_equal(charge(st, window("a", 300, 1, 1)), STORE_OK);
	assert_int_equal(charge(st, member("a", 300, 1, "n")), STORE_OK);
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), NULL, NULL),
	    STORE_OVER);
	store_close(&st);
}

/* Whatever belongs to one key goes by itself in the end. */
static void
test_keys_expire(void **state)
{
	static const char lasting[] =
	    "EVAL \"local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do "
	    "if redis.call('PTTL', k) < 0 then n = n + 1 end end "
	    "if n > 1 then return redis.error_reply(n) end return n\" 0";
	struct store_window w = window("a", HOUR, 10, 1);
	struct store_held *h;
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	clock_fake(-1);
	st = open_as(redis_real_spec);
	redis_say(lasting); /* the secret alone lasts */
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	redis_say(lasting);
	for (int i = 0; i < 3; i++)
		assert_int_equal(charge(st, w), STORE_OK);
	redis_say(lasting);
	store_refund(st, &h);
	assert_int_equal(charge(st, member("b", HOUR, 2, "m")), STORE_OK);
	assert_int_equal(charge(st, window("c", 300, 1, 1)), STORE_OK);
	store_note_put(st, STR("s"), STR("k"), STR("v"),
	    clock_wall_ms() + HOUR);
	assert_int_equal(used(st, "a", HOUR), 3);
	redis_say(lasting);
	store_close(&st);
}

static void
good_url(const char *text, const char *user, const char *password, size_t hosts,
    const char *host, const char *port, unsigned int db)
{
	struct buf why = BUF_INIT(1000);
	struct redis_url u;

	if (!redis_url_parse(str_of(text), &u, &why))
		fail_msg("%s: %s", text, why.p);
	if (user)
		assert_string_equal(u.user, user);
	else
		assert_null(u.user);
	if (password)
		assert_string_equal(u.password, password);
	else
		assert_null(u.password);
	assert_int_equal(u.nhosts, hosts);
	if (hosts) {
		assert_string_equal(u.host[hosts - 1], host);
		assert_string_equal(u.port[hosts - 1], port);
	}
	assert_int_equal(u.db, db);
	redis_url_free(&u);
}

static void
test_urls(void **state)
{
	static const char *const bad[] = { "redis://", "redis:/h",
		"redis://h:", "redis://h:0", "redis://h:65536", "redis://h/x",
		"redis://a@h", "redis://:%4@h", "redis://:%00@h",
		"redis://h?ca=x", "redis://h?x=y", "redis+unix://",
		"redis+unix://x", "rediss://[::1", "rediss://[::1]x",
		"redis://a,,b",
		"redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17" };
	struct buf why;
	struct redis_url u;

	(void)state;
	good_url("redis://h", NULL, NULL, 1, "h", "6379", 0);
	good_url("redis://:p@h:7/3", NULL, "p", 1, "h", "7", 3);
	good_url("redis://u:p%40%3A@a:1,b:2,[2001:db8::1]:3", "u", "p@:", 3,
	    "2001:db8::1", "3", 0);
	good_url("rediss://h?ca=/etc/ca.pem&db=2", NULL, NULL, 1, "h", "6379",
	    2);
	good_url("redis+unix://u:p@/run/r.sock?db=1", "u", "p", 0, NULL, NULL,
	    1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = BUF_INIT(1000);
		if (redis_url_parse(str_of(bad[i]), &u, &why))
			fail_msg("%s was taken", bad[i]);
		assert_true(why.n > 0);
		buf_free(&why);
	}
}

#define R(f) cmocka_unit_test_setup_teardown(f, redis_setup, redis_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		R(test_two_posterns_share),
		R(test_short_and_long_way),
		R(test_several_at_once),
		R(test_dead_posterns_let_go),
		R(test_killed_and_back),
		R(test_stalled),
		R(test_outlived),
		R(test_flushed_script),
		R(test_login),
		R(test_away_at_the_start),
		R(test_real_time),
		R(test_keys_expire),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
