#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/field.h"
#include "score/rule.h"
#include "score/score.h"

#define FULL_MAX	(32UL * 1024 * 1024)
#define META_NESTING	40
#define LINE_MAX_CHARS	76
#define PARAGRAPHS_MAX	10000
#define PIECE_MAX	2048	/* SpamAssassin's MAX_BODY_LINE_LENGTH */
#define LOOK_EVERY	16	/* matches between two looks at the clock */

/* Fields as the header rules of one name and form see them. */
struct seen {
	struct seen	*next;
	struct str	 field;
	unsigned int	 flags;
	struct buf	 text;
	bool		 found;
};

/* What one run knows of each rule. */
enum state { STATE_OPEN, STATE_RUNNING, STATE_MISS, STATE_HIT };

struct run {
	struct txn	*txn;
	struct arena	*arena;
	const struct ruleset *set;
	const struct content *content;
	struct score_result *result;
	struct score_hit **tail;
	unsigned char	*state;		/* an enum state for each rule */
	struct str	*pieces;	/* subject, then the text's */
	size_t		 npieces;
	struct seen	*views;
	struct buf	 full;		/* fields and raw body, made once */
	unsigned int	 nesting;
	int64_t		 stop_ms;
	unsigned int	 looks;		/* matches since the start */
	bool		 stopped;	/* no time is left */
};

static bool	rule_hits(struct run *, const struct score_rule *);

/* The first rule that a message was too much for is told of. */
static void
run_limited(struct run *run, const struct score_rule *r, const char *why)
{
	if (!run->result->limited)
		log_event(LOG_EV_SCORE, "qid=%.*s rule=%.*s problem=%s",
		    STR_FMT(run->txn->queue_id), STR_FMT(r->name), why);
	run->result->limited = true;
}

static bool
out_of_time(struct run *run, const struct score_rule *r)
{
	if (run->stopped)
		return true;
	if (run->looks++ % LOOK_EVERY != 0 || clock_mono_ms() < run->stop_ms)
		return false;
	run_limited(run, r, "no time was left");
	return run->stopped = true;
}

static bool
matches(struct run *run, const struct score_rule *r, struct str subject)
{
	enum regex_answer a;

	if (r->regex == NULL || out_of_time(run, r))
		return false;
	a = regex_match(r->regex, subject);
	if (a == REGEX_LIMIT)
		run_limited(run, r, "match limit");
	return a == REGEX_YES;
}

/* A field as the rule's form wants to read it. */
static struct str
field_text(struct run *run, unsigned int flags, const struct header *h)
{
	struct mailbox *box;
	bool more;

	if (flags & FIELD_RAW)
		return h->value;
	if (flags & (FIELD_ADDR | FIELD_NAME)) {
		box = header_mailboxes(run->arena, h->value, 1, &more);
		if (box == NULL)
			return STR_NONE;
		return flags & FIELD_ADDR ? box->addr : box->name;
	}
	return header_decode(run->arena, h->value);
}

static bool
field_wanted(struct str field, const struct header *h)
{
	if (str_eq(field, STR("ALL")))
		return true;
	if (str_eq(field, STR("ToCc")))
		return str_ieq(h->name, STR("To")) ||
		    str_ieq(h->name, STR("Cc"));
	if (str_eq(field, STR("MESSAGEID")))
		return str_ieq(h->name, STR("Message-ID")) ||
		    str_ieq(h->name, STR("Resent-Message-ID")) ||
		    str_ieq(h->name, STR("X-Message-ID"));
	return str_ieq(h->name, field);
}

/* All fields of the name, a line each, as SpamAssassin joins them. */
static void
view_fill(struct run *run, struct seen *v)
{
	bool all = str_eq(v->field, STR("ALL"));
	const struct header *h;

	if (str_eq(v->field, STR("EnvelopeFrom"))) {
		v->found = true;
		buf_addstr(&v->text, run->txn->sender.text);
	}
	for (h = run->txn->headers.first; h != NULL; h = h->next) {
		if (!field_wanted(v->field, h))
			continue;
		v->found = true;
		if (all) {
			buf_addstr(&v->text, h->name);
			buf_adds(&v->text, ": ");
		}
		buf_addstr(&v->text, field_text(run, v->flags, h));
		buf_addc(&v->text, '\n');
	}
}

/* Made once for all rules that look at it; NULL: the arena is full. */
static const struct seen *
view_get(struct run *run, const struct score_rule *r)
{
	struct seen *v = run->views;

	while (
	    v != NULL && (v->flags != r->flags || !str_eq(v->field, r->field)))
		v = v->next;
	if (v != NULL || (v = arena_alloc(run->arena, sizeof(*v))) == NULL)
		return v;
	v->field = r->field;
	v->flags = r->flags;
	v->text = (struct buf)BUF_INIT(2 * HEADER_MAX_BYTES);
	v->next = run->views;
	run->views = v;
	view_fill(run, v);
	return v;
}

