#include "service/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define APPLICATION_ID 0x50737472 /* "Pstr" */
#define BUSY_MS	       200
#define PAGE_SIZE      1024 /* a row is 100 bytes; the log has whole pages */
#define SWEEP_ROWS     500

#define TABLES(X)                                                  \
	X(COUNTER, "counter",                                      \
	    "INSERT OR REPLACE INTO counter"                       \
	    "(id, space, key, expires_ms, window_ms, head, slots)" \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                \
	X(NOTE, "note",                                            \
	    "INSERT OR REPLACE INTO note"                          \
	    "(id, space, key, expires_ms, value)"                  \
	    " VALUES (?1, ?2, ?3, ?4, ?5)")

static const char *const table_put[] = {
#define X(id, name, put) [STORE_##id] = put,
	TABLES(X)
#undef X
};

static const char *const table_delete[] = {
#define X(id, name, put) [STORE_##id] = "DELETE FROM " name " WHERE id = ?1",
	TABLES(X)
#undef X
};

static const char *const table_sweep[] = {
#define X(id, name, put)                   \
	[STORE_##id] = "DELETE FROM " name \
		       " WHERE id > ?1 AND id <= ?2 AND expires_ms <= ?3",
	TABLES(X)
#undef X
};

static const char *const table_span[] = {
#define X(id, name, put)                                           \
	[STORE_##id] = "SELECT max(id) FROM (SELECT id FROM " name \
		       " WHERE id > ?1 ORDER BY id LIMIT ?2)",
	TABLES(X)
#undef X
};

/* What makes a file of version N out of one of version N - 1. */
static const char *const schema[] = {
	"CREATE TABLE counter (id INTEGER PRIMARY KEY, space TEXT NOT NULL,"
	" key BLOB NOT NULL, expires_ms INTEGER NOT NULL,"
	" window_ms INTEGER NOT NULL, head INTEGER NOT NULL,"
	" slots BLOB NOT NULL);"
	"CREATE TABLE note (id INTEGER PRIMARY KEY, space TEXT NOT NULL,"
	" key BLOB NOT NULL, expires_ms INTEGER NOT NULL,"
	" value BLOB NOT NULL)",
	"CREATE TABLE member (counter INTEGER NOT NULL, hash INTEGER NOT NULL,"
	" last INTEGER NOT NULL, PRIMARY KEY (counter, hash)) WITHOUT ROWID;"
	"CREATE TABLE secret (half INTEGER PRIMARY KEY,"
	" value INTEGER NOT NULL)",
};

/* The different members of counters whose slots are NULL. */
enum member_statement {
	MEMBER_PUT,
	MEMBER_DELETE,
	MEMBER_CLEAR,
	MEMBER_SWEEP,
	MEMBER_GET,
	MEMBER_STATEMENTS
};

static const char *const member_sql[MEMBER_STATEMENTS] = {
	[MEMBER_PUT] = "INSERT OR REPLACE INTO member(counter, hash, last)"
		       " VALUES (?1, ?2, ?3)",
	[MEMBER_DELETE] = "DELETE FROM member WHERE counter = ?1 AND hash = ?2",
	[MEMBER_CLEAR] = "DELETE FROM member WHERE counter = ?1",
	/* those of counters that are gone as well */
	[MEMBER_SWEEP] = "DELETE FROM member WHERE counter > ?1"
			 " AND counter <= ?2 AND last + 60 < coalesce((SELECT"
			 " head FROM counter WHERE id = member.counter),"
			 " 9223372036854775807)",
	[MEMBER_GET] = "SELECT hash, last FROM member WHERE counter = ?1",
};

#define SCHEMA_VERSION ((int64_t)(sizeof(schema) / sizeof(schema[0])))

struct store_file {
	sqlite3 *db;
	sqlite3 *keeper; /* for checkpoints, beside those who write */
	int lock; /* held against other processes */
	char *path;
	dev_t dev;
	ino_t ino;
	int64_t next_id;
	int64_t swept[2]; /* up to which row, each table */
	atomic_int log_pages; /* not carried over yet */
	int64_t page_size;
	bool fresh; /* was empty when opened */
	sqlite3_stmt *begin, *commit, *rollback;
	sqlite3_stmt *put[2], *delete[2], *sweep[2], *span[2];
	sqlite3_stmt *member[MEMBER_STATEMENTS];
};

static bool
file_error(struct store_file *f, struct buf *err)
{
	buf_printf(err, "%s: %s", f->path, sqlite3_errmsg(f->db));
	return false;
}

static bool
file_exec(struct store_file *f, const char *sql, struct buf *err)
{
	if (sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return file_error(f, err);
}

/* The one value that a statement gives, as text of at most 200 bytes. */
static bool
file_ask(struct store_file *f, const char *sql, char out[200], struct buf *err)
{
	sqlite3_stmt *st = NULL;
	const char *text;
	bool ok = false;

	out[0] = '\0';
	if (sqlite3_prepare_v2(f->db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 0);
		snprintf(out, 200, "%s", text ? text : "");
		ok = true;
	}
	if (!ok && sqlite3_errcode(f->db) == SQLITE_BUSY)
		buf_printf(err, "%s: in use by another process", f->path);
	else if (!ok)
		file_error(f, err);
	sqlite3_finalize(st);
	return ok;
}

static bool
file_ask_int(struct store_file *f, const char *sql, int64_t *out,
    struct buf *err)
{
	char text[200];

	if (!file_ask(f, sql, text, err))
		return false;
	*out = strtoll(text, NULL, 10);
	return true;
}

/* Ours, whole, and of a version we know; or empty. */
static bool
file_check(struct store_file *f, int64_t *version, struct buf *err)
{
	int64_t application, tables;
	char said[200];

	if (!file_ask_int(f, "PRAGMA application_id", &application, err) ||
	    !file_ask_int(f, "PRAGMA user_version", version, err) ||
	    !file_ask_int(f, "SELECT count(*) FROM sqlite_master", &tables,
		err))
		return false;
	if (application != APPLICATION_ID &&
	    (application || *version || tables)) {
		buf_printf(err, "%s: a database of another program", f->path);
		return false;
	}
	if (*version > SCHEMA_VERSION) {
		buf_printf(err,
		    "%s: written by a newer version (schema %lld, known %lld)",
		    f->path, (long long)*version, (long long)SCHEMA_VERSION);
		return false;
	}
	if (!file_ask(f, "PRAGMA quick_check(1)", said, err))
		return false;
	if (strcmp(said, "ok") != 0) {
		buf_printf(err, "%s: damaged: %s", f->path, said);
		return false;
	}
	return true;
}

static bool
file_migrate(struct store_file *f, int64_t version, struct buf *err)
{
	char sql[120];

	if (!file_exec(f, "BEGIN IMMEDIATE", err))
		return false;
	for (; version < SCHEMA_VERSION; version++)
		if (!file_exec(f, schema[version], err))
			return false;
	snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
	    APPLICATION_ID, (int)SCHEMA_VERSION);
	return file_exec(f, sql, err);
}

static bool
file_prepare(struct store_file *f, const char *sql, sqlite3_stmt **st,
    struct buf *err)
{
	if (sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st,
		NULL) == SQLITE_OK)
		return true;
	return file_error(f, err);
}

static bool
file_prepare_all(struct store_file *f, struct buf *err)
{
	for (int i = 0; i < 2; i++)
		if (!file_prepare(f, table_put[i], &f->put[i], err) ||
		    !file_prepare(f, table_delete[i], &f->delete[i], err) ||
		    !file_prepare(f, table_sweep[i], &f->sweep[i], err) ||
		    !file_prepare(f, table_span[i], &f->span[i], err))
			return false;
	for (int i = 0; i < MEMBER_STATEMENTS; i++)
		if (!file_prepare(f, member_sql[i], &f->member[i], err))
			return false;
	return file_prepare(f, "BEGIN IMMEDIATE", &f->begin, err) &&
	    file_prepare(f, "COMMIT", &f->commit, err) &&
	    file_prepare(f, "ROLLBACK", &f->rollback, err);
}

static int
on_log_grown(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store_file *f = arg;

	(void)db;
	(void)name;
	f->log_pages = pages;
	return SQLITE_OK;
}

static bool
file_connect(struct store_file *f, sqlite3 **db, struct buf *err)
{
	if (sqlite3_open_v2(f->path, db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK) {
		buf_printf(err, "%s: %s", f->path, sqlite3_errmsg(*db));
		return false;
	}
	sqlite3_extended_result_codes(*db, 0);
	sqlite3_busy_timeout(*db, BUSY_MS);
	return true;
}

/*
 * A connection that has the file alone finds out whether it is ours, and
 * writes nothing: not even a leftover log of a foreign file is merged into
 * it.  While it has it alone our own lock is taken, which then keeps other
 * processes out: closing it would drop SQLite's locks if there were any.
 */
static bool
file_claim(struct store_file *f, int64_t *version, struct buf *err)
{
	char said[200];
	bool ok;

	if (!file_connect(f, &f->db, err))
		return false;
	sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	ok = file_ask(f, "PRAGMA locking_mode = EXCLUSIVE", said, err) &&
	    file_check(f, version, err);
	if (ok) {
		f->lock = open(f->path, O_RDONLY | O_CLOEXEC);
		if (f->lock < 0 || flock(f->lock, LOCK_EX | LOCK_NB) != 0) {
			buf_printf(err, "%s: in use by another process",
			    f->path);
			ok = false;
		}
	}
	sqlite3_close(f->db);
	f->db = NULL;
	return ok;
}

static bool
file_setup_keeper(struct store_file *f, struct buf *err)
{
	if (!file_connect(f, &f->keeper, err))
		return false;
	/* the first that is asked opens the log */
	if (sqlite3_exec(f->keeper,
		"PRAGMA synchronous = NORMAL; PRAGMA user_version", NULL, NULL,
		NULL) == SQLITE_OK)
		return true;
	buf_printf(err, "%s: %s", f->path, sqlite3_errmsg(f->keeper));
	return false;
}

static bool
file_setup(struct store_file *f, struct buf *err)
{
	int64_t version, rows;
	char said[200], sql[60];

	snprintf(sql, sizeof(sql), "PRAGMA page_size = %d", PAGE_SIZE);
	if (!file_claim(f, &version, err) || !file_connect(f, &f->db, err) ||
	    !file_exec(f, sql, err) ||
	    !file_ask(f, "PRAGMA journal_mode = WAL", said, err))
		return false;
	if (strcmp(said, "wal") != 0) {
		buf_printf(err, "%s: no write-ahead log is possible there",
		    f->path);
		return false;
	}
	sqlite3_wal_hook(f->db, on_log_grown, f);
	if (!file_exec(f, "PRAGMA synchronous = NORMAL", err) ||
	    !file_migrate(f, version, err) || !file_prepare_all(f, err) ||
	    !file_ask_int(f,
		"SELECT EXISTS (SELECT 1 FROM counter)"
		" + EXISTS (SELECT 1 FROM note)",
		&rows, err) ||
	    !file_ask_int(f, "PRAGMA page_size", &f->page_size, err) ||
	    !file_setup_keeper(f, err))
		return false;
	f->fresh = rows == 0;
	return true;
}

/* The log of a file that is gone would be taken for the new one's. */
static void
file_drop_log(const char *path)
{
	struct buf log = BUF_INIT(PATH_MAX);

	buf_printf(&log, "%s-wal", path);
	if (!log.failed)
		unlink(log.p);
	buf_free(&log);
}

/*
 * Makes the file if it is not there.  One that is there is not opened here:
 * closing it would drop the locks that this process may have on it.
 */
static bool
file_create(struct store_file *f, struct buf *err)
{
	struct stat sb;
	char *slash, *dir, text[128];
	int fd, error;

	if (stat(f->path, &sb) == 0) {
		f->dev = sb.st_dev;
		f->ino = sb.st_ino;
		if (S_ISREG(sb.st_mode))
			return true;
		buf_printf(err, "%s: not a file", f->path);
		return false;
	}
	fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		file_drop_log(f->path);
		fstat(fd, &sb);
		close(fd);
		f->dev = sb.st_dev;
		f->ino = sb.st_ino;
		return true;
	}
	error = errno;
	dir = mem_strdup(f->path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir)
		*slash = '\0';
	if (error == ENOENT && slash)
		buf_printf(err, "%s: there is no directory %s", f->path, dir);
	else
		buf_printf(err, "%s: %s", f->path,
		    strerror_r(error, text, sizeof(text)));
	free(dir);
	return false;
}

struct store_file *
store_file_open(const char *path, struct buf *err)
{
	struct store_file *f = mem_alloc(sizeof(*f));

	f->path = mem_strdup(path);
	f->next_id = 1;
	f->lock = -1;
	if (!file_create(f, err) || !file_setup(f, err))
		store_file_close(&f);
	return f;
}

void
store_file_close(struct store_file **fp)
{
	struct store_file *f = *fp;

	if (f == NULL)
		return;
	sqlite3_finalize(f->begin);
	sqlite3_finalize(f->commit);
	sqlite3_finalize(f->rollback);
	for (int i = 0; i < 2; i++) {
		sqlite3_finalize(f->put[i]);
		sqlite3_finalize(f->delete[i]);
		sqlite3_finalize(f->sweep[i]);
		sqlite3_finalize(f->span[i]);
	}
	for (int i = 0; i < MEMBER_STATEMENTS; i++)
		sqlite3_finalize(f->member[i]);
	sqlite3_close(f->keeper);
	sqlite3_close(f->db);
	if (f->lock >= 0)
		close(f->lock);
	free(f->path);
	free(f);
	*fp = NULL;
}

bool
store_file_fresh(const struct store_file *f)
{
	return f->fresh;
}

bool
store_file_there(const struct store_file *f)
{
	struct stat sb;

	return stat(f->path, &sb) == 0 && sb.st_dev == f->dev &&
	    sb.st_ino == f->ino;
}

bool
store_file_missing(const char *path)
{
	char *dir = mem_strdup(path), *slash = strrchr(dir, '/');
	struct stat sb;
	bool missing;

	missing = stat(path, &sb) != 0 && errno == ENOENT;
	if (slash != NULL) {
		slash[slash == dir] = '\0';
		missing = missing && stat(dir, &sb) == 0;
	}
	free(dir);
	return missing;
}

static struct str
column_str(sqlite3_stmt *st, int column)
{
	const void *p = sqlite3_column_blob(st, column);

	return (struct str){ p, sqlite3_column_bytes(st, column) };
}

/* Column order of both SELECTs below; false: the row is damaged. */
static bool
row_of(sqlite3_stmt *st, enum store_kind kind, struct store_row *row)
{
	struct str blob = column_str(st, 4);

	row->kind = kind;
	row->distinct = false;
	row->nmembers = 0;
	row->members = NULL;
	row->id = sqlite3_column_int64(st, 0);
	row->space = column_str(st, 1);
	row->key = column_str(st, 2);
	row->expires_ms = sqlite3_column_int64(st, 3);
	if (row->space.n > UINT16_MAX || row->key.n > STORE_KEY_MAX)
		return false;
	if (kind == STORE_NOTE) {
		row->nvalue = blob.n;
		if (blob.n > sizeof(row->value))
			return false;
		if (blob.n)
			memcpy(row->value, blob.p, blob.n);
		return true;
	}
	row->window_ms = sqlite3_column_int64(st, 5);
	row->head = sqlite3_column_int64(st, 6);
	row->nslots = blob.n / sizeof(row->slots[0]);
	row->distinct = blob.n == 0;
	if (blob.n > sizeof(row->slots) || blob.n % sizeof(row->slots[0]) != 0)
		return false;
	if (blob.n)
		memcpy(row->slots, blob.p, blob.n);
	return true;
}

static bool
file_run(struct store_file *f, sqlite3_stmt *st, struct buf *why)
{
	bool ok = sqlite3_step(st) == SQLITE_DONE;

	if (!ok)
		file_error(f, why);
	sqlite3_reset(st);
	return ok;
}

static bool
file_load_members(struct store_file *f, struct store_row *row, struct buf *err)
{
	sqlite3_stmt *st = f->member[MEMBER_GET];
	size_t cap = 0;
	int rc;

	sqlite3_bind_int64(st, 1, row->id);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW &&
	    row->nmembers < MEMBERS_MAX) {
		if (row->nmembers == cap) {
			cap = cap ? cap * 2 : 16;
			row->members = mem_resize(row->members,
			    cap * sizeof(*row->members));
		}
		row->members[row->nmembers++] =
		    (struct member_row){ sqlite3_column_int64(st, 0),
			    sqlite3_column_int64(st, 1) };
	}
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		file_error(f, err);
	sqlite3_reset(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW;
}

static bool
file_delete_id(struct store_file *f, enum store_kind kind, int64_t id,
    struct buf *why)
{
	sqlite3_stmt *st = f->delete[kind], *all = f->member[MEMBER_CLEAR];

	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(all, 1, id);
	return file_run(f, st, why) &&
	    (kind == STORE_NOTE || file_run(f, all, why));
}

static bool
file_load_row(struct store_file *f, struct store_memory *m,
    struct store_row *row, struct buf *err)
{
	bool ok, twice;

	if (row->distinct && !file_load_members(f, row, err)) {
		store_row_free(row);
		return false;
	}
	ok = store_row_load(m, row, &twice);
	store_row_free(row);
	if (!ok)
		buf_printf(err, "%s: damaged: row %lld makes no sense", f->path,
		    (long long)row->id);
	return ok && (!twice || file_delete_id(f, row->kind, row->id, err));
}

static bool
file_load_table(struct store_file *f, enum store_kind kind,
    struct store_memory *m, struct buf *err)
{
	const char *sql = kind == STORE_COUNTER ?
	    "SELECT id, space, key, expires_ms, slots, window_ms, head"
	    " FROM counter" :
	    "SELECT id, space, key, expires_ms, value FROM note";
	int64_t now = clock_wall_ms();
	struct store_row row;
	sqlite3_stmt *st = NULL;
	bool ok = true;
	int rc;

	if (!file_prepare(f, sql, &st, err))
		return false;
	while (ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		ok = row_of(st, kind, &row);
		if (row.id >= f->next_id)
			f->next_id = row.id + 1;
		if (!ok)
			buf_printf(err, "%s: damaged: row %lld makes no sense",
			    f->path, (long long)row.id);
		else if (row.expires_ms > now)
			ok = file_load_row(f, m, &row, err);
	}
	if (ok && rc != SQLITE_DONE)
		ok = file_error(f, err);
	sqlite3_finalize(st);
	return ok;
}

bool
store_file_set_secret(struct store_file *f, const uint64_t secret[2],
    struct buf *err)
{
	char sql[140];

	snprintf(sql, sizeof(sql),
	    "INSERT OR REPLACE INTO secret VALUES (0, %lld), (1, %lld)",
	    (long long)secret[0], (long long)secret[1]);
	return file_exec(f, sql, err);
}

bool
store_file_secret(struct store_file *f, uint64_t secret[2], struct buf *err)
{
	sqlite3_stmt *st = NULL;
	uint64_t found[2];
	int n = 0;

	if (!file_prepare(f, "SELECT value FROM secret ORDER BY half", &st,
		err))
		return false;
	while (n < 2 && sqlite3_step(st) == SQLITE_ROW)
		found[n++] = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	if (n < 2)
		return store_file_set_secret(f, secret, err);
	memcpy(secret, found, sizeof(found));
	return true;
}

bool
store_file_load(struct store_file *f, struct store_memory *m, struct buf *err)
{
	uint64_t secret[2];

	store_row_secret(m, secret, false);
	if (!store_file_secret(f, secret, err))
		return false;
	store_row_secret(m, secret, true);
	return file_load_table(f, STORE_COUNTER, m, err) &&
	    file_load_table(f, STORE_NOTE, m, err);
}

bool
store_file_begin(struct store_file *f, struct buf *why)
{
	return file_run(f, f->begin, why);
}

bool
store_file_commit(struct store_file *f, struct buf *why)
{
	return file_run(f, f->commit, why);
}

void
store_file_rollback(struct store_file *f)
{
	struct buf ignored = BUF_INIT(1024);

	if (!sqlite3_get_autocommit(f->db))
		file_run(f, f->rollback, &ignored);
	buf_free(&ignored);
}

static bool
file_delete(struct store_file *f, struct store_row *row, struct buf *why)
{
	int64_t id = row->id;

	row->id = 0;
	return id == 0 || file_delete_id(f, row->kind, id, why);
}

static bool
file_put_members(struct store_file *f, const struct store_row *row,
    struct buf *why)
{
	sqlite3_stmt *st = f->member[MEMBER_CLEAR];

	sqlite3_bind_int64(st, 1, row->id);
	if (row->all_members && !file_run(f, st, why))
		return false;
	for (size_t i = 0; i < row->nmembers; i++) {
		const struct member_row *m = &row->members[i];
		bool gone = m->last == MEMBERS_NEVER;

		st = f->member[gone ? MEMBER_DELETE : MEMBER_PUT];
		sqlite3_bind_int64(st, 1, row->id);
		sqlite3_bind_int64(st, 2, m->hash);
		if (!gone)
			sqlite3_bind_int64(st, 3, m->last);
		if (!file_run(f, st, why))
			return false;
	}
	return true;
}

bool
store_file_put(struct store_file *f, struct store_row *row, struct buf *why)
{
	sqlite3_stmt *st = f->put[row->kind];

	if (row->expires_ms == 0)
		return file_delete(f, row, why);
	if (row->heir && row->id && !file_delete_id(f, row->kind, row->id, why))
		return false;
	if (row->id == 0)
		row->id = f->next_id++;
	sqlite3_bind_int64(st, 1, row->id);
	sqlite3_bind_text(st, 2, row->space.p, row->space.n, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, row->key.n ? row->key.p : "", row->key.n,
	    SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, row->expires_ms);
	if (row->kind == STORE_COUNTER) {
		sqlite3_bind_int64(st, 5, row->window_ms);
		sqlite3_bind_int64(st, 6, row->head);
		sqlite3_bind_blob(st, 7, row->slots,
		    row->nslots * sizeof(row->slots[0]), SQLITE_STATIC);
		if (row->distinct && !file_put_members(f, row, why))
			return false;
	} else {
		sqlite3_bind_blob(st, 5, row->value, row->nvalue,
		    SQLITE_STATIC);
	}
	return file_run(f, st, why);
}

bool
store_file_probe(struct store_file *f, struct buf *why)
{
	char sql[60];

	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
	    (int)SCHEMA_VERSION);
	return file_exec(f, sql, why);
}

int64_t
store_file_log(const struct store_file *f)
{
	return f->log_pages * f->page_size;
}

void
store_file_log_done(struct store_file *f)
{
	f->log_pages = 0;
}

int64_t
store_file_checkpoint(struct store_file *f)
{
	int pages = 0, done = 0;

	if (sqlite3_wal_checkpoint_v2(f->keeper, NULL,
		SQLITE_CHECKPOINT_PASSIVE, &pages, &done) != SQLITE_OK)
		return store_file_log(f);
	return (pages - done) * f->page_size;
}

void
store_file_sync(struct store_file *f)
{
	sqlite3_file *log = NULL;

	sqlite3_file_control(f->keeper, "main", SQLITE_FCNTL_JOURNAL_POINTER,
	    &log);
	if (log && log->pMethods)
		log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
}

static void
file_sweep_table(struct store_file *f, enum store_kind kind, int64_t now_ms)
{
	sqlite3_stmt *span = f->span[kind], *sweep = f->sweep[kind];
	int64_t from = f->swept[kind], to = 0;

	sqlite3_bind_int64(span, 1, from);
	sqlite3_bind_int(span, 2, SWEEP_ROWS);
	if (sqlite3_step(span) == SQLITE_ROW)
		to = sqlite3_column_int64(span, 0);
	sqlite3_reset(span);
	f->swept[kind] = to; /* 0 behind the last: from the start */
	if (to == 0)
		return;
	sqlite3_bind_int64(sweep, 1, from);
	sqlite3_bind_int64(sweep, 2, to);
	sqlite3_bind_int64(sweep, 3, now_ms);
	sqlite3_step(sweep);
	sqlite3_reset(sweep);
	if (kind == STORE_NOTE)
		return;
	sweep = f->member[MEMBER_SWEEP];
	sqlite3_bind_int64(sweep, 1, from);
	sqlite3_bind_int64(sweep, 2, to);
	sqlite3_step(sweep);
	sqlite3_reset(sweep);
}

void
store_file_sweep(struct store_file *f, int64_t now_ms)
{
	file_sweep_table(f, STORE_COUNTER, now_ms);
	file_sweep_table(f, STORE_NOTE, now_ms);
}

uint64_t
store_file_bytes(const char *path)
{
	char log[PATH_MAX];
	struct stat sb;
	uint64_t bytes = 0;

	if (stat(path, &sb) == 0)
		bytes += sb.st_size;
	snprintf(log, sizeof(log), "%s-wal", path);
	if (stat(log, &sb) == 0)
		bytes += sb.st_size;
	return bytes;
}
