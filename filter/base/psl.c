#include "base/psl.h"

#include <libpsl.h>
#include <string.h>

#define NAME_MAX_BYTES 253

static psl_ctx_t *suffixes;

bool
psl_global_init(void)
{
	suffixes = psl_latest(NULL);
	return suffixes != NULL;
}

void
psl_global_free(void)
{
	psl_free(suffixes);
	suffixes = NULL;
}

/* libpsl wants a NUL, which text in an arena may lack. */
static const char *
c_name(struct str name, char out[NAME_MAX_BYTES + 1])
{
	if (suffixes == NULL || name.n == 0 || name.n > NAME_MAX_BYTES ||
	    str_chr(name, '\0') >= 0)
		return NULL;
	memcpy(out, name.p, name.n);
	out[name.n] = '\0';
	return out;
}

struct str
psl_domain(struct str name)
{
	char space[NAME_MAX_BYTES + 1];
	const char *s = c_name(name, space), *domain;

	domain = s != NULL ? psl_registrable_domain(suffixes, s) : NULL;
	if (domain == NULL)
		return STR("");
	return str_sub(name, (size_t)(domain - s), name.n);
}

bool
psl_top_level(struct str label)
{
	char space[NAME_MAX_BYTES + 1];
	const char *s = c_name(label, space);

	return s != NULL && strchr(s, '.') == NULL &&
	    psl_is_public_suffix2(suffixes, s,
		PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}
