#include "service/store_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "service/store_backend.h"
#include "service/store_cell.h"

/* One window of a reservation. */
struct share {
	struct store_counter *counter;
	uint64_t cost;
	int64_t index; /* slot it was counted in */
	int64_t before; /* slot its member was seen in before */
	uint64_t member; /* its hash; 0: plain units */
	uint32_t hash;
};

struct store_held {
	uint64_t mask; /* shards concerned */
	size_t n;
	bool counted;
	struct share shares[];
};

static void
shards_lock(struct store_memory *m, uint64_t mask)
{
	for (; mask; mask &= mask - 1)
		pthread_mutex_lock(&m->shards[__builtin_ctzll(mask)].lock);
}

static void
shards_unlock(struct store_memory *m, uint64_t mask)
{
	for (; mask; mask &= mask - 1)
		pthread_mutex_unlock(&m->shards[__builtin_ctzll(mask)].lock);
}

static struct store_name
window_name(const struct store_window *w)
{
	return store_cell_name(STORE_COUNTER, w->limit, w->key, w->window_ms);
}

/* Never 0; 0 where plain units are counted. */
static uint64_t
window_member(const struct store_memory *m, const struct store_window *w)
{
	uint64_t hash;

	if (w->member.p == NULL)
		return 0;
	hash = str_hash_keyed(w->member, m->secret);
	return hash ? hash : 1;
}

/* Do cost and room fit?  What is used, and how long until they do. */
static bool
counter_fits(struct store_counter *k, const struct store_window *w,
    uint64_t member, int64_t now, struct store_usage *u)
{
	struct members_of of = store_cell_members(k);
	uint64_t most = member ? MEMBERS_MAX : SLOTS_COUNT_MAX, want;
	uint64_t max = w->max < most ? w->max : most, cost = w->cost;

	slots_advance(&k->slots, slots_index(now, w->window_ms));
	u->used = slots_sum(&k->slots) + k->reserved;
	u->retry_ms = 0;
	if (member)
		cost = !members_there(&of, member);
	if (__builtin_add_overflow(cost, w->room, &want) || want > max) {
		u->retry_ms = w->window_ms;
		return false;
	}
	if (want == 0 || (u->used < max && want <= max - u->used))
		return true;
	u->retry_ms =
	    slots_leave_ms(&k->slots, w->window_ms, u->used + want - max) - now;
	return false;
}

static struct store_held *
held_new(const struct store_window *w, size_t n)
{
	struct store_held *h;
	struct store_name name;

	h = mem_alloc(sizeof(*h) + n * sizeof(h->shares[0]));
	h->n = n;
	for (size_t i = 0; i < n; i++) {
		name = window_name(&w[i]);
		h->shares[i].hash = name.hash;
		h->mask |= (uint64_t)1 << name.hash % STORE_SHARDS;
	}
	return h;
}

/* Lets go of the counters and frees the reservation; shards are locked. */
static void
held_end(struct store_memory *m, struct store_held *h)
{
	struct members_of of;

	for (size_t i = 0; i < h->n; i++) {
		struct share *sh = &h->shares[i];

		if (sh->counter == NULL)
			continue;
		if (sh->member) {
			of = store_cell_members(sh->counter);
			members_let_go(&of, sh->member);
		}
		sh->counter->cell.refs--;
		store_cell_drop_if_empty(m, store_cell_shard(m, sh->hash),
		    &sh->counter->cell);
	}
}

/* Reserves one window; its counter is held. */
static enum store_result
share_fill(struct store_memory *m, struct share *sh,
    const struct store_window *w, int64_t now, struct store_usage *u)
{
	struct members_of of = store_cell_members(sh->counter);
	uint64_t member = window_member(m, w);

	if (!counter_fits(sh->counter, w, member, now, u))
		return STORE_OVER;
	if (member == 0) {
		sh->counter->reserved += w->cost;
		sh->cost = w->cost;
		return STORE_OK;
	}
	if (!members_hold(&of, member))
		return STORE_DOWN;
	store_cell_weigh(m, sh->counter);
	sh->member = member;
	sh->cost = 1;
	return STORE_OK;
}

