/*
 * summary - what the log's line of a message and its record in the history
 * both tell of it, fact by fact.
 *
 * Each goes to the caller's function, which writes it in its own form into
 * its own buffer.  Reads what the checks have found; computes nothing.  Any
 * thread.
 */
#ifndef POLICY_SUMMARY_H
#define POLICY_SUMMARY_H

#include "base/addr.h"
#include "mail/session.h"
#include "policy/policy.h"

typedef void	summary_fn(struct buf *, const char *key, struct str value);

/* The client's address, in room; "" where it has none. */
struct str summary_client(const struct session *, char room[ADDR_TEXT_MAX]);
struct str summary_sender(const struct txn *);	/* "<>": the null one */
void	summary_number(struct buf *, summary_fn *, const char *key,
	    long long n);
/* reply: "550 5.7.1 text". */
void	summary_reply(struct buf *, summary_fn *, const struct reply *);
/* spf, dkim, dmarc, arc: those that were asked; then the score, where there
 * is one, in tenths or exact. */
void	summary_checks(struct buf *, summary_fn *, const struct txn *,
	    bool exact);

#endif
