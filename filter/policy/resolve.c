#include "policy/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/oddity.h"
#include "policy/setting.h"
#include "score/auth_rule.h"

struct resolve {
	struct parse	*p;
	struct diag	*diag;
	const struct rule *rule;	/* being resolved */
	unsigned int	 needs;		/* of it */
	struct map	*tags;		/* that some rule sets */
};

static const char *
stage_of(const struct resolve *r)
{
	return stage_word(r->rule->stage);
}

static void
need_stage(struct resolve *r, struct place at, enum stage stage,
    const char *what, struct str name)
{
	if (stage > r->rule->stage)
		diag_error(r->diag, at,
		    "%s`%.*s' is not known before stage %s; this rule stands "
		    "at %s",
		    what, STR_FMT(name), stage_word(stage), stage_of(r));
}

/* Without a database it would never be known. */
static void
need_geoip(struct resolve *r, struct place at, const char *what)
{
	if (r->p->policy->geoip == NULL)
		diag_error(r->diag, at,
		    "`%s' needs a database: the `geoip' setting names its file",
		    what);
}

static void
need_fact(struct resolve *r, struct place at, const struct fact_def *def)
{
	need_stage(r, at, def->stage, "", str_of(def->name));
	if (def->id == FACT_COUNTRY || def->id == FACT_ASN)
		need_geoip(r, at, def->name);
	r->needs |= def->needs;
}

/* ---- names ---- */

static struct named *
name_find(struct resolve *r, enum name_kind kind, struct str name,
    struct place at)
{
	struct named *n = map_get(r->p->by_name[kind], name);
	const char **known;
	size_t count = 0;

	if (n != NULL) {
		n->used = true;
		return n;
	}
	diag_error(r->diag, at, "unknown %s `%.*s'", parse_kind_word(kind),
	    STR_FMT(name));
	if (diag_errors(r->diag) > DIAG_MAX)
		return NULL;
	known =
	    mem_alloc((map_count(r->p->by_name[kind]) + 1) * sizeof(*known));
	for (n = r->p->named; n != NULL; n = n->next)
		if (n->kind == kind)
			known[count++] = n->name.p;
	diag_suggest(r->diag, name, known, count);
	free(known);
	return NULL;
}

static bool
fact_bind(struct resolve *r, struct expr *e)
{
	const char *const *known;
	size_t n;

	e->fact.def = fact_find(e->name);
	e->fact.arg = e->arg;
	if (e->fact.def == NULL) {
		diag_error(r->diag, e->name_place, "unknown fact `%.*s'",
		    STR_FMT(e->name));
		known = fact_names(&n);
		diag_suggest(r->diag, e->name, known, n);
		return false;
	}
	if (e->fact.def->takes_arg != (e->arg.p != NULL)) {
		diag_error(r->diag, e->name_place,
		    e->fact.def->takes_arg ?
			"`%.*s' needs a name: %.*s(\"Subject\")" :
			"`%.*s' takes nothing in parentheses",
		    STR_FMT(e->name), STR_FMT(e->name));
		return false;
	}
	need_fact(r, e->name_place, e->fact.def);
	return true;
}

static unsigned int
key_needs(const struct key *key)
{
	unsigned int needs = 0;

	for (size_t i = 0; i < key->count; i++) {
		if (key->parts[i].part == KEY_HELO)
			needs |= NEED_HELO;
		if (key->parts[i].part == KEY_FROM_DOMAIN)
			needs |= NEED_HEADERS;
	}
	return needs;
}

/* ---- comparisons ---- */

static bool
number_literal(struct resolve *r, struct expr *e)
{
	struct str text = e->literal.text;
	struct place at = e->literal_place;
	uint64_t size;
	int64_t ms;

	e->literal.kind = LITERAL_NUMBER;
	if (setting_number(text, &e->literal.number))
		return true;
	if (setting_size(text, &size)) {
		e->literal.number = (double)size;
		return true;
	}
	if (!setting_time(text, &ms)) {
		diag_error(r->diag, at,
		    "`%.*s' is compared with a number, and `%.*s' is none "
		    "(sizes are written 512, 16K, 10M)",
		    STR_FMT(e->name), STR_FMT(text));
		return false;
	}
	if (e->fact.def->id != FACT_NOW) {
		diag_error(r->diag, at,
		    "`%.*s' is not a time; sizes end in "
		    "K, M or G",
		    STR_FMT(e->name));
		return false;
	}
	e->literal.number = (double)ms / 1000;
	return true;
}

