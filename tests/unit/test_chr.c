/* Every kind against what C's own functions say in the locale "C". */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/chr.h"

static void
test_kinds(void **state)
{
	(void)state;
	for (int c = 0; c < 128; c++) {
		assert_int_equal(chr_digit(c), isdigit(c) != 0);
		assert_int_equal(chr_alpha(c), isalpha(c) != 0);
		assert_int_equal(chr_alnum(c), isalnum(c) != 0);
		assert_int_equal(chr_word(c), isalnum(c) != 0 || c == '_');
		assert_int_equal(chr_white(c), isspace(c) != 0);
		assert_int_equal(chr_space(c),
		    c != 0 && strchr(" \t\r\n", c) != NULL);
		assert_int_equal(chr_lower(c), tolower(c));
	}
}

/* No byte of another character set, and no number beyond one. */
static void
test_nothing_else(void **state)
{
	static const int others[] = { 0x80, 0xa0, 0xe9, 0xff, 0x100, 0x120,
		0x141, INT32_MAX, -1, -0x5f, INT32_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(chr_is(others[i], ~0U));
		assert_int_equal(chr_lower(others[i]), others[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
