/*
 * The "sqlite:" store: memory decides, the writer's thread saves.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "service/store_backend.h"
#include "service/store_file.h"
#include "service/store_memory.h"
#include "service/store_row.h"
#include "service/store_writer.h"

#define SYNC_EVERY_MS  800
#define SWEEP_EVERY_MS 5000
#define LOG_BYTES      (32 * 1024 * 1024) /* or a sixteenth of all */
#define LOG_REST       (128 * 1024) /* what others may wait for */
#define KEEP_EVERY_MS  100
#define PASSES_MAX     8

struct store_sqlite {
	struct store_memory *memory;
	struct store_writer *writer;
	struct store_health *health;
	char *path;
	atomic_int_least64_t log_bytes;
	/* whoever saves has these alone */
	struct store_file *file; /* NULL: gone, to be made again */
	int64_t swept_ms;
	/* the keeper: the log to the disk and into the file, beside savers */
	pthread_t thread;
	bool running;
	atomic_bool unsynced, called;
	pthread_mutex_t keeping; /* the file may not be changed for another */
	pthread_cond_t wake;
	bool stop;
};

/* The last of the log; nobody saves now, and so it begins anew. */
static void
keep_last(void *arg)
{
	struct store_sqlite *s = arg;

	if (s->file && store_file_checkpoint(s->file) == 0)
		store_file_log_done(s->file);
}

/*
 * After a group, by who saved it: the keeper hears of a log that is long, and
 * where he can't keep up he is waited for, and helped.
 */
static void
keep_bounded(struct store_sqlite *s)
{
	int64_t log = store_file_log(s->file);

	if (log < s->log_bytes)
		return;
	if (log < s->log_bytes * 3 / 2) {
		if (!atomic_exchange(&s->called, true))
			pthread_cond_signal(&s->wake);
		return;
	}
	pthread_mutex_lock(&s->keeping);
	keep_last(s);
	pthread_mutex_unlock(&s->keeping);
}

/*
 * Carries the log over in passes while others write on.  Each leaves what was
 * written meanwhile; when that is little, or does not grow less, they are
 * held up for the rest.
 */
static void
keep_log(struct store_sqlite *s)
{
	int64_t rest = INT64_MAX;
	int pass = 0;

	while (rest > LOG_REST && pass++ < PASSES_MAX) {
		pthread_mutex_lock(&s->keeping);
		rest = s->file ? store_file_checkpoint(s->file) : 0;
		pthread_mutex_unlock(&s->keeping);
	}
	store_writer_alone(s->writer, keep_last, s);
}

static void *
keeper_main(void *arg)
{
	struct store_sqlite *s = arg;
	int64_t now, synced_ms = clock_mono_ms();
	struct timespec until;
	bool full;

	pthread_mutex_lock(&s->keeping);
	while (!s->stop) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += KEEP_EVERY_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&s->wake, &s->keeping, &until);
		s->called = false;
		full = s->file && store_file_log(s->file) >= s->log_bytes;
		now = clock_mono_ms();
		if (s->file && now - synced_ms >= SYNC_EVERY_MS &&
		    atomic_exchange(&s->unsynced, false)) {
			store_file_sync(s->file);
			synced_ms = now;
		}
		if (!full)
			continue;
		pthread_mutex_unlock(&s->keeping);
		keep_log(s);
		pthread_mutex_lock(&s->keeping);
	}
	pthread_mutex_unlock(&s->keeping);
	return NULL;
}

static bool
keeper_start(struct store_sqlite *s)
{
	s->running = pthread_create(&s->thread, NULL, keeper_main, s) == 0;
	return s->running;
}

static void
keeper_stop(struct store_sqlite *s)
{
	if (!s->running)
		return;
	pthread_mutex_lock(&s->keeping);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->keeping);
	pthread_join(s->thread, NULL);
}

/*
 * The file was deleted under us: a new one is made of what is in memory.  One
 * that somebody else put there is not ours to overwrite; a directory that is
 * away may come back with the file in it.
 */
static bool
file_renew(struct store_sqlite *s, struct buf *why)
{
	uint64_t secret[2];

	if (s->file != NULL && !store_file_missing(s->path)) {
		buf_printf(why, "%s: away, or replaced by another file",
		    s->path);
		return false;
	}
	store_file_close(&s->file);
	if ((s->file = store_file_open(s->path, why)) == NULL)
		return false;
	if (!store_file_fresh(s->file)) {
		store_file_close(&s->file);
		buf_printf(why, "%s: replaced by another file", s->path);
		return false;
	}
	store_row_secret(s->memory, secret, false);
	if (!store_file_set_secret(s->file, secret, why)) {
		store_file_close(&s->file);
		return false;
	}
	store_row_resave(s->memory);
	return true;
}

