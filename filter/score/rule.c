#include "score/rule.h"

#include <limits.h>
#include <string.h>

#include "mail/field.h"

#define NAME_MAX_CHARS	100
#define ARGS_MAX	64
#define META_MAX	(256 * 1024)

static const char *const kind_words[] = {
#define X(id, word) [RULE_##id] = word,
	RULE_KINDS(X)
#undef X
};

static const char *const detail_words[] = {
#define X(id, word) [DETAIL_##id] = word,
	RULE_DETAILS(X)
#undef X
};

static const char *const left_texts[] = {
#define X(id, text) [LEFT_##id] = text,
	RULE_LEFTS(X)
#undef X
};

const char *
rule_kind_word(enum rule_kind kind)
{
	return kind_words[kind];
}

const char *
rule_left_text(enum rule_left_kind kind)
{
	return left_texts[kind];
}

bool
rule_kind_parse(struct str word, enum rule_kind *kind)
{
	int i;

	for (i = 0; i < RULE_KIND_COUNT; i++)
		if (str_eq(word, str_of(kind_words[i]))) {
			*kind = (enum rule_kind)i;
			return true;
		}
	return false;
}

bool
rule_name_valid(struct str name)
{
	size_t i;

	if (name.n == 0 || name.n > NAME_MAX_CHARS ||
	    chr_digit((unsigned char)name.p[0]))
		return false;
	for (i = 0; i < name.n; i++)
		if (!chr_alnum((unsigned char)name.p[i]) && name.p[i] != '_')
			return false;
	return true;
}

/* ---- regexes ---- */

void
rule_use_perl(struct score_rule *r)
{
	r->regex = r->perl.regex;
	r->pattern = r->perl.pattern;
	r->re_flags = r->perl.flags;
}

void
rule_free_regexes(struct score_rule *r)
{
	int i;

	regex_free(&r->perl.regex);
	r->regex = NULL;
	for (i = 0; r->asks != NULL && i < RULE_DETAIL_COUNT; i++)
		regex_free(&r->asks[i].regex);
}

static bool
parse_regex(struct arena *a, struct score_rule *r, struct str text,
    struct buf *why)
{
	if (!perl_regex_read(a, str_trim(text), &r->perl, why))
		return false;
	rule_use_perl(r);
	return true;
}

/* " [if-unset: TEXT]" at the end of a line is cut off. */
static bool
parse_if_unset(struct arena *a, struct score_rule *r, struct str *rest)
{
	static const char word[] = "[if-unset:";
	ptrdiff_t at = str_find(*rest, str_of(word));
	struct str text;

	if (at < 1 || rest->p[rest->n - 1] != ']' ||
	    !chr_space((unsigned char)rest->p[at - 1]))
		return true;
	text = str_sub(*rest, (size_t)at + sizeof(word) - 1, rest->n);
	text.n--;
	while (text.n > 0 && chr_space((unsigned char)text.p[0]))
		text = str_sub(text, 1, text.n);
	r->if_unset = arena_str(a, text);
	*rest = str_trim(str_sub(*rest, 0, (size_t)at));
	return r->if_unset.p != NULL;
}

/* ---- header, mimeheader ---- */

/* "Subject:raw", a colon at its end is of no account. */
static bool
parse_field(struct arena *a, struct score_rule *r, struct str spec,
    struct buf *why)
{
	struct str name;

	if (spec.n > 0 && spec.p[spec.n - 1] == ':')
		spec.n--;
	if (!field_parse(spec, &name, &r->flags) ||
	    (r->kind == RULE_MIMEHEADER && (r->flags & ~FIELD_RAW) != 0)) {
		buf_printf(why, "header form \"%.*s\" is not known",
		    STR_FMT(spec));
		return false;
	}
	r->field = arena_str(a, name);
	if (r->field.n == 0)
		buf_adds(why, "a header field is expected");
	return r->field.n > 0;
}

/* =~ or !~, wherever it stands: blanks about it are as one likes. */
static ptrdiff_t
find_operator(struct str rest)
{
	size_t i;

	for (i = 0; i + 1 < rest.n; i++) {
		if ((rest.p[i] == '=' || rest.p[i] == '!') &&
		    rest.p[i + 1] == '~')
			return (ptrdiff_t)i;
		if (rest.p[i] == '/')
			break;
	}
	return -1;
}

/* FIELD =~ /re/ [if-unset: TEXT], or exists:FIELD */
static bool
parse_header(struct arena *a, struct score_rule *r, struct str rest,
    struct buf *why)
{
	ptrdiff_t op;
	struct str spec;

