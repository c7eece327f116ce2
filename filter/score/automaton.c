#include "score/automaton.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "score/tree.h"

#define NONE		UINT16_MAX
#define SETS_MAX	4000
#define OPTIONAL_NODES	40	/* more are a loop: it matches a little more */
#define HASH_SIZE	4096	/* a power of 2, over AUTOMATON_STATES */

/* From a node without a set one goes on without a byte. */
struct node {
	uint16_t	 set;		/* NONE: no byte */
	uint16_t	 next, other;	/* NONE: there is none */
};

/* What the states of a text are made of; a thread's own for a call. */
struct cache {
	struct cache	*next;		/* that nobody uses */
	uint32_t	*moves;		/* from a state's row, by class, to the
					 * next state's row */
	uint32_t	*first;		/* a state's nodes in `targets' */
	uint16_t	*count;
	uint16_t	*targets;
	uint16_t	*hash;		/* states; 0: none */
	uint32_t	*mark;		/* of each node, the round it was met */
	uint16_t	*stack, *met;
	size_t		 nstates, room, ntargets, targets_room, nmet;
	uint32_t	 round;
	size_t		 bytes;
};

/* Rows that are no states. */
enum { MOVE_UNKNOWN, MOVE_MATCH, STATE_FIRST };

struct automaton {
	struct node	*nodes;
	size_t		 nnodes, room;
	struct byte_set	*sets;
	size_t		 nsets;
	uint16_t	 end;
	bool		 failed;
	uint8_t		 class_of[256];	/* of each byte as it stands */
	uint8_t		 byte_of[256];	/* one of each class */
	size_t		 classes;
	pthread_mutex_t	 lock;
	struct cache	*spare;
};

static atomic_size_t all_bytes;

/* --- from a tree to nodes ----------------------------------------------- */

static uint16_t
node_new(struct automaton *a, uint16_t set)
{
	if (a->nnodes == AUTOMATON_NODES) {
		a->failed = true;
		return 0;
	}
	if (a->nnodes == a->room) {
		a->room = a->room > 0 ? 2 * a->room : 256;
		a->nodes = mem_resize(a->nodes, a->room * sizeof(*a->nodes));
	}
	a->nodes[a->nnodes] = (struct node){ set, NONE, NONE };
	return (uint16_t)a->nnodes++;
}

static uint16_t
set_number(struct automaton *a, const struct byte_set *set)
{
	size_t i;

	for (i = 0; i < a->nsets; i++)
		if (memcmp(&a->sets[i], set, sizeof(*set)) == 0)
			return (uint16_t)i;
	if (a->nsets == SETS_MAX) {
		a->failed = true;
		return 0;
	}
	if ((a->nsets & (a->nsets - 1)) == 0)
		a->sets =
		    mem_resize(a->sets, (2 * a->nsets + 1) * sizeof(*a->sets));
	a->sets[a->nsets] = *set;
	return (uint16_t)a->nsets++;
}

static uint16_t	add(struct automaton *, const struct tree *, uint16_t at);

/* The tree any number of times. */
static uint16_t
add_loop(struct automaton *a, const struct tree *t, uint16_t at)
{
	uint16_t fork = node_new(a, NONE), body = node_new(a, NONE), end;

	a->nodes[at].next = fork;
	a->nodes[fork].other = body;
	end = add(a, t, body);
	a->nodes[end].next = fork;
	return fork;
}

static uint16_t
add_optional(struct automaton *a, const struct tree *t, uint16_t at)
{
	uint16_t fork = node_new(a, NONE), body = node_new(a, NONE);
	uint16_t join = node_new(a, NONE), end;

	a->nodes[at].next = fork;
	a->nodes[fork].other = body;
	end = add(a, t, body);
	a->nodes[fork].next = join;
	a->nodes[end].next = join;
	return join;
}

/* From the end of a copy that begins at `entry' once more to its begin. */
static uint16_t
add_again(struct automaton *a, uint16_t at, uint16_t entry)
{
	uint16_t fork = node_new(a, NONE);

	a->nodes[at].next = fork;
	a->nodes[fork].other = entry;
	return fork;
}

