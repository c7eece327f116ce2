/*
 * The "redis:" store: the server decides and keeps; nothing is kept here but
 * who has reserved what, and what could not be told to the server yet.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "service/members.h"
#include "service/redis_link.h"
#include "service/redis_wire.h"
#include "service/store_backend.h"

#define COUNT_MAX     ((uint64_t)1 << 52) /* the script's numbers are doubles */
#define SCAN_PAGE     "500"
#define COUNT_BY_SCAN 20000 /* keys that are counted one by one */

struct store_redis {
	struct redis_url url;
	struct redis_link *link;
	struct store_health *health;
};

/* Numbers before windows: of a commit; of giving back what did not count. */
#define UNFORCED 0
#define FORCED	 1
#define RESERVED (-1)

enum state { HELD, UNSURE, COUNTED, OUTLIVED };
enum wish { WAIT, KEEP, GIVE_BACK };

/* What a window asks about. */
enum kind { UNITS, MEMBER, ANYBODY };

/* The windows as the script reads them. */
struct windows {
	size_t n;
	unsigned int nkeys;
	struct buf keys, args;
};

struct store_held {
	struct windows windows;
	enum state state;
	enum wish wish; /* what the owner said while it was unsure */
	int64_t when_ms; /* it counted, by the server's clock */
	size_t ncosts;
	struct {
		size_t at; /* in windows.args */
		uint64_t cost;
	} costs[];
};

/* --- windows ----------------------------------------------------------- */

static void
windows_key(struct windows *ws, char kind, const struct store_window *w)
{
	struct buf key = BUF_INIT(SIZE_MAX);

	buf_adds(&key, REDIS_PREFIX);
	buf_addc(&key, kind);
	buf_addc(&key, ':');
	redis_wire_number(&key, (uint64_t)w->window_ms);
	buf_addc(&key, ':');
	buf_addstr(&key, w->limit);
	buf_addc(&key, '\0');
	buf_addstr(&key, w->key);
	redis_wire_word(&ws->keys, buf_str(&key));
	ws->nkeys++;
	buf_free(&key);
}

static int64_t
at_most(uint64_t n, uint64_t max)
{
	return (int64_t)(n < max ? n : max);
}

/* Where its cost stands in args. */
static size_t
windows_add(struct windows *ws, const struct store_window *w,
    const uint64_t secret[2])
{
	enum kind kind = w->member.p ? MEMBER : w->cost ? UNITS : ANYBODY;
	int64_t max = at_most(w->max, kind == MEMBER ? MEMBERS_MAX : COUNT_MAX);
	int64_t room = at_most(w->room, COUNT_MAX + 1);
	uint64_t hash;
	size_t cost;

	buf_addc(&ws->args, (char)kind);
	redis_put_number(&ws->args, w->window_ms);
	redis_put_number(&ws->args, kind == UNITS ? max - room : max);
	cost = ws->args.n;
	redis_put_number(&ws->args, at_most(w->cost, COUNT_MAX + 1));
	if (kind != UNITS)
		redis_put_number(&ws->args, room);
	if (kind == MEMBER) {
		hash = str_hash_keyed(w->member, secret);
		buf_add(&ws->args, (const char *)&hash, sizeof(hash));
	}
	if (kind != MEMBER)
		windows_key(ws, 'u', w);
	if (kind != UNITS) {
		windows_key(ws, 'd', w);
		windows_key(ws, 'e', w);
	}
	ws->n++;
	return cost;
}

static void
windows_init(struct windows *ws)
{
	*ws = (struct windows){ .keys = BUF_INIT(SIZE_MAX),
		.args = BUF_INIT(SIZE_MAX) };
}

static void
windows_free(struct windows *ws)
{
	buf_free(&ws->keys);
	buf_free(&ws->args);
}

/* An operation on windows, and the number that stands before them. */
static struct redis_op *
op_on(char letter, int64_t first, const struct windows *ws)
{
	struct redis_op *op = redis_op_new(letter, first, ws->n);

	buf_addstr(&op->args, buf_str(&ws->args));
	buf_addstr(&op->keys, buf_str(&ws->keys));
	op->nkeys += ws->nkeys;
	return op;
}

