/*
 * store_file - the SQLite file behind a "sqlite:" store.
 *
 * A table of counters and one of notes, a row a key, addressed by number:
 * memory knows which key has which row, so the file needs no index.  The
 * members of a counter are rows of a third.
 * Locked as long as it is open: a second process is refused.  A file that is
 * not ours, damaged, or of a newer version is never written to.
 *
 * One thread at a time; a second one may use store_file_checkpoint() and
 * store_file_sync() meanwhile, which have a connection of their own.
 */
#ifndef SERVICE_STORE_FILE_H
#define SERVICE_STORE_FILE_H

#include "base/str.h"
#include "service/store_memory.h"
#include "service/store_row.h"

struct store_file;

/* Creates the file (mode 0600) where there is none; NULL with *err. */
struct store_file *store_file_open(const char *path, struct buf *err);
void		 store_file_close(struct store_file **);
/* Hands over every row that has not expired; false ends, with *err. */
bool		 store_file_load(struct store_file *, struct store_memory *,
		    struct buf *err);
/* What the file says; one that says nothing gets this one. */
bool		 store_file_secret(struct store_file *, uint64_t secret[2],
		    struct buf *err);
bool		 store_file_set_secret(struct store_file *,
		    const uint64_t secret[2], struct buf *err);
/* Had nothing in it when it was opened? */
bool		 store_file_fresh(const struct store_file *);
/* Still the file that stands under its path? */
bool		 store_file_there(const struct store_file *);
/* Nothing stands under the path, though its directory is there. */
bool		 store_file_missing(const char *path);
/* A group: begin, any number of rows, commit.  After a false: rollback. */
bool		 store_file_begin(struct store_file *, struct buf *why);
/* Gives the row an id if it has none, 0 if it holds nothing any more. */
bool		 store_file_put(struct store_file *, struct store_row *,
		    struct buf *why);
bool		 store_file_commit(struct store_file *, struct buf *why);
void		 store_file_rollback(struct store_file *);
/* Writes something without meaning, to see whether writing works. */
bool		 store_file_probe(struct store_file *, struct buf *why);
/* How long the log is that was not carried over into the file yet. */
int64_t		 store_file_log(const struct store_file *);
/* Carries the log over as far as it is written now; what is left of it.  When
 * nothing is, it begins anew with the next group. */
int64_t		 store_file_checkpoint(struct store_file *);
/* Nothing is left of it, and nobody writes. */
void		 store_file_log_done(struct store_file *);
/* The log to the disk itself, for the day of the power cut. */
void		 store_file_sync(struct store_file *);
/* Deletes expired rows among the next few hundred. */
void		 store_file_sweep(struct store_file *, int64_t now_ms);
uint64_t	 store_file_bytes(const char *path);	/* with its log */

#endif
