#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/greylist.h"
#include "policy/parse.h"
#include "policy/setting.h"

#define DELAY_MAX_MS	25000	/* policy/act.c gives a stage no more */
#define REPLY_MAX	800		/* bytes of a reply's own words */
#define FACT_TEXT_MAX	200		/* bytes between braces in a text */
#define SCORE_MAX	10000

static const struct verb_def verbs[VERB_COUNT] = {
#define X(id, w, e, s)                                                         \
	[VERB_##id] = { .word = w, .ends = e, .stage = STAGE_##s },
	VERBS(X)
#undef X
};

const struct verb_def *
parse_verb(enum verb verb)
{
	return &verbs[verb];
}

bool
parse_is_verb(struct str word)
{
	for (enum verb v = 0; v < VERB_COUNT; v++)
		if (str_eq(word, str_of(verbs[v].word)))
			return true;
	return false;
}

/* ---- texts ---- */

/* A string's characters, each with the column where it was written. */
struct reader {
	struct parse	*p;
	const struct token *t;
	size_t		 at, raw;
	unsigned int	 col;
};

static void
reader_step(struct reader *r)
{
	const char *raw = r->t->raw.p;
	size_t n = raw != NULL && raw[r->raw] == '\\' ? 2 : 1;

	for (; raw != NULL && n > 0; n--, r->raw++)
		r->col += ((unsigned char)raw[r->raw] & 0xc0) != 0x80;
	r->at++;
}

/* From where the reader stands, n characters; a macro's place is its use. */
static struct place
reader_place(const struct reader *r, unsigned int n)
{
	struct place place = r->t->place;

	if (r->t->raw.p != NULL) {
		place.col = r->col;
		place.len = n > 0 ? n : 1;
	}
	return place;
}

static void
text_add(struct parse *p, struct text ***tail, struct text part)
{
	struct text *t = parse_alloc(p, sizeof(*t));

	*t = part;
	**tail = t;
	*tail = &t->next;
}

/* "header(Name)" to name and argument; false where brackets are wrong. */
static bool
fact_split(struct str inner, struct str *name, struct str *arg)
{
	struct str rest;

	*arg = STR_NONE;
	*name = str_cut(inner, '(', &rest);
	if (rest.p == NULL)
		return true;
	if (rest.n < 2 || rest.p[rest.n - 1] != ')')
		return false;
	*arg = str_sub(rest, 0, rest.n - 1);
	if (arg->n >= 2 && arg->p[0] == '"' && arg->p[arg->n - 1] == '"')
		*arg = str_sub(*arg, 1, arg->n - 2);
	return arg->n > 0;
}

static bool
text_fact(struct parse *p, struct str inner, struct place place,
    struct fact_ref *fact)
{
	const char *const *known;
	struct str name;
	size_t n;

	if (!fact_split(inner, &name, &fact->arg) ||
	    (fact->def = fact_find(name)) == NULL) {
		diag_error(p->diag, place,
		    "unknown fact `%.*s' (a brace itself is {{)",
		    STR_FMT(str_sub(inner, 0, 60)));
		known = fact_names(&n);
		diag_suggest(p->diag, name, known, n);
		return false;
	}
	if (fact->def->takes_arg != (fact->arg.p != NULL)) {
		diag_error(p->diag, place,
		    fact->def->takes_arg ?
			"`%.*s' needs a name: {%.*s(Subject)}" :
			"`%.*s' takes nothing in parentheses: {%.*s}",
		    STR_FMT(name), STR_FMT(name));
		return false;
	}
	return true;
}

/* {fact} at the reader; what stood before it is in the list already. */
static void
text_brace(struct reader *r, struct text ***tail)
{
	struct str text = r->t->text, rest, inner;
	struct text part = { .place = reader_place(r, 1) };
	ptrdiff_t n;

	rest = str_sub(text, r->at + 1, text.n);
	n = str_chr(str_sub(rest, 0, FACT_TEXT_MAX), '}');
	if (n <= 0) {
		diag_error(r->p->diag, part.place,
		    n == 0 ? "no fact between the braces; for a brace itself "
			     "write {{" :
			     "this `{' has no `}'; for a brace itself write "
			     "{{");
		reader_step(r);
		return;
	}
	inner = str_sub(rest, 0, (size_t)n);
	part.place = reader_place(r, parse_width(inner) + 2);
	while (r->at < text.n && text.p[r->at] != '}')
		reader_step(r);
	reader_step(r);
	if (text_fact(r->p, inner, part.place, &part.fact))
		text_add(r->p, tail, part);
}

static void
text_flush(struct reader *r, struct buf *literal, struct text ***tail)
{
	if (literal->n > 0)
		text_add(r->p, tail,
		    (struct text){ .place = r->t->place,
			.literal = arena_str(r->p->arena, buf_str(literal)) });
	buf_truncate(literal, 0);
}

/* Mistakes in it are told, and don't keep the rest of the rule from being
 * read. */
static void
text_parse(struct parse *p, const struct token *t, struct text **out)
{
	struct reader r = { .p = p, .t = t, .col = t->place.col + 1 };
	struct buf literal = BUF_INIT(PARSE_FILE_MAX);
	struct text **tail = out;

	while (r.at < t->text.n) {
		struct str rest = str_sub(t->text, r.at, t->text.n);

		if (rest.p[0] == '{' && !str_starts(rest, STR("{{"))) {
			text_flush(&r, &literal, &tail);
			text_brace(&r, &tail);
			continue;
		}
		if (str_starts(rest, STR("{{")) || str_starts(rest, STR("}}")))
			reader_step(&r);
		buf_addc(&literal, rest.p[0]);
		reader_step(&r);
	}
	text_flush(&r, &literal, &tail);
	buf_free(&literal);
	if (*out == NULL)	/* "": said, and empty */
		text_add(p, &tail,
		    (struct text){ .literal = STR(""), .place = t->place });
}

static bool
string_read(struct parse *p, const char *what, struct token *t)
{
	*t = lex_next(p->lex);
	if (t->kind == TOKEN_STRING)
		return true;
	parse_expected(p, t, what);
	return false;
}

/* A text that has to be there. */
static bool
text_read(struct parse *p, const char *what, struct rule *r)
{
	struct token t;

	if (!string_read(p, what, &t))
		return false;
	text_parse(p, &t, &r->text);
	return true;
}

/* ---- replies ---- */

static bool
enhanced_class(struct str s, char *class)
{
	size_t i = 1, parts = 1;

	if (s.n < 5 || !chr_digit((unsigned char)s.p[0]) || s.p[1] != '.')
		return false;
	while (i < s.n && s.p[i] == '.') {
		size_t digits = 0;

		for (i++; i < s.n && chr_digit((unsigned char)s.p[i]); i++)
			digits++;
		if (digits < 1 || digits > 3)
			return false;
		parts++;
	}
	*class = s.p[0];
	return parts == 3 && (i == s.n || s.p[i] == ' ');
}

/* A reply that begins with its codes must agree with what it answers. */
static void
reply_check(struct parse *p, const struct rule *r, const struct token *t)
{
	char want = r->verb == VERB_REJECT ? '5' : '4', class;
	struct place place = t->place;
	struct str s = r->text->literal, rest = s;
	size_t length = 0;

	for (const struct text *x = r->text; x != NULL; x = x->next)
		length += x->literal.n;
	if (length > REPLY_MAX) {
		diag_error(p->diag, place, "a reply of more than %d bytes",
		    REPLY_MAX);
		return;
	}
	if (t->raw.p != NULL) {
		place.col++;
		place.len = 3;
	}
	if (s.n >= 3 && chr_digit((unsigned char)s.p[0]) &&
	    chr_digit((unsigned char)s.p[1]) &&
	    chr_digit((unsigned char)s.p[2]) && (s.n == 3 || s.p[3] == ' ')) {
		if (s.p[0] != want) {
			diag_error(p->diag, place,
			    "the reply code of `%s' "
			    "begins with %c",
			    verbs[r->verb].word, want);
			return;
		}
		rest = str_sub(s, 4, s.n);
		if (t->raw.p != NULL)
			place.col += 4;
	}
	if (enhanced_class(rest, &class) && class != want) {
		place.len = t->raw.p != NULL ? 5 : place.len;
		diag_error(p->diag, place,
		    "the enhanced status code of `%s' "
		    "begins with %c",
		    verbs[r->verb].word, want);
	}
}

/* ---- what stands behind a verb ---- */

typedef bool args_fn(struct parse *, struct rule *);

static bool
args_none(struct parse *p, struct rule *r)
{
	(void)p;
	(void)r;
	return true;
}

static bool
args_reply(struct parse *p, struct rule *r)
{
	struct token t;

	if (lex_peek(p->lex)->kind != TOKEN_STRING)
		return true;
	t = lex_next(p->lex);
	text_parse(p, &t, &r->text);
	reply_check(p, r, &t);
	return true;
}

static bool
args_reason(struct parse *p, struct rule *r)
{
	return lex_peek(p->lex)->kind != TOKEN_STRING ||
	    text_read(p, "a text", r);
}

static bool
args_log(struct parse *p, struct rule *r)
{
	return text_read(p, "a text", r);
}

/* An address that stands in a command and a header field as it is. */
static bool
is_plain_address(struct parse *p, struct str s)
{
	struct address a;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' ||
		    memchr("<>()\",;:\\", s.p[i], 10) != NULL)
			return false;
	return s.n > 0 && s.p[0] != '-' && envelope_parse(p->arena, s, &a) &&
	    a.valid;
}

