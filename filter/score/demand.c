#include "score/demand.h"

#include <string.h>

#include "score/match.h"
#include "score/meta_range.h"

#define SPARES		128	/* texts that are made at once */
#define FIELD_BYTES	200	/* of a header field, roughly */
#define FUNCTION_COST	20000	/* that of a header rule */

/* A text that a waiting rule could hit in. */
struct demand_text {
	struct demand_text *next;
	const struct str *text;
};

struct texts {
	struct demand_text *first;
	double		 cost;
};

/* What a meta could be in some round. */
struct memo {
	struct meta_range range;
	uint32_t	 round;
};

union demand_kept {
	struct texts	*texts;		/* NULL: all it looks at */
	struct memo	*memo;		/* of a meta */
};

bool
demand_begin(struct match *m)
{
	const struct plan *plan = m->set->plan;
	struct demand *d = &m->demand;

	d->state = arena_alloc(m->arena, plan->count + 1);
	d->kept = arena_alloc(m->arena, (plan->count + 1) * sizeof(*d->kept));
	d->round = 1;
	if (d->state == NULL || d->kept == NULL)
		return false;
	memcpy(d->state, plan->outset.state, plan->count);
	memcpy(m->count, plan->outset.count, plan->count * sizeof(*m->count));
	return true;
}

/* The rule is not as it was at the outset. */
static void
open_watchers(struct match *m, size_t rule)
{
	const struct outset *out = &m->set->plan->outset;
	uint32_t i, meta;

	for (i = out->first[rule]; i < out->first[rule + 1]; i++) {
		meta = out->watcher[i];
		m->demand.state[meta] = OUTSET_OPEN;
		m->count[meta] = 0;
	}
}

void
demand_known(struct match *m, const struct score_rule *r)
{
	m->demand.state[r->index] = OUTSET_KNOWN;
	if (m->count[r->index] != m->set->plan->outset.count[r->index])
		open_watchers(m, r->index);
}

static struct demand_text *
text_new(struct match *m)
{
	struct demand *d = &m->demand;

	if (d->nspare == 0) {
		d->spare = arena_alloc(m->arena, SPARES * sizeof(*d->spare));
		d->nspare = d->spare != NULL ? SPARES : 0;
	}
	return d->nspare > 0 ? &d->spare[--d->nspare] : NULL;
}

/* What a byte of text costs: long regexes try much at each. */
static double
weight(const struct score_rule *r)
{
	return (double)(r->pattern.n + 20);
}

static double
whole_cost(const struct match *m, const struct score_rule *r)
{
	if (r->eval.p != NULL)
		return FUNCTION_COST;
	if (r->kind == RULE_HEADER || r->kind == RULE_MIMEHEADER)
		return FIELD_BYTES * weight(r);
	return (double)m->view->full.n * weight(r);
}

/* From now on the rule waits; false: with all that it looks at. */
static bool
texts_begin(struct match *m, const struct score_rule *r)
{
	union demand_kept *kept = &m->demand.kept[r->index];

	if (m->demand.state[r->index] == OUTSET_WAITS)
		return kept->texts != NULL;
	m->demand.state[r->index] = OUTSET_WAITS;
	open_watchers(m, r->index);
	kept->texts = arena_alloc(m->arena, sizeof(*kept->texts));
	return kept->texts != NULL;
}

void
demand_text(struct match *m, const struct score_rule *r, const struct str *text)
{
	union demand_kept *kept = &m->demand.kept[r->index];
	struct demand_text *t;

	if (!texts_begin(m, r))
		return;
	t = text_new(m);
	if (t == NULL) {
		kept->texts = NULL;
		return;
	}
	t->text = text;
	t->next = kept->texts->first;
	kept->texts->first = t;
	kept->texts->cost += (double)text->n * weight(r);
}

static void
ask(struct match *m, const struct score_rule *r)
{
	const struct texts *texts = m->demand.kept[r->index].texts;
	const struct demand_text *t;

	m->demand.state[r->index] = OUTSET_KNOWN;
	m->demand.round++;
	if (texts == NULL) {
		match_rule(m, r);
		return;
	}
	for (t = texts->first; t != NULL && !m->stopped; t = t->next)
		match_text(m, r, *t->text);
}

/* --- metas -------------------------------------------------------------- */

struct reader {
	struct match	*match;
	const struct plan_meta *meta;
};

static struct meta_range meta_now(struct match *, const struct plan_meta *);

static struct meta_range
operand_now(void *arg, size_t i)
{
	const struct reader *reader = arg;
	struct match *m = reader->match;
	const struct plan *plan = m->set->plan;
	uint32_t rule = reader->meta->reads[i];
	const struct score_rule *r;
	const struct texts *texts;

	if (m->demand.state[rule] == OUTSET_KNOWN)
		return meta_range_known(m->count[rule]);
	if (m->demand.state[rule] == OUTSET_OPEN)
		return meta_now(m, &plan->metas[plan->meta_of[rule]]);
	r = plan->by_index[rule];
	texts = m->demand.kept[rule].texts;
	return (struct meta_range){ .high = r->most,
		.cost = texts != NULL ? texts->cost : whole_cost(m, r),
		.ask = rule };
}

static void
remember(struct match *m, uint32_t rule, const struct meta_range *range)
{
	union demand_kept *kept = &m->demand.kept[rule];

	if (kept->memo == NULL)
		kept->memo = arena_alloc(m->arena, sizeof(*kept->memo));
	if (kept->memo != NULL)
		*kept->memo = (struct memo){ *range, m->demand.round };
}

/* Most metas are settled by a rule that is known not to have hit. */
static bool
settled(const struct match *m, const struct plan_meta *meta)
{
	uint64_t must = meta->must;
	uint32_t rule;

	for (; must != 0; must &= must - 1) {
		rule = meta->reads[__builtin_ctzll(must)];
		if (m->demand.state[rule] == OUTSET_KNOWN &&
		    m->count[rule] == 0)
			return true;
	}
	return false;
}

/* The depth of metas that read metas is bounded (plan_late()). */
static struct meta_range
meta_now(struct match *m, const struct plan_meta *meta)
{
	const struct memo *memo = m->demand.kept[meta->rule].memo;
	struct reader reader = { m, meta };
	struct meta_range range;

	if (memo != NULL && memo->round == m->demand.round)
		return memo->range;
	range = settled(m, meta) ? meta_range_known(0) :
				   meta_range(meta->meta, operand_now, &reader);
	if (range.ask != META_ASK_NONE) {
		remember(m, meta->rule, &range);
	} else {
		m->count[meta->rule] = range.low;
		m->demand.state[meta->rule] = OUTSET_KNOWN;
	}
	return range;
}

static void
meta_count(struct match *m, const struct plan_meta *meta)
{
	const struct plan *plan = m->set->plan;
	struct meta_range range;

	while (m->demand.state[meta->rule] == OUTSET_OPEN && !m->stopped) {
		range = meta_now(m, meta);
		if (range.ask != META_ASK_NONE)
			ask(m, plan->by_index[range.ask]);
	}
}

void
demand_metas(struct match *m)
{
	const struct plan *plan = m->set->plan;
	const struct plan_meta *meta, *end = plan->metas + plan->nmetas;

	/* A meta stands behind those it reads. */
	for (meta = plan->metas; meta < end; meta++)
		if (m->stopped)
			m->count[meta->rule] = 0;
		else if (m->demand.state[meta->rule] == OUTSET_OPEN)
			open_watchers(m, meta->rule);
	for (meta = plan->metas; meta < end && !m->stopped; meta++)
		if (!plan->late[meta->rule])
			meta_count(m, meta);
}
