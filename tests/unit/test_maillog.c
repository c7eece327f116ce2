#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/maillog.h"
#include "daemon/maillog_time.h"

#define NOW INT64_C(1763900000000) /* 2025-11-23T12:13:20Z */

/* What was told, a line an event. */
static struct {
	struct maillog *m;
	struct buf told;
} t;

static void
event(void *arg, const struct maillog_event *e)
{
	static const char *const kinds[] = { "connect", "message", "refused",
		"disconnect" };
	char addr[ADDR_TEXT_MAX] = "-";

	assert_ptr_equal(arg, &t);
	if (e->client.family != ADDR_NONE)
		addr_format(&e->client, addr);
	buf_printf(&t.told, "%s %llu %s %.*s u=%.*s f=%.*s %llu",
	    kinds[e->kind], (unsigned long long)e->connection, addr,
	    STR_FMT(e->client_name), STR_FMT(e->user), STR_FMT(e->sender),
	    (unsigned long long)e->size);
	for (size_t i = 0; i < e->nrcpts; i++)
		buf_printf(&t.told, " <%.*s>", STR_FMT(e->rcpts[i]));
	buf_printf(&t.told, " +%llu\n", (unsigned long long)e->unnamed);
}

static int
setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	t.told = BUF_INIT(16 * 1024 * 1024);
	t.m = maillog_new(NOW, event, &t);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	maillog_free(&t.m);
	buf_free(&t.told);
	return 0;
}

static void
feed(const char *text)
{
	struct str rest = str_of(text);

	while (rest.n > 0)
		maillog_line(t.m, str_cut(rest, '\n', &rest));
}

static void
expect(const char *told)
{
	assert_string_equal(t.told.n > 0 ? t.told.p : "", told);
	buf_truncate(&t.told, 0);
}

#define S "Nov 20 10:00:00 mx postfix/submission/smtpd[7]: "
#define Q "Nov 20 10:00:01 mx postfix/qmgr[8]: "
#define D "Nov 20 10:00:02 mx postfix/smtp[9]: "

static void
test_message(void **state)
{
	(void)state;
	feed(
	    S "connect from c.example.org[192.0.2.1]\n" S
	      "4XqABCDEFG: client=c.example.org[192.0.2.1], sasl_method=PLAIN, "
	      "sasl_username=alice@example.org\n"
	      "Nov 20 10:00:00 mx postfix/cleanup[3]: 4XqABCDEFG: "
	      "message-id=<x@y>\n" Q
	      "4XqABCDEFG: from=<a@example.org>, size=1234, nrcpt=2 "
	      "(queue active)\n" S
	      "disconnect from c.example.org[192.0.2.1] ehlo=2 quit=1\n");
	expect("connect 1 192.0.2.1 c.example.org u= f= 0 +0\n");
	feed(D "4XqABCDEFG: to=<b@example.net>, relay=x[1.2.3.4]:25, delay=1, "
	       "status=sent (250 ok)\n");
	expect("");
	feed(D "4XqABCDEFG: to=<c@example.net>, orig_to=<list@example.org>, "
	       "relay=x[1.2.3.4]:25, delay=1, status=deferred (later)\n");
	expect("message 1 192.0.2.1 c.example.org u=alice@example.org "
	       "f=a@example.org 1234 <b@example.net> <list@example.org> +0\n"
	       "disconnect 1 -  u= f= 0 +0\n");
	/* It comes again: nobody waits for it any more. */
	feed(Q "4XqABCDEFG: from=<a@example.org>, size=1234, nrcpt=1 "
	       "(queue active)\n" D
	       "4XqABCDEFG: to=<c@example.net>, relay=x, status=sent (ok)\n" Q
	       "4XqABCDEFG: removed\n");
	maillog_end(t.m);
	expect("");
	assert_int_equal(maillog_stats(t.m)->messages, 1);
	assert_int_equal(maillog_stats(t.m)->recipients, 2);
	assert_int_equal(maillog_stats(t.m)->bad, 0);
}

static void
test_alias(void **state)
{
	(void)state;
	/* Three mailboxes of one alias are one recipient. */
	feed(S "AAAAA1: client=unknown[2001:db8::1]:1234\n" Q
	       "AAAAA1: from=<>, size=5, nrcpt=3 (queue active)\n" D
	       "AAAAA1: to=<x@a>, orig_to=<all@a>, relay=local, status=sent\n" D
	       "AAAAA1: to=<y@a>, orig_to=<all@a>, relay=local, status=sent\n" D
	       "AAAAA1: to=<y@a>, orig_to=<all@a>, relay=local, status=sent\n");
	expect("");
	feed(D "AAAAA1: to=<z@a>, orig_to=<all@a>, relay=local, status=sent\n");
	expect("message 0 2001:db8::1  u= f= 5 <all@a> +0\n");
}

