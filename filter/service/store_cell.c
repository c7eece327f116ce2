#include "service/store_cell.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"

#define BUCKETS_MIN  16
#define LOOK_AT	     64 /* buckets, for a cold cell */
#define LOOK_FURTHER 512 /* if colder ones are busy */
#define HEAP_COST    16 /* what malloc() takes besides */

int64_t
store_cell_now(struct store_memory *m)
{
	int64_t mono = clock_mono_ms(), ahead = clock_wall_ms() - mono;
	int64_t most = atomic_load_explicit(&m->ahead, memory_order_relaxed);

	while (ahead > most)
		if (atomic_compare_exchange_weak(&m->ahead, &most, ahead))
			return mono + ahead;
	return mono + most;
}

struct store_name
store_cell_name(enum store_kind kind, struct str space, struct str key,
    int64_t window_ms)
{
	uint64_t h = str_hash(key) ^ str_hash(space) * 31 ^
	    (uint64_t)window_ms * 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return (struct store_name){ kind, space, key, window_ms, h >> 32 };
}

struct store_shard *
store_cell_shard(struct store_memory *m, uint32_t hash)
{
	return &m->shards[hash % STORE_SHARDS];
}

static size_t
bucket_of(const struct store_shard *s, uint32_t hash)
{
	return (hash / STORE_SHARDS) & (s->nbuckets - 1);
}

struct store_counter *
store_cell_counter(struct store_cell *c)
{
	assert(c->kind == STORE_COUNTER);
	return (struct store_counter *)c;
}

struct store_note *
store_cell_note(struct store_cell *c)
{
	assert(c->kind == STORE_NOTE);
	return (struct store_note *)c;
}

struct members_of
store_cell_members(struct store_counter *k)
{
	return (struct members_of){ &k->members, &k->slots, &k->reserved };
}

struct str
store_cell_space(struct store_cell *c)
{
	const char *text = c->kind == STORE_COUNTER ?
	    store_cell_counter(c)->text :
	    store_cell_note(c)->text;

	return (struct str){ text, c->nspace };
}

struct str
store_cell_key(struct store_cell *c)
{
	return (struct str){ store_cell_space(c).p + c->nspace, c->nkey };
}

static bool
cell_is(struct store_cell *c, const struct store_name *name)
{
	return c->hash == name->hash && c->kind == name->kind &&
	    (c->kind == STORE_NOTE ||
		store_cell_counter(c)->window_ms == name->window_ms) &&
	    str_eq(store_cell_key(c), name->key) &&
	    str_eq(store_cell_space(c), name->space);
}

void
store_cell_changed(struct store_memory *m, struct store_cell *c)
{
	if (m->journal.changed == NULL || c->queued)
		return;
	c->queued = true;
	m->journal.changed(m->journal.arg, c);
}

struct store_cell *
store_cell_find(struct store_shard *s, const struct store_name *name)
{
	struct store_cell *c = s->buckets[bucket_of(s, name->hash)];

	while (c && !cell_is(c, name))
		c = c->next;
	return c;
}

/* Without what a counter has grown by. */
static uint32_t
cell_bytes(const struct store_cell *c)
{
	return (c->kind == STORE_COUNTER ? sizeof(struct store_counter) :
					   sizeof(struct store_note)) +
	    c->nspace + c->nkey + HEAP_COST + sizeof(void *);
}

static uint32_t
note_bytes(struct store_note *o)
{
	return cell_bytes(&o->cell) + (o->nvalue ? o->nvalue + HEAP_COST : 0);
}

void
store_cell_used(struct store_counter *k)
{
	if (k->cell.heat < 30 && ++k->uses >= (uint32_t)2 << k->cell.heat)
		k->cell.heat++;
}

