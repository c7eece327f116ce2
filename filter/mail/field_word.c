#include <string.h>

#include "mail/charset.h"
#include "mail/field_get.h"

/*
 * Encoded words as SpamAssassin reads them.  What mail programs would not
 * show decoded (spaces inside, words in the middle of text, a character cut
 * between two words) is decoded all the same, as spam relies on it.
 */

#define WORD_MAX_CHARSET  60
#define WORD_MAX_SWITCHES 100 /* changes of character set a value */

struct word {
	struct str charset; /* with what follows an asterisk */
	struct str text;
	bool base64;
	size_t length;
};

struct decoder {
	struct buf out;
	struct buf run; /* bytes of words of one character set */
	struct str charset; /* of the run; p NULL: plain text */
	unsigned int switches;
};

static bool
is_charset_char(int c)
{
	return chr_alnum(c) || c == '*' || c == '_' || c == '-';
}

/* =?charset?B?text?= at the start of s. */
static bool
word_parse(struct str s, struct word *w)
{
	size_t i = 2;
	ptrdiff_t end;
	int kind;

	if (s.n < 7 || s.p[0] != '=' || s.p[1] != '?')
		return false;
	while (i < s.n && i < WORD_MAX_CHARSET &&
	    is_charset_char((unsigned char)s.p[i]))
		i++;
	w->charset = str_sub(s, 2, i - 2);
	if (i == 2 || i + 2 >= s.n || s.p[i] != '?' || s.p[i + 2] != '?')
		return false;
	kind = chr_lower((unsigned char)s.p[i + 1]);
	w->base64 = kind == 'b';
	if (!w->base64 && kind != 'q')
		return false;
	s = str_sub(s, i + 3, s.n);
	end = str_chr(s, '?');
	if (end < 0 || (size_t)end + 1 >= s.n || s.p[end + 1] != '=')
		return false;
	w->text = str_sub(s, 0, (size_t)end);
	w->length = i + 3 + (size_t)end + 2;
	return true;
}

static int
hex_digit(unsigned char c)
{
	if (chr_digit(c))
		return c - '0';
	c = (unsigned char)chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
add_q(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		int high = -1, low = -1;

		if (s.p[i] == '=' && i + 2 < s.n) {
			high = hex_digit((unsigned char)s.p[i + 1]);
			low = hex_digit((unsigned char)s.p[i + 2]);
		}
		if (high < 0 || low < 0) {
			buf_addc(b, s.p[i] == '_' ? ' ' : s.p[i]);
			continue;
		}
		buf_addc(b, (char)(high << 4 | low));
		i += 2;
	}
}

static int
base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (chr_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Is it base64 by the book: whole groups and no foreign character? */
static bool
base64_clean(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (chr_white(c))
			continue;
		if (c != '=' && base64_digit(c) < 0)
			return false;
		n++;
	}
	return n % 4 == 0;
}

/* A `=' in the middle counts as zero bits, or as all ones where the text is
 * not clean; what is foreign is passed over. */
static void
add_base64(struct buf *b, struct str s)
{
	int pad = base64_clean(s) ? 0 : 63;
	uint32_t bits = 0;
	unsigned int have = 0;

	while (s.n > 0 &&
	    (s.p[s.n - 1] == '=' ||
		base64_digit((unsigned char)s.p[s.n - 1]) < 0))
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		int d = base64_digit((unsigned char)s.p[i]);

		if (s.p[i] == '=')
			d = pad;
		if (d < 0)
			continue;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		buf_addc(b, (char)(bits >> have & 0xff));
	}
}

static void
add_replacement(struct buf *b)
{
	buf_adds(b, "\xef\xbf\xbd");
}

/* What can begin no character becomes one U+FFFD. */
static void
add_utf8(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n && !b->failed;) {
		int n = chr_utf8_len((const unsigned char *)s.p + i, s.n - i);

		if (n > 0)
			buf_add(b, s.p + i, (size_t)n);
		else
			add_replacement(b);
		i += (size_t)(n > 0 ? n : -n);
	}
}

