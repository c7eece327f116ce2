#include <string.h>

#include "mail/view.h"

/* Base64 characters to their values: `=' is told apart, all else is none. */
#define NO_VALUE 0xff
#define PADDING	 0xfe

static unsigned int
base64_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned int)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned int)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0' + 52);
	if (c == '+' || c == '/')
		return c == '+' ? 62 : 63;
	return c == '=' ? PADDING : NO_VALUE;
}

struct base64 {
	size_t length; /* of characters that count, padding out */
	bool clean; /* nothing in it that does not belong there */
};

/* How far the characters go, without the padding behind them. */
static struct base64
base64_measure(const unsigned char values[256], struct str s)
{
	struct base64 b = { .clean = true };
	size_t all = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned int v = values[(unsigned char)s.p[i]];

		if (v < 64 || v == PADDING)
			all++;
		else if (!chr_white((unsigned char)s.p[i]))
			b.clean = false;
		if (v < 64)
			b.length = all;
	}
	b.clean = b.clean && all % 4 == 0 && all >= 2;
	return b;
}

/* Padding in the middle is a zero where all else is well, and what "/" is
 * where it is not. */
static size_t
base64_decode(char *out, struct str s, size_t max, bool *cut)
{
	unsigned char values[256];
	struct base64 b;
	uint32_t group = 0;
	size_t n = 0, seen = 0;

	for (int c = 0; c < 256; c++)
		values[c] = (unsigned char)base64_value(c);
	b = base64_measure(values, s);
	for (size_t i = 0; i < s.n && seen < b.length; i++) {
		unsigned int v = values[(unsigned char)s.p[i]];

		if (v == NO_VALUE)
			continue;
		if (v == PADDING)
			v = b.clean ? 0 : 63;
		group = group << 6 | v;
		if (++seen % 4 != 0)
			continue;
		if (n + 3 > max) {
			*cut = true;
			return n;
		}
		out[n++] = (char)(group >> 16);
		out[n++] = (char)(group >> 8);
		out[n++] = (char)group;
	}
	if (seen % 4 == 2 && n < max)
		out[n++] = (char)(group >> 4);
	if (seen % 4 == 3 && n + 1 < max) {
		out[n++] = (char)(group >> 10);
		out[n++] = (char)(group >> 2);
	}
	return n;
}

/* The end of a line behind blanks; 0: there is none. */
static size_t
line_end(struct str s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	if (i < s.n && s.p[i] == '\r')
		i++;
	return i < s.n && s.p[i] == '\n' ? i : 0;
}

/* Blanks at the ends of lines go, then soft line breaks. */
static size_t
quoted_join(char *out, struct str s, size_t max, bool *cut)
{
	size_t n = 0, i = 0, end;

	while (i < s.n) {
		const char *stop = NULL;

		if (n == max) {
			*cut = true;
			break;
		}
		if (s.p[i] != '=' && s.p[i] != ' ' && s.p[i] != '\t') {
			out[n++] = s.p[i++];
			continue;
		}
		if (s.p[i] == '=' && (end = line_end(s, i + 1)) > 0) {
			i = end + 1;
			continue;
		}
		if (s.p[i] == ' ' || s.p[i] == '\t') {
			size_t run = i;

			while (
			    run < s.n && (s.p[run] == ' ' || s.p[run] == '\t'))
				run++;
			if ((end = line_end(s, run)) > 0) {
				i = run;
				continue;
			}
			stop = s.p + run;
		}
		do
			out[n++] = s.p[i++];
		while (stop != NULL && s.p + i < stop && n < max);
	}
	return n;
}

static int
hex_value(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the =XX at i stands for, or -1. */
static int
quoted_byte(const char *p, size_t i, size_t n)
{
	int high, low;

	if (i + 2 >= n)
		return -1;
	high = hex_value((unsigned char)p[i + 1]);
	low = hex_value((unsigned char)p[i + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static size_t
quoted_decode(char *p, size_t n)
{
	size_t i = 0, k = 0, run;
	const char *mark;
	int byte;

	while (i < n) {
		mark = memchr(p + i, '=', n - i);
		run = mark != NULL ? (size_t)(mark - p) - i : n - i;
		memmove(p + k, p + i, run);
		k += run;
		i += run;
		if (mark == NULL)
			break;
		byte = quoted_byte(p, i, n);
		p[k++] = byte >= 0 ? (char)byte : '=';
		i += byte >= 0 ? 3 : 1;
	}
	return k;
}

static size_t
drop_crlf(char *p, size_t n)
{
	const char *cr = n > 0 ? memchr(p, '\r', n) : NULL;
	size_t k = cr != NULL ? (size_t)(cr - p) : n;

	for (size_t i = k; i < n; i++)
		if (p[i] != '\r' || i + 1 == n || p[i + 1] != '\n')
			p[k++] = p[i];
	return k;
}

static bool
has_lines(struct str type)
{
	struct str rest, media = str_cut(type, '/', &rest);

	return str_eq(media, STR("text")) || str_eq(media, STR("message"));
}

struct str
view_part_decode(struct arena *a, const struct view_part *p, size_t max,
    bool *cut)
{
	bool dummy = false, quoted = p->encoding == VIEW_QUOTED;
	size_t room = quoted ? p->raw.n : p->raw.n / 4 * 3 + 3, n;
	char *out;

	cut = cut != NULL ? cut : &dummy;
	if (p->encoding == VIEW_PLAIN || p->raw.n == 0) {
		*cut = p->raw.n > max;
		return p->raw.p == NULL ? STR("") : str_sub(p->raw, 0, max);
	}
	room = room < max ? room : max;
	out = arena_alloc(a, room + 1);
	if (out == NULL)
		return STR_NONE;
	if (quoted)
		n = quoted_decode(out, quoted_join(out, p->raw, room, cut));
	else
		n = base64_decode(out, p->raw, room, cut);
	if (quoted || has_lines(p->type))
		n = drop_crlf(out, n);
	return (struct str){ out, n };
}