void
store_cell_weigh(struct store_memory *m, struct store_counter *k)
{
	uint32_t now = cell_bytes(&k->cell) + members_bytes(k->members);

	if (k->slots.cap)
		now += k->slots.cap * sizeof(uint64_t) + HEAP_COST;
	if (now == k->weight)
		return;
	atomic_fetch_add(&m->bytes, (uint64_t)now - k->weight);
	k->weight = now;
}

static void
cell_free(struct store_memory *m, struct store_cell *c)
{
	if (c->kind == STORE_COUNTER) {
		atomic_fetch_sub(&m->bytes, store_cell_counter(c)->weight);
		slots_free(&store_cell_counter(c)->slots);
		members_free(&store_cell_counter(c)->members);
		atomic_fetch_sub(&m->counters, 1);
	} else {
		atomic_fetch_sub(&m->bytes, note_bytes(store_cell_note(c)));
		atomic_fetch_sub(&m->note_bytes,
		    note_bytes(store_cell_note(c)));
		free(store_cell_note(c)->value);
		atomic_fetch_sub(&m->notes, 1);
	}
	free(c);
}

/* Nothing in it, and nobody refers to it. */
static bool
cell_idle(struct store_cell *c, int64_t now_ms)
{
	struct store_counter *k;

	if (c->refs || c->queued)
		return false;
	if (c->kind == STORE_NOTE)
		return store_cell_note(c)->expires_ms <= clock_wall_ms();
	k = store_cell_counter(c);
	return k->reserved == 0 &&
	    slots_end_ms(&k->slots, k->window_ms) <= now_ms;
}

void
store_cell_drop_if_empty(struct store_memory *m, struct store_shard *s,
    struct store_cell *c)
{
	struct store_cell **at = &s->buckets[bucket_of(s, c->hash)];

	if (!cell_idle(c, store_cell_now(m)))
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	s->ncells--;
	cell_free(m, c);
}

/* What is in an idle cell is worth nothing; its row goes with the next group,
 * and the cell with that.  false: there is no row. */
static bool
cell_unsave(struct store_memory *m, struct store_cell *c)
{
	if (c->id == 0 || m->journal.changed == NULL)
		return false;
	if (c->kind == STORE_NOTE) {
		store_cell_set_note(m, store_cell_note(c), STR_NONE, 0);
	} else {
		slots_free(&store_cell_counter(c)->slots);
		members_free(&store_cell_counter(c)->members);
		store_cell_weigh(m, store_cell_counter(c));
	}
	store_cell_changed(m, c);
	return true;
}

/* Frees the idle cells of the next buckets. */
static void
shard_sweep(struct store_memory *m, struct store_shard *s, size_t buckets)
{
	struct store_cell **at, *c;
	int64_t now = store_cell_now(m);

	for (size_t i = 0; i < buckets; i++) {
		at = &s->buckets[s->hand++ & (s->nbuckets - 1)];
		while ((c = *at) != NULL) {
			if (!cell_idle(c, now) || cell_unsave(m, c)) {
				at = &c->next;
				continue;
			}
			*at = c->next;
			s->ncells--;
			cell_free(m, c);
		}
	}
}

static void
shard_grow(struct store_shard *s)
{
	struct store_cell **old = s->buckets, *c, *next;
	size_t n = s->nbuckets;

	s->nbuckets = n * 2;
	s->buckets = mem_alloc(s->nbuckets * sizeof(struct store_cell *));
	for (size_t i = 0; i < n; i++)
		for (c = old[i]; c; c = next) {
			size_t b = bucket_of(s, c->hash);

			next = c->next;
			c->next = s->buckets[b];
			s->buckets[b] = c;
		}
	free(old);
}