	if (str_starts(rest, STR("exists:"))) {
		r->exists = true;
		return parse_field(a, r, str_sub(rest, 7, rest.n), why);
	}
	op = find_operator(rest);
	if (op < 0) {
		buf_adds(why, "=~ or !~ is expected");
		return false;
	}
	spec = str_trim(str_sub(rest, 0, (size_t)op));
	r->negate = rest.p[op] == '!';
	rest = str_trim(str_sub(rest, (size_t)op + 2, rest.n));
	return parse_field(a, r, spec, why) && parse_if_unset(a, r, &rest) &&
	    parse_regex(a, r, rest, why);
}

/* ---- uri_detail ---- */

/* The end of "/x/i" or "m{x}i" that text begins with; 0: it is none. */
static size_t
regex_len(struct str text)
{
	size_t n = text.n > 0 && text.p[0] == 'm' ? 2 : 1;
	char close;

	if (text.n <= n || (n == 1 && text.p[0] != '/'))
		return 0;
	close = text.p[n - 1];
	for (; n < text.n && text.p[n] != close; n++)
		if (text.p[n] == '\\')
			n++;
	if (n >= text.n)
		return 0;
	for (n++; n < text.n && text.p[n] >= 'a' && text.p[n] <= 'z';)
		n++;
	return n;
}

static bool
parse_detail(struct arena *a, struct score_rule *r, struct str *rest,
    struct buf *why)
{
	ptrdiff_t op = find_operator(*rest);
	struct perl_regex perl;
	struct str word;
	size_t n;
	int i;

	if (op < 0) {
		buf_adds(why, "=~ or !~ is expected");
		return false;
	}
	word = str_trim(str_sub(*rest, 0, (size_t)op));
	for (i = 0; i < RULE_DETAIL_COUNT; i++)
		if (str_eq(word, str_of(detail_words[i])))
			break;
	if (i == RULE_DETAIL_COUNT) {
		buf_printf(why, "a URI has no `%.*s'", STR_FMT(word));
		return false;
	}
	r->asks[i].negate = rest->p[op] == '!';
	*rest = str_trim(str_sub(*rest, (size_t)op + 2, rest->n));
	if ((n = regex_len(*rest)) == 0) {
		buf_adds(why, "a regex is expected");
		return false;
	}
	if (!perl_regex_read(a, str_sub(*rest, 0, n), &perl, why))
		return false;
	regex_free(&r->asks[i].regex);
	r->asks[i].regex = perl.regex;
	*rest = str_trim(str_sub(*rest, n, rest->n));
	return true;
}

static bool
parse_details(struct arena *a, struct score_rule *r, struct str rest,
    struct buf *why)
{
	r->asks = arena_alloc(a, RULE_DETAIL_COUNT * sizeof(*r->asks));
	if (r->asks == NULL)
		return false;
	while (rest.n > 0)
		if (!parse_detail(a, r, &rest, why)) {
			rule_free_regexes(r);
			return false;
		}
	return true;
}

/* ---- eval ---- */

static bool
word_char(int c)
{
	return chr_alnum(c) || c == '_';
}

static bool
bare_char(int c)
{
	return chr_alnum(c) || c == '.' || c == ':' || c == '-';
}

/* 'text', "text" or a bare word at *in, and the comma behind it. */
static bool
parse_arg(struct str *in, struct str *arg)
{
	size_t n = 0;

	if (in->p[0] == '\'' || in->p[0] == '"') {
		ptrdiff_t end = str_chr(str_sub(*in, 1, in->n), in->p[0]);

		if (end < 0)
			return false;
		*arg = str_sub(*in, 1, (size_t)end);
		n = (size_t)end + 2;
	} else {
		while (n < in->n && bare_char((unsigned char)in->p[n]))
			n++;
		*arg = str_sub(*in, 0, n);
		if (n == 0)
			return false;
	}
	*in = str_trim(str_sub(*in, n, in->n));
	if (in->n > 0 && in->p[0] != ',')
		return false;
	*in = str_trim(str_sub(*in, in->n > 0, in->n));
	return true;
}

/* NAME(arg, ...) */
static bool
parse_eval(struct arena *a, struct score_rule *r, struct str text,
    struct buf *why)
{
	struct str args[ARGS_MAX], in;
	size_t n = 0, i;

	while (n < text.n && word_char((unsigned char)text.p[n]))
		n++;
	if (n == 0 || n + 1 >= text.n || text.p[n] != '(' ||
	    text.p[text.n - 1] != ')') {
		buf_adds(why, "a function and its arguments are expected");
		return false;
	}
	r->eval = arena_str(a, str_sub(text, 0, n));
	in = str_trim(str_sub(text, n + 1, text.n - n - 2));
	while (in.n > 0 && r->nargs < ARGS_MAX)
		if (!parse_arg(&in, &args[r->nargs++])) {
			buf_adds(why, "the arguments can't be read");
			return false;
		}
	r->args = arena_alloc(a, (r->nargs + 1) * sizeof(*r->args));
	if (in.n > 0 || r->args == NULL || r->eval.p == NULL)
		return false;
	for (i = 0; i < r->nargs; i++)
		r->args[i] = arena_str(a, args[i]);
	return true;
}

