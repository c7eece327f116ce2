#include "policy/journal.h"

#include <stdio.h>

#include "base/addr.h"
#include "base/log.h"
#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "policy/road.h"
#include "policy/trace.h"
#include "score/score.h"

/* Of a value; where it takes many escapes, of those. */
#define VALUE_MAX	512
#define ESCAPED_MAX	150	/* \xNN each: 600 */

/* Left out where there is nothing to say.  Short enough that the longest
 * values leave room for all that follow: nobody hides a verdict. */
static void
add(struct buf *line, const char *key, struct str value)
{
	size_t start;

	if (value.n == 0)
		return;
	if (line->n > 0)
		buf_addc(line, ' ');
	buf_adds(line, key);
	buf_addc(line, '=');
	start = line->n;
	buf_quoted(line, str_sub(value, 0, VALUE_MAX));
	if (line->n - start <= 4 * ESCAPED_MAX + 2)
		return;
	buf_truncate(line, start);
	buf_quoted(line, str_sub(value, 0, ESCAPED_MAX));
}

static void
add_number(struct buf *line, const char *key, long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", n);
	add(line, key, str_of(text));
}

static void
add_reply(struct buf *line, const struct reply *reply)
{
	struct buf text = BUF_INIT(1024);

	if (reply->code == 0)
		return;
	buf_printf(&text, "%d %s ", reply->code, reply->enhanced);
	buf_addstr(&text, str_sub(reply->text, 0, 500));
	add(line, "reply", buf_str(&text));
	buf_free(&text);
}

static void
add_session(struct buf *line, const struct session *s)
{
	char addr[ADDR_TEXT_MAX];

	add_number(line, "id", (long long)s->id);
	if (s->txn != NULL)
		add(line, "qid", s->txn->queue_id);
	if (s->client.family != ADDR_NONE) {
		addr_format(&s->client, addr);
		add(line, "client", str_of(addr));
	}
	add(line, "helo", s->helo);
	if (s->txn == NULL)
		return;
	add(line, "from", s->txn->sender.null ? STR("<>") : s->txn->sender.raw);
	add(line, "user", s->txn->user);
}

static void
add_result(struct buf *line, const char *key, enum auth_result result)
{
	if (result != AUTH_UNKNOWN)
		add(line, key, str_of(auth_result_word(result)));
}

static void
add_checks(struct buf *line, const struct txn *txn)
{
	const struct checks *c = txn->checks;
	double score = txn->verdict.score;
	char text[32];

	if (c == NULL)
		return;
	if (c->spf != NULL)
		add_result(line, "spf", c->spf->result);
	if (c->dkim != NULL)
		add_result(line, "dkim", c->dkim->result);
	if (c->dmarc != NULL)
		add_result(line, "dmarc", c->dmarc->result);
	if (c->arc != NULL)
		add_result(line, "arc", c->arc->result);
	if (c->score != NULL)
		score += c->score->score;
	if (c->score == NULL && txn->verdict.score == 0)
		return;
	snprintf(text, sizeof(text), "%.1f", score);
	add(line, "score", str_of(text));
}

void
journal_refused(const struct session *s, enum stage stage,
    const struct decision *d)
{
	struct buf line = BUF_INIT(JOURNAL_MAX);

	if (log_wants(LOG_EV_REFUSED)) {
		add_session(&line, s);
		if (stage == STAGE_RCPT && s->txn != NULL &&
		    s->txn->rcpt != NULL)
			add(&line, "rcpt", s->txn->rcpt->addr.raw);
		add(&line, "stage", str_of(stage_word(stage)));
		add(&line, "verdict", str_of(action_word(d->action)));
		add_reply(&line, &d->reply);
		if (d->rule != NULL)
			add(&line, "rule", d->rule->where);
		log_line(LOG_EV_REFUSED, buf_str(&line));
	}
	buf_free(&line);
}

void
journal_message(const struct session *s, const struct outcome *out)
{
	struct buf line = BUF_INIT(JOURNAL_MAX);

	if (log_wants(LOG_EV_MESSAGE)) {
		add_session(&line, s);
		add_number(&line, "rcpts", s->txn->accepted);
		add(&line, "verdict", str_of(action_word(out->action)));
		add(&line, "stage", str_of(stage_word(out->stage)));
		add(&line, "reason", out->quarantine);
		add_reply(&line, &out->reply);
		add(&line, "rule", out->rule);
		add_checks(&line, s->txn);
		add_number(&line, "ms", s->txn->waited_ms);
		log_line(LOG_EV_MESSAGE, buf_str(&line));
	}
	buf_free(&line);
}
