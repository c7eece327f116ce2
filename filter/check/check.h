/*
 * check - what every check shares: the services it asks, the words of its
 * results, and where the results of a connection or a message are kept.
 *
 * A struct checks hangs on a session and on each txn; a check computes its
 * result at most once for its owner, waits no longer than check_deadline(),
 * and leaves behind how long it took.  Results live in the owner's arena;
 * lookups and reservations are given back by arena cleanups.
 * Services are shared by all threads and outlive every session.
 */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "mail/session.h"
#include "service/resolver.h"
#include "service/store.h"

/* RFC 8601 section 2.7; UNKNOWN: not evaluated. */
#define AUTH_RESULTS(X)							\
	X(UNKNOWN,	"unknown")					\
	X(NONE,		"none")						\
	X(NEUTRAL,	"neutral")					\
	X(PASS,		"pass")						\
	X(FAIL,		"fail")						\
	X(SOFTFAIL,	"softfail")					\
	X(POLICY,	"policy")					\
	X(TEMPERROR,	"temperror")					\
	X(PERMERROR,	"permerror")

enum auth_result {
#define X(id, word) AUTH_##id,
	AUTH_RESULTS(X)
#undef X
	AUTH_COUNT
};

const char	*auth_result_word(enum auth_result);
bool		 auth_result_parse(struct str, enum auth_result *);

struct history;
struct notice;

struct services {
	struct resolver	*resolver;
	struct store	*store;		/* NULL: no state was configured */
	struct history	*history;	/* NULL: none is kept */
	struct str	 hostname;	/* our authserv-id */
	unsigned int	 spf_voids_max;	/* 0: SPF_VOIDS_MAX */
	/* Called in place of giving a notice, where nobody should be told. */
	void		 (*notify)(const struct notice *);
};

struct spf_result;
struct dkim_result;
struct dkim_sign_state;
struct dmarc_result;
struct arc_result;
struct dmarc_override;
struct dnsbl_result;
struct uribl_state;
struct score_result;
struct links;
struct link_domain;
struct limit_book;

struct checks {
	struct services		*services;
	struct spf_result	*spf;
	struct spf_result	*spf_helo;	/* where it was asked */
	struct dkim_result	*dkim;
	struct dkim_sign_state	*sign;
	struct dmarc_result	*dmarc;
	struct arc_result	*arc;
	/* What the policy says in place of a From domain's own record; NULL:
	 * nothing of any domain. */
	bool			 (*dmarc_override)(struct txn *,
				    struct str domain, struct dmarc_override *);
	struct dnsbl_result	*dnsbls;	/* one for each list asked */
	struct uribl_state	*uribls;	/* the same, about links */
	/* Two letters, or STR_NONE: where the client is said to be. */
	struct str		 (*country)(const struct session *);
	const struct links	*links;		/* score/links.h */
	/* What links lead to, *first, each once; false: the arena is full. */
	bool			 (*link_domains)(struct txn *,
				    const struct link_domain **first);
	const struct link_domain *domains;	/* its answer */
	bool			 domains_done;
	struct score_result	*score;
	struct limit_book	*limits;	/* reservations and answers */
	struct str		 ptr_name;	/* verified PTR name */
	struct lookup		*ptr;
	bool			 ptr_done, ptr_unknown;
};

/* The struct is zeroed and lives in the owner's arena; NULL: arena full. */
struct checks	*check_attach_session(struct session *, struct services *);
struct checks	*check_attach_txn(struct txn *, struct services *);
/* The sooner of the stage's and the message's deadline (mono ms); where
 * neither is set, CHECK_WAIT_MS from now. */
#define CHECK_WAIT_MS	8000
int64_t		 check_deadline(const struct session *);
/* Releases the lookup when the arena goes.  false: the arena is full, and
 * the lookup is released already. */
bool		 check_keep_lookup(struct arena *, struct lookup *);

#endif
