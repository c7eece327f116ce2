#include "policy/parse.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "policy/setting.h"

typedef void statement_fn(struct parse *, const struct token *);

static statement_fn parse_include, parse_on, parse_shadow;

static const struct {
	const char	*word;
	statement_fn	*fn;
} statements[] = {
	{ "include", parse_include },
	{ "table", parse_table },
	{ "dnsbl", parse_dnsbl },
	{ "uribl", parse_uribl },
	{ "limit", parse_limit },
	{ "dmarc", parse_dmarc },
	{ "signing", parse_signing },
	{ "on", parse_on },
	{ "shadow", parse_shadow },
};

#define NSTATEMENTS	(sizeof(statements) / sizeof(*statements))

static statement_fn *
statement_find(struct str word)
{
	for (size_t i = 0; i < NSTATEMENTS; i++)
		if (str_eq(word, str_of(statements[i].word)))
			return statements[i].fn;
	return NULL;
}

const char *
parse_kind_word(enum name_kind kind)
{
	static const char *const words[] = { "table", "list", "limit" };

	return words[kind];
}

void *
parse_alloc(struct parse *p, size_t n)
{
	void *mem = arena_alloc(p->arena, n);

	assert(mem != NULL);	/* the arena has no cap */
	return mem;
}

void
parse_init(struct parse *p, struct policy *policy, struct diag *diag)
{
	*p = (struct parse){ .policy = policy, .diag = diag };
	p->arena = policy->arena;
	p->macros = lex_macros_new(p->arena);
	for (int kind = 0; kind < NAME_KINDS; kind++)
		p->by_name[kind] = map_new(false);
	p->named_tail = &p->named;
	for (int s = 0; s < STAGE_COUNT; s++)
		p->tails[s] = &policy->rules[s];
	p->sources_tail = &policy->sources;
}

void
parse_done(struct parse *p)
{
	for (int kind = 0; kind < NAME_KINDS; kind++)
		map_free(&p->by_name[kind], NULL);
	lex_macros_free(&p->macros);
}

bool
parse_is_word(const struct token *t, const char *word)
{
	return t->kind == TOKEN_WORD && str_eq(t->text, str_of(word));
}

void
parse_expected(struct parse *p, const struct token *t, const char *what)
{
	char found[64];

	/* What ends a statement is left for the recovery to find. */
	if (t->kind == TOKEN_NEWLINE || t->kind == TOKEN_END ||
	    t->kind == TOKEN_RBRACE)
		lex_unread(p->lex, t);
	if (t->kind == TOKEN_BAD)
		return;
	lex_describe(t, found, sizeof(found));
	diag_error(p->diag, t->place, "expected %s, found %s", what, found);
}

bool
parse_end(struct parse *p)
{
	const struct token *t = lex_peek(p->lex);

	if (t->kind == TOKEN_NEWLINE || t->kind == TOKEN_END ||
	    t->kind == TOKEN_RBRACE)
		return true;
	parse_expected(p, t, "the end of the line");
	return false;
}

struct place
parse_place_join(struct place a, struct place b)
{
	if (a.source == b.source && a.line == b.line && b.col > a.col)
		a.len = b.col + b.len - a.col;
	return a;
}

static struct str
folder_of(struct str path)
{
	return str_sub(path, 0, (size_t)(str_rchr(path, '/') + 1));
}

struct str
parse_path(struct parse *p, struct str path)
{
	struct str dir = folder_of(p->file->source->name);

	if (path.n > 0 && path.p[0] == '/')
		return arena_str(p->arena, path);
	return arena_printf(p->arena, "%.*s%.*s", STR_FMT(dir), STR_FMT(path));
}

/* What can't begin a rule and so tells that a brace is missing. */
bool
parse_is_statement(const struct token *t)
{
	return t->kind == TOKEN_WORD && statement_find(t->text) != NULL;
}

static void
parse_block(struct parse *p, enum stage stage, bool shadow)
{
	struct token open;

	/* Missing at a line's end: its rules follow all the same. */
	if (!parse_brace(p, &open)) {
		if (lex_peek(p->lex)->kind != TOKEN_NEWLINE)
			return;
		open.kind = TOKEN_BAD;
	}
	for (;;) {
		const struct token *t = lex_peek(p->lex);

		if (t->kind == TOKEN_NEWLINE) {
			lex_next(p->lex);
			continue;
		}
		if (t->kind == TOKEN_RBRACE) {
			lex_next(p->lex);
			return;
		}
		if (t->kind == TOKEN_END || parse_is_statement(t)) {
			if (open.kind != TOKEN_BAD)
				diag_error(p->diag, open.place,
				    "this `{' is never closed");
			p->unclosed = true;
			return;
		}
		p->unclosed = false;
		if (!parse_rule(p, stage, shadow) && !p->unclosed)
			lex_skip_statement(p->lex);
	}
}

