/*
 * admin_key - whom an admin means.
 *
 * "user=alice", "client=192.0.2.0/24+sender.domain=example.org": the form that
 * limits have and `who' prints; case, plus-tags and the like may differ.
 * "alice", "192.0.2.1", "alice@example.org": a value alone means every key
 * that it is a part of, an address also the prefixes that it belongs to.
 *
 * Everything lives in the arena given.  Any thread.
 */
#ifndef DAEMON_ADMIN_KEY_H
#define DAEMON_ADMIN_KEY_H

#include "base/addr.h"
#include "base/arena.h"

struct admin_key {
	struct str	 text;		/* normal form; STR_NONE: a value */
	struct str	 words;		/* "user", "client/24+helo" */
	struct str	 value;		/* of a value alone, in normal form */
	struct str	 base;		/* the same of a mail address */
	struct addr	 addr;		/* ADDR_NONE: it names none */
	bool		 several;	/* text has more than one part */
};

/* false with a text in *err: a kind of key that there is none of. */
bool	admin_key_parse(struct arena *, struct str text, struct admin_key *,
	    struct buf *err);
/* Does a key of the store belong to those meant? */
bool	admin_key_means(const struct admin_key *, struct str key);

#endif
