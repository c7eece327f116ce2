/* Functions about the hosts a message has passed. */
#include <string.h>

#include "base/addr.h"
#include "mail/relay.h"
#include "mail/tld.h"
#include "score/eval.h"
#include "score/eval_pattern.h"

/* Where the relays nobody vouches for begin; newest first. */
static const struct relay *
untrusted(const struct eval *e)
{
	const struct relays *all = field_relays(e->fields);
	const struct relay *r = all != NULL ? all->first : NULL;

	while (r != NULL && r->trusted)
		r = r->next;
	return r;
}

static bool
all_trusted(struct eval *e, const struct score_rule *r)
{
	const struct relays *all = field_relays(e->fields);

	(void)r;
	return all != NULL && all->first != NULL && untrusted(e) == NULL &&
	    all->unparsed == 0;
}

static bool
no_relays(struct eval *e, const struct score_rule *r)
{
	const struct relays *all = field_relays(e->fields);

	(void)r;
	return all != NULL && all->first == NULL && all->unparsed == 0;
}

static bool
unparseable(struct eval *e, const struct score_rule *r)
{
	const struct relays *all = field_relays(e->fields);

	(void)r;
	return all != NULL && all->unparsed > 0;
}

static bool
is_public_ipv4(struct str s)
{
	struct addr a;

	return addr_parse(s, &a) && a.family == ADDR_V4 && !addr_is_private(&a);
}

/* A HELO of digits is another network's than the address it came from. */
static bool
helo_mismatch(struct eval *e, const struct score_rule *rule)
{
	const struct relay *r;
	ptrdiff_t dot;

	(void)rule;
	for (r = untrusted(e); r != NULL; r = r->next) {
		if (!is_public_ipv4(r->helo) || !is_public_ipv4(r->ip))
			continue;
		dot = str_rchr(r->helo, '.');
		if (!str_starts(r->ip, str_sub(r->helo, 0, (size_t)dot + 1)))
			return true;
	}
	return false;
}

static bool
numeric_helo(struct eval *e, const struct score_rule *r)
{
	const struct relays *all = field_relays(e->fields);
	struct str ip;

	(void)r;
	return all != NULL &&
	    eval_groups(EVAL_RE_NUMERIC_HELO, all->untrusted, &ip, 1) &&
	    is_public_ipv4(ip);
}

static bool
is_private(struct str s)
{
	struct addr a;

	return addr_parse(s, &a) && addr_is_private(&a);
}

/* The last such relay decides. */
static bool
dotcom_helo(struct eval *e, const struct score_rule *rule)
{
	const struct relay *r;
	bool hit = false;

	(void)rule;
	for (r = untrusted(e); r != NULL; r = r->next)
		if (!is_private(r->ip))
			hit = r->no_rdns &&
			    eval_matches(EVAL_RE_BIG_DOTCOM, r->helo);
	return hit;
}

static bool
sender_no_reverse(struct eval *e, const struct score_rule *rule)
{
	const struct relay *r, *last = NULL;

	(void)rule;
	for (r = untrusted(e); r != NULL; r = r->next)
		last = r;
	return last != NULL && str_chr(last->rdns, '.') >= 0 &&
	    !is_private(last->ip);
}

/* The last two labels, three below a short country domain. */
static struct str
short_name(struct eval *e, struct str host)
{
	static const char *const two[] = { "ie", "fr", "de" };
	struct str top;
	size_t labels = 2, i, n = 0;
	ptrdiff_t dot;

	host = eval_lower(e->arena, host);
	for (i = 0; i < host.n && !chr_alpha((unsigned char)host.p[i]);)
		i++;
	dot = str_rchr(host, '.');
	if (i == host.n || dot < 0)
		return host;
	top = str_sub(host, (size_t)dot + 1, host.n);
	if (top.n < 3) {
		labels = 3;
		for (i = 0; i < 3; i++)
			if (str_eq(top, str_of(two[i])))
				labels = 2;
	}
	for (i = host.n; i > 0; i--)
		if (host.p[i - 1] == '.' && ++n == labels)
			return str_sub(host, i, host.n);
	return host;
}

/*
 * A relay says that it is `by' a host of another domain than the one that
 * the next newer relay took the mail `from': the chain was made up.
 */
static size_t
breaks_in_chain(struct eval *e)
{
	const struct relay *r;
	struct str by, from, newer = STR("");
	size_t breaks = 0;

	for (r = untrusted(e); r != NULL; r = r->next, newer = from) {
		by = short_name(e, r->by);
		from = short_name(e, r->rdns);
		if (!eval_matches(EVAL_RE_HOST_NAME, by))
			continue;
		if (str_eq(r->ip, STR("127.0.0.1")) &&
		    (str_eq(from, STR("localhost")) ||
			str_eq(from, STR("localhost.localdomain"))))
			from = STR("");
		if (eval_matches(EVAL_RE_HOST_NAME, newer) &&
		    !str_eq(by, newer) &&
		    !(str_eq(by, STR("msn.com")) &&
			str_eq(newer, STR("hotmail.com"))))
			breaks++;
	}
	return breaks;
}

static bool
forged_trail(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return breaks_in_chain(e) > 1;
}

/* The envelope sender's domain is the client's. */
static bool
sender_matches_relay(struct eval *e, const struct score_rule *rule)
{
	const struct relays *all = field_relays(e->fields);
	struct str addr = eval_field(e, "EnvelopeFrom:addr"), domain;
	const struct relay *r = untrusted(e);
	ptrdiff_t at = str_rchr(addr, '@');
	bool one = r != NULL;

	(void)rule;
	if (at < 0 || all == NULL)
		return false;
	domain = tld_domain(e->tlds,
	    eval_lower(e->arena, str_sub(addr, (size_t)at + 1, addr.n)));
	for (r = one ? r : all->first; r != NULL; r = one ? NULL : r->next)
		if (domain.n > 0 &&
		    str_eq(tld_domain(e->tlds, eval_lower(e->arena, r->rdns)),
			domain))
			return true;
	return false;
}

const struct eval_def eval_relay_defs[] = {
	{ "check_all_trusted", all_trusted, 0, 0 },
	{ "check_for_forged_received_trail", forged_trail, 0, 0 },
	{ "check_for_no_rdns_dotcom_helo", dotcom_helo, 0, 0 },
	{ "check_for_numeric_helo", numeric_helo, 0, 0 },
	{ "check_for_sender_no_reverse", sender_no_reverse, 0, 0 },
	{ "check_mailfrom_matches_rcvd", sender_matches_relay, 0, 0 },
	{ "check_no_relays", no_relays, 0, 0 },
	{ "check_relays_unparseable", unparseable, 0, 0 },
	{ "helo_ip_mismatch", helo_mismatch, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
