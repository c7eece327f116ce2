#include "policy_fixture.h"

#include <pthread.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/psl.h"

static void
say_header(struct world *w, const char *name, const char *value)
{
	assert_true(road_header(w->s, str_of(name), str_of(value)));
}

static void
finish(struct world *w)
{
	road_eoh(w->s);
	road_message(w->s, STR("4QID"), &w->out);
}

/* Removals from the highest number down, then new fields, those for the top
 * at last. */
static void
test_edit_order(void **state)
{
	struct world w = world_begin("on message {\n"
				     "	header \"X-New\" \"{spf}\"\n"
				     "	strip header \"X-Old\"\n"
				     "}\n",
	    "", false);
	const struct edit *e;

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	say_header(&w, "X-Old", " 1");
	say_header(&w, "Authentication-Results", " mx.example; spf=pass");
	say_header(&w, "x-old", " 2");
	say_header(&w, "Authentication-Results", " mx.example; spf=pass");
	say_header(&w, "X-OLD", " 3");
	finish(&w);
	assert_int_equal(w.out.action, ACTION_ACCEPT);
	e = w.out.edits;
	for (unsigned int nth = 3; nth > 0; nth--) {
		assert_int_equal(e->op, EDIT_REMOVE);
		if (str_ieq(e->name, STR("Authentication-Results")))
			e = e->next;
		assert_int_equal(e->op, EDIT_REMOVE);
		assert_true(str_ieq(e->name, STR("X-Old")));
		assert_int_equal(e->nth, nth);
		e = e->next;
		if (str_ieq(e->name, STR("Authentication-Results")))
			e = e->next;
	}
	assert_int_equal(e->op, EDIT_ADD);
	assert_true(str_eq(e->name, STR("X-New")));
	assert_int_equal(e->next->op, EDIT_INSERT);
	assert_true(str_eq(e->next->name, STR("Authentication-Results")));
	assert_null(e->next->next);
	assert_true(str_eq(w.s->txn->queue_id, STR("4QID")));
	world_end(&w);
}

/* A field that a rule puts on top is signed with the others, and named once
 * more, so that none can be added. */
static void
test_sign_inserted(void **state)
{
	char path[32], policy[300];
	const struct edit *e;
	struct world w;

	(void)state;
	write_temp(path,
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MC4CAQAwBQYDK2VwBCIEIMXFRmmMrFzVeJLxAm4ApKxDmh9doJvI+tbMoxNretfD\n"
	    "-----END PRIVATE KEY-----\n");
	snprintf(policy, sizeof(policy),
	    "on message {\n"
	    "	insert header \"To\" \"b@example.net\"\n"
	    "	sign \"example.org\" selector \"s\" key \"%s\"\n"
	    "}\n",
	    path);
	w = world_begin(policy, "", false);
	unlink(path);
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	say_header(&w, "From", " a@example.org");
	finish(&w);
	assert_int_equal(w.out.action, ACTION_ACCEPT);
	e = w.out.edits;
	assert_int_equal(e->op, EDIT_INSERT);
	assert_true(str_eq(e->name, STR("To")));
	e = e->next;
	assert_true(str_eq(e->name, STR("DKIM-Signature")));
	assert_true(str_find(e->value, STR("h=From:From:Subject:To:To;")) > 0);
	assert_null(e->next);
	world_end(&w);
}

/* Fields that are too many to keep may hide a forged result. */
static void
test_too_many_fields(void **state)
{
	struct world w = world_begin("on message {\n"
				     "	tag a if spf = pass\n"
				     "}\n",
	    "", false);
	char name[32];

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	for (int i = 0; i <= HEADER_MAX_COUNT; i++) {
		snprintf(name, sizeof(name), "X-%d", i);
		say_header(&w, name, " x");
	}
	finish(&w);
	assert_int_equal(w.out.action, ACTION_TEMPFAIL);
	assert_int_equal(w.out.reply.code, 451);
	assert_true(w.out.overflow);
	world_end(&w);
}

