#include <glob.h>
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
#include "base/metric.h"
#include "service/history.h"

#define DAY (INT64_C(86400) * 1000)
#define MB  (1024 * 1024)

static char path[64];

static int
setup(void **state)
{
	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	snprintf(path, sizeof(path), "/tmp/postern-history.XXXXXX");
	close(mkstemp(path));
	return 0;
}

static int
teardown(void **state)
{
	char pattern[80];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s*", path);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	return 0;
}

static struct history *
opened(const char *where, int64_t age_ms, uint64_t bytes)
{
	struct buf err = BUF_INIT(4096);
	struct history *h = history_open(where, age_ms, bytes, &err);

	if (h == NULL)
		fail_msg("%s", err.p);
	buf_free(&err);
	return h;
}

static void
put(struct history *h, const char *id, const char *sender, const char *rcpts,
    struct str text)
{
	struct history_record r = { .at_ms = clock_wall_ms(),
		.queue_id = str_of(id),
		.sender = str_of(sender),
		.rcpts = str_of(rcpts),
		.text = text };

	history_put(h, &r);
}

static void
refuse(struct history *h, const char *client, const char *key, const char *text)
{
	struct history_record r = { .at_ms = clock_wall_ms(),
		.refused = true,
		.client = str_of(client),
		.key = str_of(key),
		.text = str_of(text) };

	if (!history_again(h, r.key, r.at_ms))
		history_put(h, &r);
}

static bool
add(void *arg, const struct history_record *r)
{
	struct buf *out = arg;

	buf_printf(out, "%.*s|%.*s|%.*s|", STR_FMT(r->queue_id),
	    STR_FMT(r->sender), STR_FMT(r->rcpts));
	buf_addstr(out, r->text);
	buf_addc(out, '\n');
	return true;
}

static void
expect(struct history *h, struct history_query q, const char *found)
{
	struct buf out = BUF_INIT(64 * MB), err = BUF_INIT(4096);

	if (q.max == 0)
		q.max = 10;
	assert_true(history_find(h, &q, add, &out, &err));
	assert_string_equal(out.n > 0 ? out.p : "", found);
	buf_free(&out);
}

static size_t
count(struct history *h, struct history_query q)
{
	struct buf out = BUF_INIT(64 * MB), err = BUF_INIT(4096);
	size_t n = 0;

	q.max = 100000;
	assert_true(history_find(h, &q, add, &out, &err));
	for (size_t i = 0; i < out.n; i++)
		n += out.p[i] == '\n';
	buf_free(&out);
	return n;
}

static struct addr_net
net(const char *text)
{
	struct addr_net n;
	const char *why;

	assert_true(addr_net_parse(str_of(text), &n, &why));
	return n;
}

#define Q(...) ((struct history_query){ __VA_ARGS__ })

static void
test_find(void **state)
{
	struct history *h = opened(NULL, DAY, MB);

	(void)state;
	put(h, "4XqA", "A@Example.org", " B@x c@x ", STR("one"));
	put(h, "", "<>", " b@x ", STR("two"));
	put(h, "4XqA", "d@x", " e@x ", STR("three"));
	put(h, "4XqN", "n@x", "", (struct str){ "a\0b", 3 });
	put(h, "4XqE", "n@x", "", STR_NONE);
	expect(h, Q(.queue_id = STR("4XqA")),
	    "4XqA|d@x| e@x |three\n4XqA|a@example.org| b@x c@x |one\n");
	expect(h, Q(.queue_id = STR("4xqa")), "");
	expect(h, Q(.queue_id = STR("4Xq")), "");
	expect(h, Q(.queue_id = STR("4XqA"), .from = STR("D@x")),
	    "4XqA|d@x| e@x |three\n");
	expect(h, Q(.to = STR("b@X")),
	    "|<>| b@x |two\n4XqA|a@example.org| b@x c@x |one\n");
	expect(h, Q(.to = STR("b@X"), .max = 1), "|<>| b@x |two\n");
	expect(h, Q(.from = STR("<>")), "|<>| b@x |two\n");
	expect(h, Q(.to = STR("@x")), "");
	expect(h, Q(.from = STR("a@example.org"), .to = STR("e@x")), "");
	expect(h, Q(.client = net("192.0.2.1")), "");
	expect(h, Q(.from = STR("x' OR '1'='1")), "");
	expect(h, Q(.queue_id = STR("4XqE")), "4XqE|n@x||\n");
	assert_int_equal(count(h, Q(.from = STR("n@x"))), 2);
	history_close(&h);
	assert_null(h);
}

