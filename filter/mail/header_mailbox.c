#include "mail/header.h"

#include <string.h>

#include "mail/envelope.h"

/*
 * The field is cut into pieces at commas, semicolons and the colon of a
 * group, where they stand outside of quotes, comments, angles and brackets;
 * each piece is then a display name and an address.  What real mail does
 * against the grammar is borne: a comma in a bare name, an @ in it, quotes
 * and comments that are never closed (they are ordinary characters then).
 */
struct scan {
	struct arena *arena;
	struct str s; /* the whole field, unfolded */
	bool no_quote; /* no closing quote comes any more */
	bool no_paren;
	char *plain; /* without comments and quotes */
	char *spec; /* without comments and spaces */
	size_t plain_n, spec_n;
	struct str comment; /* the first of the piece */
	bool address; /* the piece has an @ or an angle */
	struct mailbox *first, **tail;
	size_t count, most;
	bool more, full;
};

/* The index behind the closing quote; at itself if there is none. */
static size_t
quote_end(struct scan *sc, size_t at)
{
	if (sc->no_quote)
		return at;
	for (size_t i = at + 1; i < sc->s.n; i++) {
		if (sc->s.p[i] == '\\')
			i++;
		else if (sc->s.p[i] == '"')
			return i + 1;
	}
	sc->no_quote = true;
	return at;
}

/* Comments nest (RFC 5322 section 3.2.2). */
static size_t
comment_end(struct scan *sc, size_t at)
{
	size_t depth = 0;

	if (sc->no_paren)
		return at;
	for (size_t i = at; i < sc->s.n; i++) {
		if (sc->s.p[i] == '\\')
			i++;
		else if (sc->s.p[i] == '(')
			depth++;
		else if (sc->s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	sc->no_paren = true;
	return at;
}

static void
take_quoted(struct scan *sc, size_t from, size_t to)
{
	memcpy(sc->spec + sc->spec_n, sc->s.p + from, to - from);
	sc->spec_n += to - from;
	for (size_t i = from + 1; i + 1 < to; i++) {
		if (sc->s.p[i] == '\\' && i + 2 < to)
			i++;
		sc->plain[sc->plain_n++] = sc->s.p[i];
	}
}

static void
take_char(struct scan *sc, char c)
{
	sc->plain[sc->plain_n++] = c;
	if (!chr_space((unsigned char)c))
		sc->spec[sc->spec_n++] = c;
}

static void
piece_reset(struct scan *sc)
{
	sc->plain_n = sc->spec_n = 0;
	sc->comment = STR_NONE;
	sc->address = false;
}

static struct mailbox *
mailbox_new(struct scan *sc, struct str name, struct str spec)
{
	struct mailbox *m = arena_alloc(sc->arena, sizeof(*m));
	struct address addr;

	if (m == NULL || !envelope_parse(sc->arena, spec, &addr))
		return NULL;
	m->addr = addr.text;
	m->domain = addr.domain;
	m->name = header_decode(sc->arena, name);
	return m->name.p == NULL ? NULL : m;
}

static void
piece_emit(struct scan *sc, struct str name, struct str spec)
{
	struct mailbox *m;

	if (sc->count >= sc->most) {
		sc->more = true;
		return;
	}
	m = mailbox_new(sc, name, spec);
	if (m == NULL) {
		sc->full = true;
		return;
	}
	sc->count++;
	*sc->tail = m;
	sc->tail = &m->next;
}

/* An address without angles: its name is a comment, if anything. */
static void
piece_bare(struct scan *sc)
{
	struct str spec = { sc->spec, sc->spec_n };
	ptrdiff_t comma;

	/* "Bob, alice@x.org": only the last is an address. */
	if (sc->address && (comma = str_rchr(spec, ',')) >= 0 &&
	    str_rchr(spec, '@') > comma)
		spec = str_sub(spec, comma + 1, spec.n);
	if (spec.n > 0)
		piece_emit(sc, sc->comment, spec);
	piece_reset(sc);
}

/* Handles <...>; returns the index behind it. */
static size_t
piece_angle(struct scan *sc, size_t at)
{
	struct str name = str_trim((struct str){ sc->plain, sc->plain_n });
	size_t i = at + 1, end;

	if (name.n == 0)
		name = sc->comment;
	name = arena_str(sc->arena, name.p == NULL ? STR("") : name);
	if (name.p == NULL) {
		sc->full = true;
		return sc->s.n;
	}
	piece_reset(sc);
	while (i < sc->s.n && sc->s.p[i] != '>') {
		char c = sc->s.p[i];

		if (c == '"' && (end = quote_end(sc, i)) > i)
			take_quoted(sc, i, end);
		else if (c == '(' && (end = comment_end(sc, i)) > i)
			;
		else {
			take_char(sc, c);
			end = i + 1;
		}
		i = end;
	}
	piece_emit(sc, name, (struct str){ sc->spec, sc->spec_n });
	piece_reset(sc);
	/* What follows up to the comma is noise, but not another angle. */
	return i < sc->s.n ? i + 1 : i;
}

/* "[IPv6:::1]" of a domain: no colon in it begins a group. */
static size_t
take_literal(struct scan *sc, size_t at)
{
	ptrdiff_t n = str_chr(str_sub(sc->s, at, 64), ']');

	for (ptrdiff_t i = 0; i <= n; i++)
		take_char(sc, sc->s.p[at + i]);
	return n < 0 ? at : at + n + 1;
}

/* A comma before any address belongs to a name; it can also be what parts
 * two local names without domain, which nobody can tell from it. */
static void
piece_delimiter(struct scan *sc, char c)
{
	if (c == ':') {
		if (!sc->address)
			piece_reset(sc);
		else
			take_char(sc, c);
	} else if (c == ',' && !sc->address) {
		if (sc->spec_n > 0)
			take_char(sc, c);
	} else if (sc->address) {
		piece_bare(sc);
	} else {
		piece_reset(sc);
	}
}

static size_t
scan_one(struct scan *sc, size_t i)
{
	char c = sc->s.p[i];
	size_t end = i;

	if (c == '"' && (end = quote_end(sc, i)) > i) {
		take_quoted(sc, i, end);
	} else if (c == '(' && (end = comment_end(sc, i)) > i) {
		if (sc->comment.p == NULL)
			sc->comment = str_sub(sc->s, i + 1, end - i - 2);
	} else if (c == '[' && sc->address) {
		end = take_literal(sc, i);
	} else if (c == '<') {
		end = piece_angle(sc, i);
	} else if (c == ',' || c == ';' || c == ':') {
		piece_delimiter(sc, c);
		end = i + 1;
	}
	if (end > i)
		return end;
	sc->address |= c == '@';
	take_char(sc, c);
	return i + 1;
}

struct mailbox *
header_mailboxes(struct arena *a, struct str value, size_t most, bool *more)
{
	struct scan sc = { .arena = a, .most = most };

	*more = false;
	sc.tail = &sc.first;
	sc.s = header_unfold(a, value);
	if (sc.s.p == NULL)
		return NULL;
	sc.plain = arena_alloc(a, sc.s.n + 1);
	sc.spec = arena_alloc(a, sc.s.n + 1);
	if (sc.plain == NULL || sc.spec == NULL)
		return NULL;
	for (size_t i = 0; i < sc.s.n && !sc.full && !sc.more;)
		i = scan_one(&sc, i);
	if (sc.address || sc.count == 0)
		piece_bare(&sc);
	*more = sc.more;
	return sc.first;
}
