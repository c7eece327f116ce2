#include "score/auth_rule.h"

#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "score/eval.h"
#include "score/plan.h"

/* One function: whom it asks, and the answer it hits on. */
struct function {
	const char	*name;
	bool		 (*hits)(struct txn *, const struct score_rule *,
	    const struct function *);
	unsigned int	 wants;		/* enum auth_rule_wants */
	int		 answer;
};

static bool
spf_is(struct txn *txn, const struct score_rule *r, const struct function *f)
{
	const struct spf_result *spf = spf_check(txn);

	(void)r;
	/* Of the null sender there is only HELO's. */
	return spf != NULL && !spf->helo && (int)spf->result == f->answer;
}

static bool
spf_helo_is(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct spf_result *spf = spf_check_helo(txn);

	(void)r;
	return spf != NULL && (int)spf->result == f->answer;
}

/* The domains that a rule names, as "example.com" or ".example.com"; any
 * where it names none. */
static bool
domain_wanted(const struct score_rule *r, struct str domain)
{
	struct str want;
	size_t i;

	for (i = 0; i < r->nargs; i++) {
		want = r->args[i];
		if (str_starts(want, STR("*.")))
			want = str_sub(want, 1, want.n);
		if (!str_starts(want, STR("."))) {
			if (str_ieq(want, domain))
				return true;
		} else if (str_ieq(str_sub(want, 1, want.n), domain) ||
		    str_iends(domain, want)) {
			return true;
		}
	}
	return r->nargs == 0;
}

static bool
dkim_signed(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct dkim_result *dkim = dkim_check(txn);
	const struct dkim_signature *sig;

	for (sig = dkim != NULL ? dkim->signatures : NULL; sig != NULL;
	     sig = sig->next)
		if ((f->answer == AUTH_UNKNOWN ||
			(int)sig->result == f->answer) &&
		    domain_wanted(r, sig->domain))
			return true;
	return false;
}

/* A signature by this very domain passed. */
static bool
dkim_passed_by(struct txn *txn, const struct score_rule *r, struct str domain)
{
	const struct dkim_result *dkim = dkim_check(txn);
	const struct dkim_signature *sig;

	for (sig = dkim != NULL && domain.n > 0 ? dkim->signatures : NULL;
	     sig != NULL; sig = sig->next)
		if (sig->result == AUTH_PASS && str_ieq(sig->domain, domain) &&
		    domain_wanted(r, domain))
			return true;
	return false;
}

static bool
dkim_author(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct header *from = header_get(&txn->headers, STR("From"), 1);
	struct mailbox *box = NULL;
	bool more;

	(void)f;
	if (from != NULL)
		box = header_mailboxes(txn->arena, from->value, 1, &more);
	return box != NULL && dkim_passed_by(txn, r, box->domain);
}

static bool
dkim_envelope(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	(void)f;
	return dkim_passed_by(txn, r, txn->sender.domain);
}

static bool
dkim_testing(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct dkim_result *dkim = dkim_check(txn);
	const struct dkim_signature *sig;

	(void)r;
	(void)f;
	for (sig = dkim != NULL ? dkim->signatures : NULL; sig != NULL;
	     sig = sig->next)
		if (sig->testing)
			return true;
	return false;
}

/* No signature failed for want of an answer or of understanding. */
static bool
dkim_dependable(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct dkim_result *dkim = dkim_check(txn);

	(void)r;
	(void)f;
	return dkim != NULL && dkim->result != AUTH_TEMPERROR;
}

static bool
dmarc_pass(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct dmarc_result *dmarc = dmarc_check(txn);

	(void)r;
	(void)f;
	return dmarc != NULL && dmarc->result == AUTH_PASS;
}

static bool
dmarc_asks(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct dmarc_result *dmarc = dmarc_check(txn);

	(void)r;
	return dmarc != NULL && dmarc->result == AUTH_FAIL &&
	    (int)dmarc->policy == f->answer;
}

