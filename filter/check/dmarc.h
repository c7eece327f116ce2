/*
 * dmarc - RFC 7489, evaluated here on libpsl, from our own SPF and DKIM.
 *
 * dmarc_start() starts the record's lookups as soon as the From field is
 * known; dmarc_check() waits, at most until check_deadline().
 * result: pass, fail, none (no record, or several; From names no domain),
 * temperror, permerror (a record that can't be used, several From fields or
 * none).  `policy' is what the domain asks for this message when it fails:
 * p=, or for a subdomain without a record of its own sp=, and np= (RFC 9091)
 * where that subdomain does not exist.
 *
 * Where From names several domains each is evaluated, and the message gets
 * the worst answer of all (section 6.6.1), so that a second address is no way
 * around a policy.  pct= is decided by a hash of the message's own header
 * fields: the same message always gets the same answer.
 *
 * Where the policy has an override for the domain (struct checks), that holds
 * in place of p=, sp=, np= and pct=.  Alignment stays the record's; where none
 * can be had, it is relaxed.
 *
 * Organizational domains are told by the whole public suffix list, its
 * private section too: customers of one host are not aligned with each other,
 * and a host's own record does not speak for them.  Records of public
 * suffixes (RFC 9091 section 3.4) are not asked for.
 * The public suffix list is loaded once and only read after that.
 */
#ifndef CHECK_DMARC_H
#define CHECK_DMARC_H

#include "check/check.h"

#define DMARC_MAX_DOMAINS	4	/* of From; more are a permerror */

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };

/* The administrator's word for a domain. */
struct dmarc_override {
	enum dmarc_policy policy;
	bool		 pass;		/* what fails passes all the same */
	struct str	 text;		/* as it is written */
};

struct dmarc_result {
	enum auth_result result;
	enum dmarc_policy policy;	/* after sp=, np= and pct= */
	enum dmarc_policy published;	/* before pct= and any override */
	bool		 has_record;	/* one that says so */
	struct str	 domain;	/* the From domain */
	struct str	 org;		/* its organizational domain */
	struct str	 problem;
	struct str	 override;	/* what was said in its place, or "" */
};

void		 dmarc_start(struct txn *);
const struct dmarc_result *dmarc_check(struct txn *);	/* NULL: arena full */
const char	*dmarc_policy_word(enum dmarc_policy);
/* Organizational domain, RFC 7489 section 3.2; "" where there is none. */
struct str	 dmarc_org_domain(struct arena *, struct str domain);

#endif
