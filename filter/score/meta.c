#include "score/meta.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/meta_step.h"

#define META_MAX_OPS	10000
#define XOR_MAX		1e15

/* Longer spellings first; they bind as Perl's do. */
static const struct {
	const char	*text;
	enum meta_op		 op;
	int		 binds;		/* the higher, the tighter */
} operators[] = {
	{ "&&", OP_AND, 3 },
	{ "||", OP_OR, 2 },
	{ "==", OP_EQ, 5 },
	{ "!=", OP_NE, 5 },
	{ "<=", OP_LE, 6 },
	{ ">=", OP_GE, 6 },
	{ "<", OP_LT, 6 },
	{ ">", OP_GT, 6 },
	{ "+", OP_ADD, 7 },
	{ "-", OP_SUB, 7 },
	{ "*", OP_MUL, 8 },
	{ "/", OP_DIV, 8 },
	{ "^", OP_XOR, 4 },
	{ "?", OP_QUESTION, 1 },
};

#define BINDS_UNARY	9
#define BINDS_COND	1

#define NOPERATORS	(sizeof(operators) / sizeof(operators[0]))

/* A shunting yard: operators wait on `stack' until a looser one comes. */
struct yard {
	struct meta	*meta;
	struct {
		enum meta_op op;
		int binds;
		size_t test;		/* its OP_ELSE_... */
	} stack[META_DEPTH];
	size_t		 depth;
	size_t		 values;	/* how many are on the value stack */
	bool		 opened;	/* the last token was a "(" */
	struct buf	*why;
};

/* How many values a step takes from the stack. */
static size_t
arity(enum meta_op op)
{
	switch (op) {
	case OP_NUMBER:
	case OP_NAME:
		return 0;
	case OP_NOT:
	case OP_NEG:
	case OP_ELSE_AND:
	case OP_ELSE_OR:
		return 1;
	case OP_COND:
		return 3;
	default:
		return 2;
	}
}

static bool
emit(struct yard *y, struct meta_step step)
{
	size_t takes = arity(step.op);

	if (step.op == OP_QUESTION) {
		buf_adds(y->why, "a ? without its :");
		return false;
	}
	if (y->values < takes || y->meta->nsteps == META_MAX_OPS ||
	    y->values - takes + 1 >= META_DEPTH) {
		buf_adds(y->why,
		    y->values < takes ? "an operator without its operand" :
					"the expression is too long");
		return false;
	}
	y->values += 1 - takes;
	if (step.op == OP_ADD &&
	    y->meta->steps[y->meta->nsteps - 1].op == OP_NAME)
		y->meta->steps[y->meta->nsteps - 1].op = OP_ADD_NAME;
	else
		y->meta->steps[y->meta->nsteps++] = step;
	return true;
}

static bool
pop(struct yard *y)
{
	enum meta_op op = y->stack[--y->depth].op;

	if (!emit(y, (struct meta_step){ .op = op }))
		return false;
	if (op == OP_AND || op == OP_OR)
		y->meta->steps[y->stack[y->depth].test].name =
		    (uint32_t)y->meta->nsteps;
	return true;
}

static bool
pop_while(struct yard *y, int binds)
{
	while (y->depth > 0 && y->stack[y->depth - 1].op != OP_PAREN &&
	    y->stack[y->depth - 1].binds >= binds)
		if (!pop(y))
			return false;
	return true;
}

/* The : of a ?: what stands between them is complete. */
static bool
colon(struct yard *y)
{
	while (y->depth > 0 && y->stack[y->depth - 1].op != OP_PAREN &&
	    y->stack[y->depth - 1].op != OP_QUESTION)
		if (!pop(y))
			return false;
	if (y->depth == 0 || y->stack[y->depth - 1].op != OP_QUESTION) {
		buf_adds(y->why, "a : without its ?");
		return false;
	}
	y->stack[y->depth - 1].op = OP_COND;
	return true;
}

