#include "score/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LINKS_MAX	24	/* of a chain before the best are chosen */
#define LINKS_USED	8
#define BRANCHES_MAX	6	/* of a choice, each with a chain of its own */
#define ODDS_MAX	0.002	/* a byte of mail begins the chain */

/* A byte of `step', then any of `loop'. */
struct link {
	struct byte_set	 step, loop;
};

struct chain {
	struct byte_set	 lead;		/* what may stand before the first */
	struct link	 link[LINKS_MAX];
	size_t		 count;
};

/* The compiler makes of it what the machine has. */
typedef uint64_t lanes
    __attribute__((vector_size(CHAIN_LANES * 8), aligned(8)));

/* What a byte does to the states of a block. */
struct moves {
	lanes		 step, loop;
};

/* State i of a chain: its first i links have been met. */
struct block {
	lanes		 begin, end;
	struct moves	 at[256];
	uint32_t	 rule[CHAIN_LANES * 64];	/* of a chain's end */
	unsigned int	 used[CHAIN_LANES];		/* bits */
};

struct chains {
	struct block	*block[CHAIN_BLOCKS];
	size_t		 count;
	unsigned char	 lower[256];
};

struct chains *
chain_new(void)
{
	struct chains *c = mem_alloc(sizeof(*c));
	int i;

	for (i = 0; i < 256; i++)
		c->lower[i] = (unsigned char)chr_lower(i);
	return c;
}

void
chain_free(struct chains **c)
{
	size_t i;

	if (*c == NULL)
		return;
	for (i = 0; i < (*c)->count; i++)
		free((*c)->block[i]);
	free(*c);
	*c = NULL;
}

/* --- sets of bytes ------------------------------------------------------ */

/* All bytes that anything in the tree may match. */
static struct byte_set
set_under(const struct tree *t)
{
	struct byte_set s = { { 0 } }, more;

	if (t->kind == TREE_BYTE)
		return t->bytes;
	if (t->kind == TREE_ANY)
		memset(&s, 0xff, sizeof(s));
	for (t = t->child; t != NULL; t = t->next) {
		more = set_under(t);
		byte_set_join(&s, &more);
	}
	return s;
}

/* How often a byte of mail is one of the set. */
static double
set_odds(struct byte_set s)
{
	static const unsigned char letters[26] = { 62, 12, 28, 33, 98, 18, 17,
		38, 58, 2, 7, 36, 24, 56, 60, 18, 1, 52, 52, 72, 24, 9, 15, 3,
		16, 2 };
	double odds = 0;
	int c;

	while (byte_set_take(&s, &c)) {
		if (c >= 'a' && c <= 'z')
			odds += letters[c - 'a'] / 1000.0;
		else if (c == ' ')
			odds += 0.15;
		else
			odds += c < 128 ? 0.003 : 0.0005;
	}
	return odds < 1 ? odds : 1;
}

/* --- from trees to chains ----------------------------------------------- */

static void	link_add(struct chain *, const struct tree *);

/* These may follow what is there. */
static void
link_loop(struct chain *chain, const struct byte_set *s)
{
	byte_set_join(chain->count > 0 ? &chain->link[chain->count - 1].loop :
					 &chain->lead,
	    s);
}

static void
link_loop_tree(struct chain *chain, const struct tree *t)
{
	struct byte_set s = set_under(t);

	link_loop(chain, &s);
}

/* Step by step what any of the branches has there. */
static void
link_merge(struct chain *all, const struct chain *branch)
{
	size_t i;

	byte_set_join(&all->lead, &branch->lead);
	for (i = 0; i < branch->count && i < all->count; i++) {
		byte_set_join(&all->link[i].step, &branch->link[i].step);
		byte_set_join(&all->link[i].loop, &branch->link[i].loop);
	}
	/* What one has more than the other follows the last common step. */
	for (i = all->count; i < branch->count; i++) {
		byte_set_join(&all->link[all->count - 1].loop,
		    &branch->link[i].step);
		byte_set_join(&all->link[all->count - 1].loop,
		    &branch->link[i].loop);
	}
	for (i = branch->count; i < all->count; i++) {
		byte_set_join(&all->link[branch->count - 1].loop,
		    &all->link[i].step);
		byte_set_join(&all->link[branch->count - 1].loop,
		    &all->link[i].loop);
	}
	if (branch->count < all->count)
		all->count = branch->count;
}

static void
link_choice(struct chain *chain, const struct tree *t)
{
	struct chain all = { .count = 0 }, branch;
	const struct tree *b;
	size_t i;

	for (b = t->child; b != NULL; b = b->next) {
		branch = (struct chain){ .count = 0 };
		link_add(&branch, b);
		if (branch.count == 0) {	/* it may be empty */
			link_loop_tree(chain, t);
			return;
		}
		if (b == t->child)
			all = branch;
		else
			link_merge(&all, &branch);
	}
	link_loop(chain, &all.lead);
	for (i = 0; i < all.count; i++) {
		if (chain->count == LINKS_MAX) {
			link_loop(chain, &all.link[i].step);
			link_loop(chain, &all.link[i].loop);
		} else {
			chain->link[chain->count++] = all.link[i];
		}
	}
}

static void
link_repeat(struct chain *chain, const struct tree *t)
{
	unsigned int i;

	for (i = 0; i < t->least && i < LINKS_USED; i++)
		link_add(chain, t->child);
	if (i < t->least || t->most != t->least || t->most == 0)
		link_loop_tree(chain, t->child);
}

