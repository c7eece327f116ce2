#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "score/literal.h"
#include "score/regex.h"
#include "random_regex.h"

/* The sets of a pattern as "a|b & c", in their order. */
static void
assert_literals(const char *pattern, const char *flags, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct buf got = BUF_INIT(65536);
	const struct tree *t;
	struct literals l;
	size_t i, j;

	if ((t = tree_of(a, str_of(pattern), str_of(flags))) == NULL ||
	    !literal_sets(a, t, &l))
		l.count = 0;
	for (i = 0; i < l.count; i++) {
		if (i > 0)
			buf_adds(&got, " & ");
		for (j = 0; j < l.set[i].count; j++) {
			if (j > 0)
				buf_addc(&got, '|');
			buf_addstr(&got, l.set[i].text[j]);
		}
	}
	assert_string_equal(got.n > 0 ? got.p : "", want);
	buf_free(&got);
	arena_free(&a);
}

static void
test_plain(void **state)
{
	(void)state;
	assert_literals("viagra", "", "viagra");
	assert_literals("Cheap PILLS", "i", "cheap pills");
	assert_literals("\\bfoo\\.bar$", "", "foo.bar");
	assert_literals("a\\x62c\\x{64}e", "", "abcde");
	assert_literals("abc.*defg", "", "defg & abc");
	assert_literals("ab", "", "");
	assert_literals("", "", "");
}

static void
test_classes(void **state)
{
	(void)state;
	assert_literals("v[i1]agra", "", "v1agra|viagra");
	assert_literals("v[I1]agra", "", "v1agra|viagra");
	assert_literals("abc[^d]efg", "", "abc & efg");
	assert_literals("abc[a-z]efg", "", "abc & efg");
	assert_literals("abc[]]efg", "", "abc]efg");
	assert_literals("abc[[:alpha:]]efg", "", "abc & efg");
	assert_literals("abc[\\d_]efg", "", "abc & efg");
	assert_literals("abc[-x]efg", "", "abc-efg|abcxefg");
	assert_literals("abc\\defg", "", "abc & efg");
	assert_literals("abc\\sdef", "", "abc def");
	assert_literals("abc[ \\t]def", "", "abc def");
	assert_literals("abc\\s+def", "", "abc  &  def");
	assert_literals("\\s\\s\\s", "", "");
	assert_literals("abc[^\\x00-wz-\\xff]d", "", "abcxd|abcyd");
	assert_literals("abc[A\\xc4]z", "o", "abcaz|abc\xc4z|abc\xe4z");
}

static void
test_nul(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct literals l;

	(void)state;
	assert_true(literal_sets(a, tree_of(a, STR("abc\\x00d"), STR("")), &l));
	assert_int_equal(l.count, 1);
	assert_int_equal(l.set[0].count, 1);
	assert_true(str_eq(l.set[0].text[0], STR("abc\0d")));
	arena_free(&a);
}

static void
test_repeats(void **state)
{
	(void)state;
	assert_literals("colou?red", "", "coloured|colored");
	assert_literals("abc(?:def)*ghi", "", "abc & ghi");
	assert_literals("abco+def", "", "abco & odef");
	assert_literals("abc(?:xyz){2}q", "", "abcxyzxyzq");
	assert_literals("abcx{2,9}def", "", "abcxx & xdef");
	assert_literals("abc{0}def", "", "abcdef|abdef");
	assert_literals("abc{x}def", "", "abc{x}def");
	assert_literals("abc.{0,5}?def", "", "abc & def");
}

static void
test_groups(void **state)
{
	(void)state;
	assert_literals("(?:cat|dog)s", "", "cats|dogs");
	assert_literals("(?:catfish|dog).*s", "", "catfish|dog");
	assert_literals("(?:cat.+|dog.+)s", "", "cat|dog");
	assert_literals("(?:cat|.+)abc", "", "abc");
	assert_literals("abc(?=xyz)def", "", "abcdef");
	assert_literals("abc(?!xyz)def", "", "abcdef");
	assert_literals("(?<!abc)def", "", "def");
	assert_literals("(?i)ABC", "", "abc");
	assert_literals("(?i:AB)CD", "", "abcd");
	assert_literals("(?<name>abc)\\k<name>def", "", "abc & def");
	assert_literals("(abc)\\1def", "", "abc & def");
	assert_literals("cat|dog", "", "cat|dog");
	assert_literals("cat|do", "", "");
	assert_literals("a c # x\n d e", "x", "acde");
	assert_literals("(?x) a c d", "", "acd");
	assert_literals("(?x: a c d) e", "", "acd e");
}

