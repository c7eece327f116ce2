#include "policy/road.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "check/arc.h"
#include "check/authres.h"
#include "check/dkim.h"
#include "check/dkim_sign.h"
#include "check/dmarc.h"
#include "check/limit.h"
#include "check/spf.h"
#include "policy/eval.h"
#include "policy/journal.h"
#include "policy/override.h"
#include "policy/record.h"
#include "policy/trace.h"

#define NEEDS_SPF     (NEED_SPF | NEED_SPF_HELO)
#define NEEDS_RESULTS (NEEDS_SPF | NEED_DKIM | NEED_DMARC | NEED_ARC)

/* --- time -------------------------------------------------------------- */

/*
 * A message may wait for so long in all; time that the client takes to send
 * it does not count.
 */
static int64_t
stage_begin(struct session *s)
{
	const struct settings *set = &s->policy->settings;
	int64_t now = clock_mono_ms(), left;

	s->deadline = now + set->deadline_stage_ms;
	if (s->txn != NULL) {
		left = set->deadline_message_ms - s->txn->waited_ms;
		s->txn->deadline = now + (left > 0 ? left : 0);
	}
	return now;
}

static void
stage_end(struct session *s, int64_t begin)
{
	if (s->txn != NULL)
		s->txn->waited_ms += clock_mono_ms() - begin;
}

/* --- memory ------------------------------------------------------------ */

static bool
overflowed(const struct session *s)
{
	return arena_overflowed(s->arena) ||
	    (s->txn != NULL && arena_overflowed(s->txn->arena));
}

/* No arena is needed for this one. */
static void
overflow_reply(struct reply *reply)
{
	*reply = (struct reply){ .code = 451,
		.enhanced = "4.3.1",
		.text = STR("this message needs more memory than allowed") };
}

/* Copies what the caller gave; an overflow is seen by overflowed(). */
static struct str
keep(struct arena *arena, struct str s)
{
	return s.n > 0 ? arena_str(arena, s) : STR_NONE;
}

/* --- asking ------------------------------------------------------------ */

/* A connection that was refused stays so, whatever the client still says. */
static bool
refused_before(const struct session *s, struct decision *d)
{
	if (s->verdict.action != ACTION_REJECT &&
	    s->verdict.action != ACTION_TEMPFAIL)
		return false;
	*d = (struct decision){ .action = s->verdict.action,
		.reply = s->verdict.reply };
	if (s->trace != NULL)
		d->rule = s->trace->decided;
	return true;
}

static void
ask(struct session *s, enum stage stage, struct decision *d)
{
	int64_t begin = stage_begin(s);

	policy_eval(s, stage, d);
	stage_end(s, begin);
	if (overflowed(s) && !s->policy->shadow) {
		*d = (struct decision){ .action = ACTION_TEMPFAIL };
		overflow_reply(&d->reply);
		metric_inc(METRIC_OVERFLOWS);
		log_event(LOG_EV_OVERFLOW, "id=%llu stage=%s",
		    (unsigned long long)s->id, stage_word(stage));
	}
	if (d->action != ACTION_REJECT && d->action != ACTION_TEMPFAIL)
		return;
	metric_inc(
	    d->action == ACTION_REJECT ? METRIC_REJECT : METRIC_TEMPFAIL);
	journal_refused(s, stage, d);
	/* What is refused later comes with its message, or its end. */
	if (s->txn == NULL)
		record_connection(s, d);
}

/* --- the connection ---------------------------------------------------- */

struct session *
road_begin(struct services *services, struct policy *policy)
{
	struct session *s = session_new();

	s->policy = policy_ref(policy);
	s->checks = check_attach_session(s, services);
	if (s->checks != NULL)
		s->checks->country = fact_country;
	s->trace = trace_new(s->arena, TRACE_MAX_SESSION);
	metric_inc(METRIC_OPEN);
	return s;
}

void
road_end(struct session **sp)
{
	struct policy *policy;

	if (*sp == NULL)
		return;
	road_abort(*sp);
	/* Results in the arena may point into the policy. */
	policy = (*sp)->policy;
	session_free(sp);
	policy_release(&policy);
	metric_add(METRIC_OPEN, -1);
}

static bool
asks_list(const struct expr *x)
{
	for (; x != NULL; x = x->right)
		if (x->op == EXPR_LISTED || asks_list(x->left))
			return true;
	return false;
}

