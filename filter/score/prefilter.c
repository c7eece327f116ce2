#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "score/chain.h"
#include "score/literal.h"
#include "score/prefilter.h"

/*
 * Literals are found by a window of each, four bytes or three, where it is
 * rarest.  A table of bits says for each place of the text whether a window
 * may stand there; the rest is comparing.
 */
#define WINDOW		4
#define RECENT		8	/* bytes of text that are at hand */
#define BITS_LOG	16
#define CHAINED		255

/* A rule that wants the literal, and which of its sets it belongs to. */
struct owner {
	struct owner	*next;
	uint32_t	 rule;
	uint8_t		 set;
};

struct lit {
	struct str	 text;		/* lower case */
	uint32_t	 key;		/* its window */
	uint32_t	 behind;	/* bytes behind the window's end */
	uint32_t	 number;
	struct owner	*owners;
};

/* A literal, and up to RECENT of its bytes, to the window's end. */
struct entry {
	uint64_t	 mask, bytes;
	const struct lit *lit;
};

struct table {
	struct map	*by_text;	/* struct lit */
	unsigned char	*bits4, *bits3;
	struct entry	*entries;	/* bucket by bucket */
	uint32_t	*first;		/* of each bucket, and their end */
	uint32_t	 mask;		/* of buckets */
	size_t		 nlits;
	bool		 has3;
};

struct prefilter {
	struct arena	*arena;
	size_t		 nrules;
	uint8_t		*sets;		/* of each rule: how many; or CHAINED */
	struct table	 tables[PREFILTER_TEXTS];
	struct chains	*chains[PREFILTER_TEXTS];
	size_t		 nlits;		/* of the largest table */
	unsigned char	 lower[256];
};

struct prefilter *
prefilter_new(size_t rules)
{
	struct prefilter *p = mem_alloc(sizeof(*p));
	int i;

	p->arena = arena_new(SIZE_MAX / 2);
	p->nrules = rules;
	p->sets = mem_alloc(rules);
	for (i = 0; i < 256; i++)
		p->lower[i] = (unsigned char)chr_lower(i);
	for (i = 0; i < PREFILTER_TEXTS; i++) {
		p->tables[i].by_text = map_new(false);
		p->chains[i] = chain_new();
	}
	return p;
}

void
prefilter_free(struct prefilter **p)
{
	int i;

	if (*p == NULL)
		return;
	for (i = 0; i < PREFILTER_TEXTS; i++) {
		map_free(&(*p)->tables[i].by_text, NULL);
		free((*p)->tables[i].bits4);
		free((*p)->tables[i].bits3);
		free((*p)->tables[i].entries);
		free((*p)->tables[i].first);
		chain_free(&(*p)->chains[i]);
	}
	arena_free(&(*p)->arena);
	free((*p)->sets);
	free(*p);
	*p = NULL;
}

/* --- literals, while rules are added ------------------------------------ */

/* How common a byte is in mail: the lower, the better a window. */
static int
commonness(unsigned char c)
{
	static const char common[] = " etaoinsrhldcumpgfywbv";
	const char *at = memchr(common, c, sizeof(common) - 1);

	return at == NULL ? 0 : (int)(sizeof(common) - (size_t)(at - common));
}

static uint32_t
window_key(const char *p, size_t n)
{
	uint32_t key = 0;
	size_t i;

	for (i = 0; i < n; i++)
		key = key << 8 | (unsigned char)p[i];
	return key;
}

/* Where the literal is rarest. */
static void
window_choose(struct lit *lit)
{
	size_t n = lit->text.n < WINDOW ? lit->text.n : WINDOW, at, i;
	size_t best = 0;
	int sum, least = -1;

	for (at = 0; at + n <= lit->text.n; at++) {
		for (sum = 0, i = 0; i < n; i++)
			sum += commonness((unsigned char)lit->text.p[at + i]);
		if (least < 0 || sum < least) {
			least = sum;
			best = at;
		}
	}
	lit->key = window_key(lit->text.p + best, n);
	lit->behind = (uint32_t)(lit->text.n - best - n);
}

