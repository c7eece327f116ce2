#include "policy/eval.h"

#include "check/dmarc.h"
#include "check/dnsbl.h"
#include "check/limit.h"
#include "check/spf.h"
#include "check/uribl.h"
#include "base/log.h"

#define STORE_TEXT	"451 4.3.0 state store unavailable"

static bool
refuses(enum action action)
{
	return action == ACTION_REJECT || action == ACTION_TEMPFAIL ||
	    action == ACTION_DISCARD;
}

/* --- what an earlier stage has settled --------------------------------- */

static void
decide_as(struct decision *d, const struct verdict *v,
    const struct trace *trace)
{
	d->action = v->action;
	d->reply = v->reply;
	d->rule = trace != NULL ? trace->decided : NULL;
}

static const struct rule *
rcpt_rule(const struct session *s, const struct rcpt *rcpt)
{
	const struct rule *rule = s->policy->rules[STAGE_RCPT];

	while (rule != NULL && !str_eq(rule->where, rcpt->rule))
		rule = rule->next;
	return rule;
}

/*
 * The message's recipients decide for it when none is left that the rules
 * of the message could be about: all discarded, or all accepted for good.
 */
static bool
rcpts_settle(const struct txn *txn, struct decision *d)
{
	const struct rcpt *discarded = NULL, *final = NULL;

	for (const struct rcpt *r = txn->rcpts; r != NULL; r = r->next) {
		if (r->mta_refused || r->action == ACTION_REJECT ||
		    r->action == ACTION_TEMPFAIL)
			continue;
		if (r->action == ACTION_DISCARD)
			discarded = r;
		else if (r->final)
			final = r;
		else
			return false;
	}
	if (final == NULL && discarded == NULL)
		return false;
	d->action = final != NULL ? ACTION_ACCEPT : ACTION_DISCARD;
	d->rule = rcpt_rule(txn->session, final != NULL ? final : discarded);
	return true;
}

static bool
settled_before(const struct session *s, enum stage stage, struct decision *d)
{
	const struct txn *txn = s->txn;

	if (s->accepted) {
		decide_as(d, &s->verdict, s->trace);
		d->action = ACTION_ACCEPT;
		return true;
	}
	if (stage < STAGE_RCPT || txn == NULL)
		return false;
	if (txn->verdict.action != ACTION_NONE) {
		decide_as(d, &txn->verdict, txn->trace);
		return true;
	}
	if (stage == STAGE_RCPT)
		return txn->rcpt == NULL || txn->rcpt->mta_refused;
	return rcpts_settle(txn, d);
}

/* --- one rule ---------------------------------------------------------- */

/* What the rule could not be asked, because the state store is down. */
static void
end_by_fault(struct eval *e, const struct rule *rule)
{
	e->decision->fault = true;
	act_end(e, rule, ACTION_TEMPFAIL, STR(STORE_TEXT));
}

static bool
is_shadow(const struct eval *e, const struct rule *rule)
{
	return rule->shadow || e->session->policy->shadow;
}

static void
log_shadow(const struct eval *e, const struct rule *rule)
{
	log_event(LOG_EV_SHADOW, "id=%llu rule=%.*s stage=%s would=%.*s",
	    (unsigned long long)e->session->id, STR_FMT(rule->where),
	    stage_word(e->stage), STR_FMT(e->detail));
}

static void
fire(struct eval *e, struct rule *rule)
{
	atomic_fetch_add_explicit(&rule->fired, 1, memory_order_relaxed);
	if (!is_shadow(e, rule)) {
		act_run(e, rule);
		return;
	}
	act_shadow(e, rule);
	log_shadow(e, rule);
}

static void
ask(struct eval *e, struct rule *rule)
{
	const struct settings *settings = &e->session->policy->settings;
	enum truth t = TRUTH_TRUE;

	e->store_down = false;
	e->detail = STR_NONE;
	if (rule->condition != NULL)
		t = cond_eval(e, rule->condition);
	if (t == TRUTH_TRUE) {
		e->store_down = false;
		fire(e, rule);
	}
	/* Unknown by now: the condition, or greylisting's answer. */
	if (e->store_down && t != TRUTH_FALSE && !e->ended &&
	    settings->fault_tempfail && !is_shadow(e, rule))
		end_by_fault(e, rule);
	trace_rule(e->trace, rule, t, e->detail);
}