static void
test_order(void **state)
{
	(void)state;
	/* The second is complete first, and told second. */
	feed(S "AAAAA1: client=a[192.0.2.1]\n" S
	       "AAAAA2: client=a[192.0.2.1]\n" Q
	       "AAAAA1: from=<1@x>, size=5, nrcpt=1 (queue active)\n" Q
	       "AAAAA2: from=<2@x>, size=5, nrcpt=1 (queue active)\n" D
	       "AAAAA2: to=<b@a>, relay=local, status=sent\n");
	expect("");
	feed(D "AAAAA1: to=<a@a>, relay=local, status=sent\n");
	expect("message 0 192.0.2.1 a u= f=1@x 5 <a@a> +0\n"
	       "message 0 192.0.2.1 a u= f=2@x 5 <b@a> +0\n");
}

static void
test_late(void **state)
{
	(void)state;
	/* Recipients that take too long are counted without names. */
	feed(S "AAAAA1: client=a[192.0.2.1]\n" S
	       "AAAAA2: client=a[192.0.2.1]\n" Q
	       "AAAAA1: from=<1@x>, size=5, nrcpt=7 (queue active)\n" D
	       "AAAAA1: to=<a@a>, relay=local, status=sent\n"
	       "Nov 20 10:20:00 mx postfix/qmgr[1]: BBBBB: removed\n");
	expect("message 0 192.0.2.1 a u= f=1@x 5 <a@a> +6\n");
	assert_int_equal(maillog_stats(t.m)->unnamed, 6);
	/* The other one was never queued. */
	assert_int_equal(maillog_stats(t.m)->unfinished, 1);
}

static void
test_not_told(void **state)
{
	(void)state;
	feed(S
	    "AAAAA1: client=a[192.0.2.1]\n"
	    "Nov 20 10:00:00 mx postfix/cleanup[3]: AAAAA1: milter-reject: "
	    "END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no; from=<a> to=<b> "
	    "proto=ESMTP helo=<h>\n" Q
	    "AAAAA1: from=<1@x>, size=5, nrcpt=1 (queue active)\n"
	    /* back from a content filter */
	    S "AAAAA2: client=localhost[127.0.0.1], orig_queue_id=AAAAA9, "
	    "orig_client=a[192.0.2.1]\n" Q
	    "AAAAA2: from=<1@x>, size=5, nrcpt=1 (queue active)\n"
	    /* a notice */
	    "Nov 20 10:00:00 mx postfix/bounce[3]: AAAAA5: sender non-delivery "
	    "notification: AAAAA6\n" Q
	    "AAAAA6: from=<>, size=5, nrcpt=1 (queue active)\n" Q
	    "AAAAA6: removed\n"
	    "Nov 20 10:00:00 mx dovecot: imap-login: Login: user=<a>\n");
	maillog_end(t.m);
	expect("");
	assert_int_equal(maillog_stats(t.m)->filtered, 1);
	assert_int_equal(maillog_stats(t.m)->foreign, 1);
	assert_int_equal(maillog_stats(t.m)->messages, 0);
}

static void
test_refused(void **state)
{
	(void)state;
	feed(S
	    "connect from unknown[192.0.2.1]\n" S
	    "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 "
	    "<n@x>: Recipient address rejected: ; from=<evil@z> to=<e> proto=; "
	    "from=<x@y> to=<n@x> proto=ESMTP helo=<h>\n" S
	    "AAAAA1: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <r@x>: "
	    "Relay access denied; from=<> to=<r@x> proto=ESMTP helo=<h>\n" S
	    "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: cut\n" S
	    "NOQUEUE: milter-reject: RCPT from unknown[192.0.2.1]: 451 x; "
	    "from=<a> to=<b> proto=ESMTP helo=<h>\n");
	expect("connect 1 192.0.2.1  u= f= 0 +0\n"
	       "refused 1 192.0.2.1  u= f=x@y 0 <n@x> +0\n"
	       "refused 1 192.0.2.1  u= f= 0 <r@x> +0\n");
	assert_int_equal(maillog_stats(t.m)->refused, 2);
	assert_int_equal(maillog_stats(t.m)->filtered, 1);
}

static void
test_local(void **state)
{
	(void)state;
	feed("Nov 20 10:00:00 mx postfix/pickup[3]: AAAAA1: uid=0 "
	     "from=<root>\n" Q
	     "AAAAA1: from=<root@x>, size=5, nrcpt=1 (queue active)\n" D
	     "AAAAA1: to=<b@a>, relay=local, status=sent\n");
	expect("message 0 -  u= f=root@x 5 <b@a> +0\n");
}