static void
literal_add(struct prefilter *p, struct table *t, struct str text,
    uint32_t rule, uint8_t set)
{
	struct lit *lit = map_get(t->by_text, text);
	struct owner *owner = arena_alloc(p->arena, sizeof(*owner));

	if (lit == NULL) {
		lit = arena_alloc(p->arena, sizeof(*lit));
		assert(lit != NULL);
		lit->text = arena_str(p->arena, text);
		lit->number = (uint32_t)t->nlits++;
		window_choose(lit);
		map_put(t->by_text, lit->text, lit);
	}
	assert(owner != NULL);
	*owner = (struct owner){ lit->owners, rule, set };
	lit->owners = owner;
}

bool
prefilter_add(struct prefilter *p, enum prefilter_text text, uint32_t rule,
    struct str pattern, struct str flags)
{
	struct arena *a = arena_new(SIZE_MAX / 2);
	const struct tree *t = tree_of(a, pattern, flags);
	struct literals l;
	size_t i, j;

	if (t != NULL && literal_sets(a, t, &l)) {
		for (i = 0; i < l.count; i++)
			for (j = 0; j < l.set[i].count; j++)
				literal_add(p, &p->tables[text],
				    l.set[i].text[j], rule, (uint8_t)i);
		p->sets[rule] = (uint8_t)l.count;
	} else if (t != NULL && chain_add(p->chains[text], t, rule)) {
		p->sets[rule] = CHAINED;
	}
	arena_free(&a);
	return p->sets[rule] != 0;
}

/* --- tables, once all are there ----------------------------------------- */

static uint32_t
spread(uint32_t key)
{
	return key * 2654435761U;
}

static void
bit_set(unsigned char *bits, uint32_t key)
{
	uint32_t at = spread(key) >> (32 - BITS_LOG);

	bits[at >> 3] |= (unsigned char)(1 << (at & 7));
}

static bool
bit_get(const unsigned char *bits, uint32_t key)
{
	uint32_t at = spread(key) >> (32 - BITS_LOG);

	return bits[at >> 3] & (1 << (at & 7));
}

static uint32_t
bucket_of(const struct table *t, uint32_t key)
{
	return (spread(key) >> 8) & t->mask;
}

static struct entry
entry_of(const struct lit *lit)
{
	size_t end = lit->text.n - lit->behind, i;
	struct entry e = { .lit = lit };

	for (i = end > RECENT ? end - RECENT : 0; i < end; i++) {
		e.bytes = e.bytes << 8 | (unsigned char)lit->text.p[i];
		e.mask = e.mask << 8 | 0xff;
	}
	return e;
}

static void
table_ready(struct table *t)
{
	struct map_iter count = { 0 }, fill = { 0 };
	const struct lit *lit;
	struct str text;
	uint32_t b;
	void *value;

	for (t->mask = 1; t->mask < 2 * t->nlits; t->mask *= 2)
		continue;
	t->mask--;
	t->entries = mem_alloc((t->nlits + 1) * sizeof(*t->entries));
	t->first = mem_alloc((t->mask + 2) * sizeof(*t->first));
	t->bits4 = mem_alloc(1 << (BITS_LOG - 3));
	t->bits3 = mem_alloc(1 << (BITS_LOG - 3));
	while (map_next(t->by_text, &count, &text, &value)) {
		lit = value;
		t->first[bucket_of(t, lit->key)]++;
	}
	/* Each bucket's end, which goes down to its begin. */
	for (b = 0; b <= t->mask; b++)
		t->first[b + 1] += t->first[b];
	while (map_next(t->by_text, &fill, &text, &value)) {
		lit = value;
		t->has3 = t->has3 || lit->text.n < WINDOW;
		bit_set(lit->text.n < WINDOW ? t->bits3 : t->bits4, lit->key);
		t->entries[--t->first[bucket_of(t, lit->key)]] = entry_of(lit);
	}
}

void
prefilter_ready(struct prefilter *p)
{
	int i;

	for (i = 0; i < PREFILTER_TEXTS; i++) {
		table_ready(&p->tables[i]);
		chain_ready(p->chains[i]);
		if (p->tables[i].nlits > p->nlits)
			p->nlits = p->tables[i].nlits;
	}
}

/* --- passes ------------------------------------------------------------- */

