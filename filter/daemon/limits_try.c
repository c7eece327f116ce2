#include "daemon/limits_try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "check/key.h"
#include "check/limit.h"
#include "daemon/limits_report.h"
#include "policy/road.h"
#include "policy/trace.h"

#define SESSIONS_MAX 16384 /* open at once; more have one each message */

struct limits_try {
	struct policy *policy;
	struct services services;
	struct map *sessions; /* by the log's number */
	struct limits_found found;
	struct map *entries; /* of found, by limit, window and key */
	int64_t now_ms;
};

/* --- the policy -------------------------------------------------------- */

static bool
mentions(const struct expr *x, enum expr_op op)
{
	for (; x != NULL; x = x->right)
		if (x->op == op || mentions(x->left, op))
			return true;
	return false;
}

static bool
about_limits(const struct rule *r)
{
	return mentions(r->condition, EXPR_OVER) ||
	    mentions(r->condition, EXPR_BLOCKED);
}

static bool
takes_part(const struct rule *r)
{
	switch (r->verb) {
	case VERB_ACCEPT:
	case VERB_NEXT:
	case VERB_TAG:
	case VERB_SCORE:
	case VERB_BLOCK:
		return true;
	default:
		return about_limits(r);
	}
}

/* Nothing is signed; that the rule fired is told all the same. */
static void
tame(struct rule *r)
{
	if (r->verb == VERB_SIGN)
		r->verb = VERB_LOG;
}

static void
nobody_is_told(const struct notice *notice)
{
	(void)notice;
}

static void
take_rules(struct policy *p)
{
	for (int stage = 0; stage < STAGE_COUNT; stage++)
		for (struct rule **at = &p->rules[stage]; *at != NULL;)
			if (takes_part(*at)) {
				tame(*at);
				at = &(*at)->next;
			} else {
				*at = (*at)->next;
			}
	/* There is no content. */
	p->needs = 0;
	memset(p->stage_needs, 0, sizeof(p->stage_needs));
}

/* --- what is found ----------------------------------------------------- */

/* rule NULL: how much was used; else how often that rule fired for it. */
static struct limits_entry *
entry_of(struct limits_try *t, const struct limit *limit, size_t window,
    struct str key, const struct rule *rule)
{
	struct buf name = BUF_INIT(8192);
	struct limits_entry *e;

	buf_printf(&name, "%.*s %.*s %zu ",
	    STR_FMT(rule != NULL ? rule->where : STR_NONE),
	    STR_FMT(limit != NULL ? limit->name : STR_NONE), window);
	buf_addstr(&name, key);
	e = map_get(t->entries, buf_str(&name));
	if (e == NULL && t->found.n < LIMITS_TRY_KEYS) {
		e = mem_alloc(sizeof(*e));
		e->limit = limit;
		e->window = limit != NULL ? &limit->windows[window] : NULL;
		e->rule = rule;
		e->key = mem_strndup(key.p, key.n);
		map_put(t->entries, buf_str(&name), e);
		if ((t->found.n & (t->found.n - 1)) == 0)
			t->found.entries = mem_resize(t->found.entries,
			    (t->found.n ? 2 * t->found.n : 1) *
				sizeof(*t->found.entries));
		t->found.entries[t->found.n++] = e;
	} else if (e == NULL) {
		t->found.left_out++;
	}
	buf_free(&name);
	return e;
}

static void
found_use(struct limits_try *t, struct limits_entry *e, uint64_t used,
    uint64_t max)
{
	double share = (double)used / (double)(max > 0 ? max : 1);

	if (e == NULL || (e->used > 0 && share <= e->share))
		return;
	e->used = used;
	e->max = max;
	e->share = share;
	e->at_ms = t->now_ms;
}

static void
found_hit(struct limits_try *t, struct limits_entry *e)
{
	if (e == NULL)
		return;
	if (e->hits++ == 0)
		e->first_ms = t->now_ms;
	e->last_ms = t->now_ms;
}

/* How much of each window is used now, for the keys of this event. */
static void
look_at_windows(struct limits_try *t, struct session *s, const struct limit *l)
{
	struct arena *arena = session_arena(s);
	struct str key = key_make(arena, s, &l->key);
	uint64_t max[LIMIT_WINDOWS_MAX];
	struct store_usage usage;

	if (key.n == 0)
		return;
	limit_maxima(l, key, max);
	for (size_t i = 0; i < l->count; i++) {
		struct store_window w = { .limit = arena_printf(arena,
					      "%.*s/%s", STR_FMT(l->name),
					      limit_unit_word(
						  l->windows[i].unit)),
			.key = key,
			.window_ms = l->windows[i].window_ms,
			.max = max[i] };

		usage.used = 0;
		store_peek(t->services.store, &w, &usage);
		if (usage.used > 0)
			found_use(t, entry_of(t, l, i, key, NULL), usage.used,
			    max[i]);
	}
}

