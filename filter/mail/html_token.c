#include "mail/html_token.h"

#include <string.h>

#include "mail/html_entity.h"

#define ENTITY_MAX_BYTES 8

/* Levels of marked sections; the highest of all that are open counts. */
enum {
	SECTION_NONE,
	SECTION_INCLUDE,
	SECTION_RCDATA,
	SECTION_CDATA,
	SECTION_IGNORE
};

/* What a look at a `<' came to. */
enum look {
	LOOK_TEXT, /* no markup */
	LOOK_MORE, /* its end is missing */
	LOOK_TOKEN,
	LOOK_NOTHING /* markup that nobody is told of */
};

static const struct {
	const char *name;
	bool literal; /* entities stay */
} literals[] = {
	{ "script", true },
	{ "style", true },
	{ "xmp", true },
	{ "iframe", true },
	{ "plaintext", true },
	{ "title", false },
	{ "textarea", false },
};

static bool
is_name_first(int c)
{
	return chr_alpha(c) || c == '_';
}

static bool
is_name_char(int c)
{
	return chr_alnum(c) || c == '_' || c == '-' || c == '.' || c == ':';
}

/* NUL at the end. */
static int
at(const struct html_lexer *l, size_t i)
{
	return i < l->s.n ? (unsigned char)l->s.p[i] : 0;
}

static size_t
skip_space(const struct html_lexer *l, size_t i)
{
	while (i < l->s.n && chr_white(at(l, i)))
		i++;
	return i;
}

static size_t
find_char(const struct html_lexer *l, size_t i, char c)
{
	const char *p;

	if (i >= l->s.n)
		return l->s.n;
	p = memchr(l->s.p + i, c, l->s.n - i);
	return p != NULL ? (size_t)(p - l->s.p) : l->s.n;
}

static struct str
slice(const struct html_lexer *l, size_t from, size_t to)
{
	return str_sub(l->s, from, to - from);
}

void
html_lexer_init(struct html_lexer *l, struct str html)
{
	*l = (struct html_lexer){ .s = html };
}

static unsigned int
section(const struct html_lexer *l)
{
	return l->depth > 0 ? l->sections[l->depth - 1] : SECTION_NONE;
}

static void
close_section(struct html_lexer *l)
{
	l->depth--;
	l->cdata = section(l) == SECTION_CDATA;
}

/*
 * Markup: each of these looks at what begins at i, sets *end behind it, and
 * fills the token.
 */

static enum look
take_comment(struct html_token *t, const struct html_lexer *l, size_t from,
    size_t to)
{
	*t = (struct html_token){ .kind = HTML_COMMENT,
		.text = slice(l, from, to) };
	return LOOK_TOKEN;
}

/* Everything up to the first `>'. */
static enum look
look_bogus(const struct html_lexer *l, size_t i, size_t from, size_t *end,
    struct html_token *t)
{
	size_t gt = find_char(l, from, '>');

	if (gt == l->s.n)
		return LOOK_MORE;
	*end = gt + 1;
	return take_comment(t, l, i, *end);
}

static enum look
look_comment(const struct html_lexer *l, size_t i, size_t *end,
    struct html_token *t)
{
	size_t k = i + 4, gt;

	if (l->short_comments)
		return look_bogus(l, i, k, end, t);
	for (;; k++) {
		k = find_char(l, k, '-');
		if (k >= l->s.n)
			return LOOK_MORE;
		if (at(l, k + 1) != '-')
			continue;
		gt = skip_space(l, k + 2);
		if (at(l, gt) != '>')
			continue;
		*end = gt + 1;
		return take_comment(t, l, i, *end);
	}
}

