/* Policy text to tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/lex.h"

struct fixture {
	struct arena	*arena;
	struct diag	*diag;
	struct lex_macros *macros;
	struct source	 source;
	struct lexer	*lex;
};

static void
begin(struct fixture *f, const char *text)
{
	f->arena = arena_new(1 << 24);
	f->diag = diag_new();
	f->macros = lex_macros_new(f->arena);
	f->source = (struct source){ .name = STR("t"), .text = str_of(text) };
	f->lex = lex_new(f->arena, f->macros, &f->source, f->diag);
}

static void
end(struct fixture *f)
{
	lex_macros_free(&f->macros);
	diag_free(&f->diag);
	arena_free(&f->arena);
}

static void
assert_token(struct fixture *f, enum token_kind kind, const char *text)
{
	struct token t = lex_next(f->lex);

	assert_int_equal(t.kind, kind);
	if (text != NULL)
		assert_true(str_eq(t.text, str_of(text)));
}

static void
test_kinds(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "a=b!=c<d<=e>f>=g~h!~i{j}(k),\"l\"\n# no\nclient/24+x");
	assert_token(&f, TOKEN_WORD, "a");
	assert_token(&f, TOKEN_EQ, NULL);
	assert_token(&f, TOKEN_WORD, "b");
	assert_token(&f, TOKEN_NE, NULL);
	assert_token(&f, TOKEN_WORD, "c");
	assert_token(&f, TOKEN_LT, NULL);
	assert_token(&f, TOKEN_WORD, "d");
	assert_token(&f, TOKEN_LE, NULL);
	assert_token(&f, TOKEN_WORD, "e");
	assert_token(&f, TOKEN_GT, NULL);
	assert_token(&f, TOKEN_WORD, "f");
	assert_token(&f, TOKEN_GE, NULL);
	assert_token(&f, TOKEN_WORD, "g");
	assert_token(&f, TOKEN_MATCH, NULL);
	assert_token(&f, TOKEN_WORD, "h");
	assert_token(&f, TOKEN_NOT_MATCH, NULL);
	assert_token(&f, TOKEN_WORD, "i");
	assert_token(&f, TOKEN_LBRACE, NULL);
	assert_token(&f, TOKEN_WORD, "j");
	assert_token(&f, TOKEN_RBRACE, NULL);
	assert_token(&f, TOKEN_LPAREN, NULL);
	assert_token(&f, TOKEN_WORD, "k");
	assert_token(&f, TOKEN_RPAREN, NULL);
	assert_token(&f, TOKEN_COMMA, NULL);
	assert_token(&f, TOKEN_STRING, "l");
	assert_token(&f, TOKEN_NEWLINE, NULL);
	assert_token(&f, TOKEN_NEWLINE, NULL);
	assert_token(&f, TOKEN_WORD, "client/24+x");
	assert_token(&f, TOKEN_END, NULL);
	assert_token(&f, TOKEN_END, NULL);
	assert_int_equal(diag_errors(f.diag), 0);
	end(&f);
}

static void
test_places(void **state)
{
	struct fixture f;
	struct token t;

	(void)state;
	begin(&f, "\xc3\xa4\xc3\xa4 b \\\n  \"c\\\"d\" e");
	lex_next(f.lex);
	t = lex_next(f.lex);
	assert_int_equal(t.place.line, 1);
	assert_int_equal(t.place.col, 4);
	t = lex_next(f.lex);
	assert_int_equal(t.kind, TOKEN_STRING);
	assert_true(str_eq(t.text, STR("c\"d")));
	assert_int_equal(t.place.line, 2);
	assert_int_equal(t.place.col, 3);
	assert_int_equal(t.place.len, 6);
	assert_token(&f, TOKEN_WORD, "e");
	end(&f);
}

static void
test_strings(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "\"a\\n\\t\\\\\" \"\" \"bad \\q\" \"no end\nnext");
	assert_token(&f, TOKEN_STRING, "a\n\t\\");
	assert_token(&f, TOKEN_STRING, "");
	assert_token(&f, TOKEN_STRING, NULL);
	assert_int_equal(diag_errors(f.diag), 1);
	assert_token(&f, TOKEN_BAD, NULL);
	assert_int_equal(diag_errors(f.diag), 2);
	assert_token(&f, TOKEN_NEWLINE, NULL);
	assert_token(&f, TOKEN_WORD, "next");
	end(&f);
	begin(&f, "\"ends in a backslash\\");
	assert_token(&f, TOKEN_BAD, NULL);
	assert_token(&f, TOKEN_END, NULL);
	end(&f);
}

static void
test_regex(void **state)
{
	struct fixture f;
	struct token t;

	(void)state;
	begin(&f, "~ /a b\\/c\"{/im and /x");
	lex_next(f.lex);
	assert_true(lex_at_slash(f.lex));
	t = lex_regex(f.lex);
	assert_int_equal(t.kind, TOKEN_REGEX);
	assert_true(str_eq(t.text, STR("a b\\/c\"{")));
	assert_true(str_eq(t.flags, STR("im")));
	assert_int_equal(t.place.col, 3);
	assert_int_equal(t.place.len, 12);
	t = lex_regex(f.lex);
	assert_int_equal(t.kind, TOKEN_BAD);
	t = lex_regex(f.lex);
	assert_int_equal(t.kind, TOKEN_BAD);
	assert_int_equal(diag_errors(f.diag), 2);
	assert_token(&f, TOKEN_END, NULL);
	end(&f);
}

static void
define(struct fixture *f, const char *name, const struct token *value, size_t n)
{
	struct token t = { .kind = TOKEN_WORD,
		.text = str_of(name),
		.place = { &f->source, 1, 1, 1 } };
	struct place first;

	assert_true(lex_define(f->macros, &t, value, n, &first));
	assert_false(lex_define(f->macros, &t, value, n, &first));
}

static void
test_macros(void **state)
{
	struct token value[2] = { { .kind = TOKEN_WORD, .text = STR("x") },
		{ .kind = TOKEN_COMMA, .text = STR(",") } };
	struct fixture f;
	struct token t;

	(void)state;
	begin(&f, "a $m $m b $nn c");
	define(&f, "m", value, 2);
	define(&f, "unused", value, 1);
	assert_token(&f, TOKEN_WORD, "a");
	t = lex_next(f.lex);
	assert_true(str_eq(t.text, STR("x")));
	assert_int_equal(t.place.col, 3);
	assert_int_equal(t.place.len, 2);
	assert_token(&f, TOKEN_COMMA, NULL);
	assert_token(&f, TOKEN_WORD, "x");
	assert_token(&f, TOKEN_COMMA, NULL);
	assert_token(&f, TOKEN_WORD, "b");
	assert_token(&f, TOKEN_BAD, NULL);
	assert_int_equal(diag_errors(f.diag), 1);
	assert_token(&f, TOKEN_WORD, "c");
	lex_warn_unused(f.macros, f.diag);
	assert_int_equal(diag_warnings(f.diag), 1);
	end(&f);
}

/* Macros of macros can't make a file grow without end. */
static void
test_macro_bomb(void **state)
{
	static struct token value[LEX_MACRO_MAX - 1];
	struct fixture f;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < LEX_MACRO_MAX - 1; i++)
		value[i] =
		    (struct token){ .kind = TOKEN_WORD, .text = STR("x") };
	begin(&f,
	    "$m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m "
	    "$m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m $m");
	define(&f, "m", value, LEX_MACRO_MAX - 1);
	f.source.text = STR("");
	for (int round = 0; round < 10; round++) {
		struct lexer *l;
		struct source again = { .name = STR("t"),
			.text = STR("$m $m $m $m $m $m $m $m $m $m $m $m $m "
				    "$m $m $m $m $m $m $m $m $m $m $m $m "
				    "$m") };

		l = lex_new(f.arena, f.macros, &again, f.diag);
		while (lex_next(l).kind != TOKEN_END)
			n++;
	}
	assert_true(n <= LEX_MACROS_MAX + 300);
	assert_true(diag_errors(f.diag) > 0);
	end(&f);
}

