#include "mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "slack.h"

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static void
test_fields(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct headers hs = { .first = NULL };

	(void)state;
	assert_true(header_add(a, &hs, STR("Received"), STR(" one")));
	assert_true(header_add(a, &hs, STR("Subject"), STR(" s\n t")));
	assert_true(header_add(a, &hs, STR("RECEIVED"), STR(" two")));
	assert_int_equal(header_count(&hs, STR("received")), 2);
	assert_int_equal(header_count(&hs, STR("From")), 0);
	assert_str(header_get(&hs, STR("received"), 1)->value, " one");
	assert_str(header_get(&hs, STR("received"), 2)->value, " two");
	assert_int_equal(header_get(&hs, STR("received"), 2)->nth, 2);
	assert_null(header_get(&hs, STR("received"), 3));
	assert_null(header_get(&hs, STR("received"), 0));
	assert_str(hs.first->next->name, "Subject");
	assert_ptr_equal(hs.last, header_get(&hs, STR("received"), 2));
	/* "Received: one" "Subject: s" CRLF "t" "RECEIVED: two", each CRLF */
	assert_int_equal(hs.bytes, 15 + 12 + 4 + 15);
	assert_int_equal(hs.count, 3);
	assert_true(header_add(a, &hs, STR("Subject "), STR(" x")));
	assert_str(header_get(&hs, STR("Subject"), 2)->name, "Subject");
	arena_free(&a);
}

