#include <string.h>

#include "base/addr.h"
#include "mail/relay.h"
#include "mail/uri.h"

/*
 * What mail readers, browsers and redirectors make of a URI, step by step in
 * SpamAssassin's order.  Each step that changes it adds a form.
 */

#define LINK_FORMS 24 /* targets of redirectors in one another */

struct canon {
	struct arena *arena;
	const struct uri_config *config;
	struct uri_forms *out;
	struct str links[LINK_FORMS]; /* those still to be read */
	size_t nlinks;
	bool full; /* the arena is */
};

static void
add_form(struct canon *c, struct str s)
{
	struct uri_forms *out = c->out;

	if (s.p == NULL) {
		c->full = true;
		return;
	}
	for (size_t i = 0; i < out->n; i++)
		if (str_eq(out->v[i], s))
			return;
	if (out->n == URI_MAX_FORMS)
		out->truncated = true;
	else
		out->v[out->n++] = s;
}

static void
add_joined(struct canon *c, struct str a, struct str b, struct str rest)
{
	add_form(c, arena_join(c->arena, a, b, rest));
}

static void
add_link(struct canon *c, struct str s)
{
	if (c->nlinks < LINK_FORMS)
		c->links[c->nlinks++] = s;
	else
		c->out->truncated = true;
}

static int
hex_digit(int c)
{
	if (chr_digit(c))
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at i stands for, or -1. */
static int
percent_at(struct str s, size_t i)
{
	int high, low;

	if (i + 2 >= s.n || s.p[i] != '%')
		return -1;
	high = hex_digit((unsigned char)s.p[i + 1]);
	low = hex_digit((unsigned char)s.p[i + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

struct str
uri_encode(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, 3 * s.n + 1);
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		int byte = percent_at(s, i);

		if (byte > 0x20 && byte < 0x7f) {
			p[n++] = (char)byte;
			i += 2;
		} else if (byte >= 0) {
			memcpy(p + n, s.p + i, 3);
			n += 3;
			i += 2;
		} else if (c <= ' ' || c >= 0x7f || c == '"' || c == '%' ||
		    c == '<' || c == '>') {
			p[n++] = '%';
			p[n++] = hex[c >> 4];
			p[n++] = hex[c & 15];
		} else {
			p[n++] = s.p[i];
		}
	}
	return (struct str){ p, n };
}

/* Line breaks go, and space at the ends. */
static struct str
tidy(struct arena *a, struct str s)
{
	char *p;
	size_t n = 0;

	while (s.n > 0 && chr_white((unsigned char)s.p[0]))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 && chr_white((unsigned char)s.p[s.n - 1]))
		s.n--;
	if (str_chr(s, '\n') < 0 && str_chr(s, '\r') < 0)
		return s;
	p = arena_alloc(a, s.n + 1);
	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\n' && s.p[i] != '\r')
			p[n++] = s.p[i];
	return (struct str){ p, n };
}

/* Addresses. */

static bool
is_mail(struct str s)
{
	ptrdiff_t at = str_chr(s, '@'), colon = str_chr(s, ':');

	return str_istarts(s, STR("mailto:")) ||
	    (at >= 0 && (colon < 0 || at < colon));
}

/* Up to the first of `ends' behind the @ and one byte more; p NULL where
 * none of them is there. */
static struct str
up_to(struct str s, const char *ends, bool or_all)
{
	ptrdiff_t at = str_chr(s, '@');
	struct str host;
	size_t n;

	if (at <= 0)
		return STR_NONE;
	host = str_sub(s, (size_t)at + 1, s.n);
	n = str_until(host, ends);
	if (n == 0 || (n == host.n && !or_all))
		return STR_NONE;
	return str_sub(s, 0, (size_t)at + 1 + n);
}

/* "mailto:%20a@b%20", where the spaces go. */
static void
mail_spaces(struct canon *c, struct str s)
{
	if (str_find(s, STR("%20")) < 0)
		return;
	if (str_istarts(s, STR("mailto:")))
		s = str_sub(s, 7, s.n);
	while (str_starts(s, STR("%20")))
		s = str_sub(s, 3, s.n);
	s = up_to(s, "?&%", true);
	if (s.p != NULL)
		add_joined(c, STR("mailto:"), s, STR(""));
}

static void
mail_angles(struct canon *c, struct str s)
{
	size_t i = 0;
	ptrdiff_t at;

	while (i < s.n && s.p[i] != '?' && s.p[i] != '&')
		i++;
	at = str_rchr(str_sub(s, 0, i), '<');
	for (; at >= 0; at = str_rchr(str_sub(s, 0, (size_t)at), '<')) {
		struct str rest, in;

		in = str_cut(str_sub(s, (size_t)at + 1, s.n), '>', &rest);
		i = (size_t)(str_chr(in, '@') + 1);
		if (rest.p != NULL && i > 1 && i < in.n) {
			add_joined(c, STR("mailto:"), in, STR(""));
			return;
		}
	}
}

static void
mail_forms(struct canon *c, struct str s)
{
	struct str form = up_to(s, "?", false);
	ptrdiff_t question;

	if (form.p != NULL)
		add_form(c, form);
	/* an & counts where no ? is before it */
	form = up_to(s, "&", false);
	question = form.p != NULL ? str_chr(form, '?') : -1;
	if (form.p != NULL && question < str_chr(form, '@'))
		add_form(c, form);
	mail_spaces(c, s);
	mail_angles(c, s);
}

/* Links. */

static bool
has_scheme(struct str s)
{
	size_t i = 0;

	while (i < s.n &&
	    (chr_alnum((unsigned char)s.p[i]) || s.p[i] == '-' ||
		s.p[i] == '_'))
		i++;
	return i > 0 && i < s.n && s.p[i] == ':';
}

/* Behind "http:" or "https:", 0 if s does not begin so. */
static size_t
http_end(struct str s)
{
	if (str_istarts(s, STR("http:")))
		return 5;
	return str_istarts(s, STR("https:")) ? 6 : 0;
}

/* Backslashes are slashes; "http:x" has lost two of them. */
static struct str
fix_slashes(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 3);
	size_t n = http_end(s), from;

	if (p == NULL)
		return STR_NONE;
	from = n;
	if (n > 0) {
		memcpy(p, s.p, n);
		memcpy(p + n, "//", 2);
		for (int k = 0; k < 2 && from < s.n &&
		     (s.p[from] == '/' || s.p[from] == '\\');
		     k++)
			from++;
		n += 2;
	}
	for (size_t i = from; i < s.n; i++)
		p[n++] = s.p[i] == '\\' ? '/' : s.p[i];
	return (struct str){ p, n };
}

