/*
 * resolver - DNS, asked early and waited for late.
 *
 * resolver_start() returns at once with a lookup: a reference to a future
 * that all askers of the same (name, type) share, kept for its TTL.
 * lookup_wait() blocks only its caller, until the answer or a deadline;
 * past the deadline the lookup counts as DNS_TIMEOUT for that caller.
 * Behind it stands one asynchronous libunbound context with one dispatcher
 * thread ("system", "ADDR@PORT", "recursive"), or a zone file ("file:PATH",
 * for tests and for judging old mail).  Nothing is locked while waiting.
 *
 * Any thread may call these.  Lookups must be released, and before
 * resolver_free().  Create the resolver after the daemon has forked.
 *
 * A zone file has a record a line, "NAME TYPE VALUE": TXT in one or more
 * quoted strings (\" \\ \DDD), MX as "PREF HOST", A, AAAA, PTR, CNAME, NS; and
 * faults: "NAME TYPE !servfail", "NAME TYPE !timeout", "NAME TYPE !delay=MS
 * VALUE", "NAME TYPE !ttl=SECONDS VALUE" (else 60).  "*.NAME" stands for what
 * is below NAME and not there; a line that begins with # or ; is a comment.
 * A name with records of other types answers NODATA, any other NXDOMAIN.
 */
#ifndef SERVICE_RESOLVER_H
#define SERVICE_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct resolver;
struct lookup;

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_PTR = 12,
    DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

enum dns_status {
	DNS_OK,			/* at least one record */
	DNS_NODATA,
	DNS_NXDOMAIN,
	DNS_SERVFAIL,		/* also: bogus, refused, malformed */
	DNS_TIMEOUT
};

/*
 * One record.  A and AAAA: 4 or 16 bytes.  TXT: its strings joined, NUL bytes
 * kept.  MX: pref and the host's name.  PTR, NS, CNAME: the name.  Names are
 * lower case, without the last dot.  data always has a NUL behind it.
 */
struct dns_record {
	uint16_t	 pref;
	struct str	 data;
};

struct dns_answer {
	enum dns_status	 status;
	bool		 secure;	/* DNSSEC said so */
	size_t		 count;
	const struct dns_record *records;
};

/* NULL with *why set (static or owned by the call's err buffer). */
struct resolver	*resolver_new(struct str spec, struct buf *err);
void		 resolver_free(struct resolver **);

/* Ends all waiting, now and from now on: what is not answered is late. */
void		 resolver_hurry(struct resolver *);

/* The name is copied; a name that DNS can't carry (label over 63 bytes, over
 * 253 in all, empty label) is answered DNS_NXDOMAIN without a query. */
struct lookup	*resolver_start(struct resolver *, struct str name,
		    enum dns_type);
/* Waits until deadline (clock_mono_ms() time).  The answer lives until the
 * lookup is released. */
const struct dns_answer *lookup_wait(struct lookup *, int64_t deadline_mono_ms);
bool		 lookup_ready(struct lookup *);
void		 lookup_release(struct lookup **);
const char	*dns_status_word(enum dns_status);

/* start + wait; the lookup goes to *keep, which the caller releases. */
const struct dns_answer *resolver_ask(struct resolver *, struct str name,
		    enum dns_type, int64_t deadline_mono_ms,
		    struct lookup **keep);

#endif
