/*
 * redis_lease - what a process has on a Redis server besides its counts: the
 * script there (store_redis.lua), and a lease.
 *
 * The lease says which two batches of the process were run last, and what came
 * of them.  Whoever takes it over begins an epoch: batches of an older
 * one can't be run any more.  Reservations of a process count as long as its
 * lease is renewed, which each batch does.
 *
 * One thread at a time, the one that has the wire.  What fails says why, and
 * the wire is useless then.
 */
#ifndef SERVICE_REDIS_LEASE_H
#define SERVICE_REDIS_LEASE_H

#include "service/redis_wire.h"

#define REDIS_PREFIX	"{postern}" /* of all keys; one cluster slot */
#define REDIS_LEASE_MS	30000
#define REDIS_ID_LEN	16
#define REDIS_STAY_MS	86400000 /* what it said of the last batches */

struct redis_lease {
	char		 name[64];
	char		 epoch[REDIS_ID_LEN + 1];
	char		 sha[41];	/* of the script */
	uint64_t	 secret[2];	/* all posterns have the same */
	bool		 own_clock;	/* for tests; else the server's */
};

void	redis_lease_init(struct redis_lease *, bool own_clock);
bool	redis_lease_load(struct redis_lease *, struct redis_wire *,
	    struct buf *why);
/* In a new epoch; said: what the lease was before. */
bool	redis_lease_begin(struct redis_lease *, struct redis_wire *,
	    struct buf *said, struct buf *why);
/* Was this batch of n operations run?  Then with what results, and when; and
 * *said tells of the one before. */
bool	redis_lease_tells(struct str *said, const char *epoch, uint64_t seq,
	    size_t n, struct str *codes, int64_t *when_ms);
void	redis_lease_end(const struct redis_lease *, struct redis_wire *);
/* Logs what makes a server forget. */
void	redis_lease_warn(struct redis_wire *, struct str spec);

#endif
