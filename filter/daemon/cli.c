#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "check/dkim_signer.h"
#include "daemon/cli.h"
#include "daemon/control.h"
#include "daemon/limits_try.h"
#include "daemon/scan.h"
#include "daemon/server.h"
#include "score/score.h"

#define DIAG_TEXT_MAX	(4 * 1024 * 1024)
#define RULES_OUT_MAX	(4 * 1024 * 1024)
#define KEYS_WAIT_MS	2000
#define REQUEST_MAX	8000	/* what the daemon reads of one */

static int	run_main(int, char **);
static int	check_main(int, char **);
static int	ask_main(int, char **);
static int	help_main(int, char **);

static const struct command {
	const char	*name;
	int		(*main)(int, char **);
	const char	*words;
	const char	*help;
	/* of those that ask the daemon */
	const char	*options;	/* of "jalft", see ask_options */
	int		 nwords;	/* -1: one or none */
} commands[] = {
	{ "run", run_main, "[-c CONF] [--shadow] [-f]",
	    "the daemon; -f stays in the foreground", NULL, 0 },
	{ "check", check_main, "[-c CONF]",
	    "reads policy, tables and rules; tells every mistake", NULL, 0 },
	{ "scan", scan_main,
	    "[-c CONF] [--client IP] [--client-name N] "
	    "[--helo N]\n\t    [--from A] [--rcpt A]... [--user L] "
	    "[--resolver R] [--rules GLOB]\n\t    [--now TIME] [--json] "
	    "FILE...",
	    "judges messages offline and explains", NULL, 0 },
	{ "limits", limits_main,
	    "try --log LOG... [--json] [--all] [-c CONF | CONF]",
	    "tries the limits of a policy on the mail of Postfix's logs", NULL,
	    0 },
	{ "status", ask_main, "[-c CONF] [--json]",
	    "counters of the running daemon", "j", 0 },
	{ "metrics", ask_main, "[-c CONF]", "the same as Prometheus text", "",
	    0 },
	{ "reload", ask_main, "[-c CONF]", "takes a changed policy into force",
	    "", 0 },
	{ "who", ask_main, "[-c CONF] [--json] [--all]",
	    "the keys nearest to their limits, and the blocked", "ja", 0 },
	{ "show", ask_main, "[-c CONF] [--json] KEY",
	    "all windows and blocks of a key: user=alice, or alice", "j", 1 },
	{ "release", ask_main, "[-c CONF] [--json] KEY",
	    "empties its counters and lifts its block", "j", 1 },
	{ "block", ask_main, "[-c CONF] [--json] KEY TIME",
	    "blocks it: user=alice 2h", "j", 2 },
	{ "why", ask_main,
	    "[-c CONF] [--json] [QUEUE-ID] [--client ADDRESS] "
	    "[--from ADDRESS]\n\t    [--to ADDRESS]",
	    "what was decided about mail of the last days, and why", "jlft",
	    -1 },
	{ "help", help_main, "", "this text", NULL, 0 },
};

#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void
print_command(FILE *f, const struct command *c)
{
	fprintf(f, "\tpostern %s %s\n\t\t%s\n", c->name, c->words, c->help);
}

int
cli_usage(const char *command)
{
	size_t i;

	fputs("usage:\n", stderr);
	for (i = 0; i < COMMANDS; i++)
		if (command == NULL || strcmp(command, commands[i].name) == 0)
			print_command(stderr, &commands[i]);
	return CLI_USAGE;
}

static int
help_main(int argc, char **argv)
{
	size_t i;

	(void)argc;
	(void)argv;
	printf("postern %s, a milter for Postfix and Sendmail\n\n",
	    CLI_VERSION);
	for (i = 0; i < COMMANDS; i++)
		print_command(stdout, &commands[i]);
	printf("\nCONF is %s unless given.  See postern(8), "
	       "postern.conf(5).\n",
	    CLI_DEFAULT_CONF);
	return 0;
}

static void
print_diag(const struct diag *diag, FILE *out)
{
	struct buf text = BUF_INIT(DIAG_TEXT_MAX);

	diag_print(diag, &text);
	if (text.n > 0)
		fwrite(text.p, 1, text.n, out);
	buf_free(&text);
}

struct policy *
cli_load_policy(const char *conf, bool shadow, FILE *out)
{
	struct diag *diag = diag_new();
	struct policy *p = policy_load(conf, shadow, diag);

	print_diag(diag, out);
	diag_free(&diag);
	return p;
}

enum { OPT_SHADOW = 256, OPT_JSON };

static const struct option long_options[] = {
	{ "shadow", no_argument, NULL, OPT_SHADOW },
	{ "json", no_argument, NULL, OPT_JSON },
	{ NULL, 0, NULL, 0 },
};

struct common {
	const char	*conf;
	bool		 shadow, foreground, json;
};

/* false: a word that this command does not know. */
static bool
read_options(int argc, char **argv, const char *letters, struct common *o)
{
	int opt;

	*o = (struct common){ .conf = CLI_DEFAULT_CONF };
	while ((opt = getopt_long(argc, argv, letters, long_options, NULL)) !=
	    -1) {
		switch (opt) {
		case 'c':
			o->conf = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case OPT_SHADOW:
			o->shadow = true;
			break;
		case OPT_JSON:
			o->json = true;
			break;
		default:
			return false;
		}
	}
	return argv[optind] == NULL;
}

