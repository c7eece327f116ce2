#include "service/resolver.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "service/resolver_backend.h"

#define MAX_ENTRIES    20000
#define MAX_BYTES      (32 * 1024 * 1024)
#define MAX_PENDING    4096
#define TTL_MIN_S      1
#define TTL_MAX_S      3600
#define TTL_NEGATIVE_S 300
#define TTL_FAILED_S   5
/* A query this old that nobody waits for is given up. */
#define GIVE_UP_MS 10000

TAILQ_HEAD(lookup_list, lookup);

/*
 * A future.  The table, the backend and every asker hold a reference.  It is
 * in the table's map and in one of its lists from birth until it is pushed
 * out; the answer is written once, before done is set.
 */
struct lookup {
	struct resolver *resolver;
	struct resolver_query query;
	atomic_uint refs;
	atomic_bool done;
	struct dns_answer *answer;
	/* Under the table's lock: */
	TAILQ_ENTRY(lookup) link;
	pthread_cond_t answered;
	unsigned int waiters;
	bool in_table, late_logged;
	size_t bytes;
	int64_t started_ms, expires_ms;
	size_t key_len;
	char key[]; /* the type as two bytes, the name */
};

struct resolver {
	const struct resolver_backend *backend;
	void *state;
	char *server; /* for the log */
	/* Held for work on the table only, never while waiting. */
	pthread_mutex_t lock;
	struct map *table;
	struct lookup_list pending; /* oldest first */
	struct lookup_list known; /* coldest first */
	size_t npending, bytes;
	bool hurried; /* nobody waits any more */
	struct lookup *refused[2]; /* of names that can't be asked, and of
					 * too many at once */
};

static const struct dns_answer nothing_in_time = { .status = DNS_TIMEOUT };
static const struct dns_answer nothing_known = { .status = DNS_SERVFAIL };

static const char *const status_words[] = {
	[DNS_OK] = "ok",
	[DNS_NODATA] = "nodata",
	[DNS_NXDOMAIN] = "nxdomain",
	[DNS_SERVFAIL] = "servfail",
	[DNS_TIMEOUT] = "timeout",
};

const char *
dns_status_word(enum dns_status status)
{
	return status_words[status];
}

void
resolver_block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static struct lookup *
lookup_new(struct resolver *r, struct str key, unsigned int refs)
{
	struct lookup *l = mem_alloc(sizeof(*l) + key.n + 1);
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->answered, &attr);
	pthread_condattr_destroy(&attr);
	l->resolver = r;
	atomic_init(&l->refs, refs);
	memcpy(l->key, key.p, key.n);
	l->key_len = key.n;
	l->query.name = l->key + 2;
	l->query.type = (unsigned char)key.p[0] << 8 | (unsigned char)key.p[1];
	l->bytes = sizeof(*l) + key.n + 1;
	l->started_ms = clock_mono_ms();
	return l;
}

static void
lookup_unref(struct lookup *l)
{
	unsigned int had = atomic_fetch_sub(&l->refs, 1);

	assert(had > 0);
	if (had > 1)
		return;
	assert(!l->in_table);
	pthread_cond_destroy(&l->answered);
	free(l->answer);
	free(l);
}

static struct str
lookup_key(const struct lookup *l)
{
	return (struct str){ l->key, l->key_len };
}

/* A future that was answered before anybody asked. */
static struct lookup *
lookup_refused(struct resolver *r, enum dns_status status)
{
	struct lookup *l = lookup_new(r, STR("\0\1"), 1);
	struct dns_build b;
	size_t size;

	dns_build_begin(&b);
	l->answer = dns_build_end(&b, status, false, &size);
	atomic_store(&l->done, true);
	return l;
}

/* Table work: the lock is held. */

static void
table_add(struct resolver *r, struct lookup *l)
{
	map_put(r->table, lookup_key(l), l);
	TAILQ_INSERT_TAIL(&r->pending, l, link);
	r->npending++;
	l->in_table = true;
}

/* Only of answered ones; their number of references can end here. */
static void
table_drop(struct resolver *r, struct lookup *l)
{
	map_del(r->table, lookup_key(l));
	TAILQ_REMOVE(&r->known, l, link);
	r->bytes -= l->bytes;
	l->in_table = false;
	lookup_unref(l);
}

static int64_t
ttl_bounded(enum dns_status status, int64_t ttl_s)
{
	int64_t max = status == DNS_OK			   ? TTL_MAX_S :
	    status == DNS_NODATA || status == DNS_NXDOMAIN ? TTL_NEGATIVE_S :
							     TTL_FAILED_S;

	return ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s > max ? max : ttl_s;
}

