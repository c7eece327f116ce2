#include "mail/link.h"

static const struct str schemes[] = { { "http", 4 }, { "https", 5 },
	{ "ftp", 3 } };

void
link_set_init(struct link_set *set, struct arena *a)
{
	*set = (struct link_set){ .arena = a, .seen = map_new(false) };
}

void
link_set_free(struct link_set *set)
{
	map_free(&set->seen, NULL);
}

static void
keep(struct link_set *set, struct str text)
{
	struct url *u;

	if (set->full || map_get(set->seen, text) != NULL)
		return;
	if (set->count == LINK_MAX_COUNT) {
		set->truncated = true;
		return;
	}
	u = arena_alloc(set->arena, sizeof(*u));
	if (u == NULL || (u->text = arena_str(set->arena, text)).p == NULL) {
		set->full = true;
		return;
	}
	map_put(set->seen, text, u);
	if (set->first == NULL)
		set->tail = &set->first;
	*set->tail = u;
	set->tail = &u->next;
	set->count++;
}

/* The scheme that s begins with, its colon behind it. */
static struct str
scheme_of(struct str s)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (s.n > schemes[i].n && str_istarts(s, schemes[i]) &&
		    s.p[schemes[i].n] == ':')
			return schemes[i];
	return STR_NONE;
}

static bool
is_slash(char c)
{
	return c == '/' || c == '\\';
}

void
link_add(struct link_set *set, struct str s)
{
	char clean[LINK_MAX_BYTES];
	struct str scheme, rest;
	struct buf b = BUF_INIT(LINK_MAX_BYTES);
	size_t n = 0;

	s = str_trim(s);
	for (size_t i = 0; i < s.n && n < sizeof(clean); i++)
		if ((unsigned char)s.p[i] > ' ' || (s.p[i] == ' ' && n > 0))
			clean[n++] = s.p[i];
	rest = (struct str){ clean, n };
	scheme = scheme_of(rest);
	if (scheme.p != NULL)
		rest = str_sub(rest, scheme.n + 1, rest.n);
	else if (n > 2 && is_slash(clean[0]) && is_slash(clean[1]))
		scheme = schemes[0];
	else
		return;
	while (rest.n > 0 && is_slash(rest.p[0]))
		rest = str_sub(rest, 1, rest.n);
	if (rest.n == 0)
		return;
	buf_addstr(&b, scheme);
	buf_adds(&b, "://");
	buf_addstr(&b, str_sub(rest, 0, LINK_MAX_BYTES - scheme.n - 3));
	keep(set, buf_str(&b));
	buf_free(&b);
}

/* Where a link in running text ends: RFC 3986 leaves these out. */
static bool
ends_link(unsigned char c)
{
	return c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"' ||
	    c == '`' || c == '{' || c == '}' || c == '|' || c == '^';
}

/* What ends the sentence is not the link's; nor is a closing bracket. */
static bool
is_trailer(char c)
{
	return c == '.' || c == ',' || c == ';' || c == ':' || c == '!' ||
	    c == '?' || c == ')' || c == ']' || c == '\'' || c == '*' ||
	    c == '_';
}

static struct str
link_at(struct str s)
{
	size_t n = 0;

	while (n < s.n && n < LINK_MAX_BYTES && !ends_link(s.p[n]))
		n++;
	while (n > 0 && is_trailer(s.p[n - 1]))
		n--;
	return str_sub(s, 0, n);
}

static bool
begins_word(struct str text, size_t at)
{
	return at == 0 ||
	    (!chr_alnum((unsigned char)text.p[at - 1]) &&
		text.p[at - 1] != '.' && text.p[at - 1] != '@');
}

static size_t
find_at(struct link_set *set, struct str text, size_t i)
{
	struct str s = str_sub(text, i, text.n), scheme, link;
	struct buf b = BUF_INIT(LINK_MAX_BYTES + 8);

	if (chr_lower((unsigned char)s.p[0]) == 'w') {
		if (!str_istarts(s, STR("www.")) || s.n < 5 ||
		    !chr_alnum((unsigned char)s.p[4]))
			return i + 1;
		buf_adds(&b, "http://");
	} else {
		scheme = scheme_of(s);
		if (scheme.p == NULL ||
		    !str_starts(str_sub(s, scheme.n, s.n), STR("://")))
			return i + 1;
	}
	link = link_at(s);
	buf_addstr(&b, link);
	link_add(set, buf_str(&b));
	buf_free(&b);
	return i + (link.n > 0 ? link.n : 1);
}

void
link_find(struct link_set *set, struct str text)
{
	for (size_t i = 0; i < text.n && !set->full && !set->truncated;) {
		int c = chr_lower((unsigned char)text.p[i]);

		if ((c == 'h' || c == 'f' || c == 'w') && begins_word(text, i))
			i = find_at(set, text, i);
		else
			i++;
	}
}
