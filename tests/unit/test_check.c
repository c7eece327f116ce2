#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "check/check.h"

static void
test_words(void **state)
{
	enum auth_result r = AUTH_NONE;

	(void)state;
	for (int i = 0; i < AUTH_COUNT; i++) {
		const char *word = auth_result_word((enum auth_result)i);

		assert_true(auth_result_parse(str_of(word), &r));
		assert_int_equal(r, i);
	}
	assert_string_equal(auth_result_word(AUTH_TEMPERROR), "temperror");
	assert_true(auth_result_parse(STR("SoftFail"), &r));
	assert_int_equal(r, AUTH_SOFTFAIL);
	assert_false(auth_result_parse(STR("softfai"), &r));
	assert_false(auth_result_parse(STR("pass\0"), &r));
	assert_false(auth_result_parse(STR_NONE, &r));
	assert_int_equal(r, AUTH_SOFTFAIL);
}

static void
test_attach(void **state)
{
	struct services services = { .hostname = STR("mx.example.net") };
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 0);

	(void)state;
	assert_non_null(check_attach_session(s, &services));
	assert_non_null(check_attach_txn(t, &services));
	assert_non_null(s->checks);
	assert_non_null(t->checks);
	assert_ptr_not_equal(s->checks, t->checks);
	assert_ptr_equal(t->checks->services, &services);
	assert_null(t->checks->spf);
	while (arena_alloc(s->arena, 16) != NULL)
		;
	assert_null(check_attach_session(s, &services));
	session_free(&s);
}

static void
test_deadline(void **state)
{
	struct session *s = session_new();

	(void)state;
	clock_fake(5000000);
	assert_int_equal(check_deadline(s), clock_mono_ms() + CHECK_WAIT_MS);
	s->deadline = 700;
	assert_int_equal(check_deadline(s), 700);
	txn_begin(s, 0);
	assert_int_equal(check_deadline(s), 700);
	s->txn->deadline = 600;
	assert_int_equal(check_deadline(s), 600);
	s->txn->deadline = 800;
	assert_int_equal(check_deadline(s), 700);
	s->deadline = 0;
	assert_int_equal(check_deadline(s), 800);
	session_free(&s);
	clock_fake(-1);
}

/* A lookup not released would make resolver_free() leak it: ASAN tells. */
static void
test_keep_lookup(void **state)
{
	char path[] = "/tmp/test_check.XXXXXX", spec[64];
	struct buf err = BUF_INIT(100);
	struct arena *a = arena_new(4096);
	struct resolver *r;
	struct lookup *l;

	(void)state;
	close(mkstemp(path));
	snprintf(spec, sizeof(spec), "file:%s", path);
	r = resolver_new(str_of(spec), &err);
	unlink(path);
	assert_non_null(r);
	l = resolver_start(r, STR("a.example"), DNS_A);
	assert_true(check_keep_lookup(a, l));
	assert_int_equal(lookup_wait(l, 0)->status, DNS_NXDOMAIN);
	while (arena_alloc(a, 1) != NULL)
		;
	l = resolver_start(r, STR("b.example"), DNS_A);
	assert_false(check_keep_lookup(a, l));
	arena_free(&a);
	resolver_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_keep_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