/* The answer is there: wakes who waits, and keeps it for its time. */
static void
table_answer(struct resolver *r, struct lookup *l, struct dns_answer *answer,
    size_t size, int64_t ttl_s)
{
	l->answer = answer;
	l->bytes += size;
	l->expires_ms =
	    clock_mono_ms() + 1000 * ttl_bounded(answer->status, ttl_s);
	atomic_store(&l->done, true);
	pthread_cond_broadcast(&l->answered);
	TAILQ_REMOVE(&r->pending, l, link);
	r->npending--;
	TAILQ_INSERT_TAIL(&r->known, l, link);
	r->bytes += l->bytes;
	while (r->bytes > MAX_BYTES || map_count(r->table) > MAX_ENTRIES) {
		struct lookup *cold = TAILQ_FIRST(&r->known);

		if (cold == NULL || cold == l)
			break;
		table_drop(r, cold);
	}
}

static struct dns_answer *
status_answer(enum dns_status status, bool secure, size_t *size)
{
	struct dns_build b;

	dns_build_begin(&b);
	return dns_build_end(&b, status, secure, size);
}

/* Moves one query that has waited too long for nobody to *l, with a reference.
 * Those that are waited for stand before it: at most one a thread. */
static bool
table_give_up(struct resolver *r, int64_t now, struct lookup **given_up)
{
	struct lookup *l;
	struct dns_answer *answer;
	size_t size;

	TAILQ_FOREACH(l, &r->pending, link)
	{
		if (now - l->started_ms < GIVE_UP_MS)
			return false;
		if (l->waiters == 0)
			break;
	}
	if (l == NULL)
		return false;
	atomic_fetch_add(&l->refs, 1);
	answer = status_answer(DNS_TIMEOUT, false, &size);
	table_answer(r, l, answer, size, TTL_FAILED_S);
	*given_up = l;
	return true;
}

/* The future of a key, with a reference; *fresh: its query is to be sent. */
static struct lookup *
table_get(struct resolver *r, struct str key, int64_t now, bool *fresh)
{
	struct lookup *l = map_get(r->table, key);

	*fresh = false;
	if (l != NULL && atomic_load(&l->done)) {
		if (l->expires_ms > now) {
			TAILQ_REMOVE(&r->known, l, link);
			TAILQ_INSERT_TAIL(&r->known, l, link);
		} else {
			table_drop(r, l);
			l = NULL;
		}
	}
	if (l == NULL && r->npending >= MAX_PENDING)
		l = r->refused[1];
	if (l == NULL) {
		*fresh = true;
		l = lookup_new(r, key, 3);
		table_add(r, l);
	} else {
		atomic_fetch_add(&l->refs, 1);
	}
	return l;
}

/* The lock is not held from here on. */

static void
log_problem(const struct lookup *l, const char *problem)
{
	log_event(LOG_EV_DNS, "name=%s type=%s server=%s problem=%s ms=%lld",
	    l->query.name, dns_type_word(l->query.type), l->resolver->server,
	    problem, (long long)(clock_mono_ms() - l->started_ms));
}

/* Counts every asker who left without an answer, logs the first. */
static const struct dns_answer *
lookup_late(struct lookup *l, bool first)
{
	metric_inc(METRIC_DNS_TIMEOUTS);
	if (first)
		log_problem(l, dns_status_word(DNS_TIMEOUT));
	return &nothing_in_time;
}

static void
reap(struct resolver *r, int64_t now)
{
	struct lookup *l;
	bool found;

	do {
		pthread_mutex_lock(&r->lock);
		found = table_give_up(r, now, &l);
		pthread_mutex_unlock(&r->lock);
		if (found) {
			lookup_late(l, !l->late_logged);
			r->backend->cancel(r->state, &l->query);
			lookup_unref(l);
		}
	} while (found);
}

struct lookup *
resolver_start(struct resolver *r, struct str name, enum dns_type type)
{
	char key[2 + DNS_NAME_MAX + 1];
	int64_t now = clock_mono_ms();
	struct lookup *l;
	bool fresh;

	if (!dns_name_normal(name, key + 2)) {
		atomic_fetch_add(&r->refused[0]->refs, 1);
		return r->refused[0];
	}
	key[0] = (char)(type >> 8);
	key[1] = (char)(type & 0xff);
	reap(r, now);
	pthread_mutex_lock(&r->lock);
	l = table_get(r, (struct str){ key, 2 + strlen(key + 2) }, now, &fresh);
	pthread_mutex_unlock(&r->lock);
	if (fresh) {
		metric_inc(METRIC_DNS_QUERIES);
		r->backend->ask(r->state, &l->query);
	} else if (l == r->refused[1]) {
		metric_inc(METRIC_DNS_FAILED);
		log_event(LOG_EV_DNS, "name=%s type=%s server=%s problem=%s",
		    key + 2, dns_type_word(type), r->server,
		    "too many lookups at once");
	} else {
		metric_inc(METRIC_DNS_CACHED);
	}
	return l;
}

