/*
 * The store's promises, the same body for each kind of store.
 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/store.h"

#define T0   1700000000123LL
#define HOUR (3600 * 1000LL)

static char dir[64], path[96], spec[128];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state.db", dir);
	snprintf(spec, sizeof(spec), "sqlite:%s", path);
	clock_fake(T0);
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	return 0;
}

static int
remove_one(const char *name, const struct stat *sb, int flag, struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;
	return remove(name);
}

static int
remove_tree(const char *name)
{
	return nftw(name, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int
teardown(void **state)
{
	(void)state;
	clock_fake(-1);
	return remove_tree(dir);
}

static struct store *
open_as(const char *as)
{
	struct buf err = BUF_INIT(4096);
	struct store *st = store_open(str_of(as), &err);

	if (st == NULL)
		fail_msg("%s: %s", as, err.n ? err.p : "?");
	buf_free(&err);
	return st;
}

static void
open_fails(const char *as, const char *why)
{
	struct buf err = BUF_INIT(4096);
	struct store *st = store_open(str_of(as), &err);

	assert_null(st);
	assert_true(err.n > 0);
	if (strstr(err.p, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.p, why);
	buf_free(&err);
}

static struct store_window
window(const char *key, int64_t ms, uint64_t max, uint64_t cost)
{
	return (struct store_window){ .limit = STR("l/messages"),
		.key = str_of(key),
		.window_ms = ms,
		.max = max,
		.cost = cost };
}

static uint64_t
used(struct store *st, const char *key, int64_t ms)
{
	struct store_window w = window(key, ms, 1000000, 0);
	struct store_usage u;

	assert_int_equal(store_peek(st, &w, &u), STORE_OK);
	return u.used;
}

static enum store_result
charge(struct store *st, struct store_window w)
{
	struct store_held *h;
	enum store_result r = store_reserve(st, &w, 1, &h, NULL);

	if (r != STORE_OK)
		return r;
	r = store_commit(st, &h);
	store_keep(st, &h);
	return r;
}

static uint64_t
keys(struct store *st)
{
	struct store_stats s;

	store_stats(st, &s);
	return s.keys;
}

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

static void (*const bodies[])(struct store *) = { reserve_commit_refund,
	retry_is_exact, several_windows, change_and_count, clock_set_back,
	notes, hostile_keys, idle_keys_go };

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

/* ---- the file ---- */

static void
test_reopen_keeps(void **state)
{
	struct store *st = open_as(spec);
	struct buf v = BUF_INIT(100);
	struct stat sb;

	(void)state;
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(charge(st, window("user=a", HOUR, 9, 1)),
		    STORE_OK);
		clock_fake_advance(5 * 60000);
	}
	charge(st, window("short", 1000, 9, 1));
	store_note_put(st, STR("s"), STR("k"), STR("v"), T0 + 9 * HOUR);
	store_note_put(st, STR("s"), STR("gone"), STR("v"), T0 + 9 * HOUR);
	store_note_del(st, STR("s"), STR("gone"));
	store_close(&st);
	clock_fake_advance(60000);

	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 5);
	assert_int_equal(keys(st), 1); /* the short one expired */
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), &v, NULL),
	    STORE_OK);
	assert_string_equal(v.p, "v");
	assert_int_equal(store_note_get(st, STR("s"), STR("gone"), &v, NULL),
	    STORE_OVER);
	/* the slots came back each at its own time */
	clock_fake(T0 + HOUR + 2 * 60000);
	assert_int_equal(used(st, "user=a", HOUR), 4);
	charge(st, window("user=a", HOUR, 9, 1));
	store_close(&st);

	/* a clock that was set back between: nothing comes back early */
	clock_fake(T0 - 100 * HOUR);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 5);
	clock_fake_advance(HOUR + 60001);
	assert_int_equal(used(st, "user=a", HOUR), 0);
	store_close(&st);
	buf_free(&v);
}

