#include "message_fixture.h"

#include <pthread.h>

#include "check/dkim_signature.h"

#define TRIPLES "dkim/chasquid/internal/dkim/testdata"

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
	    "signature verification failed");
}

static void
test_changed(void **state)
{
	(void)state;
	expect_edit("relaxed", "Hello", "Hullo", AUTH_FAIL,
	    "the body hash does not verify");
	expect_edit("relaxed", "bob@", "bob1@", AUTH_FAIL,
	    "signature verification failed");
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
	    "signature verification failed");
}

static void
test_keys(void **state)
{
	(void)state;
	expect("revoked", AUTH_PERMERROR, "key revoked");
	expect("broken", AUTH_TEMPERROR, "servfail");
	expect("slow", AUTH_TEMPERROR, "timeout");
	expect("missing", AUTH_PERMERROR, "key not found in DNS");
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
	    AUTH_FAIL, "signature verification failed");
	expect_edit("relaxed", "i=@example.org", "i=a=0A@example.org",
	    AUTH_NEUTRAL, "i= is not an address");
	expect_edit("relaxed", "i=@example.org", "i=@notexample.org",
	    AUTH_NEUTRAL, "i= is not below d=");
	expect_edit("relaxed", "s=rsa", "s=rsa..x", AUTH_NEUTRAL,
	    "s= is not a name");
	expect_edit("relaxed", "v=1", "x=1000000000; v=1", AUTH_FAIL,
	    "signature expired");
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

/* "name: text" with "\" at the ends of lines, as zone lines. */
static void
triples_zone(const char *path, struct buf *zone)
{
	struct buf in = fixture_read(path);
	struct str rest = buf_str(&in), line, value, name;
	struct buf joined = BUF_INIT(65536);

	while (rest.p) {
		line = str_trim(str_cut(rest, '\n', &rest));
		if (line.n > 0 && line.p[line.n - 1] == '\\') {
			buf_add(&joined, line.p, line.n - 1);
			continue;
		}
		buf_addstr(&joined, line);
		name = str_cut(buf_str(&joined), ':', &value);
		value = str_trim(value);
		if (str_eq(value, STR("TEMPERROR")))
			buf_printf(zone, "%.*s TXT !servfail\n", STR_FMT(name));
		else if (value.n > 0 && !str_eq(value, STR("PERMERROR")))
			buf_printf(zone, "%.*s TXT \"%.*s\"\n", STR_FMT(name),
			    STR_FMT(value));
		buf_truncate(&joined, 0);
	}
	buf_free(&joined);
	buf_free(&in);
}

/* The states that are expected, one after the other, from a result file. */
static const char *
next_state(struct str *rest)
{
	static const struct {
		const char *word, *result;
	} states[] = { { "SUCCESS\"", "pass" }, { "TEMPFAIL\"", "temperror" },
		{ "PERMFAIL\"", "other" } };
	const struct str mark = STR("\"State\": \"");
	ptrdiff_t at = str_find(*rest, mark);
	size_t i;

	if (at < 0)
		return NULL;
	*rest = str_sub(*rest, (size_t)at + mark.n, rest->n);
	for (i = 0; i < 3; i++)
		if (str_starts(*rest, str_of(states[i].word)))
			return states[i].result;
	return "unknown";
}

