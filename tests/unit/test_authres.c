#include "check/authres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static void
forged(const char *value, bool want)
{
	bool got = authres_forged(str_of(value), STR("mx.example.net"));

	if (got != want)
		print_error("%s\n", value);
	assert_int_equal(got, want);
}

static void
test_forged(void **state)
{
	(void)state;
	forged(" mx.example.net; spf=pass", true);
	forged("mx.example.net;none", true);
	forged(" MX.Example.NET; none", true);
	forged(" mx.example.net 1; spf=pass", true);
	forged(" mx.example.net/1; spf=pass", true);
	forged(" mx.example.net", true);
	forged("\n\tmx.example.net;\n\tspf=pass", true);
	forged(" (a (nested \\) \\( one)) mx.example.net; none", true);
	forged(" mx.example.net(c); none", true);
	forged(" \"mx.example.net\"; none", true);
	forged(" \"mx.ex\\ample.net\"; none", true);
	forged(" \"mx.\n example.net\"; none", false);
	forged(" mx.example.net.; none", true);
	forged(" mx . example (c) . net; none", true);
	forged(" \"mx\".example.net; none", true);
	forged(" mx.example.org; none", false);
	forged(" xmx.example.net; none", false);
	forged(" mx.example.netx; none", false);
	forged(" example.net; none", false);
	forged(" other; spf=pass (mx.example.net)", false);
	forged(" other mx.example.net; none", false);
	forged(" (mx.example.net; none", false);
	forged("", false);
	forged(" ; none", false);
	forged(" \"", false);
	assert_false(authres_forged(STR(" ; none"), STR("")));
	assert_true(
	    authres_forged(STR(" mx\0.example.net;"), STR("mx.example.net")));
	assert_true(authres_forged(STR(" mx.b\xc3\xbc"
				       "cher.example; none"),
	    STR("mx.xn--bcher-kva.example")));
	assert_true(authres_forged(STR(" MX.XN--bcher-kva.example; none"),
	    STR("mx.b\xc3\xbc"
		"cher.example")));
}

static void
test_long(void **state)
{
	struct buf b = BUF_INIT(1 << 20);

	(void)state;
	for (int i = 0; i < 300000; i++)
		buf_adds(&b, i % 2 ? "." : "a");
	assert_false(authres_forged(buf_str(&b), STR("mx.example.net")));
	buf_truncate(&b, 0);
	for (int i = 0; i < 300000; i++)
		buf_adds(&b, "(");
	assert_false(authres_forged(buf_str(&b), STR("mx.example.net")));
	buf_free(&b);
}

static void
add(struct txn *t, const char *name, const char *value)
{
	assert_true(
	    header_add(t->arena, &t->headers, str_of(name), str_of(value)));
}

static void
test_strip(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	const struct edit *e;

	(void)state;
	add(t, "Authentication-Results", " other.example; spf=fail");
	add(t, "Authentication-Results", " mx.example.net; spf=pass");
	add(t, "Subject", " mx.example.net; spf=pass");
	add(t, "AUTHENTICATION-RESULTS", "\n mx.example.net; dkim=pass");
	assert_true(authres_strip(t, STR("mx.example.net")));
	e = t->verdict.edits;
	assert_int_equal(e->op, EDIT_REMOVE);
	assert_int_equal(e->nth, 2);
	e = e->next;
	assert_int_equal(e->nth, 3);
	assert_null(e->next);
	for (int i = 0; i < HEADER_MAX_COUNT; i++)
		add(t, "X", " y");
	assert_false(authres_strip(t, STR("mx.example.net")));
	session_free(&s);
}

static void
make(struct txn *t, const char *want)
{
	struct str got = authres_make(t, STR("mx.example.net")), line, rest;

	assert_str(got, want);
	/* our own is one of those we would take away */
	assert_true(authres_forged(got, STR("mx.example.net")));
	for (rest = got; rest.p != NULL;) {
		line = str_cut(rest, '\n', &rest);
		assert_true(line.n + 7 < 78);
	}
}

