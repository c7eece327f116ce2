#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "random_regex.h"
#include "score/automaton.h"
#include "score/regex.h"

static struct automaton *
automaton_of(const char *const patterns[], size_t n)
{
	struct automaton_regex regex[AUTOMATON_REGEXES];
	size_t i;

	for (i = 0; i < n; i++)
		regex[i] =
		    (struct automaton_regex){ str_of(patterns[i]), STR("i") };
	return automaton_new(regex, n);
}

static void
assert_may(struct automaton *a, struct str text, uint32_t want)
{
	struct automaton_ask ask = { .automaton = a, .text = text };

	automaton_ask(&ask, 1);
	assert_false(ask.gave_up);
	assert_int_equal(ask.may, want);
	assert_int_equal(automaton_may(a, text), want != 0);
}

/* --- which of several --------------------------------------------------- */

static void
test_several(void **state)
{
	static const char *const patterns[] = { "ab+c", "\\bx.*y\\b", "^q",
		"abbc|ye" };
	struct automaton *a = automaton_of(patterns, 4);

	(void)state;
	assert_non_null(a);
	assert_may(a, STR(""), 0);
	assert_may(a, STR("ab c, xy2, y q"), 2);
	assert_may(a, STR("zABBBC"), 1);
	assert_may(a, STR("abbc"), 1 | 8);
	assert_may(a, STR("-\nquabbc xyyey"), 1 | 2 | 4 | 8);
	assert_may(a, STR("zx y z"), 0);
	assert_may(a, (struct str){ "a\0bc\0\xff", 6 }, 0);
	automaton_free(&a);
	assert_null(a);
	automaton_free(&a);
}

/* What can't be told of one is told of the others. */
static void
test_some_say_nothing(void **state)
{
	static const char *const patterns[] = { "a?", "bc", "(?<!x)(?1)(y",
		"de" };
	static const char *const nothing[] = { "a*", "$" };
	struct automaton *a = automaton_of(patterns, 4);

	(void)state;
	assert_non_null(a);
	assert_may(a, STR("xxxx"), 1 | 4);
	assert_may(a, STR("xxdexx"), 1 | 4 | 8);
	assert_may(a, STR("bcde"), 1 | 2 | 4 | 8);
	automaton_free(&a);
	assert_null(automaton_of(nothing, 2));
}

/* Wherever it stands in texts of any length, many at a time. */
static void
test_everywhere(void **state)
{
	static const char *const patterns[] = { "ne[ed]{2}le", "never" };
	struct automaton *a = automaton_of(patterns, 2);
	struct automaton_ask ask[100];
	char text[100];
	size_t at, i;

	(void)state;
	memset(text, 'n', sizeof(text));
	for (at = 0; at + 6 <= sizeof(text); at++) {
		memcpy(text + at, "needle", 6);
		for (i = 0; i < 100; i++)
			ask[i] = (struct automaton_ask){ .automaton = a,
				.text = { text, i } };
		automaton_ask(ask, 100);
		for (i = 0; i < 100; i++)
			assert_int_equal(ask[i].may, i >= at + 6);
		memset(text + at, 'n', 6);
	}
	automaton_free(&a);
}

/* --- against PCRE2 ------------------------------------------------------ */

#define UNITED	  6
#define TEXTS	  20
#define TEXT_SIZE 40

struct united {
	struct automaton_regex regex[UNITED];
	struct buf pattern[UNITED];
	struct regex *pcre[UNITED];
	struct automaton *single[UNITED], *all;
	char text[TEXTS][TEXT_SIZE];
	struct automaton_ask ask[TEXTS * (UNITED + 1)];
};

static void
united_make(struct united *u)
{
	struct buf err = BUF_INIT(4096);
	size_t i, at;

	for (i = 0; i < UNITED; i++) {
		u->pattern[i] = (struct buf)BUF_INIT(4096);
		do {
			buf_truncate(&u->pattern[i], 0);
			buf_truncate(&err, 0);
			random_pattern(&u->pattern[i], &few_letters, 2);
			u->pcre[i] = regex_new(buf_str(&u->pattern[i]),
			    STR("imo"), &err, &at);
		} while (u->pcre[i] == NULL);
		u->regex[i] = (struct automaton_regex){ buf_str(&u->pattern[i]),
			STR("imo") };
		u->single[i] = automaton_new(&u->regex[i], 1);
	}
	u->all = automaton_new(u->regex, UNITED);
	for (i = 0; i < TEXTS; i++)
		random_text(u->text[i], TEXT_SIZE);
	buf_free(&err);
}

static void
united_free(struct united *u)
{
	size_t i;

	for (i = 0; i < UNITED; i++) {
		automaton_free(&u->single[i]);
		regex_free(&u->pcre[i]);
		buf_free(&u->pattern[i]);
	}
	automaton_free(&u->all);
}

/* All automata, one at least, of all texts at a time. */
static void
united_ask(struct united *u, struct str text[TEXTS])
{
	size_t i, k, n = 0;

	for (i = 0; i < TEXTS; i++) {
		text[i] = (struct str){ u->text[i], pick(TEXT_SIZE + 1) };
		u->ask[n++] = (struct automaton_ask){ .automaton = u->all,
			.text = text[i] };
		for (k = 0; k < UNITED; k++)
			u->ask[n++] =
			    (struct automaton_ask){ .automaton =
							u->single[k] != NULL ?
					u->single[k] :
					u->all,
				    .text = text[i] };
	}
	automaton_ask(u->ask, n);
}

