#include "mail/view_charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#define NAME_BYTES 48

/*
 * Names.
 */

enum kind {
	KIND_NONE, /* not known */
	KIND_ASCII,
	KIND_UTF8,
	KIND_WESTERN, /* windows-1252 */
	KIND_LATIN1,
	KIND_UTF7,
	KIND_UTF16, /* of unknown byte order */
	KIND_ICONV
};

struct codec {
	enum kind kind;
	char name[NAME_BYTES]; /* iconv's */
};

/* Letters and digits of the names alone, lower case. */
static const struct {
	const char *plain;
	enum kind kind;
	const char *name;
} names[] = {
	{ "ascii", KIND_ASCII, "" },
	{ "usascii", KIND_ASCII, "" },
	{ "iso646us", KIND_ASCII, "" },
	{ "ansix341968", KIND_ASCII, "" },
	{ "utf8", KIND_UTF8, "" },
	{ "cp65001", KIND_UTF8, "" },
	{ "latin1", KIND_LATIN1, "" },
	{ "isolatin1", KIND_LATIN1, "" },
	{ "iso88591", KIND_LATIN1, "" },
	{ "latin2", KIND_ICONV, "ISO-8859-2" },
	{ "latin3", KIND_ICONV, "ISO-8859-3" },
	{ "latin4", KIND_ICONV, "ISO-8859-4" },
	{ "latin5", KIND_ICONV, "ISO-8859-9" },
	{ "latin6", KIND_ICONV, "ISO-8859-10" },
	{ "latin7", KIND_ICONV, "ISO-8859-13" },
	{ "latin8", KIND_ICONV, "ISO-8859-14" },
	{ "latin9", KIND_ICONV, "ISO-8859-15" },
	{ "latin10", KIND_ICONV, "ISO-8859-16" },
	{ "cyrillic", KIND_ICONV, "ISO-8859-5" },
	{ "arabic", KIND_ICONV, "ISO-8859-6" },
	{ "greek", KIND_ICONV, "ISO-8859-7" },
	{ "hebrew", KIND_ICONV, "ISO-8859-8" },
	{ "thai", KIND_ICONV, "ISO-8859-11" },
	{ "tis620", KIND_ICONV, "ISO-8859-11" },
	{ "koi8r", KIND_ICONV, "KOI8-R" },
	{ "koi8u", KIND_ICONV, "KOI8-U" },
	{ "viscii", KIND_ICONV, "VISCII" },
	{ "macintosh", KIND_ICONV, "MACINTOSH" },
	{ "macroman", KIND_ICONV, "MACINTOSH" },
	{ "xmacroman", KIND_ICONV, "MACINTOSH" },
	{ "utf7", KIND_UTF7, "" },
	{ "unicode11utf7", KIND_UTF7, "" },
	{ "ucs2", KIND_ICONV, "UCS-2BE" },
	{ "ucs2be", KIND_ICONV, "UCS-2BE" },
	{ "ucs2le", KIND_ICONV, "UCS-2LE" },
	{ "iso106461", KIND_ICONV, "UCS-2BE" },
	{ "utf32be", KIND_ICONV, "UTF-32BE" },
	{ "utf32le", KIND_ICONV, "UTF-32LE" },
	{ "gb2312", KIND_ICONV, "EUC-CN" },
	{ "gb231280", KIND_ICONV, "EUC-CN" },
	{ "euccn", KIND_ICONV, "EUC-CN" },
	{ "hzgb2312", KIND_ICONV, "EUC-CN" },
	{ "gbk", KIND_ICONV, "GB18030" },
	{ "cp936", KIND_ICONV, "GB18030" },
	{ "ms936", KIND_ICONV, "GB18030" },
	{ "windows936", KIND_ICONV, "GB18030" },
	{ "gb18030", KIND_ICONV, "GB18030" },
	{ "gb180302000", KIND_ICONV, "GB18030" },
	{ "big5", KIND_ICONV, "BIG5" },
	{ "xxbig5", KIND_ICONV, "BIG5" },
	{ "xbig5", KIND_ICONV, "BIG5" },
	{ "big5eten", KIND_ICONV, "BIG5" },
	{ "big5hkscs", KIND_ICONV, "BIG5-HKSCS" },
	{ "cp950", KIND_ICONV, "CP950" },
	{ "shiftjis", KIND_ICONV, "SHIFT_JIS" },
	{ "sjis", KIND_ICONV, "SHIFT_JIS" },
	{ "xsjis", KIND_ICONV, "SHIFT_JIS" },
	{ "windows31j", KIND_ICONV, "CP932" },
	{ "cp932", KIND_ICONV, "CP932" },
	{ "windows932", KIND_ICONV, "CP932" },
	{ "eucjp", KIND_ICONV, "EUC-JP" },
	{ "xeucjp", KIND_ICONV, "EUC-JP" },
	{ "ujis", KIND_ICONV, "EUC-JP" },
	{ "iso2022jp", KIND_ICONV, "ISO-2022-JP" },
	{ "iso2022jp1", KIND_ICONV, "ISO-2022-JP-1" },
	{ "jis", KIND_ICONV, "ISO-2022-JP" },
	{ "euckr", KIND_ICONV, "EUC-KR" },
	{ "xeuckr", KIND_ICONV, "EUC-KR" },
	{ "ksc56011987", KIND_ICONV, "UHC" },
	{ "uhc", KIND_ICONV, "UHC" },
	{ "cp949", KIND_ICONV, "UHC" },
	{ "windows949", KIND_ICONV, "UHC" },
	{ "xwindows949", KIND_ICONV, "UHC" },
	{ "iso2022kr", KIND_ICONV, "ISO-2022-KR" },
	{ "johab", KIND_ICONV, "JOHAB" },
};

