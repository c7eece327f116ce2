#include "score/rule_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/option.h"
#include "score/rule_text.h"

#define FILE_MAX	(16UL * 1024 * 1024)
#define INCLUDE_DEPTH	10
#define REDIRECTORS_MAX	200

static const struct {
	const char	*word;
	size_t		 map;		/* its place in struct replace_tags */
} tag_words[] = {
	{ "replace_tag", offsetof(struct replace_tags, tag) },
	{ "replace_pre", offsetof(struct replace_tags, pre) },
	{ "replace_inter", offsetof(struct replace_tags, inter) },
	{ "replace_post", offsetof(struct replace_tags, post) },
};

static struct map **
tag_map(struct rule_reader *rd, size_t i)
{
	return (struct map **)(void *)((char *)&rd->tags + tag_words[i].map);
}

void
rule_reader_begin(struct rule_reader *rd, struct ruleset *set)
{
	size_t i;

	*rd = (struct rule_reader){ .set = set,
		.loaded = map_new(false),
		.compat = map_new(false),
		.tagged = map_new(false) };
	for (i = 0; i < sizeof(tag_words) / sizeof(tag_words[0]); i++)
		*tag_map(rd, i) = map_new(false);
	rd->world.loaded = rd->loaded;
	rd->world.compat = rd->compat;
}

void
rule_reader_end(struct rule_reader *rd)
{
	size_t i;

	map_free(&rd->loaded, NULL);
	map_free(&rd->compat, NULL);
	map_free(&rd->tagged, NULL);
	for (i = 0; i < sizeof(tag_words) / sizeof(tag_words[0]); i++)
		map_free(tag_map(rd, i), free);
}

/* ---- what is left out ---- */

static void
add_left(struct rule_reader *rd, const struct rule_left *what)
{
	struct arena *a = rd->set->arena;
	struct rule_left *left = arena_alloc(a, sizeof(*left));

	rd->set->left_count[what->kind] += what->count;
	if (left == NULL)
		return;
	*left = *what;
	left->next = NULL;
	left->word = arena_str(a, what->word);
	left->name = arena_str(a, what->name);
	left->why = arena_str(a, what->why);
	*rd->set->left_tail = left;
	rd->set->left_tail = &left->next;
}

void
rule_left_out(struct rule_reader *rd, const struct score_rule *where,
    enum rule_left_kind kind, struct str word, struct str name, struct str why)
{
	struct rule_left left = { .kind = kind,
		.file = where ? where->file : rd->file,
		.line = where ? where->line : rd->line,
		.word = word,
		.name = name,
		.why = why,
		.count = 1 };

	left.last = left.line;
	add_left(rd, &left);
}

static void
mistake(struct rule_reader *rd, const struct rule_line *l, const char *why)
{
	struct str rest = l->rest, name = rule_word(&rest);

	rule_left_out(rd, NULL, LEFT_MISTAKE, l->word, str_sub(name, 0, 60),
	    str_of(why));
}

/* ---- rules and what is said of them ---- */

