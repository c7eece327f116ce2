#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The module itself, to reach the hash with a known key. */
#include "base/str.c"

#define assert_str(s, want) assert_true(str_eq((s), str_of(want)))

static void
test_compare(void **state)
{
	(void)state;
	assert_true(str_eq(STR_NONE, STR("")));
	assert_false(str_eq(STR("a"), STR("A")));
	assert_true(str_ieq(STR("aZ@[`{"), STR("Az@[`{")));
	assert_false(str_ieq(STR("@"), STR("`")));
	assert_false(str_ieq(STR("\xc4"), STR("\xe4")));
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_true(str_cmp(STR_NONE, STR("")) == 0);
	assert_true(str_icmp(STR("B"), STR("a")) > 0);
	assert_true(str_icmp(STR("ABC"), STR("abc")) == 0);
	assert_true(str_icmp(STR("\xff"), STR("a")) > 0);
}

static void
test_slices(void **state)
{
	struct str rest;

	(void)state;
	assert_true(str_starts(STR("hello"), STR("he")));
	assert_false(str_starts(STR("h"), STR("he")));
	assert_true(str_starts(STR_NONE, STR("")));
	assert_true(str_istarts(STR("HELLO"), STR("he")));
	assert_true(str_iends(STR("a.Example"), STR(".eXAMPLE")));
	assert_false(str_iends(STR("e"), STR("ee")));
	assert_str(str_trim(STR(" \t\r\n a b \n")), "a b");
	assert_str(str_trim(STR(" \t ")), "");
	assert_str(str_sub(STR("hello"), 1, 3), "ell");
	assert_str(str_sub(STR("hello"), 4, SIZE_MAX), "o");
	assert_str(str_sub(STR("hello"), 9, 1), "");
	assert_str(str_cut(STR("a=b=c"), '=', &rest), "a");
	assert_str(rest, "b=c");
	assert_str(str_cut(STR("abc="), '=', &rest), "abc");
	assert_non_null(rest.p);
	assert_int_equal(rest.n, 0);
	assert_str(str_cut(STR("abc"), '=', &rest), "abc");
	assert_null(rest.p);
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(str_chr(STR("abca"), 'a'), 0);
	assert_int_equal(str_rchr(STR("abca"), 'a'), 3);
	assert_int_equal(str_chr(STR_NONE, 'a'), -1);
	assert_int_equal(str_find(STR("a\0bc"), STR("\0b")), 1);
	assert_int_equal(str_find(STR("abc"), STR("abcd")), -1);
	assert_int_equal(str_find(STR_NONE, STR("")), 0);
	assert_int_equal(str_until(STR("a\0b/c?"), "?/"), 3);
	assert_int_equal(str_until(STR("abc\xff"), "\xff"), 3);
	assert_int_equal(str_until(STR("a\0b"), "xyz"), 3);
	assert_int_equal(str_until(STR_NONE, "x"), 0);
	assert_int_equal(str_ifind(STR("say HELLO"), STR("hello")), 4);
	assert_int_equal(str_ifind(STR("say HELL"), STR("hello")), -1);
	assert_int_equal(str_ifind(STR("aAaAb"), STR("AAB")), 2);
	assert_int_equal(str_ifind(STR("x"), STR("X")), 0);
	assert_int_equal(str_ifind(STR("x"), STR("")), 0);
	assert_int_equal(str_ifind(STR_NONE, STR("x")), -1);
	assert_int_equal(str_ifind(STR("\xff\xfe\xff"), STR("\xfe\xff")), 1);
}

/* Against the obvious search, over all short words of three letters. */
static void
test_ifind_agrees(void **state)
{
	char hay[13] = "", needle[5] = "", folded[13];
	const char *at;
	unsigned int seed = 7;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t hn = seed % 13, nn = 1 + seed / 16 % 4;

		for (size_t i = 0; i < 12; i++) {
			seed = seed * 1103515245 + 12345;
			hay[i] = "aAb"[seed / 65536 % 3];
			if (i < 4)
				needle[i] = "aab"[seed / 1024 % 3];
		}
		for (size_t i = 0; i < hn; i++)
			folded[i] = (char)chr_lower(hay[i]);
		at = nn <= hn ? memmem(folded, hn, needle, nn) : NULL;
		assert_int_equal(str_ifind((struct str){ hay, hn },
				     (struct str){ needle, nn }),
		    at != NULL ? at - folded : -1);
	}
}

