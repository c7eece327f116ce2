#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/stage.h"

static void
test_words(void **state)
{
	enum stage stage;

	(void)state;
	assert_string_equal(stage_word(STAGE_CONNECT), "connect");
	assert_string_equal(stage_word(STAGE_MESSAGE), "message");
	for (int i = 0; i < STAGE_COUNT; i++) {
		stage = STAGE_COUNT;
		assert_true(stage_parse(str_of(stage_word(i)), &stage));
		assert_int_equal(stage, i);
	}
}

static void
test_other_words(void **state)
{
	enum stage stage = STAGE_COUNT;

	(void)state;
	assert_false(stage_parse(STR("Rcpt"), &stage));
	assert_false(stage_parse(STR("rcp"), &stage));
	assert_false(stage_parse(STR("rcpt\0"), &stage));
	assert_false(stage_parse(STR_NONE, &stage));
	assert_int_equal(stage, STAGE_COUNT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_other_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
