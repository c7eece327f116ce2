#include <string.h>

#include "mail/uri.h"

/*
 * Where a mail reader would see a link in running text: behind a scheme or
 * "www.", at an address, or at a name that ends in a top level.  Each kind
 * has its own delimiters.  How far the next one is remembered, so that text
 * without any costs no more.
 */

#define KNOWN_MAX 2048
#define LOCAL_MAX 251
#define HOST_MAX  252

/* A path has the delimiters of a link. */
enum ahead { AHEAD_LINK, AHEAD_MAIL, AHEAD_LOCAL, AHEAD_PATH };

/* What a character does.  The ends of the first three kinds are those of enum
 * ahead. */
enum {
	END_LINK = 1 << AHEAD_LINK,
	END_MAIL = 1 << AHEAD_MAIL,
	END_LOCAL = 1 << AHEAD_LOCAL,
	END_ANY = END_LINK | END_MAIL | END_LOCAL,
	OPENS_LINK = 1 << 4, /* one may begin behind it */
	OPENS_BARE = 1 << 5, /* so may a name */
	OPENS_ANY = OPENS_LINK | OPENS_BARE,
	HOST = 1 << 6
};

/* No link is without one of these, and more behind it. */
static const char marks[URI_MARKS] = { '.', ':', '@' };

static const unsigned char kinds[256] = {
	['\t' ... '\r'] = END_ANY | OPENS_ANY,
	[' '] = END_ANY | OPENS_ANY,
	['"'] = END_ANY | OPENS_ANY,
	['`'] = END_ANY | OPENS_ANY,
	['<'] = END_ANY | OPENS_ANY,
	['>'] = END_ANY | OPENS_ANY,
	['['] = END_ANY | OPENS_ANY,
	['{'] = END_ANY | OPENS_ANY,
	['|'] = END_ANY | OPENS_ANY,
	['\x1b'] = END_ANY | OPENS_ANY,
	[0xa0] = END_ANY | OPENS_ANY,
	[']'] = END_ANY | OPENS_BARE,
	['}'] = END_ANY | OPENS_BARE,
	[','] = END_MAIL | END_LOCAL | OPENS_ANY,
	['('] = END_MAIL | END_LOCAL | OPENS_ANY,
	['\''] = END_MAIL | END_LOCAL | OPENS_ANY,
	['@'] = END_LOCAL | OPENS_BARE,
	[':'] = OPENS_BARE,
	['.'] = HOST,
	['!'] = OPENS_BARE,
	['#' ... '$'] = OPENS_BARE,
	['&'] = OPENS_BARE,
	[')' ... '+'] = OPENS_BARE,
	['/'] = OPENS_BARE,
	[';'] = OPENS_BARE,
	['='] = OPENS_BARE,
	['?'] = OPENS_BARE,
	['\\'] = OPENS_BARE,
	['^'] = OPENS_BARE,
	['~'] = OPENS_BARE,
	['-'] = HOST,
	['0' ... '9'] = HOST,
	['A' ... 'Z'] = HOST,
	['_'] = HOST,
	['a' ... 'z'] = HOST,
	[0x80 ... 0x9f] = END_MAIL | END_LOCAL,
	[0xa1 ... 0xff] = END_MAIL | END_LOCAL,
};

static bool
is_of(char c, unsigned int kind)
{
	return (kinds[(unsigned char)c] & kind) != 0;
}

static size_t
scan_end(struct str s, size_t from, size_t to, unsigned int end)
{
	while (from < to && !is_of(s.p[from], end))
		from++;
	return from;
}

/* The next delimiter of that kind from i on, or the text's end. */
static size_t
next_end(struct uri_text *t, size_t i, enum ahead what)
{
	struct uri_ahead *a = &t->ahead[what];
	unsigned int kind = what == AHEAD_PATH ? END_LINK : 1U << what;

	if (i < a->from) {
		size_t end = scan_end(t->s, i, a->from, kind);

		return end < a->from ? end : a->end;
	}
	if (i > a->end || a->end == 0) {
		a->from = i;
		a->end = scan_end(t->s, i, t->s.n, kind);
	}
	return a->end;
}

static size_t
scheme_end(struct str s, size_t i)
{
	static const struct str schemes[] = { { "https://", 8 },
		{ "http://", 7 }, { "ftp://", 6 }, { "ftp.", 4 } };
	struct str rest = str_sub(s, i, 8);
	int first = rest.n > 0 ? chr_lower((unsigned char)rest.p[0]) : 0;
	size_t n = 3;

	if (first != 'h' && first != 'f' && first != 'w')
		return 0;
	for (size_t k = 0; k < sizeof(schemes) / sizeof(schemes[0]); k++)
		if (str_istarts(rest, schemes[k]))
			return i + schemes[k].n;
	if (!str_istarts(rest, STR("www")))
		return 0;
	while (n < 5 && n < rest.n && chr_digit((unsigned char)rest.p[n]))
		n++;
	return n < rest.n && rest.p[n] == '.' ? i + n + 1 : 0;
}

