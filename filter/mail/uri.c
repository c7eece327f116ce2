#include "mail/uri.h"

#include <string.h>

#include "base/map.h"

struct finder {
	struct arena *arena;
	const struct uri_config *config;
	const struct tld_set *tlds;
	struct uri_list *list;
	struct uri **tail;
	struct uri_place **place_tail;
	struct map *forms; /* text to struct uri */
	struct map *seen; /* what was found in the text */
	size_t places, bytes;
	bool full; /* the arena is */
};

static bool
enough(struct finder *f)
{
	if (f->places < URI_MAX_COUNT && f->bytes < URI_MAX_BYTES)
		return f->full;
	f->list->truncated = true;
	return true;
}

/* The form, which is new or was found before. */
static struct uri *
form_of(struct finder *f, struct str text)
{
	struct uri *u = map_get(f->forms, text);

	if (u != NULL)
		return u;
	u = arena_alloc(f->arena, sizeof(*u));
	if (u == NULL || (u->text = arena_str(f->arena, text)).p == NULL)
		return NULL;
	u->host = uri_host(f->arena, u->text, f->tlds, &u->domain);
	f->bytes += 2 * text.n + sizeof(*u);
	map_put(f->forms, text, u);
	return u;
}

static void
keep(struct finder *f, struct uri *u)
{
	if (f->tail == &u->next || u->next != NULL)
		return;
	*f->tail = u;
	f->tail = &u->next;
	f->list->count++;
}

/* Adds a place and its forms; where a host is wanted, not without one. */
static void
add_place(struct finder *f, const struct uri_place *what, bool need_host)
{
	struct uri_forms forms;
	struct uri *u[URI_MAX_FORMS];
	struct uri_place *p;
	bool host = false;

	if (enough(f))
		return;
	f->places++;
	if (!uri_canonical(f->arena, what->written, f->config, &forms)) {
		f->full = true;
		return;
	}
	f->bytes += what->written.n * 4;
	f->list->truncated |= forms.truncated;
	for (size_t i = 0; i < forms.n; i++) {
		if ((u[i] = form_of(f, forms.v[i])) == NULL) {
			f->full = true;
			return;
		}
		host |= u[i]->host.n > 0;
	}
	if (need_host && !host)
		return;
	p = arena_alloc(f->arena, sizeof(*p));
	if (p == NULL ||
	    (p->forms = arena_alloc(f->arena,
		 (forms.n + 1) * sizeof(p->forms[0]))) == NULL) {
		f->full = true;
		return;
	}
	*p = (struct uri_place){ .written = what->written,
		.tag = what->tag,
		.schemeless = what->schemeless,
		.unlinked = what->unlinked,
		.from_html = what->from_html,
		.forms = p->forms,
		.nforms = forms.n };
	for (size_t i = 0; i < forms.n; i++) {
		keep(f, u[i]);
		u[i]->from_html |= what->from_html;
		u[i]->anchor |= str_eq(what->tag, STR("a"));
		p->forms[i] = u[i];
	}
	*f->place_tail = p;
	f->place_tail = &p->next;
}

/* Text. */

/* A closing bracket ends it that nothing in it opened; what ends a sentence
 * is not the link's. */
static struct str
trim_found(struct str s)
{
	ptrdiff_t open = str_chr(s, '('), close;

	close = str_rchr(open < 0 ? s : str_sub(s, 0, (size_t)open), ')');
	if (close >= 0)
		s = str_sub(s, 0, (size_t)close);
	while (s.n > 0 && s.p[s.n - 1] != '\0' &&
	    strchr("-~!@#^&*()_+=:;'?,.", s.p[s.n - 1]) != NULL)
		s.n--;
	return s;
}

/* A scheme and nothing else. */
static bool
is_empty(struct str s)
{
	size_t i = 0;

	while (i < s.n && chr_word((unsigned char)s.p[i]))
		i++;
	if (i == 0 || i == s.n || s.p[i] != ':')
		return false;
	i++;
	for (int k = 0; k < 2 && i < s.n && s.p[i] == '/'; k++)
		i++;
	return i == s.n;
}

static bool
is_www(struct str s)
{
	size_t i = 3;

	if (!str_istarts(s, STR("www")))
		return false;
	while (i < 5 && i < s.n && chr_digit((unsigned char)s.p[i]))
		i++;
	return i < s.n && s.p[i] == '.';
}

static bool
has_known_scheme(struct str s)
{
	return str_istarts(s, STR("http:")) || str_istarts(s, STR("https:")) ||
	    str_istarts(s, STR("ftp:")) || str_istarts(s, STR("mailto:"));
}

/* "skype:x@y", "e-mail:x@y", ":x@y" */
static struct str
strip_label(struct str s)
{
	static const struct str labels[] = { { "skype", 5 }, { "e-mail", 6 },
		{ "email", 5 }, { "-mail", 5 }, { "mail", 4 }, { "", 0 } };

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		struct str rest = str_sub(s, labels[i].n, s.n);

		if (!str_istarts(s, labels[i]) || rest.n == 0 ||
		    rest.p[0] != ':')
			continue;
		while (rest.n > 0 && rest.p[0] == ':')
			rest = str_sub(rest, 1, rest.n);
		return rest;
	}
	return s;
}

