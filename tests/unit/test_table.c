/* What is in a table, and how a file is reread. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "policy/table.h"
#include "slack.h"

static char path[] = "/tmp/test_table.XXXXXX";

static void
put(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static bool
has_text(const struct table *t, enum value_kind kind, const char *text)
{
	struct value v = { .kind = kind, .text = str_of(text) };

	return table_has(t, &v);
}

static bool
has_addr(const struct table *t, const char *text)
{
	struct value v = { .kind = VALUE_ADDR };

	assert_true(addr_parse(str_of(text), &v.addr));
	return table_has(t, &v);
}

static void
add(struct table *t, const char *entry)
{
	struct buf why = BUF_INIT(1000);

	if (!table_add(t, str_of(entry), &why))
		fail_msg("%s: %s", entry, why.p);
	buf_free(&why);
}

static void
test_addresses(void **state)
{
	struct table *t = table_new(STR("a"));

	(void)state;
	add(t, "192.0.2.0/24");
	add(t, "10.1.2.3");
	add(t, "10.0.0.0/8");
	add(t, "2001:db8::/32");
	add(t, "::1");
	for (int sealed = 0; sealed < 2; sealed++) {
		assert_true(has_addr(t, "192.0.2.77"));
		assert_false(has_addr(t, "192.0.3.1"));
		assert_true(has_addr(t, "10.1.2.3"));
		assert_true(has_addr(t, "10.255.0.1"));
		assert_true(has_addr(t, "::ffff:10.0.0.1"));
		assert_true(has_addr(t, "2001:db8:ffff::1"));
		assert_false(has_addr(t, "2001:db9::1"));
		assert_true(has_addr(t, "::1"));
		assert_false(has_addr(t, "::2"));
		table_seal(t);
	}
	assert_int_equal(table_count(t), 5);
	assert_true(has_text(t, VALUE_TEXT, "192.0.2.1"));
	table_free(&t);
	assert_null(t);
}

static void
test_words(void **state)
{
	struct table *t = table_new(STR("w"));

	(void)state;
	add(t, "Alice");
	add(t, "bob@Example.org");
	add(t, "@example.net");
	add(t, ".example.com");
	assert_true(has_text(t, VALUE_TEXT, "aLICE"));
	assert_false(has_text(t, VALUE_TEXT, "alice2"));
	assert_true(has_text(t, VALUE_MAILBOX, "BOB@example.ORG"));
	assert_false(has_text(t, VALUE_MAILBOX, "eve@example.org"));
	assert_true(has_text(t, VALUE_MAILBOX, "eve@example.net"));
	assert_false(has_text(t, VALUE_MAILBOX, "eve@sub.example.net"));
	assert_false(has_text(t, VALUE_TEXT, "example.net"));
	assert_true(has_text(t, VALUE_TEXT, "example.com"));
	assert_true(has_text(t, VALUE_TEXT, "a.b.example.com"));
	assert_true(has_text(t, VALUE_MAILBOX, "x@a.example.com"));
	assert_false(has_text(t, VALUE_TEXT, "notexample.com"));
	assert_false(has_text(t, VALUE_TEXT, ""));
	assert_false(has_text(t, VALUE_TEXT, "@"));
	assert_false(has_addr(t, "192.0.2.1"));
	table_free(&t);
}

static void
test_patterns_and_lists(void **state)
{
	struct table *t = table_new(STR("p"));
	struct str items[] = { STR("a.txt"), STR("b.EXE") };
	struct value v = { .kind = VALUE_LIST, .items = items, .nitems = 2 };

	(void)state;
	add(t, "/\\.exe$/i");
	assert_true(table_has(t, &v));
	v.nitems = 1;
	assert_false(table_has(t, &v));
	v = (struct value){ .kind = VALUE_TEXT,
		.absent = true,
		.text = STR("x.exe") };
	assert_false(table_has(t, &v));
	table_free(&t);
}

static void
test_bad_entries(void **state)
{
	static const char *const bad[] = { "", "192.0.2.300", "192.0.2.1/24",
		"10.0.0.0/33", "2001:db8::/129", "2001:db8::g", "/a(/", "/a",
		"/a/q", "1.2.3.4/" };
	struct table *t = table_new(STR("b"));
	struct buf why = BUF_INIT(100000);
	char *long_entry = malloc(2000);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t before = why.n;

		if (table_add(t, str_of(bad[i]), &why))
			fail_msg("%s was taken", bad[i]);
		assert_true(why.n > before);
	}
	memset(long_entry, 'x', 2000);
	assert_false(table_add(t, (struct str){ long_entry, 2000 }, &why));
	assert_false(has_text(t, VALUE_TEXT, "x"));
	assert_int_equal(table_count(t), 0);
	add(t, "application/pdf");
	add(t, "cafe");
	add(t, "1.2.3");
	free(long_entry);
	buf_free(&why);
	table_free(&t);
}

static void
test_hostile_lookups(void **state)
{
	size_t n = 200000;
	char *text = malloc(n + 1);
	struct table *t = table_new(STR("h"));

	(void)state;
	add(t, ".example.org");
	memset(text, '.', n);
	text[n] = '\0';
	assert_false(has_text(t, VALUE_TEXT, text));
	text[900] = '\0';
	assert_false(has_text(t, VALUE_TEXT, text));
	memset(text, '@', 900);
	assert_false(has_text(t, VALUE_MAILBOX, text));
	free(text);
	table_free(&t);
}

static struct table *
load(struct diag *diag, bool good)
{
	struct table *t = table_new(STR("f"));

	assert_int_equal(table_load(t, str_of(path),
			     (struct place){ .line = 0 }, diag),
	    good);
	return t;
}

static void
test_file(void **state)
{
	struct diag *diag = diag_new();
	struct arena *a = arena_new(1 << 16);
	struct table *t;
	struct str value;

	(void)state;
	put("# comment\n\nalice 500\r\n192.0.2.0/24   net one # not cut\n"
	    "/^a b/i value of regex\nbob # a comment\nno-newline");
	t = load(diag, true);
	assert_int_equal(table_count(t), 5);
	assert_true(table_lookup(t, STR("ALICE"), a, &value));
	assert_true(str_eq(value, STR("500")));
	assert_true(table_lookup(t, STR("192.0.2.9"), a, &value));
	assert_true(str_starts(value, STR("net one")));
	assert_true(table_lookup(t, STR("A bc"), a, &value));
	assert_true(str_eq(value, STR("value of regex")));
	assert_true(table_lookup(t, STR("bob"), a, &value));
	assert_int_equal(value.n, 0);
	assert_true(table_lookup(t, STR("no-newline"), a, &value));
	assert_false(table_lookup(t, STR("carol"), a, &value));
	table_free(&t);
	arena_free(&a);
	diag_free(&diag);
}

static void
test_bad_file(void **state)
{
	struct diag *diag = diag_new();
	struct buf out = BUF_INIT(10000);
	struct table *t;

	(void)state;
	put("fine\n  192.0.2.300 x\n/a(b/\n");
	t = load(diag, false);
	assert_int_equal(diag_errors(diag), 2);
	diag_print(diag, &out);
	assert_non_null(strstr(out.p, ":2:3: error: not an IP address\n"));
	assert_non_null(strstr(out.p, ":3:5: error: "));
	assert_int_equal(table_count(t), 0);
	table_free(&t);
	buf_free(&out);
	diag_free(&diag);
}

/* The file as it is on disk decides, looked at once a second. */
static void
test_refresh(void **state)
{
	struct diag *diag = diag_new();
	struct table *t;

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	clock_fake(1000000000000);
	put("one\n");
	t = load(diag, true);
	put("one\ntwo two\n");
	table_refresh(t);
	assert_false(has_text(t, VALUE_TEXT, "two"));
	clock_fake_advance(1100);
	table_refresh(t);
	assert_true(has_text(t, VALUE_TEXT, "two"));
	put("192.0.2.300\n");
	clock_fake_advance(1100);
	table_refresh(t);
	assert_true(has_text(t, VALUE_TEXT, "two"));
	assert_int_equal(unlink(path), 0);
	clock_fake_advance(1100);
	table_refresh(t);
	clock_fake_advance(1100);
	table_refresh(t);
	assert_true(has_text(t, VALUE_TEXT, "two"));
	put("three\n");
	clock_fake_advance(1100);
	table_refresh(t);
	assert_true(has_text(t, VALUE_TEXT, "three"));
	assert_false(has_text(t, VALUE_TEXT, "two"));
	clock_fake(-1);
	table_free(&t);
	diag_free(&diag);
}