static void
test_file(void **state)
{
	struct history *h = opened(path, DAY, MB);
	struct buf err = BUF_INIT(4096);
	struct stat st;

	(void)state;
	put(h, "4XqA", "a@x", " b@x ", STR("kept"));
	/* One process at a time. */
	assert_null(history_open(path, DAY, MB, &err));
	assert_true(err.n > 0);
	history_close(&h);
	h = opened(path, DAY, MB);
	expect(h, Q(.queue_id = STR("4XqA")), "4XqA|a@x| b@x |kept\n");
	history_close(&h);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	buf_free(&err);
}

static void
overwrite(long at, const char *text, size_t n)
{
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	while (n-- > 0)
		fputc(*text, f);
	fclose(f);
}

/* A file that was a database once. */
static void
damage(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite("SQLite format 3", 16, 1, f), 1);
	fclose(f);
	overwrite(16, text, 5000 - 16);
}

/* Names beside the file that a damaged one was moved to. */
static size_t
moved(glob_t *found)
{
	char pattern[80];

	snprintf(pattern, sizeof(pattern), "%s.corrupt-*", path);
	return glob(pattern, 0, NULL, found) == 0 ? found->gl_pathc : 0;
}

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* A database of somebody else, or one in use, is not touched. */
static void
test_foreign(void **state)
{
	struct buf err = BUF_INIT(4096);
	struct history *h;
	glob_t found;

	(void)state;
	run_sql("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
	assert_null(history_open(path, DAY, MB, &err));
	assert_non_null(strstr(err.p, "not a history"));
	run_sql("UPDATE t SET x = 2");
	buf_truncate(&err, 0);
	assert_null(history_open("/dev/null/x", DAY, MB, &err));
	assert_non_null(strstr(err.p, "/dev/null/x"));
	run_sql("DROP TABLE t");
	h = opened(path, DAY, MB);
	buf_truncate(&err, 0);
	assert_null(history_open(path, DAY, MB, &err));
	assert_non_null(strstr(err.p, "locked"));
	history_close(&h);
	assert_int_equal(moved(&found), 0);
	buf_free(&err);
}

/* Nor is a file that never was one. */
static void
test_no_database(void **state)
{
	struct buf err = BUF_INIT(4096);
	struct history *h;
	struct stat st;
	glob_t found;

	(void)state;
	overwrite(0, "x", 5000);
	assert_null(history_open(path, DAY, MB, &err));
	assert_non_null(strstr(err.p, "not a database"));
	assert_non_null(strstr(err.p, "stays as it is"));
	assert_int_equal(moved(&found), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5000);
	/* but where a page was lost there are zeros */
	overwrite(0, "", 5000);
	h = opened(path, DAY, MB);
	history_close(&h);
	assert_int_equal(moved(&found), 1);
	globfree(&found);
	buf_free(&err);
}

/* One that is damaged is moved aside, nothing overwritten, the mode kept. */
static void
test_damaged(void **state)
{
	struct history *h;
	struct stat st;
	glob_t found;
	char bytes[8] = "";
	FILE *f;

	(void)state;
	clock_fake(INT64_C(1706695200123));
	for (size_t i = 1; i <= 3; i++) {
		char text[] = { (char)('a' + i), '\0' };

		damage(text);
		assert_int_equal(chmod(path, 0640), 0);
		h = opened(path, DAY, MB);
		put(h, "4XqA", "a@x", " b@x ", STR("new"));
		expect(h, Q(.from = STR("a@x")), "4XqA|a@x| b@x |new\n");
		history_close(&h);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0640);
		assert_int_equal(moved(&found), i);
		globfree(&found);
	}
	clock_fake(-1);
	assert_int_equal(moved(&found), 3);
	assert_non_null(strstr(found.gl_pathv[0], ".corrupt-20240131-100000"));
	assert_int_equal(stat(found.gl_pathv[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(st.st_size, 5000);
	f = fopen(found.gl_pathv[0], "r");
	assert_int_equal(fseek(f, 16, SEEK_SET), 0);
	assert_non_null(fgets(bytes, sizeof(bytes), f));
	fclose(f);
	assert_memory_equal(bytes, "bbbb", 4);
	globfree(&found);
}

/* Through a link: it stays, what it points to is moved. */
static void
test_damaged_link(void **state)
{
	struct history *h;
	char link[80];
	struct stat st;
	glob_t found;

	(void)state;
	damage("x");
	snprintf(link, sizeof(link), "%s-link", path);
	assert_int_equal(symlink(path, link), 0);
	h = opened(link, DAY, MB);
	put(h, "4XqA", "a@x", " b@x ", STR("new"));
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
	history_close(&h);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(moved(&found), 1);
	globfree(&found);
	h = opened(path, DAY, MB);
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
	history_close(&h);
}

static void
fill_noise(char *text, size_t n)
{
	static uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)('!' + (x >> 24) % 90);
	}
}

/* The file stays within its size, the newest stay in it. */
static void
test_size(void **state)
{
	struct history *h = opened(path, DAY, MB);
	static char noise[20000];
	char id[32];
	struct stat st;
	size_t left;

	(void)state;
	for (int i = 0; i < 600; i++) {
		fill_noise(noise, sizeof(noise));
		snprintf(id, sizeof(id), "Q%d", i);
		put(h, id, "a@x", "", (struct str){ noise, sizeof(noise) });
		if (i % 50 == 49)
			count(h, Q(.queue_id = STR("none")));
	}
	left = count(h, Q(.from = STR("a@x")));
	/* 20,000 bytes each: 52 are a megabyte, and 50 a group. */
	assert_in_range(left, 30, 110);
	assert_int_equal(count(h, Q(.queue_id = STR("Q599"))), 1);
	assert_int_equal(count(h, Q(.queue_id = STR("Q0"))), 0);
	history_close(&h);
	assert_int_equal(stat(path, &st), 0);
	/* No more than one group beyond it. */
	assert_true(st.st_size < 10 * MB);
}

static void
test_age(void **state)
{
	struct history *h;

	(void)state;
	clock_fake(1000 * DAY);
	h = opened(NULL, DAY, MB);
	put(h, "old", "a@x", "", STR("x"));
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
	clock_fake_advance(DAY / 2);
	put(h, "new", "a@x", "", STR("x"));
	clock_fake_advance(DAY / 2 + 61000);
	assert_int_equal(count(h, Q(.queue_id = STR("none"))), 0);
	assert_int_equal(count(h, Q(.queue_id = STR("old"))), 0);
	assert_int_equal(count(h, Q(.queue_id = STR("new"))), 1);
	history_close(&h);
	clock_fake(-1);
}

/* A flood is counted, not kept; nobody waits for it. */
static void
test_flood(void **state)
{
	struct history *h = opened(NULL, DAY, MB);
	int64_t lost = metric_get(METRIC_HISTORY_LOST);
	static char text[2 * HISTORY_RECORD_MAX];
	size_t n = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 2000; i++)
		put(h, "", "a@x", "", (struct str){ text, sizeof(text) });
	n = count(h, Q(.from = STR("a@x")));
	lost = metric_get(METRIC_HISTORY_LOST) - lost;
	assert_true(lost >= 0 && lost < 2000);
	assert_true(n > 0 && n + (size_t)lost <= 2000);
	history_close(&h);
}

