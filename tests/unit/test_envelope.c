#include "mail/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

struct want {
	const char *arg, *text, *local, *domain, *base;
	bool valid;
};

static const struct want wants[] = {
	{ "<alice@Example.ORG>", "alice@example.org", "alice", "example.org",
	    "alice@example.org", true },
	{ "Alice@example.org", "Alice@example.org", "Alice", "example.org",
	    "alice@example.org", true },
	{ " <a@x.org> ", "a@x.org", "a", "x.org", "a@x.org", true },
	{ "<@a.net,@b.net:u@x.org>", "u@x.org", "u", "x.org", "u@x.org", true },
	{ "<@[IPv6:::1]:u@x.org>", "u@x.org", "u", "x.org", "u@x.org", true },
	{ "<\"alice\"@x.org>", "alice@x.org", "alice", "x.org", "alice@x.org",
	    true },
	{ "<\"a b\"@x.org>", "\"a b\"@x.org", "a b", "x.org", "\"a b\"@x.org",
	    true },
	{ "<\"a@b\"@x.org>", "\"a@b\"@x.org", "a@b", "x.org", "\"a@b\"@x.org",
	    true },
	{ "<\"a\\\"b\\\\\"@x.org>", "\"a\\\"b\\\\\"@x.org", "a\"b\\", "x.org",
	    "\"a\\\"b\\\\\"@x.org", true },
	{ "<\"a\\b\"@x.org>", "ab@x.org", "ab", "x.org", "ab@x.org", true },
	{ "<\"a.b\"@x.org>", "a.b@x.org", "a.b", "x.org", "a.b@x.org", true },
	{ "<a..b@x.org>", "\"a..b\"@x.org", "a..b", "x.org", "\"a..b\"@x.org",
	    false },
	{ "<a@x.org.>", "a@x.org", "a", "x.org", "a@x.org", true },
	{ "<a@[192.0.2.1]>", "a@[192.0.2.1]", "a", "[192.0.2.1]",
	    "a@[192.0.2.1]", true },
	{ "<a@[IPv6:2001:DB8:0::1]>", "a@[ipv6:2001:db8::1]", "a",
	    "[ipv6:2001:db8::1]", "a@[ipv6:2001:db8::1]", true },
	{ "<a@[IPv6:::ffff:192.0.2.1]>", "a@[192.0.2.1]", "a", "[192.0.2.1]",
	    "a@[192.0.2.1]", true },
	{ "<a@[nonsense]>", "a@[nonsense]", "a", "[nonsense]", "a@[nonsense]",
	    false },
	{ "<a@b\xc3\xbc"
	  "cher.example>",
	    "a@xn--bcher-kva.example", "a", "xn--bcher-kva.example",
	    "a@xn--bcher-kva.example", true },
	{ "<a@B\xc3\x9c"
	  "CHER.example.>",
	    "a@xn--bcher-kva.example", "a", "xn--bcher-kva.example",
	    "a@xn--bcher-kva.example", true },
	{ "<a@XN--bcher-KVA.example>", "a@xn--bcher-kva.example", "a",
	    "xn--bcher-kva.example", "a@xn--bcher-kva.example", true },
	{ "<a@\xff.Example>", "a@\xff.example", "a", "\xff.example",
	    "a@\xff.example", false },
	{ "<j\xc3\xbcrgen@x.org>", "j\xc3\xbcrgen@x.org", "j\xc3\xbcrgen",
	    "x.org", "j\xc3\xbcrgen@x.org", true },
	{ "<\xff@x.org>", "\xff@x.org", "\xff", "x.org", "\xff@x.org", false },
	{ "<postmaster>", "postmaster", "postmaster", "", "postmaster", true },
	{ "root", "root", "root", "", "root", false },
	{ "<a@b@x.org>", "\"a@b\"@x.org", "a@b", "x.org", "\"a@b\"@x.org",
	    false },
	{ "<a@>", "a", "a", "", "a", false },
	{ "<@x.org>", "@x.org", "@x.org", "", "@x.org", false },
	{ "<\"a@x.org>", "\"a@x.org", "\"a@x.org", "", "\"a@x.org", false },
	{ "<a@x.org", "a@x.org", "a", "x.org", "a@x.org", false },
	{ "<a@x_y.org>", "a@x_y.org", "a", "x_y.org", "a@x_y.org", true },
	{ "<a@x..org>", "a@x..org", "a", "x..org", "a@x..org", false },
	{ "<a\tb@X.org>", "a\tb@X.org", "a\tb@X.org", "", "a\tb@x.org", false },
	/* what changes with each message */
	{ "<prvs=1234abcdef=Bob@x.org>", "prvs=1234abcdef=Bob@x.org",
	    "prvs=1234abcdef=Bob", "x.org", "bob@x.org", true },
	{ "<btv1==123abc==bob@x.org>", "btv1==123abc==bob@x.org",
	    "btv1==123abc==bob", "x.org", "bob@x.org", true },
	{ "<prvs=bob@x.org>", "prvs=bob@x.org", "prvs=bob", "x.org",
	    "prvs=bob@x.org", true },
	{ "<SRS0=Hb4g=K7=Orig.example=bob@fwd.net>",
	    "SRS0=Hb4g=K7=Orig.example=bob@fwd.net",
	    "SRS0=Hb4g=K7=Orig.example=bob", "fwd.net", "bob@orig.example",
	    true },
	{ "<SRS0+Hb4g=K7=orig.example=b=c@fwd.net>",
	    "SRS0+Hb4g=K7=orig.example=b=c@fwd.net",
	    "SRS0+Hb4g=K7=orig.example=b=c", "fwd.net", "b=c@orig.example",
	    true },
	{ "<SRS1=xx=first.net==Hb4g=K7=orig.example=bob+tag@fwd.net>",
	    "SRS1=xx=first.net==Hb4g=K7=orig.example=bob+tag@fwd.net",
	    "SRS1=xx=first.net==Hb4g=K7=orig.example=bob+tag", "fwd.net",
	    "bob@orig.example", true },
	{ "<srs0=a=b=c@fwd.net>", "srs0=a=b=c@fwd.net", "srs0=a=b=c", "fwd.net",
	    "srs0=a=b=c@fwd.net", true },
	{ "<srsly@x.org>", "srsly@x.org", "srsly", "x.org", "srsly@x.org",
	    true },
	{ "<SRS0=h=t=x.org=prvs=12=bob@fwd.net>",
	    "SRS0=h=t=x.org=prvs=12=bob@fwd.net", "SRS0=h=t=x.org=prvs=12=bob",
	    "fwd.net", "bob@x.org", true },
	{ "<list-return-12-bob=x.org@l.net>", "list-return-12-bob=x.org@l.net",
	    "list-return-12-bob=x.org", "l.net", "list-return@l.net", true },
	{ "<dev-bounces-bob=x.org@l.net>", "dev-bounces-bob=x.org@l.net",
	    "dev-bounces-bob=x.org", "l.net", "dev-bounces@l.net", true },
	{ "<dev-bounces+bob=x.org@l.net>", "dev-bounces+bob=x.org@l.net",
	    "dev-bounces+bob=x.org", "l.net", "dev-bounces@l.net", true },
	{ "<no-return-ticket@l.net>", "no-return-ticket@l.net",
	    "no-return-ticket", "l.net", "no-return-ticket@l.net", true },
	{ "<bob+spam+x@x.org>", "bob+spam+x@x.org", "bob+spam+x", "x.org",
	    "bob@x.org", true },
	{ "<+bob@x.org>", "+bob@x.org", "+bob", "x.org", "+bob@x.org", true },
};

