#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "check/spf_record.h"

#define NAME_WINDOW 4096 /* a name is cut from the left past this */

static const char delimiters[] = ".-+,/_=";

/* One "%{...}": what stands between the braces. */
struct macro {
	char letter; /* lower case */
	bool escape; /* the letter was upper case */
	bool reverse;
	unsigned int keep; /* rightmost parts; 0: all */
	struct str delims;
};

static bool
is_delimiter(char c)
{
	return c != '\0' && strchr(delimiters, c) != NULL;
}

/* s is what follows "%{"; the length with the "}", 0 where it is no macro. */
static size_t
macro_parse(struct str s, bool explain, struct macro *m)
{
	size_t i = 0, from;

	*m = (struct macro){ 0 };
	if (s.n < 2 || !chr_alpha((unsigned char)s.p[0]))
		return 0;
	m->letter = (char)chr_lower((unsigned char)s.p[0]);
	m->escape = m->letter != s.p[0];
	if (!strchr(explain ? "slodiphcrtv" : "slodiphv", m->letter))
		return 0;
	for (i = 1; i < s.n && chr_digit((unsigned char)s.p[i]); i++) {
		m->keep = m->keep * 10 + (unsigned int)(s.p[i] - '0');
		if (m->keep > 999)
			m->keep = 999;
	}
	if (i > 1 && m->keep == 0)
		return 0;
	if (i < s.n && (s.p[i] == 'r' || s.p[i] == 'R')) {
		m->reverse = true;
		i++;
	}
	for (from = i; i < s.n && is_delimiter(s.p[i]);)
		i++;
	m->delims = i > from ? str_sub(s, from, i - from) : STR(".");
	return i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

bool
spf_macro_valid(struct str s, bool explain)
{
	struct macro m;
	size_t i, n;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == ' ' && explain)
			continue;
		if (c < 0x21 || c > 0x7e)
			return false;
		if (c != '%')
			continue;
		if (++i == s.n)
			return false;
		if (s.p[i] != '{') {
			if (!memchr("%_-", s.p[i], 3))
				return false;
			continue;
		}
		n = macro_parse(str_sub(s, i + 1, s.n), explain, &m);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* An IPv6 address as dotted nibbles (section 7.3, letter i). */
static void
nibbles(const struct addr *a, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < 16; i++) {
		if (i > 0)
			buf_addc(out, '.');
		buf_addc(out, hex[a->b[i] >> 4]);
		buf_addc(out, '.');
		buf_addc(out, hex[a->b[i] & 15]);
	}
}

static void
add_client(const struct spf_macros *v, char letter, struct buf *out)
{
	char text[ADDR_TEXT_MAX];

	if (letter == 'i' && v->client.family == ADDR_V6) {
		nibbles(&v->client, out);
		return;
	}
	addr_format(&v->client, text);
	buf_adds(out, text);
}

/* What a letter stands for, untransformed. */
static void
macro_value(const struct spf_macros *v, char letter, struct buf *out)
{
	switch (letter) {
	case 's':
		buf_addstr(out, v->local);
		buf_addc(out, '@');
		buf_addstr(out, v->sender_domain);
		break;
	case 'l':
		buf_addstr(out, v->local);
		break;
	case 'o':
		buf_addstr(out, v->sender_domain);
		break;
	case 'd':
		buf_addstr(out, v->domain);
		break;
	case 'i':
	case 'c':
		add_client(v, letter, out);
		break;
	case 'p':
		buf_addstr(out,
		    v->validated ? v->validated(v->arg) : STR("unknown"));
		break;
	case 'v':
		buf_adds(out, v->client.family == ADDR_V6 ? "ip6" : "in-addr");
		break;
	case 'h':
		buf_addstr(out, v->helo);
		break;
	case 'r':
		buf_addstr(out, v->receiver.n ? v->receiver : STR("unknown"));
		break;
	case 't':
		buf_printf(out, "%lld", (long long)(clock_wall_ms() / 1000));
		break;
	}
}

