#include "policy/summary.h"

#include <math.h>
#include <stdio.h>

#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "score/score.h"

#define REPLY_MAX 600 /* bytes of its text */

struct str
summary_client(const struct session *s, char room[ADDR_TEXT_MAX])
{
	if (s->client.family == ADDR_NONE)
		return STR_NONE;
	addr_format(&s->client, room);
	return str_of(room);
}

struct str
summary_sender(const struct txn *txn)
{
	return txn->sender.null ? STR("<>") : txn->sender.raw;
}

void
summary_number(struct buf *out, summary_fn *add, const char *key, long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", n);
	add(out, key, str_of(text));
}

void
summary_reply(struct buf *out, summary_fn *add, const struct reply *r)
{
	struct buf text = BUF_INIT(2048);

	if (r->code == 0)
		return;
	buf_printf(&text, "%d %s ", r->code, r->enhanced);
	buf_addstr(&text, str_sub(r->text, 0, REPLY_MAX));
	add(out, "reply", buf_str(&text));
	buf_free(&text);
}

static void
add_result(struct buf *out, summary_fn *add, const char *key,
    enum auth_result result)
{
	if (result != AUTH_UNKNOWN)
		add(out, key, str_of(auth_result_word(result)));
}

static void
add_score(struct buf *out, summary_fn *add, double score, bool exact)
{
	char text[32];

	if (exact)
		snprintf(text, sizeof(text), "%.10g",
		    round(score * 1000) / 1000);
	else
		snprintf(text, sizeof(text), "%.1f", score);
	add(out, "score", str_of(text));
}

void
summary_checks(struct buf *out, summary_fn *add, const struct txn *txn,
    bool exact)
{
	const struct checks *c = txn->checks;
	double score = txn->verdict.score;

	if (c == NULL)
		return;
	if (c->spf != NULL)
		add_result(out, add, "spf", c->spf->result);
	if (c->dkim != NULL)
		add_result(out, add, "dkim", c->dkim->result);
	if (c->dmarc != NULL)
		add_result(out, add, "dmarc", c->dmarc->result);
	if (c->arc != NULL)
		add_result(out, add, "arc", c->arc->result);
	if (c->score != NULL)
		score += c->score->score;
	if (c->score != NULL || score != 0)
		add_score(out, add, score, exact);
}
