#include "service/history.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "service/history_file.h"

#define GATHER_MS	  1000
#define SYNC_MS		  3000
#define RCPTS_MAX	  (16 * 1024)
#define ADDRESS_MAX	  1024
#define REFUSED_QUEUE_MAX (HISTORY_QUEUE_MAX / 2)

/* What was refused, for as long as the same is counted with it. */
struct repeat {
	uint64_t hash; /* its key's */
	int64_t first_ms, last_ms; /* monotonic */
	int64_t until_ms;
	uint64_t times;
	bool told; /* the file has it so */
	int64_t row; /* 0: it is in no file.  The writer's own. */
};

/* A record of the queue with its texts. */
struct item {
	struct item *next;
	struct history_record r;
	struct repeat *repeat; /* NULL: a message */
	char bytes[];
};

/* A repeat as it was when the writer took what had gathered. */
struct count {
	struct repeat *repeat;
	uint64_t times;
	int64_t until_ms;
	bool over; /* nobody counts with it any more */
	bool changed;
};

/* What the writer writes at once. */
struct batch {
	struct item *items;
	struct count *counts;
	size_t ncounts;
	bool kept; /* it is in the file, whatever came of the pruning */
};

struct history {
	char *path;
	struct history_file *file;
	pthread_mutex_t file_lock; /* guards the file */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t work, done;
	pthread_t thread;
	bool started, stopping, hurry, failing;
	struct item *first, **last;
	size_t queued, queued_refused; /* bytes */
	struct map *repeats;
	unsigned int generation; /* of the rows that repeats have; writer's */
	uint64_t put, written; /* what was told, and is in the file */
	int64_t age_ms;
	uint64_t bytes;
};

/* --- what is refused again and again ----------------------------------- */

static struct str
repeat_name(const uint64_t *hash)
{
	return (struct str){ (const char *)hash, sizeof(*hash) };
}

/* Locked.  NULL: it is new. */
static struct repeat *
repeat_find(struct history *h, uint64_t hash)
{
	return map_get(h->repeats, repeat_name(&hash));
}

static void
repeat_count(struct history *h, struct repeat *r, int64_t at_ms)
{
	r->times++;
	r->until_ms = at_ms;
	r->last_ms = clock_mono_ms();
	r->told = false;
	h->put++;
}

/* Locked. */
static struct repeat *
repeat_new(struct history *h, uint64_t hash, int64_t at_ms)
{
	struct repeat *r = mem_alloc(sizeof(*r));

	*r = (struct repeat){ .hash = hash,
		.first_ms = clock_mono_ms(),
		.last_ms = clock_mono_ms(),
		.until_ms = at_ms,
		.times = 1,
		.told = true };
	map_put(h->repeats, repeat_name(&r->hash), r);
	return r;
}

static bool
repeats_full(const struct history *h)
{
	return map_count(h->repeats) >= HISTORY_REPEATS;
}

bool
history_again(struct history *h, struct str key, int64_t at_ms)
{
	uint64_t hash = str_hash(key);
	struct repeat *r;
	bool full;

	pthread_mutex_lock(&h->lock);
	r = repeat_find(h, hash);
	full = r == NULL && repeats_full(h);
	if (r != NULL)
		repeat_count(h, r, at_ms);
	pthread_mutex_unlock(&h->lock);
	if (full)
		metric_inc(METRIC_HISTORY_LEFT_OUT);
	return r != NULL || full;
}

/* Locked.  Those that are over leave the map: their last count is written. */
static void
take_repeats(struct history *h, struct batch *b)
{
	int64_t now = clock_mono_ms();
	struct map_iter it = { 0 };
	struct str name;
	void *value;

	b->counts = mem_alloc((map_count(h->repeats) + 1) * sizeof(*b->counts));
	while (map_next(h->repeats, &it, &name, &value)) {
		struct repeat *r = value;
		struct count *c = &b->counts[b->ncounts++];

		*c = (struct count){ .repeat = r,
			.times = r->times,
			.until_ms = r->until_ms,
			.over = now - r->last_ms > HISTORY_AGAIN_MS ||
			    now - r->first_ms > HISTORY_ROW_MS,
			.changed = !r->told };
		r->told = true;
		if (c->over)
			map_del(h->repeats, name);
	}
}

/* Locked.  What did not come into the file begins anew. */
static void
drop_repeats(struct history *h, struct batch *b)
{
	for (size_t i = 0; i < b->ncounts; i++) {
		struct repeat *r = b->counts[i].repeat;

		if (!b->counts[i].over && r->row != 0)
			continue;
		if (!b->counts[i].over)
			map_del(h->repeats, repeat_name(&r->hash));
		free(r);
	}
	free(b->counts);
}

/* --- writing ----------------------------------------------------------- */

/* Rows of a file that was moved aside, or rolled back, are none. */
static void
forget_rows(struct batch *b)
{
	for (size_t i = 0; i < b->ncounts; i++)
		b->counts[i].repeat->row = 0;
}

