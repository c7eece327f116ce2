#include "service/aside.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define NAME_MAX_BYTES 8192
#define TRIES	       10

/* Not every file system knows how to refuse an overwriting by itself. */
static int
rename_new(const char *from, const char *to)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

/* Does it begin as SQLite's files do, or with the zeros of a lost page?  What
 * else there is may be somebody's. */
static bool
was_database(const char *path)
{
	static const char begin[16] = "SQLite format 3", zeros[16] = "";
	char head[sizeof(begin)];
	FILE *f = fopen(path, "re");
	bool was;

	if (f == NULL)
		return false;
	was = fread(head, sizeof(head), 1, f) == 1 &&
	    (memcmp(head, begin, sizeof(head)) == 0 ||
		memcmp(head, zeros, sizeof(head)) == 0);
	fclose(f);
	return was;
}

static void
add_stamp(struct buf *name)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	char stamp[64] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		strftime(stamp, sizeof(stamp), ".corrupt-%Y%m%d-%H%M%S", &tm);
	buf_adds(name, stamp);
}

static bool
move_main(const char *from, struct buf *to)
{
	size_t stamped;

	buf_adds(to, from);
	add_stamp(to);
	stamped = to->n;
	for (int i = 1; i <= TRIES && !to->failed; i++) {
		if (rename_new(from, to->p) == 0)
			return true;
		if (errno != EEXIST)
			return false;
		buf_truncate(to, stamped);
		buf_printf(to, ".%d", i);
	}
	return false;
}

/* Without the database it would be taken for the new one's. */
static void
move_beside(const char *from, const char *to, const char *end)
{
	struct buf old = BUF_INIT(NAME_MAX_BYTES), new = old;

	buf_adds(&old, from);
	buf_adds(&old, end);
	buf_adds(&new, to);
	buf_adds(&new, end);
	if (!old.failed && !new.failed && rename_new(old.p, new.p) == -1 &&
	    errno != ENOENT)
		unlink(old.p);
	buf_free(&old);
	buf_free(&new);
}

char *
aside_move(const char *path, struct buf *err)
{
	struct buf to = BUF_INIT(NAME_MAX_BYTES);
	char *from = realpath(path, NULL), *moved = NULL;
	struct stat st;

	if (from == NULL || stat(from, &st) == -1) {
		buf_printf(err, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		buf_printf(err, "%s: not a regular file", path);
	} else if (!was_database(from)) {
		buf_printf(err,
		    "%s never was a database: it stays as it is, name "
		    "another file or move it away",
		    path);
	} else if (!move_main(from, &to)) {
		buf_printf(err, "%s can't be moved aside: %s", path,
		    strerror(errno));
	} else {
		move_beside(from, to.p, "-wal");
		move_beside(from, to.p, "-shm");
		moved = mem_strdup(to.p);
	}
	free(from);
	buf_free(&to);
	return moved;
}
