#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/psl.h"
#include "check/check.h"
#include "daemon/message.h"
#include "score/chain.h"
#include "score/plan.h"
#include "score/regex.h"
#include "score/score.h"
#include "random_regex.h"

#define STOCK	 "/usr/share/spamassassin/*.cf"
#define MESSAGES 40 /* of the golden ones; PREFILTER_ALL=1: each */

/* --- one pass ----------------------------------------------------------- */

/* The numbers of the rules that a pass over the text names. */
static void
assert_pass(const struct prefilter *p, const char *text, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	struct prefilter_scratch s;
	char got[11] = "";
	bool named[10] = { false };
	size_t i, n;

	assert_true(prefilter_begin(p, a, &s));
	prefilter_pass(p, PREFILTER_BODY, str_of(text), &s);
	for (i = 0; i < s.nfound; i++) {
		assert_false(named[s.found[i]]);
		named[s.found[i]] = true;
	}
	for (i = n = 0; i < 10; i++)
		if (named[i])
			got[n++] = (char)('0' + i);
	assert_string_equal(got, want);
	arena_free(&a);
}

static void
test_pass(void **state)
{
	struct prefilter *p = prefilter_new(10);

	(void)state;
	assert_true(
	    prefilter_add(p, PREFILTER_BODY, 0, STR("cheap pills"), STR("i")));
	assert_true(
	    prefilter_add(p, PREFILTER_BODY, 1, STR("abc.*xyz"), STR("")));
	assert_true(prefilter_add(p, PREFILTER_BODY, 2,
	    STR("\\bv\\W?[i1]\\W?a\\W?g\\W?r\\W?a\\b"), STR("i")));
	assert_false(prefilter_add(p, PREFILTER_BODY, 3, STR("\\S"), STR("")));
	assert_false(
	    prefilter_add(p, PREFILTER_BODY, 4, STR("^.{5}$"), STR("")));
	assert_true(prefilter_add(p, PREFILTER_URI, 5, STR("cheap"), STR("")));
	prefilter_ready(p);
	assert_true(prefilter_covers(p, 0));
	assert_false(prefilter_covers(p, 3));
	assert_pass(p, "", "");
	assert_pass(p, "Cheap Pills", "0");
	assert_pass(p, "a\tCHEAP\fpills\n", "0");
	assert_pass(p, "cheap pill", "");
	assert_pass(p, "abc", "");
	assert_pass(p, "xyz abc xyz abc", "1");
	assert_pass(p, "xyabcyz", "");
	assert_pass(p, "V-1-a-g-r.a", "2");
	assert_pass(p, "v iegra", "");
	assert_pass(p, "viagra abcxyz CHEAP PILLS cheap pills", "012");
	prefilter_free(&p);
}

/* Literals of many lengths are met at each place, and only where all of them
 * stands. */
static void
test_places(void **state)
{
	static const char *const words[] = { "xyz", "wxyz", "vwxyz", "xyzab",
		"abcdefghijklmnopqr", "with the zebra" };
	struct prefilter *p = prefilter_new(10);
	char text[161], want[2] = "0";
	size_t at, i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_true(prefilter_add(p, PREFILTER_BODY, (uint32_t)i,
		    str_of(words[i]), STR("")));
	prefilter_ready(p);
	/* The others hold the first. */
	for (i = 4; i < 6; i++)
		for (at = 0; at + strlen(words[i]) < sizeof(text); at++) {
			memset(text, '-', sizeof(text));
			text[sizeof(text) - 1] = '\0';
			memcpy(text + at, words[i], strlen(words[i]));
			text[at] = (char)(text[at] - 0x20);
			want[0] = (char)('0' + i);
			assert_pass(p, text, want);
			text[at + 1] = '-';
			assert_pass(p, text, "");
		}
	for (at = 0; at + 5 < sizeof(text); at++) {
		memset(text, '-', sizeof(text));
		text[sizeof(text) - 1] = '\0';
		memcpy(text + at, "VWXYZ", 5);
		assert_pass(p, text, "012");
		text[at] = text[at + 1];
		assert_pass(p, text, "01");
		text[at + 1] = '\xdf';
		assert_pass(p, text, "0");
		text[at + 2] = '8';
		assert_pass(p, text, "");
	}
	prefilter_free(&p);
}

/* Literals of common letters are in most texts, those of rare ones in few. */
static void
test_odds(void **state)
{
	struct prefilter *p = prefilter_new(10);

	(void)state;
	assert_true(
	    prefilter_add(p, PREFILTER_BODY, 0, STR("the.*and"), STR("i")));
	assert_true(
	    prefilter_add(p, PREFILTER_BODY, 1, STR("zloty.*quiz"), STR("i")));
	assert_true(
	    prefilter_add(p, PREFILTER_BODY, 2, STR("q.?z.?q.?z"), STR("i")));
	assert_true(prefilter_odds(p, 0) > 0.5);
	assert_true(prefilter_odds(p, 1) < 0.1);
	assert_true(prefilter_odds(p, 2) == 0);
	prefilter_free(&p);
}

/* Rules that another stands for, and it itself, are one. */
static void
test_names(void **state)
{
	static const char *const patterns[] = { "quiz.*zloty", "abcdef",
		"quiz|abcde" };
	struct prefilter *p = prefilter_new(10);
	uint32_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_true(prefilter_add(p, PREFILTER_BODY, i,
		    str_of(patterns[i]), STR("")));
	prefilter_ready(p);
	assert_pass(p, "quiz zloty abcdef", "012");
	prefilter_name(p, 1, 0);
	prefilter_name(p, 2, 0);
	assert_pass(p, "", "");
	assert_pass(p, "zloty abcd", "");
	assert_pass(p, "quiz", "0");
	assert_pass(p, "abcdef", "0");
	assert_pass(p, "abcdef quiz zloty quiz", "0");
	assert_pass(p, "zloty quiz abcdef", "0");
	prefilter_free(&p);
}

