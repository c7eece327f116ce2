#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "service/history_zip.h"

static struct history_zip *zip;

/* Packs and unpacks; the packed size. */
static size_t
there_and_back(struct str s)
{
	struct str p = history_zip_pack(zip, s);
	char *back = mem_alloc(s.n + 2);

	assert_non_null(p.p);
	assert_true(history_zip_unpack(zip, p, back, s.n));
	assert_memory_equal(back, s.n > 0 ? s.p : "", s.n);
	/* The size has to be right, and nothing may be missing. */
	assert_false(history_zip_unpack(zip, p, back, s.n + 1));
	if (s.n > 0)
		assert_false(history_zip_unpack(zip, p, back, s.n - 1));
	assert_false(
	    history_zip_unpack(zip, str_sub(p, 0, p.n - 1), back, s.n));
	free(back);
	return p.n;
}

static void
test_short(void **state)
{
	static const char text[] = "abcabcabcabcabcd";

	(void)state;
	there_and_back(STR_NONE);
	for (size_t n = 1; n < sizeof(text); n++)
		there_and_back((struct str){ text, n });
}

static void
test_record(void **state)
{
	struct str s =
	    STR("I\tclient\t192.0.2.1\nI\tclient_name\tclient.test\n"
		"I\thelo\tclient.test\nI\tfrom\tann@example.org\n"
		"I\tverdict\taccept\nI\tstage\tmessage\nI\tspf\tpass\n"
		"I\tdkim\tpass\nI\tdmarc\tpass\nI\tscore\t-0.2\n"
		"H\tDKIM_SIGNED\t0.100\nH\tDKIM_VALID\t-0.100\n"
		"T\tbob@example.net\taccept\t\n");

	(void)state;
	assert_in_range(there_and_back(s), 1, s.n / 2);
}

/* Noise, and the same again and again. */
static void
test_worst(void **state)
{
	size_t max = 64 * 1024;
	char *text = malloc(max);
	uint64_t seed = 88172645463325252;

	(void)state;
	for (size_t i = 0; i < max; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		text[i] = (char)(0x90 | (seed >> 32 & 0x6f));
	}
	there_and_back((struct str){ text, max });
	memset(text, 'a', max);
	assert_in_range(there_and_back((struct str){ text, max }), 1, 1000);
	free(text);
}

/* Packed with the dictionary there is: with another one it could not be read,
 * nor changed, nor what is no frame. */
static void
test_dictionary_stays(void **state)
{
	unsigned char packed[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x25, 0x5d,
		0x00, 0x00, 0x20, 0x73, 0x74, 0x61, 0x79, 0x01, 0x00, 0xf8,
		0x46, 0x01, 0x04, 0xa5, 0xa8, 0x4c, 0x68 };
	struct str text = STR("I\tverdict\taccept\nI\tstage\tmessage\nstay");
	struct str p = { (char *)packed, sizeof(packed) };
	char back[100];

	(void)state;
	assert_true(history_zip_unpack(zip, p, back, text.n));
	assert_memory_equal(back, text.p, text.n);
	packed[11] ^= 1;
	assert_false(history_zip_unpack(zip, p, back, text.n));
	assert_false(history_zip_unpack(zip, STR("no frame"), back, 4));
	assert_false(history_zip_unpack(zip, STR_NONE, back, 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_worst),
		cmocka_unit_test(test_dictionary_stays),
	};

	int failed;

	zip = history_zip_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	history_zip_free(&zip);
	assert(zip == NULL);
	return failed;
}
