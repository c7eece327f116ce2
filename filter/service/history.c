#define ZLIB_CONST
#include "service/history.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

#define APPLICATION_ID	0x70737448 /* "pstH" */
#define VERSION		1
#define GATHER_MS	1000
#define SYNC_MS		3000
#define BUSY_MS		100
#define ZIP_WINDOW_BITS 13
#define ZIP_MEM_LEVEL	6
#define RCPTS_MAX	(16 * 1024)
#define ADDRESS_MAX	1024
#define PRUNE_MAX	5000
#define EXPIRE_EVERY_MS (60 * 1000)

/* A record of the queue: its texts stand behind one another. */
struct item {
	struct item *next;
	int64_t at_ms;
	size_t nqueue_id, nsender, nrcpts, ntext;
	char bytes[];
};

struct history {
	char *path;
	sqlite3 *db;
	sqlite3_stmt *insert, *expire, *oldest;
	int64_t expired_ms;
	z_stream zip; /* kept: to set one up is dearer than a record */
	bool zip_ready;
	pthread_mutex_t db_lock; /* guards the above */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t work, done;
	pthread_t thread;
	bool started, stopping, hurry, failing;
	struct item *first, **last;
	size_t queued; /* bytes */
	uint64_t put, written; /* records */
	int64_t age_ms;
	uint64_t bytes;
};

/* --- the file ---------------------------------------------------------- */

static bool
file_error(struct history *h, struct buf *err)
{
	/* The first is the cause of the others. */
	if (err->n == 0)
		buf_printf(err, "%s: %s", h->path != NULL ? h->path : "history",
		    sqlite3_errmsg(h->db));
	return false;
}

