/* Whole SPF evaluations: the lines of the input are the TXT records of
 * d0.example, d1.example and so on, among hosts that are there.  There is
 * always a result, in time, and what is told of it can be printed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/spf_eval.h"

#define RECORDS 8

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char hosts[] = "d0.example A 192.0.2.1\n"
			    "d1.example AAAA 2001:db8::1\n"
			    "d1.example MX 10 d0.example\n"
			    "d2.example MX 10 d1.example\n"
			    "d2.example MX 20 gone.example\n"
			    "d3.example CNAME d0.example\n"
			    "d4.example A !servfail\n"
			    "*.d5.example A 127.0.0.2\n"
			    "9.2.0.192.in-addr.arpa PTR d0.example\n"
			    "9.2.0.192.in-addr.arpa PTR a.d1.example\n"
			    "a.d1.example A 192.0.2.9\n";

static char path[] = "/dev/shm/postern-fuzz-XXXXXX";

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
forget(void)
{
	unlink(path);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	must(fd >= 0);
	close(fd);
	atexit(forget);
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	return 0;
}

static void
add_record(struct buf *zone, size_t n, struct str text)
{
	buf_printf(zone, "d%zu.example TXT \"", n % RECORDS);
	for (size_t i = 0; i < text.n; i++)
		buf_printf(zone, "\\%03d", (unsigned char)text.p[i]);
	buf_adds(zone, "\"\n");
}

static struct resolver *
zone_of(struct str s)
{
	struct buf zone = BUF_INIT(1 << 20), err = BUF_INIT(1024);
	struct resolver *r;
	FILE *f = fopen(path, "we");

	must(f != NULL);
	buf_adds(&zone, hosts);
	for (size_t n = 0; s.p != NULL && n < 2 * RECORDS; n++)
		add_record(&zone, n, str_cut(s, '\n', &s));
	must(!zone.failed);
	must(fwrite(zone.p, 1, zone.n, f) == zone.n);
	must(fclose(f) == 0);
	buf_adds(&err, "file:");
	buf_adds(&err, path);
	r = resolver_new(str_of(err.p), &zone);
	must(r != NULL);
	buf_free(&zone);
	buf_free(&err);
	return r;
}

static void
must_be_plain(struct str s, size_t most)
{
	must(s.n <= most);
	for (size_t i = 0; i < s.n; i++)
		must(s.p[i] >= ' ' && s.p[i] <= '~');
}

static void
evaluate(struct resolver *r, struct str s, const char *client)
{
	struct spf_result result = { 0 };
	int64_t start = clock_mono_ms();
	struct spf_query q = { .arena = arena_new(8 << 20),
		.resolver = r,
		.deadline = start + 5000,
		.macros = { .local = str_sub(s, 0, 30),
		    .sender_domain = STR("d0.example"),
		    .domain = STR("d0.example"),
		    .helo = str_sub(s, s.n / 2, 30),
		    .receiver = STR("mx.example.net") } };

	must(addr_parse(str_of(client), &q.macros.client));
	spf_eval(&q, &result);
	must(clock_mono_ms() - start < 5000);
	if (!arena_overflowed(q.arena)) {
		must(result.result != AUTH_UNKNOWN &&
		    result.result != AUTH_POLICY);
		must_be_plain(result.explanation, SPF_TEXT_MAX);
		must_be_plain(result.problem, 512);
	}
	arena_free(&q.arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s = { (const char *)data, n };
	struct resolver *r;

	if (n > 16384)
		return 0;
	r = zone_of(s);
	evaluate(r, s, n & 1 ? "192.0.2.9" : "2001:db8::1");
	resolver_free(&r);
	return 0;
}
