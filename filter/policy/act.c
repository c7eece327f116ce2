/*
 * What rules do.  Everything that a message ends with is collected in the
 * verdict; only blocks, notices and log lines happen at once.
 */
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/greylist.h"
#include "check/key.h"
#include "check/limit.h"
#include "policy/eval.h"
#include "policy/text.h"

/* All `delay' of a stage together; the MTA waits 30 s for an answer. */
#define DELAY_MAX_MS	25000

/* --- ending a stage ---------------------------------------------------- */

static bool
is_refusal(enum action action)
{
	return action == ACTION_REJECT || action == ACTION_TEMPFAIL;
}

static struct str
reply_text(struct arena *arena, const struct reply *reply)
{
	return arena_printf(arena, "%d %s %.*s", reply->code, reply->enhanced,
	    STR_FMT(reply->text));
}

static void
settle_verdict(struct eval *e, struct verdict *v, const struct rule *rule)
{
	v->action = e->decision->action;
	v->reply = e->decision->reply;
	v->rule = rule->where;
}

static void
settle_rcpt(struct eval *e, const struct rule *rule)
{
	struct rcpt *rcpt = e->session->txn->rcpt;

	rcpt->action = e->decision->action;
	rcpt->rule = rule->where;
	rcpt->final = e->decision->action == ACTION_ACCEPT;
}

void
act_end(struct eval *e, const struct rule *rule, enum action action,
    struct str text)
{
	struct session *s = e->session;

	e->ended = true;
	e->detail = str_of(action_word(action));
	if (is_refusal(action) && e->stage == STAGE_RCPT && s->txn->non_smtp) {
		/* The mail would be stuck in the queue. */
		e->detail = STR("not refused: no SMTP client");
		return;
	}
	e->decision->action = action;
	e->decision->rule = rule;
	if (is_refusal(action)) {
		/* Codes that contradict the action, put together of a
		 * literal and a fact, become text behind the usual ones. */
		reply_make(e->arena, action, text, &e->decision->reply);
		e->detail = reply_text(e->arena, &e->decision->reply);
	}
	if (e->trace != NULL)
		e->trace->decided = rule;
	if (e->stage == STAGE_RCPT)
		settle_rcpt(e, rule);
	else
		settle_verdict(e, e->verdict, rule);
	if (action == ACTION_ACCEPT && e->stage < STAGE_MAIL)
		s->accepted = true;
}

static struct str
rendered(struct eval *e, const struct rule *rule)
{
	return text_render(e->session, e->stage, rule->text);
}

/* Its codes are the policy's: digits that a fact brings to the start of a
 * text are text. */
static struct str
rendered_reply(struct eval *e, const struct rule *rule, const char *codes)
{
	struct str text = rendered(e, rule);

	if (rule->text == NULL || rule->text->fact.def == NULL)
		return text;
	return arena_printf(e->arena, "%s %.*s", codes, STR_FMT(text));
}

static void
run_accept(struct eval *e, const struct rule *rule)
{
	act_end(e, rule, ACTION_ACCEPT, STR_NONE);
}

static void
run_next(struct eval *e, const struct rule *rule)
{
	(void)rule;
	e->ended = true;
}

static void
run_reject(struct eval *e, const struct rule *rule)
{
	act_end(e, rule, ACTION_REJECT, rendered_reply(e, rule, "550 5.7.1"));
}

static void
run_tempfail(struct eval *e, const struct rule *rule)
{
	act_end(e, rule, ACTION_TEMPFAIL, rendered_reply(e, rule, "451 4.7.1"));
}

static void
run_discard(struct eval *e, const struct rule *rule)
{
	act_end(e, rule, ACTION_DISCARD, STR_NONE);
}

/* About the whole message, whatever the stage: the first reason stays. */
static void
run_quarantine(struct eval *e, const struct rule *rule)
{
	struct str reason = rendered(e, rule);

	if (reason.n == 0)
		reason = STR("held by policy");
	e->ended = true;
	e->detail = reason;
	e->decision->action = ACTION_QUARANTINE;
	e->decision->rule = rule;
	if (e->verdict->quarantine.n > 0)
		return;
	e->verdict->quarantine = reason;
	if (e->trace != NULL)
		e->trace->held = rule;
}

/* --- going on ---------------------------------------------------------- */

bool
act_owns_field(struct str name)
{
	return str_istarts(name, STR("X-"));
}

static void
add_field(struct eval *e, const struct rule *rule, enum edit_op op)
{
	struct str value = rendered(e, rule);

	verdict_edit(e->arena, e->verdict, op, rule->name, value, 0);
	e->detail = value;
}

static void
run_header(struct eval *e, const struct rule *rule)
{
	add_field(e, rule, EDIT_ADD);
}

/* On top of the header, where trace fields belong. */
static void
run_insert(struct eval *e, const struct rule *rule)
{
	add_field(e, rule, EDIT_INSERT);
}

static void
run_strip(struct eval *e, const struct rule *rule)
{
	verdict_edit(e->arena, e->verdict, EDIT_REMOVE, rule->name, STR_NONE,
	    0);
}

