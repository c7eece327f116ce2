/*
 * authres_reader - reads Authentication-Results by the grammar of RFC 8601
 * section 2.2 and nothing beyond it, for tests of what is written.
 */
#ifndef TESTS_UNIT_AUTHRES_READER_H
#define TESTS_UNIT_AUTHRES_READER_H

#include <string.h>

#include "base/arena.h"
#include "base/str.h"

#define READER_RESULTS	40
#define READER_PROPS	10

struct reader_prop {
	struct str	 name;		/* "header.d", "reason" */
	struct str	 value;		/* unquoted */
};

struct reader_result {
	struct str	 method, result;
	struct reader_prop props[READER_PROPS];
	size_t		 nprops;
};

struct reader {
	struct arena	*arena;
	struct str	 s;
	size_t		 i;
	struct str	 id;
	struct reader_result results[READER_RESULTS];
	size_t		 nresults;
};

static inline int
reader_peek(const struct reader *r)
{
	return r->i < r->s.n ? (unsigned char)r->s.p[r->i] : -1;
}

static inline bool
reader_sign(struct reader *r, char c)
{
	if (reader_peek(r) != c)
		return false;
	r->i++;
	return true;
}

/* A fold is LF and white space; no line is blank or longer than 998. */
static inline bool
reader_fws(struct reader *r)
{
	for (;;) {
		if (reader_sign(r, '\n')) {
			if (reader_peek(r) != ' ' && reader_peek(r) != '\t')
				return false;
		} else if (!reader_sign(r, ' ') && !reader_sign(r, '\t'))
			return true;
	}
}

/* Of comments only what we write: no nesting, no quoted pairs. */
static inline bool
reader_cfws(struct reader *r)
{
	if (!reader_fws(r))
		return false;
	while (reader_sign(r, '(')) {
		while (reader_peek(r) >= ' ' && reader_peek(r) < 0x7f &&
		    strchr("()\\", reader_peek(r)) == NULL)
			r->i++;
		if (!reader_sign(r, ')') || !reader_fws(r))
			return false;
	}
	return true;
}

static inline bool
reader_is_token(int c)
{
	return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static inline struct str
reader_token(struct reader *r)
{
	size_t from = r->i;

	while (reader_is_token(reader_peek(r)))
		r->i++;
	return str_sub(r->s, from, r->i - from);
}

/* RFC 5321 section 4.1.2 Keyword. */
static inline struct str
reader_keyword(struct reader *r)
{
	size_t from = r->i;

	while (chr_alnum(reader_peek(r)) ||
	    (r->i > from && reader_peek(r) == '-'))
		r->i++;
	return str_sub(r->s, from, r->i - from);
}

static inline struct str
reader_quoted(struct reader *r)
{
	char *out = arena_alloc(r->arena, r->s.n - r->i + 1);
	size_t n = 0;

	r->i++;
	while (out != NULL && reader_peek(r) >= ' ' && reader_peek(r) != 0x7f &&
	    reader_peek(r) != '"') {
		if (reader_peek(r) == '\\')
			r->i++;
		if (reader_peek(r) < ' ')
			return STR_NONE;
		out[n++] = r->s.p[r->i++];
	}
	if (out == NULL || !reader_sign(r, '"'))
		return STR_NONE;
	return (struct str){ out, n };
}

static inline bool
reader_is_atext(int c)
{
	return chr_alnum(c) || (c > 0 && c < 0x7f &&
	    strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

/* A token, [local]@domain, or a quoted string. */
static inline struct str
reader_pvalue(struct reader *r)
{
	size_t from = r->i;
	struct str all;
	ptrdiff_t at;

	if (reader_peek(r) == '"')
		return reader_quoted(r);
	while (reader_is_atext(reader_peek(r)) || reader_peek(r) == '@')
		r->i++;
	all = str_sub(r->s, from, r->i - from);
	at = str_chr(all, '@');
	if (at != str_rchr(all, '@') || all.n == 0)
		return STR_NONE;
	for (size_t k = (size_t)(at + 1); k < all.n; k++)
		if (at >= 0 ? !chr_alnum((unsigned char)all.p[k]) &&
			strchr("-._", all.p[k]) == NULL :
			!reader_is_token((unsigned char)all.p[k]))
			return STR_NONE;
	return at >= 0 && (size_t)at + 1 == all.n ? STR_NONE : all;
}

static inline bool
reader_prop(struct reader *r, struct reader_result *result, bool first)
{
	struct reader_prop *p = &result->props[result->nprops];
	size_t from = r->i;
	struct str word = reader_keyword(r);
	bool reason = str_eq(word, STR("reason"));

	if (word.n == 0 || result->nprops++ == READER_PROPS)
		return false;
	if (reason ? !first :
		!reader_sign(r, '.') || reader_keyword(r).n == 0)
		return false;
	p->name = str_sub(r->s, from, r->i - from);
	if (!reader_sign(r, '='))
		return false;
	p->value = reason && reader_peek(r) != '"' ? reader_token(r) :
						     reader_pvalue(r);
	return p->value.n > 0 && reader_cfws(r);
}

static inline bool
reader_result(struct reader *r)
{
	struct reader_result *result = &r->results[r->nresults];

	if (r->nresults++ == READER_RESULTS || !reader_cfws(r))
		return false;
	*result = (struct reader_result){ .nprops = 0 };
	result->method = reader_keyword(r);
	if (!reader_sign(r, '='))
		return false;
	result->result = reader_keyword(r);
	if (result->method.n == 0 || result->result.n == 0 || !reader_cfws(r))
		return false;
	while (r->i < r->s.n && reader_peek(r) != ';')
		if (!reader_prop(r, result, result->nprops == 0))
			return false;
	return true;
}

static inline bool
reader_lines(struct str s)
{
	struct str line, rest = s;

	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		if (line.n > 998 || str_trim(line).n == 0)
			return false;
	}
	return true;
}

/* false: it does not keep to the grammar. */
static inline bool
reader_read(struct reader *r, struct arena *arena, struct str s)
{
	memset(r, 0, sizeof(*r));
	r->arena = arena;
	r->s = s;
	if (!reader_lines(s) || !reader_cfws(r))
		return false;
	r->id = reader_token(r);
	if (r->id.n == 0 || !reader_cfws(r))
		return false;
	if (str_eq(str_sub(s, r->i, s.n), STR("; none")))
		return true;
	while (reader_sign(r, ';'))
		if (!reader_result(r))
			return false;
	return r->i == s.n && r->nresults > 0;
}

#endif