static bool
file_again(struct store_sqlite *s, struct buf *why)
{
	bool ok;

	if (s->file != NULL && store_file_there(s->file))
		return true;
	pthread_mutex_lock(&s->keeping);
	ok = file_renew(s, why);
	pthread_mutex_unlock(&s->keeping);
	return ok;
}

/* The rows of a group; ids[] is what they are called then. */
static bool
group_put(struct store_sqlite *s, struct store_cell **cells, size_t n,
    int64_t *ids, size_t *read, struct buf *why)
{
	struct store_row row;
	bool ok;

	if (!store_file_begin(s->file, why))
		return false;
	for (*read = 0; *read < n;) {
		store_row_read(s->memory, cells[*read], &row);
		(*read)++;
		ok = store_file_put(s->file, &row, why);
		store_row_free(&row);
		if (!ok)
			return false;
		ids[*read - 1] = row.id;
	}
	return store_file_commit(s->file, why);
}

static bool
group_save(struct store_sqlite *s, struct store_cell **cells, size_t n,
    struct buf *why)
{
	int64_t *ids = mem_alloc((n + 1) * sizeof(*ids));
	size_t read = 0;
	bool ok;

	ok = group_put(s, cells, n, ids, &read, why);
	if (!ok) {
		store_file_rollback(s->file);
		/* those not read yet are still marked as queued */
		for (size_t i = read; i < n; i++)
			store_row_hold(s->memory, cells[i]);
	}
	for (size_t i = 0; i < n; i++)
		if (ok)
			store_row_saved(s->memory, cells[i], ids[i]);
		else
			store_row_unsaved(s->memory, cells[i]);
	free(ids);
	return ok;
}

static bool
sqlite_save(void *arg, struct store_cell **cells, size_t n, struct buf *why)
{
	struct store_sqlite *s = arg;
	bool ok;

	if (!file_again(s, why)) {
		for (size_t i = 0; i < n; i++) {
			store_row_hold(s->memory, cells[i]);
			store_row_unsaved(s->memory, cells[i]);
		}
		return false;
	}
	if (n == 0)
		return store_file_probe(s->file, why);
	s->unsynced = true;
	ok = group_save(s, cells, n, why);
	keep_bounded(s);
	return ok;
}

static void
sqlite_tidy(void *arg)
{
	struct store_sqlite *s = arg;
	int64_t now = clock_mono_ms();

	if (now - s->swept_ms >= SWEEP_EVERY_MS) {
		store_file_sweep(s->file, clock_wall_ms());
		s->swept_ms = now;
	}
}

static const struct store_writer_ops writer_ops = {
	.save = sqlite_save,
	.tidy = sqlite_tidy,
};

static void
sqlite_close(void *arg)
{
	struct store_sqlite *s = arg;

	keeper_stop(s);
	store_writer_free(&s->writer);
	store_file_close(&s->file);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->keeping);
	store_memory_free(&s->memory);
	free(s->path);
	free(s);
}

static void *
sqlite_open(struct str where, struct store_health *health, struct buf *err)
{
	struct store_sqlite *s;
	struct store_journal journal = { .changed = store_writer_changed };
	pthread_condattr_t attr;

	if (where.n == 0 || memchr(where.p, '\0', where.n)) {
		buf_adds(err, "sqlite: needs the path of a file");
		return NULL;
	}
	s = mem_alloc(sizeof(*s));
	s->path = mem_strndup(where.p, where.n);
	s->health = health;
	s->log_bytes = LOG_BYTES;
	pthread_mutex_init(&s->keeping, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	s->writer = store_writer_new(&writer_ops, s, health);
	journal.arg = s->writer;
	s->memory = store_memory_new(&journal);
	/* what is on disk is read whole, whatever comes to be the maximum */
	store_memory_set_max(s->memory, UINT64_MAX);
	s->file = store_file_open(s->path, err);
	if (s->file && store_file_load(s->file, s->memory, err)) {
		if (store_writer_start(s->writer) && keeper_start(s))
			return s;
		buf_adds(err, "no thread for the store's writer");
	}
	sqlite_close(s);
	return NULL;
}

static bool
is_down(const struct store_sqlite *s)
{
	return atomic_load_explicit(&s->health->down, memory_order_relaxed);
}

static enum store_result
sqlite_reserve(void *arg, const struct store_window *w, size_t n,
    struct store_held **held, struct store_usage *usage)
{
	struct store_sqlite *s = arg;

	if (is_down(s))
		return STORE_DOWN;
	return store_memory_reserve(s->memory, w, n, held, usage);
}

static void
sqlite_change(void *arg, struct store_held *held, size_t index, uint64_t cost)
{
	struct store_sqlite *s = arg;

	store_memory_change(s->memory, held, index, cost);
}

static enum store_result
sqlite_commit(void *arg, struct store_held **helds[], size_t n)
{
	struct store_sqlite *s = arg;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (*helds[i] == NULL)
			continue;
		store_memory_commit(s->memory, *helds[i]);
		any = true;
	}
	if (!any)
		return STORE_OK;
	if (store_writer_wait(s->writer) != STORE_OK)
		return STORE_DOWN;
	for (size_t i = 0; i < n; i++)
		if (*helds[i])
			store_memory_keep(s->memory, helds[i]);
	return STORE_OK;
}