static bool
header_rule(struct run *run, const struct score_rule *r)
{
	const struct seen *v = view_get(run, r);
	struct str text;

	if (v == NULL)
		return false;
	if (r->exists)
		return v->found;
	text = v->found ? buf_str(&v->text) : r->if_unset;
	return matches(run, r, text) != r->negate && !run->stopped;
}

static bool
body_rule(struct run *run, const struct score_rule *r)
{
	size_t i;

	for (i = 0; i < run->npieces && !run->stopped; i++)
		if (matches(run, r, run->pieces[i]))
			return true;
	return false;
}

static bool
uri_rule(struct run *run, const struct score_rule *r)
{
	const struct url *u;

	for (u = run->content != NULL ? run->content->urls : NULL;
	     u != NULL && !run->stopped; u = u->next)
		if (matches(run, r, u->text))
			return true;
	return false;
}

static bool
full_rule(struct run *run, const struct score_rule *r)
{
	const struct header *h;

	if (run->full.p == NULL) {
		for (h = run->txn->headers.first; h != NULL; h = h->next) {
			buf_addstr(&run->full, h->name);
			buf_addc(&run->full, ':');
			buf_addstr(&run->full, h->value);
			buf_addc(&run->full, '\n');
		}
		buf_addc(&run->full, '\n');
		buf_addstr(&run->full, buf_str(&run->txn->body.raw));
	}
	return matches(run, r, buf_str(&run->full));
}

struct operand {
	struct run	*run;
	const struct score_rule *rule;
};

/* A rule that is not there counts as one that did not hit. */
static double
operand_value(void *arg, size_t i)
{
	const struct operand *o = arg;
	struct score_rule *named =
	    map_get(o->run->set->by_name, meta_name(o->rule->meta, i));

	if (named == NULL || named->kind == RULE_KIND_COUNT)
		return 0;
	return rule_hits(o->run, named);
}

/* A loop of metas, or a chain without end, counts as no hit. */
static bool
meta_rule(struct run *run, const struct score_rule *r)
{
	struct operand o = { run, r };
	bool hit;

	if (run->nesting == META_NESTING)
		return false;
	run->nesting++;
	hit = meta_eval(r->meta, operand_value, &o) != 0;
	run->nesting--;
	return hit;
}

static bool (*const kinds[])(struct run *, const struct score_rule *) = {
	[RULE_HEADER] = header_rule,
	[RULE_BODY] = body_rule,
	[RULE_FULL] = full_rule,
	[RULE_URI] = uri_rule,
	[RULE_META] = meta_rule,
};

static bool
rule_hits(struct run *run, const struct score_rule *r)
{
	bool hit;

	if (run->state[r->index] != STATE_OPEN)
		return run->state[r->index] == STATE_HIT;
	run->state[r->index] = STATE_RUNNING;
	hit = !r->off && kinds[r->kind] != NULL && !r->eval.p &&
	    kinds[r->kind](run, r);
	run->state[r->index] = hit ? STATE_HIT : STATE_MISS;
	return hit;
}

/* Rules named __X exist for metas alone. */
static bool
record_hit(struct run *run, const struct score_rule *r)
{
	bool sub = str_starts(r->name, STR("__"));
	struct score_hit *hit;

	hit = arena_alloc(run->arena, sizeof(*hit));
	if (hit == NULL)
		return false;
	hit->times = 1;
	/* The ruleset may be reloaded while the report is read. */
	hit->rule = arena_str(run->arena, r->name);
	hit->describe = arena_str(run->arena, r->describe);
	if (sub) {
		hit->next = run->result->subs;
		run->result->subs = hit;
		return true;
	}
	hit->score = r->score;
	*run->tail = hit;
	run->tail = &hit->next;
	run->result->score += r->score;
	run->result->count++;
	return true;
}

/* Runs of white space become one blank: rules are written for that. */
static struct str
squeeze(struct arena *a, struct str text)
{
	char *out = arena_alloc(a, text.n + 1);
	size_t i, n = 0;

	if (out == NULL)
		return STR_NONE;
	for (i = 0; i < text.n; i++) {
		if (!chr_space((unsigned char)text.p[i]))
			out[n++] = text.p[i];
		else if (n > 0 && out[n - 1] != ' ')
			out[n++] = ' ';
	}
	return (struct str){ out, n };
}

