/*
 * Where links lead, as browsers read them (WHATWG URL, RFC 3986).
 */
#include <string.h>

#include "base/psl.h"
#include "mail/envelope.h"
#include "mail/link.h"
#include "mail/uri.h"

#define HOST_MAX 1024

static int
hex_digit(unsigned char c)
{
	if (chr_digit(c))
		return c - '0';
	c = (unsigned char)chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str
percent_decode(struct str s, char out[HOST_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < HOST_MAX; i++) {
		int high = -1, low = -1;

		if (s.p[i] == '%' && i + 2 < s.n) {
			high = hex_digit((unsigned char)s.p[i + 1]);
			low = hex_digit((unsigned char)s.p[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[n++] = (char)(high << 4 | low);
			i += 2;
		} else
			out[n++] = s.p[i];
	}
	return (struct str){ out, n };
}

/* What stands between the slashes and the port, without a login. */
static struct str
authority(struct str link)
{
	ptrdiff_t at = str_find(link, STR("://"));
	size_t n = 0;

	if (at < 0)
		return STR_NONE;
	link = str_sub(link, (size_t)at + 3, link.n);
	while (n < link.n && memchr("/\\?#", link.p[n], 4) == NULL)
		n++;
	link = str_sub(link, 0, n);
	at = str_rchr(link, '@');
	link = str_sub(link, (size_t)(at + 1), link.n);
	if (link.n > 0 && link.p[0] == '[')
		return str_sub(link, 0, (size_t)(str_chr(link, ']') + 1));
	return str_cut(link, ':', &(struct str){ 0 });
}

/* 192, 0300 and 0xc0 are the same number. */
static bool
number(struct str s, uint64_t *n)
{
	unsigned int base = 10;

	if (s.n > 1 && s.p[0] == '0') {
		base = chr_lower((unsigned char)s.p[1]) == 'x' ? 16 : 8;
		s = str_sub(s, base == 16 ? 2 : 1, s.n);
	}
	*n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int digit = hex_digit((unsigned char)s.p[i]);

		if (digit < 0 || (unsigned int)digit >= base || *n > UINT32_MAX)
			return false;
		*n = *n * base + (unsigned int)digit;
	}
	return s.n > 0 || base == 16;
}

/* One to four numbers, of which the last fills what is left. */
static bool
numeric_host(struct str host, struct addr *addr)
{
	uint64_t n, value = 0;
	unsigned int parts = 0;
	struct str part, rest = host;

	if (host.n > 0 && host.p[host.n - 1] == '.')
		rest = str_sub(host, 0, host.n - 1);
	while (rest.p != NULL) {
		part = str_cut(rest, '.', &rest);
		if (++parts > 4 || !number(part, &n))
			return false;
		if (rest.p != NULL) {
			if (n > 255)
				return false;
			value |= n << (32 - 8 * parts);
		} else if (n >> (40 - 8 * parts) != 0)
			return false;
		else
			value |= n;
	}
	addr->family = ADDR_V4;
	for (int i = 0; i < 4; i++)
		addr->b[i] = (uint8_t)(value >> (24 - 8 * i));
	return true;
}

/* A name that ends in a number is none: browsers take it for an address. */
static bool
ends_in_number(struct str host)
{
	struct str last =
	    str_sub(host, (size_t)(str_rchr(host, '.') + 1), host.n);
	size_t digits = 0;

	while (digits < last.n && chr_digit((unsigned char)last.p[digits]))
		digits++;
	return digits == last.n || number(last, &(uint64_t){ 0 });
}

struct str
link_host(struct arena *a, struct str link, struct addr *addr)
{
	char space[HOST_MAX];
	struct str host = percent_decode(authority(link), space);

	*addr = (struct addr){ .family = ADDR_NONE };
	if (host.n > 2 && host.p[0] == '[') {
		addr_parse(str_sub(host, 1, host.n - 2), addr);
		return STR("");
	}
	if (host.n == 0 || numeric_host(host, addr))
		return STR("");
	host = envelope_domain(a, host);
	return host.p != NULL && !ends_in_number(host) ? host : STR("");
}

struct domains {
	struct arena *arena;
	struct map *seen;
	struct link_domain **tail;
};

/* A host, or an address in its place; false: the arena is full. */
static bool
domain_add(struct domains *all, struct str host, const struct addr *addr)
{
	struct str domain = psl_domain(host);
	char text[ADDR_TEXT_MAX];
	struct link_domain *d;

	if (addr->family != ADDR_NONE) {
		addr_format(addr, text);
		domain = str_of(text);
	}
	if (domain.n == 0 || map_get(all->seen, domain) != NULL)
		return true;
	d = arena_alloc(all->arena, sizeof(*d));
	if (d == NULL || (d->text = arena_str(all->arena, domain)).p == NULL)
		return false;
	d->addr = *addr;
	map_put(all->seen, domain, d);
	*all->tail = d;
	all->tail = &d->next;
	return true;
}

/* What rules know of a host; addresses of mail are no links. */
static bool
uri_add(struct domains *all, const struct uri *u)
{
	struct addr addr = { .family = ADDR_NONE };
	struct str host = STR("");

	if (u->host.n == 0 || str_istarts(u->text, STR("mailto:")))
		return true;
	if (!addr_parse(u->host, &addr))
		host = envelope_domain(all->arena, u->host);
	if (host.p != NULL && ends_in_number(host))
		host = STR("");
	return domain_add(all, host, &addr);
}

bool
link_domains(struct arena *a, const struct url *links,
    const struct uri_list *uris, struct link_domain **first)
{
	struct domains all = { .arena = a,
		.seen = map_new(false),
		.tail = first };
	struct addr addr;
	bool ok = true;

	*first = NULL;
	for (; links != NULL && ok; links = links->next) {
		struct str host = link_host(a, links->text, &addr);

		ok = domain_add(&all, host, &addr);
	}
	for (const struct uri *u = uris != NULL ? uris->first : NULL;
	     u != NULL && ok; u = u->next)
		ok = uri_add(&all, u);
	map_free(&all.seen, NULL);
	return ok && !arena_overflowed(a);
}