/* Code pages of one byte a character, by their numbers. */
static const unsigned int code_pages[] = { 37, 424, 437, 500, 737, 775, 850,
	852, 855, 856, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874,
	875, 1006, 1026, 1047, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257,
	1258 };

static size_t
plain_name(struct str name, char out[NAME_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++) {
		int c = (unsigned char)name.p[i];

		if (chr_alnum(c) && n < NAME_BYTES - 1)
			out[n++] = (char)chr_lower(c);
		else if (c == 0 || strchr("-_. \t\n\r\f\v", c) == NULL ||
		    n == NAME_BYTES - 1)
			return 0;
	}
	return n;
}

static bool
numbered(struct str plain, const char *prefix, uint64_t *number)
{
	struct str s = str_of(prefix);

	return str_starts(plain, s) &&
	    str_u64(str_sub(plain, s.n, plain.n), number);
}

static bool
find_numbered(struct str plain, struct codec *c)
{
	static const char *const pages[] = { "cp", "windows", "ibm", "ms" };
	struct buf name = BUF_INIT(NAME_BYTES - 1);
	uint64_t number = 0;

	if (numbered(plain, "iso8859", &number) && number >= 2 &&
	    number <= 16 && number != 12)
		buf_printf(&name, "ISO-8859-%u", (unsigned int)number);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (!numbered(plain, pages[i], &number))
			continue;
		for (size_t k = 0;
		     k < sizeof(code_pages) / sizeof(code_pages[0]); k++)
			if (number == code_pages[k])
				buf_printf(&name, "CP%u", code_pages[k]);
	}
	if (name.n > 0)
		memcpy(c->name, name.p, name.n + 1);
	c->kind = name.n > 0 ? KIND_ICONV : KIND_NONE;
	if (number == 1252 && c->kind == KIND_ICONV)
		c->kind = KIND_WESTERN;
	buf_free(&name);
	return c->kind != KIND_NONE;
}

static void
find_codec(struct str declared, struct codec *c)
{
	char space[NAME_BYTES];
	struct str plain = { space, plain_name(declared, space) };

	*c = (struct codec){ .kind = KIND_NONE };
	/* Whatever follows. */
	if (str_istarts(declared, STR("utf16")) ||
	    str_istarts(declared, STR("utf-16")) ||
	    str_istarts(declared, STR("utf 16"))) {
		c->kind = KIND_UTF16;
		return;
	}
	if (plain.n == 0 || find_numbered(plain, c))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq(plain, str_of(names[i].plain))) {
			c->kind = names[i].kind;
			/* This one spelling is taken for what it is not. */
			if (str_eq(plain, STR("iso88591")) &&
			    memchr(declared.p, '_', declared.n) == NULL)
				c->kind = KIND_WESTERN;
			memcpy(c->name, names[i].name,
			    strlen(names[i].name) + 1);
			return;
		}
}

/*
 * Characters.
 */

