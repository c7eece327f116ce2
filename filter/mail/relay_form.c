#include "mail/relay_form.h"

#include <string.h>

#include "mail/relay.h"

/* The slot of each letter, plus one. */
static const unsigned char slots[256] = {
	['h'] = SLOT_HELO + 1,
	['r'] = SLOT_RDNS + 1,
	['i'] = SLOT_IP + 1,
	['b'] = SLOT_BY + 1,
	['d'] = SLOT_IDENT + 1,
	['f'] = SLOT_ENVFROM + 1,
	['n'] = SLOT_ID + 1,
	['x'] = SLOT_AUTH + 1,
	['s'] = SLOT_SUB + 1,
};

static bool
is_hex(int c)
{
	return chr_digit(c) || (chr_lower(c) >= 'a' && chr_lower(c) <= 'f');
}

static int
byte_at(struct str s, size_t i)
{
	return i < s.n ? (unsigned char)s.p[i] : -1;
}

/* IP addresses. */

/* Behind the decimal octet at i, 0 if there is none. */
static size_t
octet_end(struct str s, size_t i)
{
	unsigned int v = 0;
	size_t from = i;

	while (chr_digit(byte_at(s, i)) && i < from + 4)
		v = v * 10 + (unsigned int)(s.p[i++] - '0');
	if (i == from || i > from + 3 || v > 255 ||
	    (s.p[from] == '0' && i > from + 1))
		return 0;
	return i;
}

static size_t
quad_end(struct str s, size_t i)
{
	for (int n = 0; n < 4; n++) {
		if (n > 0 && byte_at(s, i++) != '.')
			return 0;
		i = octet_end(s, i);
		if (i == 0)
			return 0;
	}
	return i;
}

struct groups {
	size_t n; /* of hexadecimal digits */
	bool gap; /* "::" was among them */
	bool ok;
	size_t last; /* where the last one begins */
};

/* The groups of s from i up to end, which holds hex and colons alone. */
static struct groups
count_groups(struct str s, size_t i, size_t end)
{
	struct groups g = { .ok = false };

	if (byte_at(s, i) == ':') {
		if (byte_at(s, i + 1) != ':')
			return g;
		g.gap = true;
		i += 2;
	}
	while (i < end) {
		g.last = i;
		while (i < end && s.p[i] != ':')
			i++;
		if (i == g.last || i > g.last + 4)
			return g;
		g.n++;
		if (i == end)
			break;
		if (++i == end || (s.p[i] == ':' && g.gap))
			return g;
		if (s.p[i] == ':') {
			g.gap = true;
			i++;
		}
	}
	g.ok = true;
	return g;
}

static size_t
ip6_end(struct str s, size_t i)
{
	size_t end = i, quad;
	struct groups g;

	while (end < s.n && end < i + 64 &&
	    (is_hex((unsigned char)s.p[end]) || s.p[end] == ':'))
		end++;
	if (end - i < 2 || memchr(s.p + i, ':', end - i) == NULL)
		return 0;
	g = count_groups(s, i, end);
	if (g.ok && byte_at(s, end) == '.' && g.last > i &&
	    (quad = quad_end(s, g.last)) > 0 && !is_hex(byte_at(s, quad)) &&
	    byte_at(s, quad) != ':') {
		g.n--;
		if (g.gap ? g.n <= 5 : g.n == 6)
			return quad;
		g.n++;
	}
	return g.ok && (g.gap ? g.n <= 7 : g.n == 8) ? end : 0;
}

/* A digit, a colon, or the I of "IPv6:". */
static bool
begins_ip(int c)
{
	return is_hex(c) || c == ':' || c == 'i' || c == 'I';
}

size_t
relay_ip_at(struct str s, size_t i)
{
	int before = i > 0 ? (unsigned char)s.p[i - 1] : ' ';
	size_t end;

	if (!begins_ip(byte_at(s, i)))
		return 0;
	if (chr_digit(byte_at(s, i)) && !chr_word(before) && before != ':') {
		end = quad_end(s, i);
		if (end > 0 && !chr_word(byte_at(s, end)))
			return end - i;
	}
	if (str_istarts(str_sub(s, i, 5), STR("IPv6:")))
		end = ip6_end(s, i + 5);
	else if (is_hex(before) || before == ':')
		end = 0;
	else
		end = ip6_end(s, i);
	return end > 0 ? end - i : 0;
}

