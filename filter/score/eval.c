#include "score/eval.h"

#include <stddef.h>

struct eval_def {
	const char	*name;
};

static const struct eval_def functions[] = {
	{ NULL },
};

const struct eval_def *
eval_find(struct str name)
{
	const struct eval_def *f;

	for (f = functions; f->name != NULL; f++)
		if (str_eq(name, str_of(f->name)))
			return f;
	return NULL;
}
