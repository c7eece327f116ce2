#include "score/capture.h"

#define PAIRS_MAX	32

/* A rule's regex with this message's values in it; NULL: it has none. */
struct capture_regex {
	struct capture_regex *next;
	const struct score_rule *rule;
	struct regex	*regex;
};

static void
release(void *obj)
{
	struct regex *re = obj;

	regex_free(&re);
}

/* SpamAssassin's: CAPITALS_AND_D1GITS. */
static bool
name_valid(struct str name)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		if ((name.p[i] < 'A' || name.p[i] > 'Z') &&
		    !chr_digit((unsigned char)name.p[i]) && name.p[i] != '_')
			return false;
	return name.n > 0 && !chr_digit((unsigned char)name.p[0]);
}

static void
keep(struct captures *c, struct str name, struct str value)
{
	struct capture_value *v = &c->value[c->count];
	size_t i;

	if (value.n == 0 || value.n > CAPTURE_BYTES ||
	    c->count == CAPTURE_VALUES || !name_valid(name))
		return;
	for (i = 0; i < c->count; i++)
		if (str_eq(c->value[i].name, name) &&
		    str_eq(c->value[i].value, value))
			return;
	v->name = arena_str(c->arena, name);
	v->value = arena_str(c->arena, value);
	c->count += v->name.p != NULL && v->value.p != NULL;
}

void
capture_take(struct captures *c, const struct score_rule *r, struct str subject,
    size_t start)
{
	size_t from[PAIRS_MAX], to[PAIRS_MAX], i, n;
	struct str name;

	if (regex_search(r->regex, subject, start, from, to, PAIRS_MAX) !=
	    REGEX_YES)
		return;
	for (i = 0; (name = regex_group(r->regex, i, &n)).p != NULL; i++)
		if (n < PAIRS_MAX && to[n] > from[n])
			keep(c, name,
			    str_sub(subject, from[n], to[n] - from[n]));
}

/* ---- what a template stands for ---- */

/* "HEADER(From:addr)" */
static struct str
field_value(struct captures *c, struct str name)
{
	unsigned int flags;
	struct str field;

	if (c->fields == NULL || !str_starts(name, STR("HEADER(")) ||
	    name.p[name.n - 1] != ')')
		return STR_NONE;
	field_parse(str_sub(name, 7, name.n - 8), &field, &flags);
	return field_get(c->fields, field, flags);
}

/* Calls fn for each value; it says when it has seen enough. */
static bool
any_value(struct captures *c, struct str name,
    bool (*fn)(void *arg, struct str value), void *arg)
{
	struct str value = field_value(c, name);
	size_t i;

	if (value.n > 0)
		return fn(arg, value);
	for (i = 0; i < c->count; i++)
		if (str_eq(c->value[i].name, name) &&
		    fn(arg, c->value[i].value))
			return true;
	return false;
}

/* Octets above ASCII's have cases of their own: no telling.  Most values are
 * addresses. */
static bool
is_in(void *arg, struct str value)
{
	const struct str *subject = arg;

	if (str_ascii(value) < value.n)
		return true;
	if (str_chr(value, '@') >= 0 && str_chr(*subject, '@') < 0)
		return false;
	return str_ifind(*subject, value) >= 0;
}

struct adder {
	struct buf	*out;
	size_t		 n;
};

static bool
add_value(void *arg, struct str value)
{
	struct adder *a = arg;

	if (a->n++ > 0)
		buf_addc(a->out, '|');
	perl_regex_quote(a->out, value);
	return false;
}

static bool
fill_value(void *arg, struct str name, struct buf *out)
{
	struct adder a = { out, 0 };

	any_value(arg, name, add_value, &a);
	return a.n > 0;
}

/* ---- a rule's regex for this message ---- */

static struct capture_regex *
made_for(struct captures *c, const struct score_rule *r)
{
	struct capture_regex *m;

	for (m = c->made; m != NULL; m = m->next)
		if (m->rule == r)
			return m;
	if ((m = arena_alloc(c->arena, sizeof(*m))) == NULL)
		return NULL;
	m->rule = r;
	m->regex = perl_regex_fill(&r->perl, fill_value, c);
	if (m->regex != NULL && !arena_cleanup(c->arena, release, m->regex))
		m->regex = NULL;
	m->next = c->made;
	c->made = m;
	return m;
}

const struct regex *
capture_regex(struct captures *c, const struct score_rule *r,
    struct str subject)
{
	const struct capture_regex *m;
	size_t i;

	/* Where a value must be in the subject, and is not, nothing need be
	 * compiled. */
	for (i = 0; i < r->perl.ntemplates && r->perl.bare; i++)
		if (!any_value(c, r->perl.templates[i], is_in, &subject))
			return NULL;
	m = made_for(c, r);
	return m != NULL ? m->regex : NULL;
}
