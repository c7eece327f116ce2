/* Rules that ask what SPF, DKIM, DMARC and ARC said: the results are given,
 * the functions must tell them apart. */
#include "base/psl.h"
#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "message_fixture.h"
#include "score/auth_rule.h"
#include "score/ruleset.h"
#include "score/score.h"

/* What the checks said of a message from a@example.net. */
static const struct said {
	enum auth_result spf, spf_helo, dkim, dmarc, arc;
	const char	*signer;
	enum dmarc_policy policy;
} good = { AUTH_PASS, AUTH_PASS, AUTH_PASS, AUTH_PASS, AUTH_PASS, "example.net",
	DMARC_REJECT },
  forged = { AUTH_FAIL, AUTH_NONE, AUTH_FAIL, AUTH_FAIL, AUTH_FAIL,
	  "example.net", DMARC_REJECT },
  other = { AUTH_SOFTFAIL, AUTH_NEUTRAL, AUTH_PASS, AUTH_FAIL, AUTH_NONE,
	  "lists.example.org", DMARC_QUARANTINE },
  nothing = { AUTH_NONE, AUTH_NONE, AUTH_NONE, AUTH_NONE, AUTH_NONE, NULL,
	  DMARC_NONE };

static const struct {
	const char	*rule;
	bool		 good, forged, other, nothing;
} cases[] = {
	{ "header X eval:check_for_spf_pass()", 1, 0, 0, 0 },
	{ "header X eval:check_for_spf_fail()", 0, 1, 0, 0 },
	{ "header X eval:check_for_spf_softfail()", 0, 0, 1, 0 },
	{ "header X eval:check_for_spf_none()", 0, 0, 0, 1 },
	{ "header X eval:check_for_spf_helo_pass()", 1, 0, 0, 0 },
	{ "header X eval:check_for_spf_helo_neutral()", 0, 0, 1, 0 },
	{ "full X eval:check_dkim_signed()", 1, 1, 1, 0 },
	{ "full X eval:check_dkim_valid()", 1, 0, 1, 0 },
	{ "full X eval:check_dkim_valid('*.example.org')", 0, 0, 1, 0 },
	{ "full X eval:check_dkim_valid_author_sig()", 1, 0, 0, 0 },
	{ "full X eval:check_dkim_valid_envelopefrom()", 1, 0, 0, 0 },
	{ "header X eval:check_dmarc_pass()", 1, 0, 0, 0 },
	{ "header X eval:check_dmarc_reject()", 0, 1, 0, 0 },
	{ "header X eval:check_dmarc_quarantine()", 0, 0, 1, 0 },
	{ "header X eval:check_dmarc_missing()", 0, 0, 0, 1 },
	{ "full X eval:check_arc_signed()", 1, 1, 0, 0 },
	{ "full X eval:check_arc_valid()", 1, 0, 0, 0 },
	{ "header X eval:check_for_spf_welcomelist_from()\n"
	  "welcomelist_auth *@example.net",
	    1, 0, 0, 0 },
	{ "header X eval:check_for_spf_welcomelist_from()\n"
	  "welcomelist_from_spf b@example.net",
	    0, 0, 0, 0 },
	{ "header X eval:check_for_def_spf_welcomelist_from()\n"
	  "def_whitelist_auth *@example.net",
	    1, 0, 0, 0 },
	{ "header X eval:check_for_dkim_welcomelist_from()\n"
	  "welcomelist_auth *@example.net",
	    1, 0, 0, 0 },
	{ "header X eval:check_for_dkim_welcomelist_from()\n"
	  "welcomelist_from_dkim *@example.net lists.example.org",
	    0, 0, 1, 0 },
	{ "header X eval:check_for_dkim_welcomelist_from()\n"
	  "welcomelist_from_dkim *@example.net *.example.org",
	    0, 0, 1, 0 },
	{ "header X eval:check_for_def_dkim_welcomelist_from()\n"
	  "def_welcomelist_from_dkim a@example.net",
	    1, 0, 0, 0 },
};

