/*
 * history_file - the SQLite file of the history.
 *
 * Two tables: messages, and what was refused before it was one (struct
 * history_record's `refused'), which has HISTORY_SHARE of the size and no
 * more, so that nobody pushes messages out by being refused often.
 *
 * For service/history.c alone, which calls one of these at a time.  They may
 * wait for the disk.  A failure has its text in *err.  A file that could not
 * be opened again is tried by the next history_file_begin().
 */
#ifndef SERVICE_HISTORY_FILE_H
#define SERVICE_HISTORY_FILE_H

#include "service/history.h"

#define HISTORY_SHARE	4	/* a quarter, at most */

struct history_file;

struct history_found {
	struct history_record *records;
	size_t		 n;
	struct buf	 text;		/* what they point to */
};

/* path NULL: in memory. */
struct history_file *history_file_open(const char *path, struct buf *err);
void	history_file_close(struct history_file **);

bool	history_file_begin(struct history_file *, struct buf *err);
/* *row: its number, for history_file_again() */
bool	history_file_put(struct history_file *, const struct history_record *,
	    int64_t *row, struct buf *err);
/* What was refused in that row was so `times' in all, the last at until_ms. */
bool	history_file_again(struct history_file *, int64_t row, uint64_t times,
	    int64_t until_ms, struct buf *err);
/* Rolls back where it fails, or ok is false. */
bool	history_file_end(struct history_file *, bool ok, struct buf *err);

/* What is too old goes, and of what is too much the oldest: some at a time. */
bool	history_file_prune(struct history_file *, int64_t age_ms,
	    uint64_t bytes, struct buf *err);
/* Adds what fits, the newest first, no more than the query's max. */
bool	history_file_find(struct history_file *, const struct history_query *,
	    struct history_found *, struct buf *err);
void	history_found_free(struct history_found *);

/* Was a damaged file (SQLITE_CORRUPT, SQLITE_NOTADB) the failure?  Then it is
 * moved aside and a new one begun, no more than once in an hour; *err is the
 * failure's text and empty after it.  Rows of the old one have no meaning. */
bool	history_file_renew(struct history_file *, struct buf *err);
/* How many files there were before this one. */
unsigned int history_file_generation(const struct history_file *);

#endif
