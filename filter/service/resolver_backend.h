/*
 * resolver_backend - what stands behind the table of futures.
 *
 * resolver.c calls ask() for each name it does not know, from any thread
 * and with no lock held.  A backend ends every query that it was asked with
 * exactly one resolver_done(), from ask() itself or from a thread of its
 * own, and for those still open from close().  cancel() is a hint that
 * nobody wants the answer any more; the table has forgotten the query by
 * then, and it ends with resolver_done() all the same.
 */
#ifndef SERVICE_RESOLVER_BACKEND_H
#define SERVICE_RESOLVER_BACKEND_H

#include <sys/queue.h>

#include "service/dns_answer.h"

/* Lives until its resolver_done(). */
struct resolver_query {
	const char	*name;		/* dns_name_normal() */
	enum dns_type	 type;
	/* The rest is the backend's, zero at first. */
	TAILQ_ENTRY(resolver_query) link;
	void		*backend;
	struct dns_answer *answer;	/* to be given later */
	size_t		 size;
	int64_t		 ttl_s;
	int64_t		 due_ms;
	int		 id;
	bool		 cancelled;
};

TAILQ_HEAD(resolver_queue, resolver_query);

struct resolver_backend {
	/* NULL with a text in *err. */
	void	*(*open)(struct str spec, struct buf *err);
	void	 (*close)(void *);
	void	 (*ask)(void *, struct resolver_query *);
	void	 (*cancel)(void *, struct resolver_query *);
};

extern const struct resolver_backend resolver_file;	/* spec: a path */
extern const struct resolver_backend resolver_unbound;

/* Takes over the answer, of dns_build_end(); size is that function's. */
void	resolver_done(struct resolver_query *, struct dns_answer *answer,
	    size_t size, int64_t ttl_s);
/* The same for an answer without records. */
void	resolver_done_status(struct resolver_query *, enum dns_status,
	    bool secure, int64_t ttl_s);

/* A backend's thread begins with this: signals are the daemon's. */
void	resolver_block_signals(void);

#endif
