/*
 * Conditions, three-valued after Kleene: what could not be computed is
 * unknown, and stays so unless the other side decides alone.
 */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "check/dnsbl.h"
#include "check/key.h"
#include "check/limit.h"
#include "check/uribl.h"
#include "mail/oddity.h"
#include "policy/eval.h"
#include "policy/fact.h"
#include "score/score.h"

/* Items of a list that may meet a regex's match limit before the rest is
 * not looked at: each costs milliseconds, and a stranger sends thousands. */
#define LIMITED_MAX 8

static enum truth
truth_of(bool yes)
{
	return yes ? TRUTH_TRUE : TRUTH_FALSE;
}

static enum truth
truth_not(enum truth t)
{
	if (t == TRUTH_UNKNOWN)
		return t;
	return truth_of(t == TRUTH_FALSE);
}

static void
record(struct eval *e, struct str name, struct str value, enum truth t,
    int64_t start_us)
{
	trace_fact(e->trace, name, value, t == TRUTH_UNKNOWN,
	    clock_mono_us() - start_us, e->stage);
}

/* "over submission", "listed zen": a question that is not a fact. */
static enum truth
record_asked(struct eval *e, const char *verb, struct str name, enum truth t,
    int64_t start_us)
{
	char asked[128];

	snprintf(asked, sizeof(asked), "%s %.*s", verb, STR_FMT(name));
	record(e, str_of(asked), str_of(truth_word(t)), t, start_us);
	return t;
}

/* The name of a fact with its argument, for the trace. */
static struct str
fact_label(const struct fact_ref *ref, char out[128])
{
	if (!ref->def->takes_arg)
		return str_of(ref->def->name);
	snprintf(out, 128, "%s(\"%.*s\")", ref->def->name, STR_FMT(ref->arg));
	return str_of(out);
}

/* --- facts ------------------------------------------------------------- */

/*
 * Reads a fact.  A result of temperror is known to a condition that asks for
 * it by name, and unknown to any other: nobody should be refused because
 * DNS did not answer.
 */
static void
read_fact(struct eval *e, const struct expr *x, bool by_name, struct value *v)
{
	int64_t start = clock_mono_us();
	char label[128], brief[FACT_BRIEF];

	fact_get(e->session, &x->fact, v);
	if (!by_name && v->kind == VALUE_WORD && !v->unknown &&
	    str_ieq(v->text, STR("temperror"))) {
		v->unknown = true;
		v->why = "temperror";
	}
	record(e, fact_label(&x->fact, label), fact_brief(v, brief),
	    v->unknown ? TRUTH_UNKNOWN : TRUTH_TRUE, start);
}

/* The i-th text of a value with one or several. */
static struct str
value_item(const struct value *v, size_t i)
{
	return v->nitems > 0 ? v->items[i] : v->text;
}

static size_t
value_count(const struct value *v)
{
	return v->nitems > 0 ? v->nitems : 1;
}

static enum truth
cond_fact(struct eval *e, const struct expr *x)
{
	struct value v;

	read_fact(e, x, false, &v);
	if (v.unknown)
		return TRUTH_UNKNOWN;
	if (v.kind == VALUE_NUMBER)
		return truth_of(!v.absent && fpclassify(v.number) != FP_ZERO);
	return truth_of(!v.absent);
}

static bool
order_holds(enum cmp cmp, int order)
{
	switch (cmp) {
	case CMP_EQ:
		return order == 0;
	case CMP_NE:
		return order != 0;
	case CMP_LT:
		return order < 0;
	case CMP_LE:
		return order <= 0;
	case CMP_GT:
		return order > 0;
	case CMP_GE:
		return order >= 0;
	}
	return false;
}

/* What is unknown can be no more than what it claims. */
static bool
is_claim(const struct value *v)
{
	return v->unknown && v->kind == VALUE_EVERY && v->nitems > 0;
}

/* Whether a question to that value is true, when its texts say so. */
static enum truth
truth_for(const struct value *v, bool yes)
{
	return yes && v->unknown ? TRUTH_UNKNOWN : truth_of(yes);
}

/* Any of the value's texts, or all of them; `!=' is the contrary of `='. */
static bool
text_holds(const struct value *v, enum cmp cmp, struct str text)
{
	enum cmp asked = cmp == CMP_NE ? CMP_EQ : cmp;
	bool every = v->kind == VALUE_EVERY, holds = every;

	for (size_t i = 0; i < value_count(v) && holds == every; i++) {
		struct str item = v->absent ? STR_NONE : value_item(v, i);

		holds = order_holds(asked, str_icmp(item, text));
	}
	return cmp == CMP_NE ? !holds : holds;
}