static void
test_caps(void **state)
{
	struct arena *a = arena_new(8 << 20);
	struct headers hs = { .first = NULL };
	struct buf big = BUF_INIT(4 << 20);
	size_t kept = 0;

	(void)state;
	for (int i = 0; i < HEADER_MAX_COUNT + 10; i++) {
		assert_int_equal(hs.truncated, i > HEADER_MAX_COUNT);
		assert_true(header_add(a, &hs, STR("X"), STR(" y")));
	}
	for (struct header *h = hs.first; h != NULL; h = h->next)
		assert_int_equal(h->nth, ++kept);
	assert_int_equal(kept, HEADER_MAX_COUNT);
	assert_int_equal(hs.count, HEADER_MAX_COUNT + 10);
	hs = (struct headers){ .first = NULL };
	while (big.n <= HEADER_MAX_BYTES)
		buf_adds(&big, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n");
	assert_true(header_add(a, &hs, STR("X"), buf_str(&big)));
	assert_true(hs.truncated);
	assert_null(hs.first);
	assert_true(hs.bytes > HEADER_MAX_BYTES);
	arena_free(&a);
	a = arena_new(1000);
	hs = (struct headers){ .first = NULL };
	assert_false(
	    header_add(a, &hs, STR("X"), str_sub(buf_str(&big), 0, 2000)));
	arena_free(&a);
	buf_free(&big);
}

static void
unfold(const char *value, const char *want)
{
	struct arena *a = arena_new(65536);

	assert_str(header_unfold(a, str_of(value)), want);
	arena_free(&a);
}

static void
test_unfold(void **state)
{
	(void)state;
	unfold(" a\n b\n\tc ", "a b\tc");
	unfold(" a\r\n b", "a b");
	unfold("a\nb", "a b");
	unfold(" \n ", "");
	unfold("", "");
}

static void
decode(const char *value, const char *want)
{
	struct arena *a = arena_new(65536);

	assert_str(header_decode(a, str_of(value)), want);
	arena_free(&a);
}

#define UE "\xc3\xbc"

/* RFC 2047 section 8, and what mail has besides. */
static void
test_decode(void **state)
{
	(void)state;
	decode(" plain\n text", "plain text");
	decode(" =?ISO-8859-1?Q?a?=", "a");
	decode(" =?ISO-8859-1?Q?a?= b", "a b");
	decode(" =?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab");
	decode(" =?ISO-8859-1?Q?a?=\n    =?ISO-8859-1?Q?b?=", "ab");
	decode(" =?ISO-8859-1?Q?a_b?=", "a b");
	decode(" =?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b");
	decode(" =?iso-8859-1?q?=FC?= =?utf-8?b?w7w=?=", UE UE);
	decode(" =?UTF-8*en?B?w7w?=", UE);
	decode(" =?windows-1252?Q?=80?=", "\xe2\x82\xac");
	decode(" =?koi8-r?B?8NLJ18XU?=",
	    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82");
	decode(" =?iso-2022-jp?B?GyRCJCIbKEI=?=", "\xe3\x81\x82");
	decode(" x=?utf-8?q?=C3=BC?=y", "x" UE "y");
	decode(" =?utf-8?q?a b?=", "a b");
	/* a character cut between two words */
	decode(" =?utf-8?q?=C3?= =?utf-8?q?=BC?=", UE);
	decode(" =?utf-8?B?ww==?=\n =?utf-8?B?vA==?=", UE);
	/* what is no encoded word, or none we can read */
	decode(" =?x-nonsense?Q?=FC?= b", "=?x-nonsense?Q?=FC?= b");
	decode(" =?utf-8?X?a?=", "=?utf-8?X?a?=");
	decode(" =?utf-8?Q?a", "=?utf-8?Q?a");
	decode(" =?utf-8?Q?a?b?=", "=?utf-8?Q?a?b?=");
	decode(" =?\?Q?a?=", "=?\?Q?a?=");
	decode(" =?utf-8?Q?=ZZ=4?=", "=ZZ=4");
	decode(" =?utf-8?Q?=FF?=", "\xef\xbf\xbd");
	decode(" =?utf-8?Q?\?=x", "x");
	decode(" =? =?utf-8?Q?a?= ?=", "=? a ?=");
	/* raw bytes */
	decode(" " UE, UE);
	decode(" \xfc \x93", UE " \xe2\x80\x9c");
	decode(" \xfc =?utf-8?Q?a?=", UE " a");
}

static void
test_hostile(void **state)
{
	static const char *const pieces[] = { "=?", "=?a?Q?", "=?a?Q?b",
		"=?utf-8?Q?a?= ", "=?koi8-r?Q?=C0?= =?utf-7?Q?+AGE-?= ", "=",
		"?", "=?utf-8?B?\?\?\?\?" };
	struct buf in = BUF_INIT(4 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct arena *a = arena_new(32 << 20);
		int64_t began = clock_mono_ms();

		buf_truncate(&in, 0);
		while (in.n < 1 << 20)
			buf_adds(&in, pieces[i]);
		assert_non_null(header_decode(a, buf_str(&in)).p);
		assert_true(clock_mono_ms() - began < slack(2000));
		arena_free(&a);
	}
	buf_free(&in);
	struct arena *small = arena_new(32);

	assert_null(header_decode(small,
	    STR("\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc"
		"\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc\xfc"))
			.p);
	arena_free(&small);
}

/* A hash that everybody knows, made to fall into one place by the sender. */
static unsigned int
known_hash(const char *p, size_t n)
{
	unsigned int h = 5381;

	while (n-- > 0)
		h = h * 33 + (unsigned char)*p++;
	return h % HEADER_BUCKETS;
}

static void
test_aimed_names(void **state)
{
	struct arena *a = arena_new(8 << 20);
	struct headers hs = { 0 };
	char name[1000];
	int64_t began = clock_mono_ms();
	unsigned int made = 0;

	(void)state;
	memset(name, 'a', sizeof(name));
	for (unsigned int i = 0; made < HEADER_MAX_COUNT; i++) {
		for (int k = 0; k < 5; k++)
			name[990 + k] = (char)('a' + (i >> 4 * k & 15));
		if (known_hash(name, sizeof(name)) != 7)
			continue;
		made++;
		assert_true(header_add(a, &hs,
		    (struct str){ name, sizeof(name) }, STR(" x")));
	}
	for (const struct header *h = hs.first; h != NULL; h = h->next) {
		assert_int_equal(h->nth, 1);
		assert_ptr_equal(header_get(&hs, h->name, 1), h);
	}
	assert_true(clock_mono_ms() - began < slack(1500));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_unfold),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_aimed_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
