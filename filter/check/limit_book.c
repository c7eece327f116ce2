#include "check/limit_book.h"

/* --- charges ----------------------------------------------------------- */

/* The reservation ends without counting; a counted one is taken back. */
void
limit_charge_drop(struct limit_book *b, struct charge *c)
{
	if (c->state == CHARGE_GONE)
		return;
	store_refund(b->store, &c->held);
	for (size_t i = 0; i < c->n; i++)
		c->parts[i].tally->windows[c->parts[i].window].held -=
		    c->parts[i].cost;
	c->state = CHARGE_GONE;
}

/* What passed while the store was down: it sends that when it is back. */
static void
count_owed(struct limit_book *b, const struct charge *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->owed[i].cost > 0)
			store_count(b->store, &c->owed[i]);
}

static void
book_end(void *arg)
{
	struct limit_book *b = arg;

	for (struct charge *c = b->charges; c != NULL; c = c->next)
		if (c->state == CHARGE_COUNTED && c->owed != NULL)
			count_owed(b, c);
		else if (c->state == CHARGE_COUNTED)
			store_keep(b->store, &c->held);
		else
			limit_charge_drop(b, c);
}

/* The books of a connection and of a message; NULL: the arena is full. */
struct limit_book *
limit_book_of(struct checks *checks, struct arena *arena)
{
	struct limit_book *b;

	if (checks == NULL || checks->services == NULL ||
	    checks->services->store == NULL)
		return NULL;
	if (checks->limits != NULL)
		return checks->limits;
	if ((b = arena_alloc(arena, sizeof(*b))) == NULL)
		return NULL;
	b->arena = arena;
	b->store = checks->services->store;
	if (!arena_cleanup(arena, book_end, b))
		return NULL;
	return checks->limits = b;
}

struct limit_book *
limit_book_at(struct session *s, enum stage stage)
{
	if (stage >= STAGE_MAIL && s->txn != NULL)
		return limit_book_of(s->txn->checks, s->txn->arena);
	return limit_book_of(s->checks, s->arena);
}

/* The book if there is one. */
struct limit_book *
limit_book_open(struct session *s, enum stage stage)
{
	struct checks *c = s->checks;

	if (stage >= STAGE_MAIL && s->txn != NULL)
		c = s->txn->checks;
	return c != NULL ? c->limits : NULL;
}

/* --- tallies ----------------------------------------------------------- */

static bool
tally_is(const struct tally *t, const struct limit *limit, struct str key)
{
	if (!str_eq(t->key, key) || !str_eq(t->name, limit->name) ||
	    t->n != limit->count)
		return false;
	for (size_t i = 0; i < t->n; i++)
		if (t->windows[i].unit != limit->windows[i].unit ||
		    t->windows[i].window_ms != limit->windows[i].window_ms)
			return false;
	return true;
}

static struct tally **
tally_bucket(struct limit_book *b, struct str key)
{
	return &b->tallies[str_hash(key) % LIMIT_BUCKETS];
}

struct tally *
limit_tally_find(struct limit_book *b, const struct limit *limit,
    struct str key)
{
	struct tally *t = *tally_bucket(b, key);

	while (t != NULL && !tally_is(t, limit, key))
		t = t->next;
	return t;
}

static struct tally *
tally_new(struct limit_book *b, const struct limit *limit, struct str key)
{
	struct tally **at = tally_bucket(b, key), *t;
	struct tally_window *w;

	t = arena_alloc(b->arena, sizeof(*t) + limit->count * sizeof(*w));
	if (t == NULL)
		return NULL;
	t->name = arena_str(b->arena, limit->name);
	t->key = arena_str(b->arena, key);
	t->n = limit->count;
	for (size_t i = 0; i < t->n; i++) {
		w = &t->windows[i];
		w->unit = limit->windows[i].unit;
		w->window_ms = limit->windows[i].window_ms;
		w->counter = arena_printf(b->arena, "%.*s/%s", STR_FMT(t->name),
		    limit_unit_word(w->unit));
	}
	if (arena_overflowed(b->arena))
		return NULL;
	t->next = *at;
	return *at = t;
}

struct tally *
limit_tally_get(struct limit_book *b, const struct limit *limit, struct str key)
{
	struct tally *t = limit_tally_find(b, limit, key);

	return t != NULL ? t : tally_new(b, limit, key);
}

/* --- answers ----------------------------------------------------------- */

/* Where this event's answer stands, perhaps not yet valid. */
struct answer *
limit_answer_of(struct limit_book *b, const struct limit *limit)
{
	struct answer *a = b->answers;

	while (a != NULL && a->limit != limit)
		a = a->next;
	if (a != NULL)
		return a;
	if ((a = arena_alloc(b->arena, sizeof(*a))) == NULL)
		return NULL;
	a->limit = limit;
	a->next = b->answers;
	return b->answers = a;
}
