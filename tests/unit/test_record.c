#include <string.h>

#include "policy/record.h"
#include "base/addr.h"
#include "policy_fixture.h"
#include "service/history.h"

static bool
keep(void *arg, const struct history_record *r)
{
	struct buf *out = arg;

	buf_addstr(out, r->text);
	return true;
}

/* One field of the first line of a kind that begins so; NULL: none. */
static bool
line_of(struct str text, char kind, const char *first, struct record_line *l,
    struct buf *room)
{
	while (record_next(&text, l, room))
		if (l->kind == kind &&
		    (first == NULL || str_eq(l->fields[0], str_of(first))))
			return true;
	return false;
}

static struct str
record_of(struct world *w, struct buf *text)
{
	struct history_query q = { .max = 1 };
	struct buf err = BUF_INIT(1000);

	q.queue_id = STR("4XqREC");
	assert_true(history_find(w->services.history, &q, keep, text, &err));
	return buf_str(text);
}

static void
test_record(void **state)
{
	struct world w;
	struct buf text = BUF_INIT(1 << 20), room = BUF_INIT(1 << 20);
	struct buf err = BUF_INIT(1000);
	struct record_line l;
	struct road_sender from = { .arg = STR("<a\\\t@x>"),
		.user = STR("b\nc"),
		.queue_id = STR("4XqREC") };
	struct road_client client = { .name = STR("n") };
	struct str record;

	(void)state;
	w = world_begin("on rcpt {\n\treject \"550 5.7.1 no\" if rcpt = "
			"\"r@x\"\n}\n",
	    "", false);
	w.services.history = history_open(NULL, 1000000000, 1 << 20, &err);
	w.s = road_begin(&w.services, w.policy);
	addr_parse(STR("192.0.2.9"), &client.addr);
	road_connect(w.s, &client, &w.d);
	road_mail(w.s, NULL, &from, &w.d);
	road_rcpt(w.s, STR("<r@x>"), false, &w.d);
	road_rcpt(w.s, STR("<s@x>"), false, &w.d);
	road_rcpt(w.s, STR("<t@x>"), true, &w.d);
	road_message(w.s, STR_NONE, &w.out);
	record = record_of(&w, &text);
	assert_true(line_of(record, 'I', "verdict", &l, &room));
	assert_true(str_eq(l.fields[1], STR("accept")));
	assert_true(line_of(record, 'I', "client", &l, &room));
	assert_true(str_eq(l.fields[1], STR("192.0.2.9")));
	assert_true(line_of(record, 'I', "user", &l, &room));
	assert_true(str_eq(l.fields[1], STR("b\nc")));
	assert_true(line_of(record, 'I', "from", &l, &room));
	assert_true(str_eq(l.fields[1], STR("a\\\t@x")));
	assert_true(line_of(record, 'T', "r@x", &l, &room));
	assert_true(str_eq(l.fields[1], STR("reject")));
	assert_true(line_of(record, 'T', "s@x", &l, &room));
	assert_true(str_eq(l.fields[1], STR("accept")));
	assert_true(line_of(record, 'T', "t@x", &l, &room));
	assert_true(str_eq(l.fields[1], STR("refused by the MTA")));
	assert_true(line_of(record, 'R', NULL, &l, &room));
	assert_true(str_eq(l.fields[1], STR("rcpt")));
	assert_true(str_eq(l.fields[2], STR("yes")));
	assert_true(str_eq(l.fields[5], STR("550 5.7.1 no")));
	assert_true(line_of(record, 'F', "rcpt", &l, &room));
	assert_true(str_eq(l.fields[1], STR("r@x")));
	assert_false(line_of(record, 'N', NULL, &l, &room));
	road_end(&w.s);
	history_close(&w.services.history);
	world_end(&w);
	buf_free(&text);
	buf_free(&room);
}

/* --- what was refused before it was a message --------------------------- */