/* Time that the client takes does not count as waiting. */
static void
test_deadlines(void **state)
{
	struct world w = world_begin("deadline stage 3s\n"
				     "deadline message 5s\n"
				     "on rcpt {\n	tag a\n}\n",
	    "", false);
	int64_t now;

	(void)state;
	clock_fake(1700000000000LL);
	world_connect(&w, "192.0.2.1");
	assert_int_equal(w.s->deadline, clock_mono_ms() + 3000);
	world_mail(&w, "<a@example.org>", NULL);
	assert_int_equal(w.s->txn->deadline, clock_mono_ms() + 5000);
	clock_fake_advance(60000);
	world_rcpt(&w, "<a@example.org>");
	now = clock_mono_ms();
	assert_int_equal(w.s->deadline, now + 3000);
	assert_int_equal(w.s->txn->deadline, now + 5000);
	w.s->txn->waited_ms = 4000;
	world_rcpt(&w, "<b@example.org>");
	assert_int_equal(w.s->txn->deadline, now + 1000);
	w.s->txn->waited_ms = 9000;
	world_rcpt(&w, "<c@example.org>");
	assert_int_equal(w.s->txn->deadline, now);
	clock_fake(-1);
	world_end(&w);
}

static void
test_overflow(void **state)
{
	struct world w = world_begin("on message {\n"
				     "	reject \"no\" if subject = \"no\"\n"
				     "}\n",
	    "", false);
	int64_t before = metric_get(METRIC_OVERFLOWS);

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	world_rcpt(&w, "<b@example.org>");
	while (arena_alloc(w.s->txn->arena, 65536) != NULL)
		;
	world_message(&w, " x");
	assert_int_equal(w.out.action, ACTION_TEMPFAIL);
	assert_int_equal(w.out.reply.code, 451);
	assert_string_equal(w.out.reply.enhanced, "4.3.1");
	assert_true(w.out.overflow);
	assert_int_equal(metric_get(METRIC_OVERFLOWS), before + 1);
	/* The next message is not concerned. */
	world_mail(&w, "<a@example.org>", NULL);
	world_rcpt(&w, "<b@example.org>");
	world_message(&w, " x");
	assert_int_equal(w.out.action, ACTION_ACCEPT);
	world_end(&w);
}

static void
test_metrics(void **state)
{
	struct world w =
	    world_begin("on rcpt {\n	reject if rcpt.domain = "
			"\"no.example\"\n}\n",
		"", false);
	int64_t aborts = metric_get(METRIC_ABORTS);
	int64_t accepts = metric_get(METRIC_ACCEPT);
	int64_t rejects = metric_get(METRIC_REJECT);
	int64_t rcpts = metric_get(METRIC_RECIPIENTS);
	int64_t open = metric_get(METRIC_OPEN);

	(void)state;
	world_connect(&w, "192.0.2.1");
	assert_int_equal(metric_get(METRIC_OPEN), open + 1);
	world_mail(&w, "<a@example.org>", NULL);
	world_rcpt(&w, "<a@no.example>");
	world_rcpt(&w, "<a@yes.example>");
	world_message(&w, " x");
	road_abort(w.s);
	assert_int_equal(metric_get(METRIC_ABORTS), aborts);
	world_mail(&w, "<a@example.org>", NULL);
	road_abort(w.s);
	road_abort(w.s);
	assert_int_equal(metric_get(METRIC_ABORTS), aborts + 1);
	assert_int_equal(metric_get(METRIC_ACCEPT), accepts + 1);
	assert_int_equal(metric_get(METRIC_REJECT), rejects + 1);
	assert_int_equal(metric_get(METRIC_RECIPIENTS), rcpts + 1);
	road_end(&w.s);
	assert_int_equal(metric_get(METRIC_OPEN), open);
	world_end(&w);
}

/* Calls that come at the wrong time do no harm. */
static void
test_out_of_order(void **state)
{
	struct world w = world_begin("", "", false);
	struct session *none = NULL;

	(void)state;
	road_end(&none);
	road_abort(NULL);
	world_connect(&w, "192.0.2.1");
	road_abort(w.s);
	world_rcpt(&w, "<a@example.org>");
	assert_int_equal(w.d.action, ACTION_NONE);
	assert_true(road_header(w.s, STR("A"), STR("b")));
	road_eoh(w.s);
	assert_false(road_body(w.s, "x", 1));
	road_message(w.s, STR_NONE, &w.out);
	assert_int_equal(w.out.action, ACTION_TEMPFAIL);
	world_mail(&w, "<a@example.org>", NULL);
	world_message(&w, " x");
	assert_int_equal(w.out.action, ACTION_ACCEPT);
	world_end(&w);
}

