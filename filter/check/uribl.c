#include "check/uribl.h"

#include <assert.h>
#include <stdio.h>

#include "mail/link.h"
#include "service/dns_answer.h"

struct question {
	const struct link_domain *about;
	struct lookup *lookup;
	bool judged;
};

/* What one list is asked about one message. */
struct uribl_state {
	struct uribl_state *next;
	struct dnsbl_result result;
	struct question questions[URIBL_MAX];
	size_t n;
	bool unknown; /* the answer about one of them */
};

static struct lookup *
ask(struct txn *txn, struct str zone, const struct link_domain *about)
{
	char name[2 * DNS_NAME_MAX], reversed[80];
	struct str domain = about->text;
	struct lookup *l;
	int n;

	if (about->addr.family != ADDR_NONE) {
		addr_reverse(&about->addr, reversed);
		domain = str_of(reversed);
	}
	n = snprintf(name, sizeof(name), "%.*s.%.*s", STR_FMT(domain),
	    STR_FMT(zone));
	if (n < 0 || (size_t)n >= sizeof(name))
		return NULL;
	l = resolver_start(txn->checks->services->resolver,
	    (struct str){ name, (size_t)n }, DNS_A);
	return check_keep_lookup(txn->arena, l) ? l : NULL;
}

/* After a reload another list may stand where the old policy's stood. */
static struct uribl_state *
state_find(const struct txn *txn, const struct dnsbl *list)
{
	struct uribl_state *s = txn->checks->uribls;

	while (s != NULL &&
	    (s->result.list != list || !str_eq(s->result.zone, list->zone)))
		s = s->next;
	return s;
}

static struct uribl_state *
state_start(struct txn *txn, const struct dnsbl *list)
{
	struct uribl_state *s = state_find(txn, list);
	const struct link_domain *domains;

	if (s != NULL)
		return s;
	s = arena_alloc(txn->arena, sizeof(*s));
	if (s == NULL || !txn->checks->link_domains(txn, &domains))
		return NULL;
	s->result.list = list;
	s->result.zone = arena_str(txn->arena, list->zone);
	for (const struct link_domain *d = domains;
	     d != NULL && s->n < URIBL_MAX; d = d->next) {
		struct question *q = &s->questions[s->n];

		q->about = d;
		q->lookup = ask(txn, list->zone, d);
		if (q->lookup != NULL)
			s->n++;
		else if (arena_overflowed(txn->arena))
			return NULL;
	}
	s->next = txn->checks->uribls;
	txn->checks->uribls = s;
	return s;
}

void
uribl_start(struct txn *txn, const struct dnsbl *list)
{
	assert(txn->checks != NULL && list->domains &&
	    txn->checks->link_domains != NULL);
	state_start(txn, list);
}

static void
judge(struct txn *txn, struct uribl_state *s, struct question *q)
{
	const struct dns_answer *answer;

	q->judged = true;
	answer = lookup_wait(q->lookup, check_deadline(txn->session));
	s->result.listed = DNSBL_NO;
	if (answer->status == DNS_SERVFAIL || answer->status == DNS_TIMEOUT)
		s->result.listed = DNSBL_UNKNOWN;
	else
		dnsbl_judge(&s->result, answer);
	s->unknown |= s->result.listed == DNSBL_UNKNOWN;
	/* The others don't matter any more. */
	if (s->result.listed == DNSBL_YES) {
		s->result.domain = q->about->text;
		s->result.done = true;
	}
}

const struct dnsbl_result *
uribl_check(struct txn *txn, const struct dnsbl *list)
{
	struct uribl_state *s;

	assert(txn->checks != NULL && list->domains &&
	    txn->checks->link_domains != NULL);
	s = state_start(txn, list);
	if (s == NULL)
		return NULL;
	/* First what has come already: one listed domain is enough. */
	for (size_t i = 0; i < s->n && !s->result.done; i++)
		if (lookup_ready(s->questions[i].lookup))
			judge(txn, s, &s->questions[i]);
	for (size_t i = 0; i < s->n && !s->result.done; i++)
		if (!s->questions[i].judged)
			judge(txn, s, &s->questions[i]);
	if (!s->result.done)
		s->result.listed = s->unknown ? DNSBL_UNKNOWN : DNSBL_NO;
	s->result.done = true;
	return &s->result;
}
