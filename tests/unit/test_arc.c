#include "message_fixture.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "check/arc.h"
#include "check/dkim_canon.h"
#include "check/dkim_key.h"
#include "check/dkim_signature.h"

/* --- the validation suite, through tests/unit/arc_suite.py --- */

#define SUITE_TOTAL 171
#define SUITE_PASS  169

static const char *const expected_differences[] = {
	/* An h= without From: RFC 6376 section 6.1.1 has the verifier ignore
	 * such a signature, and RFC 8617 section 4.1.2 says nothing else. */
	"ams_fields_h_empty",
	/* No c=, signed with relaxed/relaxed: RFC 6376 section 3.5 says that
	 * this means simple/simple, and RFC 8617 has no other default. */
	"ams_fields_c_na",
	NULL,
};

static bool
is_expected(const char *name)
{
	for (size_t i = 0; expected_differences[i] != NULL; i++)
		if (strcmp(expected_differences[i], name) == 0)
			return true;
	return false;
}

struct suite {
	struct buf zone;
	struct fixture f;
	unsigned int total, passed, unexpected;
};

static struct str
from_hex(const char *hex, char *out)
{
	size_t n = 0;
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[n++] = (char)byte;
	return (struct str){ out, n };
}

static void
suite_case(struct suite *s, const char *name, const char *want, char *hex)
{
	const struct arc_result *r;
	const char *word;
	bool ok;

	if (s->f.services.resolver == NULL)
		s->f.services.resolver = fixture_resolver(buf_str(&s->zone));
	fixture_begin(&s->f, 2000);
	fixture_arc_message(&s->f, from_hex(hex, hex));
	r = arc_check(s->f.txn);
	assert_non_null(r);
	word = auth_result_word(r->result);
	/* Left open is a chain whose sealer says that it has failed. */
	ok = strcmp(word, want[0] != '\0' ? want : "fail") == 0;
	s->total++;
	s->passed += ok;
	s->unexpected += ok == is_expected(name);
	if (ok == is_expected(name))
		print_error("%s: %s (%.*s), not %s\n", name, word,
		    STR_FMT(r->problem), want);
	fixture_end(&s->f);
}

static void
suite_line(struct suite *s, char *line)
{
	char *field[4] = { line, NULL, NULL, NULL }, *p = line;
	int n = 1;

	line[strcspn(line, "\n")] = '\0';
	while (n < 4 && (p = strchr(p, '\t')) != NULL) {
		*p++ = '\0';
		field[n++] = p;
	}
	if (strcmp(field[0], "scenario") == 0) {
		resolver_free(&s->f.services.resolver);
		buf_truncate(&s->zone, 0);
	} else if (strcmp(field[0], "zone") == 0) {
		buf_adds(&s->zone, field[1]);
		buf_addc(&s->zone, '\n');
	} else {
		assert_int_equal(n, 4);
		suite_case(s, field[1], field[2], field[3]);
	}
}