/* A scheme where none is, and a slash between host and "?" or "#". */
static struct str
fix_host(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 9);
	size_t n = 0, i;

	if (p == NULL)
		return STR_NONE;
	if (!has_scheme(s)) {
		n = str_starts(s, STR("ftp.")) ? 6 : 7;
		memcpy(p, n == 6 ? "ftp://" : "http://", n);
	}
	memcpy(p + n, s.p, s.n);
	s = (struct str){ p, n + s.n };
	i = http_end(s);
	if (i == 0 || !str_starts(str_sub(s, i, 2), STR("//")))
		return s;
	i += 2;
	n = i + str_until(str_sub(s, i, s.n), "/?#");
	if (n == i || n == s.n || s.p[n] == '/')
		return s;
	memmove(p + n + 1, p + n, s.n - n);
	p[n] = '/';
	s.n++;
	return s;
}

/* The number of a character reference at i; *end behind its semicolon. */
static unsigned long
reference_at(struct str s, size_t i, size_t *end)
{
	unsigned int base = 10;
	unsigned long v = 0;
	size_t from;

	if (i + 3 >= s.n || s.p[i] != '&' || s.p[i + 1] != '#')
		return 0;
	i += 2;
	if (s.p[i] == 'x' || s.p[i] == 'X') {
		base = 16;
		i++;
	}
	for (from = i; i < s.n; i++) {
		int d = hex_digit((unsigned char)s.p[i]);

		if (d < 0 || d >= (int)base)
			break;
		v = v > 0xffffff ? v : v * base + (unsigned int)d;
	}
	if (i == from || i >= s.n || s.p[i] != ';')
		return 0;
	*end = i + 1;
	return v;
}

static bool
is_full_stop(unsigned long v)
{
	return v == 0x2e || v == 0x3002 || v == 0xff0e || v == 0xff61;
}

