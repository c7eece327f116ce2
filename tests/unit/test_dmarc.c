#include "auth_fixture.h"
#include "base/psl.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/dmarc_record.h"
#include "check/spf.h"

#define CASES "tests/unit/dmarc_cases.txt"

/* The case file, whole; the cases stand behind the zone. */
static struct buf text = BUF_INIT(1 << 20);

struct word {
	enum auth_result result;
	struct str domain;
};

struct row {
	struct str from, dkim;
	struct word spf;
	enum auth_result want;
	enum dmarc_policy policy;
};

static struct services services;

static void
add_field(struct fixture *f, const char *name, struct str value)
{
	struct str v = arena_printf(f->txn->arena, " %.*s", STR_FMT(value));

	assert_true(
	    header_add(f->txn->arena, &f->txn->headers, str_of(name), v));
}

/* "pass example.org"; "-" is none. */
static struct word
word_parse(struct str s)
{
	struct word w = { AUTH_NONE, STR("") };
	struct str result = str_cut(str_trim(s), ' ', &w.domain);

	if (!str_eq(result, STR("-")) && !auth_result_parse(result, &w.result))
		fail_msg("no result: %.*s", STR_FMT(s));
	return w;
}

/* What SPF and DKIM would have said. */
static void
preset(struct fixture *f, const struct row *row)
{
	struct dkim_signature **tail;
	struct checks *c = f->txn->checks;
	struct str rest = row->dkim;

	c->spf = arena_alloc(f->txn->arena, sizeof(*c->spf));
	c->spf->result = row->spf.result;
	c->spf->domain = row->spf.domain;
	c->dkim = arena_alloc(f->txn->arena, sizeof(*c->dkim));
	c->dkim->result = AUTH_NONE;
	tail = &c->dkim->signatures;
	while (rest.p != NULL && !str_eq(row->dkim, STR("-"))) {
		struct word w = word_parse(str_cut(rest, ',', &rest));

		*tail = arena_alloc(f->txn->arena, sizeof(**tail));
		(*tail)->result = c->dkim->result = w.result;
		(*tail)->domain = w.domain;
		tail = &(*tail)->next;
	}
}

static void
add_authors(struct fixture *f, struct str from)
{
	ptrdiff_t at;

	if (str_eq(from, STR("-")))
		return;
	while ((at = str_find(from, STR("\\n"))) >= 0) {
		add_field(f, "From", str_sub(from, 0, (size_t)at));
		from = str_sub(from, (size_t)at + 2, from.n);
	}
	add_field(f, "From", from);
}

static struct row
row_parse(struct str line)
{
	struct row row;
	struct str policy, rest, want;

	row.from = str_trim(str_cut(line, '|', &rest));
	row.spf = word_parse(str_cut(rest, '|', &rest));
	row.dkim = str_trim(str_cut(rest, '|', &rest));
	want = str_cut(str_trim(str_cut(rest, '|', &rest)), ' ', &policy);
	if (!auth_result_parse(want, &row.want))
		fail_msg("no result: %.*s", STR_FMT(line));
	row.policy = DMARC_NONE;
	while (!str_eq(policy, str_of(dmarc_policy_word(row.policy))))
		if (row.policy++ == DMARC_REJECT)
			fail_msg("no policy: %.*s", STR_FMT(line));
	return row;
}

/* true: as it should be. */
static bool
row_check(struct str line)
{
	struct fixture f = { .services = services };
	struct row row = row_parse(line);
	const struct dmarc_result *r;
	bool right;

	fixture_begin(&f, 60);
	add_authors(&f, row.from);
	preset(&f, &row);
	dmarc_start(f.txn);
	r = dmarc_check(f.txn);
	assert_non_null(r);
	right = r->result == row.want && r->policy == row.policy;
	if (!right)
		print_error("%.*s: %s %s (%.*s)\n", STR_FMT(line),
		    auth_result_word(r->result), dmarc_policy_word(r->policy),
		    STR_FMT(r->problem));
	assert_ptr_equal(dmarc_check(f.txn), r);
	fixture_end(&f);
	return right;
}

static void
test_cases(void **state)
{
	struct str line, rest = buf_str(&text);
	ptrdiff_t at = str_find(rest, STR("\n--- cases\n"));
	size_t n = 0, wrong = 0;

	(void)state;
	assert_true(at > 0);
	rest = str_sub(rest, (size_t)at + 11, rest.n);
	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		wrong += !row_check(line);
		n++;
	}
	assert_int_equal(wrong, 0);
	assert_true(n >= 120);
}

