/* A message with a DKIM-Signature made of the input, which is a key record
 * and base64 as well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "check/dkim.h"
#include "check/dkim_key.h"

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

/* What is a key has bits or none, and verifies nothing of this. */
static void
record(struct arena *a, struct str text)
{
	static const unsigned char digest[32];
	struct dkim_record r;
	struct evp_pkey_ctx_st *key;
	const char *why = dkim_record_parse(a, text, &r);

	if (why != NULL) {
		must(*why != '\0');
		return;
	}
	must(r.p.n > 0);
	(void)dkim_record_fits(&r, STR("rsa-sha256"));
	(void)dkim_record_fits(&r, STR("ed25519-sha256"));
	key = dkim_key_get(&r);
	if (key == NULL)
		return;
	must(dkim_key_bits(dkim_key_itself(key)) <= DKIM_KEY_BITS_MAX);
	must(!dkim_key_verifies(key, digest, sizeof(digest), r.p));
	dkim_key_free(key);
}

/* What is decoded is encoded to the same, but for what padding hides. */
static void
base64(struct str text)
{
	unsigned char out[512], again[512];
	struct buf b = BUF_INIT(1024);
	size_t n, m;

	if (!dkim_base64_decode(text, out, sizeof(out), &n))
		return;
	must(n <= sizeof(out) && n * 4 <= text.n * 3);
	dkim_base64_encode(&b, out, n);
	must(dkim_base64_decode(buf_str(&b), again, sizeof(again), &m));
	must(m == n && memcmp(out, again, n) == 0);
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
	record(t->arena, (struct str){ (const char *)data, n });
	base64((struct str){ (const char *)data, n });
	feed(t, (struct str){ (const char *)data, n });
	r = dkim_check(t);
	must(r != NULL && r->result != AUTH_UNKNOWN);
	session_free(&s);
	return 0;
}
