#include "message_fixture.h"

#include <pthread.h>

#include "check/dkim_sign.h"

static char work[] = "/tmp/postern-dkim-XXXXXX";
static bool have_oracle;

static struct fixture
begin(struct str zone, struct str message)
{
	struct fixture f = { .services.hostname = STR("mx.example.net") };

	f.services.resolver = fixture_resolver(zone);
	fixture_begin(&f, 100);
	fixture_message(&f, message);
	return f;
}

static void
end(struct fixture *f)
{
	fixture_end(f);
	resolver_free(&f->services.resolver);
}

/* The results of a message of dkim_oracle.py, changed by one edit. */
static void
expect_edit(const char *name, const char *what, const char *with,
    enum auth_result want, const char *problem)
{
	char path[128];
	struct buf zone, text, edited = BUF_INIT(1 << 20);
	const struct dkim_result *r;
	struct fixture f;
	ptrdiff_t at;

	if (!have_oracle)
		skip();
	snprintf(path, sizeof(path), "%s/zone", work);
	zone = fixture_read(path);
	snprintf(path, sizeof(path), "%s/%s.eml", work, name);
	text = fixture_read(path);
	at = str_find(buf_str(&text), str_of(what));
	assert_true(at >= 0);
	buf_add(&edited, text.p, (size_t)at);
	buf_adds(&edited, with);
	buf_addstr(&edited,
	    str_sub(buf_str(&text), (size_t)at + strlen(what), text.n));
	f = begin(buf_str(&zone), buf_str(&edited));
	r = dkim_check(f.txn);
	assert_non_null(r);
	if (r->result != want || r->signatures == NULL ||
	    !str_eq(r->signatures->problem, str_of(problem)))
		fail_msg("%s with \"%s\": %s (%.*s), want %s (%s)", name, with,
		    auth_result_word(r->result),
		    STR_FMT(r->signatures ? r->signatures->problem : STR("-")),
		    auth_result_word(want), problem);
	end(&f);
	buf_free(&zone);
	buf_free(&text);
	buf_free(&edited);
}

static void
expect(const char *name, enum auth_result want, const char *problem)
{
	expect_edit(name, "", "", want, problem);
}

static void
test_canonicalizations(void **state)
{
	(void)state;
	expect("relaxed", AUTH_PASS, "");
	expect("simple", AUTH_PASS, "");
	expect("mixed", AUTH_PASS, "");
	expect_edit("relaxed", "subject   line", "subject line", AUTH_PASS, "");
	expect_edit("simple", "subject   line", "subject line", AUTH_FAIL,
	    "the signature does not verify");
}

static void
test_changed(void **state)
{
	(void)state;
	expect_edit("relaxed", "Hello", "Hullo", AUTH_FAIL,
	    "the body hash does not verify");
	expect_edit("relaxed", "bob@", "bob1@", AUTH_FAIL,
	    "the signature does not verify");
	expect_edit("simple", " x ", " x", AUTH_FAIL,
	    "the body hash does not verify");
}

/* RFC 8301, and what a signature must cover. */
static void
test_weak(void **state)
{
	(void)state;
	expect("sha1", AUTH_POLICY, "rsa-sha1 is too weak");
	expect("short", AUTH_POLICY, "the key is too short");
}

static void
test_length(void **state)
{
	(void)state;
	expect("length", AUTH_PASS, "");
	expect("length-simple", AUTH_PASS, "");
	/* White space that relaxed drops is no unsigned content. */
	expect_edit("length", "  x ", "  x      ", AUTH_PASS, "");
	expect_edit("length", "  x ", "  x \r\nbuy", AUTH_POLICY,
	    "l= leaves content unsigned");
	expect_edit("length-simple", "  x ", "  x \r\nbuy", AUTH_POLICY,
	    "l= leaves content unsigned");
}

static void
test_second_from(void **state)
{
	(void)state;
	expect_edit("once", "Received:",
	    "From: Eve <eve@example.com>\r\nReceived:", AUTH_POLICY,
	    "a From field is not signed");
	/* This one was signed so that none can be added. */
	expect_edit("relaxed",
	    "Received:", "From: Eve <eve@example.com>\r\nReceived:", AUTH_FAIL,
	    "the signature does not verify");
}

static void
test_keys(void **state)
{
	(void)state;
	expect("revoked", AUTH_PERMERROR, "the key was revoked");
	expect("broken", AUTH_TEMPERROR, "servfail");
	expect("slow", AUTH_TEMPERROR, "timeout");
	expect("missing", AUTH_PERMERROR, "there is no key");
	expect("unfit", AUTH_PERMERROR, "the key is of another type");
}

