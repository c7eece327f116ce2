/*
 * contrib/submission.conf against a stolen password, and against those who
 * rightly send much; all on the road that mail takes, on a clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/notify.h"
#include "policy/road.h"

#define T0	    1700000000000LL
#define POLICY	    "contrib/submission.conf"
#define CLIENTS	    60
#define RECIPIENTS  3000
#define ATTACK_MS   (600 * 1000LL)
#define STOPPED_AT  60

static struct services services;
static struct policy *policy;
static char zone[] = "/tmp/test_submission.XXXXXX";
static int notices, delivered, held;

static void
tell(const struct notice *n)
{
	assert_int_equal(n->how, NOTIFY_MAIL);
	assert_true(str_starts(n->key, STR("user=")));
	notices++;
}

static int
setup(void **state)
{
	struct buf err = BUF_INIT(1000), spec = BUF_INIT(100);
	struct diag *diag = diag_new();
	static int64_t day; /* who was told the last time is told again */

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	clock_fake(T0 + day++ * 24 * 3600 * 1000);
	snprintf(zone, sizeof(zone), "/tmp/test_submission.XXXXXX");
	close(mkstemp(zone));
	buf_printf(&spec, "file:%s", zone);
	services.store = store_open(STR("memory:"), &err);
	services.resolver = resolver_new(buf_str(&spec), &err);
	services.hostname = STR("smtp.example.net");
	services.notify = tell;
	assert_non_null(services.store);
	assert_non_null(services.resolver);
	policy = policy_load(POLICY, false, diag);
	assert_non_null(policy);
	notices = delivered = held = 0;
	diag_free(&diag);
	buf_free(&spec);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	policy_release(&policy);
	store_close(&services.store);
	resolver_free(&services.resolver);
	unlink(zone);
	clock_fake(-1);
	return 0;
}

static bool
refused(const struct decision *d)
{
	return d->action == ACTION_REJECT || d->action == ACTION_TEMPFAIL;
}

static struct session *
arrive(unsigned int client)
{
	struct road_client c = { .daemon_name = STR("smtpd") };
	struct session *s = road_begin(&services, policy);
	struct decision d;
	char text[20];

	snprintf(text, sizeof(text), "198.51.%u.%u", 100 + client / 200,
	    1 + client % 200);
	assert_true(addr_parse(str_of(text), &c.addr));
	road_connect(s, &c, &d);
	assert_false(refused(&d));
	return s;
}

/* false: refused, and no message is begun. */
static bool
begin(struct session *s, const char *user)
{
	struct road_sender from = { .user = str_of(user),
		.auth_method = STR("PLAIN") };
	struct decision d;
	char path[100];

	snprintf(path, sizeof(path), "<%s>", user);
	from.arg = str_of(path);
	road_mail(s, policy, &from, &d);
	return !refused(&d);
}

static bool
recipient(struct session *s, int n)
{
	struct decision d;
	char to[60];

	snprintf(to, sizeof(to), "<r%d@d%d.example>", n, n % 97);
	road_rcpt(s, str_of(to), false, &d);
	return !refused(&d);
}

/* DATA where somebody is left, as an MTA has it; then RSET. */
static void
finish(struct session *s)
{
	unsigned int n = s->txn != NULL ? s->txn->accepted : 0;
	struct outcome out;

	if (n > 0) {
		road_header(s, STR("From"), STR(" x@example.net"));
		road_eoh(s);
		road_body(s, "hello\r\n", 7);
		road_message(s, STR("4ABC"), &out);
		if (out.action == ACTION_ACCEPT ||
		    out.action == ACTION_QUARANTINE)
			delivered += n;
		if (out.action == ACTION_QUARANTINE)
			held += n;
	}
	road_abort(s);
}

static bool
is_blocked(const char *user)
{
	struct buf key = BUF_INIT(100);
	int64_t until;
	bool yes;

	buf_printf(&key, "user=%s", user);
	yes = block_check(&services, buf_str(&key), &until) == LIMIT_OVER;
	buf_free(&key);
	return yes;
}

static void
stopped(const char *user, int least)
{
	assert_in_range(delivered, least, STOPPED_AT);
	assert_int_equal(notices, 1);
	assert_true(is_blocked(user));
}

/* One place after the other, fifty recipients a message. */
static void
test_one_after_the_other(void **state)
{
	const char *user = "alice@example.net";
	int n = 0;

	(void)state;
	for (unsigned int c = 0; c < CLIENTS; c++) {
		struct session *s = arrive(c);

		for (int i = 0; i < RECIPIENTS / CLIENTS; i++) {
			if (i == 0 && !begin(s, user))
				break;
			recipient(s, n++);
			clock_fake_advance(ATTACK_MS / RECIPIENTS);
		}
		finish(s);
		road_end(&s);
	}
	stopped(user, 1);
}

