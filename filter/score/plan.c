#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/eval.h"
#include "score/needs.h"
#include "score/plan.h"
#include "score/rule_text.h"

static void *
plan_alloc(struct plan *plan, size_t n)
{
	void *p = arena_alloc(plan->arena, n > 0 ? n : 1);

	assert(p != NULL); /* the arena has no cap */
	return p;
}

/* Lists beside those of each kind: rules that call a function, and rules that
 * capture. */
enum { LIST_EVAL = RULE_KIND_COUNT, LIST_CAPTURES };

static bool
list_wants(const struct score_rule *r, int kind)
{
	if (r->off)
		return false;
	if (kind == LIST_EVAL || r->eval.p != NULL)
		return kind == LIST_EVAL && r->eval.p != NULL;
	if (kind == LIST_CAPTURES || r->perl.captures)
		return kind == LIST_CAPTURES && r->perl.captures;
	return r->kind == (enum rule_kind)kind;
}

static void
list_make(struct plan *plan, const struct ruleset *set, struct plan_list *list,
    int kind)
{
	const struct score_rule *r;

	for (r = set->first; r != NULL; r = r->next)
		list->count += list_wants(r, kind);
	list->rule = plan_alloc(plan, list->count * sizeof(*list->rule));
	list->count = 0;
	for (r = set->first; r != NULL; r = r->next)
		if (list_wants(r, kind))
			list->rule[list->count++] = r;
}

/* --- fields ------------------------------------------------------------- */

