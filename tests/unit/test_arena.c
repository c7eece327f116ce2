#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static char order[16];
static size_t order_n;

static void
note(void *obj)
{
	order[order_n++] = *(char *)obj;
	order[order_n] = '\0';
}

static void
test_zeroed_and_aligned(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	unsigned char *p;

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		p = arena_alloc(a, n);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

/* Small and large requests mixed: none may lie over another. */
static void
test_no_overlap(void **state)
{
	static const size_t sizes[] = { 1, 3000, 17, 5000, 64, 70000, 900 };
	struct arena *a = arena_new(16 * 1024 * 1024);
	unsigned char *p[200];
	size_t n;

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		n = sizes[i % 7];
		p[i] = arena_alloc(a, n);
		assert_non_null(p[i]);
		memset(p[i], (int)i, n);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t j = 0; j < sizes[i % 7]; j++)
			assert_int_equal(p[i][j], i);
	}
	arena_free(&a);
}

static void
test_cap(void **state)
{
	struct arena *a = arena_new(10000);
	unsigned int n = 0;

	(void)state;
	assert_false(arena_overflowed(a));
	while (arena_alloc(a, 100) != NULL)
		n++;
	assert_in_range(n, 80, 100);
	assert_true(arena_used(a) <= 10000);
	assert_true(arena_overflowed(a));
	arena_reset(a);
	assert_false(arena_overflowed(a));
	assert_int_equal(arena_used(a), 0);
	assert_null(arena_alloc(a, 10001));
	assert_true(arena_overflowed(a));
	/* Sticky, though what still fits is given. */
	assert_non_null(arena_alloc(a, 10));
	assert_true(arena_overflowed(a));
	arena_free(&a);
}

static void
test_absurd_sizes(void **state)
{
	struct arena *a = arena_new(SIZE_MAX);
	struct arena *small = arena_new(64);
	struct str huge = { "x", SIZE_MAX };

	(void)state;
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 8));
	assert_null(arena_str(a, huge).p);
	assert_null(arena_alloc(small, SIZE_MAX));
	assert_true(arena_overflowed(a));
	assert_true(arena_overflowed(small));
	arena_free(&a);
	arena_free(&small);
}

static void
test_copies(void **state)
{
	struct arena *a = arena_new(1000);
	char text[] = "a\0b";
	struct str s = arena_str(a, (struct str){ text, 3 });
	char *c = arena_strdup(a, "hello");

	(void)state;
	text[0] = 'z';
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.p, "a\0b\0", 4);
	assert_string_equal(c, "hello");
	s = arena_str(a, STR_NONE);
	assert_non_null(s.p);
	assert_int_equal(s.n, 0);
	s = arena_printf(a, "%s-%05d", c, 42);
	assert_true(str_eq(s, STR("hello-00042")));
	assert_int_equal(s.p[s.n], '\0');
	s = arena_join(a, STR("a\0"), STR_NONE, STR("bc"));
	assert_int_equal(s.n, 4);
	assert_memory_equal(s.p, "a\0bc\0", 6);
	assert_int_equal(arena_join(a, STR_NONE, STR_NONE, STR_NONE).n, 0);
	arena_free(&a);
}

static void
test_copies_when_full(void **state)
{
	struct arena *a = arena_new(32);

	(void)state;
	assert_null(arena_printf(a, "%100d", 1).p);
	assert_null(arena_join(a, STR("0123456789"), STR("0123456789"),
	    STR("0123456789012345"))
			.p);
	assert_null(arena_strdup(a, "0123456789012345678901234567890123"));
	assert_int_equal(arena_str(a, STR("01234567890123456789012345678901"))
			     .n,
	    0);
	assert_true(arena_overflowed(a));
	arena_free(&a);
}

static void
test_cleanup_order(void **state)
{
	struct arena *a = arena_new(1000);

	(void)state;
	order_n = 0;
	assert_true(arena_cleanup(a, note, arena_strdup(a, "1")));
	assert_true(arena_cleanup(a, note, arena_strdup(a, "2")));
	assert_true(arena_cleanup(a, note, arena_strdup(a, "3")));
	assert_int_equal(order_n, 0);
	arena_reset(a);
	assert_string_equal(order, "321");
	arena_reset(a);
	assert_string_equal(order, "321");
	assert_true(arena_cleanup(a, note, arena_strdup(a, "4")));
	arena_free(&a);
	assert_string_equal(order, "3214");
}

static void
test_cleanup_when_full(void **state)
{
	struct arena *a = arena_new(8);
	char x[] = "x";

	(void)state;
	order_n = 0;
	assert_false(arena_cleanup(a, note, x));
	assert_string_equal(order, "x");
	arena_free(&a);
	assert_string_equal(order, "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_no_overlap),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_absurd_sizes),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_copies_when_full),
		cmocka_unit_test(test_cleanup_order),
		cmocka_unit_test(test_cleanup_when_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
