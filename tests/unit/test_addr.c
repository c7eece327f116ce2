#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/addr.h"

static void
expect(const char *in, const char *want)
{
	struct addr a = { .family = ADDR_NONE };
	char text[ADDR_TEXT_MAX];

	if (want == NULL) {
		assert_false(addr_parse(str_of(in), &a));
		return;
	}
	assert_true(addr_parse(str_of(in), &a));
	addr_format(&a, text);
	assert_string_equal(text, want);
}

static void
test_parse(void **state)
{
	struct addr a;

	(void)state;
	expect("192.0.2.1", "192.0.2.1");
	expect("2001:DB8:0:0:0:0:0:1", "2001:db8::1");
	expect("IPv6:2001:db8::1", "2001:db8::1");
	expect("ipv6:::1", "::1");
	expect("::ffff:192.0.2.1", "192.0.2.1");
	expect("::ffff:c000:201", "192.0.2.1");
	expect("IPv6:::ffff:192.0.2.1", "192.0.2.1");
	expect("::192.0.2.1", "::192.0.2.1");
	expect("IPv6:192.0.2.1", NULL);
	expect("", NULL);
	expect("IPv6:", NULL);
	expect("192.0.2", NULL);
	expect("192.0.2.256", NULL);
	expect("192.0.2.01", NULL);
	expect("0x7f.0.0.1", NULL);
	expect(" 192.0.2.1", NULL);
	expect("192.0.2.1 ", NULL);
	expect("[192.0.2.1]", NULL);
	expect("fe80::1%lo", NULL);
	expect("1:2:3:4:5:6:7:8:9", NULL);
	expect("00000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL);
	assert_false(addr_parse(STR_NONE, &a));
	assert_false(addr_parse(STR("192.0.2.1\0x"), &a));
	assert_false(addr_parse(STR("::1\0"), &a));
}

static void
expect_net(const char *net, const char *in, const char *out)
{
	struct addr_net n;
	struct addr a;
	const char *why = NULL;

	assert_true(addr_net_parse(str_of(net), &n, &why));
	assert_true(addr_parse(str_of(in), &a));
	assert_true(addr_in_net(&a, &n));
	if (out != NULL) {
		assert_true(addr_parse(str_of(out), &a));
		assert_false(addr_in_net(&a, &n));
	}
}

static void
test_nets(void **state)
{
	struct addr_net n;
	const char *why;
	struct addr none = { .family = ADDR_NONE };

	(void)state;
	expect_net("192.0.2.0/24", "192.0.2.255", "192.0.3.0");
	expect_net("192.0.2.128/25", "192.0.2.128", "192.0.2.127");
	expect_net("192.0.2.7", "192.0.2.7", "192.0.2.6");
	expect_net("192.0.2.6/31", "192.0.2.7", "192.0.2.8");
	expect_net("0.0.0.0/0", "255.255.255.255", "::1");
	expect_net("::/0", "2001:db8::", "192.0.2.1");
	expect_net("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::");
	expect_net("2001:db8::1", "2001:db8::1", "2001:db8::2");
	expect_net("::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9");
	expect_net("::ffff:0.0.0.0/96", "192.0.2.9", "::1");
	assert_true(addr_net_parse(STR("::/0"), &n, &why));
	assert_false(addr_in_net(&none, &n));
}

static void
expect_bad_net(const char *net, const char *word)
{
	struct addr_net n = { .bits = 99 };
	const char *why = NULL;

	assert_false(addr_net_parse(str_of(net), &n, &why));
	assert_non_null(why);
	assert_non_null(strstr(why, word));
	assert_int_equal(n.bits, 99);
}

static void
test_bad_nets(void **state)
{
	(void)state;
	expect_bad_net("example.org", "not an IP address");
	expect_bad_net("192.0.2/24", "not an IP address");
	expect_bad_net("/24", "not an IP address");
	expect_bad_net("192.0.2.0/", "not a number");
	expect_bad_net("192.0.2.0/-1", "not a number");
	expect_bad_net("192.0.2.0/24/2", "not a number");
	expect_bad_net("192.0.2.0/99999999999999999999", "not a number");
	expect_bad_net("192.0.2.0/33", "more than 32");
	expect_bad_net("2001:db8::/129", "more than 128");
	expect_bad_net("192.0.2.1/24", "behind the prefix");
	expect_bad_net("2001:db8::1/127", "behind the prefix");
	expect_bad_net("::ffff:192.0.2.0/24", "less than 96");
}

static void
test_sockaddr(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct addr a, b;

	(void)state;
	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr);
	assert_true(addr_of_sockaddr((struct sockaddr *)&in, &a));
	assert_true(addr_of_sockaddr((struct sockaddr *)&in6, &b));
	assert_true(addr_eq(&a, &b));
	assert_int_equal(a.family, ADDR_V4);
	inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
	assert_true(addr_of_sockaddr((struct sockaddr *)&in6, &b));
	assert_int_equal(b.family, ADDR_V6);
	assert_true(addr_cmp(&a, &b) < 0);
	assert_true(addr_cmp(&b, &a) > 0);
	assert_false(addr_of_sockaddr((struct sockaddr *)&un, &a));
	assert_false(addr_of_sockaddr(NULL, &a));
}

static void
expect_reverse(const char *in, const char *want)
{
	struct addr a = { .family = ADDR_NONE };
	char text[80];

	assert_true(in == NULL || addr_parse(str_of(in), &a));
	addr_reverse(&a, text);
	assert_string_equal(text, want);
}

static void
test_reverse(void **state)
{
	(void)state;
	expect_reverse("192.0.2.1", "1.2.0.192");
	expect_reverse("255.255.255.255", "255.255.255.255");
	expect_reverse("2001:db8::567:89ab",
	    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0."
	    "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2");
	expect_reverse(NULL, "");
}

static void
test_loopback_and_mask(void **state)
{
	struct addr a;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_true(addr_parse(STR("127.9.9.9"), &a));
	assert_true(addr_is_loopback(&a));
	addr_mask(&a, 12);
	addr_format(&a, text);
	assert_string_equal(text, "127.0.0.0");
	assert_true(addr_parse(STR("::1"), &a));
	assert_true(addr_is_loopback(&a));
	assert_true(addr_parse(STR("::2"), &a));
	assert_false(addr_is_loopback(&a));
	assert_true(addr_parse(STR("2001:db8:ffff:ffff::1"), &a));
	addr_mask(&a, 61);
	addr_format(&a, text);
	assert_string_equal(text, "2001:db8:ffff:fff8::");
	addr_mask(&a, 500);
	addr_format(&a, text);
	assert_string_equal(text, "2001:db8:ffff:fff8::");
	a.family = ADDR_NONE;
	assert_false(addr_is_loopback(&a));
	addr_format(&a, text);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_nets),
		cmocka_unit_test(test_bad_nets),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_loopback_and_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
