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
#include "check/limit.h"

#define T0   1700000000000LL
#define HOUR (3600 * 1000LL)

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
	assert_non_null(check_attach_session(s, &services));
	addr_parse(STR("192.0.2.1"), &s->client);
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

static void
make(struct limit *l, const char *name, const char *key, struct limit_window *w,
    size_t n)
{
	const char *why;
	size_t at;

	*l = (struct limit){ .name = str_of(name), .windows = w, .count = n };
	assert_true(key_parse(str_of(key), &l->key, &why, &at));
}

static void
mail(const char *user)
{
	struct txn *t = txn_begin(s, 100000);

	assert_non_null(check_attach_txn(t, &services));
	envelope_parse(t->arena, STR("<joe@example.org>"), &t->sender);
	t->user = str_of(user);
	limit_event(s, STAGE_MAIL);
}

static void
rcpt(const char *to)
{
	assert_non_null(txn_add_rcpt(s->txn, str_of(to)));
	limit_event(s, STAGE_RCPT);
}

static void
keep(enum stage stage)
{
	limit_keep(s, stage);
	if (stage == STAGE_RCPT)
		s->txn->accepted++;
}

static void
drop(enum stage stage)
{
	limit_drop(s, stage);
	if (stage == STAGE_RCPT)
		s->txn->rcpt->action = ACTION_REJECT;
}

static enum limit_answer
over(const struct limit *l, enum stage stage)
{
	struct limit_info info;

	return limit_over(s, l, stage, &info);
}

static uint64_t
used(const char *counter, const char *key)
{
	struct store_window w = { .limit = str_of(counter),
		.key = str_of(key),
		.window_ms = HOUR,
		.max = UINT64_MAX };
	struct store_usage u;

	assert_int_equal(store_peek(services.store, &w, &u), STORE_OK);
	return u.used;
}

static void
message(void)
{
	limit_event(s, STAGE_MESSAGE);
	limit_keep(s, STAGE_MESSAGE);
	assert_true(limit_commit(s->txn));
	txn_end(s);
}

static void
test_messages_and_recipients(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 2, HOUR, STR("1h") },
		{ LIMIT_RECIPIENTS, 5, HOUR, STR("1h") } };
	struct limit l;
	struct limit_info info;

	(void)state;
	make(&l, "sub", "user", w, 2);
	mail("alice");
	keep(STAGE_MAIL);
	/* the first is refused for another reason: it costs nothing */
	rcpt("<a@x.org>");
	assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	drop(STAGE_RCPT);
	assert_int_equal(used("sub/messages", "user=alice"), 0);
	assert_int_equal(used("sub/recipients", "user=alice"), 0);
	/* the next carries the message; asked twice is charged once */
	for (int i = 0; i < 3; i++) {
		rcpt("<b@x.org>");
		assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
		assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
		keep(STAGE_RCPT);
	}
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	assert_int_equal(used("sub/recipients", "user=alice"), 3);
	message();
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	assert_int_equal(used("sub/recipients", "user=alice"), 3);

	mail("ALICE");
	for (int i = 0; i < 2; i++) {
		rcpt("<b@x.org>");
		assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
		keep(STAGE_RCPT);
	}
	rcpt("<c@x.org>");
	assert_int_equal(limit_over(s, &l, STAGE_RCPT, &info), LIMIT_OVER);
	assert_ptr_equal(info.window, &w[1]);
	assert_string_equal(info.key.p, "user=alice");
	assert_int_equal(info.used, 5);
	assert_in_range(info.retry_ms, HOUR, HOUR * 61 / 60);
	assert_int_equal(limit_over(s, &l, STAGE_RCPT, &info), LIMIT_OVER);
	assert_int_equal(info.used, 5);
	drop(STAGE_RCPT);
	message();
	assert_int_equal(used("sub/messages", "user=alice"), 2);
	/* nobody logged in: no such key */
	mail("");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	mail("bob");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_OVER);
	assert_int_equal(used("sub/messages", "user=bob"), 0);
}

