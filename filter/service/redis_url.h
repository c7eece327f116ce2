/*
 * redis_url - where a Redis or Valkey server is, as the state setting says.
 *
 *   redis://[[user]:password@]host[:port][,host[:port]...][/db][?option...]
 *   rediss://...			the same in TLS
 *   redis+unix://[[user]:password@]/path[?db=N][&option...]
 *
 * Several hosts are nodes of a cluster, or a server and its replicas: the
 * first that answers and may be written to is used.  Options: db=N, ca=FILE
 * (whom TLS trusts, PEM), clock=client (the time is this host's, not the
 * server's; keys never expire then: for tests).
 * User and password may be %-encoded.  Owns everything it points to.
 */
#ifndef SERVICE_REDIS_URL_H
#define SERVICE_REDIS_URL_H

#include "base/str.h"

#define REDIS_HOSTS_MAX 16

struct redis_url {
	bool		 tls, own_clock;
	char		*user, *password;	/* NULL: none */
	char		*path;	/* unix; NULL: hosts */
	size_t		 nhosts;
	char		*host[REDIS_HOSTS_MAX];
	char		*port[REDIS_HOSTS_MAX];
	unsigned int	 db;
	char		*ca;
};

bool		 redis_url_is(struct str); /* begins like one */
/* false: *why says what is wrong; nothing is to be freed then. */
bool		 redis_url_parse(struct str, struct redis_url *,
		    struct buf *why);
void		 redis_url_free(struct redis_url *);
/* "host", "host:port", "[v6]:port". */
bool		 redis_url_host(struct str, char **host, char **port);

#endif
