/*
 * field - header fields by the names and forms that rules use.
 *
 * A name is that of a field, or one of SpamAssassin's own: ALL,
 * ALL-TRUSTED, -UNTRUSTED, -INTERNAL and -EXTERNAL, ToCc, MESSAGEID,
 * EnvelopeFrom, X-Spam-Relays-Trusted and its like.  Its forms are written
 * behind it with colons: raw, addr, name, first, last, host, domain, ip,
 * revip.  Several values are joined by LF.
 *
 * EnvelopeFrom is the envelope's where the message came over a connection,
 * else (a file) what its fields tell of it.
 *
 * Each value is made once, when it is asked for first.  Values live in the
 * arena given; where it is full, a field seems absent and arena_overflowed()
 * tells.  Any thread, one message each.
 */
#ifndef MAIL_FIELD_H
#define MAIL_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/relay.h"
#include "mail/session.h"
#include "mail/tld.h"
#include "mail/view.h"

enum field_flag {
	FIELD_RAW	= 1 << 0,
	FIELD_ADDR	= 1 << 1,
	FIELD_NAME	= 1 << 2,
	FIELD_FIRST	= 1 << 3,
	FIELD_LAST	= 1 << 4,
	FIELD_HOST	= 1 << 5,
	FIELD_DOMAIN	= 1 << 6,	/* the registered part of the host */
	FIELD_IP	= 1 << 7,
	FIELD_REVIP	= 1 << 8	/* as a DNSBL wants it */
};

struct field_values {
	struct str	*v;
	size_t		 n, max;
};

/* The fields of one message, opened once for all rules. */
struct fields;

/* trust and tlds may be NULL (no relay is trusted; the public suffix list)
 * and must outlive the fields.  NULL only when the arena is full. */
struct fields	*field_open(struct arena *, struct txn *,
		    const struct relay_trust *trust,
		    const struct tld_set *tlds);
/* Every value joined, as a header rule matches it.  STR_NONE (p NULL): the
 * message has no such field, or none of that form. */
struct str	 field_get(struct fields *, struct str name,
		    unsigned int flags);
/* The same one by one; a value of a plain field ends in LF. */
struct field_values field_list(struct fields *, struct str name,
		    unsigned int flags);
/* "From:addr" into "From" and FIELD_ADDR.  A form that does not exist is
 * dropped, as SpamAssassin does, and makes it false. */
bool		 field_parse(struct str spec, struct str *name,
		    unsigned int *flags);
/* May it be one of SpamAssassin's own names?  What is none has a value only
 * where the message has a field of that name. */
bool		 field_made(struct str name);
const struct relays *field_relays(struct fields *);

/* A field of a MIME part for mimeheader rules: the last of that name, or
 * all of them ("ALL"), decoded with an LF behind each, or FIELD_RAW. */
struct str	 field_of_part(struct arena *, const struct view_part *,
		    struct str name, unsigned int flags);

/* A field's text unfolded, trimmed and with its encoded words decoded to
 * UTF-8 (RFC 2047), leniently as SpamAssassin does; without LF. */
struct str	 field_decode(struct arena *, struct str name,
		    struct str value);

/* The addresses of a field (RFC 5322 section 3.4), leniently: p is NULL where
 * an entry has no such part. */
struct field_address {
	struct field_address *next;
	struct str	 phrase;	/* display name or comment, raw */
	struct str	 address;
};

struct field_address *field_addresses(struct arena *, struct str value);

#endif