static void
parse_stage(struct parse *p, bool shadow)
{
	static const char *const known[] = {
#define X(id, word) word,
		STAGES(X)
#undef X
	};
	struct token t = lex_next(p->lex);
	enum stage stage = STAGE_COUNT;

	if (t.kind != TOKEN_WORD) {
		parse_expected(p, &t, "a stage");
		return;
	}
	if (!stage_parse(t.text, &stage)) {
		diag_error(p->diag, t.place,
		    "unknown stage `%.*s'; stages "
		    "are connect, helo, mail, rcpt and message",
		    STR_FMT(t.text));
		diag_suggest(p->diag, t.text, known, STAGE_COUNT);
		stage = STAGE_COUNT;
	}
	parse_block(p, stage, shadow);
}

static void
setting_read(struct parse *p, enum setting s, struct place place)
{
	struct settings *set = &p->policy->settings;
	struct token words[SETTING_WORDS_MAX];
	struct setting_in in = { .arena = p->arena,
		.diag = p->diag,
		.dir = folder_of(p->file->source->name),
		.place = place,
		.words = words };

	if (s != SETTING_RULES && set->place[s].source != NULL) {
		diag_error(p->diag, place, "`%s' is set already, at %.*s:%u",
		    setting_words(s), STR_FMT(set->place[s].source->name),
		    set->place[s].line);
		lex_skip_statement(p->lex);
		return;
	}
	while (in.n < SETTING_WORDS_MAX &&
	    (lex_peek(p->lex)->kind == TOKEN_WORD ||
		lex_peek(p->lex)->kind == TOKEN_STRING))
		words[in.n++] = lex_next(p->lex);
	if (parse_end(p))
		setting_set(set, s, &in);
	else
		lex_skip_statement(p->lex);
	if (set->place[s].source == NULL)
		set->place[s] = place;
}

static void
parse_on(struct parse *p, const struct token *word)
{
	const struct token *t = lex_peek(p->lex);

	if (parse_is_word(t, "fault")) {
		struct place place = parse_place_join(word->place, t->place);

		lex_next(p->lex);
		setting_read(p, SETTING_ON_FAULT, place);
		return;
	}
	parse_stage(p, false);
}

static void
parse_shadow(struct parse *p, const struct token *word)
{
	struct token t = lex_next(p->lex);

	(void)word;
	if (!parse_is_word(&t, "on")) {
		parse_expected(p, &t, "`on' and a stage");
		return;
	}
	parse_stage(p, true);
}

static void
parse_macro(struct parse *p, const struct token *name)
{
	struct token *value;
	struct place first;
	size_t n = 0;

	lex_next(p->lex);
	if (statement_find(name->text) != NULL ||
	    setting_find(name->text, STR_NONE) != SETTING_COUNT ||
	    setting_is_first_word(name->text)) {
		diag_error(p->diag, name->place,
		    "`%.*s' is a statement, and "
		    "written without `='",
		    STR_FMT(name->text));
		lex_skip_statement(p->lex);
		return;
	}
	value = mem_alloc(LEX_MACRO_MAX * sizeof(*value));
	while (lex_peek(p->lex)->kind != TOKEN_NEWLINE &&
	    lex_peek(p->lex)->kind != TOKEN_END &&
	    lex_peek(p->lex)->kind != TOKEN_BAD && n < LEX_MACRO_MAX)
		value[n++] = lex_next(p->lex);
	/* With a mistake in it, it is known and empty: that is told once. */
	if (lex_peek(p->lex)->kind == TOKEN_BAD)
		n = 0;
	if (n == LEX_MACRO_MAX)
		diag_error(p->diag, name->place,
		    "a macro has less than %d words", LEX_MACRO_MAX);
	else if (n == 0 && lex_peek(p->lex)->kind != TOKEN_BAD)
		diag_error(p->diag, name->place, "macro `%.*s' has no value",
		    STR_FMT(name->text));
	else if (!lex_define(p->macros, name, value, n, &first))
		diag_error(p->diag, name->place,
		    "macro `%.*s' is defined already, at %.*s:%u",
		    STR_FMT(name->text), STR_FMT(first.source->name),
		    first.line);
	free(value);
	lex_skip_statement(p->lex);
}