/* The rule of that name; a score may come before its rule. */
static struct score_rule *
find_or_add(struct rule_reader *rd, struct str name)
{
	struct ruleset *set = rd->set;
	struct score_rule *r;

	if (!rule_name_valid(name))
		return NULL;
	r = map_get(set->by_name, name);
	if (r != NULL)
		return r;
	r = arena_alloc(set->arena, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->name = arena_str(set->arena, name);
	r->kind = RULE_KIND_COUNT;
	r->file = rd->file;
	r->line = rd->line;
	map_put(set->by_name, r->name, r);
	*set->tail = r;
	set->tail = &r->next;
	return r;
}

static void
read_rule(struct rule_reader *rd, enum rule_kind kind,
    const struct rule_line *l)
{
	struct str rest = l->rest, name = rule_word(&rest);
	struct score_rule *r = find_or_add(rd, name), parsed;
	struct buf why = BUF_INIT(1024);

	if (r == NULL) {
		mistake(rd, l, "its name is no name of a rule");
		return;
	}
	parsed = (struct score_rule){ .next = r->next,
		.kind = kind,
		.name = r->name,
		.describe = r->describe,
		.file = rd->file,
		.line = rd->line,
		.scored = r->scored,
		.priority = r->priority,
		.tflags = r->tflags };
	memcpy(parsed.scores, r->scores, sizeof(r->scores));
	if (rule_parse(rd->set->arena, &parsed, rest, &why)) {
		/* A rule defined again takes the place of the first. */
		rule_free_regexes(r);
		*r = parsed;
	} else {
		rule_free_regexes(&parsed);
		mistake(rd, l, why.n ? why.p : "it can't be read");
	}
	buf_free(&why);
}

/* "-1.5" or "(1)", which is added. */
static bool
read_number(struct str word, double *value, bool *relative)
{
	char number[32], *end;

	if (word.n > 2 && word.p[0] == '(' && word.p[word.n - 1] == ')') {
		*relative = true;
		word = str_sub(word, 1, word.n - 2);
	}
	if (word.n == 0 || word.n >= sizeof(number) ||
	    strspn(word.p, "-.0123456789") < word.n)
		return false;
	snprintf(number, sizeof(number), "%.*s", STR_FMT(word));
	*value = strtod(number, &end);
	return *end == '\0';
}

/* "score NAME n" or "score NAME n n n n". */
static void
read_score(struct rule_reader *rd, const struct rule_line *l)
{
	struct str rest = l->rest, name = rule_word(&rest);
	struct score_rule *r = find_or_add(rd, name);
	double value[4];
	bool relative = false;
	size_t n = 0, i;

	while (rest.n > 0 && n < 4) {
		if (!read_number(rule_word(&rest), &value[n++], &relative)) {
			mistake(rd, l, "its score is not a number");
			return;
		}
	}
	if (r == NULL || rest.n > 0 || (n != 1 && n != 4)) {
		mistake(rd, l, "a score is one number, or four");
		return;
	}
	if (relative && !r->scored) {
		mistake(rd, l, "its score adds to none");
		return;
	}
	for (i = 0; i < 4; i++)
		r->scores[i] =
		    value[n == 4 ? i : 0] + (relative ? r->scores[i] : 0);
	r->scored = true;
}

static void
read_describe(struct rule_reader *rd, const struct rule_line *l)
{
	struct str rest = l->rest, name = rule_word(&rest);
	struct score_rule *r = find_or_add(rd, name);

	if (r != NULL)
		r->describe = arena_str(rd->set->arena, rest);
}

static void
read_tflags(struct rule_reader *rd, const struct rule_line *l)
{
	struct str rest = l->rest, name = rule_word(&rest);
	struct score_rule *r = find_or_add(rd, name);

	if (r == NULL || rest.n == 0)
		mistake(rd, l, "a rule and its flags are expected");
	else
		r->tflags = arena_str(rd->set->arena, rest);
}

static void
read_priority(struct rule_reader *rd, const struct rule_line *l)
{
	struct str rest = l->rest, name = rule_word(&rest);
	struct score_rule *r = find_or_add(rd, name);
	bool below = str_starts(rest, STR("-"));
	uint64_t n;

	if (r == NULL || !str_u64(str_sub(rest, below, rest.n), &n) ||
	    n > 1000000)
		mistake(rd, l, "a rule and a whole number are expected");
	else
		r->priority = below ? -(int)n : (int)n;
}

/* "test NAME ok|fail TEXT" */
static void
read_test(struct rule_reader *rd, const struct rule_line *l)
{
	struct arena *a = rd->set->arena;
	struct str rest = l->rest, name = rule_word(&rest);
	struct str word = rule_word(&rest);
	struct rule_test *t;

	if (!str_eq(word, STR("ok")) && !str_eq(word, STR("fail"))) {
		mistake(rd, l,
		    "a rule, `ok' or `fail' and a text are expected");
		return;
	}
	if ((t = arena_alloc(a, sizeof(*t))) == NULL)
		return;
	t->rule = arena_str(a, name);
	t->ok = word.p[0] == 'o';
	t->text = arena_str(a, rest);
	t->file = rd->file;
	t->line = rd->line;
	*rd->set->test_tail = t;
	rd->set->test_tail = &t->next;
}

/* ---- tags, options ---- */

static bool
read_tag(struct rule_reader *rd, const struct rule_line *l)
{
	struct str rest = l->rest, name = rule_word(&rest), *value;
	size_t i, count = sizeof(tag_words) / sizeof(tag_words[0]);

	for (i = 0; i < count; i++)
		if (str_eq(l->word, str_of(tag_words[i].word)))
			break;
	if (i == count)
		return false;
	value = mem_alloc(sizeof(*value));
	*value = arena_str(rd->set->arena, rest);
	free(map_put(*tag_map(rd, i), name, value));
	return true;
}

static void
read_tagged(struct rule_reader *rd, const struct rule_line *l)
{
	struct str rest = l->rest;

	while (rest.n > 0)
		map_put(rd->tagged, rule_word(&rest), rd);
}

static void
read_redirector(struct rule_reader *rd, const struct rule_line *l)
{
	struct ruleset *set = rd->set;
	struct buf why = BUF_INIT(1024);
	struct perl_regex re;

	if (set->redirectors == NULL)
		set->redirectors =
		    mem_alloc(REDIRECTORS_MAX * sizeof(*set->redirectors));
	if (set->nredirectors == REDIRECTORS_MAX)
		mistake(rd, l, "too many of them");
	else if (!perl_regex_read(set->arena, l->rest, &re, &why))
		mistake(rd, l, why.p);
	else
		set->redirectors[set->nredirectors++] = re.regex;
	buf_free(&why);
}

static void
read_trust(struct rule_reader *rd, const struct rule_line *l)
{
	struct ruleset *set = rd->set;
	struct buf why = BUF_INIT(256);
	struct str bad;

	if (!rule_trust_read(&set->trust, set->arena, l->word, l->rest, &bad)) {
		buf_printf(&why, "%.*s is no network", STR_FMT(bad));
		mistake(rd, l, why.p);
	}
	buf_free(&why);
}

static void
read_plugin(struct rule_reader *rd, const struct rule_line *l)
{
	static const char prefix[] = "Mail::SpamAssassin::Plugin::";
	struct str rest = l->rest, name = rule_word(&rest);

	if (str_starts(name, str_of(prefix)))
		map_put(rd->loaded, str_sub(name, sizeof(prefix) - 1, name.n),
		    rd);
	else
		rule_left_out(rd, NULL, LEFT_PLUGIN, l->word, name,
		    STR("Perl code is not run"));
}

static void
read_compat(struct rule_reader *rd, const struct rule_line *l)
{
	map_put(rd->compat, l->rest, rd);
}

static void
read_required(struct rule_reader *rd, const struct rule_line *l)
{
	bool relative = false;
	double value;

	if (read_number(l->rest, &value, &relative) && !relative)
		rd->set->required = value;
	else
		mistake(rd, l, "a number is expected");
}

/* The files of another version are not read on. */
static void
read_version(struct rule_reader *rd, const struct rule_line *l)
{
	if (str_eq(l->rest, STR("@@VERSION@@")) ||
	    str_eq(l->rest, STR(CONDITION_VERSION)))
		return;
	mistake(rd, l, "the rest of the file is for another version");
	rd->skip = true;
}

static bool
read_option(struct rule_reader *rd, const struct rule_line *l)
{
	struct ruleset *set = rd->set;
	struct rule_option *o, *head;
	enum option_kind kind;

	if (!option_find(l->word, &kind))
		return false;
	if (!option_kind_is_read(kind)) {
		rule_left_out(rd, NULL, LEFT_OPTION, l->word, STR(""),
		    str_of(option_kind_text(kind)));
		return true;
	}
	if ((o = arena_alloc(set->arena, sizeof(*o))) == NULL)
		return true;
	o->value = arena_str(set->arena, l->rest);
	o->order = set->noptions++;
	/* A ring while files are read: the map has its last. */
	head = map_get(set->options, l->word);
	o->next = head != NULL ? head->next : o;
	if (head != NULL)
		head->next = o;
	map_put(set->options, l->word, o);
	return true;
}

/* ---- if ---- */

static void
note_skipped(struct rule_reader *rd, struct rule_if *top)
{
	struct buf why = BUF_INIT(256);
	struct rule_left left = { .kind = top->plugin ? LEFT_PLUGIN :
							LEFT_CONDITION,
		.file = rd->file,
		.line = top->from,
		.last = rd->line,
		.word = top->plugin ? STR("ifplugin") : STR("if"),
		.name = top->text,
		.count = top->skipped };

	if (top->skipped > 0) {
		buf_printf(&why, "%zu rule%s", top->skipped,
		    top->skipped == 1 ? "" : "s");
		left.why = buf_str(&why);
		add_left(rd, &left);
	}
	top->skipped = 0;
	buf_free(&why);
}

/* A rule that is passed over is the outermost condition's. */
static void
count_skipped(struct rule_reader *rd)
{
	size_t i = 0;

	while (i + 1 < rd->nifs && !rd->ifs[i + 1].skip)
		i++;
	if (rd->nifs > 0)
		rd->ifs[i].skipped++;
}

static void
read_if(struct rule_reader *rd, const struct rule_line *l)
{
	struct buf text = BUF_INIT(4096), why = BUF_INIT(256);
	struct rule_if *new = &rd->ifs[rd->nifs];
	bool plugin = str_eq(l->word, STR("ifplugin")), yes = false;

	if (rd->nifs == RULE_FILE_IFS) {
		mistake(rd, l, "nested too deep");
		return;
	}
	buf_printf(&text, plugin ? "plugin(%.*s)" : "%.*s", STR_FMT(l->rest));
	if (!condition_eval(&rd->world, buf_str(&text), &yes, &why) &&
	    !rd->skip)
		mistake(rd, l, why.n ? why.p : "the condition can't be read");
	*new = (struct rule_if){ .skip = rd->skip,
		.plugin = plugin || str_starts(l->rest, STR("plugin")),
		.text = arena_str(rd->set->arena, l->rest),
		.from = rd->line };
	rd->nifs++;
	rd->skip = rd->skip || !yes;
	buf_free(&text);
	buf_free(&why);
}

static void
read_else(struct rule_reader *rd, const struct rule_line *l)
{
	if (rd->nifs == rd->base) {
		mistake(rd, l, "there is no `if' before it");
		return;
	}
	note_skipped(rd, &rd->ifs[rd->nifs - 1]);
	rd->ifs[rd->nifs - 1].from = rd->line;
	rd->skip = rd->ifs[rd->nifs - 1].skip || !rd->skip;
}

static void
read_endif(struct rule_reader *rd, const struct rule_line *l)
{
	if (rd->nifs == rd->base) {
		mistake(rd, l, "there is no `if' before it");
		return;
	}
	rd->nifs--;
	note_skipped(rd, &rd->ifs[rd->nifs]);
	rd->skip = rd->ifs[rd->nifs].skip;
}

/* ---- include ---- */

static void
read_include(struct rule_reader *rd, const struct rule_line *l)
{
	struct buf path = BUF_INIT(4096), err = BUF_INIT(4200);
	const char *slash = strrchr(rd->file, '/');

	if (rd->no_include || rd->depth == INCLUDE_DEPTH) {
		mistake(rd, l, "files are included too deep");
		return;
	}
	/* Relative to the file that it stands in. */
	if (l->rest.n > 0 && l->rest.p[0] != '/' && slash != NULL)
		buf_add(&path, rd->file, (size_t)(slash - rd->file) + 1);
	buf_addstr(&path, l->rest);
	if (path.n == 0 || !rule_file_read(rd, path.p, &err))
		mistake(rd, l, err.n ? err.p : "a file is expected");
	buf_free(&path);
	buf_free(&err);
}

/* ---- lines ---- */

static const struct {
	const char	*word;
	void		(*read)(struct rule_reader *, const struct rule_line *);
	bool		 always;	/* in what an if skips as well */
} words[] = {
	{ "describe", read_describe, false },
	{ "score", read_score, false },
	{ "tflags", read_tflags, false },
	{ "if", read_if, true },
	{ "ifplugin", read_if, true },
	{ "else", read_else, true },
	{ "endif", read_endif, true },
	{ "replace_rules", read_tagged, false },
	{ "priority", read_priority, false },
	{ "test", read_test, false },
	{ "redirector_pattern", read_redirector, false },
	{ "trusted_networks", read_trust, false },
	{ "clear_trusted_networks", read_trust, false },
	{ "internal_networks", read_trust, false },
	{ "clear_internal_networks", read_trust, false },
	{ "msa_networks", read_trust, false },
	{ "clear_msa_networks", read_trust, false },
	{ "loadplugin", read_plugin, false },
	{ "enable_compat", read_compat, false },
	{ "required_score", read_required, false },
	{ "required_hits", read_required, false },
	{ "require_version", read_version, false },
	{ "include", read_include, false },
};

static void
read_line(struct rule_reader *rd, const struct rule_line *l)
{
	enum rule_kind kind;
	size_t i, count = sizeof(words) / sizeof(words[0]);

	if (rule_kind_parse(l->word, &kind)) {
		if (!rd->skip)
			read_rule(rd, kind, l);
		else
			count_skipped(rd);
		return;
	}
	for (i = 0; i < count; i++)
		if (str_eq(l->word, str_of(words[i].word))) {
			if (!rd->skip || words[i].always)
				words[i].read(rd, l);
			return;
		}
	if (!rd->skip && !read_tag(rd, l) && !read_option(rd, l))
		mistake(rd, l, "not a word that is known");
}

void
rule_file_text(struct rule_reader *rd, const char *name, struct str text)
{
	struct rule_reader outer = *rd;
	struct rule_text t;
	struct rule_line l;

	rd->file = name;
	rd->base = rd->nifs;
	rd->depth++;
	rd->set->files++;
	rule_text_begin(&t, text);
	while (rule_text_next(&t, &l)) {
		rd->line = l.number;
		read_line(rd, &l);
	}
	rd->set->left_count[LEFT_LANGUAGE] += t.foreign;
	rule_text_end(&t);
	while (rd->nifs > rd->base) {
		l = (struct rule_line){ rd->line, STR("if"),
			rd->ifs[rd->nifs - 1].text };
		mistake(rd, &l, "the `if' is not closed");
		read_endif(rd, &l);
	}
	rd->skip = outer.skip;
	rd->base = outer.base;
	rd->file = outer.file;
	rd->line = outer.line;
	rd->depth = outer.depth;
}

bool
rule_file_read(struct rule_reader *rd, const char *path, struct buf *err)
{
	struct buf text = BUF_INIT(FILE_MAX);
	FILE *f = fopen(path, "r");
	char *name, chunk[8192];
	size_t got;
	bool ok;

	if (f == NULL) {
		buf_printf(err, "%s: %s", path, strerror(errno));
		return false;
	}
	while ((got = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(&text, chunk, got);
	ok = !ferror(f) && !text.failed;
	if (!ok)
		buf_printf(err, "%s: %s", path,
		    text.failed ? "too large" : strerror(errno));
	fclose(f);
	name = arena_strdup(rd->set->arena, path);
	if (ok && name != NULL)
		rule_file_text(rd, name, buf_str(&text));
	buf_free(&text);
	return ok;
}