/* Needles of both kinds, in texts of more than one window. */
static void
test_ifind_windows(void **state)
{
	char hay[3 * IFIND_WINDOW], needle[2 * IFIND_SHORT];

	(void)state;
	for (size_t at = 0; at + sizeof(needle) <= sizeof(hay); at += 7) {
		size_t n = 1 + at % sizeof(needle);

		memset(hay, '@', sizeof(hay));
		memset(hay + at, 'Z', n);
		memset(needle, 'z', n);
		assert_int_equal(str_ifind((struct str){ hay, sizeof(hay) },
				     (struct str){ needle, n }),
		    at);
		assert_int_equal(str_ifind((struct str){ hay, at + n },
				     (struct str){ needle, n }),
		    at);
		assert_int_equal(str_ifind((struct str){ hay, at + n - 1 },
				     (struct str){ needle, n }),
		    -1);
		hay[at + n / 2] = '[';
		assert_int_equal(str_ifind((struct str){ hay, sizeof(hay) },
				     (struct str){ needle, n }),
		    -1);
	}
}

/* Every byte beside every other: small letters are the same, nothing else. */
static void
test_fold(void **state)
{
	char a[8], b[8];

	(void)state;
	for (int x = 0; x < 256; x++)
		for (int y = 0; y < 256; y++) {
			memset(a, 'q', sizeof(a));
			memset(b, 'Q', sizeof(b));
			a[x % 8] = (char)x;
			b[x % 8] = (char)y;
			assert_int_equal(str_ihash((struct str){ a, 8 }) ==
				str_ihash((struct str){ b, 8 }),
			    chr_lower(x) == chr_lower(y));
		}
}

/* Against the obvious ways, wherever words begin and end. */
static void
test_counts(void **state)
{
	char text[40];
	unsigned int seed = 3;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++)
		for (int round = 0; round < 200; round++) {
			size_t blanks = 0, chars = 0, ascii = n;

			for (size_t i = 0; i < n; i++) {
				seed = seed * 1103515245 + 12345;
				text[i] = "  !\x1f\x20\xa0\x80\xc3\xff\x7f"
					  "\x21\0aaaaa"[seed / 65536 % 17];
				blanks += text[i] == ' ';
				chars += (text[i] & 0xc0) != 0x80;
				if (text[i] & 0x80 && i < ascii)
					ascii = i;
			}
			assert_int_equal(str_count((struct str){ text, n },
					     ' '),
			    blanks);
			assert_int_equal(str_chars((struct str){ text, n }),
			    chars);
			assert_int_equal(str_ascii((struct str){ text, n }),
			    ascii);
		}
}

static bool
is_word_or_blank(struct str s, size_t i)
{
	const signed char *p = (const signed char *)s.p;

	return p[i] > ' ' || (p[i] == ' ' && i + 1 < s.n && p[i + 1] > ' ');
}

/* Never too many, and in clean text all but a few. */
static void
test_words(void **state)
{
	static const char clean[] = "Many words, and one blank between two.";
	char text[sizeof(clean)];
	struct str s = { text, sizeof(clean) - 1 };

	(void)state;
	assert_int_equal(str_words(STR_NONE), 0);
	assert_int_equal(str_words(STR(clean)), s.n / 8 * 8);
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < s.n; at++) {
			size_t n, good = 0;

			memcpy(text, clean, sizeof(text));
			text[at] = (char)c;
			while (good < s.n && is_word_or_blank(s, good))
				good++;
			n = str_words(s);
			assert_true(n <= good && good - n <= 16);
		}
}

