#include "score/meta_range.h"

#include <float.h>
#include <math.h>

#include "score/meta_step.h"

#define LARGE	1e300

static double
smaller(double a, double b)
{
	return a < b ? a : b;
}

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

static bool
known(const struct meta_range *r)
{
	return r->ask == META_ASK_NONE;
}

/* 0 and what is no number are false. */
static bool
surely_false(const struct meta_range *r)
{
	return known(r) && (r->low == 0 || isnan(r->low));
}

static bool
surely_true(const struct meta_range *r)
{
	return !r->odd && (r->low > 0 || r->high < 0);
}

/* Nothing is known of the value, and a's or b's rule is to be asked. */
static struct meta_range
open_range(const struct meta_range *a, const struct meta_range *b)
{
	struct meta_range r = { -LARGE, LARGE, a->cost, a->ask, true };

	if (known(a) || (!known(b) && b->cost < a->cost)) {
		r.ask = b->ask;
		r.cost = b->cost;
	}
	return r;
}

/* The value is between the two; one that can be nothing else is known. */
static struct meta_range
between(const struct meta_range *a, const struct meta_range *b, double low,
    double high)
{
	struct meta_range r = open_range(a, b);

	if (isnan(low) || isnan(high))
		return r;
	r.odd = a->odd || b->odd;
	if (low == high && !r.odd)
		return meta_range_known(low);
	r.low = low;
	r.high = high;
	return r;
}

static struct meta_range
multiply(const struct meta_range *a, const struct meta_range *b)
{
	double p[4] = { a->low * b->low, a->low * b->high, a->high * b->low,
		a->high * b->high };
	double low = p[0], high = p[0];
	int i;

	for (i = 1; i < 4; i++) {
		if (isnan(p[i]))
			return open_range(a, b);
		low = p[i] < low ? p[i] : low;
		high = p[i] > high ? p[i] : high;
	}
	return between(a, b, low, high);
}

/* The sign of a - b, if it has but one; 2: who knows. */
static int
order(const struct meta_range *a, const struct meta_range *b)
{
	if (a->high < b->low)
		return -1;
	if (a->low > b->high)
		return 1;
	return 2;
}

static struct meta_range
compared(enum meta_op op, const struct meta_range *a,
    const struct meta_range *b)
{
	int sign = a->odd || b->odd ? 2 : order(a, b);

	if (sign != 2)
		return meta_range_known(meta_apply(op, sign, 0));
	if (!a->odd && !b->odd) {
		if ((op == OP_LE && a->high <= b->low) ||
		    (op == OP_GE && a->low >= b->high))
			return meta_range_known(1);
		if ((op == OP_LT && a->low >= b->high) ||
		    (op == OP_GT && a->high <= b->low))
			return meta_range_known(0);
	}
	return between(a, b, 0, 1);
}

static struct meta_range
and_range(const struct meta_range *a, const struct meta_range *b)
{
	if (known(a))
		return surely_false(a) ? *a : *b;
	if (surely_true(a))
		return between(a, b, b->low, b->high);
	if (!a->odd && known(b) && b->low == 0)
		return *b;
	return between(a, b, smaller(0, b->low), larger(0, b->high));
}

/* A number that is no number decides, too. */
static bool
decides_or(const struct meta_range *a)
{
	return known(a) ? a->low != 0 : surely_true(a);
}

static struct meta_range
or_range(const struct meta_range *a, const struct meta_range *b)
{
	double low = smaller(a->low, b->low);

	if (known(a))
		return decides_or(a) ? *a : *b;
	if (decides_or(a) || (known(b) && b->low == 0))
		return *a;
	/* What is not 0 and not below it is above. */
	if (a->low == 0 && b->low > 0)
		low = DBL_MIN;
	return between(a, b, low, larger(a->high, b->high));
}

