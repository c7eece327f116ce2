#include "service/history_file.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/aside.h"
#include "service/history_zip.h"

#define APPLICATION_ID	0x70737448 /* "pstH" */
#define VERSION		2
#define BUSY_MS		100
#define SQL_MAX		4096
#define ADDRESS_MAX	1024
#define PRUNE_MAX	5000
#define EXPIRE_EVERY_MS (60 * 1000)
#define RENEW_EVERY_MS	(60 * 60 * 1000)
/* What a row takes beside its texts, about. */
#define ROW_BYTES 64

enum which { MESSAGES, REFUSED, TABLES };

static const char *const table_names[TABLES] = { "message", "refused" };

enum verb {
	VERB_INSERT,
	VERB_AGAIN,
	VERB_EXPIRE,
	VERB_WEIGH,
	VERB_OLDEST,
	VERBS
};

/* Rows go in the order that they came in: none is missing between two. */
#define VERBS_OF(table)                                                        \
	{                                                                      \
		[VERB_INSERT] = "INSERT INTO " table                           \
				" (at, until, times, client, sender, "         \
				"rcpts, queue_id, bytes, size, record) "       \
				"VALUES (?1, ?1, 1, ?2, ?3, ?4, ?5, ?6, "      \
				"?7, ?8)",                                     \
		[VERB_AGAIN] = "UPDATE " table                                 \
			       " SET times = ?2, until = ?3 WHERE id = ?1",    \
		[VERB_EXPIRE] =                                                \
		    "DELETE FROM " table " WHERE id IN (SELECT id FROM " table \
		    " WHERE until < ?1 ORDER BY id LIMIT ?2)",                 \
		[VERB_WEIGH] = "SELECT total(bytes) FROM (SELECT bytes "       \
			       "FROM " table " ORDER BY id LIMIT ?1)",         \
		[VERB_OLDEST] =                                                \
		    "DELETE FROM " table " WHERE id IN (SELECT id FROM " table \
		    " ORDER BY id LIMIT ?1)",                                  \
	}

static const char *const verb_texts[TABLES][VERBS] = {
	[MESSAGES] = VERBS_OF("message"),
	[REFUSED] = VERBS_OF("refused"),
};

struct history_file {
	char *path; /* NULL: in memory */
	sqlite3 *db; /* NULL: it could not be opened again */
	sqlite3_stmt *verbs[TABLES][VERBS];
	uint64_t refused_bytes; /* of all rows of REFUSED */
	int64_t expired_ms, renewed_ms;
	unsigned int generation;
	bool damaged;
	struct addr_net client; /* whom in_net() is about */
	struct history_zip *zip;
};

/* --- opening ----------------------------------------------------------- */

static void
note_damage(struct history_file *f)
{
	int code = sqlite3_errcode(f->db) & 0xff;

	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		f->damaged = true;
}

static bool
file_error(struct history_file *f, struct buf *err)
{
	note_damage(f);
	/* The first is the cause of the others. */
	if (err->n == 0)
		buf_printf(err, "%s: %s", f->path != NULL ? f->path : "history",
		    sqlite3_errmsg(f->db));
	return false;
}

static bool
file_exec(struct history_file *f, const char *sql, struct buf *err)
{
	return sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	    file_error(f, err);
}