static bool
keep_all(void *arg, const struct history_record *r)
{
	buf_printf(arg, "%.*s|%.*s|%.*s|%llu\n", STR_FMT(r->queue_id),
	    STR_FMT(r->sender), STR_FMT(r->rcpts),
	    (unsigned long long)r->times);
	return true;
}

static void
expect_all(struct world *w, const char *client, const char *found)
{
	struct history_query q = { .max = 10 };
	struct buf out = BUF_INIT(1 << 20), err = BUF_INIT(1000);
	const char *why;

	assert_true(addr_net_parse(str_of(client), &q.client, &why));
	assert_true(
	    history_find(w->services.history, &q, keep_all, &out, &err));
	assert_string_equal(out.n > 0 ? out.p : "", found);
	buf_free(&out);
}

#define REFUSING                                            \
	"on connect {\n\treject if client = 192.0.2.1\n}\n" \
	"on helo {\n\ttempfail \"450 4.7.1 {helo}\" if "    \
	"helo = \"bad\"\n}\n"                               \
	"on mail {\n\treject if sender = \"bad@x\"\n}\n"    \
	"on rcpt {\n\treject \"550 5.1.1 no\" if rcpt = "   \
	"\"none@x\"\n}\n"

static struct world
refusing_world(bool shadow)
{
	struct buf err = BUF_INIT(1000);
	struct world w = world_begin(REFUSING, "", shadow);

	w.services.history = history_open(NULL, 1000000000, 1 << 20, &err);
	assert_non_null(w.services.history);
	return w;
}

static void
refusing_end(struct world *w)
{
	road_end(&w->s);
	history_close(&w->services.history);
	world_end(w);
}

static void
test_connection(void **state)
{
	struct world w = refusing_world(false);
	struct buf text = BUF_INIT(1 << 20), room = BUF_INIT(1 << 20);
	struct history_query q = { .max = 1 };
	struct buf err = BUF_INIT(1000);
	struct record_line l;
	struct str record;
	const char *why;

	(void)state;
	world_connect(&w, "192.0.2.1");
	expect_all(&w, "192.0.2.1", "|||1\n");
	/* Whoever goes on is not counted twice. */
	road_helo(w.s, STR("ok"), &w.d);
	expect_all(&w, "192.0.2.1", "|||1\n");
	world_mail(&w, "<Some@x>", "");
	assert_int_equal(w.d.action, ACTION_REJECT);
	world_connect(&w, "192.0.2.1");
	expect_all(&w, "192.0.2.0/24", "|||2\n");

	world_connect(&w, "192.0.2.2");
	expect_all(&w, "192.0.2.2", "");
	road_helo(w.s, STR("bad"), &w.d);
	addr_net_parse(STR("192.0.2.2"), &q.client, &why);
	assert_true(history_find(w.services.history, &q, keep, &text, &err));
	record = buf_str(&text);
	assert_true(line_of(record, 'I', "client", &l, &room));
	assert_true(str_eq(l.fields[1], STR("192.0.2.2")));
	assert_true(line_of(record, 'I', "client_name", &l, &room));
	assert_true(str_eq(l.fields[1], STR("mail.example.org")));
	assert_true(line_of(record, 'I', "helo", &l, &room));
	assert_true(str_eq(l.fields[1], STR("bad")));
	assert_true(line_of(record, 'I', "verdict", &l, &room));
	assert_true(str_eq(l.fields[1], STR("tempfail")));
	assert_true(line_of(record, 'I', "stage", &l, &room));
	assert_true(str_eq(l.fields[1], STR("helo")));
	assert_true(line_of(record, 'I', "reply", &l, &room));
	assert_true(str_eq(l.fields[1], STR("450 4.7.1 bad")));
	assert_true(line_of(record, 'I', "rule", &l, &room));
	assert_true(str_iends(l.fields[1], STR(":5")));
	assert_false(line_of(record, 'I', "from", &l, &room));
	assert_true(line_of(record, 'R', NULL, &l, &room));
	assert_true(str_eq(l.fields[1], STR("connect")));
	buf_free(&text);
	buf_free(&room);
	refusing_end(&w);
}

