#include "mail/html_uri.h"

#include <string.h>

/* RFC 3986, appendix B; p NULL: not there. */
struct uri_parts {
	struct str scheme, authority, path, query, fragment;
};

/* What stands before the first of the characters. */
static struct str
take_until(struct str *s, const char *stops)
{
	struct str head = str_sub(*s, 0, str_until(*s, stops));

	*s = str_sub(*s, head.n, s->n);
	return head;
}

static void
parse(struct str s, struct uri_parts *u)
{
	struct str rest = s, scheme = take_until(&rest, ":/?#");

	*u = (struct uri_parts){ .path = STR("") };
	if (scheme.n > 0 && rest.n > 0 && rest.p[0] == ':') {
		u->scheme = scheme;
		s = str_sub(rest, 1, rest.n);
	}
	if (str_starts(s, STR("//"))) {
		s = str_sub(s, 2, s.n);
		u->authority = take_until(&s, "/?#");
	}
	u->path = take_until(&s, "?#");
	if (s.n > 0 && s.p[0] == '?') {
		s = str_sub(s, 1, s.n);
		u->query = take_until(&s, "#");
	}
	if (s.n > 0 && s.p[0] == '#') {
		s = str_sub(s, 1, s.n);
		u->fragment = take_until(&s, "\n");
	}
}

/* "/." or "/.." at the start of s, up to its end or a slash. */
static size_t
dots(struct str s, size_t n)
{
	if (s.n < n + 1 || s.p[0] != '/' || s.p[1] != '.' ||
	    (n == 2 && s.p[2] != '.'))
		return 0;
	if (s.n == n + 1)
		return n + 1;
	return s.p[n + 1] == '/' ? n + 2 : 0;
}

static void
drop_segment(struct buf *b, size_t from)
{
	size_t n = b->n;

	while (n > from && b->p[n - 1] != '/')
		n--;
	buf_truncate(b, n > from ? n - 1 : from);
}

/* "/./" and "/../" go, and leave their last slash to what follows. */
static void
add_path(struct buf *b, struct str s)
{
	size_t from = b->n, n, k;

	if (str_starts(s, STR("./")) || str_starts(s, STR("../")))
		s = str_sub(s, s.p[1] == '/' ? 1 : 2, s.n);
	while (s.n > 0) {
		k = 1;
		n = dots(s, k);
		if (n == 0)
			n = dots(s, k = 2);
		if (n > 0) {
			if (k == 2)
				drop_segment(b, from);
			s = n == k + 1 ? STR("/") : str_sub(s, n - 1, s.n);
			continue;
		}
		for (n = 1; n < s.n && s.p[n] != '/';)
			n++;
		buf_add(b, s.p, n);
		s = str_sub(s, n, s.n);
	}
}

static void
add_merged(struct buf *b, const struct uri_parts *base, struct str path)
{
	struct buf merged = BUF_INIT(base->path.n + path.n + 1);
	ptrdiff_t slash = str_rchr(base->path, '/');

	if (base->authority.p != NULL && base->path.n == 0)
		buf_addc(&merged, '/');
	else if (slash >= 0)
		buf_add(&merged, base->path.p, (size_t)slash + 1);
	buf_addstr(&merged, path);
	add_path(b, buf_str(&merged));
	buf_free(&merged);
}

/* "www.", "www2." */
static bool
begins_host(struct str host, struct str word)
{
	size_t i = word.n;

	if (!str_istarts(host, word))
		return false;
	while (i < host.n && chr_digit((unsigned char)host.p[i]))
		i++;
	return i < host.n && host.p[i] == '.';
}

static void
add_origin(struct buf *b, struct str scheme, struct str authority)
{
	if (scheme.n > 0 && !str_eq(scheme, STR("0"))) {
		buf_addstr(b, scheme);
		buf_addc(b, ':');
	} else if (authority.p != NULL) {
		if (begins_host(authority, STR("www")))
			buf_adds(b, "http:");
		else if (begins_host(authority, STR("ftp")))
			buf_adds(b, "ftp:");
	}
	if (authority.p != NULL) {
		buf_adds(b, "//");
		buf_addstr(b, authority);
	}
}

void
html_uri_resolve(struct buf *b, struct str base_uri, struct str uri)
{
	struct uri_parts r, base;
	struct str query;

	parse(uri, &r);
	parse(base_uri, &base);
	query = r.query;
	if (r.scheme.p != NULL && base.scheme.p != NULL &&
	    str_eq(r.scheme, base.scheme))
		r.scheme = STR_NONE;
	if (r.scheme.p != NULL || r.authority.p != NULL) {
		add_origin(b, r.scheme.p != NULL ? r.scheme : base.scheme,
		    r.authority);
		add_path(b, r.path);
	} else {
		add_origin(b, base.scheme, base.authority);
		if (r.path.n == 0) {
			buf_addstr(b, base.path);
			query = r.query.p != NULL ? r.query : base.query;
		} else if (r.path.p[0] == '/') {
			add_path(b, r.path);
		} else {
			add_merged(b, &base, r.path);
		}
	}
	if (query.p != NULL) {
		buf_addc(b, '?');
		buf_addstr(b, query);
	}
	if (r.fragment.p != NULL) {
		buf_addc(b, '#');
		buf_addstr(b, r.fragment);
	}
}

/* Behind "http:", "http:/" or "http://"; 0: it is none of those. */
static size_t
origin_end(struct str s)
{
	static const char *const schemes[] = { "http:", "https:", "ftp:" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);

		if (!str_istarts(s, str_of(schemes[i])))
			continue;
		for (int k = 0; k < 2 && n < s.n && s.p[n] == '/'; k++)
			n++;
		return n;
	}
	return 0;
}

/* The name of a file at the end of a path that begins at from: "x.html". */
static size_t
file_name(struct str s, size_t from)
{
	size_t i = s.n, extension;

	while (i > from && s.p[i - 1] != '/' && s.p[i - 1] != '.')
		i--;
	extension = s.n - i;
	if (i <= from || s.p[i - 1] != '.' || extension < 2 || extension > 4)
		return s.n;
	for (extension = --i;
	     i > from && s.p[i - 1] != '/' && s.p[i - 1] != '.';)
		i--;
	return i < extension ? i : s.n;
}

bool
html_uri_base(struct buf *b, struct str href)
{
	size_t host = origin_end(href), path = host;

	if (host == 0)
		return false;
	while (path < href.n && href.p[path] != '/')
		path++;
	if (path > host && path < href.n)
		href.n = file_name(href, path + 1);
	buf_addstr(b, href);
	if (href.n == 0 || href.p[href.n - 1] != '/')
		buf_addc(b, '/');
	return true;
}