/* notify "COMMAND", notify mail "ADDRESS" ["TEXT"],
 * notify http "URL" ["TEXT"] */
static bool
args_notify(struct parse *p, struct rule *r)
{
	const struct token *t = lex_peek(p->lex);
	struct token to;

	if (t->kind != TOKEN_WORD)
		return text_read(p, "a command in quotes, `mail' or `http'", r);
	r->how = parse_is_word(t, "mail") ? NOTIFY_MAIL : NOTIFY_HTTP;
	if (r->how == NOTIFY_HTTP && !parse_is_word(t, "http")) {
		parse_expected(p, t, "a command in quotes, `mail' or `http'");
		return false;
	}
	lex_next(p->lex);
	if (!string_read(p,
		r->how == NOTIFY_MAIL ? "a mail address in quotes" :
					"a URL in quotes",
		&to))
		return false;
	if (r->how == NOTIFY_MAIL ? !is_plain_address(p, to.text) :
				    !str_starts(to.text, STR("https://")) &&
		    !str_starts(to.text, STR("http://")))
		diag_error(p->diag, to.place,
		    r->how == NOTIFY_MAIL ?
			"not a mail address, such as postmaster@example.org" :
			"a URL begins with https:// or http://");
	r->name = arena_str(p->arena, to.text);
	r->name_place = to.place;
	return args_reason(p, r);
}