/* Reserves window after window; a later one sees what an earlier took. */
static enum store_result
held_fill(struct store_memory *m, struct store_held *h,
    const struct store_window *w, struct store_usage *usage)
{
	enum store_result result = STORE_OK, one;
	int64_t now = store_cell_now(m);
	struct store_usage u;
	struct store_cell *cell;
	struct store_name name;

	*usage = (struct store_usage){ .index = 0 };
	for (size_t i = 0; i < h->n; i++) {
		name = window_name(&w[i]);
		if ((cell = store_cell_get(m, &name)) == NULL)
			return STORE_DOWN;
		cell->refs++;
		h->shares[i].counter = store_cell_counter(cell);
		u.index = i;
		one = share_fill(m, &h->shares[i], &w[i], now, &u);
		if (one == STORE_DOWN)
			return one;
		if (i == 0 || u.retry_ms > usage->retry_ms)
			*usage = u;
		if (one == STORE_OVER)
			result = one;
	}
	return result;
}

static void
share_give_back(struct store_memory *m, struct share *sh, bool counted)
{
	struct members_of of = store_cell_members(sh->counter);

	if (counted && sh->member)
		members_uncount(&of, sh->member, sh->index, sh->before);
	else if (counted)
		slots_take(&sh->counter->slots, sh->index, sh->cost);
	else if (sh->member == 0)
		sh->counter->reserved -= sh->cost;
	if (counted)
		store_cell_changed(m, &sh->counter->cell);
}

static void
held_give_back(struct store_memory *m, struct store_held *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->shares[i].cost)
			share_give_back(m, &h->shares[i], h->counted);
}

enum store_result
store_memory_reserve(struct store_memory *m, const struct store_window *w,
    size_t n, struct store_held **held, struct store_usage *usage)
{
	struct store_held *h = held_new(w, n);
	struct store_usage spare;
	enum store_result result;

	shards_lock(m, h->mask);
	result = held_fill(m, h, w, usage ? usage : &spare);
	if (result != STORE_OK) {
		held_give_back(m, h);
		held_end(m, h);
	}
	shards_unlock(m, h->mask);
	if (result == STORE_OK)
		*held = h;
	else
		free(h);
	return result;
}

void
store_memory_change(struct store_memory *m, struct store_held *h, size_t index,
    uint64_t cost)
{
	struct share *sh = &h->shares[index];
	struct store_shard *s = store_cell_shard(m, sh->hash);

	assert(index < h->n && !h->counted && !sh->member);
	if (cost > SLOTS_COUNT_MAX)
		cost = SLOTS_COUNT_MAX;
	pthread_mutex_lock(&s->lock);
	sh->counter->reserved += cost - sh->cost;
	sh->cost = cost;
	pthread_mutex_unlock(&s->lock);
}

static void
share_count(struct store_memory *m, struct share *sh, int64_t now)
{
	struct store_counter *k = sh->counter;
	struct members_of of = store_cell_members(k);

	slots_advance(&k->slots, slots_index(now, k->window_ms));
	sh->index = k->slots.head;
	if (sh->member) {
		sh->before = members_count(&of, sh->member);
	} else {
		slots_add(&k->slots, sh->cost);
		k->reserved -= sh->cost;
	}
	store_cell_used(k);
	store_cell_weigh(m, k);
	store_cell_changed(m, &k->cell);
}

void
store_memory_commit(struct store_memory *m, struct store_held *h)
{
	int64_t now = store_cell_now(m);

	if (h->counted)
		return;
	shards_lock(m, h->mask);
	for (size_t i = 0; i < h->n; i++)
		if (h->shares[i].cost)
			share_count(m, &h->shares[i], now);
	h->counted = true;
	shards_unlock(m, h->mask);
}