static enum dmarc_policy
sample(int n)
{
	struct fixture f = { .services = services };
	struct row row = { .dkim = STR("-"), .spf = { AUTH_NONE, STR("") } };
	enum dmarc_policy policy;
	char id[32];

	fixture_begin(&f, 1000);
	snprintf(id, sizeof(id), "<%d@pct50.example>", n);
	add_field(&f, "From", STR("a@pct50.example"));
	add_field(&f, "Message-ID", str_of(id));
	preset(&f, &row);
	policy = dmarc_check(f.txn)->policy;
	fixture_end(&f);
	return policy;
}

static void
test_sampling(void **state)
{
	int i, rejected = 0;

	(void)state;
	for (i = 0; i < 200; i++) {
		enum dmarc_policy p = sample(i);

		assert_int_equal(sample(i), p);
		assert_true(p == DMARC_REJECT || p == DMARC_QUARANTINE);
		rejected += p == DMARC_REJECT;
	}
	assert_in_range(rejected, 70, 130);
}

/* Thousands of From fields cost no more than a few. */
static void
test_from_fields(void **state)
{
	struct row row = { .dkim = STR("-"),
		.spf = { AUTH_PASS, STR("evil.com") } };
	struct fixture f = { .services = services };
	int i;

	(void)state;
	fixture_begin(&f, 1000);
	for (i = 0; i < 1500; i++)
		add_field(&f, "From", STR("a@evil.com"));
	preset(&f, &row);
	assert_int_equal(dmarc_check(f.txn)->result, AUTH_PERMERROR);
	fixture_end(&f);
}

static void
test_org_domain(void **state)
{
	static const char *const pairs[][2] = {
		{ "a.b.example.com", "example.com" },
		{ "Example.COM", "example.com" },
		{ "x.com", "x.com" },
		{ "com", "" },
		{ "co.uk", "" },
		{ "a.b.co.uk", "b.co.uk" },
		{ "ck", "" },
		{ "example.ck", "" },
		{ "x.y.example.ck", "y.example.ck" },
		{ "m.www.ck", "www.ck" },
		{ "a.b.unlisted-tld", "b.unlisted-tld" },
		{ "b\303\274cher.example", "xn--bcher-kva.example" },
		{ "[192.0.2.1]", "" },
		{ "", "" },
		{ "a..b", "" },
	};
	struct arena *a = arena_new(65536);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct str org = dmarc_org_domain(a, str_of(pairs[i][0]));

		if (!str_eq(org, str_of(pairs[i][1])))
			fail_msg("%s: %.*s", pairs[i][0], STR_FMT(org));
	}
	arena_free(&a);
}

static void
test_record(void **state)
{
	struct dmarc_record r;

	(void)state;
	assert_true(dmarc_record_parse(
	    STR(" v = DMARC1 ; p = Reject ; pct = 7 ; aspf=S; x=y;"), &r));
	assert_int_equal(r.policy, DMARC_REJECT);
	assert_int_equal(r.subdomains, DMARC_REJECT);
	assert_int_equal(r.percent, 7);
	assert_true(r.strict_spf);
	assert_false(r.strict_dkim);
	assert_true(dmarc_record_parse(STR("v=DMARC1;p=none;pct=101"), &r));
	assert_int_equal(r.percent, 100);
	assert_true(dmarc_record_parse(STR("v=DMARC1;p=none;pct=-1"), &r));
	assert_int_equal(r.percent, 100);
	/* What is wrong with another tag is its own loss. */
	assert_true(dmarc_record_parse(STR("v=DMARC1;p=reject;aspf=q;=;"), &r));
	assert_int_equal(r.policy, DMARC_REJECT);
	assert_false(r.strict_spf);
	assert_false(dmarc_record_parse(STR("v=DMARC10;p=reject"), &r));
	assert_false(dmarc_record_parse(STR("v=DMARC1"), &r));
	assert_false(dmarc_record_parse(STR(""), &r));
	assert_false(dmarc_record_parse(STR("v=DMARC1\0;p=reject"), &r));
}

static int
setup(void **state)
{
	FILE *f = fopen(CASES, "r");
	char chunk[4096];
	size_t n;
	ptrdiff_t at;

	(void)state;
	if (f == NULL)
		fail_msg("%s is read from the top of the tree", CASES);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&text, chunk, n);
	fclose(f);
	at = str_find(buf_str(&text), STR("\n--- cases\n"));
	assert_true(at > 0);
	services.resolver =
	    fixture_resolver(str_sub(buf_str(&text), 0, (size_t)at + 1));
	return psl_global_init() ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	psl_global_free();
	resolver_free(&services.resolver);
	buf_free(&text);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_sampling),
		cmocka_unit_test(test_from_fields),
		cmocka_unit_test(test_org_domain),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