/* RFC 5322 section 2.2: printable ASCII but the colon. */
static bool
header_name(struct parse *p, struct rule *r)
{
	struct token t;

	if (!string_read(p, "the name of a header field in quotes", &t))
		return false;
	for (size_t i = 0; i < t.text.n; i++)
		if (t.text.p[i] <= ' ' || t.text.p[i] > '~' ||
		    t.text.p[i] == ':') {
			diag_error(p->diag, t.place,
			    t.text.p[i] == ':' ?
				"the name of a header field has no colon" :
				"the name of a header field is ASCII without "
				"blanks");
			break;
		}
	if (t.text.n == 0)
		diag_error(p->diag, t.place, "an empty name");
	r->name = t.text;
	r->name_place = t.place;
	return true;
}

static bool
args_header(struct parse *p, struct rule *r)
{
	return header_name(p, r) &&
	    text_read(p, "the value of the header field in quotes", r);
}

static bool
word_header(struct parse *p)
{
	struct token t = lex_next(p->lex);

	if (parse_is_word(&t, "header"))
		return true;
	parse_expected(p, &t, "`header'");
	return false;
}

static bool
args_insert(struct parse *p, struct rule *r)
{
	return word_header(p) && args_header(p, r);
}

static bool
args_strip(struct parse *p, struct rule *r)
{
	return word_header(p) && header_name(p, r);
}

static bool
args_score(struct parse *p, struct rule *r)
{
	struct token t = lex_next(p->lex);

	if (t.kind != TOKEN_WORD || !setting_number(t.text, &r->number)) {
		parse_expected(p, &t, "a number such as 2.5 or -1");
		return false;
	}
	if (r->number > SCORE_MAX || r->number < -SCORE_MAX) {
		diag_error(p->diag, t.place, "a score lies between -%d and %d",
		    SCORE_MAX, SCORE_MAX);
	}
	return true;
}

static bool
args_tag(struct parse *p, struct rule *r)
{
	struct token t = lex_next(p->lex);

	if (t.kind != TOKEN_WORD || parse_is_word(&t, "if")) {
		parse_expected(p, &t, "a name for the tag");
		return false;
	}
	r->name = arena_str(p->arena, t.text);
	r->name_place = t.place;
	return true;
}

static bool
time_read(struct parse *p, int64_t *ms)
{
	struct token t = lex_next(p->lex);

	if (t.kind == TOKEN_WORD && setting_time(t.text, ms) && *ms > 0)
		return true;
	parse_expected(p, &t, "a time such as 30s, 10m or 1d");
	return false;
}

static bool
args_block(struct parse *p, struct rule *r)
{
	struct token t;

	r->name_place = lex_peek(p->lex)->place;
	if (!parse_key(p, &r->key))
		return false;
	t = lex_next(p->lex);
	if (!parse_is_word(&t, "for")) {
		parse_expected(p, &t, "`for' and a time");
		return false;
	}
	return time_read(p, &r->time_ms);
}

