#include "mail/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

/* Edits as "op name nth value;" */
static void
assert_edits(const struct verdict *v, const char *want)
{
	struct buf got = BUF_INIT(4096);

	for (const struct edit *e = v->edits; e != NULL; e = e->next)
		buf_printf(&got, "%d %.*s %u %.*s;", e->op, STR_FMT(e->name),
		    e->nth, STR_FMT(e->value));
	buf_addstr(&got, STR(""));
	assert_str(buf_str(&got), want);
	buf_free(&got);
}

static void
test_conflicts(void **state)
{
	struct arena *a = arena_new(65536);
	struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_true(verdict_edit(a, &v, EDIT_CHANGE, STR("X"), STR("1"), 1));
	assert_true(verdict_edit(a, &v, EDIT_CHANGE, STR("x"), STR("2"), 1));
	assert_true(verdict_edit(a, &v, EDIT_CHANGE, STR("X"), STR("3"), 2));
	assert_true(verdict_edit(a, &v, EDIT_ADD, STR("X"), STR("4"), 9));
	assert_true(verdict_edit(a, &v, EDIT_ADD, STR("X"), STR("4"), 0));
	assert_true(verdict_edit(a, &v, EDIT_INSERT, STR("Y"), STR("5"), 0));
	assert_edits(&v, "2 X 1 2;2 X 2 3;0 X 0 4;0 X 0 4;1 Y 0 5;");
	assert_true(verdict_edit(a, &v, EDIT_REMOVE, STR("X"), STR("z"), 2));
	assert_true(verdict_edit(a, &v, EDIT_REMOVE, STR("X"), STR_NONE, 2));
	assert_true(verdict_edit(a, &v, EDIT_CHANGE, STR("X"), STR("6"), 2));
	assert_true(verdict_edit(a, &v, EDIT_REMOVE, STR("Z"), STR_NONE, 1));
	assert_edits(&v, "2 X 1 2;3 X 2 ;0 X 0 4;0 X 0 4;1 Y 0 5;3 Z 1 ;");
	arena_free(&a);
}

static void
value(struct str in, const char *want)
{
	struct arena *a = arena_new(65536);
	struct verdict v;

	verdict_init(&v);
	assert_true(verdict_edit(a, &v, EDIT_ADD, STR("X"), in, 0));
	assert_str(v.edits->value, want);
	arena_free(&a);
}

static void
test_values(void **state)
{
	struct arena *a = arena_new(65536), *full = arena_new(16);
	struct verdict v;

	(void)state;
	value(STR("a\nb"), "a\n\tb");
	value(STR("a\r\nb\r\n"), "a\n\tb");
	value(STR("a\n b\n\tc"), "a\n b\n\tc");
	value(STR("a\n\nEvil: x"), "a\n\tEvil: x");
	value(STR("a\n \nb"), "a\n\tb");
	value(STR("a\n\r \0\n\r\0 b"), "a\n b");
	value(STR("a\0b\rc"), "abc");
	value(STR("a\n\n \r"), "a");
	value(STR("\na"), "\n\ta");
	value(STR(""), "");
	verdict_init(&v);
	assert_true(verdict_edit(a, &v, EDIT_ADD, STR("X: y\nZ"), STR("v"), 0));
	assert_str(v.edits->name, "XyZ");
	assert_true(verdict_edit(a, &v, EDIT_ADD, STR(": \n"), STR("v"), 0));
	assert_null(v.edits->next);
	/* a field received is found under the name it came with */
	assert_true(verdict_edit(a, &v, EDIT_REMOVE, STR("X "), STR_NONE, 1));
	assert_str(v.edits->next->name, "X ");
	verdict_init(&v);
	assert_false(verdict_edit(full, &v, EDIT_ADD, STR("Name"),
	    STR("a long value"), 0));
	assert_null(v.edits);
	arena_free(&full);
	arena_free(&a);
}

