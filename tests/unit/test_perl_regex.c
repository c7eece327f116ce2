#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "score/perl_regex.h"
#include "score/perl_share.h"

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

static bool
matches(const char *text, struct str subject)
{
	struct buf why = BUF_INIT(1000);
	struct perl_regex re;
	bool hit;

	if (!perl_regex_read(arena, str_of(text), &re, &why))
		fail_msg("%s: %s", text, why.p);
	hit = regex_match(re.regex, subject) == REGEX_YES;
	regex_free(&re.regex);
	buf_free(&why);
	return hit;
}

static void
assert_refused(const char *text, const char *reason)
{
	struct buf why = BUF_INIT(1000);
	struct perl_regex re;

	assert_false(perl_regex_read(arena, str_of(text), &re, &why));
	assert_null(re.regex);
	assert_non_null(why.p);
	assert_string_equal(why.p, reason);
	buf_free(&why);
}

static void
test_delimiters(void **state)
{
	(void)state;
	assert_true(matches("/a.c/", STR("xabcx")));
	assert_false(matches("/a.c/", STR("xABCx")));
	assert_true(matches("/a.c/i", STR("xABCx")));
	assert_true(matches("m{a/b}", STR("a/b")));
	assert_true(matches("m{a{2}}", STR("aa")));
	assert_true(matches("m(a(?:b)c)i", STR("ABC")));
	assert_true(matches("m<xy>", STR("xy")));
	assert_true(matches("m[[a]b]", STR("ab")));
	assert_true(matches("m!^http://!", STR("http://x")));
	assert_true(matches("m,a\\,b,", STR("a,b")));
	assert_true(matches("m;a/b;", STR("a/b")));
	assert_true(matches("m'it'", STR("it")));
	assert_true(matches("qr/a/", STR("a")));
	assert_true(matches("/\\/x\\//", STR("/x/")));
	assert_true(matches("/a$/m", STR("a\nb")));
	assert_true(matches("/a.b/s", STR("a\nb")));
	assert_true(matches("/a b # comment/x", STR("ab")));
}

static void
test_refused(void **state)
{
	(void)state;
	assert_refused("", "a regex is expected");
	assert_refused("abc", "a regex is expected");
	assert_refused("m", "a regex is expected");
	assert_refused("mabca", "a regex is expected");
	assert_refused("/abc", "the regex does not end");
	assert_refused("/abc/i tail", "the regex does not end");
	assert_refused("/a/b/", "the delimiter / stands inside the regex");
	assert_refused("m<x[<>]y>", "the delimiter > stands inside the regex");
	assert_refused("/abc/g", "regex flag 'g' is not known");
	assert_refused("m\\abc\\", "a backslash can't delimit a regex");
	assert_refused("/(?{ 1 })/", "Perl code in a regex is not run");
	assert_refused("/(/", "missing closing parenthesis");
}

/* What Perl and PCRE2 read otherwise. */
static void
test_perl(void **state)
{
	(void)state;
	/* Subjects are octets: a wider character is none of them. */
	assert_false(matches("/\\x{201c}/", STR("\xe2\x80\x9c")));
	assert_true(matches("/[i\\x{456}]t/", STR("it")));
	assert_true(matches("/^[^\\x{456}]$/", STR("\n")));
	assert_false(matches("/[\\x{456}]/", STR("x")));
	assert_true(matches("/^[a-\\x{456}]+$/", STR("z\xff")));
	assert_true(matches("/\\x{e4}/", STR("\xe4")));
	/* Latin-1's letters have cases, ASCII's classes have none of them. */
	assert_true(matches("/\\xe4/i", STR("\xc4")));
	assert_false(matches("/\\xe4/", STR("\xc4")));
	assert_false(matches("/\\xd7/i", STR("\xf7")));
	assert_true(matches("/[\\xc0-\\xc5]/i", STR("\xe2")));
	assert_false(matches("/\\w/", STR("\xe4")));
	assert_true(matches("/^\\W\\S$/", STR("\xe4\xa0")));
	/* Quantifiers of Perl alone. */
	assert_true(matches("/^ab{,2}$/", STR("a")));
	assert_true(matches("/^ab{ 1, 2 }$/", STR("abb")));
	assert_true(matches("/^a{x}$/", STR("a{x}")));
	assert_true(matches("/^[{,2}]+$/", STR("{,}")));
	/* $ and \z, possessive and atomic ones, names. */
	assert_true(matches("/a$/", STR("a\n")));
	assert_false(matches("/a\\z/", STR("a\n")));
	assert_false(matches("/a++ab/", STR("aab")));
	assert_true(matches("/(?<x>.)\\k<x>/", STR("aa")));
	assert_true(matches("/(?:(?<x>a)|(?<x>b))/", STR("b")));
	assert_true(matches("/(?aa)(?i)A/", STR("a")));
	assert_true(matches("/a\\.\\/\\@\\'\\%\\#b/", STR("a./@'%#b")));
}

