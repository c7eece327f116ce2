#include "daemon/why.h"

#include <string.h>
#include <time.h>

#include "policy/record.h"
#include "service/history.h"

struct telling {
	struct admin *admin;
	struct buf room; /* of the line being read */
	size_t n;
};

static void
add_time(struct buf *out, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_adds(out, text);
}

/* --- JSON -------------------------------------------------------------- */

/* "name":value with a comma before it; names of I lines are our own. */
static void
json_pair(struct buf *out, struct str name, struct str value)
{
	buf_addc(out, ',');
	buf_json(out, name);
	buf_addc(out, ':');
	buf_json(out, value);
}

static bool
is_number(struct str name)
{
	static const char *const names[] = { "id", "size", "score", "ms" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq(name, str_of(names[i])))
			return true;
	return false;
}

static void
json_fact(struct buf *out, const struct record_line *l)
{
	if (!is_number(l->fields[0])) {
		json_pair(out, l->fields[0], l->fields[1]);
		return;
	}
	buf_addc(out, ',');
	buf_json(out, l->fields[0]);
	buf_addc(out, ':');
	buf_addstr(out, l->fields[1]);
}

static void
json_rcpt(struct buf *out, const struct record_line *l)
{
	buf_adds(out, "{\"rcpt\":");
	buf_json(out, l->fields[0]);
	json_pair(out, STR("action"), l->fields[1]);
	json_pair(out, STR("rule"), l->fields[2]);
	buf_addc(out, '}');
}

static void
json_hit(struct buf *out, const struct record_line *l)
{
	buf_adds(out, "{\"rule\":");
	buf_json(out, l->fields[0]);
	buf_printf(out, ",\"score\":%.*s}", STR_FMT(l->fields[1]));
}

/* Without its end: the facts follow. */
static void
json_rule(struct buf *out, const struct record_line *l)
{
	buf_adds(out, "{\"rule\":");
	buf_json(out, l->fields[0]);
	json_pair(out, STR("stage"), l->fields[1]);
	json_pair(out, STR("answer"), l->fields[2]);
	buf_printf(out, ",\"shadow\":%s",
	    str_eq(l->fields[3], STR("1")) ? "true" : "false");
	json_pair(out, STR("source"), l->fields[4]);
	json_pair(out, STR("detail"), l->fields[5]);
	buf_adds(out, ",\"facts\":[");
}

static void
json_rule_fact(struct buf *out, const struct record_line *l)
{
	buf_adds(out, "{\"name\":");
	buf_json(out, l->fields[0]);
	json_pair(out, STR("value"), l->fields[1]);
	buf_printf(out, ",\"unknown\":%s,\"us\":%.*s}",
	    str_eq(l->fields[2], STR("1")) ? "true" : "false",
	    STR_FMT(l->fields[3]));
}

/* An array of all lines of one kind. */
static void
json_all(struct telling *t, struct str text, const char *name, char kind,
    void (*one)(struct buf *, const struct record_line *))
{
	struct buf *out = &t->admin->call->out;
	struct record_line l;
	const char *comma = "";

	buf_printf(out, ",\"%s\":[", name);
	while (record_next(&text, &l, &t->room)) {
		if (l.kind != kind)
			continue;
		buf_adds(out, comma);
		one(out, &l);
		comma = ",";
	}
	buf_addc(out, ']');
}

static void
json_rules(struct telling *t, struct str text)
{
	struct buf *out = &t->admin->call->out;
	const char *comma = "", *fact_comma = "";
	struct record_line l;
	bool open = false;
	uint64_t n, left_out = 0;

	buf_adds(out, ",\"rules\":[");
	while (record_next(&text, &l, &t->room)) {
		if (l.kind == 'R') {
			buf_printf(out, "%s%s", open ? "]}" : "", comma);
			json_rule(out, &l);
			open = true;
			comma = ",";
			fact_comma = "";
		} else if (l.kind == 'F' && open) {
			buf_adds(out, fact_comma);
			json_rule_fact(out, &l);
			fact_comma = ",";
		} else if (l.kind == 'N' && str_u64(l.fields[0], &n)) {
			left_out += n;
		}
	}
	buf_printf(out, "%s],\"left_out\":%llu", open ? "]}" : "",
	    (unsigned long long)left_out);
}