/* --- chains against PCRE2 ----------------------------------------------- */

static void
found(void *arg, uint32_t rule)
{
	assert_int_equal(rule, 3);
	*(bool *)arg = true;
}

static void
check_chain(const struct regex *re, const struct chains *c, struct str pattern,
    unsigned int *hits)
{
	char text[16];
	unsigned int i;
	bool met;

	for (i = 0; i < 40; i++) {
		random_text(text, sizeof(text));
		met = false;
		if (regex_match(re, (struct str){ text, sizeof(text) }) !=
		    REGEX_YES)
			continue;
		(*hits)++;
		chain_pass(c, (struct str){ text, sizeof(text) }, found, &met);
		if (!met)
			fail_msg("/%.*s/ matches \"%.16s\"", STR_FMT(pattern),
			    text);
	}
}

static void
test_chains_never_miss(void **state)
{
	struct buf re = BUF_INIT(4096), err = BUF_INIT(4096);
	struct arena *a = arena_new(4 << 20);
	unsigned int i, known = 0, hits = 0;
	const struct tree *t;
	struct chains *c;
	struct regex *x;
	size_t at;

	(void)state;
	for (i = 0; i < 6000; i++) {
		buf_truncate(&re, 0);
		buf_truncate(&err, 0);
		random_pattern(&re, &few_letters, 2);
		arena_reset(a);
		c = chain_new();
		t = tree_of(a, buf_str(&re), STR("imo"));
		if (t != NULL && chain_add(c, t, 3) &&
		    (x = regex_new(buf_str(&re), STR("imo"), &err, &at)) !=
			NULL) {
			known++;
			chain_ready(c);
			check_chain(x, c, buf_str(&re), &hits);
			regex_free(&x);
		}
		chain_free(&c);
	}
	assert_true(known > 500);
	assert_true(hits > 500);
	buf_free(&re);
	buf_free(&err);
	arena_free(&a);
}

/* --- the stock rules on real mail --------------------------------------- */

static struct services services;
static struct ruleset *with, *without, *on_demand;
static unsigned int judged;

static const struct score_result *
judge(struct session *s, const struct message *m, const struct ruleset *set)
{
	struct txn *t = txn_begin(s, 8 << 20);
	const struct message_field *f;

	assert_non_null(check_attach_txn(t, &services));
	for (f = m->fields; f != NULL; f = f->next)
		assert_true(
		    header_add(t->arena, &t->headers, f->name, f->value));
	body_add(&t->body, m->body.p, m->body.n);
	return score_run(t, set);
}

static void
assert_same(const struct score_hit *a, const struct score_hit *b,
    struct str label)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next)
		if (!str_eq(a->rule, b->rule) || a->times != b->times)
			fail_msg("%.*s: %.*s %g times, %.*s %g times",
			    STR_FMT(label), STR_FMT(a->rule), a->times,
			    STR_FMT(b->rule), b->times);
	if (a != NULL || b != NULL)
		fail_msg("%.*s: %.*s", STR_FMT(label),
		    STR_FMT(a != NULL ? a->rule : b->rule));
}

static void
compare(void *arg, struct message *m)
{
	struct session *s1 = session_new(), *s2 = session_new();
	struct session *s3 = session_new();
	const struct score_result *a = judge(s1, m, with);
	const struct score_result *b = judge(s2, m, without);
	const struct score_result *c = judge(s3, m, on_demand);

	(void)arg;
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_false(a->limited || b->limited || c->limited);
	assert_same(a->hits, b->hits, m->label);
	assert_same(a->subs, b->subs, m->label);
	assert_same(a->hits, c->hits, m->label);
	judged++;
	session_free(&s1);
	session_free(&s2);
	session_free(&s3);
}

static struct ruleset *
load(bool prefiltered, bool subs)
{
	struct ruleset_how how = { .every = true, .subs = subs };
	struct buf problems = BUF_INIT(1 << 20), err = BUF_INIT(4096);
	struct ruleset *set =
	    ruleset_load_how(STR(STOCK), &how, &problems, &err);

	assert_non_null(set);
	if (!prefiltered)
		plan_no_prefilter(set);
	buf_free(&problems);
	buf_free(&err);
	return set;
}

static void
test_same_hits(void **state)
{
	const char *data = getenv("DATA");
	struct buf pattern = BUF_INIT(4096), err = BUF_INIT(4096);
	glob_t mail, rules;
	size_t i, step;

	(void)state;
	buf_printf(&pattern, "%s/{corpus/sa-public/*,sa/tdata/*}/*",
	    data != NULL ? data : "../shared/data");
	if (glob(STOCK, 0, NULL, &rules) != 0 ||
	    glob(pattern.p, GLOB_BRACE, NULL, &mail) != 0 ||
	    mail.gl_pathc < MESSAGES)
		skip();
	globfree(&rules);
	with = load(true, true);
	without = load(false, true);
	on_demand = load(true, false);
	step = getenv("PREFILTER_ALL") ? 1 : mail.gl_pathc / MESSAGES;
	for (i = 0; i < mail.gl_pathc; i += step)
		assert_true(
		    message_each(mail.gl_pathv[i], compare, NULL, &err));
	assert_true(judged >= MESSAGES);
	globfree(&mail);
	ruleset_free(&with);
	ruleset_free(&without);
	ruleset_free(&on_demand);
	buf_free(&pattern);
	buf_free(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_odds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_chains_never_miss),
		cmocka_unit_test(test_same_hits),
	};
	int failed;

	if (!psl_global_init())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	psl_global_free();
	return failed;
}