static int64_t
file_number(struct history_file *f, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(f->db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	else
		note_damage(f);
	sqlite3_finalize(st);
	return n;
}

/* What is searched row by row stands before the record. */
#define COLUMNS                                                             \
	"(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, "                    \
	"until INTEGER NOT NULL, times INTEGER NOT NULL, "                  \
	"client TEXT NOT NULL, sender TEXT NOT NULL, rcpts TEXT NOT NULL, " \
	"queue_id TEXT, bytes INTEGER NOT NULL, size INTEGER NOT NULL, "    \
	"record BLOB NOT NULL);"

#define CREATE                                                          \
	"CREATE TABLE message " COLUMNS "CREATE TABLE refused " COLUMNS \
	"CREATE INDEX message_id ON message (queue_id) "                \
	"WHERE queue_id IS NOT NULL;"                                   \
	"CREATE INDEX refused_id ON refused (queue_id) "                \
	"WHERE queue_id IS NOT NULL;"

#define OURS                                  \
	"PRAGMA application_id = 1886614600;" \
	"PRAGMA user_version = 2;"            \
	"COMMIT;"

static bool
file_create(struct history_file *f, struct buf *err)
{
	return file_exec(f,
	    "PRAGMA auto_vacuum = INCREMENTAL;"
	    "BEGIN IMMEDIATE;" CREATE OURS,
	    err);
}

/* The first version knew messages alone, and not of which client. */
static bool
file_upgrade(struct history_file *f, struct buf *err)
{
	return file_exec(f,
	    "BEGIN IMMEDIATE;"
	    "ALTER TABLE message RENAME TO before;" CREATE
	    "INSERT INTO message SELECT id, at, at, 1, '', sender, rcpts, "
	    "queue_id, 0, size, record FROM before;"
	    "DROP TABLE before;" OURS,
	    err);
}

/* Nothing is written to a file that is not ours. */
static bool
file_check(struct history_file *f, struct buf *err)
{
	int64_t app = file_number(f, "PRAGMA application_id");
	int64_t version = file_number(f, "PRAGMA user_version");
	int64_t tables = file_number(f, "SELECT count(*) FROM sqlite_master");

	if (app < 0 || version < 0 || tables < 0)
		return file_error(f, err);
	if (app == 0 && version == 0 && tables == 0)
		return file_create(f, err);
	if (app == APPLICATION_ID && version == 1)
		return file_upgrade(f, err);
	if (app == APPLICATION_ID && version == VERSION)
		return true;
	buf_printf(err, "%s: not a history of this version", f->path);
	return false;
}

/* SQL function in_net(client): is it of the network that is looked for? */
static void
in_net(sqlite3_context *ctx, int nargs, sqlite3_value **args)
{
	const struct addr_net *net = sqlite3_user_data(ctx);
	const unsigned char *text = sqlite3_value_text(args[0]);
	struct addr addr;

	(void)nargs;
	sqlite3_result_int(ctx,
	    text != NULL && addr_parse(str_of((const char *)text), &addr) &&
		addr_in_net(&addr, net));
}

static bool
file_prepare(struct history_file *f, struct buf *err)
{
	bool ok = sqlite3_create_function(f->db, "in_net", 1,
		      SQLITE_UTF8 | SQLITE_DETERMINISTIC, &f->client, in_net,
		      NULL, NULL) == SQLITE_OK;

	for (int t = 0; t < TABLES; t++)
		for (int v = 0; ok && v < VERBS; v++)
			ok = sqlite3_prepare_v3(f->db, verb_texts[t][v], -1,
				 SQLITE_PREPARE_PERSISTENT, &f->verbs[t][v],
				 NULL) == SQLITE_OK;
	return ok || file_error(f, err);
}

/* Of nobody else, or as open as the one it takes the place of. */
static bool
file_touch(const char *path, const struct stat *like, struct buf *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1) {
		buf_printf(err, "%s: %s", path, strerror(errno));
		return false;
	}
	if (like != NULL && fchown(fd, (uid_t)-1, like->st_gid) == 0)
		(void)fchmod(fd, like->st_mode & 0777);
	close(fd);
	return true;
}

static void
file_stop(struct history_file *f)
{
	for (int t = 0; t < TABLES; t++)
		for (int v = 0; v < VERBS; v++) {
			sqlite3_finalize(f->verbs[t][v]);
			f->verbs[t][v] = NULL;
		}
	sqlite3_close(f->db);
	f->db = NULL;
}

static void
weigh_refused(struct history_file *f)
{
	int64_t n = file_number(f, "SELECT total(bytes) FROM refused");

	f->refused_bytes = n > 0 ? (uint64_t)n : 0;
}

static bool
file_start(struct history_file *f, const struct stat *like, struct buf *err)
{
	const char *name = f->path != NULL ? f->path : ":memory:";
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	bool ok;

	f->damaged = false;
	if (f->path != NULL && !file_touch(f->path, like, err))
		return false;
	ok = sqlite3_open_v2(name, &f->db, flags, NULL) == SQLITE_OK ||
	    file_error(f, err);
	if (ok)
		sqlite3_busy_timeout(f->db, BUSY_MS);
	ok = ok && file_exec(f, "PRAGMA locking_mode = EXCLUSIVE;", err) &&
	    file_check(f, err) &&
	    file_exec(f,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
		"PRAGMA journal_size_limit = 4194304;",
		err) &&
	    file_prepare(f, err);
	if (!ok) {
		file_stop(f);
		return false;
	}
	weigh_refused(f);
	f->expired_ms = 0;
	return true;
}

