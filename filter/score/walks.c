#include "score/walks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ROOM_FIRST	64
#define ROOM_MAX	32768	/* walks; half of them are used */
#define TARGETS_MAX	(1 << 18)
#define NO_BYTE		256	/* instead of a class: the ends are asked for */

/* --- what is known of nodes --------------------------------------------- */

static uint64_t
reach_class(uint32_t class)
{
	return UINT64_C(1) << (class == NO_BYTE ? 63 : class % 63);
}

static uint64_t
reach_set(const struct nodes *nodes, const struct byte_set *set)
{
	uint64_t reach = 0;
	size_t i;

	for (i = 0; i < nodes->classes; i++)
		if (byte_set_has(set, nodes->byte_of[i]))
			reach |= reach_class((uint32_t)i);
	return reach;
}

static uint64_t
reach_next(const struct walks *w, const struct node *node)
{
	return (node->next != NODE_NONE ? w->reach[node->next] : 0) |
	    (node->other != NODE_NONE ? w->reach[node->other] : 0);
}

/* Nodes without a set reach what the next ones do, which mostly stand behind
 * them. */
static void
reach_fill(struct walks *w)
{
	const struct nodes *nodes = w->nodes;
	uint64_t *sets = mem_alloc((nodes->nsets + 1) * sizeof(*sets)), reach;
	bool more = true;
	size_t i;

	for (i = 0; i < nodes->nsets; i++)
		sets[i] = reach_set(nodes, &nodes->sets[i]);
	for (i = 0; i < nodes->count; i++)
		if (nodes->node[i].set < NODE_WORD_EDGE)
			w->reach[i] = sets[nodes->node[i].set];
	for (i = 0; i < nodes->regexes; i++)
		w->reach[i] = reach_class(NO_BYTE);
	while (more)
		for (more = false, i = nodes->count; i-- > nodes->regexes;) {
			if (nodes->node[i].set < NODE_WORD_EDGE)
				continue;
			reach = reach_next(w, &nodes->node[i]);
			more = more || reach != w->reach[i];
			w->reach[i] = reach;
		}
	free(sets);
}

void
walks_open(struct walks *w, const struct nodes *nodes)
{
	*w = (struct walks){ .nodes = nodes };
	w->reach = mem_alloc(nodes->count * sizeof(*w->reach));
	reach_fill(w);
	w->mark = mem_alloc(nodes->count * sizeof(*w->mark));
	w->stack = mem_alloc((2 * nodes->count + 2) * sizeof(*w->stack));
	walks_forget(w);
}

void
walks_close(struct walks *w)
{
	free(w->walk);
	free(w->targets);
	free(w->stack);
	free(w->mark);
	free(w->reach);
	*w = (struct walks){ .nodes = NULL };
}

/* At least one more target than there are nodes always has room. */
void
walks_forget(struct walks *w)
{
	w->room = ROOM_FIRST;
	w->count = w->ntargets = 0;
	w->targets_room = w->nodes->count + 1;
	free(w->walk);
	w->walk = mem_alloc(w->room * sizeof(*w->walk));
	w->targets =
	    mem_resize(w->targets, w->targets_room * sizeof(*w->targets));
}

size_t
walks_bytes(const struct walks *w)
{
	return w->room * sizeof(*w->walk) +
	    w->targets_room * sizeof(*w->targets) + w->nodes->count * 16;
}

/* --- what is remembered ------------------------------------------------- */

static struct walk *
slot_of(struct walk *walk, size_t room, uint32_t key)
{
	size_t at = (key * 2654435761U) >> 12;

	while (
	    walk[at & (room - 1)].key != 0 && walk[at & (room - 1)].key != key)
		at++;
	return &walk[at & (room - 1)];
}

static void
walks_grow(struct walks *w)
{
	struct walk *more = mem_alloc(2 * w->room * sizeof(*more));
	size_t i;

	for (i = 0; i < w->room; i++)
		if (w->walk[i].key != 0)
			*slot_of(more, 2 * w->room, w->walk[i].key) =
			    w->walk[i];
	free(w->walk);
	w->walk = more;
	w->room *= 2;
}

/* Room for one walk more, to any number of nodes. */
static void
walks_room(struct walks *w)
{
	size_t most = w->ntargets + w->nodes->count + 1;

	if (2 * w->count >= w->room && w->room < ROOM_MAX)
		walks_grow(w);
	if (2 * w->count >= w->room ||
	    (most > w->targets_room && most > TARGETS_MAX)) {
		walks_forget(w);
	} else if (most > w->targets_room) {
		w->targets_room = 2 * most;
		w->targets = mem_resize(w->targets,
		    w->targets_room * sizeof(*w->targets));
	}
}

/* --- walks -------------------------------------------------------------- */

/* Can one pass through the node before the byte; -1: before some byte? */
static bool
passes(const struct node *node, int byte, struct walks_place before)
{
	if (node->set == NODE_LINE_START)
		return before.line;
	if (node->set == NODE_WORD_EDGE)
		return byte < 0 || node_is_word(byte) != before.word;
	return node->set == NODE_NONE;
}

/* Over nodes without a set, each once; those at which one arrives. */
static void
walk_from(struct walks *w, struct walk *walk, uint16_t from, int byte,
    struct walks_place before)
{
	const struct nodes *nodes = w->nodes;
	const struct node *node;
	size_t depth = 0;
	uint16_t n;

	w->round++;
	w->stack[depth++] = from;
	while (depth > 0) {
		n = w->stack[--depth];
		if (n == NODE_NONE || w->mark[n] == w->round)
			continue;
		w->mark[n] = w->round;
		node = &nodes->node[n];
		if (n < nodes->regexes) {
			if (byte < 0)
				walk->count |= 1U << n;
		} else if (passes(node, byte, before)) {
			w->stack[depth++] = node->other;
			w->stack[depth++] = node->next;
		} else if (byte >= 0 && node->set < NODE_WORD_EDGE &&
		    byte_set_has(&nodes->sets[node->set], byte)) {
			w->targets[w->ntargets++] = node->next;
			walk->count++;
		}
	}
}

/* NULL: it leads nowhere. */
static const struct walk *
walk_of(struct walks *w, uint16_t node, uint32_t class,
    struct walks_place before)
{
	uint32_t key = (uint32_t)(node + 1) | class << 17 |
	    (uint32_t)before.line << 26 | (uint32_t)before.word << 27;
	struct walk *walk;

	if ((w->reach[node] & reach_class(class)) == 0)
		return NULL;
	walk = slot_of(w->walk, w->room, key);
	if (walk->key == key)
		return walk;
	walks_room(w);
	walk = slot_of(w->walk, w->room, key);
	*walk = (struct walk){ .key = key, .first = (uint32_t)w->ntargets };
	w->count++;
	walk_from(w, walk, node,
	    class == NO_BYTE ? -1 : w->nodes->byte_of[class], before);
	return walk;
}

const uint16_t *
walks_to(struct walks *w, uint16_t node, uint8_t class,
    struct walks_place before, size_t *n)
{
	const struct walk *walk = walk_of(w, node, class, before);

	*n = walk != NULL ? walk->count : 0;
	return walk != NULL ? w->targets + walk->first : NULL;
}

uint32_t
walks_ends(struct walks *w, uint16_t node, struct walks_place before)
{
	const struct walk *walk = walk_of(w, node, NO_BYTE, before);

	return walk != NULL ? walk->count : 0;
}
