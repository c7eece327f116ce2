#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "slack.h"

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static void
check(const char *value, const char *want)
{
	struct arena *a = arena_new(65536);
	struct buf got = BUF_INIT(4096);
	struct mailbox *m;
	bool more;

	m = header_mailboxes(a, str_of(value), 10, &more);
	for (; m != NULL; m = m->next) {
		if (got.n > 0)
			buf_adds(&got, " / ");
		buf_printf(&got, "%.*s|%.*s|%.*s", STR_FMT(m->name),
		    STR_FMT(m->addr), STR_FMT(m->domain));
	}
	if (more)
		buf_adds(&got, " ...");
	assert_str(buf_str(&got), want);
	buf_free(&got);
	arena_free(&a);
}

static void
test_grammar(void **state)
{
	(void)state;
	check(" a@x.org", "|a@x.org|x.org");
	check(" <a@X.ORG>", "|a@x.org|x.org");
	check(" Bob B. <a@x.org>", "Bob B.|a@x.org|x.org");
	check(" \"Doe, \\\"J\\\" <x@y>\" <a@x.org>",
	    "Doe, \"J\" <x@y>|a@x.org|x.org");
	check(" a@x.org (Bob (the) Builder)",
	    "Bob (the) Builder|a@x.org|x.org");
	check(" (c) a (d) @ (e) x.org (f)", "c|a@x.org|x.org");
	check(" <a@x.org>,\n b@y.org, \"C\" <c@z.org>",
	    "|a@x.org|x.org / |b@y.org|y.org / C|c@z.org|z.org");
	check(" Friends: a@x.org, B <b@y.org>;, c@z.org",
	    "|a@x.org|x.org / B|b@y.org|y.org / |c@z.org|z.org");
	check(" undisclosed-recipients:;", "");
	check(" \"a b\"@x.org", "|\"a b\"@x.org|x.org");
	check(" <\"a@b\"@x.org>", "|\"a@b\"@x.org|x.org");
	check(" <@r.net:a@x.org>", "|a@x.org|x.org");
	check(" a@[IPv6:2001:db8::1], b@y.org",
	    "|a@[ipv6:2001:db8::1]|[ipv6:2001:db8::1] / |b@y.org|y.org");
	check(" =?utf-8?Q?J=C3=BCrgen=2C?= <a@x.org>",
	    "J\xc3\xbcrgen,|a@x.org|x.org");
	check(" a@b\xc3\xbc"
	      "cher.example",
	    "|a@xn--bcher-kva.example|xn--bcher-kva.example");
	check("", "");
	check(" ,,;:", "");
}

/* What the grammar does not know and mail does. */
static void
test_odd(void **state)
{
	(void)state;
	check(" Doe, John <a@x.org>", "Doe, John|a@x.org|x.org");
	check(" boss@bank.example <a@evil.org>",
	    "boss@bank.example|a@evil.org|evil.org");
	check(" =?utf-8?Q?=3Ca=40bank.example=3E?= <a@evil.org>",
	    "<a@bank.example>|a@evil.org|evil.org");
	check(" <a@x.org> <b@y.org>", "|a@x.org|x.org / |b@y.org|y.org");
	check(" <a@x.org> b@y.org", "|a@x.org|x.org / |b@y.org|y.org");
	check(" \"Bob <a@x.org>", "\"Bob|a@x.org|x.org");
	check(" (Bob <a@x.org>", "(Bob|a@x.org|x.org");
	check(" <a@x.org", "|a@x.org|x.org");
	check(" root", "|root|");
	check(" Bob <root>", "Bob|root|");
	check(" Bob <>", "Bob||");
	check(" a@x.org(c)", "c|a@x.org|x.org");
	check(" a@x.org; b@y.org", "|a@x.org|x.org / |b@y.org|y.org");
}

static void
test_hostile(void **state)
{
	static const char *const pieces[] = { "(", "\"", "<", ",", "a@b,",
		"a@[", "\\", ":", "<a", "()", "\"\"", "(\"<", ")", "a,@" };
	struct buf in = BUF_INIT(1 << 20);
	struct arena *a;
	bool more;

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		int64_t began = clock_mono_ms();

		buf_truncate(&in, 0);
		while (in.n < 200000)
			buf_adds(&in, pieces[i]);
		a = arena_new(8 << 20);
		header_mailboxes(a, buf_str(&in), 20, &more);
		assert_true(clock_mono_ms() - began < slack(1000));
		assert_false(arena_overflowed(a));
		arena_free(&a);
	}
	a = arena_new(256);
	assert_null(header_mailboxes(a, buf_str(&in), 20, &more));
	assert_true(arena_overflowed(a));
	arena_free(&a);
	buf_free(&in);
	a = arena_new(65536);
	assert_null(header_mailboxes(a, STR("a@b"), 0, &more));
	assert_true(more);
	assert_non_null(header_mailboxes(a, STR("a@b, c@d"), 1, &more));
	assert_true(more);
	assert_non_null(header_mailboxes(a, STR("a@b, c@d"), 2, &more));
	assert_false(more);
	assert_non_null(header_mailboxes(a, STR("a\0b@c"), 2, &more));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