/* --- reservations ------------------------------------------------------ */

static struct store_held *
held_new(const struct store_window *w, size_t n, const uint64_t secret[2])
{
	struct store_held *h;

	h = mem_alloc(sizeof(*h) + n * sizeof(h->costs[0]));
	windows_init(&h->windows);
	for (size_t i = 0; i < n; i++) {
		h->costs[i].at = windows_add(&h->windows, &w[i], secret);
		h->costs[i].cost = w[i].cost;
	}
	h->ncosts = n;
	return h;
}

static void
held_free(struct store_held *h)
{
	windows_free(&h->windows);
	free(h);
}

/* Ends it as the owner wishes, now that its state is known; locked. */
static void
held_end(struct store_redis *s, struct store_held *h, enum wish wish)
{
	if (wish == KEEP && h->state != COUNTED)
		redis_link_queue_locked(s->link,
		    op_on('C', FORCED, &h->windows));
	else if (wish == GIVE_BACK && h->state != OUTLIVED)
		redis_link_queue_locked(s->link,
		    op_on('G', h->state == COUNTED ? h->when_ms : RESERVED,
			&h->windows));
	held_free(h);
}

static void
held_wish(struct store_redis *s, struct store_held **held, enum wish wish)
{
	struct store_held *h = *held;

	redis_link_lock(s->link);
	if (h->state == UNSURE)
		h->wish = wish;
	else
		held_end(s, h, wish);
	redis_link_unlock(s->link);
	*held = NULL;
}

/* The answer to a reservation or a commit was lost; now it is known. */
static void
redis_settle(void *arg, struct redis_op *op, enum redis_fate fate,
    int64_t when_ms)
{
	struct store_redis *s = arg;
	struct store_held *h = op->about;

	if (op->letter == 'R') {
		/* who asked was told "down" and has nothing */
		h->state =
		    fate == REDIS_RUN && op->out[0] == 0 ? HELD : OUTLIVED;
		held_end(s, h, GIVE_BACK);
		return;
	}
	if (op->letter != 'C')
		return;
	h->when_ms = when_ms;
	if (fate == REDIS_NOT_RUN)
		h->state = HELD;
	else
		h->state = op->out[0] == 0 ? COUNTED : OUTLIVED;
	if (h->wish != WAIT)
		held_end(s, h, h->wish);
}

static bool
is_down(const struct store_redis *s)
{
	return atomic_load_explicit(&s->health->down, memory_order_relaxed);
}

static enum store_result
redis_reserve(void *arg, const struct store_window *w, size_t n,
    struct store_held **held, struct store_usage *usage)
{
	struct store_redis *s = arg;
	enum store_result result = STORE_DOWN;
	struct store_held *h;
	struct redis_op *op;
	uint64_t secret[2];

	if (is_down(s) || !redis_link_secret(s->link, secret))
		return STORE_DOWN;
	h = held_new(w, n, secret);
	op = op_on('R', 0, &h->windows);
	op->about = h;
	redis_link_run(s->link, &op, 1);
	if (op->ok) {
		result = op->out[0] == 0 ? STORE_OK : STORE_OVER;
		if (usage)
			*usage = (struct store_usage){ op->out[1], op->out[2],
				op->out[3] < 0 ? 0 : op->out[3] };
	}
	if (result == STORE_OK)
		*held = h;
	else if (op->ok || !op->sent)
		held_free(h);
	/* else it goes when the server has said what became of it */
	redis_op_end(s->link, op);
	return result;
}

