#include "score/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LINKS_MAX	24	/* of a chain before the best are chosen */
#define LINKS_USED	8
#define BRANCHES_MAX	12	/* of a choice, each with a chain of its own */
#define ODDS_MAX	0.002	/* a byte of mail begins the chain */
#define ODDS_RARE	1e-5	/* more links would spare nothing */

/* A byte of `step', then any of `loop'. */
struct link {
	struct byte_set	 step, loop;
};

struct chain {
	struct byte_set	 lead;		/* what may stand before the first */
	struct link	 link[LINKS_MAX];
	size_t		 count;
};

/* A chain that is looked for, and the bits of its states. */
struct placed {
	struct placed	*next;
	struct link	 link[LINKS_USED];
	size_t		 count;
	size_t		 lane;
	unsigned int	 bit;		/* the first */
	uint32_t	 rule;
};

/* State i of a chain: its first i links have been met. */
struct block {
	size_t		 lanes;		/* even */
	uint64_t	 begin[CHAIN_LANES], end[CHAIN_LANES];
	uint64_t	*moves;		/* two rows for each byte: the states
					 * it leads to, those that remain */
	uint32_t	 rule[CHAIN_LANES * 64];	/* of a chain's end */
};

struct chains {
	struct placed	*placed;
	unsigned int	 used[CHAIN_BLOCKS * CHAIN_LANES];	/* bits */
	size_t		 lanes;
	struct block	*block[CHAIN_BLOCKS];
	size_t		 count;
	void		 (*pass)(const struct block *, struct str, uint64_t *);
};

struct chains *
chain_new(void)
{
	return mem_alloc(sizeof(struct chains));
}

static void
placed_free(struct chains *c)
{
	struct placed *p;

	while ((p = c->placed) != NULL) {
		c->placed = p->next;
		free(p);
	}
}