/* Forms. */

static bool
of_kind(char kind, unsigned char c)
{
	if (kind == '(')
		return !chr_white(c) && c != '(' && c != ')';
	if (kind == 'z')
		return (c >= 'A' && c <= 'Z') || chr_digit(c) || c == '.' ||
		    c == '_' || c == '~' || c == '-';
	return !chr_white(c);
}

/* How much of s is of that kind. */
static size_t
kind_span(char kind, struct str s)
{
	ptrdiff_t at;
	size_t n = 0;

	switch (kind) {
	case ',':
	case '.':
	case '~':
		return s.n;
	case 'p':
	case ')':
	case '4':
	case 'n':
		at = str_chr(s, kind == 'n' ? '.' : ')');
		return at < 0 ? s.n : (size_t)at;
	}
	while (n < s.n && of_kind(kind, (unsigned char)s.p[n]))
		n++;
	return n;
}

static bool match(struct relay_line *l, const char *f, size_t i);

/* One length of a run and what follows it. */
static bool
try_run(struct relay_line *l, const char *f, size_t i, size_t n)
{
	unsigned int slot = slots[(unsigned char)f[1]];
	struct str old;

	if (f[2] == 'o' &&
	    (n < 3 || str_chr(str_sub(l->s, i + 1, n - 2), '.') < 0))
		return false;
	if (slot == 0)
		return match(l, f + 3, i + n);
	old = l->slot[slot - 1];
	l->slot[slot - 1] = str_sub(l->s, i, n);
	if (match(l, f + 3, i + n))
		return true;
	l->slot[slot - 1] = old;
	return false;
}

/* The text that must follow a run; "" where that is not said in so many
 * words. */
static struct str
text_behind(const char *f)
{
	f += 3;
	if (f[0] == '%' && f[1] == '|')
		f += 2;
	return (struct str){ f, strcspn(f, "%") };
}

/* How much of s is before what may follow the run. */
static size_t
find_follower(const char *f, struct str s)
{
	struct str text = text_behind(f);
	ptrdiff_t at;
	size_t n = 0;

	if (text.n > 0) {
		at = text.n > 1 ? str_find(s, text) : str_chr(s, text.p[0]);
		return at >= 0 ? (size_t)at : s.n;
	}
	if (f[3] == '%' && (f[4] == 'i' || f[4] == 'j'))
		while (n < s.n && !begins_ip((unsigned char)s.p[n]))
			n++;
	return n;
}

/* Both try the lengths from least to most behind which the follower is; those
 * passed over count as steps, too. */

static bool
try_shortest(struct relay_line *l, const char *f, size_t i, size_t least,
    size_t most)
{
	size_t passed;

	for (size_t n = least; n <= most; n++) {
		passed = find_follower(f, str_sub(l->s, i + n, l->s.n));
		if (passed > most - n)
			passed = most - n + 1;
		l->steps += (unsigned int)passed;
		n += passed;
		if (n > most)
			break;
		if (l->steps++ >= RELAY_MAX_STEPS || try_run(l, f, i, n))
			return l->steps < RELAY_MAX_STEPS;
	}
	return false;
}

static bool
try_longest(struct relay_line *l, const char *f, size_t i, size_t least,
    size_t most)
{
	struct str text = text_behind(f), rest;
	size_t length;
	ptrdiff_t at;

	for (size_t n = most + 1; n-- > least;) {
		length = n - least;
		rest = str_sub(l->s, i + least, length + 1);
		at = text.n > 0 ? str_rchr(rest, text.p[0]) : (ptrdiff_t)length;
		l->steps += (unsigned int)(length - (size_t)at);
		if (at < 0)
			return false;
		n = least + (size_t)at;
		if (l->steps++ >= RELAY_MAX_STEPS || try_run(l, f, i, n))
			return l->steps < RELAY_MAX_STEPS;
	}
	return false;
}

