#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "score/condition.h"

#define SA "Mail::SpamAssassin::"

static const char *const two[] = { "SPF", "MIMEHeader", NULL };

static bool
holds(const struct condition *c, const char *text)
{
	struct buf why = BUF_INIT(1000);
	bool yes;

	if (!condition_eval(c, str_of(text), &yes, &why))
		fail_msg("%s: %s", text, why.p);
	assert_int_equal(why.n, 0);
	buf_free(&why);
	return yes;
}

static void
test_numbers(void **state)
{
	struct condition c = { .local_only = false };

	(void)state;
	assert_true(holds(&c, "1"));
	assert_false(holds(&c, "(0)"));
	assert_true(holds(&c, "(version >= 3.004002)"));
	assert_true(holds(&c, "version == 4.000001"));
	assert_false(holds(&c, "version > 9.99999"));
	assert_true(holds(&c, "!(! version > 0.00000)"));
	assert_true(holds(&c, "perl_version >= 5.010000 && version < 5"));
	assert_true(holds(&c, "0 || 2 > 1 && 1"));
	assert_false(holds(&c, "local_tests_only"));
	c.local_only = true;
	assert_true(holds(&c, "local_tests_only"));
}

static void
test_plugins(void **state)
{
	struct map *loaded = map_new(false);
	struct condition c = { .plugins = two, .loaded = loaded };

	(void)state;
	assert_true(holds(&c, "plugin(" SA "Plugin::SPF)"));
	assert_true(holds(&c, "plugin ( " SA "Plugin::SPF )"));
	assert_false(holds(&c, "plugin(" SA "Plugin::DKIM)"));
	assert_true(holds(&c, "!plugin(" SA "Plugin::DKIM)"));
	map_put(loaded, STR("DKIM"), loaded);
	assert_true(holds(&c, "plugin(" SA "Plugin::DKIM)"));
	c = (struct condition){ .plugins = NULL };
	assert_true(holds(&c, "plugin(" SA "Plugin::BodyEval)"));
	assert_false(holds(&c, "plugin(" SA "Plugin::Bayes)"));
	map_free(&loaded, NULL);
}

static void
test_functions(void **state)
{
	struct map *compat = map_new(false);
	struct condition c = { .plugins = two, .compat = compat };

	(void)state;
	assert_true(holds(&c, "can(" SA "Conf::feature_capture_rules)"));
	assert_false(holds(&c, "can(" SA "Conf::feature_of_tomorrow)"));
	/* Of a plugin that is not here nothing is. */
	assert_true(
	    holds(&c, "can(" SA "Plugin::MIMEHeader::has_tflags_range)"));
	assert_false(holds(&c, "has(" SA "Plugin::DKIM::has_arc)"));
	assert_false(holds(&c, "can(" SA "Conf::compat_x)"));
	map_put(compat, STR("x"), compat);
	assert_true(holds(&c, "can(" SA "Conf::compat_x)"));
	map_free(&compat, NULL);
}

static void
assert_refused(const char *text, const char *reason)
{
	struct condition c = { .local_only = false };
	struct buf why = BUF_INIT(1000);
	bool yes = true;

	assert_false(condition_eval(&c, str_of(text), &yes, &why));
	assert_false(yes);
	assert_non_null(why.p);
	assert_string_equal(why.p, reason);
	buf_free(&why);
}

static void
test_refused(void **state)
{
	static char deep[100000];

	(void)state;
	assert_refused("frobnicate",
	    "`frobnicate' has no meaning in a condition");
	assert_refused("plugin", "a name in parentheses is expected");
	assert_refused("can(" SA "Conf::x",
	    "a name in parentheses is expected");
	assert_refused("", "the expression ends too early");
	assert_refused("system('x')", "`system' has no meaning in a condition");
	memset(deep, '(', sizeof(deep) - 1);
	assert_refused(deep, "the condition is too long");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_plugins),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
