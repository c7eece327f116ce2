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
	static const char *const ends[] = { "", "-wal", "-shm" };
	char name[80];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
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

/* What is no history of ours is not touched. */
static void
test_foreign(void **state)
{
	struct buf err = BUF_INIT(4096);
	char bytes[64] = "", text[] = "this is no database at all, is it\n";
	FILE *f = fopen(path, "w");

	(void)state;
	for (int i = 0; i < 100; i++)
		fputs(text, f);
	fclose(f);
	assert_null(history_open(path, DAY, MB, &err));
	assert_true(err.n > 0);
	f = fopen(path, "r");
	assert_non_null(fgets(bytes, sizeof(bytes), f));
	fclose(f);
	assert_string_equal(bytes, text);
	buf_truncate(&err, 0);
	assert_null(history_open("/dev/null/x", DAY, MB, &err));
	assert_non_null(strstr(err.p, "/dev/null/x"));
	buf_free(&err);
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

static void
disk_full(int log)
{
	struct history *h;
	struct rlimit lim, small;

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
		TEST(test_size),
		TEST(test_age),
		TEST(test_flood),
		TEST(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
