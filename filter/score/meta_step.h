/*
 * meta_step - a meta expression, compiled: what meta.c and meta_range.c share.
 */
#ifndef SCORE_META_STEP_H
#define SCORE_META_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "score/meta.h"

enum meta_op {
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
	OP_XOR,
	OP_AND,
	OP_OR,
	OP_COND,	/* the whole of ? : */
	OP_ADD_NAME,	/* OP_NAME and OP_ADD: most of a long sum */
	OP_ELSE_AND,	/* behind the left side of && and ||: where it */
	OP_ELSE_OR,	/* decides, all goes on at step `name' */
	OP_QUESTION,	/* on the yard's stack alone */
	OP_PAREN
};

struct meta_step {
	double		 number;
	uint32_t	 name;
	enum meta_op	 op;
};

struct meta {
	struct meta_step	*steps;
	size_t		 nsteps;
	struct str	*names;
	size_t		 nnames;
};

/* Of two values; what is divided by zero is NaN. */
double	meta_apply(enum meta_op, double a, double b);

#endif
