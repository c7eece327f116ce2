/*
 * A store in a folder of its own, a fake clock, and shorthands for windows.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

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

static inline int
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

static inline int
remove_one(const char *name, const struct stat *sb, int flag, struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;
	return remove(name);
}

static inline int
remove_tree(const char *name)
{
	return nftw(name, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int
teardown(void **state)
{
	(void)state;
	clock_fake(-1);
	return remove_tree(dir);
}

static inline struct store *
open_as(const char *as)
{
	struct buf err = BUF_INIT(4096);
	struct store *st = store_open(str_of(as), &err);

	if (st == NULL)
		fail_msg("%s: %s", as, err.n ? err.p : "?");
	buf_free(&err);
	return st;
}

static inline void
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

static inline struct store_window
window(const char *key, int64_t ms, uint64_t max, uint64_t cost)
{
	return (struct store_window){ .limit = STR("l/messages"),
		.key = str_of(key),
		.window_ms = ms,
		.max = max,
		.cost = cost };
}

/* One more member for a counter of different ones. */
static inline struct store_window
member(const char *key, int64_t ms, uint64_t max, const char *who)
{
	return (struct store_window){ .limit = STR("l/distinct recipients"),
		.key = str_of(key),
		.window_ms = ms,
		.max = max,
		.cost = 1,
		.member = str_of(who) };
}

static inline uint64_t
members(struct store *st, const char *key, int64_t ms)
{
	struct store_window w = member(key, ms, 1000000, "");
	struct store_usage u;

	w.member = STR_NONE;
	w.cost = 0;
	assert_int_equal(store_peek(st, &w, &u), STORE_OK);
	return u.used;
}

static inline uint64_t
used(struct store *st, const char *key, int64_t ms)
{
	struct store_window w = window(key, ms, 1000000, 0);
	struct store_usage u;

	assert_int_equal(store_peek(st, &w, &u), STORE_OK);
	return u.used;
}

static inline enum store_result
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

static inline uint64_t
keys(struct store *st)
{
	struct store_stats s;

	store_stats(st, &s);
	return s.keys;
}

#endif
