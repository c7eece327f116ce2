#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/metric.h"
#include "base/psl.h"
#include "check/check.h"
#include "score/match.h"
#include "score/score.h"

static struct services services;

static struct ruleset *
load(const char *rules, struct buf *problems)
{
	char path[] = "/tmp/postern-rules-XXXXXX";
	struct buf err = BUF_INIT(4096);
	struct ruleset *set;
	FILE *f;
	int fd;

	fd = mkstemp(path);
	assert_int_not_equal(fd, -1);
	f = fdopen(fd, "w");
	fputs(rules, f);
	fclose(f);
	set = ruleset_load(str_of(path), problems, &err);
	assert_non_null(set);
	unlink(path);
	buf_free(&err);
	return set;
}

/* A message on a connection, with these fields and this body. */
static struct session *
message(const char *const *fields, const char *body)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 1 << 20);
	struct str value;

	assert_non_null(check_attach_txn(t, &services));
	for (; *fields != NULL; fields++) {
		value = str_of(*fields);
		assert_true(header_add(t->arena, &t->headers,
		    str_cut(value, ':', &value), value));
	}
	body_add(&t->body, body, strlen(body));
	return s;
}

static const char *const fields[] = {
	"From: Alice Example <alice@example.org>",
	"To: bob@example.net",
	"Subject: =?utf-8?q?Cheap_pills?=",
	"Message-ID: <1@example.org>",
	NULL,
};

static const char body[] = "Buy   our\r\npills now!\r\n\r\nSee "
			   "http://pills.example.com/buy today.\r\n";

/* Which of the rules named hit. */
static void
assert_hits(const char *rules, const char *hits, double sum)
{
	struct buf problems = BUF_INIT(65536), found = BUF_INIT(65536);
	struct ruleset *set = load(rules, &problems);
	struct session *s = message(fields, body);
	const struct score_result *r = score_run(s->txn, set);
	char want[512], *name, *save;

	assert_non_null(r);
	assert_int_equal(problems.n, 0);
	snprintf(want, sizeof(want), "%s", hits);
	for (name = strtok_r(want, " ", &save); name != NULL;
	     name = strtok_r(NULL, " ", &save)) {
		if (!score_hit(r, str_of(name)))
			fail_msg("%s did not hit", name);
		buf_addc(&found, 'x');
	}
	assert_int_equal(found.n, r->count);
	assert_true(r->score > sum - 0.001 && r->score < sum + 0.001);
	assert_ptr_equal(score_run(s->txn, set), r);
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&found);
}

static void
test_header(void **state)
{
	(void)state;
	assert_hits("header A Subject =~ /cheap pills/i\n"
		    "header B Subject:raw =~ /utf-8/\n"
		    "header C From:addr =~ /^alice\\@example\\.org$/\n"
		    "header D From:name =~ /^Alice Example$/\n"
		    "header E exists:Reply-To\n"
		    "header F exists:Message-ID\n"
		    "header G Subject !~ /expensive/\n"
		    "header H Reply-To =~ /none/ [if-unset: none at all]\n"
		    "header I ALL =~ /^To: bob/m\n"
		    "header J ToCc =~ /bob/\n"
		    "header K Subject =~ m{cheap}\n",
	    "A B C D F G H I J", 9);
}

static void
test_body(void **state)
{
	(void)state;
	assert_hits("body A /Buy our pills now/\n"
		    "body B /^Cheap pills$/\n"
		    "body C /now! See/\n"
		    "uri D m{^http://pills\\.example\\.com/}\n"
		    "full E /Subject:.*\\n.*\\n\\nBuy {3}our/s\n",
	    "A B D E", 4);
}

static void
test_meta_and_scores(void **state)
{
	(void)state;
	assert_hits("body __PILLS /pills/\n"
		    "header __ALICE From =~ /alice/\n"
		    "meta BOTH (__PILLS && __ALICE)\n"
		    "score BOTH 1.5 2.5 3.5 4.5 # net, no bayes\n"
		    "meta NONE __PILLS && NOT_THERE\n"
		    "body ZERO /pills/\nscore ZERO 0\n"
		    "describe BOTH pills from alice\n",
	    "BOTH", 2.5);
}

