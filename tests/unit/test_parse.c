/* Policy text to a snapshot: what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static struct policy *
load(const char *text)
{
	struct diag *diag = diag_new();
	struct buf out = BUF_INIT(1 << 20);
	struct policy *p =
	    policy_load_text(STR("etc/p.conf"), str_of(text), false, diag);

	diag_print(diag, &out);
	if (p == NULL)
		fail_msg("%s", out.p);
	buf_free(&out);
	diag_free(&diag);
	return p;
}

/* How many mistakes a text has. */
static size_t
mistakes(const char *text)
{
	struct diag *diag = diag_new();
	struct policy *p =
	    policy_load_text(STR("p.conf"), str_of(text), false, diag);
	size_t n = diag_errors(diag);

	assert_int_equal(n == 0, p != NULL);
	policy_release(&p);
	diag_free(&diag);
	return n;
}

static void
test_settings(void **state)
{
	struct policy *p = load("hostname mx.example.net\n"
				"listen inet:8891@127.0.0.1\n"
				"state sqlite:state.db\n"
				"deadline stage 5s\nbody max 1M\n"
				"on fault tempfail\nlog syslog debug");

	(void)state;
	assert_true(
	    str_eq(p->settings.text[SETTING_HOSTNAME], STR("mx.example.net")));
	assert_int_equal(p->settings.listen.port, 8891);
	assert_true(str_eq(p->settings.text[SETTING_STATE],
	    STR("sqlite:etc/state.db")));
	assert_int_equal(p->settings.deadline_stage_ms, 5000);
	assert_int_equal(p->settings.deadline_message_ms, 20000);
	assert_int_equal(p->settings.body_max, 1 << 20);
	assert_true(p->settings.fault_tempfail);
	assert_int_equal(p->settings.place[SETTING_BODY_MAX].line, 5);
	assert_null(p->settings.place[SETTING_CONTROL].source);
	policy_release(&p);
}

static void
test_definitions(void **state)
{
	struct policy *p = load(
	    "dnsbl zen zen.example.org. { 127.0.0.2-127.0.0.11, 127.0.1.1 }\n"
	    "limit l per user+client/24 { 100 messages/1h\n"
	    "  20 rejected recipients/10m, 200M bytes/1d }\n"
	    "on rcpt {\n reject if listed zen\n tempfail if over l\n}\n");

	(void)state;
	assert_int_equal(p->ndnsbls, 1);
	assert_true(str_eq(p->dnsbls[0]->zone, STR("zen.example.org")));
	assert_int_equal(p->dnsbls[0]->nranges, 2);
	assert_int_equal(p->dnsbls[0]->ranges[0].to.b[3], 11);
	assert_int_equal(p->nlimits, 1);
	assert_int_equal(p->limits[0]->count, 3);
	assert_int_equal(p->limits[0]->key.count, 2);
	assert_int_equal(p->limits[0]->windows[1].unit, LIMIT_REJECTED);
	assert_int_equal(p->limits[0]->windows[1].window_ms, 600000);
	assert_int_equal(p->limits[0]->windows[2].max, 200 << 20);
	assert_true(str_eq(p->limits[0]->windows[2].text, STR("1d")));
	policy_release(&p);
}

static void
test_rules_in_order(void **state)
{
	struct policy *p =
	    load("on rcpt { tag a\n tag b }\n"
		 "shadow on rcpt {\n\treject    \"a  b\"   if rcpt = x@y.org # "
		 "no\n}\n"
		 "on rcpt {\n block user for 1h if \\\n user\n}\n");
	struct rule *r = p->rules[STAGE_RCPT];

	(void)state;
	assert_int_equal(p->nrules, 4);
	assert_true(str_eq(r->name, STR("a")));
	assert_true(str_eq(r->where, STR("p.conf:1")));
	r = r->next->next;
	assert_int_equal(r->verb, VERB_REJECT);
	assert_true(r->shadow);
	assert_true(str_eq(r->where, STR("p.conf:4")));
	assert_true(
	    str_eq(r->source, STR("reject \"a  b\" if rcpt = x@y.org")));
	r = r->next;
	assert_false(r->shadow);
	assert_int_equal(r->time_ms, 3600000);
	assert_true(str_eq(r->source, STR("block user for 1h if user")));
	assert_null(r->next);
	policy_release(&p);
}

