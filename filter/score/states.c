#include "score/states.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define FORGOTTEN_MAX	8	/* times, for one text */
#define FEW		40	/* are sorted by hand */

static atomic_size_t all_bytes;

/* May there be so much more? */
static bool
claim(size_t *mine, size_t bytes)
{
	if (atomic_fetch_add(&all_bytes, bytes) + bytes > STATES_BYTES) {
		atomic_fetch_sub(&all_bytes, bytes);
		return false;
	}
	*mine += bytes;
	return true;
}

/* --- the table ---------------------------------------------------------- */

static struct table *
table_of(struct states *s)
{
	return atomic_load_explicit(&s->table, memory_order_acquire);
}

/* Where a set of nodes stands in the hash, or would. */
static uint16_t *
hash_slot(struct workshop *w, const uint16_t *nodes, size_t n)
{
	uint32_t h = 2166136261U;
	uint16_t *slot;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ nodes[i]) * 16777619U;
	for (h ^= h >> 15;; h++) {
		slot = &w->hash[h & (w->hash_room - 1)];
		if (*slot == 0 ||
		    (w->count[*slot] == n &&
			memcmp(w->targets + w->first[*slot], nodes,
			    n * sizeof(*nodes)) == 0))
			return slot;
	}
}

static void
hash_grow(struct workshop *w, size_t room)
{
	size_t i;

	free(w->hash);
	w->hash = mem_alloc(room * sizeof(*w->hash));
	w->hash_room = room;
	for (i = STATE_FIRST; i < w->nstates; i++)
		*hash_slot(w, w->targets + w->first[i], w->count[i]) =
		    (uint16_t)i;
}

/* Twice as many states as there were. */
static bool
table_grow(struct states *s)
{
	struct table *old = table_of(s), *t;
	struct workshop *w = &s->shop;
	size_t room = old != NULL ? 2 * old->room : 64;
	size_t row = s->nodes.classes, bytes = 0, i;

	if (room > STATES_MAX || !claim(&bytes, room * (row * 4 + 10)))
		return false;
	t = mem_alloc(sizeof(*t) + room * row * sizeof(*t->moves));
	t->older = old;
	t->room = room;
	t->bytes = bytes;
	memcpy(t->class_of, s->nodes.class_of, sizeof(t->class_of));
	for (i = 0; old != NULL && i < old->room * row; i++)
		atomic_init(&t->moves[i], atomic_load(&old->moves[i]));
	w->first = mem_resize(w->first, room * sizeof(*w->first));
	w->count = mem_resize(w->count, room * sizeof(*w->count));
	hash_grow(w, 2 * room);
	atomic_store_explicit(&s->table, t, memory_order_release);
	return true;
}

/* --- sets of nodes, in the workshop ------------------------------------- */

static void
met_add(struct workshop *w, uint16_t node)
{
	if (w->mark[node] == w->round)
		return;
	w->mark[node] = w->round;
	w->met[w->nmet++] = node;
}

/* Where the class leads from a node. */
static void
met_walk(struct workshop *w, uint16_t from, uint8_t class,
    struct walks_place before)
{
	const uint16_t *to;
	size_t n, i;

	to = walks_to(&w->walks, from, class, before, &n);
	for (i = 0; i < n; i++)
		met_add(w, to[i]);
}

/* What stands before the next byte, as part of the state. */
static struct walks_place
met_place(struct states *s, bool line, bool word)
{
	struct walks_place place = { line && s->nodes.has_line,
		word && s->nodes.has_word };

	if (place.line)
		met_add(&s->shop, s->nodes.line);
	if (place.word)
		met_add(&s->shop, s->nodes.word);
	return place;
}

/* Regexes to whose ends the nodes lead without a byte. */
static uint32_t
met_ends(struct workshop *w, struct walks_place before)
{
	uint32_t ends = 0;
	size_t i;

	for (i = 0; i < w->nmet; i++)
		ends |= walks_ends(&w->walks, w->met[i], before);
	return ends;
}

static int
by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* In order; from ends nothing leads on. */
static void
met_sort(struct states *s)
{
	struct workshop *w = &s->shop;
	uint16_t node;
	size_t i, k, n = 0;

	for (i = 0; i < w->nmet; i++)
		if (w->met[i] >= s->nodes.regexes)
			w->met[n++] = w->met[i];
	w->nmet = n;
	if (n > FEW) {
		qsort(w->met, n, sizeof(*w->met), by_number);
		return;
	}
	for (i = 1; i < n; i++) {
		node = w->met[i];
		for (k = i; k > 0 && w->met[k - 1] > node; k--)
			w->met[k] = w->met[k - 1];
		w->met[k] = node;
	}
}

