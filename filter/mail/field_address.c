#include <string.h>

#include "mail/field.h"

/*
 * The addresses of a field, as loosely as SpamAssassin takes them: what looks
 * like an address anywhere in its place counts, comments do not nest, and an
 * entry that can't be read ends the list.
 */

#define NOWHERE	  ((size_t)-1)
#define MAX_STEPS 20000 /* tries of where angles end, a value */

struct entry {
	struct str phrase, address, comment;
	bool angle; /* address stood in <> */
};

struct scan {
	struct arena *arena;
	struct str s;
	size_t i; /* what is before has been read */
	unsigned int steps;
	struct field_address *first, **tail;
	size_t count;
	bool full; /* the arena is */
};

/* One of these, none of which is a letter or a digit. */
static bool
is_in(char c, const char *set)
{
	return !chr_alnum((unsigned char)c) && c != '\0' &&
	    strchr(set, c) != NULL;
}

static size_t
skip_space(struct str s, size_t i)
{
	while (i < s.n && chr_white((unsigned char)s.p[i]))
		i++;
	return i;
}

/* Behind a quoted string that begins at i, or NOWHERE. */
static size_t
quote_end(struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		if (s.p[i] == '\\' && (++i == s.n || s.p[i] == '\n'))
			return NOWHERE;
	return i < s.n ? i + 1 : NOWHERE;
}

/* Behind a comment without comments inside that begins at i, or NOWHERE. */
static size_t
comment_end(struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != ')'; i++) {
		if (s.p[i] == '(')
			return NOWHERE;
		if (s.p[i] == '\\' && (++i == s.n || s.p[i] == '\n'))
			return NOWHERE;
	}
	return i < s.n ? i + 1 : NOWHERE;
}

/* Behind quoted strings and plain text, up to what ends a phrase. */
static size_t
phrase_end(struct str s, size_t i)
{
	while (i < s.n) {
		if (s.p[i] == '"') {
			size_t end = quote_end(s, i);

			if (end == NOWHERE)
				break;
			i = end;
		} else if (is_in(s.p[i], ",;<")) {
			break;
		} else {
			i++;
		}
	}
	return i;
}

static bool
is_local_char(char c)
{
	return !chr_white((unsigned char)c) && !is_in(c, "@<>()[],:;");
}

static bool
is_domain_char(char c)
{
	return !chr_white((unsigned char)c) && !is_in(c, "\"<>()[],:;");
}

/* Behind the domain literal at i, or NOWHERE. */
static size_t
literal_end(struct str s, size_t i)
{
	size_t from = i + 1;

	if (i >= s.n || s.p[i] != '[')
		return NOWHERE;
	for (i++; i < s.n &&
	     (chr_digit((unsigned char)s.p[i]) || is_in(s.p[i], ":."));
	     i++)
		continue;
	return i < s.n && i > from && s.p[i] == ']' ? i + 1 : NOWHERE;
}

/* Behind local@domain that begins at i, or NOWHERE. */
static size_t
mail_end(struct str s, size_t i)
{
	size_t from = i, quoted = NOWHERE;

	if (i < s.n && s.p[i] == '"')
		quoted = quote_end(s, i);
	if (quoted != NOWHERE && quoted < s.n && s.p[quoted] == '@')
		i = quoted;
	else
		while (i < s.n && is_local_char(s.p[i]))
			i++;
	if (i == from || i >= s.n || s.p[i] != '@')
		return NOWHERE;
	from = ++i;
	while (i < s.n && is_domain_char(s.p[i]))
		i++;
	return i > from ? i : literal_end(s, i);
}

static bool
is_mail(struct str s)
{
	size_t end = mail_end(s, 0);

	return end != NOWHERE &&
	    (end == s.n || (end + 1 == s.n && s.p[end] == '\n'));
}

/* Where the next entry begins if this one ends at i: a comment may
 * follow, a delimiter or nothing must. */
static size_t
entry_end(struct str s, size_t i, struct entry *e)
{
	size_t at = skip_space(s, i), end;

	e->comment = STR_NONE;
	if (at < s.n && s.p[at] == '(' &&
	    (end = comment_end(s, at)) != NOWHERE) {
		size_t next = skip_space(s, end);

		if (next == s.n || is_in(s.p[next], ",;")) {
			e->comment = str_sub(s, at + 1, end - at - 2);
			return next < s.n ? next + 1 : next;
		}
	}
	if (at < s.n && !is_in(s.p[at], ",;"))
		return NOWHERE;
	return at < s.n ? at + 1 : at;
}

