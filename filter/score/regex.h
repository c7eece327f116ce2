/*
 * regex - PCRE2 with JIT behind one door, for rules and for the policy.
 *
 * A compiled regex is shared by all threads; what a match needs is made for
 * the call.  Subjects may hold invalid UTF-8 (PCRE2_MATCH_INVALID_UTF).  Match,
 * depth and heap limits bound every call: REGEX_LIMIT is an answer of its
 * own, never "no match".
 */
#ifndef SCORE_REGEX_H
#define SCORE_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct regex;

enum regex_answer { REGEX_NO, REGEX_YES, REGEX_LIMIT };

/* flags: letters of i m s x u (u: UTF mode); NULL with a text in *err and the
 * offset into the pattern in *at. */
struct regex	*regex_new(struct str pattern, struct str flags,
		    struct buf *err, size_t *at);
void		 regex_free(struct regex **);
enum regex_answer regex_match(const struct regex *, struct str subject);
/* The same; on YES from[0]..to[0] is the match, further pairs the groups. */
enum regex_answer regex_search(const struct regex *, struct str subject,
		    size_t start, size_t from[], size_t to[], size_t pairs);

#endif