static int
run_main(int argc, char **argv)
{
	struct common o;
	struct server_options so;

	if (!read_options(argc, argv, "c:f", &o) || o.json)
		return cli_usage("run");
	so = (struct server_options){ .conf = o.conf,
		.shadow = o.shadow,
		.foreground = o.foreground };
	return server_run(&so);
}

/* What DNS publishes beside the keys that we sign with; it warns only. */
static void
keys_compare(const struct policy *p)
{
	struct buf err = BUF_INIT(4000), out = BUF_INIT(1024 * 1024);
	struct resolver *resolver;

	if (p->signers == NULL)
		return;
	resolver = resolver_new(p->settings.text[SETTING_RESOLVER], &err);
	if (resolver == NULL) {
		buf_printf(&out, "warning: keys are not compared: %.*s\n",
		    STR_FMT(buf_str(&err)));
	} else
		dkim_signers_compare(p->signers, resolver,
		    clock_mono_ms() + KEYS_WAIT_MS, &out);
	fwrite(out.p, 1, out.n, stdout);
	resolver_free(&resolver);
	buf_free(&out);
	buf_free(&err);
}

/* What of the rule files is in force, and each line that is not. */
static void
print_ruleset(const struct ruleset *rules)
{
	struct buf out = BUF_INIT(RULES_OUT_MAX);

	if (rules == NULL)
		return;
	ruleset_report(rules, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

static int
check_main(int argc, char **argv)
{
	struct common o;
	struct policy *p;
	int stage;
	const struct rule *r;
	size_t n;

	if (!read_options(argc, argv, "c:", &o) || o.json || o.shadow)
		return cli_usage("check");
	p = cli_load_policy(o.conf, false, stdout);
	if (p == NULL)
		return 1;
	print_ruleset(p->ruleset);
	printf("%s: %zu rules (", o.conf, p->nrules);
	for (stage = 0; stage < STAGE_COUNT; stage++) {
		for (n = 0, r = p->rules[stage]; r != NULL; r = r->next)
			n++;
		printf("%s%s %zu", stage ? ", " : "",
		    stage_word((enum stage)stage), n);
	}
	printf("), %zu tables, %zu lists, %zu limits", p->ntables, p->ndnsbls,
	    p->nlimits);
	if (p->ruleset != NULL)
		printf(", %zu score rules, %zu lines left out",
		    ruleset_count(p->ruleset), ruleset_left_out(p->ruleset));
	printf(": well formed\n");
	keys_compare(p);
	policy_release(&p);
	return 0;
}

/* --- what is asked of the daemon over its control socket --------------- */

static const struct option ask_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "all", no_argument, NULL, 'a' },
	{ "client", required_argument, NULL, 'l' },
	{ "from", required_argument, NULL, 'f' },
	{ "to", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 },
};

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* Options and words, as the request carries them. */
static bool
make_request(int argc, char **argv, const struct command *c,
    struct buf *request, const char **conf)
{
	int opt, index = 0;

	buf_adds(request, c->name);
	while (
	    (opt = getopt_long(argc, argv, "c:", ask_options, &index)) != -1) {
		if (opt == 'c') {
			*conf = optarg;
			continue;
		}
		if (opt == '?' || strchr(c->options, opt) == NULL)
			return false;
		buf_printf(request, " --%s", ask_options[index].name);
		if (ask_options[index].has_arg)
			control_add_arg(request, str_of(optarg));
	}
	if (argc - optind != c->nwords &&
	    (c->nwords != -1 || argc - optind > 1))
		return false;
	for (; optind < argc; optind++)
		control_add_arg(request, str_of(argv[optind]));
	return true;
}

/* A policy with mistakes still names its socket. */
static int
ask_daemon(const char *conf, struct str request)
{
	struct diag *diag = diag_new();
	struct policy *p = policy_load_settings(conf, diag);
	int status = 1;

	if (p == NULL)
		print_diag(diag, stderr);
	diag_free(&diag);
	if (p == NULL)
		return CLI_BAD_POLICY;
	if (p->settings.control.kind == LISTEN_UNIX)
		status = control_ask(p->settings.control.path, request);
	else
		fprintf(stderr, "postern: %s has no control socket\n", conf);
	policy_release(&p);
	return status;
}

static int
ask_main(int argc, char **argv)
{
	const struct command *c = find_command(argv[0]);
	struct buf request = BUF_INIT(REQUEST_MAX);
	const char *conf = CLI_DEFAULT_CONF;
	int status;

	if (make_request(argc, argv, c, &request, &conf) && !request.failed)
		status = ask_daemon(conf, buf_str(&request));
	else
		status = cli_usage(c->name);
	buf_free(&request);
	return status;
}

int
cli_main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2)
		return cli_usage(NULL);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("postern %s\n", CLI_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help_main(argc, argv);
	if ((c = find_command(argv[1])) != NULL)
		return c->main(argc - 1, argv + 1);
	fprintf(stderr, "postern: no command \"%s\"\n", argv[1]);
	return cli_usage(NULL);
}
