#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "check/dnsbl.h"

#define NIBBLES \
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"

static const char zone[] =
    "2.0.0.127.bl.example A 127.0.0.2\n"
    "1.2.0.192.bl.example A 127.0.0.11\n"
    "2.2.0.192.bl.example A 127.0.0.1\n"
    "3.2.0.192.bl.example A 127.255.255.254\n"
    "4.2.0.192.bl.example A 192.0.2.80\n"
    "5.2.0.192.bl.example A !servfail\n"
    "6.2.0.192.bl.example A !timeout\n"
    "7.2.0.192.bl.example A 127.0.0.1\n"
    "7.2.0.192.bl.example A 127.0.0.12\n"
    "7.2.0.192.bl.example A 127.0.1.9\n"
    "8.2.0.192.bl.example TXT \"only text\"\n"
    "9.2.0.192.bl.example A 127.255.255.255\n"
    "9.2.0.192.bl.example A 127.0.0.4\n" NIBBLES ".bl.example A 127.0.0.3\n"
    "1.2.0.192.in-addr.arpa PTR Mail.Good.example\n"
    "2.2.0.192.in-addr.arpa PTR forged.example\n"
    "3.2.0.192.in-addr.arpa PTR nowhere.example\n"
    "4.2.0.192.in-addr.arpa PTR broken.example\n"
    "5.2.0.192.in-addr.arpa PTR !servfail\n"
    "6.2.0.192.in-addr.arpa PTR broken.example\n"
    "6.2.0.192.in-addr.arpa PTR forged.example\n"
    "6.2.0.192.in-addr.arpa PTR six.example\n"
    "mail.good.example A 198.51.100.1\n"
    "mail.good.example A 192.0.2.1\n"
    "mail.good.example AAAA 2001:db8::1\n"
    "forged.example A 198.51.100.1\n"
    "six.example A 192.0.2.6\n"
    "broken.example A !servfail\n" NIBBLES ".ip6.arpa PTR mail.good.example\n";

static struct services services;

static struct dnsbl_range narrow[] = {
	{ { ADDR_V4, { 127, 0, 0, 10 } }, { ADDR_V4, { 127, 0, 0, 11 } } },
	{ { ADDR_V4, { 127, 0, 1, 0 } }, { ADDR_V4, { 127, 0, 1, 255 } } },
};
static const struct dnsbl plain = { STR("plain"), STR("bl.example"), NULL, 0,
	false };
static const struct dnsbl ranged = { STR("ranged"), STR("bl.example"), narrow,
	2, false };

static struct session *
session_from(const char *client)
{
	struct session *s = session_new();

	if (client != NULL)
		assert_true(addr_parse(str_of(client), &s->client));
	s->deadline = clock_mono_ms() + 50;
	assert_non_null(check_attach_session(s, &services));
	return s;
}

static void
expect(const char *client, const struct dnsbl *list, enum dnsbl_listed listed,
    const char *code)
{
	struct session *s = session_from(client);
	const struct dnsbl_result *r;
	char text[ADDR_TEXT_MAX] = "";

	dnsbl_start(s, list);
	r = dnsbl_check(s, list);
	assert_non_null(r);
	assert_true(r->done);
	assert_int_equal(r->listed, listed);
	if (r->code.family != ADDR_NONE)
		addr_format(&r->code, text);
	assert_string_equal(text, code);
	assert_ptr_equal(dnsbl_check(s, list), r);
	session_free(&s);
}

static void
test_listed(void **state)
{
	(void)state;
	expect("127.0.0.2", &plain, DNSBL_YES, "127.0.0.2");
	expect("192.0.2.1", &plain, DNSBL_YES, "127.0.0.11");
	expect("::ffff:192.0.2.1", &plain, DNSBL_YES, "127.0.0.11");
	expect("2001:db8::1", &plain, DNSBL_YES, "127.0.0.3");
	expect("2001:db8::2", &plain, DNSBL_NO, "");
	expect("192.0.2.200", &plain, DNSBL_NO, "");
	expect("192.0.2.8", &plain, DNSBL_NO, "");
	expect(NULL, &plain, DNSBL_NO, "");
}

static void
test_ranges(void **state)
{
	(void)state;
	expect("192.0.2.2", &plain, DNSBL_NO, "");
	expect("192.0.2.1", &ranged, DNSBL_YES, "127.0.0.11");
	expect("127.0.0.2", &ranged, DNSBL_NO, "");
	expect("192.0.2.7", &ranged, DNSBL_YES, "127.0.1.9");
	expect("192.0.2.7", &plain, DNSBL_YES, "127.0.0.12");
}

