/*
 * hits - which rules a message hits, all of them, for the scripts beside it.
 *
 * usage: hits [-o] [-l] [-t] RULES [FILE...]
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

#include "base/psl.h"
#include "check/check.h"
#include "daemon/message.h"
#include "score/rule.h"
#include "score/score.h"

#define OUT_MAX	 (16UL * 1024 * 1024)
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

/* A rule's own test line, as a message: a header rule reads its text as the
 * field, others as the body.  That of a meta is a whole message, with "\n" for
 * line ends. */
static struct str
test_message(struct arena *a, const struct score_rule *r,
    const struct rule_test *t)
{
	struct buf out = BUF_INIT(OUT_MAX);
	struct str made;
	size_t i;

	if (r->kind == RULE_META || r->kind == RULE_MIMEHEADER) {
		for (i = 0; i < t->text.n; i++)
			if (str_starts(str_sub(t->text, i, 2), STR("\\n"))) {
				buf_addc(&out, '\n');
				i++;
			} else
				buf_addc(&out, t->text.p[i]);
		buf_addc(&out, '\n');
	} else if (r->kind != RULE_HEADER) {
		buf_printf(&out, "\n%.*s\n", STR_FMT(t->text));
	} else if (str_starts(r->field, STR("ALL"))) {
		buf_printf(&out, "%.*s\n\n", STR_FMT(t->text));
	} else {
		buf_printf(&out, "%s: %.*s\n\n",
		    str_eq(r->field, STR("ToCc"))	   ? "To" :
			str_eq(r->field, STR("MESSAGEID")) ? "Message-ID" :
							     r->field.p,
		    STR_FMT(t->text));
	}
	made = arena_str(a, buf_str(&out));
	buf_free(&out);
	return made;
}

/* The fields up to the empty line, then the body. */
static bool
fill_text(struct txn *t, struct str text)
{
	struct str line, value, name;

	if (check_attach_txn(t, &services) == NULL)
		return false;
	while ((line = str_cut(text, '\n', &text)).n > 0 && text.p != NULL) {
		name = str_cut(line, ':', &value);
		if (value.p != NULL &&
		    !header_add(t->arena, &t->headers, name, value))
			return false;
	}
	if (text.p != NULL)
		body_add(&t->body, text.p, text.n);
	return true;
}

static bool
has_hit(const struct score_result *result, struct str name)
{
	const struct score_hit *hit;

	for (hit = result->subs; hit != NULL; hit = hit->next)
		if (str_eq(hit->rule, name))
			return true;
	return score_hit(result, name);
}

static const char *
run_test(const struct rule_test *t)
{
	const struct score_rule *r = map_get(rules->by_name, t->rule);
	struct session *s;
	struct txn *txn;
	const struct score_result *result = NULL;
	bool hit;

	if (r == NULL || r->kind == RULE_KIND_COUNT)
		return "skip";
	/* Which field a function reads is not told. */
	if (r->kind == RULE_HEADER && r->eval.p != NULL)
		return "skip";
	s = session_new();
	txn = txn_begin(s, BODY_MAX);
	if (fill_text(txn, test_message(txn->arena, r, t)))
		result = score_run(txn, rules);
	hit = result != NULL && has_hit(result, t->rule);
	session_free(&s);
	return result != NULL && hit == t->ok ? "ok" : "not ok";
}

static int
run_tests(void)
{
	const struct rule_test *t;
	int failed = 0;

	for (t = rules->tests; t != NULL; t = t->next) {
		const char *word = run_test(t);

		failed |= strcmp(word, "not ok") == 0;
		printf("%s %.*s %s:%u\n", word, STR_FMT(t->rule), t->file,
		    t->line);
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
	struct ruleset_how how = { .subs = true };
	struct buf problems = BUF_INIT(OUT_MAX), err = BUF_INIT(4096);
	struct ruleset *set;
	bool list = false, test = false;
	int c, failed = 0;

	while ((c = getopt(argc, argv, "olt")) != -1) {
		if (c == 'o') {
			how.plugins = oracle_plugins;
			how.local_only = how.every = true;
		} else if (c == 'l') {
			list = true;
		} else if (c == 't') {
			test = true;
			how.every = true;
		} else {
			return 2;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "usage: hits [-o] [-l] [-t] RULES [FILE...]\n");
		return 2;
	}
	/* SpamAssassin knows no top level but those that rule files name. */
	if (how.plugins == NULL)
		psl_global_init();
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
	if (test)
		failed = run_tests();
	for (; optind < argc; optind++)
		failed |= strcmp(argv[optind], "-") == 0 ?
		    judge_listed() :
		    judge_file(argv[optind]);
	ruleset_free(&set);
	psl_global_free();
	buf_free(&problems);
	buf_free(&err);
	return failed;
}
