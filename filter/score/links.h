/*
 * links - a message as rules see it, and the URIs in it.
 *
 * Made once a message, for whoever asks first: the score rules, the fact
 * `urls.domain', a list of domains.  So all of them see the same URIs, within
 * the bounds of mail/uri.h.  Lives in the txn's arena; its thread's.
 */
#ifndef SCORE_LINKS_H
#define SCORE_LINKS_H

#include "mail/uri.h"
#include "score/ruleset.h"

struct txn;

struct links {
	const struct view *view;
	const struct uri_list *uris;
	bool limited; /* not all redirectors were asked */
};

/* set: whose top levels and redirectors count; NULL: no rule files, and the
 * public suffix list.  NULL: the arena is full. */
const struct links *links_find(struct txn *, const struct ruleset *set);

#endif
