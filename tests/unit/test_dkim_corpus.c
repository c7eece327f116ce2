/*
 * Messages signed by others, and what others expect of them.  Where ours is
 * another result, the sentence of the RFC that makes it so stands beside it.
 */
#include "message_fixture.h"

#define TRIPLES "dkim/chasquid/internal/dkim/testdata"

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

static const char weak[] = "rsa-sha1 is too weak";

/*
 * Where RFC 8301 section 3.1 ("Signers MUST sign using rsa-sha256 ... rsa-sha1
 * MUST NOT be used for signing or verifying") or RFC 6376 overrides what the
 * collection expects.
 */
static const struct override {
	const char *start; /* of the file's name */
	const char *problem; /* NULL: no signature at all */
} overrides[] = {
	/* RFC 6376 section 3.5: "v= Version (plain-text; REQUIRED)" */
	{ "good_ietf0", "v= is missing" },
	{ "multiple_1", "v= is missing" },
	/* The same: "Signers MUST set v= to 1"; these are drafts of 2006. */
	{ "mine_ietf05_1", "v= is not 1" },
	{ "no_body_", "v= is not 1" },
	/* The same, on q=: "the only option is dns/txt" */
	{ "mine_ietf01_", "q= has no method we know" },
	{ "good_rfc4871_3", weak },
	{ "good_rfc4871_4", weak },
	{ "good_1878523", weak },
	{ "good_83176", weak },
	{ "good_qp_", weak },
	{ "multiple_2", weak },
	{ "goodkey_1", weak },
	{ "goodkey_2", weak },
	{ "goodkey_3", weak },
	{ "goodkey_4", weak },
	/* DomainKeys: RFC 4870 is historic, it has no DKIM-Signature. */
	{ "good_dk_", NULL },
	{ "dk_", NULL },
};

static const struct override *
find_override(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++)
		if (str_starts(name, str_of(overrides[i].start)))
			return &overrides[i];
	return NULL;
}

static bool
has_problem(const struct dkim_result *r, const char *problem)
{
	const struct dkim_signature *s;

	if (problem == NULL)
		return r->result == AUTH_NONE;
	for (s = r->signatures; s; s = s->next)
		if (str_eq(s->problem, str_of(problem)))
			return true;
	return false;
}

static void
collection_row(struct services *services, struct str name, struct str want)
{
	const struct override *override = find_override(name);
	struct fixture f = { .services = *services };
	const struct dkim_result *r;
	char path[512], file[300];
	struct buf text;
	bool good;

	snprintf(file, sizeof(file), "dkim/mail-dkim/t/corpus/%.*s",
	    STR_FMT(name));
	assert_non_null(fixture_data(file, path, sizeof(path)));
	text = fixture_read(path);
	fixture_begin(&f, 100);
	fixture_message(&f, buf_str(&text));
	r = dkim_check(f.txn);
	assert_non_null(r);
	good = str_starts(want, STR("pass"));
	if (good && override != NULL)
		good =
		    r->result != AUTH_PASS && has_problem(r, override->problem);
	else
		good = good == (r->result == AUTH_PASS);
	if (!good)
		fail_msg("%.*s: %s (%.*s), want %.*s", STR_FMT(name),
		    auth_result_word(r->result),
		    STR_FMT(r->signatures ? r->signatures->problem : STR("-")),
		    STR_FMT(want));
	fixture_end(&f);
	buf_free(&text);
}

static void
test_collection(void **state)
{
	struct services services = { .hostname = STR("mx.example.net") };
	struct buf zone = BUF_INIT(1 << 20), rows;
	struct str rest, name, want;
	unsigned int n = 0;
	char path[512];

	(void)state;
	if (!fixture_data("dkim/mail-dkim/zone.tsv", path, sizeof(path)))
		skip();
	collection_zone(path, &zone);
	services.resolver = fixture_resolver(buf_str(&zone));
	assert_non_null(
	    fixture_data("dkim/mail-dkim/expected.tsv", path, sizeof(path)));
	rows = fixture_read(path);
	rest = buf_str(&rows);
	while (rest.p) {
		name = str_cut(str_cut(rest, '\n', &rest), '\t', &want);
		if (want.p == NULL)
			continue;
		collection_row(&services, name, want);
		n++;
	}
	assert_int_equal(n, 79);
	resolver_free(&services.resolver);
	buf_free(&zone);
	buf_free(&rows);
}

/* A record a line, an empty line, the message. */
static void
one_file(const char *name, const char *want)
{
	struct buf zone = BUF_INIT(65536), text, have = BUF_INIT(1000);
	const struct dkim_signature *s;
	struct str line, key, rest;
	struct fixture f;
	char path[512];

	if (!fixture_data(name, path, sizeof(path)))
		skip();
	text = fixture_read(path);
	rest = buf_str(&text);
	while ((line = str_trim(str_cut(rest, '\n', &rest))).n > 0) {
		line = str_cut(line, ' ', &key);
		buf_printf(&zone, "%.*s TXT \"%.*s\"\n", STR_FMT(line),
		    STR_FMT(key));
	}
	f = begin(buf_str(&zone), rest);
	assert_non_null(dkim_check(f.txn));
	for (s = f.txn->checks->dkim->signatures; s; s = s->next)
		buf_printf(&have, "%s%s", have.n ? " " : "",
		    auth_result_word(s->result));
	if (!str_eq(buf_str(&have), str_of(want)))
		fail_msg("%s: %.*s (%.*s), want %s", name,
		    STR_FMT(buf_str(&have)),
		    STR_FMT(f.txn->checks->dkim->signatures->problem), want);
	end(&f);
	buf_free(&zone);
	buf_free(&text);
	buf_free(&have);
}

static void
test_single_files(void **state)
{
	(void)state;
	one_file("dkim/mail-auth/resources/dkim/001.txt", "pass pass");
	one_file("dkim/mail-auth/resources/dkim/002.txt", "pass");
	one_file("dkim/mail-auth/resources/dkim/003.txt", "pass pass");
	one_file("dkim/mail-auth/resources/dkim/004.txt", "pass");
	/* x= was in 2022. */
	one_file("dkim/mail-auth/resources/dkim/005.txt", "fail");
	clock_fake(1667843665000);
	one_file("dkim/mail-auth/resources/dkim/005.txt", "pass");
	clock_fake(-1);
	one_file("dkim/mail-auth/resources/dkim/006.txt", "pass");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_triples),
		cmocka_unit_test(test_collection),
		cmocka_unit_test(test_single_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