static int
by_field(const void *a, const void *b)
{
	const struct score_rule *x = *(const struct score_rule *const *)a;
	const struct score_rule *y = *(const struct score_rule *const *)b;
	int order = str_cmp(x->field, y->field);

	if (order != 0)
		return order;
	if (x->flags != y->flags)
		return x->flags < y->flags ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static void
fields_make(struct plan *plan, const struct ruleset *set)
{
	struct plan_list all = { 0 };
	struct plan_field *f = NULL;
	size_t i;

	list_make(plan, set, &all, RULE_HEADER);
	if (all.count > 0)
		qsort(all.rule, all.count, sizeof(*all.rule), by_field);
	plan->fields = plan_alloc(plan, all.count * sizeof(*plan->fields));
	plan->field_of = plan_alloc(plan, set->count * sizeof(uint32_t));
	for (i = 0; i < set->count; i++)
		plan->field_of[i] = PLAN_NO_FIELD;
	for (i = 0; i < all.count; i++) {
		if (f == NULL || !str_eq(f->name, all.rule[i]->field) ||
		    f->flags != all.rule[i]->flags) {
			f = &plan->fields[plan->nfields++];
			f->name = all.rule[i]->field;
			f->flags = all.rule[i]->flags;
			f->hash = str_ihash(f->name);
			f->made = field_made(f->name);
			f->rules.rule = &all.rule[i];
		}
		f->rules.count++;
		plan->field_of[all.rule[i]->index] =
		    (uint32_t)(f - plan->fields);
	}
}

/* Fields of MIME parts, by number. */
static void
part_fields_make(struct plan *plan, const struct ruleset *set)
{
	const struct score_rule *r, **all, *last = NULL;
	size_t count = 0, i;

	all = plan_alloc(plan, set->count * sizeof(*all));
	plan->part_field_of = plan_alloc(plan, set->count * sizeof(uint32_t));
	for (r = set->first; r != NULL; r = r->next)
		if (r->kind == RULE_MIMEHEADER && r->eval.p == NULL)
			all[count++] = r;
	if (count > 0)
		qsort(all, count, sizeof(*all), by_field);
	for (i = 0; i < count; last = all[i++]) {
		if (last == NULL || !str_eq(last->field, all[i]->field) ||
		    last->flags != all[i]->flags)
			plan->npart_fields++;
		plan->part_field_of[all[i]->index] =
		    (uint32_t)plan->npart_fields - 1;
	}
}

/* --- metas -------------------------------------------------------------- */

/* Are all metas that this one reads in their place? */
static bool
meta_can_run(const struct score_rule *r, const bool *placed)
{
	size_t i;

	for (i = 0; i < r->nreads; i++)
		if (r->reads[i] != NULL && r->reads[i]->kind == RULE_META &&
		    !r->reads[i]->off && !placed[r->reads[i]->index])
			return false;
	return true;
}

static void
meta_place(struct plan *plan, const struct score_rule *r)
{
	struct plan_meta *pm = &plan->metas[plan->nmetas];
	uint32_t *reads = plan_alloc(plan, r->nreads * sizeof(*reads));
	size_t i;

	for (i = 0; i < r->nreads; i++)
		reads[i] = (uint32_t)(r->reads[i] != NULL ? r->reads[i]->index :
							    plan->count);
	*pm = (struct plan_meta){ .meta = r->meta,
		.reads = reads,
		.nreads = (uint32_t)r->nreads,
		.rule = (uint32_t)r->index };
	plan->meta_of[r->index] = (uint32_t)plan->nmetas++;
}

static void
metas_make(struct plan *plan, const struct ruleset *set)
{
	struct plan_list wait = { 0 };
	bool *placed = mem_alloc(set->count + 1), moved = true;
	size_t i, left;

	list_make(plan, set, &wait, RULE_META);
	plan->metas = plan_alloc(plan, wait.count * sizeof(*plan->metas));
	plan->meta_of = plan_alloc(plan, set->count * sizeof(uint32_t));
	while (moved) {
		moved = false;
		for (i = left = 0; i < wait.count; i++) {
			if (!meta_can_run(wait.rule[i], placed)) {
				wait.rule[left++] = wait.rule[i];
				continue;
			}
			moved = placed[wait.rule[i]->index] = true;
			meta_place(plan, wait.rule[i]);
		}
		wait.count = left;
	}
	free(placed);
}

/* --- rules that wait ---------------------------------------------------- */

#define DEPTH_MAX 16

/* A meta's: one more than that of the deepest it reads. */
static unsigned int
depth_of(const struct plan *plan, const struct score_rule *r)
{
	unsigned int depth = 1;
	size_t i;

	for (i = 0; i < r->nreads; i++)
		if (r->reads[i] != NULL && r->reads[i]->kind == RULE_META &&
		    plan->depth[r->reads[i]->index] >= depth)
			depth = plan->depth[r->reads[i]->index] + 1U;
	return depth;
}

/* Metas in their order: one that would be too deep is counted before those
 * that read it, as if nothing were below it. */
static void
plan_late(struct plan *plan, const struct ruleset *set)
{
	const struct score_rule *r;
	unsigned int depth;
	size_t i;

	for (r = set->first; r != NULL; r = r->next)
		plan->late[r->index] =
		    str_starts(r->name, STR("__")) && !r->perl.captures;
	for (i = 0; i < plan->nmetas; i++) {
		r = plan->by_index[plan->metas[i].rule];
		depth = depth_of(plan, r);
		if (depth >= DEPTH_MAX) {
			depth = 1;
			plan->late[r->index] = false;
		}
		plan->depth[r->index] = (uint8_t)depth;
	}
}

void
plan_want(struct plan *plan, const struct score_rule *r)
{
	plan->late[r->index] = false;
}

/* --- regexes that are slow ---------------------------------------------- */

#define LONG_PATTERN 80 /* bytes; PCRE2 is fast with shorter ones */
#define DOUBTED_MAX  10000 /* bytes; longer ones take much to be made */
#define ODDS_OFTEN   0.5 /* that literals are in a text; more spare little */

/* Words counted in a row: PCRE2 reads them again from each place. */
static bool
counts_groups(struct str pattern)
{
	return str_find(pattern, STR("){")) >= 0;
}

static bool
is_slow(const struct score_rule *r)
{
	return r->regex != NULL && r->eval.p == NULL &&
	    (r->pattern.n >= LONG_PATTERN || counts_groups(r->pattern));
}

/* Texts that are long enough for a sieve. */
static bool
is_long(const struct score_rule *r)
{
	return r->kind == RULE_BODY || r->kind == RULE_RAWBODY ||
	    r->kind == RULE_URI ||
	    (r->kind == RULE_HEADER && str_eq(r->field, STR("ALL")));
}

/* A rule for a sieve, unless the prefilter covers it. */
static bool
is_doubted(const struct plan *plan, const struct score_rule *r)
{
	return plan->slow[r->index] != NULL && is_long(r) && !r->negate &&
	    r->if_unset.p == NULL && !r->perl.captures &&
	    r->pattern.n <= DOUBTED_MAX;
}

/* --- prefilter ---------------------------------------------------------- */

static void
prefilter_list(struct plan *plan, const struct plan_list *list,
    enum prefilter_text text)
{
	const struct score_rule *r;
	struct str pattern;
	size_t i;

	for (i = 0; i < list->count; i++) {
		r = list->rule[i];
		pattern = r->regex != NULL ? r->pattern : r->perl.loose;
		/* What hits where nothing matches can't be ruled out. */
		if (pattern.p != NULL && !r->negate && r->if_unset.p == NULL &&
		    !(text == PREFILTER_HEADER && is_doubted(plan, r)))
			prefilter_add(plan->prefilter, text, (uint32_t)r->index,
			    pattern, r->re_flags);
	}
}

static void
prefilter_make(struct plan *plan)
{
	size_t i;

	plan->prefilter = prefilter_new(plan->count);
	prefilter_list(plan, &plan->regex[RULE_BODY], PREFILTER_BODY);
	prefilter_list(plan, &plan->regex[RULE_RAWBODY], PREFILTER_RAWBODY);
	prefilter_list(plan, &plan->regex[RULE_URI], PREFILTER_URI);
	prefilter_list(plan, &plan->regex[RULE_MIMEHEADER], PREFILTER_PART);
	for (i = 0; i < plan->nfields; i++)
		prefilter_list(plan, &plan->fields[i].rules, PREFILTER_HEADER);
	prefilter_ready(plan->prefilter);
}

/* --- rules that the prefilter says nothing of --------------------------- */

bool
plan_exists(const struct plan *plan, const struct score_rule *r)
{
	uint32_t field = plan->field_of[r->index];

	return field != PLAN_NO_FIELD && r->exists && r->flags == 0 &&
	    !plan->fields[field].made;
}

static bool
is_sieved(const struct plan *plan, const struct score_rule *r)
{
	return plan->prefilter != NULL && is_doubted(plan, r) &&
	    !prefilter_covers(plan->prefilter, (uint32_t)r->index);
}

bool
plan_covers(const struct plan *plan, const struct score_rule *r)
{
	if (r->kind == RULE_MIMEHEADER)	/* asked of each part */
		return false;
	return is_sieved(plan, r) ||
	    (plan->prefilter != NULL &&
		prefilter_covers(plan->prefilter, (uint32_t)r->index));
}

/* A rule for a sieve that is asked where the prefilter names one of it. */
static bool
is_often(const struct plan *plan, const struct score_rule *r)
{
	return is_doubted(plan, r) && r->kind != RULE_HEADER &&
	    prefilter_odds(plan->prefilter, (uint32_t)r->index) > ODDS_OFTEN;
}

static void
sieve_make(struct plan *plan, const struct plan_list *from,
    struct sieve **sieve,
    bool (*wants)(const struct plan *, const struct score_rule *))
{
	size_t i;

	sieve_free(sieve);
	for (i = 0; i < from->count; i++) {
		if (!wants(plan, from->rule[i]))
			continue;
		if (*sieve == NULL)
			*sieve = sieve_new();
		sieve_add(*sieve, plan->slow[from->rule[i]->index]);
	}
	if (*sieve != NULL)
		sieve_ready(*sieve);
}

/* The first rule of a group stands for all. */
static void
together_make(struct plan *plan, const struct sieve *often)
{
	uint32_t first;
	size_t i, j;

	for (i = 0; often != NULL && i < often->count; i++) {
		first = (uint32_t)sieve_rule(often->group[i], 0)->index;
		plan->together[first] = often->group[i];
		for (j = 1; j < sieve_count(often->group[i]); j++)
			prefilter_name(plan->prefilter,
			    (uint32_t)sieve_rule(often->group[i], j)->index,
			    first);
	}
}

static void
often_make(struct plan *plan)
{
	int kind;

	plan->together =
	    plan_alloc(plan, (plan->count + 1) * sizeof(*plan->together));
	for (kind = 0; kind < RULE_KIND_COUNT; kind++) {
		sieve_make(plan, &plan->regex[kind], &plan->often[kind],
		    is_often);
		together_make(plan, plan->often[kind]);
	}
}

/* The rules of a list that are so, and in no sieve. */
static void
list_pick(struct plan *plan, const struct plan_list *from, struct plan_list *to,
    bool exist, bool covered)
{
	const struct score_rule *r;
	size_t i;

	to->rule = plan_alloc(plan, from->count * sizeof(*to->rule));
	to->count = 0;
	for (i = 0; i < from->count; i++) {
		r = from->rule[i];
		if (plan_exists(plan, r) == exist &&
		    plan_covers(plan, r) == covered && !is_sieved(plan, r))
			to->rule[to->count++] = r;
	}
}

static void
alone_make(struct plan *plan)
{
	struct plan_field *f;
	int kind;

	for (kind = 0; kind < RULE_KIND_COUNT; kind++) {
		list_pick(plan, &plan->regex[kind], &plan->alone[kind], false,
		    false);
		sieve_make(plan, &plan->regex[kind], &plan->sieve[kind],
		    is_sieved);
	}
	for (f = plan->fields; f < plan->fields + plan->nfields; f++) {
		list_pick(plan, &f->rules, &f->exists, true, false);
		list_pick(plan, &f->rules, &f->covered, false, true);
		sieve_make(plan, &f->rules, &f->sieve, is_sieved);
		list_pick(plan, &f->rules, &f->alone, false, false);
	}
}

struct sieve_group *
plan_slow(const struct plan *plan, const struct score_rule *r)
{
	return plan->prefilter != NULL ? plan->slow[r->index] : NULL;
}

bool
plan_may(const struct plan *plan, const struct score_rule *r, struct str text)
{
	struct sieve_group *slow = plan_slow(plan, r);

	return slow == NULL || sieve_may(slow, text);
}

/* --- options ------------------------------------------------------------ */

/* What util_rb_tld and its like list since they were last cleared. */
static struct tld_set *
tlds_make(const struct ruleset *set)
{
	static const char *const names[] = { "util_rb_tld", "util_rb_2tld",
		"util_rb_3tld" };
	const struct rule_option *clear, *o;
	struct tld_set *tlds = NULL;
	struct str words;
	size_t i;

	clear = map_get(set->options, STR("clear_util_rb"));
	while (clear != NULL && clear->next != NULL)
		clear = clear->next;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		o = map_get(set->options, str_of(names[i]));
		for (; o != NULL; o = o->next) {
			if (clear != NULL && o->order < clear->order)
				continue;
			if (tlds == NULL)
				tlds = tld_set_new();
			for (words = o->value; words.n > 0;)
				tld_set_add(tlds, rule_word(&words));
		}
	}
	return tlds;
}