static void
test_abort_gives_back(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 9, HOUR, STR("1h") } };
	struct limit l;
	struct store_stats st;

	(void)state;
	make(&l, "sub", "user", w, 1);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	rcpt("<a@x.org>");
	assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
	keep(STAGE_RCPT);
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	txn_end(s);
	store_stats(services.store, &st);
	assert_int_equal(st.keys, 0);
	/* the message refused at its end */
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	limit_event(s, STAGE_MESSAGE);
	limit_drop(s, STAGE_MESSAGE);
	assert_int_equal(used("sub/messages", "user=alice"), 0);
	assert_true(limit_commit(s->txn));
	assert_int_equal(used("sub/messages", "user=alice"), 0);
	/* neither kept nor dropped: the next event gives it back */
	mail("alice");
	rcpt("<a@x.org>");
	assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
	rcpt("<b@x.org>");
	assert_int_equal(used("sub/messages", "user=alice"), 0);
}

static void
test_at_mail(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 9, HOUR, STR("1h") },
		{ LIMIT_RECIPIENTS, 3, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "sub", "user", w, 2);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	for (int i = 0; i < 3; i++) {
		rcpt("<a@x.org>");
		keep(STAGE_RCPT);
	}
	/* asked at mail alone: the recipients count in the end */
	message();
	assert_int_equal(used("sub/recipients", "user=alice"), 3);
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_OVER);
}

static void
test_at_message(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 9, HOUR, STR("1h") },
		{ LIMIT_RECIPIENTS, 4, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "sub", "user", w, 2);
	for (int round = 0; round < 2; round++) {
		mail("alice");
		keep(STAGE_MAIL);
		for (int i = 0; i < 3; i++) {
			rcpt("<a@x.org>");
			if (i == 0)
				over(&l, STAGE_RCPT);
			keep(STAGE_RCPT);
		}
		limit_event(s, STAGE_MESSAGE);
		assert_int_equal(over(&l, STAGE_MESSAGE),
		    round == 0 ? LIMIT_FREE : LIMIT_OVER);
		if (round == 1)
			break;
		limit_keep(s, STAGE_MESSAGE);
		assert_true(limit_commit(s->txn));
		assert_int_equal(used("sub/recipients", "user=alice"), 3);
		assert_int_equal(used("sub/messages", "user=alice"), 1);
		txn_end(s);
	}
}

static void
test_recipient_keys_at_message(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 9, HOUR, STR("1h") },
		{ LIMIT_RECIPIENTS, 2, HOUR, STR("1h") } };
	struct limit l;
	struct limit_info info;

	(void)state;
	make(&l, "to", "rcpt.domain", w, 2);
	mail("");
	rcpt("<a@x.org>"), keep(STAGE_RCPT);
	rcpt("<b@x.org>"), keep(STAGE_RCPT);
	rcpt("<c@y.org>"), keep(STAGE_RCPT);
	rcpt("<d@z.org>"), drop(STAGE_RCPT);
	limit_event(s, STAGE_MESSAGE);
	assert_int_equal(over(&l, STAGE_MESSAGE), LIMIT_FREE);
	assert_string_equal(s->txn->rcpt->addr.text.p, "d@z.org");
	limit_keep(s, STAGE_MESSAGE);
	assert_true(limit_commit(s->txn));
	assert_int_equal(used("to/recipients", "rcpt.domain=x.org"), 2);
	assert_int_equal(used("to/messages", "rcpt.domain=x.org"), 1);
	assert_int_equal(used("to/recipients", "rcpt.domain=y.org"), 1);
	assert_int_equal(used("to/recipients", "rcpt.domain=z.org"), 0);
	mail("");
	rcpt("<c@y.org>"), keep(STAGE_RCPT);
	rcpt("<b@x.org>"), keep(STAGE_RCPT);
	limit_event(s, STAGE_MESSAGE);
	assert_int_equal(limit_over(s, &l, STAGE_MESSAGE, &info), LIMIT_OVER);
	assert_string_equal(info.key.p, "rcpt.domain=x.org");
	assert_ptr_equal(info.window, &w[1]);
	/* all or none */
	assert_int_equal(used("to/recipients", "rcpt.domain=y.org"), 1);
}

static void
test_bytes(void **state)
{
	struct limit_window w[] = { { LIMIT_BYTES, 1000, HOUR, STR("1h") } };
	char text[2000] = { 0 };
	struct limit l;

	(void)state;
	make(&l, "vol", "user", w, 1);
	/* declared more than it is */
	mail("alice");
	s->txn->size_declared = 900;
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	assert_int_equal(used("vol/bytes", "user=alice"), 900);
	body_add(&s->txn->body, text, 300);
	message();
	assert_int_equal(used("vol/bytes", "user=alice"), 302);
	/* declared nothing */
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	body_add(&s->txn->body, text, 398);
	message();
	assert_int_equal(used("vol/bytes", "user=alice"), 702);
	/* more than declared, asked at the end as well */
	mail("alice");
	s->txn->size_declared = 100;
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	body_add(&s->txn->body, text, 500);
	limit_event(s, STAGE_MESSAGE);
	assert_int_equal(over(&l, STAGE_MESSAGE), LIMIT_OVER);
	limit_drop(s, STAGE_MESSAGE);
	txn_end(s);
	assert_int_equal(used("vol/bytes", "user=alice"), 702);
	/* too big to begin with */
	mail("alice");
	s->txn->size_declared = 299;
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_OVER);
}