static unsigned int
section_level(struct str name)
{
	static const char *const levels[] = { "", "include", "rcdata", "cdata",
		"ignore" };

	for (unsigned int i = 1; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (str_ieq(name, str_of(levels[i])))
			return i;
	return SECTION_NONE;
}

/* <![NAME[ opens a marked section. */
static enum look
look_section(struct html_lexer *l, size_t i, size_t *end, struct html_token *t)
{
	size_t k = skip_space(l, i + 3), from;
	unsigned int level = section(l), own;
	bool named = false;

	while (is_name_first(at(l, k))) {
		from = k;
		while (is_name_char(at(l, k)))
			k++;
		own = section_level(slice(l, from, k));
		level = own > level ? own : level;
		named = true;
		k = skip_space(l, k);
		if (k >= l->s.n)
			return LOOK_MORE;
	}
	if (at(l, k) != '[')
		return look_bogus(l, i, k, end, t);
	if (!named && level < SECTION_INCLUDE)
		level = SECTION_INCLUDE;
	/* Past the last one sections are not told apart any more. */
	if (l->depth < HTML_MAX_SECTIONS)
		l->sections[l->depth++] = (unsigned char)level;
	l->cdata = section(l) == SECTION_CDATA;
	*end = k + 1;
	return LOOK_NOTHING;
}

/* <!DOCTYPE and <!ENTITY with strings and comments in them. */
static enum look
look_declaration(const struct html_lexer *l, size_t i, size_t *end,
    struct html_token *t)
{
	size_t k = i + 2;

	while (is_name_char(at(l, k)))
		k++;
	if (k >= l->s.n)
		return LOOK_MORE;
	if (!str_ieq(slice(l, i + 2, k), STR("doctype")) &&
	    !str_ieq(slice(l, i + 2, k), STR("entity")))
		return look_bogus(l, i, k, end, t);
	for (;;) {
		int c;

		k = skip_space(l, k);
		if (k >= l->s.n)
			return LOOK_MORE;
		c = at(l, k);
		if (c == '>')
			break;
		if (c == '"' || c == '\'') {
			k = find_char(l, k + 1, (char)c) + 1;
		} else if (c == '-') {
			if (k + 1 < l->s.n && at(l, k + 1) != '-')
				return look_bogus(l, i, k + 1, end, t);
			for (k += 2; k < l->s.n; k++) {
				k = find_char(l, k, '-');
				if (at(l, k + 1) == '-')
					break;
			}
			k += 2;
		} else {
			while (k < l->s.n && at(l, k) != '>' &&
			    !chr_white(at(l, k)))
				k++;
		}
		if (k >= l->s.n)
			return LOOK_MORE;
	}
	*end = k + 1;
	*t =
	    (struct html_token){ .kind = HTML_DECL, .text = slice(l, i, *end) };
	return LOOK_TOKEN;
}

static enum look
look_markup(struct html_lexer *l, size_t i, size_t *end, struct html_token *t)
{
	if (at(l, i + 2) == '-') {
		if (i + 3 >= l->s.n)
			return LOOK_MORE;
		return at(l, i + 3) == '-' ? look_comment(l, i, end, t) :
					     look_bogus(l, i, i + 3, end, t);
	}
	if (at(l, i + 2) == '[')
		return look_section(l, i, end, t);
	if (chr_alpha(at(l, i + 2)))
		return look_declaration(l, i, end, t);
	return look_bogus(l, i, i + 2, end, t);
}

/* As old browsers did: quotes behind a blank or `=' hide the end. */
static size_t
skip_quoted(const struct html_lexer *l, size_t i)
{
	int quote = 0, prev = ' ', c;

	for (; i < l->s.n; i++) {
		c = at(l, i);
		if (quote == 0 && c == '>')
			break;
		if (c == quote)
			quote = 0;
		else if ((c == '"' || c == '\'') && quote == 0 &&
		    (prev == ' ' || prev == '='))
			quote = c;
		prev = c;
	}
	return i;
}

static enum look
look_end_tag(const struct html_lexer *l, size_t i, size_t *end,
    struct html_token *t)
{
	size_t k = i + 2, gt;

	while (k < l->s.n && at(l, k) != '>' && !chr_white(at(l, k)))
		k++;
	gt = skip_quoted(l, k);
	if (gt >= l->s.n)
		return LOOK_MORE;
	*end = gt + 1;
	if (k == i + 2)
		return take_comment(t, l, i, *end);
	*t =
	    (struct html_token){ .kind = HTML_END, .name = slice(l, i + 2, k) };
	return LOOK_TOKEN;
}

static void
begin_literal(struct html_lexer *l, struct str name)
{
	/* None of them is of another length, and most names are shorter. */
	if (name.n < 3 || name.n > 9 ||
	    strchr("sxipt", chr_lower((unsigned char)name.p[0])) == NULL)
		return;
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++)
		if (str_ieq(name, str_of(literals[i].name))) {
			l->literal = literals[i].name;
			l->cdata = literals[i].literal;
		}
}