/* Lookups that the connect rules themselves read start before them, others
 * only for a client that was not accepted or refused there. */
static bool
connect_wants_dns(const struct policy *p)
{
	if (p->stage_needs[STAGE_CONNECT] & NEED_PTR)
		return true;
	for (const struct rule *r = p->rules[STAGE_CONNECT]; r != NULL;
	     r = r->next)
		if (asks_list(r->condition))
			return true;
	return false;
}

void
road_connect(struct session *s, const struct road_client *client,
    struct decision *d)
{
	bool early = connect_wants_dns(s->policy);

	metric_inc(METRIC_CONNECTIONS);
	s->client = client->addr;
	if (client->name.n > 0 && client->name.p[0] != '[')
		s->client_name = keep(s->arena, client->name);
	s->daemon_name = keep(s->arena, client->daemon_name);
	s->mta_name = keep(s->arena, client->mta_name);
	if (early)
		policy_prefetch(s, STAGE_CONNECT);
	ask(s, STAGE_CONNECT, d);
	if (!early && d->action == ACTION_NONE && !s->accepted)
		policy_prefetch(s, STAGE_CONNECT);
}

void
road_helo(struct session *s, struct str name, struct decision *d)
{
	if (refused_before(s, d))
		return;
	s->helo = keep(s->arena, name);
	ask(s, STAGE_HELO, d);
}

/* --- the envelope ------------------------------------------------------ */

static void
release_policy(void *policy)
{
	struct policy *p = policy;

	policy_release(&p);
}

/* Results of the connection may still point into the old policy: it stays
 * until the connection's arena goes. */
static void
take_policy(struct session *s, struct policy *policy)
{
	if (policy == NULL || policy == s->policy)
		return;
	/* A cleanup that can't be kept runs at once: it must not take the
	 * reference that is in use. */
	if (!arena_cleanup(s->arena, release_policy, policy_ref(s->policy)))
		return;
	policy_release(&s->policy);
	s->policy = policy_ref(policy);
}

static void
take_sender(struct txn *txn, const struct road_sender *from)
{
	envelope_parse(txn->arena, from->arg, &txn->sender);
	txn->size_declared = from->size;
	txn->user = keep(txn->arena, from->user);
	txn->auth_method = keep(txn->arena, from->auth_method);
	txn->tls_version = keep(txn->arena, from->tls_version);
	txn->tls_cipher = keep(txn->arena, from->tls_cipher);
	txn->queue_id = keep(txn->arena, from->queue_id);
	txn->non_smtp = from->non_smtp;
}

void
road_mail(struct session *s, struct policy *policy,
    const struct road_sender *from, struct decision *d)
{
	unsigned int needs;
	struct txn *txn;

	road_abort(s);
	if (refused_before(s, d))
		return;
	take_policy(s, policy);
	needs = road_needs(s->policy); /* of all rules: once a message */
	txn = txn_begin(s,
	    needs & NEED_CONTENT ? s->policy->settings.body_max : 0);
	txn->needs = needs;
	txn->checks = check_attach_txn(txn, s->checks->services);
	if (txn->checks != NULL) {
		txn->checks->country = fact_country;
		txn->checks->link_domains = fact_link_domains;
		if (s->policy->dmarc_override != NULL)
			txn->checks->dmarc_override = override_find;
	}
	txn->trace = trace_new(txn->arena, TRACE_MAX_TXN);
	take_sender(txn, from);
	if (!s->accepted)
		policy_prefetch(s, STAGE_MAIL);
	ask(s, STAGE_MAIL, d);
}

void
road_rcpt(struct session *s, struct str arg, bool mta_refused,
    struct decision *d)
{
	struct rcpt *rcpt;

	*d = (struct decision){ .action = ACTION_NONE };
	if (s->txn == NULL)
		return;
	rcpt = txn_add_rcpt(s->txn, arg);
	if (rcpt != NULL && mta_refused) {
		rcpt->mta_refused = true;
		metric_inc(METRIC_MTA_REFUSED);
		policy_count_rejected(s);
		return;
	}
	ask(s, STAGE_RCPT, d);
	if (rcpt != NULL && rcpt_accepted(rcpt)) {
		s->txn->accepted++;
		metric_inc(METRIC_RECIPIENTS);
	}
}

