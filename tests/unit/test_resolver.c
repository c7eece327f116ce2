#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "service/dns_answer.h"
#include "service/resolver.h"
#include "slack.h"

#define ASKERS 100

static const char zone[] =
    "# a comment\n"
    "\n"
    "example.org.  A     192.0.2.1\n"
    "example.org   A     192.0.2.2\n"
    "Example.ORG   TXT   \"v=spf1 \" \"a\\\"b\\000c\\\\ \"\n"
    "example.org   MX    10 MX.example.org.\n"
    "example.org   NS    ns.example.org\n"
    "example.org   AAAA  2001:db8::1\n"
    "mapped.org    AAAA  ::ffff:192.0.2.7\n"
    "nullmx.org    MX    0 .\n"
    "1.2.0.192.in-addr.arpa PTR Host.example.org\n"
    "alias.org     CNAME example.org\n"
    "dangling.org  CNAME nowhere.org\n"
    "loop.org      CNAME loop.org\n"
    "*.wild.org    A     127.0.0.2\n"
    "fixed.wild.org TXT  \"here\"\n"
    "broken.org    TXT   !servfail\n"
    "never.org     A     !timeout\n"
    "never.org     TXT   \"but this\"\n"
    "slow.org      A     !delay=300 192.0.2.3\n"
    "slower.org    A     !delay=60000 192.0.2.3\n"
    "short.org     A     !ttl=2 192.0.2.4\n"
    "zero.org      A     !ttl=0 192.0.2.4\n"
    "long.org      A     !ttl=999999 192.0.2.4\n";

static struct resolver *
resolver_of(const char *text, struct buf *err)
{
	char path[] = "/tmp/test_resolver.XXXXXX", spec[64];
	int fd = mkstemp(path);
	struct resolver *r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(spec, sizeof(spec), "file:%s", path);
	r = resolver_new(str_of(spec), err);
	unlink(path);
	return r;
}

static struct resolver *
resolver_here(void)
{
	struct buf err = BUF_INIT(1000);
	struct resolver *r = resolver_of(zone, &err);

	assert_non_null(r);
	return r;
}

static int64_t
soon(int64_t ms)
{
	return clock_mono_ms() + ms;
}

static void
expect_str(struct resolver *r, struct str name, enum dns_type type,
    enum dns_status status, struct str data)
{
	struct lookup *l;
	const struct dns_answer *a =
	    resolver_ask(r, name, type, soon(2000), &l);

	assert_int_equal(a->status, status);
	assert_int_equal(a->count > 0, status == DNS_OK);
	if (status == DNS_OK) {
		assert_int_equal(a->records[0].data.n, data.n);
		assert_memory_equal(a->records[0].data.p, data.p, data.n);
		assert_int_equal(a->records[0].data.p[data.n], '\0');
	}
	lookup_release(&l);
	assert_null(l);
}

static void
expect(struct resolver *r, const char *name, enum dns_type type,
    enum dns_status status)
{
	struct lookup *l;
	const struct dns_answer *a =
	    resolver_ask(r, str_of(name), type, soon(2000), &l);

	assert_int_equal(a->status, status);
	lookup_release(&l);
}