static void
test_syntax(void **state)
{
	(void)state;
	expect_edit("relaxed", "v=1", "v=2", AUTH_NEUTRAL, "v= is not 1");
	expect_edit("relaxed", "v=1;", "v=1; v=1;", AUTH_NEUTRAL,
	    "a tag is there twice");
	expect_edit("relaxed", "i=@example.org", "i==40example=2Eorg",
	    AUTH_FAIL, "the signature does not verify");
	expect_edit("relaxed", "i=@example.org", "i=a=0A@example.org",
	    AUTH_NEUTRAL, "i= is not an address");
	expect_edit("relaxed", "i=@example.org", "i=@notexample.org",
	    AUTH_NEUTRAL, "i= is not below d=");
	expect_edit("relaxed", "s=rsa", "s=rsa..x", AUTH_NEUTRAL,
	    "s= is not a name");
	expect_edit("relaxed", "v=1", "x=1000000000; v=1", AUTH_NEUTRAL,
	    "x= is not after t=");
	expect_edit("relaxed", "v=1", "x=4000000000; v=1", AUTH_FAIL,
	    "the signature does not verify");
	clock_fake(4000000001000);
	expect_edit("relaxed", "v=1", "x=4000000000; v=1", AUTH_FAIL,
	    "the signature has expired");
	clock_fake(1000000000000);
	expect("relaxed", AUTH_FAIL, "the signature is of the future");
	clock_fake(-1);
}

/* Zone lines with the key of "rsa", @ in them, in place of its own. */
static void
expect_zone(const char *name, const char *lines, enum auth_result want,
    const char *problem)
{
	struct buf zone, text, out = BUF_INIT(1 << 20);
	const struct dkim_result *r;
	struct str key, rest;
	char path[128];
	struct fixture f;

	if (!have_oracle)
		skip();
	snprintf(path, sizeof(path), "%s/zone", work);
	zone = fixture_read(path);
	rest = buf_str(&zone);
	key = str_sub(rest, (size_t)str_find(rest, STR("p=")) + 2, rest.n);
	key = str_cut(key, '"', &rest);
	for (; *lines; lines++) {
		if (*lines == '@')
			buf_addstr(&out, key);
		else
			buf_addc(&out, *lines);
	}
	snprintf(path, sizeof(path), "%s/%s.eml", work, name);
	text = fixture_read(path);
	f = begin(buf_str(&out), buf_str(&text));
	r = dkim_check(f.txn);
	if (r->result != want ||
	    !str_eq(r->signatures->problem, str_of(problem)))
		fail_msg("%.60s: %s (%.*s)", out.p, auth_result_word(r->result),
		    STR_FMT(r->signatures->problem));
	end(&f);
	buf_free(&zone);
	buf_free(&text);
	buf_free(&out);
}

#define RSA "rsa._domainkey.example.org TXT "

static void
test_key_records(void **state)
{
	(void)state;
	expect_zone("relaxed", RSA "\"p=\" \"@\"\n", AUTH_PASS, "");
	expect_zone("relaxed", RSA "\"t=s; h=sha256; s=*; g=nobody; p=@\"\n",
	    AUTH_PASS, "");
	expect_zone("relaxed",
	    "rsa._domainkey.example.org CNAME k.example.net\n"
	    "k.example.net TXT \"v=DKIM1; p=@\"\n",
	    AUTH_PASS, "");
	/* Several records: the first that fits. */
	expect_zone("relaxed",
	    RSA "\"hello\"\n" RSA "\"k=ed25519; p=AAAA\"\n" RSA "\"p=@\"\n",
	    AUTH_PASS, "");
	expect_zone("relaxed", RSA "\"v=DKIM2; p=@\"\n", AUTH_PERMERROR,
	    "the key is of another version");
	expect_zone("relaxed", RSA "\"s=web; p=@\"\n", AUTH_PERMERROR,
	    "the key is not for mail");
	expect_zone("relaxed", RSA "\"p=@@\"\n", AUTH_PERMERROR,
	    "the key can't be read");
	expect_zone("sha1", RSA "\"h=sha256; p=@\"\n", AUTH_PERMERROR,
	    "the key is not for this hash");
}

/* A signature that is below d= with t=s; keys for tests (t=y). */
static void
test_key_flags(void **state)
{
	(void)state;
	expect_zone("below", RSA "\"p=@\"\n", AUTH_PASS, "");
	expect_zone("below", RSA "\"t=s; p=@\"\n", AUTH_PERMERROR,
	    "the key is not for subdomains");
	expect_zone("relaxed", RSA "\"t=y; p=@\"\n", AUTH_PASS, "");
	expect_zone("sha1", RSA "\"t=y; p=@\"\n", AUTH_NEUTRAL,
	    "rsa-sha1 is too weak");
	expect_zone("broken-body", RSA "\"t=y; p=@\"\n", AUTH_NEUTRAL,
	    "the body hash does not verify");
	expect_zone("broken-body", RSA "\"p=@\"\n", AUTH_FAIL,
	    "the body hash does not verify");
}