bool
prefilter_begin(const struct prefilter *p, struct arena *a,
    struct prefilter_scratch *s)
{
	*s = (struct prefilter_scratch){ 0 };
	s->found = arena_alloc(a, (p->nrules + 1) * sizeof(*s->found));
	s->rule_pass = arena_alloc(a, (p->nrules + 1) * sizeof(*s->rule_pass));
	s->rule_sets = arena_alloc(a, p->nrules + 1);
	s->literal_pass =
	    arena_alloc(a, (p->nlits + 1) * sizeof(*s->literal_pass));
	return s->found != NULL && s->rule_pass != NULL &&
	    s->rule_sets != NULL && s->literal_pass != NULL;
}

bool
prefilter_covers(const struct prefilter *p, uint32_t rule)
{
	return p->sets[rule] != 0;
}

/* The literal stands in the text: who of its owners has all sets now? */
static void
literal_found(const struct prefilter *p, struct prefilter_scratch *s,
    const struct lit *lit)
{
	const struct owner *o;
	uint8_t had;

	if (s->literal_pass[lit->number] == s->pass)
		return;
	s->literal_pass[lit->number] = s->pass;
	for (o = lit->owners; o != NULL; o = o->next) {
		had = s->rule_pass[o->rule] == s->pass ? s->rule_sets[o->rule] :
							 0;
		s->rule_pass[o->rule] = s->pass;
		s->rule_sets[o->rule] = had | (uint8_t)(1 << o->set);
		if (s->rule_sets[o->rule] != had &&
		    s->rule_sets[o->rule] == (1 << p->sets[o->rule]) - 1)
			s->found[s->nfound++] = o->rule;
	}
}

static bool
same(const unsigned char *lower, const unsigned char *text, struct str lit)
{
	size_t i;

	for (i = 0; i < lit.n; i++)
		if (lower[text[i]] != (unsigned char)lit.p[i])
			return false;
	return true;
}

/* Its window, and what is at hand before, ends before text[end]. */
static bool
stands(const struct prefilter *p, const struct lit *lit, struct str text,
    size_t end)
{
	size_t n = lit->text.n, start;

	if (n <= RECENT && lit->behind == 0)
		return true;
	if (lit->behind > text.n - end || n > end + lit->behind)
		return false;
	start = end + lit->behind - n;
	return same(p->lower, (const unsigned char *)text.p + start, lit->text);
}

/* A window may end before text[end]; recent: the bytes up to there. */
static void
window_look(const struct prefilter *p, const struct table *t,
    struct prefilter_scratch *s, uint32_t key, uint64_t recent, struct str text,
    size_t end)
{
	uint32_t b = bucket_of(t, key);
	const struct entry *e = t->entries + t->first[b];
	const struct entry *last = t->entries + t->first[b + 1];

	for (; e < last; e++)
		if ((recent & e->mask) == e->bytes &&
		    stands(p, e->lit, text, end))
			literal_found(p, s, e->lit);
}

static void
literals_pass(const struct prefilter *p, const struct table *t, struct str text,
    struct prefilter_scratch *s)
{
	uint64_t recent = 0;	/* no literal has a NUL */
	uint32_t key;
	size_t i;

	for (i = 0; i < text.n; i++) {
		recent = recent << 8 | p->lower[(unsigned char)text.p[i]];
		key = (uint32_t)recent;
		if (bit_get(t->bits4, key))
			window_look(p, t, s, key, recent, text, i + 1);
		key &= 0xffffff;
		if (t->has3 && bit_get(t->bits3, key))
			window_look(p, t, s, key, recent, text, i + 1);
	}
}

/* A rule may have several chains. */
static void
chain_found(void *arg, uint32_t rule)
{
	struct prefilter_scratch *s = arg;

	if (s->rule_pass[rule] == s->pass)
		return;
	s->rule_pass[rule] = s->pass;
	s->found[s->nfound++] = rule;
}

void
prefilter_pass(const struct prefilter *p, enum prefilter_text kind,
    struct str text, struct prefilter_scratch *s)
{
	const struct table *t = &p->tables[kind];

	s->pass++;
	s->nfound = 0;
	if (t->nlits > 0)
		literals_pass(p, t, text, s);
	chain_pass(p->chains[kind], text, chain_found, s);
}
