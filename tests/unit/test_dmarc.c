#include "auth_fixture.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/dmarc_record.h"
#include "check/spf.h"

static const char zone[] =
    "_dmarc.none.example TXT \"v=DMARC1; p=none\"\n"
    "_dmarc.quar.example TXT \"v=DMARC1; p=quarantine\"\n"
    "_dmarc.reject.example TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.strict.example TXT \"v=DMARC1;p=reject;adkim=s;aspf=s\"\n"
    "_dmarc.sub.example TXT \"v=DMARC1; p=reject; sp=none\"\n"
    "_dmarc.own.sub.example TXT \"v=DMARC1; p=quarantine\"\n"
    "_dmarc.x.com TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.t.co TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.a.co.uk TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.x.example.ck TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.a.kobe.jp TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.a.b.kobe.jp TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.www.ck TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.city.kobe.jp TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.two.example TXT \"v=DMARC1; p=none\"\n"
    "_dmarc.two.example TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.mixed.example TXT \"hello\"\n"
    "_dmarc.mixed.example TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.nop.example TXT \"v=DMARC1; sp=reject\"\n"
    "_dmarc.nop-rua.example TXT \"v=DMARC1; rua=mailto:a@nop-rua.example\"\n"
    "_dmarc.badp.example TXT \"v=DMARC1; p=maybe\"\n"
    "_dmarc.badsp.example TXT \"v=DMARC1; p=reject; sp=maybe\"\n"
    "_dmarc.late.example TXT \"p=reject; v=DMARC1\"\n"
    "_dmarc.case.example TXT \"v=dmarc1; p=reject\"\n"
    "_dmarc.broken.example TXT !servfail\n"
    "_dmarc.slow.example TXT !timeout\n"
    "_dmarc.orgbroken.example TXT !servfail\n"
    "_dmarc.xn--bcher-kva.example TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.pct0.example TXT \"v=DMARC1; p=reject; pct=0\"\n"
    "_dmarc.pct0q.example TXT \"v=DMARC1; p=quarantine; pct=0\"\n"
    "_dmarc.pct50.example TXT \"v=DMARC1; p=reject; pct=50\"\n";

