#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "score/meta.h"

struct values {
	const struct meta *meta;
	double		 by_letter[26];	/* the value of rule A, B, ... */
};

static double
letter_value(void *arg, size_t i)
{
	const struct values *v = arg;
	struct str name = meta_name(v->meta, i);

	return v->by_letter[name.p[0] - 'A'];
}

/* The value of text where rules A, C and E hit. */
static double
value_of(const char *text)
{
	struct arena *a = arena_new(1 << 20);
	struct buf why = BUF_INIT(1024);
	struct values v = { .by_letter = { 1, 0, 1, 0, 1 } };
	double d;

	v.meta = meta_parse(a, str_of(text), &why);
	assert_non_null(v.meta);
	d = meta_eval(v.meta, letter_value, &v);
	buf_free(&why);
	arena_free(&a);
	return d;
}

static void
test_values(void **state)
{
	(void)state;
	assert_true(value_of("A") == 1);
	assert_true(value_of("A && B") == 0);
	assert_true(value_of("A || B && B") == 1);
	assert_true(value_of("(A || B) && B") == 0);
	assert_true(value_of("!A || !B") == 1);
	assert_true(value_of("!(A || B)") == 0);
	assert_true(value_of("(A + B + C + D + E) > 2") == 1);
	assert_true(value_of("A + C * 2 - 1 == 2") == 1);
	assert_true(value_of("-A + 3 >= 2") == 1);
	assert_true(value_of("6 / 3 / 2 == 1") == 1);
	/* What decides is the value, as in Perl. */
	assert_true(value_of("(A + C) && (A + C + E)") == 3);
	assert_true(value_of("B || (A + C)") == 2);
	assert_true(value_of("A && B || 5") == 5);
	assert_true(value_of("A ? 2 : 3") == 2);
	assert_true(value_of("B ? 2 : D ? 3 : 4") == 4);
	assert_true(value_of("A ? B ? 1 : 2 : 3") == 2);
	assert_true(value_of("A + 1 == 2 ? 7 : 8") == 7);
	assert_true(value_of("6 ^ 3") == 5);
	assert_true(value_of("!A == B") == 1);
	assert_true(value_of("()") == 0);
	assert_true(value_of("A + +C") == 2);
	/* No rule has hit: nothing is divided. */
	assert_true(value_of("A && C / (A - C)") == 0);
	assert_true(value_of("10.5 > 10") == 1);
}

static void
assert_refused(const char *text, const char *reason)
{
	struct arena *a = arena_new(1 << 20);
	struct buf why = BUF_INIT(1024);

	assert_null(meta_parse(a, str_of(text), &why));
	assert_string_equal(why.p, reason);
	buf_free(&why);
	arena_free(&a);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_refused("", "the expression ends too early");
	assert_refused("A &&", "the expression ends too early");
	assert_refused("(A", "a parenthesis is not closed");
	assert_refused("A)", "a parenthesis that was not opened");
	assert_refused("A B", "an operator is missing before \"B\"");
	assert_refused("A / B", "it divides by zero where no rule has hit");
	assert_refused("A ? B", "a ? without its :");
	assert_refused("A : B", "a : without its ?");
	assert_refused("(A ? B) : C", "a ? without its :");
	assert_refused("A && $", "'$' has no meaning in a meta rule");
}

/* A stranger does not write rules, but a long one must not overrun. */
static void
test_deep(void **state)
{
	char text[4096];

	(void)state;
	memset(text, '(', 2000);
	text[2000] = '\0';
	assert_refused(text, "nested too deep");
	memset(text, '!', 2000);
	assert_refused(text, "nested too deep");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
