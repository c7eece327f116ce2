/* Mistakes as they are printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/diag.h"

static void
assert_printed(struct diag *d, const char *expected)
{
	struct buf out = BUF_INIT(100000);

	diag_print(d, &out);
	assert_string_equal(out.p ? out.p : "", expected);
	buf_free(&out);
}

static struct source
source_of(const char *name, const char *text)
{
	return (struct source){ .name = str_of(name), .text = str_of(text) };
}

static struct place
place_at(const struct source *src, unsigned int line, unsigned int col,
    unsigned int len)
{
	return (struct place){ src, line, col, len };
}

static void
test_nothing(void **state)
{
	struct diag *d = diag_new();

	(void)state;
	assert_printed(d, "");
	assert_int_equal(diag_errors(d), 0);
	diag_suggest(d, STR("x"), (const char *[]){ "x" }, 1);
	assert_printed(d, "");
	diag_free(&d);
	assert_null(d);
}

static void
test_order_and_underline(void **state)
{
	struct source src = source_of("a.conf", "one two\nthree\n");
	struct diag *d = diag_new();

	(void)state;
	diag_warn(d, place_at(&src, 2, 1, 5), "second %d", 2);
	diag_error(d, place_at(&src, 1, 5, 3), "first");
	diag_error(d, place_at(&src, 2, 6, 1), "at the end");
	assert_printed(d,
	    "a.conf:1:5: error: first\n    one two\n        ^~~\n"
	    "a.conf:2:1: warning: second 2\n    three\n    ^~~~~\n"
	    "a.conf:2:6: error: at the end\n    three\n         ^\n");
	assert_int_equal(diag_errors(d), 2);
	assert_int_equal(diag_warnings(d), 1);
	diag_free(&d);
}

static void
test_tabs_and_bytes(void **state)
{
	struct source src = source_of("t", "\tx\ty\n\xc3\xa4\xff\x01z\n");
	struct diag *d = diag_new();

	(void)state;
	diag_error(d, place_at(&src, 1, 4, 1), "tab");
	diag_error(d, place_at(&src, 2, 4, 1), "bytes");
	assert_printed(d,
	    "t:1:4: error: tab\n            x       y\n"
	    "                    ^\n"
	    "t:2:4: error: bytes\n    \xc3\xa4??z\n       ^\n");
	diag_free(&d);
}

static void
test_same_told_once(void **state)
{
	struct source src = source_of("t", "x\n");
	struct diag *d = diag_new();

	(void)state;
	diag_error(d, place_at(&src, 1, 1, 1), "it");
	diag_error(d, place_at(&src, 1, 1, 1), "it");
	assert_int_equal(diag_errors(d), 1);
	diag_free(&d);
}

static void
test_whole_file(void **state)
{
	struct source src = source_of("gone.conf", "");
	struct diag *d = diag_new();

	(void)state;
	diag_error(d, place_at(&src, 0, 0, 0), "cannot read it");
	diag_error(d, place_at(NULL, 0, 0, 0), "nowhere");
	assert_printed(d, "gone.conf: error: cannot read it\nerror: nowhere\n");
	diag_free(&d);
}

static void
test_suggestions(void **state)
{
	static const char *const known[] = { "fail", "pass", "softfail" };
	static const struct {
		const char *word, *found;
	} cases[] = { { "fial", "fail" }, { "PASS", "pass" },
		{ "sofftail", "softfail" }, { "colour", NULL }, { "", NULL },
		{ "softfaaail", "softfail" } };
	struct source src = source_of("t", "x\n");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct diag *d = diag_new();
		struct buf out = BUF_INIT(1000);

		diag_error(d, place_at(&src, 1, 1, 1), "no");
		diag_suggest(d, str_of(cases[i].word), known, 3);
		diag_print(d, &out);
		if (cases[i].found == NULL)
			assert_null(strstr(out.p, "mean"));
		else
			assert_non_null(strstr(out.p, cases[i].found));
		buf_free(&out);
		diag_free(&d);
	}
}

static void
test_many_and_long(void **state)
{
	char line[5000];
	struct source src = { .name = STR("t"), .text = { line, 5000 } };
	struct diag *d = diag_new();
	struct buf out = BUF_INIT(1000000);

	(void)state;
	memset(line, 'x', sizeof(line));
	for (unsigned int i = 0; i < 150; i++)
		diag_error(d, place_at(&src, 1, 30 * i + 1, 20), "no %u", i);
	assert_int_equal(diag_errors(d), 150);
	diag_print(d, &out);
	assert_non_null(strstr(out.p, "... and 50 more errors\n"));
	assert_null(strstr(out.p, "no 100\n"));
	assert_true(out.n < 100 * 400);
	buf_free(&out);
	diag_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_order_and_underline),
		cmocka_unit_test(test_tabs_and_bytes),
		cmocka_unit_test(test_same_told_once),
		cmocka_unit_test(test_whole_file),
		cmocka_unit_test(test_suggestions),
		cmocka_unit_test(test_many_and_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
