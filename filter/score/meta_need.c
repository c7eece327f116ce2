#include "score/meta_need.h"

#include "score/meta_step.h"

/* What divides by zero is no number: as a meta it counts 0, but its opposite
 * is no number as well. */
struct value {
	struct meta_needs other; /* what it needs to be a number but 0 */
	struct meta_needs zero; /* to be 0, or no number */
	bool odd;		/* it may be no number */
};

static struct meta_needs
one(struct arena *a, uint64_t hit, uint64_t miss)
{
	struct meta_need *need = arena_alloc(a, sizeof(*need));

	if (need == NULL || (hit | miss) == 0)
		return (struct meta_needs){ .count = 0 };
	*need = (struct meta_need){ hit, miss };
	return (struct meta_needs){ .need = need, .count = 1 };
}

/* What is needed by one and by the other. */
static struct meta_needs
both(struct arena *a, struct meta_needs x, struct meta_needs y)
{
	struct meta_needs all = { .count = 0 };
	size_t i;

	all.need = arena_alloc(a, (x.count + y.count) * sizeof(*all.need));
	for (i = 0; i < x.count + y.count && all.need != NULL &&
	     all.count < META_NEEDS_MAX;
	     i++)
		all.need[all.count++] =
		    i < x.count ? x.need[i] : y.need[i - x.count];
	return all;
}

/* What is needed for either of them. */
static struct meta_needs
either(struct arena *a, struct meta_needs x, struct meta_needs y)
{
	struct meta_needs all = { .count = 0 };
	struct meta_need need;
	size_t i;

	all.need = arena_alloc(a, META_NEEDS_MAX * sizeof(*all.need));
	for (i = 0; i < x.count * y.count && all.need != NULL &&
	     all.count < META_NEEDS_MAX;
	     i++) {
		need = x.need[i / y.count];
		need.hit |= y.need[i % y.count].hit;
		need.miss |= y.need[i % y.count].miss;
		if ((need.hit & need.miss) == 0)
			all.need[all.count++] = need;
	}
	return all;
}

static struct value
name_value(struct arena *a, uint32_t name)
{
	uint64_t bit = name < META_NEED_NAMES ? (uint64_t)1 << name : 0;

	return (
	    struct value){ .other = one(a, bit, 0), .zero = one(a, 0, bit) };
}

static struct value
not_value(const struct value *x)
{
	struct value v = { .other = x->zero, .odd = x->odd };

	if (!x->odd)
		v.zero = x->other;
	return v;
}

static struct value
and_value(struct arena *a, const struct value *x, const struct value *y)
{
	return (struct value){ .other = both(a, x->other, y->other),
		.zero = either(a, x->zero, y->zero),
		.odd = x->odd || y->odd };
}

/* What is no number decides, too. */
static struct value
or_value(struct arena *a, const struct value *x, const struct value *y)
{
	return (struct value){ .other = either(a, x->other, y->other),
		.zero = x->odd ? x->zero : both(a, x->zero, y->zero),
		.odd = x->odd || y->odd };
}

/* Is a comparison with the number false of 0? */
static bool
zero_fails(enum meta_op op, const struct meta_step *right)
{
	if (right->op != OP_NUMBER)
		return false;
	return op == OP_GT ? right->number >= 0 :
	    op == OP_GE	   ? right->number > 0 :
	    op == OP_EQ	   ? right->number != 0 :
			     false;
}

/* last: the last step of y. */
static struct value
number_value(struct arena *a, enum meta_op op, const struct value *x,
    const struct value *y, const struct meta_step *last)
{
	struct value v = { .odd = true };

	if (op == OP_MUL)
		v.other = both(a, x->other, y->other);
	else if (op == OP_ADD || op == OP_SUB)
		v.other = either(a, x->other, y->other);
	else if (op == OP_DIV || zero_fails(op, last))
		v.other = x->other;
	return v;
}

static void
step(struct arena *a, const struct meta_step *s, struct value **stack)
{
	struct value *top = *stack, name;

	switch (s->op) {
	case OP_NUMBER:
		*top++ = (struct value){ .odd = false };
		break;
	case OP_NAME:
		*top++ = name_value(a, s->name);
		break;
	case OP_ADD_NAME:
		name = name_value(a, s->name);
		top[-1] = number_value(a, OP_ADD, &top[-1], &name, s);
		break;
	case OP_NOT:
		top[-1] = not_value(&top[-1]);
		break;
	case OP_NEG:
	case OP_ELSE_AND:
	case OP_ELSE_OR:
		break;
	case OP_COND:
		top -= 2;
		top[-1] = (struct value){ .odd = true,
			.other = either(a, top[0].other, top[1].other) };
		break;
	case OP_AND:
		top--;
		top[-1] = and_value(a, &top[-1], &top[0]);
		break;
	case OP_OR:
		top--;
		top[-1] = or_value(a, &top[-1], &top[0]);
		break;
	default:
		top--;
		top[-1] = number_value(a, s->op, &top[-1], &top[0], s - 1);
		break;
	}
	*stack = top;
}

struct meta_needs
meta_needs(struct arena *a, const struct meta *m)
{
	struct value stack[META_DEPTH] = { 0 }, *top = stack;
	const struct meta_step *s;

	for (s = m->steps; s < m->steps + m->nsteps; s++)
		step(a, s, &top);
	stack[0].other.numbers = stack[0].odd;
	return stack[0].other;
}
