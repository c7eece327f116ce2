/* Functions about what HTML parts are like. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "mail/html_facts.h"
#include "score/eval.h"
#include "score/eval_pattern.h"

enum kind { KIND_SIZE, KIND_LONG, KIND_DOUBLE, KIND_BOOL };

/* Words of rule files for members of struct html_facts. */
static const struct {
	const char *word;
	enum kind kind;
	size_t offset;
} facts[] = {
#define F(kind, member)                                            \
	{                                                          \
#member, kind, offsetof(struct html_facts, member) \
	}
	F(KIND_SIZE, length),
	F(KIND_SIZE, html_length),
	F(KIND_SIZE, non_space_len),
	F(KIND_DOUBLE, ratio),
	F(KIND_DOUBLE, closed_extra_ratio),
	F(KIND_DOUBLE, bad_tag_ratio),
	F(KIND_DOUBLE, non_element_ratio),
	F(KIND_DOUBLE, obfuscation_ratio),
	F(KIND_DOUBLE, image_area),
	F(KIND_LONG, min_size),
	F(KIND_LONG, max_size),
	F(KIND_BOOL, font_low_contrast),
	F(KIND_BOOL, font_invalid_color),
	F(KIND_BOOL, font_face_bad),
	F(KIND_BOOL, form_action_mailto),
	F(KIND_BOOL, embeds),
#undef F
};

/* false: there is no such fact, or it is not defined for this part. */
static bool
fact_value(const struct html_facts *h, struct str word, double *value)
{
	const char *at;
	size_t i;

	if (str_eq(word, STR("html"))) {
		*value = 1;
		return true;
	}
	for (i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (!str_eq(word, str_of(facts[i].word)))
			continue;
		at = (const char *)h + facts[i].offset;
		switch (facts[i].kind) {
		case KIND_SIZE:
			*value = (double)*(const size_t *)at;
			return true;
		case KIND_LONG:
			*value = (double)*(const long *)at;
			return true;
		case KIND_BOOL:
			*value = *(const bool *)at;
			return true;
		case KIND_DOUBLE:
			*value = *(const double *)at;
			return *value >= 0;
		}
	}
	return false;
}

static const struct html_tag *
find_tag(const struct html_facts *h, struct str name)
{
	const struct html_tag *t;

	for (t = h->tags_by_name; t != NULL; t = t->next)
		if (str_eq(t->name, name))
			return t;
	return NULL;
}

/* "!= 0", "> 2": a value against such an expression. */
static bool
compares(double value, struct str expr)
{
	static const struct {
		const char *op;
		bool less, equal, more;
	} ops[] = { { "<=", true, true, false }, { ">=", false, true, true },
		{ "!=", true, false, true }, { "==", false, true, false },
		{ "<", true, false, false }, { ">", false, false, true } };
	char text[64];
	double other;
	size_t i, n;

	expr = str_trim(expr);
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (!str_starts(expr, str_of(ops[i].op)))
			continue;
		n = strlen(ops[i].op);
		expr = str_trim(str_sub(expr, n, sizeof(text) - 1));
		memcpy(text, expr.p, expr.n);
		text[expr.n] = '\0';
		other = strtod(text, NULL);
		return (ops[i].less && value < other) ||
		    (ops[i].equal && value == other) ||
		    (ops[i].more && value > other);
	}
	return false;
}

static bool
tag_balance(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;
	const struct html_tag *t;

	for (h = e->view->html; h != NULL; h = h->next) {
		t = find_tag(h, eval_arg(r, 0));
		if (t != NULL && compares((double)t->inside, eval_arg(r, 1)))
			return true;
	}
	return false;
}

static bool
tag_exists(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;

	for (h = e->view->html; h != NULL; h = h->next)
		if (find_tag(h, eval_arg(r, 0)) != NULL)
			return true;
	return false;
}

