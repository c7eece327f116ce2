#include "score/demand.h"

#include "score/match.h"
#include "score/meta_range.h"

#define SPARES		128	/* texts that are made at once */
#define WHOLE_BYTES	200	/* a header field, roughly */

/* A text that a waiting rule could hit in. */
struct demand_text {
	struct demand_text *next;
	const struct str *text;
};

/* What a meta could be in some round. */
struct memo {
	struct meta_range range;
	uint32_t	 round;
};

struct demand_rule {
	union {
		struct demand_text *texts;
		struct memo *memo;	/* of a meta */
	} u;
	float		 cost;
	bool		 waits, whole;
	bool		 done;		/* a meta that has its value */
};

bool
demand_begin(struct match *m)
{
	m->demand.rule = arena_alloc(m->arena,
	    (m->set->plan->count + 1) * sizeof(*m->demand.rule));
	m->demand.round = 1;
	return m->demand.rule != NULL;
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
static float
weight(const struct score_rule *r)
{
	return (float)(r->pattern.n + 20);
}

void
demand_text(struct match *m, const struct score_rule *r, const struct str *text)
{
	struct demand_rule *d = &m->demand.rule[r->index];
	struct demand_text *t = d->whole ? NULL : text_new(m);

	if (t == NULL) {
		demand_whole(m, r);
		return;
	}
	t->text = text;
	t->next = d->u.texts;
	d->u.texts = t;
	d->cost += (float)text->n * weight(r);
	d->waits = true;
}

void
demand_whole(struct match *m, const struct score_rule *r)
{
	struct demand_rule *d = &m->demand.rule[r->index];
	size_t n = WHOLE_BYTES;

	if (r->kind != RULE_HEADER && r->kind != RULE_MIMEHEADER)
		n = m->view->full.n;
	d->cost = (float)n * weight(r);
	d->waits = d->whole = true;
}

static void
ask(struct match *m, const struct score_rule *r)
{
	struct demand_rule *d = &m->demand.rule[r->index];
	const struct demand_text *t;

	d->waits = false;
	if (d->whole) {
		match_rule(m, r);
		return;
	}
	for (t = d->u.texts; t != NULL && !m->stopped; t = t->next)
		match_text(m, r, *t->text);
}

/* --- metas -------------------------------------------------------------- */

struct reader {
	struct match	*match;
	const struct score_rule *rule;
};

static struct meta_range meta_now(struct match *, const struct score_rule *);

static struct meta_range
operand_now(void *arg, size_t i)
{
	const struct reader *reader = arg;
	struct match *m = reader->match;
	const struct score_rule *r = reader->rule->reads[i];
	const struct demand_rule *d;

	if (r == NULL)
		return meta_range_known(0);
	if (r->kind == RULE_META)
		return meta_now(m, r);
	d = &m->demand.rule[r->index];
	if (!d->waits)
		return meta_range_known(m->count[r->index]);
	return (struct meta_range){ .high = r->most,
		.cost = (double)d->cost,
		.ask = (uint32_t)r->index };
}

static void
remember(struct match *m, struct demand_rule *d, const struct meta_range *range)
{
	if (d->u.memo == NULL)
		d->u.memo = arena_alloc(m->arena, sizeof(*d->u.memo));
	if (d->u.memo != NULL)
		*d->u.memo = (struct memo){ *range, m->demand.round };
}

static bool
is_zero(const struct match *m, const struct score_rule *r)
{
	const struct demand_rule *d;

	if (r == NULL)
		return true;
	d = &m->demand.rule[r->index];
	if (r->kind == RULE_META && !d->done &&
	    m->set->plan->depth[r->index] != 0)
		return false;
	return !(r->kind != RULE_META && d->waits) && m->count[r->index] == 0;
}

/* Most metas are settled by rules that are known not to have hit. */
static bool
settled(struct match *m, const struct score_rule *r)
{
	uint64_t must = meta_must(r->meta);
	bool all = true;
	size_t i;

	for (i = 0; i < r->nreads; i++) {
		if (!is_zero(m, r->reads[i])) {
			all = false;
		} else if (i < META_MUST_MAX && (must >> i & 1) != 0) {
			m->count[r->index] = 0;
			return true;
		}
	}
	if (all)
		m->count[r->index] = meta_zero(r->meta);
	return all;
}

/* The depth of metas that read metas is bounded (plan_late()). */
static struct meta_range
meta_now(struct match *m, const struct score_rule *r)
{
	struct demand_rule *d = &m->demand.rule[r->index];
	struct reader reader = { m, r };
	struct meta_range range;

	if (d->done || m->set->plan->depth[r->index] == 0)
		return meta_range_known(m->count[r->index]);
	if (d->u.memo != NULL && d->u.memo->round == m->demand.round)
		return d->u.memo->range;
	if (settled(m, r)) {
		d->done = true;
		return meta_range_known(m->count[r->index]);
	}
	range = meta_range(r->meta, operand_now, &reader);
	if (range.ask == META_ASK_NONE) {
		m->count[r->index] = range.low;
		d->done = true;
	} else {
		remember(m, d, &range);
	}
	return range;
}

void
demand_metas(struct match *m)
{
	const struct plan *plan = m->set->plan;
	struct meta_range range;
	size_t i;

	for (i = 0; i < plan->metas.count; i++) {
		if (plan->late[plan->metas.rule[i]->index])
			continue;
		while (!m->stopped) {
			range = meta_now(m, plan->metas.rule[i]);
			if (range.ask == META_ASK_NONE)
				break;
			ask(m, plan->by_index[range.ask]);
			m->demand.round++;
		}
	}
}
