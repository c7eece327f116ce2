#include "score/outset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/meta_range.h"
#include "score/needs.h"
#include "score/plan.h"

/* How often a rule turns out not to be as it was at the outset: where the
 * text has what its regex needs, where there is such a field, where nothing
 * rules it out. */
enum odds { ODDS_WORDS = 1, ODDS_ASKED = 10, ODDS_FIELD = 20 };

struct maker {
	struct plan	*plan;
	struct outset	*out;
	unsigned int	*odds;		/* of each rule */
	unsigned char	*open;		/* 1 of each rule, 0 of none */
	const uint32_t	**watches;	/* of each meta: the need that is not
					 * met; NULL: all that it reads */
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
ruled_out(const struct plan *plan, const struct score_rule *r)
{
	return r->eval.p == NULL && !r->perl.captures &&
	    (plan_covers(plan, r) || plan_exists(plan, r));
}

/* One that is asked in any case is known when the first meta is counted. */
static void
leaves_make(struct maker *mk)
{
	const struct plan *plan = mk->plan;
	const struct score_rule *r;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		r = plan->by_index[i];
		if (r->off || r->kind == RULE_META)
			continue;
		if (!ruled_out(plan, r)) {
			mk->odds[i] = ODDS_ASKED;
			if (plan->late[i])
				mk->out->state[i] = OUTSET_WAITS;
		} else {
			mk->odds[i] = r->exists ? ODDS_FIELD : ODDS_WORDS;
		}
	}
}

/* --- metas -------------------------------------------------------------- */

/* Of a meta that is open, whatever it could become in some message. */
static void
range_of(void *arg, uint32_t rule, struct meta_range *out)
{
	const struct plan *plan = arg;
	const struct score_rule *r = plan->by_index[rule];

	*out = (struct meta_range){ .ask = rule };
	if (r->kind != RULE_META)
		out->high = r->most;
	else if (!r->off)
		out->high = plan->metas[plan->meta_of[rule]].most;
}

static bool
unmet(const struct maker *mk, uint32_t side)
{
	uint32_t rule = needs_rule(side);

	return mk->out->state[rule] == OUTSET_KNOWN &&
	    (mk->out->count[rule] == 0) == needs_hit(side);
}

/* The odds that the need is met though it is not at the outset; 0: it may
 * well be. */
static unsigned int
need_odds(const struct maker *mk, const uint32_t *need)
{
	unsigned int odds = 1;
	uint32_t i;

	for (i = 1; i <= *need; i++) {
		if (!unmet(mk, need[i]))
			return 0;
		odds += mk->odds[needs_rule(need[i])];
	}
	return odds;
}

/* The need that keeps the meta at 0 in most messages, and its odds. */
static const uint32_t *
need_unmet(const struct maker *mk, const struct plan_meta *meta,
    unsigned int *odds)
{
	const uint32_t *need, *best = NULL;
	unsigned int n;

	for (need = meta->needs; *need != 0; need = needs_next(need)) {
		n = need_odds(mk, need);
		if (n > 0 && (best == NULL || n < *odds)) {
			best = need;
			*odds = n;
		}
	}
	return best;
}

static void
meta_make(struct maker *mk, struct plan_meta *meta)
{
	struct meta_facts facts = { meta->reads, mk->open, mk->out->count,
		range_of, mk->plan };
	uint32_t rule = meta->rule, place = mk->plan->meta_of[rule];
	struct meta_range range;
	size_t i;

	meta->most = meta_range(meta->meta, &facts).high;
	mk->watches[rule] = need_unmet(mk, meta, &mk->odds[rule]);
	if (mk->watches[rule] != NULL)
		return;
	for (i = 0; i < meta->nreads; i++)
		mk->odds[rule] += mk->odds[meta->reads[i]];
	facts.open = mk->out->state;
	range = meta_range(meta->meta, &facts);
	if (range.ask == META_ASK_NONE) {
		mk->out->count[rule] = range.low;
		if (range.low != 0)
			outset_set(mk->out->hits, rule);
	} else {
		mk->out->state[rule] = OUTSET_OPEN;
		outset_set(mk->out->open, place);
	}
}

/* --- who watches whom --------------------------------------------------- */

typedef void each_link(struct outset_links *, uint32_t rule, uint32_t meta);

/* Calls fn for each rule that the meta watches.  One that is open anyway
 * need not. */
static void
each_watched(const struct maker *mk, const struct plan_meta *meta,
    struct outset_links *links, each_link *fn)
{
	const uint32_t *need = mk->watches[meta->rule];
	uint32_t i;

	for (i = 1; need != NULL && i <= *need; i++)
		fn(links, needs_rule(need[i]), meta->rule);
	if (need != NULL || mk->out->state[meta->rule] == OUTSET_OPEN)
		return;
	for (i = 0; i < meta->nreads; i++)
		if (mk->out->state[meta->reads[i]] == OUTSET_KNOWN)
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
links_make(struct maker *mk, struct outset_links *links)
{
	const struct plan *plan = mk->plan;
	size_t i, n = plan->count + 1;

	links->first = keep(mk, (n + 2) * sizeof(*links->first));
	for (i = 0; i < plan->nmetas; i++)
		each_watched(mk, &plan->metas[i], links, link_count);
	for (i = 0; i <= n; i++)
		links->first[i + 1] += links->first[i];
	links->meta = keep(mk, (links->first[n] + 1) * sizeof(*links->meta));
	for (i = 0; i < plan->nmetas; i++)
		each_watched(mk, &plan->metas[i], links, link_add);
	/* Now first[i + 1] is where the metas of rule i start. */
	links->first++;
}

void
outset_make(struct plan *plan)
{
	size_t n = plan->count + 1;
	struct maker mk = { .plan = plan,
		.out = &plan->outset,
		.odds = mem_alloc(n * sizeof(*mk.odds)),
		.open = mem_alloc(n),
		.watches = mem_alloc(n * sizeof(*mk.watches)) };
	size_t i;

	mk.out->count = keep(&mk, n * sizeof(double));
	mk.out->state = keep(&mk, n);
	mk.out->hits = keep(&mk, outset_words(n) * sizeof(*mk.out->hits));
	mk.out->open =
	    keep(&mk, outset_words(plan->nmetas) * sizeof(*mk.out->open));
	memset(mk.open, 1, plan->count);
	leaves_make(&mk);
	for (i = 0; i < plan->nmetas; i++)
		meta_make(&mk, &plan->metas[i]);
	links_make(&mk, &mk.out->watchers);
	free(mk.odds);
	free(mk.open);
	free(mk.watches);
}
