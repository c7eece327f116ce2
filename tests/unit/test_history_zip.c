#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "service/history_zip.h"

/* Packs and unpacks; the packed size. */
static size_t
there_and_back(struct str s)
{
	size_t room = HISTORY_ZIP_ROOM(s.n);
	unsigned char *packed = mem_resize(NULL, room);
	char *back = mem_alloc(s.n + 2);
	size_t n = history_zip(s, packed);
	struct str p = { (char *)packed, n };

	assert_true(n <= room);
	assert_true(history_unzip(p, back, s.n));
	assert_memory_equal(back, s.n > 0 ? s.p : "", s.n);
	/* The size has to be right, and nothing may be missing. */
	assert_false(history_unzip(p, back, s.n + 1));
	if (s.n > 0)
		assert_false(history_unzip(p, back, s.n - 1));
	assert_false(history_unzip(str_sub(p, 0, n - 1), back, s.n));
	free(back);
	free(packed);
	return n;
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

/* Every length of a match, at distances of all sizes. */
static void
test_matches(void **state)
{
	static const size_t distances[] = { 4, 5, 7, 64, 1000, 4097, 30000,
		32768, 32769, 50000 };
	size_t max = 60000;
	char *text = malloc(max);
	unsigned int seed = 1;

	(void)state;
	for (size_t i = 0; i < max; i++) {
		seed = seed * 1103515245 + 12345;
		text[i] = (char)(seed >> 16);
	}
	for (size_t d = 0; d < sizeof(distances) / sizeof(distances[0]); d++)
		for (size_t n = 3; n < 600; n += n < 300 ? 1 : 37) {
			size_t end = distances[d] + n;
			char *copy = mem_alloc(end + 1);

			memcpy(copy, text, distances[d]);
			for (size_t i = 0; i < n; i++)
				copy[distances[d] + i] = copy[i];
			if (end < 2000 || n % 29 == 0)
				there_and_back((struct str){ copy, end });
			free(copy);
		}
	free(text);
}

/* No byte costs more than nine bits. */
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

/* As former versions wrote them. */
static void
test_former(void **state)
{
	struct str s = STR("verdict verdict verdict");
	unsigned char packed[100];
	uLongf n = sizeof(packed);
	char back[100];

	(void)state;
	assert_int_equal(compress(packed, &n, (const Bytef *)s.p, s.n), Z_OK);
	assert_true(
	    history_unzip((struct str){ (char *)packed, n }, back, s.n));
	assert_memory_equal(back, s.p, s.n);
}

/* The dictionary's sum stands in each row: another one could not be read. */
static void
test_dictionary_stays(void **state)
{
	static const unsigned char head[] = { 0x78, 0x20, 0x71, 0x49, 0x6e,
		0x4e };
	unsigned char packed[HISTORY_ZIP_ROOM(4)];
	size_t n = history_zip(STR("stay"), packed);
	struct str p = { (char *)packed, n };
	char back[4];

	(void)state;
	assert_memory_equal(packed, head, sizeof(head));
	packed[5] ^= 1;
	assert_false(history_unzip(p, back, sizeof(back)));
	packed[5] ^= 1;
	packed[n - 1] ^= 1;
	assert_false(history_unzip(p, back, sizeof(back)));
	assert_false(history_unzip(STR("no zlib"), back, sizeof(back)));
	assert_false(history_unzip(STR_NONE, back, sizeof(back)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_worst),
		cmocka_unit_test(test_former),
		cmocka_unit_test(test_dictionary_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