static void
test_second_opener(void **state)
{
	struct store *st = open_as(spec);
	int status;
	pid_t pid;

	(void)state;
	open_fails(spec, "in use by another process");
	pid = fork();
	if (pid == 0) {
		struct buf err = BUF_INIT(1000);
		struct store *two = store_open(str_of(spec), &err);

		_exit(two == NULL && strstr(err.p, "in use") ? 7 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(charge(st, window("user=a", HOUR, 9, 1)), STORE_OK);
	store_close(&st);
}

static void
write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int
rows(void)
{
	sqlite3_stmt *q;
	sqlite3 *db;
	int n;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
			     "SELECT (SELECT count(*) FROM counter) +"
			     " (SELECT count(*) FROM note)",
			     -1, &q, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

static void
test_expired_rows_go(void **state)
{
	struct store *st = open_as(spec);
	char key[40];

	(void)state;
	for (int i = 0; i < 700; i++) {
		struct store_window w = window("", 1000, 10, 1);

		snprintf(key, sizeof(key), "user=%d", i);
		w.key = str_of(key);
		assert_int_equal(store_count(st, &w), STORE_OK);
	}
	store_note_put(st, STR("s"), STR("k"), STR("v"), T0 + 1000);
	store_close(&st);
	assert_int_equal(rows(), 701);
	clock_fake_advance(HOUR / 4);
	st = open_as(spec);
	assert_int_equal(keys(st), 0);
	/* a batch with each group, some seconds apart */
	for (int i = 0; i < 6; i++) {
		clock_fake_advance(60000);
		assert_int_equal(charge(st, window("user=a", HOUR, 9, 1)),
		    STORE_OK);
		usleep(5000);
	}
	store_close(&st);
	assert_int_equal(rows(), 1);
}

static char *
read_file(size_t *n)
{
	FILE *f = fopen(path, "r");
	char *p = calloc(1, 1 << 20);

	assert_non_null(f);
	*n = fread(p, 1, 1 << 20, f);
	fclose(f);
	return p;
}

static void
refused_untouched(const char *why)
{
	size_t n, n2;
	char *before = read_file(&n), *after;

	open_fails(spec, why);
	after = read_file(&n2);
	assert_int_equal(n, n2);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
}

static void
test_foreign_files(void **state)
{
	(void)state;
	write_file("this is no database, but somebody's only copy of a "
		   "novel\n",
	    57);
	refused_untouched("not a database");
	unlink(path);
	run_sql("CREATE TABLE recipes (name TEXT)");
	refused_untouched("another program");
	unlink(path);
	run_sql("PRAGMA application_id = 7; PRAGMA user_version = 1");
	refused_untouched("another program");
}

static void
test_newer_schema(void **state)
{
	struct store *st = open_as(spec);

	(void)state;
	store_close(&st);
	run_sql("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99");
	refused_untouched("newer version");
}

static void
test_damaged_file(void **state)
{
	struct store *st = open_as(spec);
	char key[40];
	size_t n;
	char *text;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct store_window w = window(key, HOUR, 10, 1);

		snprintf(key, sizeof(key), "user=%d@example.org", i);
		w.key = str_of(key);
		store_count(st, &w);
	}
	store_close(&st);
	text = read_file(&n);
	assert_true(n > 40000);
	for (size_t i = 12000; i < 30000; i++)
		text[i] = i * 7919;
	write_file(text, n);
	free(text);
	refused_untouched(path);
}

static void
test_rows_without_sense(void **state)
{
	struct store *st = open_as(spec);

	(void)state;
	charge(st, window("user=a", HOUR, 9, 1));
	store_close(&st);
	run_sql("UPDATE counter SET slots = x'0102'");
	open_fails(spec, "makes no sense");
	run_sql("UPDATE counter SET slots = x'00000000000000ff',"
		" window_ms = -5");
	open_fails(spec, "makes no sense");
}

static void
test_bad_specs(void **state)
{
	(void)state;
	open_fails("", "unknown kind");
	open_fails("redis://localhost", "unknown kind");
	open_fails("sqlite:", "path");
	open_fails("memory:x", "path");
	open_fails("sqlite:/nowhere/at/all.db", "no directory /nowhere/at");
	open_fails("sqlite:/tmp", "not a file");
}

static void
test_read_only_dir(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(chmod(dir, 0555), 0);
	pid = fork();
	if (pid == 0) {
		struct buf err = BUF_INIT(1000);

		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(9);
		_exit(store_open(str_of(spec), &err) == NULL &&
			    strstr(err.p, "Permission denied") ?
			7 :
			8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	chmod(dir, 0700);
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* Commits and says so, a byte a charge, until it is killed. */
static void
child_commits(int fd)
{
	struct store *st = open_as(spec);

	for (;;) {
		if (charge(st, window("user=k", 24 * HOUR, 1000000, 1)) !=
		    STORE_OK)
			_exit(1);
		if (write(fd, "x", 1) != 1)
			_exit(2);
	}
}

static void
test_kill_9(void **state)
{
	struct store *st;
	uint64_t told = 0, kept;
	char bytes[4096];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
	for (int round = 0; round < 4; round++) {
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (pid == 0) {
			close(fds[0]);
			child_commits(fds[1]);
		}
		close(fds[1]);
		usleep(30000 + 7000 * round);
		kill(pid, SIGKILL);
		while ((n = read(fds[0], bytes, sizeof(bytes))) > 0)
			told += n;
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		st = open_as(spec);
		kept = used(st, "user=k", 24 * HOUR);
		store_close(&st);
		assert_true(kept >= told);
		/* at most one a round was written and not told */
		assert_true(kept <= told + round + 1);
	}
	assert_true(told > 10);
}

static void
wait_until_back(struct store *st)
{
	struct store_stats s;

	for (int i = 0; i < 150; i++) {
		store_stats(st, &s);
		if (!s.down && s.pending == 0)
			return;
		usleep(20000);
	}
	fail_msg("the store did not come back");
}

/* A full disk, played by a limit on file sizes. */
static void
disk_full(void)
{
	struct rlimit lim, small;
	struct store *st;
	struct store_held *h;
	struct store_window w = window("user=a", HOUR, 50, 1);
	struct store_stats s;

	signal(SIGXFSZ, SIG_IGN);
	st = open_as(spec);
	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(charge(st, w), STORE_OK);
	getrlimit(RLIMIT_FSIZE, &lim);
	small = lim;
	small.rlim_cur = 1;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	assert_int_equal(store_commit(st, &h), STORE_DOWN);
	assert_non_null(h);
	store_stats(st, &s);
	assert_true(s.down);
	assert_int_equal(used(st, "user=a", HOUR), 3);
	store_refund(st, &h); /* the message was refused after all */
	assert_int_equal(used(st, "user=a", HOUR), 2);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_DOWN);
	assert_int_equal(store_count(st, &w), STORE_DOWN);
	assert_int_equal(store_note_put(st, STR("s"), STR("k"), STR("v"),
			     T0 + HOUR),
	    STORE_DOWN);
	setrlimit(RLIMIT_FSIZE, &lim);
	wait_until_back(st);
	assert_int_equal(charge(st, w), STORE_OK);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 4);
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), NULL, NULL),
	    STORE_OK);
	store_close(&st);
}

