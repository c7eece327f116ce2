/*
 * redis_link - operations on their way to a Redis server.
 *
 * Operations gather and go as batches, each one call of the script
 * (store_redis.lua), which the server runs at once or not at all.  Two may be
 * under way (with TLS, one): what is asked while the server works on one goes
 * as the other.  Whoever waits does the work: one sends what has gathered, one
 * waits for the oldest answer and wakes those whose it is; before one leaves,
 * another is called to do what is next.  A thread does it where nobody waits,
 * and keeps the lease and the connection.
 *
 * When no answer comes within REDIS_TIMEOUT_MS, those who wait are told so;
 * the link connects again by itself, after a while that grows up to 5 s.
 * The server then says which of the last batches were run.  Of those that were
 * not, `sure' operations are sent again; `settled' hears of the others, so
 * that nothing is done twice, and nothing stays half done.  Up to
 * REDIS_PENDING_MAX operations are kept meanwhile; what is beyond is lost,
 * and said to be.
 *
 * Any thread may call these; settled() is called with the link locked and
 * may only use redis_link_queue_locked().
 */
#ifndef SERVICE_REDIS_LINK_H
#define SERVICE_REDIS_LINK_H

#include "service/redis_batch.h"
#include "service/redis_lease.h"
#include "service/redis_url.h"
#include "service/store_backend.h"

#define REDIS_PENDING_MAX 200000

struct redis_link;

enum redis_fate {
	REDIS_NOT_RUN,
	REDIS_RUN, /* op->out[0] is known, and when it was */
};

/* What became of an operation whose answer was lost; not of sure ones. */
typedef void redis_settled(void *arg, struct redis_op *, enum redis_fate,
    int64_t when_ms);

/* NULL with *err where the server refuses us; one that is away is waited
 * for. */
struct redis_link *redis_link_open(const struct redis_url *, redis_settled *,
    void *arg, struct store_health *, struct buf *err);
void		 redis_link_close(struct redis_link **); /* sends the rest */
/* All of them; false for those whose ok is not set.  Then redis_op_end(). */
void		 redis_link_run(struct redis_link *, struct redis_op **,
		    size_t n);
void		 redis_op_end(struct redis_link *, struct redis_op *);
/* Sends it some time; the link frees it. */
void		 redis_link_queue(struct redis_link *, struct redis_op *);
void		 redis_link_lock(struct redis_link *);
void		 redis_link_queue_locked(struct redis_link *,
		    struct redis_op *);
void		 redis_link_unlock(struct redis_link *);
uint64_t	 redis_link_pending(struct redis_link *);
/* false: not known yet. */
bool		 redis_link_secret(struct redis_link *, uint64_t secret[2]);

#endif