static void
test_suite(void **state)
{
	struct suite s = { .zone = BUF_INIT(1 << 20) };
	char path[512], command[700];
	static char line[65536];
	FILE *in;

	(void)state;
	if (!fixture_data("dmarc/arc_test_suite/tests/"
			  "arc-draft-validation-tests.yml",
		path, sizeof(path)))
		skip();
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/arc_suite.py '%s'", path);
	in = popen(command, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		suite_line(&s, line);
	assert_int_equal(pclose(in), 0);
	resolver_free(&s.f.services.resolver);
	buf_free(&s.zone);
	print_message("ARC suite: %u of %u\n", s.passed, s.total);
	assert_int_equal(s.total, SUITE_TOTAL);
	assert_int_equal(s.unexpected, 0);
	assert_true(s.passed >= SUITE_PASS);
}

/* --- chains of our own --- */

#define NOW 1700000000

static struct arena *memory;
static EVP_PKEY *rsa, *short_rsa, *ed25519;
static struct resolver *keys;

static void
zone_key(struct buf *zone, const char *name, const char *kind, EVP_PKEY *key)
{
	buf_printf(zone, "%s TXT \"v=DKIM1; k=%s; \" \"p=\" \"", name, kind);
	assert_true(dkim_key_text(key, zone));
	buf_adds(zone, "\"\n");
}

static int
begin_chains(void **state)
{
	struct buf zone = BUF_INIT(1 << 16);

	(void)state;
	memory = arena_new(64 << 20);
	rsa = EVP_RSA_gen(1024);
	short_rsa = EVP_RSA_gen(768);
	ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	zone_key(&zone, "s._domainkey.a.example", "ed25519", ed25519);
	zone_key(&zone, "s._domainkey.b.example", "rsa", rsa);
	zone_key(&zone, "s._domainkey.short.example", "rsa", short_rsa);
	buf_adds(&zone,
	    "s._domainkey.late.example TXT !timeout\n"
	    "s._domainkey.broken.example TXT !servfail\n"
	    "s._domainkey.revoked.example TXT \"k=ed25519; p=\"\n"
	    "s._domainkey.two.example TXT \"k=ed25519; p=\"\n");
	zone_key(&zone, "s._domainkey.two.example", "ed25519", ed25519);
	keys = fixture_resolver(buf_str(&zone));
	buf_free(&zone);
	clock_fake((int64_t)NOW * 1000);
	return 0;
}

static int
end_chains(void **state)
{
	(void)state;
	clock_fake(-1);
	resolver_free(&keys);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(short_rsa);
	EVP_PKEY_free(ed25519);
	arena_free(&memory);
	dkim_keys_forget();
	return 0;
}

/* How a hop seals; what is NULL is as it should be. */
struct hop {
	const char *d, *signature_d, *a, *cv, *h, *c, *more, *seal_more,
	    *results;
};

struct chain {
	struct buf text; /* the message */
	struct str results[ARC_MAX_SETS], signature[ARC_MAX_SETS],
	    seal[ARC_MAX_SETS];
	unsigned int n;
};

static EVP_PKEY *
key_of(const char *domain)
{
	if (strcmp(domain, "b.example") == 0)
		return rsa;
	return strcmp(domain, "short.example") == 0 ? short_rsa : ed25519;
}

static const char * or (const char *given, const char *usual)
{
	return given != NULL ? given : usual;
}

static const char *
algorithm_of(const struct hop *hop, const char *domain)
{
	return or
	    (hop->a,
		key_of(domain) == ed25519 ? "ed25519-sha256" : "rsa-sha256");
}

/* Ends the hash with the field itself and adds the signature to it. */
static struct str
sign_field(struct dkim_hash *hash, const char *name, struct str value,
    const char *domain)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	struct buf out = BUF_INIT(1 << 16);
	struct str signature;
	size_t n;

	dkim_hash_signature(hash, str_of(name), value, value.n, value.n, true);
	n = dkim_hash_end(hash, digest);
	buf_addstr(&out, value);
	assert_true(dkim_key_signs(key_of(domain), digest, n, &out));
	signature = arena_str(memory, buf_str(&out));
	buf_free(&out);
	return signature;
}

static struct str
body_hash(const struct fixture *f, bool relaxed)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	struct buf text = BUF_INIT(100);
	struct dkim_body body;
	struct str hash;
	size_t n;

	dkim_body_begin(&body, relaxed, false, DKIM_NO_LIMIT);
	dkim_body_add(&body, f->txn->body.raw.p, f->txn->body.raw.n);
	n = dkim_body_end(&body, digest);
	dkim_base64_encode(&text, digest, n);
	hash = arena_str(memory, buf_str(&text));
	buf_free(&text);
	return hash;
}

static struct str
sign_message(const struct chain *c, const struct hop *hop)
{
	const char *d = or (hop->signature_d, or (hop->d, "a.example"));
	const char *form = or (hop->c, "relaxed/simple");
	const char *h = or (hop->h, "from:to:subject");
	struct fixture f = { .services.resolver = keys };
	struct dkim_hash hash;
	struct str value;

	fixture_begin(&f, 1000);
	fixture_message(&f, buf_str(&c->text));
	value = arena_printf(memory,
	    " i=%u; a=%s; c=%s; d=%s; s=s; h=%s; bh=%.*s; %s b=", c->n,
	    algorithm_of(hop, d), form, d, h,
	    STR_FMT(body_hash(&f, strstr(form, "/relaxed") != NULL)),
	    or (hop->more, ""));
	dkim_hash_begin(&hash, false);
	dkim_hash_fields(&hash, &f.txn->headers, str_of(h), DKIM_NAMES_MAX,
	    NULL, true);
	value = sign_field(&hash, "ARC-Message-Signature", value, d);
	fixture_end(&f);
	return value;
}

