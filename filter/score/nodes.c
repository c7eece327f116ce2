#include "score/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "score/tree.h"

#define SETS_MAX       4000
#define OPTIONAL_NODES 40 /* more are a loop: it matches a little more */

static uint16_t
node_new(struct nodes *a, uint16_t set)
{
	if (a->count == NODES_MAX) {
		a->failed = true;
		return 0;
	}
	if (a->count == a->room) {
		a->room = a->room > 0 ? 2 * a->room : 256;
		a->node = mem_resize(a->node, a->room * sizeof(*a->node));
	}
	a->node[a->count] = (struct node){ set, NODE_NONE, NODE_NONE };
	return (uint16_t)a->count++;
}

static uint16_t
set_number(struct nodes *a, const struct byte_set *set)
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

static uint16_t add(struct nodes *, const struct tree *, uint16_t at);

/* The tree any number of times. */
static uint16_t
add_loop(struct nodes *a, const struct tree *t, uint16_t at)
{
	uint16_t fork = node_new(a, NODE_NONE), body = node_new(a, NODE_NONE);
	uint16_t end;

	a->node[at].next = fork;
	a->node[fork].other = body;
	end = add(a, t, body);
	a->node[end].next = fork;
	return fork;
}

static uint16_t
add_optional(struct nodes *a, const struct tree *t, uint16_t at)
{
	uint16_t fork = node_new(a, NODE_NONE), body = node_new(a, NODE_NONE);
	uint16_t join = node_new(a, NODE_NONE), end;

	a->node[at].next = fork;
	a->node[fork].other = body;
	end = add(a, t, body);
	a->node[fork].next = join;
	a->node[end].next = join;
	return join;
}

/* From the end of a copy that begins at `entry' once more to its begin. */
static uint16_t
add_again(struct nodes *a, uint16_t at, uint16_t entry)
{
	uint16_t fork = node_new(a, NODE_NONE);

	a->node[at].next = fork;
	a->node[fork].other = entry;
	return fork;
}

static uint16_t
add_repeat(struct nodes *a, const struct tree *t, uint16_t at)
{
	size_t before = a->count, size = 0;
	uint16_t entry = at;
	unsigned int i;

	if (t->least == 0 && t->most == 0)
		return add_loop(a, t->child, at);
	for (i = 0; i < t->least && !a->failed; i++) {
		if (i > 0 && a->count + size > NODES_MAX / 2)
			return add_again(a, at, entry);
		entry = node_new(a, NODE_NONE);
		a->node[at].next = entry;
		at = add(a, t->child, entry);
		if (i == 0)
			size = a->count - before;
	}
	if (t->most == t->least)
		return at;
	for (; i < t->most && !a->failed; i++) {
		if (i > 0 && size * (t->most - i) > OPTIONAL_NODES)
			break;
		before = a->count;
		entry = node_new(a, NODE_NONE);
		a->node[at].next = entry;
		at = add_optional(a, t->child, entry);
		size = a->count - before;
	}
	return i == t->most ? at : add_again(a, at, entry);
}

static uint16_t
add_choice(struct nodes *a, const struct tree *t, uint16_t at)
{
	uint16_t join = node_new(a, NODE_NONE), fork, last = NODE_NONE, end;

	for (t = t->child; t != NULL && !a->failed; t = t->next) {
		fork = node_new(a, NODE_NONE);
		if (last == NODE_NONE)
			a->node[at].next = fork;
		else
			a->node[last].other = fork;
		last = fork;
		end = add(a, t, fork);
		a->node[end].next = join;
	}
	return join;
}

/* What tells two bytes apart that are asked for a place must be a set. */
static void
place_mark(struct nodes *a, bool word)
{
	struct byte_set set = { { 0 } };
	int c;

	for (c = 0; c < 256; c++)
		if (word ? node_is_word(c) : c == '\n')
			byte_set_add(&set, c);
	set_number(a, &set);
}

static uint16_t
add_place(struct nodes *a, enum tree_place place, uint16_t at)
{
	uint16_t n;

	if (place == TREE_ANYWHERE)
		return at;
	place_mark(a, place == TREE_WORD_EDGE);
	a->has_word = a->has_word || place == TREE_WORD_EDGE;
	a->has_line = a->has_line || place == TREE_LINE_START;
	n = node_new(a,
	    place == TREE_WORD_EDGE ? NODE_WORD_EDGE : NODE_LINE_START);
	a->node[at].next = n;
	return n;
}

/* Behind node `at', whose next is open; the node whose next is open then. */
static uint16_t
add(struct nodes *a, const struct tree *t, uint16_t at)
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
		a->node[at].next = n;
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

void
nodes_begin(struct nodes *a, size_t regexes)
{
	size_t i;

	*a = (struct nodes){ .regexes = regexes };
	for (i = 0; i < regexes; i++)
		node_new(a, NODE_NONE);
	a->line = node_new(a, NODE_NONE);
	a->word = node_new(a, NODE_NONE);
}

/* One that is not understood, or too large, leaves no nodes. */
void
nodes_add(struct nodes *a, size_t regex, struct str pattern, struct str flags)
{
	struct arena *arena = arena_new(SIZE_MAX / 2);
	const struct tree *t = tree_of(arena, pattern, flags);
	size_t before = a->count;
	uint16_t last = 0;

	a->failed = t == NULL;
	a->start[regex] = node_new(a, NODE_NONE);
	if (t != NULL)
		last = add(a, t, a->start[regex]);
	if (a->failed) {
		a->always |= 1U << regex;
		a->start[regex] = NODE_NONE;
		a->count = before;
	} else {
		a->node[last].next = (uint16_t)regex;
	}
	arena_free(&arena);
}

/* Bytes that all sets treat alike are one class. */
void
nodes_ready(struct nodes *a)
{
	uint16_t class[256] = { 0 }, split[512];
	size_t i;
	int c, k;

	a->classes = 1;
	for (i = 0; i < a->nsets; i++) {
		memset(split, 0xff, sizeof(split));
		for (a->classes = 0, c = 0; c < 256; c++) {
			k = class[c] * 2 + byte_set_has(&a->sets[i], c);
			if (split[k] == NODE_NONE)
				split[k] = (uint16_t)a->classes++;
			class[c] = split[k];
		}
	}
	for (c = 255; c >= 0; c--)
		a->byte_of[class[c]] = (uint8_t)c;
	for (c = 0; c < 256; c++)
		a->class_of[c] = (uint8_t) class[chr_lower(c)];
}

void
nodes_free(struct nodes *a)
{
	free(a->node);
	free(a->sets);
	*a = (struct nodes){ 0 };
}
