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

struct reader {
	const struct plan *plan;
	const struct plan_meta *meta;
};

/* Of a meta that is open, whatever it could become in some message. */
static struct meta_range
operand(void *arg, size_t i)
{
	const struct reader *reader = arg;
	const struct outset *out = &reader->plan->outset;
	uint32_t rule = reader->meta->reads[i];
	const struct score_rule *r;

	if (out->state[rule] == OUTSET_KNOWN)
		return meta_range_known(out->count[rule]);
	r = reader->plan->by_index[rule];
	return (struct meta_range){ .high = r->kind == RULE_META ? ANY_VALUE :
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
	struct reader reader = { mk->plan, meta };
	uint32_t rule = meta->rule;
	struct meta_range range;

	mk->watches[rule] = zero_operand(mk, meta);
	if (mk->watches[rule] != WATCH_ALL) {
		mk->odds[rule] = mk->odds[mk->watches[rule]];
		return;
	}
	mk->odds[rule] = ODDS_META;
	range = meta_range(meta->meta, operand, &reader);
	if (range.ask == META_ASK_NONE)
		mk->out->count[rule] = range.low;
	else
		mk->out->state[rule] = OUTSET_OPEN;
}

/* --- who watches whom --------------------------------------------------- */

/* Calls fn for each rule that the meta watches.  One that is open anyway
 * need not. */
static void
each_watched(const struct maker *mk, const struct plan_meta *meta,
    void (*fn)(struct outset *, uint32_t rule, uint32_t meta))
{
	size_t i;

	if (mk->out->state[meta->rule] == OUTSET_OPEN)
		return;
	if (mk->watches[meta->rule] != WATCH_ALL) {
		fn(mk->out, mk->watches[meta->rule], meta->rule);
		return;
	}
	for (i = 0; i < meta->nreads; i++)
		if (mk->out->state[meta->reads[i]] == OUTSET_KNOWN)
			fn(mk->out, meta->reads[i], meta->rule);
}

static void
watcher_count(struct outset *out, uint32_t rule, uint32_t meta)
{
	(void)meta;
	out->first[rule + 1]++;
}

/* first[] goes from the end of a rule's watchers to their start. */
static void
watcher_add(struct outset *out, uint32_t rule, uint32_t meta)
{
	out->watcher[--out->first[rule + 1]] = meta;
}

static void
watchers_make(struct maker *mk)
{
	const struct plan *plan = mk->plan;
	struct outset *out = mk->out;
	size_t i, n = plan->count + 1;

	out->first = keep(mk, (n + 2) * sizeof(*out->first));
	for (i = 0; i < plan->nmetas; i++)
		each_watched(mk, &plan->metas[i], watcher_count);
	for (i = 0; i <= n; i++)
		out->first[i + 1] += out->first[i];
	out->watcher = keep(mk, (out->first[n] + 1) * sizeof(*out->watcher));
	for (i = 0; i < plan->nmetas; i++)
		each_watched(mk, &plan->metas[i], watcher_add);
	/* Now first[i + 1] is where the watchers of rule i start. */
	out->first++;
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
	watchers_make(&mk);
	free(mk.odds);
	free(mk.watches);
}
