#include "check/spf.h"
#include "check/spf_eval.h"

static struct str
without_dot(struct str name)
{
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

/* MAIL FROM, or postmaster at HELO where that was asked for or the sender is
 * null (section 2.4). */
static void
identity(const struct txn *txn, bool helo, struct spf_result *result,
    struct spf_macros *macros)
{
	const struct address *sender = &txn->sender;
	ptrdiff_t at = str_rchr(sender->raw, '@');
	struct str raw;

	result->helo = helo || sender->null;
	macros->local = sender->local;
	result->domain = sender->domain;
	if (result->helo) {
		macros->local = STR_NONE;
		result->domain = txn->session->helo;
	} else if (!sender->valid && at >= 0) {
		macros->local = str_sub(sender->raw, 0, (size_t)at);
		result->domain =
		    str_sub(sender->raw, (size_t)at + 1, sender->raw.n);
	}
	result->domain = without_dot(result->domain);
	if (macros->local.n == 0)
		macros->local = STR("postmaster");
	macros->domain = result->domain;
	if (!result->helo && at >= 0) {
		raw = without_dot(
		    str_sub(sender->raw, (size_t)at + 1, sender->raw.n));
		if (str_ieq(raw, result->domain))
			macros->domain = raw; /* an explanation shows it */
	}
	macros->sender_domain = macros->domain;
}

static struct spf_result *
start(struct txn *txn, bool helo)
{
	struct spf_result *result = arena_alloc(txn->arena, sizeof(*result));
	struct spf_macros macros = { 0 };

	if (result == NULL)
		return NULL;
	identity(txn, helo, result, &macros);
	if (spf_is_fqdn(result->domain))
		check_keep_lookup(txn->arena,
		    resolver_start(txn->checks->services->resolver,
			result->domain, DNS_TXT));
	return result;
}

void
spf_start(struct txn *txn)
{
	struct checks *checks = txn->checks;

	if (checks->spf == NULL && txn->session->client.family != ADDR_NONE)
		checks->spf = start(txn, false);
}

void
spf_start_helo(struct txn *txn)
{
	struct checks *checks = txn->checks;

	if (checks->spf_helo == NULL && !txn->sender.null &&
	    txn->session->client.family != ADDR_NONE)
		checks->spf_helo = start(txn, true);
}

static void
run_check(struct txn *txn, bool helo, struct spf_result *result)
{
	const struct services *services = txn->checks->services;
	struct spf_query q = {
		.arena = txn->arena,
		.resolver = services->resolver,
		.deadline = check_deadline(txn->session),
		.voids_max = services->spf_voids_max,
	};

	result->explanation = result->problem = result->mechanism = STR("");
	identity(txn, helo, result, &q.macros);
	q.macros.client = txn->session->client;
	q.macros.helo = txn->session->helo;
	q.macros.receiver = services->hostname;
	if (q.macros.client.family == ADDR_NONE)
		result->result = AUTH_NONE;
	else
		spf_eval(&q, result);
}

static const struct spf_result *
check(struct txn *txn, bool helo, struct spf_result **slot)
{
	if (*slot && (*slot)->result != AUTH_UNKNOWN)
		return *slot;
	if (*slot == NULL)
		*slot = arena_alloc(txn->arena, sizeof(**slot));
	if (*slot == NULL)
		return NULL;
	run_check(txn, helo, *slot);
	return arena_overflowed(txn->arena) ? NULL : *slot;
}

const struct spf_result *
spf_check(struct txn *txn)
{
	return check(txn, false, &txn->checks->spf);
}

const struct spf_result *
spf_check_helo(struct txn *txn)
{
	if (txn->sender.null)
		return spf_check(txn);
	return check(txn, true, &txn->checks->spf_helo);
}
