#include "policy/lex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

struct macro {
	struct macro	*next;
	struct token	 name;
	struct token	*value;
	size_t		 n;
	bool		 used;
};

struct lex_macros {
	struct arena	*arena;
	struct map	*by_name;
	struct macro	*first, **tail;
	size_t		 expanded;	/* tokens in all */
	size_t		 count;
};

struct lexer {
	struct arena	*arena;
	struct lex_macros *macros;
	const struct source *source;
	struct diag	*diag;
	const char	*p, *end;	/* what is not read yet */
	unsigned int	 line, col;	/* of p */
	bool		 have;		/* one token is looked ahead */
	struct token	 ahead;
	const char	*ahead_p;	/* where it begins, to read it again */
	unsigned int	 ahead_line, ahead_col;
	const struct macro *macro;	/* being expanded */
	size_t		 macro_at;
	struct place	 macro_place;
	const char	*last_end;	/* behind the token read last */
	bool		 mute;
};

struct lex_macros *
lex_macros_new(struct arena *arena)
{
	struct lex_macros *m = arena_alloc(arena, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->arena = arena;
	m->by_name = map_new(false);
	m->tail = &m->first;
	return m;
}

void
lex_macros_free(struct lex_macros **m)
{
	if (*m == NULL)
		return;
	map_free(&(*m)->by_name, NULL);
	*m = NULL;
}

bool
lex_define(struct lex_macros *macros, const struct token *name,
    const struct token *value, size_t n, struct place *first)
{
	struct macro *m = map_get(macros->by_name, name->text);

	if (m != NULL) {
		*first = m->name.place;
		return false;
	}
	m = arena_alloc(macros->arena, sizeof(*m));
	if (m == NULL)
		return true;
	m->name = *name;
	m->value = arena_alloc(macros->arena, (n + 1) * sizeof(*value));
	if (m->value != NULL) {
		memcpy(m->value, value, n * sizeof(*value));
		m->n = n;
	}
	*macros->tail = m;
	macros->tail = &m->next;
	macros->count++;
	map_put(macros->by_name, name->text, m);
	return true;
}

void
lex_warn_unused(const struct lex_macros *macros, struct diag *diag)
{
	for (const struct macro *m = macros->first; m != NULL; m = m->next)
		if (!m->used)
			diag_warn(diag, m->name.place,
			    "macro `%.*s' is never used",
			    STR_FMT(m->name.text));
}

/* Length of the well-formed UTF-8 character at p, 0 if there is none. */
static size_t
utf8_length(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t n = u[0] < 0x80 ? 1 :
	    u[0] < 0xc2	       ? 0 :
	    u[0] < 0xe0	       ? 2 :
	    u[0] < 0xf0	       ? 3 :
	    u[0] < 0xf5	       ? 4 :
				 0;

	if (n > (size_t)(end - p))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

bool
lex_check_text(const struct source *source, struct diag *diag)
{
	const char *p = source->text.p, *end = p + source->text.n;
	struct place at = { .source = source, .line = 1, .col = 1, .len = 1 };

	while (p < end) {
		unsigned char c = (unsigned char)*p;
		size_t n = utf8_length(p, end);

		if (n == 0) {
			diag_error(diag, at, "byte 0x%02x is not UTF-8 text",
			    c);
			return false;
		}
		if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') ||
		    c == 0x7f) {
			diag_error(diag, at,
			    "control character 0x%02x in the file", c);
			return false;
		}
		at.col++;
		if (c == '\n') {
			at.line++;
			at.col = 1;
		}
		p += n;
	}
	return true;
}

struct lexer *
lex_new(struct arena *arena, struct lex_macros *macros,
    const struct source *source, struct diag *diag)
{
	struct lexer *l = arena_alloc(arena, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->arena = arena;
	l->macros = macros;
	l->source = source;
	l->diag = diag;
	l->p = l->last_end = source->text.p;
	l->end = l->p + source->text.n;
	l->line = l->col = 1;
	return l;
}

static void
skip(struct lexer *l, size_t n)
{
	for (; n > 0 && l->p < l->end; n--, l->p++) {
		if (*l->p == '\n') {
			l->line++;
			l->col = 1;
		} else if (((unsigned char)*l->p & 0xc0) != 0x80)
			l->col++;
	}
}

/* White space, comments, and a backslash at the end of a line. */
static void
skip_blanks(struct lexer *l)
{
	while (l->p < l->end) {
		size_t left = (size_t)(l->end - l->p);

		if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r')
			skip(l, 1);
		else if (*l->p == '\\' && left > 1 && l->p[1] == '\n')
			skip(l, 2);
		else if (*l->p == '\\' && left > 2 && l->p[1] == '\r' &&
		    l->p[2] == '\n')
			skip(l, 3);
		else if (*l->p == '#') {
			while (l->p < l->end && *l->p != '\n')
				skip(l, 1);
		} else
			break;
	}
}

static unsigned int
characters(const char *p, const char *end)
{
	unsigned int n = 0;

	for (; p < end; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	return n;
}

static struct place
place_here(const struct lexer *l, size_t bytes)
{
	unsigned int n = characters(l->p, l->p + bytes);

	return (struct place){ .source = l->source,
		.line = l->line,
		.col = l->col,
		.len = n == 0 ? 1 : n };
}

static struct token
token_take(struct lexer *l, enum token_kind kind, size_t bytes)
{
	struct token t = { .kind = kind,
		.text = { l->p, bytes },
		.place = place_here(l, bytes) };

	skip(l, bytes);
	return t;
}

static size_t
rest_of_line(const struct lexer *l)
{
	const char *nl = memchr(l->p, '\n', (size_t)(l->end - l->p));
	size_t n = (size_t)((nl ? nl : l->end) - l->p);

	while (n > 1 && chr_space((unsigned char)l->p[n - 1]))
		n--;
	return n;
}

static const struct {
	const char	*text;
	enum token_kind	 kind;
} punctuation[] = {
	/* the longer ones first */
	{ "!=", TOKEN_NE },
	{ "!~", TOKEN_NOT_MATCH },
	{ "<=", TOKEN_LE },
	{ ">=", TOKEN_GE },
	{ "==", TOKEN_BAD },
	{ "\n", TOKEN_NEWLINE },
	{ "{", TOKEN_LBRACE },
	{ "}", TOKEN_RBRACE },
	{ "(", TOKEN_LPAREN },
	{ ")", TOKEN_RPAREN },
	{ ",", TOKEN_COMMA },
	{ "=", TOKEN_EQ },
	{ "<", TOKEN_LT },
	{ ">", TOKEN_GT },
	{ "~", TOKEN_MATCH },
};

static bool
punctuation_here(const struct lexer *l, enum token_kind *kind, size_t *n)
{
	struct str rest = { l->p, (size_t)(l->end - l->p) };

	for (size_t i = 0; i < sizeof(punctuation) / sizeof(*punctuation);
	     i++) {
		struct str s = str_of(punctuation[i].text);

		if (str_starts(rest, s)) {
			*kind = punctuation[i].kind;
			*n = s.n;
			return true;
		}
	}
	return false;
}

static bool
ends_word(char c)
{
	return memchr(" \t\r\n{}(),=<>~\"", c, 14) != NULL;
}

/* What word processors and web pages put where a quote or a blank should be. */
static const char *
foreign_character(struct str word, size_t *at)
{
	static const struct {
		const char *bytes, *what;
	} known[] = {
		{ "\xe2\x80\x9c", "typographic quotes; write \" instead" },
		{ "\xe2\x80\x9d", "typographic quotes; write \" instead" },
		{ "\xe2\x80\x9e", "typographic quotes; write \" instead" },
		{ "\xc2\xa0", "a no-break space; write a plain one" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		ptrdiff_t found = str_find(word, str_of(known[i].bytes));

		if (found >= 0) {
			*at = (size_t)found;
			return known[i].what;
		}
	}
	return NULL;
}

static struct token
token_word(struct lexer *l)
{
	size_t n = 1, at;
	struct token t;
	const char *what;

	while (l->p + n < l->end && !ends_word(l->p[n]) &&
	    !(l->p[n] == '!' && l->p + n + 1 < l->end &&
		(l->p[n + 1] == '=' || l->p[n + 1] == '~')) &&
	    !(l->p[n] == '\\' && l->p + n + 1 < l->end &&
		(l->p[n + 1] == '\n' || l->p[n + 1] == '\r')))
		n++;
	t = token_take(l, TOKEN_WORD, n);
	what = foreign_character(t.text, &at);
	if (what != NULL) {
		t.kind = TOKEN_BAD;
		t.place.col += characters(t.text.p, t.text.p + at);
		t.place.len = 1;
		if (!l->mute)
			diag_error(l->diag, t.place, "%s", what);
	}
	return t;
}

/* Length of the string that begins at l->p with its quotes, 0: unended. */
static size_t
string_length(const struct lexer *l)
{
	for (const char *p = l->p + 1; p < l->end && *p != '\n'; p++) {
		if (*p == '"')
			return (size_t)(p - l->p) + 1;
		if (*p == '\\' && p + 1 < l->end && p[1] != '\n')
			p++;
	}
	return 0;
}

static bool
unescape(struct lexer *l, struct token *t)
{
	char *out = arena_alloc(l->arena, t->raw.n + 1);
	size_t n = 0;
	if (out == NULL)
		return false;
	for (size_t i = 0; i < t->raw.n; i++) {
		char c = t->raw.p[i];

		if (c == '\\') {
			struct place at = t->place;

			c = t->raw.p[++i];
			at.col += 1 + characters(t->raw.p, t->raw.p + i - 1);
			at.len = 2;
			if (c == 'n' || c == 't')
				c = c == 'n' ? '\n' : '\t';
			else if (c != '"' && c != '\\') {
				if (!l->mute)
					diag_error(l->diag, at,
					    "a string knows \\n, \\t, \\\" and "
					    "\\\\; for a backslash write \\\\");
			}
		}
		out[n++] = c;
	}
	t->text = (struct str){ out, n };
	return true;
}

static struct token
token_string(struct lexer *l)
{
	size_t n = string_length(l);
	struct token t;

	if (n == 0) {
		t = token_take(l, TOKEN_BAD, rest_of_line(l));
		if (!l->mute)
			diag_error(l->diag, t.place,
			    "the string has no closing quote on its line");
		return t;
	}
	t = token_take(l, TOKEN_STRING, n);
	t.raw = str_sub(t.text, 1, n - 2);
	if (!unescape(l, &t))
		t.kind = TOKEN_BAD;
	return t;
}

static void
macro_unknown(struct lexer *l, const struct token *t)
{
	const char **names;
	size_t n = 0;

	if (l->mute || diag_errors(l->diag) > DIAG_MAX)
		return;
	diag_error(l->diag, t->place, "macro `%.*s' is not defined",
	    STR_FMT(t->text));
	names = mem_alloc((l->macros->count + 1) * sizeof(*names));
	for (struct macro *m = l->macros->first; m != NULL; m = m->next)
		names[n++] =
		    arena_printf(l->arena, "$%.*s", STR_FMT(m->name.text)).p;
	diag_suggest(l->diag, t->text, names, n);
	free(names);
}

/* Begins to read the tokens of $name; false with a TOKEN_BAD in *t. */
static bool
macro_enter(struct lexer *l, struct token *t)
{
	struct macro *m;

	*t = token_word(l);
	if (t->kind == TOKEN_BAD)
		return false;
	m = map_get(l->macros->by_name, str_sub(t->text, 1, t->text.n));
	t->kind = TOKEN_BAD;
	if (m == NULL) {
		macro_unknown(l, t);
		return false;
	}
	m->used = true;
	if (m->n == 0)		/* its definition was a mistake */
		return false;
	l->macros->expanded += m->n;
	if (l->macros->expanded > LEX_MACROS_MAX) {
		if (!l->mute)
			diag_error(l->diag,
			    (struct place){ .source = t->place.source,
				.line = t->place.line,
				.col = t->place.col,
				.len = t->place.len },
			    "macros make more than %d words", LEX_MACROS_MAX);
		return false;
	}
	l->macro = m;
	l->macro_at = 0;
	l->macro_place = t->place;
	return true;
}

static bool
macro_token(struct lexer *l, struct token *t)
{
	if (l->macro == NULL)
		return false;
	if (l->macro_at == l->macro->n) {
		l->macro = NULL;
		return false;
	}
	*t = l->macro->value[l->macro_at++];
	t->place = l->macro_place;
	t->raw = STR_NONE;
	return true;
}

static struct token
token_read(struct lexer *l)
{
	struct token t;
	enum token_kind kind;
	size_t n;

	for (;;) {
		if (macro_token(l, &t))
			return t;
		skip_blanks(l);
		l->ahead_p = l->p;
		l->ahead_line = l->line;
		l->ahead_col = l->col;
		if (l->p == l->end)
			return token_take(l, TOKEN_END, 0);
		if (*l->p != '$')
			break;
		if (!macro_enter(l, &t))
			return t;
	}
	if (*l->p == '"')
		return token_string(l);
	if (!punctuation_here(l, &kind, &n))
		return token_word(l);
	t = token_take(l, kind, n);
	if (kind == TOKEN_BAD && !l->mute)
		diag_error(l->diag, t.place, "write `=' to compare");
	return t;
}

const struct token *
lex_peek(struct lexer *l)
{
	if (!l->have) {
		l->ahead = token_read(l);
		l->have = true;
	}
	return &l->ahead;
}

struct token
lex_next(struct lexer *l)
{
	struct token t = *lex_peek(l);

	l->have = false;
	if (t.kind != TOKEN_NEWLINE && t.kind != TOKEN_END)
		l->last_end = l->p;
	return t;
}

void
lex_unread(struct lexer *l, const struct token *t)
{
	l->ahead = *t;
	l->have = true;
}

bool
lex_at_slash(struct lexer *l)
{
	const struct token *t = lex_peek(l);

	return t->kind == TOKEN_WORD && t->text.p[0] == '/' && l->macro == NULL;
}

static size_t
regex_end(const struct lexer *l)
{
	for (const char *p = l->p + 1; p < l->end && *p != '\n'; p++) {
		if (*p == '/')
			return (size_t)(p - l->p);
		if (*p == '\\' && p + 1 < l->end && p[1] != '\n')
			p++;
	}
	return 0;
}

struct token
lex_regex(struct lexer *l)
{
	struct token t;
	size_t n, flags = 0;

	if (!lex_at_slash(l)) {
		t = lex_next(l);
		if (t.kind != TOKEN_BAD)
			diag_error(l->diag, t.place,
			    "a regex stands between slashes: /.../");
		t.kind = TOKEN_BAD;
		return t;
	}
	l->have = false;
	l->p = l->ahead_p;
	l->line = l->ahead_line;
	l->col = l->ahead_col;
	n = regex_end(l);
	if (n == 0) {
		t = token_take(l, TOKEN_BAD, rest_of_line(l));
		diag_error(l->diag, t.place,
		    "the regex has no closing slash on its line");
		return t;
	}
	while (l->p + n + 1 + flags < l->end &&
	    chr_alnum((unsigned char)l->p[n + 1 + flags]))
		flags++;
	t = token_take(l, TOKEN_REGEX, n + 1 + flags);
	t.flags = str_sub(t.text, n + 1, flags);
	t.text = str_sub(t.text, 1, n - 1);
	l->last_end = l->p;
	return t;
}

void
lex_skip_statement(struct lexer *l)
{
	unsigned int depth = 0;
	bool mute = l->mute;

	l->mute = true;
	for (;;) {
		enum token_kind kind = lex_peek(l)->kind;

		if (kind == TOKEN_END ||
		    (depth == 0 &&
			(kind == TOKEN_NEWLINE || kind == TOKEN_RBRACE)))
			break;
		if (kind == TOKEN_LBRACE)
			depth++;
		if (kind == TOKEN_RBRACE)
			depth--;
		lex_next(l);
	}
	l->mute = mute;
}

bool
lex_line_has(struct lexer *l, char c)
{
	struct str line;

	lex_peek(l);
	line = (struct str){ l->ahead_p, (size_t)(l->end - l->ahead_p) };
	return str_chr(str_cut(line, '\n', &line), c) >= 0;
}

const char *
lex_mark(struct lexer *l)
{
	lex_peek(l);
	return l->ahead_p;
}

struct str
lex_source(const struct lexer *l, const char *from)
{
	return (struct str){ from,
		from < l->last_end ? (size_t)(l->last_end - from) : 0 };
}

void
lex_describe(const struct token *t, char *out, size_t size)
{
	if (t->kind == TOKEN_END)
		snprintf(out, size, "the end of the file");
	else if (t->kind == TOKEN_NEWLINE)
		snprintf(out, size, "the end of the line");
	else if (t->kind == TOKEN_STRING)
		snprintf(out, size, "a string");
	else if (t->kind == TOKEN_REGEX)
		snprintf(out, size, "a regex");
	else
		snprintf(out, size, "`%.*s'", STR_FMT(str_sub(t->text, 0, 40)));
}
