#include <math.h>

#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "daemon/report.h"
#include "policy/trace.h"
#include "score/score.h"

static const char *const edit_words[] = {
	[EDIT_ADD] = "add",
	[EDIT_INSERT] = "insert",
	[EDIT_CHANGE] = "change",
	[EDIT_REMOVE] = "remove",
};

/* What the checks of this message found; NULL where it has none yet. */
static const struct checks *
checks_of(const struct judgement *j)
{
	const struct txn *t = j->session->txn;

	return t != NULL ? t->checks : NULL;
}

static double
score_of(const struct judgement *j)
{
	const struct checks *c = checks_of(j);
	const struct txn *t = j->session->txn;

	return (t != NULL ? t->verdict.score : j->session->verdict.score) +
	    (c != NULL && c->score != NULL ? c->score->score : 0);
}

/* "550 5.7.1 text"; lines parted by LF. */
static void
add_reply(struct buf *out, const struct reply *r)
{
	if (r->code != 0)
		buf_printf(out, "%d %s %.*s", r->code, r->enhanced,
		    STR_FMT(r->text));
}

static void
json_member(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, value);
}

static void
json_word(struct buf *out, const char *name, const char *word)
{
	json_member(out, name, str_of(word));
}

static void
json_spf(struct buf *out, const struct checks *c)
{
	const struct spf_result *spf = c != NULL ? c->spf : NULL;

	buf_adds(out, ",\"spf\":");
	if (spf == NULL) {
		buf_adds(out, "null");
		return;
	}
	buf_adds(out, "{\"result\":");
	buf_json(out, str_of(auth_result_word(spf->result)));
	json_member(out, "domain", spf->domain);
	buf_addc(out, '}');
}

