#include "service/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "service/store_backend.h"

#define LIMIT_NAME_MAX 512

struct store {
	const struct store_backend *ops;
	void *backend;
	struct store_health health;
	char *spec, *shown;
};

static const struct store_backend *const backends[] = {
	&store_backend_memory,
	&store_backend_sqlite,
	&store_backend_redis,
};

void
store_health_set(struct store_health *h, const char *why)
{
	bool down = *why != '\0', was;

	if (!down && !atomic_load(&h->down))
		return;
	pthread_mutex_lock(&h->lock);
	was = atomic_exchange(&h->down, down);
	if (down)
		metric_inc(METRIC_STORE_FAULTS);
	if (down && !was)
		log_event(LOG_EV_STORE, "store=%.*s state=down why=%s",
		    STR_FMT(h->spec), why);
	if (!down && was)
		log_event(LOG_EV_STORE, "store=%.*s state=back",
		    STR_FMT(h->spec));
	pthread_mutex_unlock(&h->lock);
}

/* A password between :// and @ is nobody's business. */
static char *
spec_shown(struct str spec)
{
	ptrdiff_t from = str_find(spec, STR("://")), to = str_rchr(spec, '@');
	struct buf b = BUF_INIT(SIZE_MAX);

	if (from < 0 || to < from)
		return mem_strndup(spec.p, spec.n);
	buf_addstr(&b, str_sub(spec, 0, from + 3));
	buf_adds(&b, "...");
	buf_addstr(&b, str_sub(spec, to, spec.n));
	return b.p;
}

struct store *
store_open(struct str spec, struct buf *err)
{
	struct store *st;
	struct str scheme;

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		scheme = str_of(backends[i]->scheme);
		if (!str_starts(spec, scheme))
			continue;
		st = mem_alloc(sizeof(*st));
		st->ops = backends[i];
		st->spec = mem_strndup(spec.p, spec.n);
		st->shown = spec_shown(spec);
		st->health.whole = str_of(st->spec);
		st->health.spec = str_of(st->shown);
		pthread_mutex_init(&st->health.lock, NULL);
		st->backend =
		    st->ops->open(str_sub(str_of(st->spec), scheme.n, spec.n),
			&st->health, err);
		if (st->backend == NULL)
			store_close(&st);
		return st;
	}
	buf_printf(err,
	    "unknown kind of store \"%.*s\": sqlite:PATH, redis://HOST "
	    "or memory:",
	    STR_FMT(spec));
	return NULL;
}

void
store_close(struct store **stp)
{
	struct store *st = *stp;

	if (st == NULL)
		return;
	if (st->backend)
		st->ops->close(st->backend);
	pthread_mutex_destroy(&st->health.lock);
	free(st->spec);
	free(st->shown);
	free(st);
	*stp = NULL;
}

static struct str
clip(struct str s, size_t max)
{
	return str_sub(s, 0, max);
}

static struct store_window
window_clip(const struct store_window *w)
{
	struct store_window c = *w;

	c.limit = clip(w->limit, LIMIT_NAME_MAX);
	c.key = clip(w->key, STORE_KEY_MAX);
	if (c.window_ms < 1)
		c.window_ms = 1;
	return c;
}

enum store_result
store_reserve(struct store *st, const struct store_window *w, size_t n,
    struct store_held **held, struct store_usage *usage)
{
	struct store_window few[8] = { 0 }, *clipped = few;
	enum store_result result;

	*held = NULL;
	if (n > sizeof(few) / sizeof(few[0]))
		clipped = mem_alloc(n * sizeof(*clipped));
	for (size_t i = 0; i < n; i++)
		clipped[i] = window_clip(&w[i]);
	result = st->ops->reserve(st->backend, clipped, n, held, usage);
	if (clipped != few)
		free(clipped);
	return result;
}

void
store_change(struct store *st, struct store_held *held, size_t index,
    uint64_t cost)
{
	st->ops->change(st->backend, held, index, cost);
}

enum store_result
store_commit(struct store *st, struct store_held **held)
{
	return store_commit_all(st, &held, 1);
}

enum store_result
store_commit_all(struct store *st, struct store_held **helds[], size_t n)
{
	return st->ops->commit(st->backend, helds, n);
}

void
store_refund(struct store *st, struct store_held **held)
{
	if (*held)
		st->ops->refund(st->backend, held);
}

void
store_keep(struct store *st, struct store_held **held)
{
	if (*held)
		st->ops->keep(st->backend, held);
}

enum store_result
store_peek(struct store *st, const struct store_window *w,
    struct store_usage *usage)
{
	struct store_window c = window_clip(w);

	return st->ops->peek(st->backend, &c, usage);
}

enum store_result
store_count(struct store *st, const struct store_window *w)
{
	struct store_window c = window_clip(w);

	return st->ops->count(st->backend, &c);
}

enum store_result
store_note_put(struct store *st, struct str space, struct str key,
    struct str value, int64_t expires_ms)
{
	return st->ops->note_put(st->backend, clip(space, LIMIT_NAME_MAX),
	    clip(key, STORE_KEY_MAX), clip(value, STORE_VALUE_MAX), expires_ms,
	    false);
}

enum store_result
store_note_claim(struct store *st, struct str space, struct str key,
    struct str value, int64_t expires_ms)
{
	return st->ops->note_put(st->backend, clip(space, LIMIT_NAME_MAX),
	    clip(key, STORE_KEY_MAX), clip(value, STORE_VALUE_MAX), expires_ms,
	    true);
}

enum store_result
store_note_get(struct store *st, struct str space, struct str key,
    struct buf *value, int64_t *expires_ms)
{
	return st->ops->note_get(st->backend, clip(space, LIMIT_NAME_MAX),
	    clip(key, STORE_KEY_MAX), value, expires_ms);
}

enum store_result
store_note_del(struct store *st, struct str space, struct str key)
{
	return st->ops->note_del(st->backend, clip(space, LIMIT_NAME_MAX),
	    clip(key, STORE_KEY_MAX));
}

void
store_each(struct store *st, bool (*seen)(void *, const struct store_seen *),
    void *arg)
{
	st->ops->each(st->backend, seen, arg);
}

size_t
store_clear(struct store *st, struct str key)
{
	return st->ops->clear(st->backend, clip(key, STORE_KEY_MAX));
}

void
store_set_max(struct store *st, uint64_t bytes)
{
	st->ops->set_max(st->backend, bytes);
}

void
store_stats(struct store *st, struct store_stats *out)
{
	*out = (struct store_stats){ .down = atomic_load(&st->health.down) };
	st->ops->stats(st->backend, out);
}