static bool
net_holds(const struct value *v, enum cmp cmp, const struct addr_net *net)
{
	bool in = !v->absent && addr_in_net(&v->addr, net);

	return cmp == CMP_NE ? !in : in;
}

static enum truth
cond_cmp(struct eval *e, const struct expr *x)
{
	const struct literal *lit = &x->literal;
	struct value v;
	int order;

	read_fact(e, x,
	    lit->kind == LITERAL_TEXT && str_ieq(lit->text, STR("temperror")),
	    &v);
	if (v.unknown && !is_claim(&v))
		return TRUTH_UNKNOWN;
	switch (lit->kind) {
	case LITERAL_NUMBER:
		order = (v.number > lit->number) - (v.number < lit->number);
		return truth_of(order_holds(x->cmp, order));
	case LITERAL_NET:
		return truth_of(net_holds(&v, x->cmp, &lit->net));
	default:
		if (is_claim(&v) && x->cmp == CMP_NE)
			return truth_not(
			    truth_for(&v, text_holds(&v, CMP_EQ, lit->text)));
		return truth_for(&v, text_holds(&v, x->cmp, lit->text));
	}
}

static enum truth
match_item(const struct regex *re, struct str text)
{
	enum regex_answer a = regex_match(re, text);

	return a == REGEX_LIMIT ? TRUTH_UNKNOWN : truth_of(a == REGEX_YES);
}

/* Any of the texts, or all of them, as Kleene has `or' and `and'. */
static enum truth
match_items(const struct regex *re, const struct value *v)
{
	bool every = v->kind == VALUE_EVERY;
	enum truth end = truth_of(!every), all = truth_of(every), t;
	unsigned int limited = 0;

	if (v->absent)
		return TRUTH_FALSE;
	for (size_t i = 0; i < value_count(v); i++) {
		t = match_item(re, value_item(v, i));
		if (t == end)
			return end;
		if (t == TRUTH_UNKNOWN) {
			all = t;
			if (++limited == LIMITED_MAX)
				break;
		}
	}
	return all;
}

static enum truth
cond_match(struct eval *e, const struct expr *x)
{
	char brief[FACT_BRIEF];
	struct value v;
	enum truth t;

	read_fact(e, x, false, &v);
	if ((v.unknown && !is_claim(&v)) || x->regex == NULL)
		return TRUTH_UNKNOWN;
	if (v.kind == VALUE_ADDR || v.kind == VALUE_NUMBER)
		v.text = fact_brief(&v, brief);
	t = match_items(x->regex, &v);
	if (v.unknown && t == TRUTH_TRUE)
		t = TRUTH_UNKNOWN;
	return x->negate ? truth_not(t) : t;
}

static bool
every_in(const struct table *table, const struct value *v)
{
	struct value one = *v;
	size_t i = 0;

	one.unknown = false;
	for (one.nitems = 1; i < v->nitems; i++) {
		one.items = &v->items[i];
		if (!table_has(table, &one))
			return false;
	}
	return i > 0;
}

static enum truth
cond_in(struct eval *e, const struct expr *x)
{
	struct value v;

	read_fact(e, x, false, &v);
	if (v.unknown && !is_claim(&v))
		return TRUTH_UNKNOWN;
	if (v.absent)
		return TRUTH_FALSE;
	if (v.kind == VALUE_EVERY)
		return truth_for(&v, every_in(x->table, &v));
	return truth_of(table_has(x->table, &v));
}

/* --- questions --------------------------------------------------------- */

static enum truth
cond_listed(struct eval *e, const struct expr *x)
{
	int64_t start = clock_mono_us();
	const struct dnsbl_result *r;
	enum truth t = TRUTH_UNKNOWN;

	if (!x->list->domains)
		r = dnsbl_check(e->session, x->list);
	else if (e->session->txn != NULL)
		r = uribl_check(e->session->txn, x->list);
	else
		return TRUTH_FALSE;
	if (r != NULL && r->listed != DNSBL_UNKNOWN)
		t = truth_of(r->listed == DNSBL_YES);
	if (t == TRUTH_TRUE && e->trace != NULL)
		e->trace->listed = r;
	if (t == TRUTH_TRUE && r->domain.n > 0)
		record(e, STR("dnsbl.domain"), r->domain, t, start);
	return record_asked(e, "listed", x->list->name, t, start);
}

static void
remember_over(struct eval *e, const struct limit_info *info)
{
	struct limit_info *kept = arena_alloc(e->arena, sizeof(*kept));

	if (kept == NULL || e->trace == NULL)
		return;
	*kept = *info;
	e->trace->over = kept;
}

