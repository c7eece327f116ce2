/*
 * A whole conversation of any bytes under a policy that asks everything: it
 * ends in a verdict, and the edits are such as an MTA can carry out.
 *
 * The input: HELO name, sender and recipients, a line each, up to an empty
 * line; then the message.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/psl.h"
#include "check/dkim.h"
#include "policy/diag.h"
#include "policy/road.h"
#include "policy/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char policy_text[] =
    "limit l per sender+rcpt { 1000 messages/1h }\n"
    "limit r per client { 100 rejected recipients/1h }\n"
    "table t { @example.org .example.net /x/ 192.0.2.0/24 alice }\n"
    "on helo {\n	reject \"{helo}\" if helo ~ /^\\[/ or helo in t\n}\n"
    "on mail {\n	tag seen if sender.base in t\n"
    "	reject \"{sender} {spf.explanation}\" if spf = fail\n}\n"
    "on rcpt {\n	discard if rcpt.domain = \"hole.example\"\n"
    "	accept if rcpt.domain = \"final.example\"\n"
    "	tempfail \"{limit.key} {limit.retry}\" if over l\n}\n"
    "on message {\n"
    "	strip header \"X-A\"\n"
    "	header \"X-A\" \"{subject} {from} {from.name} {body}\"\n"
    "	header \"X-B\" \"{attachment.name} {attachment.type} {urls}"
    " {urls.domain}\"\n"
    "	header \"X-C\" \"{header(X-C)} {size} {dkim} {dmarc} {hits}\"\n"
    "	log \"{subject}\"\n"
    "	score 3 if subject ~ /(a|b)*c/i and not from.domain in t\n"
    "	quarantine \"{subject}\" if score > 1\n"
    "	reject \"{subject}\" if dmarc = reject or dkim = fail\n}\n";

static struct services services = { .hostname = { "mx.example", 10 } };
static struct policy *policy;

static void
begin_once(void)
{
	char path[] = "/tmp/fuzz-road.XXXXXX", zone[] = "/tmp/fuzz-zone.XXXXXX";
	struct buf err = BUF_INIT(4096), spec = BUF_INIT(64);
	struct diag *diag = diag_new();
	int fd = mkstemp(path);

	assert(write(fd, policy_text, sizeof(policy_text) - 1) ==
	    (ssize_t)sizeof(policy_text) - 1);
	close(fd);
	close(mkstemp(zone));
	buf_printf(&spec, "file:%s", zone);
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	assert(dkim_global_init() && psl_global_init());
	services.resolver = resolver_new(buf_str(&spec), &err);
	services.store = store_open(STR("memory:"), &err);
	policy = policy_load(path, false, diag);
	diag_print(diag, &err);
	if (policy == NULL)
		fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&err)));
	assert(policy != NULL && services.resolver != NULL);
	diag_free(&diag);
	buf_free(&err);
	buf_free(&spec);
	unlink(path);
	unlink(zone);
}

static void
check_outcome(const struct session *s, const struct outcome *out)
{
	const struct edit *before = NULL;

	assert(
	    out->action >= ACTION_ACCEPT && out->action <= ACTION_QUARANTINE);
	for (const struct edit *e = out->edits; e != NULL; e = e->next) {
		assert(e->name.n > 0);
		if (e->op == EDIT_REMOVE) {
			assert(header_get(&s->txn->headers, e->name, e->nth));
			if (before != NULL && str_ieq(before->name, e->name))
				assert(e->nth < before->nth);
			before = e;
			continue;
		}
		assert(memchr(e->value.p, '\0', e->value.n) == NULL);
		assert(memchr(e->value.p, '\r', e->value.n) == NULL);
	}
	if (out->action == ACTION_REJECT)
		assert(out->reply.code / 100 == 5 &&
		    out->reply.enhanced[0] == '5');
	if (out->action == ACTION_TEMPFAIL)
		assert(out->reply.code / 100 == 4 &&
		    out->reply.enhanced[0] == '4');
}

static struct str
say_envelope(struct session *s, struct str rest)
{
	struct road_sender from = { .arg = STR("<>") };
	struct decision d;

	road_helo(s, str_cut(rest, '\n', &rest), &d);
	from.arg = str_cut(rest, '\n', &rest);
	road_mail(s, NULL, &from, &d);
	for (int i = 0; i < 50 && rest.n > 0; i++) {
		struct str rcpt = str_cut(rest, '\n', &rest);

		if (rcpt.n == 0)
			break;
		road_rcpt(s, rcpt, rcpt.p[0] == '!', &d);
	}
	return rest;
}

static void
say_message(struct session *s, struct str rest)
{
	while (rest.n > 0) {
		struct str value, line = str_cut(rest, '\n', &rest);

		if (line.n == 0)
			break;
		line = str_cut(line, ':', &value);
		road_header(s, line, value);
	}
	road_eoh(s);
	road_body(s, rest.p, rest.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct road_client client = { .addr = { ADDR_V4,
					  { 198, 51, 100, 1 } } };
	struct buf told = BUF_INIT(1 << 20);
	struct session *s;
	struct decision d;
	struct outcome out;

	if (policy == NULL)
		begin_once();
	s = road_begin(&services, policy);
	road_connect(s, &client, &d);
	say_message(s,
	    say_envelope(s, (struct str){ (const char *)data, size }));
	road_message(s, STR_NONE, &out);
	if (s->txn != NULL) {
		check_outcome(s, &out);
		trace_print(s->txn->trace, &told);
		trace_json(s->txn->trace, &told);
	}
	buf_free(&told);
	road_end(&s);
	return 0;
}
