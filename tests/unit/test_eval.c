#include "policy_fixture.h"

#include "base/log.h"
#include "check/spf.h"
#include "policy/eval.h"

#define ZONE "broken.example TXT !servfail\n"

static void
fill(struct arena *arena)
{
	while (arena_alloc(arena, 4096) != NULL)
		;
	while (arena_alloc(arena, 1) != NULL)
		;
}

/* --- conditions -------------------------------------------------------- */

/* A condition of a known truth: a tag that is there, or is not, or a fact
 * that could not be computed. */
static struct expr
expr_of(enum truth t)
{
	struct expr x = { .op = EXPR_TAG, .name = STR("there") };

	if (t == TRUTH_FALSE)
		x.name = STR("missing");
	if (t == TRUTH_UNKNOWN) {
		x.op = EXPR_FACT;
		x.fact.def = fact_by_id(FACT_SPF);
	}
	return x;
}

static enum truth
truth_of_op(struct eval *e, enum expr_op op, enum truth a, enum truth b)
{
	struct expr left = expr_of(a), right = expr_of(b);
	struct expr x = { .op = op, .left = &left, .right = &right };

	return cond_eval(e, &x);
}

static void
test_kleene(void **state)
{
	/* Kleene's tables, by false, true, unknown. */
	static const enum truth and[3][3] = { { 0, 0, 0 }, { 0, 1, 2 },
		{ 0, 2, 2 } };
	static const enum truth or [3][3] = { { 0, 1, 2 }, { 1, 1, 1 },
		{ 2, 1, 2 } };
	static const enum truth not [3] = { 1, 0, 2 };
	struct world w = world_begin("", ZONE, false);
	struct eval e = { .stage = STAGE_MAIL, .decision = &w.d };

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@broken.example>", NULL);
	e.session = w.s;
	e.arena = session_arena(w.s);
	e.verdict = session_verdict(w.s);
	e.trace = trace_of(w.s);
	assert_true(verdict_tag(e.arena, e.verdict, STR("there")));
	for (enum truth a = 0; a < 3; a++) {
		assert_int_equal(truth_of_op(&e, EXPR_NOT, a, a), not [a]);
		for (enum truth b = 0; b < 3; b++) {
			assert_int_equal(truth_of_op(&e, EXPR_AND, a, b),
			    and[a][b]);
			assert_int_equal(truth_of_op(&e, EXPR_OR, a, b),
			    or [a][b]);
		}
	}
	world_end(&w);
}

/* --- rules ------------------------------------------------------------- */

static void
test_first_ending_wins(void **state)
{
	struct world w = world_begin("on mail {\n"
				     "	tag a\n"
				     "	reject \"first\" if tag a\n"
				     "	tempfail \"second\"\n"
				     "}\n",
	    "", false);

	(void)state;
	world_connect(&w, "192.0.2.1");
	assert_int_equal(w.d.action, ACTION_NONE);
	world_mail(&w, "<a@example.org>", NULL);
	assert_int_equal(w.d.action, ACTION_REJECT);
	assert_true(str_eq(w.d.reply.text, STR("first")));
	assert_int_equal(w.d.reply.code, 550);
	assert_non_null(w.d.rule);
	assert_int_equal(w.d.rule->place.line, 3);
	assert_int_equal(w.policy->rules[STAGE_MAIL]->fired, 1);
	assert_int_equal(w.policy->rules[STAGE_MAIL]->next->next->fired, 0);
	world_end(&w);
}

static void
test_rcpt_alone(void **state)
{
	struct world w = world_begin("on rcpt {\n"
				     "	reject if rcpt = \"a@x.example\"\n"
				     "	accept if rcpt = \"b@x.example\"\n"
				     "	discard if rcpt = \"c@x.example\"\n"
				     "}\n",
	    "", false);
	const struct rcpt *r;

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<s@example.org>", NULL);
	world_rcpt(&w, "<a@x.example>");
	assert_int_equal(w.d.action, ACTION_REJECT);
	world_rcpt(&w, "<b@x.example>");
	world_rcpt(&w, "<c@x.example>");
	assert_int_equal(w.d.action, ACTION_DISCARD);
	r = w.s->txn->rcpts;
	assert_int_equal(r->action, ACTION_REJECT);
	assert_true(r->rule.n > 0);
	assert_true(r->next->final);
	assert_int_equal(r->next->next->action, ACTION_DISCARD);
	assert_int_equal(w.s->txn->accepted, 1);
	assert_int_equal(w.s->txn->verdict.action, ACTION_NONE);
	world_end(&w);
}

/* --- shadow ------------------------------------------------------------ */

/* A policy in shadow finds its way as the real one would, and nothing of it
 * can be seen from outside. */