/* The five bytes that windows-1252 does not define become U+FFFD. */
static void
add_western(struct buf *b, struct str s)
{
	size_t done = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' ||
		    strchr("\x81\x8d\x8f\x90\x9d", s.p[i]) == NULL)
			continue;
		charset_add(b, STR("cp1252"), str_sub(s, done, i - done));
		add_replacement(b);
		done = i + 1;
	}
	charset_add(b, STR("cp1252"), str_sub(s, done, s.n));
}

static void
add_ascii(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 0x80)
			buf_addc(b, s.p[i]);
		else
			add_replacement(b);
	}
}

/* Text in no stated character set: UTF-8 (RFC 6532) or western. */
static void
add_raw(struct buf *b, struct str s)
{
	if (utf8_valid(s))
		buf_addstr(b, s);
	else
		add_western(b, s);
}

/* UTF-16 as SpamAssassin leaves it: as bytes where its order shows, else
 * western. */
static void
add_utf16(struct buf *b, struct str s)
{
	unsigned long even = 0, odd = 0, little = 0, big = 0;

	if (!str_starts(s, STR("\xff\xfe")) && !str_starts(s, STR("\xfe\xff")))
		for (size_t i = 0; i + 1 < s.n; i += 2) {
			unsigned char x = (unsigned char)s.p[i];
			unsigned char y = (unsigned char)s.p[i + 1];

			little += x == ' ' && y == 0;
			big += x == 0 && y == ' ';
			even += (x >> 4) + (x & 15);
			odd += (y >> 4) + (y & 15);
		}
	little += even > 4 * odd;
	big += 4 * odd > even;
	if (str_ascii(s) == s.n || (little != big && s.n % 2 == 0))
		buf_addstr(b, s);
	else
		add_western(b, s);
}

static void
add_charset(struct buf *b, struct str charset, struct str s)
{
	static const struct {
		struct str name;
		void (*add)(struct buf *, struct str);
	} natives[] = {
		{ { "utf-8", 5 }, add_utf8 },
		{ { "utf8", 4 }, add_utf8 },
		{ { "iso-8859-1", 10 }, add_western },
		{ { "iso8859-1", 9 }, add_western },
		{ { "windows-1252", 12 }, add_western },
		{ { "cp1252", 6 }, add_western },
		{ { "us-ascii", 8 }, add_ascii },
		{ { "ascii", 5 }, add_ascii },
	};

	for (size_t i = 0; i < sizeof(natives) / sizeof(natives[0]); i++)
		if (str_ieq(charset, natives[i].name)) {
			natives[i].add(b, s);
			return;
		}
	if (str_istarts(charset, STR("utf16")) ||
	    str_istarts(charset, STR("utf-16"))) {
		add_utf16(b, s);
		return;
	}
	if (!charset_known(charset) || !charset_add(b, charset, s)) {
		if (str_ascii(s) == s.n)
			buf_addstr(b, s);
		else
			add_western(b, s);
	}
}

static void
flush_run(struct decoder *d)
{
	struct str rest;

	if (d->charset.p == NULL)
		return;
	add_charset(&d->out, str_cut(d->charset, '*', &rest), buf_str(&d->run));
	buf_truncate(&d->run, 0);
	d->charset = STR_NONE;
}

/* A character may be cut between two words, so those of one character set
 * in a row are decoded as a whole. */
static void
take_word(struct decoder *d, const struct word *w)
{
	if (d->charset.p == NULL || !str_ieq(d->charset, w->charset)) {
		flush_run(d);
		d->charset = w->charset;
		if (d->switches++ >= WORD_MAX_SWITCHES)
			d->charset = STR("us-ascii");
	}
	(w->base64 ? add_base64 : add_q)(&d->run, w->text);
}

