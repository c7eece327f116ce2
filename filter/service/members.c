#include "service/members.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define REFS_MAX  32767
#define CROWD_MAX (MEMBERS_MAX / 2 * 3) /* with those who have left */

/* Slots of windows of a millisecond and more fit 48 bits until 2048. */
struct member {
	uint64_t hash; /* 0: no one */
	int64_t last : 48;
	uint64_t refs : 15; /* reservations */
	uint64_t again : 1; /* counted more than once in `last' */
};

struct members {
	uint32_t cap, n; /* cap: a power of two */
	uint32_t nchanged, capchanged;
	bool unsaved; /* all of it changed */
	uint64_t *changed;
	struct member at[];
};

static size_t
set_bytes(uint32_t cap)
{
	return sizeof(struct members) + cap * sizeof(struct member);
}

void
members_free(struct members **set)
{
	if (*set == NULL)
		return;
	free((*set)->changed);
	free(*set);
	*set = NULL;
}

size_t
members_bytes(const struct members *set)
{
	return set == NULL ?
	    0 :
	    set_bytes(set->cap) + set->capchanged * sizeof(*set->changed);
}

/* Where it is, or where it would be. */
static struct member *
set_seek(struct members *set, uint64_t hash)
{
	uint32_t i = hash & (set->cap - 1);

	while (set->at[i].hash != 0 && set->at[i].hash != hash)
		i = (i + 1) & (set->cap - 1);
	return &set->at[i];
}

static uint64_t
hash_of(uint64_t hash)
{
	return hash ? hash : 1;
}

static struct member *
set_find(struct members *set, uint64_t hash)
{
	struct member *m;

	if (set == NULL)
		return NULL;
	m = set_seek(set, hash_of(hash));
	return m->hash ? m : NULL;
}

static bool
is_live(const struct members_of *of, const struct member *m)
{
	return m->last != MEMBERS_NEVER &&
	    m->last >= of->slots->head - SLOTS_PER_WINDOW;
}

static bool
is_idle(const struct members_of *of, const struct member *m)
{
	return m->refs == 0 && !is_live(of, m);
}

/* A set of another size, without those who have left. */
static void
set_rebuild(const struct members_of *of)
{
	struct members *old = *of->set, *set;
	uint32_t live = 0, cap = 8;

	for (uint32_t i = 0; old && i < old->cap; i++)
		live += old->at[i].hash && !is_idle(of, &old->at[i]);
	while (cap < live * 2 + 2)
		cap *= 2;
	set = mem_alloc(set_bytes(cap));
	set->cap = cap;
	set->n = live;
	if (old) {
		set->changed = old->changed;
		set->nchanged = old->nchanged;
		set->capchanged = old->capchanged;
		set->unsaved = old->unsaved;
	}
	for (uint32_t i = 0; old && i < old->cap; i++)
		if (old->at[i].hash && !is_idle(of, &old->at[i]))
			*set_seek(set, old->at[i].hash) = old->at[i];
	free(old);
	*of->set = set;
}

/* Is it time to put out those who have left?  Seldom enough to be cheap. */
static bool
is_crowded(const struct members_of *of)
{
	const struct members *set = *of->set;

	if (set == NULL || (set->n + 1) * 4 > set->cap * 3)
		return true;
	return set->n >= CROWD_MAX &&
	    slots_sum(of->slots) + *of->reserved < CROWD_MAX / 4 * 3;
}

/* Finds or makes; NULL: too many. */
static struct member *
set_get(const struct members_of *of, uint64_t hash)
{
	struct member *m = set_find(*of->set, hash);

	if (m)
		return m;
	if (is_crowded(of))
		set_rebuild(of);
	if ((*of->set)->n >= CROWD_MAX)
		return NULL;
	(*of->set)->n++;
	m = set_seek(*of->set, hash_of(hash));
	*m = (struct member){ .hash = hash_of(hash), .last = MEMBERS_NEVER };
	return m;
}

