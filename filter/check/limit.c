#include "check/limit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

#define TALLY_BUCKETS 256

static const struct {
	const char *word;
	enum stage stage;
} units[] = {
#define X(id, text, at) [LIMIT_##id] = { text, at },
	LIMIT_UNITS(X)
#undef X
};

/* What one connection or message holds of a limit for one key. */
struct tally {
	struct tally *next; /* in its bucket */
	struct tally *next_asked;
	struct str name, key;
	unsigned int rcpts; /* how many of this event have the key */
	bool at_mail; /* was asked before any recipient */
	size_t n;
	struct tally_window {
		enum limit_unit unit;
		int64_t window_ms;
		struct str counter; /* "submission/messages" */
		uint64_t held;
	} windows[];
};

enum charge_state { CHARGE_ASKED, CHARGE_KEPT, CHARGE_COUNTED, CHARGE_GONE };

/* A reservation; its parts stand in the order of the store's call. */
struct charge {
	struct charge *next;
	struct store_held *held;
	enum charge_state state;
	size_t n;
	struct {
		struct tally *tally;
		size_t window;
		uint64_t cost;
	} parts[];
};

struct answer {
	struct answer *next;
	const struct limit *limit; /* compared, never followed */
	bool valid; /* of this event */
	enum limit_answer answer;
	struct limit_info info;
};

struct limit_book {
	struct arena *arena;
	struct store *store;
	struct charge *charges; /* newest first */
	struct answer *answers;
	struct tally *tallies[TALLY_BUCKETS];
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
limit_only_read(const struct limit *limit)
{
	for (size_t i = 0; i < limit->count; i++)
		if (limit->windows[i].unit != LIMIT_REJECTED)
			return false;
	return true;
}

/* --- charges ----------------------------------------------------------- */

/* The reservation ends without counting; a counted one is taken back. */
static void
charge_drop(struct limit_book *b, struct charge *c)
{
	if (c->state == CHARGE_GONE)
		return;
	store_refund(b->store, &c->held);
	for (size_t i = 0; i < c->n; i++)
		c->parts[i].tally->windows[c->parts[i].window].held -=
		    c->parts[i].cost;
	c->state = CHARGE_GONE;
}

static void
book_end(void *arg)
{
	struct limit_book *b = arg;

	for (struct charge *c = b->charges; c != NULL; c = c->next)
		if (c->state == CHARGE_COUNTED)
			store_keep(b->store, &c->held);
		else
			charge_drop(b, c);
}

/* The books of a connection and of a message; NULL: the arena is full. */
static struct limit_book *
book_of(struct checks *checks, struct arena *arena)
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

static struct limit_book *
book_at(struct session *s, enum stage stage)
{
	if (stage >= STAGE_MAIL && s->txn != NULL)
		return book_of(s->txn->checks, s->txn->arena);
	return book_of(s->checks, s->arena);
}

/* The book if there is one. */
static struct limit_book *
book_open(struct session *s, enum stage stage)
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
	return &b->tallies[str_hash(key) % TALLY_BUCKETS];
}

static struct tally *
tally_find(struct limit_book *b, const struct limit *limit, struct str key)
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
		    units[w->unit].word);
	}
	if (arena_overflowed(b->arena))
		return NULL;
	t->next = *at;
	return *at = t;
}

static struct tally *
tally_get(struct limit_book *b, const struct limit *limit, struct str key)
{
	struct tally *t = tally_find(b, limit, key);

	return t != NULL ? t : tally_new(b, limit, key);
}

/* --- what an event costs ----------------------------------------------- */

struct asking {
	struct session *session;
	const struct limit *limit;
	enum stage stage;
};

static uint64_t
missing(uint64_t want, uint64_t held)
{
	return want > held ? want - held : 0;
}

static uint64_t
cost_connections(const struct asking *q, const struct tally *t, size_t i)
{
	struct limit_book *of = book_open(q->session, STAGE_CONNECT);
	struct tally *its =
	    of != NULL ? tally_find(of, q->limit, t->key) : NULL;
	uint64_t held = t->windows[i].held;

	if (its != NULL && its != t)
		held += its->windows[i].held;
	return missing(1, held);
}

/* cost: what is reserved; room: what must fit besides. */
static void
cost_of(const struct asking *q, const struct tally *t, size_t i,
    struct store_window *w)
{
	const struct txn *txn = q->session->txn;
	uint64_t held = t->windows[i].held;
	bool end = q->stage == STAGE_MESSAGE;

