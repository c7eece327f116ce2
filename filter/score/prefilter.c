#include <assert.h>
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "score/chain.h"
#include "score/literal.h"
#include "score/prefilter.h"

/*
 * Literals are found by a window of each, four bytes or three, where it is
 * rarest.  A table says for each place of the text whether a window may end
 * there: its slots go by the last three bytes, a slot's bits by the byte
 * before them.  The rest is comparing.
 */
#define WINDOW		4
#define RECENT		8	/* bytes of text that are at hand */
#define SLOTS_LOG	14
#define SLOTS		(1 << SLOTS_LOG)
#define STRETCH		64	/* places that are looked at in one go */
#define CHAINED		255
#define NAMED		0x80	/* beside the sets of a rule that are met */
#define ORDINARY	300	/* bytes of a text */

/* A rule that wants the literal, and which of its sets it belongs to. */
struct owner {
	struct owner	*next;
	uint32_t	 rule;
	uint8_t		 set;
};

struct lit {
	struct str	 text;		/* literal_plain() */
	uint32_t	 slot;		/* of its window */
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
	unsigned char	*ends;		/* each slot's: windows may end */
	struct entry	*entries;	/* slot by slot */
	uint32_t	*first;		/* of each slot, and their end */
	size_t		 nlits;
};

struct prefilter {
	struct arena	*arena;
	size_t		 nrules;
	uint8_t		*sets;		/* of each rule: how many; or CHAINED */
	float		*odds;		/* that all are met in a text */
	uint32_t	*name;		/* of each rule: what names it */
	struct table	 tables[PREFILTER_TEXTS];
	struct chains	*chains[PREFILTER_TEXTS];
	size_t		 nlits;		/* of the largest table */
	unsigned char	 plain[256];
};

struct prefilter *
prefilter_new(size_t rules)
{
	struct prefilter *p = mem_alloc(sizeof(*p));
	uint32_t r;
	int i;

	p->arena = arena_new(SIZE_MAX / 2);
	p->nrules = rules;
	p->sets = mem_alloc(rules);
	p->odds = mem_alloc((rules + 1) * sizeof(*p->odds));
	p->name = mem_alloc((rules + 1) * sizeof(*p->name));
	for (r = 0; r < rules; r++)
		p->name[r] = r;
	for (i = 0; i < 256; i++)
		p->plain[i] = literal_plain((unsigned char)i);
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
		free((*p)->tables[i].ends);
		free((*p)->tables[i].entries);
		free((*p)->tables[i].first);
		chain_free(&(*p)->chains[i]);
	}
	arena_free(&(*p)->arena);
	free((*p)->sets);
	free((*p)->odds);
	free((*p)->name);
	free(*p);
	*p = NULL;
}

/* --- literals, while rules are added ------------------------------------ */

/* Bytes of text, the last one highest: where a window may end. */
static uint32_t
slot_of(uint32_t bytes)
{
	return (bytes >> 8) * 2654435761U >> (32 - SLOTS_LOG);
}

static unsigned int
bit_of(uint32_t bytes)
{
	return bytes & 7;
}

static struct entry
entry_of(const struct lit *lit)
{
	size_t end = lit->text.n - lit->behind, i;
	struct entry e = { .lit = lit };

	for (i = end > RECENT ? end - RECENT : 0; i < end; i++) {
		e.bytes = e.bytes >> 8 |
		    (uint64_t)(unsigned char)lit->text.p[i] << 56;
		e.mask = e.mask >> 8 | UINT64_C(0xff) << 56;
	}
	return e;
}