static void
connect_to(void)
{
	session_free(&s);
	s = session_new();
	assert_non_null(check_attach_session(s, &services));
	addr_parse(STR("192.0.2.1"), &s->client);
	limit_event(s, STAGE_CONNECT);
}

static void
test_connections(void **state)
{
	struct limit_window w[] = { { LIMIT_CONNECTIONS, 2, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "conn", "client", w, 1);
	for (int i = 0; i < 2; i++) {
		connect_to();
		assert_int_equal(over(&l, STAGE_CONNECT), LIMIT_FREE);
		keep(STAGE_CONNECT);
	}
	/* asked again later on the same connection: counted already */
	mail("");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	message();
	assert_int_equal(used("conn/connections", "client=192.0.2.1"), 2);
	connect_to();
	assert_int_equal(over(&l, STAGE_CONNECT), LIMIT_OVER);
	drop(STAGE_CONNECT);
	connect_to();
	assert_int_equal(used("conn/connections", "client=192.0.2.1"), 2);
	clock_fake_advance(2 * HOUR);
	/* asked first with a message: once for several messages */
	for (int i = 0; i < 3; i++) {
		mail("");
		assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
		keep(STAGE_MAIL);
		message();
	}
	assert_int_equal(used("conn/connections", "client=192.0.2.1"), 1);
}

static void
test_rejected_recipients(void **state)
{
	struct limit_window w[] = { { LIMIT_REJECTED, 3, HOUR, STR("1h") } };
	struct limit l;
	const struct limit *ls[] = { &l };

	(void)state;
	make(&l, "probing", "client/24", w, 1);
	assert_true(limit_only_read(&l));
	for (int i = 0; i < 3; i++) {
		limit_event(s, STAGE_CONNECT);
		assert_int_equal(over(&l, STAGE_CONNECT), LIMIT_FREE);
		limit_keep(s, STAGE_CONNECT);
		limit_count_rejected(s, ls, 1);
	}
	limit_event(s, STAGE_CONNECT);
	assert_int_equal(over(&l, STAGE_CONNECT), LIMIT_OVER);
	assert_int_equal(used("probing/rejected recipients",
			     "client=192.0.2.0/24"),
	    3);
	addr_parse(STR("198.51.100.1"), &s->client);
	limit_event(s, STAGE_CONNECT);
	assert_int_equal(over(&l, STAGE_CONNECT), LIMIT_FREE);
}

/* What is reserved outlives the policy it was reserved by. */
static void
test_reload_between(void **state)
{
	struct limit_window *w = calloc(1, sizeof(*w));
	struct limit *l = calloc(1, sizeof(*l));
	char *name = strdup("sub");

	(void)state;
	w->unit = LIMIT_MESSAGES;
	w->max = 5;
	w->window_ms = HOUR;
	make(l, name, "user", w, 1);
	mail("alice");
	assert_int_equal(over(l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	free(w);
	free(l);
	free(name);
	message();
	assert_int_equal(used("sub/messages", "user=alice"), 1);
}

static void
test_many_recipients(void **state)
{
	struct limit_window w[] = { { LIMIT_RECIPIENTS, 20000, HOUR,
	    STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "sub", "user", w, 1);
	mail("alice");
	for (int i = 0; i < 10000; i++) {
		rcpt("<somebody@example.org>");
		assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
		keep(STAGE_RCPT);
	}
	message();
	assert_int_equal(used("sub/recipients", "user=alice"), 10000);
}

static void
test_no_store(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 5, HOUR, STR("1h") } };
	struct limit l;
	int64_t until;

	(void)state;
	make(&l, "sub", "user", w, 1);
	store_close(&services.store);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_UNKNOWN);
	keep(STAGE_MAIL);
	message();
	assert_int_equal(block_check(&services, STR("user=alice"), &until),
	    LIMIT_UNKNOWN);
	assert_false(block_set(&services, STR("user=a"), HOUR, STR("x")));
}

/* The store's directory goes away between the question and the end. */
static void
test_store_goes_down(void **state)
{
	struct limit_window w[] = { { LIMIT_MESSAGES, 9, HOUR, STR("1h") } };
	char dir[] = "/tmp/test_limit.XXXXXX", moved[40], spec[80], file[80];
	struct buf err = BUF_INIT(1000);
	struct limit l;

	(void)state;
	make(&l, "sub", "user", w, 1);
	assert_non_null(mkdtemp(dir));
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	snprintf(spec, sizeof(spec), "sqlite:%s/db", dir);
	store_close(&services.store);
	services.store = store_open(str_of(spec), &err);
	assert_non_null(services.store);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	assert_int_equal(rename(dir, moved), 0);
	assert_false(limit_commit(s->txn));
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	/* tempfailed: taken back */
	limit_drop(s, STAGE_MESSAGE);
	assert_int_equal(used("sub/messages", "user=alice"), 0);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_UNKNOWN);
	txn_end(s);
	store_close(&services.store);
	assert_int_equal(rename(moved, dir), 0);

	services.store = store_open(str_of(spec), &err);
	assert_non_null(services.store);
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	assert_int_equal(rename(dir, moved), 0);
	assert_false(limit_commit(s->txn));
	/* accepted all the same: it stands */
	txn_end(s);
	assert_int_equal(used("sub/messages", "user=alice"), 1);
	store_close(&services.store);
	snprintf(file, sizeof(file), "%s/db", moved);
	unlink(file);
	snprintf(file, sizeof(file), "%s/db-wal", moved);
	unlink(file);
	snprintf(file, sizeof(file), "%s/db-shm", moved);
	unlink(file);
	assert_int_equal(rmdir(moved), 0);
}

