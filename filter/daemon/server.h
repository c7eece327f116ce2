/*
 * server - the daemon's life: sockets, privileges, services, signals, end.
 *
 * server_run() does not return before the daemon ends.  The main thread
 * waits for signals, the listener, the control socket and the ticker
 * (file tables) have a thread each, and so has every connection.
 * Exit status: 0 ended by SIGTERM or SIGINT, 1 it could not start or its
 * listener failed, 3 the policy has mistakes.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <stdbool.h>

struct server_options {
	const char	*conf;
	bool		 shadow;
	bool		 foreground;
};

int	server_run(const struct server_options *);

#endif