static void
tell_json(struct telling *t, const struct history_record *r)
{
	struct buf *out = &t->admin->call->out;
	struct str text = r->text;
	struct record_line l;

	buf_adds(out, "{\"queue_id\":");
	buf_json(out, r->queue_id);
	buf_adds(out, ",\"at\":\"");
	add_time(out, r->at_ms);
	buf_printf(out, "\",\"times\":%llu,\"last\":\"",
	    (unsigned long long)r->times);
	add_time(out, r->until_ms);
	buf_addc(out, '"');
	while (record_next(&text, &l, &t->room))
		if (l.kind == 'I')
			json_fact(out, &l);
	json_all(t, r->text, "rcpts", 'T', json_rcpt);
	json_all(t, r->text, "hits", 'H', json_hit);
	json_rules(t, r->text);
	buf_adds(out, "}\n");
}

/* --- text -------------------------------------------------------------- */

static void
text_rule_fact(struct buf *out, const struct record_line *l, bool first)
{
	uint64_t us = 0;

	buf_adds(out, first ? "  [" : ", ");
	buf_addstr(out, l->fields[0]);
	buf_addc(out, '=');
	if (str_eq(l->fields[2], STR("1")))
		buf_addc(out, '?');
	else
		buf_quoted(out, l->fields[1]);
	if (str_u64(l->fields[3], &us) && us >= 1000)
		buf_printf(out, " (%llu ms)", (unsigned long long)us / 1000);
}

static void
text_rule(struct buf *out, const struct record_line *l)
{
	buf_printf(out, "  %.*s %.*s: %.*s%s  ", STR_FMT(l->fields[0]),
	    STR_FMT(l->fields[1]), STR_FMT(l->fields[2]),
	    str_eq(l->fields[3], STR("1")) ? " (shadow)" : "");
	buf_addstr(out, l->fields[4]);
}

/* What a rule did stands behind the facts that it read. */
static void
text_rule_end(struct buf *out, struct buf *detail, bool facts)
{
	if (facts)
		buf_addc(out, ']');
	if (detail->n > 0) {
		buf_adds(out, "  -> ");
		buf_quoted(out, buf_str(detail));
	}
	buf_addc(out, '\n');
	buf_truncate(detail, 0);
}

static void
text_rules(struct telling *t, struct str text)
{
	struct buf *out = &t->admin->call->out;
	struct buf detail = BUF_INIT(HISTORY_RECORD_MAX);
	struct record_line l;
	bool open = false, facts = false;

	while (record_next(&text, &l, &t->room)) {
		if (l.kind == 'R') {
			if (open)
				text_rule_end(out, &detail, facts);
			text_rule(out, &l);
			buf_addstr(&detail, l.fields[5]);
			open = true;
			facts = false;
		} else if (l.kind == 'F' && open) {
			text_rule_fact(out, &l, !facts);
			facts = true;
		} else if (l.kind == 'N') {
			if (open)
				text_rule_end(out, &detail, facts);
			open = facts = false;
			buf_printf(out, "  (%.*s more not kept)\n",
			    STR_FMT(l.fields[0]));
		}
	}
	if (open)
		text_rule_end(out, &detail, facts);
	buf_free(&detail);
}