/* --- the content ------------------------------------------------------- */

/* Whether rules of the message may still be asked. */
static bool
undecided(const struct session *s)
{
	return !s->accepted && s->txn->verdict.action == ACTION_NONE;
}

static bool
verifies(const struct session *s)
{
	return (s->policy->needs & (NEED_DKIM | NEED_DMARC)) && undecided(s);
}

static bool
validates(const struct session *s)
{
	return (s->policy->needs & NEED_ARC) && undecided(s);
}

bool
road_header(struct session *s, struct str name, struct str value)
{
	const struct header *before;
	struct txn *txn = s->txn;

	if (txn == NULL)
		return true;
	before = txn->headers.last;
	if (!header_add(txn->arena, &txn->headers, name, value))
		return false;
	if (verifies(s) && txn->headers.last != before)
		dkim_feed_header(txn, txn->headers.last);
	return true;
}

void
road_eoh(struct session *s)
{
	if (s->txn == NULL || !undecided(s))
		return;
	stage_begin(s);
	policy_prefetch(s, STAGE_MESSAGE);
	if (verifies(s))
		dkim_feed_eoh(s->txn);
	if (validates(s))
		arc_feed_eoh(s->txn);
}

bool
road_body(struct session *s, const void *data, size_t n)
{
	struct txn *txn = s->txn;
	unsigned int needs;

	if (txn == NULL)
		return false;
	needs = txn->needs;
	if (!undecided(s))
		needs &= NEED_BODY_SIZE;
	if (needs & (NEED_BODY_SIZE | NEED_CONTENT))
		body_add(&txn->body, data, n);
	if (verifies(s))
		dkim_feed_body(txn, data, n);
	if (validates(s))
		arc_feed_body(txn, data, n);
	if (needs & NEED_SIGN)
		dkim_sign_body(txn, s->policy->sign_simple, data, n);
	if (needs &
	    (NEED_BODY_SIZE | NEED_DKIM | NEED_DMARC | NEED_ARC | NEED_SIGN))
		return true;
	return (needs & NEED_CONTENT) && !txn->body.truncated;
}

/* --- the end ----------------------------------------------------------- */

static struct str
authserv_id(const struct session *s)
{
	struct str id = s->policy->settings.text[SETTING_HOSTNAME];

	return id.n > 0 ? id : s->checks->services->hostname;
}

/* A message from outside shows all results that the policy is about, also
 * those that no rule came to ask for. */
static void
finish_results(struct session *s, const struct outcome *out)
{
	unsigned int needs = s->policy->needs;

	if (s->accepted || s->txn->user.n > 0)
		return;
	/* Accepted before its content came: that was not looked at. */
	if (!undecided(s) && out->stage != STAGE_MESSAGE)
		return;
	if (needs & NEED_SPF)
		spf_check(s->txn);
	if (needs & NEED_SPF_HELO)
		spf_check_helo(s->txn);
	if (needs & NEED_DKIM)
		dkim_check(s->txn);
	if (needs & NEED_DMARC)
		dmarc_check(s->txn);
	if (needs & NEED_ARC)
		arc_check(s->txn);
}

static bool
any_result(const struct checks *c)
{
	return (c->spf != NULL && c->spf->result != AUTH_UNKNOWN) ||
	    (c->spf_helo != NULL && c->spf_helo->result != AUTH_UNKNOWN) ||
	    (c->dkim != NULL && c->dkim->result != AUTH_UNKNOWN) ||
	    (c->dmarc != NULL && c->dmarc->result != AUTH_UNKNOWN) ||
	    (c->arc != NULL && c->arc->result != AUTH_UNKNOWN);
}

/* false: a forged field may stand among those that were too many to keep. */
static bool
add_results(struct session *s, const struct outcome *out)
{
	struct txn *txn = s->txn;
	struct str id = authserv_id(s);

	if (!(s->policy->needs & NEEDS_RESULTS) || id.n == 0)
		return true;
	if (!authres_strip(txn, id))
		return false;
	finish_results(s, out);
	if (any_result(txn->checks))
		verdict_edit(txn->arena, &txn->verdict, EDIT_INSERT,
		    STR("Authentication-Results"), authres_make(txn, id), 0);
	return true;
}