static void *
look_many(void *table)
{
	for (int i = 0; i < 2000; i++)
		if (!has_text(table, VALUE_TEXT, "always"))
			return table;
	return NULL;
}

/* Readers see the old set or the new one, whole. */
static void
test_threads(void **state)
{
	struct diag *diag = diag_new();
	pthread_t threads[3];
	struct table *t;
	void *failed;

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	clock_fake(1000000000000);
	put("always\n");
	t = load(diag, true);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, look_many, t);
	for (int i = 0; i < 50; i++) {
		put(i % 2 ? "always\n" : "one\nalways\n");
		clock_fake_advance(1100);
		table_refresh(t);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	clock_fake(-1);
	table_free(&t);
	diag_free(&diag);
}

static void
test_large_file(void **state)
{
	struct diag *diag = diag_new();
	struct table *t;
	FILE *f = fopen(path, "w");
	int64_t start;

	(void)state;
	for (int i = 0; i < 200000; i++)
		fprintf(f, "user%d@example.org\n10.%d.%d.%d\n", i, i >> 16,
		    i >> 8 & 255, i & 255);
	assert_int_equal(fclose(f), 0);
	start = clock_mono_ms();
	t = load(diag, true);
	assert_int_equal(table_count(t), 400000);
	assert_true(has_text(t, VALUE_MAILBOX, "user199999@example.org"));
	assert_true(has_addr(t, "10.3.13.63"));
	assert_false(has_addr(t, "10.4.0.0"));
	assert_true(clock_mono_ms() - start < slack(5000));
	table_free(&t);
	diag_free(&diag);
}