static void
test_skip(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "a { b\n c { \"no end\n } $undefined } d\nnext }");
	lex_next(f.lex);
	lex_skip_statement(f.lex);
	assert_int_equal(diag_errors(f.diag), 0);
	assert_token(&f, TOKEN_NEWLINE, NULL);
	assert_token(&f, TOKEN_WORD, "next");
	lex_skip_statement(f.lex);
	assert_token(&f, TOKEN_RBRACE, NULL);
	end(&f);
}

static void
test_plain_text(void **state)
{
	static const struct {
		struct str text;
		bool plain;
	} cases[] = { { STR("a\tb\r\n\xc3\xa4 \xf0\x9f\x98\x80"), true },
		{ STR("a\0b"), false }, { STR("a\x1b"), false },
		{ STR("a\x7f"), false }, { STR("caf\xe9\n"), false },
		{ STR("\xc0\x80"), false }, { STR("\xed\xa0\x80"), false },
		{ STR("\xf4\x90\x80\x80"), false }, { STR("\xc3"), false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct source src = { .name = STR("t"), .text = cases[i].text };
		struct diag *d = diag_new();

		assert_int_equal(lex_check_text(&src, d), cases[i].plain);
		assert_int_equal(diag_errors(d), !cases[i].plain);
		diag_free(&d);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_regex),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macro_bomb),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_plain_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