/* Behind the closing angle if only space stands before it, or NOWHERE. */
static size_t
close_angle(struct scan *sc, size_t i)
{
	sc->steps++;
	i = skip_space(sc->s, i);
	return i < sc->s.n && sc->s.p[i] == '>' ? i + 1 : NOWHERE;
}

static size_t
word_end(struct str s, size_t i)
{
	while (i < s.n && !chr_white((unsigned char)s.p[i]))
		i++;
	return i;
}

/* Behind more <...> of the same address, which some write twice. */
static size_t
skip_doubles(struct scan *sc, size_t i)
{
	struct str s = sc->s;

	for (;;) {
		size_t at = skip_space(s, i), end, next = NOWHERE;

		if (at >= s.n || s.p[at] != '<')
			return i;
		at = skip_space(s, at + 1);
		for (end = word_end(s, at);
		     end > at && next == NOWHERE && sc->steps < MAX_STEPS;
		     end--)
			next = close_angle(sc, end);
		if (next == NOWHERE)
			next = close_angle(sc, at);
		if (next == NOWHERE)
			return i;
		i = next;
	}
}

static size_t
angle_try(struct scan *sc, size_t from, size_t end, struct entry *e)
{
	size_t next = close_angle(sc, end), over;

	if (next == NOWHERE || sc->steps >= MAX_STEPS)
		return NOWHERE;
	e->address = str_sub(sc->s, from, end - from);
	over = entry_end(sc->s, skip_doubles(sc, next), e);
	return over != NOWHERE ? over : entry_end(sc->s, next, e);
}

/* The address in angles at i, which reaches as far as it can. */
static size_t
read_angle(struct scan *sc, size_t i, struct entry *e)
{
	struct str s = sc->s;
	size_t from = skip_space(s, i + 1), at = from, end, next;

	while (at < s.n && s.p[at] != '@' && s.p[at] != '>')
		at++;
	if (at == s.n)
		return NOWHERE;
	e->angle = true;
	for (end = word_end(s, at); end > at; end--) {
		if (sc->steps >= MAX_STEPS)
			return NOWHERE;
		next = angle_try(sc, from, end, e);
		if (next != NOWHERE)
			return next;
	}
	if (s.p[at] != '>')
		return NOWHERE;
	while (at > from && chr_white((unsigned char)s.p[at - 1]))
		at--;
	return angle_try(sc, from, at, e);
}

/* One entry from sc->i on; where the next begins, or NOWHERE. */
static size_t
read_entry(struct scan *sc, struct entry *e)
{
	struct str s = sc->s;
	size_t i = skip_space(s, sc->i), end, next;

	if (i < s.n && s.p[i] == '<')
		return read_angle(sc, i, e);
	end = phrase_end(s, i);
	e->phrase = str_sub(s, i, end - i);
	if (end > i && end < s.n && s.p[end] == '<' &&
	    (next = read_angle(sc, end, e)) != NOWHERE)
		return next;
	*e = (struct entry){ 0 };
	end = mail_end(s, i);
	if (end != NOWHERE && (next = entry_end(s, end, e)) != NOWHERE) {
		e->address = str_sub(s, i, end - i);
		return next;
	}
	end = phrase_end(s, i);
	if (end == i && i > sc->i)
		i--; /* a phrase of one space */
	if (end == i)
		return NOWHERE;
	e->phrase = str_sub(s, i, end - i);
	return entry_end(s, end, e);
}

/* Without comments, and where asked without backslashes. */
static size_t
add_without(char *out, size_t n, struct str s, bool comments)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!comments && s.p[i] == '\\')
			continue;
		if (comments && s.p[i] == '(') {
			size_t end = comment_end(s, i);

			if (end != NOWHERE) {
				i = end - 1;
				continue;
			}
		}
		out[n++] = s.p[i];
	}
	return n;
}

/* A phrase's text: quotes undone, comments left out. */
static struct str
phrase_text(struct scan *sc, struct str s)
{
	char *out = arena_alloc(sc->arena, s.n + 1);
	size_t n = 0, i = 0, end;

	if (out == NULL) {
		sc->full = true;
		return STR_NONE;
	}
	while (i < s.n) {
		if (s.p[i] == '"' && (end = quote_end(s, i)) != NOWHERE) {
			n = add_without(out, n, str_sub(s, i + 1, end - i - 2),
			    false);
		} else if (s.p[i] == '"') {
			end = i + 1;
		} else {
			end = i;
			while (end < s.n && s.p[end] != '"')
				end++;
			n = add_without(out, n, str_sub(s, i, end - i), true);
		}
		i = end;
	}
	return (struct str){ out, n };
}

