/*
 * glue - libmilter's callbacks: record, ask, answer.
 *
 * Each callback hands its fact to policy/road and turns the decision into
 * an SMFIS_ answer.  What is negotiated with the MTA is computed from the
 * policy in force, for each connection anew.
 *
 * glue_run() is the listener's thread; the callbacks run in a thread of each
 * connection.  glue_set_policy() may be called at any time by any thread.
 * A fault is a temporary answer, never a silent accept.
 */
#ifndef MILTER_GLUE_H
#define MILTER_GLUE_H

#include <stdbool.h>

#include "check/check.h"
#include "policy/policy.h"

/* fd: a listening socket.  false: libmilter does not take it. */
bool	glue_init(int fd, struct services *, struct policy *);
/* Listens until the process ends; returns only when libmilter fails. */
bool	glue_run(void);
/* Takes a reference; new connections and messages use it from now on. */
void	glue_set_policy(struct policy *);
/* The policy in force; the caller releases it. */
struct policy *glue_policy(void);
/*
 * No new work: callbacks from now on answer "try again".  Waits up to ms
 * for those that run to be answered; false: some still run.
 */
bool	glue_stop(int ms);

#endif