/* --- states ------------------------------------------------------------- */

/* Room for one state more. */
static bool
state_room(struct states *s)
{
	struct workshop *w = &s->shop;
	size_t room = 2 * (w->ntargets + w->nmet) + 1;

	if (w->nstates >= table_of(s)->room && !table_grow(s))
		return false;
	/* One more than is needed: a state may lead nowhere. */
	if (w->ntargets + w->nmet >= w->targets_room) {
		if (!claim(&w->bytes, (room - w->targets_room) * 2))
			return false;
		w->targets = mem_resize(w->targets, room * sizeof(*w->targets));
		w->targets_room = room;
	}
	return true;
}

/* The row of the nodes in `met'; MOVE_UNKNOWN: no room. */
static uint32_t
state_of(struct states *s)
{
	struct workshop *w = &s->shop;
	uint16_t *slot, n;

	met_sort(s);
	slot = hash_slot(w, w->met, w->nmet);
	if (*slot != 0)
		return *slot * (uint32_t)s->nodes.classes;
	if (!state_room(s))
		return MOVE_UNKNOWN;
	n = (uint16_t)w->nstates++;
	w->first[n] = (uint32_t)w->ntargets;
	w->count[n] = (uint16_t)w->nmet;
	memcpy(w->targets + w->ntargets, w->met, w->nmet * sizeof(*w->met));
	w->ntargets += w->nmet;
	/* It may have grown. */
	*hash_slot(w, w->met, w->nmet) = n;
	return n * (uint32_t)s->nodes.classes;
}

/* What stands before the bytes that come in a state. */
static struct walks_place
state_place(const struct states *s, const uint16_t *nodes, size_t n)
{
	struct walks_place place = { false, false };
	size_t i;

	/* These two are the first there are. */
	for (i = 0; i < n && nodes[i] <= s->nodes.word; i++) {
		place.line = place.line || nodes[i] == s->nodes.line;
		place.word = place.word || nodes[i] == s->nodes.word;
	}
	return place;
}

/* Into `met': where the class leads from a state. */
static void
state_walk(struct states *s, size_t state, uint8_t class)
{
	struct workshop *w = &s->shop;
	const uint16_t *from = w->targets + w->first[state];
	struct walks_place before = state_place(s, from, w->count[state]);
	size_t i;

	w->round++;
	w->nmet = 0;
	for (i = 0; i < s->nodes.regexes; i++)
		if (s->nodes.start[i] != NODE_NONE)
			met_walk(w, s->nodes.start[i], class, before);
	for (i = 0; i < w->count[state]; i++)
		met_walk(w, from[i], class, before);
}

/* Where the class leads from a state; MOVE_UNKNOWN: no room. */
static uint32_t
move_make(struct states *s, size_t row, uint8_t class)
{
	int byte = s->nodes.byte_of[class];
	struct walks_place place;
	uint32_t ends, to;

	state_walk(s, row / s->nodes.classes, class);
	place = met_place(s, byte == '\n', node_is_word(byte));
	ends = met_ends(&s->shop, place);
	to = state_of(s);
	if (to == MOVE_UNKNOWN)
		return MOVE_UNKNOWN;
	to |= ends << MOVE_MET;
	atomic_store_explicit(&table_of(s)->moves[row + class], to,
	    memory_order_release);
	return to;
}

/* The state in which texts begin is the first there is. */
static void
states_start(struct states *s)
{
	s->shop.nstates = STATE_FIRST;
	s->shop.ntargets = 0;
	s->shop.nmet = 0;
	s->shop.round++;
	met_place(s, true, false);
	state_of(s);
}

/* All but the run's.  Who reads them meanwhile sees it by their age. */
static void
states_forget(struct states *s, struct run *r)
{
	struct workshop *w = &s->shop;
	size_t state = r->row / s->nodes.classes, n = w->count[state], i;
	uint16_t *kept = mem_alloc(n * sizeof(*kept) + 1);
	struct table *t = table_of(s);

	memcpy(kept, w->targets + w->first[state], n * sizeof(*kept));
	atomic_fetch_add(&s->age, 1);
	for (i = 0; i < t->room * s->nodes.classes; i++)
		atomic_store_explicit(&t->moves[i], 0, memory_order_release);
	memset(w->hash, 0, w->hash_room * sizeof(*w->hash));
	states_start(s);
	memcpy(w->met, kept, n * sizeof(*kept));
	w->nmet = n;
	r->row = state_of(s);
	r->age = atomic_fetch_add(&s->age, 1) + 1;
	free(kept);
}