static void
add_escaped(struct buf *out, struct str s, bool escape)
{
	size_t i;

	if (!escape) {
		buf_addstr(out, s);
		return;
	}
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (chr_alnum(c) || memchr("-._~", c, 4))
			buf_addc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static bool
is_split(const struct macro *m, char c)
{
	return memchr(m->delims.p, c, m->delims.n) != NULL;
}

/* From one end of value: the part that ends (or starts) at *at. */
static struct str
part_next(const struct macro *m, struct str value, size_t *at)
{
	size_t from = *at;

	while (*at < value.n && !is_split(m, value.p[*at]))
		(*at)++;
	return str_sub(value, from, (*at)++ - from);
}

static struct str
part_prev(const struct macro *m, struct str value, size_t *end)
{
	size_t to = *end, from = to;

	while (from > 0 && !is_split(m, value.p[from - 1]))
		from--;
	*end = from > 0 ? from - 1 : SIZE_MAX;
	return str_sub(value, from, to - from);
}

static size_t
part_count(const struct macro *m, struct str value)
{
	size_t i, n = 1;

	for (i = 0; i < value.n; i++)
		n += is_split(m, value.p[i]);
	return n;
}

/*
 * Split at the delimiters, reversed where asked, the rightmost `keep' parts
 * joined by dots.  Reversed, the rightmost parts are the first ones read from
 * the left, written last one first.
 */
static void
macro_transform(const struct macro *m, struct str value, struct buf *out)
{
	size_t n = part_count(m, value), skip, i, at = 0, end = value.n;
	size_t keep = m->keep == 0 || m->keep > n ? n : m->keep;

	skip = n - keep;
	for (i = 0; i < n; i++) {
		struct str part = m->reverse ? part_prev(m, value, &end) :
					       part_next(m, value, &at);

		if (i < skip)
			continue;
		if (i > skip)
			buf_addc(out, '.');
		add_escaped(out, part, m->escape);
	}
}

static void
macro_add(const struct spf_macros *v, const struct macro *m, struct buf *out)
{
	struct buf value = BUF_INIT(1024);

	macro_value(v, m->letter, &value);
	macro_transform(m, buf_str(&value), out);
	buf_free(&value);
}

/* Keeps the tail of a name that grows past all use; true: it was cut. */
static bool
window(struct buf *out)
{
	if (out->n <= NAME_WINDOW)
		return false;
	memmove(out->p, out->p + out->n - SPF_NAME_MAX - 1, SPF_NAME_MAX + 1);
	buf_truncate(out, SPF_NAME_MAX + 1);
	return true;
}

/* The length of the piece at s: a run of literals, or one macro-expand. */
static size_t
expand_piece(const struct spf_macros *v, struct str s, struct buf *out)
{
	struct macro m;
	size_t n;

	if (s.p[0] != '%') {
		for (n = 1; n < s.n && n < 256 && s.p[n] != '%';)
			n++;
		buf_add(out, s.p, n);
		return n;
	}
	if (s.n >= 2 && s.p[1] == '{') {
		n = macro_parse(str_sub(s, 2, s.n), true, &m);
		if (n > 0) {
			macro_add(v, &m, out);
			return 2 + n;
		}
	}
	if (s.n >= 2 && s.p[1] == '-')
		buf_adds(out, "%20");
	else
		buf_addc(out, s.n >= 2 && s.p[1] == '_' ? ' ' : '%');
	return s.n >= 2 ? 2 : 1;
}

bool
spf_macro_name(const struct spf_macros *v, struct str spec, struct buf *out)
{
	size_t i;

	buf_truncate(out, 0);
	for (i = 0; i < spec.n;) {
		i += expand_piece(v, str_sub(spec, i, spec.n), out);
		(void)window(out);
	}
	if (out->n > 0 && out->p[out->n - 1] == '.')
		buf_truncate(out, out->n - 1);
	if (out->n > SPF_NAME_MAX) {
		const char *from = out->p + out->n - SPF_NAME_MAX - 1;
		const char *dot = memchr(from, '.', SPF_NAME_MAX);
		size_t n;

		if (dot == NULL)
			return false;
		n = (size_t)(out->p + out->n - dot - 1);
		memmove(out->p, dot + 1, n);
		buf_truncate(out, n);
	}
	return out->n > 0 && !out->failed;
}

void
spf_macro_text(const struct spf_macros *v, struct str text, struct buf *out)
{
	size_t i;

	buf_truncate(out, 0);
	for (i = 0; i < text.n && out->n <= SPF_TEXT_MAX;)
		i += expand_piece(v, str_sub(text, i, text.n), out);
	if (out->n > SPF_TEXT_MAX)
		buf_truncate(out, SPF_TEXT_MAX);
}