static void
redis_change(void *arg, struct store_held *h, size_t index, uint64_t cost)
{
	struct store_redis *s = arg;
	struct windows *ws = &h->windows;
	size_t at = h->costs[index].at;
	struct buf number = BUF_INIT(16);
	struct redis_op *op;
	int64_t more;

	assert(index < h->ncosts && h->state == HELD);
	cost = (uint64_t)at_most(cost, COUNT_MAX + 1);
	more = (int64_t)cost - at_most(h->costs[index].cost, COUNT_MAX + 1);
	h->costs[index].cost = cost;
	redis_put_number(&number, (int64_t)cost);
	memcpy(ws->args.p + at, number.p, number.n);
	buf_free(&number);
	op = redis_op_new('A', more, ws->n);
	redis_put_short(&op->args, index + 1);
	buf_addstr(&op->args, buf_str(&ws->args));
	buf_addstr(&op->keys, buf_str(&ws->keys));
	op->nkeys = ws->nkeys;
	redis_link_queue(s->link, op);
}

/* What a commit's operation came to. */
static bool
commit_end(struct store_redis *s, struct store_held **held, struct redis_op *op)
{
	struct store_held *h = *held;
	bool counted = op->ok && op->out[0] == 0;

	redis_link_lock(s->link);
	if (op->ok)
		h->state = counted ? COUNTED : OUTLIVED;
	else if (!op->sent)
		h->state = HELD;
	redis_link_unlock(s->link);
	redis_op_end(s->link, op);
	if (!counted)
		return false;
	held_free(h);
	*held = NULL;
	return true;
}

static enum store_result
redis_commit(void *arg, struct store_held **helds[], size_t n)
{
	struct store_redis *s = arg;
	struct redis_op *few[16], **ops = few;
	enum store_result result = STORE_OK;
	size_t k = 0;

	if (n > sizeof(few) / sizeof(few[0]))
		ops = mem_alloc(n * sizeof(struct redis_op *));
	for (size_t i = 0; i < n; i++)
		if (*helds[i]) {
			(*helds[i])->state = UNSURE;
			ops[k] = op_on('C', UNFORCED, &(*helds[i])->windows);
			ops[k++]->about = *helds[i];
		}
	redis_link_run(s->link, ops, k);
	k = 0;
	for (size_t i = 0; i < n; i++)
		if (*helds[i] && !commit_end(s, helds[i], ops[k++]))
			result = STORE_DOWN;
	if (ops != few)
		free(ops);
	return result;
}

static void
redis_refund(void *arg, struct store_held **held)
{
	held_wish(arg, held, GIVE_BACK);
}

static void
redis_keep(void *arg, struct store_held **held)
{
	held_wish(arg, held, KEEP);
}

static enum store_result
redis_peek(void *arg, const struct store_window *w, struct store_usage *usage)
{
	struct store_redis *s = arg;
	enum store_result result = STORE_DOWN;
	struct redis_op *op;
	struct windows ws;
	uint64_t secret[2];

	if (is_down(s) || !redis_link_secret(s->link, secret))
		return STORE_DOWN;
	windows_init(&ws);
	windows_add(&ws, w, secret);
	op = op_on('P', 0, &ws);
	redis_link_run(s->link, &op, 1);
	if (op->ok) {
		result = op->out[0] == 0 ? STORE_OK : STORE_OVER;
		if (usage)
			*usage = (struct store_usage){ 0, op->out[2],
				op->out[3] < 0 ? 0 : op->out[3] };
	}
	redis_op_end(s->link, op);
	windows_free(&ws);
	return result;
}

static enum store_result
redis_count(void *arg, const struct store_window *w)
{
	struct store_redis *s = arg;
	struct windows ws;
	uint64_t secret[2];
	bool known = redis_link_secret(s->link, secret);

	if (w->member.p && !known)
		return STORE_DOWN;
	windows_init(&ws);
	windows_add(&ws, w, secret);
	redis_link_queue(s->link, op_on('N', 0, &ws));
	windows_free(&ws);
	return is_down(s) ? STORE_DOWN : STORE_OK;
}

/* --- notes ------------------------------------------------------------- */

static struct redis_op *
note_op(char letter, int64_t left, struct str space, struct str key)
{
	struct redis_op *op = redis_op_new(letter, left, 0);
	struct buf name = BUF_INIT(SIZE_MAX);

	buf_adds(&name, REDIS_PREFIX "n:");
	buf_addstr(&name, space);
	buf_addc(&name, '\0');
	buf_addstr(&name, key);
	redis_op_key(op, buf_str(&name));
	buf_free(&name);
	return op;
}