struct history_file *
history_file_open(const char *path, struct buf *err)
{
	struct history_file *f = mem_alloc(sizeof(*f));

	f->path = path != NULL ? mem_strdup(path) : NULL;
	f->zip = history_zip_new();
	if (!file_start(f, NULL, err) && !history_file_renew(f, err))
		history_file_close(&f);
	return f;
}

void
history_file_close(struct history_file **fp)
{
	struct history_file *f = *fp;

	if (f == NULL)
		return;
	file_stop(f);
	history_zip_free(&f->zip);
	free(f->path);
	free(f);
	*fp = NULL;
}

/* --- damage ------------------------------------------------------------ */

/* What could not be moved is tried again by the next one that writes. */
bool
history_file_renew(struct history_file *f, struct buf *err)
{
	struct buf why = BUF_INIT(SQL_MAX);
	int64_t now = clock_mono_ms();
	struct stat like;
	char *moved = NULL;

	if (!f->damaged || f->path == NULL)
		return false;
	if (f->renewed_ms != 0 && now - f->renewed_ms < RENEW_EVERY_MS)
		return false;
	file_stop(f);
	if (stat(f->path, &like) == 0)
		moved = aside_move(f->path, &why);
	if (moved == NULL)
		buf_printf(err, "; %.*s", STR_FMT(buf_str(&why)));
	buf_free(&why);
	if (moved == NULL)
		return false;
	log_event(LOG_EV_STORE, "history=%s state=corrupt moved=%s why=%.*s",
	    f->path, moved, STR_FMT(buf_str(err)));
	free(moved);
	buf_truncate(err, 0);
	f->renewed_ms = now;
	f->generation++;
	return file_start(f, &like, err);
}

unsigned int
history_file_generation(const struct history_file *f)
{
	return f->generation;
}

/* --- writing ----------------------------------------------------------- */

static bool
run(struct history_file *f, sqlite3_stmt *st, struct buf *err)
{
	bool ok = sqlite3_step(st) == SQLITE_DONE || file_error(f, err);

	sqlite3_reset(st);
	return ok;
}

static void
bind_text(sqlite3_stmt *st, int at, struct str s)
{
	sqlite3_bind_text(st, at, s.n > 0 ? s.p : "", (int)s.n, SQLITE_STATIC);
}

bool
history_file_begin(struct history_file *f, struct buf *err)
{
	if (f->db == NULL && !file_start(f, NULL, err) &&
	    !history_file_renew(f, err))
		return false;
	return file_exec(f, "BEGIN IMMEDIATE", err);
}

bool
history_file_end(struct history_file *f, bool ok, struct buf *err)
{
	ok = ok && file_exec(f, "COMMIT", err);
	if (!ok && f->db != NULL && !sqlite3_get_autocommit(f->db))
		sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
	return ok;
}

bool
history_file_put(struct history_file *f, const struct history_record *r,
    int64_t *row, struct buf *err)
{
	sqlite3_stmt *st =
	    f->verbs[r->refused ? REFUSED : MESSAGES][VERB_INSERT];
	struct str packed = history_zip_pack(f->zip, r->text);
	size_t bytes;
	bool ok;

	bytes = ROW_BYTES + r->client.n + r->sender.n + r->rcpts.n +
	    r->queue_id.n + packed.n;
	sqlite3_bind_int64(st, 1, r->at_ms);
	bind_text(st, 2, r->client);
	bind_text(st, 3, r->sender);
	bind_text(st, 4, r->rcpts);
	if (r->queue_id.n > 0)
		bind_text(st, 5, r->queue_id);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)bytes);
	sqlite3_bind_int64(st, 7, (sqlite3_int64)r->text.n);
	sqlite3_bind_blob(st, 8, packed.p, (int)packed.n, SQLITE_STATIC);
	ok = run(f, st, err);
	sqlite3_clear_bindings(st);
	*row = sqlite3_last_insert_rowid(f->db);
	if (ok && r->refused)
		f->refused_bytes += bytes;
	return ok;
}

bool
history_file_again(struct history_file *f, int64_t row, uint64_t times,
    int64_t until_ms, struct buf *err)
{
	sqlite3_stmt *st = f->verbs[REFUSED][VERB_AGAIN];

	sqlite3_bind_int64(st, 1, row);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)times);
	sqlite3_bind_int64(st, 3, until_ms);
	return run(f, st, err);
}

/* --- pruning ----------------------------------------------------------- */