static struct str
seal_chain(const struct chain *c, const struct hop *hop)
{
	const char *d = or (hop->d, "a.example");
	struct dkim_hash hash;

	dkim_hash_begin(&hash, false);
	for (unsigned int i = 0; i < c->n; i++) {
		dkim_hash_field(&hash, STR("ARC-Authentication-Results"),
		    c->results[i], true);
		dkim_hash_field(&hash, STR("ARC-Message-Signature"),
		    c->signature[i], true);
		if (i < c->n - 1)
			dkim_hash_field(&hash, STR("ARC-Seal"), c->seal[i],
			    true);
	}
	return sign_field(&hash, "ARC-Seal",
	    arena_printf(memory, " i=%u; a=%s; cv=%s; d=%s; s=s; %s b=", c->n,
		algorithm_of(hop, d), or (hop->cv, c->n == 1 ? "none" : "pass"),
		d, or (hop->seal_more, "")),
	    d);
}

static void
chain_begin(struct chain *c)
{
	*c = (struct chain){ .text = BUF_INIT(8 << 20) };
	buf_adds(&c->text,
	    "From: x@x.example\nTo: y@y.example\n"
	    "Subject: hello  you\n\nText,\n  more \n\n\n");
}

static void
chain_put(struct chain *c, struct str text)
{
	struct str copy = arena_str(memory, buf_str(&c->text));

	buf_truncate(&c->text, 0);
	buf_addstr(&c->text, text);
	buf_addstr(&c->text, copy);
}

static void
chain_seal(struct chain *c, const struct hop *hop)
{
	unsigned int i = c->n++;

	c->results[i] = arena_printf(memory, " i=%u; %s", c->n,
	    or (hop->results, "mx.a.example; spf=fail; dmarc=none"));
	c->signature[i] = sign_message(c, hop);
	c->seal[i] = seal_chain(c, hop);
	chain_put(c,
	    arena_printf(memory,
		"ARC-Seal:%.*s\nARC-Message-Signature:%.*s\n"
		"ARC-Authentication-Results:%.*s\n",
		STR_FMT(c->seal[i]), STR_FMT(c->signature[i]),
		STR_FMT(c->results[i])));
}

/* The text with the nth occurrence of something replaced. */
static void
chain_edit(struct chain *c, const char *old, unsigned int nth, const char *new)
{
	struct str copy = arena_str(memory, buf_str(&c->text)), rest = copy;
	ptrdiff_t at = 0;

	while (nth-- > 0) {
		at = str_find(rest, str_of(old));
		assert_true(at >= 0);
		at += rest.p - copy.p;
		rest = str_sub(copy, (size_t)at + 1, copy.n);
	}
	buf_truncate(&c->text, 0);
	buf_addstr(&c->text, str_sub(copy, 0, (size_t)at));
	buf_adds(&c->text, new);
	buf_addstr(&c->text, str_sub(copy, (size_t)at + strlen(old), copy.n));
}

static const struct arc_result *
chain_judge(struct chain *c, struct fixture *f)
{
	const struct arc_result *r;

	*f = (struct fixture){ .services.resolver = keys };
	fixture_begin(f, 50);
	fixture_arc_message(f, buf_str(&c->text));
	r = arc_check(f->txn);
	assert_non_null(r);
	return r;
}

static void
chain_is(struct chain *c, enum auth_result want, const char *problem)
{
	struct fixture f;
	const struct arc_result *r = chain_judge(c, &f);

	if (r->result != want || !str_eq(r->problem, str_of(problem)))
		fail_msg("%s (%.*s), not %s (%s)", auth_result_word(r->result),
		    STR_FMT(r->problem), auth_result_word(want), problem);
	fixture_end(&f);
	buf_free(&c->text);
}