/* A list that refuses us, a parked domain, a dead server: not a listing. */
static void
test_unknown(void **state)
{
	static struct dnsbl_range all[] = {
		{ { ADDR_V4, { 0 } }, { ADDR_V4, { 255, 255, 255, 255 } } },
	};
	static const struct dnsbl greedy = { STR("greedy"), STR("bl.example"),
		all, 1, false };
	int64_t late = metric_get(METRIC_DNS_TIMEOUTS);

	(void)state;
	expect("192.0.2.3", &plain, DNSBL_UNKNOWN, "");
	expect("192.0.2.3", &greedy, DNSBL_UNKNOWN, "");
	expect("192.0.2.4", &plain, DNSBL_UNKNOWN, "");
	expect("192.0.2.4", &greedy, DNSBL_UNKNOWN, "");
	expect("192.0.2.5", &plain, DNSBL_UNKNOWN, "");
	assert_int_equal(metric_get(METRIC_DNS_TIMEOUTS), late);
	expect("192.0.2.6", &plain, DNSBL_UNKNOWN, "");
	assert_int_equal(metric_get(METRIC_DNS_TIMEOUTS), late + 1);
	expect("192.0.2.9", &plain, DNSBL_YES, "127.0.0.4");
}

static void
test_two_lists(void **state)
{
	struct session *s = session_from("127.0.0.2");
	const struct dnsbl_result *a, *b;

	(void)state;
	a = dnsbl_check(s, &plain);
	b = dnsbl_check(s, &ranged);
	assert_ptr_not_equal(a, b);
	assert_int_equal(a->listed, DNSBL_YES);
	assert_int_equal(b->listed, DNSBL_NO);
	assert_ptr_equal(dnsbl_check(s, &plain), a);
	session_free(&s);
}

static void
test_arena_full(void **state)
{
	struct session *s = session_from("127.0.0.2");

	(void)state;
	while (arena_alloc(s->arena, 1) != NULL)
		;
	dnsbl_start(s, &plain);
	assert_null(dnsbl_check(s, &plain));
	session_free(&s);
}

static void
expect_name(const char *client, const char *name, bool unknown)
{
	struct session *s = session_from(client);
	bool got = !unknown;
	struct str found;

	iprev_start(s);
	for (int twice = 0; twice < 2; twice++) {
		found = iprev_check(s, &got);
		assert_non_null(found.p);
		assert_true(str_eq(found, str_of(name)));
		assert_int_equal(got, unknown);
	}
	session_free(&s);
}

static void
test_iprev(void **state)
{
	(void)state;
	expect_name("192.0.2.1", "mail.good.example", false);
	expect_name("2001:db8::1", "mail.good.example", false);
	expect_name("192.0.2.2", "", false);
	expect_name("192.0.2.3", "", false);
	expect_name("192.0.2.4", "", true);
	expect_name("192.0.2.5", "", true);
	expect_name("192.0.2.6", "six.example", false);
	expect_name("192.0.2.77", "", false);
	expect_name(NULL, "", false);
}

static struct resolver *
resolver_of(const char *text)
{
	char path[] = "/tmp/test_dnsbl.XXXXXX", spec[64];
	struct buf err = BUF_INIT(1000);
	int fd = mkstemp(path);
	struct resolver *r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(spec, sizeof(spec), "file:%s", path);
	r = resolver_new(str_of(spec), &err);
	unlink(path);
	return r;
}

/* RFC 7208 section 5.5 gives the number; more cost a stranger nothing. */
static void
test_iprev_ten_names(void **state)
{
	struct resolver *usual = services.resolver;
	struct buf text = BUF_INIT(4000);
	int64_t queries;

	(void)state;
	for (int i = 1; i <= 30; i++)
		buf_printf(&text,
		    "1.2.0.192.in-addr.arpa PTR n%d.example\n"
		    "n%d.example A 192.0.2.%d\n",
		    i, i, i == 11 ? 1 : 99);
	services.resolver = resolver_of(text.p);
	buf_free(&text);
	assert_non_null(services.resolver);
	queries = metric_get(METRIC_DNS_QUERIES);
	expect_name("192.0.2.1", "", false);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 11);
	resolver_free(&services.resolver);
	services.resolver = usual;
}

static int
setup(void **state)
{
	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	services.resolver = resolver_of(zone);
	return services.resolver != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	resolver_free(&services.resolver);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_two_lists),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_iprev),
		cmocka_unit_test(test_iprev_ten_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
