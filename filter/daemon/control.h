/*
 * control - the socket through which an admin talks to the daemon.
 *
 * One request line, one answer, then the connection closes.  A request is a
 * word and its arguments, parted by one space each:
 *	status [--json]		metrics			reload
 *	who [--json] [--all]	show [--json] KEY	release [--json] KEY
 *	block [--json] KEY TIME	why [--json] QUEUE-ID
 *	why [--json] [--from ADDRESS] [--to ADDRESS]
 * and "GET /metrics HTTP/1.x" for Prometheus.  In an argument %XX stands for
 * a byte, as it must for white space, control characters and the percent
 * sign.  An answer begins with "ok" or "error" on a line of its own and ends
 * with a line of one dot, without which it is not whole; but for HTTP.
 *
 * A thread serves a client, CONTROL_CLIENTS_MAX of them at once; a client
 * that takes longer than CONTROL_TIMEOUT_S to ask, or to read a part of the
 * answer, is dropped, and so is any at the end.  A long answer is sent in
 * parts as it is made, in its turn: a reload does not wait behind those who
 * read all there is, nor do these take more than their share of memory.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <sys/types.h>

#include <stdbool.h>

#include "base/str.h"

#define CONTROL_TIMEOUT_S	2
#define CONTROL_CLIENTS_MAX	64
#define CONTROL_TURNS		2	/* long answers made at once */
#define CONTROL_WAITING_MAX	32	/* for their turn */
#define CONTROL_ARGS_MAX	8
#define CONTROL_NAME_MAX	64

struct control_call {
	struct str	 name;
	struct str	 args[CONTROL_ARGS_MAX];
	size_t		 nargs;
	/* Who asks, as the kernel knows it: SO_PEERCRED. */
	uid_t		 uid;
	char		 user[CONTROL_NAME_MAX];
	struct buf	 out;		/* the answer so far */
	int		 fd;		/* control.c's own from here */
	bool		 begun, gone, turn;
};

/* Answers a request, in the thread of its client; false: what *out holds is
 * an error text. */
typedef bool (*control_handler)(struct control_call *);

/* fd: a listening socket.  Starts to accept; false: no thread for it. */
bool	control_start(int fd, control_handler);
/* Returns when no handler runs any more. */
void	control_stop(void);
/* For a long answer, before it is begun: waits for its turn, which ends with
 * the answer.  false: too many wait, as *out says, or the end is near. */
bool	control_turn(struct control_call *);
/* For a long answer: sends *out when it is much, or an answer that is not an
 * error has begun.  false: nobody reads any more. */
bool	control_flush(struct control_call *);

/* The client's side.  Adds an argument as a request carries it. */
void	control_add_arg(struct buf *request, struct str arg);
/* Exit status of a command, the answer on stdout. */
int	control_ask(struct str path, struct str request);

#endif