/* All places in turn, one recipient a message. */
static void
test_in_turn(void **state)
{
	const char *user = "alice@example.net";

	(void)state;
	for (int n = 0; n < RECIPIENTS; n++) {
		struct session *s = arrive((unsigned int)n % CLIENTS);

		if (begin(s, user) && recipient(s, n))
			finish(s);
		road_end(&s);
		clock_fake_advance(ATTACK_MS / RECIPIENTS);
	}
	stopped(user, 1);
	assert_true(held > 0);
}

/* All at once: every message is open before the first one ends. */
static void
test_all_at_once(void **state)
{
	const char *user = "alice@example.net";
	struct session *s[CLIENTS];
	bool open[CLIENTS];

	(void)state;
	for (unsigned int c = 0; c < CLIENTS; c++) {
		s[c] = arrive(c);
		open[c] = begin(s[c], user);
	}
	for (int n = 0; n < RECIPIENTS; n++) {
		if (open[n % CLIENTS])
			recipient(s[n % CLIENTS], n);
		clock_fake_advance(ATTACK_MS / RECIPIENTS);
	}
	for (unsigned int c = 0; c < CLIENTS; c++) {
		finish(s[c]);
		road_end(&s[c]);
	}
	stopped(user, 0);
}

/* From one place only: then it is the number of strangers that tells. */
static void
test_one_place(void **state)
{
	const char *user = "alice@example.net";

	(void)state;
	for (int n = 0; n < RECIPIENTS; n++) {
		struct session *s = arrive(0);

		if (begin(s, user) && recipient(s, n))
			finish(s);
		road_end(&s);
		clock_fake_advance(ATTACK_MS / RECIPIENTS);
	}
	stopped(user, 1);
}

/* 141 patches in a minute, each to three of 423 people. */
static void
test_developer(void **state)
{
	struct session *s = arrive(7);

	(void)state;
	for (int n = 0; n < 423; n += 3) {
		assert_true(begin(s, "git@example.net"));
		for (int k = 0; k < 3; k++)
			assert_true(recipient(s, n + k));
		finish(s);
		clock_fake_advance(60 * 1000 / 141);
	}
	road_end(&s);
	assert_int_equal(delivered, 423);
	assert_int_equal(held, 0);
	assert_int_equal(notices, 0);
}

/* A list of 5,000, a message for each hundred of them, then another one. */
static void
test_newsletter(void **state)
{
	struct session *s = arrive(8);

	(void)state;
	for (int issue = 0; issue < 2; issue++)
		for (int n = 0; n < 5000; n += 100) {
			assert_true(begin(s, "newsletter@example.net"));
			for (int k = 0; k < 100; k++)
				assert_true(recipient(s, n + k));
			finish(s);
			clock_fake_advance(1000);
		}
	road_end(&s);
	assert_int_equal(delivered, 10000);
	assert_int_equal(held, 0);
	assert_int_equal(notices, 0);
}

/* The same burst of one who is not named does not get through. */
static void
test_unnamed_developer(void **state)
{
	struct session *s = arrive(7);

	(void)state;
	for (int n = 0; n < 423; n += 3) {
		bool any = false;

		if (!begin(s, "alice@example.net"))
			continue;
		for (int k = 0; k < 3; k++)
			any |= recipient(s, n + k);
		if (any)
			finish(s);
	}
	road_end(&s);
	stopped("alice@example.net", 1);
}

/* A day of somebody who writes much: 40 people from three places. */
static void
test_honest_day(void **state)
{
	(void)state;
	for (int n = 0; n < 240; n++) {
		struct session *s = arrive((unsigned int)n % 3);

		assert_true(begin(s, "bob@example.net"));
		assert_true(recipient(s, n % 40));
		finish(s);
		road_end(&s);
		clock_fake_advance(2 * 60 * 1000);
	}
	assert_int_equal(delivered, 240);
	assert_int_equal(held, 0);
	assert_int_equal(notices, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_after_the_other),
		T(test_in_turn),
		T(test_all_at_once),
		T(test_one_place),
		T(test_developer),
		T(test_newsletter),
		T(test_unnamed_developer),
		T(test_honest_day),
	};

	if (access(POLICY, R_OK) != 0) {
		printf("1..0 # SKIP %s is not here\n", POLICY);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