/* A lone quote, or nothing in quotes: a mistake. */
static bool
is_odd(struct str s)
{
	ptrdiff_t quote = str_chr(s, '"');

	return str_starts(s, STR("\"\"@")) ||
	    (quote >= 0 && str_rchr(s, '"') == quote);
}

static struct str
host_of(struct str address)
{
	ptrdiff_t at = str_chr(address, '@');
	struct str host = str_sub(address, (size_t)(at + 1), address.n), rest;

	return at < 0 ? STR("") : str_cut(host, '@', &rest);
}

/* Up to a second @. */
static struct str
one_address(struct str s)
{
	struct str host = host_of(s);

	return str_sub(s, 0, (size_t)(host.p + host.n - s.p));
}

static void
emit(struct scan *sc, struct str phrase, struct str address)
{
	struct field_address *fa = arena_alloc(sc->arena, sizeof(*fa));

	if (fa == NULL) {
		sc->full = true;
		return;
	}
	fa->phrase = phrase;
	fa->address = address.p != NULL ? one_address(address) : address;
	*sc->tail = fa;
	sc->tail = &fa->next;
	sc->count++;
}

static struct str
angle_address(struct scan *sc, struct str s)
{
	char *out = arena_alloc(sc->arena, s.n + 1);
	struct str clean;

	if (out == NULL) {
		sc->full = true;
		return STR_NONE;
	}
	clean = (struct str){ out, add_without(out, 0, s, true) };
	return is_mail(clean) ? clean : STR_NONE;
}

static void
emit_entry(struct scan *sc, struct entry *e)
{
	struct str address = e->address, phrase = e->phrase;

	if (e->angle)
		address = angle_address(sc, address);
	if (address.p != NULL && is_odd(address))
		address = STR_NONE;
	if (phrase.p != NULL)
		phrase = phrase_text(sc, phrase);
	if (phrase.p != NULL && address.p == NULL && is_mail(phrase) &&
	    !is_odd(phrase) && tld_name_valid(host_of(phrase))) {
		address = phrase;
		phrase = STR_NONE;
	} else if (phrase.p != NULL &&
	    (phrase.n == 0 || (address.p != NULL && str_eq(phrase, address)))) {
		phrase = STR_NONE;
	}
	if (phrase.p == NULL)
		phrase = e->comment;
	emit(sc, phrase, address);
}

/* The last resort: anything that is an address in angles. */
static void
read_rest(struct scan *sc, struct str s)
{
	for (size_t i = 0; i < s.n && !sc->full;) {
		const char *at = memchr(s.p + i, '<', s.n - i);
		struct str address;
		size_t end;

		if (at == NULL)
			break;
		i = (size_t)(at - s.p) + 1;
		end = mail_end(s, i);
		if (end == NOWHERE || end >= s.n || s.p[end] != '>')
			continue;
		address = str_sub(s, i, end - i);
		if (!is_odd(address))
			emit(sc, STR_NONE, address);
		i = end + 1;
	}
}

/* "group: a@b, c@d;" loses its name. */
static struct str
strip_group(struct str s)
{
	size_t i = 0, colon = 0;

	for (; i < s.n && !is_in(s.p[i], "\"()<>"); i++)
		if (s.p[i] == ':' && i > 0)
			colon = i;
	if (colon == 0)
		return s;
	i = skip_space(s, colon + 1);
	if (i < s.n && s.p[i] == ';')
		return STR("");
	return str_sub(s, i, s.n);
}

/* The value without pairs of backslashes and space at its end. */
static struct str
prepare(struct scan *sc, struct str value)
{
	char *p = arena_alloc(sc->arena, value.n + 1);
	size_t n = 0;

	if (p == NULL)
		return STR("");
	while (value.n > 0 && chr_white((unsigned char)value.p[value.n - 1]))
		value.n--;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\\' && i + 1 < value.n &&
		    value.p[i + 1] == '\\')
			i++;
		else
			p[n++] = value.p[i];
	}
	return strip_group((struct str){ p, n });
}

struct field_address *
field_addresses(struct arena *a, struct str value)
{
	struct scan sc = { .arena = a };

	sc.tail = &sc.first;
	sc.s = prepare(&sc, value);
	if (skip_space(sc.s, 0) == sc.s.n)
		return NULL;
	while (!sc.full) {
		struct entry e = { 0 };
		size_t next = read_entry(&sc, &e);

		if (next == NOWHERE)
			break;
		emit_entry(&sc, &e);
		sc.i = next;
	}
	read_rest(&sc, str_sub(sc.s, sc.i, sc.s.n));
	return sc.first;
}
