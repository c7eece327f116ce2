/* PCRE2 behind its door. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "score/regex.h"

static struct regex *
compile(const char *pattern, const char *flags)
{
	struct buf err = BUF_INIT(1000);
	size_t at;
	struct regex *re = regex_new(str_of(pattern), str_of(flags), &err, &at);

	if (re == NULL)
		print_message("%s: %s at %zu\n", pattern, err.p, at);
	buf_free(&err);
	assert_non_null(re);
	return re;
}

static enum regex_answer
match(const char *pattern, const char *flags, struct str subject)
{
	struct regex *re = compile(pattern, flags);
	enum regex_answer answer = regex_match(re, subject);

	regex_free(&re);
	assert_null(re);
	return answer;
}

static void
test_flags(void **state)
{
	(void)state;
	assert_int_equal(match("abc", "", STR("xABCx")), REGEX_NO);
	assert_int_equal(match("abc", "i", STR("xABCx")), REGEX_YES);
	assert_int_equal(match("^b", "", STR("a\nb")), REGEX_NO);
	assert_int_equal(match("^b", "m", STR("a\nb")), REGEX_YES);
	assert_int_equal(match("a.b", "", STR("a\nb")), REGEX_NO);
	assert_int_equal(match("a.b", "s", STR("a\nb")), REGEX_YES);
	assert_int_equal(match("a b # c", "x", STR("ab")), REGEX_YES);
	assert_int_equal(match("^.$", "", STR("\xc3\xa4")), REGEX_NO);
	assert_int_equal(match("^.$", "u", STR("\xc3\xa4")), REGEX_YES);
	assert_int_equal(match("\xc3\xa4", "iu", STR("\xc3\x84")), REGEX_YES);
}

static void
test_odd_subjects(void **state)
{
	(void)state;
	assert_int_equal(match("^$", "", STR_NONE), REGEX_YES);
	assert_int_equal(match("b", "", STR("a\0b")), REGEX_YES);
	assert_int_equal(match("b", "u", STR("\xff\xfe b \xc3")), REGEX_YES);
	assert_int_equal(match("b", "u", STR("\xff\xfe \xc3")), REGEX_NO);
}

static void
test_mistakes(void **state)
{
	static const struct {
		const char *pattern, *flags;
		size_t at;
	} cases[] = { { "a(b", "", 3 }, { "ab*+?(", "", 5 }, { "[a", "", 2 },
		{ "(*UTF)a", "", 6 }, { "\\C", "", 2 }, { "a", "q", 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf err = BUF_INIT(1000);
		size_t at = 99;

		assert_null(regex_new(str_of(cases[i].pattern),
		    str_of(cases[i].flags), &err, &at));
		assert_true(err.n > 0);
		assert_in_range(at, cases[i].at > 1 ? cases[i].at - 1 : 0,
		    cases[i].at + 1);
		buf_free(&err);
	}
}

static void
test_groups(void **state)
{
	struct regex *re = compile("(a)(x)?(b+)", "");
	size_t from[5], to[5];

	(void)state;
	assert_int_equal(regex_search(re, STR("--abb"), 0, from, to, 5),
	    REGEX_YES);
	assert_int_equal(from[0], 2);
	assert_int_equal(to[0], 5);
	assert_int_equal(to[2], 0);
	assert_int_equal(from[3], 3);
	assert_int_equal(to[3], 5);
	assert_int_equal(to[4], 0);
	assert_int_equal(regex_search(re, STR("--abb"), 3, from, to, 5),
	    REGEX_NO);
	assert_int_equal(regex_search(re, STR("--abb"), 9, from, to, 5),
	    REGEX_NO);
	regex_free(&re);
}

/* What takes exponential time meets a limit and says so. */
static void
test_limit(void **state)
{
	char subject[64];

	(void)state;
	memset(subject, 'a', sizeof(subject));
	assert_int_equal(match("^(a+)+$", "", (struct str){ subject, 20 }),
	    REGEX_YES);
	subject[40] = 'b';
	assert_int_equal(match("^((a|a)+)+$", "", (struct str){ subject, 41 }),
	    REGEX_LIMIT);
	assert_int_equal(match("(*NO_JIT)^((a|a)+)+$", "",
			     (struct str){ subject, 41 }),
	    REGEX_LIMIT);
}

