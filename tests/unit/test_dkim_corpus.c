/*
 * Messages signed by others, and what others expect of them.  Where ours is
 * another result, the sentence of the RFC that makes it so stands beside it.
 */
#include <dirent.h>
#include <sys/wait.h>

#include "message_fixture.h"

#define SINGLE_DKIM "dkim/mail-auth/resources/dkim"
#define SINGLE_ARC  "dkim/mail-auth/resources/arc"
#define DKIMPY	    "dkim/dkimpy-mirror/dkim/tests/data"
#define COLLECTION  "dkim/mail-dkim/t/corpus"
#define TRIPLES	    "dkim/chasquid/internal/dkim/testdata"

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

/* A set is used whole: its folder has `want' files with this end. */
static void
assert_files(const char *folder, const char *end, size_t want)
{
	char path[512];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	assert_non_null(fixture_data(folder, path, sizeof(path)));
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.' &&
		    strlen(entry->d_name) >= strlen(end) &&
		    strcmp(strchr(entry->d_name, '\0') - strlen(end), end) == 0;
	closedir(dir);
	print_message("%s: %zu of %zu files\n", folder, want, n);
	assert_int_equal(n, want);
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

static struct buf
triple_read(const char *name, const char *kind)
{
	char file[200], path[512];

	snprintf(file, sizeof(file), "%s/%s.%s", TRIPLES, name, kind);
	assert_non_null(fixture_data(file, path, sizeof(path)));
	return fixture_read(path);
}

/*
 * RFC 6376 section 8.2 warns of l= and leaves it to whom the result serves to
 * ignore such a signature: what is unsigned can be anyone's.
 */
static const char unsigned_body[] = "l= leaves content unsigned";

static const struct triple {
	const char *message, *dns, *result; /* result NULL: an .error alone */
	const char *first; /* problem of the first, where ours differs */
} triples[] = {
	{ "01-rfc8463", "01-rfc8463", "01-rfc8463", NULL },
	{ "02-too_many_headers", "01-rfc8463", "02-too_many_headers", NULL },
	/* No header at all: there is nothing that could be signed. */
	{ "03-bad_message", "01-rfc8463", NULL, NULL },
	{ "04-bad_dkim_signature_header", "01-rfc8463",
	    "04-bad_dkim_signature_header", NULL },
	{ "05-dns_temp_error", "05-dns_temp_error", "05-dns_temp_error", NULL },
	{ "06-dns_perm_error", "06-dns_perm_error", "06-dns_perm_error", NULL },
	{ "01-rfc8463", "07-algo_mismatch", "01-rfc8463", NULL },
	{ "08-our_signature", "08-our_signature", "08-our_signature", NULL },
	{ "09-limited_body", "08-our_signature", "09-limited_body",
	    unsigned_body },
	{ "01-rfc8463", "10-strict_domain_check_pass",
	    "10-strict_domain_check_pass", NULL },
	{ "11-strict_domain_check_fail", "11-strict_domain_check_fail",
	    "11-strict_domain_check_fail", NULL },
};
#define TRIPLES_MAX (sizeof(triples) / sizeof(triples[0]))

static void
triple_compare(const struct triple *t, const struct dkim_signature *s,
    struct str want)
{
	const char *have, *expected, *first = t->first;

	for (; (expected = next_state(&want)) != NULL; s = s->next) {
		assert_non_null(s);
		have = s->result == AUTH_PASS	? "pass" :
		    s->result == AUTH_TEMPERROR ? "temperror" :
						  "other";
		if (first != NULL ? s->result != AUTH_POLICY ||
			    !str_eq(s->problem, str_of(first)) :
				    strcmp(have, expected) != 0)
			fail_msg("%s: s=%.*s %s (%.*s), want %s", t->message,
			    STR_FMT(s->selector), auth_result_word(s->result),
			    STR_FMT(s->problem), first ? first : expected);
		first = NULL;
	}
	if (t->result == NULL)
		assert_null(s);
}

static void
triple(const struct triple *t)
{
	struct buf zone = BUF_INIT(65536), text, want = BUF_INIT(100);
	struct fixture f;
	char name[200], path[512];

	snprintf(name, sizeof(name), "%s/%s.dns", TRIPLES, t->dns);
	assert_non_null(fixture_data(name, path, sizeof(path)));
	triples_zone(path, &zone);
	text = triple_read(t->message, "msg");
	buf_free(&want);
	want = triple_read(t->result ? t->result : t->message,
	    t->result ? "result" : "error");
	f = begin(buf_str(&zone), buf_str(&text));
	assert_non_null(dkim_check(f.txn));
	triple_compare(t, f.txn->checks->dkim->signatures, buf_str(&want));
	end(&f);
	buf_free(&zone);
	buf_free(&text);
	buf_free(&want);
}

/* Messages that are missing are those of RFC 8463 (01), with other keys. */
static void
test_triples(void **state)
{
	char path[512];
	size_t i;

	(void)state;
	if (!fixture_data(TRIPLES, path, sizeof(path)))
		skip();
	for (i = 0; i < TRIPLES_MAX; i++)
		triple(&triples[i]);
	assert_int_equal(TRIPLES_MAX, 11);
	assert_files(TRIPLES, ".msg", 9);
	assert_files(TRIPLES, ".dns", 7);
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

	snprintf(file, sizeof(file), COLLECTION "/%.*s", STR_FMT(name));
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
	assert_files(COLLECTION, "", n);
	assert_int_equal(n, 79);
	resolver_free(&services.resolver);
	buf_free(&zone);
	buf_free(&rows);
}

/* A record a line, an empty line, the message. */
static const struct single {
	const char *folder, *file;
	int64_t now_ms; /* 0: as it is */
	const char *want, *chain;
} singles[] = {
	{ SINGLE_DKIM, "001.txt", 0, "pass pass", "none" },
	{ SINGLE_DKIM, "002.txt", 0, "pass", "none" },
	{ SINGLE_DKIM, "003.txt", 0, "pass pass", "none" },
	{ SINGLE_DKIM, "004.txt", 0, "pass", "none" },
	/* x= was in 2022. */
	{ SINGLE_DKIM, "005.txt", 0, "fail", "none" },
	{ SINGLE_DKIM, "005.txt", 1667843665000, "pass", "none" },
	{ SINGLE_DKIM, "006.txt", 0, "pass", "none" },
	/* One that passes is wanted; the list changed what the third signed. */
	{ SINGLE_ARC, "001.txt", 0, "pass pass fail", "pass" },
	{ SINGLE_ARC, "002.txt", 0, "pass", "pass" },
};

static struct str
single_zone(struct str text, struct buf *zone)
{
	struct str line, key;

	while ((line = str_trim(str_cut(text, '\n', &text))).n > 0) {
		line = str_cut(line, ' ', &key);
		buf_printf(zone, "%.*s TXT \"%.*s\"\n", STR_FMT(line),
		    STR_FMT(key));
	}
	return text;
}

static void
single(const struct single *row)
{
	struct buf zone = BUF_INIT(65536), text, have = BUF_INIT(1000);
	struct fixture f = { .services.hostname = STR("mx.example.net") };
	const struct dkim_signature *s;
	char name[100], path[512];
	struct str message;

	snprintf(name, sizeof(name), "%s/%s", row->folder, row->file);
	assert_non_null(fixture_data(name, path, sizeof(path)));
	text = fixture_read(path);
	message = single_zone(buf_str(&text), &zone);
	clock_fake(row->now_ms ? row->now_ms : -1);
	f.services.resolver = fixture_resolver(buf_str(&zone));
	fixture_begin(&f, 100);
	fixture_arc_message(&f, message);
	assert_non_null(dkim_check(f.txn));
	assert_non_null(arc_check(f.txn));
	for (s = f.txn->checks->dkim->signatures; s; s = s->next)
		buf_printf(&have, "%s%s", have.n ? " " : "",
		    auth_result_word(s->result));
	if (!str_eq(buf_str(&have), str_of(row->want)))
		fail_msg("%s: %.*s, want %s", name, STR_FMT(buf_str(&have)),
		    row->want);
	assert_string_equal(auth_result_word(f.txn->checks->arc->result),
	    row->chain);
	clock_fake(-1);
	end(&f);
	buf_free(&zone);
	buf_free(&text);
	buf_free(&have);
}

static void
test_single_files(void **state)
{
	char path[512];
	size_t i;

	(void)state;
	if (!fixture_data(SINGLE_DKIM, path, sizeof(path)))
		skip();
	for (i = 0; i < sizeof(singles) / sizeof(singles[0]); i++)
		single(&singles[i]);
	assert_files(SINGLE_DKIM, "", 6);
	assert_files(SINGLE_ARC, "", 2);
}

/*
 * dkimpy's own tests, from dkimpy_tests.py.  Of its message files one is for
 * signers alone (no From), another is in no test.
 */

/* Where ours is another result than the test wants. */
static const struct difference {
	const char *test, *problem; /* "": ours passes */
} differences[] = {
	{ "test_dkim.test_l_verify", unsigned_body },
	/* 512 bits: RFC 8301 section 3.2, "MUST NOT consider signatures using
	 * RSA keys of less than 1024 bits as valid" */
	{ "test_dkim.test_dkim_signature_canonicalization",
	    "the key is too short" },
	/* Verifiers of TLS reports (RFC 8460); this one is for mail.  RFC 6376
	 * section 3.6.1, s=: "MUST ignore this record if the appropriate type
	 * is not listed" */
	{ "test_dkim_tlsrpt.test_tlsrpt_with_tlsrptsvc",
	    "the key is not for mail" },
	{ "test_dkim_tlsrpt.test_tlsrpt_with_strict_tlsrptsvc",
	    "the key is not for mail" },
	{ "test_dkim_tlsrpt.test_tlsrpt_with_strict_no_tlsrptsvc", "" },
};
#define DIFFERENCES (sizeof(differences) / sizeof(differences[0]))

struct own {
	unsigned int rows, bad, differ[DIFFERENCES];
};

static unsigned int
from_digit(char c)
{
	return c <= '9' ? (unsigned int)(c - '0') :
			  (unsigned int)(c - 'a' + 10);
}

/* In place. */
static struct str
from_hex(struct str hex)
{
	char *p = (char *)(uintptr_t)hex.p;
	size_t i;

	for (i = 0; i < hex.n / 2; i++)
		p[i] = (char)(from_digit(p[2 * i]) << 4 |
		    from_digit(p[2 * i + 1]));
	return str_sub(hex, 0, i);
}

static void
own_zone(struct str keys, struct buf *zone)
{
	struct str name, text;
	size_t i;

	while (keys.p) {
		name = str_cut(str_cut(keys, '\t', &keys), '=', &text);
		text = from_hex(text);
		buf_printf(zone, "%.*s TXT \"", STR_FMT(name));
		for (i = 0; i < text.n; i++)
			buf_printf(zone, "\\%03d", (unsigned char)text.p[i]);
		buf_adds(zone, "\"\n");
	}
}

static const struct difference *
own_difference(struct own *own, struct str test)
{
	size_t i;

	for (i = 0; i < DIFFERENCES; i++)
		if (str_eq(test, str_of(differences[i].test))) {
			own->differ[i]++;
			return &differences[i];
		}
	return NULL;
}

/* What dkimpy looks at: the first signature, or the chain. */
static bool
own_judge(struct fixture *f, struct str method, struct str *problem)
{
	const struct dkim_result *dkim = dkim_check(f->txn);
	const struct arc_result *arc = arc_check(f->txn);

	assert_non_null(dkim);
	assert_non_null(arc);
	if (str_eq(method, STR("arc"))) {
		*problem = arc->problem;
		return arc->result == AUTH_PASS;
	}
	*problem = dkim->signatures ? dkim->signatures->problem : STR("none");
	return dkim->signatures && dkim->signatures->result == AUTH_PASS;
}

static void
own_row(struct own *own, struct str line)
{
	struct str keys, test = str_cut(line, '\t', &line), problem;
	struct str method = str_cut(line, '\t', &line);
	bool want = str_eq(str_cut(line, '\t', &line), STR("pass")), have, ok;
	struct str message = from_hex(str_cut(line, '\t', &keys));
	const struct difference *differs = own_difference(own, test);
	struct buf zone = BUF_INIT(65536);
	struct fixture f = { .services.hostname = STR("mx.example.net") };

	own_zone(keys, &zone);
	f.services.resolver = fixture_resolver(buf_str(&zone));
	fixture_begin(&f, 1000);
	fixture_arc_message(&f, message);
	have = own_judge(&f, method, &problem);
	ok = differs == NULL ?
	    have == want :
	    have != want && str_eq(problem, str_of(differs->problem));
	if (!ok)
		print_error("%.*s: %s (%.*s), want %s\n", STR_FMT(test),
		    have ? "pass" : "fail", STR_FMT(problem),
		    want ? "pass" : "fail");
	own->bad += !ok;
	own->rows++;
	end(&f);
	buf_free(&zone);
}

static const char own_files[] =
    "files\t7\ttest_extra.message\ttest_nofrom.message";

static void
test_own_tests(void **state)
{
	static char line[65536];
	char path[512], command[700];
	struct own own = { 0 };
	bool whole = false;
	struct str rest;
	size_t i;
	FILE *in;
	int status;

	(void)state;
	if (!fixture_data(DKIMPY, path, sizeof(path)))
		skip();
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/dkimpy_tests.py '%s'", path);
	in = popen(command, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		rest = str_trim(str_of(line));
		if (str_starts(rest, STR("files\t")))
			whole = str_eq(rest, str_of(own_files));
		else
			own_row(&own, rest);
	}
	status = pclose(in);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
	print_message("dkimpy: %u messages of its tests\n%s", own.rows, line);
	assert_int_equal(own.bad, 0);
	assert_int_equal(own.rows, 168);
	assert_true(whole);
	for (i = 0; i < DIFFERENCES; i++)
		assert_true(own.differ[i] > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_triples),
		cmocka_unit_test(test_collection),
		cmocka_unit_test(test_single_files),
		cmocka_unit_test(test_own_tests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
