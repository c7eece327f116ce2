#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "service/dns_answer.h"
#include "service/resolver.h"
#include "slack.h"

#define PARALLEL 100

extern char **environ;

static char python[] = "/usr/bin/python3";
static char server[] = "tests/wire/dnsserver.py";

static const char zone[] = "example.org   A     192.0.2.1\n"
			   "example.org   A     192.0.2.2\n"
			   "example.org   AAAA  2001:db8::1\n"
			   "example.org   TXT   \"v=spf1 \" \"a\\000b\"\n"
			   "example.org   TXT   \"second\"\n"
			   "example.org   MX    10 MX.Example.org\n"
			   "example.org   MX    20 mx2.example.org\n"
			   "example.org   NS    ns.example.org\n"
			   "nullmx.org    MX    0 .\n"
			   "odd.org       MX    5 with\\space.example.org\n"
			   "with\\slash.org A   192.0.2.6\n"
			   "1.2.0.192.in-addr.arpa PTR Host.example.org\n"
			   "1.0.0.10.in-addr.arpa PTR ten.example.org\n"
			   "alias.org     CNAME alias2.org\n"
			   "alias2.org    CNAME example.org\n"
			   "dangling.org  CNAME nowhere.org\n"
			   "loop.org      CNAME loop2.org\n"
			   "loop2.org     CNAME loop.org\n"
			   "host.test     A     192.0.2.5\n"
			   "*.wild.org    A     127.0.0.2\n"
			   "broken.org    TXT   !servfail\n"
			   "*.never.org   A     !timeout\n"
			   "*.slow.org    A     !delay=300 192.0.2.3\n"
			   "short.org     A     !ttl=2 192.0.2.4\n";

static struct {
	pid_t pid;
	int in; /* the server ends when it closes */
	char port[16];
	struct resolver *resolver;
} dns;

static void
server_spawn(char *path, int in, int out)
{
	char *const argv[] = { python, server, path, NULL };
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (posix_spawn(&dns.pid, python, &actions, NULL, argv, environ) != 0)
		dns.pid = -1;
	posix_spawn_file_actions_destroy(&actions);
}