/* --- runs --------------------------------------------------------------- */

/* Waits while states are forgotten. */
static unsigned int
age_now(struct states *s)
{
	unsigned int age = atomic_load_explicit(&s->age, memory_order_acquire);

	if (age % 2 == 0)
		return age;
	pthread_mutex_lock(&s->lock);
	age = atomic_load(&s->age);
	pthread_mutex_unlock(&s->lock);
	return age;
}

void
states_begin(struct states *s, struct run *r)
{
	r->states = s;
	r->age = age_now(s);
	r->table = table_of(s);
	r->row = STATE_FIRST * s->nodes.classes;
	r->seen = s->nodes.always << MOVE_MET;
	r->made = 0;
}

/* What walks remember is of the states' bytes, or forgotten. */
static void
walks_account(struct states *s)
{
	struct workshop *w = &s->shop;
	size_t bytes = walks_bytes(&w->walks);

	if (bytes <= w->walk_bytes)
		return;
	if (claim(&w->bytes, bytes - w->walk_bytes))
		w->walk_bytes = bytes;
	else
		walks_forget(&w->walks);
}

/* Under the lock. */
static void
move_learn(struct run *r, uint8_t class)
{
	struct states *s = r->states;
	size_t before = s->shop.nstates;

	if (move_make(s, r->row, class) != MOVE_UNKNOWN) {
		r->made += (unsigned int)(s->shop.nstates - before);
	} else {
		states_forget(s, r);
		r->made += STATES_LEARNT / FORGOTTEN_MAX;
	}
	r->table = table_of(s);
	walks_account(s);
}

enum states_answer
states_learn(struct run *r, unsigned char byte)
{
	struct states *s = r->states;
	enum states_answer answer = STATES_TOO_MANY;

	pthread_mutex_lock(&s->lock);
	if (atomic_load(&s->age) != r->age) {
		answer = STATES_LOST;
	} else if (r->made < STATES_LEARNT) {
		move_learn(r, s->nodes.class_of[byte]);
		answer = STATES_LEARNED;
	}
	pthread_mutex_unlock(&s->lock);
	return answer;
}

/* --- all of them -------------------------------------------------------- */

/* Regexes that match where no byte is. */
static uint32_t
empty_matches(struct states *s)
{
	const struct walks_place place = { .line = true };
	uint32_t ends = 0;
	size_t i;

	for (i = 0; i < s->nodes.regexes; i++)
		if (s->nodes.start[i] != NODE_NONE)
			ends |= walks_ends(&s->shop.walks, s->nodes.start[i],
			    place);
	return ends;
}

/* false: all match everywhere, or there is no room. */
static bool
shop_open(struct states *s)
{
	struct workshop *w = &s->shop;
	size_t n = s->nodes.count;

	if (!claim(&w->bytes, n * 8))
		return false;
	w->mark = mem_alloc(n * sizeof(*w->mark));
	w->met = mem_alloc((n + 2) * sizeof(*w->met));
	w->targets = mem_alloc(n * sizeof(*w->targets));
	w->targets_room = n;
	walks_open(&w->walks, &s->nodes);
	walks_account(s);
	s->nodes.always |= empty_matches(s);
	w->nstates = STATE_FIRST;
	if (s->nodes.always == s->all || !table_grow(s))
		return false;
	states_start(s);
	return true;
}

struct states *
states_new(struct nodes *nodes)
{
	struct states *s = mem_alloc(sizeof(*s));

	s->nodes = *nodes;
	*nodes = (struct nodes){ 0 };
	s->all = (uint32_t)((UINT64_C(1) << s->nodes.regexes) - 1);
	pthread_mutex_init(&s->lock, NULL);
	if (!shop_open(s))
		states_free(&s);
	return s;
}

void
states_free(struct states **s)
{
	struct workshop *w;
	struct table *t;

	if (*s == NULL)
		return;
	w = &(*s)->shop;
	while ((t = table_of(*s)) != NULL) {
		atomic_store(&(*s)->table, t->older);
		atomic_fetch_sub(&all_bytes, t->bytes);
		free(t);
	}
	atomic_fetch_sub(&all_bytes, w->bytes);
	free(w->first);
	free(w->count);
	free(w->targets);
	free(w->hash);
	free(w->mark);
	free(w->met);
	walks_close(&w->walks);
	pthread_mutex_destroy(&(*s)->lock);
	nodes_free(&(*s)->nodes);
	free(*s);
	*s = NULL;
}