static struct str
fix_references(struct arena *a, struct str s)
{
	char *p;
	size_t n = 0, end;

	if (str_find(s, STR("&#")) < 0)
		return s;
	p = arena_alloc(a, s.n + 1);
	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++) {
		unsigned long v = reference_at(s, i, &end);

		if (is_full_stop(v) || (v > 0x20 && v < 0x7f)) {
			p[n++] = is_full_stop(v) ? '.' : (char)v;
			i = end - 1;
		} else {
			p[n++] = s.p[i];
		}
	}
	return (struct str){ p, n };
}

/* A link to a host, in parts. */
struct link {
	struct str proto; /* "http://" as written */
	struct str auth; /* with its @; "" if none */
	struct str host, rest; /* rest: port, path ... */
	struct str port; /* as written; "" if none */
};

static bool
split_link(struct str s, struct link *l)
{
	size_t i = http_end(s), from;

	if (i == 0 || !str_starts(str_sub(s, i, 2), STR("//")))
		return false;
	from = i += 2;
	l->proto = str_sub(s, 0, i);
	i += str_until(str_sub(s, i, s.n), "@/?#");
	if (i < s.n && s.p[i] == '@')
		from = i + 1;
	i = from + str_until(str_sub(s, from, s.n), "/?#:");
	/* without a host behind it the @ is the host's */
	if (i == from)
		from = l->proto.n;
	if (i == from)
		return false;
	l->auth = str_sub(s, l->proto.n, from - l->proto.n);
	l->host = str_sub(s, from, i - from);
	l->rest = str_sub(s, i, s.n);
	l->port = STR("");
	if (l->rest.n > 0 && l->rest.p[0] == ':') {
		for (from = ++i; i < s.n && chr_digit((unsigned char)s.p[i]);)
			i++;
		l->port = str_sub(s, from, i - from);
	}
	return true;
}

static bool
is_secure(const struct link *l)
{
	return !str_eq(l->proto, STR("http://"));
}

/* The scheme's own port is no port. */
static void
port_form(struct canon *c, const struct link *l)
{
	struct str port = is_secure(l) ? STR(":443") : STR(":80");
	struct str rest;

	if (l->port.n == 0 || !str_starts(l->rest, port))
		return;
	rest = str_sub(l->rest, port.n, l->rest.n);
	if (rest.n > 0 &&
	    (chr_alnum((unsigned char)rest.p[0]) || rest.p[0] == '_'))
		return;
	add_joined(c, l->proto, l->host, rest);
}

static struct str
without_controls(struct arena *a, struct str s)
{
	char *p;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += (unsigned char)s.p[i] <= ' ';
	if (n == 0)
		return s;
	p = arena_alloc(a, s.n + 1);
	if (p == NULL)
		return STR_NONE;
	n = 0;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > ' ')
			p[n++] = s.p[i];
	return (struct str){ p, n };
}

/* A link in a link. */
static struct str
inner_link(struct str rest)
{
	size_t i = 0, n;

	for (;; i++) {
		ptrdiff_t at = str_ifind(str_sub(rest, i, rest.n), STR("http"));
		struct str s;

		if (at < 0)
			return STR_NONE;
		i += (size_t)at;
		s = str_sub(rest, i, rest.n);
		n = http_end(s);
		if (n == 0)
			continue;
		while (n < s.n && s.p[n] != '&' && s.p[n] != '#')
			n++;
		if (n > http_end(s))
			return str_sub(s, 0, n);
	}
}

static void
redirect(struct canon *c, const struct link *l)
{
	struct str target = STR_NONE, whole;

	whole = arena_join(c->arena, l->proto, l->host, l->rest);
	if (whole.p == NULL) {
		c->full = true;
		return;
	}
	if (c->config != NULL && c->config->redirect != NULL)
		target = c->config->redirect(c->config->arg, whole);
	if (target.p == NULL || str_chr(target, '.') < 0)
		target = inner_link(l->rest);
	if (target.p != NULL && str_chr(target, '.') >= 0)
		add_link(c, target);
}

/* Numeric hosts. */

static bool
digits_of(struct str s, int base)
{
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_digit((unsigned char)s.p[i]);

		if (d < 0 || d >= base)
			return false;
	}
	return s.n > 0;
}

static uint64_t
number_of(struct str s, unsigned int base)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v,
			(uint64_t)hex_digit((unsigned char)s.p[i]), &v))
			return UINT64_MAX;
	return v;
}

static bool
is_hex_number(struct str s)
{
	return s.n > 2 && s.p[0] == '0' && chr_lower(s.p[1]) == 'x' &&
	    digits_of(str_sub(s, 2, s.n), 16);
}

