#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"

#define MANY 5000

static int numbers[MANY];
static int freed;

static void
count_free(void *value)
{
	(void)value;
	freed++;
}

static struct str
key_of(int i, char text[16])
{
	snprintf(text, 16, "Key-%d", i);
	return str_of(text);
}

static struct map *
filled(bool fold)
{
	struct map *m = map_new(fold);
	char text[16];

	for (int i = 0; i < MANY; i++)
		assert_null(map_put(m, key_of(i, text), &numbers[i]));
	return m;
}

static void
test_put_get(void **state)
{
	struct map *m = filled(false);
	char text[16];

	(void)state;
	assert_int_equal(map_count(m), MANY);
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(m, key_of(i, text)), &numbers[i]);
	assert_null(map_get(m, key_of(MANY, text)));
	assert_null(map_get(m, STR("key-1")));
	assert_ptr_equal(map_put(m, STR("Key-1"), &numbers[2]), &numbers[1]);
	assert_ptr_equal(map_get(m, STR("Key-1")), &numbers[2]);
	assert_int_equal(map_count(m), MANY);
	map_free(&m, NULL);
	assert_null(m);
	map_free(&m, NULL);
}

static void
test_fold(void **state)
{
	struct map *m = filled(true);

	(void)state;
	assert_ptr_equal(map_get(m, STR("kEY-77")), &numbers[77]);
	assert_ptr_equal(map_put(m, STR("KEY-77"), &numbers[0]), &numbers[77]);
	assert_int_equal(map_count(m), MANY);
	assert_ptr_equal(map_del(m, STR("key-77")), &numbers[0]);
	assert_null(map_get(m, STR("Key-77")));
	map_free(&m, NULL);
}

static void
test_odd_keys(void **state)
{
	struct map *m = map_new(false);
	char a[] = "a";

	(void)state;
	assert_null(map_get(m, STR("")));
	assert_null(map_del(m, STR("")));
	map_put(m, STR_NONE, &numbers[0]);
	map_put(m, STR("\0"), &numbers[1]);
	map_put(m, STR("\0\0"), &numbers[2]);
	map_put(m, str_of(a), &numbers[3]);
	a[0] = 'b';	/* the map has a copy */
	assert_ptr_equal(map_get(m, STR("")), &numbers[0]);
	assert_ptr_equal(map_get(m, STR("\0")), &numbers[1]);
	assert_ptr_equal(map_get(m, STR("\0\0")), &numbers[2]);
	assert_ptr_equal(map_get(m, STR("a")), &numbers[3]);
	map_free(&m, NULL);
}

/* Coming and going for long must neither lose keys nor fill the table. */
static void
test_churn(void **state)
{
	struct map *m = map_new(false);
	char text[16];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		assert_null(map_put(m, key_of(i, text), &numbers[i % MANY]));
		if (i >= 10)
			assert_ptr_equal(map_del(m, key_of(i - 10, text)),
			    &numbers[(i - 10) % MANY]);
	}
	assert_int_equal(map_count(m), 10);
	for (int i = 99990; i < 100000; i++)
		assert_ptr_equal(map_get(m, key_of(i, text)),
		    &numbers[i % MANY]);
	map_free(&m, NULL);
}

static void
test_next_with_deletion(void **state)
{
	struct map *m = filled(false);
	struct map_iter it = { 0 };
	char seen[MANY] = { 0 };
	struct str key;
	void *value;
	int n = 0;

	(void)state;
	while (map_next(m, &it, &key, &value)) {
		int i = (int)((int *)value - numbers);
		char text[16];

		assert_true(str_eq(key, key_of(i, text)));
		assert_int_equal(seen[i]++, 0);
		n++;
		if (i % 2 == 0)
			assert_ptr_equal(map_del(m, key), value);
	}
	assert_int_equal(n, MANY);
	assert_int_equal(map_count(m), MANY / 2);
	it = (struct map_iter){ 0 };
	for (n = 0; map_next(m, &it, NULL, NULL);)
		n++;
	assert_int_equal(n, MANY / 2);
	freed = 0;
	map_free(&m, count_free);
	assert_int_equal(freed, MANY / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_odd_keys),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_next_with_deletion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