static bool
adds_own_field(const struct rule *r)
{
	return (r->verb == VERB_HEADER || r->verb == VERB_INSERT) &&
	    act_owns_field(r->name);
}

/*
 * An X- field that a rule may add is ours alone: one that came along could
 * pass for it, all the more where the rule did not fire.  A client that was
 * accepted as a whole is trusted with them.  false: one may stand among
 * those that were too many to keep.
 */
static bool
strip_own_fields(struct session *s)
{
	struct txn *txn = s->txn;
	bool own = false;

	if (s->accepted)
		return true;
	for (int stage = 0; stage < STAGE_COUNT; stage++)
		for (const struct rule *r = s->policy->rules[stage]; r != NULL;
		     r = r->next)
			if (!r->shadow && adds_own_field(r)) {
				verdict_edit(txn->arena, &txn->verdict,
				    EDIT_REMOVE, r->name, STR_NONE, 0);
				own = true;
			}
	return !own || !txn->headers.truncated;
}

/* As it comes to stand behind the colon. */
static struct str
spaced(struct arena *arena, struct str value)
{
	if (value.n == 0 || value.p[0] == ' ' || value.p[0] == '\t')
		return value;
	return arena_printf(arena, " %.*s", STR_FMT(value));
}

static struct edit *
edit_copy(struct arena *arena, const struct edit *from, struct edit *next)
{
	struct edit *e = arena_alloc(arena, sizeof(*e));

	if (e == NULL)
		return NULL;
	*e = *from;
	e->next = next;
	return e;
}

/* Removals, each field by its number, from the last one up. */
static struct edit *
order_removals(struct txn *txn)
{
	struct edit *first = NULL, *e;

	for (const struct header *h = txn->headers.first; h != NULL;
	     h = h->next) {
		const struct edit remove = { .op = EDIT_REMOVE,
			.name = h->name,
			.nth = h->nth };

		if (!verdict_removes(&txn->verdict, h->name, h->nth))
			continue;
		if ((e = edit_copy(txn->arena, &remove, first)) == NULL)
			break;
		first = e;
	}
	return first;
}

/*
 * Removals first, as the MTA counts fields by what is still there, then
 * changes, new fields below, and new fields on top, the last one topmost.
 */
static const struct edit *
order_edits(struct txn *txn)
{
	static const enum edit_op order[] = { EDIT_CHANGE, EDIT_ADD,
		EDIT_INSERT };
	struct edit *first = NULL, **tail = &first;

	if (txn->verdict.edits == NULL)
		return NULL;
	first = order_removals(txn);
	while (*tail != NULL)
		tail = &(*tail)->next;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (const struct edit *e = txn->verdict.edits; e != NULL;
		     e = e->next) {
			if (e->op != order[i])
				continue;
			*tail = edit_copy(txn->arena, e, NULL);
			if (*tail == NULL)
				return first;
			tail = &(*tail)->next;
		}
	return first;
}

static void
outcome_rule(struct outcome *out, const struct rule *rule)
{
	if (rule == NULL)
		return;
	out->rule = rule->where;
	out->stage = rule->stage;
}

static void
outcome_temporary(struct outcome *out, const char *enhanced, struct str text)
{
	*out = (struct outcome){ .action = ACTION_TEMPFAIL,
		.stage = STAGE_MESSAGE,
		.fault = true };
	out->reply.code = 451;
	memcpy(out->reply.enhanced, enhanced, strlen(enhanced) + 1);
	out->reply.text = text;
}

static void
take_decision(struct session *s, const struct decision *d, struct outcome *out)
{
	struct txn *txn = s->txn;

	*out = (struct outcome){ .action = d->action,
		.reply = d->reply,
		.fault = d->fault,
		.stage = STAGE_MESSAGE };
	outcome_rule(out, d->rule);
	if (out->action == ACTION_NONE)
		out->action = ACTION_ACCEPT;
	if (out->action != ACTION_ACCEPT && out->action != ACTION_QUARANTINE)
		return;
	if (txn->verdict.quarantine.n == 0)
		return;
	out->action = ACTION_QUARANTINE;
	out->quarantine = txn->verdict.quarantine;
	outcome_rule(out, txn->trace != NULL ? txn->trace->held : d->rule);
}