/* Decimal of hexadecimal or octal; a zero vanishes (which no browser takes,
 * but rules know it so). */
static void
add_octet(struct buf *b, struct str s)
{
	size_t zeros = 0;
	uint64_t v;

	if (is_hex_number(s)) {
		v = number_of(str_sub(s, 2, s.n), 16);
		if (v > 0)
			buf_printf(b, "%lld", (long long)v);
		return;
	}
	while (zeros < s.n && s.p[zeros] == '0')
		zeros++;
	s = str_sub(s, zeros, s.n);
	if (zeros > 0 && digits_of(s, 8) &&
	    (s.n <= 2 || (s.n == 3 && s.p[0] <= '3')))
		buf_printf(b, "%llu", (unsigned long long)number_of(s, 8));
	else
		buf_addstr(b, s);
}

/* Four numbers and dots. */
static bool
quad_form(struct canon *c, const struct link *l, struct str host)
{
	struct buf b = BUF_INIT(URI_MAX_LENGTH);
	struct str rest = host, part;
	int n = 0;

	while (rest.p != NULL) {
		part = str_cut(rest, '.', &rest);
		if (n++ == 4 || !(is_hex_number(part) || digits_of(part, 10)))
			break;
		if (n > 1)
			buf_addc(&b, '.');
		add_octet(&b, part);
		part = STR_NONE;
	}
	if (n == 4 && rest.p == NULL && part.p == NULL)
		add_joined(c, l->proto, buf_str(&b), l->rest);
	else
		n = 0;
	buf_free(&b);
	return n == 4;
}

static void
add_number(struct canon *c, const struct link *l, uint64_t v)
{
	char text[ADDR_TEXT_MAX];
	struct addr addr = { .family = ADDR_V4 };

	/* more than 32 bits: the first of them, in whole bytes of its
	 * digits */
	if (v > UINT32_MAX) {
		int digits = (64 - __builtin_clzll(v) + 3) / 4;

		v = v >> (4 * (digits - 8));
	}
	for (int i = 0; i < 4; i++)
		addr.b[i] = (uint8_t)(v >> (24 - 8 * i));
	addr_format(&addr, text);
	add_joined(c, l->proto, str_of(text), l->rest);
}

/* "http://foo" is "http://www.foo.com" to some browsers. */
static void
name_form(struct canon *c, const struct link *l)
{
	struct str name = l->host;
	char low[256];
	struct str www;

	if (is_secure(l) || l->auth.n > 0 || name.n > 255 ||
	    (l->port.n > 0 && !str_eq(l->port, STR("80"))))
		return;
	for (size_t i = 0; i < name.n; i++)
		low[i] = (char)chr_lower((unsigned char)name.p[i]);
	name.p = low;
	if (str_eq(name, STR("localhost")))
		return;
	if (tld_ends(c->config != NULL ? c->config->tlds : NULL, name))
		return;
	if (str_starts(name, STR("www.")) && name.n > 4)
		name = str_sub(name, 4, name.n);
	if (str_chr(name, '.') >= 0)
		return;
	www = arena_join(c->arena, STR("www."), name, STR(".com"));
	if (www.p == NULL)
		c->full = true;
	else
		add_joined(c, l->proto, www, l->rest);
}

static void
host_forms(struct canon *c, const struct link *l)
{
	struct str host = without_controls(c->arena, l->host);
	ptrdiff_t at;
	size_t n;

	if (host.p == NULL) {
		c->full = true;
		return;
	}
	if (host.n != l->host.n)
		add_joined(c, l->proto, host, l->rest);
	redirect(c,
	    &(struct link){ l->proto, l->auth, host, l->rest, l->port });
	at = str_chr(host, '@');
	if (at > 0) {
		host = str_sub(host, (size_t)at + 1, host.n);
		add_joined(c, l->proto, host, l->rest);
	}
	n = host.n;
	while (n > 0 && !chr_alnum((unsigned char)host.p[n - 1]))
		n--;
	if (n < host.n) {
		host.n = n;
		add_joined(c, l->proto, host, l->rest);
	}
	if (quad_form(c, l, host))
		return;
	if (is_hex_number(host)) {
		n = host.n - 2 > 8 ? host.n - 8 : 2;
		add_number(c, l, number_of(str_sub(host, n, host.n), 16));
	} else if (digits_of(host, 10)) {
		add_number(c, l, number_of(host, 10));
	} else {
		name_form(c, l);
	}
}