/* While it runs: what is put then is in the new file. */
static void
test_damaged_later(void **state)
{
	struct history *h = opened(path, DAY, 64 * MB);
	struct history_query q = { .from = STR("nobody@x"), .max = 1 };
	struct buf out = BUF_INIT(MB), err = BUF_INIT(4096);
	static char noise[20000];
	struct stat st;
	glob_t found;

	(void)state;
	for (int i = 0; i < 150; i++) {
		fill_noise(noise, sizeof(noise));
		put(h, "old", "a@x", "", (struct str){ noise, sizeof(noise) });
	}
	refuse(h, "192.0.2.1", "k", "old");
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 150);
	/* All of it from the log into the file, and out of memory. */
	history_close(&h);
	h = opened(path, DAY, 64 * MB);
	refuse(h, "192.0.2.1", "k", "old");
	assert_int_equal(stat(path, &st), 0);
	overwrite(4096, "x", (size_t)st.st_size - 4096);
	/* Whoever sees it first: this one, or the thread that writes. */
	if (!history_find(h, &q, add, &out, &err))
		assert_non_null(strstr(err.p, "moved aside"));
	assert_int_equal(out.n, 0);
	assert_int_equal(moved(&found), 1);
	globfree(&found);
	put(h, "new", "a@x", "", STR("new"));
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
	/* What it was counted with is gone. */
	refuse(h, "192.0.2.1", "k", "again");
	history_close(&h);
	h = opened(path, DAY, MB);
	expect(h, Q(.from = STR("a@x")), "new|a@x||new\n");
	expect(h, Q(.client = net("192.0.2.1")), "|||again\n");
	history_close(&h);
	buf_free(&out);
	buf_free(&err);
}

