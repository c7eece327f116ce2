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
#define LINE_START	(UINT16_MAX - 1)
#define WORD_EDGE	(UINT16_MAX - 2)
#define SETS_MAX	4000
#define OPTIONAL_NODES	40	/* more are a loop: it matches a little more */
#define HASH_SIZE	4096	/* a power of 2, over AUTOMATON_STATES */

/* From a node without a set one goes on without a byte. */
struct node {
	uint16_t	 set;		/* NONE: no byte; the others: neither,
					 * but only in such a place */
	uint16_t	 next, other;	/* NONE: there is none */
};

/*
 * Where each class of bytes leads from each state: to the row of the next
 * one.  Read while it is written: a state is complete before a move leads to
 * it.
 */
struct table {
	struct table	*older;		/* someone may still read it */
	size_t		 room;		/* states */
	size_t		 bytes;
	_Atomic uint32_t *moves;
};

/* What states are made of; the lock's. */
struct workshop {
	uint32_t	*first;		/* a state's nodes in `targets' */
	uint16_t	*count;
	uint16_t	*targets;
	uint16_t	*hash;		/* states; 0: none */
	uint32_t	*mark;		/* of each node, the round it was met */
	uint16_t	*stack, *met;
	bool		 line, word;	/* what stands before: `line' and
					 * `word' of the automaton */
	size_t		 nstates, ntargets, targets_room, nmet;
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
	uint16_t	 line, word;	/* are in states behind a line feed, or
					 * the text's start, and a letter;
					 * NONE: nobody asks */
	bool		 failed;
	uint8_t		 class_of[256];	/* of each byte as it stands */
	uint8_t		 byte_of[256];	/* one of each class */
	size_t		 classes;
	pthread_mutex_t	 lock;
	struct workshop	 shop;
	_Atomic(struct table *) table;
	atomic_uint	 age;		/* odd while states are forgotten */
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

static bool
is_word(int c)
{
	return chr_alnum(c) || c == '_';
}

/* What tells two bytes apart that are asked for a place must be a set. */
static uint16_t
place_mark(struct automaton *a, bool word)
{
	struct byte_set set = { { 0 } };
	int c;

	for (c = 0; c < 256; c++)
		if (word ? is_word(c) : c == '\n')
			byte_set_add(&set, c);
	set_number(a, &set);
	return node_new(a, NONE);
}

static uint16_t
add_place(struct automaton *a, enum tree_place place, uint16_t at)
{
	uint16_t n;

	if (place == TREE_ANYWHERE)
		return at;
	if (place == TREE_WORD_EDGE && a->word == NONE)
		a->word = place_mark(a, true);
	if (place == TREE_LINE_START && a->line == NONE)
		a->line = place_mark(a, false);
	n = node_new(a, place == TREE_WORD_EDGE ? WORD_EDGE : LINE_START);
	a->nodes[at].next = n;
	return n;
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
		return add_place(a, t->place, at);
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

/* May there be so much more? */
static bool
claim(size_t *mine, size_t bytes)
{
	if (atomic_fetch_add(&all_bytes, bytes) + bytes > AUTOMATON_BYTES) {
		atomic_fetch_sub(&all_bytes, bytes);
		return false;
	}
	*mine += bytes;
	return true;
}

static struct table *
table_of(struct automaton *a)
{
	return atomic_load_explicit(&a->table, memory_order_acquire);
}

/* Twice as many states as there were. */
static bool
table_grow(struct automaton *a)
{
	struct table *old = table_of(a), *t;
	size_t room = old != NULL ? 2 * old->room : 64, row = a->classes, i;
	size_t bytes = 0;

	if (room > AUTOMATON_STATES || !claim(&bytes, room * (row * 4 + 6)))
		return false;
	t = mem_alloc(sizeof(*t));
	t->older = old;
	t->room = room;
	t->bytes = bytes;
	t->moves = mem_alloc(room * row * sizeof(*t->moves));
	for (i = 0; old != NULL && i < old->room * row; i++)
		atomic_init(&t->moves[i], atomic_load(&old->moves[i]));
	a->shop.first =
	    mem_resize(a->shop.first, room * sizeof(*a->shop.first));
	a->shop.count =
	    mem_resize(a->shop.count, room * sizeof(*a->shop.count));
	atomic_store_explicit(&a->table, t, memory_order_release);
	return true;
}

/* Room for one state more. */
static bool
state_room(struct automaton *a)
{
	struct workshop *w = &a->shop;
	size_t room = 2 * (w->ntargets + w->nmet) + 1;

	if (w->nstates >= table_of(a)->room && !table_grow(a))
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

static int
by_number(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* In order, each once. */
static void
met_sort(struct workshop *w)
{
	size_t i, n = 0;

	qsort(w->met, w->nmet, sizeof(*w->met), by_number);
	for (i = 0; i < w->nmet; i++)
		if (n == 0 || w->met[n - 1] != w->met[i])
			w->met[n++] = w->met[i];
	w->nmet = n;
}

/* Can one pass through the node before the byte; -1: before some byte? */
static bool
passes(const struct workshop *w, const struct node *node, int byte)
{
	if (node->set == LINE_START)
		return w->line;
	if (node->set == WORD_EDGE)
		return byte < 0 || is_word(byte) != w->word;
	return node->set == NONE;
}

/* Does one of the nodes lead to the end without a byte? */
static bool
met_end(const struct automaton *a, struct workshop *w)
{
	const struct node *node;
	size_t depth = 0, i;
	uint16_t n;

	w->round++;
	for (i = 0; i < w->nmet; i++)
		w->stack[depth++] = w->met[i];
	while (depth > 0) {
		n = w->stack[--depth];
		if (n == NONE || w->mark[n] == w->round)
			continue;
		if (n == a->end)
			return true;
		w->mark[n] = w->round;
		node = &a->nodes[n];
		if (passes(w, node, -1)) {
			w->stack[depth++] = node->other;
			w->stack[depth++] = node->next;
		}
	}
	return false;
}

/* The state of the nodes in `met'; MOVE_UNKNOWN: no room. */
static uint16_t
state_of(struct automaton *a)
{
	struct workshop *w = &a->shop;
	uint32_t h = 2166136261U;
	uint16_t s;
	size_t i;

	met_sort(w);
	for (i = 0; i < w->nmet; i++)
		h = (h ^ w->met[i]) * 16777619U;
	for (h ^= h >> 15;; h++) {
		s = w->hash[h & (HASH_SIZE - 1)];
		if (s == 0)
			break;
		if (w->count[s] == w->nmet &&
		    memcmp(w->targets + w->first[s], w->met,
			w->nmet * sizeof(*w->met)) == 0)
			return s;
	}
	if (!state_room(a))
		return MOVE_UNKNOWN;
	s = (uint16_t)w->nstates++;
	w->hash[h & (HASH_SIZE - 1)] = s;
	w->first[s] = (uint32_t)w->ntargets;
	w->count[s] = (uint16_t)w->nmet;
	memcpy(w->targets + w->ntargets, w->met, w->nmet * sizeof(*w->met));
	w->ntargets += w->nmet;
	return s;
}

/* Where the byte leads from a node, into `met'. */
static void
walk(const struct automaton *a, struct workshop *w, uint16_t from, int byte)
{
	const struct node *node;
	size_t depth = 0;
	uint16_t n;

	w->stack[depth++] = from;
	while (depth > 0) {
		n = w->stack[--depth];
		if (n == NONE || w->mark[n] == w->round)
			continue;
		w->mark[n] = w->round;
		node = &a->nodes[n];
		if (passes(w, node, byte)) {
			w->stack[depth++] = node->other;
			w->stack[depth++] = node->next;
		} else if (node->set < WORD_EDGE &&
		    byte_set_has(&a->sets[node->set], byte)) {
			w->met[w->nmet++] = node->next;
		}
	}
}

/* What stands before the next byte, as part of the state. */
static void
met_place(const struct automaton *a, struct workshop *w, bool line, bool word)
{
	w->line = line && a->line != NONE;
	w->word = word && a->word != NONE;
	if (w->line)
		w->met[w->nmet++] = a->line;
	if (w->word)
		w->met[w->nmet++] = a->word;
}

/* Where the class leads from a state, as rows; MOVE_UNKNOWN: no room. */
static uint32_t
move_make(struct automaton *a, uint32_t row, uint8_t class)
{
	struct workshop *w = &a->shop;
	size_t state = row / a->classes, i;
	const uint16_t *from = w->targets + w->first[state];
	int byte = a->byte_of[class];
	uint32_t to;

	w->round++;
	w->nmet = 0;
	w->line = w->word = false;
	for (i = 0; i < w->count[state]; i++) {
		w->line = w->line || from[i] == a->line;
		w->word = w->word || from[i] == a->word;
	}
	walk(a, w, 0, byte);	/* a match may begin here */
	for (i = 0; i < w->count[state]; i++)
		walk(a, w, from[i], byte);
	met_place(a, w, byte == '\n', is_word(byte));
	to = met_end(a, w) ? MOVE_MATCH : state_of(a) * (uint32_t)a->classes;
	if (to != MOVE_UNKNOWN)
		atomic_store_explicit(&table_of(a)->moves[row + class], to,
		    memory_order_release);
	return to;
}

/* The state in which texts begin is the first there is. */
static void
states_begin(struct automaton *a)
{
	a->shop.nstates = STATE_FIRST;
	a->shop.ntargets = 0;
	a->shop.nmet = 0;
	met_place(a, &a->shop, true, false);
	state_of(a);
}

/* Who reads them meanwhile sees it by their age. */
static void
states_forget(struct automaton *a)
{
	struct table *t = table_of(a);
	size_t i;

	atomic_fetch_add(&a->age, 1);
	for (i = 0; i < t->room * a->classes; i++)
		atomic_store_explicit(&t->moves[i], 0, memory_order_release);
	memset(a->shop.hash, 0, HASH_SIZE * sizeof(*a->shop.hash));
	states_begin(a);
	atomic_fetch_add(&a->age, 1);
}

/* --- texts -------------------------------------------------------------- */

/* An automaton on its way through a text. */
struct run {
	struct automaton *automaton;
	const uint8_t	*class_of;
	const _Atomic uint32_t *moves;
	uint32_t	 row;
	unsigned int	 age;		/* of the states */
};

static uint32_t
run_look(const struct run *r, unsigned char byte)
{
	return atomic_load_explicit(&r->moves[r->row + r->class_of[byte]],
	    memory_order_acquire);
}

/* Waits while states are forgotten. */
static unsigned int
age_now(struct automaton *a)
{
	unsigned int age = atomic_load_explicit(&a->age, memory_order_acquire);

	if (age % 2 == 0)
		return age;
	pthread_mutex_lock(&a->lock);
	age = atomic_load(&a->age);
	pthread_mutex_unlock(&a->lock);
	return age;
}

static void
run_begin(struct run *r, struct automaton *a)
{
	r->automaton = a;
	r->class_of = a->class_of;
	r->age = age_now(a);
	r->moves = table_of(a)->moves;
	r->row = STATE_FIRST * (uint32_t)a->classes;
}

/* The move for this byte; MOVE_UNKNOWN: the states are others now. */
static uint32_t
run_learn(struct run *r, unsigned char byte)
{
	struct automaton *a = r->automaton;
	uint32_t to = MOVE_UNKNOWN;

	pthread_mutex_lock(&a->lock);
	if (atomic_load(&a->age) == r->age) {
		to = move_make(a, r->row, r->class_of[byte]);
		if (to == MOVE_UNKNOWN)
			states_forget(a);
	}
	r->moves = table_of(a)->moves;
	pthread_mutex_unlock(&a->lock);
	return to;
}

/* Was all that was read of one age?  Its moves were read before. */
static bool
run_valid(const struct run *r)
{
	return atomic_load_explicit(&r->automaton->age, memory_order_acquire) ==
	    r->age;
}

/* As far as the moves are known; what each byte of a text costs. */
static const unsigned char *
run_known(struct run *r, const unsigned char *p, const unsigned char *end)
{
	struct run at = *r;
	uint32_t to;

	for (; p < end; p++) {
		to = run_look(&at, *p);
		if (to <= MOVE_MATCH)
			break;
		at.row = to;
	}
	r->row = at.row;
	return p;
}

enum answer { NO_MATCH, MAY_MATCH, STATES_LOST };

static enum answer
run_on(struct run *r, const unsigned char *p, const unsigned char *end)
{
	uint32_t to;

	for (; (p = run_known(r, p, end)) < end; p++) {
		to = run_look(r, *p);
		if (to == MOVE_UNKNOWN)
			to = run_learn(r, *p);
		if (to <= MOVE_MATCH)
			return to == MOVE_MATCH && run_valid(r) ? MAY_MATCH :
								  STATES_LOST;
		r->row = to;
	}
	return run_valid(r) ? NO_MATCH : STATES_LOST;
}

bool
automaton_may(struct automaton *a, struct str text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	enum answer answer = STATES_LOST;
	struct run r;
	int tries;

	/* Once more, with new states. */
	for (tries = 0; tries < 2 && answer == STATES_LOST; tries++) {
		run_begin(&r, a);
		answer = run_on(&r, p, p + text.n);
	}
	return answer != NO_MATCH;
}

/* Is one of them no row? */
static bool
any_unknown(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return ((a - STATE_FIRST) | (b - STATE_FIRST) | (c - STATE_FIRST) |
		   (d - STATE_FIRST)) >>
	    31;
}

/* A load waits for the one before it, but not for those of other lanes. */
static const unsigned char *
lanes_known(struct run each[AUTOMATON_LANES], const unsigned char *p,
    const unsigned char *end)
{
	struct run a = each[0], b = each[1], c = each[2], d = each[3];
	uint32_t to[AUTOMATON_LANES];
	unsigned char byte;

	for (; p < end; p++) {
		byte = *p;
		to[0] = run_look(&a, byte);
		to[1] = run_look(&b, byte);
		to[2] = run_look(&c, byte);
		to[3] = run_look(&d, byte);
		if (any_unknown(to[0], to[1], to[2], to[3]))
			break;
		a.row = to[0];
		b.row = to[1];
		c.row = to[2];
		d.row = to[3];
	}
	each[0].row = a.row;
	each[1].row = b.row;
	each[2].row = c.row;
	each[3].row = d.row;
	return p;
}

/* A lane that is done. */
static struct run
run_idle(void)
{
	static const uint8_t class_of[256];
	static const _Atomic uint32_t moves[] = { 0, 0, STATE_FIRST };

	return (struct run){ .class_of = class_of,
		.moves = moves,
		.row = STATE_FIRST };
}

/* One byte. */
static enum answer
lane_step(struct run *r, unsigned char byte)
{
	uint32_t to = run_look(r, byte);

	if (to == MOVE_UNKNOWN)
		to = run_learn(r, byte);
	if (to == MOVE_MATCH)
		return run_valid(r) ? MAY_MATCH : STATES_LOST;
	r->row = to;
	return to == MOVE_UNKNOWN ? STATES_LOST : NO_MATCH;
}

unsigned int
automaton_may_each(struct automaton *const each[], size_t n, struct str text)
{
	const unsigned char *p = (const unsigned char *)text.p;
	const unsigned char *end = p + text.n;
	struct run lane[AUTOMATON_LANES];
	enum answer answer[AUTOMATON_LANES] = { NO_MATCH };
	unsigned int may = 0;
	size_t left = n, i;

	for (i = 0; i < AUTOMATON_LANES; i++) {
		lane[i] = run_idle();
		if (i < n)
			run_begin(&lane[i], each[i]);
	}
	for (; left != 0 && (p = lanes_known(lane, p, end)) < end; p++)
		for (i = 0; i < n; i++) {
			if (answer[i] != NO_MATCH)
				continue;
			answer[i] = lane_step(&lane[i], *p);
			if (answer[i] == NO_MATCH)
				continue;
			lane[i] = run_idle();
			left--;
		}
	for (i = 0; i < n; i++) {
		if (answer[i] == NO_MATCH && !run_valid(&lane[i]))
			answer[i] = STATES_LOST;
		if (answer[i] == MAY_MATCH ||
		    (answer[i] == STATES_LOST && automaton_may(each[i], text)))
			may |= 1U << i;
	}
	return may;
}

/* --- automata ----------------------------------------------------------- */

/* false: it would match everywhere, or there is no room. */
static bool
shop_open(struct automaton *a)
{
	struct workshop *w = &a->shop;
	size_t n = a->nnodes;

	if (!claim(&w->bytes, HASH_SIZE * sizeof(*w->hash) + n * 14))
		return false;
	w->hash = mem_alloc(HASH_SIZE * sizeof(*w->hash));
	w->mark = mem_alloc(n * sizeof(*w->mark));
	w->stack = mem_alloc((3 * n + 2) * sizeof(*w->stack));
	w->met = mem_alloc(n * sizeof(*w->met));
	w->targets = mem_alloc(n * sizeof(*w->targets));
	w->targets_room = n;
	w->nmet = 1;
	w->met[0] = 0;
	w->line = true;
	if (met_end(a, w) || !table_grow(a))
		return false;
	states_begin(a);
	return true;
}

struct automaton *
automaton_new(struct str pattern, struct str flags)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	const struct tree *t = tree_of(arena, pattern, flags);
	struct automaton *a = NULL;
	uint16_t last;

	if (t != NULL) {
		a = mem_alloc(sizeof(*a));
		pthread_mutex_init(&a->lock, NULL);
		a->line = a->word = NONE;
		node_new(a, NONE);
		last = add(a, t, 0);
		/* A node of its own: the last may be passed before. */
		a->end = node_new(a, NONE);
		a->nodes[last].next = a->end;
		classes_make(a);
	}
	arena_free(&arena);
	if (a != NULL && (a->failed || !shop_open(a)))
		automaton_free(&a);
	return a;
}

void
automaton_free(struct automaton **a)
{
	struct workshop *w;
	struct table *t;

	if (*a == NULL)
		return;
	w = &(*a)->shop;
	while ((t = table_of(*a)) != NULL) {
		atomic_store(&(*a)->table, t->older);
		atomic_fetch_sub(&all_bytes, t->bytes);
		free(t->moves);
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
	pthread_mutex_destroy(&(*a)->lock);
	free((*a)->nodes);
	free((*a)->sets);
	free(*a);
	*a = NULL;
}