static bool
has_percent(struct str s)
{
	const char *at = s.p, *end = s.p + s.n;

	for (; at < end; at++) {
		at = memchr(at, '%', (size_t)(end - at));
		if (at == NULL)
			return false;
		if (percent_at(s, (size_t)(at - s.p)) >= 0)
			return true;
	}
	return false;
}

static void
link_forms(struct canon *c, struct str s)
{
	struct link l;
	struct str t = fix_slashes(c->arena, s);

	if (t.p != NULL && has_percent(t))
		t = uri_encode(c->arena, t);
	if (t.p != NULL)
		t = fix_host(c->arena, t);
	if (t.p != NULL)
		t = fix_references(c->arena, t);
	if (t.p == NULL) {
		c->full = true;
		return;
	}
	if (!str_eq(s, t))
		add_form(c, t);
	if (!split_link(t, &l))
		return;
	port_form(c, &l);
	host_forms(c, &l);
}

/* "#x", "?x", "/x" and what is but a byte lead nowhere. */
static bool
leads_nowhere(struct str s)
{
	if (s.n <= 1)
		return true;
	return s.p[0] == '#' || s.p[0] == '?' || s.p[0] == '&' ||
	    (s.p[0] == '/' && s.p[1] != '/');
}

bool
uri_canonical(struct arena *a, struct str uri, const struct uri_config *config,
    struct uri_forms *out)
{
	struct canon c = { .arena = a, .config = config, .out = out };

	*out = (struct uri_forms){ .n = 0 };
	add_link(&c, uri);
	for (size_t i = 0; i < c.nlinks && !c.full; i++) {
		struct str s = tidy(a, c.links[i]);

		add_form(&c, s);
		if (c.full || leads_nowhere(s))
			continue;
		if (is_mail(s))
			mail_forms(&c, s);
		else
			link_forms(&c, s);
	}
	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].n > URI_MAX_LENGTH) {
			out->v[i].n = URI_MAX_LENGTH;
			out->truncated = true;
		}
	return !c.full;
}

/* The host of a URI. */

static struct str
lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)chr_lower((unsigned char)s.p[i]);
	return (struct str){ p, s.n };
}

static struct str
mail_host(struct str s)
{
	struct str rest;
	ptrdiff_t at;

	s = str_cut(str_sub(s, 7, s.n), '?', &rest);
	at = str_chr(s, '@');
	return at >= 0 && str_rchr(s, '@') == at ?
	    str_sub(s, (size_t)at + 1, s.n) :
	    STR("");
}

static struct str
link_host(struct str s)
{
	size_t i = 0;
	ptrdiff_t at;

	while (i < s.n && chr_alpha((unsigned char)s.p[i]))
		i++;
	if (i > 0 && i < s.n && s.p[i] == ':') {
		i++;
		for (int k = 0; k < 2 && i < s.n && s.p[i] == '/'; k++)
			i++;
		s = str_sub(s, i, s.n);
	}
	s = str_sub(s, 0, str_until(s, "/?#"));
	at = str_rchr(s, '@');
	s = str_sub(s, (size_t)(at + 1), s.n);
	i = s.n;
	while (i > 0 && chr_digit((unsigned char)s.p[i - 1]))
		i--;
	return i > 0 && s.p[i - 1] == ':' ? str_sub(s, 0, i - 1) : s;
}

struct str
uri_host(struct arena *a, struct str uri, const struct tld_set *tlds,
    struct str *domain)
{
	struct str s = lower(a, uri);

	*domain = STR("");
	if (s.p == NULL || str_starts(s, STR("javascript:")) ||
	    str_starts(s, STR("cid:")) || str_starts(s, STR("file:")))
		return STR("");
	s = str_starts(s, STR("mailto:")) ? mail_host(s) : link_host(s);
	for (size_t i = 0; i < s.n; i++) {
		int byte = percent_at(s, i);

		if (byte > 0x20 && byte < 0x7f)
			return STR("");
	}
	if (s.n > 0 && relay_ip_at(s, 0) == s.n) {
		*domain = s;
		return s;
	}
	if (!tld_name_valid(s) || !tld_ends(tlds, s))
		return STR("");
	*domain = tld_domain(tlds, s);
	return s;
}
