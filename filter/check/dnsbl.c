#include "check/dnsbl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "service/dns_answer.h"

#define PTR_NAMES_MAX 10

static const struct dnsbl_range usual = {
	.from = { .family = ADDR_V4, .b = { 127, 0, 0, 2 } },
	.to = { .family = ADDR_V4, .b = { 127, 0, 0, 255 } },
};
static const struct dnsbl_range usual_domains = {
	.from = { .family = ADDR_V4, .b = { 127, 0, 0, 2 } },
	.to = { .family = ADDR_V4, .b = { 127, 0, 1, 254 } },
};

/* Starts the question "address.zone"; NULL if there is none to be asked. */
static struct lookup *
reverse_lookup(struct session *s, struct str zone, enum dns_type type)
{
	char name[80 + 1 + DNS_NAME_MAX + 2], reversed[80];
	struct lookup *l;
	int n;

	addr_reverse(&s->client, reversed);
	n = snprintf(name, sizeof(name), "%s.%.*s", reversed, STR_FMT(zone));
	if (n < 0 || (size_t)n >= sizeof(name))
		return NULL;
	l = resolver_start(s->checks->services->resolver,
	    (struct str){ name, (size_t)n }, type);
	return check_keep_lookup(s->arena, l) ? l : NULL;
}

/* The zone is compared as well: after a reload another list may stand where
 * the old policy's stood. */
static struct dnsbl_result *
result_find(const struct session *s, const struct dnsbl *list)
{
	struct dnsbl_result *r = s->checks->dnsbls;

	while (r != NULL && (r->list != list || !str_eq(r->zone, list->zone)))
		r = r->next;
	return r;
}

static struct dnsbl_result *
result_start(struct session *s, const struct dnsbl *list)
{
	struct dnsbl_result *r = result_find(s, list);

	if (r != NULL)
		return r;
	r = arena_alloc(s->arena, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->list = list;
	r->zone = arena_str(s->arena, list->zone);
	if (s->client.family == ADDR_NONE)
		r->done = true;
	else
		r->lookup = reverse_lookup(s, list->zone, DNS_A);
	r->next = s->checks->dnsbls;
	s->checks->dnsbls = r;
	return r;
}

void
dnsbl_start(struct session *s, const struct dnsbl *list)
{
	assert(s->checks != NULL);
	result_start(s, list);
}

static bool
code_counts(const struct dnsbl *list, const struct addr *code)
{
	const struct dnsbl_range *ranges = list->ranges;
	size_t n = list->nranges;

	if (n == 0) {
		ranges = list->domains ? &usual_domains : &usual;
		n = 1;
	}
	for (size_t i = 0; i < n; i++)
		if (addr_cmp(code, &ranges[i].from) >= 0 &&
		    addr_cmp(code, &ranges[i].to) <= 0)
			return true;
	return false;
}

/* What no list says of an address (RFC 5782 section 2.3): the domain was
 * sold, a resolver rewrites NXDOMAIN, or the list refuses our questions. */
static const char *
code_problem(const struct addr *code)
{
	if (code->b[0] != 127)
		return "answer outside of 127.0.0.0/8";
	if (code->b[1] == 255 && code->b[2] == 255)
		return "the list refuses our questions";
	return NULL;
}

static void
code_log(const struct dnsbl_result *r, const struct addr *code,
    const char *problem)
{
	char text[ADDR_TEXT_MAX];

	addr_format(code, text);
	log_event(LOG_EV_DNS, "dnsbl=%.*s zone=%.*s answer=%s problem=%s",
	    STR_FMT(r->list->name), STR_FMT(r->zone), text, problem);
}

void
dnsbl_judge(struct dnsbl_result *r, const struct dns_answer *answer)
{
	r->listed = DNSBL_NO;
	for (size_t i = 0; i < answer->count; i++) {
		struct addr code = { .family = ADDR_V4 };
		const char *problem;

		memcpy(code.b, answer->records[i].data.p, 4);
		problem = code_problem(&code);
		if (problem != NULL) {
			code_log(r, &code, problem);
			r->listed = DNSBL_UNKNOWN;
		} else if (code_counts(r->list, &code)) {
			r->listed = DNSBL_YES;
			r->code = code;
			return;
		}
	}
}

const struct dnsbl_result *
dnsbl_check(struct session *s, const struct dnsbl *list)
{
	struct dnsbl_result *r;
	const struct dns_answer *answer;

	assert(s->checks != NULL);
	r = result_start(s, list);
	if (r == NULL || r->done)
		return r;
	answer = lookup_wait(r->lookup, check_deadline(s));
	if (answer->status == DNS_SERVFAIL || answer->status == DNS_TIMEOUT)
		r->listed = DNSBL_UNKNOWN;
	else
		dnsbl_judge(r, answer);
	r->done = true;
	return r;
}

void
iprev_start(struct session *s)
{
	struct checks *c = s->checks;

	assert(c != NULL);
	if (c->ptr_done || c->ptr != NULL || s->client.family == ADDR_NONE)
		return;
	c->ptr = reverse_lookup(s,
	    s->client.family == ADDR_V4 ? STR("in-addr.arpa") : STR("ip6.arpa"),
	    DNS_PTR);
}

static bool
answer_has(const struct dns_answer *answer, const struct addr *client)
{
	size_t n = client->family == ADDR_V4 ? 4 : 16;

	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].data.n == n &&
		    memcmp(answer->records[i].data.p, client->b, n) == 0)
			return true;
	return false;
}

/* All names are asked at once; the first in order that is confirmed wins. */
static struct str
iprev_confirm(struct session *s, const struct dns_answer *ptr, bool *unknown)
{
	enum dns_type type = s->client.family == ADDR_V4 ? DNS_A : DNS_AAAA;
	struct lookup *l[PTR_NAMES_MAX];
	size_t n = ptr->count < PTR_NAMES_MAX ? ptr->count : PTR_NAMES_MAX;
	struct str found = STR_NONE;
	bool failed = false;

	for (size_t i = 0; i < n; i++)
		l[i] = resolver_start(s->checks->services->resolver,
		    ptr->records[i].data, type);
	for (size_t i = 0; i < n; i++) {
		const struct dns_answer *a;

		if (found.p == NULL) {
			a = lookup_wait(l[i], check_deadline(s));
			if (answer_has(a, &s->client))
				found = ptr->records[i].data;
			failed = failed || a->status == DNS_SERVFAIL ||
			    a->status == DNS_TIMEOUT;
		}
		lookup_release(&l[i]);
	}
	*unknown = found.p == NULL && failed;
	return found;
}

struct str
iprev_check(struct session *s, bool *unknown)
{
	struct checks *c = s->checks;
	const struct dns_answer *ptr;

	iprev_start(s);
	if (!c->ptr_done && s->client.family != ADDR_NONE) {
		ptr = lookup_wait(c->ptr, check_deadline(s));
		if (ptr->status == DNS_SERVFAIL || ptr->status == DNS_TIMEOUT)
			c->ptr_unknown = true;
		else
			c->ptr_name = arena_str(s->arena,
			    iprev_confirm(s, ptr, &c->ptr_unknown));
	}
	c->ptr_done = true;
	if (c->ptr_name.p == NULL)
		c->ptr_name = STR("");
	*unknown = c->ptr_unknown;
	return c->ptr_name;
}