/* A search that looked at every place anew would take minutes. */
static void
test_ifind_linear(void **state)
{
	size_t hn = 4000000, nn = 200000;
	char *hay = malloc(hn), *needle = malloc(nn);

	(void)state;
	memset(hay, 'a', hn);
	memset(needle, 'A', nn);
	needle[nn - 1] = 'b';
	assert_int_equal(str_ifind((struct str){ hay, hn },
			     (struct str){ needle, nn }),
	    -1);
	hay[hn - 1] = 'B';
	assert_int_equal(str_ifind((struct str){ hay, hn },
			     (struct str){ needle, nn }),
	    hn - nn);
	free(hay);
	free(needle);
}

static void
test_u64(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(str_u64(STR("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_true(str_u64(STR("007"), &v));
	assert_int_equal(v, 7);
	assert_false(str_u64(STR("18446744073709551616"), &v));
	assert_false(str_u64(STR("99999999999999999999"), &v));
	assert_false(str_u64(STR(""), &v));
	assert_false(str_u64(STR_NONE, &v));
	assert_false(str_u64(STR("-1"), &v));
	assert_false(str_u64(STR("+1"), &v));
	assert_false(str_u64(STR(" 1"), &v));
	assert_false(str_u64(STR("1x"), &v));
	assert_false(str_u64(STR("1\0"), &v));
	assert_int_equal(v, 7);
}

/* The first is the authors' vector of their reference code's 1-3 rounds. */
static void
test_siphash(void **state)
{
	static const uint64_t zero[2] = { 0, 0 };
	static const uint64_t count[2] = { 0x0706050403020100,
		0x0f0e0d0c0b0a0908 };

	(void)state;
	assert_true(sip_hash(STR(""), false, count) == 0xabac0158050fc4dc);
	assert_true(sip_hash(STR("a"), false, zero) == 0x407448d2b89b1813);
	assert_true(
	    sip_hash(STR("abcdefgh"), false, zero) == 0x3f7b849c0b8e35ea);
	assert_true(sip_hash(STR("Hello, wide world"), false, zero) ==
	    0x211e93402cf8fa04);
	assert_true(
	    sip_hash(STR("ABCDEFGH"), true, zero) == 0x3f7b849c0b8e35ea);
}

static uint64_t
hash_of_another_process(void)
{
	char line[32] = "";
	FILE *f = popen("/proc/$PPID/exe hash", "r");

	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	pclose(f);
	return strtoull(line, NULL, 16);
}

static void
test_hash(void **state)
{
	(void)state;
	assert_true(str_hash(STR("abc")) == str_hash(STR("abc")));
	assert_true(str_hash(STR("abc")) != str_hash(STR("abC")));
	assert_true(str_ihash(STR("aBc")) == str_ihash(STR("AbC")));
	assert_true(str_hash(STR("abc")) != hash_of_another_process());
}

static void
test_buf_grows(void **state)
{
	struct buf b = BUF_INIT(100000);

	(void)state;
	assert_str(buf_str(&b), "");
	for (int i = 0; i < 20000; i++)
		buf_addc(&b, (char)('a' + i % 26));
	assert_int_equal(b.n, 20000);
	assert_int_equal(strlen(b.p), 20000);
	assert_int_equal(b.p[19999], 'a' + 19999 % 26);
	buf_truncate(&b, 3);
	buf_truncate(&b, 9);
	buf_printf(&b, "%d%s", 12, "xyz");
	buf_adds(&b, "-");
	buf_addstr(&b, STR("\0q"));
	assert_true(str_eq(buf_str(&b), STR("abc12xyz-\0q")));
	assert_false(b.failed);
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 100000);
}

static void
test_buf_limit(void **state)
{
	struct buf b = BUF_INIT(5);

	(void)state;
	buf_adds(&b, "abc");
	buf_adds(&b, "def");
	assert_true(b.failed);
	assert_string_equal(b.p, "abc");
	/* Nothing behind a hole, though it would fit. */
	buf_addc(&b, 'x');
	assert_string_equal(b.p, "abc");
	buf_free(&b);
	assert_false(b.failed);
	buf_printf(&b, "%s", "12345");
	assert_false(b.failed);
	assert_string_equal(b.p, "12345");
	buf_printf(&b, "%d", 6);
	assert_true(b.failed);
	assert_string_equal(b.p, "12345");
	buf_free(&b);
}

static void
expect_json(struct str in, const char *want)
{
	struct buf b = BUF_INIT(1000);

	buf_json(&b, in);
	assert_string_equal(b.p, want);
	buf_free(&b);
}

static void
test_json(void **state)
{
	(void)state;
	expect_json(STR(""), "\"\"");
	expect_json(STR_NONE, "\"\"");
	expect_json(STR("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
	expect_json(STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
	expect_json(STR("\0\x1f\x7f"), "\"\\u0000\\u001f\\u007f\"");
	expect_json(STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
	    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

#define BAD "\xef\xbf\xbd"

static void
test_json_bad_utf8(void **state)
{
	(void)state;
	expect_json(STR("\xff"), "\"" BAD "\"");
	expect_json(STR("\xc0\x80"), "\"" BAD BAD "\"");
	expect_json(STR("\xed\xa0\x80"), "\"" BAD BAD BAD "\"");
	expect_json(STR("\xf4\x90\x80\x80"), "\"" BAD BAD BAD BAD "\"");
	expect_json(STR("\xe2\x82"), "\"" BAD "\"");
	expect_json(STR("\xe2\x82\"x"), "\"" BAD "\\\"x\"");
	expect_json(STR("\xf0\x9f\x98"), "\"" BAD "\"");
	expect_json(STR("\xe0\x80\x80"), "\"" BAD BAD BAD "\"");
	expect_json(STR("\x80z"), "\"" BAD "z\"");
}

static void
expect_quoted(struct str in, const char *want)
{
	struct buf b = BUF_INIT(1000);

	buf_quoted(&b, in);
	assert_string_equal(b.p, want);
	buf_free(&b);
}

static void
test_quoted(void **state)
{
	(void)state;
	expect_quoted(STR("a@b.example"), "a@b.example");
	expect_quoted(STR(""), "\"\"");
	expect_quoted(STR("a b"), "\"a b\"");
	expect_quoted(STR("a=b"), "\"a=b\"");
	expect_quoted(STR("\"\\"), "\"\\\"\\\\\"");
	expect_quoted(STR("x\nevent=forged"), "\"x\\x0aevent=forged\"");
	expect_quoted(STR("\0\x1b\x7f\xff"), "\"\\x00\\x1b\\x7f\\xff\"");
}

/* A value that does not fit leaves nothing of itself behind. */
static void
test_quoted_whole_or_not(void **state)
{
	struct buf b = BUF_INIT(8);

	(void)state;
	buf_adds(&b, "k=");
	buf_quoted(&b, STR("a b c d e f"));
	assert_true(b.failed);
	assert_string_equal(b.p, "k=");
	buf_free(&b);
	buf_adds(&b, "k=");
	buf_json(&b, STR("abcdefgh"));
	assert_true(b.failed);
	assert_string_equal(b.p, "k=");
	buf_free(&b);
}

static void
test_utf8_len(void **state)
{
	static const struct {
		const char	*p;
		size_t		 n;
		int		 want;
	} cases[] = {
		{ "a", 1, 1 },
		{ "\xc3\xa9", 2, 2 },
		{ "\xe2\x82\xac", 3, 3 },
		{ "\xf0\x9f\x98\x80", 4, 4 },
		{ "\xc3", 1, -1 },
		{ "\xe2\x82", 2, -2 },
		{ "\xf0\x9f\x98z", 4, -3 },
		{ "\x80", 1, -1 },
		{ "\xc0\x80", 2, -1 },
		{ "\xe0\x80\x80", 3, -1 },
		{ "\xed\xa0\x80", 3, -1 },
		{ "\xf4\x90\x80\x80", 4, -1 },
		{ "\xff", 1, -1 },
	};
	const unsigned char *p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p = (const unsigned char *)cases[i].p;
		assert_int_equal(chr_utf8_len(p, cases[i].n), cases[i].want);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_ifind_agrees),
		cmocka_unit_test(test_ifind_windows),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_ifind_linear),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_buf_grows),
		cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_bad_utf8),
		cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_quoted_whole_or_not),
		cmocka_unit_test(test_utf8_len),
	};

	if (argc > 1 && strcmp(argv[1], "hash") == 0) {
		printf("%llx\n", (unsigned long long)str_hash(STR("abc")));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
