#include "score/sieve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/chr.h"
#include "base/mem.h"
#include "score/automaton.h"

#define TOGETHER	6	/* rules of a group */
#define FEW_TOGETHER	4	/* of those that count */
#define COUNTED		3	/* times; less is no counting */
#define PATIENCE	4	/* so often states may be forgotten early */
#define WORTH		(4UL << 20)	/* bytes read: once more */
#define ASKS		64	/* of automata, at a time */

struct sieve_group {
	const struct score_rule *rule[AUTOMATON_REGEXES];
	size_t		 count;
	struct sieve_group *half[2];	/* NULL: a single rule */
	struct automaton *automaton;	/* NULL: it would say nothing */
	atomic_bool	 ready;		/* it was made, if it can be */
	atomic_bool	 halved;	/* there were too many states */
	atomic_size_t	 bytes;		/* that it read */
};

/* --- groups ------------------------------------------------------------- */

struct sieve_group *
sieve_single(const struct score_rule *r)
{
	struct sieve_group *g = mem_alloc(sizeof(*g));

	g->rule[0] = r;
	g->count = 1;
	return g;
}

static void
group_free(struct sieve_group *g)
{
	automaton_free(&g->automaton);
	free(g);
}

void
sieve_single_free(struct sieve_group **g)
{
	if (*g != NULL)
		group_free(*g);
	*g = NULL;
}

size_t
sieve_count(const struct sieve_group *g)
{
	return g->count;
}

const struct score_rule *
sieve_rule(const struct sieve_group *g, size_t number)
{
	return g->rule[number];
}

/* Singles as one group, and as its halves. */
static struct sieve_group *
group_of(struct sieve_group *const *single, size_t n)
{
	struct sieve_group *g;
	size_t i;

	if (n == 1)
		return single[0];
	g = mem_alloc(sizeof(*g));
	g->half[0] = group_of(single, n / 2);
	g->half[1] = group_of(single + n / 2, n - n / 2);
	g->count = n;
	for (i = 0; i < n; i++)
		g->rule[i] = single[i]->rule[0];
	return g;
}

static void
group_part(struct sieve_group *g)
{
	if (g->count == 1)
		return;
	group_part(g->half[0]);
	group_part(g->half[1]);
	group_free(g);
}

struct sieve *
sieve_new(void)
{
	return mem_alloc(sizeof(struct sieve));
}

void
sieve_free(struct sieve **s)
{
	size_t i;

	if (*s == NULL)
		return;
	for (i = 0; i < (*s)->count; i++)
		group_part((*s)->group[i]);
	free((*s)->group);
	free((*s)->single);
	free(*s);
	*s = NULL;
}

void
sieve_add(struct sieve *s, struct sieve_group *single)
{
	s->single =
	    mem_resize(s->single, (s->singles + 1) * sizeof(*s->single));
	s->single[s->singles++] = single;
}

/* Groups repeated several times, as of words in a row: what they have counted
 * so far multiplies with what other rules are in the midst of. */
static bool
is_counting(const struct score_rule *r)
{
	struct str rest = r->pattern;
	ptrdiff_t at;
	int64_t n;

	while ((at = str_find(rest, STR("){"))) >= 0) {
		rest = str_sub(rest, (size_t)at + 2, SIZE_MAX);
		for (n = 0; rest.n > 0 && chr_digit(rest.p[0]) && n < COUNTED;
		     rest = str_sub(rest, 1, SIZE_MAX))
			n = 10 * n + (rest.p[0] - '0');
		if (n >= COUNTED)
			return true;
	}
	return false;
}

/* Some of the singles, in groups of about the same size. */
static void
groups_make(struct sieve *s, struct sieve_group **single, size_t n, size_t most)
{
	size_t groups = (n + most - 1) / most, size;

	for (; groups > 0; groups--) {
		size = n / groups;
		s->group[s->count++] = group_of(single, size);
		single += size;
		n -= size;
	}
}