static void
test_pass(void **state)
{
	const struct hop hops[] = { { .d = "a.example",
					.results =
					    "mx (;dmarc=fail) \";spf=fail\";"
					    "spf = pass;DKIM(x)/1=fail; x=y; "
					    "dkim=pass;dmarc=bestguesspass" },
		{ .d = "b.example", .c = "relaxed/relaxed" },
		{ .d = "two.example", .signature_d = "b.example" } };
	struct fixture f;
	const struct arc_result *r;
	struct chain c;

	(void)state;
	chain_begin(&c);
	for (size_t i = 0; i < 3; i++)
		chain_seal(&c, &hops[i]);
	r = chain_judge(&c, &f);
	assert_int_equal(r->result, AUTH_PASS);
	assert_int_equal(r->count, 3);
	assert_true(str_eq(r->domains[0], STR("two.example")));
	assert_true(str_eq(r->domains[1], STR("b.example")));
	assert_true(str_eq(r->domains[2], STR("a.example")));
	assert_int_equal(r->spf, AUTH_PASS);
	assert_int_equal(r->dkim, AUTH_PASS);
	assert_int_equal(r->dmarc, AUTH_UNKNOWN);
	assert_int_equal(r->oldest_pass, 0);
	assert_true(r->oldest_known);
	fixture_end(&f);
	buf_free(&c.text);
}

/* A hop that changes the message and seals it anew. */
static void
test_oldest_pass(void **state)
{
	const struct hop plain = { 0 };
	struct fixture f;
	const struct arc_result *r;
	struct chain c;

	(void)state;
	chain_begin(&c);
	chain_seal(&c, &plain);
	chain_edit(&c, "hello", 1, "[list] hello");
	chain_seal(&c, &plain);
	chain_seal(&c, &plain);
	r = chain_judge(&c, &f);
	assert_int_equal(r->result, AUTH_PASS);
	assert_int_equal(r->oldest_pass, 2);
	assert_true(r->oldest_known);
	fixture_end(&f);
	chain_edit(&c, "Text", 1, "Test");
	chain_is(&c, AUTH_FAIL,
	    "ARC-Message-Signature i=3: the body hash does not verify");
}

/* An old signature may be anything that has an instance. */
static void
test_old_signature(void **state)
{
	const struct hop plain = { 0 }, odd = { .h = "to", .more = "x=y;" },
			 late = { .signature_d = "broken.example" };
	struct fixture f;
	const struct arc_result *r;
	struct chain c;

	(void)state;
	chain_begin(&c);
	chain_seal(&c, &odd);
	chain_seal(&c, &plain);
	r = chain_judge(&c, &f);
	assert_int_equal(r->result, AUTH_PASS);
	assert_int_equal(r->oldest_pass, 2);
	assert_true(r->oldest_known);
	fixture_end(&f);
	buf_free(&c.text);

	chain_begin(&c);
	chain_seal(&c, &late);
	chain_seal(&c, &plain);
	r = chain_judge(&c, &f);
	assert_int_equal(r->result, AUTH_PASS);
	assert_false(r->oldest_known);
	fixture_end(&f);
	buf_free(&c.text);
}

static void
test_longest(void **state)
{
	const struct hop plain = { 0 };
	struct fixture f;
	const struct arc_result *r;
	struct chain c;

	(void)state;
	chain_begin(&c);
	while (c.n < ARC_MAX_SETS)
		chain_seal(&c, &plain);
	r = chain_judge(&c, &f);
	assert_int_equal(r->result, AUTH_PASS);
	assert_int_equal(r->count, ARC_MAX_SETS);
	assert_int_equal(r->oldest_pass, 0);
	fixture_end(&f);
	chain_edit(&c, "ARC-Seal: i=50", 1, "ARC-Seal: i=51");
	chain_is(&c, AUTH_FAIL, "i= is not 1 to 50");
}