/* White space between two words is not there (RFC 2047 section 6.2). */
static size_t
skip_to_word(struct str s, size_t i)
{
	size_t from = i;
	struct word w;

	while (i < s.n && chr_white((unsigned char)s.p[i]))
		i++;
	return word_parse(str_sub(s, i, s.n), &w) ? i : from;
}

static void
decode_words(struct decoder *d, struct str s)
{
	size_t i = 0, done = 0;
	struct word w;

	while (i < s.n) {
		const char *at = memchr(s.p + i, '=', s.n - i);

		if (at == NULL)
			break;
		i = (size_t)(at - s.p);
		if (!word_parse(str_sub(s, i, s.n), &w)) {
			i++;
			continue;
		}
		if (i > done) {
			flush_run(d);
			buf_addstr(&d->out, str_sub(s, done, i - done));
		}
		take_word(d, &w);
		i = done = skip_to_word(s, i + w.length);
	}
	flush_run(d);
	buf_addstr(&d->out, str_sub(s, done, s.n));
}

/* Fields that hold no encoded words, whatever they look like. */
static bool
is_plain_field(struct str name)
{
	static const struct str names[] = {
		{ "received", 8 },
		{ "message-id", 10 },
		{ "resent-message-id", 17 },
		{ "date", 4 },
		{ "resent-date", 11 },
		{ "mime-version", 12 },
		{ "references", 10 },
		{ "in-reply-to", 11 },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(name, names[i]))
			return true;
	return str_istarts(name, STR("list-"));
}

static struct str
trim(struct str s)
{
	while (s.n > 0 && chr_white((unsigned char)s.p[0]))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && chr_white((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Folds become one space, other line breaks go; out has room for all of s. */
static size_t
unfold(char *out, struct str s)
{
	size_t n = 0, len;
	ptrdiff_t lf;

	while ((lf = str_chr(s, '\n')) >= 0) {
		len = (size_t)lf;
		if (len > 0 && s.p[len - 1] == '\r')
			len--;
		memcpy(out + n, s.p, len);
		n += len;
		s = str_sub(s, (size_t)lf + 1, s.n);
		if (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
			out[n++] = ' ';
		while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
			s = str_sub(s, 1, s.n);
	}
	if (s.n > 0)
		memcpy(out + n, s.p, s.n);
	return n + s.n;
}

struct str
field_decode(struct arena *a, struct str name, struct str value)
{
	return field_decode_phrase(a, name, trim(value));
}

/* What is more than ASCII without words; it had n bytes with its folds. */
static struct str
decode(struct arena *a, struct str s, size_t n, bool words)
{
	struct decoder d = { .out = BUF_INIT(4 * n + 64),
		.run = BUF_INIT(n + 1) };
	struct buf text = BUF_INIT(3 * n);

	if (str_ascii(s) < s.n) {
		add_raw(&text, s);
		s = buf_str(&text);
	}
	if (words) {
		decode_words(&d, s);
		s = buf_str(&d.out);
	}
	s = arena_str(a, s);
	buf_free(&text);
	buf_free(&d.out);
	buf_free(&d.run);
	return s;
}

/* Does anything begin like an encoded word? */
static bool
may_have_words(struct str s)
{
	ptrdiff_t at;

	while ((at = str_chr(s, '=')) >= 0) {
		s = str_sub(s, (size_t)at + 1, s.n);
		if (s.n > 0 && s.p[0] == '?')
			return true;
	}
	return false;
}

struct str
field_decode_phrase(struct arena *a, struct str name, struct str value)
{
	char *p = arena_alloc(a, value.n + 1);
	struct str s = { p, 0 };
	bool words;

	if (p == NULL)
		return STR_NONE;
	s.n = unfold(p, value);
	p[s.n] = '\0';
	words = may_have_words(s) && !is_plain_field(name);
	if (!words && str_ascii(s) == s.n)
		return s;
	return decode(a, s, value.n, words);
}