static void
test_left_out(void **state)
{
	struct buf problems = BUF_INIT(65536);
	struct ruleset *set;

	(void)state;
	set = load("body GOOD /x/\n"
		   "header E eval:check_for_something()\n"
		   "body BAD /(/\n"
		   "frobnicate yes\n"
		   "ifplugin Mail::SpamAssassin::Plugin::DCC\n"
		   "body HIDDEN /y/\n"
		   "else\n"
		   "body SEEN /y/\n"
		   "endif\n",
	    &problems);
	assert_int_equal(ruleset_count(set), 2);
	assert_int_equal(ruleset_left_out(set), 3);
	assert_true(ruleset_has(set, STR("SEEN")));
	assert_false(ruleset_has(set, STR("HIDDEN")));
	assert_false(ruleset_has(set, STR("BAD")));
	assert_null(strstr(problems.p, ":2:"));
	assert_non_null(strstr(problems.p, ":3: left out: body BAD: "));
	assert_non_null(strstr(problems.p,
	    ":4: left out: frobnicate yes: not a word that is known\n"));
	buf_truncate(&problems, 0);
	ruleset_report(set, &problems);
	assert_non_null(strstr(problems.p,
	    ":2: left out: header E: eval:check_for_something\n"));
	assert_non_null(strstr(problems.p,
	    ":5: left out: ifplugin Mail::SpamAssassin::Plugin::DCC: "
	    "1 rule\n"));
	ruleset_free(&set);
	buf_free(&problems);
}

static void
test_report(void **state)
{
	struct buf problems = BUF_INIT(65536);
	struct ruleset *set = load("body FIRST /Buy/\nscore FIRST 4\n"
				   "body SECOND /pills/\n",
	    &problems);
	struct session *s = message(fields, body);
	const struct score_result *r = score_run(s->txn, set);
	struct str text;

	(void)state;
	assert_non_null(r);
	text = score_report(s->txn->arena, r, 0.5, 5);
	assert_true(
	    str_starts(text, STR("Yes, score=5.5 required=5.0 tests=")));
	assert_true(str_find(text, STR("FIRST")) > 0);
	assert_true(str_find(text, STR("SECOND")) > 0);
	text = score_report(s->txn->arena, NULL, 1, 5);
	assert_true(str_eq(text,
	    STR("No, score=1.0 required=5.0 tests=none autolearn=no")));
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
}

/* After so many messages the rule is asked no more, for a while. */
static void
assert_pause(struct ruleset *set, const char *text)
{
	int64_t limited = metric_get(METRIC_RULES_LIMITED);
	struct session *s;
	unsigned int i;

	clock_fake(1700000000000);
	for (i = 1; i < MATCH_STRIKES + 5; i++) {
		s = message(fields, text);
		assert_true(score_run(s->txn, set)->limited);
		session_free(&s);
	}
	assert_int_equal(metric_get(METRIC_RULES_LIMITED),
	    limited + MATCH_STRIKES - 1);
	clock_fake_advance(MATCH_PAUSE_MS + 1);
	s = message(fields, text);
	score_run(s->txn, set);
	assert_int_equal(metric_get(METRIC_RULES_LIMITED),
	    limited + MATCH_STRIKES);
	session_free(&s);
	clock_fake(-1);
}

/* A regex that runs away costs a bounded time and is told of. */
static void
test_limited(void **state)
{
	struct buf problems = BUF_INIT(65536);
	struct ruleset *set = load("full SLOW /(a+)+$/\n", &problems);
	struct session *s;
	const struct score_result *r;
	char long_body[4000];

	(void)state;
	memset(long_body, 'a', sizeof(long_body));
	memcpy(long_body + sizeof(long_body) - 5, "!\r\n", 4);
	s = message(fields, long_body);
	r = score_run(s->txn, set);
	assert_non_null(r);
	assert_int_equal(r->count, 0);
	assert_true(r->limited);
	session_free(&s);
	assert_pause(set, long_body);
	ruleset_free(&set);
	buf_free(&problems);
}

