#include "mail/tld.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/psl.h"

#define NAME_MAX_BYTES	253
#define LABEL_MAX_BYTES 63

struct tld_set {
	struct map *names; /* without case */
};

static char here[] = "";

struct tld_set *
tld_set_new(void)
{
	struct tld_set *set = mem_alloc(sizeof(*set));

	set->names = map_new(true);
	return set;
}

void
tld_set_free(struct tld_set **set)
{
	if (*set == NULL)
		return;
	map_free(&(*set)->names, NULL);
	free(*set);
	*set = NULL;
}

void
tld_set_clear(struct tld_set *set)
{
	map_free(&set->names, NULL);
	set->names = map_new(true);
}

void
tld_set_add(struct tld_set *set, struct str name)
{
	map_put(set->names, name, here);
}

static bool
use_list(const struct tld_set *set)
{
	return set == NULL || map_count(set->names) == 0;
}

static bool
listed(const struct tld_set *set, struct str name)
{
	return map_get(set->names, name) != NULL;
}

bool
tld_known(const struct tld_set *set, struct str label)
{
	char low[LABEL_MAX_BYTES];

	if (label.n == 0 || label.n > sizeof(low))
		return false;
	if (!use_list(set))
		return str_chr(label, '.') < 0 && listed(set, label);
	for (size_t i = 0; i < label.n; i++)
		low[i] = (char)chr_lower((unsigned char)label.p[i]);
	return psl_top_level((struct str){ low, label.n });
}

bool
tld_ends(const struct tld_set *set, struct str name)
{
	ptrdiff_t dot = str_rchr(name, '.');

	return dot >= 0 &&
	    tld_known(set, str_sub(name, (size_t)dot + 1, name.n));
}

/* .us has its states registered as top levels (RFC 1480). */
static bool
is_state(struct str label)
{
	static const char states[] = "akalarazcacoctdcdeflgagu"
				     "hiiaidilinkskylamamdmemi"
				     "mnmomsmtncndnenhnjnmnvny"
				     "ohokorpaprrisctntxutvavi"
				     "vtwawiwvwy";

	if (label.n != 2)
		return false;
	for (size_t i = 0; i + 1 < sizeof(states); i += 2)
		if (memcmp(states + i, label.p, 2) == 0)
			return true;
	return false;
}

struct labels {
	struct str last[5]; /* last[0] is the top level */
	size_t n;
};

static struct labels
split_labels(struct str name)
{
	struct labels l = { .n = 0 };

	while (l.n < 5) {
		ptrdiff_t dot = str_rchr(name, '.');

		l.last[l.n++] = str_sub(name, (size_t)(dot + 1), name.n);
		if (dot < 0)
			break;
		name = str_sub(name, 0, (size_t)dot);
	}
	return l;
}

/* From the label at `first' to the name's end. */
static struct str
tail_of(struct str name, struct str first)
{
	return str_sub(name, (size_t)(first.p - name.p), name.n);
}

/* How many labels names are registered under: 1 for most. */
static size_t
boundary(const struct tld_set *set, struct str name, const struct labels *l)
{
	bool us = str_eq(l->last[0], STR("us"));

	if (l->n >= 4 && us && is_state(l->last[1]) &&
	    (str_eq(l->last[3], STR("ci")) || str_eq(l->last[3], STR("co")) ||
		(str_eq(l->last[3], STR("pvt")) &&
		    str_eq(l->last[2], STR("k12")))))
		return 4;
	if (l->n >= 3 && us && is_state(l->last[1]))
		return 3;
	if (l->n >= 3 && !us && listed(set, tail_of(name, l->last[2])))
		return 3;
	if (l->n >= 2 && listed(set, tail_of(name, l->last[1])))
		return 2;
	return 1;
}

struct str
tld_domain(const struct tld_set *set, struct str name)
{
	struct labels l;
	size_t n;

	while (name.n > 0 && name.p[0] == '.')
		name = str_sub(name, 1, name.n);
	while (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0)
		return STR("");
	if (use_list(set)) {
		struct str domain = psl_domain(name);

		return domain.n > 0 ? domain : name;
	}
	l = split_labels(name);
	n = boundary(set, name, &l);
	return n < l.n ? tail_of(name, l.last[n]) : name;
}

static bool
label_valid(struct str label, bool underscore)
{
	if (label.n == 0 || label.n > LABEL_MAX_BYTES || label.p[0] == '-' ||
	    label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		unsigned char c = (unsigned char)label.p[i];

		if (!chr_alnum(c) && c != '-' && (c != '_' || !underscore))
			return false;
	}
	return true;
}

bool
tld_name_valid(struct str name)
{
	size_t labels = 0;

	while (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n > NAME_MAX_BYTES)
		return false;
	for (;;) {
		ptrdiff_t dot = str_rchr(name, '.');

		if (!label_valid(str_sub(name, (size_t)(dot + 1), name.n),
			labels++ >= 2))
			return false;
		if (dot < 0)
			return labels >= 2;
		name = str_sub(name, 0, (size_t)dot);
	}
}