/* The old policy lives as long as a connection that knew it. */
static void
test_policy_swap(void **state)
{
	struct world w =
	    world_begin("on mail {\n	reject \"old\"\n}\n", "", false);
	struct policy *new =
	    policy_of_text("on mail {\n	reject \"new\"\n}\n", false);
	struct road_sender from = { .arg = STR("<a@example.org>") };

	(void)state;
	world_connect(&w, "192.0.2.1");
	assert_int_equal(w.policy->refs, 2);
	road_mail(w.s, new, &from, &w.d);
	assert_true(str_eq(w.d.reply.text, STR("new")));
	assert_int_equal(w.policy->refs, 2);
	assert_int_equal(new->refs, 2);
	road_mail(w.s, new, &from, &w.d);
	assert_int_equal(new->refs, 2);
	road_end(&w.s);
	assert_int_equal(w.policy->refs, 1);
	assert_int_equal(new->refs, 1);
	policy_release(&new);
	world_end(&w);
}

static unsigned int
needs_of(const char *text)
{
	struct policy *policy = policy_of_text(text, false);
	unsigned int needs = road_needs(policy);

	policy_release(&policy);
	return needs;
}

static void
test_needs(void **state)
{
	(void)state;
	assert_int_equal(needs_of("on mail {\n	reject if not user\n}\n"), 0);
	assert_true(needs_of("on mail {\n	reject if spf = fail\n}\n") &
	    NEED_HEADERS);
	assert_true(needs_of("on message {\n	strip header \"X\"\n}\n") &
	    NEED_HEADERS);
	assert_false(needs_of("on message {\n	strip header \"X\"\n}\n") &
	    NEED_CONTENT);
	assert_true(
	    needs_of("on message {\n	reject if dmarc = reject\n}\n") &
	    NEED_DKIM);
	assert_true(needs_of("limit l per client { 1K bytes/1h }\n"
			     "on message {\n	reject if over l\n}\n") &
	    NEED_BODY_SIZE);
	assert_true(needs_of("limit l per client { 3 rejected recipients/1h }\n"
			     "on connect {\n	reject if over l\n}\n") &
	    NEED_RCPT_REJ);
}

/* A body that nobody reads is not asked for. */
static void
test_body_wanted(void **state)
{
	struct world w = world_begin("", "", false);

	(void)state;
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	assert_false(road_body(w.s, "x", 1));
	world_end(&w);
	w = world_begin("on message {\n	reject if size > 10\n}\n", "", false);
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	assert_true(road_body(w.s, "0123456789", 10));
	assert_int_equal(w.s->txn->body.raw.n, 0);
	finish(&w);
	assert_int_equal(w.out.action, ACTION_REJECT);
	world_end(&w);
}

/* As many names as a text has room for: no more than are looked at, and a
 * policy that asks for them can know. */
static void
names_in_text(const char *policy, enum action action)
{
	struct world w = world_begin(policy, "", false);
	char name[64];

	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	world_rcpt(&w, "<b@example.net>");
	road_eoh(w.s);
	for (int i = 0; i < 2500; i++) {
		snprintf(name, sizeof(name), "at name%d.com there\r\n", i);
		road_body(w.s, name, strlen(name));
	}
	road_message(w.s, STR_NONE, &w.out);
	if (w.out.action != action)
		fail_msg("%s", policy);
	world_end(&w);
}

static void
test_many_names(void **state)
{
	(void)state;
	names_in_text("on message {\n	reject if urls.domain = "
		      "\"name1500.com\"\n}\n",
	    ACTION_REJECT);
	names_in_text("on message {\n	reject if urls.domain = "
		      "\"name2400.com\"\n}\n",
	    ACTION_ACCEPT);
	/* The tag is there before the fact is asked, if it is at all. */
	names_in_text("on message {\n	reject if tag html.too-many-links\n"
		      "	tag x if urls.domain = \"y\"\n}\n",
	    ACTION_REJECT);
	names_in_text("on message {\n	reject if tag html.too-many-links\n"
		      "	tag x if urls = \"y\"\n}\n",
	    ACTION_ACCEPT);
}

/* --- many at once ------------------------------------------------------ */

