/*
 * dmarc - RFC 7489, evaluated here on libpsl, from our own SPF and DKIM.
 *
 * dmarc_start() starts the record's lookups as soon as the From field is
 * known.  result: pass, fail, none (no record), temperror, permerror.
 * `policy' is what the domain asks for this message when it fails.
 */
#ifndef CHECK_DMARC_H
#define CHECK_DMARC_H

#include "check/check.h"

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };

struct dmarc_result {
	enum auth_result result;
	enum dmarc_policy policy;	/* after sp= and pct= */
	struct str	 domain;	/* the From domain */
	struct str	 org;		/* its organizational domain */
	struct str	 problem;
};

bool		 dmarc_global_init(void);	/* loads the public suffix list */
void		 dmarc_global_free(void);
void		 dmarc_start(struct txn *);
const struct dmarc_result *dmarc_check(struct txn *);	/* NULL: arena full */
const char	*dmarc_policy_word(enum dmarc_policy);
/* Organizational domain, RFC 7489 section 3.2; "" where there is none. */
struct str	 dmarc_org_domain(struct arena *, struct str domain);

#endif
