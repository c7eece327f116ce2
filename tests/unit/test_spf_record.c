#include "auth_fixture.h"
#include "check/spf.h"
#include "check/spf_record.h"

static struct arena *arena;

static bool
parses(const char *text)
{
	struct spf_record r;

	return spf_record_parse(arena, str_of(text), &r);
}

static void
test_grammar(void **state)
{
	static const char *const good[] = { "v=spf1", "V=SPF1 -ALL",
		"v=spf1   a  mx -all  ", "v=spf1 a:x.example/24//64 -all",
		"v=spf1 a//0", "v=spf1 mx/0", "v=spf1 ip4:192.0.2.0/24",
		"v=spf1 ip6:2001:db8::/32", "v=spf1 ip6:::ffff:192.0.2.1/120",
		"v=spf1 ip6:::1/0", "v=spf1 include:%{d}",
		"v=spf1 exists:%{i}._spf.%{d2r-.+,/_=}.example",
		"v=spf1 exists:a%%%_%-.x.example", "v=spf1 redirect=x.example.",
		"v=spf1 exp=x.example foo=b/%{s}",
		"v=spf1 a.b-c_d=", "v=spf1 exists:%{L1R-}.a-b", "v=spf1 ?ptr",
		"v=spf1 a:1.example.a2b", "v=spf1 a:x/y.example/8" };
	static const char *const bad[] = { "", "v=spf10", "v=spf1,a",
		"v=spf1 foo", "v=spf1 all:x.example", "v=spf1 all/8",
		"v=spf1 a:", "v=spf1 a:example", "v=spf1 a:x.1",
		"v=spf1 a:x.example-", "v=spf1 a/33", "v=spf1 a/032",
		"v=spf1 a//129", "v=spf1 a/", "v=spf1 a/8/8", "v=spf1 include",
		"v=spf1 include:", "v=spf1 exists:x.example/24",
		"v=spf1 ptr:x.example/8", "v=spf1 ip4", "v=spf1 ip4:1.2.3",
		"v=spf1 ip4:1.2.3.4/", "v=spf1 ip4:01.2.3.4",
		"v=spf1 ip4:1.2.3.4//32", "v=spf1 ip4:::1",
		"v=spf1 ip6:1.2.3.4", "v=spf1 ip6:IPv6:::1",
		"v=spf1 exists:%{x}.example", "v=spf1 exists:%{c}.example",
		"v=spf1 exists:%{d0}.example", "v=spf1 exists:%{d",
		"v=spf1 exists:%{d}}%", "v=spf1 exists:%d.example",
		"v=spf1 redirect=", "v=spf1 redirect=a.example redirect=a.x",
		"v=spf1 +redirect=a.example", "v=spf1 1a=b", "v=spf1 x=%",
		"v=spf1 a:x\001y.example", "v=spf1\ta", "v=spf1 -" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!parses(good[i]))
			fail_msg("refused: %s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parses(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void
test_terms(void **state)
{
	const struct spf_term *t;
	struct spf_record r;

	(void)state;
	assert_true(spf_record_parse(arena,
	    STR("v=spf1 ?a:b.example/8//9 -ip6:::ffff:192.0.2.9/120 ~mx/0 "
		"redirect=r.example exp=e.example"),
	    &r));
	t = r.terms;
	assert_int_equal(t->mechanism, SPF_A);
	assert_int_equal(t->on_match, AUTH_NEUTRAL);
	assert_true(str_eq(t->domain, STR("b.example")));
	assert_int_equal(t->bits4, 8);
	assert_int_equal(t->bits6, 9);
	t = t->next;
	assert_int_equal(t->on_match, AUTH_FAIL);
	assert_int_equal(t->net.addr.family, ADDR_V4);
	assert_int_equal(t->net.bits, 24);
	assert_int_equal(t->net.addr.b[3], 0);
	t = t->next;
	assert_int_equal(t->mechanism, SPF_MX);
	assert_int_equal(t->bits4, 0);
	assert_int_equal(t->bits6, 128);
	assert_null(t->next);
	assert_true(str_eq(r.redirect, STR("r.example")));
	assert_true(str_eq(r.exp, STR("e.example")));
}

/* RFC 7208 section 7.4, and what libraries were seen to get wrong. */
static void
test_macros(void **state)
{
	static const struct {
		const char *spec, *want;
	} rows[] = {
		{ "%{s}", "strong-bad@email.example.com" },
		{ "%{o}", "email.example.com" },
		{ "%{d}", "email.example.com" },
		{ "%{d4}", "email.example.com" },
		{ "%{d3}", "email.example.com" },
		{ "%{d2}", "example.com" },
		{ "%{d1}", "com" },
		{ "%{dr}", "com.example.email" },
		{ "%{d2r}", "example.email" },
		{ "%{d1r}", "email" },
		{ "%{d999999999999}", "email.example.com" },
		{ "%{l}", "strong-bad" },
		{ "%{l-}", "strong.bad" },
		{ "%{lr}", "strong-bad" },
		{ "%{lr-}", "bad.strong" },
		{ "%{l1}", "strong-bad" },
		{ "%{l1-}", "bad" },
		{ "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}",
		    "3.2.0.192.in-addr._spf.example.com" },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
		    "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net",
		    "example.com.trusted-domains.example.net" },
		{ "%{S}.x", "strong-bad%40email.example.com.x" },
		{ "%{h}", "mx.example.org" },
		{ "%{p}", "unknown" },
		{ "a%%b%_c%-d.", "a%b c%20d" },
	};
	struct spf_macros v = {
		.local = STR("strong-bad"),
		.sender_domain = STR("email.example.com"),
		.domain = STR("email.example.com"),
		.helo = STR("mx.example.org"),
	};
	struct buf out = BUF_INIT(65536);
	size_t i;

	(void)state;
	assert_true(addr_parse(STR("192.0.2.3"), &v.client));
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(spf_macro_name(&v, str_of(rows[i].spec), &out));
		if (!str_eq(buf_str(&out), str_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].spec,
			    STR_FMT(buf_str(&out)));
	}
	assert_true(addr_parse(STR("2001:db8::cb01"), &v.client));
	assert_true(spf_macro_name(&v, STR("%{ir}.%{v}._spf.%{d2}"), &out));
	assert_true(str_ieq(buf_str(&out),
	    STR("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1."
		"0.0.2.ip6._spf.example.com")));
	v.domain = STR("big.example");
	assert_true(spf_macro_name(&v, STR("%{d2}"), &out));
	assert_true(str_eq(buf_str(&out), STR("big.example")));
	assert_true(spf_macro_name(&v, STR("%{d2r}"), &out));
	assert_true(str_eq(buf_str(&out), STR("example.big")));
	v.local = STR("a-b");
	assert_true(spf_macro_name(&v, STR("%{l1}"), &out));
	assert_true(str_eq(buf_str(&out), STR("a-b")));
	buf_free(&out);
}