void
resolver_done(struct resolver_query *query, struct dns_answer *answer,
    size_t size, int64_t ttl_s)
{
	struct lookup *l = (struct lookup *)(void *)((char *)query -
	    offsetof(struct lookup, query));
	struct resolver *r = l->resolver;
	enum dns_status status = answer->status;
	bool given_up;

	pthread_mutex_lock(&r->lock);
	given_up = atomic_load(&l->done);
	if (!given_up)
		table_answer(r, l, answer, size, ttl_s);
	pthread_mutex_unlock(&r->lock);
	if (given_up) {
		free(answer);
	} else if (status == DNS_SERVFAIL) {
		metric_inc(METRIC_DNS_FAILED);
		log_problem(l, dns_status_word(status));
	}
	lookup_unref(l);
}

void
resolver_done_status(struct resolver_query *query, enum dns_status status,
    bool secure, int64_t ttl_s)
{
	size_t size;
	struct dns_answer *answer = status_answer(status, secure, &size);

	resolver_done(query, answer, size, ttl_s);
}

const struct dns_answer *
lookup_wait(struct lookup *l, int64_t deadline_mono_ms)
{
	struct timespec until;
	bool done, first;

	if (l == NULL)
		return &nothing_known;
	if (atomic_load(&l->done))
		return l->answer;
	until = clock_timespec(deadline_mono_ms);
	pthread_mutex_lock(&l->resolver->lock);
	l->waiters++;
	while (!atomic_load(&l->done) && !l->resolver->hurried)
		if (pthread_cond_timedwait(&l->answered, &l->resolver->lock,
			&until) != 0)
			break;
	l->waiters--;
	done = atomic_load(&l->done);
	first = !done && !l->late_logged;
	if (first)
		l->late_logged = true;
	pthread_mutex_unlock(&l->resolver->lock);
	return done ? l->answer : lookup_late(l, first);
}

void
resolver_hurry(struct resolver *r)
{
	struct lookup *l;

	pthread_mutex_lock(&r->lock);
	r->hurried = true;
	for (l = TAILQ_FIRST(&r->pending); l != NULL; l = TAILQ_NEXT(l, link))
		pthread_cond_broadcast(&l->answered);
	pthread_mutex_unlock(&r->lock);
}

bool
lookup_ready(struct lookup *l)
{
	return l == NULL || atomic_load(&l->done);
}

void
lookup_release(struct lookup **lp)
{
	struct lookup *l = *lp;

	*lp = NULL;
	if (l != NULL)
		lookup_unref(l);
}

const struct dns_answer *
resolver_ask(struct resolver *r, struct str name, enum dns_type type,
    int64_t deadline_mono_ms, struct lookup **keep)
{
	*keep = resolver_start(r, name, type);
	return lookup_wait(*keep, deadline_mono_ms);
}

struct resolver *
resolver_new(struct str spec, struct buf *err)
{
	const struct resolver_backend *backend = &resolver_unbound;
	struct resolver *r;
	struct str arg = spec;
	void *state;

	if (str_starts(spec, STR("file:"))) {
		backend = &resolver_file;
		arg = str_sub(spec, 5, spec.n);
	}
	state = backend->open(arg, err);
	if (state == NULL)
		return NULL;
	r = mem_alloc(sizeof(*r));
	r->backend = backend;
	r->state = state;
	r->server = mem_strndup(spec.p, spec.n);
	pthread_mutex_init(&r->lock, NULL);
	r->table = map_new(false);
	TAILQ_INIT(&r->pending);
	TAILQ_INIT(&r->known);
	r->refused[0] = lookup_refused(r, DNS_NXDOMAIN);
	r->refused[1] = lookup_refused(r, DNS_SERVFAIL);
	return r;
}

void
resolver_free(struct resolver **rp)
{
	struct resolver *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	r->backend->close(r->state);
	pthread_mutex_lock(&r->lock);
	assert(TAILQ_EMPTY(&r->pending));
	while (!TAILQ_EMPTY(&r->known))
		table_drop(r, TAILQ_FIRST(&r->known));
	pthread_mutex_unlock(&r->lock);
	lookup_unref(r->refused[0]);
	lookup_unref(r->refused[1]);
	map_free(&r->table, NULL);
	pthread_mutex_destroy(&r->lock);
	free(r->server);
	free(r);
}