	w->cost = w->room = 0;
	if (q->stage < units[t->windows[i].unit].stage)
		return;
	switch (t->windows[i].unit) {
	case LIMIT_CONNECTIONS:
		w->cost = cost_connections(q, t, i);
		break;
	case LIMIT_MESSAGES:
		w->cost = missing(1, held);
		break;
	case LIMIT_RECIPIENTS:
		w->room = q->stage == STAGE_MAIL;
		if (end)
			w->cost = missing(t->rcpts, held);
		else if (q->stage == STAGE_RCPT)
			w->cost = 1;
		break;
	case LIMIT_BYTES:
		w->cost =
		    missing(end ? txn_size(txn) : txn->size_declared, held);
		w->room = !end && txn->size_declared == 0;
		break;
	default:
		w->room = 1;
	}
}

/* --- whom it is about -------------------------------------------------- */

static bool
key_has_rcpt(const struct key *key)
{
	for (size_t i = 0; i < key->count; i++)
		if (key->parts[i].part == KEY_RCPT ||
		    key->parts[i].part == KEY_RCPT_DOMAIN)
			return true;
	return false;
}

/* Adds the tally of the key as it is now to the list of those asked. */
static bool
asked_add(struct limit_book *b, const struct asking *q, unsigned int rcpts,
    struct tally **list)
{
	struct str key = key_make(b->arena, q->session, &q->limit->key);
	struct tally *t;

	if (key.p == NULL)
		return !arena_overflowed(b->arena);
	if ((t = tally_get(b, q->limit, key)) == NULL)
		return false;
	if (t->rcpts == 0) {
		t->next_asked = *list;
		*list = t;
	}
	t->rcpts += rcpts;
	return true;
}

/* One tally, or at message one for each accepted recipient's key. */
static bool
asked_tallies(struct limit_book *b, const struct asking *q, struct tally **list)
{
	struct txn *txn = q->session->txn;
	struct rcpt *was;
	bool ok = true;

	*list = NULL;
	if (q->stage != STAGE_MESSAGE || !key_has_rcpt(&q->limit->key)) {
		ok = asked_add(b, q, 1, list);
		if (*list != NULL && q->stage == STAGE_MESSAGE)
			(*list)->rcpts = txn->accepted;
		return ok;
	}
	was = txn->rcpt;
	for (struct rcpt *r = txn->rcpts; r != NULL && ok; r = r->next) {
		txn->rcpt = r;
		if (rcpt_accepted(r))
			ok = asked_add(b, q, 1, list);
	}
	txn->rcpt = was;
	return ok;
}

/* --- asking ------------------------------------------------------------ */

static struct charge *
charge_new(struct limit_book *b, const struct asking *q, struct tally *list,
    struct store_window **windows)
{
	struct store_window *w;
	struct charge *c;
	size_t n = 0;

	for (struct tally *t = list; t != NULL; t = t->next_asked)
		n += t->n;
	c = arena_alloc(b->arena, sizeof(*c) + n * sizeof(c->parts[0]));
	w = arena_alloc(b->arena, n * sizeof(*w));
	if (c == NULL || w == NULL)
		return NULL;
	*windows = w;
	for (struct tally *t = list; t != NULL; t = t->next_asked) {
		for (size_t i = 0; i < t->n; i++, w++, c->n++) {
			w->limit = t->windows[i].counter;
			w->key = t->key;
			w->window_ms = t->windows[i].window_ms;
			w->max = q->limit->windows[i].max;
			cost_of(q, t, i, w);
			c->parts[c->n].tally = t;
			c->parts[c->n].window = i;
			c->parts[c->n].cost = w->cost;
		}
	}
	return c;
}

static void
charge_add(struct limit_book *b, struct charge *c, enum stage stage)
{
	for (size_t i = 0; i < c->n; i++) {
		c->parts[i].tally->windows[c->parts[i].window].held +=
		    c->parts[i].cost;
		if (stage == STAGE_MAIL)
			c->parts[i].tally->at_mail = true;
	}
	c->next = b->charges;
	b->charges = c;
}

static enum limit_answer
reserve(struct limit_book *b, const struct asking *q, struct tally *list,
    struct limit_info *info)
{
	struct store_window *windows;
	struct store_usage usage;
	struct charge *c = charge_new(b, q, list, &windows);
	enum store_result result;

