/*
 * What only a store on disk can promise: to be there again, and to say what
 * is wrong with its file.
 */
#include "store_fixture.h"

static void
test_reopen_keeps(void **state)
{
	struct store *st = open_as(spec);
	struct buf v = BUF_INIT(100);
	struct stat sb;

	(void)state;
	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(charge(st, window("user=a", HOUR, 9, 1)),
		    STORE_OK);
		clock_fake_advance(5 * 60000);
	}
	charge(st, window("short", 1000, 9, 1));
	store_note_put(st, STR("s"), STR("k"), STR("v"), T0 + 9 * HOUR);
	store_note_put(st, STR("s"), STR("gone"), STR("v"), T0 + 9 * HOUR);
	store_note_del(st, STR("s"), STR("gone"));
	store_close(&st);
	clock_fake_advance(60000);

	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 5);
	assert_int_equal(keys(st), 1); /* the short one expired */
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), &v, NULL),
	    STORE_OK);
	assert_string_equal(v.p, "v");
	assert_int_equal(store_note_get(st, STR("s"), STR("gone"), &v, NULL),
	    STORE_OVER);
	/* the slots came back each at its own time */
	clock_fake(T0 + HOUR + 2 * 60000);
	assert_int_equal(used(st, "user=a", HOUR), 4);
	charge(st, window("user=a", HOUR, 9, 1));
	store_close(&st);

	/* a clock that was set back between: nothing comes back early */
	clock_fake(T0 - 100 * HOUR);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 5);
	clock_fake_advance(HOUR + 60001);
	assert_int_equal(used(st, "user=a", HOUR), 0);
	store_close(&st);
	buf_free(&v);
}

static void
test_members_come_back(void **state)
{
	struct store *st = open_as(spec);
	struct store_window w;
	struct store_held *held;
	char who[16];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(who, sizeof(who), "%d@x", i);
		assert_int_equal(charge(st, member("user=a", HOUR, 500, who)),
		    STORE_OK);
		clock_fake_advance(6000);
	}
	/* one that is held while it is saved was seen, too */
	w = member("user=a", HOUR, 500, "299@x");
	assert_int_equal(store_reserve(st, &w, 1, &held, NULL), STORE_OK);
	charge(st, member("user=a", HOUR, 500, "298@x"));
	store_refund(st, &held);
	charge(st, member("user=b", HOUR, 5, "left"));
	store_clear(st, STR("user=b"));
	store_close(&st);

	st = open_as(spec);
	assert_int_equal(members(st, "user=a", HOUR), 300);
	assert_int_equal(members(st, "user=b", HOUR), 0);
	assert_int_equal(charge(st, member("user=a", HOUR, 300, "0@x")),
	    STORE_OK);
	assert_int_equal(charge(st, member("user=a", HOUR, 300, "0@y")),
	    STORE_OVER);
	clock_fake_advance(HOUR / 2 + 2 * 60000);
	assert_int_equal(charge(st, member("user=a", HOUR, 300, "0@y")),
	    STORE_OK);
	store_close(&st);

	/* those who left are not read again */
	clock_fake_advance(HOUR / 2);
	st = open_as(spec);
	assert_int_equal(members(st, "user=a", HOUR), 1);
	store_close(&st);
}