static uint16_t
add_repeat(struct automaton *a, const struct tree *t, uint16_t at)
{
	size_t before = a->nnodes, size = 0;
	uint16_t entry = at;
	unsigned int i;

	if (t->least == 0 && t->most == 0)
		return add_loop(a, t->child, at);
	for (i = 0; i < t->least && !a->failed; i++) {
		if (i > 0 && a->nnodes + size > AUTOMATON_NODES / 2)
			return add_again(a, at, entry);
		entry = node_new(a, NONE);
		a->nodes[at].next = entry;
		at = add(a, t->child, entry);
		if (i == 0)
			size = a->nnodes - before;
	}
	if (t->most == t->least)
		return at;
	for (; i < t->most && !a->failed; i++) {
		if (i > 0 && size * (t->most - i) > OPTIONAL_NODES)
			break;
		before = a->nnodes;
		entry = node_new(a, NONE);
		a->nodes[at].next = entry;
		at = add_optional(a, t->child, entry);
		size = a->nnodes - before;
	}
	return i == t->most ? at : add_again(a, at, entry);
}

static uint16_t
add_choice(struct automaton *a, const struct tree *t, uint16_t at)
{
	uint16_t join = node_new(a, NONE), fork, last = NONE, end;

	for (t = t->child; t != NULL && !a->failed; t = t->next) {
		fork = node_new(a, NONE);
		if (last == NONE)
			a->nodes[at].next = fork;
		else
			a->nodes[last].other = fork;
		last = fork;
		end = add(a, t, fork);
		a->nodes[end].next = join;
	}
	return join;
}

/* Behind node `at', whose next is open; the node whose next is open then. */
static uint16_t
add(struct automaton *a, const struct tree *t, uint16_t at)
{
	static const struct tree any = { .kind = TREE_BYTE,
		.bytes = { { [0 ... 3] = UINT64_MAX } } };
	const struct tree *child;
	uint16_t n;

	if (a->failed)
		return at;
	switch (t->kind) {
	case TREE_EMPTY:
		return at;
	case TREE_ANY:
		return add_loop(a, &any, at);
	case TREE_BYTE:
		n = node_new(a, set_number(a, &t->bytes));
		a->nodes[at].next = n;
		return n;
	case TREE_SEQUENCE:
		for (child = t->child; child != NULL; child = child->next)
			at = add(a, child, at);
		return at;
	case TREE_CHOICE:
		return add_choice(a, t, at);
	case TREE_REPEAT:
		return add_repeat(a, t, at);
	}
	return at;
}

/* Bytes that all sets treat alike are one class. */
static void
classes_make(struct automaton *a)
{
	uint16_t class[256] = { 0 }, split[512];
	size_t i;
	int c, k;

	a->classes = 1;
	for (i = 0; i < a->nsets; i++) {
		memset(split, 0xff, sizeof(split));
		for (a->classes = 0, c = 0; c < 256; c++) {
			k = class[c] * 2 + byte_set_has(&a->sets[i], c);
			if (split[k] == NONE)
				split[k] = (uint16_t)a->classes++;
			class[c] = split[k];
		}
	}
	for (c = 255; c >= 0; c--)
		a->byte_of[class[c]] = (uint8_t)c;
	for (c = 0; c < 256; c++)
		a->class_of[c] = (uint8_t) class[chr_lower(c)];
}

/* --- states ------------------------------------------------------------- */

static void
cache_free(struct cache *c)
{
	atomic_fetch_sub(&all_bytes, c->bytes);
	free(c->moves);
	free(c->first);
	free(c->count);
	free(c->targets);
	free(c->hash);
	free(c->mark);
	free(c->stack);
	free(c->met);
	free(c);
}

/* May the cache have so much more? */
static bool
cache_claim(struct cache *c, size_t bytes)
{
	if (atomic_fetch_add(&all_bytes, bytes) + bytes > AUTOMATON_BYTES) {
		atomic_fetch_sub(&all_bytes, bytes);
		return false;
	}
	c->bytes += bytes;
	return true;
}

static struct cache *
cache_new(const struct automaton *a)
{
	struct cache *c = mem_alloc(sizeof(*c));
	size_t n = a->nnodes;

	if (!cache_claim(c, HASH_SIZE * sizeof(*c->hash) + n * 12)) {
		free(c);
		return NULL;
	}
	c->hash = mem_alloc(HASH_SIZE * sizeof(*c->hash));
	c->mark = mem_alloc(n * sizeof(*c->mark));
	c->stack = mem_alloc((3 * n + 2) * sizeof(*c->stack));
	c->met = mem_alloc(n * sizeof(*c->met));
	c->nstates = STATE_FIRST;
	return c;
}