	if (c == NULL)
		return LIMIT_UNKNOWN;
	result = store_reserve(b->store, windows, c->n, &c->held, &usage);
	if (result == STORE_DOWN)
		return LIMIT_UNKNOWN;
	*info = (struct limit_info){ .limit = q->limit,
		.window = &q->limit->windows[c->parts[usage.index].window],
		.key = c->parts[usage.index].tally->key,
		.used = usage.used,
		.retry_ms = usage.retry_ms };
	if (result == STORE_OVER)
		return LIMIT_OVER;
	charge_add(b, c, q->stage);
	return LIMIT_FREE;
}

static enum limit_answer
ask(struct limit_book *b, const struct asking *q, struct limit_info *info)
{
	enum limit_answer answer = LIMIT_FREE;
	struct tally *list;

	if (!asked_tallies(b, q, &list))
		answer = LIMIT_UNKNOWN;
	else if (list != NULL && q->limit->count > 0)
		answer = reserve(b, q, list, info);
	for (; list != NULL; list = list->next_asked)
		list->rcpts = 0;
	metric_inc(METRIC_LIMIT_CHECKS);
	if (answer == LIMIT_OVER)
		metric_inc(METRIC_LIMIT_OVER);
	return answer;
}

/* Where this event's answer stands, perhaps not yet valid. */
static struct answer *
answer_of(struct limit_book *b, const struct limit *limit)
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

enum limit_answer
limit_over(struct session *s, const struct limit *limit, enum stage stage,
    struct limit_info *info)
{
	struct asking q = { s, limit, stage };
	struct limit_book *b = book_at(s, stage);
	struct answer *a;

	*info = (struct limit_info){ .limit = limit };
	if (stage >= STAGE_MAIL && s->txn == NULL)
		return LIMIT_UNKNOWN;
	if (b == NULL || (a = answer_of(b, limit)) == NULL)
		return LIMIT_UNKNOWN;
	if (!a->valid) {
		a->info = *info;
		a->answer = ask(b, &q, &a->info);
		a->valid = true;
	}
	*info = a->info;
	return a->answer;
}

/* --- the end of an event ----------------------------------------------- */

static void
drop_asked(struct limit_book *b)
{
	/* Those asked in this event stand first. */
	for (struct charge *c = b->charges; c != NULL; c = c->next) {
		if (c->state == CHARGE_ASKED)
			charge_drop(b, c);
		else if (c->state != CHARGE_GONE)
			break;
		b->charges = c->next;
	}
}

void
limit_event(struct session *s, enum stage stage)
{
	struct limit_book *b = book_open(s, stage);

	if (b == NULL)
		return;
	drop_asked(b);
	for (struct answer *a = b->answers; a != NULL; a = a->next)
		a->valid = false;
}

void
limit_drop(struct session *s, enum stage stage)
{
	struct limit_book *b = book_open(s, stage);

	if (b == NULL)
		return;
	drop_asked(b);
	if (stage != STAGE_MAIL && stage != STAGE_MESSAGE)
		return;
	for (struct charge *c = b->charges; c != NULL; c = c->next)
		charge_drop(b, c);
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
			helds[n++] = &c->held;
			c->state = CHARGE_COUNTED;
		}
	ok = store_commit_all(b->store, helds, n) == STORE_OK;
	free(helds);
	return ok;
}

void
limit_keep(struct session *s, enum stage stage)
{
	struct limit_book *b = book_open(s, stage);
	struct charge *c;

	if (b == NULL)
		return;
	for (c = b->charges; c != NULL && c->state == CHARGE_ASKED; c = c->next)
		c->state = CHARGE_KEPT;
	if (stage < STAGE_MAIL)
		commit_kept(b);
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
	if ((its = tally_get(of, &same, t->key)) != NULL)
		its->windows[i].held = 1;
}

static void
remember_connections(struct session *s, const struct limit_book *b)
{
	struct limit_book *of = book_of(s->checks, s->arena);

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

bool
block_clear(struct services *services, struct str key)
{
	if (services->store == NULL ||
	    store_note_del(services->store, BLOCK_SPACE, key) != STORE_OK)
		return false;
	log_event(LOG_EV_BLOCK, "what=released key=%.*s", STR_FMT(key));
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
