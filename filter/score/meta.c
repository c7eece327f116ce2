#include <stdlib.h>
#include <string.h>

#include "score/meta.h"

#define META_MAX_OPS	2000

enum op {
	OP_NUMBER,
	OP_NAME,
	OP_NOT,
	OP_NEG,
	OP_MUL,
	OP_DIV,
	OP_ADD,
	OP_SUB,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_EQ,
	OP_NE,
	OP_AND,
	OP_OR,
	OP_PAREN
};

struct step {
	enum op		 op;
	double		 number;
	size_t		 name;
};

struct meta {
	struct step	*steps;
	size_t		 nsteps;
	struct str	*names;
	size_t		 nnames;
};

/* Longer spellings first. */
static const struct {
	const char	*text;
	enum op		 op;
	int		 binds;		/* the higher, the tighter */
} operators[] = {
	{ "&&", OP_AND, 2 },
	{ "||", OP_OR, 1 },
	{ "==", OP_EQ, 3 },
	{ "!=", OP_NE, 3 },
	{ "<=", OP_LE, 4 },
	{ ">=", OP_GE, 4 },
	{ "<", OP_LT, 4 },
	{ ">", OP_GT, 4 },
	{ "+", OP_ADD, 5 },
	{ "-", OP_SUB, 5 },
	{ "*", OP_MUL, 6 },
	{ "/", OP_DIV, 6 },
	/* SpamAssassin's single forms mean the same to a truth value. */
	{ "&", OP_AND, 2 },
	{ "|", OP_OR, 1 },
};

#define NOPERATORS	(sizeof(operators) / sizeof(operators[0]))

/* A shunting yard: operators wait on `stack' until a looser one comes. */
struct yard {
	struct meta	*meta;
	struct {
		enum op op;
		int binds;
	} stack[META_DEPTH];
	size_t		 depth;
	size_t		 values;	/* how many are on the value stack */
	struct buf	*why;
};

static bool
emit(struct yard *y, struct step step)
{
	bool unary = step.op == OP_NOT || step.op == OP_NEG;
	size_t takes = step.op <= OP_NAME ? 0 : unary ? 1 : 2;

	if (y->values < takes || y->meta->nsteps == META_MAX_OPS ||
	    y->values - takes + 1 >= META_DEPTH) {
		buf_adds(y->why,
		    y->values < takes ? "an operator without its operand" :
					"the expression is too long");
		return false;
	}
	y->values += 1 - takes;
	y->meta->steps[y->meta->nsteps++] = step;
	return true;
}

static bool
pop_while(struct yard *y, int binds)
{
	while (y->depth > 0 && y->stack[y->depth - 1].op != OP_PAREN &&
	    y->stack[y->depth - 1].binds >= binds)
		if (!emit(y, (struct step){ .op = y->stack[--y->depth].op }))
			return false;
	return true;
}

static bool
push(struct yard *y, enum op op, int binds)
{
	if (y->depth == META_DEPTH) {
		buf_adds(y->why, "nested too deep");
		return false;
	}
	y->stack[y->depth].op = op;
	y->stack[y->depth++].binds = binds;
	return true;
}

static bool
close_paren(struct yard *y)
{
	if (!pop_while(y, 0))
		return false;
	if (y->depth == 0) {
		buf_adds(y->why, "a parenthesis that was not opened");
		return false;
	}
	y->depth--;
	return true;
}

static bool
name_char(int c)
{
	return chr_alnum(c) || c == '_';
}

static bool
add_name(struct yard *y, struct str name)
{
	size_t i;

	for (i = 0; i < y->meta->nnames; i++)
		if (str_eq(y->meta->names[i], name))
			break;
	if (i == y->meta->nnames)
		y->meta->names[y->meta->nnames++] = name;
	return emit(y, (struct step){ .op = OP_NAME, .name = i });
}

/* A number or a name at *pos. */
static bool
operand(struct yard *y, struct str text, size_t *pos)
{
	size_t start = *pos;
	char number[32];
	size_t n;

	if (chr_digit((unsigned char)text.p[start]) || text.p[start] == '.') {
		while (*pos < text.n &&
		    (chr_digit((unsigned char)text.p[*pos]) ||
			text.p[*pos] == '.'))
			(*pos)++;
		n = *pos - start;
		if (n >= sizeof(number))
			n = sizeof(number) - 1;
		memcpy(number, text.p + start, n);
		number[n] = '\0';
		return emit(y,
		    (struct step){ .op = OP_NUMBER,
			.number = strtod(number, NULL) });
	}
	while (*pos < text.n && name_char((unsigned char)text.p[*pos]))
		(*pos)++;
	if (*pos == start) {
		buf_printf(y->why, "'%c' has no meaning in a meta rule",
		    text.p[start]);
		return false;
	}
	return add_name(y, str_sub(text, start, *pos - start));
}