static enum store_result
note_run(struct store_redis *s, struct redis_op *op)
{
	enum store_result result = STORE_DOWN;

	redis_link_run(s->link, &op, 1);
	if (op->ok)
		result = op->out[0] == 0 ? STORE_OK : STORE_OVER;
	redis_op_end(s->link, op);
	return result;
}

static enum store_result
redis_note_put(void *arg, struct str space, struct str key, struct str value,
    int64_t expires_ms, bool claim)
{
	int64_t left = expires_ms - clock_wall_ms();
	struct redis_op *op =
	    note_op(claim ? 'K' : 'W', left > 0 ? left : 0, space, key);
	struct buf text = BUF_INIT(SIZE_MAX);
	enum store_result result;

	buf_printf(&text, "%lld:", (long long)expires_ms);
	buf_addstr(&text, value);
	redis_put_text(&op->args, buf_str(&text));
	buf_free(&text);
	op->sure = true;
	result = note_run(arg, op);
	return claim || result == STORE_DOWN ? result : STORE_OK;
}

/* "until:text"; false: none, or over. */
static bool
note_read(struct str said, struct str *value, int64_t *until)
{
	struct str text = str_cut(said, ':', value);
	uint64_t n;

	if (!str_u64(text, &n) || n > INT64_MAX ||
	    (int64_t)n <= clock_wall_ms())
		return false;
	*until = (int64_t)n;
	return true;
}

static enum store_result
redis_note_get(void *arg, struct str space, struct str key, struct buf *value,
    int64_t *expires_ms)
{
	struct store_redis *s = arg;
	enum store_result result = STORE_DOWN;
	struct redis_op *op;
	struct str text;
	int64_t until;

	if (is_down(s))
		return STORE_DOWN;
	op = note_op('V', 0, space, key);
	redis_link_run(s->link, &op, 1);
	if (op->ok) {
		result = STORE_OVER;
		text = (struct str){ op->text, op->ntext };
		if (op->out[0] == 0 && note_read(text, &text, &until)) {
			result = STORE_OK;
			if (value)
				buf_addstr(value, text);
			if (expires_ms)
				*expires_ms = until;
		}
	}
	redis_op_end(s->link, op);
	return result;
}

static enum store_result
redis_note_del(void *arg, struct str space, struct str key)
{
	struct redis_op *op = note_op('W', 0, space, key);

	redis_put_text(&op->args, STR(""));
	op->sure = true;
	return note_run(arg, op);
}

/* --- all keys ---------------------------------------------------------- */

/* A key's name, taken apart: "{postern}u:3600000:limit\0key". */
struct name {
	char kind;
	int64_t window_ms; /* counters */
	struct str whole, limit, key;
};

static bool
name_read(struct str whole, struct name *n)
{
	struct str prefix = STR(REDIS_PREFIX), rest, number;
	uint64_t ms;

	if (whole.n < prefix.n + 2 || whole.p[prefix.n + 1] != ':')
		return false;
	*n = (struct name){ .kind = whole.p[prefix.n], .whole = whole };
	rest = str_sub(whole, prefix.n + 2, whole.n);
	if (n->kind == 'u' || n->kind == 'd') {
		number = str_cut(rest, ':', &rest);
		if (!str_u64(number, &ms) || ms > INT64_MAX)
			return false;
		n->window_ms = (int64_t)ms;
	} else if (n->kind != 'n') {
		return false;
	}
	n->limit = str_cut(rest, '\0', &n->key);
	return n->key.p != NULL;
}