static void
test_unsigned(void **state)
{
	struct fixture f = begin(STR(""), STR("From: a@example.org\n\nhi\n"));
	const struct dkim_result *r = dkim_check(f.txn);

	(void)state;
	assert_int_equal(r->result, AUTH_NONE);
	assert_null(r->signatures);
	assert_ptr_equal(dkim_check(f.txn), r);
	end(&f);
}

/* A hundred signatures: eight are looked at, none costs a lookup twice. */
static void
test_many(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	const struct dkim_signature *s;
	struct fixture f;
	int i, n = 0;

	(void)state;
	for (i = 0; i < 100; i++)
		buf_printf(&text,
		    "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; "
		    "s=s%d; h=from; bh=aGVsbG8=; b=aGVsbG8=\n",
		    i);
	buf_adds(&text, "From: a@example.org\n\nhi\n");
	f = begin(STR(""), buf_str(&text));
	assert_int_equal(dkim_check(f.txn)->result, AUTH_PERMERROR);
	for (s = f.txn->checks->dkim->signatures; s; s = s->next)
		n++;
	assert_int_equal(n, DKIM_MAX_SIGNATURES);
	end(&f);
	buf_free(&text);
}

/* With a key of dkim_oracle.py; "" or why not. */
static const char *
sign(struct fixture *f, struct dkim_signers *signers, const char *key,
    const char *canon, struct str *value)
{
	struct dkim_signer *signer = dkim_signers_add(signers,
	    STR("example.org"), STR("example.org"), str_of(key));
	struct buf why = BUF_INIT(1000);
	char path[128];
	const char *problem;

	snprintf(path, sizeof(path), "%s/%s.pem", work, key);
	signer->keyfile = str_of(path);
	assert_int_equal(dkim_signer_load(signers, signer, 0, &why),
	    DKIM_LOAD_OK);
	signer->relaxed_header = canon[0] == 'r';
	signer->relaxed_body = canon[1] == 'r';
	dkim_sign_body(f->txn, true, f->txn->body.raw.p, f->txn->body.raw.n);
	problem = dkim_sign_make(f->txn, &f->txn->headers, signer, value);
	buf_free(&why);
	return problem;
}

/* Ours signs, ours and the other one verify. */
static void
sign_and_verify(struct str message, const char *key, const char *canon)
{
	struct dkim_signers *signers = dkim_signers_new();
	char path[128], command[200], answer[16] = "";
	struct str value = STR_NONE;
	struct buf out = BUF_INIT(65536), zone;
	const char *why;
	struct fixture f;
	FILE *p;

	if (!have_oracle)
		skip();
	f = begin(STR(""), message);
	why = sign(&f, signers, key, canon, &value);
	if (why != NULL)
		fail_msg("%s", why);
	buf_adds(&out, "DKIM-Signature:");
	buf_addstr(&out, value);
	buf_addc(&out, '\n');
	buf_addstr(&out, message);
	end(&f);
	snprintf(path, sizeof(path), "%s/zone", work);
	zone = fixture_read(path);
	f = begin(buf_str(&zone), buf_str(&out));
	assert_int_equal(dkim_check(f.txn)->result, AUTH_PASS);
	end(&f);
	snprintf(path, sizeof(path), "%s/signed.eml", work);
	p = fopen(path, "wb");
	assert_non_null(p);
	fwrite(out.p, 1, out.n, p);
	fclose(p);
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/dkim_oracle.py verify %s", work);
	p = popen(command, "r");
	assert_non_null(fgets(answer, sizeof(answer), p));
	assert_int_equal(pclose(p), 0);
	assert_string_equal(answer, "pass\n");
	dkim_signers_free(&signers);
	buf_free(&out);
	buf_free(&zone);
}

static void
test_sign(void **state)
{
	struct str message = STR("Received: x\nFrom: Alice <a@example.org>\n"
				 "To: b@example.net\nSubject:  two\n\twords \n"
				 "Subject: again\n\nHello  world \n\n x\n\n\n");

	(void)state;
	sign_and_verify(message, "rsa", "rr");
	sign_and_verify(message, "rsa", "ss");
	sign_and_verify(message, "ed", "rs");
	sign_and_verify(message, "ed", "sr");
	sign_and_verify(STR("From: a@example.org\n\n"), "rsa", "rr");
	sign_and_verify(STR("From: a@example.org\n\n"), "rsa", "ss");
	sign_and_verify(STR("From: a@example.org\n\n\n\n"), "ed", "ss");
	sign_and_verify(STR("From: \xc3\xa4 <a@example.org>\n\n\xe4\xff\n"),
	    "rsa", "rr");
}

