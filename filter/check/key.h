/*
 * key - whom a limit, a block or a notice is about.
 *
 * A key is a list of parts joined by `+': user, sender, sender.domain,
 * client, client/BITS[/BITS], helo, rcpt, rcpt.domain, from.domain, all.  Its
 * value for a message is text like "user=alice" or
 * "client=192.0.2.0/24+sender.domain=example.org", made from normal forms so
 * that case, plus-tags, BATV and SRS can't dodge it.  client is an IPv4
 * address or an IPv6 /64, which is what one customer has.  client/N: IPv4 by N;
 * IPv6 by N where N > 32, else by its /64.  client/N/M: IPv4 by N, IPv6 by M.
 */
#ifndef CHECK_KEY_H
#define CHECK_KEY_H

#include "base/arena.h"
#include "mail/session.h"

#define KEY_MAX_PARTS	6

enum key_part { KEY_USER, KEY_SENDER, KEY_SENDER_DOMAIN, KEY_CLIENT,
    KEY_HELO, KEY_RCPT, KEY_RCPT_DOMAIN, KEY_FROM_DOMAIN, KEY_ALL };

struct key {
	struct {
		enum key_part	 part;
		unsigned int	 bits;	/* client/BITS; 0: none said */
		unsigned int	 bits6;	/* of IPv6; 0: none said */
	} parts[KEY_MAX_PARTS];
	size_t		 count;
	struct str	 text;			/* as written */
};

/* false with *why and *at (offset of the part that is wrong). */
bool		 key_parse(struct str text, struct key *, const char **why,
		    size_t *at);
enum stage	 key_stage(const struct key *);	/* first stage it is known at */
/* STR_NONE where a part is not there (nobody logged in, null sender):
 * such a message has no such key. */
struct str	 key_make(struct arena *, const struct session *,
		    const struct key *);

#endif