static void
test_bad_lines(void **state)
{
	static const char *const bad[] = { "", "garbage", "Nov 20",
		"Nov 20 10:00:00", "Nov 20 10:00:00 ", "Nov 20 10:00:00 mx",
		"Nov 20 10:00:00 mx postfix/smtpd[7]",
		"Nov 31 25:00:00 mx postfix/smtpd[7]: x",
		"Xyz 20 10:00:00 mx postfix/smtpd[7]: x",
		"2025-13-01T00:00:00Z mx postfix/smtpd[7]: x",
		"2025-11-20T10:00:00 mx postfix/smtpd[7]: x",
		"2999-11-20T10:00:00Z mx postfix/smtpd[7]: x" };
	size_t n = sizeof(bad) / sizeof(bad[0]);
	char nul[64] = S;

	(void)state;
	for (size_t i = 0; i < n; i++)
		maillog_line(t.m, str_of(bad[i]));
	assert_int_equal(maillog_stats(t.m)->bad, n);
	nul[20] = '\0';
	maillog_line(t.m, (struct str){ nul, sizeof(nul) });
	/* Half a line of each kind. */
	feed(
	    S "client=\n" S "AAAAA1: client=\n" S "AAAAA1: client=x[\n" S
	      "AAAAA1: client=x[1.2.3.4\n" S "connect from\n" S
	      "connect from \n" S "connect from x[unknown]\n" Q
	      "AAAAA1: from=<\n" Q "AAAAA1: from=<a>, size=x, nrcpt=\n" Q
	      "AAAAA1: from=<a>, size=99999999999999999999, nrcpt=-1 (q\n" D
	      "AAAAA1: to=<\n" D "AAAAA1: to=<>, orig_to=<\n" D "A: to=<a>,\n");
	maillog_end(t.m);
	assert_int_equal(maillog_stats(t.m)->messages, 0);
}

static void
test_times(void **state)
{
	static const struct {
		const char *line, *iso;
	} times[] = {
		{ "Nov 23 10:00:00 x", "2025-11-23T10:00:00.000" },
		{ "Nov  2 06:02:28 x", "2025-11-02T06:02:28.000" },
		{ "Dec 24 10:00:00 x", "2024-12-24T10:00:00.000" },
		{ "2025-11-20T10:00:00.123456+01:00 x",
		    "2025-11-20T09:00:00.123" },
		{ "2025-11-20T10:00:00-0230 x", "2025-11-20T12:30:00.000" },
		{ "2025-11-20T10:00:00Z x", "2025-11-20T10:00:00.000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct maillog_time mt = { .now_ms = NOW };
		char iso[64], text[32];
		struct tm tm;
		struct str rest;
		int64_t ms;
		time_t s;

		assert_true(
		    maillog_time_read(&mt, str_of(times[i].line), &ms, &rest));
		assert_true(str_eq(rest, STR(" x")));
		s = (time_t)(ms / 1000);
		gmtime_r(&s, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		snprintf(iso, sizeof(iso), "%s.%03d", text, (int)(ms % 1000));
		assert_string_equal(iso, times[i].iso);
	}
}

/* Over the end of a year, and never back. */
static void
test_new_year(void **state)
{
	struct maillog_time mt = { .now_ms = NOW };
	struct str rest;
	int64_t ms, last = 0;

	(void)state;
	for (const char *const *line =
		 (const char *const[]){ "Dec 31 23:59:58 x",
		     "Dec 31 23:59:59 x", "Jan  1 00:00:00 x",
		     "Dec 31 23:59:59 x", "Jan  1 00:00:01 x",
		     "Mar  1 00:00:00 x", NULL };
	     *line != NULL; line++) {
		assert_true(maillog_time_read(&mt, str_of(*line), &ms, &rest));
		assert_true(ms >= last);
		last = ms;
	}
	assert_int_equal(last, INT64_C(1740787200000)); /* 2025-03-01 */
}

/* What a log may hold of strangers' making stays within bounds. */
static void
test_floods(void **state)
{
	char line[256];

	(void)state;
	for (unsigned int i = 0; i < 60000; i++) {
		snprintf(line, sizeof(line), S "Q%06u: client=a[192.0.2.1]", i);
		maillog_line(t.m, str_of(line));
	}
	assert_true(maillog_stats(t.m)->unfinished >= 60000 - MAILLOG_WAITING);
	feed(S "RRRRR1: client=a[192.0.2.1]\n" Q
	       "RRRRR1: from=<a@x>, size=5, nrcpt=4000000000 (queue active)\n");
	for (unsigned int i = 0; i < 30000; i++) {
		snprintf(line, sizeof(line),
		    D "RRRRR1: to=<%u@x>, relay=x, status=sent", i);
		maillog_line(t.m, str_of(line));
	}
	maillog_end(t.m);
	assert_int_equal(maillog_stats(t.m)->messages, 1);
	assert_int_equal(maillog_stats(t.m)->recipients, 4000000000);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_message),
		TEST(test_alias),
		TEST(test_order),
		TEST(test_late),
		TEST(test_not_told),
		TEST(test_refused),
		TEST(test_local),
		TEST(test_bad_lines),
		TEST(test_times),
		TEST(test_new_year),
		TEST(test_floods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