static bool
word_literal(struct resolve *r, struct expr *e)
{
	const char *const *words = e->fact.def->words;
	size_t n = 0;

	for (; words[n] != NULL; n++)
		if (str_ieq(e->literal.text, str_of(words[n])))
			return true;
	diag_error(r->diag, e->literal_place, "`%.*s' is never `%.*s'",
	    STR_FMT(e->name), STR_FMT(e->literal.text));
	diag_suggest(r->diag, e->literal.text, words, n);
	return false;
}

static bool
net_literal(struct resolve *r, struct expr *e)
{
	const char *why = "";

	e->literal.kind = LITERAL_NET;
	if (addr_net_parse(e->literal.text, &e->literal.net, &why))
		return true;
	diag_error(r->diag, e->literal_place,
	    "`%.*s' is an address; in `%.*s': %s", STR_FMT(e->name),
	    STR_FMT(e->literal.text), why);
	return false;
}

static bool
mailbox_literal(struct resolve *r, struct expr *e)
{
	struct str text = e->literal.text;

	if (text.n == 0 || str_eq(text, STR("<>"))) {
		diag_error(r->diag, e->literal_place,
		    "write `not %.*s' where there is none", STR_FMT(e->name));
		return false;
	}
	if (text.p[0] == '@') {
		diag_error(r->diag, e->literal_place,
		    "write `%.*s in { %.*s }' for a whole domain",
		    STR_FMT(e->name), STR_FMT(text));
		return false;
	}
	return true;
}

static void
bind_compare(struct resolve *r, struct expr *e)
{
	enum value_kind kind = e->fact.def->kind;

	if (e->cmp > CMP_NE && kind != VALUE_NUMBER)
		diag_error(r->diag, e->name_place,
		    "`%.*s' is not a number: it can't be more or less",
		    STR_FMT(e->name));
	else if (kind == VALUE_NUMBER)
		number_literal(r, e);
	else if (e->fact.def->words != NULL)
		word_literal(r, e);
	else if (kind == VALUE_ADDR)
		net_literal(r, e);
	else if (kind == VALUE_MAILBOX)
		mailbox_literal(r, e);
}

static void
bind_match(struct resolve *r, struct expr *e)
{
	enum value_kind kind = e->fact.def->kind;

	if (kind == VALUE_NUMBER)
		diag_error(r->diag, e->name_place,
		    "`%.*s' is a number: "
		    "compare it with = < >",
		    STR_FMT(e->name));
	if (kind == VALUE_ADDR)
		diag_error(r->diag, e->name_place,
		    "`%.*s' is an address: "
		    "compare it with = or in",
		    STR_FMT(e->name));
}

static void
bind_in(struct resolve *r, struct expr *e)
{
	struct named *n;

	if (e->fact.def->kind == VALUE_NUMBER)
		diag_error(r->diag, e->name_place,
		    "`%.*s' is a number: "
		    "compare it with = < >",
		    STR_FMT(e->name));
	if (e->table != NULL)
		return;
	n = name_find(r, NAME_TABLE, e->literal.text, e->literal_place);
	if (n != NULL)
		e->table = n->object;
}

static void
bind_presence(struct resolve *r, struct expr *e)
{
	if (e->fact.def->kind == VALUE_NUMBER)
		diag_error(r->diag, e->name_place,
		    "compare `%.*s' with a number", STR_FMT(e->name));
	if (e->fact.def->kind == VALUE_WORD)
		diag_error(r->diag, e->name_place,
		    "compare `%.*s' with a word, such as %.*s = %s",
		    STR_FMT(e->name), STR_FMT(e->name), e->fact.def->words[1]);
}