static void
text_line(struct buf *out, const struct record_line *l)
{
	if (l->kind == 'I') {
		buf_printf(out, "  %-12.*s", STR_FMT(l->fields[0]));
		buf_quoted(out, l->fields[1]);
	} else if (l->kind == 'H') {
		buf_printf(out, "  %-12s%7.*s %.*s", "", STR_FMT(l->fields[1]),
		    STR_FMT(l->fields[0]));
	} else if (l->kind == 'T') {
		buf_printf(out, "  %-12s", "to");
		buf_quoted(out, l->fields[0]);
		buf_printf(out, "  %.*s  %.*s", STR_FMT(l->fields[1]),
		    STR_FMT(l->fields[2]));
	} else {
		return;
	}
	while (out->p[out->n - 1] == ' ')
		buf_truncate(out, out->n - 1);
	buf_addc(out, '\n');
}

static void
tell_text(struct telling *t, const struct history_record *r)
{
	struct buf *out = &t->admin->call->out;
	struct str text = r->text;
	struct record_line l;

	if (t->n > 0)
		buf_addc(out, '\n');
	if (r->queue_id.n > 0)
		buf_quoted(out, r->queue_id);
	else
		buf_adds(out,
		    r->sender.n > 0 ? "no queue id" : "connection refused");
	buf_adds(out, ", ");
	add_time(out, r->at_ms);
	if (r->times > 1) {
		buf_printf(out, ", %llu times until ",
		    (unsigned long long)r->times);
		add_time(out, r->until_ms);
	}
	buf_addc(out, '\n');
	while (record_next(&text, &l, &t->room))
		text_line(out, &l);
	text_rules(t, r->text);
}

/* --- the request ------------------------------------------------------- */

static bool
tell(void *arg, const struct history_record *r)
{
	struct telling *t = arg;

	if (t->admin->json)
		tell_json(t, r);
	else
		tell_text(t, r);
	t->n++;
	return control_flush(t->admin->call);
}

/* "<a@b>" and "a@b" are one address. */
static struct str
bare(struct str address)
{
	if (address.n > 2 && address.p[0] == '<' &&
	    address.p[address.n - 1] == '>')
		return str_sub(address, 1, address.n - 2);
	return address;
}

/* "[192.0.2.1]" as in the log, "192.0.2.0/24" for all of a network. */
static bool
read_client(struct str text, struct addr_net *net, struct buf *out)
{
	const char *why;

	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = str_sub(text, 1, text.n - 2);
	if (addr_net_parse(text, net, &why))
		return true;
	buf_quoted(out, text);
	buf_printf(out, ": %s\n", why);
	return false;
}

static bool
read_query(const struct admin *a, struct history_query *q)
{
	struct buf *out = &a->call->out;

	q->from = bare(a->from);
	q->to = bare(a->to);
	q->max = WHY_MAX;
	if (a->nwords > 0)
		q->queue_id = a->words[0];
	if (a->client.n > 0)
		return read_client(a->client, &q->client, out);
	if (q->queue_id.n > 0 || q->from.n > 0 || q->to.n > 0)
		return true;
	buf_adds(out,
	    "why what?  A queue id, --client ADDRESS, --from ADDRESS, "
	    "--to ADDRESS\n");
	return false;
}

/* Whoever was refused before MAIL had no sender yet. */
static void
tell_nothing(const struct admin *a)
{
	struct buf *out = &a->call->out;

	buf_adds(out, "the history knows nothing of it\n");
	if (a->nwords == 0 && a->client.n == 0)
		buf_adds(out,
		    "(a connection that was refused before MAIL is found by "
		    "--client)\n");
}

bool
why_answer(struct admin *a)
{
	struct buf *out = &a->call->out;
	struct telling t = { .admin = a, .room = BUF_INIT(HISTORY_RECORD_MAX) };
	struct history_query q = { .max = 0 };
	bool ok;

	if (a->services->history == NULL) {
		buf_adds(out,
		    "no history is kept: see the setting `history'\n");
		return false;
	}
	if (!read_query(a, &q))
		return false;
	ok = history_find(a->services->history, &q, tell, &t, out);
	if (!ok)
		buf_addc(out, '\n');
	if (ok && t.n == 0) {
		tell_nothing(a);
		ok = false;
	}
	buf_free(&t.room);
	return ok;
}