static void
run_score(struct eval *e, const struct rule *rule)
{
	e->verdict->score += rule->number;
}

static void
run_tag(struct eval *e, const struct rule *rule)
{
	verdict_tag(e->arena, e->verdict, rule->name);
}

static void
run_block(struct eval *e, const struct rule *rule)
{
	struct str key = key_make(e->arena, e->session, &rule->key);

	e->detail = key;
	if (key.n == 0)
		return;
	if (!block_set(e->session->checks->services, key, rule->time_ms,
		rule->where))
		e->detail = STR("the state store is down");
}

static struct str
greylist_text(struct eval *e, int64_t retry_ms)
{
	long long minutes = retry_ms > 0 ? (retry_ms + 59999) / 60000 : 1;

	return arena_printf(e->arena,
	    "451 4.7.1 greylisted, come back in %lld minute%s", minutes,
	    minutes == 1 ? "" : "s");
}

static void
run_greylist(struct eval *e, const struct rule *rule)
{
	int64_t retry_ms = 0, delay_ms = rule->time_ms;
	int64_t start = clock_mono_us();
	enum greylist_answer answer;
	bool unknown;

	if (delay_ms <= 0)
		delay_ms = GREYLIST_DELAY_MS;
	answer = greylist_check(e->session->txn, delay_ms, &retry_ms);
	unknown = answer == GREYLIST_UNKNOWN;
	trace_fact(e->trace, STR("greylist"),
	    answer == GREYLIST_WAIT ? STR("wait") :
		unknown		    ? STR("unknown") :
				      STR("pass"),
	    unknown, clock_mono_us() - start, e->stage);
	e->store_down = unknown;
	if (answer == GREYLIST_WAIT)
		act_end(e, rule, ACTION_TEMPFAIL,
		    rule->text != NULL ? rendered_reply(e, rule, "451 4.7.1") :
					 greylist_text(e, retry_ms));
}

static void
run_delay(struct eval *e, const struct rule *rule)
{
	int64_t ms = rule->time_ms;
	struct timespec ts;

	if (ms > DELAY_MAX_MS - e->delayed_ms)
		ms = DELAY_MAX_MS - e->delayed_ms;
	e->delayed_ms += ms;
	e->detail = fact_duration(e->arena, ms);
	if (ms <= 0 || clock_is_fake())
		return;
	ts = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&ts, NULL);
}

static void
run_log(struct eval *e, const struct rule *rule)
{
	struct str text = rendered(e, rule);

	e->detail = text;
	log_event(LOG_EV_RULE, "id=%llu rule=%.*s stage=%s text=%.*s",
	    (unsigned long long)e->session->id, STR_FMT(rule->where),
	    stage_word(e->stage), STR_FMT(text));
}

/* --- the table --------------------------------------------------------- */

static const struct {
	const char	*word;
	bool		 ends;
} verbs[VERB_COUNT] = {
#define X(id, text, ending, stage) [VERB_##id] = { text, ending },
	VERBS(X)
#undef X
};

static void (*const runs[VERB_COUNT])(struct eval *, const struct rule *) = {
	[VERB_ACCEPT] = run_accept,
	[VERB_NEXT] = run_next,
	[VERB_REJECT] = run_reject,
	[VERB_TEMPFAIL] = run_tempfail,
	[VERB_DISCARD] = run_discard,
	[VERB_QUARANTINE] = run_quarantine,
	[VERB_HEADER] = run_header,
	[VERB_INSERT] = run_insert,
	[VERB_STRIP] = run_strip,
	[VERB_SCORE] = run_score,
	[VERB_TAG] = run_tag,
	[VERB_BLOCK] = run_block,
	[VERB_GREYLIST] = run_greylist,
	[VERB_DELAY] = run_delay,
	[VERB_NOTIFY] = act_notify,
	[VERB_SIGN] = act_sign,
	[VERB_LOG] = run_log,
};

void
act_run(struct eval *e, const struct rule *rule)
{
	runs[rule->verb](e, rule);
}

/*
 * A policy that is in shadow as a whole must still find its way: what
 * only steers later rules is done, and an ending ends the stage, so that the
 * log tells what the policy would have decided and no more.
 */
static void
steer(struct eval *e, const struct rule *rule)
{
	switch (rule->verb) {
	case VERB_ACCEPT:
	case VERB_NEXT:
	case VERB_SCORE:
	case VERB_TAG:
		act_run(e, rule);
		break;
	default:
		e->ended = verbs[rule->verb].ends;
	}
}

void
act_shadow(struct eval *e, const struct rule *rule)
{
	struct str text = rendered(e, rule);
	struct str name = rule->name;

	if (name.n == 0)
		name = rule->key.text;
	if (e->session->policy->shadow)
		steer(e, rule);
	e->detail = arena_printf(e->arena, "%s%s%.*s%s%.*s",
	    verbs[rule->verb].word, name.n > 0 ? " " : "", STR_FMT(name),
	    text.n > 0 ? ": " : "", STR_FMT(text));
}