static void
triple(const char *dns, const char *msg, const char *result)
{
	char path[512], name[200];
	struct buf zone = BUF_INIT(65536), text, want;
	const struct dkim_signature *s;
	const char *have, *expected;
	struct fixture f;
	struct str rest;

	snprintf(name, sizeof(name), "%s/%s.dns", TRIPLES, dns);
	if (!fixture_data(name, path, sizeof(path)))
		skip();
	triples_zone(path, &zone);
	snprintf(name, sizeof(name), "%s/%s.msg", TRIPLES, msg);
	assert_non_null(fixture_data(name, path, sizeof(path)));
	text = fixture_read(path);
	snprintf(name, sizeof(name), "%s/%s.result", TRIPLES, result);
	assert_non_null(fixture_data(name, path, sizeof(path)));
	want = fixture_read(path);
	f = begin(buf_str(&zone), buf_str(&text));
	assert_non_null(dkim_check(f.txn));
	rest = buf_str(&want);
	s = f.txn->checks->dkim->signatures;
	for (; (expected = next_state(&rest)) != NULL; s = s->next) {
		assert_non_null(s);
		have = s->result == AUTH_PASS	? "pass" :
		    s->result == AUTH_TEMPERROR ? "temperror" :
						  "other";
		if (strcmp(have, expected) != 0)
			fail_msg("%s: s=%.*s %s (%.*s), want %s", result,
			    STR_FMT(s->selector), auth_result_word(s->result),
			    STR_FMT(s->problem), expected);
	}
	end(&f);
	buf_free(&zone);
	buf_free(&text);
	buf_free(&want);
}

/* 01 has the messages of RFC 8463; 09 (l=) is our policy's to refuse. */
static void
test_triples(void **state)
{
	(void)state;
	triple("01-rfc8463", "01-rfc8463", "01-rfc8463");
	triple("01-rfc8463", "02-too_many_headers", "02-too_many_headers");
	triple("01-rfc8463", "04-bad_dkim_signature_header",
	    "04-bad_dkim_signature_header");
	triple("05-dns_temp_error", "05-dns_temp_error", "05-dns_temp_error");
	triple("06-dns_perm_error", "06-dns_perm_error", "06-dns_perm_error");
	triple("07-algo_mismatch", "01-rfc8463", "01-rfc8463");
	triple("08-our_signature", "08-our_signature", "08-our_signature");
	triple("10-strict_domain_check_pass", "01-rfc8463",
	    "10-strict_domain_check_pass");
	triple("11-strict_domain_check_fail", "11-strict_domain_check_fail",
	    "11-strict_domain_check_fail");
}

/* The zone of another collection: "NAME<tab>TEXT" a line. */
static void
collection_zone(const char *path, struct buf *zone)
{
	struct buf in = fixture_read(path);
	struct str rest = buf_str(&in), text, name;
	size_t i;

	while (rest.p) {
		name = str_cut(str_cut(rest, '\n', &rest), '\t', &text);
		if (text.p == NULL || str_find(name, STR("._domainkey.")) < 0)
			continue;
		buf_printf(zone, "%.*s TXT \"", STR_FMT(name));
		for (i = 0; i < text.n; i++)
			buf_printf(zone, "\\%03d", (unsigned char)text.p[i]);
		buf_adds(zone, "\"\n");
	}
	buf_free(&in);
}

/* Messages signed by drafts that were before RFC 4871. */
static bool
is_draft(struct str name)
{
	return str_find(name, STR("ietf0")) >= 0 ||
	    str_starts(name, STR("no_body")) ||
	    str_eq(name, STR("multiple_1.txt"));
}

/*
 * Nothing passes that should not; what should pass verifies, though most of
 * it is too weak: signed with rsa-sha1 or a key of 512 bits.
 */
static void
collection_row(struct services *services, struct str name, struct str want,
    unsigned int *passed, unsigned int *weak)
{
	char path[512], file[300];
	struct fixture f = { .services = *services };
	const struct dkim_result *r;
	struct buf text;

	snprintf(file, sizeof(file), "dkim/mail-dkim/t/corpus/%.*s",
	    STR_FMT(name));
	if (!fixture_data(file, path, sizeof(path)))
		return;
	text = fixture_read(path);
	fixture_begin(&f, 100);
	fixture_message(&f, buf_str(&text));
	r = dkim_check(f.txn);
	assert_non_null(r);
	if (r->result == AUTH_PASS && !str_starts(want, STR("pass")))
		fail_msg("%.*s passes, want %.*s", STR_FMT(name),
		    STR_FMT(want));
	if (r->result != AUTH_PASS && r->result != AUTH_POLICY &&
	    str_starts(want, STR("pass")) && !is_draft(name))
		fail_msg("%.*s does not pass", STR_FMT(name));
	*passed += r->result == AUTH_PASS;
	*weak += r->result == AUTH_POLICY && str_starts(want, STR("pass"));
	fixture_end(&f);
	buf_free(&text);
}