static size_t
literal_index(const char *name)
{
	size_t i = 0;

	while (literals[i].name != name)
		i++;
	return i;
}

static bool
attribute(const char *p, size_t n, size_t *i, struct str *name,
    struct str *value)
{
	size_t k = *i, from = k;

	*value = STR_NONE;
	for (k++; k < n && p[k] != '>' && p[k] != '=' &&
	     !chr_white((unsigned char)p[k]);)
		k++;
	*name = (struct str){ p + from, k - from };
	while (k < n && chr_white((unsigned char)p[k]))
		k++;
	if (k >= n || p[k] != '=') {
		*i = k;
		return k < n;
	}
	for (k++; k < n && chr_white((unsigned char)p[k]);)
		k++;
	from = k;
	if (k < n && (p[k] == '"' || p[k] == '\'')) {
		const char *q = memchr(p + k + 1, p[k], n - k - 1);

		if (q == NULL)
			return false;
		*value = (struct str){ p + k + 1, (size_t)(q - p) - k - 1 };
		k = (size_t)(q - p) + 1;
	} else {
		while (k < n && p[k] != '>' && !chr_white((unsigned char)p[k]))
			k++;
		*value = (struct str){ p + from, k - from };
	}
	while (k < n && chr_white((unsigned char)p[k]))
		k++;
	*i = k;
	return k < n;
}

bool
html_attribute(struct str *rest, struct str *name, struct str *value)
{
	size_t i = 0;

	while (i < rest->n && chr_white((unsigned char)rest->p[i]))
		i++;
	if (i == rest->n || rest->p[i] == '>')
		return false;
	attribute(rest->p, rest->n, &i, name, value);
	*rest = str_sub(*rest, i, rest->n);
	return true;
}

static enum look
look_start_tag(struct html_lexer *l, size_t i, size_t *end,
    struct html_token *t)
{
	size_t k = i + 1, from;
	struct str name, value;

	while (k < l->s.n && at(l, k) != '>' && !chr_white(at(l, k)))
		k++;
	from = k;
	k = skip_space(l, k);
	if (k >= l->s.n)
		return LOOK_MORE;
	while (at(l, k) != '>')
		if (!attribute(l->s.p, l->s.n, &k, &name, &value))
			return LOOK_MORE;
	*end = k + 1;
	*t = (struct html_token){ .kind = HTML_START,
		.name = slice(l, i + 1, from),
		.text = slice(l, from, *end) };
	if (section(l) != SECTION_IGNORE || l->literal == NULL)
		begin_literal(l, t->name);
	return LOOK_TOKEN;
}

static enum look
look(struct html_lexer *l, size_t i, size_t *end, struct html_token *t)
{
	int c = at(l, i + 1);
	size_t gt;

	if (l->s.n - i < 3)
		return LOOK_MORE;
	if (is_name_first(c))
		return look_start_tag(l, i, end, t);
	if (c == '/')
		return look_end_tag(l, i, end, t);
	if (c == '!')
		return look_markup(l, i, end, t);
	if (c != '?')
		return LOOK_TEXT;
	gt = find_char(l, i + 2, '>');
	*end = gt + 1;
	return gt < l->s.n ? LOOK_NOTHING : LOOK_MORE;
}

/*
 * Text.
 */

static bool
take_text(struct html_lexer *l, struct html_token *t, size_t to)
{
	bool any = to > l->at;

	*t = (struct html_token){ .kind = HTML_TEXT,
		.text = slice(l, l->at, to),
		.literal = l->cdata };
	l->at = to;
	return any;
}

/* Where the end tag of the literal element begins and ends; false: nowhere,
 * and it will not be looked for again. */
static bool
find_literal_end(struct html_lexer *l, size_t *from, size_t *to)
{
	struct str name = str_of(l->literal);
	unsigned int bit = 1U << literal_index(l->literal);
	size_t i = l->at;

	if (str_eq(name, STR("plaintext")) || (l->endless & bit))
		return false;
	for (;;) {
		i = find_char(l, i, '<');
		if (i >= l->s.n) {
			l->endless |= bit;
			return false;
		}
		if (at(l, i + 1) != '/' ||
		    !str_istarts(slice(l, i + 2, l->s.n), name)) {
			i++;
			continue;
		}
		*from = i;
		*to = skip_space(l, i + 2 + name.n);
		if (at(l, *to) == '>') {
			++*to;
			return true;
		}
		i = *to;
	}
}