static void
sqlite_refund(void *arg, struct store_held **held)
{
	struct store_sqlite *s = arg;

	store_memory_refund(s->memory, held);
}

static void
sqlite_keep(void *arg, struct store_held **held)
{
	struct store_sqlite *s = arg;

	store_memory_keep(s->memory, held);
}

static enum store_result
sqlite_peek(void *arg, const struct store_window *w, struct store_usage *usage)
{
	struct store_sqlite *s = arg;

	return store_memory_peek(s->memory, w, usage);
}

static enum store_result
sqlite_count(void *arg, const struct store_window *w)
{
	struct store_sqlite *s = arg;
	enum store_result result = store_memory_count(s->memory, w);

	return is_down(s) ? STORE_DOWN : result;
}

static enum store_result
sqlite_note_put(void *arg, struct str space, struct str key, struct str value,
    int64_t expires_ms, bool claim)
{
	struct store_sqlite *s = arg;
	enum store_result result;

	result = store_memory_note_put(s->memory, space, key, value, expires_ms,
	    claim);
	return result == STORE_OK ? store_writer_wait(s->writer) : result;
}

static enum store_result
sqlite_note_get(void *arg, struct str space, struct str key, struct buf *value,
    int64_t *expires_ms)
{
	struct store_sqlite *s = arg;

	return store_memory_note_get(s->memory, space, key, value, expires_ms);
}

static enum store_result
sqlite_note_del(void *arg, struct str space, struct str key)
{
	struct store_sqlite *s = arg;
	enum store_result result;

	result = store_memory_note_del(s->memory, space, key);
	return result == STORE_OK ? store_writer_wait(s->writer) : result;
}

static void
sqlite_each(void *arg, bool (*seen)(void *, const struct store_seen *),
    void *seen_arg)
{
	struct store_sqlite *s = arg;

	store_memory_each(s->memory, seen, seen_arg);
}

static size_t
sqlite_clear(void *arg, struct str key)
{
	struct store_sqlite *s = arg;
	size_t n = store_memory_clear(s->memory, key);

	if (n)
		store_writer_wait(s->writer);
	return n;
}

static void
sqlite_set_max(void *arg, uint64_t bytes)
{
	struct store_sqlite *s = arg;

	s->log_bytes = bytes / 16 < LOG_BYTES ? bytes / 16 : LOG_BYTES;
	store_memory_set_max(s->memory, bytes);
}

static void
sqlite_stats(void *arg, struct store_stats *out)
{
	struct store_sqlite *s = arg;

	store_memory_stats(s->memory, out);
	out->disk_bytes = store_file_bytes(s->path);
	out->pending = store_writer_pending(s->writer);
}

const struct store_backend store_backend_sqlite = {
	.scheme = "sqlite:",
	.open = sqlite_open,
	.close = sqlite_close,
	.reserve = sqlite_reserve,
	.change = sqlite_change,
	.commit = sqlite_commit,
	.refund = sqlite_refund,
	.keep = sqlite_keep,
	.peek = sqlite_peek,
	.count = sqlite_count,
	.note_put = sqlite_note_put,
	.note_get = sqlite_note_get,
	.note_del = sqlite_note_del,
	.each = sqlite_each,
	.clear = sqlite_clear,
	.set_max = sqlite_set_max,
	.stats = sqlite_stats,
};
