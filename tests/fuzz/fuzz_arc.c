/* A message with ARC Sets made of the input. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "check/arc.h"
#include "check/authres.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct services services;

static const char zone[] =
    "s._domainkey.d.example TXT \"v=DKIM1; k=ed25519; "
    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
    "t._domainkey.d.example TXT \"v=DKIM1; h=sha256; s=email; t=y:s; p="
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qh"
    "dR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+"
    "PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    "\"\n"
    "u._domainkey.d.example TXT !servfail\n";

/* A set that is well-formed; its body hash is that of a body "x", and as the
 * key of its signature can't be had, the seals are looked at. */
static const struct {
	const char *name, *start;
} fields[] = {
	{ "ARC-Seal", "a=ed25519-sha256; d=d.example; s=s; b=aaaa; " },
	{ "ARC-Message-Signature",
	    "a=ed25519-sha256; d=d.example; s=u; h=from:to; b=aaaa; "
	    "bh=s14J+iztnrytnRYzb7lhFG/jS/vrxWJnnahfijFMnco=; " },
	{ "ARC-Authentication-Results", "mx; dkim=pass; " },
};

static void
must(bool held)
{
	if (!held)
		abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/postern-fuzz-XXXXXX", spec[64];
	struct buf err = BUF_INIT(1024);
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	must(fd >= 0 && write(fd, zone, sizeof(zone) - 1) > 0);
	close(fd);
	snprintf(spec, sizeof(spec), "file:%s", path);
	services.resolver = resolver_new(str_of(spec), &err);
	unlink(path);
	must(services.resolver != NULL);
	return 0;
}

static void
field(struct txn *t, struct str name, struct str value)
{
	(void)header_add(t->arena, &t->headers, name, value);
}

/* The next field of a chain, with the line as its tail. */
static void
chain_field(struct txn *t, unsigned int n, struct str line)
{
	const char *cv = n % 3 != 0 ? "" : n < 3 ? "cv=none; " : "cv=pass; ";

	field(t, str_of(fields[n % 3].name),
	    arena_printf(t->arena, " i=%u; %s%s%.*s", n / 3 + 1,
		fields[n % 3].start, cv, STR_FMT(line)));
}

/* Lines are fields, or tails of the fields of a chain; behind an empty line
 * stands the body, in two chunks. */
static void
feed(struct txn *t, struct str s)
{
	struct str line, name, value, rest = s;
	unsigned int n = 0;

	while (rest.p) {
		line = str_cut(rest, '\n', &rest);
		if (line.n == 0)
			break;
		name = str_cut(line, ':', &value);
		if (value.p)
			field(t, name, value);
		else
			chain_field(t, n++, line);
	}
	field(t, STR("From"), STR(" a@d.example"));
	arc_feed_eoh(t);
	if (rest.p == NULL)
		return;
	arc_feed_body(t, rest.p, rest.n / 2);
	arc_feed_body(t, rest.p + rest.n / 2, rest.n - rest.n / 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 1 << 20);
	const struct arc_result *r;
	struct str input = { (const char *)data, n };

	s->deadline = t->deadline = clock_mono_ms() + 1000;
	must(check_attach_txn(t, &services) != NULL);
	(void)arc_results_find(input, STR("dkim"), true);
	feed(t, input);
	r = arc_check(t);
	must(r != NULL);
	/* Nobody here has a private key. */
	must(r->result == AUTH_NONE || r->result == AUTH_FAIL ||
	    r->result == AUTH_TEMPERROR);
	must(r == arc_check(t) && authres_make(t, STR("mx")).n > 0);
	session_free(&s);
	return 0;
}
