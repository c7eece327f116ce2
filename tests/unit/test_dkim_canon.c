#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "check/dkim_canon.h"

static void
assert_digest(const unsigned char *have, size_t n, const char *text, size_t len)
{
	unsigned char want[EVP_MAX_MD_SIZE];
	unsigned int size;

	assert_int_equal(EVP_Digest(text, len, want, &size, EVP_sha256(), NULL),
	    1);
	assert_int_equal(n, size);
	assert_memory_equal(have, want, size);
}

/* In chunks of each size: the same digest and length. */
static void
expect_body(const char *text, size_t n, bool relaxed, uint64_t limit,
    const char *want, uint64_t length)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	struct dkim_body b;
	size_t step, i, size;

	for (step = 1; step < 9; step++) {
		dkim_body_begin(&b, relaxed, false, limit);
		for (i = 0; i < n; i += step)
			dkim_body_add(&b, text + i,
			    n - i < step ? n - i : step);
		size = dkim_body_end(&b, digest);
		assert_int_equal(b.length, length);
		assert_digest(digest, size, want, strlen(want));
	}
}

static void
body(const char *text, const char *simple, const char *relaxed)
{
	expect_body(text, strlen(text), false, DKIM_NO_LIMIT, simple,
	    strlen(simple));
	expect_body(text, strlen(text), true, DKIM_NO_LIMIT, relaxed,
	    strlen(relaxed));
}

static void
test_bodies(void **state)
{
	(void)state;
	body("", "\r\n", "");
	body("\r\n\r\n", "\r\n", "");
	body("\r\n \t\r\n", "\r\n \t\r\n", "");
	/* RFC 6376 section 3.4.5 */
	body(" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n");
	body("a", "a\r\n", "a\r\n");
	body("a  ", "a  \r\n", "a\r\n");
	body("\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n");
	body("a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n");
	/* A lone CR or LF is a byte. */
	body("a\rb\nc", "a\rb\nc\r\n", "a\rb\nc\r\n");
	body("a\r", "a\r\r\n", "a\r\r\n");
	body("a \r \r\n\r", "a \r \r\n\r\r\n", "a \r\r\n\r\r\n");
	body("a\r\r\n\n", "a\r\r\n\n\r\n", "a\r\r\n\n\r\n");
}

static void
test_limits(void **state)
{
	(void)state;
	expect_body("abc\r\ndef\r\n", 10, false, 4, "abc\r", 10);
	expect_body("a  b\r\n\r\n", 8, true, 0, "", 5);
	expect_body("a  b\r\n\r\n", 8, true, 5, "a b\r\n", 5);
	expect_body("a  b\r\n\r\n", 8, true, 99, "a b\r\n", 5);
	expect_body("a\0b\r\n", 5, true, 1, "a", 5);
}

static void
field(const char *name, const char *value, const char *simple,
    const char *relaxed)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	struct dkim_hash h;

	dkim_hash_begin(&h, false);
	dkim_hash_field(&h, str_of(name), str_of(value), false);
	assert_digest(digest, dkim_hash_end(&h, digest), simple,
	    strlen(simple));
	dkim_hash_begin(&h, false);
	dkim_hash_field(&h, str_of(name), str_of(value), true);
	assert_digest(digest, dkim_hash_end(&h, digest), relaxed,
	    strlen(relaxed));
}

static void
test_fields(void **state)
{
	(void)state;
	field("A", " X", "A: X\r\n", "a:X\r\n");
	field("B", " Y\t\n\tZ  ", "B: Y\t\r\n\tZ  \r\n", "b:Y Z\r\n");
	field("B", " Y\t\r\n\tZ  ", "B: Y\t\r\n\tZ  \r\n", "b:Y Z\r\n");
	field("C", "", "C:\r\n", "c:\r\n");
	field("C", "\n ", "C:\r\n \r\n", "c:\r\n");
	field("D", "a\rb", "D:a\rb\r\n", "d:a\rb\r\n");
}

static void
test_signature(void **state)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	struct str value = STR(" a=1;  b= \n abc ; c=2");
	const char *want = "DKIM-Signature: a=1;  b=; c=2";
	struct dkim_hash h;

	(void)state;
	dkim_hash_begin(&h, false);
	dkim_hash_signature(&h, STR("DKIM-Signature"), value, 9, 16, false);
	assert_digest(digest, dkim_hash_end(&h, digest), want, strlen(want));
	want = "dkim-signature:a=1; b=; c=2";
	dkim_hash_begin(&h, false);
	dkim_hash_signature(&h, STR("DKIM-Signature"), value, 9, 16, true);
	assert_digest(digest, dkim_hash_end(&h, digest), want, strlen(want));
}

static void
select_fields(const struct headers *hs, const char *names, size_t most,
    unsigned int self, const char *want)
{
	unsigned char digest[DKIM_DIGEST_MAX];
	struct dkim_hash h;

	dkim_hash_begin(&h, false);
	dkim_hash_fields(&h, hs, str_of(names), most,
	    self ? header_get(hs, STR("S"), self) : NULL, true);
	assert_digest(digest, dkim_hash_end(&h, digest), want, strlen(want));
}

/* From the last one up; what is not there is nothing. */
static void
test_choice(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct headers hs = { 0 };

	(void)state;
	header_add(arena, &hs, STR("S"), STR("1"));
	header_add(arena, &hs, STR("a"), STR("1"));
	header_add(arena, &hs, STR("S"), STR("2"));
	header_add(arena, &hs, STR("A"), STR("2"));
	header_add(arena, &hs, STR("S"), STR("3"));
	select_fields(&hs, "a", 9, 0, "a:2\r\n");
	select_fields(&hs, "A:x:a:a:a", 9, 0, "a:2\r\na:1\r\n");
	select_fields(&hs, "a:a", 1, 0, "a:2\r\n");
	select_fields(&hs, "s:s:s", 9, 2, "s:3\r\ns:1\r\n");
	select_fields(&hs, "s:s:s", 9, 3, "s:2\r\ns:1\r\n");
	select_fields(&hs, "s:s:s", 9, 1, "s:3\r\ns:2\r\n");
	select_fields(&hs, " s : a ", 9, 0, "s:3\r\na:2\r\n");
	arena_free(&arena);
}

/* Longer than the buffer, in one and in many pieces; SHA-1 as well. */
static void
test_long(void **state)
{
	static char text[10000];
	unsigned char digest[DKIM_DIGEST_MAX];
	struct dkim_hash h;
	size_t i;

	(void)state;
	memset(text, 'x', sizeof(text));
	dkim_hash_begin(&h, false);
	dkim_hash_add(&h, text, sizeof(text));
	assert_digest(digest, dkim_hash_end(&h, digest), text, sizeof(text));
	dkim_hash_begin(&h, false);
	for (i = 0; i < sizeof(text); i += 100)
		dkim_hash_add(&h, text + i, 100);
	assert_digest(digest, dkim_hash_end(&h, digest), text, sizeof(text));
	dkim_hash_begin(&h, true);
	assert_int_equal(dkim_hash_end(&h, digest), 20);
	assert_int_equal(digest[0], 0xda);
	dkim_hash_begin(&h, false);
	dkim_hash_drop(&h);
	dkim_hash_add(&h, text, sizeof(text));
	assert_int_equal(dkim_hash_end(&h, digest), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