/* The line with the port; false: it ended without one. */
static bool
server_port(int fd)
{
	size_t n = 0;
	ssize_t got = 1;

	while (got > 0 && n + 1 < sizeof(dns.port) &&
	    (n == 0 || dns.port[n - 1] != '\n')) {
		got = read(fd, dns.port + n, sizeof(dns.port) - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (n == 0 || dns.port[n - 1] != '\n')
		return false;
	dns.port[n - 1] = '\0';
	return true;
}

/* False: no Python, or no dnslib. */
static bool
server_start(const char *text)
{
	char path[] = "/tmp/test_unbound.XXXXXX";
	int fd = mkstemp(path), in[2], out[2];
	bool ok;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	server_spawn(path, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	dns.in = in[1];
	ok = dns.pid > 0 && server_port(out[0]);
	close(out[0]);
	unlink(path);
	return ok;
}

/* More than a datagram holds: asked again over TCP. */
static void
zone_add_big(struct buf *text)
{
	for (int i = 0; i < 40; i++) {
		buf_printf(text, "big.org TXT \"%03d", i);
		for (int n = 0; n < 300; n++)
			buf_addc(text, 'x');
		buf_adds(text, "\"\n");
	}
}

static int
setup(void **state)
{
	struct buf err = BUF_INIT(200), text = BUF_INIT(64 * 1024);
	char spec[40];
	bool ok;

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	buf_adds(&text, zone);
	zone_add_big(&text);
	ok = access(server, R_OK) == 0 && server_start(text.p);
	buf_free(&text);
	if (!ok)
		return 0;
	snprintf(spec, sizeof(spec), "127.0.0.1@%s", dns.port);
	dns.resolver = resolver_new(str_of(spec), &err);
	return dns.resolver != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	resolver_free(&dns.resolver);
	if (dns.pid > 0) {
		close(dns.in);
		waitpid(dns.pid, NULL, 0);
	}
	return 0;
}

static struct resolver *
resolver_here(void)
{
	if (dns.resolver == NULL)
		skip();
	return dns.resolver;
}

static const struct dns_answer *
ask(const char *name, enum dns_type type, struct lookup **l)
{
	return resolver_ask(resolver_here(), str_of(name), type,
	    clock_mono_ms() + 4000, l);
}

static void
expect(const char *name, enum dns_type type, enum dns_status status)
{
	struct lookup *l;

	assert_int_equal(ask(name, type, &l)->status, status);
	lookup_release(&l);
}

/* The records in any order. */
static void
expect_data(const char *name, enum dns_type type, size_t count, struct str data)
{
	struct lookup *l;
	const struct dns_answer *a = ask(name, type, &l);
	bool found = false;

	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->count, count);
	assert_false(a->secure);
	for (size_t i = 0; i < a->count; i++)
		found = found || str_eq(a->records[i].data, data);
	assert_true(found);
	lookup_release(&l);
}

static void
test_records(void **state)
{
	struct lookup *l;
	const struct dns_answer *a;

	(void)state;
	expect_data("Example.org.", DNS_A, 2, STR("\300\0\2\2"));
	expect_data("example.org", DNS_AAAA, 1,
	    STR("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"));
	expect_data("example.org", DNS_TXT, 2, STR("v=spf1 a\0b"));
	expect_data("example.org", DNS_MX, 2, STR("mx.example.org"));
	expect_data("example.org", DNS_NS, 1, STR("ns.example.org"));
	expect_data("nullmx.org", DNS_MX, 1, STR(""));
	expect_data("1.2.0.192.in-addr.arpa", DNS_PTR, 1,
	    STR("host.example.org"));
	expect_data("odd.org", DNS_MX, 1, STR("with\\\\space.example.org"));
	expect_data("with\\slash.org", DNS_A, 1, STR("\300\0\2\6"));
	a = ask("nullmx.org", DNS_MX, &l);
	assert_int_equal(a->records[0].pref, 0);
	lookup_release(&l);
}

static void
test_over_tcp(void **state)
{
	struct lookup *l;
	const struct dns_answer *a = ask("big.org", DNS_TXT, &l);

	(void)state;
	assert_int_equal(a->count, 40);
	for (size_t i = 0; i < a->count; i++)
		assert_int_equal(a->records[i].data.n, 303);
	lookup_release(&l);
}

static void
test_aliases(void **state)
{
	(void)state;
	expect_data("alias.org", DNS_A, 2, STR("\300\0\2\1"));
	expect_data("alias.org", DNS_CNAME, 1, STR("alias2.org"));
	expect("alias.org", DNS_PTR, DNS_NODATA);
	expect("dangling.org", DNS_A, DNS_NXDOMAIN);
	expect("loop.org", DNS_A, DNS_SERVFAIL);
}

static void
test_statuses(void **state)
{
	(void)state;
	expect("example.org", DNS_PTR, DNS_NODATA);
	expect("nowhere.org", DNS_A, DNS_NXDOMAIN);
	expect("broken.org", DNS_TXT, DNS_SERVFAIL);
	expect("a.b.wild.org", DNS_A, DNS_OK);
	expect("with space.org", DNS_A, DNS_NXDOMAIN);
	expect("a..b", DNS_A, DNS_NXDOMAIN);
}

/* libunbound would answer these by itself. */
static void
test_local_names(void **state)
{
	(void)state;
	expect_data("host.test", DNS_A, 1, STR("\300\0\2\5"));
	expect_data("1.0.0.10.in-addr.arpa", DNS_PTR, 1,
	    STR("ten.example.org"));
}

static void
test_ttl(void **state)
{
	int64_t queries = metric_get(METRIC_DNS_QUERIES);

	(void)state;
	clock_fake(1000000);
	expect("short.org", DNS_A, DNS_OK);
	clock_fake_advance(1999);
	expect("short.org", DNS_A, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 1);
	clock_fake_advance(1);
	expect("short.org", DNS_A, DNS_OK);
	assert_int_equal(metric_get(METRIC_DNS_QUERIES), queries + 2);
	clock_fake(-1);
}

static void
test_parallel(void **state)
{
	struct lookup *l[PARALLEL];
	int64_t begin = clock_mono_ms();
	char name[40];

	(void)state;
	for (int i = 0; i < PARALLEL; i++) {
		snprintf(name, sizeof(name), "n%d.slow.org", i);
		l[i] = resolver_start(resolver_here(), str_of(name), DNS_A);
	}
	for (int i = 0; i < PARALLEL; i++) {
		assert_int_equal(lookup_wait(l[i], begin + 3000)->status,
		    DNS_OK);
		lookup_release(&l[i]);
	}
	assert_in_range(clock_mono_ms() - begin, 300, 2000);
}

/* Names that are never answered hold up no others, not even the server's. */
static void
test_never(void **state)
{
	struct lookup *l[PARALLEL];
	int64_t begin = clock_mono_ms();
	char name[40];

	(void)state;
	for (int i = 0; i < PARALLEL; i++) {
		snprintf(name, sizeof(name), "n%d.never.org", i);
		l[i] = resolver_start(resolver_here(), str_of(name), DNS_A);
	}
	assert_int_equal(lookup_wait(l[0], begin + 300)->status, DNS_TIMEOUT);
	assert_in_range(clock_mono_ms() - begin, 300, 1500);
	begin = clock_mono_ms();
	expect("fresh.wild.org", DNS_A, DNS_OK);
	assert_true(clock_mono_ms() - begin < slack(1500));
	for (int i = 0; i < PARALLEL; i++)
		lookup_release(&l[i]);
}

static void *
asker(void *arg)
{
	char name[40];

	for (int i = 0; i < 100; i++) {
		struct lookup *l;

		snprintf(name, sizeof(name), "n%d.wild.org", i);
		if (resolver_ask(dns.resolver, str_of(name), DNS_A,
			clock_mono_ms() + 4000, &l)
			->status != DNS_OK)
			arg = NULL;
		lookup_release(&l);
	}
	return arg;
}

static void
test_threads(void **state)
{
	pthread_t t[8];
	void *ok;

	(void)state;
	resolver_here();
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, asker, &dns), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &ok);
		assert_ptr_equal(ok, &dns);
	}
}

