/* Functions about links, and what a link says it is. */
#include "base/addr.h"
#include "mail/html_facts.h"
#include "mail/tld.h"
#include "score/eval.h"
#include "score/eval_pattern.h"

/* The registered domain of a host; "" where it has none. */
static struct str
domain_of(struct eval *e, struct str host)
{
	struct str domain = tld_domain(e->tlds, eval_lower(e->arena, host));

	return domain.p != NULL ? domain : STR("");
}

static bool
http_redirector(struct eval *e, const struct score_rule *r)
{
	const struct uri *u;
	struct str text, g[3];
	unsigned int turns;

	(void)r;
	for (u = e->uris->first; u != NULL; u = u->next) {
		text = u->text;
		for (turns = 0;
		     turns < 10 && eval_groups(EVAL_RE_REDIRECT, text, g, 3);
		     turns++) {
			if (!str_eq(domain_of(e, g[0]), domain_of(e, g[2])))
				return true;
			text = g[1];
		}
	}
	return false;
}

static bool
https_ip_mismatch(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;
	const struct html_anchor *a;

	(void)r;
	for (h = e->view->html; h != NULL; h = h->next)
		for (a = h->anchors; a != NULL; a = a->next)
			if (eval_matches(EVAL_RE_HTTP_IP, a->href) &&
			    !eval_matches(EVAL_RE_HTTPS_IP, a->text) &&
			    str_ifind(a->text, STR("https:")) >= 0)
				return true;
	return false;
}

static bool
is_ip(struct str host)
{
	struct addr a;

	return addr_parse(host, &a);
}

/* The text of a link names another domain than the link. */
static bool
anchor_lies(struct eval *e, const struct html_anchor *a, struct str domain)
{
	struct str host;

	if (!eval_groups(EVAL_RE_HTTPS_HOST, a->text, &host, 1))
		return false;
	if (!is_ip(host))
		host = domain_of(e, host);
	return host.n > 0 && !str_ieq(host, domain);
}

static bool
https_http_mismatch(struct eval *e, const struct score_rule *r)
{
	double least = eval_open(r, 0) ? 1 : eval_number(r, 0), anchors;
	const struct html_facts *h;
	const struct html_anchor *a;
	struct str host, domain;
	bool lies;

	for (h = e->view->html; h != NULL; h = h->next) {
		anchors = 0;
		lies = false;
		for (a = h->anchors; a != NULL; a = a->next) {
			if (!eval_groups(EVAL_RE_HTTP_HOST, a->href, &host,
				1) ||
			    is_ip(host))
				continue;
			domain = domain_of(e, host);
			if (domain.n == 0)
				continue;
			anchors++;
			lies |= anchor_lies(e, a, domain);
		}
		if (lies && anchors >= least &&
		    (eval_open(r, 1) || anchors < eval_number(r, 1)))
			return true;
	}
	return false;
}

static bool
truncated(struct eval *e, const struct score_rule *r)
{
	const struct html_facts *h;

	(void)r;
	for (h = e->view->html; h != NULL; h = h->next)
		if (h->uri_truncated)
			return true;
	return false;
}

const struct eval_def eval_uri_defs[] = {
	{ "check_for_http_redirector", http_redirector, 0, 0 },
	{ "check_https_http_mismatch", https_http_mismatch, 0, 0 },
	{ "check_https_ip_mismatch", https_ip_mismatch, 0, 0 },
	{ "check_uri_truncated", truncated, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
