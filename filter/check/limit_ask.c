#include "base/metric.h"
#include "check/limit_book.h"

/* --- what an event costs ----------------------------------------------- */

struct asking {
	struct session *session;
	const struct limit *limit;
	enum stage stage;
	bool whom; /* each recipient matters, not only how many */
};

static struct asking
asking_of(struct session *s, const struct limit *limit, enum stage stage)
{
	struct asking q = { s, limit, stage, false };

	for (size_t i = 0; i < limit->count; i++)
		q.whom |= limit->windows[i].unit == LIMIT_MAILBOXES;
	return q;
}

static uint64_t
missing(uint64_t want, uint64_t held)
{
	return want > held ? want - held : 0;
}

static uint64_t
cost_connections(const struct asking *q, const struct tally *t, size_t i)
{
	struct limit_book *of = limit_book_open(q->session, STAGE_CONNECT);
	struct tally *its =
	    of != NULL ? limit_tally_find(of, q->limit, t->key) : NULL;
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
	if (q->stage < limit_unit_stage(t->windows[i].unit))
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

/* --- different members ------------------------------------------------- */

static struct str
country_of(const struct session *s)
{
	const struct checks *c = s->txn != NULL ? s->txn->checks : s->checks;

	return c != NULL && c->country != NULL ? c->country(s) : STR_NONE;
}

/*
 * Who is counted, in a form that can't be dodged; STR_NONE: nobody, as for
 * the null sender.  An IPv6 client is its /64: one customer has that many
 * addresses.
 */
static struct str
member_of(struct limit_book *b, const struct session *s, enum limit_unit unit)
{
	static const struct key keys[] = {
		[LIMIT_MAILBOXES] = { .parts = { { KEY_RCPT, 0, 0 } },
		    .count = 1 },
		[LIMIT_CLIENTS] = { .parts = { { KEY_CLIENT, 0, 0 } },
		    .count = 1 },
		[LIMIT_SENDERS] = { .parts = { { KEY_SENDER, 0, 0 } },
		    .count = 1 },
	};

	if (unit == LIMIT_COUNTRIES)
		return country_of(s);
	return key_make(b->arena, s, &keys[unit]);
}

/* Calls fn with each member of a window in this event. */
static bool
each_member(struct limit_book *b, const struct asking *q, struct tally *t,
    size_t i, bool (*fn)(void *, struct str member), void *arg)
{
	enum limit_unit unit = t->windows[i].unit;
	struct txn *txn = q->session->txn;
	struct rcpt *was;
	struct str member;
	bool ok = true;

	if (unit != LIMIT_MAILBOXES || q->stage != STAGE_MESSAGE) {
		member = member_of(b, q->session, unit);
		return member.n == 0 || fn(arg, member);
	}
	was = txn->rcpt;
	for (const struct whom *r = t->whom; r != NULL && ok; r = r->next) {
		txn->rcpt = r->rcpt;
		member = member_of(b, q->session, unit);
		ok = member.n == 0 || fn(arg, member);
	}
	txn->rcpt = was;
	return ok;
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

static bool
tally_maxima(struct limit_book *b, const struct limit *limit, struct tally *t)
{
	uint64_t *max = arena_alloc(b->arena, t->n * sizeof(*max));

	if (max == NULL)
		return false;
	limit_maxima(limit, t->key, max);
	for (size_t i = 0; i < t->n; i++)
		t->windows[i].max = max[i];
	return true;
}

/* What the key as it is now has used goes to the list of what is asked.
 * false: the arena is full; *at: NULL where there is no such key. */
static bool
asked_add(struct limit_book *b, const struct asking *q, struct tally **list,
    struct tally **at)
{
	struct str key = key_make(b->arena, q->session, &q->limit->key);
	struct tally *t;

	*at = NULL;
	if (key.p == NULL)
		return !arena_overflowed(b->arena);
	if ((t = limit_tally_get(b, q->limit, key)) == NULL)
		return false;
	*at = t;
	if (t->rcpts++ > 0)
		return true;
	t->whom = NULL;
	t->next_asked = *list;
	*list = t;
	return tally_maxima(b, q->limit, t);
}

static bool
whom_add(struct limit_book *b, struct tally *t, struct rcpt *rcpt)
{
	struct whom *w = arena_alloc(b->arena, sizeof(*w));

	if (w == NULL)
		return false;
	*w = (struct whom){ t->whom, rcpt };
	t->whom = w;
	return true;
}

/* Every accepted recipient with the tally of its key: one for all of them
 * where the key is not about recipients. */
static bool
asked_at_end(struct limit_book *b, const struct asking *q, struct tally **list)
{
	bool each = key_has_rcpt(&q->limit->key), ok = true;
	struct txn *txn = q->session->txn;
	struct rcpt *was = txn->rcpt;
	struct tally *t = NULL;

	if (!each && (!asked_add(b, q, list, &t) || t == NULL))
		return t == NULL && !arena_overflowed(b->arena);
	for (struct rcpt *r = txn->rcpts; r != NULL && ok; r = r->next) {
		if (!rcpt_accepted(r))
			continue;
		txn->rcpt = r;
		if (each)
			ok = asked_add(b, q, list, &t);
		if (ok && t != NULL && q->whom)
			ok = whom_add(b, t, r);
	}
	txn->rcpt = was;
	if (!each)
		t->rcpts = txn->accepted;
	return ok;
}

static bool
asked_tallies(struct limit_book *b, const struct asking *q, struct tally **list)
{
	struct tally *t;

	*list = NULL;
	if (q->stage == STAGE_MESSAGE)
		return asked_at_end(b, q, list);
	return asked_add(b, q, list, &t);
}

/* The next event begins with no recipients. */
static void
asked_end(struct tally *list)
{
	for (; list != NULL; list = list->next_asked)
		list->rcpts = 0;
}

/* --- asking ------------------------------------------------------------ */

/* A charge being made: one part for each window, or each member in it. */
struct order {
	struct limit_book *book;
	const struct asking *asking;
	struct tally *tally;
	size_t window;
	struct charge *charge;
	struct store_window *windows;
};

static struct store_window *
order_part(struct order *o)
{
	struct charge *c = o->charge;
	struct tally *t = o->tally;
	struct store_window *w = &o->windows[c->n];

	w->limit = t->windows[o->window].counter;
	w->key = t->key;
	w->window_ms = t->windows[o->window].window_ms;
	w->max = t->windows[o->window].max;
	c->parts[c->n].tally = t;
	c->parts[c->n].window = o->window;
	c->n++;
	return w;
}

/* Members are the store's to tell apart: nothing of them is held here. */
static bool
order_member(void *arg, struct str member)
{
	struct store_window *w = order_part(arg);

	w->member = member;
	w->cost = 1;
	return true;
}

static void
order_tally(struct order *o)
{
	struct store_window *w;

	for (size_t i = 0; i < o->tally->n; i++) {
		o->window = i;
		if (limit_unit_distinct(o->tally->windows[i].unit)) {
			each_member(o->book, o->asking, o->tally, i,
			    order_member, o);
			continue;
		}
		w = order_part(o);
		cost_of(o->asking, o->tally, i, w);
		o->charge->parts[o->charge->n - 1].cost = w->cost;
	}
}

static struct charge *
charge_new(struct limit_book *b, const struct asking *q, struct tally *list,
    struct store_window **windows)
{
	struct order o = { .book = b, .asking = q };
	size_t n = 0;

	for (struct tally *t = list; t != NULL; t = t->next_asked)
		n += t->n * (t->whom != NULL ? t->rcpts : 1);
	o.charge = arena_alloc(b->arena,
	    sizeof(*o.charge) + n * sizeof(o.charge->parts[0]));
	o.windows = arena_alloc(b->arena, n * sizeof(*o.windows));
	if (o.charge == NULL || o.windows == NULL)
		return NULL;
	for (o.tally = list; o.tally != NULL; o.tally = o.tally->next_asked)
		order_tally(&o);
	*windows = o.windows;
	return arena_overflowed(b->arena) ? NULL : o.charge;
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

static void
info_fill(const struct asking *q, const struct charge *c,
    const struct store_usage *usage, struct limit_info *info)
{
	const struct tally *t = c->parts[usage->index].tally;
	size_t i = c->parts[usage->index].window;

	*info = (struct limit_info){ .limit = q->limit,
		.window = &q->limit->windows[i],
		.key = t->key,
		.max = t->windows[i].max,
		.used = usage->used,
		.retry_ms = usage->retry_ms };
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
	if (c->n == 0) /* nobody to count */
		return LIMIT_FREE;
	result = store_reserve(b->store, windows, c->n, &c->held, &usage);
	if (result == STORE_DOWN) {
		c->owed = windows;
		charge_add(b, c, q->stage);
		return LIMIT_UNKNOWN;
	}
	info_fill(q, c, &usage, info);
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
	asked_end(list);
	metric_inc(METRIC_LIMIT_CHECKS);
	if (answer == LIMIT_OVER)
		metric_inc(METRIC_LIMIT_OVER);
	return answer;
}

enum limit_answer
limit_over(struct session *s, const struct limit *limit, enum stage stage,
    struct limit_info *info)
{
	struct asking q = asking_of(s, limit, stage);
	struct limit_book *b = limit_book_at(s, stage);
	struct answer *a;

	*info = (struct limit_info){ .limit = limit };
	if (stage >= STAGE_MAIL && s->txn == NULL)
		return LIMIT_UNKNOWN;
	if (b == NULL || (a = limit_answer_of(b, limit)) == NULL)
		return LIMIT_UNKNOWN;
	if (!a->valid) {
		a->info = *info;
		a->answer = ask(b, &q, &a->info);
		a->granted |= a->answer == LIMIT_FREE;
		a->valid = true;
	}
	*info = a->info;
	return a->answer;
}

bool
limit_granted(struct session *s, const struct limit *limit)
{
	struct limit_book *b = limit_book_open(s, STAGE_MAIL);

	for (const struct answer *a = b != NULL ? b->answers : NULL; a != NULL;
	     a = a->next)
		if (a->limit == limit)
			return a->granted;
	return false;
}

/* --- a look only -------------------------------------------------------- */

/* What is full at that share: an event that counts only what was refused
 * finds it as it is, others would add to it. */
static uint64_t
share_of(uint64_t max, unsigned int percent, enum limit_unit unit)
{
	uint64_t share = max / 100 * percent + (max % 100 * percent + 99) / 100;

	if (max == LIMIT_UNLIMITED)
		return max;
	return unit == LIMIT_REJECTED || share == 0 ? share : share - 1;
}

static enum limit_answer
look(struct limit_book *b, const struct asking *q, struct tally *list,
    unsigned int percent, struct limit_info *info)
{
	const struct answer *a = limit_answer_of(b, q->limit);
	struct store_window *w;
	struct charge *c = charge_new(b, q, list, &w);
	struct store_usage usage;
	enum store_result result;

	if (c == NULL || a == NULL)
		return LIMIT_UNKNOWN;
	for (size_t i = 0; i < c->n; i++) {
		enum limit_unit unit =
		    c->parts[i].tally->windows[c->parts[i].window].unit;

		w[i].max = share_of(w[i].max, percent, unit);
		if (a->valid && a->answer == LIMIT_FREE && w[i].member.n == 0 &&
		    unit != LIMIT_REJECTED)
			w[i].cost = w[i].room = 0;
		result = store_peek(b->store, &w[i], &usage);
		usage.index = i;
		if (result == STORE_DOWN)
			return LIMIT_UNKNOWN;
		if (result == STORE_OVER || usage.used > w[i].max) {
			info_fill(q, c, &usage, info);
			return LIMIT_OVER;
		}
	}
	return LIMIT_FREE;
}

enum limit_answer
limit_near(struct session *s, const struct limit *limit, enum stage stage,
    unsigned int percent, struct limit_info *info)
{
	struct asking q = asking_of(s, limit, stage);
	struct limit_book *b = limit_book_at(s, stage);
	enum limit_answer answer = LIMIT_UNKNOWN;
	struct tally *list = NULL;

	*info = (struct limit_info){ .limit = limit };
	if (b == NULL || (stage >= STAGE_MAIL && s->txn == NULL))
		return answer;
	if (asked_tallies(b, &q, &list))
		answer = look(b, &q, list, percent, info);
	asked_end(list);
	return answer;
}
