#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "score/sieve.h"

#define RULES_MAX 20

/* Rules, and the sieve that is made of them. */
struct sample {
	struct score_rule rule[RULES_MAX];
	struct sieve_group *single[RULES_MAX];
	struct sieve *sieve;
	size_t count;
};

static void
sample_make(struct sample *s, const char *const patterns[], size_t n)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	s->sieve = sieve_new();
	for (i = 0; i < n; i++) {
		s->rule[i].pattern = str_of(patterns[i]);
		s->rule[i].re_flags = STR("i");
		s->single[i] = sieve_single(&s->rule[i]);
		sieve_add(s->sieve, s->single[i]);
	}
	sieve_ready(s->sieve);
	s->count = n;
}

static void
sample_free(struct sample *s)
{
	size_t i;

	sieve_free(&s->sieve);
	for (i = 0; i < s->count; i++)
		sieve_single_free(&s->single[i]);
}

/* A bit for each rule that could match in the last of the texts. */
static uint32_t
sample_ask(const struct sample *s, const struct str *text, size_t n)
{
	struct sieve_ask ask[200];
	uint32_t could = 0, bits;
	size_t i, k, asks = 0;

	for (i = 0; i < n; i++)
		for (k = 0; k < s->sieve->count; k++)
			ask[asks++] =
			    (struct sieve_ask){ .group = s->sieve->group[k],
				    .text = &text[i] };
	sieve_ask(ask, asks);
	for (i = 0; i < asks; i++)
		for (bits = ask[i].could;
		     bits != 0 && ask[i].text == &text[n - 1]; bits &= bits - 1)
			could |= 1U << (sieve_rule(ask[i].group,
					    (unsigned int)__builtin_ctz(bits)) -
				     s->rule);
	return could;
}

/* Each rule of each group is told of by its own number. */
static void
test_each_rule(void **state)
{
	static const char *const patterns[] = { "r0-", "r1-", "(?:r2){3}",
		"r3-", "r4-", "(?:r5-?){10}", "(?:r6){2}-", "r7-",
		"(?:r8){7,9}", "r9-", "r10-", "r11-", "(?:r12){3,}" };
	const size_t n = sizeof(patterns) / sizeof(patterns[0]);
	struct str text[3] = { STR("nothing"), STR("r0-r1-r3-r11-") };
	struct sample s;
	size_t i;

	(void)state;
	sample_make(&s, patterns, n);
	assert_true(s.sieve->count > 2);
	assert_true(s.sieve->count < 6);
	assert_int_equal(sample_ask(&s, text, 1), 0);
	assert_int_equal(sample_ask(&s, text, 2), 1 | 2 | 8 | 1 << 11);
	text[2] = STR("r2r2r2 r6r6- r8r8r8r8r8r8r8");
	assert_int_equal(sample_ask(&s, text, 3), 4 | 1 << 6 | 1 << 8);
	for (i = 0; i < n; i++)
		if (str_find(s.rule[i].pattern, STR("{")) < 0) {
			assert_int_equal(sample_ask(&s, &s.rule[i].pattern, 1),
			    1U << i);
			assert_true(sieve_may(s.single[i], s.rule[i].pattern));
			assert_false(sieve_may(s.single[i], text[2]));
		}
	sample_free(&s);
}

/* Rules that have too many states together are asked one by one, and what is
 * said of them stays true. */
static void
test_too_many_states(void **state)
{
	static const char *const patterns[] = { "a.{16}b", "c[a-e]{4,30}d{9}",
		"e.{20}ac", "no", "such" };
	static const struct str last = { "- no abc such", 13 };
	struct sample s;
	char text[20000];
	struct str texts[2] = { { text, sizeof(text) }, last };
	uint32_t seed = 3, could;
	size_t i, k;

	(void)state;
	sample_make(&s, patterns, 5);
	for (i = 0; i < 40; i++) {
		for (k = 0; k < sizeof(text); k++) {
			seed = seed * 1664525 + 1013904223;
			text[k] = "abcde"[(seed >> 12) % 5];
		}
		could = sample_ask(&s, texts, 1);
		assert_int_equal(could & 1, 1);
		/* These two are asked by themselves in the end. */
		assert_int_equal(could & (8 | 16), 0);
		assert_int_equal(sample_ask(&s, texts, 2), 8 | 16);
	}
	sample_free(&s);
}

/* Nothing at all is known of one, and a sieve of no rules is none. */
static void
test_nothing_known(void **state)
{
	static const char *const patterns[] = { "(?1)(x", "abc" };
	const struct str text = STR("zzz");
	struct sample s;

	(void)state;
	sample_make(&s, patterns, 2);
	assert_int_equal(sample_ask(&s, &text, 1), 1);
	assert_true(sieve_may(s.single[0], text));
	assert_false(sieve_may(s.single[1], text));
	sample_free(&s);
	sample_make(&s, patterns, 0);
	assert_int_equal(s.sieve->count, 0);
	sample_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule),
		cmocka_unit_test(test_too_many_states),
		cmocka_unit_test(test_nothing_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