static void
test_second_opener(void **state)
{
	struct store *st = open_as(spec);
	int status;
	pid_t pid;

	(void)state;
	open_fails(spec, "in use by another process");
	pid = fork();
	if (pid == 0) {
		struct buf err = BUF_INIT(1000);
		struct store *two = store_open(str_of(spec), &err);

		_exit(two == NULL && strstr(err.p, "in use") ? 7 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(charge(st, window("user=a", HOUR, 9, 1)), STORE_OK);
	store_close(&st);
}

static void
write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int
rows(void)
{
	sqlite3_stmt *q;
	sqlite3 *db;
	int n;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
			     "SELECT (SELECT count(*) FROM counter) +"
			     " (SELECT count(*) FROM note)",
			     -1, &q, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

/* Whatever happened, the file is whole. */
static void
is_whole(void)
{
	sqlite3 *db;
	sqlite3_stmt *q;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1,
			     &q, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(q, 0), "ok");
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
run_script(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A file of the first schema, which knew no members. */
static void
test_older_schema(void **state)
{
	struct store *st;
	struct store_held *h;
	struct store_window w = member("user=a", HOUR, 1, "m");
	char sql[1400];
	int64_t head = T0 * 60 / HOUR;
	uint64_t word = 5 << 6 | (uint64_t)(head & 63);

	(void)state;
	snprintf(sql, sizeof(sql),
	    "CREATE TABLE counter (id INTEGER PRIMARY KEY, space TEXT NOT "
	    "NULL, key BLOB NOT NULL, expires_ms INTEGER NOT NULL, window_ms "
	    "INTEGER NOT NULL, head INTEGER NOT NULL, slots BLOB NOT NULL);"
	    "CREATE TABLE note (id INTEGER PRIMARY KEY, space TEXT NOT NULL,"
	    " key BLOB NOT NULL, expires_ms INTEGER NOT NULL, value BLOB NOT "
	    "NULL); INSERT INTO counter VALUES (1, 'l/messages', x'%s', %lld,"
	    " %lld, %lld, x'%02x%02x000000000000');"
	    "INSERT INTO note VALUES (1, 'block', 'k', %lld, 'v');"
	    "PRAGMA application_id = %d; PRAGMA user_version = 1",
	    "757365723d61", (long long)(T0 + HOUR), (long long)HOUR,
	    (long long)head, (unsigned int)(word & 255),
	    (unsigned int)(word >> 8), (long long)(T0 + HOUR), 0x50737472);
	run_script(sql);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 5);
	assert_int_equal(store_note_get(st, STR("block"), STR("k"), NULL, NULL),
	    STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	assert_int_equal(store_commit(st, &h), STORE_OK);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 5);
	assert_int_equal(members(st, "user=a", HOUR), 1);
	store_close(&st);
	is_whole();
}

static void
test_expired_rows_go(void **state)
{
	struct store *st = open_as(spec);
	char key[40];

	(void)state;
	for (int i = 0; i < 700; i++) {
		struct store_window w = window("", 1000, 10, 1);

		snprintf(key, sizeof(key), "user=%d", i);
		w.key = str_of(key);
		assert_int_equal(store_count(st, &w), STORE_OK);
	}
	store_note_put(st, STR("s"), STR("k"), STR("v"), T0 + 1000);
	store_close(&st);
	assert_int_equal(rows(), 701);
	clock_fake_advance(HOUR / 4);
	st = open_as(spec);
	assert_int_equal(keys(st), 0);
	/* some with each tick of the writer, seconds apart */
	for (int i = 0; i < 6; i++) {
		clock_fake_advance(60000);
		assert_int_equal(charge(st, window("user=a", HOUR, 9, 1)),
		    STORE_OK);
		usleep(60000);
	}
	store_close(&st);
	assert_int_equal(rows(), 1);
}

/* A key that goes from memory takes its row along, however many they are. */
static void
test_rows_go_with_their_keys(void **state)
{
	struct store *st = open_as(spec);
	struct store_window w;
	char key[40];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "user=%d", i);
		w = i % 7 ? window(key, 1000, 10, 1) :
			    member(key, 1000, 10, "m");
		assert_int_equal(store_count(st, &w), STORE_OK);
		if (i % 100 == 99)
			charge(st, window("user=x", HOUR, 9000, 1));
		if (i % 1000 == 999)
			clock_fake_advance(1100);
	}
	store_close(&st);
	assert_in_range(rows(), 1, 5000);
}

static char *
read_file(size_t *n)
{
	FILE *f = fopen(path, "r");
	char *p = calloc(1, 1 << 20);

	assert_non_null(f);
	*n = fread(p, 1, 1 << 20, f);
	fclose(f);
	return p;
}

static void
refused_untouched(const char *why)
{
	size_t n, n2;
	char *before = read_file(&n), *after;

	open_fails(spec, why);
	after = read_file(&n2);
	assert_int_equal(n, n2);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
}

static void
test_foreign_files(void **state)
{
	(void)state;
	write_file("this is no database, but somebody's only copy of a "
		   "novel\n",
	    57);
	refused_untouched("not a database");
	unlink(path);
	run_sql("CREATE TABLE recipes (name TEXT)");
	refused_untouched("another program");
	unlink(path);
	run_sql("PRAGMA application_id = 7; PRAGMA user_version = 1");
	refused_untouched("another program");
}

static void
test_newer_schema(void **state)
{
	struct store *st = open_as(spec);

	(void)state;
	store_close(&st);
	run_sql("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99");
	refused_untouched("newer version");
}

static void
test_damaged_file(void **state)
{
	struct store *st = open_as(spec);
	char key[40];
	size_t n;
	char *text;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct store_window w = window(key, HOUR, 10, 1);

		snprintf(key, sizeof(key), "user=%d@example.org", i);
		w.key = str_of(key);
		store_count(st, &w);
	}
	store_close(&st);
	text = read_file(&n);
	assert_true(n > 40000);
	for (size_t i = 12000; i < 30000; i++)
		text[i] = i * 7919;
	write_file(text, n);
	free(text);
	refused_untouched(path);
}

static void
test_rows_without_sense(void **state)
{
	struct store *st = open_as(spec);

	(void)state;
	charge(st, window("user=a", HOUR, 9, 1));
	store_close(&st);
	run_sql("UPDATE counter SET slots = x'0102'");
	open_fails(spec, "makes no sense");
	run_sql("UPDATE counter SET slots = x'00000000000000ff',"
		" window_ms = -5");
	open_fails(spec, "makes no sense");
}

static void
test_bad_specs(void **state)
{
	(void)state;
	open_fails("", "unknown kind");
	open_fails("mysql://localhost", "unknown kind");
	open_fails("sqlite:", "path");
	open_fails("memory:x", "path");
	open_fails("sqlite:/nowhere/at/all.db", "no directory /nowhere/at");
	open_fails("sqlite:/tmp", "not a file");
}

