#include "score/states.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HASH_SIZE	8192	/* a power of 2, over STATES_MAX */
#define FORGOTTEN_MAX	8	/* times, for one text */

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

/* Twice as many states as there were. */
static bool
table_grow(struct states *s)
{
	struct table *old = table_of(s), *t;
	size_t room = old != NULL ? 2 * old->room : 64, row = s->nodes.classes,
	       i;
	size_t bytes = 0;

	if (room > STATES_MAX || !claim(&bytes, room * (row * 4 + 6)))
		return false;
	t = mem_alloc(sizeof(*t) + room * row * sizeof(*t->moves));
	t->older = old;
	t->room = room;
	t->bytes = bytes;
	memcpy(t->class_of, s->nodes.class_of, sizeof(t->class_of));
	for (i = 0; old != NULL && i < old->room * row; i++)
		atomic_init(&t->moves[i], atomic_load(&old->moves[i]));
	s->shop.first =
	    mem_resize(s->shop.first, room * sizeof(*s->shop.first));
	s->shop.count =
	    mem_resize(s->shop.count, room * sizeof(*s->shop.count));
	atomic_store_explicit(&s->table, t, memory_order_release);
	return true;
}

/* --- sets of nodes, in the workshop ------------------------------------- */

/* Can one pass through the node before the byte; -1: before some byte? */
static bool
passes(const struct workshop *w, const struct node *node, int byte)
{
	if (node->set == NODE_LINE_START)
		return w->line;
	if (node->set == NODE_WORD_EDGE)
		return byte < 0 || node_is_word(byte) != w->word;
	return node->set == NODE_NONE;
}

/* Where the byte leads from a node. */
static void
met_walk(struct states *s, uint16_t from, int byte)
{
	const struct nodes *nodes = &s->nodes;
	struct workshop *w = &s->shop;
	const struct node *node;
	size_t depth = 0;
	uint16_t n;

	w->stack[depth++] = from;
	while (depth > 0) {
		n = w->stack[--depth];
		if (n == NODE_NONE || w->mark[n] == w->round)
			continue;
		w->mark[n] = w->round;
		node = &nodes->node[n];
		if (passes(w, node, byte)) {
			w->stack[depth++] = node->other;
			w->stack[depth++] = node->next;
		} else if (node->set < NODE_WORD_EDGE &&
		    byte_set_has(&nodes->sets[node->set], byte)) {
			w->met[w->nmet++] = node->next;
		}
	}
}

/* What stands before the next byte, as part of the state. */
static void
met_place(struct states *s, bool line, bool word)
{
	struct workshop *w = &s->shop;

	w->line = line && s->nodes.has_line;
	w->word = word && s->nodes.has_word;
	if (w->line)
		w->met[w->nmet++] = s->nodes.line;
	if (w->word)
		w->met[w->nmet++] = s->nodes.word;
}

/* Regexes to whose ends the nodes lead without a byte. */
static uint32_t
met_ends(struct states *s)
{
	struct workshop *w = &s->shop;
	const struct node *node;
	uint32_t ends = 0;
	size_t depth = 0, i;
	uint16_t n;

	w->round++;
	for (i = 0; i < w->nmet; i++)
		w->stack[depth++] = w->met[i];
	while (depth > 0) {
		n = w->stack[--depth];
		if (n == NODE_NONE || w->mark[n] == w->round)
			continue;
		w->mark[n] = w->round;
		node = &s->nodes.node[n];
		if (n < s->nodes.regexes) {
			ends |= 1U << n;
		} else if (passes(w, node, -1)) {
			w->stack[depth++] = node->other;
			w->stack[depth++] = node->next;
		}
	}
	return ends;
}

static int
by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* In order, each once; from ends nothing leads on. */
static void
met_sort(struct states *s)
{
	struct workshop *w = &s->shop;
	size_t i, n = 0;

	qsort(w->met, w->nmet, sizeof(*w->met), by_number);
	for (i = 0; i < w->nmet; i++)
		if (w->met[i] >= s->nodes.regexes &&
		    (n == 0 || w->met[n - 1] != w->met[i]))
			w->met[n++] = w->met[i];
	w->nmet = n;
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
	uint32_t h = 2166136261U;
	uint16_t n;
	size_t i;

	met_sort(s);
	for (i = 0; i < w->nmet; i++)
		h = (h ^ w->met[i]) * 16777619U;
	for (h ^= h >> 15;; h++) {
		n = w->hash[h & (HASH_SIZE - 1)];
		if (n == 0)
			break;
		if (w->count[n] == w->nmet &&
		    memcmp(w->targets + w->first[n], w->met,
			w->nmet * sizeof(*w->met)) == 0)
			return n * (uint32_t)s->nodes.classes;
	}
	if (!state_room(s))
		return MOVE_UNKNOWN;
	n = (uint16_t)w->nstates++;
	w->hash[h & (HASH_SIZE - 1)] = n;
	w->first[n] = (uint32_t)w->ntargets;
	w->count[n] = (uint16_t)w->nmet;
	memcpy(w->targets + w->ntargets, w->met, w->nmet * sizeof(*w->met));
	w->ntargets += w->nmet;
	return n * (uint32_t)s->nodes.classes;
}

/* Where the class leads from a state; MOVE_UNKNOWN: no room. */
static uint32_t
move_make(struct states *s, size_t row, uint8_t class)
{
	struct workshop *w = &s->shop;
	size_t state = row / s->nodes.classes, i;
	const uint16_t *from = w->targets + w->first[state];
	int byte = s->nodes.byte_of[class];
	uint32_t ends, to;

	w->round++;
	w->nmet = 0;
	w->line = w->word = false;
	for (i = 0; i < w->count[state]; i++) {
		w->line = w->line || from[i] == s->nodes.line;
		w->word = w->word || from[i] == s->nodes.word;
	}
	for (i = 0; i < s->nodes.regexes; i++) /* a match may begin here */
		met_walk(s, s->nodes.start[i], byte);
	for (i = 0; i < w->count[state]; i++)
		met_walk(s, from[i], byte);
	met_place(s, byte == '\n', node_is_word(byte));
	ends = met_ends(s);
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
	memset(w->hash, 0, HASH_SIZE * sizeof(*w->hash));
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
	struct workshop *w = &s->shop;
	uint32_t ends = 0;
	size_t i;

	w->line = true;
	for (i = 0; i < s->nodes.regexes; i++) {
		w->nmet = 1;
		w->met[0] = s->nodes.start[i];
		ends |= met_ends(s);
	}
	return ends;
}

/* false: all match everywhere, or there is no room. */
static bool
shop_open(struct states *s)
{
	struct workshop *w = &s->shop;
	size_t n = s->nodes.count;

	if (!claim(&w->bytes, HASH_SIZE * sizeof(*w->hash) + n * 14))
		return false;
	w->hash = mem_alloc(HASH_SIZE * sizeof(*w->hash));
	w->mark = mem_alloc(n * sizeof(*w->mark));
	w->stack = mem_alloc((3 * n + 2) * sizeof(*w->stack));
	w->met = mem_alloc((n + 2) * sizeof(*w->met));
	w->targets = mem_alloc(n * sizeof(*w->targets));
	w->targets_room = n;
	s->nodes.always |= empty_matches(s);
	w->nmet = 0;
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
	free(w->stack);
	free(w->met);
	pthread_mutex_destroy(&(*s)->lock);
	nodes_free(&(*s)->nodes);
	free(*s);
	*s = NULL;
}
