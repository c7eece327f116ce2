#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/field.h"
#include "score/rule.h"

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(8 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct score_rule
parsed(enum rule_kind kind, const char *text)
{
	struct buf why = BUF_INIT(1000);
	struct score_rule r = { .kind = kind };

	if (!rule_parse(arena, &r, str_of(text), &why))
		fail_msg("%s: %s", text, why.p);
	assert_int_equal(why.n, 0);
	return r;
}

static void
assert_refused(enum rule_kind kind, const char *text, const char *reason)
{
	struct buf why = BUF_INIT(1000);
	struct score_rule r = { .kind = kind };

	assert_false(rule_parse(arena, &r, str_of(text), &why));
	rule_free_regexes(&r);
	assert_non_null(why.p);
	assert_string_equal(why.p, reason);
	buf_free(&why);
}

static void
test_header(void **state)
{
	struct score_rule r = parsed(RULE_HEADER, "Subject =~ /x/i");

	(void)state;
	assert_true(str_eq(r.field, STR("Subject")));
	assert_int_equal(r.flags, 0);
	assert_null(r.if_unset.p);
	assert_false(r.negate);
	rule_free_regexes(&r);
	r = parsed(RULE_HEADER, "From:addr:domain!~m{a=~b} [if-unset: no one]");
	assert_true(str_eq(r.field, STR("From")));
	assert_true((r.flags & FIELD_ADDR) && (r.flags & FIELD_DOMAIN));
	assert_true(r.negate);
	assert_true(str_eq(r.if_unset, STR("no one")));
	assert_true(str_eq(r.pattern, STR("a=~b")));
	rule_free_regexes(&r);
	r = parsed(RULE_HEADER, "ALL: =~ /a [if-unset: b]/");
	assert_true(str_eq(r.field, STR("ALL")));
	assert_null(r.if_unset.p);
	rule_free_regexes(&r);
	r = parsed(RULE_HEADER, "exists:X-Mailer");
	assert_true(r.exists);
	assert_true(str_eq(r.field, STR("X-Mailer")));
	assert_null(r.regex);
	r = parsed(RULE_MIMEHEADER, "Content-Type:raw !~ /\\n\\t/");
	assert_int_equal(r.flags, FIELD_RAW);
	rule_free_regexes(&r);
	assert_refused(RULE_HEADER, "", "it says nothing");
	assert_refused(RULE_HEADER, "Subject /x/", "=~ or !~ is expected");
	assert_refused(RULE_HEADER, "=~ /x/", "a header field is expected");
	assert_refused(RULE_HEADER, "Subject:upper =~ /x/",
	    "header form \"Subject:upper\" is not known");
	assert_refused(RULE_MIMEHEADER, "Content-Type:addr =~ /x/",
	    "header form \"Content-Type:addr\" is not known");
	assert_refused(RULE_HEADER, "Subject =~ x", "a regex is expected");
}

static void
test_eval(void **state)
{
	struct score_rule r = parsed(RULE_HEADER, "eval:check()");

	(void)state;
	assert_true(str_eq(r.eval, STR("check")));
	assert_int_equal(r.nargs, 0);
	r = parsed(RULE_BODY, "eval:f('a, b' ,\"it's\", -1.5,undef)");
	assert_int_equal(r.nargs, 4);
	assert_true(str_eq(r.args[0], STR("a, b")));
	assert_true(str_eq(r.args[1], STR("it's")));
	assert_true(str_eq(r.args[2], STR("-1.5")));
	assert_true(str_eq(r.args[3], STR("undef")));
	r = parsed(RULE_HEADER, "rbleval:check_rbl('a')");
	assert_true(str_eq(r.eval, STR("check_rbl")));
	assert_refused(RULE_BODY, "eval:f",
	    "a function and its arguments are "
	    "expected");
	assert_refused(RULE_BODY, "eval:f('a)", "the arguments can't be read");
	assert_refused(RULE_BODY, "eval:f(a b)", "the arguments can't be read");
	assert_refused(RULE_BODY, "eval:(a)",
	    "a function and its arguments are "
	    "expected");
	assert_refused(RULE_URI, "eval:f()", "a regex is expected");
}

static void
test_detail(void **state)
{
	struct score_rule r = parsed(RULE_URI_DETAIL,
	    "domain =~ /^example\\.com$/i text !~ m!a b! type =~ /^a$/");

	(void)state;
	assert_non_null(r.asks[DETAIL_DOMAIN].regex);
	assert_false(r.asks[DETAIL_DOMAIN].negate);
	assert_true(r.asks[DETAIL_TEXT].negate);
	assert_int_equal(regex_match(r.asks[DETAIL_TEXT].regex, STR("a b")),
	    REGEX_YES);
	assert_non_null(r.asks[DETAIL_TYPE].regex);
	assert_null(r.asks[DETAIL_RAW].regex);
	rule_free_regexes(&r);
	assert_refused(RULE_URI_DETAIL, "colour =~ /x/",
	    "a URI has no `colour'");
	assert_refused(RULE_URI_DETAIL, "raw =~ /x/ text",
	    "=~ or !~ is "
	    "expected");
	assert_refused(RULE_URI_DETAIL, "raw =~ /x", "a regex is expected");
}

static struct score_rule
flagged(enum rule_kind kind, const char *tflags)
{
	struct score_rule r = { .kind = kind, .tflags = str_of(tflags) };

	r.first_part = 1;
	r.last_part = RULE_PARTS_MAX;
	rule_read_tflags(&r);
	return r;
}

static void
test_tflags(void **state)
{
	struct score_rule r = flagged(RULE_BODY, "net nice  nosubject");

	(void)state;
	assert_true(r.net && r.nice && r.nosubject);
	assert_int_equal(r.most, 1);
	assert_int_equal(flagged(RULE_BODY, "multiple").most, UINT_MAX);
	assert_int_equal(flagged(RULE_BODY, "multiple maxhits=7").most, 7);
	/* Without multiple maxhits= is of no account, but for mimeheader. */
	assert_int_equal(flagged(RULE_BODY, "maxhits=7").most, 1);
	assert_int_equal(flagged(RULE_MIMEHEADER, "maxhits=7").most, 7);
	assert_int_equal(flagged(RULE_MIMEHEADER, "multiple").most,
	    RULE_HITS_MAX);
	r = flagged(RULE_MIMEHEADER, "range=2-3 concat");
	assert_true(r.concat);
	assert_int_equal(r.first_part, 2);
	assert_int_equal(r.last_part, 3);
	r = flagged(RULE_MIMEHEADER, "range=2");
	assert_int_equal(r.last_part, 2);
	r = flagged(RULE_MIMEHEADER, "range=2-");
	assert_int_equal(r.first_part, 2);
	assert_int_equal(r.last_part, RULE_PARTS_MAX);
	r = flagged(RULE_MIMEHEADER, "range=-10");
	assert_int_equal(r.first_part, 0);
	assert_int_equal(r.last_part, 10);
}

static void
test_names(void **state)
{
	char longest[102];

	(void)state;
	assert_true(rule_name_valid(STR("__A_9z")));
	assert_false(rule_name_valid(STR("")));
	assert_false(rule_name_valid(STR("9A")));
	assert_false(rule_name_valid(STR("A-B")));
	memset(longest, 'A', sizeof(longest));
	assert_true(rule_name_valid((struct str){ longest, 100 }));
	assert_false(rule_name_valid((struct str){ longest, 101 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_eval),
		cmocka_unit_test(test_detail),
		cmocka_unit_test(test_tflags),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
