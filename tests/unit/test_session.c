#include "mail/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static void
count(void *arg)
{
	++*(int *)arg;
}

static void
test_lifetimes(void **state)
{
	struct session *s = session_new(), *other = session_new();
	int session_gone = 0, txn_gone = 0;
	struct txn *t;

	(void)state;
	assert_true(other->id > s->id);
	assert_true(s->id > 0);
	assert_ptr_equal(session_arena(s), s->arena);
	assert_ptr_equal(session_verdict(s), &s->verdict);
	assert_true(arena_cleanup(s->arena, count, &session_gone));
	t = txn_begin(s, 100);
	assert_ptr_equal(t->session, s);
	assert_ptr_equal(session_arena(s), t->arena);
	assert_ptr_equal(session_verdict(s), &t->verdict);
	assert_true(arena_cleanup(t->arena, count, &txn_gone));
	body_add(&t->body, "x", 1);
	/* a new MAIL ends the message before it */
	t = txn_begin(s, 100);
	assert_int_equal(txn_gone, 1);
	assert_int_equal(t->body.size, 0);
	assert_true(arena_cleanup(t->arena, count, &txn_gone));
	txn_end(s);
	txn_end(s);
	assert_int_equal(txn_gone, 2);
	assert_null(s->txn);
	t = txn_begin(s, 100);
	body_add(&t->body, "x", 1);
	assert_true(arena_cleanup(t->arena, count, &txn_gone));
	assert_int_equal(session_gone, 0);
	session_free(&s);
	assert_null(s);
	assert_int_equal(txn_gone, 3);
	assert_int_equal(session_gone, 1);
	session_free(&s);
	session_free(&other);
}

/* Cleanups see the message whole. */
static void
look(void *arg)
{
	struct txn *t = arg;

	assert_ptr_equal(t->session->txn, t);
	assert_int_equal(t->body.raw.n, 1);
	assert_str(t->sender.text, "a@b");
}

static void
test_cleanup_order(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 10);

	(void)state;
	body_add(&t->body, "x", 1);
	assert_true(envelope_parse(t->arena, STR("<a@b>"), &t->sender));
	assert_true(arena_cleanup(t->arena, look, t));
	session_free(&s);
}

static void
test_inherited(void **state)
{
	struct session *s = session_new();
	struct txn *t;

	(void)state;
	assert_true(verdict_tag(s->arena, &s->verdict, STR("seen")));
	s->verdict.score = 1;
	t = txn_begin(s, 100);
	assert_true(verdict_has_tag(&t->verdict, STR("seen")));
	assert_true(verdict_tag(t->arena, &t->verdict, STR("more")));
	t->verdict.score += 1;
	t = txn_begin(s, 100);
	assert_true(verdict_has_tag(&t->verdict, STR("seen")));
	assert_false(verdict_has_tag(&t->verdict, STR("more")));
	assert_true(t->verdict.score == 1);
	session_free(&s);
}

static void
test_rcpts(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 100);
	struct rcpt *one = txn_add_rcpt(t, STR("<a@x.org>"));
	struct rcpt *two = txn_add_rcpt(t, STR("<b@x.org>"));

	(void)state;
	assert_ptr_equal(t->rcpts, one);
	assert_ptr_equal(one->next, two);
	assert_ptr_equal(t->rcpt, two);
	assert_str(two->addr.text, "b@x.org");
	assert_int_equal(two->action, ACTION_NONE);
	t->rcpt = one;
	assert_non_null(txn_add_rcpt(t, STR("<c@x.org>")));
	assert_str(two->next->addr.text, "c@x.org");
	t->rcpt = NULL;
	assert_non_null(txn_add_rcpt(t, STR("<d@x.org>")));
	assert_str(two->next->next->addr.text, "d@x.org");
	/* refused when the arena is full, and that is remembered */
	while (txn_add_rcpt(t, STR("<a-rather-long-name-that-fills@x.org>")))
		if (arena_used(t->arena) > (size_t)TXN_ARENA_CAP + 1)
			fail();
	assert_true(arena_overflowed(t->arena));
	session_free(&s);
}

static void
test_size(void **state)
{
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 2);

	(void)state;
	assert_true(header_add(t->arena, &t->headers, STR("A"), STR(" b")));
	body_add(&t->body, "abcd", 4);
	/* "A: b" CRLF CRLF "abcd", though but two bytes were kept */
	assert_int_equal(txn_size(t), 6 + 2 + 4);
	session_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_cleanup_order),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_rcpts),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
