#include "field_fixture.h"

#include "base/clock.h"
#include "slack.h"

static struct session *session;
static struct fields *fields;

static void
open_fields(const char *text)
{
	session = session_new();
	txn_begin(session, 1024);
	fixture_fields(session->txn, text);
	fields = field_open(session->txn->arena, session->txn, NULL, NULL);
	assert_non_null(fields);
}

static struct str
get(const char *spec)
{
	unsigned int flags;
	struct str name;

	field_parse(str_of(spec), &name, &flags);
	return field_get(fields, name, flags);
}

static void
close_fields(void)
{
	session_free(&session);
}

static void
test_parse(void **state)
{
	unsigned int flags;
	struct str name;

	(void)state;
	assert_true(field_parse(STR("From:addr"), &name, &flags));
	assert_str(name, "From");
	assert_int_equal(flags, FIELD_ADDR);
	assert_true(field_parse(STR("X:raw:name:first"), &name, &flags));
	assert_int_equal(flags, FIELD_RAW | FIELD_NAME | FIELD_FIRST);
	assert_true(field_parse(STR("X:domain"), &name, &flags));
	assert_int_equal(flags, FIELD_HOST | FIELD_DOMAIN);
	assert_false(field_parse(STR("X:adr"), &name, &flags));
	assert_int_equal(flags, 0);
}

static void
test_plain(void **state)
{
	(void)state;
	open_fields("Subject: =?utf-8?q?caf=c3=a9?= \n\t and tea \n"
		    "X-Two: a\nX-TWO:  b\n\tc\nEmpty:\n");
	assert_str(get("subject"), "caf\xc3\xa9  and tea\n");
	assert_str(get("Subject:raw"),
	    " =?utf-8?q?caf=c3=a9?= \n\t and tea \n");
	assert_str(get("X-Two"), "a\nb c\n");
	assert_str(get("X-Two:first"), "a\n");
	assert_str(get("X-Two:last"), "b c\n");
	assert_str(get("X-Two:last:raw"), "  b\n\tc\n");
	assert_str(get("Empty"), "\n");
	assert_null(get("Missing").p);
	close_fields();
}

static void
test_words(void **state)
{
	struct arena *a = arena_new(1 << 20);
	const struct {
		const char *name, *value, *want;
	} cases[] = {
		{ "X",
		    "=?utf-8?b?w6k=?= =?UTF-8?Q?=C3=A9?=", "\xc3\xa9\xc3\xa9" },
		/* one character in two words */
		{ "X", "=?utf-8?b?ww==?= =?utf-8?b?qQ==?=", "\xc3\xa9" },
		{ "X", "a=?iso-8859-1?q?=93_=e9?=b",
		    "a\xe2\x80\x9c \xc3\xa9"
		    "b" },
		{ "X", "=?x-none?q?plain?=", "plain" },
		{ "X", "=?us-ascii*en?q?so_so?=", "so so" },
		{ "X", "=?utf-8?q?x", "=?utf-8?q?x" },
		{ "X", "\xe9t\xe9", "\xc3\xa9t\xc3\xa9" },
		{ "Message-ID", "=?utf-8?q?x?=", "=?utf-8?q?x?=" },
		{ "List-Id", "=?utf-8?q?x?=", "=?utf-8?q?x?=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_str(field_decode(a, str_of(cases[i].name),
			       str_of(cases[i].value)),
		    cases[i].want);
	arena_free(&a);
}

static void
test_addresses(void **state)
{
	(void)state;
	open_fields("From: \"Doe, J.\" <j@a.example>, k@b.example (Kay)\n"
		    "To: 'Anna' <anna@c.example>,undisclosed\n"
		    "Cc: group: a@d.example, <b@d.example>;\n"
		    "Reply-To: =?utf-8?q?J=C3=B6rg?= <joerg@e.example>\n"
		    "Sender: \"fake@bank.example\" <x@f.example>\n"
		    "X: \"only@name.example\"\nY: (comment) <c@g.example>\n"
		    "Z: <c@g.example> <c@g.example>\n");
	assert_str(get("From:addr"), "j@a.example\nk@b.example");
	assert_str(get("From:name"), "Doe, J.\nKay");
	assert_str(get("To:addr"), "anna@c.example");
	assert_str(get("To:name"), "Anna\nundisclosed");
	assert_str(get("Cc:addr"), "a@d.example\nb@d.example");
	assert_str(get("ToCc:addr"),
	    "anna@c.example\na@d.example\nb@d.example");
	assert_str(get("Reply-To:name"), "J\xc3\xb6rg");
	assert_str(get("Reply-To:name:raw"), "=?utf-8?q?J=C3=B6rg?= ");
	assert_str(get("Sender:addr"), "x@f.example");
	assert_str(get("Sender:name"), "fake@bank.example");
	assert_str(get("X:addr"), "only@name.example");
	assert_null(get("X:name").p);
	assert_str(get("Y:addr"), "c@g.example");
	assert_str(get("Z:addr"), "c@g.example");
	close_fields();
}

