/*
 * uribl - DNS lists of domains (RFC 5782 section 2.4), asked about the links
 * of a message.
 *
 * Asked are the registered domains that links lead to, and addresses where
 * these stand in place of a name (struct checks' link_domains), each once,
 * the first URIBL_MAX of them; all at the same time, as soon as the content
 * has been read.  A definition and what an answer means are as for lists of
 * clients (check/dnsbl.h).
 *
 * The message is listed if one of its domains is; unknown if none is and the
 * answer about any did not come.  Results live in the txn's arena.
 */
#ifndef CHECK_URIBL_H
#define CHECK_URIBL_H

#include "check/dnsbl.h"

#define URIBL_MAX	30	/* domains of a message */

/* Content that was not asked for yet is read now. */
void		 uribl_start(struct txn *, const struct dnsbl *);
/* Waits; NULL: arena full.  `domain' is the one that is listed. */
const struct dnsbl_result *uribl_check(struct txn *, const struct dnsbl *);

#endif