static const struct row {
	const char *from;
	enum auth_result spf;
	const char *spf_domain;
	enum auth_result dkim;
	const char *dkim_domain;
	enum auth_result want;
	enum dmarc_policy policy;
} rows[] = {
#define U    AUTH_NONE, "" /* nothing said */
#define P(d) AUTH_PASS, d
	/* Discovery. */
	{ "a@nothing.example", U, U, AUTH_NONE, DMARC_NONE },
	{ "a@none.example", U, U, AUTH_FAIL, DMARC_NONE },
	{ "a@quar.example", U, U, AUTH_FAIL, DMARC_QUARANTINE },
	{ "a@reject.example", U, U, AUTH_FAIL, DMARC_REJECT },
	{ "A <a@REJECT.Example>", U, U, AUTH_FAIL, DMARC_REJECT },
	{ "a@deep.down.reject.example", U, U, AUTH_FAIL, DMARC_REJECT },
	{ "a@x.sub.example", U, U, AUTH_FAIL, DMARC_NONE },
	{ "a@sub.example", U, U, AUTH_FAIL, DMARC_REJECT },
	{ "a@own.sub.example", U, U, AUTH_FAIL, DMARC_QUARANTINE },
	{ "a@two.example", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "a@mixed.example", U, U, AUTH_FAIL, DMARC_REJECT },
	{ "a@late.example", U, U, AUTH_NONE, DMARC_NONE },
	{ "a@case.example", U, U, AUTH_NONE, DMARC_NONE },
	{ "a@nop.example", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "a@nop-rua.example", U, U, AUTH_FAIL, DMARC_NONE },
	{ "a@badp.example", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "a@badsp.example", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "a@broken.example", U, U, AUTH_TEMPERROR, DMARC_NONE },
	{ "a@slow.example", U, U, AUTH_TEMPERROR, DMARC_NONE },
	{ "a@x.orgbroken.example", U, U, AUTH_TEMPERROR, DMARC_NONE },
	{ "a@b\303\274cher.example", U, U, AUTH_FAIL, DMARC_REJECT },
	/* Alignment with SPF. */
	{ "a@reject.example", P("reject.example"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@reject.example", P("Reject.EXAMPLE"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@reject.example", P("b.reject.example"), U, AUTH_PASS,
	    DMARC_REJECT },
	{ "a@b.reject.example", P("reject.example"), U, AUTH_PASS,
	    DMARC_REJECT },
	{ "a@b.reject.example", P("c.reject.example"), U, AUTH_PASS,
	    DMARC_REJECT },
	{ "a@reject.example", P("evil.example"), U, AUTH_FAIL, DMARC_REJECT },
	{ "a@reject.example", P("notreject.example"), U, AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@reject.example", AUTH_SOFTFAIL, "reject.example", U, AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@reject.example", AUTH_NEUTRAL, "reject.example", U, AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@strict.example", P("strict.example"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@strict.example", P("bounce.strict.example"), U, AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@reject.example", AUTH_TEMPERROR, "reject.example", U,
	    AUTH_TEMPERROR, DMARC_REJECT },
	{ "a@reject.example", AUTH_TEMPERROR, "evil.example", U, AUTH_FAIL,
	    DMARC_REJECT },
	/* Alignment with DKIM. */
	{ "a@reject.example", U, P("reject.example"), AUTH_PASS, DMARC_REJECT },
	{ "a@reject.example", U, P("mail.reject.example"), AUTH_PASS,
	    DMARC_REJECT },
	{ "a@reject.example", U, P("evil.example"), AUTH_FAIL, DMARC_REJECT },
	{ "a@strict.example", U, P("mail.strict.example"), AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@reject.example", U, AUTH_POLICY, "reject.example", AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@reject.example", U, AUTH_TEMPERROR, "reject.example",
	    AUTH_TEMPERROR, DMARC_REJECT },
	{ "a@reject.example", AUTH_TEMPERROR, "reject.example",
	    P("reject.example"), AUTH_PASS, DMARC_REJECT },
	/* Public suffixes: of one letter, of two labels, by wildcard. */
	{ "a@x.com", P("evil.com"), U, AUTH_FAIL, DMARC_REJECT },
	{ "a@x.com", P("m.x.com"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@t.co", P("evil.co"), U, AUTH_FAIL, DMARC_REJECT },
	{ "a@a.co.uk", P("b.co.uk"), U, AUTH_FAIL, DMARC_REJECT },
	{ "a@a.co.uk", P("m.a.co.uk"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@x.example.ck", P("y.example.ck"), U, AUTH_FAIL, DMARC_REJECT },
	{ "a@x.example.ck", P("m.x.example.ck"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@www.ck", P("m.www.ck"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@a.b.kobe.jp", P("c.b.kobe.jp"), U, AUTH_FAIL, DMARC_REJECT },
	{ "a@city.kobe.jp", P("m.city.kobe.jp"), U, AUTH_PASS, DMARC_REJECT },
	{ "a@reject.example", P("example"), U, AUTH_FAIL, DMARC_REJECT },
	/* From fields that are not one address. */
	{ "nobody", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "a@[192.0.2.1]", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "undisclosed:;", U, U, AUTH_PERMERROR, DMARC_NONE },
	{ "a@none.example, b@none.example", P("none.example"), U, AUTH_PASS,
	    DMARC_NONE },
	{ "a@evil.com, b@reject.example", P("evil.com"), U, AUTH_FAIL,
	    DMARC_REJECT },
	{ "b@reject.example, a@evil.com", P("evil.com"), U, AUTH_FAIL,
	    DMARC_REJECT },
	{ "a@1.com,a@2.com,a@3.com,a@4.com,a@5.com", U, U, AUTH_PERMERROR,
	    DMARC_NONE },
	{ "\"b@reject.example\" <a@evil.com>", P("evil.com"), U, AUTH_NONE,
	    DMARC_NONE },
	/* pct */
	{ "a@pct0.example", U, U, AUTH_FAIL, DMARC_QUARANTINE },
	{ "a@pct0q.example", U, U, AUTH_FAIL, DMARC_NONE },
};

static struct services services;

static void
add_field(struct fixture *f, const char *name, const char *value)
{
	struct str v = arena_printf(f->txn->arena, " %s", value);

	assert_true(
	    header_add(f->txn->arena, &f->txn->headers, str_of(name), v));
}

/* What SPF and DKIM would have said. */
static void
preset(struct fixture *f, const struct row *row)
{
	struct checks *c = f->txn->checks;

	c->spf = arena_alloc(f->txn->arena, sizeof(*c->spf));
	c->spf->result = row->spf;
	c->spf->domain = str_of(row->spf_domain);
	c->dkim = arena_alloc(f->txn->arena, sizeof(*c->dkim));
	c->dkim->result = row->dkim;
	if (row->dkim == AUTH_NONE)
		return;
	c->dkim->signatures =
	    arena_alloc(f->txn->arena, sizeof(*c->dkim->signatures));
	c->dkim->signatures->result = row->dkim;
	c->dkim->signatures->domain = str_of(row->dkim_domain);
}

static void
test_rows(void **state)
{
	const struct dmarc_result *r;
	struct fixture f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f = (struct fixture){ .services = services };
		fixture_begin(&f, 80);
		add_field(&f, "From", rows[i].from);
		preset(&f, &rows[i]);
		dmarc_start(f.txn);
		r = dmarc_check(f.txn);
		assert_non_null(r);
		if (r->result != rows[i].want || r->policy != rows[i].policy)
			fail_msg("%s (spf %s, dkim %s): %s %s (%.*s)",
			    rows[i].from, rows[i].spf_domain,
			    rows[i].dkim_domain, auth_result_word(r->result),
			    dmarc_policy_word(r->policy), STR_FMT(r->problem));
		assert_ptr_equal(dmarc_check(f.txn), r);
		fixture_end(&f);
	}
}

static enum dmarc_policy
sample(int n)
{
	struct fixture f = { .services = services };
	struct row row = { "a@pct50.example", U, U, AUTH_FAIL, DMARC_NONE };
	enum dmarc_policy policy;
	char id[32];

	fixture_begin(&f, 1000);
	snprintf(id, sizeof(id), "<%d@pct50.example>", n);
	add_field(&f, "From", row.from);
	add_field(&f, "Message-ID", id);
	preset(&f, &row);
	policy = dmarc_check(f.txn)->policy;
	fixture_end(&f);
	return policy;
}

static void
test_sampling(void **state)
{
	int i, rejected = 0;

	(void)state;
	for (i = 0; i < 200; i++) {
		enum dmarc_policy p = sample(i);

		assert_int_equal(sample(i), p);
		assert_true(p == DMARC_REJECT || p == DMARC_QUARANTINE);
		rejected += p == DMARC_REJECT;
	}
	assert_in_range(rejected, 70, 130);
}

/* A second From field is no way around a policy either; nor are thousands. */
static void
test_from_fields(void **state)
{
	struct row row = { "", P("evil.com"), U, AUTH_FAIL, DMARC_NONE };
	struct fixture f = { .services = services };
	int i;

	(void)state;
	fixture_begin(&f, 1000);
	preset(&f, &row);
	assert_int_equal(dmarc_check(f.txn)->result, AUTH_PERMERROR);
	fixture_end(&f);

	fixture_begin(&f, 1000);
	add_field(&f, "From", "nobody");
	add_field(&f, "From", "a@evil.com");
	add_field(&f, "From", "a@reject.example");
	preset(&f, &row);
	assert_int_equal(dmarc_check(f.txn)->result, AUTH_FAIL);
	assert_int_equal(dmarc_check(f.txn)->policy, DMARC_REJECT);
	fixture_end(&f);

	fixture_begin(&f, 1000);
	for (i = 0; i < 1500; i++)
		add_field(&f, "From", "a@evil.com");
	preset(&f, &row);
	assert_int_equal(dmarc_check(f.txn)->result, AUTH_PERMERROR);
	fixture_end(&f);
}

static void
test_org_domain(void **state)
{
	static const char *const pairs[][2] = {
		{ "a.b.example.com", "example.com" },
		{ "Example.COM", "example.com" },
		{ "x.com", "x.com" },
		{ "com", "" },
		{ "co.uk", "" },
		{ "a.b.co.uk", "b.co.uk" },
		{ "ck", "" },
		{ "example.ck", "" },
		{ "x.y.example.ck", "y.example.ck" },
		{ "m.www.ck", "www.ck" },
		{ "a.b.unlisted-tld", "b.unlisted-tld" },
		{ "b\303\274cher.example", "xn--bcher-kva.example" },
		{ "[192.0.2.1]", "" },
		{ "", "" },
		{ "a..b", "" },
	};
	struct arena *a = arena_new(65536);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct str org = dmarc_org_domain(a, str_of(pairs[i][0]));

		if (!str_eq(org, str_of(pairs[i][1])))
			fail_msg("%s: %.*s", pairs[i][0], STR_FMT(org));
	}
	arena_free(&a);
}

static void
test_record(void **state)
{
	struct dmarc_record r;

	(void)state;
	assert_true(dmarc_record_parse(
	    STR(" v = DMARC1 ; p = Reject ; pct = 7 ; aspf=S; x=y;"), &r));
	assert_int_equal(r.policy, DMARC_REJECT);
	assert_int_equal(r.subdomains, DMARC_REJECT);
	assert_int_equal(r.percent, 7);
	assert_true(r.strict_spf);
	assert_false(r.strict_dkim);
	assert_true(dmarc_record_parse(STR("v=DMARC1;p=none;pct=101"), &r));
	assert_int_equal(r.percent, 100);
	assert_true(dmarc_record_parse(STR("v=DMARC1;p=none;pct=-1"), &r));
	assert_int_equal(r.percent, 100);
	/* What is wrong with another tag is its own loss. */
	assert_true(dmarc_record_parse(STR("v=DMARC1;p=reject;aspf=q;=;"), &r));
	assert_int_equal(r.policy, DMARC_REJECT);
	assert_false(r.strict_spf);
	assert_false(dmarc_record_parse(STR("v=DMARC10;p=reject"), &r));
	assert_false(dmarc_record_parse(STR("v=DMARC1"), &r));
	assert_false(dmarc_record_parse(STR(""), &r));
	assert_false(dmarc_record_parse(STR("v=DMARC1\0;p=reject"), &r));
}

static int
setup(void **state)
{
	(void)state;
	services.resolver = fixture_resolver(STR(zone));
	return dmarc_global_init() ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	dmarc_global_free();
	resolver_free(&services.resolver);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sampling),
		cmocka_unit_test(test_from_fields),
		cmocka_unit_test(test_org_domain),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
