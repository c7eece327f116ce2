/*
 * dmarc_record - a DMARC record by RFC 7489 section 6.3 and 6.4.
 *
 * v=DMARC1 must come first; what is wrong with any other tag costs that tag
 * alone, but for p= and sp= (section 6.6.3, step 6).  Of a tag that stands
 * there twice the first one counts.  Values only: nothing to free, linear,
 * any thread.
 */
#ifndef CHECK_DMARC_RECORD_H
#define CHECK_DMARC_RECORD_H

#include "base/str.h"
#include "check/dmarc.h"

struct dmarc_record {
	enum dmarc_policy policy;	/* p */
	enum dmarc_policy subdomains;	/* sp; p where it is absent */
	enum dmarc_policy nonexistent;	/* np (RFC 9091); else as sp */
	bool		 strict_dkim, strict_spf;
	unsigned int	 percent;
};

/* Does this TXT record begin as one of ours? */
bool		 dmarc_record_is(struct str txt);
/* false: it has no usable policy (section 6.6.3, step 6). */
bool		 dmarc_record_parse(struct str txt, struct dmarc_record *);

#endif