/* What is asked about a key: its use, or (clear) to be empty. */
static struct redis_op *
name_op(const struct name *n, char letter)
{
	struct redis_op *op = redis_op_new(n->kind == 'n' ? 'V' : letter,
	    n->window_ms, n->kind == 'd');
	struct buf other = BUF_INIT(SIZE_MAX);

	redis_op_key(op, n->whole);
	if (n->kind == 'd') {
		buf_addstr(&other, n->whole);
		other.p[sizeof(REDIS_PREFIX) - 1] = 'e';
		redis_op_key(op, buf_str(&other));
	}
	buf_free(&other);
	return op;
}

/* A page of keys; returns false at the end or where the server is away. */
struct walk {
	struct store_redis *store;
	struct redis_wire *wire;
	char cursor[24];
	redisReply *page;
};

static bool
walk_open(struct walk *w, struct store_redis *s)
{
	struct buf ignored = BUF_INIT(1024);
	struct redis_op *op = redis_op_new('G', RESERVED, 0);
	bool refused, ok;

	*w = (struct walk){ .store = s, .cursor = "0" };
	/* what is queued comes first */
	redis_link_run(s->link, &op, 1);
	ok = op->ok;
	redis_op_end(s->link, op);
	for (size_t i = 0; ok && i <= s->url.nhosts && w->wire == NULL; i++)
		w->wire = redis_wire_open(&s->url, i, STR(REDIS_PREFIX "try"),
		    &refused, &ignored);
	buf_free(&ignored);
	return w->wire != NULL;
}

static bool
walk_page(struct walk *w)
{
	struct buf ignored = BUF_INIT(1024);
	bool first = w->page == NULL;

	if (w->page)
		freeReplyObject(w->page);
	w->page = NULL;
	if (!first && strcmp(w->cursor, "0") == 0)
		return false;
	w->page = redis_wire_ask(w->wire,
	    (struct str[]){ STR("SCAN"), str_of(w->cursor), STR("MATCH"),
		STR(REDIS_PREFIX "[udn]:*"), STR("COUNT"), STR(SCAN_PAGE) },
	    6, &ignored);
	buf_free(&ignored);
	if (w->page && w->page->type == REDIS_REPLY_ARRAY &&
	    w->page->elements == 2 &&
	    w->page->element[0]->type == REDIS_REPLY_STRING &&
	    w->page->element[1]->type == REDIS_REPLY_ARRAY) {
		snprintf(w->cursor, sizeof(w->cursor), "%s",
		    w->page->element[0]->str);
		return true;
	}
	if (w->page)
		freeReplyObject(w->page);
	w->page = NULL;
	return false;
}

static size_t
walk_count(const struct walk *w)
{
	return w->page->element[1]->elements;
}

static bool
walk_name(const struct walk *w, size_t i, struct name *n)
{
	const redisReply *r = w->page->element[1]->element[i];

	return r->type == REDIS_REPLY_STRING &&
	    name_read((struct str){ r->str, r->len }, n);
}

static void
walk_close(struct walk *w)
{
	if (w->page)
		freeReplyObject(w->page);
	redis_wire_close(&w->wire);
}

/* Runs an operation for each name of the page that `wants'. */
static size_t
walk_run(struct walk *w, char letter, const struct str *only,
    struct name *names, struct redis_op **ops)
{
	size_t n = 0;

	for (size_t i = 0; i < walk_count(w); i++) {
		if (!walk_name(w, i, &names[n]) ||
		    (only &&
			(names[n].kind == 'n' || !str_eq(names[n].key, *only))))
			continue;
		ops[n] = name_op(&names[n], letter);
		n++;
	}
	redis_link_run(w->store->link, ops, n);
	return n;
}

static bool
op_tells(const struct redis_op *op, const struct name *n,
    struct store_seen *seen)
{
	*seen = (struct store_seen){ .note = n->kind == 'n',
		.limit = n->limit,
		.key = n->key,
		.window_ms = n->window_ms,
		.used = (uint64_t)op->out[2] };
	if (!op->ok)
		return false;
	if (!seen->note)
		return seen->used > 0;
	seen->used = 0;
	return op->out[0] == 0 &&
	    note_read((struct str){ op->text, op->ntext }, &seen->value,
		&seen->expires_ms);
}