/* A name over 253 bytes loses labels on its left; one label can't. */
static void
test_long_names(void **state)
{
	struct spf_macros v = { .domain = STR("d.example") };
	struct buf spec = BUF_INIT(65536), out = BUF_INIT(65536);
	struct buf label = BUF_INIT(65536);
	int i;

	(void)state;
	for (i = 0; i < 60; i++)
		buf_addc(&label, 'x');
	for (i = 0; i < 300; i++) {
		buf_addstr(&spec, buf_str(&label));
		buf_addc(&spec, '.');
	}
	buf_adds(&spec, "%{d}");
	assert_true(spf_macro_name(&v, buf_str(&spec), &out));
	assert_int_equal(out.n, 4 * 61 + 9);
	assert_true(str_iends(buf_str(&out), STR("x.d.example")));
	assert_int_equal(out.p[0], 'x');
	buf_truncate(&spec, 0);
	for (i = 0; i < 300; i++)
		buf_addstr(&spec, buf_str(&label));
	assert_false(spf_macro_name(&v, buf_str(&spec), &out));
	buf_free(&spec);
	buf_free(&out);
	buf_free(&label);
}

static void
test_text(void **state)
{
	struct spf_macros v = { .domain = STR("d.example") };
	struct buf text = BUF_INIT(65536), out = BUF_INIT(65536);
	int i;

	(void)state;
	spf_macro_text(&v, STR("see http://%{d}/ 100%%"), &out);
	assert_true(str_eq(buf_str(&out), STR("see http://d.example/ 100%")));
	for (i = 0; i < 1000; i++)
		buf_adds(&text, "%{d}");
	spf_macro_text(&v, buf_str(&text), &out);
	assert_int_equal(out.n, SPF_TEXT_MAX);
	buf_free(&text);
	buf_free(&out);
}

/* A full arena is no syntax error and no crash. */
static void
test_full(void **state)
{
	struct arena *small = arena_new(512);
	struct buf text = BUF_INIT(65536);
	struct spf_record r;
	int i;

	(void)state;
	buf_adds(&text, "v=spf1");
	for (i = 0; i < 1000; i++)
		buf_adds(&text, " ip4:192.0.2.1");
	assert_false(spf_record_parse(small, buf_str(&text), &r));
	assert_true(arena_overflowed(small));
	buf_free(&text);
	arena_free(&small);
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
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
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