static unsigned int
count_discarded(const struct txn *txn)
{
	unsigned int n = 0;

	for (const struct rcpt *r = txn->rcpts; r != NULL; r = r->next)
		n += !r->mta_refused && r->action == ACTION_DISCARD;
	return n;
}

/* New fields of one kind; false: the arena is full. */
static bool
add_new(struct txn *txn, const struct edit *e, enum edit_op op,
    struct headers *result)
{
	for (; e != NULL; e = e->next)
		if (e->op == op &&
		    !header_add(txn->arena, result, e->name,
			spaced(txn->arena, e->value)))
			return false;
	return true;
}

/* The last one is topmost: a list turned round. */
static const struct edit *
inserts_reversed(struct txn *txn)
{
	struct edit *first = NULL, *e;

	for (const struct edit *from = txn->verdict.edits; from != NULL;
	     from = from->next) {
		if (from->op != EDIT_INSERT)
			continue;
		if ((e = edit_copy(txn->arena, from, first)) == NULL)
			break;
		first = e;
	}
	return first;
}

/* The header as it will be delivered; false: the arena is full. */
static bool
header_after(struct txn *txn, struct headers *result)
{
	const struct edit *e;

	if (!add_new(txn, inserts_reversed(txn), EDIT_INSERT, result))
		return false;
	for (const struct header *h = txn->headers.first; h != NULL;
	     h = h->next) {
		struct str value = h->value;

		if (verdict_removes(&txn->verdict, h->name, h->nth))
			continue;
		for (e = txn->verdict.edits; e != NULL; e = e->next)
			if (e->op == EDIT_CHANGE && e->nth == h->nth &&
			    str_ieq(e->name, h->name))
				value = spaced(txn->arena, e->value);
		if (!header_add(txn->arena, result, h->name, value))
			return false;
	}
	return add_new(txn, txn->verdict.edits, EDIT_ADD, result);
}

/* The fields of signatures go on top, and are none of those that are signed. */
static void
sign(struct session *s)
{
	const struct dkim_wanted *wanted = dkim_sign_wanted(s->txn);
	struct headers after = { 0 };
	struct str value;
	const char *why;

	if (wanted == NULL || !header_after(s->txn, &after))
		return;
	for (size_t i = 0; i < wanted->n; i++) {
		const struct dkim_signer *signer = wanted->signers[i];

		why = dkim_sign_make(s->txn, &after, signer, &value);
		if (why == NULL) {
			verdict_edit(s->txn->arena, &s->txn->verdict,
			    EDIT_INSERT, STR("DKIM-Signature"), value, 0);
			continue;
		}
		trace_fact(s->txn->trace, STR("sign"), str_of(why), true, 0,
		    STAGE_MESSAGE);
		log_event(LOG_EV_SIGN,
		    "id=%llu qid=%.*s domain=%.*s selector=%.*s problem=%s",
		    (unsigned long long)s->id, STR_FMT(s->txn->queue_id),
		    STR_FMT(signer->domain), STR_FMT(signer->selector), why);
	}
}

/* The last thing before the MTA hears that it may have the message. */
static void
let_pass(struct session *s, struct outcome *out)
{
	out->discarded = count_discarded(s->txn);
	sign(s);
	out->edits = order_edits(s->txn);
	/* Nothing is charged for a message that had no room. */
	if (overflowed(s))
		return;
	if (limit_commit(s->txn) || !s->policy->settings.fault_tempfail)
		return;
	/* The message comes again, and is charged then. */
	limit_drop(s, STAGE_MESSAGE);
	outcome_temporary(out, "4.3.0", STR("state store unavailable"));
}

static void
settle(struct session *s, const struct decision *d, struct outcome *out)
{
	bool passes, full = false;

	take_decision(s, d, out);
	if (s->policy->shadow) {
		limit_commit(s->txn);
		*out = (struct outcome){ .action = ACTION_ACCEPT,
			.stage = STAGE_MESSAGE };
		return;
	}
	passes =
	    out->action == ACTION_ACCEPT || out->action == ACTION_QUARANTINE;
	if (passes)
		full = !strip_own_fields(s) || !add_results(s, out);
	if (passes && !full)
		let_pass(s, out);
	if (full || overflowed(s)) {
		outcome_temporary(out, "4.3.1", STR_NONE);
		overflow_reply(&out->reply);
		out->overflow = true;
	}
}