/* Pages in use; those that are free are used again. */
static uint64_t
file_bytes(struct history_file *f)
{
	int64_t pages = file_number(f, "PRAGMA page_count") -
	    file_number(f, "PRAGMA freelist_count");

	return pages > 0 ?
	    (uint64_t)pages * (uint64_t)file_number(f, "PRAGMA page_size") :
	    0;
}

/* Of the oldest as many as are too much, and a few more.  The rows stand
 * without gaps; no more at once than nobody who asks waits for. */
static int64_t
rows_too_many(struct history_file *f, const char *count, uint64_t used,
    uint64_t bytes)
{
	int64_t rows;
	double part;

	if (used <= bytes)
		return 0;
	rows = file_number(f, count);
	part = (double)(used - bytes) / (double)used + 0.02;
	rows = (int64_t)((double)rows * part) + 1;
	return rows < PRUNE_MAX ? rows : PRUNE_MAX;
}

/* No more than all. */
static uint64_t
weigh_oldest(struct history_file *f, int64_t rows)
{
	sqlite3_stmt *st = f->verbs[REFUSED][VERB_WEIGH];
	uint64_t bytes = 0;

	sqlite3_bind_int64(st, 1, rows);
	if (sqlite3_step(st) == SQLITE_ROW)
		bytes = (uint64_t)sqlite3_column_int64(st, 0);
	else
		note_damage(f);
	sqlite3_reset(st);
	return bytes < f->refused_bytes ? bytes : f->refused_bytes;
}

static bool
drop_oldest(struct history_file *f, enum which t, int64_t rows, struct buf *err)
{
	sqlite3_stmt *st = f->verbs[t][VERB_OLDEST];

	if (rows <= 0)
		return true;
	if (t == REFUSED)
		f->refused_bytes -= weigh_oldest(f, rows);
	sqlite3_bind_int64(st, 1, rows);
	return run(f, st, err);
}

static bool
drop_expired(struct history_file *f, enum which t, int64_t before, bool *all,
    struct buf *err)
{
	sqlite3_stmt *st = f->verbs[t][VERB_EXPIRE];

	sqlite3_bind_int64(st, 1, before);
	sqlite3_bind_int64(st, 2, PRUNE_MAX);
	if (!run(f, st, err))
		return false;
	if (sqlite3_changes(f->db) == PRUNE_MAX)
		*all = false;
	return true;
}

static bool
expire(struct history_file *f, int64_t age_ms, struct buf *err)
{
	int64_t now = clock_wall_ms();
	bool all = true;

	if (now - f->expired_ms < EXPIRE_EVERY_MS)
		return true;
	for (int t = 0; t < TABLES; t++)
		if (!drop_expired(f, t, now - age_ms, &all, err))
			return false;
	weigh_refused(f);
	if (all)
		f->expired_ms = now;
	return file_exec(f, "PRAGMA incremental_vacuum(256);", err);
}

bool
history_file_prune(struct history_file *f, int64_t age_ms, uint64_t bytes,
    struct buf *err)
{
	uint64_t refused = f->refused_bytes;
	int64_t rows;
	bool ok = f->db != NULL;

	if (!ok)
		return false;
	rows = rows_too_many(f, "SELECT max(id) - min(id) + 1 FROM refused",
	    refused, bytes / HISTORY_SHARE);
	ok = drop_oldest(f, REFUSED, rows, err);
	rows = rows_too_many(f, "SELECT max(id) - min(id) + 1 FROM message",
	    file_bytes(f), bytes);
	ok =
	    ok && drop_oldest(f, MESSAGES, rows, err) && expire(f, age_ms, err);
	return ok;
}

/* --- finding ----------------------------------------------------------- */

static struct str
column(sqlite3_stmt *st, int at)
{
	const void *p = sqlite3_column_blob(st, at);

	return (struct str){ p, (size_t)sqlite3_column_bytes(st, at) };
}

static size_t
add_text(struct history_found *f, struct history_zip *zip, struct str packed,
    int64_t size)
{
	size_t n = (size_t)size;
	char *text;
	bool ok;

	if (size <= 0 || size > HISTORY_RECORD_MAX)
		return 0;
	text = mem_resize(NULL, n);
	ok = history_zip_unpack(zip, packed, text, n);
	if (ok)
		buf_add(&f->text, text, n);
	free(text);
	return ok ? n : 0;
}

