/*
 * Any bytes as a log, and limits of every unit tried on them: what is found
 * adds up, and the report is whole.
 */
#include <assert.h>
#include <stdint.h>

#include "base/log.h"
#include "daemon/limits_try.h"
#include "policy/diag.h"

#define NOW INT64_C(1763900000000)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char policy_text[] =
    "state memory:\n"
    "table bulk { @lists.example.org 192.0.2.0/24 }\n"
    "limit a per user { 2 messages/1h 3 recipients/1d 5K bytes/1h }\n"
    "limit b per client/24 { 2 connections/1m 1 rejected recipients/10m }\n"
    "limit c per sender+rcpt.domain { 2 distinct recipients/1h }\n"
    "limit d per all { 3 distinct clients/1h 3 distinct senders/1h }\n"
    "on connect {\n	tempfail if over b\n}\n"
    "on mail {\n	tempfail if blocked user or blocked sender\n}\n"
    "on rcpt {\n	next if sender in bulk\n"
    "	tempfail \"{limit.max}\" if over a or over c\n"
    "	block user for 1h if user and over d\n"
    "	notify \"x\" if over a at 50%\n}\n"
    "on message {\n	quarantine \"x\" if over d\n}\n";

/* Once: the rules that do not take part are gone after the first trial. */
static struct policy *
the_policy(void)
{
	static struct policy *p;
	struct diag *diag;

	if (p != NULL)
		return p;
	diag = diag_new();
	p = policy_load_text(STR("fuzz"), str_of(policy_text), false, diag);
	assert(p != NULL);
	diag_free(&diag);
	return p;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf err = BUF_INIT(4096), out = BUF_INIT(64 * 1024 * 1024);
	struct str rest = { (const char *)data, n };
	const struct maillog_stats *st;
	struct limits_try *t;
	struct maillog *m;
	struct policy *p;

	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	p = the_policy();
	t = limits_try_new(p, &err);
	assert(t != NULL);
	m = maillog_new(NOW, limits_try_event, t);
	while (rest.n > 0)
		maillog_line(m, str_cut(rest, '\n', &rest));
	maillog_end(m);
	st = maillog_stats(m);
	assert(st->bad + st->foreign + st->messages + st->refused <= st->lines);
	assert(st->unnamed <= st->recipients);
	limits_try_report(t, st, true, SIZE_MAX, &out);
	assert(!out.failed && out.n > 0 && out.p[out.n - 1] == '\n');
	buf_truncate(&out, 0);
	limits_try_report(t, st, false, 3, &out);
	limits_try_free(&t);
	maillog_free(&m);
	buf_free(&out);
	return 0;
}