static void
add_char(struct buf *b, uint32_t c)
{
	char s[4];
	size_t n = 0;

	if (c < 0x80) {
		s[n++] = (char)c;
	} else if (c < 0x800) {
		s[n++] = (char)(0xc0 | c >> 6);
		s[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		s[n++] = (char)(0xe0 | c >> 12);
		s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		s[n++] = (char)(0xf0 | c >> 18);
		s[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (c & 0x3f));
	}
	buf_add(b, s, n);
}

/* U+FDD0 to U+FDEF and the last two of each plane mean no character. */
static bool
is_nonchar(const unsigned char *p, int n)
{
	uint32_t c;

	if (n == 3) {
		c = (uint32_t)(p[0] & 0xf) << 12 | (p[1] & 0x3f) << 6 |
		    (p[2] & 0x3f);
		return c >= 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
	}
	return n == 4 && (p[1] & 0xf) == 0xf && p[2] == 0xbf && p[3] >= 0xbe;
}

/* How much of s is UTF-8; *bad: how many bytes behind that are one mistake. */
static size_t
utf8_span(struct str s, size_t *bad)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;

	*bad = 0;
	for (;;) {
		int n;

		i += str_ascii(str_sub(s, i, s.n));
		if (i >= s.n)
			return i;
		n = chr_utf8_len(p + i, s.n - i);
		if (n > 0 && !is_nonchar(p + i, n)) {
			i += (size_t)n;
			continue;
		}
		*bad = n > 0 ? (size_t)n : n < 0 ? (size_t)-n : 1;
		return i;
	}
}

static bool
is_utf8(struct str s)
{
	size_t bad;

	return utf8_span(s, &bad) == s.n;
}

static void
add_utf8(struct buf *b, struct str s)
{
	size_t n, bad;

	while (s.n > 0) {
		n = utf8_span(s, &bad);
		buf_add(b, s.p, n);
		if (n < s.n)
			add_char(b, 0xfffd);
		s = str_sub(s, n + bad, s.n);
	}
}

/* 0x80 to 0x9f; what has no meaning there is U+FFFD. */
static const uint16_t western_high[32] = { 0x20ac, 0xfffd, 0x201a, 0x0192,
	0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152,
	0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e,
	0x0178 };

static void
add_bytes(struct buf *b, struct str s, bool western)
{
	while (s.n > 0) {
		size_t n = str_ascii(s);
		unsigned int c;

		buf_add(b, s.p, n);
		if (n == s.n)
			break;
		c = (unsigned char)s.p[n];
		if (western && c < 0xa0)
			c = western_high[c - 0x80];
		add_char(b, c);
		s = str_sub(s, n + 1, s.n);
	}
}

static void
add_ascii(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		add_char(b, s.p[i] & 0x80 ? 0xfffd : (unsigned char)s.p[i]);
}

/* Characters that iconv finds where others find none, or others. */
static bool
fix_iconv(struct buf *b, size_t from, const char *name)
{
	bool yen = strcmp(name, "SHIFT_JIS") == 0;
	bool no_controls = strcmp(name, "EUC-JP") == 0 ||
	    strcmp(name, "EUC-KR") == 0 || strcmp(name, "BIG5") == 0;
	size_t n = from;

	if (!yen && !no_controls)
		return true;
	for (size_t i = from; i < b->n; i++) {
		struct str rest = { b->p + i, b->n - i };

		if (no_controls && rest.n > 1 && rest.p[0] == '\xc2' &&
		    (unsigned char)rest.p[1] < 0xa0)
			return false;
		if (yen && str_starts(rest, STR("\xc2\xa5"))) {
			b->p[n++] = '\\';
			i++;
		} else if (yen && str_starts(rest, STR("\xe2\x80\xbe"))) {
			b->p[n++] = '~';
			i += 2;
		} else {
			b->p[n++] = b->p[i];
		}
	}
	buf_truncate(b, n);
	return true;
}

/* false: a byte without meaning was met, and strict.  A character that is cut
 * off at the end is dropped. */
static bool
add_iconv(struct buf *b, const char *name, struct str s, bool strict)
{
	iconv_t cd = iconv_open("UTF-8", name);
	char *in = (char *)(uintptr_t)s.p, piece[4096];
	size_t left = s.n, before = b->n;
	bool ok = cd != (iconv_t)-1;

	while (ok && left > 0 && !b->failed) {
		char *out = piece;
		size_t room = sizeof(piece);
		int error = 0;

		if (iconv(cd, &in, &left, &out, &room) == (size_t)-1)
			error = errno;
		buf_add(b, piece, sizeof(piece) - room);
		if (error == EINVAL)
			break;
		if (error == EILSEQ) {
			ok = !strict;
			add_char(b, 0xfffd);
			in++;
			left--;
		}
	}
	if (cd != (iconv_t)-1)
		iconv_close(cd);
	return ok && (fix_iconv(b, before, name) || !strict);
}

