/*
 * Any bytes as what an MTA says of a client: its names, macros and
 * arguments, through a whole conversation.  Whatever they are, no reply and no
 * field that comes of them may break out of its line.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "base/psl.h"
#include "check/dkim.h"
#include "policy/road.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char policy_text[] =
    "hostname mx.example.net\n"
    "table some { 192.0.2.0/24 a@example.org .example.net /x+y/i }\n"
    "limit user per user+client/24 { 3 messages/1h 4 recipients/1m }\n"
    "limit from per sender { 5 bytes/1h }\n"
    "on connect {\n"
    "	log \"{client} {client.name} {hostname}\"\n"
    "	tag c if client.name in some\n"
    "}\n"
    "on helo {\n"
    "	reject \"550 5.7.1 {helo}\" if helo ~ /^x/i\n"
    "	header \"X-Helo\" \"{helo}\"\n"
    "}\n"
    "on mail {\n"
    "	tempfail \"{limit.key} {limit.retry}\" if over from\n"
    "	reject \"{sender} {sender.base} {user}\" if user in some\n"
    "	block user+sender for 1h if user = \"b\"\n"
    "	tag tls if tls.version\n"
    "}\n"
    "on rcpt {\n"
    "	tempfail \"{rcpt} {limit.key}\" if over user\n"
    "	discard if rcpt in some\n"
    "	greylist if rcpt.domain = \"grey.example\"\n"
    "}\n"
    "on message {\n"
    "	header \"X-All\" \"{queue_id} {user} {auth.method} {tls.version}\"\n"
    "	header \"X-Rcpt\" \"{rcpt} {subject} {from} {from.name}\"\n"
    "	reject \"{subject}\" if subject ~ /spam/\n"
    "	quarantine \"{sender}\" if sender.local = \"hold\"\n"
    "}\n";

static struct services services;
static struct policy *policy;

static void
set_up(void)
{
	struct buf err = BUF_INIT(4096);
	struct diag *diag = diag_new();

	log_open(LOG_TO_NOWHERE, LOG_LEVEL_DEBUG);
	services.hostname = STR("mx.example.net");
	services.resolver = resolver_new(STR("file:/dev/null"), &err);
	services.store = store_open(STR("memory:"), &err);
	policy = policy_load_text(STR("fuzz"), STR(policy_text), false, diag);
	assert(services.resolver != NULL && services.store != NULL &&
	    policy != NULL && dkim_global_init() && psl_global_init());
	diag_free(&diag);
	buf_free(&err);
}

/* A line ends nowhere but where a fold or another line of a reply follows. */
static void
check_reply(const struct reply *r)
{
	assert(str_chr(r->text, '\r') < 0 && str_chr(r->text, '\0') < 0);
	assert(r->code == 0 || (r->code >= 400 && r->code <= 599));
}

static void
check_edits(const struct edit *e)
{
	size_t i;

	for (; e != NULL; e = e->next) {
		assert(str_chr(e->value, '\r') < 0);
		assert(str_chr(e->value, '\0') < 0);
		assert(e->name.n > 0 && str_chr(e->name, '\n') < 0);
		for (i = 0; i < e->value.n; i++)
			if (e->value.p[i] == '\n')
				assert(i + 1 < e->value.n &&
				    (e->value.p[i + 1] == ' ' ||
					e->value.p[i + 1] == '\t'));
	}
}

/* The next piece of the input, which a 0xFF byte ends. */
static struct str
piece(struct str *rest)
{
	return str_cut(*rest, '\xff', rest);
}

static void
message(struct session *s, struct str *rest)
{
	struct decision d = { .action = ACTION_NONE };
	struct outcome out = { .action = ACTION_NONE };
	struct road_sender from = { .arg = piece(rest),
		.user = piece(rest),
		.auth_method = piece(rest),
		.tls_version = piece(rest),
		.tls_cipher = piece(rest),
		.queue_id = piece(rest) };
	struct str name;

	from.non_smtp = from.arg.n > 0 && from.arg.p[0] != '<';
	road_mail(s, NULL, &from, &d);
	check_reply(&d.reply);
	road_rcpt(s, piece(rest), false, &d);
	check_reply(&d.reply);
	road_rcpt(s, piece(rest), true, &d);
	check_reply(&d.reply);
	if (s->txn == NULL)
		return;
	road_header(s, STR("Subject"), piece(rest));
	road_header(s, STR("From"), piece(rest));
	name = piece(rest);
	road_header(s, name, piece(rest));
	road_eoh(s);
	road_body(s, "x\r\n", 3);
	road_message(s, piece(rest), &out);
	check_reply(&out.reply);
	check_edits(out.edits);
	road_abort(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct decision d = { .action = ACTION_NONE };
	struct road_client client = { .name = piece(&rest) };
	struct session *s;
	int messages;

	if (policy == NULL)
		set_up();
	addr_parse(piece(&rest), &client.addr);
	client.daemon_name = piece(&rest);
	client.mta_name = piece(&rest);
	s = road_begin(&services, policy);
	road_connect(s, &client, &d);
	check_reply(&d.reply);
	road_helo(s, piece(&rest), &d);
	check_reply(&d.reply);
	for (messages = 0; messages < 3 && rest.p != NULL; messages++)
		message(s, &rest);
	road_end(&s);
	return 0;
}
