/* Functions that ask an admin's lists of addresses and hosts. */
#include <string.h>

#include "base/addr.h"
#include "mail/relay.h"
#include "score/eval.h"
#include "score/eval_list.h"

static size_t
add_unique(struct eval *e, struct str *list, size_t n, struct str value)
{
	size_t i;

	value = str_trim(eval_lower(e->arena, value));
	if (value.n == 0 || n == EVAL_ADDRESSES_MAX)
		return n;
	for (i = 0; i < n; i++)
		if (str_eq(list[i], value))
			return n;
	list[n] = value;
	return n + 1;
}

static size_t
add_field(struct eval *e, struct str *list, size_t n, const char *name,
    unsigned int flags)
{
	struct field_values v =
	    field_list(e->fields, str_of(name), FIELD_ADDR | flags);
	size_t i;

	for (i = 0; i < v.n; i++)
		n = add_unique(e, list, n, v.v[i]);
	return n;
}

static size_t
from_addresses(struct eval *e, struct str list[EVAL_ADDRESSES_MAX])
{
	static const char *const names[] = { "From", "Envelope-Sender",
		"Resent-Sender", "X-Envelope-From", "EnvelopeFrom" };
	size_t i, n;

	n = add_field(e, list, 0, "Resent-From", FIELD_FIRST);
	if (n > 0)
		return n;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		n = add_field(e, list, n, names[i], 0);
	return n;
}

static size_t
to_addresses(struct eval *e, struct str list[EVAL_ADDRESSES_MAX])
{
	static const char *const names[] = { "To", "Apparently-To",
		"Delivered-To", "Envelope-Recipients", "Apparently-Resent-To",
		"X-Envelope-To", "Envelope-To", "X-Delivered-To",
		"X-Original-To", "X-Rcpt-To", "X-Real-To", "Cc" };
	const struct rcpt *rcpt;
	size_t i, n;

	n = add_field(e, list, 0, "Resent-To", FIELD_FIRST);
	n = add_field(e, list, n, "Resent-Cc", FIELD_FIRST);
	if (n > 0)
		return n;
	/* Those of the envelope are surer than any field. */
	for (rcpt = e->txn->rcpts; rcpt != NULL; rcpt = rcpt->next)
		if (rcpt_accepted(rcpt))
			n = add_unique(e, list, n, rcpt->addr.text);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		n = add_field(e, list, n, names[i], 0);
	return n;
}

/* A list is made once a message. */
static const struct str *
addresses(struct eval *e, struct eval_addresses *kept, size_t *n,
    size_t (*make)(struct eval *, struct str *))
{
	struct str list[EVAL_ADDRESSES_MAX];

	if (kept->list == NULL) {
		kept->n = make(e, list);
		kept->list =
		    arena_alloc(e->arena, (kept->n + 1) * sizeof(*list));
		if (kept->list == NULL)
			kept->n = 0;
		else
			memcpy(kept->list, list, kept->n * sizeof(*list));
	}
	*n = kept->n;
	return kept->list;
}

const struct str *
eval_from_addresses(struct eval *e, size_t *n)
{
	return addresses(e, &e->from, n, from_addresses);
}

const struct str *
eval_to_addresses(struct eval *e, size_t *n)
{
	return addresses(e, &e->to, n, to_addresses);
}

static bool
any_in(struct eval *e, const char *name,
    const struct str *(*get)(struct eval *, size_t *))
{
	const struct str *list;
	size_t i, n;

	if (eval_list_empty(e->set->lists, name))
		return false;
	list = get(e, &n);
	for (i = 0; i < n; i++)
		if (eval_list_has(e->set->lists, name, list[i]))
			return true;
	return false;
}

static bool
from_in(struct eval *e, const char *name)
{
	return any_in(e, name, eval_from_addresses);
}

static bool
to_in(struct eval *e, const char *name)
{
	return any_in(e, name, eval_to_addresses);
}

static bool
relay_is(void *arg, struct str want)
{
	const struct relay *r = arg;
	const char *why;
	struct addr_net net;
	struct addr ip;
	struct str rest;

	if (want.n > 2 && want.p[0] == '[') {
		rest = str_sub(want, 1, want.n);
		rest = str_cut(rest, ']', &want);
		if (want.n > 0)		/* "[192.0.2.0]/24" */
			return false;
		return addr_net_parse(rest, &net, &why) &&
		    addr_parse(r->ip, &ip) && addr_in_net(&ip, &net);
	}
	return want.n > 0 && str_iends(r->rdns, want) &&
	    (r->rdns.n == want.n || r->rdns.p[r->rdns.n - want.n - 1] == '.');
}