static void
test_records(void **state)
{
	struct resolver *r = resolver_here();
	struct lookup *l;
	const struct dns_answer *a;

	(void)state;
	expect_str(r, STR("EXAMPLE.org."), DNS_A, DNS_OK, STR("\300\0\2\1"));
	expect_str(r, STR("example.org"), DNS_TXT, DNS_OK,
	    STR("v=spf1 a\"b\0c\\ "));
	expect_str(r, STR("example.org"), DNS_AAAA, DNS_OK,
	    STR("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
	expect_str(r, STR("mapped.org"), DNS_AAAA, DNS_OK,
	    STR("\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\7"));
	expect_str(r, STR("nullmx.org"), DNS_MX, DNS_OK, STR(""));
	expect_str(r, STR("1.2.0.192.in-addr.arpa"), DNS_PTR, DNS_OK,
	    STR("host.example.org"));
	a = resolver_ask(r, STR("example.org"), DNS_MX, soon(2000), &l);
	assert_int_equal(a->count, 1);
	assert_int_equal(a->records[0].pref, 10);
	assert_string_equal(a->records[0].data.p, "mx.example.org");
	lookup_release(&l);
	a = resolver_ask(r, STR("example.org"), DNS_A, soon(2000), &l);
	assert_int_equal(a->count, 2);
	lookup_release(&l);
	resolver_free(&r);
	assert_null(r);
}

static void
test_statuses(void **state)
{
	struct resolver *r = resolver_here();

	(void)state;
	expect(r, "example.org", DNS_PTR, DNS_NODATA);
	expect(r, "nowhere.org", DNS_A, DNS_NXDOMAIN);
	expect(r, "org", DNS_A, DNS_NXDOMAIN);
	expect(r, "broken.org", DNS_TXT, DNS_SERVFAIL);
	expect(r, "broken.org", DNS_A, DNS_NODATA);
	expect(r, "never.org", DNS_TXT, DNS_OK);
	expect(r, "a.wild.org", DNS_A, DNS_OK);
	expect(r, "a.b.wild.org", DNS_A, DNS_OK);
	expect(r, "a.b.wild.org", DNS_MX, DNS_NODATA);
	expect(r, "fixed.wild.org", DNS_A, DNS_NODATA);
	expect(r, "wild.org", DNS_A, DNS_NXDOMAIN);
	expect(r, "alias.org", DNS_MX, DNS_OK);
	expect(r, "alias.org", DNS_CNAME, DNS_OK);
	expect(r, "alias.org", DNS_PTR, DNS_NODATA);
	expect(r, "dangling.org", DNS_A, DNS_NXDOMAIN);
	expect(r, "loop.org", DNS_A, DNS_SERVFAIL);
	resolver_free(&r);
}

/* What DNS can't carry is answered without a query. */
static void
test_names(void **state)
{
	struct resolver *r = resolver_here();
	int64_t queries = metric_get(METRIC_DNS_QUERIES);
	char name[400], out[DNS_NAME_MAX + 1];

	(void)state;
	expect(r, "", DNS_A, DNS_NXDOMAIN);
	expect(r, ".", DNS_A, DNS_NXDOMAIN);
	expect(r, "..", DNS_A, DNS_NXDOMAIN);
	expect(r, ".example.org", DNS_A, DNS_NXDOMAIN);
	expect(r, "example..org", DNS_A, DNS_NXDOMAIN);
	expect(r, "example.org..", DNS_A, DNS_NXDOMAIN);
	expect(r, "ex\303\244mple.org", DNS_A, DNS_NXDOMAIN);
	expect(r, "a\tb.org", DNS_A, DNS_NXDOMAIN);
	expect_str(r, STR("example.org\0"), DNS_A, DNS_NXDOMAIN, STR_NONE);
	memset(name, 'a', sizeof(name));
	assert_true(dns_name_normal((struct str){ name, 63 }, out));
	assert_false(dns_name_normal((struct str){ name, 64 }, out));
	for (size_t i = 49; i < sizeof(name); i += 50)
		name[i] = '.';
	assert_true(dns_name_normal((struct str){ name, 253 }, out));
	assert_false(dns_name_normal((struct str){ name, 255 }, out));
	name[253] = '.';
	assert_true(dns_name_normal((struct str){ name, 254 }, out));
	assert_false(dns_name_normal((struct str){ name, 399 }, out));
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries);
	expect(r, "with space.org", DNS_A, DNS_NXDOMAIN);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 1);
	resolver_free(&r);
}

static void
test_shared_and_expired(void **state)
{
	struct resolver *r;
	int64_t queries, cached;
	struct lookup *kept;

	(void)state;
	clock_fake(1000000);
	r = resolver_here();
	queries = metric_get(METRIC_DNS_QUERIES);
	cached = metric_get(METRIC_DNS_CACHED);
	expect(r, "short.org", DNS_A, DNS_OK);
	expect(r, "short.org", DNS_AAAA, DNS_NODATA);
	expect(r, "SHORT.org.", DNS_A, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 2);
	assert_int_equal(metric_get(METRIC_DNS_CACHED), cached + 1);
	kept = resolver_start(r, STR("short.org"), DNS_A);
	clock_fake_advance(1999);
	expect(r, "short.org", DNS_A, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 2);
	clock_fake_advance(1);
	expect(r, "short.org", DNS_A, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 3);
	/* What was asked before it expired stays as it was. */
	assert_int_equal(lookup_wait(kept, 0)->count, 1);
	lookup_release(&kept);
	resolver_free(&r);
	clock_fake(-1);
}

static void
expect_kept(struct resolver *r, const char *name, enum dns_type type,
    enum dns_status status, int64_t ms)
{
	int64_t queries = metric_get(METRIC_DNS_QUERIES);