static int
base64_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* The halves of a pair come one after the other. */
static void
add_unit(struct buf *b, uint32_t unit, uint32_t *high)
{
	if ((unit & 0xfc00) == 0xd800) {
		*high = unit;
		return;
	}
	if ((unit & 0xfc00) == 0xdc00)
		unit = *high != 0 ?
		    ((*high - 0xd800) << 10) + (unit - 0xdc00) + 0x10000 :
		    0xfffd;
	*high = 0;
	add_char(b, unit);
}

/* RFC 2152; what is not in base64 is what it is, with eight bits as well.
 * false: nothing was in base64. */
static bool
add_utf7(struct buf *b, struct str s)
{
	size_t i = 0;
	bool any = false;

	while (i < s.n) {
		uint32_t bits = 0, have = 0, high = 0;
		size_t from = ++i;

		if (s.p[i - 1] != '+') {
			add_char(b, (unsigned char)s.p[i - 1]);
			continue;
		}
		for (; i < s.n && base64_value((unsigned char)s.p[i]) >= 0;
		     i++) {
			bits = bits << 6 |
			    (uint32_t)base64_value((unsigned char)s.p[i]);
			have += 6;
			if (have < 16)
				continue;
			have -= 16;
			add_unit(b, bits >> have & 0xffff, &high);
		}
		any |= i > from;
		if (i == from)
			buf_addc(b, '+');
		if (i < s.n && s.p[i] == '-')
			i++;
	}
	return any;
}

/* Japanese of seven bits ends where a byte has eight. */
static struct str
seven_bits(const struct codec *c, struct str s)
{
	if (strncmp(c->name, "ISO-2022-JP", 11) == 0)
		s.n = str_ascii(s);
	return s;
}

/* GBK has two bytes a character, GB 18030 four where a digit follows. */
static bool
is_gbk(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] & 0x80) && ++i < s.n &&
		    chr_digit((unsigned char)s.p[i]))
			return false;
	return true;
}

/* false: it can't be that, and nothing was appended. */
static bool
add_strict(struct buf *b, const struct codec *c, struct str s)
{
	size_t before = b->n;

	switch (c->kind) {
	case KIND_LATIN1:
		add_bytes(b, s, false);
		return true;
	case KIND_UTF7:
		add_utf7(b, s);
		return true;
	case KIND_WESTERN:
		for (size_t i = 0; i < s.n; i++)
			if ((s.p[i] & 0x80) && (unsigned char)s.p[i] < 0xa0 &&
			    western_high[s.p[i] & 0x1f] == 0xfffd)
				return false;
		add_bytes(b, s, true);
		return true;
	case KIND_ICONV:
		if (strcmp(c->name, "GB18030") == 0 && !is_gbk(s))
			return false;
		if (add_iconv(b, c->name, seven_bits(c, s), true))
			return true;
		buf_truncate(b, before);
		return false;
	case KIND_ASCII:
	case KIND_UTF8:
		if (!is_utf8(s) ||
		    (c->kind == KIND_ASCII && str_ascii(s) < s.n))
			return false;
		buf_addstr(b, s);
		return true;
	case KIND_UTF16:
	case KIND_NONE:
		break;
	}
	return false;
}

/*
 * UTF-16 without a byte order: blanks and the weight of each half tell.
 */

enum utf16_order { UTF16_UNKNOWN, UTF16_LITTLE, UTF16_BIG };

