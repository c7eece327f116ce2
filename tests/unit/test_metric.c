#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/metric.h"

static void *
count_much(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		metric_inc(METRIC_MESSAGES);
		metric_add(METRIC_OPEN, i % 2 == 0 ? 5 : -5);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	int64_t before = metric_get(METRIC_MESSAGES);
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, count_much, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(metric_get(METRIC_MESSAGES) - before, 80000);
	assert_int_equal(metric_get(METRIC_OPEN), 0);
}

static void
test_names(void **state)
{
	static const char name_chars[] =
	    "abcdefghijklmnopqrstuvwxyz_0123456789";

	(void)state;
	assert_string_equal(metric_name(METRIC_OPEN), "connections_open");
	for (int i = 0; i < METRIC_COUNT; i++) {
		assert_int_equal(strspn(metric_name(i), name_chars),
		    strlen(metric_name(i)));
		assert_null(strpbrk(metric_help(i), "\n\\"));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(metric_name(i), metric_name(j));
	}
}

static void
test_prometheus(void **state)
{
	struct buf b = BUF_INIT(100000);
	unsigned int lines = 0;

	(void)state;
	metric_add(METRIC_REJECT, 42 - metric_get(METRIC_REJECT));
	metric_prometheus(&b);
	assert_non_null(strstr(b.p,
	    "\n# HELP postern_verdict_reject replies of permanent refusal, "
	    "any stage\n# TYPE postern_verdict_reject counter\n"
	    "postern_verdict_reject 42\n"));
	assert_non_null(
	    strstr(b.p, "\n# TYPE postern_connections_open gauge\n"));
	assert_int_equal(b.p[b.n - 1], '\n');
	for (size_t i = 0; i < b.n; i++)
		lines += b.p[i] == '\n';
	assert_int_equal(lines, 3 * METRIC_COUNT);
	buf_free(&b);
}

static void
test_json(void **state)
{
	struct buf b = BUF_INIT(100000);
	unsigned int commas = 0;

	(void)state;
	metric_add(METRIC_CONNECTIONS, 7 - metric_get(METRIC_CONNECTIONS));
	metric_json(&b);
	assert_true(str_starts(buf_str(&b), STR("{\"connections\":7,\"")));
	assert_int_equal(b.p[b.n - 1], '}');
	for (size_t i = 0; i < b.n; i++)
		commas += b.p[i] == ',';
	assert_int_equal(commas, METRIC_COUNT - 1);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_prometheus),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
