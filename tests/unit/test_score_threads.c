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

#include "base/psl.h"
#include "check/check.h"
#include "score/score.h"

/*
 * One ruleset, judged with by many threads from its first message on: what
 * is made late (machine code, regexes of functions) is made while others
 * ask for it.
 */

#define THREADS 4
#define ROUNDS	20

static const char rules[] =
    "header A Subject =~ /pills/i\n"
    "header B From:addr =~ /example\\.org$/\n"
    "header __N From:name =~ /(?<NAME>Alice)/\n"
    "body C /buy\\s+our/i\n"
    "body D /%{NAME}/\n"
    "rawbody E /<a href/\n"
    "full F /^Content-Type:.{1,40}html/m\n"
    "full G /(x|y)+[^a]*(?=never\\d)/s\n"
    "uri H /pills\\.example/\n"
    "uri_detail I domain =~ /^example\\.com$/\n"
    "mimeheader J Content-Type =~ /html/\n"
    "body K eval:html_text_match('title', '^Sale')\n"
    "body L eval:html_tag_exists('b')\n"
    "header M eval:check_freemail_from()\n"
    "freemail_domains example.org\n"
    "enlist_addrlist (FRIENDS) *@example.org\n"
    "header O eval:check_from_in_list('FRIENDS')\n"
    "header P eval:check_for_shifted_date('undef', '-1')\n"
    "redirector_pattern /\\?to=(.*)$/\n"
    "uri Q /^http:..hidden\\.example/\n"
    "body R /(a+)+$/\n"
    "meta S A && B && C && !D\n";

static const char *const fields[] = {
	"From: Alice Example <alice@example.org>",
	"To: bob@example.net",
	"Subject: =?utf-8?q?Cheap_pills?=",
	"Date: Mon, 1 Jan 2024 10:00:00 +0000",
	"Received: from a.example (a.example [192.0.2.1]) by b.example",
	"Content-Type: text/html; charset=utf-8",
	NULL,
};

static const char html[] =
    "<title>Sale</title><b>Buy our</b> pills, Alice\n"
    "<a href='http://pills.example.com/?to=http://hidden.example/'>x</a>\n"
    "<p>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!</p>\n";

static struct services services;
static const struct ruleset *set;

static struct str
judge(struct session *s)
{
	struct txn *t = txn_begin(s, 1 << 20);
	const char *const *f;
	struct str value;
	int i;

	if (check_attach_txn(t, &services) == NULL)
		return STR_NONE;
	for (f = fields; *f != NULL; f++) {
		value = str_of(*f);
		header_add(t->arena, &t->headers, str_cut(value, ':', &value),
		    value);
	}
	body_add(&t->body, html, strlen(html));
	/* Long enough to be searched with an eye on the clock. */
	for (i = 0; i < 500; i++)
		body_add(&t->body, "<p>zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n", 35);
	return score_report(t->arena, score_run(t, set), 0, 5);
}

static void *
judge_many(void *arg)
{
	struct buf *first = arg;
	struct session *s;
	struct str report;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		s = session_new();
		report = judge(s);
		if (i == 0)
			buf_addstr(first, report);
		else if (!str_eq(buf_str(first), report))
			buf_adds(first, " and then another");
		session_free(&s);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	char path[] = "/tmp/postern-rules-XXXXXX";
	struct buf problems = BUF_INIT(4096), err = BUF_INIT(4096);
	struct buf first[THREADS];
	pthread_t thread[THREADS];
	struct ruleset *loaded;
	int i, fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, rules, strlen(rules)), strlen(rules));
	close(fd);
	set = loaded = ruleset_load(str_of(path), &problems, &err);
	unlink(path);
	assert_non_null(set);
	assert_int_equal(problems.n, 0);
	for (i = 0; i < THREADS; i++) {
		first[i] = (struct buf)BUF_INIT(65536);
		assert_int_equal(pthread_create(&thread[i], NULL, judge_many,
				     &first[i]),
		    0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < THREADS; i++) {
		assert_true(
		    str_find(buf_str(&first[i]), STR("tests=A,B,C,")) > 0);
		assert_true(str_eq(buf_str(&first[i]), buf_str(&first[0])));
	}
	for (i = 0; i < THREADS; i++)
		buf_free(&first[i]);
	ruleset_free(&loaded);
	buf_free(&problems);
	buf_free(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_threads) };
	int failed;

	if (!psl_global_init())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	psl_global_free();
	return failed;
}