static bool
push(struct yard *y, enum meta_op op, int binds)
{
	if (y->depth == META_DEPTH) {
		buf_adds(y->why, "nested too deep");
		return false;
	}
	y->stack[y->depth].op = op;
	y->stack[y->depth].test = y->meta->nsteps;
	y->stack[y->depth++].binds = binds;
	if (op == OP_AND || op == OP_OR)
		return emit(y,
		    (struct meta_step){
			.op = op == OP_AND ? OP_ELSE_AND : OP_ELSE_OR });
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
	return emit(y,
	    (struct meta_step){ .op = OP_NAME, .name = (uint32_t)i });
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
		    (struct meta_step){ .op = OP_NUMBER,
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
	/* ? and : stand from right to left. */
	return pop_while(y,
		   operators[i].binds + (operators[i].op == OP_QUESTION)) &&
	    push(y, operators[i].op, operators[i].binds);
}

/* What stands where an operand may. */
static bool
before_operand(struct yard *y, struct str text, size_t *pos, bool *wants)
{
	char c = text.p[*pos];
	bool opened = y->opened;

	y->opened = false;
	if (c == '!' || c == '-') {
		(*pos)++;
		return push(y, c == '!' ? OP_NOT : OP_NEG, BINDS_UNARY);
	}
	if (c == '+') {
		(*pos)++;
		return true;
	}
	if (c == '(') {
		(*pos)++;
		y->opened = true;
		return push(y, OP_PAREN, 0);
	}
	*wants = false;
	if (c != ')' || !opened)
		return operand(y, text, pos);
	/* "()": a rule that is only declared. */
	(*pos)++;
	return emit(y, (struct meta_step){ .op = OP_NUMBER }) && close_paren(y);
}

/* wants: an operand comes next, not an operator. */
static bool
token(struct yard *y, struct str text, size_t *pos, bool *wants)
{
	char c = text.p[*pos];

	if (*wants)
		return before_operand(y, text, pos, wants);
	if (c == ')') {
		(*pos)++;
		return close_paren(y);
	}
	*wants = true;
	if (c == ':') {
		(*pos)++;
		return colon(y);
	}
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

static double
compare(enum meta_op op, double a, double b)
{
	switch (op) {
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
	default:
		return 0;
	}
}

/* What is divided by zero is no number, and what is made of it is none. */
double
meta_apply(enum meta_op op, double a, double b)
{
	switch (op) {
	case OP_MUL:
		return a * b;
	case OP_DIV:
		return b != 0 ? a / b : (double)NAN;
	case OP_ADD:
		return a + b;
	case OP_SUB:
		return a - b;
	case OP_XOR:
		return fabs(a) < XOR_MAX && fabs(b) < XOR_MAX ?
		    (double)((uint64_t)fabs(a) ^ (uint64_t)fabs(b)) :
		    (double)NAN;
	/* As in Perl: the operand that decided. */
	case OP_AND:
		return a == 0 || isnan(a) ? a : b;
	case OP_OR:
		return a != 0 ? a : b;
	default:
		break;
	}
	return isnan(a) || isnan(b) ? (double)NAN : compare(op, a, b);
}

static double
calculate(const struct meta *m, double (*value)(void *, size_t), void *arg)
{
	double stack[META_DEPTH] = { 0 };
	const struct meta_step *s;
	size_t top = 0, i;

	for (i = 0; i < m->nsteps; i++) {
		s = &m->steps[i];
		if (s->op == OP_NUMBER) {
			stack[top++] = s->number;
		} else if (s->op == OP_NAME) {
			stack[top++] = value(arg, s->name);
		} else if (s->op == OP_NOT) {
			if (!isnan(stack[top - 1]))
				stack[top - 1] = stack[top - 1] == 0;
		} else if (s->op == OP_NEG) {
			stack[top - 1] = -stack[top - 1];
		} else if (s->op == OP_ADD_NAME) {
			stack[top - 1] += value(arg, s->name);
		} else if (s->op == OP_ELSE_AND || s->op == OP_ELSE_OR) {
			continue;
		} else if (s->op == OP_COND) {
			top -= 2;
			if (!isnan(stack[top - 1]))
				stack[top - 1] =
				    stack[top + (stack[top - 1] == 0)];
		} else {
			top--;
			stack[top - 1] =
			    meta_apply(s->op, stack[top - 1], stack[top]);
		}
	}
	return stack[0];
}

static double
no_value(void *arg, size_t i)
{
	(void)arg;
	(void)i;
	return 0;
}

/* What parse() found, in memory of its own size. */
static struct meta *
keep(struct arena *a, const struct meta *found)
{
	struct meta *m = arena_alloc(a, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->steps = arena_alloc(a, found->nsteps * sizeof(struct meta_step));
	m->names = arena_alloc(a, (found->nnames + 1) * sizeof(struct str));
	if (m->steps == NULL || m->names == NULL)
		return NULL;
	memcpy(m->steps, found->steps,
	    found->nsteps * sizeof(struct meta_step));
	memcpy(m->names, found->names, found->nnames * sizeof(struct str));
	m->nsteps = found->nsteps;
	m->nnames = found->nnames;
	return m;
}

struct meta *
meta_parse(struct arena *a, struct str text, struct buf *why)
{
	/* Each step and each name takes a character at least, but "()". */
	size_t most = text.n < META_MAX_OPS ? text.n + 1 : META_MAX_OPS;
	struct meta found = { .steps =
				  mem_alloc(most * sizeof(struct meta_step)),
		.names = mem_alloc(most * sizeof(struct str)) };
	struct yard y = { .meta = &found, .why = why };
	struct meta *m = NULL;

	if (!parse(&y, text))
		;
	else if (isnan(calculate(&found, no_value, NULL)))
		buf_adds(why, "it divides by zero where no rule has hit");
	else
		m = keep(a, &found);
	free(found.steps);
	free(found.names);
	return m;
}

struct str
meta_name(const struct meta *m, size_t i)
{
	return i < m->nnames ? m->names[i] : STR_NONE;
}

double
meta_eval(const struct meta *m, double (*value)(void *, size_t), void *arg)
{
	double result = calculate(m, value, arg);

	return isnan(result) ? 0 : result;
}