static void
bind_fact(struct resolve *r, struct expr *e)
{
	bool bound = fact_bind(r, e);

	/* A table is in use even where its fact is misspelt. */
	if (!bound && e->op == EXPR_IN && e->table == NULL)
		name_find(r, NAME_TABLE, e->literal.text, e->literal_place);
	if (!bound)
		return;
	if (e->op == EXPR_CMP)
		bind_compare(r, e);
	else if (e->op == EXPR_MATCH)
		bind_match(r, e);
	else if (e->op == EXPR_IN)
		bind_in(r, e);
	else
		bind_presence(r, e);
}

/* ---- tests ---- */

static void
bind_listed(struct resolve *r, struct expr *e)
{
	struct named *n = name_find(r, NAME_DNSBL, e->name, e->name_place);

	if (n == NULL)
		return;
	e->list = n->object;
	if (!e->list->domains)
		return;
	need_stage(r, e->name_place, STAGE_MESSAGE, "list ", e->name);
	r->needs |= NEED_HEADERS | NEED_CONTENT | NEED_LINKS;
}

static void
rejected_add(struct policy *policy, const struct limit *limit)
{
	for (size_t i = 0; i < policy->nrejected_limits; i++)
		if (policy->rejected_limits[i] == limit)
			return;
	policy->rejected_limits = mem_resize(policy->rejected_limits,
	    (policy->nrejected_limits + 1) * sizeof(*policy->rejected_limits));
	policy->rejected_limits[policy->nrejected_limits++] = limit;
}

static void
bind_over(struct resolve *r, struct expr *e)
{
	struct named *n = name_find(r, NAME_LIMIT, e->name, e->name_place);
	struct policy *policy = r->p->policy;
	enum stage stage;

	if (n == NULL)
		return;
	e->limit = n->object;
	n->charged |= e->percent == 0 || limit_only_read(e->limit);
	if (e->limit->count == 0)
		return;		/* was a mistake */
	r->needs |= NEED_STORE | key_needs(&e->limit->key);
	stage = key_stage(&e->limit->key);
	for (size_t i = 0; i < e->limit->count; i++) {
		enum limit_unit unit = e->limit->windows[i].unit;

		if (limit_unit_stage(unit) > stage)
			stage = limit_unit_stage(unit);
		if (unit == LIMIT_REJECTED) {
			rejected_add(policy, e->limit);
			r->needs |= NEED_RCPT_REJ;
		}
		if (unit == LIMIT_COUNTRIES)
			need_geoip(r, e->name_place, limit_unit_word(unit));
		if (unit == LIMIT_BYTES) {
			policy->stage_needs[STAGE_MESSAGE] |=
			    NEED_HEADERS | NEED_BODY_SIZE;
			policy->needs |= NEED_HEADERS | NEED_BODY_SIZE;
		}
	}
	need_stage(r, e->name_place, stage, "limit ", e->name);
}

static void
bind_rule(struct resolve *r, struct expr *e)
{
	const struct policy *policy = r->p->policy;

	need_stage(r, e->place, STAGE_MESSAGE, "rule ", e->name);
	r->needs |= NEED_SCORE;
	if (policy->settings.place[SETTING_RULES].source == NULL)
		diag_error(r->diag, e->name_place,
		    "there are no score rules: the `rules' setting names "
		    "their files");
	else if (!policy_want_rule(policy, e->name))
		diag_error(r->diag, e->name_place,
		    "no rule `%.*s' in the files of `rules'", STR_FMT(e->name));
}

/* A tag that no rule sets, but the message itself. */
static bool
bind_oddity(struct resolve *r, struct expr *e)
{
	const char *const *known;
	enum oddity odd;
	size_t n;

	if (oddity_find(e->name, &odd)) {
		need_stage(r, e->place, STAGE_MESSAGE, "tag ", e->name);
		r->needs |= NEED_HEADERS |
		    (oddity_needs_content(odd) ? NEED_CONTENT : 0);
		return true;
	}
	if (!oddity_reserved(e->name))
		return false;
	diag_error(r->diag, e->name_place, "unknown tag `%.*s'",
	    STR_FMT(e->name));
	known = oddity_names(&n);
	diag_suggest(r->diag, e->name, known, n);
	return true;
}

