/*
 * threads - a thread for each connection in place of libmilter's worker pool.
 *
 * Debian builds libmilter with a pool that serves the events of one poll round
 * one after another: a callback that waits for DNS holds up every other
 * event of its round.  libmilter reaches its pool and its signal handling
 * through exported functions; milter/threads.c defines the same names in the
 * program, which the dynamic linker prefers.  A connection's thread runs the
 * library's own engine until the connection ends, and sleeps while the MTA is
 * silent; after that it waits a while for the next one, as some others do.
 * A connection that is silent for THREADS_IDLE_S is closed; one that
 * would take the last quarter of the descriptors, or that there is no thread
 * for, is hung up on at once.
 *
 * threads_check() says whether the library found at run time is of the
 * kind this was made for; without it a filter would only be slower.
 */
#ifndef MILTER_THREADS_H
#define MILTER_THREADS_H

#include <stdbool.h>

#ifndef THREADS_IDLE_S
#define THREADS_IDLE_S	900	/* above Postfix's milter_content_timeout */
#endif

/* false: the library does not look like a pool build; *why says more. */
bool	threads_check(const char **why);
/* Connections that have a thread now. */
long	threads_running(void);

#endif