/* From, To, Subject, and a Date that is there, can't be added. */
static void
test_sign_more(void **state)
{
	struct dkim_signers *signers = dkim_signers_new();
	struct str value = STR("");
	struct fixture f;

	(void)state;
	if (!have_oracle)
		skip();
	f = begin(STR(""),
	    STR("From: a@example.org\nCc: x\nBcc: y\nX-Y: z\n\nhi\n"));
	assert_null(sign(&f, signers, "ed", "rr", &value));
	assert_true(str_find(value, STR("h=From:From:Subject:To:Cc;")) > 0);
	assert_true(str_find(value, STR("c=relaxed/relaxed;")) > 0);
	end(&f);
	f = begin(STR(""), STR("From: a@example.org\nDate: x\n\nhi\n"));
	assert_null(sign(&f, signers, "ed", "rr", &value));
	assert_true(
	    str_find(value, STR("h=From:From:Subject:Date:Date:To;")) > 0);
	end(&f);
	dkim_signers_free(&signers);
}

static void
not_signed(struct str message, const char *want)
{
	struct dkim_signers *signers = dkim_signers_new();
	struct str value = STR("before");
	struct fixture f = begin(STR(""), message);

	assert_string_equal(sign(&f, signers, "ed", "rr", &value), want);
	assert_true(str_eq(value, STR("before")));
	end(&f);
	dkim_signers_free(&signers);
}

static void
test_not_signed(void **state)
{
	const char *line =
	    "a line is longer than 998 bytes: it would be broken";
	struct buf text = BUF_INIT(1 << 20);
	int i;

	(void)state;
	if (!have_oracle)
		skip();
	not_signed(STR("To: a@example.org\n\nhi\n"),
	    "the message has not one From field");
	not_signed(STR("From: a@example.org\nFrom: b@example.org\n\nhi\n"),
	    "the message has not one From field");
	buf_adds(&text, "From: a@example.org\n\n");
	for (i = 0; i < 998; i++)
		buf_addc(&text, 'x');
	sign_and_verify(buf_str(&text), "ed", "rr");
	buf_adds(&text, "x\n");
	not_signed(buf_str(&text), line);
	buf_truncate(&text, 0);
	buf_adds(&text, "From: a@example.org\nSubject: ");
	for (i = 0; i < 998; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\n\nhi\n");
	not_signed(buf_str(&text), line);
	buf_truncate(&text, 0);
	buf_adds(&text, "From: a@example.org\n");
	for (i = 0; i < 300; i++)
		buf_adds(&text, "Reply-To: x\n");
	buf_adds(&text, "\nhi\n");
	not_signed(buf_str(&text), "it has too many fields, or signing failed");
	buf_free(&text);
}

struct worker {
	struct services *services;
	struct str message;
	unsigned int passed;
};

static void *
work_on(void *arg)
{
	struct worker *w = arg;
	const struct dkim_result *r;
	int i;

	for (i = 0; i < 25; i++) {
		struct fixture f = { .services = *w->services };

		fixture_begin(&f, 5000);
		fixture_message(&f, w->message);
		r = dkim_check(f.txn);
		w->passed += r && r->result == AUTH_PASS;
		fixture_end(&f);
	}
	return NULL;
}

/* One library and one resolver, a message a thread. */
static void
test_threads(void **state)
{
	struct services services = { .hostname = STR("mx.example.net") };
	struct worker workers[4];
	pthread_t threads[4];
	struct buf zone, text;
	char path[128];
	int i;

	(void)state;
	if (!have_oracle)
		skip();
	snprintf(path, sizeof(path), "%s/zone", work);
	zone = fixture_read(path);
	snprintf(path, sizeof(path), "%s/relaxed.eml", work);
	text = fixture_read(path);
	services.resolver = fixture_resolver(buf_str(&zone));
	for (i = 0; i < 4; i++) {
		workers[i] = (struct worker){ &services, buf_str(&text), 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, work_on,
				     &workers[i]),
		    0);
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(workers[i].passed, 25);
	}
	resolver_free(&services.resolver);
	buf_free(&zone);
	buf_free(&text);
}

static int
run(const char *command)
{
	FILE *p = popen(command, "r");

	return p ? pclose(p) : -1;
}

static int
setup(void **state)
{
	char command[200];
	int status;

	(void)state;
	if (!dkim_global_init() || mkdtemp(work) == NULL)
		return -1;
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/dkim_oracle.py make %s", work);
	status = run(command);
	have_oracle = status == 0;
	if (status != 0 && WEXITSTATUS(status) != 77)
		return -1;
	return 0;
}

static int
teardown(void **state)
{
	char command[64];

	(void)state;
	dkim_global_free();
	snprintf(command, sizeof(command), "rm -r %s", work);
	return run(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonicalizations),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_second_from),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_key_records),
		cmocka_unit_test(test_key_flags),
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_sign_more),
		cmocka_unit_test(test_not_signed),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
