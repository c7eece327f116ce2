#include <string.h>

#include "policy/parse.h"

/*
 * or:   and { "or" and }
 * and:  not { "and" not }
 * not:  "not" not | "(" or ")" | test
 */
static struct expr *parse_or(struct parse *);

static struct expr *
expr_new(struct parse *p, enum expr_op op, struct place place)
{
	struct expr *e = parse_alloc(p, sizeof(*e));

	e->op = op;
	e->place = place;
	return e;
}

static bool
is_reserved(const struct token *t)
{
	static const char *const words[] = { "if", "and", "or", "in", "for" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (parse_is_word(t, words[i]))
			return true;
	return false;
}

/* A name behind `listed', `over', `rule', `tag'. */
static struct expr *
test_name(struct parse *p, enum expr_op op, struct place place,
    const char *what)
{
	struct expr *e = expr_new(p, op, place);
	struct token t = lex_next(p->lex);

	if (t.kind != TOKEN_WORD || is_reserved(&t)) {
		parse_expected(p, &t, what);
		return NULL;
	}
	e->name = t.text;
	e->name_place = t.place;
	return e;
}

static struct expr *
test_listed(struct parse *p, struct place place)
{
	return test_name(p, EXPR_LISTED, place, "the name of a dnsbl or uribl");
}

/* over LIMIT [at N%] */
static struct expr *
test_over(struct parse *p, struct place place)
{
	struct expr *e = test_name(p, EXPR_OVER, place, "the name of a limit");
	struct token t;
	uint64_t n;

	if (e == NULL || !parse_is_word(lex_peek(p->lex), "at"))
		return e;
	lex_next(p->lex);
	t = lex_next(p->lex);
	if (t.kind != TOKEN_WORD || t.text.p[t.text.n - 1] != '%' ||
	    !str_u64(str_sub(t.text, 0, t.text.n - 1), &n) || n < 1 ||
	    n > 100) {
		parse_expected(p, &t, "a share from 1% to 100%, such as 80%");
		return NULL;
	}
	e->percent = (unsigned int)n;
	return e;
}

static struct expr *
test_rule(struct parse *p, struct place place)
{
	return test_name(p, EXPR_RULE, place, "the name of a score rule");
}

static struct expr *
test_tag(struct parse *p, struct place place)
{
	return test_name(p, EXPR_TAG, place, "the name of a tag");
}

static struct expr *
test_blocked(struct parse *p, struct place place)
{
	struct expr *e = expr_new(p, EXPR_BLOCKED, place);

	e->name = lex_peek(p->lex)->text;
	e->name_place = lex_peek(p->lex)->place;
	return parse_key(p, &e->key) ? e : NULL;
}

static const struct {
	const char	*word;
	struct expr	*(*fn)(struct parse *, struct place);
} tests[] = {
	{ "listed", test_listed },
	{ "over", test_over },
	{ "rule", test_rule },
	{ "tag", test_tag },
	{ "blocked", test_blocked },
};

#define NTESTS (sizeof(tests) / sizeof(*tests))

/* ("Name") behind a fact, where it is. */
static bool
test_argument(struct parse *p, struct expr *e)
{
	struct token t;

	if (lex_peek(p->lex)->kind != TOKEN_LPAREN)
		return true;
	lex_next(p->lex);
	t = lex_next(p->lex);
	if ((t.kind != TOKEN_STRING && t.kind != TOKEN_WORD) || t.text.n == 0) {
		parse_expected(p, &t, "the name of a header field in quotes");
		return false;
	}
	e->arg = t.text;
	t = lex_next(p->lex);
	if (t.kind != TOKEN_RPAREN) {
		parse_expected(p, &t, "`)'");
		return false;
	}
	return true;
}

static bool
test_in(struct parse *p, struct expr *e)
{
	struct token t;

	e->op = EXPR_IN;
	e->literal_place = lex_peek(p->lex)->place;
	if (lex_peek(p->lex)->kind == TOKEN_LBRACE) {
		bool ok;

		e->table = parse_new_table(p, STR("{...}"));
		p->inside = true;
		ok = parse_entries(p, e->table);
		p->inside = false;
		return ok && !p->unclosed;
	}
	t = lex_next(p->lex);
	if (t.kind != TOKEN_WORD) {
		parse_expected(p, &t, "the name of a table or `{'");
		return false;
	}
	e->literal.text = t.text;	/* the table's name, for resolve.c */
	return true;
}

static bool
test_match(struct parse *p, struct expr *e, bool negate)
{
	struct token t = lex_regex(p->lex);

	e->op = EXPR_MATCH;
	e->negate = negate;
	if (t.kind != TOKEN_REGEX)
		return false;
	e->pattern = t.text;
	e->flags = t.flags;
	e->literal_place = t.place;
	e->regex = parse_regex(p, &t);
	return e->regex != NULL;
}

static bool
test_compare(struct parse *p, struct expr *e, enum cmp cmp)
{
	struct token t = lex_next(p->lex);

	e->op = EXPR_CMP;
	e->cmp = cmp;
	if ((t.kind != TOKEN_WORD && t.kind != TOKEN_STRING) ||
	    is_reserved(&t)) {
		if (t.kind == TOKEN_LT)
			diag_error(p->diag, t.place,
			    "where there is none, write `not %.*s'",
			    STR_FMT(e->name));
		else
			parse_expected(p, &t, "a value to compare with");
		return false;
	}
	e->literal.text = t.text;
	e->literal_place = t.place;
	return true;
}

static struct expr *
expr_not(struct parse *p, struct expr *of)
{
	struct expr *e = expr_new(p, EXPR_NOT, of->place);

	e->left = of;
	return e;
}

/* `lited zen': no fact, and no word that a name may stand behind. */
static struct expr *
unknown_test(struct parse *p, const struct expr *e)
{
	const char *known[NTESTS];

	for (size_t i = 0; i < NTESTS; i++)
		known[i] = tests[i].word;
	diag_error(p->diag, e->name_place, "unknown test `%.*s'",
	    STR_FMT(e->name));
	diag_suggest(p->diag, e->name, known, NTESTS);
	return NULL;
}

static struct expr *
test_fact(struct parse *p, const struct token *name)
{
	static const enum cmp cmps[] = {
		[TOKEN_EQ] = CMP_EQ,
		[TOKEN_NE] = CMP_NE,
		[TOKEN_LT] = CMP_LT,
		[TOKEN_LE] = CMP_LE,
		[TOKEN_GT] = CMP_GT,
		[TOKEN_GE] = CMP_GE,
	};
	struct expr *e = expr_new(p, EXPR_FACT, name->place);
	const struct token *t;
	bool negate;

	e->name = name->text;
	e->name_place = name->place;
	if (!test_argument(p, e))
		return NULL;
	t = lex_peek(p->lex);
	if (t->kind >= TOKEN_EQ && t->kind <= TOKEN_GE)
		return test_compare(p, e, cmps[lex_next(p->lex).kind]) ? e :
									 NULL;
	if (t->kind == TOKEN_MATCH || t->kind == TOKEN_NOT_MATCH) {
		negate = lex_next(p->lex).kind == TOKEN_NOT_MATCH;
		return test_match(p, e, negate) ? e : NULL;
	}
	negate = parse_is_word(t, "not");
	if (negate) {
		lex_next(p->lex);
		t = lex_peek(p->lex);
		if (!parse_is_word(t, "in")) {
			parse_expected(p, t, "`in'");
			return NULL;
		}
	}
	if (!parse_is_word(t, "in"))
		return t->kind == TOKEN_WORD && !is_reserved(t) &&
			fact_find(e->name) == NULL ?
		    unknown_test(p, e) :
		    e;
	lex_next(p->lex);
	if (!test_in(p, e))
		return NULL;
	return negate ? expr_not(p, e) : e;
}

static struct expr *
parse_test(struct parse *p)
{
	struct token t = lex_next(p->lex);

	if (t.kind != TOKEN_WORD || is_reserved(&t)) {
		parse_expected(p, &t, "a condition");
		return NULL;
	}
	if (++p->terms > PARSE_CONDITION_MAX) {
		diag_error(p->diag, t.place,
		    "a condition of more than %d terms; a table holds more",
		    PARSE_CONDITION_MAX);
		return NULL;
	}
	for (size_t i = 0; i < NTESTS; i++)
		if (parse_is_word(&t, tests[i].word))
			return tests[i].fn(p, t.place);
	return test_fact(p, &t);
}

static struct expr *
parse_parens(struct parse *p)
{
	struct token open = lex_next(p->lex), t;
	struct expr *e = parse_or(p);

	if (e == NULL)
		return NULL;
	t = lex_next(p->lex);
	if (t.kind == TOKEN_RPAREN)
		return e;
	if (t.kind == TOKEN_NEWLINE || t.kind == TOKEN_END) {
		lex_unread(p->lex, &t);
		diag_error(p->diag, open.place, "this `(' is never closed");
	} else
		parse_expected(p, &t, "`and', `or' or `)'");
	return NULL;
}

static struct expr *
parse_not(struct parse *p)
{
	const struct token *t = lex_peek(p->lex);
	struct expr *e;

	if (t->kind != TOKEN_LPAREN && !parse_is_word(t, "not"))
		return parse_test(p);
	if (p->nesting == PARSE_NESTING_MAX) {
		diag_error(p->diag, t->place,
		    "a condition is nested deeper than %d", PARSE_NESTING_MAX);
		return NULL;
	}
	p->nesting++;
	if (t->kind == TOKEN_LPAREN)
		e = parse_parens(p);
	else {
		struct place place = lex_next(p->lex).place;

		e = parse_not(p);
		if (e != NULL) {
			e = expr_not(p, e);
			e->place = place;
		}
	}
	p->nesting--;
	return e;
}

static struct expr *
expr_join(struct parse *p, enum expr_op op, struct expr *left,
    struct expr *right)
{
	struct expr *e;

	if (right == NULL)
		return NULL;
	e = expr_new(p, op, left->place);
	e->left = left;
	e->right = right;
	return e;
}

static struct expr *
parse_and(struct parse *p)
{
	struct expr *e = parse_not(p);

	while (e != NULL && parse_is_word(lex_peek(p->lex), "and")) {
		lex_next(p->lex);
		e = expr_join(p, EXPR_AND, e, parse_not(p));
	}
	return e;
}

static struct expr *
parse_or(struct parse *p)
{
	struct expr *e = parse_and(p);

	while (e != NULL && parse_is_word(lex_peek(p->lex), "or")) {
		lex_next(p->lex);
		e = expr_join(p, EXPR_OR, e, parse_and(p));
	}
	return e;
}

struct expr *
parse_condition(struct parse *p)
{
	const struct token *t;
	struct expr *e;

	p->terms = p->nesting = 0;
	e = parse_or(p);
	if (e == NULL)
		return NULL;
	t = lex_peek(p->lex);
	if (t->kind == TOKEN_NEWLINE || t->kind == TOKEN_RBRACE ||
	    t->kind == TOKEN_END)
		return e;
	parse_expected(p, t,
	    t->kind == TOKEN_WORD ? "`and', `or' or the end of the line" :
				    "the end of the line");
	return NULL;
}