static void
bind_tag(struct resolve *r, struct expr *e)
{
	const char *known[64];
	struct map_iter it = { 0 };
	struct str name;
	void *value;
	size_t n = 0;

	if (bind_oddity(r, e) || map_get(r->tags, e->name) != NULL)
		return;
	diag_warn(r->diag, e->name_place, "no rule sets tag `%.*s'",
	    STR_FMT(e->name));
	while (n < 64 && map_next(r->tags, &it, &name, &value))
		known[n++] = ((const struct rule *)value)->name.p;
	diag_suggest(r->diag, e->name, known, n);
}

static void
bind_key(struct resolve *r, const struct key *key, struct place at)
{
	r->needs |= NEED_STORE | key_needs(key);
	need_stage(r, at, key_stage(key), "key ", key->text);
}

static void
bind_expr(struct resolve *r, struct expr *e)
{
	switch (e->op) {
	case EXPR_AND:
	case EXPR_OR:
		bind_expr(r, e->left);
		bind_expr(r, e->right);
		break;
	case EXPR_NOT:
		bind_expr(r, e->left);
		break;
	case EXPR_FACT:
	case EXPR_CMP:
	case EXPR_MATCH:
	case EXPR_IN:
		bind_fact(r, e);
		break;
	case EXPR_LISTED:
		bind_listed(r, e);
		break;
	case EXPR_OVER:
		bind_over(r, e);
		break;
	case EXPR_RULE:
		bind_rule(r, e);
		break;
	case EXPR_TAG:
		bind_tag(r, e);
		break;
	case EXPR_BLOCKED:
		bind_key(r, &e->key, e->name_place);
		break;
	}
}

/* ---- rules ---- */

static void
check_verb(struct resolve *r)
{
	const struct rule *rule = r->rule;
	const struct verb_def *verb = parse_verb(rule->verb);

	if (verb->stage > rule->stage)
		diag_error(r->diag, rule->place,
		    "`%s' is not possible before stage %s; this rule stands "
		    "at %s",
		    verb->word, stage_word(verb->stage), stage_of(r));
	if (rule->verb == VERB_TAG && oddity_reserved(rule->name))
		diag_error(r->diag, rule->name_place,
		    "tags that begin like `%.*s' are set by the message "
		    "alone",
		    STR_FMT(rule->name));
	if (rule->verb == VERB_GREYLIST && rule->stage > STAGE_RCPT)
		diag_error(r->diag, rule->place,
		    "`greylist' is about a recipient and stands at rcpt");
}

/* Whether the MTA has to wait for what this rule comes to: it may end the
 * stage, itself or by a fault of the store, or hold up its end. */
static bool
may_answer(const struct resolve *r, const struct rule *rule)
{
	const struct settings *set = &r->p->policy->settings;

	if (rule->verb == VERB_GREYLIST || rule->verb == VERB_DELAY)
		return true;
	if (set->fault_tempfail && (r->needs & NEED_STORE))
		return true;
	return parse_verb(rule->verb)->ends;
}

/* What is known only later of what a limit counts, and when. */
static void
again_at(struct rule *rule, const struct limit *limit)
{
	for (size_t i = 0; i < limit->count; i++) {
		if (limit->windows[i].unit == LIMIT_RECIPIENTS &&
		    rule->stage < STAGE_RCPT)
			rule->again[STAGE_RCPT].limit = limit;
		if (limit->windows[i].unit == LIMIT_BYTES)
			rule->again[STAGE_MESSAGE].limit = limit;
	}
}

static void
find_again(const struct expr *e, struct rule *rule)
{
	for (; e != NULL; e = e->right) {
		find_again(e->left, rule);
		if (e->op == EXPR_OVER && e->percent == 0 && e->limit != NULL)
			again_at(rule, e->limit);
	}
}