static bool
one_value(void *arg, struct str name, struct buf *out)
{
	const char *value = arg;

	assert_true(
	    str_eq(name, STR("TAG")) || str_eq(name, STR("HEADER(From:addr)")));
	perl_regex_quote(out, str_of(value));
	return value[0] != '\0';
}

static void
test_templates(void **state)
{
	struct buf why = BUF_INIT(1000);
	struct perl_regex re;
	struct regex *own;

	(void)state;
	assert_true(
	    perl_regex_read(arena, STR("/^www\\.%{TAG}$/i"), &re, &why));
	assert_null(re.regex);
	assert_int_equal(re.ntemplates, 1);
	assert_true(re.bare);
	assert_true(str_eq(re.loose, STR("^www\\.[\\s\\S]*$")));
	own = perl_regex_fill(&re, one_value, (void *)(uintptr_t) "a.b");
	assert_non_null(own);
	assert_int_equal(regex_match(own, STR("WWW.A.B")), REGEX_YES);
	assert_int_equal(regex_match(own, STR("www.axb")), REGEX_NO);
	regex_free(&own);
	assert_null(perl_regex_fill(&re, one_value, (void *)(uintptr_t) ""));
	assert_true(perl_regex_read(arena, STR("/(?:x|%{HEADER(From:addr)})/"),
	    &re, &why));
	assert_int_equal(re.ntemplates, 1);
	assert_false(re.bare);
	assert_null(re.loose.p);
	/* Quoted it is a text like others. */
	assert_true(perl_regex_read(arena, STR("/\\%{TAG}/"), &re, &why));
	assert_int_equal(re.ntemplates, 0);
	assert_false(re.captures);
	regex_free(&re.regex);
	assert_true(perl_regex_read(arena, STR("/(?<NAME>x)/"), &re, &why));
	assert_true(re.captures);
	regex_free(&re.regex);
	assert_int_equal(why.n, 0);
}

/* A pattern that PCRE2 has no room for is shared, and matches as before. */
static void
test_too_large(void **state)
{
	static const char letter[] =
	    "(?:[aA\\@\\xc0\\xc1]|[\\xc3][\\x80-\\x85]|[\\xd0](?:\\x90|\\xb0))";
	struct buf text = BUF_INIT(1 << 20), why = BUF_INIT(1000);
	struct buf shared = BUF_INIT(1 << 20);
	struct perl_regex re;
	int i;

	(void)state;
	buf_adds(&text, "/^x(?:");
	for (i = 0; i < 1500; i++)
		buf_adds(&text, letter);
	buf_adds(&text, "|b");
	for (i = 0; i < 3; i++)
		buf_adds(&text, letter);
	buf_adds(&text, ")$/");
	assert_true(perl_regex_read(arena, buf_str(&text), &re, &why));
	assert_true(re.shared);
	assert_int_equal(regex_match(re.regex, STR("xba@\xc3\x84")), REGEX_YES);
	assert_int_equal(regex_match(re.regex, STR("xba@\xc3\x86")), REGEX_NO);
	regex_free(&re.regex);
	/* Groups count where something refers to them. */
	assert_false(perl_share(STR("(?:aaaaaaaaaaaaaaaaaaaaaaaaa)(?:"
				    "aaaaaaaaaaaaaaaaaaaaaaaaa)"
				    "(b)\\1"),
	    &shared));
	assert_false(perl_share(STR("(?:abc"), &shared));
	buf_free(&shared);
	buf_free(&text);
	buf_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delimiters),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_perl),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
