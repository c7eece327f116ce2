#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "check/check.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "check/dkim.h"
#include "policy/fact.h"
#include "policy/policy.h"
#include "policy/trace.h"

struct world {
	struct services	 services;
	struct policy	 policy;
	struct session	*s;
	struct txn	*txn;
};

static int
setup(void **state)
{
	static struct world w;

	w = (struct world){ .services = { .hostname = STR("mx.example") } };
	w.s = session_new();
	w.s->policy = &w.policy;
	w.s->checks = check_attach_session(w.s, &w.services);
	w.s->trace = trace_new(w.s->arena, TRACE_MAX_SESSION);
	w.txn = txn_begin(w.s, 1 << 20);
	w.txn->checks = check_attach_txn(w.txn, &w.services);
	w.txn->trace = trace_new(w.txn->arena, TRACE_MAX_TXN);
	*state = &w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	session_free(&w->s);
	return 0;
}

static struct value
get_arg(struct world *w, const char *name, const char *arg)
{
	struct fact_ref ref = { fact_find(str_of(name)), str_of(arg) };
	struct value v;

	assert_non_null(ref.def);
	fact_get(w->s, &ref, &v);
	return v;
}

static struct value
get(struct world *w, const char *name)
{
	return get_arg(w, name, NULL);
}

static void
assert_text(struct world *w, const char *name, const char *want)
{
	struct value v = get(w, name);
	struct str text = fact_text(session_arena(w->s), &v);

	if (!str_eq(text, str_of(want)))
		fail_msg("%s is \"%.*s\", not \"%s\"", name, STR_FMT(text),
		    want);
}

static void
assert_absent(struct world *w, const char *name)
{
	struct value v = get(w, name);

	if (!v.absent || v.unknown)
		fail_msg("%s is not absent", name);
}

static void
add_header(struct world *w, const char *name, const char *value)
{
	assert_true(header_add(w->txn->arena, &w->txn->headers, str_of(name),
	    str_of(value)));
}

/* Every row has a getter, and none of them minds an empty message. */
static void
test_all_of_nothing(void **state)
{
	struct world *w = *state;
	size_t n;
	const char *const *names = fact_names(&n);

	assert_int_equal(n, FACT_COUNT);
	for (size_t i = 0; i < n; i++) {
		struct value v = get_arg(w, names[i], "Subject");
		const struct fact_def *def = fact_find(str_of(names[i]));

		assert_int_equal(v.kind, def->kind);
		assert_false(v.absent && v.unknown);
		if (v.absent)
			assert_int_equal(fact_text(w->txn->arena, &v).n, 0);
	}
}

/* The same between messages, where there is no txn at all. */
static void
test_without_message(void **state)
{
	struct world *w = *state;
	size_t n;
	const char *const *names = fact_names(&n);

	txn_end(w->s);
	for (size_t i = 0; i < n; i++)
		get_arg(w, names[i], "Subject");
	assert_absent(w, "sender");
	assert_absent(w, "dkim");
	assert_text(w, "recipients", "0");
}

static void
test_connection(void **state)
{
	struct world *w = *state;

	assert_absent(w, "client");
	assert_absent(w, "client.name");
	assert_absent(w, "helo");
	assert_true(addr_parse(STR("2001:db8::1"), &w->s->client));
	w->s->client_name = STR("mail.example.org");
	w->s->helo = STR("HeLo");
	assert_text(w, "client", "2001:db8::1");
	assert_text(w, "client.name", "mail.example.org");
	assert_text(w, "helo", "HeLo");
	assert_text(w, "hostname", "mx.example");
	w->policy.settings.text[SETTING_HOSTNAME] = STR("mx1.example");
	assert_text(w, "hostname", "mx1.example");
}

static void
test_sender(void **state)
{
	struct world *w = *state;

	assert_true(envelope_parse(w->txn->arena, STR("<List+x@Example.ORG>"),
	    &w->txn->sender));
	assert_text(w, "sender", "List+x@example.org");
	assert_text(w, "sender.local", "List+x");
	assert_text(w, "sender.domain", "example.org");
	assert_text(w, "sender.base", "list@example.org");
	assert_true(envelope_parse(w->txn->arena, STR("<>"), &w->txn->sender));
	assert_absent(w, "sender");
	assert_absent(w, "sender.domain");
	assert_absent(w, "user");
	w->txn->user = STR("alice");
	assert_text(w, "user", "alice");
	assert_text(w, "size.declared", "0");
}

/* This recipient while one is decided about, then all that were accepted. */
static void
test_recipients(void **state)
{
	static const char *const args[] = { "<a@x.example>", "<b@y.example>",
		"<c@z.example>", "<d@z.example>", "<e@z.example>" };
	static const enum action actions[] = { ACTION_ACCEPT, ACTION_REJECT,
		ACTION_DISCARD, ACTION_NONE, ACTION_NONE };
	struct world *w = *state;
	struct value v;

	assert_absent(w, "rcpt");
	for (size_t i = 0; i < 5; i++)
		txn_add_rcpt(w->txn, str_of(args[i]))->action = actions[i];
	w->txn->rcpt->mta_refused = true;
	assert_text(w, "rcpt", "e@z.example");
	assert_text(w, "rcpt.domain", "z.example");
	w->txn->rcpt = NULL;
	v = get(w, "rcpt");
	assert_int_equal(v.nitems, 2);
	assert_text(w, "rcpt", "a@x.example, d@z.example");
}