void
chain_free(struct chains **c)
{
	size_t i;

	if (*c == NULL)
		return;
	placed_free(*c);
	for (i = 0; i < (*c)->count; i++) {
		free((*c)->block[i]->moves);
		free((*c)->block[i]);
	}
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
			odds += c < 128 ? 0.003 : 0.00001;
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

/* The first copies and the last one, and between them any number. */
static void
link_repeat(struct chain *chain, const struct tree *t)
{
	unsigned int copies = t->least < LINKS_USED ? t->least : LINKS_USED;
	unsigned int i;

	for (i = 0; i + 1 < copies; i++)
		link_add(chain, t->child);
	if (copies < t->least || t->most != t->least || t->most == 0)
		link_loop_tree(chain, t->child);
	if (copies > 0)
		link_add(chain, t->child);
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

/* How often links are met: each, and what a run gains by what may follow. */
struct odds {
	double		 step[LINKS_MAX], gap[LINKS_MAX];
};

static struct odds
odds_of(const struct chain *chain)
{
	struct odds odds;
	double gap;
	size_t i;

	for (i = 0; i < chain->count; i++) {
		odds.step[i] = set_odds(chain->link[i].step);
		gap = set_odds(chain->link[i].loop);
		odds.gap[i] = gap < 0.95 ? 1 / (1 - gap) : 20;
	}
	return odds;
}

/* The rarest run of n of `count' links, from *best on; how often it is met. */
static double
odds_rarest(const struct odds *odds, size_t count, size_t n, size_t *best)
{
	double run, least = 1;
	size_t start, i;

	for (*best = start = 0; start + n <= count; start++) {
		run = odds->step[start];
		for (i = start + 1; i < start + n; i++)
			run *= odds->gap[i - 1] * odds->step[i];
		if (run < least) {
			least = run;
			*best = start;
		}
	}
	return least;
}

/* The shortest run of links that is rare enough, else the longest, cut to
 * it; how often it is met. */
static double
link_choose(struct chain *chain)
{
	const struct odds each = odds_of(chain);
	size_t start = 0, n = 0;
	double odds = 1;

	while (n < LINKS_USED && n < chain->count && odds > ODDS_RARE)
		odds = odds_rarest(&each, chain->count, ++n, &start);
	memmove(chain->link, chain->link + start, n * sizeof(chain->link[0]));
	chain->count = n;
	return odds;
}

/* --- from chains to bits ------------------------------------------------ */

static bool
lane_with_room(struct chains *c, size_t bits, size_t *lane)
{
	for (*lane = 0; *lane < CHAIN_BLOCKS * CHAIN_LANES; (*lane)++) {
		if (c->used[*lane] + bits > 64)
			continue;
		if (*lane >= c->lanes)
			c->lanes = *lane + 1;
		return true;
	}
	return false;
}

static bool
link_place(struct chains *c, const struct chain *chain, uint32_t rule)
{
	struct placed *p;
	size_t lane;

	if (!lane_with_room(c, chain->count, &lane))
		return false;
	p = mem_alloc(sizeof(*p));
	memcpy(p->link, chain->link, chain->count * sizeof(p->link[0]));
	p->count = chain->count;
	p->rule = rule;
	p->lane = lane;
	p->bit = c->used[lane];
	c->used[lane] += (unsigned int)p->count;
	p->next = c->placed;
	c->placed = p;
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

/* What a step does with the states of a chain. */
static void
block_set(struct block *b, size_t lane, const struct placed *p)
{
	uint64_t bit = UINT64_C(1) << p->bit, *moves = b->moves + lane;
	uint64_t last = bit << (p->count - 1);
	size_t row = 2 * b->lanes, i;
	struct byte_set left;
	int c;

	b->begin[lane] |= bit;
	b->end[lane] |= last;
	for (i = 0; i < p->count; i++, bit <<= 1) {
		for (left = p->link[i].step; byte_set_take(&left, &c);)
			moves[(size_t)c * row] |= bit;
		for (left = p->link[i].loop; byte_set_take(&left, &c);)
			moves[(size_t)c * row + b->lanes] |= bit;
	}
	/* A chain that was met remains so. */
	for (c = 0; c < 256; c++)
		moves[(size_t)c * row + b->lanes] |= last;
	b->rule[lane * 64 + p->bit + p->count - 1] = p->rule;
}

static struct block *
block_new(const struct chains *c, size_t first)
{
	size_t left = c->lanes - first, row;
	struct block *b = mem_alloc(sizeof(*b));
	const struct placed *p;
	size_t upper;

	b->lanes = left < CHAIN_LANES ? (left + 1) / 2 * 2 : CHAIN_LANES;
	row = 2 * b->lanes;
	b->moves = mem_alloc(256 * row * sizeof(*b->moves));
	for (p = c->placed; p != NULL; p = p->next)
		if (p->lane >= first && p->lane < first + b->lanes)
			block_set(b, p->lane - first, p);
	for (upper = 'A'; upper <= 'Z'; upper++)
		memcpy(b->moves + upper * row, b->moves + (upper | 0x20) * row,
		    row * sizeof(*b->moves));
	return b;
}

/* --- passes ------------------------------------------------------------- */

#define PARTS_MAX  4
#define REST_BYTES 8	/* between two looks whether anything is open */

/* A part of `text', which is as long as the others but for the last. */
static inline struct str
part_of(struct str text, size_t part, size_t parts)
{
	size_t n = text.n / parts;

	return str_sub(text, part * n, part + 1 < parts ? n : SIZE_MAX);
}

typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

#define vec	pair
#define PASS(f) pair_##f
#define TARGET
#include "score/chain_pass.h"

/* So many parts as there are registers for. */
static void
block_pass(const struct block *b, struct str text, uint64_t *met)
{
	switch (b->lanes) {
	case 2:
		pair_parts(b, text, met, 1, 4);
		break;
	case 4:
		pair_parts(b, text, met, 2, 4);
		break;
	case 6:
		pair_parts(b, text, met, 3, 2);
		break;
	default:
		pair_parts(b, text, met, 4, 2);
	}
}

#ifdef __x86_64__
/* Registers of four lanes: AVX2's, where the machine has them. */
typedef uint64_t quad __attribute__((vector_size(32), aligned(8), may_alias));

#define vec	quad
#define PASS(f) quad_##f
#define TARGET	__attribute__((target("avx2")))
#include "score/chain_pass.h"

__attribute__((target("avx2"))) static void
block_pass_wide(const struct block *b, struct str text, uint64_t *met)
{
	if (b->lanes == 4)
		quad_parts(b, text, met, 1, 4);
	else if (b->lanes == 8)
		quad_parts(b, text, met, 2, 4);
	else
		block_pass(b, text, met);
}
#endif

/* The machine's best. */
static void
pass_choose(struct chains *c)
{
	c->pass = block_pass;
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		c->pass = block_pass_wide;
#endif
}

void
chain_narrow(struct chains *c)
{
	c->pass = block_pass;
}

void
chain_ready(struct chains *c)
{
	size_t first = 0;

	while (first < c->lanes) {
		c->block[c->count] = block_new(c, first);
		first += c->block[c->count++]->lanes;
	}
	placed_free(c);
	pass_choose(c);
}

void
chain_pass(const struct chains *c, struct str text,
    void (*found)(void *, uint32_t), void *arg)
{
	uint64_t met[CHAIN_LANES];
	const struct block *b;
	unsigned int bit;
	size_t i, lane;

	if (text.n == 0)	/* and text.p may be NULL */
		return;
	for (i = 0; i < c->count; i++) {
		b = c->block[i];
		c->pass(b, text, met);
		for (lane = 0; lane < b->lanes; lane++)
			for (; met[lane] != 0; met[lane] &= met[lane] - 1) {
				bit = (unsigned int)__builtin_ctzll(met[lane]);
				found(arg, b->rule[lane * 64 + bit]);
			}
	}
}
