/*
 * redis_batch - operations for the script on a Redis server
 * (store_redis.lua), queues of them, and a batch of them as one command and
 * its answer.
 *
 * An operation belongs to who made it; redis_link.h says when it changes
 * hands.  Nothing here takes a lock: whoever has a queue has it alone.  An
 * answer that does not fit its batch is refused whole.
 */
#ifndef SERVICE_REDIS_BATCH_H
#define SERVICE_REDIS_BATCH_H

#include "base/str.h"
#include "service/redis_wire.h"

#define REDIS_BATCH_MAX	     256
#define REDIS_BATCH_KEYS_MAX 2000 /* the script's stack has room for them */
#define REDIS_OUT_MAX	     4

struct redis_waiter;

struct redis_op {
	struct redis_op	*next;
	unsigned int	 nkeys;
	struct buf	 keys, args;	/* as they go over the wire */
	bool		 sure;	/* must be done in the end */
	void		*about;	/* the caller's own */
	char		 letter;	/* which of the script's operations */
	/* the link's, and the result */
	struct redis_waiter *waiter;
	bool		 waited, queued, sent, done, ok;
	unsigned int	 batch;	/* it was sent with */
	unsigned int	 tries;
	int64_t		 out[REDIS_OUT_MAX];
	char		*text;	/* of notes */
	size_t		 ntext;
};

struct redis_ops {
	struct redis_op *head, **tail;
	size_t		 n;
};

/* A letter, a number, how many windows; then what the letter asks for. */
struct redis_op *redis_op_new(char letter, int64_t first, size_t n);
void		 redis_op_key(struct redis_op *, struct str);
void		 redis_op_free(struct redis_op *);
/* As the script reads them: a double, 16 bits, bytes with their length in 16
 * bits before them. */
void		 redis_put_number(struct buf *, int64_t);
int64_t		 redis_get_number(const char *);
void		 redis_put_short(struct buf *, size_t);
void		 redis_put_text(struct buf *, struct str);

void		 redis_ops_init(struct redis_ops *);
void		 redis_ops_add(struct redis_ops *, struct redis_op *);
struct redis_op	*redis_ops_take(struct redis_ops *);	/* NULL: empty */
/* `from' comes before what the queue has, and is empty then. */
void		 redis_ops_put_back(struct redis_ops *, struct redis_ops *from);
/* As many from the front as one batch may have. */
void		 redis_ops_batch(struct redis_ops *, struct redis_ops *batch);

/* What a batch needs besides its operations. */
struct redis_batch_head {
	struct str	 sha, lease;
	struct str	 was, is;	/* how the lease begins */
	size_t		 before;	/* operations of the batch before */
	int64_t		 now_ms;	/* -1: the server knows */
	int64_t		 lease_ms;
	int64_t		 stay_ms;	/* so long its key; 0: as it does */
	bool		 expire;	/* keys go by themselves */
};

void		 redis_batch_write(struct buf *, const struct redis_ops *,
		    const struct redis_batch_head *);
/* Sets the results of all, or of none and returns false. */
bool		 redis_batch_read(struct redis_ops *, const redisReply *);

#endif