/* One hop that is not as it should be. */
static const struct hop_case {
	struct hop hop;
	enum auth_result want;
	const char *problem;
} hop_cases[] = {
	{ { 0 }, AUTH_PASS, NULL },
	{ { .d = "b.example" }, AUTH_PASS, NULL },
	{ { .d = "two.example" }, AUTH_PASS, NULL },
	{ { .d = "short.example" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: the key is too short" },
	{ { .d = "short.example", .signature_d = "a.example" }, AUTH_FAIL,
	    "ARC-Seal i=1: the key is too short" },
	{ { .d = "revoked.example" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: the key was revoked" },
	{ { .d = "nobody.example" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: there is no key" },
	{ { .d = "a.example", .signature_d = "b.example", .a = "rsa-sha256" },
	    AUTH_FAIL, "ARC-Seal i=1: the key is of another type" },
	{ { .d = "late.example" }, AUTH_TEMPERROR,
	    "ARC-Message-Signature i=1: timeout" },
	{ { .d = "broken.example" }, AUTH_TEMPERROR,
	    "ARC-Message-Signature i=1: servfail" },
	{ { .d = "broken.example", .signature_d = "a.example" }, AUTH_TEMPERROR,
	    "ARC-Seal i=1: servfail" },
	{ { .d = "nobody.example", .signature_d = "broken.example" }, AUTH_FAIL,
	    "ARC-Seal i=1: there is no key" },
	{ { .cv = "pass" }, AUTH_FAIL,
	    "a cv= does not fit its place in the chain" },
	{ { .cv = "fail" }, AUTH_FAIL, "the newest seal says cv=fail" },
	{ { .cv = "maybe" }, AUTH_FAIL, "cv= is not none, pass or fail" },
	{ { .a = "rsa-sha1" }, AUTH_FAIL, "unknown algorithm" },
	{ { .h = "to:subject" }, AUTH_FAIL, "h= does not name From" },
	{ { .h = "from:arc-seal" }, AUTH_FAIL, "h= names ARC-Seal" },
	{ { .h = "from:from:nothing" }, AUTH_PASS, NULL },
	{ { .h = "arc-message-signature:from" }, AUTH_PASS, NULL },
	{ { .more = "l=16;" }, AUTH_PASS, NULL },
	{ { .more = "l=15;" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: l= leaves content unsigned" },
	{ { .more = "l=17;" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: l= is more than there is" },
	{ { .more = "l=x;" }, AUTH_FAIL, "l= is not a number" },
	{ { .more = "x=1700000000; t=1;" }, AUTH_PASS, NULL },
	{ { .more = "x=1699999999; t=1;" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: the signature has expired" },
	{ { .more = "x=1800000000; t=1800000000;" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: x= is not after t=" },
	{ { .more = "t=1700003600;" }, AUTH_PASS, NULL },
	{ { .more = "t=1700003601;" }, AUTH_FAIL,
	    "ARC-Message-Signature i=1: the signature is of the future" },
	{ { .more = "q=dns/txt;" }, AUTH_PASS, NULL },
	{ { .more = "q=http;" }, AUTH_FAIL, "q= has no method we know" },
	{ { .more = "i=1;" }, AUTH_FAIL, "a tag is there twice" },
	{ { .more = "unknown=tag; z=;" }, AUTH_PASS, NULL },
	{ { .more = "; ;" }, AUTH_FAIL, "not a tag list" },
	{ { .seal_more = "h=from;" }, AUTH_FAIL, "a seal has h=" },
	{ { .seal_more = "t=;" }, AUTH_FAIL, "t= is not a number" },
	{ { .seal_more = "cv=none;" }, AUTH_FAIL, "a tag is there twice" },
};

static void
test_hops(void **state)
{
	struct chain c;

	(void)state;
	for (size_t i = 0; i < sizeof(hop_cases) / sizeof(hop_cases[0]); i++) {
		print_message("case %zu\n", i);
		chain_begin(&c);
		chain_seal(&c, &hop_cases[i].hop);
		chain_is(&c, hop_cases[i].want, hop_cases[i].problem);
	}
}

/* A chain of two that was cut, doubled or changed afterwards. */
static const struct edit_case {
	const char *old;
	unsigned int nth;
	const char *new, *problem;
} edit_cases[] = {
	{ "From: ", 1, "From: z@z.example\nFrom: ",
	    "ARC-Message-Signature i=2: a From field is not signed" },
	{ "hello", 1, "Hello",
	    "ARC-Message-Signature i=2: the signature does not verify" },
	{ "more ", 1, "more",
	    "ARC-Message-Signature i=2: the body hash does not verify" },
	{ "spf=fail", 2, "spf=pass",
	    "ARC-Seal i=2: the signature does not verify" },
	{ "; cv=none", 1,
	    ";  cv=none; x=", "ARC-Seal i=2: the signature does not verify" },
	{ "ARC-Seal: i=2", 1, "X-Seal: i=2", "an ARC Set is not complete" },
	{ "ARC-Seal: i=1", 1, "X-Seal: i=1", "an ARC Set is not complete" },
	{ "ARC-Message-Signature: i=1", 1, "X: i=1",
	    "an ARC Set is not complete" },
	{ "ARC-Authentication-Results: i=2", 1, "X: i=2",
	    "an ARC Set is not complete" },
	{ "ARC-Authentication-Results: i=2", 1,
	    "ARC-Authentication-Results: i=1",
	    "two ARC-Authentication-Results of one instance" },
	{ "ARC-Authentication-Results: i=2", 1,
	    "ARC-Authentication-Results: i=3", "an ARC Set is not complete" },
	{ "ARC-Authentication-Results: i=2", 1,
	    "ARC-Authentication-Results: (i=2;) mx; i=2",
	    "ARC-Authentication-Results has no instance" },
	{ "ARC-Authentication-Results: i=2", 1,
	    "ARC-Authentication-Results: i=0",
	    "ARC-Authentication-Results has no instance" },
	{ "ARC-Seal: i=1", 1, "ARC-Seal: i=2",
	    "two ARC-Seals of one instance" },
	{ "ARC-Message-Signature: i=1", 1, "ARC-Message-Signature: i=2",
	    "two ARC-Message-Signatures of one instance" },
	{ "ARC-Message-Signature: i=1", 1, "ARC-Message-Signature: i=0",
	    "i= is not 1 to 50" },
	{ "ARC-Seal: i=2", 1, "ARC-Seal: i=", "i= is not 1 to 50" },
	{ "ARC-Seal: i=2", 1, "ARC-Seal: i=+2", "i= is not 1 to 50" },
	{ "ARC-Seal: i=2;", 1, "ARC-Seal:", "i= is missing" },
	{ "cv=pass", 1, "cv=none",
	    "a cv= does not fit its place in the chain" },
	{ "cv=none", 1, "cv=fail",
	    "a cv= does not fit its place in the chain" },
};

static void
test_edits(void **state)
{
	const struct hop plain = { 0 };
	struct chain c;

	(void)state;
	for (size_t i = 0; i < sizeof(edit_cases) / sizeof(edit_cases[0]);
	     i++) {
		const struct edit_case *e = &edit_cases[i];

		print_message("case %zu\n", i);
		chain_begin(&c);
		chain_seal(&c, &plain);
		chain_seal(&c, &plain);
		chain_edit(&c, e->old, e->nth, e->new);
		chain_is(&c, AUTH_FAIL, e->problem);
	}
}

static void
test_none(void **state)
{
	struct chain c;

	(void)state;
	chain_begin(&c);
	chain_is(&c, AUTH_NONE, NULL);
	c = (struct chain){ .text = BUF_INIT(10) };
	chain_is(&c, AUTH_NONE, NULL);
}

/* Folds, the case of names, and white space are nobody's to keep. */
static void
test_relaxed(void **state)
{
	const struct hop plain = { 0 };
	struct chain c;

	(void)state;
	chain_begin(&c);
	chain_seal(&c, &plain);
	chain_edit(&c, "ARC-Seal: i=1; a=", 1, "arc-SEAL:\n   i=1;\n\ta=");
	chain_edit(&c, "Subject: hello  you", 1, "sUBJECT:   hello\n  you ");
	chain_edit(&c, "Text,\n", 1, "Text,\r\n");
	chain_is(&c, AUTH_PASS, NULL);
}

/* No byte of a sealed message can be another one.  (The bits that base64 has
 * behind the last byte mean nothing.) */
static void
test_mutations(void **state)
{
	const struct hop plain = { .c = "relaxed/simple" };
	const struct arc_result *r;
	struct fixture f;
	struct chain c;

	(void)state;
	chain_begin(&c);
	chain_seal(&c, &plain);
	chain_seal(&c, &plain);
	for (size_t i = 0; i + 1 < c.text.n; i++) {
		if (c.text.p[i] != '=' && c.text.p[i + 1] == '=')
			continue;
		c.text.p[i] ^= 1;
		r = chain_judge(&c, &f);
		if (r->result == AUTH_PASS)
			fail_msg("byte %zu of %.*s", i,
			    STR_FMT(buf_str(&c.text)));
		fixture_end(&f);
		c.text.p[i] ^= 1;
	}
	chain_is(&c, AUTH_PASS, NULL);
}

static void
test_full_arena(void **state)
{
	const struct hop plain = { 0 };
	struct fixture f = { .services.resolver = keys };
	struct chain c;
	size_t used;

	(void)state;
	chain_begin(&c);
	chain_seal(&c, &plain);
	fixture_begin(&f, 50);
	fixture_message(&f, buf_str(&c.text));
	while (arena_alloc(f.txn->arena, 2048) != NULL)
		;
	arc_feed_eoh(f.txn);
	arc_feed_body(f.txn, "x", 1);
	assert_null(arc_check(f.txn));
	fixture_end(&f);
	/* Nor is one begun in what is left, with each chunk. */
	fixture_begin(&f, 50);
	while (arena_alloc(f.txn->arena, 64 * 1024 * 1024) != NULL)
		;
	assert_true(arena_overflowed(f.txn->arena));
	assert_true(header_add(f.txn->arena, &f.txn->headers, STR("ARC-Seal"),
	    STR(" i=1")));
	used = arena_used(f.txn->arena);
	for (int i = 0; i < 10; i++)
		arc_feed_body(f.txn, "x", 1);
	assert_int_equal(arena_used(f.txn->arena), used);
	fixture_end(&f);
	buf_free(&c.text);
}

/* More fields than are kept: a set may be among those that are not. */
static void
test_large_header(void **state)
{
	const struct hop plain = { 0 };
	struct chain c;

	(void)state;
	chain_begin(&c);
	chain_seal(&c, &plain);
	for (int i = 0; i < HEADER_MAX_COUNT; i++)
		chain_edit(&c, "From:", 1, "A:\nFrom:");
	chain_is(&c, AUTH_FAIL, "the header is too large");
}

/* --- what a sealer says it found --- */

static const struct claim_case {
	const char *value;
	bool any;
	enum auth_result want;
} claim_cases[] = {
	{ " i=1; mx; dkim=fail; dkim=pass", true, AUTH_PASS },
	{ " i=1; mx; dkim=fail; dkim=pass", false, AUTH_FAIL },
	{ " i=1; mx; dkim=fail; dkim=policy", true, AUTH_FAIL },
	{ "i = 1 (a) ;(b) mx (c) 1; (;) DKIM (d) / 1 = (e) Pass", false,
	    AUTH_PASS },
	{ "i=1; dkim=pass", false, AUTH_UNKNOWN },
	{ "i=1; mx; xdkim=pass; dkimx=pass; dkim pass", false, AUTH_UNKNOWN },
	{ "i=1; mx; none", false, AUTH_UNKNOWN },
	{ "i=1; mx; spf=fail (; dkim=pass", false, AUTH_UNKNOWN },
	{ "i=1; mx; spf=fail \"; dkim=pass", false, AUTH_UNKNOWN },
	{ "i=1; mx; spf=fail \"\\\"; dkim=fail\"; dkim=none", false,
	    AUTH_NONE },
	{ "i=1; mx; dkim=", false, AUTH_UNKNOWN },
	{ "i=1; mx; dkim=passed; dkim=pass", false, AUTH_UNKNOWN },
	{ "i=1", false, AUTH_UNKNOWN },
	{ "i=100; mx; dkim=pass", false, AUTH_UNKNOWN },
	{ "I=1; mx; dkim=pass", false, AUTH_UNKNOWN },
	{ "", false, AUTH_UNKNOWN },
};

static void
test_claims(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(claim_cases) / sizeof(claim_cases[0]);
	     i++) {
		const struct claim_case *c = &claim_cases[i];

		if (arc_results_find(str_of(c->value), STR("dkim"), c->any) !=
		    c->want)
			fail_msg("%s", c->value);
	}
}

int
main(void)
{
	const struct CMUnitTest chains[] = {
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_oldest_pass),
		cmocka_unit_test(test_old_signature),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_hops),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_relaxed),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_full_arena),
		cmocka_unit_test(test_large_header),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	    cmocka_run_group_tests(chains, begin_chains, end_chains);
}