static bool
write_rows(struct history *h, struct batch *b, struct buf *err)
{
	bool ok = history_file_begin(h->file, err);

	if (h->generation != history_file_generation(h->file))
		forget_rows(b);
	h->generation = history_file_generation(h->file);
	for (struct item *i = b->items; ok && i != NULL; i = i->next) {
		int64_t row = 0;

		ok = history_file_put(h->file, &i->r, &row, err);
		if (ok && i->repeat != NULL)
			i->repeat->row = row;
	}
	for (size_t i = 0; ok && i < b->ncounts; i++) {
		const struct count *c = &b->counts[i];

		if (c->changed && c->repeat->row != 0)
			ok = history_file_again(h->file, c->repeat->row,
			    c->times, c->until_ms, err);
	}
	return history_file_end(h->file, ok, err);
}

static bool
write_batch(struct history *h, struct batch *b, int64_t age_ms, uint64_t bytes,
    struct buf *err)
{
	bool pruned;

	pthread_mutex_lock(&h->file_lock);
	b->kept = write_rows(h, b, err) ||
	    (history_file_renew(h->file, err) && write_rows(h, b, err));
	if (!b->kept)
		forget_rows(b);
	/* Where the disk is full this makes room. */
	pruned = history_file_prune(h->file, age_ms, bytes, err) ||
	    history_file_renew(h->file, err);
	pthread_mutex_unlock(&h->file_lock);
	return pruned && b->kept;
}

static struct timespec
from_now(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* Says it once when it begins to fail, and once when it is well again. */
static void
tell_health(struct history *h, bool ok, const char *why)
{
	const char *name = h->path != NULL ? h->path : "memory";

	if (ok == !h->failing)
		return;
	h->failing = !ok;
	if (ok)
		log_event(LOG_EV_STORE, "history=%s state=back", name);
	else
		log_event(LOG_EV_STORE, "history=%s state=down why=%s", name,
		    why);
}

static size_t
free_items(struct item *items)
{
	struct item *next;
	size_t n = 0;

	for (; items != NULL; items = next, n++) {
		next = items->next;
		free(items);
	}
	return n;
}

/* Locked on entry and on return. */
static void
take_queue(struct history *h)
{
	struct batch b = { .items = h->first };
	uint64_t last = h->put, bytes = h->bytes;
	int64_t age_ms = h->age_ms;
	struct buf err = BUF_INIT(1024);
	size_t n;
	bool ok;

	h->first = NULL;
	h->last = &h->first;
	h->queued = h->queued_refused = 0;
	h->hurry = false;
	take_repeats(h, &b);
	pthread_mutex_unlock(&h->lock);
	ok = write_batch(h, &b, age_ms, bytes, &err);
	n = free_items(b.items);
	if (!b.kept)
		metric_add(METRIC_HISTORY_LOST, (int64_t)n);
	/* Having had nothing to write does not make it well. */
	if (!ok || n > 0)
		tell_health(h, ok, err.n > 0 ? err.p : "failed");
	buf_free(&err);
	pthread_mutex_lock(&h->lock);
	drop_repeats(h, &b);
	h->written = last;
	pthread_cond_broadcast(&h->done);
}

static void *
writer_main(void *arg)
{
	struct history *h = arg;
	struct timespec until;
	bool stopping;

	pthread_mutex_lock(&h->lock);
	do {
		until = from_now(GATHER_MS);
		while (!h->stopping && !h->hurry &&
		    h->queued < HISTORY_QUEUE_MAX / 2 &&
		    pthread_cond_timedwait(&h->work, &h->lock, &until) == 0)
			continue;
		stopping = h->stopping;
		take_queue(h);
	} while (!stopping);
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* --- what others call -------------------------------------------------- */

static void
init_locks(struct history *h)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&h->file_lock, NULL);
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->work, &attr);
	pthread_cond_init(&h->done, &attr);
	pthread_condattr_destroy(&attr);
}

struct history *
history_open(const char *path, int64_t age_ms, uint64_t bytes, struct buf *err)
{
	struct history *h = mem_alloc(sizeof(*h));

	init_locks(h);
	h->last = &h->first;
	h->repeats = map_new(false);
	h->path = path != NULL ? mem_strdup(path) : NULL;
	history_set(h, age_ms, bytes);
	h->file = history_file_open(path, err);
	if (h->file != NULL) {
		h->generation = history_file_generation(h->file);
		h->started =
		    pthread_create(&h->thread, NULL, writer_main, h) == 0;
		if (!h->started)
			buf_adds(err, "no thread for the history");
	}
	if (!h->started)
		history_close(&h);
	return h;
}

void
history_close(struct history **hp)
{
	struct history *h = *hp;

	if (h == NULL)
		return;
	if (h->started) {
		pthread_mutex_lock(&h->lock);
		h->stopping = true;
		pthread_cond_signal(&h->work);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
	}
	history_file_close(&h->file);
	map_free(&h->repeats, free);
	pthread_mutex_destroy(&h->file_lock);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->done);
	free(h->path);
	free(h);
	*hp = NULL;
}

