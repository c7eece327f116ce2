#include "field_fixture.h"

#include "base/clock.h"
#include "mail/relay_form.h"
#include "slack.h"

static struct arena *arena;

static void
test_ip(void **state)
{
	static const struct {
		const char *s;
		size_t n;
	} cases[] = {
		{ "192.0.2.1", 9 },
		{ "192.0.2.1]", 9 },
		{ "0.0.0.0", 7 },
		{ "256.0.2.1", 0 },
		{ "192.0.2.256", 0 },
		{ "192.0.2", 0 },
		{ "01.0.2.1", 0 },
		{ "192.0.2.1x", 0 },
		{ "::1", 3 },
		{ "::", 2 },
		{ ":1", 0 },
		{ "1:2", 0 },
		{ "2001:db8::25", 12 },
		{ "1:2:3:4:5:6:7:8", 15 },
		{ "1:2:3:4:5:6:7:8:9", 0 },
		{ "1::2::3", 0 },
		{ "::ffff:192.0.2.1", 16 },
		{ "IPv6:::1", 8 },
		{ "2001:db8:12345::1", 0 },
		{ "1:2:3:4:5:6:7:", 0 },
		{ "", 0 },
		{ "host", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(relay_ip_at(str_of(cases[i].s), 0),
		    cases[i].n);
	assert_int_equal(relay_ip_at(STR("x192.0.2.1"), 1), 0);
}

static void
test_forms(void **state)
{
	struct relay_line l = { .s = STR("mail (HELO x) (id@[192.0.2.1])") };

	(void)state;
	assert_true(relay_form_match(&l, "%r+ (%E %h*) (%d*@[%i])%$"));
	assert_str(l.slot[SLOT_RDNS], "mail");
	assert_str(l.slot[SLOT_HELO], "x");
	assert_str(l.slot[SLOT_IDENT], "id");
	assert_str(l.slot[SLOT_IP], "192.0.2.1");
	assert_true(relay_form_match(&l, "%r+%{ (%E %h+)%}%{ none%} ("));
	/* What does not match leaves no trace. */
	l = (struct relay_line){ .s = l.s };
	assert_false(relay_form_match(&l, "%r+ (%E %h*) (%d*@[%i]) by"));
	assert_null(l.slot[SLOT_IP].p);
	assert_null(l.slot[SLOT_RDNS].p);
}

static enum relay_answer
parse(const char *s, struct relay *r)
{
	return relay_parse(arena, str_of(s), r);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *line, *ip, *rdns, *helo, *by, *id;
	} cases[] = {
		{ " from helo.example (name.example [192.0.2.1])\n"
		  "\tby mx.example (Postfix) with ESMTPS id 4A\n"
		  "\tfor <x@mx.example>; Mon, 1 Jun 2026 10:00:00 +0200",
		    "192.0.2.1", "name.example", "helo.example", "mx.example",
		    "" },
		{ "from helo.example (unknown [IPv6:2001:db8::1]) by mx.example"
		  " (Postfix) with ESMTP id 4A5B",
		    "2001:db8::1", "", "helo.example", "mx.example", "4A5B" },
		{ "from h (r.example. [192.0.2.2] (may be forged)) by m "
		  "(8.17.1/8.17.1) with ESMTPS id 45A9b7",
		    "192.0.2.2", "r.example", "h", "m", "45A9b7" },
		{ "from r.example ([192.0.2.3] helo=h.example) by m with esmtp"
		  " (Exim 4.96) (envelope-from <a@b.example>) id 1abc-02",
		    "192.0.2.3", "r.example", "h.example", "m", "1abc-02" },
		{ "from [192.0.2.4] (helo=[10.0.0.1]) by m with esmtp "
		  "(Exim 4.96) id 1abc-03",
		    "192.0.2.4", "", "!10.0.0.1!)", "m", "1abc-03" },
		{ "from A.prod.example (2001:db8:1:2::3) by B.prod.example "
		  "(2001:db8:1:2::4) with mapi "
		  "id 15.20.1.2; Mon, 1 Jun 2026 10:00:00 +0",
		    "2001:db8:1:2::3", "", "A.prod.example", "B.prod.example",
		    "" },
		{ "from unknown (HELO h.example) (192.0.2.6) by m with SMTP; "
		  "1 Jun 2026 10:00:00 -0000",
		    "192.0.2.6", "", "h.example", "m", "" },
		{ "from h ([::ffff:192.0.2.7]) by m with Microsoft "
		  "SMTPSVC(10.0);",
		    "192.0.2.7", "", "h", "m", "" },
		{ "from 192.0.2.8 (SquirrelMail authenticated user x) by m "
		  "with HTTP; Mon, 1 Jun 2026 10:00:00 +0200",
		    "192.0.2.8", "", "192.0.2.8", "m", "" },
		{ "FROM h (r [192.0.2.9]) BY m ID 123.456 ;", "192.0.2.9", "r",
		    "h", "m", "123.456" },
	};
	struct relay r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line, &r), RELAY_YES);
		assert_str(r.ip, cases[i].ip);
		assert_str(r.rdns, cases[i].rdns);
		if (i != 4 && i != 8)
			assert_str(r.helo, cases[i].helo);
		assert_str(r.by, cases[i].by);
		assert_str(r.id, cases[i].id);
	}
}

