#include "auth_fixture.h"
#include "check/spf.h"

/* One check on a zone of one's own. */
struct question {
	const char *client, *helo, *sender;
	enum auth_result want;
	const char *explanation, *problem;
};

static void
ask(struct services *services, const struct question *q)
{
	struct fixture f = { .services = *services };
	const struct spf_result *r;

	fixture_begin(&f, 60);
	fixture_envelope(&f, q->client, q->helo, q->sender);
	r = spf_check(f.txn);
	assert_non_null(r);
	if (r->result != q->want ||
	    (q->explanation &&
		!str_eq(r->explanation, str_of(q->explanation))) ||
	    (q->problem && str_find(r->problem, str_of(q->problem)) < 0))
		fail_msg("%s from %s: %s \"%.*s\" (%.*s)", q->sender, q->client,
		    auth_result_word(r->result), STR_FMT(r->explanation),
		    STR_FMT(r->problem));
	assert_ptr_equal(spf_check(f.txn), r);
	assert_int_equal(r->helo, q->sender[0] == '\0');
	fixture_end(&f);
}

static void
test_identities(void **state)
{
	struct services s = { .hostname = STR("mx.example.net") };
	static const struct question all[] = {
		{ "192.0.2.1", "h.example", "a@d.example", AUTH_PASS, "", "" },
		/* An IPv4-mapped client is an IPv4 client. */
		{ "::ffff:192.0.2.1", "h.example", "a@d.example", AUTH_PASS, "",
		    "" },
		{ "2001:db8::1", "h.example", "a@d.example", AUTH_FAIL,
		    "a may not from 2001:db8::1", "" },
		{ "192.0.2.9", "h.example", "A@D.Example", AUTH_FAIL,
		    "A may not from 192.0.2.9", "" },
		/* The null sender: postmaster at HELO. */
		{ "192.0.2.1", "d.example", "", AUTH_PASS, "", "" },
		{ "192.0.2.9", "d.example", "", AUTH_FAIL,
		    "postmaster may not from 192.0.2.9", "" },
		{ "192.0.2.9", "[192.0.2.9]", "", AUTH_NONE, "", "" },
		{ "192.0.2.9", "localhost", "", AUTH_NONE, "", "" },
		{ "192.0.2.9", "", "", AUTH_NONE, "", "" },
		{ "192.0.2.9", "d.example", "local", AUTH_NONE, "", "" },
		/* What a stranger puts into an explanation stays printable. */
		{ "192.0.2.9", "x", "\"\303\274\001\"@d.example", AUTH_FAIL,
		    "\"???\" may not from 192.0.2.9", "" },
		{ "192.0.2.1", "x", "a@slow.example", AUTH_TEMPERROR, "",
		    "timeout: slow.example" },
		{ "192.0.2.1", "x", "a@bad.example", AUTH_PERMERROR, "",
		    "unknown mechanism: ip5:1" },
	};
	size_t i;

	(void)state;
	s.resolver = fixture_resolver(
	    STR("d.example TXT \"v=spf1 ip4:192.0.2.1 -all exp=e.d.example\"\n"
		"e.d.example TXT \"%{l} may not from %{c}\"\n"
		"slow.example TXT !timeout\n"
		"bad.example TXT \"v=spf1 ip5:1 -all\"\n"));
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ask(&s, &all[i]);
	resolver_free(&s.resolver);
}