static bool
take_end(struct html_lexer *l, struct html_token *t, const char *name)
{
	(void)l;
	*t = (struct html_token){ .kind = HTML_END, .name = str_of(name) };
	return true;
}

/* The content of a literal element, then its end tag. */
static bool
next_literal(struct html_lexer *l, struct html_token *t)
{
	const char *name = l->literal;
	size_t from, to;

	if (find_literal_end(l, &from, &to)) {
		if (from > l->at)
			return take_text(l, t, from);
		l->at = to;
		l->literal = NULL;
		l->cdata = false;
		return take_end(l, t, name);
	}
	/* It has no end. */
	if (strcmp(name, "title") == 0) {
		l->literal = NULL;
		l->flushing = true;
		l->pending = l->at < l->s.n ? name : NULL;
		return false;
	}
	if (strcmp(name, "script") != 0 && strcmp(name, "style") != 0) {
		take_text(l, t, l->s.n);
		l->literal = NULL;
		l->flushing = true;
		return t->text.n > 0;
	}
	/* All the rest is in it, unless the rest was given back before. */
	if (!l->flushing && l->at < l->s.n)
		return take_text(l, t, l->s.n);
	l->literal = NULL;
	return take_end(l, t, name);
}

/* CDATA and RCDATA: text up to "]]>". */
static bool
next_section(struct html_lexer *l, struct html_token *t)
{
	size_t i = l->at;

	for (;; i++) {
		i = find_char(l, i, ']');
		if (i >= l->s.n) {
			l->depth = 0;
			return take_text(l, t, l->s.n);
		}
		if (at(l, i + 1) == ']' && at(l, i + 2) == '>')
			break;
	}
	if (i > l->at)
		return take_text(l, t, i);
	l->at = i + 3;
	close_section(l);
	return false;
}

/* Where text ends: at a `<' or at the end of a marked section. */
static size_t
text_end(struct html_lexer *l, size_t i)
{
	if (section(l) == SECTION_NONE)
		return find_char(l, i, '<');
	while (i < l->s.n && at(l, i) != '<' &&
	    (at(l, i) != ']' || at(l, i + 1) != ']' || at(l, i + 2) != '>'))
		i++;
	return i;
}

/* The end of the text was met inside markup: comments are tried in their
 * short form, then the rest is one. */
static bool
flush(struct html_lexer *l, struct html_token *t)
{
	size_t from = l->at;
	int c = at(l, from + 1);

	l->flushing = true;
	if (!l->short_comments) {
		l->short_comments = true;
		return false;
	}
	l->at = l->s.n;
	if (from + 1 >= l->s.n || is_name_first(c) || c == '/' || c == '!' ||
	    c == '?') {
		take_comment(t, l, from, l->s.n);
		return true;
	}
	l->at = from;
	return take_text(l, t, l->s.n);
}

/* One step on; false: nothing came of it, or the end was reached. */
static bool
step(struct html_lexer *l, struct html_token *t)
{
	size_t i = l->at, end = i;
	enum look what;

	if (l->literal != NULL)
		return next_literal(l, t);
	if (section(l) == SECTION_CDATA || section(l) == SECTION_RCDATA)
		return next_section(l, t);
	if (at(l, i) != '<')
		i = text_end(l, i);
	for (;;) {
		if (i > l->at || at(l, i) != '<')
			break;
		what = look(l, i, &end, t);
		if (what == LOOK_MORE)
			return flush(l, t);
		if (what != LOOK_TEXT) {
			l->at = end;
			return what == LOOK_TOKEN;
		}
		i = text_end(l, i + 1);
	}
	if (at(l, i) != ']' || section(l) == SECTION_NONE)
		return take_text(l, t, i);
	if (take_text(l, t, i) && section(l) != SECTION_IGNORE) {
		l->held = *t;
		l->holds = true;
	}
	l->at = i + 3;
	close_section(l);
	return false;
}

