/*
 * socket - the sockets postern listens on.
 *
 * A unix socket gets exactly the mode, user and group the policy names, from
 * the first moment it can be connected to; a stale one is replaced, a live
 * one is not.  An inet socket carries TCP_NODELAY, which accepted sockets
 * inherit: without it every header edit costs a delayed ACK.
 * Used by the main thread before privileges are dropped.
 */
#ifndef DAEMON_SOCKET_H
#define DAEMON_SOCKET_H

#include <stdbool.h>

#include "policy/policy.h"

/* A listening descriptor, close-on-exec; -1 with the reason in *err. */
int	socket_listen(const struct listen *, struct buf *err);
/* Removes a unix socket's name at the end. */
void	socket_remove(const struct listen *);
/* A connection to a unix socket; -1 with the reason in *err. */
int	socket_connect(struct str path, struct buf *err);
/* Tells systemd, if it is there, what is going on ("READY=1"). */
void	socket_notify(const char *state);

#endif