static bool
args_greylist(struct parse *p, struct rule *r)
{
	r->time_ms = GREYLIST_DELAY_MS;
	if (!parse_is_word(lex_peek(p->lex), "for"))
		return true;
	lex_next(p->lex);
	return time_read(p, &r->time_ms);
}

static bool
args_delay(struct parse *p, struct rule *r)
{
	struct place place = lex_peek(p->lex)->place;

	if (!time_read(p, &r->time_ms))
		return false;
	if (r->time_ms > DELAY_MAX_MS) {
		diag_error(p->diag, place,
		    "a delay is at most 25s: the MTA would give up");
	}
	return true;
}

static args_fn *const args[VERB_COUNT] = {
	[VERB_ACCEPT] = args_none,
	[VERB_NEXT] = args_none,
	[VERB_REJECT] = args_reply,
	[VERB_TEMPFAIL] = args_reply,
	[VERB_DISCARD] = args_none,
	[VERB_QUARANTINE] = args_reason,
	[VERB_HEADER] = args_header,
	[VERB_INSERT] = args_insert,
	[VERB_STRIP] = args_strip,
	[VERB_SCORE] = args_score,
	[VERB_TAG] = args_tag,
	[VERB_BLOCK] = args_block,
	[VERB_GREYLIST] = args_greylist,
	[VERB_DELAY] = args_delay,
	[VERB_NOTIFY] = args_notify,
	[VERB_SIGN] = parse_sign,
	[VERB_LOG] = args_log,
};

/* ---- rules ---- */

static bool
verb_read(struct parse *p, const struct token *t, enum verb *verb)
{
	const char *known[VERB_COUNT];

	if (t->kind != TOKEN_WORD) {
		parse_expected(p, t, "an action");
		return false;
	}
	for (enum verb v = 0; v < VERB_COUNT; v++) {
		known[v] = verbs[v].word;
		if (str_eq(t->text, str_of(verbs[v].word))) {
			*verb = v;
			return true;
		}
	}
	if (parse_is_word(t, "if"))
		diag_error(p->diag, t->place,
		    "the action comes first: "
		    "reject \"text\" if ...");
	else {
		diag_error(p->diag, t->place, "unknown action `%.*s'",
		    STR_FMT(t->text));
		diag_suggest(p->diag, t->text, known, VERB_COUNT);
	}
	return false;
}

/* The rule as written, runs of white space outside of strings made one. */
static struct str
source_text(struct parse *p, struct str s)
{
	char *out = parse_alloc(p, s.n + 1);
	bool quoted = false;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (quoted && c == '\\' && i + 1 < s.n)
			out[n++] = s.p[i++];
		else if (c == '"')
			quoted = !quoted;
		c = s.p[i];
		if (!quoted &&
		    (chr_space((unsigned char)c) ||
			(c == '\\' && i + 1 < s.n && s.p[i + 1] == '\n'))) {
			if (n > 0 && out[n - 1] != ' ')
				out[n++] = ' ';
		} else
			out[n++] = c;
	}
	return (struct str){ out, n };
}

static struct str
where_text(struct parse *p, struct place place)
{
	struct str name = place.source->name;

	if (str_starts(name, p->root))
		name = str_sub(name, p->root.n, name.n);
	return arena_printf(p->arena, "%.*s:%u", STR_FMT(name), place.line);
}

static bool
rule_end(struct parse *p, struct rule *r)
{
	const struct token *t = lex_peek(p->lex);

	if (parse_is_word(t, "if")) {
		lex_next(p->lex);
		r->condition = parse_condition(p);
		return r->condition != NULL && parse_end(p);
	}
	if (t->kind == TOKEN_NEWLINE || t->kind == TOKEN_RBRACE ||
	    t->kind == TOKEN_END)
		return true;
	parse_expected(p, t, "`if' or the end of the line");
	return false;
}

bool
parse_rule(struct parse *p, enum stage stage, bool shadow)
{
	struct rule *r = parse_alloc(p, sizeof(*r));
	const char *mark = lex_mark(p->lex);
	struct token t = lex_next(p->lex);

	if (!verb_read(p, &t, &r->verb))
		return false;
	r->stage = stage;
	r->shadow = shadow;
	r->place = t.place;
	if (!args[r->verb](p, r) || !rule_end(p, r))
		return false;
	if (stage == STAGE_COUNT)
		return true;
	r->where = where_text(p, r->place);
	r->source = source_text(p, lex_source(p->lex, mark));
	*p->tails[stage] = r;
	p->tails[stage] = &r->next;
	p->policy->nrules++;
	return true;
}
