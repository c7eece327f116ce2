#include "check/authres.h"

#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "authres_cases.h"

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
	/* What nobody can read right may be read as ours. */
	forged(" (mx.example.net; none", true);
	forged(" (other; none", false);
	forged(" ((said by) MX.example.net; none", true);
	forged(" other (mx.example.net; none", true);
	forged(" (a \\) mx.example.net; none", true);
	forged(" \"mx.example.net; none", true);
	forged(" mx.example.net (; none", true);
	/* Blanks of all kinds. */
	forged("\v\fmx.example.net; none", true);
	forged(" \x1f(\x01)\x7fmx.example.net; none", true);
	forged("\r\n \r\n\tmx.example.net\r\n ; none", true);
	forged(" \xc2\xa0mx.example.net\xc2\xa0; none", true);
	forged(" \xe3\x80\x80mx.example.net; none", true);
	forged(" \xef\xbb\xbfmx.example.net; none", true);
	forged(" mx.\xe2\x80\x8b"
	       "example.net; none",
	    true);
	forged(" mx.exam\xc2\xadple.net; none", true);
	forged(" \xe2\x80", false);
	/* IDNA's other dots and wide letters. */
	forged(" mx\xe3\x80\x82"
	       "example.net; none",
	    true);
	forged(" \xef\xbd\x8d\xef\xbd\x98.example.net; none", true);
	/* Decoded before it is parsed. */
	forged(" =?utf-8?q?mx=2Eexample=2Enet?=; none", true);
	forged(" =?us-ascii?B?bXguZXhhbXBsZS5uZXQ=?= 1; none", true);
	forged(" =?utf-8?q?other?=; none (mx.example.net)", false);
	/* Versions and what stands in a semicolon's place. */
	forged(" mx.example.net 2; none", true);
	forged(" mx.example.net (c) 1 (d) ; none", true);
	forged(" mx.example.net none", true);
	forged(" mx.example.net=pass", true);
	forged(" mx.example.net,other; none", true);
	forged(" \"mx\" . \"example\" . \"net\"; none", true);
	forged(" \"mx.example.net\\\"\"; none", false);
	forged(" <mx.example.net>; none", false);
	forged(" i=1; mx.example.net; none", false);
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
	    "header.a=rsa-sha256\n\theader.b=\"abc/defg\";\n\t"
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
	    "mx.example.net;\n\tarc=pass header.oldest-pass=0 "
	    "smtp.remote-ip=192.0.2.1");
	arc.oldest_pass = 3;
	make(t,
	    "mx.example.net;\n\tarc=pass header.oldest-pass=3 "
	    "smtp.remote-ip=192.0.2.1");
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
told_result(struct buf *out, const struct reader_result *r)
{
	size_t reason =
	    r->nprops > 0 && str_eq(r->props[0].name, STR("reason"));

	buf_addc(out, '[');
	buf_json(out, r->method);
	buf_addc(out, ',');
	buf_json(out, r->result);
	buf_addc(out, ',');
	buf_json(out, reason ? r->props[0].value : STR(""));
	buf_adds(out, ",[");
	for (size_t i = reason; i < r->nprops; i++) {
		buf_adds(out, i > reason ? ",[" : "[");
		buf_json(out, r->props[i].name);
		buf_addc(out, ',');
		buf_json(out, r->props[i].value);
		buf_addc(out, ']');
	}
	buf_adds(out, "]]");
}

/* One message by chance: read again here, and told to the other reader. */
static void
round_trip(uint64_t seed, FILE *f)
{
	struct cases c = { .seed = seed };
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct buf line = BUF_INIT(1 << 20);
	struct reader want, got;
	struct str field;

	cases_draw(&c, t, &want);
	field = authres_make(t, STR("mx.example.net"));
	if (!reader_read(&got, t->arena, field) || !cases_same(&want, &got))
		fail_msg("not read as written: %.*s", STR_FMT(field));
	buf_adds(&line, "{\"field\":");
	buf_json(&line, field);
	buf_adds(&line, ",\"results\":[");
	for (size_t i = 0; i < got.nresults; i++) {
		if (i > 0)
			buf_addc(&line, ',');
		told_result(&line, &got.results[i]);
	}
	fprintf(f, "%.*s]}\n", STR_FMT(buf_str(&line)));
	buf_free(&line);
	t->checks = s->checks = NULL;
	session_free(&s);
}