/* No message came about: the same again is one row, another is another. */
static void
test_given_up(void **state)
{
	struct world w = refusing_world(false);

	(void)state;
	for (int i = 0; i < 3; i++) {
		world_connect(&w, "192.0.2.3");
		world_mail(&w, i < 2 ? "<a@x>" : "<b@x>", "");
		world_rcpt(&w, "<none@x>");
	}
	world_mail(&w, "<bad@x>", "");
	world_mail(&w, "<>", "");
	world_rcpt(&w, "<none@x>");
	world_rcpt(&w, "<r@x>");
	road_abort(w.s);
	/* Nothing was refused here. */
	world_mail(&w, "<c@x>", "");
	world_rcpt(&w, "<r@x>");
	road_abort(w.s);
	expect_all(&w, "192.0.2.3",
	    "|<>| none@x r@x |1\n"
	    "|bad@x| |1\n"
	    "|b@x| none@x |1\n"
	    "|a@x| none@x |2\n");
	refusing_end(&w);
}

/* What is only judged was not refused. */
static void
test_shadow(void **state)
{
	struct world w = refusing_world(true);

	(void)state;
	world_connect(&w, "192.0.2.1");
	road_helo(w.s, STR("bad"), &w.d);
	world_mail(&w, "<bad@x>", "");
	world_rcpt(&w, "<none@x>");
	road_abort(w.s);
	expect_all(&w, "192.0.2.1", "");
	refusing_end(&w);
}

/* However many recipients: whole lines, within the size, the rest counted. */
static void
test_much(void **state)
{
	struct world w;
	struct buf text = BUF_INIT(1 << 20), room = BUF_INIT(1 << 20);
	struct buf err = BUF_INIT(1000);
	struct record_line l;
	struct road_sender from = { .arg = STR("<a@x>"),
		.queue_id = STR("4XqREC") };
	struct str record;
	char name[200];
	uint64_t left;

	(void)state;
	w = world_begin("on rcpt {\n\ttag x if rcpt = \"none@x\"\n}\n", "",
	    false);
	w.services.history = history_open(NULL, 1000000000, 1 << 20, &err);
	w.s = road_begin(&w.services, w.policy);
	road_mail(w.s, NULL, &from, &w.d);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "<%d-%0100d@x>", i, 0);
		road_rcpt(w.s, str_of(name), false, &w.d);
	}
	road_message(w.s, STR_NONE, &w.out);
	record = record_of(&w, &text);
	assert_in_range(record.n, 1, HISTORY_RECORD_MAX);
	assert_int_equal(record.p[record.n - 1], '\n');
	assert_true(line_of(record, 'N', NULL, &l, &room));
	assert_true(str_u64(l.fields[0], &left) && left > 100);
	road_end(&w.s);
	history_close(&w.services.history);
	world_end(&w);
	buf_free(&text);
	buf_free(&room);
}

/* A record of another version, or of nobody's. */
static void
test_reading(void **state)
{
	struct str text =
	    STR("\nX\n\t\tI\nR\\\nI\ta\\tb\\\\\\n\\\tz\t1\t2\t3\t4"
		"\t5\t6\t7\t8\nF");
	struct buf room = BUF_INIT(4096);
	struct record_line l;
	int n = 0;

	(void)state;
	while (record_next(&text, &l, &room)) {
		if (l.kind == 'I' && l.fields[0].n > 0) {
			assert_true(str_eq(l.fields[0], STR("a\tb\\\n\\")));
			assert_true(str_eq(l.fields[6], STR("5")));
		}
		assert_true(++n < 10);
	}
	assert_int_equal(n, 6);
	buf_free(&room);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