static struct store_cell *
cell_new(struct store_memory *m, const struct store_name *name)
{
	size_t ntext = name->space.n + name->key.n;
	struct store_cell *c;
	struct store_counter *k;
	char *text;

	if (name->kind == STORE_COUNTER) {
		k = mem_alloc(sizeof(*k) + ntext);
		k->window_ms = name->window_ms;
		c = &k->cell;
		text = k->text;
		atomic_fetch_add(&m->counters, 1);
	} else {
		struct store_note *o = mem_alloc(sizeof(*o) + ntext);

		c = &o->cell;
		text = o->text;
		atomic_fetch_add(&m->notes, 1);
	}
	c->kind = name->kind;
	c->hash = name->hash;
	c->nspace = name->space.n;
	c->nkey = name->key.n;
	if (c->nspace)
		memcpy(text, name->space.p, c->nspace);
	if (c->nkey)
		memcpy(text + c->nspace, name->key.p, c->nkey);
	if (c->kind == STORE_COUNTER) {
		store_cell_weigh(m, store_cell_counter(c));
	} else {
		atomic_fetch_add(&m->bytes, cell_bytes(c));
		atomic_fetch_add(&m->note_bytes, cell_bytes(c));
	}
	return c;
}

/*
 * Of those the hand comes by, the first cold counter, or the coldest.  While
 * colder ones are busy (they wait to be saved, and the disk is slow) it looks
 * further: that is no reason to put out a warm one.
 */
static struct store_cell **
shard_coldest(struct store_shard *s)
{
	struct store_cell **best = NULL, **at;
	uint8_t busy = UINT8_MAX;

	for (size_t i = 0; i < s->nbuckets && i < LOOK_FURTHER; i++) {
		if (i >= LOOK_AT && (best == NULL || (*best)->heat <= busy))
			break;
		at = &s->buckets[s->hand++ & (s->nbuckets - 1)];
		for (; *at; at = &(*at)->next) {
			if ((*at)->kind != STORE_COUNTER)
				continue;
			if ((*at)->refs || (*at)->queued) {
				if ((*at)->heat < busy)
					busy = (*at)->heat;
				continue;
			}
			if ((*at)->heat <= s->cold) {
				s->cold = (*at)->heat;
				return at;
			}
			if (best == NULL || (*at)->heat < (*best)->heat)
				best = at;
		}
	}
	if (best && (*best)->heat <= busy)
		s->cold = (*best)->heat;
	return best;
}

/* Puts out one counter; its row is for another to take, 0: there is none. */
static bool
shard_evict(struct store_memory *m, struct store_shard *s, int64_t *row,
    bool *members)
{
	struct store_cell **at = shard_coldest(s), *c;

	if (at == NULL)
		return false;
	c = *at;
	*at = c->next;
	s->ncells--;
	*row = c->id;
	*members = store_cell_counter(c)->members != NULL || c->heir;
	atomic_fetch_add(&m->evicted, 1);
	cell_free(m, c);
	return true;
}

static bool
is_full(struct store_memory *m)
{
	return atomic_load_explicit(&m->bytes, memory_order_relaxed) >=
	    atomic_load_explicit(&m->bytes_max, memory_order_relaxed);
}

/* Room for notes is never made: a block stays, and a stranger's waits. */
static bool
note_fits(struct store_memory *m, const struct store_name *name)
{
	uint64_t half = atomic_load(&m->bytes_max) / 2;

	if (str_eq(name->space, STR("block")))
		half += half / 2;
	return atomic_load(&m->note_bytes) < half;
}

static void
shard_add(struct store_shard *s, struct store_cell *c)
{
	size_t b;

	if (s->ncells >= s->nbuckets)
		shard_grow(s);
	b = bucket_of(s, c->hash);
	c->next = s->buckets[b];
	s->buckets[b] = c;
	s->ncells++;
}