/* Takes a member out, and moves up those that it kept from their places. */
static void
set_remove(struct members *set, struct member *m)
{
	uint32_t mask = set->cap - 1, hole = m - set->at, i = hole, home;

	for (;;) {
		set->at[hole].hash = 0;
		do {
			i = (i + 1) & mask;
			if (set->at[i].hash == 0) {
				set->n--;
				return;
			}
			home = set->at[i].hash & mask;
		} while (((i - home) & mask) < ((i - hole) & mask));
		set->at[hole] = set->at[i];
		hole = i;
	}
}

static void
set_changed(struct members *set, uint64_t hash)
{
	if (set->unsaved)
		return;
	if (set->nchanged >= set->cap) { /* many are in it twice */
		set->unsaved = true;
		set->nchanged = 0;
		return;
	}
	if (set->nchanged == set->capchanged) {
		set->capchanged = set->capchanged ? set->capchanged * 2 : 2;
		set->changed = mem_resize(set->changed,
		    set->capchanged * sizeof(*set->changed));
	}
	set->changed[set->nchanged++] = hash;
}

bool
members_there(const struct members_of *of, uint64_t hash)
{
	struct member *m = set_find(*of->set, hash);

	return m && !is_idle(of, m);
}

bool
members_hold(const struct members_of *of, uint64_t hash)
{
	struct member *m = set_get(of, hash);

	if (m == NULL || m->refs == REFS_MAX)
		return false;
	if (m->refs++ == 0) {
		if (is_live(of, m))
			slots_take(of->slots, m->last, 1);
		(*of->reserved)++;
	}
	return true;
}

int64_t
members_count(const struct members_of *of, uint64_t hash)
{
	struct member *m = set_find(*of->set, hash);
	int64_t before;

	assert(m && m->refs);
	before = m->last;
	m->again = before == of->slots->head;
	m->last = of->slots->head;
	set_changed(*of->set, m->hash);
	return before;
}

void
members_uncount(const struct members_of *of, uint64_t hash, int64_t index,
    int64_t before)
{
	struct member *m = set_find(*of->set, hash);

	assert(m && m->refs);
	if (m->last != index || m->again)
		return;
	m->last = before;
	set_changed(*of->set, m->hash);
}

void
members_let_go(const struct members_of *of, uint64_t hash)
{
	struct member *m = set_find(*of->set, hash);

	assert(m && m->refs);
	if (--m->refs)
		return;
	(*of->reserved)--;
	if (is_live(of, m))
		slots_put(of->slots, m->last, 1);
	else
		set_remove(*of->set, m);
}

void
members_clear(const struct members_of *of)
{
	struct members *set = *of->set;

	slots_free(of->slots);
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->cap; i++)
		set->at[i].last = MEMBERS_NEVER;
	set_rebuild(of);
	(*of->set)->unsaved = true;
	(*of->set)->nchanged = 0;
}

void
members_load(const struct members_of *of, uint64_t hash, int64_t last)
{
	struct member *m;

	if (last < of->slots->head - SLOTS_PER_WINDOW ||
	    (m = set_get(of, hash)) == NULL)
		return;
	if (last > of->slots->head)
		last = of->slots->head;
	if (m->last >= last)
		return;
	if (m->refs == 0 && is_live(of, m))
		slots_take(of->slots, m->last, 1);
	m->last = last;
	if (m->refs == 0)
		slots_put(of->slots, last, 1);
}

size_t
members_save(const struct members_of *of, bool everything, bool *all,
    struct member_row **rows)
{
	struct members *set = *of->set;
	struct member *m;
	size_t n = 0, most;

	*rows = NULL;
	*all = everything || (set && set->unsaved);
	if (set == NULL)
		return 0;
	most = *all ? set->n : set->nchanged;
	*rows = mem_alloc((most + 1) * sizeof(**rows));
	for (uint32_t i = 0; *all && i < set->cap; i++)
		if (set->at[i].hash && is_live(of, &set->at[i]))
			(*rows)[n++] = (struct member_row){ set->at[i].hash,
				set->at[i].last };
	for (uint32_t i = 0; !*all && i < set->nchanged; i++) {
		m = set_find(set, set->changed[i]);
		(*rows)[n++] = (struct member_row){ set->changed[i],
			m ? m->last : MEMBERS_NEVER };
	}
	set->nchanged = 0;
	set->unsaved = false;
	return n;
}

void
members_unsaved(struct members *set)
{
	if (set)
		set->unsaved = true;
}
