#include <stdio.h>
#include <string.h>

#include "score/rule.h"
#include "score/score.h"

#define FULL_MAX	(32UL * 1024 * 1024)
#define META_NESTING	40
#define LINE_MAX_CHARS	76

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
	struct str	*paragraphs;	/* subject, then the text's */
	size_t		 nparagraphs;
	struct buf	 full;		/* fields and raw body, made once */
	unsigned int	 nesting;
};

static bool	rule_hits(struct run *, const struct score_rule *);

static bool
matches(struct run *run, const struct score_rule *r, struct str subject)
{
	enum regex_answer a = regex_match(r->regex, subject);

	if (a == REGEX_LIMIT)
		run->result->limited = true;
	return a == REGEX_YES;
}

/* A field as the rule's form wants to read it. */
static struct str
field_text(struct run *run, const struct score_rule *r, const struct header *h)
{
	struct mailbox *box;
	bool more;

	switch (r->form) {
	case FORM_RAW:
		return h->value;
	case FORM_ADDR:
		box = header_mailboxes(run->arena, h->value, 1, &more);
		return box != NULL ? box->addr : STR_NONE;
	case FORM_NAME:
		box = header_mailboxes(run->arena, h->value, 1, &more);
		return box != NULL ? box->name : STR_NONE;
	case FORM_DECODED:
		break;
	}
	return header_decode(run->arena, h->value);
}

static bool
field_wanted(const struct score_rule *r, const struct header *h)
{
	if (str_eq(r->field, STR("ALL")))
		return true;
	if (str_eq(r->field, STR("ToCc")))
		return str_ieq(h->name, STR("To")) ||
		    str_ieq(h->name, STR("Cc"));
	if (str_eq(r->field, STR("MESSAGEID")))
		return str_ieq(h->name, STR("Message-ID")) ||
		    str_ieq(h->name, STR("Resent-Message-ID")) ||
		    str_ieq(h->name, STR("X-Message-ID"));
	return str_ieq(h->name, r->field);
}

/* All fields of the name, a line each, as SpamAssassin joins them. */
static bool
header_rule(struct run *run, const struct score_rule *r)
{
	struct buf text = BUF_INIT(HEADER_MAX_BYTES);
	const struct header *h;
	bool found = false, hit;

	if (str_eq(r->field, STR("EnvelopeFrom"))) {
		found = true;
		buf_addstr(&text, run->txn->sender.text);
	}
	for (h = run->txn->headers.first; h != NULL; h = h->next) {
		if (!field_wanted(r, h))
			continue;
		found = true;
		if (str_eq(r->field, STR("ALL"))) {
			buf_addstr(&text, h->name);
			buf_adds(&text, ": ");
		}
		buf_addstr(&text, field_text(run, r, h));
		buf_addc(&text, '\n');
	}
	if (r->exists)
		hit = found;
	else if (!found && r->if_unset.n > 0)
		hit = matches(run, r, r->if_unset) != r->negate;
	else
		hit = matches(run, r, found ? buf_str(&text) : STR("")) !=
		    r->negate;
	buf_free(&text);
	return hit;
}

static bool
body_rule(struct run *run, const struct score_rule *r)
{
	size_t i;

	for (i = 0; i < run->nparagraphs; i++)
		if (matches(run, r, run->paragraphs[i]))
			return true;
	return false;
}

static bool
uri_rule(struct run *run, const struct score_rule *r)
{
	const struct url *u;

	for (u = run->content != NULL ? run->content->urls : NULL; u != NULL;
	     u = u->next)
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
	hit = kinds[r->kind](run, r);
	run->state[r->index] = hit ? STATE_HIT : STATE_MISS;
	return hit;
}

/* Rules named __X exist for metas alone. */
static bool
record_hit(struct run *run, const struct score_rule *r)
{
	struct score_hit *hit;

	if (str_starts(r->name, STR("__")) || (r->scored && r->score == 0))
		return true;
	hit = arena_alloc(run->arena, sizeof(*hit));
	if (hit == NULL)
		return false;
	/* The ruleset may be reloaded while the report is read. */
	hit->rule = arena_str(run->arena, r->name);
	hit->describe = arena_str(run->arena, r->describe);
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

#define PARAGRAPHS_MAX	10000

static bool
make_paragraphs(struct run *run)
{
	const struct header *subject =
	    header_get(&run->txn->headers, STR("Subject"), 1);
	struct str text = run->content != NULL ? run->content->text : STR_NONE;
	size_t end, count = 2;

	for (struct str t = text; t.n > 0 && count < PARAGRAPHS_MAX; count++)
		t = str_trim(str_sub(t, paragraph_end(t), t.n));
	run->paragraphs = arena_alloc(run->arena, count * sizeof(struct str));
	if (run->paragraphs == NULL)
		return false;
	run->paragraphs[run->nparagraphs++] = subject == NULL ?
	    STR("") :
	    header_decode(run->arena, subject->value);
	while (text.n > 0 && run->nparagraphs < count) {
		end = run->nparagraphs + 1 == count ? text.n :
						      paragraph_end(text);
		run->paragraphs[run->nparagraphs++] =
		    squeeze(run->arena, str_sub(text, 0, end));
		text = str_trim(str_sub(text, end, text.n));
	}
	return true;
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
	ok = make_paragraphs(&run);
	for (r = set->first; ok && r != NULL; r = r->next)
		if (rule_hits(&run, r))
			ok = record_hit(&run, r);
	buf_free(&run.full);
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