static bool
match_run(struct relay_line *l, const char *f, size_t i)
{
	char kind = f[2];
	size_t least = kind == '~' ? 10 : strchr("+)onl", kind) != NULL;
	size_t bound = kind == '4' ? 40 : kind == '~' ? 80 : l->s.n;
	size_t most = kind_span(kind, str_sub(l->s, i, bound));

	if (kind == '.' || kind == 'l')
		return try_shortest(l, f, i, least, most);
	return try_longest(l, f, i, least, most);
}

static const char *
group_end(const char *f)
{
	const char *end = strstr(f, "%}");

	return end != NULL ? end + 2 : f + strlen(f);
}

static size_t
self_end(struct str s, size_t i)
{
	struct str rest = str_sub(s, i, 40);
	struct addr addr;
	size_t n;

	if (str_istarts(rest, STR("localhost.localdomain")))
		return i + 21;
	if (str_istarts(rest, STR("localhost")))
		return i + 9;
	n = relay_ip_at(s, i);
	if (n > 0 && addr_parse(str_sub(s, i, n), &addr) &&
	    addr_is_loopback(&addr) &&
	    (addr.family == ADDR_V6 || addr.b[3] == 1))
		return i + n;
	return 0;
}

static bool
word_edge(struct str s, size_t i)
{
	bool before = i > 0 && chr_word((unsigned char)s.p[i - 1]);

	return before != chr_word(byte_at(s, i));
}

/* What takes no choice: where it ends, or (size_t)-1. */
static size_t
match_fixed(struct relay_line *l, char what, size_t i)
{
	struct str rest = str_sub(l->s, i, l->s.n);
	int c = byte_at(l->s, i);
	size_t n = 0;
	bool ok = false;

	switch (what) {
	case 'i':
	case 'j':
		n = relay_ip_at(l->s, i);
		ok = n > 0;
		if (ok && what == 'i')
			l->slot[SLOT_IP] = str_sub(l->s, i, n);
		break;
	case '9':
		while (chr_digit(byte_at(l->s, i + n)))
			n++;
		ok = n > 0;
		break;
	case 'a':
		n = 1;
		ok = chr_alpha(c);
		break;
	case 'E':
		n = 4;
		ok = str_starts(rest, STR("HELO")) ||
		    str_starts(rest, STR("EHLO"));
		break;
	case 'L':
		n = self_end(l->s, i);
		ok = n > 0;
		n -= ok ? i : 0;
		break;
	case 'Q':
		n = 4;
		ok = (str_starts(rest, STR("SMTP")) ||
			 str_starts(rest, STR("QMQP"))) &&
		    !str_starts(str_sub(rest, 4, 4), STR(" id "));
		break;
	case '|':
		ok = word_edge(l->s, i);
		break;
	case '!':
		ok = c != '.' && c != '-';
		break;
	case 'e':
		ok = c == -1 || c == ' ';
		break;
	case '$':
		ok = c == -1;
		break;
	case '%':
		n = 1;
		ok = c == '%';
		break;
	}
	return ok ? i + n : (size_t)-1;
}

static bool
match(struct relay_line *l, const char *f, size_t i)
{
	for (;;) {
		if (l->steps++ >= RELAY_MAX_STEPS)
			return false;
		if (*f == '\0')
			return true;
		if (*f != '%') {
			if (byte_at(l->s, i++) != *f++)
				return false;
		} else if (f[1] == '{') {
			struct relay_line old = *l;

			if (match(l, f + 2, i))
				return true;
			old.steps = l->steps;
			*l = old;
			f = group_end(f);
		} else if (f[1] == '}') {
			f += 2;
		} else if (f[1] == '?') {
			if (byte_at(l->s, i) == f[2] && match(l, f + 3, i + 1))
				return true;
			f += 3;
		} else if (f[1] == '_' ||
		    (f[1] != 'i' && slots[(unsigned char)f[1]] > 0)) {
			return match_run(l, f, i);
		} else {
			i = match_fixed(l, f[1], i);
			if (i == (size_t)-1)
				return false;
			f += 2;
		}
	}
}

bool
relay_form_match(struct relay_line *l, const char *form)
{
	struct relay_line old = *l;

	if (match(l, form, 0))
		return true;
	old.steps = l->steps;
	*l = old;
	return false;
}
