#include "check/taglist.h"

static bool
name_valid(struct str s)
{
	size_t i;

	if (s.n == 0 || !chr_alpha((unsigned char)s.p[0]))
		return false;
	for (i = 1; i < s.n; i++)
		if (!chr_alnum((unsigned char)s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

bool
taglist_next(struct taglist *l, struct str *name, struct str *value)
{
	struct str tag, behind;

	if (l->rest.p == NULL || l->broken)
		return false;
	tag = str_cut(l->rest, ';', &behind);
	l->rest = behind;
	if (str_trim(tag).n == 0) {
		/* One empty tag may stand at the end. */
		l->broken = behind.p != NULL && str_trim(behind).n > 0;
		return false;
	}
	*name = str_trim(str_cut(tag, '=', value));
	if (value->p == NULL || !name_valid(*name)) {
		l->broken = true;
		return false;
	}
	*value = str_trim(*value);
	return true;
}

struct str
taglist_get(struct str text, struct str wanted)
{
	struct taglist l = TAGLIST(text);
	struct str name, value;

	while (taglist_next(&l, &name, &value))
		if (str_eq(name, wanted))
			return value;
	return STR_NONE;
}

struct str
taglist_squeeze(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t i, n = 0;

	if (out == NULL)
		return STR_NONE;
	for (i = 0; i < s.n; i++)
		if (!chr_space((unsigned char)s.p[i]))
			out[n++] = s.p[i];
	return (struct str){ out, n };
}
