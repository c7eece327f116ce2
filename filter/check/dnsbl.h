/*
 * dnsbl - DNS lists of IP addresses and names (RFC 5782).
 *
 * A definition comes from the policy; an answer counts only when it falls
 * into the ranges given (default 127.0.0.2-127.0.0.255, of domains
 * 127.0.0.2-127.0.1.254).  Answers outside of
 * 127.0.0.0/8, and 127.255.255.0/24 (the list's "you may not ask"), never
 * count as a listing: they are logged and the fact is unknown.
 */
#ifndef CHECK_DNSBL_H
#define CHECK_DNSBL_H

#include "check/check.h"

struct dnsbl_range {
	struct addr	 from, to;	/* inclusive */
};

struct dnsbl {
	struct str	 name;		/* as the policy calls it */
	struct str	 zone;
	struct dnsbl_range *ranges;
	size_t		 nranges;	/* 0: the default range */
	bool		 domains;	/* it lists domains: check/uribl.h */
};

enum dnsbl_listed { DNSBL_NO, DNSBL_YES, DNSBL_UNKNOWN };

struct dnsbl_result {
	struct dnsbl_result *next;
	const struct dnsbl *list;
	struct lookup	*lookup;
	enum dnsbl_listed listed;
	bool		 done;
	struct addr	 code;		/* the answer that counted */
	struct str	 zone;
	struct str	 domain;	/* that is listed; "": the client */
};

/* Of the client's address; a client without one is on no list. */
void		 dnsbl_start(struct session *, const struct dnsbl *);
/* Waits; NULL: arena full. */
const struct dnsbl_result *dnsbl_check(struct session *, const struct dnsbl *);
/* What an answer says: sets `listed', and `code' of a listing. */
void		 dnsbl_judge(struct dnsbl_result *, const struct dns_answer *);
/* The first PTR name that points back to the client (RFC 8601 iprev), of at
 * most ten; "" if none; *unknown set when DNS did not answer. */
void		 iprev_start(struct session *);
struct str	 iprev_check(struct session *, bool *unknown);

#endif
