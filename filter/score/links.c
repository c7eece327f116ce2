#include "score/links.h"

#include "base/clock.h"
#include "check/check.h"
#include "mail/session.h"
#include "score/match.h"
#include "score/plan.h"
#include "score/regex.h"

struct search {
	const struct ruleset *set;
	struct links *links;
	int64_t redirect_us; /* that redirectors took */
	bool suspect; /* they seem slow */
};

/* The real time is cheap to ask for, but others' work is in it. */
static int64_t
redirect_clock(const struct search *s)
{
	return s->suspect ? clock_thread_us() : clock_mono_us();
}

/* Is there time for one more? */
static bool
redirect_may(struct search *s)
{
	if (s->redirect_us <= MATCH_RULE_MS * 1000)
		return true;
	if (s->suspect) {
		s->links->limited = true;
		return false;
	}
	s->suspect = true;
	s->redirect_us = 0;
	return true;
}

/* What the first redirector_pattern that fits captures. */
static struct str
redirect(void *arg, struct str uri)
{
	struct search *s = arg;
	size_t i, from[2], to[2];
	struct str found = STR_NONE;
	enum regex_answer a;
	int64_t began;

	if (!redirect_may(s))
		return STR_NONE;
	began = redirect_clock(s);
	for (i = 0; i < s->set->nredirectors && found.p == NULL; i++) {
		a = regex_search(s->set->redirectors[i], uri, 0, from, to, 2);
		s->links->limited |= a == REGEX_LIMIT;
		if (a == REGEX_YES && to[1] > from[1])
			found = str_sub(uri, from[1], to[1] - from[1]);
	}
	s->redirect_us += redirect_clock(s) - began;
	return found;
}

const struct links *
links_find(struct txn *txn, const struct ruleset *set)
{
	struct search s = { .set = set };
	struct uri_config config = { .arg = &s };

	if (txn->checks->links != NULL)
		return txn->checks->links;
	if (set != NULL) {
		config.tlds = set->plan->tlds;
		config.redirect = redirect;
	}
	s.links = arena_alloc(txn->arena, sizeof(*s.links));
	if (s.links == NULL)
		return NULL;
	s.links->view =
	    view_make(txn->arena, &txn->headers, buf_str(&txn->body.raw));
	if (s.links->view == NULL)
		return NULL;
	s.links->uris = uri_find(txn->arena, s.links->view, &config);
	if (s.links->uris == NULL)
		return NULL;
	txn->checks->links = s.links;
	return s.links;
}
