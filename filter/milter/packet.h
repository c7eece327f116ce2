/*
 * packet - commands of the MTA and answers to it, many in one system call.
 *
 * libmilter goes to the kernel four times for each command and twice for each
 * edit.  milter/packet.c stands in for its mi_rd_cmd() and mi_wr_cmd(), in
 * the way milter/threads.h tells of.
 *
 * An MTA that need not wait for replies sends many commands at once.  We look
 * at what lies in the socket and hand out the commands that are whole; with
 * the last of them all are taken out of the socket.  Until then the library's
 * engine, which asks the kernel, finds that there is something to read.
 * Edits of the message wait for the answer behind them, and leave with it.
 * What is not whole, or larger than there is room for, an end and an error
 * are the library's to read; it writes what is too large.
 *
 * A connection's thread calls packets_begin() before the engine runs.
 */
#ifndef MILTER_PACKET_H
#define MILTER_PACKET_H

#include <stddef.h>

#define PACKET_BYTES	(16 * 1024)	/* of commands looked at */
#define PACKET_ANSWER	(4 * 1024)	/* of edits and the answer to come */

/* Of one connection, on its thread's stack. */
struct packets {
	size_t		 whole;		/* bytes of commands that are whole */
	size_t		 taken;		/* handed out, still in the socket */
	unsigned char	 bytes[PACKET_BYTES];
	size_t		 kept;		/* bytes that wait to be sent */
	unsigned char	 answer[PACKET_ANSWER];
};

/* NULL: the library's own way. */
void	packets_begin(struct packets *);

#endif