/* The end of a paragraph: an empty line. */
static size_t
paragraph_end(struct str text)
{
	size_t i;

	for (i = 0; i + 1 < text.n; i++)
		if (text.p[i] == '\n' &&
		    (text.p[i + 1] == '\n' ||
			(text.p[i + 1] == '\r' && i + 2 < text.n &&
			    text.p[i + 2] == '\n')))
			return i + 1;
	return text.n;
}

/*
 * Long paragraphs are cut at a blank, as SpamAssassin cuts them: what a regex
 * costs does not grow with them.
 */
static void
add_pieces(struct run *run, struct str text)
{
	size_t n;

	while (text.n > PIECE_MAX) {
		for (n = PIECE_MAX; n > 0 && text.p[n - 1] != ' ';)
			n--;
		if (n == 0)
			n = PIECE_MAX;
		run->pieces[run->npieces++] = str_sub(text, 0, n);
		text = str_sub(text, n, text.n);
	}
	run->pieces[run->npieces++] = text;
}

/* Paragraphs past the maximum are taken as one. */
static bool
make_pieces(struct run *run)
{
	const struct header *subject =
	    header_get(&run->txn->headers, STR("Subject"), 1);
	struct str first = STR(""), text = STR_NONE, t;
	size_t end, count = 1, most;

	if (subject != NULL)
		first = header_decode(run->arena, subject->value);
	if (run->content != NULL)
		text = str_trim(run->content->text);
	for (t = text; t.n > 0 && count < PARAGRAPHS_MAX; count++)
		t = str_trim(str_sub(t, paragraph_end(t), t.n));
	/* Of two pieces of a paragraph in a row one has half of PIECE_MAX. */
	most = count + 2 + 4 * ((text.n + first.n) / PIECE_MAX);
	run->pieces = arena_alloc(run->arena, most * sizeof(struct str));
	if (run->pieces == NULL)
		return false;
	add_pieces(run, first);
	while (text.n > 0) {
		end = --count > 1 ? paragraph_end(text) : text.n;
		add_pieces(run, squeeze(run->arena, str_sub(text, 0, end)));
		text = str_trim(str_sub(text, end, text.n));
	}
	return true;
}

static void
run_free(struct run *run)
{
	struct seen *v;

	for (v = run->views; v != NULL; v = v->next)
		buf_free(&v->text);
	buf_free(&run->full);
}

const struct score_result *
score_run(struct txn *txn, const struct ruleset *set)
{
	struct run run = { .txn = txn,
		.arena = txn->arena,
		.set = set,
		.full = BUF_INIT(FULL_MAX) };
	const struct score_rule *r;
	bool ok = true;

	if (txn->checks == NULL)
		return NULL;
	if (txn->checks->score != NULL)
		return txn->checks->score;
	run.result = arena_alloc(txn->arena, sizeof(*run.result));
	run.state = arena_alloc(txn->arena, set->count + 1);
	if (run.result == NULL || run.state == NULL)
		return NULL;
	run.tail = &run.result->hits;
	run.content = body_content(&txn->body, txn->arena, &txn->headers);
	run.stop_ms = clock_mono_ms() + SCORE_MAX_MS;
	ok = make_pieces(&run);
	for (r = set->first; ok && r != NULL; r = r->next)
		if (rule_hits(&run, r))
			ok = record_hit(&run, r);
	run_free(&run);
	if (!ok)
		return NULL;
	txn->checks->score = run.result;
	return run.result;
}

bool
score_hit(const struct score_result *result, struct str rule)
{
	const struct score_hit *hit;

	for (hit = result->hits; hit != NULL; hit = hit->next)
		if (str_eq(hit->rule, rule))
			return true;
	return false;
}

struct str
score_report(struct arena *a, const struct score_result *result, double extra,
    double required)
{
	struct buf text = BUF_INIT(64 * 1024);
	double total = extra + (result != NULL ? result->score : 0);
	const struct score_hit *hit = result != NULL ? result->hits : NULL;
	size_t line;
	struct str copy;

	buf_printf(&text, "%s, score=%.1f required=%.1f tests=",
	    total >= required ? "Yes" : "No", total, required);
	if (hit == NULL)
		buf_adds(&text, "none");
	for (line = text.n; hit != NULL; hit = hit->next) {
		if (line + hit->rule.n + 1 > LINE_MAX_CHARS) {
			buf_adds(&text, "\n\t");
			line = 8;
		}
		buf_addstr(&text, hit->rule);
		line += hit->rule.n + 1;
		if (hit->next != NULL)
			buf_addc(&text, ',');
	}
	buf_adds(&text, " autolearn=no");
	copy = arena_str(a, buf_str(&text));
	buf_free(&text);
	return copy;
}