/* Section 9.1; the policy puts it on top. */
static void
test_received(void **state)
{
	struct fixture f = { .services.hostname = STR("mx.example.net") };
	static const struct {
		const char *client, *helo, *sender, *want;
	} all[] = {
		{ "192.0.2.1", "h.example", "a@d.example",
		    "pass (mx.example.net: d.example allows 192.0.2.1)"
		    "\n\tidentity=mailfrom;\n\tclient-ip=192.0.2.1;"
		    "\n\tenvelope-from=\"a@d.example\";\n\thelo=h.example;"
		    "\n\treceiver=mx.example.net;"
		    "\n\tmechanism=\"ip4:192.0.2.1\"" },
		{ "2001:db8::1", "d.example", "",
		    "fail (mx.example.net: d.example does not allow "
		    "2001:db8::1)"
		    "\n\tidentity=helo;\n\tclient-ip=\"2001:db8::1\";"
		    "\n\tenvelope-from=\"\";\n\thelo=d.example;"
		    "\n\treceiver=mx.example.net;\n\tmechanism=-all" },
		{ "192.0.2.9", "(x\" y;", "\"(\\\"\"@n.example",
		    "neutral (mx.example.net: n.example says nothing about "
		    "192.0.2.9)"
		    "\n\tidentity=mailfrom;\n\tclient-ip=192.0.2.9;"
		    "\n\tenvelope-from=\"\\\"(\\\\\\\"\\\"@n.example\";"
		    "\n\thelo=\"(x\\\" y;\";"
		    "\n\treceiver=mx.example.net;\n\tmechanism=default" },
		{ "192.0.2.9", "h.example", "a@bad.example",
		    "permerror (mx.example.net: bad.example has a wrong SPF "
		    "record for 192.0.2.9)"
		    "\n\tidentity=mailfrom;\n\tclient-ip=192.0.2.9;"
		    "\n\tenvelope-from=\"a@bad.example\";"
		    "\n\thelo=h.example;\n\treceiver=mx.example.net;"
		    "\n\tproblem=\"unknown mechanism: ip5:1\"" },
	};
	const struct spf_result *r;
	size_t i;

	(void)state;
	f.services.resolver =
	    fixture_resolver(STR("d.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				 "n.example TXT \"v=spf1 ip4:192.0.2.1\"\n"
				 "bad.example TXT \"v=spf1 ip5:1 -all\"\n"));
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fixture_begin(&f, 60);
		fixture_envelope(&f, all[i].client, all[i].helo, all[i].sender);
		r = spf_check(f.txn);
		assert_non_null(r);
		assert_string_equal(spf_received(f.txn, r).p, all[i].want);
		fixture_end(&f);
	}
	resolver_free(&f.services.resolver);
}

/* The HELO identity has an answer of its own, except for the null sender. */
static void
test_helo(void **state)
{
	struct fixture f = { .services.hostname = STR("mx.example.net") };
	const struct spf_result *helo, *from;

	(void)state;
	f.services.resolver = fixture_resolver(
	    STR("d.example TXT \"v=spf1 -all\"\n"
		"h.example TXT \"v=spf1 exists:%{l}.h.example\"\n"
		"postmaster.h.example A 127.0.0.2\n"));
	fixture_begin(&f, 60);
	fixture_envelope(&f, "192.0.2.1", "H.example.", "a@d.example");
	spf_start_helo(f.txn);
	spf_start(f.txn);
	helo = spf_check_helo(f.txn);
	from = spf_check(f.txn);
	assert_non_null(helo);
	assert_non_null(from);
	assert_int_equal(helo->result, AUTH_PASS);
	assert_true(helo->helo);
	assert_int_equal(from->result, AUTH_FAIL);
	assert_false(from->helo);
	assert_ptr_equal(spf_check_helo(f.txn), helo);
	fixture_end(&f);
	fixture_begin(&f, 60);
	fixture_envelope(&f, "192.0.2.1", "d.example", "");
	assert_ptr_equal(spf_check_helo(f.txn), spf_check(f.txn));
	fixture_end(&f);
	resolver_free(&f.services.resolver);
}

/* The terms of a record are looked up together: three slow servers are
 * waited for once. */
static void
test_together(void **state)
{
	struct fixture f = { .services.hostname = STR("mx.example.net") };
	const struct spf_result *r;
	int64_t start;

	(void)state;
	f.services.resolver = fixture_resolver(
	    STR("d.example TXT \"v=spf1 a:s1.example mx:s2.example "
		"include:s3.example exists:s4.example -all\"\n"
		"s1.example A !delay=300 192.0.2.7\n"
		"s2.example MX !delay=300 10 h.example\n"
		"h.example A 192.0.2.7\n"
		"s3.example TXT !delay=300 \"v=spf1 -all\"\n"
		"s4.example A !delay=300 127.0.0.2\n"));
	fixture_begin(&f, 5000);
	fixture_envelope(&f, "192.0.2.1", "h", "a@d.example");
	start = clock_mono_ms();
	r = spf_check(f.txn);
	assert_non_null(r);
	assert_int_equal(r->result, AUTH_PASS);
	assert_in_range(clock_mono_ms() - start, 250, 900);
	fixture_end(&f);
	resolver_free(&f.services.resolver);
}