static void
preset(struct fixture *f, const struct said *said)
{
	struct arena *a = f->txn->arena;
	struct checks *c = f->txn->checks;

	c->spf = arena_alloc(a, sizeof(*c->spf));
	c->spf->result = said->spf;
	c->spf_helo = arena_alloc(a, sizeof(*c->spf_helo));
	c->spf_helo->result = said->spf_helo;
	c->spf_helo->helo = true;
	c->dkim = arena_alloc(a, sizeof(*c->dkim));
	c->dkim->result = said->dkim;
	if (said->signer != NULL) {
		c->dkim->signatures =
		    arena_alloc(a, sizeof(*c->dkim->signatures));
		c->dkim->signatures->result = said->dkim;
		c->dkim->signatures->domain = str_of(said->signer);
	}
	c->dmarc = arena_alloc(a, sizeof(*c->dmarc));
	c->dmarc->result = said->dmarc;
	c->dmarc->policy = said->policy;
	c->arc = arena_alloc(a, sizeof(*c->arc));
	c->arc->result = said->arc;
}

static bool
is_hit(struct ruleset *set, const struct said *said)
{
	struct fixture f = { 0 };
	const struct score_result *result;
	bool hit;

	f.services.resolver = fixture_resolver(STR("a.example A 192.0.2.1\n"));
	fixture_begin(&f, 1000);
	assert_true(envelope_parse(f.txn->arena, STR("<a@example.net>"),
	    &f.txn->sender));
	fixture_message(&f, STR("From: a@example.net\n\ntext\n"));
	preset(&f, said);
	result = score_run(f.txn, set);
	assert_non_null(result);
	hit = score_hit(result, STR("X"));
	fixture_end(&f);
	resolver_free(&f.services.resolver);
	return hit;
}

static struct ruleset *
load(const char *text)
{
	struct ruleset_how how = { 0 };
	struct buf problems = BUF_INIT(4096);
	struct ruleset *set = ruleset_parse(str_of(text), &how, &problems);

	assert_string_equal(problems.n > 0 ? problems.p : "", "");
	buf_free(&problems);
	return set;
}

static void
expect(const char *rule, struct ruleset *set, const struct said *said,
    const char *name, bool want)
{
	if (is_hit(set, said) != want)
		fail_msg("%s: should %shit mail that is %s", rule,
		    want ? "" : "not ", name);
}

static void
test_results(void **state)
{
	struct ruleset *set;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set = load(cases[i].rule);
		expect(cases[i].rule, set, &good, "good", cases[i].good);
		expect(cases[i].rule, set, &forged, "forged", cases[i].forged);
		expect(cases[i].rule, set, &other, "another's", cases[i].other);
		expect(cases[i].rule, set, &nothing, "silent",
		    cases[i].nothing);
		ruleset_free(&set);
	}
}

/* Whoever scores with such rules starts the lookups they need. */
static void
test_wants(void **state)
{
	static const struct {
		const char *rule;
		unsigned int wants;
	} wants[] = {
		{ "header X eval:check_for_spf_pass()", AUTH_RULE_SPF },
		{ "full X eval:check_dkim_valid()", AUTH_RULE_DKIM },
		{ "header X eval:check_dmarc_pass()", AUTH_RULE_DMARC },
		{ "header X eval:check_for_dkim_welcomelist_from()",
		    AUTH_RULE_DKIM },
		{ "header X eval:check_for_missing_to_header()", 0 },
		{ "header X Subject =~ /x/", 0 },
	};
	struct ruleset *set;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		set = load(wants[i].rule);
		assert_int_equal(auth_rule_wants(set), wants[i].wants);
		ruleset_free(&set);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_wants),
	};
	int failed;

	if (!psl_global_init())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	psl_global_free();
	return failed;
}