/* Links made to be slow for what asks about them. */
static struct session *
slow_links(const char *more)
{
	static const char *const html[] = { "From: a@example.org",
		"Content-Type: text/html", NULL };
	struct session *s = message(html, more);
	struct buf b = BUF_INIT(1 << 20);
	unsigned int i;

	for (i = 0; i < 300; i++) {
		buf_printf(&b, "<title>%u", i);
		buf_printf(&b, "%0500d!</title>", 0);
		buf_printf(&b, "<a href=http://%u.example.com/", i);
		buf_printf(&b, "%0500d!>a</a>\n", 0);
	}
	body_add(&s->txn->body, b.p, b.n);
	buf_free(&b);
	return s;
}

/* Functions and questions about links are bounded as other rules are. */
static void
test_limited_links(void **state)
{
	static const char *const rules[] = {
		"uri_detail SLOW raw =~ /(0+)+$/\n",
		"body SLOW eval:html_text_match('title', '(0+)+$')\n",
		"body SLOW eval:html_text_not_match('title', '(0+)+$')\n",
		"redirector_pattern /(0+)+$/\nuri SLOW /nowhere/\n",
	};
	struct buf problems = BUF_INIT(65536);
	const struct score_result *r;
	struct ruleset *set;
	struct session *s;
	int64_t began;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		set = load(rules[i], &problems);
		s = slow_links("");
		began = clock_thread_us();
		r = score_run(s->txn, set);
		assert_true(clock_thread_us() - began < 400000);
		assert_non_null(r);
		assert_int_equal(r->count, 0);
		assert_true(r->limited);
		session_free(&s);
		ruleset_free(&set);
	}
	assert_int_equal(problems.n, 0);
	buf_free(&problems);
}

/* What is counted many bytes at once: letters, and their cases. */
static void
test_letters(void **state)
{
	struct buf problems = BUF_INIT(65536), text = BUF_INIT(1 << 20);
	static const char *const plain[] = { "From: a@example.org", NULL };
	const struct score_result *r;
	struct ruleset *set;
	struct session *s;
	unsigned int i;

	(void)state;
	set = load("body HALF eval:check_for_uppercase('49.99', '50.01')\n"
		   "body MORE eval:check_for_uppercase('50.01', '100')\n"
		   "body __ALL /c/\n"
		   "tflags __ALL multiple\n"
		   "body __FEW /c/\n"
		   "tflags __FEW multiple maxhits=700\n"
		   "body __ONE /c/\n"
		   "meta COUNTED __ALL == 3000 && __FEW == 700 && __ONE == 1\n",
	    &problems);
	assert_int_equal(problems.n, 0);
	for (i = 0; i < 3000; i++)
		buf_adds(&text, i % 11 == 10 ? "AB [{c1@\r\n" : "AB [{c1@ ");
	s = message(plain, text.p);
	r = score_run(s->txn, set);
	assert_non_null(r);
	assert_true(score_hit(r, STR("HALF")));
	assert_true(score_hit(r, STR("COUNTED")));
	assert_int_equal(r->count, 2);
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&text);
}

/* Fields of parts do not pile up, rule by rule. */
static void
test_many_parts(void **state)
{
	static const char *const mixed[] = { "From: a@example.org",
		"Content-Type: multipart/mixed; boundary=b", NULL };
	struct buf problems = BUF_INIT(65536), rules = BUF_INIT(65536);
	struct session *s = message(mixed, "");
	struct ruleset *set;
	char long_name[1000];
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		buf_printf(&rules, "mimeheader R%u Content-Type =~ /exe$/\n",
		    i);
	set = load(rules.p, &problems);
	assert_int_equal(problems.n, 0);
	memset(long_name, 'n', sizeof(long_name));
	for (i = 0; i < 800; i++) {
		body_add(&s->txn->body, "--b\nContent-Type: a/b; name=", 28);
		body_add(&s->txn->body, long_name, sizeof(long_name));
		body_add(&s->txn->body, "\n\nx\n", 5);
	}
	assert_non_null(score_run(s->txn, set));
	assert_true(arena_used(s->txn->arena) < 16 << 20);
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&rules);
}

static bool
has_hit(const struct score_result *r, const char *rule)
{
	const struct score_hit *h;

	for (h = r->hits; h != NULL; h = h->next)
		if (str_eq(h->rule, str_of(rule)))
			return true;
	return false;
}

