#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "score/eval.h"

static const struct eval_def *const tables[] = { eval_body_defs, eval_date_defs,
	eval_forged_defs, eval_freemail_defs, eval_header_defs, eval_html_defs,
	eval_image_defs, eval_mime_defs, eval_relay_defs, eval_trusted_defs,
	eval_uri_defs, eval_welcome_defs };

const struct eval_def *
eval_find(struct str name)
{
	const struct eval_def *def;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (def = tables[i]; def->name != NULL; def++)
			if (str_eq(name, str_of(def->name)))
				return def;
	return NULL;
}

bool
eval_hits(const struct eval_def *def, struct eval *e,
    const struct score_rule *r)
{
	return def->hits(e, r);
}

struct str
eval_arg(const struct score_rule *r, size_t i)
{
	return i < r->nargs ? r->args[i] : STR("");
}

/* As Perl takes a text for a number: what it begins with, else 0. */
double
eval_number(const struct score_rule *r, size_t i)
{
	struct str arg = str_sub(eval_arg(r, i), 0, 63);
	char text[64] = "";

	if (arg.n > 0)
		memcpy(text, arg.p, arg.n);
	return strtod(text, NULL);
}

bool
eval_open(const struct score_rule *r, size_t i)
{
	struct str arg = eval_arg(r, i);

	return arg.n == 0 || str_ieq(arg, STR("undef")) ||
	    str_ieq(arg, STR("inf"));
}

bool
eval_in_range(const struct score_rule *r, size_t i, double value)
{
	return (eval_open(r, i) || value >= eval_number(r, i)) &&
	    (eval_open(r, i + 1) || value < eval_number(r, i + 1));
}

bool
eval_above_upto(const struct score_rule *r, size_t i, double value)
{
	return value > eval_number(r, i) &&
	    (eval_open(r, i + 1) || value <= eval_number(r, i + 1));
}

struct str
eval_field(const struct eval *e, const char *spec)
{
	struct field_values values;
	struct str name, value;
	unsigned int flags;

	field_parse(str_of(spec), &name, &flags);
	if ((flags & (FIELD_ADDR | FIELD_NAME | FIELD_HOST)) == 0 &&
	    !str_eq(name, STR("EnvelopeFrom"))) {
		value = field_get(e->fields, name, flags);
		return value.p != NULL ? value : STR("");
	}
	values = field_list(e->fields, name, flags);
	if (values.n == 0)
		return STR("");
	value = values.v[0];
	if (value.n > 0 && value.p[value.n - 1] == '\n')
		value.n--;
	return value;
}

bool
eval_has_field(const struct eval *e, const char *spec)
{
	struct str name;
	unsigned int flags;

	field_parse(str_of(spec), &name, &flags);
	return field_get(e->fields, name, flags).p != NULL;
}

enum regex_answer
eval_regex(struct eval *e, const struct score_rule *r, struct str subject)
{
	int64_t began = clock_thread_us();
	enum regex_answer a;

	if (e->too_slow)
		return REGEX_LIMIT;
	a = regex_match(r->regex, subject);
	e->spent_us += clock_thread_us() - began;
	e->too_slow = a == REGEX_LIMIT || e->spent_us > EVAL_REGEX_MS * 1000;
	return a;
}

struct str
eval_squeeze(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t i, n = 0;
	bool space;

	if (out == NULL)
		return STR("");
	for (i = 0; i < s.n; i++) {
		space = chr_space((unsigned char)s.p[i]) || s.p[i] == '\f' ||
		    s.p[i] == '\v';
		if (!space)
			out[n++] = s.p[i];
		else if (n == 0 || out[n - 1] != ' ')
			out[n++] = ' ';
	}
	return (struct str){ out, n };
}

struct str
eval_lower(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t i;

	if (out == NULL)
		return STR("");
	for (i = 0; i < s.n; i++)
		out[i] = (char)chr_lower((unsigned char)s.p[i]);
	return (struct str){ out, s.n };
}