static void
test_disk_full(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		disk_full();
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
test_file_gone(void **state)
{
	struct store *st = open_as(spec);
	struct store_window w = window("user=a", HOUR, 50, 1);
	struct store_held *h;
	char moved[128];

	(void)state;
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	assert_int_equal(charge(st, w), STORE_OK);
	store_note_put(st, STR("s"), STR("k"), STR("v"), T0 + HOUR);
	/* deleted: a new one is made of what is in memory */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(charge(st, w), STORE_OK);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 2);
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), NULL, NULL),
	    STORE_OK);
	/* its directory is away for a while */
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	assert_int_equal(store_commit(st, &h), STORE_DOWN);
	store_keep(st, &h);
	assert_null(h);
	assert_int_equal(rename(moved, dir), 0);
	wait_until_back(st);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 3);
	/* for good, and an empty one is made in its place */
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(charge(st, w), STORE_DOWN);
	assert_int_equal(mkdir(dir, 0700), 0);
	wait_until_back(st);
	assert_int_equal(remove_tree(moved), 0);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 4);
	store_close(&st);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_each_on_memory),
		T(test_each_on_sqlite),
		T(test_idle_keys_are_freed),
		T(test_window_promise),
		T(test_eight_threads),
		T(test_reopen_keeps),
		T(test_expired_rows_go),
		T(test_second_opener),
		T(test_foreign_files),
		T(test_newer_schema),
		T(test_damaged_file),
		T(test_rows_without_sense),
		T(test_bad_specs),
		T(test_read_only_dir),
		T(test_kill_9),
		T(test_disk_full),
		T(test_file_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
