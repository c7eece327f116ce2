#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "score/rule.h"
#include "score/ruleset.h"

static const struct ruleset_how usual;

/* What was not understood is *problems, of all the text "" . */
static struct ruleset *
parse(const char *text, const char *problems)
{
	struct buf found = BUF_INIT(1 << 20);
	struct ruleset *set = ruleset_parse(str_of(text), &usual, &found);

	assert_non_null(set);
	assert_string_equal(found.n ? found.p : "", problems);
	buf_free(&found);
	return set;
}

static const struct score_rule *
rule(const struct ruleset *set, const char *name)
{
	const struct score_rule *r = map_get(set->by_name, str_of(name));

	assert_non_null(r);
	return r;
}

static void
test_lines(void **state)
{
	struct ruleset *set = parse("# a comment\n"
				    "\tBODY  A-B\t/x\\#y/  # tail\r\n"
				    "body A /x\\#y/  # tail\r\n"
				    "describe A it says x\\#y\n"
				    "lang de describe A auf deutsch\n"
				    "lang en describe A in English\n"
				    "clear-report-template\n",
	    "text:2: left out: body A-B: its name is no name of a rule\n");

	(void)state;
	assert_int_equal(ruleset_count(set), 1);
	assert_true(str_eq(rule(set, "A")->pattern, STR("x#y")));
	assert_true(str_eq(rule(set, "A")->describe, STR("in English")));
	assert_int_equal(set->left_count[LEFT_LANGUAGE], 1);
	assert_int_equal(set->left_count[LEFT_OPTION], 1);
	ruleset_free(&set);
}

static void
test_scores(void **state)
{
	struct ruleset *set = parse("body A /a/\nbody B /b/\nbody T_C /c/\n"
				    "body D /d/\nbody __E /e/\nbody F /f/\n"
				    "score A 1 2 3 4\nscore A (1)\n"
				    "score D 0\nscore F (1)\nscore F 1 2\n"
				    "score F x\ntflags B nice\n",
	    "text:10: left out: score F: its score adds to none\n"
	    "text:11: left out: score F: a score is one number, or four\n"
	    "text:12: left out: score F: its score is not a number\n");

	(void)state;
	assert_true(rule(set, "A")->score == 3);
	assert_true(rule(set, "A")->scores[3] == 5);
	assert_true(rule(set, "B")->score == -1);
	assert_true(rule(set, "T_C")->score == 0.01);
	assert_true(rule(set, "D")->off);
	assert_false(rule(set, "__E")->off);
	assert_true(rule(set, "F")->score == 1);
	ruleset_free(&set);
}

/* What is said of a rule holds when it is defined again; what it was not. */
static void
test_again(void **state)
{
	struct ruleset *set = parse("score A 5\ntflags A multiple\n"
				    "header A Subject !~ /x/ [if-unset: y]\n"
				    "body A /first/\nbody A /(/\n",
	    "text:5: left out: body A: missing closing parenthesis\n");
	const struct score_rule *a = rule(set, "A");

	(void)state;
	assert_int_equal(ruleset_count(set), 1);
	assert_int_equal(a->kind, RULE_BODY);
	assert_false(a->negate);
	assert_null(a->if_unset.p);
	assert_true(str_eq(a->pattern, STR("first")));
	assert_true(a->score == 5);
	assert_true(a->multiple);
	ruleset_free(&set);
}

static void
test_conditions(void **state)
{
	struct ruleset *set =
	    parse("if (1)\nif (0)\nbody A /a/\nelse\nbody B /b/\nendif\n"
		  "else\nif (1)\nbody C /c/\nelse\nbody D /d/\nendif\nendif\n"
		  "ifplugin Mail::SpamAssassin::Plugin::Bayes\nbody E /e/\n"
		  "frobnicate\nendif\n"
		  "if foo\nbody F /f/\nelse\nbody G /g/\nendif\n"
		  "else\nendif\nif (1)\nbody H /h/\n",
		"text:18: left out: if foo: `foo' has no meaning in a "
		"condition\n"
		"text:23: left out: else: there is no `if' before it\n"
		"text:24: left out: endif: there is no `if' before it\n"
		"text:26: left out: if (1): the `if' is not closed\n");

	(void)state;
	assert_int_equal(ruleset_count(set), 3);
	assert_true(ruleset_has(set, STR("B")));
	assert_true(ruleset_has(set, STR("G")));
	assert_true(ruleset_has(set, STR("H")));
	assert_int_equal(set->left_count[LEFT_PLUGIN], 1);
	assert_int_equal(set->left_count[LEFT_CONDITION], 4);
	ruleset_free(&set);
}

