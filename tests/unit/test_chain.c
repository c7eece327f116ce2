#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "score/chain.h"
#include "score/regex.h"

#define LINKS	4
#define TEXT_MAX 90

/* A regex that is a chain and nothing else. */
struct exact {
	char		 pattern[LINKS * 6 + 1];
	struct regex	*regex;
};

static uint32_t seed = 5;

static unsigned int
pick(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Letters so common that all of them are needed. */
static void
exact_make(struct exact *x)
{
	static const char *const between[] = { "", "x*", "[xq]*", "\\W*" };
	struct buf pattern = BUF_INIT(sizeof(x->pattern)), err = BUF_INIT(200);
	size_t i, at;

	for (i = 0; i < LINKS; i++) {
		buf_addc(&pattern, "etaoinsr"[pick(8)]);
		if (i + 1 < LINKS)
			buf_adds(&pattern, between[pick(4)]);
	}
	memcpy(x->pattern, pattern.p, pattern.n);
	x->pattern[pattern.n] = '\0';
	x->regex = regex_new(str_of(x->pattern), STR("i"), &err, &at);
	assert_non_null(x->regex);
	buf_free(&pattern);
	buf_free(&err);
}

static void
mark(void *arg, uint32_t rule)
{
	((bool *)arg)[rule] = true;
}

static size_t
text_make(char *text)
{
	size_t n = pick(TEXT_MAX), i;

	for (i = 0; i < n; i++)
		text[i] = i > 0 && pick(3) == 0 ?
		    text[i - 1] :
		    "etaoinsrETAOINSRxq- "[pick(20)];
	return n;
}

/* So many chains, and texts of any length: each is met where it stands, and
 * only there. */
static unsigned int
check_chains(size_t count, unsigned int texts, bool narrow)
{
	struct arena *a = arena_new(16 << 20);
	struct exact *x = arena_alloc(a, count * sizeof(*x));
	bool *met = arena_alloc(a, count * sizeof(*met));
	struct chains *c = chain_new();
	unsigned int hits = 0;
	char text[TEXT_MAX];
	struct str s;
	size_t i;

	for (i = 0; i < count; i++) {
		exact_make(&x[i]);
		assert_true(chain_add(c,
		    tree_of(a, str_of(x[i].pattern), STR("i")), (uint32_t)i));
	}
	chain_ready(c);
	if (narrow)
		chain_narrow(c);
	while (texts-- > 0) {
		s = (struct str){ text, text_make(text) };
		memset(met, 0, count * sizeof(*met));
		chain_pass(c, s, mark, met);
		for (i = 0; i < count; i++) {
			hits += met[i];
			if (met[i] != (regex_match(x[i].regex, s) == REGEX_YES))
				fail_msg("%zu: /%s/ in \"%.*s\"", count,
				    x[i].pattern, STR_FMT(s));
		}
	}
	for (i = 0; i < count; i++)
		regex_free(&x[i].regex);
	chain_free(&c);
	arena_free(&a);
	return hits;
}

static void
test_met_where_they_stand(void **state)
{
	/* Sixteen of them fill 64 bits: one block of each width, two, three. */
	static const size_t counts[] = { 1, 16, 40, 64, 90, 128, 130, 300 };
	unsigned int hits = 0, texts;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		texts = 100000 / (unsigned int)(counts[i] + 9);
		hits += check_chains(counts[i], texts, false);
		hits += check_chains(counts[i], texts, true);
	}
	assert_true(hits > 3000);
}

/* --- halves of a text --------------------------------------------------- */

static bool
meets(const struct chains *c, struct str text)
{
	bool met = false;

	chain_pass(c, text, mark, &met);
	return met;
}

/* A chain that stays open for long, wherever it stands in the text. */
static void
test_open_across_the_middle(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct chains *c = chain_new();
	char text[400];
	struct str s = { text, sizeof(text) };
	size_t begin, gap;

	(void)state;
	assert_true(chain_add(c, tree_of(a, STR("qx*zx*j"), STR("")), 0));
	chain_ready(c);
	assert_false(meets(c, STR("")));
	assert_false(meets(c, STR("q")));
	for (gap = 1; gap < 190; gap += 7)
		for (begin = 0; begin + 2 * gap < sizeof(text); begin++) {
			memset(text, '.', sizeof(text));
			memset(text + begin, 'x', 2 * gap);
			text[begin] = 'q';
			text[begin + gap] = 'z';
			text[begin + 2 * gap] = 'j';
			assert_true(meets(c, s));
			text[begin + gap / 2 + 1] = '.';
			assert_false(meets(c, s));
		}
	chain_free(&c);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_met_where_they_stand),
		cmocka_unit_test(test_open_across_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
