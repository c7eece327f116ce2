#include "score/demand.h"

#include <string.h>

#include "score/match.h"
#include "score/meta_range.h"
#include "score/needs.h"

#define SPARES		128	/* texts that are made at once */

/* A text that a waiting rule could hit in. */
struct demand_text {
	struct demand_text *next;
	const struct str *text;
};

bool
demand_begin(struct match *m)
{
	const struct plan *plan = m->set->plan;
	struct demand *d = &m->demand;
	size_t open_bytes = outset_words(plan->nmetas) * sizeof(*d->open);
	size_t hits_bytes = outset_words(plan->count) * sizeof(*d->hits);

	d->state = arena_alloc(m->arena, plan->count + 1);
	d->open = arena_alloc(m->arena, open_bytes);
	d->hits = arena_alloc(m->arena, hits_bytes);
	d->texts = arena_alloc(m->arena, plan->count * sizeof(*d->texts));
	if (d->state == NULL || d->open == NULL || d->hits == NULL ||
	    d->texts == NULL)
		return false;
	memcpy(d->state, plan->outset.state, plan->count);
	memcpy(d->open, plan->outset.open, open_bytes);
	memcpy(d->hits, plan->outset.hits, hits_bytes);
	memcpy(m->count, plan->outset.count, plan->count * sizeof(*m->count));
	return true;
}

/* The rule is not as it was at the outset. */
static void
open_watchers(struct match *m, size_t rule)
{
	const struct plan *plan = m->set->plan;
	const struct outset_links *links = &plan->outset.watchers;
	uint32_t i, meta;

	for (i = links->first[rule]; i < links->first[rule + 1]; i++) {
		meta = links->meta[i];
		outset_set(m->demand.open, plan->meta_of[meta]);
		m->demand.state[meta] = OUTSET_OPEN;
		m->count[meta] = 0;
	}
}

void
demand_known(struct match *m, const struct score_rule *r)
{
	m->demand.state[r->index] = OUTSET_KNOWN;
	if (m->count[r->index] == 0)
		return;
	outset_set(m->demand.hits, r->index);
	open_watchers(m, r->index);
}

