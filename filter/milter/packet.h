/*
 * packet - the MTA's commands, taken from the socket many at a time.
 *
 * libmilter goes to the kernel four times for each command.  An MTA that
 * need not wait for replies sends many at once: milter/packet.c stands in
 * for the library's mi_rd_cmd(), in the way milter/threads.h tells of.  It
 * looks at what lies in the socket and hands out the commands that are whole;
 * with the last of them it takes all out of the socket.  Until then the
 * library's engine, which asks the kernel, finds that there is something to
 * read.  What is not whole, or larger than PACKET_BYTES, an end and an error
 * the library reads by itself.
 *
 * A connection's thread calls packets_begin() before the engine runs.
 */
#ifndef MILTER_PACKET_H
#define MILTER_PACKET_H

#include <stddef.h>

#define PACKET_BYTES	(16 * 1024)

/* What was seen of one connection, on its thread's stack. */
struct packets {
	size_t		 whole;		/* bytes of commands that are whole */
	size_t		 taken;		/* handed out, still in the socket */
	unsigned char	 bytes[PACKET_BYTES];
};

/* NULL: the library's own way. */
void	packets_begin(struct packets *);

#endif
