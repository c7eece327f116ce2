#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/psl.h"
#include "check/dkim.h"
#include "daemon/cli.h"
#include "daemon/message.h"
#include "daemon/report.h"
#include "daemon/scan.h"
#include "mail/header.h"
#include "policy/road.h"
#include "score/score.h"

#define RCPT_MAX	1000
#define OUT_MAX		(64 * 1024 * 1024)

struct scan {
	const char	*conf, *resolver, *rules;
	const char	*client_name, *helo, *from, *user;
	const char	*rcpts[RCPT_MAX];
	size_t		 nrcpts;
	struct addr	 client;
	bool		 json;
	struct policy	*policy;
	struct services	 services;
};

/* The address a message itself names where the caller gave none. */
static struct str
guess(struct arena *a, const struct message *m, const char *const *fields)
{
	struct mailbox *box;
	struct str value;
	bool more;

	for (; *fields != NULL; fields++) {
		value = message_field(m, str_of(*fields));
		if (value.p == NULL)
			continue;
		if (str_eq(str_trim(value), STR("<>")))
			return STR("<>");
		box = header_mailboxes(a, value, 1, &more);
		if (box != NULL && box->addr.n > 0)
			return arena_printf(a, "<%.*s>", STR_FMT(box->addr));
	}
	return STR_NONE;
}

static struct str
bracketed(struct arena *a, const char *addr)
{
	if (addr[0] == '<')
		return str_of(addr);
	return arena_printf(a, "<%s>", addr);
}

static bool
refused(const struct decision *d, enum stage stage, struct judgement *j)
{
	if (d->action != ACTION_REJECT && d->action != ACTION_TEMPFAIL)
		return false;
	j->action = d->action;
	j->stage = stage;
	j->reply = d->reply;
	j->rule = d->rule != NULL ? d->rule->where : STR_NONE;
	return true;
}

static bool
tell_client(struct scan *scan, struct session *s, struct judgement *j)
{
	struct road_client client = { .addr = scan->client,
		.name = str_of(scan->client_name),
		.mta_name = STR("scan") };
	struct decision d = { 0 };

	road_connect(s, &client, &d);
	if (refused(&d, STAGE_CONNECT, j))
		return false;
	if (scan->helo == NULL)
		return true;
	road_helo(s, str_of(scan->helo), &d);
	return !refused(&d, STAGE_HELO, j);
}

static bool
tell_sender(struct scan *scan, struct session *s, const struct message *m,
    struct judgement *j)
{
	static const char *const fields[] = { "Return-Path", "From", NULL };
	struct road_sender sender = { .user = str_of(scan->user) };
	struct decision d = { 0 };

	sender.arg = scan->from != NULL ? bracketed(m->arena, scan->from) :
					  guess(m->arena, m, fields);
	if (sender.arg.p == NULL)
		sender.arg = STR("<>");
	road_mail(s, NULL, &sender, &d);
	return !refused(&d, STAGE_MAIL, j);
}

/* Refused when every recipient was; the judgement tells of the last. */
static bool
tell_rcpts(struct scan *scan, struct session *s, const struct message *m,
    struct judgement *j)
{
	static const char *const fields[] = { "Delivered-To", "X-Original-To",
		"To", "Cc", NULL };
	struct decision d = { 0 };
	struct str guessed;
	size_t i;

	if (scan->nrcpts == 0) {
		guessed = guess(m->arena, m, fields);
		if (guessed.p == NULL)
			guessed = STR("<postmaster>");
		road_rcpt(s, guessed, false, &d);
		return !refused(&d, STAGE_RCPT, j);
	}
	for (i = 0; i < scan->nrcpts; i++) {
		memset(&d, 0, sizeof(d));
		road_rcpt(s, bracketed(m->arena, scan->rcpts[i]), false, &d);
		refused(&d, STAGE_RCPT, j);
	}
	return s->txn != NULL && s->txn->accepted > 0;
}

static void
tell_content(struct session *s, const struct message *m, struct judgement *j)
{
	const struct message_field *f;
	struct outcome out = { 0 };

	for (f = m->fields; f != NULL; f = f->next)
		road_header(s, f->name, f->value);
	road_eoh(s);
	road_body(s, m->body.p, m->body.n);
	road_message(s, STR_NONE, &out);
	j->action = out.action;
	j->stage = out.stage;
	j->reply = out.reply;
	j->rule = out.rule;
	j->edits = out.edits;
	j->quarantine = out.quarantine;
}

static void
scan_message(void *arg, struct message *m)
{
	struct scan *scan = arg;
	struct session *s = road_begin(&scan->services, scan->policy);
	struct judgement j = { .file = m->label, .session = s };
	struct buf out = BUF_INIT(OUT_MAX);

	if (tell_client(scan, s, &j) && tell_sender(scan, s, m, &j) &&
	    tell_rcpts(scan, s, m, &j))
		tell_content(s, m, &j);
	if (scan->json)
		report_json(&j, &out);
	else
		report_text(&j, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	road_end(&s);
}

enum {
	OPT_CLIENT = 256,
	OPT_CLIENT_NAME,
	OPT_HELO,
	OPT_FROM,
	OPT_RCPT,
	OPT_USER,
	OPT_RESOLVER,
	OPT_RULES,
	OPT_JSON,
	OPT_NOW
};

static const struct option options[] = {
	{ "client", required_argument, NULL, OPT_CLIENT },
	{ "client-name", required_argument, NULL, OPT_CLIENT_NAME },
	{ "helo", required_argument, NULL, OPT_HELO },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "rcpt", required_argument, NULL, OPT_RCPT },
	{ "user", required_argument, NULL, OPT_USER },
	{ "resolver", required_argument, NULL, OPT_RESOLVER },
	{ "rules", required_argument, NULL, OPT_RULES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "now", required_argument, NULL, OPT_NOW },
	{ NULL, 0, NULL, 0 },
};