/* Lines that the log has from now on until count_lines(). */
static FILE *
catch_log(int *old)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	*old = dup(STDERR_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	log_open(LOG_TO_STDERR, LOG_LEVEL_WARN);
	return f;
}

static unsigned int
count_lines(FILE *f, int old)
{
	unsigned int n = 0;
	int c;

	dup2(old, STDERR_FILENO);
	close(old);
	rewind(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

/* What is there and can't be opened is told of once, not every second. */
static void
test_unopenable(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct diag *diag = diag_new();
	int old, sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct table *t;
	FILE *f;

	(void)state;
	clock_fake(1000000000000);
	put("one\n");
	t = load(diag, true);
	unlink(path);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof(at)), 0);
	f = catch_log(&old);
	for (int i = 0; i < 5; i++) {
		clock_fake_advance(1100);
		table_refresh(t);
	}
	assert_int_equal(count_lines(f, old), 1);
	assert_true(has_text(t, VALUE_TEXT, "one"));
	unlink(path);
	put("two\n");
	clock_fake_advance(1100);
	table_refresh(t);
	assert_true(has_text(t, VALUE_TEXT, "two"));
	clock_fake(-1);
	close(sock);
	table_free(&t);
	diag_free(&diag);
}

/* Written in two halves: the first one alone is never in force. */
static void
test_half_written(void **state)
{
	struct diag *diag = diag_new();
	struct table *t;
	struct stat st;

	(void)state;
	put("one\ntwo\n");
	t = load(diag, true);
	put("one\n");
	assert_int_equal(stat(path, &st), 0);
	clock_fake((int64_t)st.st_mtim.tv_sec * 1000 +
	    st.st_mtim.tv_nsec / 1000000 - 500);
	clock_fake_advance(1000);
	table_refresh(t);
	assert_true(has_text(t, VALUE_TEXT, "two"));
	clock_fake_advance(1000);
	table_refresh(t);
	assert_false(has_text(t, VALUE_TEXT, "two"));
	clock_fake(-1);
	table_free(&t);
	diag_free(&diag);
}

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_patterns_and_lists),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_hostile_lookups),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_unopenable),
		cmocka_unit_test(test_half_written),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_large_file),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