static bool
dmarc_missing(struct txn *txn, const struct score_rule *r,
    const struct function *f)
{
	const struct dmarc_result *dmarc = dmarc_check(txn);

	(void)r;
	(void)f;
	return dmarc != NULL && dmarc->result == AUTH_NONE;
}

static bool
arc_is(struct txn *txn, const struct score_rule *r, const struct function *f)
{
	const struct arc_result *arc = arc_check(txn);

	(void)r;
	if (f->answer == AUTH_UNKNOWN)
		return arc != NULL && arc->result != AUTH_NONE;
	return arc != NULL && (int)arc->result == f->answer;
}

#define SPF(word, result)						\
	{ "check_for_spf_" word, spf_is, AUTH_RULE_SPF, result },	\
	{                                                             \
		"check_for_spf_helo_" word, spf_helo_is, AUTH_RULE_SPF_HELO, \
		    result                                                   \
	}

static const struct function functions[] = {
	SPF("pass", AUTH_PASS),
	SPF("neutral", AUTH_NEUTRAL),
	SPF("none", AUTH_NONE),
	SPF("fail", AUTH_FAIL),
	SPF("softfail", AUTH_SOFTFAIL),
	SPF("permerror", AUTH_PERMERROR),
	SPF("temperror", AUTH_TEMPERROR),
	{ "check_dkim_signed", dkim_signed, AUTH_RULE_DKIM, AUTH_UNKNOWN },
	{ "check_dkim_valid", dkim_signed, AUTH_RULE_DKIM, AUTH_PASS },
	{ "check_dkim_verified", dkim_signed, AUTH_RULE_DKIM, AUTH_PASS },
	{ "check_dkim_valid_author_sig", dkim_author, AUTH_RULE_DKIM, 0 },
	{ "check_dkim_valid_envelopefrom", dkim_envelope, AUTH_RULE_DKIM, 0 },
	{ "check_dkim_testing", dkim_testing, AUTH_RULE_DKIM, 0 },
	{ "check_dkim_dependable", dkim_dependable, AUTH_RULE_DKIM, 0 },
	{ "check_dmarc_pass", dmarc_pass, AUTH_RULE_DMARC, 0 },
	{ "check_dmarc_reject", dmarc_asks, AUTH_RULE_DMARC, DMARC_REJECT },
	{ "check_dmarc_quarantine", dmarc_asks, AUTH_RULE_DMARC,
	    DMARC_QUARANTINE },
	{ "check_dmarc_none", dmarc_asks, AUTH_RULE_DMARC, DMARC_NONE },
	{ "check_dmarc_missing", dmarc_missing, AUTH_RULE_DMARC, 0 },
	{ "check_arc_signed", arc_is, AUTH_RULE_ARC, AUTH_UNKNOWN },
	{ "check_arc_valid", arc_is, AUTH_RULE_ARC, AUTH_PASS },
};

#undef SPF

static const struct function *
function_find(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (str_eq(name, str_of(functions[i].name)))
			return &functions[i];
	return NULL;
}

bool
auth_rule_known(struct str function)
{
	return function_find(function) != NULL;
}

double
auth_rule_value(struct txn *txn, const struct score_rule *r)
{
	const struct function *f = function_find(r->eval);

	if (f == NULL || txn->checks == NULL ||
	    txn->checks->services->resolver == NULL)
		return 0;
	return f->hits(txn, r, f);
}

unsigned int
auth_rule_wants(const struct ruleset *set)
{
	const struct plan *plan = set->plan;
	const struct eval_def *def;
	const struct function *f;
	unsigned int wants = 0;
	size_t i;

	for (i = 0; i < plan->eval.count; i++) {
		def = plan->functions[plan->eval.rule[i]->index];
		f = function_find(plan->eval.rule[i]->eval);
		wants |= def != NULL ? def->wants : f != NULL ? f->wants : 0;
	}
	return wants;
}