static enum utf16_order
utf16_order(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t little = 0, big = 0, even = 0, odd = 0;

	if (s.n >= 2 &&
	    ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
		return UTF16_UNKNOWN;
	for (size_t i = 0; i < s.n; i += 2) {
		unsigned int a = p[i], b = i + 1 < s.n ? p[i + 1] : 0;

		even += (a >> 4) + (a & 15);
		odd += (b >> 4) + (b & 15);
		little += a == ' ' && b == 0;
		big += a == 0 && b == ' ';
	}
	little += even > odd * 4;
	big += odd * 4 > even;
	if (little == big)
		return UTF16_UNKNOWN;
	return little > big ? UTF16_LITTLE : UTF16_BIG;
}

/* false: it is none, and nothing was appended. */
static bool
add_utf16(struct buf *b, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t before = b->n, low = 0;
	enum utf16_order order = utf16_order(s);
	uint32_t c, high = 0;

	if (order == UTF16_UNKNOWN || s.n % 2 != 0)
		return false;
	low = order == UTF16_BIG;
	for (size_t i = 0; i < s.n; i += 2) {
		c = (uint32_t)p[i + 1 - low] << 8 | p[i + low];
		if ((high != 0) != ((c & 0xfc00) == 0xdc00))
			break;
		if ((c & 0xfc00) == 0xd800) {
			high = c;
			continue;
		}
		if (high != 0)
			c = ((high - 0xd800) << 10) + (c - 0xdc00) + 0x10000;
		if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
			high = 1;
		else
			high = 0;
		if (high != 0)
			break;
		add_char(b, c);
		if (i + 2 == s.n)
			return true;
	}
	buf_truncate(b, before);
	return s.n == 0;
}

/*
 * A text.
 */

/* As these names are written where ASCII under them is taken as bytes. */
static bool
is_ascii_superset(struct str s)
{
	char space[NAME_BYTES];
	struct str plain = { space, plain_name(s, space) };
	uint64_t number;

	if (s.n == 0 || s.p[0] == '-' || s.p[0] == ' ' ||
	    memchr(s.p, '.', s.n) != NULL || s.p[s.n - 1] == ' ')
		return str_ieq(s, STR("ansi_x3.4-1968")) ||
		    str_ieq(s, STR("ansi_x3.4-1986"));
	if (memchr(s.p, '_', s.n) != NULL)
		return false;
	if (str_eq(plain, STR("iso8859")))
		return true;
	if (numbered(plain, "iso8859", &number))
		return number < 100 && str_rchr(s, '-') > 4;
	if (numbered(plain, "windows", &number))
		return str_istarts(s, STR("windows-")) && s.n == 12;
	if ((str_starts(plain, STR("koi8")) || str_starts(plain, STR("euc"))) &&
	    s.n == plain.n + 1)
		return plain.n >= 4 && plain.n <= 6;
	return str_eq(plain, STR("utf8")) || str_eq(plain, STR("usascii")) ||
	    str_eq(plain, STR("ascii")) || str_eq(plain, STR("iso646us")) ||
	    str_eq(plain, STR("big5")) || str_eq(plain, STR("gbk")) ||
	    str_starts(plain, STR("gb18030"));
}

bool
view_charset_add(struct buf *b, struct str declared, struct str bytes)
{
	bool ascii = str_ascii(bytes) == bytes.n;
	struct codec c;

	if (declared.p == NULL)
		declared = STR("us-ascii");
	if (ascii && is_ascii_superset(declared)) {
		buf_addstr(b, bytes);
		return false;
	}
	if (!ascii && is_utf8(bytes)) {
		buf_addstr(b, bytes);
		return true;
	}
	find_codec(declared, &c);
	if (c.kind == KIND_UTF7)
		return add_utf7(b, bytes);
	if (c.kind == KIND_UTF16 ? add_utf16(b, bytes) :
				   add_strict(b, &c, bytes))
		return true;
	if (ascii)
		buf_addstr(b, bytes);
	else
		add_bytes(b, bytes, true);
	return !ascii;
}

void
view_charset_add_word(struct buf *b, struct str declared, struct str bytes)
{
	struct codec c;

	find_codec(declared, &c);
	if (c.kind == KIND_UTF8)
		add_utf8(b, bytes);
	else if (c.kind == KIND_ASCII)
		add_ascii(b, bytes);
	else if (c.kind == KIND_LATIN1 || c.kind == KIND_UTF7)
		add_strict(b, &c, bytes);
	else if (c.kind == KIND_ICONV)
		add_iconv(b, c.name, seven_bits(&c, bytes), false);
	else if (c.kind != KIND_UTF16 || !add_utf16(b, bytes))
		add_bytes(b, bytes, true);
}

size_t
view_charset_wide_space(struct str s)
{
	static const char *const spaces[] = { "\xc2\x85", "\xc2\xa0",
		"\xe1\x9a\x80", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
		"\xe2\x81\x9f", "\xe3\x80\x80" };
	unsigned char c = (unsigned char)s.p[0];

	if (c != 0xc2 && (c < 0xe1 || c > 0xe3))
		return 0;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (str_starts(s, str_of(spaces[i])))
			return strlen(spaces[i]);
	/* U+2000 to U+200A. */
	if (s.n >= 3 && str_starts(s, STR("\xe2\x80")) &&
	    (unsigned char)s.p[2] >= 0x80 && (unsigned char)s.p[2] <= 0x8a)
		return 3;
	return 0;
}
