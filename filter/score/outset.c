#include "score/outset.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "score/meta_range.h"
#include "score/plan.h"

#define ANY_VALUE	1e300
#define WATCH_ALL	UINT32_MAX

/* How often a rule turns out not to be as it was at the outset. */
enum odds {
	ODDS_NEVER,
	ODDS_WORDS,		/* where the text has what its regex needs */
	ODDS_FIELD,		/* where there is such a field */
	ODDS_META,		/* where any of several does */
};

struct maker {
	struct plan	*plan;
	struct outset	*out;
	unsigned char	*odds;		/* of each rule */
	uint32_t	*watches;	/* of each meta: one of its operands,
					 * or WATCH_ALL */
};

static void *
keep(struct maker *mk, size_t n)
{
	void *p = arena_alloc(mk->plan->arena, n);

	assert(p != NULL);	/* the arena has no cap */
	return p;
}

/* --- rules that look at the message ------------------------------------- */

static bool
waits(const struct plan *plan, const struct score_rule *r)
{
	return r->eval.p != NULL || r->perl.captures ||
	    (!plan_covers(plan, r) && !plan_exists(plan, r));
}

static void
leaves_make(struct maker *mk)
{
	const struct score_rule *r;
	size_t i;

	for (i = 0; i < mk->plan->count; i++) {
		r = mk->plan->by_index[i];
		if (r->off || r->kind == RULE_META)
			continue;
		mk->odds[i] = r->exists ? ODDS_FIELD : ODDS_WORDS;
		if (waits(mk->plan, r))
			mk->out->state[i] = OUTSET_WAITS;
	}
}

/* --- metas -------------------------------------------------------------- */

/* Of a meta that is open, whatever it could become in some message. */
static void
range_of(void *arg, uint32_t rule, struct meta_range *out)
{
	const struct plan *plan = arg;
	const struct score_rule *r = plan->by_index[rule];

	*out = (struct meta_range){ .high = r->kind == RULE_META ? ANY_VALUE :
								   r->most,
		.ask = rule };
}

/* An operand that makes the meta 0, the one that does so most often. */
static uint32_t
zero_operand(const struct maker *mk, const struct plan_meta *meta)
{
	uint64_t must = meta->must;
	uint32_t best = WATCH_ALL, rule;

	for (; must != 0; must &= must - 1) {
		rule = meta->reads[__builtin_ctzll(must)];
		if (mk->out->state[rule] == OUTSET_KNOWN &&
		    mk->out->count[rule] == 0 &&
		    (best == WATCH_ALL || mk->odds[rule] < mk->odds[best]))
			best = rule;
	}
	return best;
}

static void
meta_make(struct maker *mk, const struct plan_meta *meta)
{
	struct meta_facts facts = { meta->reads, mk->out->state, mk->out->count,
		range_of, mk->plan };
	uint32_t rule = meta->rule;
	struct meta_range range;

	mk->watches[rule] = zero_operand(mk, meta);
	if (mk->watches[rule] != WATCH_ALL) {
		mk->odds[rule] = mk->odds[mk->watches[rule]];
		return;
	}
	mk->odds[rule] = ODDS_META;
	range = meta_range(meta->meta, &facts);
	if (range.ask == META_ASK_NONE)
		mk->out->count[rule] = range.low;
	else
		mk->out->state[rule] = OUTSET_OPEN;
}

/* --- who watches whom --------------------------------------------------- */

typedef void each_link(struct outset_links *, uint32_t rule, uint32_t meta);

/* Calls fn for each rule that the meta watches.  One that is open anyway
 * need not. */
static void
each_watched(const struct maker *mk, const struct plan_meta *meta,
    struct outset_links *links, each_link *fn)
{
	size_t i;

	if (mk->out->state[meta->rule] == OUTSET_OPEN)
		return;
	if (mk->watches[meta->rule] != WATCH_ALL) {
		fn(links, mk->watches[meta->rule], meta->rule);
		return;
	}
	for (i = 0; i < meta->nreads; i++)
		if (mk->out->state[meta->reads[i]] == OUTSET_KNOWN)
			fn(links, meta->reads[i], meta->rule);
}

static void
each_read(const struct maker *mk, const struct plan_meta *meta,
    struct outset_links *links, each_link *fn)
{
	size_t i;

	(void)mk;
	for (i = 0; i < meta->nreads; i++)
		fn(links, meta->reads[i], meta->rule);
}

static void
link_count(struct outset_links *links, uint32_t rule, uint32_t meta)
{
	(void)meta;
	links->first[rule + 1]++;
}

/* first[] goes from the end of a rule's metas to their start. */
static void
link_add(struct outset_links *links, uint32_t rule, uint32_t meta)
{
	links->meta[--links->first[rule + 1]] = meta;
}

static void
links_make(struct maker *mk, struct outset_links *links,
    void (*each)(const struct maker *, const struct plan_meta *,
	struct outset_links *, each_link *))
{
	const struct plan *plan = mk->plan;
	size_t i, n = plan->count + 1;

	links->first = keep(mk, (n + 2) * sizeof(*links->first));
	for (i = 0; i < plan->nmetas; i++)
		each(mk, &plan->metas[i], links, link_count);
	for (i = 0; i <= n; i++)
		links->first[i + 1] += links->first[i];
	links->meta = keep(mk, (links->first[n] + 1) * sizeof(*links->meta));
	for (i = 0; i < plan->nmetas; i++)
		each(mk, &plan->metas[i], links, link_add);
	/* Now first[i + 1] is where the metas of rule i start. */
	links->first++;
}

void
outset_make(struct plan *plan)
{
	struct maker mk = { .plan = plan,
		.out = &plan->outset,
		.odds = mem_alloc(plan->count + 1),
		.watches = mem_alloc((plan->count + 1) * sizeof(uint32_t)) };
	size_t i;

	mk.out->count = keep(&mk, (plan->count + 1) * sizeof(double));
	mk.out->state = keep(&mk, plan->count + 1);
	leaves_make(&mk);
	for (i = 0; i < plan->nmetas; i++)
		meta_make(&mk, &plan->metas[i]);
	links_make(&mk, &mk.out->watchers, each_watched);
	links_make(&mk, &mk.out->readers, each_read);
	free(mk.odds);
	free(mk.watches);
}