/* Room for one state more. */
static bool
cache_room(const struct automaton *a, struct cache *c)
{
	size_t old = c->room, room = old > 0 ? 2 * old : 64, row = a->classes;

	if (c->nstates >= old) {
		if (old >= AUTOMATON_STATES ||
		    !cache_claim(c, (room - old) * (row * 4 + 6)))
			return false;
		c->moves = mem_resize(c->moves, room * row * sizeof(*c->moves));
		memset(c->moves + old * row, 0,
		    (room - old) * row * sizeof(*c->moves));
		c->first = mem_resize(c->first, room * sizeof(*c->first));
		c->count = mem_resize(c->count, room * sizeof(*c->count));
		c->room = room;
	}
	/* One more than is needed: a state may lead nowhere. */
	if (c->ntargets + c->nmet >= c->targets_room) {
		room = 2 * (c->ntargets + c->nmet) + 1;
		if (!cache_claim(c, (room - c->targets_room) * 2))
			return false;
		c->targets = mem_resize(c->targets, room * sizeof(*c->targets));
		c->targets_room = room;
	}
	return true;
}

/* All but the memory. */
static void
cache_flush(const struct automaton *a, struct cache *c)
{
	if (c->moves == NULL)
		return;
	memset(c->moves, 0, c->nstates * a->classes * sizeof(*c->moves));
	memset(c->hash, 0, HASH_SIZE * sizeof(*c->hash));
	c->nstates = STATE_FIRST;
	c->ntargets = 0;
}

static int
by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* In order, each once. */
static void
met_sort(struct cache *c)
{
	size_t i, n = 0;

	qsort(c->met, c->nmet, sizeof(*c->met), by_number);
	for (i = 0; i < c->nmet; i++)
		if (n == 0 || c->met[n - 1] != c->met[i])
			c->met[n++] = c->met[i];
	c->nmet = n;
}

/* The state of the nodes in `met'; MOVE_UNKNOWN: no room. */
static uint16_t
state_of(const struct automaton *a, struct cache *c)
{
	uint32_t h = 2166136261U;
	uint16_t s;
	size_t i;

	met_sort(c);
	for (i = 0; i < c->nmet; i++)
		h = (h ^ c->met[i]) * 16777619U;
	for (h ^= h >> 15;; h++) {
		s = c->hash[h & (HASH_SIZE - 1)];
		if (s == 0)
			break;
		if (c->count[s] == c->nmet &&
		    memcmp(c->targets + c->first[s], c->met,
			c->nmet * sizeof(*c->met)) == 0)
			return s;
	}
	if (!cache_room(a, c))
		return MOVE_UNKNOWN;
	s = (uint16_t)c->nstates++;
	c->hash[h & (HASH_SIZE - 1)] = s;
	c->first[s] = (uint32_t)c->ntargets;
	c->count[s] = (uint16_t)c->nmet;
	memcpy(c->targets + c->ntargets, c->met, c->nmet * sizeof(*c->met));
	c->ntargets += c->nmet;
	return s;
}

/* Where the byte leads from a node, into `met'. */
static void
walk(const struct automaton *a, struct cache *c, uint16_t from, int byte)
{
	const struct node *node;
	size_t depth = 0;
	uint16_t n;

	c->stack[depth++] = from;
	while (depth > 0) {
		n = c->stack[--depth];
		if (n == NONE || c->mark[n] == c->round)
			continue;
		c->mark[n] = c->round;
		node = &a->nodes[n];
		if (node->set != NONE) {
			if (byte_set_has(&a->sets[node->set], byte))
				c->met[c->nmet++] = node->next;
			continue;
		}
		c->stack[depth++] = node->other;
		c->stack[depth++] = node->next;
	}
}

/* Does one of the nodes lead to the end without a byte? */
static bool
at_end(const struct automaton *a, struct cache *c)
{
	const struct node *node;
	size_t depth = 0, i;
	uint16_t n;

	c->round++;
	for (i = 0; i < c->nmet; i++)
		c->stack[depth++] = c->met[i];
	while (depth > 0) {
		n = c->stack[--depth];
		if (n == NONE || c->mark[n] == c->round)
			continue;
		if (n == a->end)
			return true;
		c->mark[n] = c->round;
		node = &a->nodes[n];
		if (node->set == NONE) {
			c->stack[depth++] = node->other;
			c->stack[depth++] = node->next;
		}
	}
	return false;
}