static void
test_blocks(void **state)
{
	int64_t until = -1;

	(void)state;
	assert_int_equal(block_check(&services, STR("user=a"), &until),
	    LIMIT_FREE);
	assert_true(block_set(&services, STR("user=a"), HOUR, STR("me")));
	assert_int_equal(block_check(&services, STR("user=a"), &until),
	    LIMIT_OVER);
	assert_int_equal(until, T0 + HOUR);
	assert_int_equal(block_check(&services, STR("user=b"), &until),
	    LIMIT_FREE);
	clock_fake_advance(HOUR);
	assert_int_equal(block_check(&services, STR("user=a"), &until),
	    LIMIT_FREE);
}

static void
test_words(void **state)
{
	enum limit_unit u;

	(void)state;
	for (int i = 0; i < LIMIT_UNIT_COUNT; i++) {
		assert_true(limit_unit_parse(str_of(limit_unit_word(
						 (enum limit_unit)i)),
		    &u));
		assert_int_equal(u, i);
	}
	assert_false(limit_unit_parse(STR("mails"), &u));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* --- shares and maxima of one's own ------------------------------------ */

static enum limit_answer
near(const struct limit *l, enum stage stage, unsigned int percent)
{
	struct limit_info info;

	return limit_near(s, l, stage, percent, &info);
}

/* The 4th of 5 is the one that brings it to 80 %; looking takes nothing. */
static void
test_share(void **state)
{
	struct limit_window w[] = { { LIMIT_RECIPIENTS, 5, HOUR, STR("1h") } };
	struct limit_info info;
	struct limit l;

	(void)state;
	make(&l, "sub", "user", w, 1);
	mail("alice");
	keep(STAGE_MAIL);
	for (int i = 1; i <= 5; i++) {
		rcpt("<a@x.org>");
		assert_int_equal(near(&l, STAGE_RCPT, 80),
		    i >= 4 ? LIMIT_OVER : LIMIT_FREE);
		assert_int_equal(used("sub/recipients", "user=alice"), i - 1);
		assert_int_equal(over(&l, STAGE_RCPT), LIMIT_FREE);
		/* behind the reservation it is the same */
		assert_int_equal(near(&l, STAGE_RCPT, 80),
		    i >= 4 ? LIMIT_OVER : LIMIT_FREE);
		assert_int_equal(near(&l, STAGE_RCPT, 100),
		    i == 5 ? LIMIT_OVER : LIMIT_FREE);
		keep(STAGE_RCPT);
	}
	rcpt("<a@x.org>");
	assert_int_equal(over(&l, STAGE_RCPT), LIMIT_OVER);
	assert_int_equal(limit_near(s, &l, STAGE_RCPT, 80, &info), LIMIT_OVER);
	assert_int_equal(info.max, 5);
	assert_int_equal(info.used, 5);
	assert_true(info.window == &w[0]);
	drop(STAGE_RCPT);
}

static void
test_share_of_rejected(void **state)
{
	struct limit_window w[] = { { LIMIT_REJECTED, 10, HOUR, STR("1h") } };
	const struct limit *list[1];
	struct limit l;

	(void)state;
	make(&l, "probe", "client", w, 1);
	list[0] = &l;
	for (int i = 0; i < 10; i++) {
		limit_event(s, STAGE_CONNECT);
		assert_int_equal(near(&l, STAGE_CONNECT, 80),
		    i >= 8 ? LIMIT_OVER : LIMIT_FREE);
		limit_count_rejected(s, list, 1);
	}
}

static bool
own_maxima(const struct limit *l, struct str key, uint64_t *max)
{
	assert_string_equal(l->own_from, "mine");
	if (str_eq(key, STR("user=bulk")))
		max[0] = LIMIT_UNLIMITED;
	else if (str_eq(key, STR("user=small")))
		max[0] = 1;
	else
		return false;
	return true;
}

static void
test_own_maxima(void **state)
{
	static const struct {
		const char *user;
		int fit;
		uint64_t max;
	} rows[] = { { "alice", 3, 3 }, { "small", 1, 1 }, { "bulk", 50, 0 } };
	struct limit_window w[] = { { LIMIT_MESSAGES, 3, HOUR, STR("1h") } };
	struct limit_info info;
	struct limit l;

	(void)state;
	make(&l, "sub", "user", w, 1);
	l.own = own_maxima;
	l.own_from = "mine";
	for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
		for (int i = 0; i < rows[r].fit; i++) {
			mail(rows[r].user);
			assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
			keep(STAGE_MAIL);
			message();
		}
		mail(rows[r].user);
		assert_int_equal(limit_over(s, &l, STAGE_MAIL, &info),
		    rows[r].max ? LIMIT_OVER : LIMIT_FREE);
		if (rows[r].max)
			assert_int_equal(info.max, rows[r].max);
		txn_end(s);
	}
	/* without a limit it is counted all the same */
	assert_int_equal(used("sub/messages", "user=bulk"), 50);
}