static bool
image_only(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;

	for (h = e->view->html; h != NULL; h = h->next)
		if (find_tag(h, STR("img")) != NULL &&
		    eval_above_upto(r, 0, (double)h->length))
			return true;
	return false;
}

static bool
image_ratio(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;

	for (h = e->view->html; h != NULL; h = h->next)
		if (h->image_area > 0 &&
		    eval_above_upto(r, 0,
			(double)h->non_space_len / h->image_area))
			return true;
	return false;
}

static bool
test(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;
	double value;

	for (h = e->view->html; h != NULL; h = h->next)
		if (fact_value(h, eval_arg(r, 0), &value) && value != 0)
			return true;
	return false;
}

static bool
compare(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;
	double value;

	for (h = e->view->html; h != NULL; h = h->next)
		if (fact_value(h, eval_arg(r, 0), &value) &&
		    compares(value, eval_arg(r, 1)))
			return true;
	return false;
}

static bool
range(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;
	double value;

	for (h = e->view->html; h != NULL; h = h->next)
		if (fact_value(h, eval_arg(r, 0), &value) &&
		    eval_above_upto(r, 1, value))
			return true;
	return false;
}

/* REGEX_LIMIT is no answer, whatever is wanted. */
static bool
is_as_wanted(struct eval *e, const struct score_rule *r, struct str text,
    bool wanted)
{
	enum regex_answer a = eval_regex(e, r, text);

	return a != REGEX_LIMIT && (a == REGEX_YES) == wanted;
}

static bool
text_matches(struct eval *e, const struct score_rule *r, bool wanted)
{
	const struct html_facts *h;
	const struct html_anchor *a;
	const struct html_string *s;
	struct str what = eval_arg(r, 0);

	if (r->regex == NULL)
		return false;
	for (h = e->view->html; h != NULL; h = h->next) {
		s = str_eq(what, STR("title"))	 ? h->titles :
		    str_eq(what, STR("comment")) ? h->comments :
		    str_eq(what, STR("script"))	 ? h->scripts :
						   NULL;
		for (; s != NULL; s = s->next)
			if (is_as_wanted(e, r, s->text, wanted))
				return true;
		if (!str_eq(what, STR("anchor")))
			continue;
		for (a = h->anchors; a != NULL; a = a->next)
			if (is_as_wanted(e, r, a->text, wanted))
				return true;
	}
	return false;
}

static bool
text_match(struct eval *e, const struct score_rule *r)
{
	return text_matches(e, r, true);
}

static bool
text_not_match(struct eval *e, const struct score_rule *r)
{
	return text_matches(e, r, false);
}

static bool
title_to_subject(struct eval *e, const struct score_rule *r)
{
	struct str subject = eval_field(e, "Subject");
	const struct html_facts *h;
	const struct html_string *s;

	if (subject.n == 0)
		return false;
	for (h = e->view->html; h != NULL; h = h->next)
		for (s = h->titles; s != NULL; s = s->next)
			if ((double)s->text.n / (double)subject.n >
			    eval_number(r, 0))
				return true;
	return false;
}

static bool
iframe(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;
	const struct html_link *l;

	(void)r;
	for (h = e->view->html; h != NULL; h = h->next)
		for (l = h->links; l != NULL; l = l->next)
			if (str_ieq(l->tag, STR("iframe")))
				return true;
	return false;
}

const struct eval_def eval_html_defs[] = {
	{ "check_iframe_src", iframe, 0, 0 },
	{ "html_eval", compare, 0, 0 },
	{ "html_image_only", image_only, 0, 0 },
	{ "html_image_ratio", image_ratio, 0, 0 },
	{ "html_range", range, 0, 0 },
	{ "html_tag_balance", tag_balance, 0, 0 },
	{ "html_tag_exists", tag_exists, 0, 0 },
	{ "html_test", test, 0, 0 },
	{ "html_text_match", text_match, 2, 0 },
	{ "html_text_not_match", text_not_match, 2, 0 },
	{ "html_title_subject_ratio", title_to_subject, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
