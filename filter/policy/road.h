/*
 * road - the one way a message takes, whoever brings it.
 *
 * The milter's callbacks, `postern scan' and the replay tests call these in
 * the order of SMTP.  Each records its fact, starts the lookups that later
 * rules will want, asks policy_eval() and says what to answer; deadlines,
 * limits, metrics and the log line of a message are kept here, so that no
 * caller can do them differently.
 *
 *	road_begin
 *	road_connect  road_helo
 *	  road_mail  road_rcpt...  road_header...  road_eoh  road_body...
 *	  road_message  (read the outcome, apply it)  road_abort
 *	road_end
 *
 * Any of them may be missing: a stage that was never told has no facts.
 * Strings are copied; what comes back lives in the session's arena (connect,
 * helo) or the txn's.  An arena that is full ends in a tempfail.  A session
 * is used by one thread at a time.
 */
#ifndef POLICY_ROAD_H
#define POLICY_ROAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check/check.h"
#include "mail/session.h"
#include "policy/policy.h"

struct road_client {
	struct addr addr; /* ADDR_NONE: a local pipe */
	struct str name; /* "" or "[192.0.2.1]": it has none */
	struct str daemon_name; /* {daemon_name} */
	struct str mta_name; /* j */
};

struct road_sender {
	struct str arg; /* MAIL FROM's path, with <> or without */
	uint64_t size; /* envelope_size(); 0: not declared */
	struct str user; /* {auth_authen} */
	struct str auth_method; /* {auth_type} */
	struct str tls_version, tls_cipher;
	struct str queue_id; /* "" where the MTA has none yet */
	bool non_smtp; /* sendmail(1): no RCPT is refused */
};

/* How a message ends: what the glue applies. */
struct outcome {
	enum action action; /* ACCEPT, REJECT, TEMPFAIL, DISCARD,
					 * QUARANTINE (hold, then accept) */
	enum stage stage; /* where that was decided */
	struct reply reply; /* REJECT, TEMPFAIL */
	struct str rule; /* "file:line"; "" where none decided */
	struct str quarantine; /* QUARANTINE: the reason */
	bool fault; /* a fault decided, not a rule */
	bool overflow; /* the message's memory was full */
	/* ACCEPT and QUARANTINE: in this order, before the answer.  Removals
	 * of one name come from the highest nth to the lowest. */
	const struct edit *edits;
	/* ACCEPT and QUARANTINE: recipients to delete are those of
	 * session->txn->rcpts with action ACTION_DISCARD. */
	unsigned int discarded; /* how many they are */
};

/* Takes references; the policy's is kept until road_end(). */
struct session *road_begin(struct services *, struct policy *);
void road_end(struct session **);

/*
 * The answers: ACTION_REJECT and ACTION_TEMPFAIL with decision->reply; any
 * other action means: go on.  (accept, discard and quarantine are remembered
 * and come out of road_message().)
 */
void road_connect(
    struct session *, const struct road_client *, struct decision *);
void road_helo(struct session *, struct str name, struct decision *);
/* policy: the one in force now, NULL keeps the connection's.  An open
 * message ends first. */
void road_mail(struct session *, struct policy *, const struct road_sender *,
    struct decision *);
/* mta_refused: {rcpt_mailer} is "error"; counted, never decided about. */
void road_rcpt(
    struct session *, struct str arg, bool mta_refused, struct decision *);

/* Value with its leading space, folded by LF; false: the arena is full. */
bool road_header(struct session *, struct str name, struct str value);
void road_eoh(struct session *);
/* false: no more of the body is wanted. */
bool road_body(struct session *, const void *, size_t);
/* queue_id: "" if it was told before.  The txn stays until road_abort(). */
void road_message(struct session *, struct str queue_id, struct outcome *);
/* Frees the message, if there is one; allowed at any time. */
void road_abort(struct session *);

/*
 * enum need of all that a message must bring for this policy, with what
 * follows from it (score rules want headers and content, DKIM the body, ...).
 */
unsigned int road_needs(const struct policy *);

#endif