static void
test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct want *w = &wants[i];
		struct arena *a = arena_new(65536);
		struct address addr;

		assert_true(envelope_parse(a, str_of(w->arg), &addr));
		assert_str(addr.text, w->text);
		assert_str(addr.local, w->local);
		assert_str(addr.domain, w->domain);
		assert_str(addr.base, w->base);
		if (addr.valid != w->valid)
			print_error("%s: valid is %d\n", w->arg, addr.valid);
		assert_int_equal(addr.valid, w->valid);
		assert_false(addr.null);
		arena_free(&a);
	}
}

static void
test_null(void **state)
{
	static const char *const nulls[] = { "<>", "", " ", "< >" };
	struct arena *a = arena_new(65536);
	struct address addr;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(envelope_parse(a, str_of(nulls[i]), &addr));
		assert_true(addr.null);
		assert_true(addr.valid);
		assert_int_equal(addr.text.n, 0);
		assert_non_null(addr.text.p);
	}
	assert_true(envelope_parse(a, STR_NONE, &addr));
	assert_true(addr.null);
	assert_true(envelope_parse(a, STR("<"), &addr));
	assert_false(addr.null);
	assert_false(addr.valid);
	arena_free(&a);
}

static void
test_hostile(void **state)
{
	struct arena *a = arena_new(8 << 20);
	struct address addr;
	char *big = mem_alloc(1 << 20);

	(void)state;
	assert_true(envelope_parse(a, STR("<a\0b@x.org>"), &addr));
	assert_false(addr.valid);
	assert_int_equal(addr.domain.n, 0);
	assert_true(str_eq(addr.text, STR("a\0b@x.org")));
	memset(big, 'a', 1 << 20);
	memcpy(big + 1000, "@x.org", 6);
	assert_true(envelope_parse(a, (struct str){ big, 1 << 20 }, &addr));
	assert_false(addr.valid);
	assert_int_equal(addr.raw.n, 1 << 20);
	arena_free(&a);
	a = arena_new(64);
	assert_false(envelope_parse(a, (struct str){ big, 1000 }, &addr));
	assert_true(arena_overflowed(a));
	arena_free(&a);
	free(big);
}

static void
test_domain(void **state)
{
	struct arena *a = arena_new(65536);

	(void)state;
	assert_str(envelope_domain(a, STR("Example.ORG.")), "example.org");
	assert_null(envelope_domain(a, STR("")).p);
	assert_null(envelope_domain(a, STR(".")).p);
	assert_null(envelope_domain(a, STR("a b")).p);
	assert_null(envelope_domain(a, STR("a\0b")).p);
	assert_null(envelope_domain(a, STR("[")).p);
	assert_null(envelope_domain(a, STR("[]")).p);
	assert_null(envelope_domain(a, STR("\xc3")).p);
	/* an ideographic full stop parts labels as well */
	assert_str(envelope_domain(a, STR("x\xe3\x80\x82org")), "x.org");
	arena_free(&a);
}

static void
test_size(void **state)
{
	char *const argv[] = { (char[]){ "BODY=8BITMIME" },
		(char[]){ "size=1234" }, NULL };
	char *const bad[] = { (char[]){ "SIZE=12x" }, NULL };
	char *const none[] = { NULL };

	(void)state;
	assert_int_equal(envelope_size(argv), 1234);
	assert_int_equal(envelope_size(bad), 0);
	assert_int_equal(envelope_size(none), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
