/* A message with a DKIM-Signature made of the input. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "check/dkim.h"

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
    "u._domainkey.d.example TXT \"p=AAAA; n=\\000; k = rsa\"\n";

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
	must(services.resolver != NULL && dkim_global_init());
	return 0;
}

static void
field(struct txn *t, struct str name, struct str value)
{
	if (header_add(t->arena, &t->headers, name, value))
		dkim_feed_header(t, t->headers.last);
}

/* One field for each line of the input, in turns of signature and others;
 * behind an empty line stands the body. */
static void
feed(struct txn *t, struct str s)
{
	static const char start[] = " v=1; a=ed25519-sha256; c=relaxed; "
				    "d=d.example; s=s; h=from:to; bh=aaaa; ";
	struct str line, name, value, rest = s;
	struct buf b = BUF_INIT(1 << 20);

	while (rest.p) {
		line = str_cut(rest, '\n', &rest);
		if (line.n == 0)
			break;
		name = str_cut(line, ':', &value);
		if (value.p) {
			field(t, name, value);
			continue;
		}
		buf_truncate(&b, 0);
		buf_adds(&b, start);
		buf_addstr(&b, line);
		field(t, STR("DKIM-Signature"),
		    arena_str(t->arena, buf_str(&b)));
		field(t, STR("DKIM-Signature"), line);
	}
	field(t, STR("From"), STR(" a@d.example"));
	dkim_feed_eoh(t);
	dkim_feed_body(t, rest.p, rest.p ? rest.n : 0);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 1 << 20);
	const struct dkim_result *r;

	s->deadline = t->deadline = clock_mono_ms() + 1000;
	must(check_attach_txn(t, &services) != NULL);
	feed(t, (struct str){ (const char *)data, n });
	r = dkim_check(t);
	must(r != NULL && r->result != AUTH_UNKNOWN);
	session_free(&s);
	return 0;
}