static void
test_make(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct checks on_session = { .ptr_done = true }, on_txn = { 0 };
	struct dkim_signature second = { .result = AUTH_PERMERROR,
		.domain = STR("b.org"),
		.problem = STR("no \"key\"\r\n") };
	struct dkim_signature first = { .next = &second,
		.result = AUTH_PASS,
		.domain = STR("x.org"),
		.selector = STR("sel"),
		.algorithm = STR("rsa-sha256"),
		.b = STR("abc/defghijklmnop") };
	struct dkim_result dkim = { .result = AUTH_PASS, .signatures = &first };
	struct spf_result spf = { .result = AUTH_SOFTFAIL,
		.domain = STR("x.org") };
	struct arc_result arc = { .oldest_known = true };
	struct dmarc_result dmarc = { .result = AUTH_FAIL,
		.policy = DMARC_QUARANTINE,
		.published = DMARC_REJECT,
		.has_record = true,
		.domain = STR("x.org") };

	(void)state;
	make(t, "mx.example.net; none");
	s->checks = &on_session;
	t->checks = &on_txn;
	make(t, "mx.example.net; none");
	assert_true(addr_parse(STR("192.0.2.1"), &s->client));
	make(t, "mx.example.net;\n\tiprev=fail policy.iprev=192.0.2.1");
	on_session.ptr_unknown = true;
	make(t, "mx.example.net;\n\tiprev=temperror policy.iprev=192.0.2.1");
	on_session.ptr_name = STR("h.x.org");
	make(t, "mx.example.net;\n\tiprev=pass policy.iprev=192.0.2.1");
	on_session.ptr_done = false;
	t->user = STR("alice w=x");
	make(t, "mx.example.net;\n\tauth=pass smtp.auth=\"alice w=x\"");
	t->user = STR_NONE;
	on_txn.spf = &spf;
	assert_true(envelope_parse(t->arena, STR("<a@x.org>"), &t->sender));
	make(t, "mx.example.net;\n\tspf=softfail smtp.mailfrom=a@x.org");
	spf.helo = true;
	spf.domain = STR("evil;dkim=pass");
	make(t,
	    "mx.example.net;\n\tspf=softfail "
	    "smtp.helo=\"evil;dkim=pass\"");
	on_txn.spf = NULL;
	on_txn.dmarc = &dmarc;
	make(t,
	    "mx.example.net;\n\tdmarc=fail (p=reject) header.from=x.org "
	    "policy.dmarc=quarantine");
	dmarc.override = STR("pass");
	dmarc.result = AUTH_PASS;
	dmarc.problem = STR("local override: pass");
	make(t,
	    "mx.example.net;\n\tdmarc=pass (p=reject) "
	    "reason=\"local override: pass\"\n\theader.from=x.org");
	dmarc.has_record = false;
	make(t,
	    "mx.example.net;\n\tdmarc=pass "
	    "reason=\"local override: pass\" header.from=x.org");
	dmarc.result = AUTH_UNKNOWN;
	on_txn.dkim = &dkim;
	make(t,
	    "mx.example.net;\n\tdkim=pass header.d=x.org header.s=sel "
	    "header.a=rsa-sha256\n\theader.b=\"abc/defghijk\";\n\t"
	    "dkim=permerror reason=\"no \\\"key\\\"\" header.d=b.org");
	dkim = (struct dkim_result){ .result = AUTH_NONE };
	make(t, "mx.example.net;\n\tdkim=none");
	on_txn.dkim = NULL;
	on_txn.arc = &arc;
	make(t, "mx.example.net; none");
	arc.result = AUTH_NONE;
	make(t, "mx.example.net;\n\tarc=none");
	arc.result = AUTH_PASS;
	make(t,
	    "mx.example.net;\n\tarc=pass smtp.remote-ip=192.0.2.1 "
	    "header.oldest-pass=0");
	arc.oldest_pass = 3;
	make(t,
	    "mx.example.net;\n\tarc=pass smtp.remote-ip=192.0.2.1 "
	    "header.oldest-pass=3");
	arc.oldest_known = false;
	make(t, "mx.example.net;\n\tarc=pass smtp.remote-ip=192.0.2.1");
	arc.result = AUTH_FAIL;
	arc.problem = STR("ARC-Seal i=1: bad");
	make(t,
	    "mx.example.net;\n\tarc=fail reason=\"ARC-Seal i=1: bad\" "
	    "smtp.remote-ip=192.0.2.1");
	session_free(&s);
}

static void
test_hostile(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	char junk[5000];
	struct str got;

	(void)state;
	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = i;
	t->user = (struct str){ junk, sizeof(junk) };
	got = authres_make(t, STR("mx.example.net"));
	assert_true(got.n > 0 && got.n < 2000);
	for (size_t i = 0; i < got.n; i++)
		if (got.p[i] == '\n')
			assert_int_equal(got.p[i + 1], '\t');
		else
			assert_true(
			    (unsigned char)got.p[i] >= ' ' || got.p[i] == '\t');
	session_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