void
demand_whole(struct match *m, const struct score_rule *r)
{
	if (m->demand.state[r->index] == OUTSET_KNOWN)
		open_watchers(m, r->index);
	m->demand.state[r->index] = OUTSET_WAITS;
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

void
demand_text(struct match *m, const struct score_rule *r, const struct str *text)
{
	struct demand *d = &m->demand;
	struct demand_text *t;

	if (d->state[r->index] == OUTSET_WAITS)
		return;
	t = text_new(m);
	if (t == NULL) {
		demand_whole(m, r);
		return;
	}
	if (d->state[r->index] == OUTSET_KNOWN)
		open_watchers(m, r->index);
	d->state[r->index] = OUTSET_FOUND;
	*t = (struct demand_text){ d->texts[r->index], text };
	d->texts[r->index] = t;
}

static void
ask(struct match *m, const struct score_rule *r)
{
	bool found = m->demand.state[r->index] == OUTSET_FOUND;
	const struct demand_text *t;

	m->demand.state[r->index] = OUTSET_KNOWN;
	if (!found)
		match_rule(m, r);
	else
		for (t = m->demand.texts[r->index]; t != NULL && !m->stopped;
		     t = t->next)
			match_text(m, r, *t->text);
}

/* --- metas -------------------------------------------------------------- */

static void meta_count(struct match *, const struct plan_meta *);

/* After that the rule is known. */
static void
learn(struct match *m, uint32_t rule)
{
	const struct plan *plan = m->set->plan;

	if (m->demand.state[rule] == OUTSET_OPEN)
		meta_count(m, &plan->metas[plan->meta_of[rule]]);
	else if (m->demand.state[rule] != OUTSET_KNOWN)
		ask(m, plan->by_index[rule]);
}

static bool
known(const struct match *m, uint32_t side)
{
	return m->demand.state[needs_rule(side)] == OUTSET_KNOWN;
}

/* A side that is known. */
static bool
met(const struct match *m, uint32_t side)
{
	return (m->count[needs_rule(side)] != 0) == needs_hit(side);
}

/* Is it known that one of the meta's needs is not met? */
static bool
need_fails(const struct match *m, const struct plan_meta *meta)
{
	const uint32_t *need;
	uint32_t i;

	for (need = meta->needs; *need != 0; need = needs_next(need)) {
		for (i = 1; i <= *need; i++)
			if (!known(m, need[i]) || met(m, need[i]))
				break;
		if (i > *need)
			return true;
	}
	return false;
}

/* Asks until the need is met by one of its sides; false: by none. */
static bool
need_met(struct match *m, const uint32_t *need)
{
	uint32_t i;

	for (i = 1; i <= *need; i++)
		if (known(m, need[i]) && met(m, need[i]))
			return true;
	for (i = 1; i <= *need && !m->stopped; i++) {
		learn(m, needs_rule(need[i]));
		if (met(m, need[i]))
			return true;
	}
	return false;
}

/* Of a rule that is not known. */
static void
range_of(void *arg, uint32_t rule, struct meta_range *out)
{
	const struct match *m = arg;
	const struct plan *plan = m->set->plan;

	*out = (struct meta_range){ .cost = plan->cost[rule], .ask = rule };
	if (m->demand.state[rule] == OUTSET_OPEN)
		out->high = plan->metas[plan->meta_of[rule]].most;
	else
		out->high = plan->by_index[rule]->most;
}

/* What it can be by what is known. */
static struct meta_range
range_now(struct match *m, const struct plan_meta *meta)
{
	struct meta_facts facts = { meta->reads, m->demand.state, m->count,
		range_of, m };

	return meta_range(meta->meta, &facts);
}

static void
meta_is(struct match *m, const struct plan_meta *meta, double count)
{
	m->count[meta->rule] = count;
	m->demand.state[meta->rule] = OUTSET_KNOWN;
}

/* Asks until no more than one value is left. */
static double
meta_value(struct match *m, const struct plan_meta *meta)
{
	struct meta_range range = range_now(m, meta);

	while (range.ask != META_ASK_NONE && !m->stopped) {
		learn(m, range.ask);
		range = range_now(m, meta);
	}
	return range.ask == META_ASK_NONE ? range.low : 0;
}

/* Sums may be so small that it does not matter what is not known. */
static bool
numbers_settle(struct match *m, const struct plan_meta *meta, double *count)
{
	struct meta_range range;

	if (!meta->numbers)
		return false;
	range = range_now(m, meta);
	*count = range.low;
	return range.ask == META_ASK_NONE;
}

/* The depth of metas that read metas is bounded (plan_late()). */
static void
meta_count(struct match *m, const struct plan_meta *meta)
{
	const uint32_t *need = meta->needs;
	double count = 0;

	if (!need_fails(m, meta) && !numbers_settle(m, meta, &count)) {
		while (*need != 0 && need_met(m, need))
			need = needs_next(need);
		count = *need == 0 ? meta_value(m, meta) : 0;
	}
	meta_is(m, meta, count);
}

/* A late one is counted when it is needed. */
static void
meta_turn(struct match *m, const struct plan_meta *meta)
{
	const struct plan *plan = m->set->plan;
	uint32_t rule = meta->rule;

	if (!plan->late[rule]) {
		meta_count(m, meta);
		if (m->count[rule] != 0)
			outset_set(m->demand.hits, rule);
	} else if (need_fails(m, meta)) {
		meta_is(m, meta, 0);
	}
	if (m->demand.state[rule] == OUTSET_OPEN ||
	    m->count[rule] != plan->outset.count[rule])
		open_watchers(m, rule);
}

void
demand_metas(struct match *m)
{
	const struct plan *plan = m->set->plan;
	uint64_t *open = m->demand.open, rest;
	size_t place = 0;

	/* A meta stands behind those it reads: where it is opened by one of
	 * them, its turn is still to come. */
	while (place < plan->nmetas && !m->stopped) {
		rest = open[place / 64] >> place % 64;
		if (rest == 0) {
			place = (place / 64 + 1) * 64;
			continue;
		}
		place += (size_t)__builtin_ctzll(rest);
		meta_turn(m, &plan->metas[place++]);
	}
	for (; place < plan->nmetas; place++)
		m->count[plan->metas[place].rule] = 0;
}