void
sieve_ready(struct sieve *s)
{
	struct sieve_group **some = mem_alloc(s->singles * sizeof(*some) + 1);
	size_t i, n;
	int counting;

	s->group = mem_alloc(s->singles * sizeof(*s->group) + 1);
	for (counting = 0; counting <= 1; counting++) {
		for (i = n = 0; i < s->singles; i++)
			if (is_counting(s->single[i]->rule[0]) == counting)
				some[n++] = s->single[i];
		groups_make(s, some, n, counting ? FEW_TOGETHER : TOGETHER);
	}
	free(some);
}

/* --- automata ----------------------------------------------------------- */

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void
group_make(struct sieve_group *g)
{
	struct automaton_regex regex[AUTOMATON_REGEXES];
	size_t i;

	for (i = 0; i < g->count; i++)
		regex[i] = (struct automaton_regex){ g->rule[i]->pattern,
			g->rule[i]->re_flags };
	pthread_mutex_lock(&making);
	if (!atomic_load_explicit(&g->ready, memory_order_relaxed)) {
		g->automaton = automaton_new(regex, g->count);
		atomic_store_explicit(&g->ready, true, memory_order_release);
	}
	pthread_mutex_unlock(&making);
}

static struct automaton *
group_automaton(struct sieve_group *g)
{
	if (!atomic_load_explicit(&g->ready, memory_order_acquire))
		group_make(g);
	return g->automaton;
}

static bool
is_halved(const struct sieve_group *g)
{
	return g->count > 1 &&
	    atomic_load_explicit(&g->halved, memory_order_relaxed);
}

/* It read so much more: is it worth its states? */
static void
group_account(struct sieve_group *g, size_t bytes)
{
	bytes +=
	    atomic_fetch_add_explicit(&g->bytes, bytes, memory_order_relaxed);
	if (automaton_forgotten(g->automaton) > PATIENCE + bytes / WORTH)
		atomic_store_explicit(&g->halved, true, memory_order_relaxed);
}

bool
sieve_may(struct sieve_group *single, struct str text)
{
	struct automaton *a = group_automaton(single);

	return a == NULL || automaton_may(a, text);
}

/* --- texts -------------------------------------------------------------- */

/* Automata that wait to be asked together. */
struct batch {
	struct automaton_ask ask[ASKS];
	struct part {
		struct sieve_ask *whole;
		struct sieve_group *group;
		unsigned int	 number;	/* of its first rule in the
						 * whole */
	} part[ASKS];
	size_t		 n;
};

static void	batch_ask(struct batch *);

static void
batch_add(struct batch *b, struct sieve_ask *whole, struct sieve_group *g,
    unsigned int number)
{
	struct automaton *a;

	if (is_halved(g)) {
		batch_add(b, whole, g->half[0], number);
		batch_add(b, whole, g->half[1],
		    number + (unsigned int)g->half[0]->count);
		return;
	}
	a = group_automaton(g);
	if (a == NULL) {
		whole->could |= ((1U << g->count) - 1) << number;
		return;
	}
	b->ask[b->n] =
	    (struct automaton_ask){ .automaton = a, .text = *whole->text };
	b->part[b->n++] = (struct part){ whole, g, number };
	if (b->n == ASKS)
		batch_ask(b);
}

/* The halves of groups that gave up on a text; each is half as large. */
static void
batch_halve(const struct part *p)
{
	struct batch b;

	b.n = 0;
	batch_add(&b, p->whole, p->group->half[0], p->number);
	batch_add(&b, p->whole, p->group->half[1],
	    p->number + (unsigned int)p->group->half[0]->count);
	batch_ask(&b);
}

static void
batch_ask(struct batch *b)
{
	const struct part *p;
	size_t i;

	automaton_ask(b->ask, b->n);
	for (i = 0; i < b->n; i++) {
		p = &b->part[i];
		group_account(p->group, b->ask[i].text.n);
		if (b->ask[i].gave_up && p->group->count > 1)
			batch_halve(p);
		else
			p->whole->could |= b->ask[i].may << p->number;
	}
	b->n = 0;
}

void
sieve_ask(struct sieve_ask *ask, size_t n)
{
	struct batch b;
	size_t i;

	b.n = 0;
	for (i = 0; i < n; i++) {
		ask[i].could = 0;
		batch_add(&b, &ask[i], ask[i].group, 0);
	}
	batch_ask(&b);
}