static void
test_version(void **state)
{
	struct ruleset *set = parse("require_version @@VERSION@@\nbody A /a/\n"
				    "require_version 4.000001\nbody B /b/\n"
				    "require_version 3.004000\nbody C /c/\n",
	    "text:5: left out: require_version 3.004000: the rest of the "
	    "file is for another version\n");

	(void)state;
	assert_int_equal(ruleset_count(set), 2);
	ruleset_free(&set);
}

static void
test_metas(void **state)
{
	struct ruleset *set =
	    parse("body __A1 /a/\nbody __A22 /a/\nbody B /b/\nscore B 0\n"
		  "meta ALL rules_matching(__A*) + rules_matching(B?) > 1\n"
		  "meta LATE EARLY && NOBODY\nmeta EARLY __A1\n"
		  "meta LOOP_1 LOOP_2\nmeta LOOP_2 !LOOP_1\nmeta AFTER LOOP_1\n"
		  "meta OFF 1\nscore OFF 0\nmeta READS_OFF !OFF\n"
		  "meta READS_B !B\nmeta LOCAL local_tests_only\n"
		  "meta BAD A +* B\n",
		"text:16: left out: meta BAD: '*' has no meaning in a meta "
		"rule\n"
		"text:8: left out: meta LOOP_1: it depends on itself\n"
		"text:9: left out: meta LOOP_2: it depends on itself\n"
		"text:10: left out: meta AFTER: it depends on itself\n");
	const struct score_rule *late = rule(set, "LATE");

	(void)state;
	assert_int_equal(rule(set, "ALL")->nreads, 2);
	assert_ptr_equal(rule(set, "ALL")->reads[1], rule(set, "__A22"));
	assert_ptr_equal(late->reads[0], rule(set, "EARLY"));
	assert_null(late->reads[1]);
	/* A meta without an answer leaves those that read it without one; any
	 * other rule that is not asked has not hit. */
	assert_true(rule(set, "READS_OFF")->off);
	assert_false(rule(set, "READS_B")->off);
	assert_int_equal(rule(set, "LOCAL")->nreads, 0);
	assert_false(ruleset_has(set, STR("AFTER")));
	ruleset_free(&set);
}

static void
test_tags(void **state)
{
	struct ruleset *set = parse(
	    "replace_tag A [a4]\nreplace_tag B (?:b|<A>8)\n"
	    "replace_inter W \\W?\nreplace_post P {1,2}\nreplace_pre Q x?\n"
	    "body R1 /<A><B>/i\nbody R2 /<inter W><A><B>c<A>/\n"
	    "body R3 /<post P><A>-<none>(?<!z)/\nbody R4 /<pre Q><A>/\n"
	    "body R5 /<A>/\nreplace_rules R1 R2 R3\nreplace_rules R4 NONE\n",
	    "");

	(void)state;
	assert_true(str_eq(rule(set, "R1")->pattern, STR("[a4](?:b|[a4]8)")));
	assert_true(str_eq(rule(set, "R1")->re_flags, STR("io")));
	assert_true(
	    str_eq(rule(set, "R2")->pattern, STR("[a4]\\W?(?:b|[a4]8)c[a4]")));
	assert_true(str_eq(rule(set, "R3")->pattern,
	    STR("[a4]{1,2}-<none>{1,2}(?<!z)")));
	assert_true(str_eq(rule(set, "R4")->pattern, STR("x?[a4]")));
	assert_true(str_eq(rule(set, "R5")->pattern, STR("<A>")));
	ruleset_free(&set);
}