/* The scheme that goes before it; p NULL: it is nothing after all. */
static struct str
scheme_for(struct str *s, bool *unlinked)
{
	ptrdiff_t at = str_rchr(*s, '@'), slash = str_chr(*s, '/');

	*unlinked = false;
	if (str_istarts(*s, STR("ftp.")))
		return STR("ftp://");
	if (is_www(*s))
		return STR("http://");
	/* something stands between the slash and the @ */
	if (slash >= 0 && at > slash + 1)
		return STR("http://");
	at = str_chr(*s, '@');
	if (at >= 0) {
		if (str_chr(str_sub(*s, (size_t)at + 2, s->n), '.') < 0 ||
		    str_find(*s, STR("&nbsp;")) >= 0)
			return STR_NONE;
		*s = strip_label(*s);
		return STR("mailto:");
	}
	*unlinked = true;
	return str_chr(*s, '.') < 0 ? STR_NONE : STR("http://");
}

/* The address has a host that may exist. */
static bool
mail_ok(struct finder *f, struct str s)
{
	ptrdiff_t at = str_chr(s, '@');
	size_t i;

	if (at < 0)
		return false;
	s = str_sub(s, (size_t)at + 1, s.n);
	for (i = 0; i < s.n && s.p[i] != '?' && s.p[i] != '&' && s.p[i] != '>';
	     i++)
		continue;
	s = str_sub(s, 0, i);
	while (s.n >= 3 && str_eq(str_sub(s, s.n - 3, 3), STR("%20")))
		s.n -= 3;
	for (i = 0; i < s.n; i++)
		if (s.p[i] == ' ' || (s.p[i] >= '\t' && s.p[i] <= '\r'))
			return false;
	return tld_ends(f->tlds, s);
}

static bool
has_percent(struct str s)
{
	for (size_t i = 0; i + 2 < s.n; i++)
		if (s.p[i] == '%' &&
		    strspn((char[]){ s.p[i + 1], s.p[i + 2], '\0' },
			"0123456789abcdefABCDEF") == 2)
			return true;
	return false;
}

static void
take_found(struct finder *f, enum uri_kind kind, struct str found,
    struct str host)
{
	struct uri_place p = { .tag = STR("") };
	struct str s = trim_found(found), scheme = STR("");
	bool known;

	if (map_get(f->seen, s) != NULL)
		return;
	map_put(f->seen, s, f);
	if (kind == URI_MAIL && str_chr(s, '@') < 0)
		return;
	if ((kind == URI_BARE && !tld_name_valid(host)) ||
	    str_istarts(s, STR("cid:")) || str_istarts(s, STR("mid:")) ||
	    is_empty(s))
		return;
	known = has_known_scheme(s);
	if (!known) {
		scheme = scheme_for(&s, &p.unlinked);
		if (scheme.p == NULL)
			return;
	}
	p.schemeless = !known;
	p.written = arena_join(f->arena, scheme, s, STR(""));
	if (p.written.p != NULL && str_istarts(p.written, STR("mailto:"))) {
		if (has_percent(p.written))
			p.written = uri_encode(f->arena, p.written);
		if (p.written.p != NULL && !mail_ok(f, p.written))
			return;
	}
	f->full |= p.written.p == NULL;
	add_place(f, &p, true);
}

static void
find_in(struct finder *f, struct str line)
{
	struct uri_text t = { .s = line, .tlds = f->tlds };
	struct str found, host;
	enum uri_kind kind;

	while (!enough(f) && uri_text_next(&t, &kind, &found, &host))
		take_found(f, kind, found, host);
}

/* Attributes. */

static void
take_link(struct finder *f, struct str uri, struct str tag)
{
	struct uri_place p = { .written = uri, .tag = tag, .from_html = true };
	struct str key = arena_join(f->arena, uri, STR("\n"), tag);

	f->full |= key.p == NULL;
	if (f->full || map_get(f->seen, key) != NULL)
		return;
	map_put(f->seen, key, f);
	add_place(f, &p, false);
}

static void
find_links(struct finder *f, const struct view *view)
{
	const struct html_facts *html;
	const struct html_link *link;
	const struct html_anchor *a;

	for (html = view->html; html != NULL; html = html->next) {
		for (link = html->links; link != NULL; link = link->next)
			if (!enough(f))
				take_link(f, link->uri, link->tag);
		/* SpamAssassin has an anchor's also as it is written. */
		for (a = html->anchors; a != NULL; a = a->next)
			if (!enough(f))
				take_link(f, a->href, STR(""));
		f->list->truncated |= html->uri_truncated;
	}
}

static bool
finder_open(struct finder *f, struct arena *a, const struct uri_config *config)
{
	*f = (struct finder){ .arena = a, .config = config };
	f->tlds = config != NULL ? config->tlds : NULL;
	f->list = arena_alloc(a, sizeof(*f->list));
	if (f->list == NULL)
		return false;
	f->tail = &f->list->first;
	f->place_tail = &f->list->places;
	f->forms = map_new(false);
	f->seen = map_new(false);
	return true;
}

static const struct uri_list *
finder_close(struct finder *f)
{
	map_free(&f->forms, NULL);
	map_free(&f->seen, NULL);
	return f->full ? NULL : f->list;
}

const struct uri_list *
uri_find_text(struct arena *a, const struct str *line, size_t n,
    const struct uri_config *config)
{
	struct finder f;

	if (!finder_open(&f, a, config))
		return NULL;
	for (size_t i = 0; i < n; i++)
		find_in(&f, line[i]);
	return finder_close(&f);
}

const struct uri_list *
uri_find(struct arena *a, const struct view *view,
    const struct uri_config *config)
{
	struct finder f;

	if (!finder_open(&f, a, config))
		return NULL;
	for (size_t i = 0; i < view->body.count; i++)
		find_in(&f, view->body.line[i]);
	find_links(&f, view);
	return finder_close(&f);
}