/* Each rule sees each part, those whose fields are kept and those behind. */
static void
test_each_part(void **state)
{
	static const char *const mixed[] = { "From: a@example.org",
		"Content-Type: multipart/mixed; boundary=b", NULL };
	struct buf problems = BUF_INIT(65536), text = BUF_INIT(65536);
	struct session *s = message(mixed, "");
	const struct score_result *r;
	struct ruleset *set;
	char name[16];
	unsigned int i;

	(void)state;
	buf_adds(&text,
	    "mimeheader UNSET Content-ID =~ /^none$/ [if-unset: "
	    "none]\n"
	    "mimeheader SET Content-ID =~ /none/\n"
	    "mimeheader MIXED Content-Type =~ /^multi.?part/\n"
	    "mimeheader NOT Content-Type !~ /type04/\n"
	    "mimeheader NOWHERE Content-Type !~ /type24/\n"
	    "mimeheader SHORT Content-Type =~ /ad$/m\n"
	    "mimeheader EMPTY Content-ID =~ /^$/\n");
	for (i = 0; i < 2 * PART_TEXTS; i++)
		buf_printf(&text, "mimeheader R%u Content-Type =~ /type%02u/\n",
		    i, i);
	set = load(text.p, &problems);
	assert_int_equal(problems.n, 0);
	for (i = 0; i < PART_TEXTS + 8; i++) {
		buf_truncate(&text, 0);
		buf_printf(&text,
		    "--b\nContent-Type: a/x; name=type%02u-ad\n\n", i);
		body_add(&s->txn->body, text.p, text.n);
	}
	body_add(&s->txn->body, "--b--\n", 6);
	r = score_run(s->txn, set);
	assert_non_null(r);
	assert_false(r->limited);
	for (i = 0; i < 2 * PART_TEXTS; i++) {
		snprintf(name, sizeof(name), "R%u", i);
		assert_int_equal(has_hit(r, name), i < PART_TEXTS + 8);
	}
	assert_true(has_hit(r, "UNSET"));
	assert_true(has_hit(r, "MIXED"));
	assert_true(has_hit(r, "NOWHERE"));
	assert_true(has_hit(r, "SHORT"));
	assert_true(has_hit(r, "EMPTY"));
	assert_false(has_hit(r, "SET"));
	assert_false(has_hit(r, "NOT"));
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&text);
}

/* As many rules as SpamAssassin has, and mails made to be slow for them. */
static struct ruleset *
many_rules(const char *format, unsigned int n)
{
	struct buf rules = BUF_INIT(1 << 20), problems = BUF_INIT(1024);
	struct ruleset *set;
	unsigned int i;

	for (i = 0; i < n; i++) {
		buf_printf(&rules, "header R%04u ", i);
		buf_printf(&rules, "%s\n", format);
	}
	set = load(rules.p, &problems);
	assert_int_equal(problems.n, 0);
	buf_free(&rules);
	buf_free(&problems);
	return set;
}

/* Fields are read once for all rules, not once for each. */
static void
test_many_header_rules(void **state)
{
	struct ruleset *set = many_rules("ALL =~ /nowhere[x-z]here/", 300);
	struct session *s = message(fields, body);
	struct txn *t = s->txn;
	char value[1001];
	unsigned int i;

	(void)state;
	memset(value, 'y', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (i = 0; i < 1500; i++)
		assert_true(header_add(t->arena, &t->headers, STR("X-Long"),
		    str_of(value)));
	assert_non_null(score_run(t, set));
	assert_true(arena_used(t->arena) < 12 << 20);
	session_free(&s);
	ruleset_free(&set);
}

/* The time is over soon. */
static void *
advance(void *arg)
{
	(void)arg;
	usleep(50000);
	clock_fake_advance(SCORE_MAX_MS + 1);
	return NULL;
}

/* What is left to ask when the time is over counts as no hit. */
static void
test_time(void **state)
{
	pthread_t thread;
	struct buf problems = BUF_INIT(65536), rules = BUF_INIT(65536);
	struct ruleset *set;
	struct session *s;
	struct txn *t;
	const struct score_result *r;
	unsigned int i;

	(void)state;
	buf_adds(&rules, "body FIRST /aaa/\n");
	for (i = 0; i < 300; i++)
		buf_printf(&rules, "body SLOW%u /(a+)+$/\n", i);
	buf_adds(&rules,
	    "body __LAST /aaa/\nmeta LAST __LAST\n"
	    "meta NOT !__LAST\n");
	set = load(rules.p, &problems);
	s = message(fields, "");
	t = s->txn;
	for (i = 0; i < 5000; i++)
		body_add(&t->body, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\n\n",
		    36);
	clock_fake(1700000000000);
	assert_int_equal(pthread_create(&thread, NULL, advance, NULL), 0);
	r = score_run(t, set);
	pthread_join(thread, NULL);
	clock_fake(-1);
	assert_non_null(r);
	assert_true(r->limited);
	assert_true(score_hit(r, STR("FIRST")));
	assert_false(score_hit(r, STR("LAST")));
	assert_false(score_hit(r, STR("NOT")));
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&rules);
}