static void
unknown_statement(struct parse *p, const struct token *word)
{
	const char *known[NSTATEMENTS + SETTING_COUNT];
	size_t n = 0;
	enum stage stage;

	for (size_t i = 0; i < NSTATEMENTS; i++)
		known[n++] = statements[i].word;
	for (enum setting s = 0; s < SETTING_COUNT; s++)
		known[n++] = setting_words(s);
	if (stage_parse(word->text, &stage))
		diag_error(p->diag, word->place,
		    "the rules of a stage begin with `on %.*s {'",
		    STR_FMT(word->text));
	else if (parse_is_verb(word->text))
		diag_error(p->diag, word->place,
		    "the action `%.*s' stands outside of a stage's braces",
		    STR_FMT(word->text));
	else {
		diag_error(p->diag, word->place, "unknown statement `%.*s'",
		    STR_FMT(word->text));
		diag_suggest(p->diag, word->text, known, n);
	}
	lex_skip_statement(p->lex);
}

static void
parse_setting(struct parse *p, const struct token *word)
{
	const struct token *t = lex_peek(p->lex);
	struct str second = t->kind == TOKEN_WORD ? t->text : STR_NONE;
	enum setting s = setting_find(word->text, second);
	struct place place = word->place;

	if (s == SETTING_COUNT && setting_is_first_word(word->text)) {
		const char *known[SETTING_COUNT];
		size_t n = 0;
		struct str rest;

		for (enum setting i = 0; i < SETTING_COUNT; i++)
			if (str_eq(str_cut(str_of(setting_words(i)), ' ',
				       &rest),
				word->text) &&
			    rest.p != NULL)
				known[n++] = rest.p;
		parse_expected(p, t, n == 1 ? "`max'" : "`stage' or `message'");
		diag_suggest(p->diag, second, known, n);
		lex_skip_statement(p->lex);
		return;
	}
	if (s == SETTING_COUNT) {
		unknown_statement(p, word);
		return;
	}
	if (strchr(setting_words(s), ' ') != NULL) {
		place = parse_place_join(place, t->place);
		lex_next(p->lex);
	}
	setting_read(p, s, place);
}

static void
parse_statement(struct parse *p)
{
	struct token t = lex_next(p->lex);
	statement_fn *fn;
	size_t errors;

	if (t.kind == TOKEN_NEWLINE)
		return;
	if (t.kind != TOKEN_WORD) {
		if (t.kind == TOKEN_RBRACE)
			diag_error(p->diag, t.place, "this `}' closes nothing");
		else {
			parse_expected(p, &t, "a statement");
			lex_skip_statement(p->lex);
		}
		return;
	}
	fn = statement_find(t.text);
	if (lex_peek(p->lex)->kind == TOKEN_EQ) {
		parse_macro(p, &t);
		return;
	}
	if (fn == NULL) {
		parse_setting(p, &t);
		return;
	}
	errors = diag_errors(p->diag);
	p->unclosed = false;
	fn(p, &t);
	if (!p->unclosed && (diag_errors(p->diag) > errors || !parse_end(p)))
		lex_skip_statement(p->lex);
}

/* ---- files ---- */

static void
parse_source(struct parse *p, struct source *src, void (*fn)(struct parse *))
{
	struct lexer *outer = p->lex;

	src->order = ++p->nsources;
	*p->sources_tail = src;
	p->sources_tail = &src->next;
	if (str_starts(src->text, STR("\xef\xbb\xbf")))
		src->text = str_sub(src->text, 3, src->text.n);
	if (!lex_check_text(src, p->diag))
		return;
	p->lex = lex_new(p->arena, p->macros, src, p->diag);
	assert(p->lex != NULL);
	p->file->source = src;
	if (p->depth == 1)
		p->root = folder_of(src->name);
	while (lex_peek(p->lex)->kind != TOKEN_END)
		fn(p);
	p->lex = outer;
}

