/*
 * hits - which rules a message hits, all of them, for the scripts beside it.
 *
 * usage: hits [-o] [-l] RULES [FILE...]
 *	RULES: globs of rule files; FILE: messages, `-' reads names from the
 *	standard input.  One JSON object a message: its name, and how often
 *	each rule hit it.
 *	-o	as the oracle that made the expected results: the plugins it
 *		had, and rules of score 0 are asked too
 *	-l	no message: the rules in force, a kind and a name a line
 *	-t	no message: the `test' lines of the rule files, a result each
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "daemon/message.h"
#include "score/rule.h"
#include "score/score.h"

#define OUT_MAX	(16UL * 1024 * 1024)
#define BODY_MAX (64UL * 1024 * 1024)

static const char *const oracle_plugins[] = { "Check", "MIMEHeader",
	"ReplaceTags", "URIDetail", "HTMLEval", "BodyEval", "HeaderEval",
	"MIMEEval", "RelayEval", "URIEval", "WLBLEval", "FreeMail", "VBounce",
	"HTTPSMismatch", "ImageInfo", NULL };

static struct services services;
static const struct ruleset *rules;

static bool
fill(struct txn *t, const struct message *m)
{
	const struct message_field *f;

	if (check_attach_txn(t, &services) == NULL)
		return false;
	for (f = m->fields; f != NULL; f = f->next)
		if (!header_add(t->arena, &t->headers, f->name, f->value))
			return false;
	body_add(&t->body, m->body.p, m->body.n);
	return true;
}

static void
add_hits(struct buf *out, const struct score_hit *hit, size_t *n)
{
	for (; hit != NULL; hit = hit->next) {
		buf_adds(out, (*n)++ ? "," : "");
		buf_json(out, hit->rule);
		buf_printf(out, ":%g", hit->times);
	}
}

static void
judge(void *arg, struct message *m)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, BODY_MAX);
	const struct score_result *result = NULL;
	struct buf out = BUF_INIT(OUT_MAX);
	size_t n = 0;

	(void)arg;
	if (fill(t, m))
		result = score_run(t, rules);
	buf_adds(&out, "{\"file\":");
	buf_json(&out, m->label);
	if (result != NULL) {
		buf_adds(&out, ",\"hits\":{");
		add_hits(&out, result->hits, &n);
		add_hits(&out, result->subs, &n);
		buf_printf(&out, "},\"limited\":%s",
		    result->limited ? "true" : "false");
	}
	buf_adds(&out, "}\n");
	fwrite(out.p, 1, out.n, stdout);
	fflush(stdout);
	buf_free(&out);
	session_free(&s);
}

static int
judge_file(const char *path)
{
	struct buf err = BUF_INIT(4096);
	int failed = !message_each(path, judge, NULL, &err);

	if (failed)
		fprintf(stderr, "%s\n", err.p);
	buf_free(&err);
	return failed;
}

static int
judge_listed(void)
{
	char line[4096];
	int failed = 0;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		failed |= judge_file(line);
	}
	return failed;
}

static void
list_rules(void)
{
	const struct score_rule *r;

	for (r = rules->first; r != NULL; r = r->next)
		printf("%s%s %.*s\n", r->eval.p ? "eval-" : "",
		    rule_kind_word(r->kind), STR_FMT(r->name));
}

int
main(int argc, char **argv)
{
	struct ruleset_how how = { .plugins = NULL };
	struct buf problems = BUF_INIT(OUT_MAX), err = BUF_INIT(4096);
	struct ruleset *set;
	bool list = false;
	int c, failed = 0;

	while ((c = getopt(argc, argv, "ol")) != -1) {
		if (c == 'o') {
			how =
			    (struct ruleset_how){ oracle_plugins, true, true };
		} else if (c == 'l') {
			list = true;
		} else {
			return 2;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "usage: hits [-o] [-l] RULES [FILE...]\n");
		return 2;
	}
	set = ruleset_load_how(str_of(argv[optind++]), &how, &problems, &err);
	if (problems.n > 0)
		fwrite(problems.p, 1, problems.n, stderr);
	if (set == NULL) {
		fprintf(stderr, "%s\n", err.p);
		return 2;
	}
	rules = set;
	if (list)
		list_rules();
	for (; optind < argc; optind++)
		failed |= strcmp(argv[optind], "-") == 0 ?
		    judge_listed() :
		    judge_file(argv[optind]);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&err);
	return failed;
}