/* The rarest are told, and none that any mail has beside a rarer one. */
static void
test_rarest(void **state)
{
	(void)state;
	assert_literals("quiz.*xylem.*viagra", "", "quiz & viagra");
	assert_literals("viagra.*the", "", "viagra");
	assert_literals("the", "", "the");
	/* Of each branch the rarest, then the next. */
	assert_literals("cat.+fish|dog.+house", "", "fish|house & cat|dog");
	assert_literals("cat.+fish|dog", "", "fish|dog");
	assert_literals("cat.+fish|do", "", "");
	assert_true(literal_odds(STR("our ")) > literal_odds(STR("uro ")));
	assert_true(literal_odds(STR("abc")) > literal_odds(STR("abcd")));
}

/* What is not understood gives nothing. */
static void
test_unknown(void **state)
{
	(void)state;
	assert_literals("abc(?(1)def|ghi)", "", "");
	assert_literals("(*UTF)abc", "", "");
	assert_literals("abc\\Qd\\E", "", "");
	assert_literals("abc(?R)?", "", "");
	assert_literals("abc(?#def)", "", "");
	assert_literals("abc\\012d", "", "abc d");
	assert_literals("abc\\12d", "", "abc");
	assert_literals("abc[\\101]d", "", "abcad");
	assert_literals("abc(def", "", "");
	assert_literals("kelvin", "iu", "");
	assert_literals("abc[[:x]def", "", "");
	assert_literals("abc{,3}", "", "");
}

/* --- against PCRE2 ------------------------------------------------------ */

/* All that Perl has, on three letters. */
static const struct grammar three_letters = {
	.atoms = (const char *const[]){ "a", "b", "c", "ab", "ca", "A", "[ab]",
	    "[^a]", "[a-c]", ".", "\\w", "\\b", "^", "$", "(?=a)", "(?!b)",
	    "\\x61", "[B\\d]", "abc", "cab", "(?i)", "(?x) ", " ", "\\1", "\\s",
	    "[\\tb]", NULL },
	.repeats = (const char *const[]){ "", "", "", "?", "*", "+", "{2}",
	    "{1,3}", "{0,1}", "{2,}", "*?", "++", "{0}", NULL },
	.open = (const char *const[]){ "(", "(?:", "(?>", "(?i:", "(?|", NULL },
	.least = 1,
};

static bool
met(const struct literals *l, struct str text)
{
	size_t i, j;

	for (i = 0; i < l->count; i++) {
		for (j = 0; j < l->set[i].count; j++)
			if (str_find(text, l->set[i].text[j]) >= 0)
				break;
		if (j == l->set[i].count)
			return false;
	}
	return true;
}

static void
test_never_misses(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct buf re = BUF_INIT(4096), err = BUF_INIT(4096);
	unsigned int i, j, known = 0, hits = 0;
	const struct tree *t;
	struct literals l;
	struct regex *x;
	char text[13];
	size_t at;

	(void)state;
	for (i = 0; i < 20000; i++) {
		buf_truncate(&re, 0);
		buf_truncate(&err, 0);
		random_pattern(&re, &three_letters, 2);
		arena_reset(a);
		if ((t = tree_of(a, buf_str(&re), STR("i"))) == NULL ||
		    !literal_sets(a, t, &l) ||
		    (x = regex_new(buf_str(&re), STR("i"), &err, &at)) == NULL)
			continue;
		known++;
		for (j = 0; j < 30; j++) {
			for (at = 0; at < sizeof(text) - 1; at++)
				text[at] = "abcABC a\t\f"[pick(10)];
			text[at] = '\0';
			if (regex_match(x, str_of(text)) != REGEX_YES)
				continue;
			hits++;
			for (at = 0; at < sizeof(text) - 1; at++)
				text[at] = (char)literal_plain(
				    (unsigned char)text[at]);
			if (!met(&l, str_of(text)))
				fail_msg("/%s/ matches \"%s\"", re.p, text);
		}
		regex_free(&x);
	}
	assert_true(known > 1000);
	assert_true(hits > 1000);
	buf_free(&re);
	buf_free(&err);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_rarest),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_never_misses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