static void
held_finish(struct store_memory *m, struct store_held **held, bool give_back)
{
	struct store_held *h = *held;

	shards_lock(m, h->mask);
	if (give_back)
		held_give_back(m, h);
	held_end(m, h);
	shards_unlock(m, h->mask);
	free(h);
	*held = NULL;
}

void
store_memory_refund(struct store_memory *m, struct store_held **held)
{
	held_finish(m, held, true);
}

void
store_memory_keep(struct store_memory *m, struct store_held **held)
{
	assert((*held)->counted);
	held_finish(m, held, false);
}

enum store_result
store_memory_peek(struct store_memory *m, const struct store_window *w,
    struct store_usage *usage)
{
	struct store_name name = window_name(w);
	struct store_shard *s = store_cell_shard(m, name.hash);
	struct store_counter empty = { .cell.kind = STORE_COUNTER };
	struct store_cell *c;
	struct store_usage u = { .index = 0 };
	bool fits;

	pthread_mutex_lock(&s->lock);
	c = store_cell_find(s, &name);
	fits = counter_fits(c ? store_cell_counter(c) : &empty, w,
	    window_member(m, w), store_cell_now(m), &u);
	pthread_mutex_unlock(&s->lock);
	if (usage)
		*usage = u;
	return fits ? STORE_OK : STORE_OVER;
}

/* Counts without having reserved; false: too many members. */
static bool
counter_count(struct store_counter *k, uint64_t member, uint64_t cost,
    int64_t now)
{
	struct members_of of = store_cell_members(k);

	slots_advance(&k->slots, slots_index(now, k->window_ms));
	if (member == 0) {
		slots_add(&k->slots, cost);
		return true;
	}
	if (!members_hold(&of, member))
		return false;
	members_count(&of, member);
	members_let_go(&of, member);
	return true;
}

enum store_result
store_memory_count(struct store_memory *m, const struct store_window *w)
{
	struct store_name name = window_name(w);
	struct store_shard *s = store_cell_shard(m, name.hash);
	uint64_t member = window_member(m, w);
	struct store_cell *c;
	bool ok;

	pthread_mutex_lock(&s->lock);
	c = store_cell_get(m, &name);
	ok = c != NULL;
	if (ok && (w->cost || member)) {
		ok = counter_count(store_cell_counter(c), member, w->cost,
		    store_cell_now(m));
		store_cell_used(store_cell_counter(c));
		store_cell_weigh(m, store_cell_counter(c));
		if (ok)
			store_cell_changed(m, c);
	}
	pthread_mutex_unlock(&s->lock);
	return ok ? STORE_OK : STORE_DOWN;
}

enum store_result
store_memory_note_put(struct store_memory *m, struct str space, struct str key,
    struct str value, int64_t expires_ms, bool claim)
{
	struct store_name name = store_cell_name(STORE_NOTE, space, key, 0);
	struct store_shard *s = store_cell_shard(m, name.hash);
	enum store_result result = STORE_DOWN;
	struct store_cell *c;