static void
test_headers(void **state)
{
	struct world *w = *state;
	struct value v;

	add_header(w, "Subject", " =?utf-8?q?caf=C3=A9?=\n au lait");
	add_header(w, "X-A", " one");
	add_header(w, "x-a", " two");
	add_header(w, "X-Empty", " ");
	assert_text(w, "subject", "caf\xc3\xa9 au lait");
	v = get_arg(w, "header", "X-A");
	assert_int_equal(v.nitems, 2);
	assert_true(str_eq(v.items[1], STR("two")));
	v = get_arg(w, "header", "X-None");
	assert_true(v.absent);
	v = get_arg(w, "header", "X-Empty");
	assert_false(v.absent);
}

static void
test_from(void **state)
{
	struct world *w = *state;
	struct value v;

	add_header(w, "From", " \"A, B\" <A@Example.ORG>");
	assert_text(w, "from.name", "A, B");
	assert_text(w, "from.domain", "example.org");
	v = get(w, "from");
	assert_int_equal(v.nitems, 1);
	/* What was said once holds: the message is complete by now. */
	add_header(w, "From", " <other@example.net>");
	v = get(w, "from");
	assert_int_equal(v.nitems, 1);
}

static void
test_two_from_fields(void **state)
{
	struct world *w = *state;
	struct value v;

	add_header(w, "From", " a@example.org, b@example.net");
	add_header(w, "FROM", " c@evil.example");
	v = get(w, "from.domain");
	assert_int_equal(v.nitems, 3);
	assert_true(str_eq(v.items[2], STR("evil.example")));
}

/* However many mailboxes there are, no more than a few are looked at. */
static void
test_many_mailboxes(void **state)
{
	struct world *w = *state;
	struct buf b = BUF_INIT(1 << 20);
	struct value v;

	for (int i = 0; i < 5000; i++)
		buf_printf(&b, " u%d@example.org,", i);
	assert_true(header_add(w->txn->arena, &w->txn->headers, STR("From"),
	    buf_str(&b)));
	buf_free(&b);
	v = get(w, "from");
	assert_in_range(v.nitems, 1, 20);
}

static void
test_auth_words(void **state)
{
	struct world *w = *state;
	struct spf_result spf = { .result = AUTH_TEMPERROR };
	struct value v;

	w->txn->checks->spf = &spf;
	v = get(w, "spf");
	assert_false(v.unknown);
	assert_true(str_eq(v.text, STR("temperror")));
	spf.result = AUTH_FAIL;
	assert_text(w, "spf", "fail");
	assert_absent(w, "spf.explanation");
}

static void
test_score(void **state)
{
	struct world *w = *state;

	assert_text(w, "score", "0");
	w->txn->verdict.score = 15.5;
	assert_text(w, "score", "15.5");
	w->txn->verdict.score = -2;
	assert_text(w, "score", "-2");
	assert_absent(w, "hits");
}

static void
test_limit(void **state)
{
	struct world *w = *state;
	struct limit_window window = { LIMIT_BYTES, 200 << 20, 86400000,
		STR("1d") };
	struct limit limit = { .name = STR("submission"),
		.windows = &window,
		.count = 1 };
	struct limit_info info = { &limit, &window, STR("user=alice"),
		window.max, 12345, 719001 };

	assert_absent(w, "limit.name");
	/* One found over at connect is told of until another one is. */
	w->s->trace->over = &info;
	assert_text(w, "limit.name", "submission");
	assert_text(w, "limit.max", "200M bytes");
	assert_text(w, "limit.window", "1d");
	assert_text(w, "limit.used", "12345");
	assert_text(w, "limit.retry", "12m");
	assert_text(w, "limit.key", "user=alice");
	info.max++;
	assert_text(w, "limit.max", "209715201 bytes");
	window.unit = LIMIT_MESSAGES;
	info.max = 1024;
	assert_text(w, "limit.max", "1024 messages");
}

static void
assert_duration(struct world *w, int64_t ms, const char *want)
{
	struct str got = fact_duration(w->txn->arena, ms);

	if (!str_eq(got, str_of(want)))
		fail_msg("%lld ms is %.*s, not %s", (long long)ms, STR_FMT(got),
		    want);
}

/* Rounded up: nobody is told to come back too early. */
static void
test_duration(void **state)
{
	struct world *w = *state;

	assert_duration(w, -1, "0s");
	assert_duration(w, 0, "0s");
	assert_duration(w, 1, "1s");
	assert_duration(w, 60000, "1m");
	assert_duration(w, 61000, "61s");
	assert_duration(w, 120001, "3m");
	assert_duration(w, 3600000, "1h");
	assert_duration(w, 5400000, "90m");
	assert_duration(w, 86400000, "1d");
	assert_duration(w, 10 * 86400000LL, "10d");
}

/* A full arena makes facts unknown or empty, never a crash. */
static void
test_full_arena(void **state)
{
	struct world *w = *state;
	size_t n;
	const char *const *names = fact_names(&n);

	add_header(w, "From", " a@example.org");
	while (arena_alloc(w->txn->arena, 4096) != NULL)
		;
	while (arena_alloc(w->txn->arena, 1) != NULL)
		;
	for (size_t i = 0; i < n; i++) {
		struct value v = get_arg(w, names[i], "From");

		fact_text(w->txn->arena, &v);
	}
	assert_true(get(w, "from").unknown);
	assert_true(get_arg(w, "header", "From").unknown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_nothing, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_without_message, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_connection, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recipients, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_from_fields, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_many_mailboxes, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_auth_words, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_score, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_arena, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
