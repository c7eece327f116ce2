/*
 * metric - what the daemon counts, one table.
 *
 * Counters only grow; gauges go up and down.  Any thread, no lock, never
 * fails.  The same rows make `postern status', the Prometheus text and the
 * manual's table.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdint.h>

#include "base/str.h"

#define METRICS(X)							\
	X(CONNECTIONS, COUNTER, "connections", "connections from the MTA") \
	X(OPEN, GAUGE, "connections_open", "connections open now")	\
	X(MESSAGES, COUNTER, "messages", "messages judged at their end") \
	X(RECIPIENTS, COUNTER, "recipients", "recipients accepted at RCPT") \
	X(MTA_REFUSED, COUNTER, "recipients_mta_refused",		\
	    "recipients the MTA itself refused")			\
	X(ACCEPT, COUNTER, "verdict_accept", "messages accepted")	\
	X(REJECT, COUNTER, "verdict_reject",				\
	    "replies of permanent refusal, any stage")			\
	X(TEMPFAIL, COUNTER, "verdict_tempfail",			\
	    "replies of temporary refusal, any stage")			\
	X(DISCARD, COUNTER, "verdict_discard", "messages discarded")	\
	X(QUARANTINE, COUNTER, "verdict_quarantine", "messages put on hold") \
	X(ABORTS, COUNTER, "aborts", "messages given up before their end") \
	X(OVERFLOWS, COUNTER, "arena_overflows",			\
	    "messages past their memory cap")				\
	X(RELOADS, COUNTER, "reloads", "policies taken into force")	\
	X(RELOADS_FAILED, COUNTER, "reloads_failed",			\
	    "policies refused for mistakes")				\
	X(DNS_QUERIES, COUNTER, "dns_queries",				\
	    "lookups sent to the resolver")				\
	X(DNS_CACHED, COUNTER, "dns_cached", "lookups answered from memory") \
	X(DNS_FAILED, COUNTER, "dns_failed",				\
	    "lookups that ended in SERVFAIL")				\
	X(DNS_TIMEOUTS, COUNTER, "dns_timeouts",			\
	    "lookups past their deadline")				\
	X(LIMIT_CHECKS, COUNTER, "limit_checks", "questions `over LIMIT'") \
	X(LIMIT_OVER, COUNTER, "limit_over", "answers yes to `over LIMIT'") \
	X(STORE_FAULTS, COUNTER, "store_faults",			\
	    "failures of the state store")				\
	X(HISTORY_LOST, COUNTER, "history_lost",			\
	    "messages that the history could not keep")			\
	X(HISTORY_LEFT_OUT, COUNTER, "history_left_out",		\
	    "refusals that were too many for the history")		\
	X(RULES_LIMITED, COUNTER, "rules_limited",			\
	    "score rules that were too much for a message")		\
	X(INTERNAL, COUNTER, "internal_errors",				\
	    "things that should not happen")

enum metric {
#define X(id, kind, name, help) METRIC_##id,
	METRICS(X)
#undef X
	METRIC_COUNT
};

void		 metric_inc(enum metric);
void		 metric_add(enum metric, int64_t n);
int64_t		 metric_get(enum metric);
const char	*metric_name(enum metric);
const char	*metric_help(enum metric);
/* Prometheus text exposition format 0.0.4, names prefixed "postern_". */
void		 metric_prometheus(struct buf *);
void		 metric_json(struct buf *);	/* one object */

#endif