static enum truth
truth_of_limit(struct eval *e, enum limit_answer answer)
{
	switch (answer) {
	case LIMIT_FREE:
		return TRUTH_FALSE;
	case LIMIT_OVER:
		return TRUTH_TRUE;
	default:
		e->store_down = true;
		return TRUTH_UNKNOWN;
	}
}

static enum truth
cond_over(struct eval *e, const struct expr *x)
{
	int64_t start = clock_mono_us();
	struct limit_info info = { 0 };
	struct str name = x->limit->name;
	enum limit_answer answer;
	char near[128];
	enum truth t;

	if (x->percent == 0) {
		answer = limit_over(e->session, x->limit, e->stage, &info);
	} else {
		answer = limit_near(e->session, x->limit, e->stage, x->percent,
		    &info);
		snprintf(near, sizeof(near), "%.*s at %u%%", STR_FMT(name),
		    x->percent);
		name = str_of(near);
	}
	t = truth_of_limit(e, answer);
	if (t == TRUTH_TRUE)
		remember_over(e, &info);
	return record_asked(e, "over", name, t, start);
}

static enum truth
cond_rule(struct eval *e, const struct expr *x)
{
	const struct ruleset *rules = e->session->policy->ruleset;
	int64_t start = clock_mono_us();
	const struct score_result *r;
	enum truth t = TRUTH_UNKNOWN;

	if (rules == NULL || e->session->txn == NULL)
		t = TRUTH_FALSE;
	else if ((r = score_run(e->session->txn, rules)) != NULL)
		t = truth_of(score_hit(r, x->name));
	return record_asked(e, "rule", x->name, t, start);
}

/* Where rules want the domains of links, those left out there count too. */
static bool
is_odd(struct txn *txn, enum oddity odd, bool *full)
{
	const struct link_domain *first;

	if (odd == ODDITY_LINKS_MANY && (txn->needs & NEED_LINKS) != 0 &&
	    !fact_link_domains(txn, &first)) {
		*full = true;
		return false;
	}
	return oddity_has(txn, odd, full);
}

static enum truth
cond_tag(struct eval *e, const struct expr *x)
{
	int64_t start = clock_mono_us();
	struct txn *txn = e->session->txn;
	bool has = false, full = false;
	enum oddity odd;

	if (!oddity_find(x->name, &odd))
		has = verdict_has_tag(e->verdict, x->name);
	else if (txn != NULL)
		has = is_odd(txn, odd, &full);
	return record_asked(e, "tag", x->name,
	    full ? TRUTH_UNKNOWN : truth_of(has), start);
}

static enum truth
cond_blocked(struct eval *e, const struct expr *x)
{
	int64_t start = clock_mono_us(), until;
	struct str key = key_make(e->arena, e->session, &x->key);
	enum truth t = TRUTH_FALSE;

	if (key.n > 0)
		t = truth_of_limit(e,
		    block_check(e->session->checks->services, key, &until));
	return record_asked(e, "blocked", key.n > 0 ? key : x->key.text, t,
	    start);
}

/* --- and, or, not ------------------------------------------------------ */

static enum truth
cond_and(struct eval *e, const struct expr *x)
{
	enum truth left = cond_eval(e, x->left), right;

	if (left == TRUTH_FALSE)
		return left;
	right = cond_eval(e, x->right);
	return right == TRUTH_TRUE ? left : right;
}

static enum truth
cond_or(struct eval *e, const struct expr *x)
{
	enum truth left = cond_eval(e, x->left), right;

	if (left == TRUTH_TRUE)
		return left;
	right = cond_eval(e, x->right);
	return right == TRUTH_FALSE ? left : right;
}

static enum truth
cond_not(struct eval *e, const struct expr *x)
{
	return truth_not(cond_eval(e, x->left != NULL ? x->left : x->right));
}

static enum truth (*const conditions[])(struct eval *, const struct expr *) = {
	[EXPR_AND] = cond_and,
	[EXPR_OR] = cond_or,
	[EXPR_NOT] = cond_not,
	[EXPR_FACT] = cond_fact,
	[EXPR_CMP] = cond_cmp,
	[EXPR_MATCH] = cond_match,
	[EXPR_IN] = cond_in,
	[EXPR_LISTED] = cond_listed,
	[EXPR_OVER] = cond_over,
	[EXPR_RULE] = cond_rule,
	[EXPR_TAG] = cond_tag,
	[EXPR_BLOCKED] = cond_blocked,
};

enum truth
cond_eval(struct eval *e, const struct expr *x)
{
	return conditions[x->op](e, x);
}
