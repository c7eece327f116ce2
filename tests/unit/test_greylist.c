#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/greylist.h"

#define T0  1700000000000LL
#define MIN (60 * 1000LL)
#define DAY (24 * 3600 * 1000LL)

static struct services services;
static struct session *s;

static int
setup(void **state)
{
	struct buf err = BUF_INIT(1000);

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	clock_fake(T0);
	services.store = store_open(STR("memory:"), &err);
	assert_non_null(services.store);
	s = session_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	session_free(&s);
	store_close(&services.store);
	clock_fake(-1);
	return 0;
}

static enum greylist_answer
try_from(const char *client, const char *sender, const char *to,
    int64_t *retry_ms)
{
	struct txn *t = txn_begin(s, 1000);

	assert_non_null(check_attach_txn(t, &services));
	if (client == NULL)
		s->client.family = ADDR_NONE;
	else
		assert_true(addr_parse(str_of(client), &s->client));
	envelope_parse(t->arena, str_of(sender), &t->sender);
	assert_non_null(txn_add_rcpt(t, str_of(to)));
	return greylist_check(t, GREYLIST_DELAY_MS, retry_ms);
}

#define TRY(client, sender, to, want)                                       \
	do {                                                                \
		int64_t ms_;                                                \
		assert_int_equal(try_from(client, sender, to, &ms_), want); \
	} while (0)

static void
test_waits_and_passes(void **state)
{
	int64_t retry;

	(void)state;
	assert_int_equal(try_from("192.0.2.1", "<a@x.org>", "<b@y.org>",
			     &retry),
	    GREYLIST_WAIT);
	assert_int_equal(retry, GREYLIST_DELAY_MS);
	clock_fake_advance(GREYLIST_DELAY_MS - 1);
	assert_int_equal(try_from("192.0.2.1", "<a@x.org>", "<b@y.org>",
			     &retry),
	    GREYLIST_WAIT);
	assert_int_equal(retry, 1);
	clock_fake_advance(1);
	/* another host of the same network, tags and case aside */
	assert_int_equal(try_from("192.0.2.99", "<a+t@X.org>", "<B@y.org>",
			     &retry),
	    GREYLIST_PASS);
	assert_int_equal(retry, 0);
	/* what differs is another triple */
	TRY("192.0.3.1", "<a@x.org>", "<b@y.org>", GREYLIST_WAIT);
	TRY("192.0.2.1", "<c@x.org>", "<b@y.org>", GREYLIST_WAIT);
	TRY("192.0.2.1", "<a@x.org>", "<c@y.org>", GREYLIST_WAIT);
	TRY("192.0.2.1", "<>", "<b@y.org>", GREYLIST_WAIT);
	TRY("192.0.2.1", "<a@x.org>", "<b@y.org>", GREYLIST_PASS);
}

static void
test_too_late_starts_anew(void **state)
{
	(void)state;
	TRY("192.0.2.1", "<a@x.org>", "<b@y.org>", GREYLIST_WAIT);
	clock_fake_advance(GREYLIST_RETRY_MS);
	TRY("192.0.2.1", "<a@x.org>", "<b@y.org>", GREYLIST_WAIT);
	clock_fake_advance(GREYLIST_DELAY_MS);
	TRY("192.0.2.1", "<a@x.org>", "<b@y.org>", GREYLIST_PASS);
}

static void
test_known_from_last_delivery(void **state)
{
	(void)state;
	TRY("2001:db8::1", "<a@x.org>", "<b@y.org>", GREYLIST_WAIT);
	clock_fake_advance(GREYLIST_DELAY_MS);
	TRY("2001:db8::ffff", "<a@x.org>", "<b@y.org>", GREYLIST_PASS);
	for (int i = 0; i < 3; i++) {
		clock_fake_advance(35 * DAY - 1);
		TRY("2001:db8::1", "<a@x.org>", "<b@y.org>", GREYLIST_PASS);
	}
	clock_fake_advance(GREYLIST_KNOWN_MS);
	TRY("2001:db8::1", "<a@x.org>", "<b@y.org>", GREYLIST_WAIT);
}

static void
test_network_is_known(void **state)
{
	char sender[40];

	(void)state;
	for (int i = 0; i < GREYLIST_AUTO; i++) {
		snprintf(sender, sizeof(sender), "<a%d@x.org>", i);
		TRY("192.0.2.1", sender, "<b@y.org>", GREYLIST_WAIT);
		clock_fake_advance(GREYLIST_DELAY_MS);
		TRY("192.0.2.1", sender, "<b@y.org>", GREYLIST_PASS);
		/* the same triple again counts once */
		TRY("192.0.2.1", sender, "<b@y.org>", GREYLIST_PASS);
	}
	TRY("192.0.2.200", "<new@x.org>", "<n@y.org>", GREYLIST_PASS);
	TRY("192.0.3.200", "<new@x.org>", "<n@y.org>", GREYLIST_WAIT);
	clock_fake_advance(20 * DAY);
	TRY("192.0.2.1", "<new@x.org>", "<n@y.org>", GREYLIST_PASS);
	clock_fake_advance(20 * DAY);
	TRY("192.0.2.1", "<new@x.org>", "<n@y.org>", GREYLIST_PASS);
	clock_fake_advance(GREYLIST_KNOWN_MS);
	TRY("192.0.2.1", "<new@x.org>", "<n@y.org>", GREYLIST_WAIT);
}

static void
test_odd_ones(void **state)
{
	int64_t retry;

	(void)state;
	TRY(NULL, "<a@x.org>", "<b@y.org>", GREYLIST_PASS);
	TRY("192.0.2.1", "<a@x.org>", "<b@y.org>", GREYLIST_WAIT);
	/* a clock that is set back never makes the wait longer */
	clock_fake(T0 - 10 * DAY);
	assert_int_equal(try_from("192.0.2.1", "<a@x.org>", "<b@y.org>",
			     &retry),
	    GREYLIST_WAIT);
	assert_int_equal(retry, GREYLIST_DELAY_MS);
	store_close(&services.store);
	TRY("192.0.2.1", "<a@x.org>", "<b@y.org>", GREYLIST_UNKNOWN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_waits_and_passes),
		T(test_too_late_starts_anew),
		T(test_known_from_last_delivery),
		T(test_network_is_known),
		T(test_odd_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