/* A long line is cut at blanks; every word is still seen. */
static void
test_long_line(void **state)
{
	struct buf problems = BUF_INIT(65536);
	struct ruleset *set = load("body A /pills/\nbody B /^.{2049}/\n"
				   "body D /at the end/\n",
	    &problems);
	struct session *s = message(fields, "");
	const struct score_result *r;
	char word[3000];
	unsigned int i;

	(void)state;
	for (i = 0; i < 10000; i++)
		body_add(&s->txn->body, "abc ", 4);
	memset(word, 'w', sizeof(word));
	body_add(&s->txn->body, word, sizeof(word));
	body_add(&s->txn->body, " pills at the end\r\n", 19);
	r = score_run(s->txn, set);
	assert_non_null(r);
	assert_false(r->limited);
	assert_true(score_hit(r, STR("A")));
	assert_false(score_hit(r, STR("B")));
	assert_true(score_hit(r, STR("D")));
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
}

/* As printf() rounds it, but never up to what is required. */
static void
test_report_rounds(void **state)
{
	static const struct {
		double score, required;
		const char *text;
	} all[] = {
		{ 2.25, 5, "No, score=2.2 required=5.0 " },
		{ 2.26, 5, "No, score=2.3 required=5.0 " },
		{ 4.96, 5, "No, score=4.9 required=5.0 " },
		{ 1.13, 1.131, "No, score=1 required=1.1 " },
		{ -0.01, 0, "No, score=-0.1 required=0.0 " },
		{ 5, 5, "Yes, score=5.0 required=5.0 " },
	};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		assert_true(str_starts(score_report(a, NULL, all[i].score,
					   all[i].required),
		    str_of(all[i].text)));
	arena_free(&a);
}

static void
test_required(void **state)
{
	struct buf problems = BUF_INIT(65536);
	struct ruleset *set = load("required_score 7.5\n", &problems);

	(void)state;
	assert_true(ruleset_required(set) == 7.5);
	ruleset_free(&set);
	set = load("body A /a/\nrequired_score many\n", &problems);
	assert_true(ruleset_required(set) == SCORE_REQUIRED);
	assert_non_null(strstr(problems.p, "a number is expected"));
	ruleset_free(&set);
	buf_free(&problems);
}

static void
test_order(void **state)
{
	struct buf problems = BUF_INIT(65536);
	struct ruleset *set = load("score Z 2\nbody C /pills/\nbody A /pills/\n"
				   "score NEVER 1\nbody Z /pills/\n"
				   "body B /pills/\nbody C /our/\n",
	    &problems);
	struct session *s = message(fields, body);
	struct str report =
	    score_report(s->txn->arena, score_run(s->txn, set), 0, 5);

	(void)state;
	assert_true(str_eq(report,
	    STR("Yes, score=5.0 required=5.0 tests=A,B,C,Z autolearn=no")));
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_meta_and_scores),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_report_rounds),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_limited),
		cmocka_unit_test(test_limited_links),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_many_parts),
		cmocka_unit_test(test_each_part),
		cmocka_unit_test(test_many_header_rules),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_order),
	};

	int failed;

	if (!psl_global_init())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	psl_global_free();
	return failed;
}