/* Where the class leads from a state, as rows; MOVE_UNKNOWN: no room. */
static uint32_t
move(const struct automaton *a, struct cache *c, uint32_t row, uint8_t class)
{
	size_t state = row / a->classes, i;
	int byte = a->byte_of[class];
	uint32_t to;

	c->round++;
	c->nmet = 0;
	walk(a, c, 0, byte);	/* a match may begin here */
	for (i = 0; i < c->count[state]; i++)
		walk(a, c, c->targets[c->first[state] + i], byte);
	to = at_end(a, c) ? MOVE_MATCH : state_of(a, c) * (uint32_t)a->classes;
	if (to != MOVE_UNKNOWN)
		c->moves[row + class] = to;
	return to;
}

static uint32_t
row_first(const struct automaton *a, struct cache *c)
{
	c->nmet = 0;
	return state_of(a, c) * (uint32_t)a->classes;
}

/* As far as the moves are known; what each byte of a text costs. */
static const unsigned char *
run_known(const uint32_t *moves, const unsigned char *class_of,
    const unsigned char *p, const unsigned char *end, uint32_t *row)
{
	uint32_t at = *row, to;

	for (; p < end; p++) {
		to = moves[at + class_of[*p]];
		if (to <= MOVE_MATCH)
			break;
		at = to;
	}
	*row = at;
	return p;
}

static bool
run(const struct automaton *a, struct cache *c, struct str text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	const unsigned char *end = p + text.n;
	uint32_t row = row_first(a, c), to;
	bool flushed = false;

	while (row > MOVE_MATCH) {
		p = run_known(c->moves, a->class_of, p, end, &row);
		if (p == end)
			return false;
		to = c->moves[row + a->class_of[*p]];
		if (to == MOVE_UNKNOWN)
			to = move(a, c, row, a->class_of[*p]);
		if (to == MOVE_UNKNOWN && !flushed) {
			/* Once more with new states, from the start. */
			cache_flush(a, c);
			flushed = true;
			row = row_first(a, c);
			p = (const unsigned char *)text.p;
			continue;
		}
		row = to;
		p++;
	}
	return true;
}

/* --- automata ----------------------------------------------------------- */

struct automaton *
automaton_new(struct str pattern, struct str flags)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	const struct tree *t = tree_of(arena, pattern, flags);
	struct automaton *a = NULL;
	struct cache *c;
	uint16_t last;

	if (t != NULL) {
		a = mem_alloc(sizeof(*a));
		pthread_mutex_init(&a->lock, NULL);
		node_new(a, NONE);
		last = add(a, t, 0);
		/* A node of its own: the last may be passed before. */
		a->end = node_new(a, NONE);
		a->nodes[last].next = a->end;
		classes_make(a);
	}
	arena_free(&arena);
	if (a == NULL)
		return NULL;
	c = a->failed ? NULL : cache_new(a);
	if (c != NULL) {
		c->nmet = 1;
		c->met[0] = 0;
		a->failed = at_end(a, c);	/* it matches everywhere */
		a->spare = c;
	}
	if (c == NULL || a->failed)
		automaton_free(&a);
	return a;
}

void
automaton_free(struct automaton **a)
{
	struct cache *c, *next;

	if (*a == NULL)
		return;
	for (c = (*a)->spare; c != NULL; c = next) {
		next = c->next;
		cache_free(c);
	}
	pthread_mutex_destroy(&(*a)->lock);
	free((*a)->nodes);
	free((*a)->sets);
	free(*a);
	*a = NULL;
}

bool
automaton_may(struct automaton *a, struct str text)
{
	struct cache *c;
	bool may;

	pthread_mutex_lock(&a->lock);
	c = a->spare;
	if (c != NULL)
		a->spare = c->next;
	pthread_mutex_unlock(&a->lock);
	if (c == NULL && (c = cache_new(a)) == NULL)
		return true;
	may = run(a, c, text);
	pthread_mutex_lock(&a->lock);
	c->next = a->spare;
	a->spare = c;
	pthread_mutex_unlock(&a->lock);
	return may;
}