static void
look(struct limits_try *t, struct session *s, enum stage stage)
{
	for (size_t i = 0; i < t->policy->nlimits; i++) {
		enum stage known = key_stage(&t->policy->limits[i]->key);

		/* Keys with a recipient change with each of them. */
		if (known > stage ||
		    (stage == STAGE_MESSAGE && known == STAGE_RCPT))
			continue;
		if (stage == STAGE_RCPT && known != STAGE_RCPT)
			continue;
		look_at_windows(t, s, t->policy->limits[i]);
	}
}

/* --- rules that fired -------------------------------------------------- */

static const struct expr *
find_expr(const struct expr *x, enum expr_op op, const struct limit *l)
{
	const struct expr *found;

	for (; x != NULL; x = x->right) {
		if (x->op == op && (l == NULL || x->limit == l))
			return x;
		if ((found = find_expr(x->left, op, l)) != NULL)
			return found;
	}
	return NULL;
}

static void
window_hit(struct limits_try *t, const struct rule *r,
    const struct limit_info *over)
{
	size_t window = (size_t)(over->window - over->limit->windows);
	struct limits_entry *e = entry_of(t, over->limit, window, over->key, r);

	found_hit(t, e);
	found_use(t, e, over->used, over->max);
	/* It is none of the others, that came only near. */
	e = entry_of(t, over->limit, window, over->key, NULL);
	if (e != NULL)
		e->hit = true;
}

static void
rule_fired(struct limits_try *t, struct session *s, const struct rule *r,
    const struct limit_info *over)
{
	const struct expr *x;
	struct str key;

	if (over != NULL && over->window != NULL &&
	    find_expr(r->condition, EXPR_OVER, over->limit) != NULL) {
		window_hit(t, r, over);
		return;
	}
	if ((x = find_expr(r->condition, EXPR_BLOCKED, NULL)) == NULL)
		return;
	key = key_make(session_arena(s), s, &x->key);
	if (key.n > 0)
		found_hit(t, entry_of(t, NULL, 0, key, r));
}

struct mark {
	struct trace *trace;
	struct trace_rule **tail; /* rules from here on are new */
	size_t left_out;
};

static struct mark
mark_set(struct trace *trace)
{
	if (trace == NULL)
		return (struct mark){ .trace = NULL };
	trace->over = NULL;
	return (struct mark){ trace, trace->rules_tail, trace->left_out };
}

/* What was asked since; a trace that is full still tells who decided. */
static void
mark_read(struct limits_try *t, struct session *s, const struct mark *m,
    const struct rule *decided)
{
	const struct trace_rule *r;

	if (m->trace == NULL)
		return;
	for (r = *m->tail; r != NULL; r = r->next) {
		if (r->truth == TRUTH_TRUE && about_limits(r->rule))
			rule_fired(t, s, r->rule, m->trace->over);
		if (r->rule == decided)
			decided = NULL;
	}
	if (m->trace->left_out > m->left_out && decided != NULL &&
	    about_limits(decided))
		rule_fired(t, s, decided, m->trace->over);
}

/* --- the road ---------------------------------------------------------- */

static struct session *
begin(struct limits_try *t, const struct maillog_event *e)
{
	struct session *s = road_begin(&t->services, t->policy);
	struct road_client client = { .addr = e->client,
		.name = e->client_name,
		.mta_name = STR("log") };
	struct decision d = { .action = ACTION_NONE };
	struct mark mark = mark_set(s->trace);

	if (client.addr.family == ADDR_NONE)
		addr_parse(STR("127.0.0.1"), &client.addr);
	road_connect(s, &client, &d);
	mark_read(t, s, &mark, d.rule);
	look(t, s, STAGE_CONNECT);
	return s;
}

static void
session_key(uint64_t connection, char out[24], struct str *key)
{
	snprintf(out, 24, "%llu", (unsigned long long)connection);
	*key = str_of(out);
}

static void
connection_begin(struct limits_try *t, const struct maillog_event *e)
{
	char text[24];
	struct str key;

	session_key(e->connection, text, &key);
	if (map_count(t->sessions) < SESSIONS_MAX)
		map_put(t->sessions, key, begin(t, e));
}

static void
connection_end(struct limits_try *t, const struct maillog_event *e)
{
	char text[24];
	struct str key;
	struct session *s;

	session_key(e->connection, text, &key);
	s = map_del(t->sessions, key);
	if (s != NULL)
		road_end(&s);
}

/* Its own, for one message, where the connection's begin is not known. */
static struct session *
session_of(struct limits_try *t, const struct maillog_event *e, bool *own)
{
	struct session *s = NULL;
	char text[24];
	struct str key;

	session_key(e->connection, text, &key);
	if (e->connection != 0)
		s = map_get(t->sessions, key);
	*own = s == NULL;
	return s != NULL ? s : begin(t, e);
}

static bool
refused(const struct decision *d)
{
	return d->action == ACTION_REJECT || d->action == ACTION_TEMPFAIL;
}

