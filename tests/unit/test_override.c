#include "policy/override.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "policy/policy.h"

#define DAY_MS 86400000LL

static void
test_parse(void **state)
{
	static const struct {
		const char *value;
		bool ok, pass;
		enum dmarc_policy policy;
		int64_t until_ms;
	} rows[] = {
		{ "none", true, false, DMARC_NONE, 0 },
		{ "Quarantine", true, false, DMARC_QUARANTINE, 0 },
		{ "reject", true, false, DMARC_REJECT, 0 },
		{ "pass # why", true, true, DMARC_NONE, 0 },
		{ "none until 1970-01-01", true, false, DMARC_NONE, DAY_MS },
		{ "pass\tUNTIL  2024-02-29 #x", true, true, DMARC_NONE,
		    19783 * DAY_MS },
		{ "none until 2023-02-29", false, false, DMARC_NONE, 0 },
		{ "none until 2023-13-01", false, false, DMARC_NONE, 0 },
		{ "none until 2023-00-01", false, false, DMARC_NONE, 0 },
		{ "none until 2023-01-00", false, false, DMARC_NONE, 0 },
		{ "none until 2023-1-1", false, false, DMARC_NONE, 0 },
		{ "none until 2023/01/01", false, false, DMARC_NONE, 0 },
		{ "none until 2023-01-+1", false, false, DMARC_NONE, 0 },
		{ "none until", false, false, DMARC_NONE, 0 },
		{ "none till 2023-01-01", false, false, DMARC_NONE, 0 },
		{ "none until 2023-01-01 x", false, false, DMARC_NONE, 0 },
		{ "nonesuch", false, false, DMARC_NONE, 0 },
		{ "# none", false, false, DMARC_NONE, 0 },
		{ "", false, false, DMARC_NONE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct override o;
		const char *why = NULL;
		bool ok = override_parse(str_of(rows[i].value), &o, &why);

		if (ok != rows[i].ok)
			fail_msg("%s: %s", rows[i].value, why);
		if (!ok) {
			assert_non_null(why);
			continue;
		}
		assert_int_equal(o.pass, rows[i].pass);
		assert_int_equal(o.policy, rows[i].policy);
		assert_int_equal(o.until_ms, rows[i].until_ms);
	}
}

static void
judged(const char *domain, const char *value, enum table_fault want)
{
	struct buf why = BUF_INIT(1000);

	struct str at = STR_NONE;

	assert_int_equal(override_judge(NULL, str_of(domain), str_of(value),
			     &why, &at),
	    want);
	assert_int_equal(why.n == 0, want == TABLE_FINE);
	buf_free(&why);
}

static void
test_judge(void **state)
{
	(void)state;
	clock_fake(19783 * DAY_MS - 1);
	judged("example.org", "none until 2024-02-29", TABLE_FINE);
	clock_fake_advance(1);
	judged("example.org", "none until 2024-02-29", TABLE_WARN_VALUE);
	clock_fake(-1);
	judged(".Example.ORG", "none", TABLE_FINE);
	judged("example.org.", "none", TABLE_BAD_ENTRY);
	judged("b\303\274cher.example", "none", TABLE_BAD_ENTRY);
	judged(".b\303\274cher.example", "none", TABLE_BAD_ENTRY);
	judged("@example.org", "none", TABLE_BAD_ENTRY);
	judged("/x/", "none", TABLE_BAD_ENTRY);
	judged(".", "none", TABLE_BAD_ENTRY);
	judged("", "none", TABLE_BAD_ENTRY);
	judged("example.org", "", TABLE_BAD_VALUE);
}

/* What is found for a domain, "" for nothing. */
static void
found(struct txn *t, const char *domain, const char *want)
{
	struct dmarc_override o = { .text = STR("") };
	bool is = override_find(t, str_of(domain), &o);

	assert_int_equal(is, *want != '\0');
	if (!str_eq(o.text, str_of(want)))
		fail_msg("%s: %.*s", domain, STR_FMT(o.text));
}

static void
test_find(void **state)
{
	static const char *const rows[][2] = {
		{ "a.example", "none" },
		{ ".b.example", "pass" },
		{ "x.b.example", "reject until 2001-01-01" },
		{ ".x.b.example", "quarantine until 2001-01-01" },
		{ "y.b.example", "reject until 2099-01-01" },
		{ ".c.example", "reject until 2001-01-01" },
	};
	struct policy policy = { .dmarc_override = NULL };
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 0);
	struct buf why = BUF_INIT(1000), deep = BUF_INIT(1000);

	(void)state;
	s->policy = &policy;
	found(t, "a.example", "");
	policy.dmarc_override = table_new(STR("dmarc override"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_true(table_add_value(policy.dmarc_override,
		    str_of(rows[i][0]), str_of(rows[i][1]), &why));
	found(t, "a.example", "none");
	found(t, "x.a.example", "");
	found(t, "b.example", "pass");
	found(t, "x.b.example", "pass");
	found(t, "deep.x.b.example", "pass");
	found(t, "y.b.example", "reject until 2099-01-01");
	found(t, "z.y.b.example", "pass");
	found(t, "c.example", "");
	found(t, "x.c.example", "");
	found(t, "example", "");
	for (int i = 0; i < 120; i++)
		buf_adds(&deep, "a.");
	buf_adds(&deep, "c.example");
	found(t, deep.p, "");
	table_free(&policy.dmarc_override);
	buf_free(&deep);
	buf_free(&why);
	s->policy = NULL;
	session_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