static void
json_dkim(struct buf *out, const struct checks *c)
{
	const struct dkim_signature *sig;
	const char *comma = "";

	buf_adds(out, ",\"dkim\":[");
	for (sig = c != NULL && c->dkim != NULL ? c->dkim->signatures : NULL;
	     sig != NULL; sig = sig->next, comma = ",") {
		buf_printf(out, "%s{\"result\":", comma);
		buf_json(out, str_of(auth_result_word(sig->result)));
		json_member(out, "domain", sig->domain);
		json_member(out, "selector", sig->selector);
		json_member(out, "algorithm", sig->algorithm);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void
json_dmarc(struct buf *out, const struct checks *c)
{
	const struct dmarc_result *dmarc = c != NULL ? c->dmarc : NULL;

	buf_adds(out, ",\"dmarc\":");
	if (dmarc == NULL) {
		buf_adds(out, "null");
		return;
	}
	buf_adds(out, "{\"result\":");
	buf_json(out, str_of(auth_result_word(dmarc->result)));
	json_word(out, "policy", dmarc_policy_word(dmarc->policy));
	json_member(out, "domain", dmarc->domain);
	if (dmarc->override.n > 0)
		json_member(out, "override", dmarc->override);
	buf_addc(out, '}');
}

static void
json_arc(struct buf *out, const struct checks *c)
{
	const struct arc_result *arc = c != NULL ? c->arc : NULL;

	buf_adds(out, ",\"arc\":");
	if (arc == NULL || arc->result == AUTH_UNKNOWN) {
		buf_adds(out, "null");
		return;
	}
	buf_adds(out, "{\"result\":");
	buf_json(out, str_of(auth_result_word(arc->result)));
	buf_adds(out, ",\"domains\":[");
	for (unsigned int i = 0; i < arc->count; i++) {
		buf_adds(out, i > 0 ? "," : "");
		buf_json(out, arc->domains[i]);
	}
	buf_adds(out, "]}");
}

static void
json_hits(struct buf *out, const struct checks *c)
{
	const struct score_hit *hit;
	const char *comma = "";

	buf_adds(out, ",\"hits\":[");
	for (hit = c != NULL && c->score != NULL ? c->score->hits : NULL;
	     hit != NULL; hit = hit->next, comma = ",") {
		buf_printf(out, "%s{\"rule\":", comma);
		buf_json(out, hit->rule);
		buf_printf(out, ",\"score\":%.3f}", hit->score);
	}
	buf_addc(out, ']');
}

static void
json_headers(struct buf *out, const struct edit *edits)
{
	const struct edit *e;
	const char *comma = "";

	buf_adds(out, ",\"headers\":[");
	for (e = edits; e != NULL; e = e->next, comma = ",") {
		buf_printf(out, "%s{\"op\":\"%s\"", comma, edit_words[e->op]);
		json_member(out, "name", e->name);
		json_member(out, "value", e->value);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

/* One name may have been asked at several stages. */
static bool
told_before(const struct trace *t, const struct trace_fact *f)
{
	const struct trace_fact *g;

	for (g = t->facts; g != f; g = g->next)
		if (g->unknown && str_eq(g->name, f->name))
			return true;
	return false;
}

static void
add_unknown(struct buf *out, const struct trace *t, bool json,
    const char **comma)
{
	const struct trace_fact *f;

	for (f = t != NULL ? t->facts : NULL; f != NULL; f = f->next) {
		if (!f->unknown || told_before(t, f))
			continue;
		buf_adds(out, *comma);
		if (json)
			buf_json(out, f->name);
		else
			buf_addstr(out, f->name);
		*comma = json ? "," : ", ";
	}
}

static void
add_all_unknown(struct buf *out, const struct judgement *j, bool json)
{
	const struct session *s = j->session;
	const char *comma = "";

	add_unknown(out, s->trace, json, &comma);
	if (s->txn != NULL)
		add_unknown(out, s->txn->trace, json, &comma);
}

void
report_json(const struct judgement *j, struct buf *out)
{
	const struct checks *c = checks_of(j);
	struct buf reply = BUF_INIT(64 * 1024);

	add_reply(&reply, &j->reply);
	buf_adds(out, "{\"file\":");
	buf_json(out, j->file);
	json_word(out, "verdict", action_word(j->action));
	json_word(out, "stage", stage_word(j->stage));
	json_member(out, "reply", buf_str(&reply));
	json_member(out, "rule", j->rule);
	json_spf(out, c);
	json_dkim(out, c);
	json_dmarc(out, c);
	json_arc(out, c);
	buf_printf(out, ",\"score\":%.3f", score_of(j));
	json_hits(out, c);
	json_headers(out, j->edits);
	buf_adds(out, ",\"unknown\":[");
	add_all_unknown(out, j, true);
	buf_adds(out, "]}\n");
	buf_free(&reply);
}

/* A line of the report; what a stranger wrote is escaped. */
static void
text_line(struct buf *out, const char *label, struct str value)
{
	buf_printf(out, "  %-10s", label);
	buf_quoted(out, value);
	buf_addc(out, '\n');
}

static void
text_arc(struct buf *out, const struct arc_result *arc)
{
	buf_printf(out, "  %-10s%s", "arc", auth_result_word(arc->result));
	for (unsigned int i = 0; i < arc->count; i++)
		buf_printf(out, " domain=%.*s", STR_FMT(arc->domains[i]));
	buf_printf(out, " %.*s\n", STR_FMT(arc->problem));
}

static void
text_checks(struct buf *out, const struct checks *c)
{
	const struct dkim_signature *sig;

	if (c == NULL)
		return;
	if (c->spf != NULL)
		buf_printf(out, "  %-10s%s domain=%.*s\n", "spf",
		    auth_result_word(c->spf->result), STR_FMT(c->spf->domain));
	for (sig = c->dkim != NULL ? c->dkim->signatures : NULL; sig != NULL;
	     sig = sig->next)
		buf_printf(out,
		    "  %-10s%s domain=%.*s selector=%.*s "
		    "algorithm=%.*s %.*s\n",
		    "dkim", auth_result_word(sig->result), STR_FMT(sig->domain),
		    STR_FMT(sig->selector), STR_FMT(sig->algorithm),
		    STR_FMT(sig->problem));
	if (c->dmarc != NULL)
		buf_printf(out, "  %-10s%s policy=%s domain=%.*s %.*s\n",
		    "dmarc", auth_result_word(c->dmarc->result),
		    dmarc_policy_word(c->dmarc->policy),
		    STR_FMT(c->dmarc->domain), STR_FMT(c->dmarc->problem));
	if (c->arc != NULL && c->arc->result != AUTH_UNKNOWN)
		text_arc(out, c->arc);
}

static void
text_score(struct buf *out, const struct judgement *j)
{
	const struct checks *c = checks_of(j);
	const struct score_hit *hit =
	    c != NULL && c->score != NULL ? c->score->hits : NULL;

	if (hit == NULL && fabs(score_of(j)) < 0.0005)
		return;
	buf_printf(out, "  %-10s%.1f\n", "score", score_of(j));
	for (; hit != NULL; hit = hit->next)
		buf_printf(out, "  %-10s%6.3f %.*s  %.*s\n", "", hit->score,
		    STR_FMT(hit->rule), STR_FMT(hit->describe));
}

static void
text_edits(struct buf *out, const struct edit *edits)
{
	const struct edit *e;

	for (e = edits; e != NULL; e = e->next) {
		buf_printf(out, "  %-10s%s %.*s", "header", edit_words[e->op],
		    STR_FMT(e->name));
		if (e->op != EDIT_REMOVE) {
			buf_adds(out, ": ");
			buf_quoted(out, e->value);
		} else if (e->nth != 0) {
			buf_printf(out, " (field %u)", e->nth);
		}
		buf_addc(out, '\n');
	}
}

void
report_text(const struct judgement *j, struct buf *out)
{
	struct buf line = BUF_INIT(64 * 1024);

	buf_printf(out, "%.*s: %s at %s\n", STR_FMT(j->file),
	    action_word(j->action), stage_word(j->stage));
	if (j->rule.n > 0)
		text_line(out, "rule", j->rule);
	add_reply(&line, &j->reply);
	if (line.n > 0)
		text_line(out, "reply", buf_str(&line));
	if (j->quarantine.n > 0)
		text_line(out, "reason", j->quarantine);
	text_checks(out, checks_of(j));
	text_score(out, j);
	text_edits(out, j->edits);
	buf_truncate(&line, 0);
	add_all_unknown(&line, j, false);
	if (line.n > 0)
		text_line(out, "unknown", buf_str(&line));
	buf_free(&line);
	trace_print(j->session->trace, out);
	if (j->session->txn != NULL)
		trace_print(j->session->txn->trace, out);
}