static void
test_options(void **state)
{
	struct ruleset *set = parse(
	    "freemail_domains a.example b.example\nfreemail_domains c.example\n"
	    "trusted_networks 192.0.2.0/24\nbayes_path /x\nrequired_score 7\n"
	    "redirector_pattern /^http:\\/\\/r\\/(.*)$/\n"
	    "redirector_pattern x\n"
	    "test A ok some text\ntest A maybe\nloadplugin Own own.pm\n"
	    "header N eval:check_rbl('zen', 'zen.example.')\n"
	    "body E eval:no_such_function()\npriority A -5\npriority A x\n",
	    "text:7: left out: redirector_pattern x: a regex is expected\n"
	    "text:9: left out: test A: a rule, `ok' or `fail' and a text are "
	    "expected\n"
	    "text:14: left out: priority A: a rule and a whole number are "
	    "expected\n");
	const struct rule_option *o =
	    map_get(set->options, STR("freemail_domains"));

	(void)state;
	assert_true(str_eq(o->value, STR("a.example b.example")));
	assert_true(str_eq(o->next->value, STR("c.example")));
	assert_null(o->next->next);
	assert_int_equal(set->trust.nets.trusted.n, 1);
	assert_null(map_get(set->options, STR("bayes_path")));
	assert_true(set->required == 7);
	assert_int_equal(set->nredirectors, 1);
	assert_true(set->tests->ok);
	assert_true(str_eq(set->tests->text, STR("some text")));
	assert_null(set->tests->next);
	assert_int_equal(set->left_count[LEFT_NETWORK], 1);
	assert_int_equal(set->left_count[LEFT_FUNCTION], 1);
	assert_int_equal(set->left_count[LEFT_PLUGIN], 1);
	assert_int_equal(ruleset_count(set), 0);
	ruleset_free(&set);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
remove_file(const char *dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

/* A file is read where it is included, relative to who includes it; its ifs
 * are its own; one that includes itself ends. */
static void
test_include(void **state)
{
	struct buf problems = BUF_INIT(65536), err = BUF_INIT(4096);
	char dir[] = "/tmp/postern-rules-XXXXXX", path[4096];
	struct ruleset *set;

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_file(dir, "a.cf",
	    "if (1)\ninclude b.inc\nendif\nbody A /a/\n"
	    "include none.inc\ninclude a.cf\n");
	write_file(dir, "b.inc", "body B /b/\nendif\nif (0)\n");
	snprintf(path, sizeof(path), "%s/*.cf", dir);
	set = ruleset_load(str_of(path), &problems, &err);
	assert_non_null(set);
	assert_int_equal(ruleset_count(set), 2);
	assert_non_null(strstr(problems.p,
	    "b.inc:2: left out: endif: there is no `if' before it\n"));
	assert_non_null(strstr(problems.p,
	    "b.inc:3: left out: if (0): the `if' is not closed\n"));
	assert_non_null(strstr(problems.p, "none.inc: No such file"));
	assert_non_null(strstr(problems.p, "files are included too deep\n"));
	ruleset_free(&set);
	set = ruleset_load(STR("/nonexistent/*.cf"), &problems, &err);
	assert_null(set);
	assert_string_equal(err.p, "/nonexistent/*.cf: no such file");
	buf_free(&problems);
	buf_free(&err);
	remove_file(dir, "a.cf");
	remove_file(dir, "b.inc");
	assert_int_equal(rmdir(dir), 0);
}

/* Tags that double at each of their passes end in a rule left out. */
static void
test_bombs(void **state)
{
	struct buf text = BUF_INIT(1 << 20), problems = BUF_INIT(1 << 20);
	struct ruleset *set;
	int i, j;

	(void)state;
	for (i = 0; i < 6; i++) {
		buf_printf(&text, "replace_tag T%d ", i);
		for (j = 0; j < 40; j++)
			buf_printf(&text, "<T%d>", i + 1);
		buf_addc(&text, '\n');
	}
	buf_adds(&text, "body BOMB /<T0>/\nreplace_rules BOMB\nmeta M ");
	for (i = 0; i < 5000; i++)
		buf_adds(&text, "rules_matching(*)+");
	buf_adds(&text, "1\n");
	for (i = 0; i < 100; i++)
		buf_adds(&text, "if (1)\n");
	set = ruleset_parse(buf_str(&text), &usual, &problems);
	assert_int_equal(ruleset_count(set), 0);
	assert_non_null(strstr(problems.p, "body BOMB: its tags make it"));
	assert_non_null(strstr(problems.p, "if (1): nested too deep"));
	ruleset_free(&set);
	buf_free(&text);
	buf_free(&problems);
}

static void
test_stock(void **state)
{
	struct buf problems = BUF_INIT(1 << 20), err = BUF_INIT(4096);
	struct buf report = BUF_INIT(1 << 20);
	struct ruleset *set;

	(void)state;
	if (access("/usr/share/spamassassin", R_OK) != 0)
		skip();
	set =
	    ruleset_load(STR("/usr/share/spamassassin/*.cf"), &problems, &err);
	assert_non_null(set);
	assert_int_equal(problems.n, 0);
	assert_true(ruleset_count(set) > 2000);
	ruleset_report(set, &report);
	assert_non_null(strstr(report.p, "\theader  "));
	assert_null(strstr(report.p, "not understood"));
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&err);
	buf_free(&report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_metas),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_stock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
