/*
 * scan - `postern scan': judges messages offline and says why.
 *
 * Walks the same road as the milter with a message from a file; the state
 * store is one in memory, so that nothing of the running daemon changes.
 * Exit status: 0 evaluated, 2 usage or unreadable input, 3 bad policy.
 */
#ifndef DAEMON_SCAN_H
#define DAEMON_SCAN_H

int	scan_main(int argc, char **argv);

#endif