void
parse_text(struct parse *p, struct str name, struct str text)
{
	struct source *src = parse_alloc(p, sizeof(*src));
	struct parse_file file = { .outer = p->file };

	src->name = arena_str(p->arena, name);
	src->text = arena_str(p->arena, text);
	p->file = &file;
	p->depth++;
	parse_source(p, src, parse_statement);
	p->depth--;
	p->file = file.outer;
}

static void
file_error(struct parse *p, struct str path, struct place at, const char *why)
{
	if (at.source != NULL)
		diag_error(p->diag, at, "cannot read %.*s: %s", STR_FMT(path),
		    why);
	else {
		struct source src = { .name = path };

		diag_error(p->diag, (struct place){ .source = &src },
		    "cannot read it: %s", why);
	}
}

static bool
file_text(struct parse *p, int fd, size_t size, struct str *text)
{
	char *mem = parse_alloc(p, size + 1);
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, mem + n, size - n);

		if (got < 0)
			return false;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*text = (struct str){ mem, n };
	return true;
}

static const char *
file_read(struct parse *p, const char *path, struct str *text)
{
	const char *why = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		why = "it is a directory";
	else if (!S_ISREG(st.st_mode))
		why = "it is not a regular file";
	else if (st.st_size > PARSE_FILE_MAX)
		why = "it is larger than 1 MB";
	else if (p->total + (size_t)st.st_size > PARSE_TOTAL_MAX)
		why = "all files together are larger than 8 MB";
	else if (!file_text(p, fd, (size_t)st.st_size, text))
		why = strerror(errno);
	else
		p->total += text->n;
	close(fd);
	return why;
}

/* "a.conf includes b.conf includes a.conf", or false. */
static bool
is_cycle(struct parse *p, const char *path, struct buf *chain)
{
	struct stat st, outer;
	struct str names[PARSE_INCLUDE_MAX + 1];
	size_t n = 0;

	if (stat(path, &st) != 0)
		return false;
	for (struct parse_file *f = p->file; f != NULL; f = f->outer) {
		names[n++] = f->source->name;
		if (stat(f->source->name.p, &outer) == 0 &&
		    outer.st_dev == st.st_dev && outer.st_ino == st.st_ino) {
			while (n-- > 0)
				buf_printf(chain, "%.*s includes ",
				    STR_FMT(names[n]));
			buf_adds(chain, path);
			return true;
		}
	}
	return false;
}

void
parse_file_of(struct parse *p, struct str path, struct place at,
    void (*fn)(struct parse *))
{
	struct buf chain = BUF_INIT(PARSE_INCLUDE_MAX * 5000);
	struct parse_file file = { .outer = p->file, .included = at };
	struct source *src = parse_alloc(p, sizeof(*src));
	const char *why;

	src->name = arena_str(p->arena, path);
	if (is_cycle(p, src->name.p, &chain))
		diag_error(p->diag, at, "a cycle: %.*s",
		    STR_FMT(buf_str(&chain)));
	else if (p->depth == PARSE_INCLUDE_MAX)
		diag_error(p->diag, at, "includes are nested deeper than %d",
		    PARSE_INCLUDE_MAX);
	else if ((why = file_read(p, src->name.p, &src->text)) != NULL)
		file_error(p, path, at, why);
	else {
		p->file = &file;
		file.source = src;
		p->depth++;
		parse_source(p, src, fn);
		p->depth--;
		p->file = file.outer;
	}
	buf_free(&chain);
}

void
parse_file(struct parse *p, struct str path, struct place at)
{
	parse_file_of(p, path, at, parse_statement);
}

static void
parse_include(struct parse *p, const struct token *word)
{
	struct token t = lex_next(p->lex);
	struct str path;
	glob_t found;

	(void)word;
	if (t.kind != TOKEN_STRING && t.kind != TOKEN_WORD) {
		parse_expected(p, &t, "the path of a file");
		return;
	}
	if (t.text.n == 0) {
		diag_error(p->diag, t.place, "an empty path");
		return;
	}
	if (!parse_end(p)) {
		lex_skip_statement(p->lex);
		return;
	}
	path = parse_path(p, t.text);
	if (strpbrk(path.p, "*?[") == NULL) {
		parse_file(p, path, t.place);
		return;
	}
	if (glob(path.p, 0, NULL, &found) != 0)
		diag_warn(p->diag, t.place, "no file matches");
	else
		for (size_t i = 0; i < found.gl_pathc; i++)
			parse_file(p, str_of(found.gl_pathv[i]), t.place);
	globfree(&found);
}
