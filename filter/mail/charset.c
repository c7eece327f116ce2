#include "mail/charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#define NAME_MAX_LEN 40

/* Beginnings of the names that are taken, letters and digits alone. */
static const char *const families[] = {
	"ansix34",
	"armscii8",
	"big5",
	"cp12",
	"cp43",
	"cp8",
	"cp9",
	"euccn",
	"eucjp",
	"euckr",
	"euctw",
	"gb18030",
	"gb2312",
	"gbk",
	"georgian",
	"hz",
	"ibm8",
	"iso2022jp",
	"iso2022kr",
	"iso646",
	"iso8859",
	"koi8",
	"ksc5601",
	"macintosh",
	"mskanji",
	"shiftjis",
	"sjis",
	"tis620",
	"ucs2",
	"utf16",
	"utf32",
	"utf7",
	"viscii",
	"windows",
};

/* What is converted here: nearly all mail, and no iconv_open() for it. */
enum native { NATIVE_NO, NATIVE_UTF8, NATIVE_WESTERN };

static const struct {
	const char *name;
	enum native native;
} natives[] = {
	{ "ascii", NATIVE_UTF8 },
	{ "iso88591", NATIVE_WESTERN },
	{ "latin1", NATIVE_WESTERN },
	{ "unicode11utf8", NATIVE_UTF8 },
	{ "usascii", NATIVE_UTF8 },
	{ "utf8", NATIVE_UTF8 },
	{ "windows1252", NATIVE_WESTERN },
	{ "cp1252", NATIVE_WESTERN },
};

/* 0x80 to 0x9f of windows-1252; what it leaves out is C1, as browsers do. */
static const uint16_t western_high[32] = { 0x20ac, 0x0081, 0x201a, 0x0192,
	0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152,
	0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e,
	0x0178 };

/* How much of s from the start is UTF-8. */
static size_t
utf8_span(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;
	int n = 1;

	while (i < s.n && n > 0) {
		if (p[i] < 0x80) {
			i++;
			continue;
		}
		n = chr_utf8_len(p + i, s.n - i);
		if (n > 0)
			i += (size_t)n;
	}
	return i;
}

bool
utf8_valid(struct str s)
{
	return utf8_span(s) == s.n;
}

static void
add_replacement(struct buf *b)
{
	buf_adds(b, "\xef\xbf\xbd");
}

static void
add_utf8(struct buf *b, struct str s)
{
	while (s.n > 0) {
		size_t n = utf8_span(s);

		buf_add(b, s.p, n);
		if (n == s.n)
			break;
		add_replacement(b);
		s = str_sub(s, n + 1, s.n);
	}
}

static void
add_western(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned int c = (unsigned char)s.p[i];

		if (c >= 0x80 && c < 0xa0)
			c = western_high[c - 0x80];
		if (c < 0x80) {
			buf_addc(b, c);
		} else if (c < 0x800) {
			buf_addc(b, 0xc0 | c >> 6);
			buf_addc(b, 0x80 | (c & 0x3f));
		} else {
			buf_addc(b, 0xe0 | c >> 12);
			buf_addc(b, 0x80 | (c >> 6 & 0x3f));
			buf_addc(b, 0x80 | (c & 0x3f));
		}
	}
}

/* Letters and digits in lower case: "ISO_8859-1" is "iso88591". */
static struct str
plain_name(struct str name, char out[NAME_MAX_LEN])
{
	size_t n = 0;

	for (size_t i = 0; i < name.n && n < NAME_MAX_LEN - 1; i++)
		if (chr_alnum((unsigned char)name.p[i]))
			out[n++] = chr_lower((unsigned char)name.p[i]);
	out[n] = '\0';
	return (struct str){ out, n };
}

static enum native
native_of(struct str plain)
{
	for (size_t i = 0; i < sizeof(natives) / sizeof(natives[0]); i++)
		if (str_eq(plain, str_of(natives[i].name)))
			return natives[i].native;
	return NATIVE_NO;
}

static bool
family_known(struct str plain)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (str_starts(plain, str_of(families[i])))
			return true;
	return false;
}

/* iconv's name: without what could ask it for more ("//TRANSLIT"). */
static iconv_t
open_named(struct str name)
{
	char safe[NAME_MAX_LEN];
	size_t n = 0;

	if (str_istarts(name, STR("windows-"))) {
		memcpy(safe, "cp", n = 2);
		name = str_sub(name, 8, name.n);
	}
	for (size_t i = 0; i < name.n && n < sizeof(safe) - 1; i++)
		if (chr_alnum((unsigned char)name.p[i]) ||
		    (name.p[i] != '\0' && strchr("-_:", name.p[i]) != NULL))
			safe[n++] = name.p[i];
	safe[n] = '\0';
	return iconv_open("UTF-8", safe);
}

static void
add_iconv(struct buf *b, iconv_t cd, struct str s)
{
	char *in = (char *)(uintptr_t)s.p;
	size_t in_left = s.n;

	while (in_left > 0 && !b->failed) {
		char piece[4096], *out = piece;
		size_t out_left = sizeof(piece), before = in_left;
		int error = 0;

		if (iconv(cd, &in, &in_left, &out, &out_left) == (size_t)-1)
			error = errno;
		buf_add(b, piece, sizeof(piece) - out_left);
		if (error == EILSEQ || error == EINVAL) {
			add_replacement(b);
			in++;
			in_left--;
		} else if (in_left == before && out == piece) {
			break;
		}
	}
}

bool
charset_known(struct str name)
{
	char space[NAME_MAX_LEN];
	struct str plain = plain_name(name, space);

	return native_of(plain) != NATIVE_NO || family_known(plain);
}

bool
charset_add(struct buf *b, struct str name, struct str bytes)
{
	char space[NAME_MAX_LEN];
	struct str plain = plain_name(name, space);
	iconv_t cd;

	switch (native_of(plain)) {
	case NATIVE_UTF8:
		/* Much that calls itself ASCII is not. */
		if (plain.p[plain.n - 1] == '8')
			add_utf8(b, bytes);
		else
			charset_add_guess(b, bytes);
		return true;
	case NATIVE_WESTERN:
		add_western(b, bytes);
		return true;
	case NATIVE_NO:
		break;
	}
	if (!family_known(plain) || (cd = open_named(name)) == (iconv_t)-1)
		return false;
	add_iconv(b, cd, bytes);
	iconv_close(cd);
	return true;
}

void
charset_add_guess(struct buf *b, struct str bytes)
{
	if (utf8_valid(bytes))
		buf_addstr(b, bytes);
	else
		add_western(b, bytes);
}

struct str
charset_guess(struct arena *a, struct str s)
{
	struct buf b = BUF_INIT(3 * s.n + 1);
	struct str out;

	if (utf8_valid(s))
		return s;
	add_western(&b, s);
	out = arena_str(a, buf_str(&b));
	buf_free(&b);
	return out;
}
