/*
 * packet - commands of the MTA and answers to it, many in one system call.
 *
 * libmilter goes to the kernel four times for each command and twice for each
 * edit.  milter/packet.c stands in for its mi_rd_cmd() and mi_wr_cmd(), in
 * the way milter/threads.h tells of.
 *
 * An MTA that need not wait for replies sends many commands at once.  We read
 * what there is and hand out one after another.  Before each the library's
 * engine asks poll() whether there is one: that too is answered here, for the
 * socket of the calling thread's connection alone.  Until an engine has asked
 * it may be one that asks the kernel in another way, and the library reads.
 * Edits of the message wait for the answer behind them, and leave with it;
 * what is too large for that is the library's to write.
 *
 * A connection's thread calls packets_begin() before the engine runs, and
 * packets_wait() when the engine has found nothing more to do.
 */
#ifndef MILTER_PACKET_H
#define MILTER_PACKET_H

#include <sys/time.h>

#include <stdbool.h>
#include <stddef.h>

#define PACKET_BYTES	(16 * 1024)	/* of commands read at once */
#define PACKET_ANSWER	(4 * 1024)	/* of edits and the answer to come */

/* Of one connection, on its thread's stack. */
struct packets {
	int		 fd;
	bool		 asked;		/* the engine asks us for commands */
	char		 over;		/* why nothing comes any more; 0 */
	size_t		 from, to;	/* of bytes: still to be handed out */
	unsigned char	 bytes[PACKET_BYTES];
	size_t		 kept;		/* bytes that wait to be sent */
	unsigned char	 answer[PACKET_ANSWER];
};

/* An MTA that is silent for so long is gone.  fd -1: the library's own way. */
void	packets_begin(struct packets *, int fd, const struct timeval *idle);
/* Sleeps until there is a command, or the connection is over: which of them,
 * the engine finds out. */
void	packets_wait(struct packets *);
void	packets_end(void);

#endif