static void
link_add(struct chain *chain, const struct tree *t)
{
	switch (t->kind) {
	case TREE_EMPTY:
		break;
	case TREE_ANY:
		link_loop_tree(chain, t);
		break;
	case TREE_BYTE:
		if (chain->count == LINKS_MAX)
			link_loop(chain, &t->bytes);
		else
			chain->link[chain->count++] =
			    (struct link){ .step = t->bytes };
		break;
	case TREE_SEQUENCE:
		for (t = t->child; t != NULL; t = t->next)
			link_add(chain, t);
		break;
	case TREE_CHOICE:
		link_choice(chain, t);
		break;
	case TREE_REPEAT:
		link_repeat(chain, t);
		break;
	}
}

/* The rarest run of links, cut to it; how often it is met. */
static double
link_choose(struct chain *chain)
{
	size_t start, i, best = 0, n = chain->count;
	double odds, least = 1, gap;

	if (n > LINKS_USED)
		n = LINKS_USED;
	for (start = 0; n > 0 && start + n <= chain->count; start++) {
		odds = 1;
		for (i = start; i < start + n; i++) {
			odds *= set_odds(chain->link[i].step);
			gap = set_odds(chain->link[i].loop);
			if (i + 1 < start + n)
				odds *= gap < 0.95 ? 1 / (1 - gap) : 20;
		}
		if (odds < least) {
			least = odds;
			best = start;
		}
	}
	memmove(chain->link, chain->link + best, n * sizeof(chain->link[0]));
	chain->count = n;
	return least;
}

/* --- from chains to bits ------------------------------------------------ */

static struct block *
block_with_room(struct chains *c, size_t bits, unsigned int *lane)
{
	size_t i;

	for (i = 0; i <= c->count && i < CHAIN_BLOCKS; i++) {
		if (i == c->count)
			c->block[c->count++] = mem_alloc(sizeof(struct block));
		for (*lane = 0; *lane < CHAIN_LANES; (*lane)++)
			if (c->block[i]->used[*lane] + bits <= 64)
				return c->block[i];
	}
	return NULL;
}

static bool
link_place(struct chains *c, const struct chain *chain, uint32_t rule)
{
	unsigned int lane, bit;
	struct block *b = block_with_room(c, chain->count, &lane);
	struct byte_set left;
	uint64_t mask;
	size_t i;
	int byte;

	if (b == NULL)
		return false;
	bit = b->used[lane];
	b->used[lane] += (unsigned int)chain->count;
	b->begin[lane] |= UINT64_C(1) << bit;
	for (i = 0; i < chain->count; i++, bit++) {
		mask = UINT64_C(1) << bit;
		for (left = chain->link[i].step; byte_set_take(&left, &byte);)
			b->at[byte].step[lane] |= mask;
		for (left = chain->link[i].loop; byte_set_take(&left, &byte);)
			b->at[byte].loop[lane] |= mask;
	}
	b->end[lane] |= UINT64_C(1) << (bit - 1);
	b->rule[lane * 64 + bit - 1] = rule;
	return true;
}

/* Is the whole of it a choice between a few? */
static const struct tree *
few_branches(const struct tree *t)
{
	const struct tree *b;
	size_t n = 0;

	while (t->kind == TREE_SEQUENCE && t->child != NULL &&
	    t->child->next == NULL)
		t = t->child;
	if (t->kind != TREE_CHOICE)
		return NULL;
	for (b = t->child; b != NULL; b = b->next)
		n++;
	return n <= BRANCHES_MAX ? t->child : NULL;
}

bool
chain_add(struct chains *c, const struct tree *t, uint32_t rule)
{
	struct chain chain[BRANCHES_MAX] = { { .count = 0 } };
	const struct tree *b = few_branches(t);
	size_t n = 0, i;
	double odds = 0;

	if (b == NULL)
		link_add(&chain[n++], t);
	for (; b != NULL; b = b->next)
		link_add(&chain[n++], b);
	for (i = 0; i < n; i++) {
		if (chain[i].count == 0)
			return false;
		odds += link_choose(&chain[i]);
	}
	for (i = 0; odds < ODDS_MAX && i < n; i++)
		if (!link_place(c, &chain[i], rule))
			return false;
	return odds < ODDS_MAX;
}

/* --- passes ------------------------------------------------------------- */

static void
block_pass(const struct block *b, const unsigned char *lower, struct str text,
    uint64_t met[CHAIN_LANES])
{
	lanes state = { 0 }, seen = { 0 };
	const struct moves *at;
	size_t i;

	for (i = 0; i < text.n; i++) {
		at = &b->at[lower[(unsigned char)text.p[i]]];
		state =
		    (((state << 1) | b->begin) & at->step) | (state & at->loop);
		seen |= state;
	}
	seen &= b->end;
	memcpy(met, &seen, sizeof(seen));
}

void
chain_pass(const struct chains *c, struct str text,
    void (*found)(void *, uint32_t), void *arg)
{
	uint64_t met[CHAIN_LANES];
	unsigned int lane, bit;
	size_t i;

	for (i = 0; i < c->count; i++) {
		block_pass(c->block[i], c->lower, text, met);
		for (lane = 0; lane < CHAIN_LANES; lane++)
			for (; met[lane] != 0; met[lane] &= met[lane] - 1) {
				bit = (unsigned int)__builtin_ctzll(met[lane]);
				found(arg, c->block[i]->rule[lane * 64 + bit]);
			}
	}
}