/* The texts of a record, in the order they have in the buffer. */
static void
texts_of(struct history_record *r, struct str *texts[5])
{
	texts[0] = &r->client;
	texts[1] = &r->sender;
	texts[2] = &r->rcpts;
	texts[3] = &r->queue_id;
	texts[4] = &r->text;
}

#define COLUMNS_READ \
	"until, id, at, times, client, sender, rcpts, queue_id, size, record"

static void
add_found(struct history_found *f, struct history_zip *zip, sqlite3_stmt *st)
{
	struct history_record *r = &f->records[f->n++];
	struct str *texts[5];

	texts_of(r, texts);
	r->until_ms = sqlite3_column_int64(st, 0);
	r->at_ms = sqlite3_column_int64(st, 2);
	r->times = (uint64_t)sqlite3_column_int64(st, 3);
	for (int i = 0; i < 4; i++) {
		*texts[i] = column(st, i + 4);
		buf_addstr(&f->text, *texts[i]);
	}
	r->text.n =
	    add_text(f, zip, column(st, 9), sqlite3_column_int64(st, 8));
	r->refused = sqlite3_column_int(st, 10) != 0;
}

/* The buffer stands still from here. */
static void
place_texts(struct history_found *f)
{
	const char *p = f->text.p;
	struct str *texts[5];

	for (size_t i = 0; i < f->n; i++) {
		texts_of(&f->records[i], texts);
		for (int k = 0; k < 5; k++) {
			texts[k]->p = p;
			p += texts[k]->n;
		}
	}
}

/* An index finds a queue id; all else is looked for row by row. */
static void
add_select(struct buf *sql, const struct history_query *q, enum which t)
{
	buf_printf(sql,
	    "SELECT * FROM (SELECT " COLUMNS_READ ", %d FROM %s WHERE 1", t,
	    table_names[t]);
	if (q->queue_id.n > 0)
		buf_adds(sql, " AND queue_id = ?1");
	if (q->client.addr.family != ADDR_NONE)
		buf_adds(sql, " AND in_net(client)");
	if (q->from.n > 0)
		buf_adds(sql, " AND sender = ?2");
	if (q->to.n > 0)
		buf_adds(sql, " AND instr(rcpts, ?3)");
	buf_adds(sql, " ORDER BY id DESC LIMIT ?4)");
}

static void
add_lower(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(out, (char)chr_lower((unsigned char)s.p[i]));
}

static bool
read_rows(struct history_file *f, sqlite3_stmt *st,
    const struct history_query *q, struct history_found *found, struct buf *err)
{
	struct buf from = BUF_INIT(ADDRESS_MAX * 2), to = from;
	int rc;

	add_lower(&from, q->from);
	buf_addc(&to, ' ');
	add_lower(&to, q->to);
	buf_addc(&to, ' ');
	bind_text(st, 1, q->queue_id);
	bind_text(st, 2, buf_str(&from));
	bind_text(st, 3, buf_str(&to));
	sqlite3_bind_int64(st, 4, (sqlite3_int64)q->max);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && found->n < q->max)
		add_found(found, f->zip, st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		file_error(f, err);
	buf_free(&from);
	buf_free(&to);
	return rc == SQLITE_DONE || rc == SQLITE_ROW;
}

bool
history_file_find(struct history_file *f, const struct history_query *q,
    struct history_found *found, struct buf *err)
{
	struct buf sql = BUF_INIT(SQL_MAX);
	sqlite3_stmt *st = NULL;
	bool ok;

	*found = (struct history_found){ .text = BUF_INIT(SIZE_MAX / 2) };
	if (f->db == NULL) {
		buf_printf(err, "%s: it can't be opened", f->path);
		return false;
	}
	found->records = mem_alloc((q->max + 1) * sizeof(*found->records));
	f->client = q->client;
	add_select(&sql, q, MESSAGES);
	buf_adds(&sql, " UNION ALL ");
	add_select(&sql, q, REFUSED);
	buf_adds(&sql, " ORDER BY until DESC, id DESC LIMIT ?4");
	ok = sqlite3_prepare_v2(f->db, sql.p, -1, &st, NULL) == SQLITE_OK ||
	    file_error(f, err);
	ok = ok && read_rows(f, st, q, found, err);
	sqlite3_finalize(st);
	place_texts(found);
	buf_free(&sql);
	return ok;
}

void
history_found_free(struct history_found *found)
{
	free(found->records);
	buf_free(&found->text);
	*found = (struct history_found){ .n = 0 };
}