static void
test_read_only_dir(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(chmod(dir, 0555), 0);
	pid = fork();
	if (pid == 0) {
		struct buf err = BUF_INIT(1000);

		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(9);
		_exit(store_open(str_of(spec), &err) == NULL &&
			    strstr(err.p, "Permission denied") ?
			7 :
			8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	chmod(dir, 0700);
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* Commits and says so, a byte a charge, until it is killed. */
static void
child_commits(int fd)
{
	struct store *st = open_as(spec);

	for (;;) {
		if (charge(st, window("user=k", 24 * HOUR, 1000000, 1)) !=
		    STORE_OK)
			_exit(1);
		if (write(fd, "x", 1) != 1)
			_exit(2);
	}
}

static void
test_kill_9(void **state)
{
	struct store *st;
	uint64_t told = 0, kept;
	char bytes[4096];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
	for (int round = 0; round < 4; round++) {
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (pid == 0) {
			close(fds[0]);
			child_commits(fds[1]);
		}
		close(fds[1]);
		usleep(30000 + 7000 * round);
		kill(pid, SIGKILL);
		while ((n = read(fds[0], bytes, sizeof(bytes))) > 0)
			told += n;
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		st = open_as(spec);
		kept = used(st, "user=k", 24 * HOUR);
		store_close(&st);
		assert_true(kept >= told);
		/* at most one a round was written and not told */
		assert_true(kept <= told + round + 1);
	}
	assert_true(told > 10);
	is_whole();
}

static void
wait_until_back(struct store *st)
{
	struct store_stats s;

	for (int i = 0; i < 150; i++) {
		store_stats(st, &s);
		if (!s.down && s.pending == 0)
			return;
		usleep(20000);
	}
	fail_msg("the store did not come back");
}

/* A full disk, played by a limit on file sizes. */
static void
disk_full(void)
{
	struct rlimit lim, small;
	struct store *st;
	struct store_held *h;
	struct store_window w = window("user=a", HOUR, 50, 1);
	struct store_stats s;

	signal(SIGXFSZ, SIG_IGN);
	st = open_as(spec);
	assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(charge(st, w), STORE_OK);
	getrlimit(RLIMIT_FSIZE, &lim);
	small = lim;
	small.rlim_cur = 1;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	assert_int_equal(store_commit(st, &h), STORE_DOWN);
	assert_non_null(h);
	store_stats(st, &s);
	assert_true(s.down);
	assert_int_equal(used(st, "user=a", HOUR), 3);
	store_refund(st, &h); /* the message was refused after all */
	assert_int_equal(used(st, "user=a", HOUR), 2);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_DOWN);
	assert_int_equal(store_count(st, &w), STORE_DOWN);
	assert_int_equal(store_note_put(st, STR("s"), STR("k"), STR("v"),
			     T0 + HOUR),
	    STORE_DOWN);
	setrlimit(RLIMIT_FSIZE, &lim);
	wait_until_back(st);
	assert_int_equal(charge(st, w), STORE_OK);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 4);
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), NULL, NULL),
	    STORE_OK);
	store_close(&st);
}

static void
test_disk_full(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		disk_full();
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	is_whole();
}

static void
test_file_gone(void **state)
{
	struct store *st = open_as(spec);
	struct store_window w = window("user=a", HOUR, 50, 1);
	struct store_held *h;
	char moved[128];

	(void)state;
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	assert_int_equal(charge(st, w), STORE_OK);
	store_note_put(st, STR("s"), STR("k"), STR("v"), T0 + HOUR);
	/* deleted: a new one is made of what is in memory */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(charge(st, w), STORE_OK);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 2);
	assert_int_equal(store_note_get(st, STR("s"), STR("k"), NULL, NULL),
	    STORE_OK);
	/* its directory is away for a while */
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(store_reserve(st, &w, 1, &h, NULL), STORE_OK);
	assert_int_equal(store_commit(st, &h), STORE_DOWN);
	store_keep(st, &h);
	assert_null(h);
	assert_int_equal(rename(moved, dir), 0);
	wait_until_back(st);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 3);
	/* for good, and an empty one is made in its place */
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(charge(st, w), STORE_DOWN);
	assert_int_equal(mkdir(dir, 0700), 0);
	wait_until_back(st);
	assert_int_equal(remove_tree(moved), 0);
	store_close(&st);
	st = open_as(spec);
	assert_int_equal(used(st, "user=a", HOUR), 4);
	store_close(&st);
	is_whole();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reopen_keeps),
		T(test_members_come_back),
		T(test_older_schema),
		T(test_expired_rows_go),
		T(test_rows_go_with_their_keys),
		T(test_second_opener),
		T(test_foreign_files),
		T(test_newer_schema),
		T(test_damaged_file),
		T(test_rows_without_sense),
		T(test_bad_specs),
		T(test_read_only_dir),
		T(test_kill_9),
		T(test_disk_full),
		T(test_file_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