/* Behind what a scheme or "www." begins at i, 0 if none does. */
static size_t
known_end(struct uri_text *t, size_t i)
{
	size_t from = scheme_end(t->s, i), end;

	if (from == 0)
		return 0;
	end = next_end(t, from, AHEAD_LINK);
	return end > from && end - from <= KNOWN_MAX ? end : 0;
}

static size_t
mail_end(struct uri_text *t, size_t i)
{
	size_t from = i + 7, end;

	if ((t->s.p[i] == 'm' || t->s.p[i] == 'M') &&
	    str_istarts(str_sub(t->s, i, 7), STR("mailto:"))) {
		end = next_end(t, from, AHEAD_MAIL);
		if (end > from && end - from <= KNOWN_MAX)
			return end;
	}
	from = next_end(t, i, AHEAD_LOCAL);
	if (from == i || from - i > LOCAL_MAX || from >= t->s.n ||
	    t->s.p[from] != '@')
		return 0;
	end = next_end(t, from + 1, AHEAD_MAIL);
	return end > from + 1 && end - from - 1 <= LOCAL_MAX ? end : 0;
}

static size_t
port_end(struct str s, size_t i)
{
	size_t from = i + 1;

	if (i >= s.n || s.p[i] != ':')
		return i;
	for (i = from; i < s.n && chr_digit((unsigned char)s.p[i]); i++)
		continue;
	return i > from && i - from <= 5 ? i : from - 1;
}

/* Behind a name with a known top level, its port and path; 0 if it is none. */
static size_t
bare_end(struct uri_text *t, size_t i, struct str *host)
{
	struct str s = t->s;
	size_t n = 0, end, path;

	if (i > 0 && !is_of(s.p[i - 1], OPENS_BARE))
		return 0;
	if (!chr_alnum((unsigned char)s.p[i]))
		return 0;
	while (i + n < s.n && n <= HOST_MAX + 64 && is_of(s.p[i + n], HOST))
		n++;
	end = i + n;
	if (s.p[end - 1] == '.')
		n--;
	*host = str_sub(s, i, n);
	if (n > HOST_MAX + 64 || !tld_ends(t->tlds, *host) ||
	    host->p[0] == '.' || str_rchr(*host, '.') > HOST_MAX)
		return 0;
	end = port_end(s, end);
	if (end < s.n && s.p[end] == '/') {
		path = next_end(t, end + 1, AHEAD_PATH);
		if (path > end + 1 && path - end - 1 <= 2048)
			end = path;
	}
	return end == s.n || is_of(s.p[end], END_LINK) ? end : 0;
}

/* May a URI begin at i?  (ESC ( x is a change of character set.) */
static bool
may_begin(struct str s, size_t i)
{
	bool before = i > 0 && chr_word((unsigned char)s.p[i - 1]);

	if (before != chr_word((unsigned char)s.p[i]))
		return true;
	if (i > 0 && is_of(s.p[i - 1], OPENS_LINK))
		return true;
	return i >= 3 && s.p[i - 3] == '\x1b' && s.p[i - 2] == '(' &&
	    s.p[i - 1] != '\n';
}

/* The next mark from i on, or the text's end. */
static size_t
next_mark(struct uri_text *t, size_t i)
{
	struct str rest = str_sub(t->s, i, t->s.n);
	size_t next = t->s.n;

	for (size_t k = 0; k < URI_MARKS; k++) {
		size_t *behind = &t->behind[k];
		ptrdiff_t at;

		if (*behind <= i) {
			at = str_chr(rest, marks[k]);
			*behind = (at < 0 ? t->s.n : i + (size_t)at) + 1;
		}
		if (*behind <= next)
			next = *behind - 1;
	}
	return next;
}

/* To the word with the next mark, as there is no link before it.  false: no
 * mark is left. */
static bool
skip_words(struct uri_text *t)
{
	struct str s = t->s;
	size_t mark = next_mark(t, t->at), begin;

	while (mark + 1 < s.n && chr_white((unsigned char)s.p[mark + 1]))
		mark = next_mark(t, mark + 1);
	if (mark + 1 >= s.n)
		return false;
	for (begin = mark; begin > t->at; begin--)
		if (chr_white((unsigned char)s.p[begin - 1]))
			break;
	t->at = begin;
	t->marked = mark + 1;
	return true;
}

bool
uri_text_next(struct uri_text *t, enum uri_kind *kind, struct str *found,
    struct str *host)
{
	size_t end;

	*host = STR_NONE;
	for (; t->at < t->s.n; t->at++) {
		if (t->at >= t->marked && !skip_words(t)) {
			t->at = t->s.n;
			break;
		}
		if (!may_begin(t->s, t->at))
			continue;
		*kind = URI_SCHEME;
		end = known_end(t, t->at);
		if (end == 0) {
			*kind = URI_MAIL;
			end = mail_end(t, t->at);
		}
		if (end == 0) {
			*kind = URI_BARE;
			end = bare_end(t, t->at, host);
		}
		if (end > 0) {
			*found = str_sub(t->s, t->at, end - t->at);
			t->at = end;
			return true;
		}
	}
	return false;
}