static void
test_precedence(void **state)
{
	struct policy *p =
	    load("on mail {\n reject if not user and helo = a or "
		 "(sender.domain = b or helo = c) and spf = fail\n}\n");
	const struct expr *e = p->rules[STAGE_MAIL]->condition;

	(void)state;
	assert_int_equal(e->op, EXPR_OR);
	assert_int_equal(e->left->op, EXPR_AND);
	assert_int_equal(e->left->left->op, EXPR_NOT);
	assert_int_equal(e->left->left->left->op, EXPR_FACT);
	assert_int_equal(e->right->op, EXPR_AND);
	assert_int_equal(e->right->left->op, EXPR_OR);
	assert_int_equal(e->right->right->fact.def->id, FACT_SPF);
	policy_release(&p);
}

static void
test_texts(void **state)
{
	struct policy *p =
	    load("on message {\n header \"X\" \"{{a}} {sender}b{header(To)}\"\n"
		 " reject \"550 5.7.1 \\\"no\\\"\\nmore\"\n}\n");
	const struct rule *r = p->rules[STAGE_MESSAGE];
	const struct text *t = r->text;

	(void)state;
	assert_true(str_eq(r->name, STR("X")));
	assert_true(str_eq(t->literal, STR("{a} ")));
	t = t->next;
	assert_int_equal(t->fact.def->id, FACT_SENDER);
	t = t->next;
	assert_true(str_eq(t->literal, STR("b")));
	t = t->next;
	assert_int_equal(t->fact.def->id, FACT_HEADER);
	assert_true(str_eq(t->fact.arg, STR("To")));
	assert_null(t->next);
	assert_true(
	    str_eq(r->next->text->literal, STR("550 5.7.1 \"no\"\nmore")));
	policy_release(&p);
}

static void
test_tables_inline(void **state)
{
	struct policy *p =
	    load("nets = 192.0.2.0/24, 10.0.0.0/8\n"
		 "table t { $nets\n /^x y/i }\n"
		 "on connect {\n accept if client in t\n"
		 " reject if client not in { 127.0.0.1\n ::1 } and "
		 "client.name in { .example.org }\n}\n");
	const struct expr *e = p->rules[STAGE_CONNECT]->condition;
	const struct expr *second = p->rules[STAGE_CONNECT]->next->condition;

	(void)state;
	assert_int_equal(p->ntables, 3);
	assert_int_equal(table_count(e->table), 3);
	assert_int_equal(second->left->op, EXPR_NOT);
	assert_int_equal(table_count(second->left->left->table), 2);
	assert_int_equal(second->right->op, EXPR_IN);
	policy_release(&p);
}

/* One mistake, one message; what follows it is read. */
static void
test_recovery(void **state)
{
	(void)state;
	assert_int_equal(mistakes("foo { a\n b\n }\nhostname x\n"), 1);
	assert_int_equal(mistakes("on helo {\n reject if\n rejec\n}\n"), 2);
	assert_int_equal(mistakes("on helo {\n reject \"a\n reject\n}\n"), 1);
	assert_int_equal(mistakes("on foo {\n reject if helo = a\n}\n"), 1);
	assert_int_equal(mistakes("on helo {\n reject if helo = a\n"), 1);
	assert_int_equal(mistakes("}\n}\n"), 2);
	assert_int_equal(mistakes("table t { a\non helo {\n reject\n}\n"), 1);
	assert_int_equal(mistakes(""), 0);
	assert_int_equal(mistakes("\"\n{\n(\n\x01"), 1);
}

static void
test_bounds(void **state)
{
	struct buf text = BUF_INIT(1 << 20);

	(void)state;
	buf_adds(&text, "on helo {\n reject if helo = a");
	for (int i = 0; i < 499; i++)
		buf_adds(&text, " or helo = a");
	assert_int_equal(mistakes(text.p), 1);	/* no closing brace */
	buf_adds(&text, " or helo = a");
	assert_int_equal(mistakes(text.p), 2);
	buf_truncate(&text, 0);
	buf_adds(&text, "on helo {\n reject if ");
	for (int i = 0; i < 100000; i++)
		buf_adds(&text, "(not ");
	assert_int_equal(mistakes(text.p), 2);
	buf_free(&text);
}

static void
test_references(void **state)
{
	struct policy *p = load("hostname a\n"), *q = policy_ref(p);

	(void)state;
	policy_release(&p);
	assert_null(p);
	assert_int_equal(atomic_load(&q->refs), 1);
	policy_refresh(q);
	policy_release(&q);
	policy_release(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_definitions),
		cmocka_unit_test(test_rules_in_order),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_tables_inline),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