/* --- different members ------------------------------------------------- */

static struct str
country(const struct session *session)
{
	static const char *const codes[] = { "DE", "FR", "DE", "IT" };
	unsigned int last = session->client.b[3];

	return last < 4 ? str_of(codes[last]) : STR_NONE;
}

static void
client(const char *address)
{
	assert_true(addr_parse(str_of(address), &s->client));
}

/* One message of alice's to one recipient; false: it was over. */
static bool
sends(const struct limit *l, enum stage stage, const char *to)
{
	enum limit_answer answer = LIMIT_FREE;

	mail("alice");
	s->txn->checks->country = country;
	if (stage == STAGE_MAIL)
		answer = over(l, stage);
	keep(STAGE_MAIL);
	rcpt(to);
	if (stage == STAGE_RCPT)
		answer = over(l, stage);
	if (answer != LIMIT_FREE) {
		drop(STAGE_RCPT);
		txn_end(s);
		return false;
	}
	keep(STAGE_RCPT);
	message();
	return true;
}

static void
test_distinct_recipients(void **state)
{
	struct limit_window w[] = { { LIMIT_MAILBOXES, 2, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "spray", "user", w, 1);
	assert_true(sends(&l, STAGE_RCPT, "<a@x.org>"));
	assert_true(sends(&l, STAGE_RCPT, "<A+news@X.org>"));
	assert_true(sends(&l, STAGE_RCPT, "<b@x.org>"));
	assert_false(sends(&l, STAGE_RCPT, "<c@x.org>"));
	assert_true(sends(&l, STAGE_RCPT, "<a@x.org>"));
	assert_int_equal(used("spray/distinct recipients", "user=alice"), 2);
	/* forgotten with the window, each for itself */
	clock_fake_advance(HOUR + HOUR / 60);
	assert_true(sends(&l, STAGE_RCPT, "<c@x.org>"));
}

/* All recipients of a message at once, some of them twice. */
static void
test_distinct_at_message(void **state)
{
	struct limit_window w[] = { { LIMIT_MAILBOXES, 3, HOUR, STR("1h") } };
	static const char *const to[] = { "<a@x.org>", "<b@x.org>",
		"<a+x@x.org>", "<c@x.org>", "<d@x.org>" };
	struct limit l;

	(void)state;
	make(&l, "spray", "user", w, 1);
	for (int n = 5; n >= 4; n--) {
		mail("alice");
		keep(STAGE_MAIL);
		for (int i = 0; i < n; i++) {
			rcpt(to[i]);
			keep(STAGE_RCPT);
		}
		limit_event(s, STAGE_MESSAGE);
		assert_int_equal(over(&l, STAGE_MESSAGE),
		    n == 5 ? LIMIT_OVER : LIMIT_FREE);
		if (n == 5) {
			drop(STAGE_MESSAGE);
			assert_int_equal(used("spray/distinct recipients",
					     "user=alice"),
			    0);
			txn_end(s);
			continue;
		}
		limit_keep(s, STAGE_MESSAGE);
		assert_true(limit_commit(s->txn));
		txn_end(s);
	}
	assert_int_equal(used("spray/distinct recipients", "user=alice"), 3);
}

static void
test_distinct_clients(void **state)
{
	struct limit_window w[] = { { LIMIT_CLIENTS, 2, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "places", "user", w, 1);
	client("192.0.2.1");
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	mail("alice");
	assert_int_equal(near(&l, STAGE_MAIL, 100), LIMIT_FREE);
	client("2001:db8::1");
	assert_int_equal(near(&l, STAGE_MAIL, 100), LIMIT_OVER);
	txn_end(s);
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("2001:db8::ffff");
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("2001:db8:0:1::1");
	assert_false(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("192.0.2.1");
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	assert_int_equal(used("places/distinct clients", "user=alice"), 2);
}

/* What is refused or given up puts nobody on the list. */
static void
test_distinct_given_back(void **state)
{
	struct limit_window w[] = { { LIMIT_CLIENTS, 1, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "places", "user", w, 1);
	client("192.0.2.1");
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	keep(STAGE_MAIL);
	txn_end(s);
	client("192.0.2.2");
	mail("alice");
	assert_int_equal(over(&l, STAGE_MAIL), LIMIT_FREE);
	drop(STAGE_MAIL);
	txn_end(s);
	client("192.0.2.3");
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("192.0.2.1");
	assert_false(sends(&l, STAGE_MAIL, "<a@x.org>"));
}

static void
test_distinct_countries(void **state)
{
	struct limit_window w[] = { { LIMIT_COUNTRIES, 2, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "abroad", "user", w, 1);
	client("192.0.2.0"); /* DE */
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("192.0.2.1"); /* FR */
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("192.0.2.3"); /* IT */
	assert_false(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("192.0.2.2"); /* DE again */
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
	client("192.0.2.200"); /* nobody knows where */
	assert_true(sends(&l, STAGE_MAIL, "<a@x.org>"));
}

/* The null sender is nobody, and counts for none. */
static void
test_distinct_senders(void **state)
{
	static const char *const from[] = { "<>", "<joe@x.org>",
		"<prvs=1234abcdef=joe@x.org>", "<ann@x.org>" };
	struct limit_window w[] = { { LIMIT_SENDERS, 1, HOUR, STR("1h") } };
	struct limit l;

	(void)state;
	make(&l, "faces", "user", w, 1);
	for (size_t i = 0; i < 4; i++) {
		mail("alice");
		envelope_parse(s->txn->arena, str_of(from[i]), &s->txn->sender);
		assert_int_equal(over(&l, STAGE_MAIL),
		    i < 3 ? LIMIT_FREE : LIMIT_OVER);
		keep(STAGE_MAIL);
		message();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_messages_and_recipients),
		T(test_abort_gives_back),
		T(test_at_mail),
		T(test_at_message),
		T(test_recipient_keys_at_message),
		T(test_bytes),
		T(test_connections),
		T(test_rejected_recipients),
		T(test_reload_between),
		T(test_many_recipients),
		T(test_no_store),
		T(test_store_goes_down),
		T(test_blocks),
		T(test_words),
		T(test_share),
		T(test_share_of_rejected),
		T(test_own_maxima),
		T(test_distinct_recipients),
		T(test_distinct_at_message),
		T(test_distinct_clients),
		T(test_distinct_given_back),
		T(test_distinct_countries),
		T(test_distinct_senders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