static void
redis_each(void *arg, bool (*seen)(void *, const struct store_seen *),
    void *seen_arg)
{
	struct store_redis *s = arg;
	struct store_seen tell;
	struct name *names;
	struct redis_op **ops;
	struct walk w;
	bool more = true;
	size_t n;

	if (is_down(s) || !walk_open(&w, s))
		return;
	while (more && walk_page(&w)) {
		names = mem_alloc((walk_count(&w) + 1) * sizeof(*names));
		ops =
		    mem_alloc((walk_count(&w) + 1) * sizeof(struct redis_op *));
		n = walk_run(&w, 'U', NULL, names, ops);
		for (size_t i = 0; i < n; i++) {
			if (more && op_tells(ops[i], &names[i], &tell))
				more = seen(seen_arg, &tell);
			redis_op_end(s->link, ops[i]);
		}
		free(names);
		free(ops);
	}
	walk_close(&w);
}

static size_t
redis_clear(void *arg, struct str key)
{
	struct store_redis *s = arg;
	struct name *names;
	struct redis_op **ops;
	struct walk w;
	size_t n, cleared = 0;

	if (is_down(s) || !walk_open(&w, s))
		return 0;
	while (walk_page(&w)) {
		names = mem_alloc((walk_count(&w) + 1) * sizeof(*names));
		ops =
		    mem_alloc((walk_count(&w) + 1) * sizeof(struct redis_op *));
		n = walk_run(&w, 'X', &key, names, ops);
		for (size_t i = 0; i < n; i++) {
			cleared += ops[i]->ok && ops[i]->out[0] == 1;
			redis_op_end(s->link, ops[i]);
		}
		free(names);
		free(ops);
	}
	walk_close(&w);
	return cleared;
}

/* A server has a size of its own (maxmemory). */
static void
redis_set_max(void *arg, uint64_t bytes)
{
	(void)arg;
	(void)bytes;
}

/* Few keys are counted; of many, it is said how many the database has. */
static void
redis_stats(void *arg, struct store_stats *out)
{
	struct store_redis *s = arg;
	struct buf ignored = BUF_INIT(1024);
	redisReply *size;
	struct name n;
	struct walk w;

	out->pending = redis_link_pending(s->link);
	if (is_down(s) || !walk_open(&w, s))
		return;
	size = redis_wire_ask(w.wire, (struct str[]){ STR("DBSIZE") }, 1,
	    &ignored);
	buf_free(&ignored);
	if (size && size->type == REDIS_REPLY_INTEGER &&
	    size->integer > COUNT_BY_SCAN) {
		out->keys = (uint64_t)size->integer;
	} else {
		while (walk_page(&w))
			for (size_t i = 0; i < walk_count(&w); i++)
				if (walk_name(&w, i, &n))
					++*(n.kind == 'n' ? &out->notes :
							    &out->keys);
	}
	if (size)
		freeReplyObject(size);
	walk_close(&w);
}

static void
redis_close(void *arg)
{
	struct store_redis *s = arg;

	if (s->link)
		redis_link_close(&s->link);
	redis_url_free(&s->url);
	free(s);
}

static void *
redis_open(struct str where, struct store_health *health, struct buf *err)
{
	struct store_redis *s = mem_alloc(sizeof(*s));

	(void)where;
	s->health = health;
	if (redis_url_parse(health->whole, &s->url, err))
		s->link =
		    redis_link_open(&s->url, redis_settle, s, health, err);
	if (s->link)
		return s;
	redis_close(s);
	return NULL;
}

const struct store_backend store_backend_redis = {
	.scheme = "redis",
	.open = redis_open,
	.close = redis_close,
	.reserve = redis_reserve,
	.change = redis_change,
	.commit = redis_commit,
	.refund = redis_refund,
	.keep = redis_keep,
	.peek = redis_peek,
	.count = redis_count,
	.note_put = redis_note_put,
	.note_get = redis_note_get,
	.note_del = redis_note_del,
	.each = redis_each,
	.clear = redis_clear,
	.set_max = redis_set_max,
	.stats = redis_stats,
};