/* Where the literal is rarest. */
static void
window_choose(struct lit *lit)
{
	size_t n = lit->text.n < WINDOW ? lit->text.n : WINDOW, at;
	size_t best = 0;
	double odds, least = HUGE_VAL;

	for (at = 0; at + n <= lit->text.n; at++) {
		odds = literal_odds((struct str){ lit->text.p + at, n });
		if (odds < least) {
			least = odds;
			best = at;
		}
	}
	lit->behind = (uint32_t)(lit->text.n - best - n);
	lit->slot = slot_of((uint32_t)(entry_of(lit).bytes >> 32));
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

static void
literals_add(struct prefilter *p, struct table *t, const struct literals *l,
    uint32_t rule)
{
	size_t i, j;

	p->odds[rule] = 1;
	for (i = 0; i < l->count; i++) {
		for (j = 0; j < l->set[i].count; j++)
			literal_add(p, t, l->set[i].text[j], rule, (uint8_t)i);
		if (l->set[i].odds * ORDINARY < 1)
			p->odds[rule] *= l->set[i].odds * ORDINARY;
	}
	p->sets[rule] = (uint8_t)l->count;
}

bool
prefilter_add(struct prefilter *p, enum prefilter_text text, uint32_t rule,
    struct str pattern, struct str flags)
{
	struct arena *a = arena_new(SIZE_MAX / 2);
	const struct tree *t = tree_of(a, pattern, flags);
	struct literals l;

	if (t != NULL && literal_sets(a, t, &l))
		literals_add(p, &p->tables[text], &l, rule);
	else if (t != NULL && chain_add(p->chains[text], t, rule))
		p->sets[rule] = CHAINED;
	arena_free(&a);
	return p->sets[rule] != 0;
}

double
prefilter_odds(const struct prefilter *p, uint32_t rule)
{
	return p->odds[rule];
}

void
prefilter_name(struct prefilter *p, uint32_t rule, uint32_t name)
{
	p->name[rule] = name;
}

/* --- tables, once all are there ----------------------------------------- */

static void
table_ready(struct table *t)
{
	struct map_iter count = { 0 }, fill = { 0 };
	const struct lit *lit;
	struct entry e;
	struct str text;
	uint32_t slot;
	void *value;

	t->ends = mem_alloc(SLOTS);
	t->entries = mem_alloc((t->nlits + 1) * sizeof(*t->entries));
	t->first = mem_alloc((SLOTS + 1) * sizeof(*t->first));
	while (map_next(t->by_text, &count, &text, &value)) {
		lit = value;
		t->first[lit->slot]++;
	}
	/* Each slot's end, which goes down to its begin. */
	for (slot = 0; slot < SLOTS; slot++)
		t->first[slot + 1] += t->first[slot];
	while (map_next(t->by_text, &fill, &text, &value)) {
		lit = value;
		e = entry_of(lit);
		t->ends[lit->slot] |= lit->text.n < WINDOW ?
		    UINT8_MAX :
		    (unsigned char)(1 << bit_of((uint32_t)(e.bytes >> 32)));
		t->entries[--t->first[lit->slot]] = e;
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

static uint8_t
sets_met(const struct prefilter_scratch *s, uint32_t rule)
{
	return s->rule_pass[rule] == s->pass ? s->rule_sets[rule] : 0;
}

static void
sets_put(struct prefilter_scratch *s, uint32_t rule, uint8_t sets)
{
	s->rule_pass[rule] = s->pass;
	s->rule_sets[rule] = sets;
}

static void
rule_found(struct prefilter_scratch *s, uint32_t name)
{
	uint8_t sets = sets_met(s, name);

	if (sets & NAMED)
		return;
	sets_put(s, name, sets | NAMED);
	s->found[s->nfound++] = name;
}

/* The literal stands in the text: who of its owners has all sets now? */
static void
literal_found(const struct prefilter *p, struct prefilter_scratch *s,
    const struct lit *lit)
{
	const struct owner *o;
	uint8_t sets;

	if (s->literal_pass[lit->number] == s->pass)
		return;
	s->literal_pass[lit->number] = s->pass;
	for (o = lit->owners; o != NULL; o = o->next) {
		sets = sets_met(s, o->rule) | (uint8_t)(1 << o->set);
		sets_put(s, o->rule, sets);
		if ((sets & ~NAMED) == (1 << p->sets[o->rule]) - 1)
			rule_found(s, p->name[o->rule]);
	}
}

static bool
same(const unsigned char *plain, const unsigned char *text, struct str lit)
{
	size_t i;

	for (i = 0; i < lit.n; i++)
		if (plain[text[i]] != (unsigned char)lit.p[i])
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
	return same(p->plain, (const unsigned char *)text.p + start, lit->text);
}

/* Bytes of the text, plain, and those before them. */
struct stretch {
	unsigned char	 before[RECENT], byte[STRETCH];
};

static void
stretch_fill(struct stretch *st, const char *text, size_t n)
{
	size_t i;

	memcpy(st->before, st->byte + STRETCH - RECENT, RECENT);
	memcpy(st->byte, text, n);
	/* All of them, known before, are as quick as one. */
	for (i = 0; i < STRETCH; i++)
		st->byte[i] = literal_plain(st->byte[i]);
}

/* A bit for each place, the first one highest: a window may end there. */
static uint64_t
stretch_ends(const struct stretch *st, const unsigned char *ends, size_t n)
{
	uint64_t places = 0;
	uint32_t bytes;
	size_t i;

	for (i = 0; i < n; i++) {
		memcpy(&bytes, st->before + RECENT - WINDOW + 1 + i, WINDOW);
		bytes = le32toh(bytes);
		places =
		    places << 1 | (ends[slot_of(bytes)] >> bit_of(bytes) & 1);
	}
	return places << (STRETCH - n);
}

/* A window may end at text[at]; recent: the bytes up to there. */
static void
window_look(const struct prefilter *p, const struct table *t,
    struct prefilter_scratch *s, uint64_t recent, struct str text, size_t at)
{
	uint32_t slot = slot_of((uint32_t)(recent >> 32));
	const struct entry *e = t->entries + t->first[slot];
	const struct entry *last = t->entries + t->first[slot + 1];

	for (; e < last; e++)
		if ((recent & e->mask) == e->bytes &&
		    stands(p, e->lit, text, at + 1))
			literal_found(p, s, e->lit);
}

static void
literals_pass(const struct prefilter *p, const struct table *t, struct str text,
    struct prefilter_scratch *s)
{
	struct stretch st = { .byte = { 0 } };
	uint64_t places, recent;
	size_t at, n, i;

	for (at = 0; at < text.n; at += n) {
		n = text.n - at < STRETCH ? text.n - at : STRETCH;
		stretch_fill(&st, text.p + at, n);
		places = stretch_ends(&st, t->ends, n);
		while (places != 0) {
			i = (size_t)__builtin_clzll(places);
			places &= ~(UINT64_C(1) << (STRETCH - 1 - i));
			memcpy(&recent, st.before + 1 + i, RECENT);
			window_look(p, t, s, le64toh(recent), text, at + i);
		}
	}
}

/* A rule may have several chains. */
static void
chain_found(void *arg, uint32_t rule)
{
	rule_found(arg, rule);
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