/* %{d2} and its relatives. */
static void
test_transformers(void **state)
{
	struct services s = { .hostname = STR("mx.example.net") };
	static const struct question q = { "192.0.2.1", "x",
		"a-b.c@big.example", AUTH_FAIL,
		"big.example example.big example big big.example b.c c.a-b "
		"a.b.c c 2.1 0.192 192 a-b.c",
		"" };

	(void)state;
	s.resolver = fixture_resolver(
	    STR("big.example TXT \"v=spf1 -all exp=e.example\"\n"
		"e.example TXT \"%{d2} %{d2r} %{d1} %{d1r} %{o9} %{l2-.} "
		"%{lr} %{l-.} %{l1} %{i2} %{i2r} %{i1r} %{L}\"\n"));
	ask(&s, &q);
	resolver_free(&s.resolver);
}

/* Records made to hurt. */
static void
test_hostile(void **state)
{
	struct services s = { .hostname = STR("mx.example.net") };
	struct buf zone = BUF_INIT(1 << 20);
	static const struct question all[] = {
		{ "192.0.2.1", "x", "a@macros.example", AUTH_FAIL, "", "" },
		{ "10.0.0.200", "x", "a@many.example", AUTH_PASS, "", "" },
		{ "10.0.1.1", "x", "a@many.example", AUTH_FAIL, "", "" },
		{ "192.0.2.1", "x", "a@loop.example", AUTH_PERMERROR, "",
		    "more than 10 terms" },
		{ "192.0.2.1", "x", "a@round.example", AUTH_PERMERROR, "",
		    "more than 10 terms" },
		{ "192.0.2.1", "x", "a@self.example", AUTH_PERMERROR, "",
		    "more than 10 terms" },
		{ "192.0.2.1", "x", "a@void.example", AUTH_PERMERROR, "",
		    "too many void lookups" },
		{ "192.0.2.1", "x", "a@exp.example", AUTH_FAIL,
		    "v=spf1 -all exp=exp.example", "" },
		{ "192.0.2.1", "x", "a@nul.example", AUTH_PERMERROR, "",
		    "bad domain-spec: a:x?y.example" },
	};
	size_t i;

	(void)state;
	/* 127 macros and 4,500 literal bytes in one name. */
	buf_adds(&zone, "macros.example TXT \"v=spf1 exists:");
	for (i = 0; i < 127; i++)
		buf_adds(&zone, "%{d}");
	for (i = 0; i < 4500; i++)
		buf_addc(&zone, 'x');
	buf_adds(&zone, ".example -all\"\nmany.example TXT \"v=spf1");
	for (i = 1; i <= 200; i++)
		buf_printf(&zone, " ip4:10.0.0.%zu", i);
	buf_adds(&zone,
	    " -all\"\n"
	    "loop.example TXT \"v=spf1 include:loop.example\"\n"
	    "round.example TXT \"v=spf1 include:r2.example\"\n"
	    "r2.example TXT \"v=spf1 redirect=round.example\"\n"
	    "self.example TXT \"v=spf1 redirect=self.example\"\n"
	    "void.example TXT \"v=spf1 a:a1.void.example "
	    "a:a2.void.example a:a3.void.example -all\"\n"
	    "exp.example TXT \"v=spf1 -all exp=exp.example\"\n"
	    "nul.example TXT \"v=spf1 a:x\\000y.example -all\"\n");
	s.resolver = fixture_resolver(buf_str(&zone));
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ask(&s, &all[i]);
	resolver_free(&s.resolver);
	buf_free(&zone);
}

/* Without room for the work the answer is none at all, and no crash. */
static void
test_full_arena(void **state)
{
	struct fixture f = { .services.hostname = STR("mx") };

	(void)state;
	f.services.resolver =
	    fixture_resolver(STR("d.example TXT \"v=spf1 -all\"\n"));
	fixture_begin(&f, 60);
	fixture_envelope(&f, "192.0.2.1", "h", "a@d.example");
	spf_start(f.txn);
	assert_null(arena_alloc(f.txn->arena, TXN_ARENA_CAP));
	assert_null(spf_check(f.txn));
	fixture_end(&f);
	resolver_free(&f.services.resolver);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_transformers),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_full_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
