#include "policy/journal.h"

#include "base/log.h"
#include "policy/road.h"
#include "policy/summary.h"

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
add_session(struct buf *line, const struct session *s)
{
	char client[ADDR_TEXT_MAX];

	summary_number(line, add, "id", (long long)s->id);
	if (s->txn != NULL)
		add(line, "qid", s->txn->queue_id);
	add(line, "client", summary_client(s, client));
	add(line, "helo", s->helo);
	if (s->txn == NULL)
		return;
	add(line, "from", summary_sender(s->txn));
	add(line, "user", s->txn->user);
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
		summary_reply(&line, add, &d->reply);
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
		summary_number(&line, add, "rcpts", s->txn->accepted);
		add(&line, "verdict", str_of(action_word(out->action)));
		add(&line, "stage", str_of(stage_word(out->stage)));
		add(&line, "reason", out->quarantine);
		summary_reply(&line, add, &out->reply);
		add(&line, "rule", out->rule);
		summary_checks(&line, add, s->txn, false);
		summary_number(&line, add, "ms", s->txn->waited_ms);
		log_line(LOG_EV_MESSAGE, buf_str(&line));
	}
	buf_free(&line);
}