/* An address counts only where the mail came from the relay it goes with. */
static bool
from_relay(struct eval *e, const char *name)
{
	const struct relays *relays = field_relays(e->fields);
	struct relay *r = relays != NULL ? relays->first : NULL;
	const struct str *list;
	size_t i, n;

	if (r == NULL || eval_list_empty(e->set->lists, name))
		return false;
	while (r->trusted && r->next != NULL)
		r = r->next;
	list = eval_from_addresses(e, &n);
	for (i = 0; i < n; i++)
		if (eval_list_pairs(e->set->lists, name, list[i], relay_is, r))
			return true;
	return false;
}

static bool
from_welcome(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return from_in(e, "welcomelist_from") ||
	    from_relay(e, "welcomelist_from_rcvd");
}

static bool
from_default_welcome(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return from_relay(e, "def_welcomelist_from_rcvd");
}

static bool
from_block(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return from_in(e, "blocklist_from");
}

static bool
to_welcome(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return to_in(e, "welcomelist_to");
}

static bool
to_block(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return to_in(e, "blocklist_to");
}

static bool
to_more_spam(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return to_in(e, "more_spam_to");
}

static bool
to_all_spam(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return to_in(e, "all_spam_to");
}

/* Lists that a rule names; whitelist and blacklist are older words. */
static bool
from_in_list(struct eval *e, const struct score_rule *r)
{
	struct str name = eval_arg(r, 0);
	const struct str *list;
	size_t i, n;

	if (str_eq(name, STR("welcomelist_from")) ||
	    str_eq(name, STR("whitelist_from")))
		return from_in(e, "welcomelist_from");
	if (str_eq(name, STR("blocklist_from")) ||
	    str_eq(name, STR("blacklist_from")))
		return from_in(e, "blocklist_from");
	list = eval_from_addresses(e, &n);
	for (i = 0; i < n; i++)
		if (eval_list_has_address(e->set->lists, name, list[i]))
			return true;
	return false;
}

static bool
replyto_in_list(struct eval *e, const struct score_rule *r)
{
	return eval_list_has_address(e->set->lists, eval_arg(r, 0),
	    str_trim(eval_lower(e->arena, eval_field(e, "Reply-To:addr"))));
}

static bool
uri_host_listed(struct eval *e, struct str name)
{
	const struct eval_list *list = eval_list_hosts(e->set->lists, name);
	struct str last = STR_NONE;
	const struct uri *u;

	for (u = e->uris->first; u != NULL && list != NULL; u = u->next) {
		/* Many are of one host. */
		if (u->host.n == 0 || str_eq(u->host, last) ||
		    str_istarts(u->text, STR("mailto:")))
			continue;
		if (eval_list_has_host(list, u->host))
			return true;
		last = u->host;
	}
	return false;
}

static bool
host_in_list(struct eval *e, const struct score_rule *r)
{
	return uri_host_listed(e, eval_arg(r, 0));
}

static bool
uri_block(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return uri_host_listed(e, STR("BLOCK"));
}

static bool
uri_welcome(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return uri_host_listed(e, STR("WELCOME"));
}

const struct eval_def eval_welcome_defs[] = {
	{ "check_from_in_blacklist", from_block, 0, 0 },
	{ "check_from_in_blocklist", from_block, 0, 0 },
	{ "check_from_in_default_welcomelist", from_default_welcome, 0, 0 },
	{ "check_from_in_default_whitelist", from_default_welcome, 0, 0 },
	{ "check_from_in_list", from_in_list, 0, 0 },
	{ "check_from_in_welcomelist", from_welcome, 0, 0 },
	{ "check_from_in_whitelist", from_welcome, 0, 0 },
	{ "check_replyto_in_list", replyto_in_list, 0, 0 },
	{ "check_to_in_all_spam", to_all_spam, 0, 0 },
	{ "check_to_in_blacklist", to_block, 0, 0 },
	{ "check_to_in_blocklist", to_block, 0, 0 },
	{ "check_to_in_more_spam", to_more_spam, 0, 0 },
	{ "check_to_in_welcomelist", to_welcome, 0, 0 },
	{ "check_to_in_whitelist", to_welcome, 0, 0 },
	{ "check_uri_host_in_blacklist", uri_block, 0, 0 },
	{ "check_uri_host_in_blocklist", uri_block, 0, 0 },
	{ "check_uri_host_in_welcomelist", uri_welcome, 0, 0 },
	{ "check_uri_host_in_whitelist", uri_welcome, 0, 0 },
	{ "check_uri_host_listed", host_in_list, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