static void
test_collection(void **state)
{
	struct services services = { .hostname = STR("mx.example.net") };
	unsigned int passed = 0, weak = 0;
	struct buf zone = BUF_INIT(1 << 20), rows;
	struct str rest, name, want;
	char path[512];

	(void)state;
	if (!fixture_data("dkim/mail-dkim/zone.tsv", path, sizeof(path)))
		skip();
	collection_zone(path, &zone);
	services.resolver = fixture_resolver(buf_str(&zone));
	fixture_data("dkim/mail-dkim/expected.tsv", path, sizeof(path));
	rows = fixture_read(path);
	rest = buf_str(&rows);
	while (rest.p) {
		name = str_cut(str_cut(rest, '\n', &rest), '\t', &want);
		if (want.p && str_find(name, STR("dk_")) < 0)
			collection_row(&services, name, want, &passed, &weak);
	}
	assert_int_equal(passed, 1);
	assert_int_equal(weak, 12);
	resolver_free(&services.resolver);
	buf_free(&zone);
	buf_free(&rows);
}

/* Ours signs, ours and the other one verify. */
static void
sign_and_verify(const char *key)
{
	struct str message = STR("Received: x\nFrom: Alice <a@example.org>\n"
				 "To: b@example.net\nSubject:  two\n\twords \n"
				 "Subject: again\n\nHello  world \n\n x\n\n\n");
	char path[128], command[200], answer[16] = "";
	struct str value = STR_NONE;
	struct buf out = BUF_INIT(65536), zone;
	const char *why = NULL;
	struct fixture f;
	FILE *p;

	if (!have_oracle)
		skip();
	f = begin(STR(""), message);
	snprintf(path, sizeof(path), "%s/%s.pem", work, key);
	if (!dkim_sign_message(f.txn, STR("example.org"), str_of(key),
		str_of(path), &value, &why))
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
	buf_free(&out);
	buf_free(&zone);
}

static void
test_sign(void **state)
{
	struct str value = STR("before");
	const char *why;
	struct fixture f;

	(void)state;
	sign_and_verify("rsa");
	sign_and_verify("ed");
	f = begin(STR(""), STR("From: a@example.org\n\nhi\n"));
	assert_false(dkim_sign_message(f.txn, STR("example.org"), STR("s"),
	    STR("/nonexistent"), &value, &why));
	assert_string_equal(why, "the key file can't be opened");
	f.txn->body.truncated = true;
	assert_false(dkim_sign_message(f.txn, STR("example.org"), STR("s"),
	    STR("/nonexistent"), &value, &why));
	assert_string_equal(why, "the message was not kept whole");
	assert_true(str_eq(value, STR("before")));
	end(&f);
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

static uint64_t
length_of(const char *text, bool relaxed)
{
	struct dkim_length n = { 0 };
	size_t i;

	for (i = 0; text[i]; i++)
		dkim_length_add(&n, text + i, 1);
	return dkim_length_get(&n, relaxed);
}

static void
test_canonical_length(void **state)
{
	(void)state;
	assert_int_equal(length_of("", false), 2);
	assert_int_equal(length_of("", true), 0);
	assert_int_equal(length_of("\r\n\r\n", false), 2);
	assert_int_equal(length_of("\r\n \t\r\n", true), 0);
	/* RFC 6376 section 3.4.5 */
	assert_int_equal(length_of(" C \r\nD \t E\r\n\r\n\r\n", true), 9);
	assert_int_equal(length_of(" C \r\nD \t E\r\n\r\n\r\n", false), 12);
	assert_int_equal(length_of("a", true), 3);
	assert_int_equal(length_of("a\rb\nc", false), 7);
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
		cmocka_unit_test(test_unsigned),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_triples),
		cmocka_unit_test(test_collection),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_canonical_length),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