	expect(r, name, type, status);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 1);
	clock_fake_advance(ms - 1);
	expect(r, name, type, status);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 1);
	clock_fake_advance(1);
	expect(r, name, type, status);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 2);
}

static void
test_ttl_bounds(void **state)
{
	struct resolver *r;

	(void)state;
	clock_fake(1000000);
	r = resolver_here();
	expect_kept(r, "zero.org", DNS_A, DNS_OK, 1000);
	expect_kept(r, "long.org", DNS_A, DNS_OK, 3600 * 1000);
	expect_kept(r, "broken.org", DNS_TXT, DNS_SERVFAIL, 5000);
	expect_kept(r, "nowhere.org", DNS_A, DNS_NXDOMAIN, 60000);
	resolver_free(&r);
	clock_fake(-1);
}

/* Past the cap the coldest goes, and what is in use stays readable. */
static void
test_cap(void **state)
{
	struct resolver *r = resolver_here();
	struct lookup *held = resolver_start(r, STR("example.org"), DNS_MX);
	int64_t queries;
	char name[40];

	(void)state;
	for (int i = 0; i < 20100; i++) {
		snprintf(name, sizeof(name), "n%d.wild.org", i);
		expect(r, name, DNS_A, DNS_OK);
		if (i % 1000 == 0)
			expect(r, "example.org", DNS_A, DNS_OK);
	}
	queries = metric_get(METRIC_DNS_QUERIES);
	expect(r, "example.org", DNS_A, DNS_OK);
	expect(r, "n20099.wild.org", DNS_A, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries);
	expect(r, "n1.wild.org", DNS_A, DNS_OK);
	expect(r, "example.org", DNS_MX, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 2);
	assert_string_equal(lookup_wait(held, 0)->records[0].data.p,
	    "mx.example.org");
	lookup_release(&held);
	resolver_free(&r);
}

static void
test_deadline(void **state)
{
	struct resolver *r = resolver_here();
	int64_t late = metric_get(METRIC_DNS_TIMEOUTS), begin = clock_mono_ms();
	struct lookup *never, *slow;

	(void)state;
	never = resolver_start(r, STR("never.org"), DNS_A);
	slow = resolver_start(r, STR("slow.org"), DNS_A);
	assert_false(lookup_ready(slow));
	assert_int_equal(lookup_wait(slow, -1)->status, DNS_TIMEOUT);
	assert_int_equal(lookup_wait(slow, soon(20))->status, DNS_TIMEOUT);
	assert_int_equal(metric_get(METRIC_DNS_TIMEOUTS), late + 2);
	/* Another delay holds up nobody. */
	expect(r, "example.org", DNS_A, DNS_OK);
	assert_in_range(clock_mono_ms() - begin, 20, 290);
	assert_int_equal(lookup_wait(slow, soon(2000))->status, DNS_OK);
	assert_in_range(clock_mono_ms() - begin, 300, 2000);
	assert_true(lookup_ready(slow));
	assert_int_equal(lookup_wait(slow, 0)->status, DNS_OK);
	assert_int_equal(lookup_wait(never, soon(5))->status, DNS_TIMEOUT);
	lookup_release(&slow);
	lookup_release(&never);
	/* Ends with queries open. */
	never = resolver_start(r, STR("slower.org"), DNS_A);
	lookup_release(&never);
	resolver_free(&r);
	assert_true(clock_mono_ms() - begin < slack(10000));
}

/* What nobody waits for is given up after a while, so nothing piles up. */
static void
test_given_up(void **state)
{
	struct resolver *r;
	struct lookup *l;

	(void)state;
	clock_fake(1000000);
	r = resolver_here();
	l = resolver_start(r, STR("never.org"), DNS_A);
	clock_fake_advance(9999);
	expect(r, "example.org", DNS_A, DNS_OK);
	assert_false(lookup_ready(l));
	clock_fake_advance(1);
	expect(r, "example.org", DNS_A, DNS_OK);
	assert_true(lookup_ready(l));
	assert_int_equal(lookup_wait(l, 0)->status, DNS_TIMEOUT);
	lookup_release(&l);
	clock_fake(-1);
	resolver_free(&r);
}