bool
html_next(struct html_lexer *l, struct html_token *t)
{
	for (;;) {
		if (l->holds && l->pending == NULL) {
			*t = l->held;
			l->holds = false;
			return true;
		}
		if (l->holds && l->pending != NULL) {
			const char *name = l->pending;

			l->pending = NULL;
			return take_end(l, t, name);
		}
		if (l->at >= l->s.n && l->literal == NULL) {
			const char *name = l->pending;

			l->pending = NULL;
			return name != NULL && take_end(l, t, name);
		}
		if (!step(l, t) || section(l) == SECTION_IGNORE)
			continue;
		if (l->pending == NULL || t->kind == HTML_TEXT ||
		    t->kind == HTML_COMMENT)
			return true;
		l->held = *t;
		l->holds = true;
	}
}

/*
 * Entities.
 */

static void
add_char(struct buf *b, uint32_t c)
{
	unsigned char s[4];
	size_t n = 0;

	if (c < 0x80) {
		s[n++] = (unsigned char)c;
	} else if (c < 0x800) {
		s[n++] = (unsigned char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		s[n++] = (unsigned char)(0xe0 | c >> 12);
		s[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	} else {
		s[n++] = (unsigned char)(0xf0 | c >> 18);
		s[n++] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
		s[n++] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		s[n++] = (unsigned char)(0x80 | (c & 0x3f));
	buf_add(b, s, n);
}

/* *i stands behind "&#"; 0: no number, or none of a character. */
static uint32_t
read_number(struct str s, size_t *i)
{
	uint32_t c = 0, digit, base = 10;
	size_t k = *i, from;

	if (k < s.n && (s.p[k] == 'x' || s.p[k] == 'X')) {
		base = 16;
		k++;
	}
	for (from = k; k < s.n; k++) {
		int ch = chr_lower((unsigned char)s.p[k]);

		if (chr_digit(ch))
			digit = (uint32_t)(ch - '0');
		else if (base == 16 && ch >= 'a' && ch <= 'f')
			digit = (uint32_t)(ch - 'a' + 10);
		else
			break;
		c = c * base + digit;
		if (c > 0x10ffff)
			return 0;
	}
	if (k == from)
		return 0;
	*i = k;
	return c;
}

/* *i stands behind `&'; 0: no name of a character. */
static uint32_t
read_name(struct str s, size_t *i, bool prefix)
{
	size_t from = *i, k = from, n;
	uint32_t c;

	while (k < s.n && k - from <= ENTITY_MAX_BYTES &&
	    (chr_alnum((unsigned char)s.p[k]) || s.p[k] == '_'))
		k++;
	n = k - from;
	if (n == 0)
		return 0;
	c = html_entity(str_sub(s, from, n), k < s.n && s.p[k] == ';');
	for (; c == 0 && prefix && n > 1;
	     c = html_entity(str_sub(s, from, n), false))
		n--;
	*i = from + n;
	return c;
}

/* Two halves of a pair make one character where they follow each other. */
static uint32_t
join_pair(struct buf *b, uint32_t c, uint32_t *high)
{
	uint32_t first = *high;

	*high = 0;
	if ((c & 0xfffffc00) == 0xdc00) {
		if (first == 0)
			return 0xfffd;
		buf_truncate(b, b->n - 3);
		return ((first - 0xd800) << 10) + (c - 0xdc00) + 0x10000;
	}
	if ((c & 0xfffffc00) == 0xd800) {
		*high = c;
		return 0xfffd;
	}
	if ((c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
		return 0xfffd;
	return c;
}

void
html_decode(struct buf *b, struct str s, bool prefix, bool *wide)
{
	uint32_t c, high = 0;
	size_t i = 0, k;
	bool number;

	while (i < s.n) {
		const char *amp = memchr(s.p + i, '&', s.n - i);

		k = amp != NULL ? (size_t)(amp - s.p) : s.n;
		buf_add(b, s.p + i, k - i);
		if (amp == NULL)
			break;
		i = k;
		k++;
		number = k < s.n && s.p[k] == '#';
		if (number && ++k)
			c = read_number(s, &k);
		else
			c = read_name(s, &k, prefix);
		if (c == 0 || (number && (c == 0xfffe || c == 0xffff))) {
			buf_addc(b, '&');
			high = number ? high : 0;
			i++;
			continue;
		}
		if (number)
			c = join_pair(b, c, &high);
		else
			high = 0;
		*wide |= c > 255;
		add_char(b, c);
		if (k < s.n && s.p[k] == ';')
			k++;
		if (k >= s.n || s.p[k] != '&')
			high = 0;
		i = k;
	}
}