struct store_cell *
store_cell_get(struct store_memory *m, const struct store_name *name)
{
	struct store_shard *s = store_cell_shard(m, name->hash);
	struct store_cell *c = store_cell_find(s, name);
	bool members = false, evicted = false;
	int64_t row = 0;

	if (c)
		return c;
	shard_sweep(m, s, 2);
	if (name->kind == STORE_NOTE) {
		if (!note_fits(m, name))
			return NULL;
		c = cell_new(m, name);
		shard_add(s, c);
		return c;
	}
	if (is_full(m))
		evicted = shard_evict(m, s, &row, &members);
	/* Everything here is in use just now: a little more is allowed. */
	if (!evicted && is_full(m) && s->ncells > 0 &&
	    atomic_load(&m->bytes) / 5 * 4 > atomic_load(&m->bytes_max))
		return NULL;
	c = cell_new(m, name);
	shard_add(s, c);
	if (row != 0) {
		c->id = row;
		c->heir = members;
		store_cell_changed(m, c);
	}
	return c;
}

void
store_cell_set_note(struct store_memory *m, struct store_note *o,
    struct str value, int64_t expires_ms)
{
	uint32_t before = note_bytes(o), more;

	if (value.n > STORE_VALUE_MAX)
		value.n = STORE_VALUE_MAX;
	free(o->value);
	o->value = value.n ? mem_alloc(value.n) : NULL;
	o->nvalue = value.n;
	if (value.n)
		memcpy(o->value, value.p, value.n);
	o->expires_ms = expires_ms;
	more = note_bytes(o) - before;
	atomic_fetch_add(&m->bytes, (int32_t)more);
	atomic_fetch_add(&m->note_bytes, (int32_t)more);
}

/* Empties a counter; its row goes with the next group, and it with that. */
static void
shard_empty_coldest(struct store_memory *m, struct store_shard *s)
{
	struct store_cell **at = shard_coldest(s), *c;

	if (at == NULL)
		return;
	c = *at;
	atomic_fetch_add(&m->evicted, 1);
	if (cell_unsave(m, c))
		return;
	slots_free(&store_cell_counter(c)->slots);
	store_cell_drop_if_empty(m, s, c);
}

void
store_memory_set_max(struct store_memory *m, uint64_t bytes)
{
	uint64_t have = atomic_load(&m->bytes), part;

	atomic_store(&m->bytes_max, bytes);
	if (have <= bytes)
		return;
	for (size_t i = 0; i < STORE_SHARDS; i++) {
		struct store_shard *s = &m->shards[i];

		pthread_mutex_lock(&s->lock);
		part = (uint64_t)((double)s->ncells * (have - bytes) / have);
		while (part-- > 0)
			shard_empty_coldest(m, s);
		pthread_mutex_unlock(&s->lock);
	}
}

struct store_memory *
store_memory_new(const struct store_journal *journal)
{
	struct store_memory *m;

	m = aligned_alloc(64, sizeof(*m));
	if (m == NULL)
		return NULL;
	memset(m, 0, sizeof(*m));
	if (journal)
		m->journal = *journal;
	m->ahead = clock_wall_ms() - clock_mono_ms();
	m->bytes_max = STORE_BYTES_MAX;
	if (getrandom(m->secret, sizeof(m->secret), 0) < 0)
		m->secret[0] = str_hash(STR("secret"));
	for (size_t i = 0; i < STORE_SHARDS; i++) {
		struct store_shard *s = &m->shards[i];

		pthread_mutex_init(&s->lock, NULL);
		s->nbuckets = BUCKETS_MIN;
		s->buckets =
		    mem_alloc(s->nbuckets * sizeof(struct store_cell *));
	}
	return m;
}

void
store_memory_free(struct store_memory **mp)
{
	struct store_memory *m = *mp;
	struct store_cell *c, *next;

	if (m == NULL)
		return;
	for (size_t i = 0; i < STORE_SHARDS; i++) {
		struct store_shard *s = &m->shards[i];

		for (size_t b = 0; b < s->nbuckets; b++)
			for (c = s->buckets[b]; c; c = next) {
				next = c->next;
				cell_free(m, c);
			}
		free(s->buckets);
		pthread_mutex_destroy(&s->lock);
	}
	free(m);
	*mp = NULL;
}
