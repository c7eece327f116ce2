#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/rule.h"
#include "score/ruleset.h"

#define RULESET_ARENA	(256UL * 1024 * 1024)
#define FILE_MAX	(16UL * 1024 * 1024)
#define IF_DEPTH	32
/* SpamAssassin's four columns: network tests on, no Bayes. */
#define SCORE_COLUMN	1
#define DEFAULT_SCORE	1.0

/* Where in the files we are, and what an if has switched off. */
struct reader {
	struct ruleset	*set;
	const char	*file;
	unsigned int	 line;
	bool		 off[IF_DEPTH];
	size_t		 depth;
	struct buf	*problems;
};

static void
leave_out(struct reader *rd, struct str what, const char *why)
{
	rd->set->left_out++;
	buf_printf(rd->problems, "%s:%u: left out: %.*s: %s\n", rd->file,
	    rd->line, STR_FMT(str_sub(what, 0, 60)), why);
}

/* The rule of that name; a score may come before its rule. */
static struct score_rule *
find_or_add(struct ruleset *set, struct str name)
{
	struct score_rule *r = map_get(set->by_name, name);

	if (r != NULL)
		return r;
	r = arena_alloc(set->arena, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->name = arena_str(set->arena, name);
	r->kind = RULE_KIND_COUNT;	/* named, not defined */
	map_put(set->by_name, r->name, r);
	*set->tail = r;
	set->tail = &r->next;
	return r;
}

static struct str
next_word(struct str *rest)
{
	struct str word;

	*rest = str_trim(*rest);
	word = str_cut(*rest, ' ', rest);
	*rest = str_trim(*rest);
	return word;
}

/* "score NAME n" or "score NAME n n n n". */
static void
read_score(struct reader *rd, struct str rest)
{
	struct str name = next_word(&rest), word = next_word(&rest);
	struct score_rule *r = find_or_add(rd->set, name);
	char number[32], *end;
	double value;
	int column;

	for (column = 0; column < SCORE_COLUMN && rest.n > 0; column++)
		word = next_word(&rest);
	snprintf(number, sizeof(number), "%.*s", STR_FMT(word));
	value = strtod(number, &end);
	if (r == NULL || word.n == 0 || *end != '\0') {
		leave_out(rd, name, "its score is not a number");
		return;
	}
	r->score = value;
	r->scored = true;
}

static void
read_describe(struct reader *rd, struct str rest)
{
	struct str name = next_word(&rest);
	struct score_rule *r = find_or_add(rd->set, name);

	if (r != NULL)
		r->describe = arena_str(rd->set->arena, rest);
}

static void
read_rule(struct reader *rd, enum rule_kind kind, struct str rest)
{
	struct str name = next_word(&rest);
	struct score_rule *r = find_or_add(rd->set, name), parsed;
	struct buf why = BUF_INIT(1024);

	if (r == NULL)
		return;
	parsed = (struct score_rule){ .next = r->next,
		.name = r->name,
		.kind = kind,
		.score = r->score,
		.scored = r->scored,
		.describe = r->describe };
	if (rule_parse(rd->set->arena, &parsed, rest, &why)) {
		/* A rule defined again takes the place of the first. */
		if (r->regex != NULL)
			regex_free(&r->regex);
		*r = parsed;
	} else {
		leave_out(rd, name, why.n ? why.p : "it can't be read");
	}
	buf_free(&why);
}

/* Conditions ask for SpamAssassin's plugins and functions: we have none. */
static void
read_if(struct reader *rd, struct str word)
{
	if (rd->depth == IF_DEPTH) {
		leave_out(rd, word, "nested too deep");
		return;
	}
	rd->off[rd->depth++] = true;
}

static bool
is_off(const struct reader *rd)
{
	size_t i;

	for (i = 0; i < rd->depth; i++)
		if (rd->off[i])
			return true;
	return false;
}

static bool
read_condition(struct reader *rd, struct str word)
{
	if (str_eq(word, STR("if")) || str_eq(word, STR("ifplugin"))) {
		read_if(rd, word);
	} else if (str_eq(word, STR("else")) && rd->depth > 0) {
		rd->off[rd->depth - 1] = !rd->off[rd->depth - 1];
	} else if (str_eq(word, STR("endif")) && rd->depth > 0) {
		rd->depth--;
	} else {
		return false;
	}
	return true;
}

/* Words that say nothing a verdict depends on. */
static bool
is_remark(struct str word)
{
	static const char *const words[] = { "lang", "test", "tflags",
		"version_tag", "require_version", "priority", "report",
		"clear_report_template", "rewrite_header", NULL };
	size_t i;

	for (i = 0; words[i] != NULL; i++)
		if (str_eq(word, str_of(words[i])))
			return true;
	return false;
}

static void
read_required(struct reader *rd, struct str rest)
{
	char number[32], *end;
	double value;

	snprintf(number, sizeof(number), "%.*s", STR_FMT(str_trim(rest)));
	value = strtod(number, &end);
	if (number[0] == '\0' || *end != '\0')
		leave_out(rd, STR("required_score"), "not a number");
	else
		rd->set->required = value;
}

static void
read_line(struct reader *rd, struct str line)
{
	struct str rest = line, word = next_word(&rest);
	enum rule_kind kind;

	if (word.n == 0 || word.p[0] == '#')
		return;
	if (read_condition(rd, word))
		return;
	if (is_off(rd)) {
		if (rule_kind_parse(word, &kind))
			leave_out(rd, rest, "behind a condition we don't meet");
	} else if (rule_kind_parse(word, &kind)) {
		read_rule(rd, kind, rest);
	} else if (str_eq(word, STR("score"))) {
		read_score(rd, rest);
	} else if (str_eq(word, STR("describe"))) {
		read_describe(rd, rest);
	} else if (str_eq(word, STR("required_score"))) {
		read_required(rd, rest);
	} else if (!is_remark(word)) {
		leave_out(rd, word, "not a word that is known");
	}
}

/* A comment ends a line where a blank stands before its #, but not in a
 * regex; SpamAssassin wants "\#" there. */
static struct str
without_comment(struct str line)
{
	size_t i;

	for (i = 1; i < line.n; i++)
		if (line.p[i] == '#' && chr_space((unsigned char)line.p[i - 1]))
			return str_sub(line, 0, i);
	return line;
}

static bool
read_file(struct reader *rd, const char *path, struct buf *err)
{
	struct buf text = BUF_INIT(FILE_MAX), line = BUF_INIT(FILE_MAX);
	FILE *f = fopen(path, "r");
	char chunk[8192];
	struct str rest;
	size_t got, i;

	if (f == NULL) {
		buf_printf(err, "%s: %s", path, strerror(errno));
		return false;
	}
	while ((got = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&text, chunk, got);
	fclose(f);
	rd->file = path;
	rd->line = 0;
	rd->depth = 0;
	for (rest = buf_str(&text); rest.p != NULL && rest.n > 0;) {
		rd->line++;
		buf_truncate(&line, 0);
		buf_addstr(&line, without_comment(str_cut(rest, '\n', &rest)));
		for (i = 0; i < line.n; i++)
			if (line.p[i] == '\t')
				line.p[i] = ' ';
		read_line(rd, buf_str(&line));
	}
	if (text.failed)
		buf_printf(err, "%s: larger than %lu MB", path, FILE_MAX >> 20);
	buf_free(&line);
	got = text.failed;
	buf_free(&text);
	return got == 0;
}

static bool
read_globs(struct reader *rd, struct str globs, struct buf *err)
{
	struct buf pattern = BUF_INIT(4096);
	struct str word;
	glob_t found;
	size_t i;
	bool ok = true;

	while (ok && (word = next_word(&globs)).n > 0) {
		buf_truncate(&pattern, 0);
		buf_addstr(&pattern, word);
		if (glob(pattern.p, 0, NULL, &found) != 0) {
			buf_printf(err, "%s: no such file", pattern.p);
			ok = false;
			break;
		}
		for (i = 0; ok && i < found.gl_pathc; i++)
			ok = read_file(rd, found.gl_pathv[i], err);
		globfree(&found);
	}
	buf_free(&pattern);
	return ok;
}

/* Those that were defined, numbered; names alone are not rules. */
static void
number_rules(struct ruleset *set)
{
	struct score_rule **at = &set->first, *r;

	while ((r = *at) != NULL) {
		if (r->kind == RULE_KIND_COUNT) {
			*at = r->next;
			continue;
		}
		if (!r->scored && !str_starts(r->name, STR("__")))
			r->score = str_starts(r->name, STR("T_")) ?
			    0.01 :
			    DEFAULT_SCORE;
		r->index = set->count++;
		at = &r->next;
	}
}

struct ruleset *
ruleset_load(struct str globs, struct buf *problems, struct buf *err)
{
	struct ruleset *set = mem_alloc(sizeof(*set));
	struct reader rd = { .set = set, .problems = problems };

	set->arena = arena_new(RULESET_ARENA);
	set->by_name = map_new(false);
	set->tail = &set->first;
	set->required = 5;
	if (!read_globs(&rd, globs, err)) {
		ruleset_free(&set);
		return NULL;
	}
	number_rules(set);
	return set;
}

void
ruleset_free(struct ruleset **set)
{
	struct map_iter it = { 0 };
	struct score_rule *r;
	struct str name;
	void *value;

	if (*set == NULL)
		return;
	while (map_next((*set)->by_name, &it, &name, &value)) {
		r = value;
		if (r->regex != NULL)
			regex_free(&r->regex);
	}
	map_free(&(*set)->by_name, NULL);
	arena_free(&(*set)->arena);
	free(*set);
	*set = NULL;
}

size_t
ruleset_count(const struct ruleset *set)
{
	return set->count;
}

size_t
ruleset_left_out(const struct ruleset *set)
{
	return set->left_out;
}

bool
ruleset_has(const struct ruleset *set, struct str rule)
{
	const struct score_rule *r = map_get(set->by_name, rule);

	return r != NULL && r->kind != RULE_KIND_COUNT;
}
