#include "score/needs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "score/meta_need.h"
#include "score/plan.h"

#define SCRATCH_BYTES	(4UL * 1024 * 1024)

/* About what a rule costs: bytes that its regex looks at, times its length. */
#define FIELD_BYTES	200
#define FOUND_BYTES	500	/* where the prefilter found it */
#define TEXT_BYTES	4000
#define SHORTEST	20	/* a regex costs as if it were longer */
#define FUNCTION_COST	20000

/* What has to be 0 mostly is. */
#define MISS_COSTS	16

static float
leaf_cost(const struct plan *plan, const struct score_rule *r)
{
	float length = (float)(r->pattern.n + SHORTEST);

	if (!plan->late[r->index])
		return 0;
	if (r->eval.p != NULL)
		return FUNCTION_COST;
	if (r->kind == RULE_HEADER || r->kind == RULE_MIMEHEADER)
		return FIELD_BYTES * length;
	return length * (plan_covers(plan, r) ? FOUND_BYTES : TEXT_BYTES);
}

static float
side_cost(const struct plan *plan, uint32_t side)
{
	float cost = plan->cost[needs_rule(side)];

	return needs_hit(side) ? cost : cost * MISS_COSTS;
}

static float
need_cost(const struct plan *plan, const uint32_t *need)
{
	float cost = 0;
	uint32_t i;

	for (i = 1; i <= *need; i++)
		cost += side_cost(plan, need[i]);
	return cost;
}

/* Puts a side in its place among those of the need, the cheap ones first. */
static void
side_add(const struct plan *plan, uint32_t *need, uint32_t side)
{
	uint32_t at = ++*need;

	for (; at > 1 && side_cost(plan, need[at - 1]) > side_cost(plan, side);
	     at--)
		need[at] = need[at - 1];
	need[at] = side;
}

static uint32_t *
need_make(const struct plan *plan, struct arena *a,
    const struct plan_meta *meta, const struct meta_need *from)
{
	uint64_t names = from->hit | from->miss;
	uint32_t *need = arena_alloc(a, (META_NEED_NAMES + 1) * sizeof(*need));
	uint32_t hit, i;

	assert(need != NULL);
	for (; names != 0; names &= names - 1) {
		i = (uint32_t)__builtin_ctzll(names);
		hit = from->hit >> i & 1;
		side_add(plan, need, meta->reads[i] << 1 | hit);
	}
	return need;
}

static void
sort_needs(const struct plan *plan, uint32_t **need, size_t n)
{
	uint32_t *moved;
	size_t i, at;

	for (i = 1; i < n; i++) {
		moved = need[i];
		for (at = i; at > 0 &&
		     need_cost(plan, need[at - 1]) > need_cost(plan, moved);
		     at--)
			need[at] = need[at - 1];
		need[at] = moved;
	}
}

/* One after the other in memory that stays. */
static uint32_t *
needs_keep(struct plan *plan, uint32_t *const *need, size_t n)
{
	size_t i, size = 1;
	uint32_t *all, *at;

	for (i = 0; i < n; i++)
		size += *need[i] + 1;
	at = all = arena_alloc(plan->arena, size * sizeof(*all));
	assert(all != NULL); /* the arena has no cap */
	for (i = 0; i < n; i++) {
		memcpy(at, need[i], (*need[i] + 1) * sizeof(*at));
		at += *need[i] + 1;
	}
	return all;
}

/* A meta is mostly settled by its first need. */
static float
meta_cost(const struct plan *plan, const struct plan_meta *meta)
{
	float cost = 0;
	uint32_t i;

	if (*meta->needs != 0)
		return need_cost(plan, meta->needs);
	for (i = 0; i < meta->nreads; i++)
		cost += plan->cost[meta->reads[i]];
	return cost;
}

static void
meta_make(struct plan *plan, struct arena *a, struct plan_meta *meta)
{
	struct meta_needs found = meta_needs(a, meta->meta);
	uint32_t *need[META_NEEDS_MAX];
	size_t i;

	for (i = 0; i < found.count; i++)
		need[i] = need_make(plan, a, meta, &found.need[i]);
	sort_needs(plan, need, found.count);
	meta->needs = needs_keep(plan, need, found.count);
	meta->numbers = found.numbers;
	plan->cost[meta->rule] = meta_cost(plan, meta);
}

void
needs_make(struct plan *plan)
{
	struct arena *scratch = arena_new(SCRATCH_BYTES);
	const struct score_rule *r;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		r = plan->by_index[i];
		if (!r->off && r->kind != RULE_META)
			plan->cost[i] = leaf_cost(plan, r);
	}
	for (i = 0; i < plan->nmetas; i++) {
		arena_reset(scratch);
		meta_make(plan, scratch, &plan->metas[i]);
	}
	arena_free(&scratch);
}
