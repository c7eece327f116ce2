/*
 * store_backend - what stands behind store.h: one table a kind of store.
 *
 * A backend's functions are called from any thread, with lengths already
 * clipped by store.c.  A backend tells of faults through the struct
 * store_health it was opened with; store.c logs and counts them.
 */
#ifndef SERVICE_STORE_BACKEND_H
#define SERVICE_STORE_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>

#include "service/store.h"

struct store_health {
	pthread_mutex_t	 lock;
	atomic_bool	 down;
	struct str	 whole;		/* as configured */
	struct str	 spec;		/* for the log: without a password */
};

struct store_backend {
	const char	*scheme;	/* "memory:" */
	void		*(*open)(struct str where, struct store_health *,
			    struct buf *err);
	void		 (*close)(void *);
	enum store_result (*reserve)(void *, const struct store_window *,
			    size_t n, struct store_held **,
			    struct store_usage *);
	void		 (*change)(void *, struct store_held *, size_t index,
			    uint64_t cost);
	enum store_result (*commit)(void *, struct store_held **helds[],
			    size_t n);
	void		 (*refund)(void *, struct store_held **);
	void		 (*keep)(void *, struct store_held **);
	enum store_result (*peek)(void *, const struct store_window *,
			    struct store_usage *);
	enum store_result (*count)(void *, const struct store_window *);
	/* claim: only where there is none */
	enum store_result (*note_put)(void *, struct str space, struct str key,
			    struct str value, int64_t expires_ms, bool claim);
	enum store_result (*note_get)(void *, struct str space, struct str key,
			    struct buf *value, int64_t *expires_ms);
	enum store_result (*note_del)(void *, struct str space,
			    struct str key);
	void		 (*each)(void *,
			    bool (*)(void *, const struct store_seen *),
			    void *);
	size_t		 (*clear)(void *, struct str key);
	void		 (*set_max)(void *, uint64_t bytes);
	void		 (*stats)(void *, struct store_stats *);
};

extern const struct store_backend store_backend_memory;
extern const struct store_backend store_backend_sqlite;
extern const struct store_backend store_backend_redis;

/* why: what is wrong, "" when it is right again. */
void	store_health_set(struct store_health *, const char *why);

#endif