/* --- lookups started early --------------------------------------------- */

/* The lists of one kind that a condition asks. */
static void
start_lists(struct session *s, const struct expr *x, bool domains)
{
	for (; x != NULL; x = x->right) {
		if (x->op == EXPR_LISTED && x->list->domains == domains &&
		    domains)
			uribl_start(s->txn, x->list);
		else if (x->op == EXPR_LISTED && x->list->domains == domains)
			dnsbl_start(s, x->list);
		start_lists(s, x->left, domains);
	}
}

/* Links are known when the whole message is. */
static void
prefetch_links(struct session *s)
{
	const struct rule *rule = s->policy->rules[STAGE_MESSAGE];

	if (s->txn == NULL || s->policy->ndnsbls == 0)
		return;
	for (; rule != NULL; rule = rule->next)
		start_lists(s, rule->condition, true);
}

/* --- a stage ----------------------------------------------------------- */

/* What asked a limit too early to know all of it: rules that were reached
 * then, and found room.  `next' is only about this stage's own. */
static void
ask_again(struct eval *e)
{
	struct rule *rule = e->session->policy->again[e->stage];

	if (!refuses(e->decision->action) &&
	    e->decision->action != ACTION_ACCEPT)
		e->ended = false;
	for (; rule != NULL && !e->ended; rule = rule->again[e->stage].next)
		if (limit_granted(e->session, rule->again[e->stage].limit))
			ask(e, rule);
}

static void
limits_settle(struct session *s, enum stage stage, const struct decision *d)
{
	if (refuses(d->action))
		limit_drop(s, stage);
	else
		limit_keep(s, stage);
	if (stage == STAGE_RCPT && d->action == ACTION_REJECT)
		policy_count_rejected(s);
}

void
policy_count_rejected(struct session *s)
{
	const struct policy *p = s->policy;

	if (p->nrejected_limits > 0)
		limit_count_rejected(s, p->rejected_limits,
		    p->nrejected_limits);
}

void
policy_eval(struct session *s, enum stage stage, struct decision *d)
{
	struct eval e = {
		.session = s,
		.stage = stage,
		.arena = session_arena(s),
		.verdict = session_verdict(s),
		.trace = trace_of(s),
		.decision = d,
	};
	struct rule *rule;

	*d = (struct decision){ .action = ACTION_NONE };
	if (settled_before(s, stage, d))
		return;
	if (stage == STAGE_MESSAGE)
		prefetch_links(s);
	if (s->policy->nlimits > 0)
		limit_event(s, stage);
	for (rule = s->policy->rules[stage]; rule != NULL && !e.ended;
	     rule = rule->next)
		ask(&e, rule);
	ask_again(&e);
	if (s->policy->nlimits > 0)
		limits_settle(s, stage, d);
}

static void
prefetch_client(struct session *s)
{
	const struct rule *rule;

	if (s->policy->needs & NEED_PTR)
		iprev_start(s);
	if (s->policy->ndnsbls == 0)
		return;
	for (int stage = 0; stage < STAGE_COUNT; stage++)
		for (rule = s->policy->rules[stage]; rule != NULL;
		     rule = rule->next)
			start_lists(s, rule->condition, false);
}

void
policy_prefetch(struct session *s, enum stage stage)
{
	unsigned int needs = s->policy->needs;

	switch (stage) {
	case STAGE_CONNECT:
		prefetch_client(s);
		break;
	case STAGE_MAIL:
		if ((needs & NEED_SPF) && s->txn != NULL)
			spf_start(s->txn);
		if ((needs & NEED_SPF_HELO) && s->txn != NULL)
			spf_start_helo(s->txn);
		break;
	case STAGE_MESSAGE:
		if ((needs & NEED_DMARC) && s->txn != NULL)
			dmarc_start(s->txn);
		break;
	default:
		break;
	}
}
