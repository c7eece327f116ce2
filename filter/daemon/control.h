/*
 * control - the socket through which an admin talks to the daemon.
 *
 * One request line, one answer, then the connection closes:
 *	status	status json	metrics	reload
 * and "GET /metrics HTTP/1.x" for Prometheus.  One thread serves one
 * client at a time; a client that takes longer than CONTROL_TIMEOUT_S to ask,
 * or to read a part of the answer, is dropped, and so is any at the end.
 * An answer starts with "ok" or "error" on a line of its own, but for HTTP.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <stdbool.h>

#include "base/str.h"

#define CONTROL_TIMEOUT_S	2

/* Answers a request; false: the answer is an error text. */
typedef bool (*control_handler)(struct str request, struct buf *answer);

/* fd: a listening socket.  Starts the thread; false: it could not. */
bool	control_start(int fd, control_handler);
void	control_stop(void);
/* The client's side: exit status of a command, the answer on stdout. */
int	control_ask(struct str path, const char *request);

#endif
