/*
 * Functions that ask an admin's lists of senders who are welcome when SPF or
 * DKIM says that it is them.
 */
#include <string.h>

#include "check/dkim.h"
#include "check/spf.h"
#include "score/auth_rule.h"
#include "score/eval.h"
#include "score/eval_list.h"

static bool
can_ask(const struct eval *e)
{
	return e->txn->checks != NULL &&
	    e->txn->checks->services->resolver != NULL;
}

static bool
spf_welcome(struct eval *e, const char *own, const char *auth)
{
	const struct eval_lists *lists = e->set->lists;
	struct str sender = eval_lower(e->arena, e->txn->sender.text);
	const struct spf_result *spf;

	if (!can_ask(e) ||
	    (!eval_list_has(lists, own, sender) &&
		!eval_list_has(lists, auth, sender)))
		return false;
	spf = spf_check(e->txn);
	return spf != NULL && !spf->helo && spf->result == AUTH_PASS;
}

/* A signature that passed is of that domain; "*." allows those below it. */
static bool
signed_by(struct eval *e, struct str domain)
{
	const struct dkim_result *dkim = dkim_check(e->txn);
	const struct dkim_signature *sig;
	bool below = str_starts(domain, STR("*."));

	if (below)
		domain = str_sub(domain, 1, domain.n);
	for (sig = dkim != NULL && domain.n > 0 ? dkim->signatures : NULL;
	     sig != NULL; sig = sig->next)
		if (sig->result == AUTH_PASS &&
		    (below ? str_iends(sig->domain, domain) :
			     str_ieq(sig->domain, domain)))
			return true;
	return false;
}

struct signer {
	struct eval	*eval;
	struct str	 author;	/* the address' domain */
};

static bool
signs(void *arg, struct str domain)
{
	const struct signer *s = arg;

	return signed_by(s->eval, domain.n > 0 ? domain : s->author);
}

static bool
dkim_welcome_address(struct eval *e, const char *own, const char *auth,
    struct str addr)
{
	ptrdiff_t at = str_rchr(addr, '@');
	struct signer signer = { e, str_sub(addr, (size_t)(at + 1), addr.n) };

	return (eval_list_has(e->set->lists, auth, addr) &&
		   signs(&signer, signer.author)) ||
	    eval_list_pairs(e->set->lists, own, addr, signs, &signer);
}

static bool
dkim_welcome(struct eval *e, const char *own, const char *auth)
{
	struct field_values from =
	    field_list(e->fields, STR("From"), FIELD_ADDR);
	size_t i;

	for (i = 0; can_ask(e) && i < from.n && i < EVAL_ADDRESSES_MAX; i++)
		if (dkim_welcome_address(e, own, auth,
			str_trim(eval_lower(e->arena, from.v[i]))))
			return true;
	return false;
}

static bool
spf_own(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return spf_welcome(e, "welcomelist_from_spf", "welcomelist_auth");
}

static bool
spf_default(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return spf_welcome(e, "def_welcomelist_from_spf",
	    "def_welcomelist_auth");
}

static bool
dkim_own(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return dkim_welcome(e, "welcomelist_from_dkim", "welcomelist_auth");
}

static bool
dkim_default(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return dkim_welcome(e, "def_welcomelist_from_dkim",
	    "def_welcomelist_auth");
}

const struct eval_def eval_trusted_defs[] = {
	{ "check_for_def_dkim_welcomelist_from", dkim_default, 0,
	    AUTH_RULE_DKIM },
	{ "check_for_def_dkim_whitelist_from", dkim_default, 0,
	    AUTH_RULE_DKIM },
	{ "check_for_def_spf_welcomelist_from", spf_default, 0, AUTH_RULE_SPF },
	{ "check_for_def_spf_whitelist_from", spf_default, 0, AUTH_RULE_SPF },
	{ "check_for_dkim_welcomelist_from", dkim_own, 0, AUTH_RULE_DKIM },
	{ "check_for_dkim_whitelist_from", dkim_own, 0, AUTH_RULE_DKIM },
	{ "check_for_spf_welcomelist_from", spf_own, 0, AUTH_RULE_SPF },
	{ "check_for_spf_whitelist_from", spf_own, 0, AUTH_RULE_SPF },
	{ NULL, NULL, 0, 0 },
};