/* ---- meta ---- */

static bool
parse_meta(struct arena *a, struct score_rule *r, struct str rest,
    struct buf *why)
{
	struct buf text = BUF_INIT(META_MAX);
	ptrdiff_t at, end;

	r->text = arena_str(a, rest);
	/* Whom rules_matching() names is known when all files are read. */
	while ((at = str_find(rest, STR("rules_matching("))) >= 0 &&
	    (end = str_chr(str_sub(rest, (size_t)at, rest.n), ')')) > 0) {
		buf_addstr(&text, str_sub(rest, 0, (size_t)at));
		buf_addc(&text, '0');
		rest = str_sub(rest, (size_t)(at + end) + 1, rest.n);
	}
	buf_addstr(&text, rest);
	if (text.failed)
		buf_adds(why, "the expression is too long");
	else if (r->text.p != NULL)
		r->meta = meta_parse(a, arena_str(a, buf_str(&text)), why);
	buf_free(&text);
	return r->meta != NULL;
}

bool
rule_parse(struct arena *a, struct score_rule *r, struct str rest,
    struct buf *why)
{
	rest = str_trim(rest);
	if (rest.n == 0) {
		buf_adds(why, "it says nothing");
		return false;
	}
	r->first_part = 1;
	r->last_part = RULE_PARTS_MAX;
	r->most = 1;
	if (str_starts(rest, STR("rbleval:")) && r->kind == RULE_HEADER)
		rest = str_sub(rest, 3, rest.n);
	if (str_starts(rest, STR("eval:")) && r->kind != RULE_URI &&
	    r->kind != RULE_META && r->kind != RULE_MIMEHEADER)
		return parse_eval(a, r, str_sub(rest, 5, rest.n), why);
	switch (r->kind) {
	case RULE_HEADER:
	case RULE_MIMEHEADER:
		return parse_header(a, r, rest, why);
	case RULE_META:
		return parse_meta(a, r, rest, why);
	case RULE_URI_DETAIL:
		return parse_details(a, r, rest, why);
	default:
		return parse_regex(a, r, rest, why);
	}
}

/* ---- tflags ---- */

static unsigned int
number(struct str s, unsigned int otherwise)
{
	uint64_t n;

	return str_u64(s, &n) && n < 1000000 ? (unsigned int)n : otherwise;
}

/* range=2, 2-3, 2- or -3 */
static void
read_range(struct score_rule *r, struct str range)
{
	struct str last, first = str_cut(range, '-', &last);

	r->first_part = number(first, 0);
	r->last_part = last.p == NULL ? r->first_part :
	    last.n == 0		      ? RULE_PARTS_MAX :
					number(last, RULE_PARTS_MAX);
}

void
rule_read_tflags(struct score_rule *r)
{
	struct str rest = r->tflags, word;
	unsigned int most = 0;

	while (rest.n > 0) {
		rest = str_trim(rest);
		word = str_cut(rest, ' ', &rest);
		if (rest.p == NULL)
			rest = STR("");
		if (str_eq(word, STR("multiple")))
			r->multiple = true;
		else if (str_starts(word, STR("maxhits=")))
			most = number(str_sub(word, 8, word.n), 0);
		else if (str_starts(word, STR("range=")))
			read_range(r, str_sub(word, 6, word.n));
		else if (str_eq(word, STR("concat")))
			r->concat = true;
		else if (str_eq(word, STR("nosubject")))
			r->nosubject = true;
		else if (str_eq(word, STR("net")))
			r->net = true;
		else if (str_eq(word, STR("nice")))
			r->nice = true;
		else if (str_eq(word, STR("learn")))
			r->learn = true;
	}
	r->most = !r->multiple ? 1 : most > 0 ? most : UINT_MAX;
	/* A mimeheader takes maxhits= without multiple, and has an end. */
	if (r->kind == RULE_MIMEHEADER)
		r->most = most > 0 ? most : r->multiple ? RULE_HITS_MAX : 1;
}

bool
rule_glob(struct str glob, struct str name)
{
	size_t g = 0, n = 0, star = SIZE_MAX, back = 0;

	while (n < name.n) {
		if (g < glob.n && glob.p[g] == '*') {
			star = g++;
			back = n;
		} else if (g < glob.n &&
		    (glob.p[g] == '?' || glob.p[g] == name.p[n])) {
			g++;
			n++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			n = ++back;
		} else
			return false;
	}
	while (g < glob.n && glob.p[g] == '*')
		g++;
	return g == glob.n;
}
