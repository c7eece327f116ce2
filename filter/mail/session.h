/*
 * session - the facts of one connection, and of one message on it.
 *
 * Two lifetimes: struct session is a connection, struct txn a message.
 * RSET, abort and the next MAIL free the txn alone.  Each has an arena that
 * everything said by the stranger lives in.  Only facts live here: who
 * computes from them is check/, who decides is policy/.  A session is
 * used by one thread at a time.
 */
#ifndef MAIL_SESSION_H
#define MAIL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/str.h"
#include "mail/body.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "mail/stage.h"
#include "mail/verdict.h"

#define SESSION_ARENA_CAP	(256 * 1024)
#define TXN_ARENA_CAP		(32 * 1024 * 1024)

struct policy;			/* policy/policy.h */
struct checks;			/* check/check.h */
struct trace;			/* policy/trace.h */

struct rcpt {
	struct rcpt	*next;
	struct address	 addr;
	bool		 mta_refused;	/* {rcpt_mailer} was "error" */
	enum action	 action;	/* what was decided for it */
	bool		 final;		/* `accept': no message rules */
	struct str	 rule;
};

struct txn {
	struct session	*session;
	struct arena	*arena;
	struct address	 sender;
	struct str	 user;		/* {auth_authen}, "" if not logged in */
	struct str	 auth_method;
	struct str	 tls_version, tls_cipher;
	uint64_t	 size_declared;
	struct rcpt	*rcpts;		/* every one asked, refused ones too */
	struct rcpt	*rcpt;		/* the one being decided */
	unsigned int	 accepted;	/* recipients accepted so far */
	struct str	 queue_id;
	struct headers	 headers;
	struct body	 body;
	struct verdict	 verdict;
	struct checks	*checks;	/* results about this message */
	struct trace	*trace;
	int64_t		 deadline;	/* mono ms, of the whole message */
	int64_t		 waited_ms;	/* time its rules have taken so far */
	unsigned int	 needs;		/* of its policy: enum need */
	bool		 judged;	/* it came to its end */
	bool		 non_smtp;	/* sendmail(1), non_smtpd_milters */
};

struct session {
	struct arena	*arena;
	uint64_t	 id;
	struct addr	 client;	/* family ADDR_NONE: a local pipe */
	struct str	 client_name;	/* never "[192.0.2.1]" but "" */
	struct str	 helo;
	struct str	 daemon_name, mta_name;
	struct verdict	 verdict;	/* what connect and helo decided */
	bool		 accepted;	/* `accept' at connect or helo */
	struct checks	*checks;	/* results about this connection */
	struct trace	*trace;
	struct policy	*policy;	/* a reference; the txn's is taken
					 * again at MAIL */
	int64_t		 deadline;	/* mono ms: all waiting of this stage */
	struct txn	*txn;		/* NULL between messages */
};

struct session	*session_new(void);
void		 session_free(struct session **);	/* the txn as well */
/* Ends an open txn first. */
struct txn	*txn_begin(struct session *, size_t body_max);
void		 txn_end(struct session *);
/* The arena for what is decided now: the txn's, else the session's. */
struct arena	*session_arena(struct session *);
struct verdict	*session_verdict(struct session *);
/* A new recipient becomes txn->rcpt; NULL when the arena is full. */
struct rcpt	*txn_add_rcpt(struct txn *, struct str arg);
/* It was neither refused nor discarded. */
bool		 rcpt_accepted(const struct rcpt *);
uint64_t	 txn_size(const struct txn *);	/* as on the wire */

#endif