static void
test_hosts(void **state)
{
	(void)state;
	open_fields("From: \"x@y.com\" <j@mail.shop.co.uk>\n"
		    "Message-ID: <1.2@host.example.org>\n"
		    "X-Originating-IP: [192.0.2.7]\nY: no host here\n"
		    "X-Six: from 2001:db8::1 by\n");
	assert_str(get("From:addr:host"), "mail.shop.co.uk");
	assert_str(get("From:addr:domain"), "shop.co.uk");
	assert_str(get("Message-ID:host"), "host.example.org");
	assert_str(get("Message-ID:domain"), "example.org");
	assert_null(get("Y:host").p);
	assert_str(get("X-Originating-IP:ip"), "192.0.2.7");
	assert_str(get("X-Originating-IP:revip"), "7.2.0.192");
	assert_str(get("X-Six:ip"), "2001:db8::1");
	close_fields();
}

static void
test_pseudo(void **state)
{
	(void)state;
	open_fields("Return-Path: <bounce@a.example>\nX-Above: 1\n"
		    "Received: from x (y [192.0.2.1]) by z (Postfix) with "
		    "ESMTP id 101\nX-Between: 2\n"
		    "Received: from u (v [192.0.2.2]) by w (Postfix) with "
		    "ESMTP id 102\nSubject:  s\n\tt\n"
		    "X-Message-Id: <x@x>\nMessage-Id: <m@m>\n"
		    "X-Spam-Relays-External: forged\n");
	assert_true(str_starts(get("ALL"),
	    STR("Return-Path: <bounce@a.example>\nX-Above: 1\n")));
	assert_true(str_find(get("ALL"), STR("\nSubject: s t\n")) > 0);
	assert_true(str_find(get("ALL:raw"), STR("\nSubject:  s\n\tt\n")) > 0);
	assert_int_equal(str_find(get("ALL"), STR("forged")), -1);
	assert_true(str_starts(get("ALL-EXTERNAL"), STR("Received: from x")));
	assert_int_equal(str_find(get("ALL-TRUSTED"), STR("X-Between")), -1);
	assert_true(str_starts(get("ALL-TRUSTED"), STR("Return-Path")));
	assert_str(get("MESSAGEID"), "<x@x>\n<m@m>\n");
	assert_str(get("EnvelopeFrom"), "bounce@a.example");
	assert_str(get("X-Spam-Relays-Trusted"), "");
	assert_str(get("X-Spam-Relays-External"),
	    "[ ip=192.0.2.1 rdns=y helo=x by=z ident= envfrom= intl=0 id=101 "
	    "auth= msa=0 ] [ ip=192.0.2.2 rdns=v helo=u by=w ident= envfrom= "
	    "intl=0 id=102 auth= msa=0 ]");
	close_fields();
}

static void
test_envelope(void **state)
{
	(void)state;
	/* A hop above the field: it may be another's. */
	open_fields("Received: from x by y with local\n"
		    "Return-Path: <a@a.example>\n");
	assert_null(get("EnvelopeFrom").p);
	close_fields();
	open_fields("X-Envelope-From: <b@b.example>\n"
		    "Return-Path: <a@a.example>\n");
	assert_str(get("EnvelopeFrom"), "b@b.example");
	close_fields();
	open_fields("Received: from h (r [192.0.2.9]) by b (Exim 4) id 123 "
		    "(envelope-from <c@c.example>)\nReturn-Path: <a@a>\n");
	assert_str(get("EnvelopeFrom"), "c@c.example");
	close_fields();
	/* Over a connection the envelope itself counts. */
	session = session_new();
	addr_parse(STR("192.0.2.3"), &session->client);
	txn_begin(session, 1024);
	fixture_fields(session->txn, "Return-Path: <a@a.example>\n");
	envelope_parse(session->txn->arena, STR("<d@d.example>"),
	    &session->txn->sender);
	fields = field_open(session->txn->arena, session->txn, NULL, NULL);
	assert_str(get("EnvelopeFrom"), "d@d.example");
	close_fields();
}

/* Strangers choose what stands there: nothing may cost more than its size. */
static void
test_hostile(void **state)
{
	static const char *const patterns[] = { "(", "<", "\"", "<@", "@", ",",
		"=?", "=?a?q?\?=", "\\", "<a@b>", "a@b,", "<>", ")(", "<\"" };
	static char value[60000];
	int64_t start = clock_mono_ms();
	struct arena *a;

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		size_t n = strlen(patterns[i]);

		for (size_t k = 0; k + n <= sizeof(value); k += n)
			memcpy(value + k, patterns[i], n);
		a = arena_new(64 << 20);
		field_addresses(a, (struct str){ value, sizeof(value) });
		field_decode(a, STR("X"), (struct str){ value, sizeof(value) });
		arena_free(&a);
	}
	assert_true(clock_mono_ms() - start < slack(2000));
}

static void
test_full(void **state)
{
	struct arena *a = arena_new(4096);

	(void)state;
	session = session_new();
	txn_begin(session, 1024);
	fixture_fields(session->txn, "From: a b c <a@b.example>\n");
	fields = field_open(a, session->txn, NULL, NULL);
	while (fields != NULL && !arena_overflowed(a))
		arena_alloc(a, 16);
	if (fields != NULL)
		assert_null(get("From").p);
	close_fields();
	arena_free(&a);
}

static int
setup(void **state)
{
	(void)state;
	return psl_global_init() ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	psl_global_free();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_pseudo),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