static bool
file_exec(struct history *h, const char *sql, struct buf *err)
{
	return sqlite3_exec(h->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	    file_error(h, err);
}

static int64_t
file_number(struct history *h, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(h->db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static bool
file_create(struct history *h, struct buf *err)
{
	return file_exec(h,
	    "PRAGMA auto_vacuum = INCREMENTAL;"
	    "BEGIN IMMEDIATE;"
	    "CREATE TABLE message ("
	    "id INTEGER PRIMARY KEY, at INTEGER NOT NULL, queue_id TEXT, "
	    "sender TEXT NOT NULL, rcpts TEXT NOT NULL, "
	    "size INTEGER NOT NULL, record BLOB NOT NULL);"
	    "CREATE INDEX message_queue_id ON message (queue_id) "
	    "WHERE queue_id IS NOT NULL;"
	    "PRAGMA application_id = 1886614600;"
	    "PRAGMA user_version = 1;"
	    "COMMIT;",
	    err);
}

/* Nothing is written to a file that is not ours. */
static bool
file_check(struct history *h, struct buf *err)
{
	int64_t app = file_number(h, "PRAGMA application_id");
	int64_t version = file_number(h, "PRAGMA user_version");
	int64_t tables = file_number(h, "SELECT count(*) FROM sqlite_master");

	if (app < 0 || version < 0 || tables < 0)
		return file_error(h, err);
	if (app == 0 && version == 0 && tables == 0)
		return file_create(h, err);
	if (app == APPLICATION_ID && version == VERSION)
		return true;
	buf_printf(err, "%s: not a history of this version", h->path);
	return false;
}

static bool
file_open(struct history *h, struct buf *err)
{
	int fd, flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (h->path != NULL) {
		fd = open(h->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd == -1) {
			buf_printf(err, "%s: %s", h->path, strerror(errno));
			return false;
		}
		close(fd);
	}
	if (sqlite3_open_v2(h->path != NULL ? h->path : ":memory:", &h->db,
		flags, NULL) != SQLITE_OK)
		return file_error(h, err);
	sqlite3_busy_timeout(h->db, BUSY_MS);
	return file_exec(h, "PRAGMA locking_mode = EXCLUSIVE;", err) &&
	    file_check(h, err) &&
	    file_exec(h,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
		"PRAGMA journal_size_limit = 4194304;",
		err) &&
	    (sqlite3_prepare_v3(h->db,
		 "INSERT INTO message (at, queue_id, sender, rcpts, size, "
		 "record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		 -1, SQLITE_PREPARE_PERSISTENT, &h->insert,
		 NULL) == SQLITE_OK ||
		file_error(h, err)) &&
	    (sqlite3_prepare_v3(h->db,
		 "DELETE FROM message WHERE id IN "
		 "(SELECT id FROM message WHERE at < ?1 "
		 "ORDER BY id LIMIT ?2)",
		 -1, SQLITE_PREPARE_PERSISTENT, &h->expire,
		 NULL) == SQLITE_OK ||
		file_error(h, err)) &&
	    (sqlite3_prepare_v3(h->db,
		 "DELETE FROM message WHERE id IN "
		 "(SELECT id FROM message ORDER BY id LIMIT ?1)",
		 -1, SQLITE_PREPARE_PERSISTENT, &h->oldest,
		 NULL) == SQLITE_OK ||
		file_error(h, err));
}

static bool
run(struct history *h, sqlite3_stmt *st, struct buf *err)
{
	bool ok = sqlite3_step(st) == SQLITE_DONE || file_error(h, err);

	sqlite3_reset(st);
	return ok;
}

/* --- writing ----------------------------------------------------------- */

static void
bind_text(sqlite3_stmt *st, int at, const char *p, size_t n)
{
	sqlite3_bind_text(st, at, p, (int)n, SQLITE_STATIC);
}

/* 0: it could not; the record goes without its text. */
static size_t
pack(struct history *h, const char *text, size_t n, Bytef *out, size_t room)
{
	z_stream *z = &h->zip;

	if (!h->zip_ready)
		h->zip_ready =
		    deflateInit2(z, Z_BEST_SPEED, Z_DEFLATED, ZIP_WINDOW_BITS,
			ZIP_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
	if (!h->zip_ready || deflateReset(z) != Z_OK)
		return 0;
	z->next_in = (const Bytef *)text;
	z->avail_in = (uInt)n;
	z->next_out = out;
	z->avail_out = (uInt)room;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? z->total_out : 0;
}

static bool
write_item(struct history *h, const struct item *i, struct buf *err)
{
	const char *p = i->bytes;
	const char *text = p + i->nqueue_id + i->nsender + i->nrcpts;
	/* More than a window and a memory level as small can need. */
	size_t room = 2 * i->ntext + 1024;
	Bytef *packed = mem_alloc(room);
	bool ok;

	room = pack(h, text, i->ntext, packed, room);
	sqlite3_bind_int64(h->insert, 1, i->at_ms);
	if (i->nqueue_id > 0)
		bind_text(h->insert, 2, p, i->nqueue_id);
	else
		sqlite3_bind_null(h->insert, 2);
	bind_text(h->insert, 3, p + i->nqueue_id, i->nsender);
	bind_text(h->insert, 4, p + i->nqueue_id + i->nsender, i->nrcpts);
	sqlite3_bind_int64(h->insert, 5, (sqlite3_int64)i->ntext);
	sqlite3_bind_blob(h->insert, 6, packed, (int)room, SQLITE_STATIC);
	ok = run(h, h->insert, err);
	sqlite3_clear_bindings(h->insert);
	free(packed);
	return ok;
}

/* Pages in use; those that are free are used again. */
static uint64_t
file_bytes(struct history *h)
{
	int64_t pages = file_number(h, "PRAGMA page_count") -
	    file_number(h, "PRAGMA freelist_count");

	return pages > 0 ?
	    (uint64_t)pages * (uint64_t)file_number(h, "PRAGMA page_size") :
	    0;
}

/* Of the oldest as many as are too much, and a few more.  The rows stand
 * without gaps; no more at once than nobody who asks waits for. */
static int64_t
rows_too_many(struct history *h, uint64_t bytes)
{
	uint64_t used = file_bytes(h);
	int64_t rows;
	double part;

	if (used <= bytes)
		return 0;
	rows = file_number(h, "SELECT max(id) - min(id) + 1 FROM message");
	part = (double)(used - bytes) / (double)used + 0.02;
	rows = (int64_t)((double)rows * part) + 1;
	return rows < PRUNE_MAX ? rows : PRUNE_MAX;
}

static bool
prune(struct history *h, int64_t age_ms, uint64_t bytes, struct buf *err)
{
	int64_t now = clock_wall_ms();
	int64_t oldest = rows_too_many(h, bytes);
	bool ok = true;

	if (oldest > 0) {
		sqlite3_bind_int64(h->oldest, 1, oldest);
		ok = run(h, h->oldest, err);
	}
	if (!ok || now - h->expired_ms < EXPIRE_EVERY_MS)
		return ok;
	sqlite3_bind_int64(h->expire, 1, now - age_ms);
	sqlite3_bind_int64(h->expire, 2, PRUNE_MAX);
	ok = run(h, h->expire, err);
	if (sqlite3_changes(h->db) < PRUNE_MAX)
		h->expired_ms = now;
	return ok && file_exec(h, "PRAGMA incremental_vacuum(256);", err);
}

/* *kept: the items are in the file, whatever came of the pruning. */
static bool
write_group(struct history *h, struct item *items, int64_t age_ms,
    uint64_t bytes, bool *kept, struct buf *err)
{
	bool ok;

	pthread_mutex_lock(&h->db_lock);
	ok = file_exec(h, "BEGIN IMMEDIATE", err);
	for (; ok && items != NULL; items = items->next)
		ok = write_item(h, items, err);
	ok = ok && file_exec(h, "COMMIT", err);
	if (!ok && !sqlite3_get_autocommit(h->db))
		sqlite3_exec(h->db, "ROLLBACK", NULL, NULL, NULL);
	*kept = ok;
	/* Where the disk is full this makes room. */
	if (!prune(h, age_ms, bytes, err))
		ok = false;
	pthread_mutex_unlock(&h->db_lock);
	return ok;
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

/* Locked on entry and on return. */
static void
take_queue(struct history *h)
{
	struct item *items = h->first, *next;
	uint64_t last = h->put, bytes = h->bytes;
	int64_t age_ms = h->age_ms;
	struct buf err = BUF_INIT(1024);
	int64_t n = 0;
	bool ok, kept;

	h->first = NULL;
	h->last = &h->first;
	h->queued = 0;
	h->hurry = false;
	pthread_mutex_unlock(&h->lock);
	ok = write_group(h, items, age_ms, bytes, &kept, &err);
	for (; items != NULL; items = next, n++) {
		next = items->next;
		free(items);
	}
	if (!kept)
		metric_add(METRIC_HISTORY_LOST, n);
	/* Having had nothing to write does not make it well. */
	if (!ok || n > 0)
		tell_health(h, ok, err.n > 0 ? err.p : "failed");
	buf_free(&err);
	pthread_mutex_lock(&h->lock);
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

	pthread_mutex_init(&h->db_lock, NULL);
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
	h->path = path != NULL ? mem_strdup(path) : NULL;
	history_set(h, age_ms, bytes);
	if (file_open(h, err)) {
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
	sqlite3_finalize(h->insert);
	sqlite3_finalize(h->expire);
	sqlite3_finalize(h->oldest);
	sqlite3_close(h->db);
	if (h->zip_ready)
		deflateEnd(&h->zip);
	pthread_mutex_destroy(&h->db_lock);
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

static char *
add_lower(char *p, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		*p++ = (char)chr_lower((unsigned char)s.p[i]);
	return p;
}

void
history_put(struct history *h, const struct history_record *r)
{
	struct str id = str_sub(r->queue_id, 0, ADDRESS_MAX);
	struct str sender = str_sub(r->sender, 0, ADDRESS_MAX);
	struct str rcpts = str_sub(r->rcpts, 0, RCPTS_MAX);
	struct str text = str_sub(r->text, 0, HISTORY_RECORD_MAX);
	size_t n = sizeof(struct item) + id.n + sender.n + rcpts.n + text.n;
	struct item *i = mem_alloc(n);
	char *p = i->bytes;

	i->at_ms = r->at_ms;
	i->nqueue_id = id.n;
	i->nsender = sender.n;
	i->nrcpts = rcpts.n;
	i->ntext = text.n;
	memcpy(p, id.n > 0 ? id.p : "", id.n);
	p = add_lower(add_lower(p + id.n, sender), rcpts);
	memcpy(p, text.n > 0 ? text.p : "", text.n);
	pthread_mutex_lock(&h->lock);
	if (h->queued + n <= HISTORY_QUEUE_MAX) {
		*h->last = i;
		h->last = &i->next;
		h->queued += n;
		h->put++;
		i = NULL;
		if (h->queued >= HISTORY_QUEUE_MAX / 2)
			pthread_cond_signal(&h->work);
	}
	pthread_mutex_unlock(&h->lock);
	if (i != NULL)
		metric_inc(METRIC_HISTORY_LOST);
	free(i);
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

struct found {
	struct history_record *records;
	size_t n;
	struct buf text; /* all texts of all records */
};

static struct str
column(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);

	return (struct str){ p, (size_t)sqlite3_column_bytes(st, at) };
}

static void
add_text(struct found *f, sqlite3_stmt *st, struct history_record *r)
{
	struct str packed = column(st, 5);
	int64_t size = sqlite3_column_int64(st, 4);
	uLongf n;
	Bytef *text;

	if (size <= 0 || size > HISTORY_RECORD_MAX)
		return;
	n = (uLongf)size;
	text = mem_alloc(n);
	if (uncompress(text, &n, (const Bytef *)packed.p, packed.n) == Z_OK) {
		buf_add(&f->text, text, n);
		r->text.n = n;
	}
	free(text);
}

static void
add_found(struct found *f, sqlite3_stmt *st)
{
	struct history_record *r = &f->records[f->n++];
	struct str *texts[] = { &r->queue_id, &r->sender, &r->rcpts };

	r->at_ms = sqlite3_column_int64(st, 0);
	for (int i = 0; i < 3; i++) {
		*texts[i] = column(st, i + 1);
		buf_addstr(&f->text, *texts[i]);
	}
	add_text(f, st, r);
}

/* An index finds a queue id; addresses are looked for row by row, in columns
 * that stand before the record. */
static bool
select_rows(struct history *h, const struct history_query *q, struct found *f,
    struct buf *err)
{
	sqlite3_stmt *st = NULL;
	struct buf from = BUF_INIT(ADDRESS_MAX * 2), to = from;
	int rc;
	const char *sql = q->queue_id.n > 0 ?
	    "SELECT at, queue_id, sender, rcpts, size, record FROM message "
	    "WHERE queue_id = ?1 AND (?2 = '' OR sender = ?2) "
	    "AND (?3 = '' OR instr(rcpts, ?3)) ORDER BY id DESC LIMIT ?4" :
	    "SELECT at, queue_id, sender, rcpts, size, record FROM message "
	    "WHERE (?2 = '' OR sender = ?2) AND (?3 = '' OR instr(rcpts, ?3)) "
	    "AND ?1 = '' ORDER BY id DESC LIMIT ?4";

	if (sqlite3_prepare_v2(h->db, sql, -1, &st, NULL) != SQLITE_OK)
		return file_error(h, err);
	for (size_t i = 0; i < q->from.n; i++)
		buf_addc(&from, (char)chr_lower((unsigned char)q->from.p[i]));
	if (q->to.n > 0) {
		buf_addc(&to, ' ');
		for (size_t i = 0; i < q->to.n; i++)
			buf_addc(&to,
			    (char)chr_lower((unsigned char)q->to.p[i]));
		buf_addc(&to, ' ');
	}
	bind_text(st, 1, q->queue_id.n > 0 ? q->queue_id.p : "", q->queue_id.n);
	bind_text(st, 2, from.n > 0 ? from.p : "", from.n);
	bind_text(st, 3, to.n > 0 ? to.p : "", to.n);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)q->max);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && f->n < q->max)
		add_found(f, st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		file_error(h, err);
	sqlite3_finalize(st);
	buf_free(&from);
	buf_free(&to);
	return rc == SQLITE_DONE || rc == SQLITE_ROW;
}

bool
history_find(struct history *h, const struct history_query *q,
    bool (*found)(void *, const struct history_record *), void *arg,
    struct buf *err)
{
	struct found f = { .text = BUF_INIT(SIZE_MAX / 2) };
	const char *p;
	bool ok, more = true;

	sync_queue(h);
	f.records = mem_alloc((q->max + 1) * sizeof(*f.records));
	/* Whoever reads slowly keeps no lock meanwhile. */
	pthread_mutex_lock(&h->db_lock);
	ok = select_rows(h, q, &f, err);
	pthread_mutex_unlock(&h->db_lock);
	p = f.text.p;
	for (size_t i = 0; ok && i < f.n && more; i++) {
		struct history_record *r = &f.records[i];
		struct str *texts[] = { &r->queue_id, &r->sender, &r->rcpts,
			&r->text };

		for (int k = 0; k < 4; k++) {
			texts[k]->p = p;
			p += texts[k]->n;
		}
		more = found(arg, r);
	}
	free(f.records);
	buf_free(&f.text);
	return ok;
}