static void
functions_make(struct plan *plan)
{
	const struct score_rule *r;
	size_t i;

	plan->functions =
	    plan_alloc(plan, plan->count * sizeof(*plan->functions));
	for (i = 0; i < plan->eval.count; i++) {
		r = plan->eval.rule[i];
		plan->functions[r->index] = eval_find(r->eval);
	}
}

struct plan *
plan_new(const struct ruleset *set, bool every)
{
	struct plan *plan = mem_alloc(sizeof(*plan));
	const struct score_rule *r;
	int kind;

	plan->arena = arena_new(SIZE_MAX / 2);
	plan->count = set->count;
	plan->by_index = plan_alloc(plan, set->count * sizeof(*plan->by_index));
	for (r = set->first; r != NULL; r = r->next)
		plan->by_index[r->index] = r;
	for (kind = 0; kind < RULE_KIND_COUNT; kind++)
		if (kind != RULE_HEADER && kind != RULE_META)
			list_make(plan, set, &plan->regex[kind], kind);
	list_make(plan, set, &plan->eval, LIST_EVAL);
	functions_make(plan);
	list_make(plan, set, &plan->captures, LIST_CAPTURES);
	fields_make(plan, set);
	part_fields_make(plan, set);
	metas_make(plan, set);
	plan->health =
	    plan_alloc(plan, (set->count + 1) * sizeof(*plan->health));
	plan->slow = plan_alloc(plan, (set->count + 1) * sizeof(*plan->slow));
	for (r = set->first; r != NULL; r = r->next)
		if (is_slow(r))
			plan->slow[r->index] = sieve_single(r);
	plan->late = plan_alloc(plan, set->count * sizeof(*plan->late));
	plan->depth = plan_alloc(plan, set->count * sizeof(*plan->depth));
	plan_late(plan, set);
	plan->cost = plan_alloc(plan, (set->count + 1) * sizeof(float));
	if (every)
		memset(plan->late, false, set->count);
	plan->tlds = tlds_make(set);
	prefilter_make(plan);
	often_make(plan);
	alone_make(plan);
	needs_make(plan);
	outset_make(plan);
	return plan;
}

void
plan_free(struct plan **plan)
{
	size_t i;

	if (*plan == NULL)
		return;
	for (i = 0; i < RULE_KIND_COUNT; i++) {
		sieve_free(&(*plan)->sieve[i]);
		sieve_free(&(*plan)->often[i]);
	}
	for (i = 0; i < (*plan)->nfields; i++)
		sieve_free(&(*plan)->fields[i].sieve);
	for (i = 0; i < (*plan)->count; i++)
		sieve_single_free(&(*plan)->slow[i]);
	prefilter_free(&(*plan)->prefilter);
	tld_set_free(&(*plan)->tlds);
	arena_free(&(*plan)->arena);
	free(*plan);
	*plan = NULL;
}

void
plan_no_prefilter(struct ruleset *set)
{
	prefilter_free(&set->plan->prefilter);
	memset(set->plan->late, false, set->plan->count);
	alone_make(set->plan);
	outset_make(set->plan);
}
