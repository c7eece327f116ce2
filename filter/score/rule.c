#include <string.h>

#include "score/rule.h"

static const char *const kind_words[] = {
#define X(id, word) [RULE_##id] = word,
	RULE_KINDS(X)
#undef X
};

static const struct {
	const char	*word;
	enum rule_form	 form;
} forms[] = {
	{ "raw", FORM_RAW },
	{ "addr", FORM_ADDR },
	{ "name", FORM_NAME },
};

const char *
rule_kind_word(enum rule_kind kind)
{
	return kind_words[kind];
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

/* The closing delimiter of m{...}, m(...) and the like. */
static char
closing(char open)
{
	switch (open) {
	case '{':
		return '}';
	case '(':
		return ')';
	case '<':
		return '>';
	case '[':
		return ']';
	default:
		return open;
	}
}

/*
 * /pattern/flags, m{pattern}flags or m!pattern!flags: the pattern ends at the
 * last delimiter of the text, since Perl's flags never contain one.
 */
static bool
split_regex(struct str text, struct str *pattern, struct str *flags,
    struct buf *why)
{
	size_t start = 0;
	ptrdiff_t end;

	if (text.n > 1 && text.p[0] == 'm' && !chr_alnum(text.p[1]))
		start = 1;
	if (text.n < start + 2 || (start == 0 && text.p[0] != '/')) {
		buf_adds(why, "a regex is expected");
		return false;
	}
	end = str_rchr(text, closing(text.p[start]));
	if (end <= (ptrdiff_t)start) {
		buf_adds(why, "the regex does not end");
		return false;
	}
	*pattern = str_sub(text, start + 1, (size_t)end - start - 1);
	*flags = str_sub(text, (size_t)end + 1, text.n);
	return true;
}

/* Perl's flags that PCRE2 has; g, o and a change nothing here. */
static bool
keep_flags(struct str flags, char kept[8], struct buf *why)
{
	size_t i, n = 0;

	for (i = 0; i < flags.n; i++) {
		if (strchr("imsx", flags.p[i]) != NULL && n < 7) {
			kept[n++] = flags.p[i];
		} else if (strchr("goau", flags.p[i]) == NULL) {
			buf_printf(why, "regex flag '%c' is not known",
			    flags.p[i]);
			return false;
		}
	}
	kept[n] = '\0';
	return true;
}

static bool
parse_regex(struct arena *a, struct score_rule *r, struct str text,
    struct buf *why)
{
	struct str pattern, flags;
	char kept[8];
	size_t at;

	if (!split_regex(str_trim(text), &pattern, &flags, why) ||
	    !keep_flags(flags, kept, why))
		return false;
	r->regex = regex_new(pattern, str_of(kept), why, &at);
	r->pattern = arena_str(a, pattern);
	r->re_flags = arena_str(a, str_of(kept));
	return r->regex != NULL;
}

/* "Subject:raw" to field and form. */
static bool
parse_field(struct score_rule *r, struct str word, struct buf *why)
{
	struct str suffix;
	size_t i;

	r->field = str_cut(word, ':', &suffix);
	if (suffix.p == NULL)
		return true;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (str_eq(suffix, str_of(forms[i].word))) {
			r->form = forms[i].form;
			return true;
		}
	buf_printf(why, "header form \":%.*s\" is not known", STR_FMT(suffix));
	return false;
}

/* FIELD =~ /re/ [if-unset: TEXT] */
static bool
parse_header(struct arena *a, struct score_rule *r, struct str rest,
    struct buf *why)
{
	struct str word, op;
	ptrdiff_t unset;

	if (str_starts(rest, STR("exists:"))) {
		r->exists = true;
		r->field = arena_str(a, str_trim(str_sub(rest, 7, rest.n)));
		return r->field.n > 0;
	}
	word = str_cut(rest, ' ', &rest);
	if (!parse_field(r, arena_str(a, word), why))
		return false;
	rest = str_trim(rest);
	op = str_cut(rest, ' ', &rest);
	r->negate = str_eq(op, STR("!~"));
	if (!r->negate && !str_eq(op, STR("=~"))) {
		buf_adds(why, "=~ or !~ is expected");
		return false;
	}
	unset = str_find(rest, STR("[if-unset:"));
	if (unset >= 0) {
		r->if_unset = str_sub(rest, (size_t)unset + 10, rest.n);
		r->if_unset =
		    str_trim(str_cut(r->if_unset, ']', &(struct str){ 0 }));
		r->if_unset = arena_str(a, r->if_unset);
		rest = str_sub(rest, 0, (size_t)unset);
	}
	return parse_regex(a, r, rest, why);
}

bool
rule_parse(struct arena *a, struct score_rule *r, struct str rest,
    struct buf *why)
{
	rest = str_trim(rest);
	if (str_starts(rest, STR("eval:"))) {
		buf_adds(why, "eval functions are not known");
		return false;
	}
	switch (r->kind) {
	case RULE_HEADER:
		return parse_header(a, r, rest, why);
	case RULE_META:
		r->meta = meta_parse(a, arena_str(a, rest), why);
		return r->meta != NULL;
	default:
		return parse_regex(a, r, rest, why);
	}
}
