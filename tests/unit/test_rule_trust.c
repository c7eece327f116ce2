#include "score/rule_trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct rule_trust trust;
static struct arena *arena;

static bool
read_line(const char *word, const char *rest)
{
	struct str bad;

	return rule_trust_read(&trust, arena, str_of(word), str_of(rest), &bad);
}

static bool
trusts(const char *ip)
{
	struct addr addr;

	assert_true(addr_parse(str_of(ip), &addr));
	return relay_in_nets(&trust.nets.trusted, &addr);
}

static void
test_networks(void **state)
{
	(void)state;
	assert_true(read_line("trusted_networks",
	    "10/8 !10.1. 192.0.2.1 [2001:db8::]/32 2001:db9::1"));
	assert_true(read_line("trusted_networks", "198.51.100/24"));
	assert_true(trusts("10.2.3.4"));
	assert_false(trusts("10.1.3.4"));
	assert_true(trusts("192.0.2.1"));
	assert_false(trusts("192.0.2.2"));
	assert_true(trusts("2001:db8:1::1"));
	assert_true(trusts("2001:db9::1"));
	assert_false(trusts("2001:db9::2"));
	assert_true(trusts("198.51.100.9"));
	assert_true(trusts("127.0.0.1"));
	assert_int_equal(trust.nets.internal.n, 0);
	assert_true(read_line("clear_trusted_networks", ""));
	assert_false(trusts("10.2.3.4"));
}

static void
test_mistakes(void **state)
{
	static const char *const words[] = { "10.0.0.1/8", "x", "1.2.3.4.5",
		"!", "10/33", "/8", "[", "1.2.3.4/", "2001:db8::/129",
		"11111111111111111111111111111111111111111111111111111111" };
	struct str bad;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_false(read_line("msa_networks", words[i]));
	assert_int_equal(trust.nets.msa.n, 0);
	/* The others of the line hold. */
	assert_false(rule_trust_read(&trust, arena, STR("internal_networks"),
	    STR("10/8 bad 11/8"), &bad));
	assert_true(str_eq(bad, STR("bad")));
	assert_int_equal(trust.nets.internal.n, 2);
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
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
