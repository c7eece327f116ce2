/*
 * history - what was decided about the mail of the last days, to be found
 * again by queue id, client, sender or recipient.
 *
 * history_put() copies a record into a queue and returns; one thread writes
 * what has gathered about once a second, in one transaction, compressed.  A
 * kill loses that second.  Records older than the age go, and the oldest when
 * the file has grown to its size.  A queue that is full, or a disk that takes
 * nothing, loses records: they are counted (METRIC_HISTORY_LOST), the log
 * says it once, and no mail waits for it.
 *
 * What was refused before it was a message has a part of the size and of the
 * queue to itself.  The same once more, by its key, within HISTORY_AGAIN_MS
 * is counted in one record, for HISTORY_ROW_MS at most; and no more of them
 * are kept apart at a time than HISTORY_REPEATS: the rest are only counted
 * (METRIC_HISTORY_LEFT_OUT).
 *
 * An SQLite file of its own, or memory, for as long as the process lives.  A
 * file that is damaged is moved aside (service/aside.h), when it is opened or
 * later, and a new one begun.  Any thread may call these.
 */
#ifndef SERVICE_HISTORY_H
#define SERVICE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

#define HISTORY_RECORD_MAX	(64 * 1024)	/* bytes of one; more is cut */
#define HISTORY_QUEUE_MAX	(8 * 1024 * 1024)
#define HISTORY_MEMORY_MAX	(16 * 1024 * 1024) /* of one without a file */
#define HISTORY_SIZE_MIN	(1024 * 1024)
#define HISTORY_AGAIN_MS	(60 * 1000)
#define HISTORY_ROW_MS		(60 * 60 * 1000)
#define HISTORY_REPEATS		4096

struct history;

struct history_record {
	int64_t		 at_ms;
	struct str	 queue_id;	/* "" where the MTA had given none */
	struct str	 client;	/* address; "" of a local pipe */
	struct str	 sender;	/* "": there was no MAIL */
	/* each with a blank before and behind it; found by --to */
	struct str	 rcpts;
	struct str	 text;
	bool		 refused;	/* there was no message */
	struct str	 key;		/* of what was refused: who, and why */
	/* as found: how often, the last time */
	uint64_t	 times;
	int64_t		 until_ms;
};

/* What to find; "": any.  Letters' case does not matter in addresses. */
struct history_query {
	struct str	 queue_id, from, to;
	struct addr_net	 client;	/* ADDR_NONE: any */
	size_t		 max;
};

/* path NULL: in memory.  NULL with a text in *err: it can't be opened, is
 * something else, or in use.  A damaged one is moved aside. */
struct history	*history_open(const char *path, int64_t age_ms,
		    uint64_t bytes, struct buf *err);
void		 history_close(struct history **);	/* writes the queue */
void		 history_set(struct history *, int64_t age_ms, uint64_t bytes);
void		 history_put(struct history *, const struct history_record *);
/* Was the same refused a moment ago, or is there no room to keep it apart?
 * Then it is counted, and need not be put. */
bool		 history_again(struct history *, struct str key, int64_t at_ms);
/* The newest first, with what was put until now; the callback gets copies,
 * and false ends.  false: the file can't be read, *err. */
bool		 history_find(struct history *, const struct history_query *,
		    bool (*found)(void *, const struct history_record *),
		    void *, struct buf *err);

#endif