static void
count_outcome(const struct session *s, const struct outcome *out)
{
	static const enum metric metrics[] = {
		[ACTION_NONE] = METRIC_ACCEPT,
		[ACTION_ACCEPT] = METRIC_ACCEPT,
		[ACTION_REJECT] = METRIC_REJECT,
		[ACTION_TEMPFAIL] = METRIC_TEMPFAIL,
		[ACTION_DISCARD] = METRIC_DISCARD,
		[ACTION_QUARANTINE] = METRIC_QUARANTINE,
	};

	metric_inc(METRIC_MESSAGES);
	metric_inc(metrics[out->action]);
	if (!out->overflow)
		return;
	metric_inc(METRIC_OVERFLOWS);
	log_event(LOG_EV_OVERFLOW, "id=%llu stage=message bytes=%zu",
	    (unsigned long long)s->id, arena_used(s->txn->arena));
}

void
road_message(struct session *s, struct str queue_id, struct outcome *out)
{
	struct decision d;
	int64_t begin;

	if (s->txn == NULL) {
		outcome_temporary(out, "4.3.0", STR("no message is open"));
		metric_inc(METRIC_INTERNAL);
		return;
	}
	begin = stage_begin(s);
	if (queue_id.n > 0)
		s->txn->queue_id = keep(s->txn->arena, queue_id);
	s->txn->rcpt = NULL;
	if (!refused_before(s, &d))
		policy_eval(s, STAGE_MESSAGE, &d);
	settle(s, &d, out);
	stage_end(s, begin);
	s->txn->judged = true;
	count_outcome(s, out);
	journal_message(s, out);
	record_message(s, out);
}

/* The MTA never tells of the end of such a message. */
static bool
something_refused(const struct txn *txn)
{
	const struct rcpt *r = txn->rcpts;

	if (txn->verdict.action == ACTION_REJECT ||
	    txn->verdict.action == ACTION_TEMPFAIL)
		return true;
	while (r != NULL && r->action != ACTION_REJECT &&
	    r->action != ACTION_TEMPFAIL)
		r = r->next;
	return r != NULL;
}

void
road_abort(struct session *s)
{
	if (s == NULL || s->txn == NULL)
		return;
	if (!s->txn->judged && s->txn->verdict.action != ACTION_REJECT &&
	    s->txn->verdict.action != ACTION_TEMPFAIL)
		metric_inc(METRIC_ABORTS);
	if (!s->txn->judged && something_refused(s->txn))
		record_given_up(s);
	txn_end(s);
}

/* --- what the MTA has to send ------------------------------------------ */

static unsigned int
rule_needs(const struct policy *p)
{
	unsigned int needs = 0;

	for (int stage = 0; stage < STAGE_COUNT; stage++)
		for (const struct rule *r = p->rules[stage]; r != NULL;
		     r = r->next) {
			if (r->verb == VERB_STRIP || adds_own_field(r))
				needs |= NEED_HEADERS;
			if (r->verb == VERB_SIGN)
				needs |= NEED_HEADERS | NEED_SIGN;
		}
	return needs;
}

/* The size that a client declares is only what it says. */
static unsigned int
limit_needs(const struct policy *p)
{
	unsigned int needs = 0;

	for (size_t i = 0; i < p->nlimits; i++)
		for (size_t w = 0; w < p->limits[i]->count; w++) {
			if (p->limits[i]->windows[w].unit == LIMIT_BYTES)
				needs |= NEED_HEADERS | NEED_BODY_SIZE;
			if (p->limits[i]->windows[w].unit == LIMIT_REJECTED)
				needs |= NEED_RCPT_REJ;
		}
	return needs;
}

unsigned int
road_needs(const struct policy *p)
{
	unsigned int needs = p->needs | rule_needs(p) | limit_needs(p);

	if (needs & NEED_DMARC)
		needs |= NEED_SPF | NEED_DKIM;
	/* Forged results are taken out of the header. */
	if (needs & NEEDS_RESULTS)
		needs |= NEED_HEADERS;
	if (needs & NEEDS_SPF)
		needs |= NEED_HELO;
	if ((needs & NEED_SCORE) && p->ruleset != NULL)
		needs |= NEED_HEADERS | NEED_CONTENT | NEED_BODY_SIZE;
	return needs;
}