/* Seconds since 1970, or "2024-01-31" with "T10:00:00" behind it or not. */
static bool
set_now(const char *text)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ",
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d" };
	const char *end;
	uint64_t seconds;
	struct tm tm;
	size_t i;

	if (str_u64(str_of(text), &seconds) && seconds < UINT32_MAX) {
		clock_pretend((int64_t)seconds * 1000);
		return true;
	}
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(text, forms[i], &tm);
		if (end == NULL || *end != '\0')
			continue;
		clock_pretend((int64_t)timegm(&tm) * 1000);
		return true;
	}
	fprintf(stderr,
	    "postern scan: --now %s: neither seconds since 1970 "
	    "nor a date like 2024-01-31T10:00:00\n",
	    text);
	return false;
}

static bool
set_option(struct scan *scan, int opt)
{
	const char **texts[] = {
		[OPT_CLIENT_NAME - OPT_CLIENT] = &scan->client_name,
		[OPT_HELO - OPT_CLIENT] = &scan->helo,
		[OPT_FROM - OPT_CLIENT] = &scan->from,
		[OPT_USER - OPT_CLIENT] = &scan->user,
		[OPT_RESOLVER - OPT_CLIENT] = &scan->resolver,
		[OPT_RULES - OPT_CLIENT] = &scan->rules,
	};

	if (opt == 'c') {
		scan->conf = optarg;
	} else if (opt == OPT_JSON) {
		scan->json = true;
	} else if (opt == OPT_NOW) {
		return set_now(optarg);
	} else if (opt == OPT_CLIENT) {
		if (addr_parse(str_of(optarg), &scan->client))
			return true;
		fprintf(stderr,
		    "postern scan: --client %s: "
		    "not an IP address\n",
		    optarg);
		return false;
	} else if (opt == OPT_RCPT) {
		if (scan->nrcpts == RCPT_MAX)
			return false;
		scan->rcpts[scan->nrcpts++] = optarg;
	} else if (opt > OPT_CLIENT && opt < OPT_JSON) {
		*texts[opt - OPT_CLIENT] = optarg;
	} else {
		return false;
	}
	return true;
}

/* Rules named on the command line stand in for the policy's. */
static bool
use_rules(struct scan *scan, struct buf *err)
{
	/* Their rules are other rules than those the policy asks for. */
	static const struct ruleset_how how = { .subs = true };
	struct buf problems = BUF_INIT(OUT_MAX);
	struct ruleset *rules;

	if (scan->rules == NULL)
		return true;
	rules = ruleset_load_how(str_of(scan->rules), &how, &problems, err);
	if (problems.n > 0)
		fwrite(problems.p, 1, problems.n, stderr);
	buf_free(&problems);
	if (rules == NULL)
		return false;
	if (scan->policy->ruleset != NULL)
		ruleset_free(&scan->policy->ruleset);
	scan->policy->ruleset = rules;
	scan->policy->needs |= NEED_SCORE | NEED_HEADERS | NEED_CONTENT;
	return true;
}

/* What is judged offline has happened long ago. */
static void
tell_nobody(const struct notice *notice)
{
	(void)notice;
}

static bool
open_services(struct scan *scan, struct buf *err)
{
	struct str resolver = scan->resolver != NULL ?
	    str_of(scan->resolver) :
	    scan->policy->settings.text[SETTING_RESOLVER];

	scan->services.hostname = scan->policy->settings.text[SETTING_HOSTNAME];
	scan->services.notify = tell_nobody;
	scan->services.store = store_open(STR("memory:"), err);
	if (scan->services.store == NULL)
		return false;
	scan->services.resolver = resolver_new(resolver, err);
	return scan->services.resolver != NULL && dkim_global_init() &&
	    psl_global_init() && use_rules(scan, err);
}

static void
close_services(struct scan *scan)
{
	store_close(&scan->services.store);
	resolver_free(&scan->services.resolver);
	dkim_global_free();
	psl_global_free();
	policy_release(&scan->policy);
}

static int
scan_files(struct scan *scan, char **files)
{
	struct buf err = BUF_INIT(65536);
	int status = 0;

	if (!open_services(scan, &err))
		status = CLI_BAD_POLICY;
	for (; status == 0 && *files != NULL; files++)
		if (!message_each(*files, scan_message, scan, &err))
			status = CLI_USAGE;
	if (status != 0)
		fprintf(stderr, "postern scan: %s\n",
		    err.n ? err.p : "a library could not be set up");
	buf_free(&err);
	close_services(scan);
	return status;
}

int
scan_main(int argc, char **argv)
{
	struct scan *scan = mem_alloc(sizeof(*scan));
	int opt, status;

	scan->conf = CLI_DEFAULT_CONF;
	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1)
		if (!set_option(scan, opt)) {
			free(scan);
			return cli_usage("scan");
		}
	if (argv[optind] == NULL) {
		free(scan);
		return cli_usage("scan");
	}
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	scan->policy = cli_load_policy(scan->conf, false, stderr);
	status = scan->policy == NULL ? CLI_BAD_POLICY :
					scan_files(scan, argv + optind);
	free(scan);
	return status;
}