/* Mail and refusals each within their part of the size. */
static void
test_share(void **state)
{
	struct history *h = opened(path, DAY, 2 * MB);
	static char noise[4000];
	char client[32];
	size_t left;

	(void)state;
	for (int i = 0; i < 100; i++) {
		fill_noise(noise, sizeof(noise));
		put(h, "mail", "a@x", "", (struct str){ noise, sizeof(noise) });
	}
	for (int i = 0; i < 2000; i++) {
		struct history_record r = { .at_ms = clock_wall_ms(),
			.refused = true,
			.client = str_of(client),
			.key = str_of(client),
			.text = { noise, 2000 } };

		fill_noise(noise, sizeof(noise));
		snprintf(client, sizeof(client), "10.0.%d.%d", i / 250,
		    i % 250);
		r.client = r.key = str_of(client);
		history_put(h, &r);
		if (i % 100 == 99)
			count(h, Q(.queue_id = STR("none")));
	}
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 100);
	/* Half a megabyte of 2,100 bytes each, and what came last. */
	left = count(h, Q(.client = net("10.0.0.0/16")));
	assert_in_range(left, 150, 370);
	assert_int_equal(count(h, Q(.client = net("10.0.7.249"))), 1);
	assert_int_equal(count(h, Q(.client = net("10.0.0.0"))), 0);
	history_close(&h);
}

static bool
add_times(void *arg, const struct history_record *r)
{
	buf_printf(arg, "%.*s %llu %lld\n", STR_FMT(r->text),
	    (unsigned long long)r->times,
	    (long long)(r->until_ms - r->at_ms) / 1000);
	return true;
}

static void
expect_times(struct history *h, const char *client, const char *found)
{
	struct history_query q = { .client = net(client), .max = 10 };
	struct buf out = BUF_INIT(MB), err = BUF_INIT(4096);

	assert_true(history_find(h, &q, add_times, &out, &err));
	assert_string_equal(out.n > 0 ? out.p : "", found);
	buf_free(&out);
}

/* The same within a minute is one row, for an hour at most. */
static void
test_again(void **state)
{
	struct history_query q = { .client = net("192.0.2.1"), .max = 10 };
	struct buf out = BUF_INIT(MB), err = BUF_INIT(4096);
	struct history *h;
	int n[4];

	(void)state;
	clock_fake(1000 * DAY);
	h = opened(path, DAY, MB);
	refuse(h, "192.0.2.1", "k1", "first");
	refuse(h, "192.0.2.1", "k2", "other");
	refuse(h, "2001:db8::1", "k3", "six");
	expect_times(h, "192.0.2.1", "other 1 0\nfirst 1 0\n");
	for (int i = 0; i < 3; i++) {
		clock_fake_advance(50000);
		refuse(h, "192.0.2.1", "k1", "unseen");
	}
	expect_times(h, "192.0.2.1", "first 4 150\nother 1 0\n");
	expect_times(h, "2001:db8::/32", "six 1 0\n");
	expect_times(h, "192.0.2.2", "");
	clock_fake_advance(61000);
	put(h, "", "a@x", "", STR_NONE);
	expect_times(h, "192.0.2.1", "first 4 150\nother 1 0\n");
	refuse(h, "192.0.2.1", "k1", "second");
	expect_times(h, "192.0.2.1", "second 1 0\nfirst 4 150\nother 1 0\n");
	for (int i = 0; i < 80; i++) {
		clock_fake_advance(50000);
		refuse(h, "192.0.2.1", "k1", "third");
		expect_times(h, "192.0.2.2", "");
	}
	history_close(&h);
	h = opened(path, DAY, MB);
	assert_true(history_find(h, &q, add_times, &out, &err));
	assert_int_equal(sscanf(out.p, "third %d %d second %d %d first 4 150",
			     &n[0], &n[1], &n[2], &n[3]),
	    4);
	assert_int_equal(n[0] + n[2], 81);
	assert_in_range(n[3], 3600, 3650);
	buf_free(&out);
	history_close(&h);
	clock_fake(-1);
}