/* As much of each b= as tells it from the others (RFC 6008). */
static void
test_unique_b(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct dkim_signature third = { .result = AUTH_PASS,
		.b = STR("abcdefgh12") };
	struct dkim_signature second = { .next = &third,
		.result = AUTH_PASS,
		.b = STR("abcdefgh1x") };
	struct dkim_signature first = { .next = &second,
		.result = AUTH_PASS,
		.b = STR("zbcdefghijkl") };
	struct dkim_result dkim = { .result = AUTH_PASS, .signatures = &first };
	struct checks on_txn = { .dkim = &dkim };

	(void)state;
	t->checks = &on_txn;
	make(t,
	    "mx.example.net;\n\tdkim=pass header.b=zbcdefgh;\n\t"
	    "dkim=pass header.b=abcdefgh1x;\n\t"
	    "dkim=pass header.b=abcdefgh12");
	/* Nothing tells twins apart. */
	second.b = third.b;
	make(t,
	    "mx.example.net;\n\tdkim=pass header.b=zbcdefgh;\n\t"
	    "dkim=pass header.b=abcdefgh12;\n\t"
	    "dkim=pass header.b=abcdefgh12");
	session_free(&s);
}

/* ASCII where the message is ASCII, RFC 6532 where it is not; domains are
 * A-labels in either. */
static void
test_charset(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct dkim_signature sig = { .result = AUTH_PASS,
		.domain = STR("b\xc3\xbc"
			      "cher.example"),
		.identity = STR("\xc3\xa4@b\xc3\xbc"
				"cher.example"),
		.selector = STR("\xff\xfe") };
	struct dkim_result dkim = { .result = AUTH_PASS, .signatures = &sig };
	struct checks on_txn = { .dkim = &dkim };

	(void)state;
	t->checks = &on_txn;
	make(t,
	    "mx.example.net;\n\tdkim=pass header.d=xn--bcher-kva.example\n\t"
	    "header.i=?@xn--bcher-kva.example header.s=\"??\"");
	assert_true(envelope_parse(t->arena,
	    STR("<j\xc3\xbcrgen@b\xc3\xbc"
		"cher.example>"),
	    &t->sender));
	make(t,
	    "mx.example.net;\n\tdkim=pass header.d=xn--bcher-kva.example\n\t"
	    "header.i=\"\xc3\xa4@xn--bcher-kva.example\" "
	    "header.s=\"\xc3\xbf\xc3\xbe\"");
	sig = (struct dkim_signature){ .result = AUTH_PASS,
		.identity = STR("a=b/c@x.org") };
	make(t, "mx.example.net;\n\tdkim=pass header.i=a=b/c@x.org");
	sig.identity = STR("@x.org");
	make(t, "mx.example.net;\n\tdkim=pass header.i=@x.org");
	sig.identity = STR("a@b@x.org");
	make(t, "mx.example.net;\n\tdkim=pass header.i=\"a@b@x.org\"");
	sig.identity = STR("a@");
	make(t, "mx.example.net;\n\tdkim=pass header.i=\"a@\"");
	sig.identity = STR("a..b@x.org");
	make(t, "mx.example.net;\n\tdkim=pass header.i=\"a..b@x.org\"");
	session_free(&s);
}

/* What was written is cut between characters. */
static void
test_cut(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct buf user = BUF_INIT(1000);
	struct reader *r = arena_alloc(t->arena, sizeof(*r));
	struct str got;

	(void)state;
	assert_true(
	    envelope_parse(t->arena, STR("<\xc3\xa4@x.org>"), &t->sender));
	for (int i = 0; i < 299; i++)
		buf_addc(&user, 'a');
	buf_adds(&user, "\xe2\x82\xac and so on");
	t->user = buf_str(&user);
	got = authres_make(t, STR("mx.example.net"));
	assert_true(reader_read(r, t->arena, got));
	assert_int_equal(r->results[0].props[0].value.n, 299);
	buf_free(&user);
	session_free(&s);
}

/* By the grammar, and by another's reader where that is installed. */
static void
test_round_trip(void **state)
{
	char path[] = "/tmp/postern-authres-XXXXXX", command[200], line[500];
	int fd = mkstemp(path), status;
	FILE *f = fdopen(fd, "w"), *p;

	(void)state;
	assert_non_null(f);
	for (uint64_t seed = 1; seed <= 500; seed++)
		round_trip(seed, f);
	assert_int_equal(fclose(f), 0);
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/authres_oracle.py %s", path);
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p) != NULL)
		print_message("%s", line);
	status = pclose(p);
	unlink(path);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
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
		cmocka_unit_test(test_unique_b),
		cmocka_unit_test(test_charset),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
