#include "policy/record.h"

#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "policy/road.h"
#include "policy/summary.h"
#include "policy/trace.h"
#include "score/score.h"
#include "service/history.h"

#define VALUE_MAX   600 /* bytes of a fact */
#define RCPTS_MAX   500 /* recipients that are told one by one */
#define RCPT_BYTES  (16 * 1024)
#define REFUSED_MAX (8 * 1024) /* of a record without a message */

/* --- writing ----------------------------------------------------------- */

static void
field(struct buf *out, struct str value)
{
	buf_addc(out, '\t');
	value = str_sub(value, 0, VALUE_MAX);
	for (size_t i = 0; i < value.n; i++) {
		size_t start = i;

		while (i < value.n && value.p[i] != '\t' &&
		    value.p[i] != '\n' && value.p[i] != '\\')
			i++;
		buf_add(out, value.p + start, i - start);
		if (i < value.n)
			buf_adds(out,
			    value.p[i] == '\t'	   ? "\\t" :
				value.p[i] == '\n' ? "\\n" :
						     "\\\\");
	}
}

static void
fact(struct buf *out, const char *key, struct str value)
{
	if (value.n == 0)
		return;
	buf_adds(out, "I\t");
	buf_adds(out, key);
	field(out, value);
	buf_addc(out, '\n');
}

static void
add_session(struct buf *out, const struct session *s)
{
	const struct txn *txn = s->txn;
	char addr[ADDR_TEXT_MAX];

	fact(out, "client", summary_client(s, addr));
	fact(out, "client_name", s->client_name);
	fact(out, "helo", s->helo);
	if (txn != NULL) {
		fact(out, "user", txn->user);
		fact(out, "from", summary_sender(txn));
	}
	summary_number(out, fact, "id", (long long)s->id);
}

static void
add_outcome(struct buf *out, const struct session *s, const struct outcome *o)
{
	fact(out, "verdict", str_of(action_word(o->action)));
	fact(out, "stage", str_of(stage_word(o->stage)));
	summary_reply(out, fact, &o->reply);
	fact(out, "rule", o->rule);
	fact(out, "reason", o->quarantine);
	summary_number(out, fact, "size", (long long)txn_size(s->txn));
}

/* What a rule answered last, as the trace has it. */
static struct str
reply_of(const struct txn *txn, struct str rule)
{
	const struct trace_rule *r =
	    txn->trace != NULL ? txn->trace->rules : NULL;
	struct str reply = STR_NONE;

	for (; r != NULL; r = r->next)
		if (r->truth == TRUTH_TRUE && str_eq(r->rule->where, rule))
			reply = r->detail;
	return reply;
}

/* The last one that was refused; NULL: none. */
static const struct rcpt *
refused_rcpt(const struct txn *txn)
{
	const struct rcpt *refused = NULL;

	for (const struct rcpt *r = txn->rcpts; r != NULL; r = r->next)
		if (!r->mta_refused &&
		    (r->action == ACTION_REJECT ||
			r->action == ACTION_TEMPFAIL))
			refused = r;
	return refused;
}

/* It came to no end: refused at MAIL, or a recipient that was asked.  The
 * rule that did it. */
static struct str
add_given_up(struct buf *out, const struct txn *txn)
{
	const struct verdict *v = &txn->verdict;
	const struct rcpt *r = refused_rcpt(txn);

	if (v->action == ACTION_REJECT || v->action == ACTION_TEMPFAIL)
		r = NULL;
	fact(out, "verdict",
	    str_of(action_word(r != NULL ? r->action : v->action)));
	fact(out, "stage",
	    str_of(stage_word(r != NULL ? STAGE_RCPT : STAGE_MAIL)));
	if (r != NULL)
		fact(out, "reply", reply_of(txn, r->rule));
	else
		summary_reply(out, fact, &v->reply);
	fact(out, "rule", r != NULL ? r->rule : v->rule);
	return r != NULL ? r->rule : v->rule;
}

static void
add_hits(struct buf *out, const struct score_result *score)
{
	char text[32];

	for (const struct score_hit *h = score->hits; h != NULL; h = h->next) {
		buf_addc(out, 'H');
		field(out, h->rule);
		snprintf(text, sizeof(text), "%.3f", h->score);
		field(out, str_of(text));
		buf_addc(out, '\n');
	}
}