static bool
mail(struct limits_try *t, struct session *s, const struct maillog_event *e)
{
	struct road_sender from = { .size = e->size,
		.user = e->user,
		.queue_id = e->queue_id,
		.non_smtp = e->client.family == ADDR_NONE };
	struct decision d = { .action = ACTION_NONE };
	struct buf arg = BUF_INIT(4096);
	struct mark mark;

	if (e->user.n > 0)
		from.auth_method = STR("PLAIN");
	buf_printf(&arg, "<%.*s>", STR_FMT(e->sender));
	from.arg = buf_str(&arg);
	road_mail(s, NULL, &from, &d);
	buf_free(&arg);
	if (s->txn != NULL) {
		mark = (struct mark){ .trace = s->txn->trace };
		if (mark.trace != NULL)
			mark.tail = &mark.trace->rules;
		mark_read(t, s, &mark, d.rule);
	}
	return s->txn != NULL && !refused(&d);
}

static void
rcpt(struct limits_try *t, struct session *s, struct str name, bool mta_refused)
{
	struct decision d = { .action = ACTION_NONE };
	struct mark mark = mark_set(s->txn->trace);
	struct buf arg = BUF_INIT(4096);

	buf_printf(&arg, "<%.*s>", STR_FMT(name));
	road_rcpt(s, buf_str(&arg), mta_refused, &d);
	buf_free(&arg);
	mark_read(t, s, &mark, d.rule);
	look(t, s, STAGE_RCPT);
}

/* One for each: they were different, whoever they were. */
static void
unnamed_rcpts(struct limits_try *t, struct session *s,
    const struct maillog_event *e)
{
	char name[128];

	for (uint64_t i = 0; i < e->unnamed && i < UINT16_MAX; i++) {
		snprintf(name, sizeof(name), "%llu.%.*s@unnamed.invalid",
		    (unsigned long long)i, STR_FMT(e->queue_id));
		rcpt(t, s, str_of(name), false);
	}
}

static void
message(struct limits_try *t, struct session *s, const struct maillog_event *e)
{
	struct outcome out = { .action = ACTION_NONE };
	struct str from;
	struct mark mark;

	if (!mail(t, s, e))
		return;
	for (size_t i = 0; i < e->nrcpts; i++)
		rcpt(t, s, e->rcpts[i], false);
	unnamed_rcpts(t, s, e);
	if (s->txn->accepted == 0)
		return;
	/* The author is taken to be the sender. */
	from = arena_printf(s->txn->arena, " %.*s", STR_FMT(e->sender));
	road_header(s, STR("From"), from);
	road_eoh(s);
	if (e->size > txn_size(s->txn))
		s->txn->body.size = e->size - txn_size(s->txn);
	mark = mark_set(s->txn->trace);
	road_message(s, STR_NONE, &out);
	mark_read(t, s, &mark, mark.trace != NULL ? mark.trace->decided : NULL);
	look(t, s, STAGE_MESSAGE);
}

void
limits_try_event(void *arg, const struct maillog_event *e)
{
	struct limits_try *t = arg;
	struct session *s;
	bool own;

	if (t->now_ms == 0)
		clock_fake(e->at_ms);
	else if (e->at_ms > t->now_ms)
		clock_fake_advance(e->at_ms - t->now_ms);
	if (e->at_ms > t->now_ms)
		t->now_ms = e->at_ms;
	if (e->kind == MAILLOG_CONNECT) {
		connection_begin(t, e);
		return;
	}
	if (e->kind == MAILLOG_DISCONNECT) {
		connection_end(t, e);
		return;
	}
	s = session_of(t, e, &own);
	if (e->kind == MAILLOG_MESSAGE)
		message(t, s, e);
	else if (mail(t, s, e)) {
		rcpt(t, s, e->rcpts[0], true);
		look(t, s, STAGE_MESSAGE);
	}
	road_abort(s);
	if (own)
		road_end(&s);
}

/* --- its life ---------------------------------------------------------- */

struct limits_try *
limits_try_new(struct policy *p, struct buf *err)
{
	struct limits_try *t = mem_alloc(sizeof(*t));

	t->policy = policy_ref(p);
	t->sessions = map_new(false);
	t->entries = map_new(false);
	t->services.notify = nobody_is_told;
	t->services.hostname = p->settings.text[SETTING_HOSTNAME];
	t->services.store = store_open(STR("memory:"), err);
	t->services.resolver = resolver_new(STR("file:/dev/null"), err);
	if (t->services.store == NULL || t->services.resolver == NULL) {
		limits_try_free(&t);
		return NULL;
	}
	take_rules(p);
	return t;
}

void
limits_try_report(struct limits_try *t, const struct maillog_stats *stats,
    bool json, size_t others, struct buf *out)
{
	limits_report(&t->found, t->policy, stats, json, others, out);
}

static void
end_session(void *p)
{
	struct session *s = p;

	road_end(&s);
}

void
limits_try_free(struct limits_try **tp)
{
	struct limits_try *t = *tp;

	if (t == NULL)
		return;
	map_free(&t->sessions, end_session);
	map_free(&t->entries, NULL);
	for (size_t i = 0; i < t->found.n; i++) {
		free(t->found.entries[i]->key);
		free(t->found.entries[i]);
	}
	free(t->found.entries);
	store_close(&t->services.store);
	resolver_free(&t->services.resolver);
	policy_release(&t->policy);
	free(t);
	*tp = NULL;
}