static void
test_inherit(void **state)
{
	struct arena *a = arena_new(65536), *b = arena_new(65536);
	struct arena *full = arena_new(1);
	struct verdict from, to;

	(void)state;
	verdict_init(&from);
	assert_true(verdict_tag(a, &from, STR("Slow")));
	assert_true(verdict_tag(a, &from, STR("slow")));
	assert_null(from.tags->next);
	assert_true(verdict_edit(a, &from, EDIT_ADD, STR("X"), STR("1"), 0));
	from.score = 2.5;
	from.quarantine = STR("why");
	from.action = ACTION_QUARANTINE;
	from.rule = STR("f:1");
	verdict_init(&to);
	assert_true(verdict_inherit(b, &to, &from));
	arena_free(&a);
	assert_true(verdict_has_tag(&to, STR("SLOW")));
	assert_false(verdict_has_tag(&to, STR("slo")));
	assert_edits(&to, "0 X 0 1;");
	assert_true(to.score == 2.5);
	assert_str(to.quarantine, "why");
	assert_str(to.rule, "f:1");
	assert_int_equal(to.action, ACTION_QUARANTINE);
	from = to;
	from.action = ACTION_ACCEPT;
	verdict_init(&to);
	assert_true(verdict_inherit(b, &to, &from));
	assert_int_equal(to.action, ACTION_NONE);
	verdict_init(&to);
	assert_false(verdict_inherit(full, &to, &from));
	arena_free(&full);
	arena_free(&b);
}

static void
reply(enum action action, const char *text, bool agrees, int code,
    const char *enhanced, const char *want)
{
	struct arena *a = arena_new(65536);
	struct reply r;

	assert_int_equal(reply_make(a, action, str_of(text), &r), agrees);
	assert_int_equal(r.code, code);
	assert_string_equal(r.enhanced, enhanced);
	assert_str(r.text, want);
	arena_free(&a);
}

static void
test_reply(void **state)
{
	(void)state;
	reply(ACTION_REJECT, "no", true, 550, "5.7.1", "no");
	reply(ACTION_TEMPFAIL, "later", true, 451, "4.7.1", "later");
	reply(ACTION_REJECT, "554 5.7.26 no", true, 554, "5.7.26", "no");
	reply(ACTION_REJECT, "554 no", true, 554, "5.7.1", "no");
	reply(ACTION_REJECT, "5.1.8 no", true, 550, "5.1.8", "no");
	reply(ACTION_TEMPFAIL, "421 4.3.2", true, 421, "4.3.2",
	    "try again later");
	reply(ACTION_REJECT, "", true, 550, "5.7.1", "refused by policy");
	/* what contradicts the action is told, and never sent */
	reply(ACTION_REJECT, "450 no", false, 550, "5.7.1", "450 no");
	reply(ACTION_TEMPFAIL, "550 5.7.1 no", false, 451, "4.7.1",
	    "550 5.7.1 no");
	reply(ACTION_REJECT, "550 4.7.1 no", false, 550, "5.7.1",
	    "550 4.7.1 no");
	/* numbers that are no codes */
	reply(ACTION_REJECT, "5500 no", true, 550, "5.7.1", "5500 no");
	reply(ACTION_REJECT, "200 messages", true, 550, "5.7.1",
	    "200 messages");
	reply(ACTION_REJECT, "590 x", true, 550, "5.7.1", "590 x");
	reply(ACTION_REJECT, "5.7 x", true, 550, "5.7.1", "5.7 x");
	reply(ACTION_REJECT, "5.1234.1 x", true, 550, "5.7.1", "5.1234.1 x");
	reply(ACTION_REJECT, "5.7.1.2 x", true, 550, "5.7.1", "5.7.1.2 x");
	/* no reply is sent, the text remains */
	reply(ACTION_DISCARD, "550 x", true, 0, "", "550 x");
	reply(ACTION_REJECT, "a\r\n\001b\tc\x7f\n\xc3\xbc", true, 550, "5.7.1",
	    "a\nb c\n\xc3\xbc");
}

static void
test_reply_size(void **state)
{
	struct arena *a = arena_new(1 << 20), *full = arena_new(4);
	struct buf b = BUF_INIT(1 << 20);
	struct str line, rest;
	struct reply r;
	int lines = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		for (int j = 0; j < 600; j++)
			buf_adds(&b, "\xc3\xbc");
		buf_addc(&b, '\n');
	}
	assert_true(reply_make(a, ACTION_REJECT, buf_str(&b), &r));
	rest = r.text;
	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		assert_int_equal(line.n, 900);
		lines++;
	}
	assert_int_equal(lines, 32);
	buf_truncate(&b, 0);
	for (int j = 0; j < 400; j++)
		buf_adds(&b, "\xe2\x82\xacx");
	assert_true(reply_make(a, ACTION_REJECT, buf_str(&b), &r));
	assert_true(r.text.n <= 900 && r.text.n >= 897);
	assert_true((r.text.p[r.text.n] & 0xc0) != 0x80);
	assert_false(reply_make(full, ACTION_REJECT, buf_str(&b), &r));
	arena_free(&full);
	arena_free(&a);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_inherit),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_reply_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