static void
add_checks(struct buf *out, const struct txn *txn)
{
	if (txn->checks == NULL)
		return;
	summary_checks(out, fact, txn, true);
	summary_number(out, fact, "ms", (long long)txn->waited_ms);
	if (txn->checks->score != NULL)
		add_hits(out, txn->checks->score);
}

/* They leave half of `max' to the rules. */
static void
add_rcpts(struct buf *out, const struct txn *txn, size_t max)
{
	unsigned int n = 0;

	for (const struct rcpt *r = txn->rcpts;
	     r != NULL && n < RCPTS_MAX && out->n < max / 2; r = r->next, n++) {
		buf_addc(out, 'T');
		field(out, r->addr.raw);
		field(out,
		    r->mta_refused ? STR("refused by the MTA") :
			rcpt_accepted(r) && r->action == ACTION_NONE ?
				     STR("accept") :
				     str_of(action_word(r->action)));
		field(out, r->rule);
		buf_addc(out, '\n');
	}
}

static void
add_facts(struct buf *out, const struct trace_rule *r)
{
	char text[32];

	for (const struct trace_read *f = r->reads; f != NULL; f = f->next) {
		buf_addc(out, 'F');
		field(out, f->fact->name);
		field(out, f->fact->value);
		field(out, f->fact->unknown ? STR("1") : STR("0"));
		snprintf(text, sizeof(text), "%lld",
		    (long long)f->fact->cost_us);
		field(out, str_of(text));
		buf_addc(out, '\n');
	}
}

/* No longer than `max' in all. */
static void
add_trace(struct buf *out, const struct trace *t, size_t max)
{
	size_t start, left_out = t != NULL ? t->left_out : 0;

	for (const struct trace_rule *r = t != NULL ? t->rules : NULL;
	     r != NULL; r = r->next) {
		start = out->n;
		buf_addc(out, 'R');
		field(out, r->rule->where);
		field(out, str_of(stage_word(r->rule->stage)));
		field(out, str_of(truth_word(r->truth)));
		field(out, r->rule->shadow ? STR("1") : STR("0"));
		field(out, r->rule->source);
		field(out, r->detail);
		buf_addc(out, '\n');
		add_facts(out, r);
		/* Whole lines only, and room for the last one. */
		if (out->n > max - 64 || out->failed) {
			buf_truncate(out, start);
			left_out++;
		}
	}
	if (left_out > 0)
		buf_printf(out, "N\t%zu\n", left_out);
}

static void
add_rcpt_words(struct buf *out, const struct txn *txn)
{
	buf_addc(out, ' ');
	for (const struct rcpt *r = txn->rcpts;
	     r != NULL && out->n < RCPT_BYTES; r = r->next) {
		buf_addstr(out, r->addr.raw);
		buf_addc(out, ' ');
	}
}

static struct history *
history_of(const struct session *s)
{
	return s->checks != NULL ? s->checks->services->history : NULL;
}

/* Refusals with the same are counted in one record. */
static void
add_key(struct buf *key, const struct history_record *r, struct str rule)
{
	const struct str parts[] = { r->client, rule, r->sender, r->rcpts };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		buf_addstr(key, parts[i]);
		buf_addc(key, '\n');
	}
}

void
record_message(const struct session *s, const struct outcome *o)
{
	struct history *h = history_of(s);
	struct buf text = BUF_INIT(4 * HISTORY_RECORD_MAX);
	struct buf rcpts = BUF_INIT(4 * RCPT_BYTES);
	struct history_record r = { .at_ms = clock_wall_ms() };
	char client[ADDR_TEXT_MAX];

	if (h == NULL)
		return;
	add_session(&text, s);
	add_outcome(&text, s, o);
	add_checks(&text, s->txn);
	add_rcpts(&text, s->txn, HISTORY_RECORD_MAX);
	add_trace(&text, s->trace, HISTORY_RECORD_MAX);
	add_trace(&text, s->txn->trace, HISTORY_RECORD_MAX);
	add_rcpt_words(&rcpts, s->txn);
	r.queue_id = s->txn->queue_id;
	r.client = summary_client(s, client);
	r.sender = summary_sender(s->txn);
	r.rcpts = buf_str(&rcpts);
	r.text = buf_str(&text);
	history_put(h, &r);
	buf_free(&text);
	buf_free(&rcpts);
}