static bool
binary(struct yard *y, struct str text, size_t *pos)
{
	struct str rest = str_sub(text, *pos, text.n);
	size_t i;

	for (i = 0; i < NOPERATORS; i++)
		if (str_starts(rest, str_of(operators[i].text)))
			break;
	if (i == NOPERATORS) {
		buf_printf(y->why, "an operator is missing before \"%.*s\"",
		    STR_FMT(str_sub(rest, 0, 20)));
		return false;
	}
	*pos += strlen(operators[i].text);
	return pop_while(y, operators[i].binds) &&
	    push(y, operators[i].op, operators[i].binds);
}

/* wants: an operand comes next, not an operator. */
static bool
token(struct yard *y, struct str text, size_t *pos, bool *wants)
{
	char c = text.p[*pos];

	if (*wants && (c == '!' || c == '-')) {
		(*pos)++;
		return push(y, c == '!' ? OP_NOT : OP_NEG, 7);
	}
	if (*wants && c == '(') {
		(*pos)++;
		return push(y, OP_PAREN, 0);
	}
	if (*wants) {
		*wants = false;
		return operand(y, text, pos);
	}
	if (c == ')') {
		(*pos)++;
		return close_paren(y);
	}
	*wants = true;
	return binary(y, text, pos);
}

static bool
parse(struct yard *y, struct str text)
{
	size_t pos = 0;
	bool wants = true;

	while (pos < text.n) {
		if (chr_space((unsigned char)text.p[pos]))
			pos++;
		else if (!token(y, text, &pos, &wants))
			return false;
	}
	if (wants) {
		buf_adds(y->why, "the expression ends too early");
		return false;
	}
	if (!pop_while(y, 0))
		return false;
	if (y->depth > 0)
		buf_adds(y->why, "a parenthesis is not closed");
	return y->depth == 0;
}

struct meta *
meta_parse(struct arena *a, struct str text, struct buf *why)
{
	struct yard y = { .why = why };
	size_t most = text.n < META_MAX_OPS ? text.n + 1 : META_MAX_OPS;

	y.meta = arena_alloc(a, sizeof(*y.meta));
	if (y.meta == NULL)
		return NULL;
	y.meta->steps = arena_alloc(a, META_MAX_OPS * sizeof(struct step));
	y.meta->names = arena_alloc(a, most * sizeof(struct str));
	if (y.meta->steps == NULL || y.meta->names == NULL)
		return NULL;
	return parse(&y, text) ? y.meta : NULL;
}

struct str
meta_name(const struct meta *m, size_t i)
{
	return i < m->nnames ? m->names[i] : STR_NONE;
}

static double
apply(enum op op, double a, double b)
{
	switch (op) {
	case OP_MUL:
		return a * b;
	case OP_DIV:
		return b != 0 ? a / b : 0;
	case OP_ADD:
		return a + b;
	case OP_SUB:
		return a - b;
	case OP_LT:
		return a < b;
	case OP_LE:
		return a <= b;
	case OP_GT:
		return a > b;
	case OP_GE:
		return a >= b;
	case OP_EQ:
		return a == b;
	case OP_NE:
		return a != b;
	case OP_AND:
		return a != 0 && b != 0;
	case OP_OR:
		return a != 0 || b != 0;
	default:
		return 0;
	}
}

double
meta_eval(const struct meta *m, double (*value)(void *, size_t), void *arg)
{
	double stack[META_DEPTH] = { 0 };
	const struct step *s;
	size_t top = 0, i;

	for (i = 0; i < m->nsteps; i++) {
		s = &m->steps[i];
		if (s->op == OP_NUMBER)
			stack[top++] = s->number;
		else if (s->op == OP_NAME)
			stack[top++] = value(arg, s->name);
		else if (s->op == OP_NOT)
			stack[top - 1] = stack[top - 1] == 0;
		else if (s->op == OP_NEG)
			stack[top - 1] = -stack[top - 1];
		else {
			top--;
			stack[top - 1] =
			    apply(s->op, stack[top - 1], stack[top]);
		}
	}
	return stack[0];
}
