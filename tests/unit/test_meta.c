#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "score/meta.h"
#include "score/meta_need.h"
#include "score/meta_range.h"

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

/* --- ranges ------------------------------------------------------------- */

static uint32_t seed = 3;

static unsigned int
pick(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void
random_text(struct buf *out, unsigned int depth)
{
	static const char *const operators[] = { "&&", "||", "&&", "||", "+",
		"-", "*", "/", "^", "<", "<=", ">", ">=", "==", "!=", "?" };
	const char *op = operators[pick(16)];

	if (pick(5) == 0)
		buf_addc(out, pick(2) == 0 ? '!' : '-');
	if (depth == 0 || pick(4) == 0) {
		buf_addc(out,
		    (char)(pick(4) == 0 ? '0' + pick(4) : 'A' + pick(3)));
		return;
	}
	buf_addc(out, '(');
	random_text(out, depth - 1);
	buf_adds(out, op);
	random_text(out, depth - 1);
	if (*op == '?') {
		buf_addc(out, ':');
		random_text(out, depth - 1);
	}
	buf_addc(out, ')');
}

/* A is known, whoever else hits is not. */
static void
letter_range(void *arg, uint32_t letter, struct meta_range *out)
{
	(void)arg;
	*out =
	    (struct meta_range){ .high = 2, .cost = 5 - letter, .ask = letter };
}

static struct meta_range
range_of_values(const struct values *v)
{
	static const unsigned char open[26] = { 0, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	uint32_t letters[META_DEPTH];
	size_t i;

	for (i = 0; meta_name(v->meta, i).p != NULL; i++)
		letters[i] = (uint32_t)(meta_name(v->meta, i).p[0] - 'A');
	return meta_range(v->meta,
	    &(struct meta_facts){ letters, open, v->by_letter, letter_range,
		NULL });
}

/* Whatever they turn out to be, the value is in the range. */
static bool
check_range(struct values *v, struct str text)
{
	struct meta_range r = range_of_values(v);
	double value;
	int i;

	for (i = 0; i < 9; i++) {
		v->by_letter[1] = i % 3;
		v->by_letter[2] = i / 3;
		value = meta_eval(v->meta, letter_value, v);
		if (value < 0)
			value = 1;
		if (value < r.low || value > r.high)
			fail_msg("%.*s with %g %d %d is %g, not %g to %g",
			    STR_FMT(text), v->by_letter[0], i % 3, i / 3, value,
			    r.low, r.high);
	}
	if (r.ask == META_ASK_NONE)
		assert_true(r.low == r.high);
	else
		assert_true(r.ask == 1 || r.ask == 2);
	return r.ask == META_ASK_NONE;
}

static void
test_ranges(void **state)
{
	struct buf text = BUF_INIT(4096), why = BUF_INIT(4096);
	struct arena *a = arena_new(64 << 20);
	unsigned int i, known = 0, open = 0;
	struct values v;

	(void)state;
	for (i = 0; i < 20000; i++) {
		buf_truncate(&text, 0);
		buf_truncate(&why, 0);
		random_text(&text, 3);
		arena_reset(a);
		v = (struct values){ .by_letter = { pick(3) } };
		v.meta = meta_parse(a, buf_str(&text), &why);
		if (v.meta == NULL)
			continue;
		if (check_range(&v, buf_str(&text)))
			known++;
		else
			open++;
	}
	assert_true(known > 2000);
	assert_true(open > 2000);
	buf_free(&text);
	buf_free(&why);
	arena_free(&a);
}

static struct meta_range
range_of(const char *text, double a_hits)
{
	struct arena *a = arena_new(1 << 20);
	struct buf why = BUF_INIT(1024);
	struct values v = { .by_letter = { a_hits } };
	struct meta_range r;

	v.meta = meta_parse(a, str_of(text), &why);
	assert_non_null(v.meta);
	r = range_of_values(&v);
	buf_free(&why);
	arena_free(&a);
	return r;
}

static void
test_asks(void **state)
{
	(void)state;
	assert_true(range_of("A && B", 0).ask == META_ASK_NONE);
	assert_true(range_of("B && A", 0).ask == META_ASK_NONE);
	assert_true(range_of("B && A", 1).ask == 1);
	assert_true(range_of("!A && B", 1).ask == META_ASK_NONE);
	assert_true(range_of("(A || B) && C", 1).ask == 2);
	assert_true(range_of("B + C > 4", 1).ask == META_ASK_NONE);
	assert_true(range_of("B + C > 3", 1).ask == 2);
}

/* --- needs --------------------------------------------------------------- */

/* Is one of the sides as it has to be? */
static bool
need_met(const struct values *v, const struct meta_need *need)
{
	bool hit, met = false;
	size_t i;

	for (i = 0; meta_name(v->meta, i).p != NULL; i++) {
		hit = v->by_letter[meta_name(v->meta, i).p[0] - 'A'] != 0;
		met |= hit && (need->hit >> i & 1) != 0;
		met |= !hit && (need->miss >> i & 1) != 0;
	}
	return met;
}

static bool
needs_met(const struct values *v, const struct meta_needs *needs)
{
	size_t i;

	for (i = 0; i < needs->count; i++)
		if (!need_met(v, &needs->need[i]))
			return false;
	return true;
}

/* Where a need is not met, the meta is 0.  How often that settled it? */
static unsigned int
check_needs(struct values *v, const struct meta_needs *needs, struct str text)
{
	unsigned int settled = 0;
	int i;

	for (i = 0; i < 27; i++) {
		v->by_letter[0] = i % 3;
		v->by_letter[1] = i / 3 % 3;
		v->by_letter[2] = i / 9;
		if (needs_met(v, needs))
			continue;
		settled++;
		if (meta_eval(v->meta, letter_value, v) != 0)
			fail_msg("%.*s with %d %d %d is not 0", STR_FMT(text),
			    i % 3, i / 3 % 3, i / 9);
	}
	return settled;
}

static void
test_needs(void **state)
{
	struct buf text = BUF_INIT(4096), why = BUF_INIT(4096);
	struct arena *a = arena_new(64 << 20);
	struct meta_needs needs;
	unsigned int i, settled = 0;
	struct values v = { 0 };

	(void)state;
	for (i = 0; i < 20000; i++) {
		buf_truncate(&text, 0);
		buf_truncate(&why, 0);
		random_text(&text, 4);
		arena_reset(a);
		v.meta = meta_parse(a, buf_str(&text), &why);
		if (v.meta == NULL)
			continue;
		needs = meta_needs(a, v.meta);
		settled += check_needs(&v, &needs, buf_str(&text));
	}
	assert_true(settled > 20000);
	buf_free(&text);
	buf_free(&why);
	arena_free(&a);
}

/* Needs as "AB c": A or B, and that C is 0. */
static void
assert_needs(const char *text, const char *expected)
{
	struct arena *a = arena_new(1 << 20);
	struct buf why = BUF_INIT(1024), got = BUF_INIT(1024);
	const struct meta *m = meta_parse(a, str_of(text), &why);
	struct meta_needs needs;
	size_t i, k;
	char name;

	assert_non_null(m);
	needs = meta_needs(a, m);
	for (i = 0; i < needs.count; i++) {
		buf_adds(&got, i > 0 ? " " : "");
		for (k = 0; meta_name(m, k).p != NULL; k++) {
			name = meta_name(m, k).p[0];
			if (needs.need[i].hit >> k & 1)
				buf_addc(&got, name);
			if (needs.need[i].miss >> k & 1)
				buf_addc(&got, name - 'A' + 'a');
		}
	}
	assert_string_equal(got.p != NULL ? got.p : "", expected);
	buf_free(&why);
	buf_free(&got);
	arena_free(&a);
}

static void
test_needs_of(void **state)
{
	(void)state;
	assert_needs("A", "A");
	assert_needs("!A", "a");
	assert_needs("(A || B) && !C", "AB c");
	assert_needs("A && !(B || C)", "A b c");
	assert_needs("!(A && !B)", "aB");
	assert_needs("A && B || C", "AC BC");
	assert_needs("(A + B + C) > 1", "ABC");
	assert_needs("A > 2 && B * C", "A B C");
	assert_needs("A == 0", "");
	assert_needs("A < 2", "");
	assert_needs("A || !A", "");
	assert_needs("A || 1", "");
	/* 1 where B is 0, but no number where it is not. */
	assert_needs("!(A && B / (A - A)) && C", "C");
}

/* --- all of them --------------------------------------------------------- */

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
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_needs_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