/* How much of the limit alice has used, by the store. */
static uint64_t
charged(struct world *w)
{
	struct store_window window = { .limit = STR("one/messages"),
		.key = STR("user=alice"),
		.window_ms = 3600000,
		.max = 9 };
	struct store_usage usage;

	assert_int_not_equal(store_peek(w->services.store, &window, &usage),
	    STORE_DOWN);
	return usage.used;
}

/* A message at whose end the state can't be written. */
static void
lose_state(const char *fault, enum action action, uint64_t after)
{
	char dir[] = "/tmp/test_road.XXXXXX", moved[40], text[200], rm[80];
	struct buf err = BUF_INIT(1000);
	struct world w;

	snprintf(text, sizeof(text),
	    "on fault %s\n"
	    "limit one per user { 9 messages/1h }\n"
	    "on rcpt {\n\ttempfail if over one\n}\n",
	    fault);
	w = world_begin(text, "", false);
	store_close(&w.services.store);
	assert_non_null(mkdtemp(dir));
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	snprintf(text, sizeof(text), "sqlite:%s/db", dir);
	w.services.store = store_open(str_of(text), &err);
	assert_non_null(w.services.store);
	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", "alice");
	world_rcpt(&w, "<b@example.org>");
	assert_int_equal(w.d.action, ACTION_NONE);
	assert_int_equal(rename(dir, moved), 0);
	finish(&w);
	assert_int_equal(w.out.action, action);
	road_abort(w.s);
	assert_int_equal(charged(&w), after);
	world_end(&w);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "db", "db-wal", "db-shm" };

		snprintf(rm, sizeof(rm), "%s/%s", moved, names[i]);
		unlink(rm);
	}
	assert_int_equal(rmdir(moved), 0);
	buf_free(&err);
}

/* What is sent back for it is not charged, what is accepted is. */
static void
test_state_lost(void **state)
{
	(void)state;
	lose_state("tempfail", ACTION_TEMPFAIL, 0);
	lose_state("accept", ACTION_ACCEPT, 1);
}

#define THREADS	 4
#define MESSAGES 50

static void *
send_messages(void *arg)
{
	struct world w = *(struct world *)arg; /* its own session */

	w.s = NULL;
	for (int i = 0; i < MESSAGES; i++) {
		struct road_client client = { .addr = { ADDR_V4,
						  { 192, 0, 2, 1 } } };

		road_end(&w.s);
		w.s = road_begin(&w.services, w.policy);
		road_connect(w.s, &client, &w.d);
		world_mail(&w, "<a@example.org>", "alice");
		world_rcpt(&w, "<b@example.org>");
		world_message(&w, i % 2 ? " odd" : " even");
	}
	road_end(&w.s);
	return NULL;
}

/* One policy, one store, one resolver, and no message lost. */
static void
test_threads(void **state)
{
	struct world w =
	    world_begin("dnsbl l \"l.example\"\n"
			"table t { alice bob }\n"
			"limit many per user { 100000 messages/1h }\n"
			"on rcpt {\n"
			"	reject \"listed\" if listed l\n"
			"	tempfail \"over\" if user in t and over many\n"
			"	tag spf if spf = pass\n"
			"}\n"
			"on message {\n"
			"	reject \"odd\" if subject ~ /^odd$/\n"
			"	header \"X-A\" \"{spf} {from} {size}\"\n"
			"}\n",
		"example.org TXT \"v=spf1 +all\"\n", false);
	int64_t accepts = metric_get(METRIC_ACCEPT);
	int64_t rejects = metric_get(METRIC_REJECT);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
				     send_messages, &w),
		    0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_get(METRIC_ACCEPT) - accepts,
	    THREADS * MESSAGES / 2);
	assert_int_equal(metric_get(METRIC_REJECT) - rejects,
	    THREADS * MESSAGES / 2);
	assert_int_equal(w.policy->refs, 1);
	assert_int_equal(w.policy->rules[STAGE_MESSAGE]->fired,
	    THREADS * MESSAGES / 2);
	world_end(&w);
}

static int
begin(void **state)
{
	(void)state;
	return psl_global_init() ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	psl_global_free();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit_order),
		cmocka_unit_test(test_sign_inserted),
		cmocka_unit_test(test_too_many_fields),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_policy_swap),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_body_wanted),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_state_lost),
		cmocka_unit_test(test_threads),
	};

	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, begin, end);
}
