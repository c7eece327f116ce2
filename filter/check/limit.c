#include "check/limit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/limit_book.h"

static const struct {
	const char *word;
	enum stage stage;
} units[] = {
#define X(id, text, at) [LIMIT_##id] = { text, at },
	LIMIT_UNITS(X)
#undef X
};

const char *
limit_unit_word(enum limit_unit unit)
{
	return units[unit].word;
}

bool
limit_unit_parse(struct str word, enum limit_unit *unit)
{
	for (int i = 0; i < LIMIT_UNIT_COUNT; i++)
		if (str_eq(word, str_of(units[i].word))) {
			*unit = (enum limit_unit)i;
			return true;
		}
	return false;
}

bool
limit_unit_distinct(enum limit_unit unit)
{
	return unit >= LIMIT_MAILBOXES;
}

void
limit_maxima(const struct limit *limit, struct str key, uint64_t *max)
{
	if (limit->own != NULL && limit->own(limit, key, max))
		return;
	for (size_t i = 0; i < limit->count; i++)
		max[i] = limit->windows[i].max;
}

bool
limit_only_read(const struct limit *limit)
{
	for (size_t i = 0; i < limit->count; i++)
		if (limit->windows[i].unit != LIMIT_REJECTED)
			return false;
	return true;
}

enum stage
limit_unit_stage(enum limit_unit unit)
{
	return units[unit].stage;
}

/* --- the end of an event ----------------------------------------------- */

static void
drop_asked(struct limit_book *b)
{
	/* Those asked in this event stand first. */
	for (struct charge *c = b->charges; c != NULL; c = c->next) {
		if (c->state == CHARGE_ASKED)
			limit_charge_drop(b, c);
		else if (c->state != CHARGE_GONE)
			break;
		b->charges = c->next;
	}
}

void
limit_event(struct session *s, enum stage stage)
{
	struct limit_book *b = limit_book_open(s, stage);

	if (b == NULL)
		return;
	drop_asked(b);
	for (struct answer *a = b->answers; a != NULL; a = a->next)
		a->valid = false;
}

void
limit_drop(struct session *s, enum stage stage)
{
	struct limit_book *b = limit_book_open(s, stage);

	if (b == NULL)
		return;
	drop_asked(b);
	if (stage != STAGE_MAIL && stage != STAGE_MESSAGE)
		return;
	for (struct charge *c = b->charges; c != NULL; c = c->next)
		limit_charge_drop(b, c);
	b->charges = NULL;
}

static bool
commit_kept(struct limit_book *b)
{
	struct store_held ***helds;
	struct charge *c;
	size_t n = 0;
	bool ok;

	for (c = b->charges; c != NULL; c = c->next)
		n += c->state == CHARGE_KEPT;
	if (n == 0)
		return true;
	helds = mem_alloc(n * sizeof(*helds));
	n = 0;
	for (c = b->charges; c != NULL; c = c->next)
		if (c->state == CHARGE_KEPT) {
			if (c->owed == NULL)
				helds[n++] = &c->held;
			c->state = CHARGE_COUNTED;
		}
	ok = n == 0 || store_commit_all(b->store, helds, n) == STORE_OK;
	free(helds);
	return ok;
}

void
limit_keep(struct session *s, enum stage stage)
{
	struct limit_book *b = limit_book_open(s, stage);
	struct charge *c;

	if (b == NULL)
		return;
	for (c = b->charges; c != NULL && c->state == CHARGE_ASKED; c = c->next)
		c->state = CHARGE_KEPT;
	if (stage < STAGE_MAIL)
		commit_kept(b);
}

static uint64_t
missing(uint64_t want, uint64_t held)
{
	return want > held ? want - held : 0;
}

/* Charges become what the message really was. */
static void
correct(struct limit_book *b, struct charge *c, size_t i, uint64_t want)
{
	struct tally_window *w =
	    &c->parts[i].tally->windows[c->parts[i].window];
	uint64_t cost = c->parts[i].cost, less;

	if (w->held == want)
		return;
	less = missing(w->held, want);
	cost = want > w->held ? cost + (want - w->held) : missing(cost, less);
	if (c->owed != NULL)
		c->owed[i].cost = cost;
	else
		store_change(b->store, c->held, i, cost);
	w->held = w->held - c->parts[i].cost + cost;
	c->parts[i].cost = cost;
}