/* At mail nobody knows how many recipients there will be, nor before the end
 * how many bytes: whoever refuses because of them is asked again. */
static void
resolve_again(struct resolve *r, struct rule *rule)
{
	struct policy *policy = r->p->policy;

	if (rule->stage != STAGE_MAIL && rule->stage != STAGE_RCPT)
		return;
	if (rule->verb != VERB_REJECT && rule->verb != VERB_TEMPFAIL)
		return;
	find_again(rule->condition, rule);
	for (int s = 0; s < STAGE_COUNT; s++) {
		if (rule->again[s].limit == NULL)
			continue;
		policy->stage_needs[s] |= r->needs;
		if (!rule->shadow && !policy->shadow)
			policy->stage_decides[s] = true;
	}
}

/* In the order of the file. */
static void
collect_again(struct policy *policy)
{
	for (int at = 0; at < STAGE_COUNT; at++) {
		struct rule **tail = &policy->again[at];

		for (int s = 0; s < at; s++)
			for (struct rule *rule = policy->rules[s]; rule != NULL;
			     rule = rule->next)
				if (rule->again[at].limit != NULL) {
					*tail = rule;
					tail = &rule->again[at].next;
				}
	}
}

/* What the score rules ask of our own checks. */
static unsigned int
score_needs(const struct policy *policy)
{
	static const struct {
		unsigned int	 wants, needs;
	} map[] = {
		{ AUTH_RULE_SPF, NEED_SPF | NEED_HELO },
		{ AUTH_RULE_SPF_HELO, NEED_SPF_HELO | NEED_HELO },
		{ AUTH_RULE_DKIM, NEED_HEADERS | NEED_DKIM },
		{ AUTH_RULE_DMARC, NEEDS_AUTH },
		{ AUTH_RULE_ARC, NEEDS_ARC },
	};
	unsigned int wants, needs = 0;

	wants = policy->ruleset != NULL ? auth_rule_wants(policy->ruleset) : 0;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (wants & map[i].wants)
			needs |= map[i].needs;
	return needs;
}

static void
resolve_rule(struct resolve *r, struct rule *rule)
{
	static const unsigned int needs[VERB_COUNT] = {
		[VERB_STRIP] = NEED_HEADERS,
		[VERB_SIGN] = NEED_HEADERS | NEED_SIGN,
		[VERB_GREYLIST] = NEED_STORE,
	};
	struct policy *policy = r->p->policy;

	r->rule = rule;
	r->needs = needs[rule->verb];
	check_verb(r);
	if (rule->condition != NULL)
		bind_expr(r, rule->condition);
	if (rule->verb == VERB_BLOCK)
		bind_key(r, &rule->key, rule->name_place);
	for (const struct text *t = rule->text; t != NULL; t = t->next) {
		if (t->fact.def == NULL)
			continue;
		need_fact(r, t->place, t->fact.def);
	}
	if ((r->needs & NEED_SCORE) &&
	    policy->settings.place[SETTING_RULES].source != NULL)
		r->needs |= NEED_HEADERS | NEED_CONTENT | NEED_BODY_SIZE |
		    score_needs(policy);
	policy->needs |= r->needs;
	policy->stage_needs[rule->stage] |= r->needs;
	if (!rule->shadow && !policy->shadow && may_answer(r, rule))
		policy->stage_decides[rule->stage] = true;
	resolve_again(r, rule);
}

static void
collect_tags(struct resolve *r, struct rule *rule)
{
	for (; rule != NULL; rule = rule->next)
		if (rule->verb == VERB_TAG)
			map_put(r->tags, rule->name, rule);
}

/* ---- what is never reached ---- */

