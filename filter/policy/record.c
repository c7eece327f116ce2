#include "policy/record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "policy/road.h"
#include "policy/trace.h"
#include "score/score.h"
#include "service/history.h"

#define VALUE_MAX 600 /* bytes of a fact */
#define RCPTS_MAX 500 /* recipients that are told one by one */
#define RCPT_BYTES (16 * 1024)

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
fact_number(struct buf *out, const char *key, long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", n);
	fact(out, key, str_of(text));
}

static void
add_session(struct buf *out, const struct session *s)
{
	const struct txn *txn = s->txn;
	char addr[ADDR_TEXT_MAX];

	if (s->client.family != ADDR_NONE) {
		addr_format(&s->client, addr);
		fact(out, "client", str_of(addr));
	}
	fact(out, "client_name", s->client_name);
	fact(out, "helo", s->helo);
	fact(out, "user", txn->user);
	fact(out, "from", txn->sender.null ? STR("<>") : txn->sender.raw);
	fact_number(out, "id", (long long)s->id);
}

static void
add_reply(struct buf *out, const struct reply *r)
{
	char codes[32];
	struct buf text = BUF_INIT(2048);

	if (r->code == 0)
		return;
	snprintf(codes, sizeof(codes), "%d %s ", r->code, r->enhanced);
	buf_adds(&text, codes);
	buf_addstr(&text, str_sub(r->text, 0, VALUE_MAX));
	fact(out, "reply", buf_str(&text));
	buf_free(&text);
}

static void
add_outcome(struct buf *out, const struct session *s, const struct outcome *o)
{
	fact(out, "verdict", str_of(action_word(o->action)));
	fact(out, "stage", str_of(stage_word(o->stage)));
	add_reply(out, &o->reply);
	fact(out, "rule", o->rule);
	fact(out, "reason", o->quarantine);
	fact_number(out, "size", (long long)txn_size(s->txn));
}

/* It came to no end: refused at MAIL, or every recipient that was asked. */
static void
add_given_up(struct buf *out, const struct txn *txn)
{
	const struct verdict *v = &txn->verdict;
	const struct rcpt *r = txn->rcpts;
	bool refused =
	    v->action == ACTION_REJECT || v->action == ACTION_TEMPFAIL;

	while (!refused && r != NULL && r->next != NULL)
		r = r->next;
	fact(out, "verdict",
	    str_of(action_word(refused ? v->action :
		    r != NULL	       ? r->action :
					 ACTION_NONE)));
	fact(out, "stage",
	    str_of(stage_word(r == NULL || refused ? STAGE_MAIL : STAGE_RCPT)));
	if (refused)
		add_reply(out, &v->reply);
	fact(out, "rule", refused || r == NULL ? v->rule : r->rule);
}

static void
add_result(struct buf *out, const char *key, enum auth_result result)
{
	if (result != AUTH_UNKNOWN)
		fact(out, key, str_of(auth_result_word(result)));
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
	const struct checks *c = txn->checks;
	double score = txn->verdict.score;
	char text[32];

	if (c == NULL)
		return;
	if (c->spf != NULL)
		add_result(out, "spf", c->spf->result);
	if (c->dkim != NULL)
		add_result(out, "dkim", c->dkim->result);
	if (c->dmarc != NULL)
		add_result(out, "dmarc", c->dmarc->result);
	if (c->arc != NULL)
		add_result(out, "arc", c->arc->result);
	if (c->score != NULL)
		score += c->score->score;
	if (c->score != NULL || score != 0) {
		snprintf(text, sizeof(text), "%.10g",
		    round(score * 1000) / 1000);
		fact(out, "score", str_of(text));
	}
	fact_number(out, "ms", (long long)txn->waited_ms);
	if (c->score != NULL)
		add_hits(out, c->score);
}

static void
add_rcpts(struct buf *out, const struct txn *txn)
{
	unsigned int n = 0;

	for (const struct rcpt *r = txn->rcpts; r != NULL && n < RCPTS_MAX;
	     r = r->next, n++) {
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

static void
add_trace(struct buf *out, const struct trace *t)
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
		if (out->n > HISTORY_RECORD_MAX - 64 || out->failed) {
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

void
record_put(const struct session *s, const struct outcome *o)
{
	struct history *h =
	    s->checks != NULL ? s->checks->services->history : NULL;
	struct buf text = BUF_INIT(4 * HISTORY_RECORD_MAX);
	struct buf rcpts = BUF_INIT(4 * RCPT_BYTES);
	struct history_record r = { .at_ms = clock_wall_ms() };

	if (h == NULL)
		return;
	add_session(&text, s);
	if (o != NULL)
		add_outcome(&text, s, o);
	else
		add_given_up(&text, s->txn);
	add_checks(&text, s->txn);
	add_rcpts(&text, s->txn);
	add_trace(&text, s->trace);
	add_trace(&text, s->txn->trace);
	add_rcpt_words(&rcpts, s->txn);
	r.queue_id = s->txn->queue_id;
	r.sender = s->txn->sender.null ? STR("<>") : s->txn->sender.raw;
	r.rcpts = buf_str(&rcpts);
	r.text = buf_str(&text);
	history_put(h, &r);
	buf_free(&text);
	buf_free(&rcpts);
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
