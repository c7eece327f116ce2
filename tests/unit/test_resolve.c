/* What a policy's rules need, when they may stand, and what is idle. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static struct policy *
load(const char *text, bool shadow, size_t *warnings)
{
	struct diag *diag = diag_new();
	struct buf out = BUF_INIT(1 << 20);
	struct policy *p =
	    policy_load_text(STR("p.conf"), str_of(text), shadow, diag);

	diag_print(diag, &out);
	if (p == NULL)
		fail_msg("%s", out.p);
	if (warnings != NULL)
		*warnings = diag_warnings(diag);
	buf_free(&out);
	diag_free(&diag);
	return p;
}

static unsigned int
needs_of(const char *stage, const char *rule)
{
	struct buf text = BUF_INIT(10000);
	struct policy *p;
	unsigned int needs;

	buf_printf(&text,
	    "limit sent per user { 9 bytes/1h }\n"
	    "limit bad per client { 9 rejected recipients/1h }\n"
	    "limit name per helo { 9 messages/1h }\n"
	    "on %s {\n%s\n}\n",
	    stage, rule);
	p = load(text.p, false, NULL);
	needs = p->needs;
	policy_release(&p);
	buf_free(&text);
	return needs;
}

static void
test_needs(void **state)
{
	(void)state;
	assert_int_equal(needs_of("connect", "accept"), NEED_NOTHING);
	assert_int_equal(needs_of("connect", "accept if client = ::1"),
	    NEED_NOTHING);
	assert_int_equal(needs_of("connect", "reject if client.ptr ~ /x/"),
	    NEED_PTR);
	assert_int_equal(needs_of("mail", "reject if not (user or spf = fail)"),
	    NEED_SPF | NEED_HELO);
	assert_int_equal(needs_of("mail", "log \"{spf.domain}\""),
	    NEED_SPF | NEED_HELO);
	assert_int_equal(needs_of("message", "reject if dmarc = reject"),
	    NEEDS_AUTH);
	assert_int_equal(needs_of("message", "reject if score > 1"),
	    NEED_SCORE);
	assert_int_equal(needs_of("mail", "reject if over sent"),
	    NEED_STORE | NEED_HEADERS | NEED_BODY_SIZE);
	assert_int_equal(needs_of("connect", "reject if over bad"),
	    NEED_STORE | NEED_RCPT_REJ);
	assert_int_equal(needs_of("mail", "reject if over name"),
	    NEED_STORE | NEED_HELO);
	assert_int_equal(needs_of("rcpt", "greylist"), NEED_STORE);
	assert_int_equal(needs_of("mail", "block sender for 1h"), NEED_STORE);
	assert_int_equal(needs_of("message", "strip header \"X\""),
	    NEED_HEADERS);
}

static void
test_stages(void **state)
{
	struct policy *p = load("on connect {\n tag a\n}\n"
				"on helo {\n reject if helo = x\n}\n"
				"shadow on mail {\n reject if spf = fail\n}\n"
				"on rcpt {\n greylist if tag a\n}\n"
				"on message {\n header \"X\" \"{score}\"\n}\n",
	    false, NULL);

	(void)state;
	assert_false(p->stage_decides[STAGE_CONNECT]);
	assert_true(p->stage_decides[STAGE_HELO]);
	assert_false(p->stage_decides[STAGE_MAIL]);
	assert_true(p->stage_decides[STAGE_RCPT]);
	assert_false(p->stage_decides[STAGE_MESSAGE]);
	assert_int_equal(p->stage_needs[STAGE_HELO], NEED_HELO);
	assert_int_equal(p->stage_needs[STAGE_MAIL], NEED_SPF | NEED_HELO);
	assert_int_equal(p->stage_needs[STAGE_MESSAGE], NEED_SCORE);
	policy_release(&p);
	p = load("on helo {\n reject if helo = x\n}\n", true, NULL);
	assert_true(p->shadow);
	assert_false(p->stage_decides[STAGE_HELO]);
	policy_release(&p);
}

static void
test_rejected_limits(void **state)
{
	struct policy *p =
	    load("limit a per client { 9 rejected recipients/1h }\n"
		 "limit b per client { 9 connections/1h }\n"
		 "limit c per client { 9 rejected recipients/1h }\n"
		 "on connect {\n reject if over a\n tag x if over a or over "
		 "b\n}\n",
		false, NULL);

	(void)state;
	assert_int_equal(p->nrejected_limits, 1);
	assert_true(str_eq(p->rejected_limits[0]->name, STR("a")));
	policy_release(&p);
}

static void
test_literals(void **state)
{
	struct policy *p =
	    load("on message {\n tag a if size > 10M\n tag b if score >= -1.5\n"
		 " tag c if client = 192.0.2.0/24\n tag d if now > 2d\n"
		 " tag e if subject = \"a b\"\n}\n",
		false, NULL);
	struct rule *r = p->rules[STAGE_MESSAGE];

	(void)state;
	assert_true(r->condition->literal.number == 10 << 20);
	r = r->next;
	assert_true(r->condition->literal.number == -1.5);
	assert_int_equal(r->condition->cmp, CMP_GE);
	r = r->next;
	assert_int_equal(r->condition->literal.kind, LITERAL_NET);
	assert_int_equal(r->condition->literal.net.bits, 24);
	r = r->next;
	assert_true(r->condition->literal.number == 172800);
	r = r->next;
	assert_int_equal(r->condition->literal.kind, LITERAL_TEXT);
	policy_release(&p);
}

/* Every fact is refused before its stage and taken at it. */
static void
test_every_fact_and_stage(void **state)
{
	(void)state;
	for (int id = 0; id < FACT_COUNT; id++)
		for (int s = 0; s < STAGE_COUNT; s++) {
			const struct fact_def *f = fact_by_id((enum fact_id)id);
			struct diag *diag = diag_new();
			struct buf text = BUF_INIT(1000);
			struct policy *p;

			buf_printf(&text,
			    "geoip /nowhere.mmdb\non %s {\n log "
			    "\"{%s%s}\"\n}\n",
			    stage_word((enum stage)s), f->name,
			    f->takes_arg ? "(X)" : "");
			p = policy_load_text(STR("p"), buf_str(&text), false,
			    diag);
			assert_int_equal(p != NULL, s >= (int)f->stage);
			policy_release(&p);
			diag_free(&diag);
			buf_free(&text);
		}
}

static void
test_warnings(void **state)
{
	static const struct {
		const char *text;
		size_t warnings;
	} cases[] = {
		{ "on helo {\n reject if helo = a\n reject if helo = b\n}\n",
		    0 },
		{ "on helo {\n reject if helo = a\n tag x if helo = a\n}\n",
		    1 },
		{ "on helo {\n tag x if helo = a\n reject if helo = a\n}\n",
		    0 },
		{ "on helo {\n next\n tag x\n tag y\n}\n", 1 },
		{ "shadow on helo {\n next\n}\non helo {\n tag x\n}\n", 0 },
		{ "on helo {\n tag x\n}\non helo {\n tag x\n}\n", 1 },
		{ "on mail {\n reject if tag x\n}\n", 1 },
		{ "table t { a }\nlimit l per all { 1 messages/1h }\n", 2 },
		{ "on helo {\n tag x if helo in { a }\n"
		  " reject if helo in { b }\n}\n",
		    0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct policy *p;
		size_t warnings;

		p = load(cases[i].text, false, &warnings);
		if (warnings != cases[i].warnings)
			fail_msg("%zu warnings: %s", warnings, cases[i].text);
		policy_release(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_rejected_limits),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_every_fact_and_stage),
		cmocka_unit_test(test_warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