static void
test_no_hop(void **state)
{
	static const char *const skips[] = { "by m (Postfix, from userid 1)",
		"(qmail 123 invoked by uid 3)", "from x by m with local for y",
		"from u by m with local (Exim 4.96) id 1", "",
		"from localhost (localhost [127.0.0.1]) x", "from a by b ;" };
	struct relay r;

	(void)state;
	for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
		enum relay_answer a = parse(skips[i], &r);

		assert_true(a == RELAY_SKIP || a == RELAY_NO);
	}
	assert_int_equal(parse("from a [192.0.2.1] with IMAP (fetchmail)", &r),
	    RELAY_FETCHED);
	assert_int_equal(parse("from nonsense that tells nothing", &r),
	    RELAY_NO);
}

static void
test_auth(void **state)
{
	static const struct {
		const char *line, *auth;
	} cases[] = {
		{ "from h (r [192.0.2.1]) by m (Postfix) with ESMTPSA id 12",
		    "ESMTPSA" },
		{ "from h (r [192.0.2.1]) (Authenticated sender: u@x) by m "
		  "(Postfix) with ESMTPS id 12",
		    "Postfix" },
		{ "from h (r [192.0.2.1]) (authenticated bits=0) by m "
		  "(8.17.1/8.17.1) with ESMTPS id 12",
		    "Sendmail" },
		{ "from h (r [192.0.2.1]) by m (Postfix) with ESMTPS id 12",
		    "" },
	};
	struct relay r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line, &r), RELAY_YES);
		assert_str(r.auth, cases[i].auth);
	}
}

static struct relay_net
net(const char *text, bool except)
{
	struct relay_net n = { .except = except };
	const char *why;

	assert_true(addr_net_parse(str_of(text), &n.net, &why));
	return n;
}

static void
test_trust(void **state)
{
	struct session *s = session_new();
	struct relay_net nets[] = { net("192.0.2.0/24", false),
		net("192.0.2.66/32", true) };
	struct relay_trust trust = { .trusted = { nets, 2 } };
	const struct relays *rs;

	(void)state;
	txn_begin(s, 1024);
	fixture_fields(s->txn,
	    "Received: from a (b [192.0.2.1]) by c (Postfix) with SMTP id 1\n"
	    "Received: by c (internal)\n"
	    "Received: from d (e [198.51.100.1]) by a (Postfix) with SMTP "
	    "id 2\n"
	    "Received: from f (g [192.0.2.2]) by d (Postfix) with SMTP id 3\n");
	rs = relay_find(s->txn->arena, s->txn, &trust);
	assert_int_equal(rs->count, 3);
	assert_int_equal(rs->last_trusted, 1);
	assert_true(rs->first->trusted && rs->first->internal);
	assert_false(rs->first->next->trusted);
	/* Trust does not come back. */
	assert_false(rs->first->next->next->trusted);
	assert_str(rs->trusted,
	    "[ ip=192.0.2.1 rdns=b helo=a by=c ident= "
	    "envfrom= intl=1 id= auth= msa=0 ]");
	rs = relay_find(s->txn->arena, s->txn, NULL);
	assert_int_equal(rs->last_trusted, -1);
	assert_str(rs->trusted, "");
	assert_true(relay_in_nets(&trust.trusted,
	    &(struct addr){ ADDR_V4, { 127, 0, 0, 1 } }));
	assert_false(relay_in_nets(&trust.trusted,
	    &(struct addr){ ADDR_V4, { 192, 0, 2, 66 } }));
	session_free(&s);
}

/* The client that speaks to us comes first, and lies do not end its text. */
static void
test_client(void **state)
{
	struct session *s = session_new();
	const struct relays *rs;

	(void)state;
	addr_parse(STR("2001:db8::7"), &s->client);
	s->client_name = STR("client.example");
	s->helo = STR("he ] [ ip=127.0.0.1");
	s->mta_name = STR("mx.example");
	txn_begin(s, 1024);
	fixture_fields(s->txn,
	    "Received: from a (b [192.0.2.1]) by c (Postfix) with SMTP id 1\n");
	rs = relay_find(s->txn->arena, s->txn, NULL);
	assert_int_equal(rs->count, 2);
	assert_str(rs->first->ip, "2001:db8::7");
	assert_true(str_starts(rs->external,
	    STR("[ ip=2001:db8::7 rdns=client.example "
		"helo=he!!!!!ip=127.0.0.1 by=mx.example ident= envfrom= "
		"intl=0 id= auth= msa=0 ] [ ip=192.0.2.1 ")));
	assert_int_equal(rs->last_trusted, -1);
	session_free(&s);
}

static void
test_hostile(void **state)
{
	static const char *const patterns[] = { " by x (", "[1.2.3.4] ",
		"(a [1.2.3.4]) by x ", "(HELO ", ":", "1.", "from ", "id <",
		"(x@[1.2.3.4]) by ", "(authenticated ", ")) (AUTH: LOGIN ",
		" with ESMTP", "envelope-from " };
	int64_t start = clock_mono_ms();
	struct relay r;

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct buf b = BUF_INIT(100000);

		buf_adds(&b, "from x ");
		while (b.n < 20000)
			buf_adds(&b, patterns[i]);
		relay_parse(arena, buf_str(&b), &r);
		buf_free(&b);
	}
	assert_true(clock_mono_ms() - start < slack(1500));
}

static void
test_many(void **state)
{
	struct session *s = session_new();
	int64_t start = clock_mono_ms();
	const struct relays *rs;

	(void)state;
	txn_begin(s, 1024);
	for (int i = 0; i < 100000; i++)
		header_add(s->txn->arena, &s->txn->headers, STR("Received"),
		    STR(" from a (b [192.0.2.1]) by c (x) with SMTP id 1"));
	rs = relay_find(s->txn->arena, s->txn, NULL);
	assert_int_equal(rs->count, RELAY_MAX_COUNT);
	assert_true(clock_mono_ms() - start < slack(1000));
	session_free(&s);
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_no_hop),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