static struct meta_range
binary(enum meta_op op, const struct meta_range *a, const struct meta_range *b)
{
	switch (op) {
	case OP_AND:
		return and_range(a, b);
	case OP_OR:
		return or_range(a, b);
	default:
		break;
	}
	if (known(a) && known(b))
		return meta_range_known(meta_apply(op, a->low, b->low));
	switch (op) {
	case OP_ADD:
		return between(a, b, a->low + b->low, a->high + b->high);
	case OP_SUB:
		return between(a, b, a->low - b->high, a->high - b->low);
	case OP_MUL:
		return multiply(a, b);
	case OP_DIV:
	case OP_XOR:
		return open_range(a, b);
	default:
		return compared(op, a, b);
	}
}

static struct meta_range
not_range(const struct meta_range *a)
{
	if (known(a))
		return meta_range_known(isnan(a->low) ? a->low : a->low == 0);
	if (surely_true(a))
		return meta_range_known(0);
	return between(a, a, 0, 1);
}

static struct meta_range
negative(const struct meta_range *a)
{
	struct meta_range r = *a;

	r.low = -a->high;
	r.high = -a->low;
	return r;
}

static struct meta_range
chosen(const struct meta_range *cond, const struct meta_range *a,
    const struct meta_range *b)
{
	struct meta_range r;

	if (known(cond))
		return isnan(cond->low) ? *cond : cond->low != 0 ? *a : *b;
	/* The condition comes first: it says which of them matters. */
	r = *cond;
	r.odd = cond->odd || a->odd || b->odd;
	r.low = r.odd ? -LARGE : smaller(a->low, b->low);
	r.high = r.odd ? LARGE : larger(a->high, b->high);
	return r;
}

/* What it counts for others. */
static struct meta_range
counted(struct meta_range r)
{
	if (known(&r))
		return meta_range_known(isnan(r.low) ? 0 :
			r.low < 0		     ? 1 :
						       r.low);
	if (r.low < 0) {
		r.low = 0;
		r.high = larger(r.high, 1);
	}
	if (r.odd)
		r.low = 0;
	r.odd = false;
	return r;
}

static void
operand(const struct meta_facts *f, uint32_t name, struct meta_range *out)
{
	uint32_t place = f->reads[name];

	if (f->open[place] != 0)
		f->range(f->arg, place, out);
	else
		*out = meta_range_known(f->value[place]);
}

/* Most that is added is 0. */
static void
add(const struct meta_facts *f, uint32_t name, struct meta_range *sum)
{
	uint32_t place = f->reads[name];
	struct meta_range more;

	if (f->open[place] == 0 && f->value[place] == 0)
		return;
	operand(f, name, &more);
	if (known(sum) && sum->low == 0)
		*sum = more;
	else
		*sum = binary(OP_ADD, sum, &more);
}

struct meta_range
meta_range(const struct meta *m, const struct meta_facts *f)
{
	struct meta_range stack[META_DEPTH], *top = stack;
	const struct meta_step *s;

	*top = meta_range_known(0);
	for (s = m->steps; s < m->steps + m->nsteps; s++) {
		switch (s->op) {
		case OP_NUMBER:
			*top++ = meta_range_known(s->number);
			break;
		case OP_NAME:
			operand(f, s->name, top++);
			break;
		case OP_ADD_NAME:
			add(f, s->name, &top[-1]);
			break;
		case OP_NOT:
			top[-1] = not_range(&top[-1]);
			break;
		case OP_ELSE_AND:
			if (surely_false(&top[-1]))
				s = m->steps + s->name - 1;
			break;
		case OP_ELSE_OR:
			if (decides_or(&top[-1]))
				s = m->steps + s->name - 1;
			break;
		case OP_NEG:
			top[-1] = negative(&top[-1]);
			break;
		case OP_COND:
			top -= 2;
			top[-1] = chosen(&top[-1], &top[0], &top[1]);
			break;
		default:
			top--;
			top[-1] = binary(s->op, &top[-1], &top[0]);
			break;
		}
	}
	return counted(stack[0]);
}