/* Patterns that read all that follows from each place, which no count of tries
 * bounds; and the same answers about a long subject as about a short one. */
static void
test_long_subject(void **state)
{
	static const char *const slow[] = { "\\bx(?=[^yz]*[yz])",
		"(x[^yz]*){2}[yz]", "(?=x)x\\s?[^yz]*[yz]" };
	struct buf b = BUF_INIT(2 << 20);
	size_t i, from[2], to[2];
	struct regex *re;
	int64_t began;

	(void)state;
	for (i = 0; i < 100000; i++)
		buf_adds(&b, "xx xxx x\n");
	for (i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		began = clock_thread_us();
		assert_int_equal(match(slow[i], "", buf_str(&b)), REGEX_LIMIT);
		assert_true(
		    clock_thread_us() - began < 5 * REGEX_MAX_MS * 1000);
	}
	buf_adds(&b, "needle in hay\n");
	re = compile("^NEED(le)", "im");
	assert_int_equal(regex_search(re, buf_str(&b), 7, from, to, 2),
	    REGEX_YES);
	assert_int_equal(from[0], 900000);
	assert_int_equal(to[1], 900006);
	assert_int_equal(regex_search(re, buf_str(&b), 900001, from, to, 2),
	    REGEX_NO);
	regex_free(&re);
	buf_free(&b);
}

/* Recursion deeper than the JIT stack is an answer, not a crash. */
static void
test_deep(void **state)
{
	size_t n = 1000000;
	char *subject = malloc(n);
	enum regex_answer answer;

	(void)state;
	memset(subject, '(', n);
	answer = match("^(\\((?1)*\\))+$", "", (struct str){ subject, n });
	assert_true(answer == REGEX_LIMIT || answer == REGEX_NO);
	free(subject);
}

static void *
search_many(void *re)
{
	char text[64];

	for (int i = 0; i < 2000; i++) {
		size_t from[2], to[2];

		memset(text, 'x', sizeof(text));
		text[i % 50] = 'a';
		if (regex_search(re, (struct str){ text, 64 }, 0, from, to,
			2) != REGEX_YES ||
		    from[0] != (size_t)(i % 50))
			return re;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct regex *re = compile("(a)", "");
	pthread_t threads[4];
	void *failed;

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, search_many, re);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	regex_free(&re);
}

/* Letters alone are looked for without PCRE2: with it they say the same. */
static void
test_plain(void **state)
{
	static const char *const plain[] = { "e", "ab", "aba", "0b" };
	static const char *const other[] = { "[e]", "a[b]", "[a]ba", "0[b]" };
	char text[64];
	size_t from[2], to[2], want_from[2], want_to[2], i, n, start;
	unsigned int seed = 7;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct regex *a = compile(plain[i], "u");
		struct regex *b = compile(other[i], "u");
		int hits = 0;

		for (int round = 0; round < 3000; round++) {
			for (n = 0; n < sizeof(text); n++)
				text[n] = "ab0eA\xc3\n\0"[rand_r(&seed) % 8];
			n = (size_t)rand_r(&seed) % (sizeof(text) + 1);
			start = (size_t)rand_r(&seed) % (sizeof(text) + 2);
			struct str s = { text, n };
			enum regex_answer got =
			    regex_search(a, s, start, from, to, 2);

			assert_int_equal(got,
			    regex_search(b, s, start, want_from, want_to, 2));
			if (got != REGEX_YES)
				continue;
			hits++;
			assert_memory_equal(from, want_from, sizeof(from));
			assert_memory_equal(to, want_to, sizeof(to));
		}
		assert_in_range(hits, 30, 2900);
		assert_int_equal(regex_match(a, STR_NONE), REGEX_NO);
		regex_free(&a);
		regex_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_odd_subjects),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_long_subject),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