void
history_set(struct history *h, int64_t age_ms, uint64_t bytes)
{
	if (h->path == NULL && bytes > HISTORY_MEMORY_MAX)
		bytes = HISTORY_MEMORY_MAX;
	pthread_mutex_lock(&h->lock);
	h->age_ms = age_ms;
	h->bytes = bytes;
	pthread_mutex_unlock(&h->lock);
}

/* Copies a text to *p, which moves on. */
static struct str
item_text(char **p, struct str s)
{
	struct str copy = { *p, s.n };

	if (s.n > 0)
		memcpy(*p, s.p, s.n);
	*p += s.n;
	return copy;
}

static struct str
item_lower(char **p, struct str s)
{
	struct str copy = item_text(p, s);

	for (char *c = *p - s.n; c < *p; c++)
		*c = (char)chr_lower((unsigned char)*c);
	return copy;
}

static struct item *
item_new(const struct history_record *r, size_t *bytes)
{
	struct str id = str_sub(r->queue_id, 0, ADDRESS_MAX);
	struct str client = str_sub(r->client, 0, ADDRESS_MAX);
	struct str sender = str_sub(r->sender, 0, ADDRESS_MAX);
	struct str rcpts = str_sub(r->rcpts, 0, RCPTS_MAX);
	struct str text = str_sub(r->text, 0, HISTORY_RECORD_MAX);
	struct item *i;
	char *p;

	*bytes = sizeof(*i) + id.n + client.n + sender.n + rcpts.n + text.n;
	i = mem_alloc(*bytes);
	p = i->bytes;
	i->r.at_ms = r->at_ms;
	i->r.refused = r->refused;
	i->r.queue_id = item_text(&p, id);
	i->r.client = item_text(&p, client);
	i->r.sender = item_lower(&p, sender);
	i->r.rcpts = item_lower(&p, rcpts);
	i->r.text = item_text(&p, text);
	return i;
}

/* Locked. */
static bool
has_room(const struct history *h, bool refused, size_t bytes)
{
	if (h->queued + bytes > HISTORY_QUEUE_MAX)
		return false;
	return !refused ||
	    (h->queued_refused + bytes <= REFUSED_QUEUE_MAX &&
		!repeats_full(h));
}

static void
enqueue(struct history *h, struct item *i, size_t bytes)
{
	*h->last = i;
	h->last = &i->next;
	h->queued += bytes;
	if (i->r.refused)
		h->queued_refused += bytes;
	h->put++;
	if (h->queued >= HISTORY_QUEUE_MAX / 2)
		pthread_cond_signal(&h->work);
}

void
history_put(struct history *h, const struct history_record *r)
{
	uint64_t hash = r->refused ? str_hash(r->key) : 0;
	struct repeat *same = NULL;
	size_t bytes;
	struct item *i = item_new(r, &bytes);
	bool room;

	pthread_mutex_lock(&h->lock);
	/* Another thread may have come first. */
	if (r->refused && (same = repeat_find(h, hash)) != NULL)
		repeat_count(h, same, r->at_ms);
	room = same == NULL && has_room(h, r->refused, bytes);
	if (room && r->refused)
		i->repeat = repeat_new(h, hash, r->at_ms);
	if (room)
		enqueue(h, i, bytes);
	pthread_mutex_unlock(&h->lock);
	if (room)
		return;
	free(i);
	if (same == NULL)
		metric_inc(
		    r->refused ? METRIC_HISTORY_LEFT_OUT : METRIC_HISTORY_LOST);
}

/* --- finding ----------------------------------------------------------- */

/* Until all that was put before is in the file. */
static void
sync_queue(struct history *h)
{
	struct timespec until = from_now(SYNC_MS);
	uint64_t mine;

	pthread_mutex_lock(&h->lock);
	mine = h->put;
	h->hurry = true;
	pthread_cond_signal(&h->work);
	while (h->written < mine &&
	    pthread_cond_timedwait(&h->done, &h->lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&h->lock);
}

bool
history_find(struct history *h, const struct history_query *q,
    bool (*found)(void *, const struct history_record *), void *arg,
    struct buf *err)
{
	struct history_found f;
	bool ok, more = true;

	sync_queue(h);
	/* Whoever reads slowly keeps no lock meanwhile. */
	pthread_mutex_lock(&h->file_lock);
	ok = history_file_find(h->file, q, &f, err);
	if (!ok && history_file_renew(h->file, err))
		buf_printf(err,
		    "%s was damaged: it is moved aside, and a new one begun",
		    h->path);
	pthread_mutex_unlock(&h->file_lock);
	for (size_t i = 0; ok && i < f.n && more; i++)
		more = found(arg, &f.records[i]);
	history_found_free(&f);
	return ok;
}