/* Given up in libunbound as well; and a server nobody listens at. */
static void
test_given_up(void **state)
{
	struct buf err = BUF_INIT(200);
	struct resolver *r;
	struct lookup *l;
	int64_t begin;
	char spec[40];

	(void)state;
	resolver_here();
	snprintf(spec, sizeof(spec), "127.0.0.1@%s", dns.port);
	clock_fake(1000000);
	r = resolver_new(str_of(spec), &err);
	assert_non_null(r);
	l = resolver_start(r, STR("x.never.org"), DNS_A);
	lookup_release(&l);
	clock_fake_advance(20000);
	l = resolver_start(r, STR("a.wild.org"), DNS_A);
	clock_fake(-1);
	begin = clock_mono_ms();
	assert_int_equal(lookup_wait(l, begin + 2000)->status, DNS_OK);
	lookup_release(&l);
	l = resolver_start(r, STR("y.never.org"), DNS_A);
	lookup_release(&l);
	resolver_free(&r);
	assert_true(clock_mono_ms() - begin < slack(10000));
}

static void
test_specs(void **state)
{
	static const char *const good[] = { "recursive", "192.0.2.1",
		"192.0.2.1@5353, 2001:db8::1", "::1@53" };
	struct buf err = BUF_INIT(200);

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct resolver *r = resolver_new(str_of(good[i]), &err);

		assert_non_null(r);
		resolver_free(&r);
	}
}

static void
rdata(enum dns_type type, struct str wire, enum dns_status status,
    struct str data)
{
	struct dns_build b;
	struct dns_answer *a;
	size_t size;

	dns_build_begin(&b);
	dns_build_rdata(&b, type, (const uint8_t *)wire.p, wire.n);
	a = dns_build_end(&b, DNS_OK, false, &size);
	assert_int_equal(a->status, status);
	if (status == DNS_OK)
		assert_true(str_eq(a->records[0].data, data));
	free(a);
}

static void
test_rdata(void **state)
{
	char label[70];

	(void)state;
	rdata(DNS_A, STR("abc"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_A, STR("abcde"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_AAAA, STR("abcd"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_TXT, STR(""), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_TXT, STR("\0"), DNS_OK, STR(""));
	rdata(DNS_TXT, STR("\2a"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_TXT, STR("\2ab\0\1c"), DNS_OK, STR("abc"));
	rdata(DNS_TXT, STR("\2ab\377c"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_MX, STR("\1"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_MX, STR("\1\2"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_MX, STR("\1\2\0"), DNS_OK, STR(""));
	rdata(DNS_MX, STR("\1\2\1A\3b.c\0"), DNS_OK, STR("a.b\\.c"));
	rdata(DNS_PTR, STR("\4a\0\\ \0"), DNS_OK, STR("a\\000\\\\ "));
	rdata(DNS_PTR, STR(""), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_PTR, STR("\1a"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_PTR, STR("\5a\0"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_PTR, STR("\300\f"), DNS_SERVFAIL, STR_NONE);
	rdata(DNS_PTR, STR("\1a\0\1"), DNS_SERVFAIL, STR_NONE);
	memset(label, 'a', sizeof(label));
	label[0] = 64;
	label[65] = 0;
	rdata(DNS_PTR, (struct str){ label, 66 }, DNS_SERVFAIL, STR_NONE);
}

static void
test_records_capped(void **state)
{
	struct dns_build b;
	struct dns_answer *a;
	size_t size;

	(void)state;
	dns_build_begin(&b);
	for (int i = 0; i < 1000; i++)
		dns_build_rdata(&b, DNS_A, (const uint8_t *)"abcd", 4);
	a = dns_build_end(&b, DNS_OK, true, &size);
	assert_int_equal(a->count, DNS_MAX_RECORDS);
	assert_true(a->secure);
	free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rdata),
		cmocka_unit_test(test_records_capped),
		cmocka_unit_test(test_specs),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_over_tcp),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_local_names),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