static void
condition_text(const struct expr *e, struct buf *out)
{
	static const char *const ops[] = { "and", "or", "not", "is", "cmp",
		"match", "in", "listed", "over", "rule", "tag", "blocked" };

	buf_printf(out, "(%s", ops[e->op]);
	if (e->left != NULL)
		condition_text(e->left, out);
	if (e->right != NULL)
		condition_text(e->right, out);
	if (e->left == NULL) {
		buf_printf(out, " %.*s", STR_FMT(e->name));
		buf_quoted(out, e->arg);
		buf_printf(out, " %d%d%u ", e->cmp, e->negate, e->percent);
		buf_quoted(out, e->literal.text);
		buf_quoted(out, e->pattern);
		buf_quoted(out, e->flags);
		buf_printf(out, "%p", (void *)e->table);
	}
	buf_addc(out, ')');
}

struct reach {
	struct resolve	*r;
	struct map	*ended;		/* condition to the rule it ends at */
	struct map	*seen;		/* rule as written */
	const struct rule *last;	/* ends the stage whatever comes */
	bool		 told;
};

static void
reach_rule(struct reach *reach, struct rule *rule)
{
	struct buf text = BUF_INIT(4 * PARSE_FILE_MAX);
	const struct rule *other;

	if (reach->last != NULL) {
		if (!reach->told)
			diag_warn(reach->r->diag, rule->place,
			    "never reached: the rule at %.*s always decides",
			    STR_FMT(reach->last->where));
		reach->told = true;
		return;
	}
	if (rule->condition == NULL && parse_verb(rule->verb)->ends)
		reach->last = rule;
	if (rule->condition != NULL)
		condition_text(rule->condition, &text);
	other = map_get(reach->ended, buf_str(&text));
	if (other != NULL)
		diag_warn(reach->r->diag, rule->place,
		    "never reached: the rule at %.*s has the same condition",
		    STR_FMT(other->where));
	else if ((other = map_get(reach->seen, rule->source)) != NULL)
		diag_warn(reach->r->diag, rule->place,
		    "the same rule stands at %.*s already",
		    STR_FMT(other->where));
	else if (parse_verb(rule->verb)->ends && rule->condition != NULL)
		map_put(reach->ended, buf_str(&text), rule);
	map_put(reach->seen, rule->source, rule);
	buf_free(&text);
}

static void
check_reach(struct resolve *r, struct rule *rules)
{
	struct reach reach = { .r = r,
		.ended = map_new(false),
		.seen = map_new(false) };

	for (; rules != NULL; rules = rules->next)
		if (!rules->shadow)
			reach_rule(&reach, rules);
	map_free(&reach.ended, NULL);
	map_free(&reach.seen, NULL);
}

static void
warn_unused(struct resolve *r)
{
	for (const struct named *n = r->p->named; n != NULL; n = n->next)
		if (n->used && n->kind == NAME_LIMIT && !n->charged)
			diag_warn(r->diag, n->place,
			    "limit `%.*s' is only looked at: without a rule "
			    "that asks `over %.*s' nothing is counted",
			    STR_FMT(n->name), STR_FMT(n->name));
		else if (!n->used)
			diag_warn(r->diag, n->place,
			    "%s `%.*s' is never "
			    "used",
			    parse_kind_word(n->kind), STR_FMT(n->name));
	if (r->p->policy->dmarc_override != NULL &&
	    !(r->p->policy->needs & NEED_DMARC))
		diag_warn(r->diag, r->p->policy->override_place,
		    "no rule asks for `dmarc'");
	lex_warn_unused(r->p->macros, r->diag);
}

void
resolve_policy(struct parse *p)
{
	struct resolve r = { .p = p, .diag = p->diag, .tags = map_new(false) };

	for (int s = 0; s < STAGE_COUNT; s++)
		collect_tags(&r, p->policy->rules[s]);
	for (int s = 0; s < STAGE_COUNT; s++) {
		for (struct rule *rule = p->policy->rules[s]; rule != NULL;
		     rule = rule->next)
			resolve_rule(&r, rule);
		check_reach(&r, p->policy->rules[s]);
	}
	collect_again(p->policy);
	/* What a skipped statement would have used is not known. */
	if (diag_errors(p->diag) == 0)
		warn_unused(&r);
	map_free(&r.tags, NULL);
}
