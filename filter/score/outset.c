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
	const struct outset *out;
	const struct score_rule *rule;
};

static bool
is_known(const struct outset *out, const struct score_rule *r)
{
	return r == NULL || out->state[r->index] == OUTSET_KNOWN;
}

/* Of a meta that is open, whatever it could become in some message. */
static struct meta_range
operand(void *arg, size_t i)
{
	const struct reader *reader = arg;
	const struct score_rule *r = reader->rule->reads[i];

	if (is_known(reader->out, r))
		return meta_range_known(
		    r != NULL ? reader->out->count[r->index] : 0);
	return (struct meta_range){ .high = r->kind == RULE_META ? ANY_VALUE :
								   r->most,
		.ask = (uint32_t)r->index };
}

/* An operand that makes the meta 0, the one that does so most often. */
static uint32_t
zero_operand(const struct maker *mk, const struct score_rule *r)
{
	uint64_t must = meta_must(r->meta);
	uint32_t best = WATCH_ALL;
	unsigned int odds = ODDS_META + 1;
	const struct score_rule *read;
	size_t i;

	for (i = 0; i < r->nreads && i < META_MUST_MAX; i++) {
		read = r->reads[i];
		if ((must >> i & 1) == 0 || read == NULL ||
		    !is_known(mk->out, read) ||
		    mk->out->count[read->index] != 0 ||
		    mk->odds[read->index] >= odds)
			continue;
		odds = mk->odds[read->index];
		best = (uint32_t)read->index;
	}
	return best;
}

static void
meta_make(struct maker *mk, const struct score_rule *r)
{
	struct reader reader = { mk->out, r };
	struct meta_range range;

	mk->watches[r->index] = zero_operand(mk, r);
	if (mk->watches[r->index] != WATCH_ALL) {
		mk->odds[r->index] = mk->odds[mk->watches[r->index]];
		return;
	}
	mk->odds[r->index] = ODDS_META;
	range = meta_range(r->meta, operand, &reader);
	if (range.ask == META_ASK_NONE)
		mk->out->count[r->index] = range.low;
	else
		mk->out->state[r->index] = OUTSET_OPEN;
}

/* --- who watches whom --------------------------------------------------- */

/* Calls fn for each rule that the meta watches.  One that is open anyway
 * need not. */
static void
each_watched(const struct maker *mk, const struct score_rule *r,
    void (*fn)(struct outset *, size_t rule, size_t meta))
{
	size_t i;

	if (mk->out->state[r->index] == OUTSET_OPEN)
		return;
	if (mk->watches[r->index] != WATCH_ALL) {
		fn(mk->out, mk->watches[r->index], r->index);
		return;
	}
	for (i = 0; i < r->nreads; i++)
		if (r->reads[i] != NULL && is_known(mk->out, r->reads[i]))
			fn(mk->out, r->reads[i]->index, r->index);
}

static void
watcher_count(struct outset *out, size_t rule, size_t meta)
{
	(void)meta;
	out->first[rule + 1]++;
}

/* first[] goes from the end of a rule's watchers to their start. */
static void
watcher_add(struct outset *out, size_t rule, size_t meta)
{
	out->watcher[--out->first[rule + 1]] = (uint32_t)meta;
}

static void
watchers_make(struct maker *mk)
{
	const struct plan_list *metas = &mk->plan->metas;
	struct outset *out = mk->out;
	size_t i, n = mk->plan->count;

	out->first = keep(mk, (n + 2) * sizeof(*out->first));
	for (i = 0; i < metas->count; i++)
		each_watched(mk, metas->rule[i], watcher_count);
	for (i = 0; i <= n; i++)
		out->first[i + 1] += out->first[i];
	out->watcher = keep(mk, (out->first[n] + 1) * sizeof(*out->watcher));
	for (i = 0; i < metas->count; i++)
		each_watched(mk, metas->rule[i], watcher_add);
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
	for (i = 0; i < plan->metas.count; i++)
		meta_make(&mk, plan->metas.rule[i]);
	watchers_make(&mk);
	free(mk.odds);
	free(mk.watches);
}
