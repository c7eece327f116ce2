/*
 * perl_share - a large pattern with its repeated groups written once.
 *
 * PCRE2 has room for 64 KB of compiled pattern; tags that stand for each way
 * to write a letter make more than that of a few words.  Groups that occur
 * several times become subroutines of the pattern: (?&s1).  It matches as
 * before.  Touches nothing but its arguments.
 */
#ifndef SCORE_PERL_SHARE_H
#define SCORE_PERL_SHARE_H

#include <stdbool.h>

#include "base/str.h"

/* false: it has what a subroutine may not hold, or nothing repeats. */
bool	perl_share(struct str pattern, struct buf *out);

#endif
