/*
 * relay - the hosts a message has passed, from its Received fields.
 *
 * Every MTA writes the field its own way; a table of forms (relay_table.c)
 * tells them apart.  The newest relay comes first.  Where the message came
 * over a connection, its client is the newest of all, ahead of every field.
 *
 * A relay is trusted when it and all newer ones are in the trusted networks
 * (or logged in); internal likewise.  With no networks told every relay is
 * neither.
 *
 * Everything lives in the arena given.  Linear: at most RELAY_MAX_COUNT
 * fields are read, each with a bound on the work.  Any thread, one message
 * each.
 */
#ifndef MAIL_RELAY_H
#define MAIL_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/str.h"
#include "mail/session.h"

#define RELAY_MAX_COUNT	200

struct relay {
	struct relay	*next;		/* the older one */
	struct str	 ip, rdns, helo, by, ident, envfrom, id, auth;
	bool		 has_envfrom;	/* envfrom may be there and empty */
	bool		 no_rdns;	/* its MTA looked and found none */
	bool		 trusted, internal, msa;
};

/* A rule file's trusted_networks, internal_networks and msa_networks. */
struct relay_net {
	struct addr_net	 net;
	bool		 except;	/* "!": not this part of it */
};

struct relay_nets {
	struct relay_net *nets;		/* the first that fits decides */
	size_t		 n;
};

struct relay_trust {
	struct relay_nets trusted, internal, msa;
};

struct relays {
	struct relay	*first;
	size_t		 count, unparsed;
	/* "[ ip=... ]" of each, a space between, as rules match them */
	struct str	 trusted, untrusted, internal, external;
	/* Among the Received fields: the last that is, -1 for none. */
	int		 last_trusted, last_internal;
};

/* NULL only when the arena is full. */
const struct relays *relay_find(struct arena *, const struct txn *,
		    const struct relay_trust *);

enum relay_answer { RELAY_NO, RELAY_SKIP, RELAY_FETCHED, RELAY_YES };

/* One Received field.  RELAY_SKIP: known, and no handover of interest;
 * RELAY_FETCHED: by a mail fetcher; RELAY_NO: not understood. */
enum relay_answer relay_parse(struct arena *, struct str value, struct relay *);
/* The length of the address that begins at i of s, 0 if none does. */
size_t		 relay_ip_at(struct str s, size_t i);
bool		 relay_in_nets(const struct relay_nets *, const struct addr *);

#endif