void
record_given_up(const struct session *s)
{
	struct history *h = history_of(s);
	struct buf text = BUF_INIT(4 * HISTORY_RECORD_MAX);
	struct buf rcpts = BUF_INIT(4 * RCPT_BYTES);
	struct buf key = BUF_INIT(8 * RCPT_BYTES);
	struct history_record r = { .at_ms = clock_wall_ms(), .refused = true };
	char client[ADDR_TEXT_MAX];
	struct str rule;

	if (h == NULL)
		return;
	add_session(&text, s);
	rule = add_given_up(&text, s->txn);
	add_rcpt_words(&rcpts, s->txn);
	r.client = summary_client(s, client);
	r.sender = summary_sender(s->txn);
	r.rcpts = buf_str(&rcpts);
	add_key(&key, &r, rule);
	r.key = buf_str(&key);
	if (!history_again(h, r.key, r.at_ms)) {
		add_checks(&text, s->txn);
		add_rcpts(&text, s->txn, REFUSED_MAX);
		add_trace(&text, s->trace, REFUSED_MAX);
		add_trace(&text, s->txn->trace, REFUSED_MAX);
		r.queue_id = s->txn->queue_id;
		r.text = buf_str(&text);
		history_put(h, &r);
	}
	buf_free(&text);
	buf_free(&rcpts);
	buf_free(&key);
}

/* Without a rule (a fault, no memory) it was the last one that was asked. */
static enum stage
stage_of(const struct session *s, const struct decision *d)
{
	if (d->rule != NULL)
		return d->rule->stage;
	return s->helo.n > 0 ? STAGE_HELO : STAGE_CONNECT;
}

void
record_connection(const struct session *s, const struct decision *d)
{
	struct history *h = history_of(s);
	struct buf text = BUF_INIT(4 * HISTORY_RECORD_MAX);
	struct buf key = BUF_INIT(8 * RCPT_BYTES);
	struct history_record r = { .at_ms = clock_wall_ms(), .refused = true };
	char client[ADDR_TEXT_MAX];
	struct str rule = d->rule != NULL ? d->rule->where : STR_NONE;

	if (h == NULL)
		return;
	r.client = summary_client(s, client);
	add_key(&key, &r, rule);
	r.key = buf_str(&key);
	if (!history_again(h, r.key, r.at_ms)) {
		add_session(&text, s);
		fact(&text, "verdict", str_of(action_word(d->action)));
		fact(&text, "stage", str_of(stage_word(stage_of(s, d))));
		summary_reply(&text, fact, &d->reply);
		fact(&text, "rule", rule);
		add_trace(&text, s->trace, REFUSED_MAX);
		r.text = buf_str(&text);
		history_put(h, &r);
	}
	buf_free(&text);
	buf_free(&key);
}

/* --- reading ----------------------------------------------------------- */

static void
decode(struct buf *room, struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\\' && i + 1 < value.n) {
			c = value.p[++i];
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c;
		}
		buf_addc(room, c);
	}
}

bool
record_next(struct str *text, struct record_line *line, struct buf *room)
{
	struct str rest;
	size_t ends[RECORD_FIELDS] = { 0 }, n = 0, start = 0;

	*line = (struct record_line){ .kind = 0 };
	if (text->n == 0)
		return false;
	rest = str_cut(*text, '\n', text);
	if (rest.n > 0)
		line->kind = rest.p[0];
	str_cut(rest, '\t', &rest);
	buf_truncate(room, 0);
	for (; rest.p != NULL && n < RECORD_FIELDS; n++) {
		decode(room, str_cut(rest, '\t', &rest));
		ends[n] = room->n;
	}
	/* The buffer stands still from here. */
	for (size_t i = 0; i < n && room->p != NULL; i++) {
		line->fields[i] =
		    (struct str){ room->p + start, ends[i] - start };
		start = ends[i];
	}
	return true;
}
