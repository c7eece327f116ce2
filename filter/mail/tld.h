/*
 * tld - which names end in a top level that exists, and where the registered
 * part of a name begins, as rules of SpamAssassin's syntax see it.
 *
 * A set is filled from util_rb_tld, util_rb_2tld and util_rb_3tld lines of
 * rule files.  A NULL or empty set stands for the public suffix list
 * (base/psl.h).
 *
 * Once filled a set is only read, by any thread.
 */
#ifndef MAIL_TLD_H
#define MAIL_TLD_H

#include <stdbool.h>

#include "base/str.h"

struct tld_set;

struct tld_set	*tld_set_new(void);
void		 tld_set_free(struct tld_set **);
void		 tld_set_clear(struct tld_set *);
/* "com", "co.uk" or "demon.co.uk": its labels say which it is. */
void		 tld_set_add(struct tld_set *, struct str name);
/* A label that is a top level, in any case. */
bool		 tld_known(const struct tld_set *, struct str label);
/* The name has a dot and ends in such a label. */
bool		 tld_ends(const struct tld_set *, struct str name);
/* "example.co.uk" of "www.example.co.uk", lower case without dots around
 * it; a slice of the name, which is lower case already. */
struct str	 tld_domain(const struct tld_set *, struct str name);
/* Two labels or more, each of 1 to 63 letters, digits, "-" and "_" (RFC 1035
 * section 2.3.1, "_" not in the last two), 253 bytes at most. */
bool		 tld_name_valid(struct str name);

#endif