static void
correct_all(struct limit_book *b, const struct txn *txn)
{
	uint64_t size = txn_size(txn);

	for (struct charge *c = b->charges; c != NULL; c = c->next)
		for (size_t i = 0; i < c->n && c->state == CHARGE_KEPT; i++) {
			struct tally *t = c->parts[i].tally;
			struct tally_window *w =
			    &t->windows[c->parts[i].window];

			if (w->unit == LIMIT_BYTES)
				correct(b, c, i, size);
			else if (w->unit == LIMIT_RECIPIENTS && t->at_mail &&
			    w->held == 0)
				correct(b, c, i, txn->accepted);
		}
}

/* What was counted with a message belongs to the connection from now on. */
static void
remember_connection(struct limit_book *of, const struct tally *t, size_t i)
{
	struct limit_window *windows;
	struct limit same = { .name = t->name, .count = t->n };
	struct tally *its;

	windows = arena_alloc(of->arena, t->n * sizeof(*windows));
	if (windows == NULL)
		return;
	for (size_t k = 0; k < t->n; k++) {
		windows[k].unit = t->windows[k].unit;
		windows[k].window_ms = t->windows[k].window_ms;
	}
	same.windows = windows;
	if ((its = limit_tally_get(of, &same, t->key)) != NULL)
		its->windows[i].held = 1;
}

static void
remember_connections(struct session *s, const struct limit_book *b)
{
	struct limit_book *of = limit_book_of(s->checks, s->arena);

	for (struct charge *c = b->charges; c != NULL && of != NULL;
	     c = c->next)
		for (size_t i = 0; i < c->n; i++) {
			struct tally *t = c->parts[i].tally;
			size_t k = c->parts[i].window;

			if (t->windows[k].unit == LIMIT_CONNECTIONS &&
			    c->parts[i].cost > 0)
				remember_connection(of, t, k);
		}
}

bool
limit_commit(struct txn *txn)
{
	struct limit_book *b = txn->checks != NULL ? txn->checks->limits : NULL;
	bool ok;

	if (b == NULL)
		return true;
	drop_asked(b);
	correct_all(b, txn);
	ok = commit_kept(b);
	remember_connections(txn->session, b);
	return ok;
}

void
limit_count_rejected(struct session *s, const struct limit *const *limits,
    size_t n)
{
	struct arena *arena = session_arena(s);
	struct store_window w = { .max = UINT64_MAX, .cost = 1 };

	if (s->checks == NULL || s->checks->services->store == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		w.key = key_make(arena, s, &limits[i]->key);
		if (w.key.p == NULL)
			continue;
		w.limit = arena_printf(arena, "%.*s/%s",
		    STR_FMT(limits[i]->name), units[LIMIT_REJECTED].word);
		for (size_t k = 0; k < limits[i]->count; k++) {
			w.window_ms = limits[i]->windows[k].window_ms;
			if (limits[i]->windows[k].unit == LIMIT_REJECTED)
				store_count(s->checks->services->store, &w);
		}
	}
}

/* --- blocks ------------------------------------------------------------ */

#define BLOCK_SPACE STR("block")

bool
block_set(struct services *services, struct str key, int64_t for_ms,
    struct str by)
{
	if (services->store == NULL ||
	    store_note_put(services->store, BLOCK_SPACE, key, by,
		clock_wall_ms() + for_ms) != STORE_OK)
		return false;
	log_event(LOG_EV_BLOCK, "what=blocked key=%.*s seconds=%lld by=%.*s",
	    STR_FMT(key), (long long)for_ms / 1000, STR_FMT(by));
	return true;
}

enum limit_answer
block_check(struct services *services, struct str key, int64_t *until_ms)
{
	*until_ms = 0;
	if (services->store == NULL)
		return LIMIT_UNKNOWN;
	switch (
	    store_note_get(services->store, BLOCK_SPACE, key, NULL, until_ms)) {
	case STORE_OK:
		return LIMIT_OVER;
	case STORE_OVER:
		return LIMIT_FREE;
	default:
		return LIMIT_UNKNOWN;
	}
}