static void
test_shadow_policy(void **state)
{
	struct world w = world_begin("on connect {\n"
				     "	accept if client = 192.0.2.2\n"
				     "	reject \"all\" if client = 192.0.2.3\n"
				     "	block client for 1h\n"
				     "}\n"
				     "on mail {\n"
				     "	reject \"blocked\" if blocked client\n"
				     "	score 20\n"
				     "}\n"
				     "on message {\n"
				     "	header \"X-A\" \"b\"\n"
				     "	reject \"score\" if score >= 20\n"
				     "	log \"never\"\n"
				     "}\n",
	    "", true);
	const struct rule *last;

	(void)state;
	world_connect(&w, "192.0.2.3");
	assert_int_equal(w.d.action, ACTION_NONE);
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<s@example.org>", NULL);
	assert_int_equal(w.d.action, ACTION_NONE);
	world_message(&w, "x");
	assert_int_equal(w.out.action, ACTION_ACCEPT);
	assert_null(w.out.edits);
	last = w.policy->rules[STAGE_MESSAGE];
	assert_int_equal(last->next->fired, 1);
	assert_int_equal(last->next->next->fired, 0);
	world_connect(&w, "192.0.2.2");
	world_mail(&w, "<s@example.org>", NULL);
	world_message(&w, "x");
	assert_int_equal(w.out.action, ACTION_ACCEPT);
	assert_int_equal(last->fired, 1);
	world_end(&w);
}

/* --- faults ------------------------------------------------------------ */

static void
test_store_fault(void **state)
{
	struct world w = world_begin("on fault tempfail\n"
				     "on rcpt {\n"
				     "	header \"X-A\" \"b\" if blocked rcpt\n"
				     "	reject \"later\"\n"
				     "}\n",
	    "", false);
	struct store *store = w.services.store;

	(void)state;
	w.services.store = NULL;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<s@example.org>", NULL);
	world_rcpt(&w, "<a@x.example>");
	assert_int_equal(w.d.action, ACTION_TEMPFAIL);
	assert_true(w.d.fault);
	assert_string_equal(w.d.reply.enhanced, "4.3.0");
	w.services.store = store;
	world_rcpt(&w, "<b@x.example>");
	assert_int_equal(w.d.action, ACTION_REJECT);
	assert_false(w.d.fault);
	world_end(&w);
}

/* Whatever is asked of a message whose memory is full, nothing falls over. */
static void
test_full_arena(void **state)
{
	struct world w = world_begin("limit l per sender { 1 messages/1h }\n"
				     "on rcpt {\n"
				     "	tag a if rcpt in { @x.example }\n"
				     "	header \"X-{{\" \"{rcpt} {sender}\"\n"
				     "	score 1 if over l or blocked sender\n"
				     "	block sender for 1h\n"
				     "	log \"{rcpt}\"\n"
				     "	delay 1s\n"
				     "	greylist\n"
				     "	quarantine \"{rcpt}\" if tag a\n"
				     "	reject \"{rcpt}\"\n"
				     "}\n",
	    "", false);

	(void)state;
	clock_fake(1700000000000LL);
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<s@example.org>", NULL);
	assert_non_null(txn_add_rcpt(w.s->txn, STR("<a@x.example>")));
	fill(w.s->txn->arena);
	policy_eval(w.s, STAGE_RCPT, &w.d);
	assert_int_not_equal(w.d.action, ACTION_NONE);
	world_rcpt(&w, "<b@x.example>");
	assert_int_equal(w.d.action, ACTION_TEMPFAIL);
	assert_string_equal(w.d.reply.enhanced, "4.3.1");
	world_message(&w, "x");
	assert_int_equal(w.out.action, ACTION_TEMPFAIL);
	assert_true(w.out.overflow);
	clock_fake(-1);
	world_end(&w);
}

/* The trace takes its share of the arena and no more. */
static void
test_trace_bounded(void **state)
{
	struct world w =
	    world_begin("on rcpt {\n"
			"	tag a if rcpt = \"x\" or sender = \"y\"\n"
			"}\n",
		"", false);
	struct buf text = BUF_INIT(16 << 20);
	char arg[64];

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<s@example.org>", NULL);
	for (int i = 0; i < 20000; i++) {
		snprintf(arg, sizeof(arg), "<user%d@example.org>", i);
		world_rcpt(&w, arg);
		assert_int_equal(w.d.action, ACTION_NONE);
	}
	assert_true(w.s->txn->trace->left_out > 0);
	assert_true(w.s->txn->trace->used <= TRACE_MAX_TXN);
	trace_print(w.s->txn->trace, &text);
	assert_true(str_find(buf_str(&text), STR("more not kept")) > 0);
	buf_free(&text);
	world_end(&w);
}

static void
test_trace_json(void **state)
{
	struct world w = world_begin("on mail {\n"
				     "	reject \"x\" if spf = fail\n"
				     "}\n",
	    ZONE, false);
	struct buf text = BUF_INIT(1 << 16);
	size_t n = 0;

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<s@broken.example>", NULL);
	trace_json(w.s->txn->trace, &text);
	assert_true(str_find(buf_str(&text),
			STR("\"stage\":\"mail\",\"answer\":\"unknown\"")) > 0);
	assert_true(str_find(buf_str(&text), STR("\"name\":\"spf\"")) > 0);
	buf_truncate(&text, 0);
	trace_json_unknown(w.s->txn->trace, &text, &n);
	assert_int_equal(n, 1);
	assert_true(str_eq(buf_str(&text), STR("\"spf\"")));
	buf_free(&text);
	world_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kleene),
		cmocka_unit_test(test_first_ending_wins),
		cmocka_unit_test(test_rcpt_alone),
		cmocka_unit_test(test_shadow_policy),
		cmocka_unit_test(test_store_fault),
		cmocka_unit_test(test_full_arena),
		cmocka_unit_test(test_trace_bounded),
		cmocka_unit_test(test_trace_json),
	};

	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