	pthread_mutex_lock(&s->lock);
	c = store_cell_get(m, &name);
	if (c && claim && store_cell_note(c)->expires_ms > clock_wall_ms()) {
		result = STORE_OVER;
	} else if (c) {
		store_cell_set_note(m, store_cell_note(c), value, expires_ms);
		store_cell_changed(m, c);
		result = STORE_OK;
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

enum store_result
store_memory_note_get(struct store_memory *m, struct str space, struct str key,
    struct buf *value, int64_t *expires_ms)
{
	struct store_name name = store_cell_name(STORE_NOTE, space, key, 0);
	struct store_shard *s = store_cell_shard(m, name.hash);
	enum store_result result = STORE_OVER;
	struct store_cell *c;

	pthread_mutex_lock(&s->lock);
	c = store_cell_find(s, &name);
	if (c && store_cell_note(c)->expires_ms > clock_wall_ms()) {
		result = STORE_OK;
		if (value)
			buf_add(value, store_cell_note(c)->value,
			    store_cell_note(c)->nvalue);
		if (expires_ms)
			*expires_ms = store_cell_note(c)->expires_ms;
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

enum store_result
store_memory_note_del(struct store_memory *m, struct str space, struct str key)
{
	struct store_name name = store_cell_name(STORE_NOTE, space, key, 0);
	struct store_shard *s = store_cell_shard(m, name.hash);
	enum store_result result = STORE_OVER;
	struct store_cell *c;

	pthread_mutex_lock(&s->lock);
	c = store_cell_find(s, &name);
	if (c && store_cell_note(c)->expires_ms > clock_wall_ms())
		result = STORE_OK;
	if (c) {
		store_cell_set_note(m, store_cell_note(c), STR_NONE, 0);
		store_cell_changed(m, c);
		store_cell_drop_if_empty(m, s, c);
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

/* Copies what a cell says; false where that is nothing. */
static bool
cell_tell(struct store_cell *c, int64_t now, struct store_seen *seen,
    struct buf *text)
{
	struct store_counter *k;

	*seen = (struct store_seen){ .note = c->kind == STORE_NOTE };
	if (seen->note) {
		seen->expires_ms = store_cell_note(c)->expires_ms;
		if (seen->expires_ms <= clock_wall_ms())
			return false;
		seen->value.n = store_cell_note(c)->nvalue;
	} else {
		k = store_cell_counter(c);
		slots_advance(&k->slots, slots_index(now, k->window_ms));
		seen->window_ms = k->window_ms;
		seen->used = slots_sum(&k->slots) + k->reserved;
		if (seen->used == 0)
			return false;
	}
	seen->limit.n = c->nspace;
	seen->key.n = c->nkey;
	buf_add(text, store_cell_space(c).p, (size_t)c->nspace + c->nkey);
	if (seen->note)
		buf_add(text, store_cell_note(c)->value,
		    store_cell_note(c)->nvalue);
	return true;
}

struct telling {
	struct store_seen *seen;
	size_t n;
	struct buf text;
};

static void
shard_tell(struct store_shard *s, int64_t now, struct telling *t)
{
	struct store_cell *c;

	*t = (struct telling){ .text = BUF_INIT(SIZE_MAX) };
	pthread_mutex_lock(&s->lock);
	t->seen = mem_alloc((s->ncells + 1) * sizeof(*t->seen));
	for (size_t b = 0; b < s->nbuckets; b++)
		for (c = s->buckets[b]; c; c = c->next)
			if (cell_tell(c, now, &t->seen[t->n], &t->text))
				t->n++;
	pthread_mutex_unlock(&s->lock);
}

void
store_memory_each(struct store_memory *m,
    bool (*seen)(void *, const struct store_seen *), void *arg)
{
	struct telling t;
	const char *p;
	bool more = true;

	for (size_t i = 0; i < STORE_SHARDS && more; i++) {
		shard_tell(&m->shards[i], store_cell_now(m), &t);
		p = t.text.p;
		for (size_t k = 0; k < t.n && more; k++) {
			struct store_seen *x = &t.seen[k];

			x->limit.p = p;
			x->key.p = x->limit.p + x->limit.n;
			x->value.p = x->key.p + x->key.n;
			p = x->value.p + x->value.n;
			more = seen(arg, x);
		}
		free(t.seen);
		buf_free(&t.text);
	}
}

/* Empties a counter; false: there was nothing in it. */
static bool
counter_clear(struct store_memory *m, struct store_counter *k)
{
	struct members_of of = store_cell_members(k);

	if (k->slots.n == 0 && k->members == NULL)
		return false;
	members_clear(&of);
	store_cell_weigh(m, k);
	store_cell_changed(m, &k->cell);
	return true;
}

size_t
store_memory_clear(struct store_memory *m, struct str key)
{
	struct store_cell *c;
	size_t cleared = 0;

	for (size_t i = 0; i < STORE_SHARDS; i++) {
		struct store_shard *s = &m->shards[i];

		pthread_mutex_lock(&s->lock);
		for (size_t b = 0; b < s->nbuckets; b++)
			for (c = s->buckets[b]; c; c = c->next)
				if (c->kind == STORE_COUNTER &&
				    str_eq(store_cell_key(c), key))
					cleared += counter_clear(m,
					    store_cell_counter(c));
		pthread_mutex_unlock(&s->lock);
	}
	return cleared;
}

void
store_memory_stats(struct store_memory *m, struct store_stats *out)
{
	out->keys = atomic_load(&m->counters);
	out->notes = atomic_load(&m->notes);
	out->memory_bytes = atomic_load(&m->bytes);
	out->evicted = atomic_load(&m->evicted);
}

static void *
backend_open(struct str where, struct store_health *health, struct buf *err)
{
	(void)health;
	if (where.n) {
		buf_adds(err, "memory: takes no path");
		return NULL;
	}
	return store_memory_new(NULL);
}

static void
backend_close(void *m)
{
	struct store_memory *memory = m;

	store_memory_free(&memory);
}

static enum store_result
backend_reserve(void *m, const struct store_window *w, size_t n,
    struct store_held **held, struct store_usage *usage)
{
	return store_memory_reserve(m, w, n, held, usage);
}

static void
backend_change(void *m, struct store_held *held, size_t index, uint64_t cost)
{
	store_memory_change(m, held, index, cost);
}

static enum store_result
backend_commit(void *m, struct store_held **helds[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (*helds[i] == NULL)
			continue;
		store_memory_commit(m, *helds[i]);
		store_memory_keep(m, helds[i]);
	}
	return STORE_OK;
}

static void
backend_refund(void *m, struct store_held **held)
{
	store_memory_refund(m, held);
}

static void
backend_keep(void *m, struct store_held **held)
{
	store_memory_keep(m, held);
}

static enum store_result
backend_peek(void *m, const struct store_window *w, struct store_usage *usage)
{
	return store_memory_peek(m, w, usage);
}

static enum store_result
backend_count(void *m, const struct store_window *w)
{
	return store_memory_count(m, w);
}

static enum store_result
backend_note_put(void *m, struct str space, struct str key, struct str value,
    int64_t expires_ms, bool claim)
{
	return store_memory_note_put(m, space, key, value, expires_ms, claim);
}

static enum store_result
backend_note_get(void *m, struct str space, struct str key, struct buf *value,
    int64_t *expires_ms)
{
	return store_memory_note_get(m, space, key, value, expires_ms);
}

static enum store_result
backend_note_del(void *m, struct str space, struct str key)
{
	return store_memory_note_del(m, space, key);
}

static void
backend_each(void *m, bool (*seen)(void *, const struct store_seen *),
    void *arg)
{
	store_memory_each(m, seen, arg);
}

static size_t
backend_clear(void *m, struct str key)
{
	return store_memory_clear(m, key);
}

static void
backend_set_max(void *m, uint64_t bytes)
{
	store_memory_set_max(m, bytes);
}

static void
backend_stats(void *m, struct store_stats *out)
{
	store_memory_stats(m, out);
}

const struct store_backend store_backend_memory = {
	.scheme = "memory:",
	.open = backend_open,
	.close = backend_close,
	.reserve = backend_reserve,
	.change = backend_change,
	.commit = backend_commit,
	.refund = backend_refund,
	.keep = backend_keep,
	.peek = backend_peek,
	.count = backend_count,
	.note_put = backend_note_put,
	.note_get = backend_note_get,
	.note_del = backend_note_del,
	.each = backend_each,
	.clear = backend_clear,
	.set_max = backend_set_max,
	.stats = backend_stats,
};
