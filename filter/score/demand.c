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

/* What a meta could be, by what is known until now. */
struct memo {
	struct meta_range range;
	bool		 good;
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
	const struct outset_links *links = &m->set->plan->outset.watchers;
	uint32_t i, meta;

	for (i = links->first[rule]; i < links->first[rule + 1]; i++) {
		meta = links->meta[i];
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

void
demand_whole(struct match *m, const struct score_rule *r)
{
	if (m->demand.state[r->index] == OUTSET_WAITS)
		return;
	m->demand.state[r->index] = OUTSET_WAITS;
	open_watchers(m, r->index);
}

/* false: the rule waits for all that it looks at. */
static bool
texts_begin(struct match *m, const struct score_rule *r)
{
	union demand_kept *kept = &m->demand.kept[r->index];

	if (m->demand.state[r->index] != OUTSET_WAITS) {
		demand_whole(m, r);
		kept->texts = arena_alloc(m->arena, sizeof(*kept->texts));
	}
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

/* What was thought of metas that read the rule is no more true.  (Those who
 * read a meta whose memo is not good have no good one themselves.) */
static void
forget_readers(struct match *m, size_t rule)
{
	const struct outset_links *links = &m->set->plan->outset.readers;
	struct memo *memo;
	uint32_t i, meta;

	for (i = links->first[rule]; i < links->first[rule + 1]; i++) {
		meta = links->meta[i];
		memo = m->demand.kept[meta].memo;
		if (memo == NULL || !memo->good)
			continue;
		memo->good = false;
		forget_readers(m, meta);
	}
}

static void
ask(struct match *m, const struct score_rule *r)
{
	const struct texts *texts = m->demand.kept[r->index].texts;
	const struct demand_text *t;

	m->demand.state[r->index] = OUTSET_KNOWN;
	forget_readers(m, r->index);
	if (texts == NULL) {
		match_rule(m, r);
		return;
	}
	for (t = texts->first; t != NULL && !m->stopped; t = t->next)
		match_text(m, r, *t->text);
}

/* --- metas -------------------------------------------------------------- */

static struct meta_range meta_now(struct match *, const struct plan_meta *);

static void
range_now(void *arg, uint32_t rule, struct meta_range *out)
{
	struct match *m = arg;
	const struct plan *plan = m->set->plan;
	const struct score_rule *r;
	const struct texts *texts;

	if (m->demand.state[rule] == OUTSET_OPEN) {
		*out = meta_now(m, &plan->metas[plan->meta_of[rule]]);
		return;
	}
	r = plan->by_index[rule];
	texts = m->demand.kept[rule].texts;
	*out = (struct meta_range){ .high = r->most,
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
		*kept->memo = (struct memo){ *range, true };
	else
		m->limited = m->stopped = true;
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
	struct meta_facts facts = { meta->reads, m->demand.state, m->count,
		range_now, m };
	struct meta_range range;

	if (memo != NULL && memo->good)
		return memo->range;
	range = settled(m, meta) ? meta_range_known(0) :
				   meta_range(meta->meta, &facts);
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
