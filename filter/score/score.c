#include <math.h>

#include "base/clock.h"
#include "score/match.h"
#include "score/score.h"

struct sum {
	struct match	*match;
	struct score_result *result;
	struct score_hit **tail, **sub_tail;
};

/* Rules named __X exist for metas alone. */
static bool
is_sub(const struct score_rule *r)
{
	return str_starts(r->name, STR("__"));
}

static bool
add_hit(struct sum *sum, const struct score_rule *r, double count)
{
	struct score_hit *hit = arena_alloc(sum->match->arena, sizeof(*hit));
	struct score_hit ***tail = is_sub(r) ? &sum->sub_tail : &sum->tail;

	if (hit == NULL)
		return false;
	/* The ruleset may be reloaded while the report is read. */
	hit->rule = arena_str(sum->match->arena, r->name);
	hit->describe = arena_str(sum->match->arena, r->describe);
	hit->times = count;
	**tail = hit;
	*tail = &hit->next;
	if (is_sub(r))
		return true;
	hit->score = r->score;
	sum->result->score += r->score;
	sum->result->count++;
	return true;
}

static bool
add_hits(struct sum *sum, const struct plan *plan)
{
	const double *count = sum->match->count;
	size_t i, word, words = outset_words(plan->count);
	uint64_t rest;

	sum->tail = &sum->result->hits;
	sum->sub_tail = &sum->result->subs;
	for (word = 0; word < words; word++)
		for (rest = sum->match->demand.hits[word]; rest != 0;
		     rest &= rest - 1) {
			i = word * 64 + (size_t)__builtin_ctzll(rest);
			if (count[i] > 0 && !plan->late[i] &&
			    !add_hit(sum, plan->by_index[i], count[i]))
				return false;
		}
	/* 0.7 and 0.1 are 0.8, not a little less. */
	sum->result->score = round(sum->result->score * 1000) / 1000;
	sum->result->limited = sum->match->limited;
	return true;
}

const struct score_result *
score_run(struct txn *txn, const struct ruleset *set)
{
	struct match match = { .txn = txn, .set = set };
	struct sum sum = { .match = &match };

	if (txn->checks == NULL)
		return NULL;
	if (txn->checks->score != NULL)
		return txn->checks->score;
	sum.result = arena_alloc(txn->arena, sizeof(*sum.result));
	match.stop_ms = clock_mono_ms() + SCORE_MAX_MS;
	if (sum.result == NULL || !match_message(&match) ||
	    !add_hits(&sum, set->plan))
		return NULL;
	txn->checks->score = sum.result;
	return sum.result;
}

static bool
among(const struct score_hit *hit, struct str rule)
{
	for (; hit != NULL; hit = hit->next)
		if (str_eq(hit->rule, rule))
			return true;
	return false;
}

bool
score_hit(const struct score_result *result, struct str rule)
{
	return among(result->hits, rule) || among(result->subs, rule);
}