/* So many at once are kept apart, the rest are counted; mail is not hurt. */
static void
test_refused_flood(void **state)
{
	struct history *h = opened(NULL, DAY, 16 * MB);
	int64_t left_out = metric_get(METRIC_HISTORY_LEFT_OUT);
	int64_t lost = metric_get(METRIC_HISTORY_LOST);
	char client[32];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(client, sizeof(client), "10.%d.%d.1", i / 250,
		    i % 250);
		refuse(h, client, client, "x");
		if (i % 100 == 0)
			put(h, "mail", "a@x", "", STR("x"));
	}
	left_out = metric_get(METRIC_HISTORY_LEFT_OUT) - left_out;
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 100);
	assert_int_equal(count(h, Q(.client = net("10.0.0.0/8"))),
	    10000 - left_out);
	assert_in_range(left_out, 10000 - HISTORY_REPEATS, 9999);
	assert_int_equal(metric_get(METRIC_HISTORY_LOST), lost);
	history_close(&h);
}

/* A file of the first version is taken over. */
static void
test_upgrade(void **state)
{
	struct history *h;

	(void)state;
	run_sql("CREATE TABLE message (id INTEGER PRIMARY KEY, "
		"at INTEGER NOT NULL, queue_id TEXT, sender TEXT NOT NULL, "
		"rcpts TEXT NOT NULL, size INTEGER NOT NULL, "
		"record BLOB NOT NULL);"
		"CREATE INDEX message_queue_id ON message (queue_id) "
		"WHERE queue_id IS NOT NULL;"
		"INSERT INTO message VALUES (7, "
		"(strftime('%s') - 60) * 1000, '4XqO', 'o@x', ' r@x ', 0, '');"
		"PRAGMA application_id = 1886614600; PRAGMA user_version = 1;");
	h = opened(path, DAY, MB);
	expect(h, Q(.queue_id = STR("4XqO")), "4XqO|o@x| r@x |\n");
	put(h, "4XqN", "o@x", "", STR("new"));
	refuse(h, "192.0.2.1", "k", "refused");
	expect(h, Q(.from = STR("o@x")), "4XqN|o@x||new\n4XqO|o@x| r@x |\n");
	history_close(&h);
	h = opened(path, DAY, MB);
	expect(h, Q(.client = net("192.0.2.1")), "|||refused\n");
	assert_int_equal(count(h, Q(.from = STR("o@x"))), 2);
	history_close(&h);
}

static void
disk_full(int log)
{
	struct history *h;
	struct rlimit lim, small;
	glob_t found;

	signal(SIGXFSZ, SIG_IGN);
	dup2(log, STDERR_FILENO);
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	h = opened(path, DAY, MB);
	put(h, "a", "a@x", "", STR("x"));
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
	getrlimit(RLIMIT_FSIZE, &lim);
	small = lim;
	small.rlim_cur = 1;
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < 3; i++) {
		put(h, "b", "a@x", "", STR("x"));
		assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
		/* nothing to write is no proof that it could */
		assert_int_equal(count(h, Q(.from = STR("a@x"))), 1);
	}
	setrlimit(RLIMIT_FSIZE, &lim);
	put(h, "c", "a@x", "", STR("x"));
	assert_int_equal(count(h, Q(.from = STR("a@x"))), 2);
	/* This is no damage. */
	assert_int_equal(moved(&found), 0);
	history_close(&h);
}

/* It is said once that the disk is full, and once that it is not. */
static void
test_disk_full(void **state)
{
	char said[8192], *down, *back;
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	if ((pid = fork()) == 0) {
		disk_full(ends[1]);
		_exit(7);
	}
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	n = read(ends[0], said, sizeof(said) - 1);
	close(ends[0]);
	assert_true(n > 0);
	said[n] = '\0';
	down = strstr(said, "state=down");
	back = strstr(said, "state=back");
	assert_true(down != NULL && back > down);
	assert_null(strstr(down + 1, "state=down"));
	assert_null(strstr(back + 1, "state=back"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_file),
		TEST(test_foreign),
		TEST(test_no_database),
		TEST(test_damaged),
		TEST(test_damaged_link),
		TEST(test_damaged_later),
		TEST(test_share),
		TEST(test_again),
		TEST(test_refused_flood),
		TEST(test_upgrade),
		TEST(test_size),
		TEST(test_age),
		TEST(test_flood),
		TEST(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
