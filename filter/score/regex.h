/*
 * regex - PCRE2 with JIT behind one door, for rules and for the policy.
 *
 * A compiled regex is shared by all threads; what a match needs is made for
 * the call.  Machine code is made at the first match, by the thread that
 * comes first: of thousands of rules few are ever asked.  Subjects may hold
 * invalid UTF-8 (PCRE2_MATCH_INVALID_UTF).  Match, depth and heap limits bound
 * every call, and time one about a long subject: REGEX_LIMIT is an answer of
 * its own, never "no match".
 */
#ifndef SCORE_REGEX_H
#define SCORE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define REGEX_MAX_MS	80	/* a call about a long subject computes */

struct regex;

enum regex_answer { REGEX_NO, REGEX_YES, REGEX_LIMIT };

/* flags: letters of i m s x n, u (UTF mode) or o (octets, whose upper half has
 * upper and lower case as in Latin-1: Perl's way); NULL with a text in *err
 * and the offset into the pattern in *at. */
struct regex	*regex_new(struct str pattern, struct str flags,
		    struct buf *err, size_t *at);
void		 regex_free(struct regex **);
enum regex_answer regex_match(const struct regex *, struct str subject);
/* The same; on YES from[0]..to[0] is the match, further pairs the groups. */
enum regex_answer regex_search(const struct regex *, struct str subject,
		    size_t start, size_t from[], size_t to[], size_t pairs);
/* The byte that it is, if it is but one; -1: it is not. */
int		 regex_byte(const struct regex *);
/* The i-th named group and its number; STR_NONE: there are no more.  Several
 * groups may have one name. */
struct str	 regex_group(const struct regex *, size_t i, size_t *number);

#endif
