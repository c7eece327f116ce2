#include "mail/uuencode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
assert_file(struct str *text, const char *name, const char *bytes)
{
	struct buf out = BUF_INIT(1 << 16);
	struct str n;

	assert_true(uuencode_next(text, &n, &out));
	assert_true(str_eq(n, str_of(name)));
	assert_true(str_eq(buf_str(&out), str_of(bytes)));
	buf_free(&out);
}

static void
assert_none(struct str text)
{
	struct buf out = BUF_INIT(1 << 16);
	struct str name;

	assert_false(uuencode_next(&text, &name, &out));
	buf_free(&out);
}

static void
test_files(void **state)
{
	struct str text = STR("Hello\nbegin 644 a b.txt\n"
			      "#0V%T\n`\nend\n\nmore\r\n"
			      "begin 0644 c\r\n&9F]O8F%R\r\n`\r\nend\r\nbye\n");

	(void)state;
	assert_file(&text, "a b.txt", "Cat");
	assert_file(&text, "c", "foobar");
	assert_none(text);
	text = STR("begin 644 first-line\n#0V%T");
	assert_file(&text, "first-line", "Cat");
	assert_int_equal(text.n, 0);
}

static void
test_none(void **state)
{
	(void)state;
	assert_none(STR(""));
	assert_none(STR("begin 644 x\n"));
	assert_none(STR("begin 644 x\nend\n"));
	assert_none(STR("begin 644 x\nhello there\n"));
	assert_none(STR("begin 644\n#0V%T\n"));
	assert_none(STR("begin 64 x\n#0V%T\n"));
	assert_none(STR("begin 99999 x\n#0V%T\n"));
	assert_none(STR("to begin 644 x\n#0V%T\n"));
	assert_none(STR("begin 100 days\nHELLO WORLD\n"));
	assert_none(STR("begin 644 x\n#0V%T0V%T0V%T0V%T\n"));
}

static void
test_odd(void **state)
{
	struct str text = STR("begin 644 x\n#0V%T9\n\x23\0\0\n#9F]O\nend\n");
	struct buf out = BUF_INIT(1 << 16);
	struct str name;

	(void)state;
	/* Up to the first line that is none. */
	assert_true(uuencode_next(&text, &name, &out));
	assert_true(out.n >= 3 && memcmp(out.p, "Cat", 3) == 0);
	buf_truncate(&out, 0);
	/* Another begins in the middle of one. */
	text = STR("begin 644 x\n#0V%T\nbegin 644 y\n#9F]O\n`\nend\n");
	assert_true(uuencode_next(&text, &name, &out));
	assert_true(uuencode_next(&text, &name, &out));
	assert_true(str_eq(name, STR("y")));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