/* No match is missed, and one of all says what each says. */
static void
united_check(const struct united *u, const struct str text[TEXTS],
    unsigned int *hits, unsigned int *misses)
{
	const struct automaton_ask *ask = u->ask;
	size_t i, k;
	bool may;

	for (i = 0; i < TEXTS; i++, ask += UNITED + 1)
		for (k = 0; k < UNITED; k++) {
			assert_false(ask[0].gave_up);
			may = ask[0].may >> k & 1;
			if (may !=
			    (u->single[k] == NULL || ask[1 + k].may != 0))
				fail_msg("/%.*s/ together: %d",
				    STR_FMT(u->regex[k].pattern), may);
			if (regex_match(u->pcre[k], text[i]) == REGEX_YES) {
				(*hits)++;
				if (!may)
					fail_msg("/%.*s/ matches \"%.*s\"",
					    STR_FMT(u->regex[k].pattern),
					    STR_FMT(text[i]));
			}
			*misses += !may;
		}
}

static void
test_never_misses(void **state)
{
	static struct united u;
	struct str text[TEXTS];
	unsigned int i, hits = 0, misses = 0;

	(void)state;
	for (i = 0; i < 400; i++) {
		united_make(&u);
		if (u.all != NULL) {
			united_ask(&u, text);
			united_check(&u, text, &hits, &misses);
		}
		united_free(&u);
	}
	assert_true(hits > 10000);
	assert_true(misses > 10000);
}

/* --- too many states ---------------------------------------------------- */

/* More than an automaton may have. */
static const char *const many[] = { "[vx].{12}z", "x[vxq]{3,9}zj", "vz.*qq" };

static void
random_letters(char *text, size_t n, uint32_t *s)
{
	size_t i;

	for (i = 0; i < n; i++) {
		*s = *s * 1664525 + 1013904223;
		text[i] = "vvxxqzj "[(*s >> 12) % 8];
	}
}

/* One text may ask for so many and no more; the next begins anew. */
static void
test_gives_up(void **state)
{
	struct automaton *a = automaton_of(many, 3);
	static char text[200000];
	struct automaton_ask ask = { .automaton = a,
		.text = { text, sizeof(text) } };
	uint32_t s = 1;
	int i;

	(void)state;
	random_letters(text, sizeof(text), &s);
	memset(text, 'v', 100);
	for (i = 0; i < (int)sizeof(text); i++)
		if (text[i] == 'z')
			text[i] = 'v';
	for (i = 0; i < 20; i++) {
		automaton_ask(&ask, 1);
		assert_int_equal(ask.may, 7);
		assert_may(a, STR("no such thing"), 0);
		assert_may(a, STR("x vz 90123456zqq"), 1 | 4);
		if (ask.gave_up)
			break;
	}
	assert_true(ask.gave_up);
	assert_true(automaton_forgotten(a) <= 20);
	automaton_free(&a);
}

/* --- many threads ------------------------------------------------------- */

#define ASKERS 4
#define ASKED  5

struct asker {
	pthread_t thread;
	struct automaton *a;
	struct regex *regex[3];
	uint32_t seed;
	unsigned int hits, missed, ruled_out;
};

static void
asker_ask(struct asker *k)
{
	struct automaton_ask ask[ASKED];
	char text[ASKED][48];
	unsigned int i, j;
	bool hit, may;

	for (i = 0; i < ASKED; i++) {
		random_letters(text[i], sizeof(text[i]), &k->seed);
		ask[i] = (struct automaton_ask){ .automaton = k->a,
			.text = { text[i], sizeof(text[i]) } };
	}
	automaton_ask(ask, ASKED);
	for (i = 0; i < ASKED; i++)
		for (j = 0; j < 3; j++) {
			hit =
			    regex_match(k->regex[j], ask[i].text) == REGEX_YES;
			may = ask[i].may >> j & 1;
			k->hits += hit;
			k->missed += hit && !may;
			k->ruled_out += !hit && !may;
		}
}

static void *
asker_main(void *arg)
{
	unsigned int i;

	for (i = 0; i < 800; i++)
		asker_ask(arg);
	return NULL;
}

/* States are forgotten while others read them. */
static void
test_shared(void **state)
{
	struct asker k[ASKERS] = { { .hits = 0 } };
	struct automaton *a = automaton_of(many, 3);
	struct buf err = BUF_INIT(4096);
	struct regex *regex[3];
	size_t i, at;

	(void)state;
	for (i = 0; i < 3; i++) {
		regex[i] = regex_new(str_of(many[i]), STR("i"), &err, &at);
		assert_non_null(regex[i]);
	}
	for (i = 0; i < ASKERS; i++) {
		k[i].a = a;
		memcpy(k[i].regex, regex, sizeof(regex));
		k[i].seed = (uint32_t)i;
		pthread_create(&k[i].thread, NULL, asker_main, &k[i]);
	}
	for (i = 0; i < ASKERS; i++) {
		pthread_join(k[i].thread, NULL);
		assert_int_equal(k[i].missed, 0);
		assert_true(k[i].hits > 1000);
		assert_true(k[i].ruled_out > 1000);
	}
	assert_true(automaton_forgotten(a) > 3);
	for (i = 0; i < 3; i++)
		regex_free(&regex[i]);
	automaton_free(&a);
	buf_free(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_some_say_nothing),
		cmocka_unit_test(test_everywhere),
		cmocka_unit_test(test_never_misses),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