static void
test_too_many(void **state)
{
	static const char text[] = "*.never.org A !timeout\nok.org A 1.2.3.4\n";
	struct buf err = BUF_INIT(100);
	struct resolver *r = resolver_of(text, &err);
	struct lookup *l[5000];
	char name[40];

	(void)state;
	expect(r, "ok.org", DNS_A, DNS_OK);
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d.never.org", i);
		l[i] = resolver_start(r, str_of(name), DNS_A);
	}
	assert_false(lookup_ready(l[4000]));
	assert_int_equal(lookup_wait(l[4999], 0)->status, DNS_SERVFAIL);
	expect(r, "ok.org", DNS_A, DNS_OK);
	for (int i = 0; i < 5000; i++)
		lookup_release(&l[i]);
	resolver_free(&r);
}

static void *
asker(void *arg)
{
	struct resolver *r = arg;
	struct lookup *l;
	const struct dns_answer *a =
	    resolver_ask(r, STR("slow.org"), DNS_A, soon(5000), &l);
	void *ok = a->status == DNS_OK && a->records[0].data.n == 4 ? r : NULL;

	lookup_release(&l);
	return ok;
}

static void
test_parallel(void **state)
{
	struct resolver *r = resolver_here();
	int64_t begin = clock_mono_ms();
	int64_t queries = metric_get(METRIC_DNS_QUERIES);
	pthread_t t[ASKERS];
	void *ok;

	(void)state;
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, asker, r), 0);
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(t[i], &ok);
		assert_ptr_equal(ok, r);
	}
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 1);
	assert_in_range(clock_mono_ms() - begin, 300, 5000);
	resolver_free(&r);
}

static void *
churner(void *arg)
{
	struct resolver *r = arg;
	char name[40];

	for (int i = 0; i < 300; i++) {
		struct lookup *l;

		snprintf(name, sizeof(name), "n%d.wild.org", i % 50);
		if (resolver_ask(r, str_of(name), DNS_A, soon(5000), &l)
			->status != DNS_OK)
			r = NULL;
		lookup_release(&l);
		if (r == NULL)
			return NULL;
	}
	return r;
}

static void
test_churn(void **state)
{
	struct resolver *r = resolver_here();
	pthread_t t[8];
	void *ok;

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churner, r), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &ok);
		assert_ptr_equal(ok, r);
	}
	resolver_free(&r);
}

static void
test_bad_files(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "a.org\n", "unknown record type" },
		{ "a.org TXTT \"x\"\n", "unknown record type" },
		{ "a..org A 1.2.3.4\n", "bad name" },
		{ "a.org A 1.2.3\n", "bad address" },
		{ "a.org A ::1\n", "bad address" },
		{ "a.org AAAA 1.2.3.4\n", "bad address" },
		{ "a.org A 1.2.3.4 5\n", "more than one value" },
		{ "a.org A\n", "bad address" },
		{ "a.org MX mx.org\n", "bad preference" },
		{ "a.org MX 70000 mx.org\n", "bad preference" },
		{ "a.org TXT x\n", "double quotes" },
		{ "a.org TXT \"x\n", "double quotes" },
		{ "a.org TXT\n", "double quotes" },
		{ "a.org A !slow 1.2.3.4\n", "unknown fault" },
		{ "a.org A !delay=x 1.2.3.4\n", "bad delay" },
		{ "ok.org A 1.2.3.4\n\na.org A x\n", ":3: bad address" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf err = BUF_INIT(1000);

		assert_null(resolver_of(bad[i].text, &err));
		assert_non_null(strstr(err.p, bad[i].why));
		buf_free(&err);
	}
}

static void
expect_bad_spec(const char *spec)
{
	struct buf err = BUF_INIT(1000);

	assert_null(resolver_new(str_of(spec), &err));
	assert_true(err.n > 0);
	buf_free(&err);
}

static void
test_bad_specs(void **state)
{
	(void)state;
	expect_bad_spec("");
	expect_bad_spec("file:/nonexistent/zone");
	expect_bad_spec("localhost");
	expect_bad_spec("127.0.0.1@");
	expect_bad_spec("127.0.0.1@0");
	expect_bad_spec("127.0.0.1@65536");
	expect_bad_spec("127.0.0.1,,127.0.0.2");
	expect_bad_spec("127.0.0.1@53,x");
}

static void
test_no_lookup(void **state)
{
	struct lookup *none = NULL;

	(void)state;
	assert_true(lookup_ready(NULL));
	assert_int_equal(lookup_wait(NULL, 0)->status, DNS_SERVFAIL);
	lookup_release(&none);
	assert_string_equal(dns_status_word(DNS_NXDOMAIN), "nxdomain");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_shared_and_expired),
		cmocka_unit_test(test_ttl_bounds),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_bad_specs),
		cmocka_unit_test(test_no_lookup),
	};

	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
