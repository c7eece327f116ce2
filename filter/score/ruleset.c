#include "score/ruleset.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "score/auth_rule.h"
#include "score/eval.h"
#include "score/eval_list.h"
#include "score/plan.h"
#include "score/rule_file.h"
#include "score/rule_text.h"

#define RULESET_ARENA	(256UL * 1024 * 1024)
#define REGEX_MAX	(1024UL * 1024)
#define META_TEXT_MAX	(256UL * 1024)
/* SpamAssassin's four columns: network tests on, no Bayes. */
#define SCORE_COLUMN	1
#define DEFAULT_SCORE	1.0
#define TRIAL_SCORE	0.01	/* of a rule named T_... */
#define SMALLEST_SCORE	0.001
/* Rules that capture for others come before them. */
#define CAPTURE_PRIORITY (-10000)

/* ---- what is done when all files are read ---- */

static void
drop_rule(struct rule_reader *rd, struct score_rule *r,
    enum rule_left_kind kind, const char *why)
{
	rule_left_out(rd, r, kind, str_of(rule_kind_word(r->kind)), r->name,
	    str_of(why));
	rule_free_regexes(r);
	r->kind = RULE_KIND_COUNT;
}

static void
set_score(struct score_rule *r, const struct ruleset_how *how)
{
	double score =
	    str_starts(r->name, STR("T_")) ? TRIAL_SCORE : DEFAULT_SCORE;
	size_t i;

	if (!r->scored)
		for (i = 0; i < 4; i++)
			r->scores[i] = r->nice ? -score : score;
	r->score = r->scores[SCORE_COLUMN];
	if (how->every && r->score == 0)
		r->score = SMALLEST_SCORE;
	r->off = r->score == 0;
}

/* "<A>" becomes what replace_tag says of A. */
static void
expand_tags(struct rule_reader *rd, struct score_rule *r)
{
	struct buf out = BUF_INIT(REGEX_MAX), why = BUF_INIT(1024);

	if (r->perl.source.p == NULL || r->kind == RULE_MIMEHEADER ||
	    map_get(rd->tagged, r->name) == NULL)
		return;
	if (!replace_tags(&rd->tags, r->perl.source, &out))
		drop_rule(rd, r, LEFT_MISTAKE, "its tags make it too long");
	else if (!perl_regex_change(rd->set->arena, &r->perl, buf_str(&out),
		     &why))
		drop_rule(rd, r, LEFT_MISTAKE, why.n ? why.p : "too long");
	else
		rule_use_perl(r);
	buf_free(&out);
	buf_free(&why);
}

static bool
asks_network(const struct score_rule *r)
{
	return r->kind == RULE_HEADER &&
	    (str_starts(r->eval, STR("check_rbl")) ||
		str_starts(r->eval, STR("check_dns")));
}

/* Some functions match one of their arguments as a regex. */
static void
compile_argument(struct rule_reader *rd, struct score_rule *r,
    const struct eval_def *function)
{
	struct buf why = BUF_INIT(1024);
	size_t at;

	if (function->regex_arg == 0 || r->nargs < function->regex_arg)
		return;
	r->perl.regex =
	    regex_new(r->args[function->regex_arg - 1], STR(""), &why, &at);
	r->regex = r->perl.regex;
	if (r->regex == NULL)
		drop_rule(rd, r, LEFT_MISTAKE, why.n ? why.p : "its regex");
	buf_free(&why);
}

static void
find_function(struct rule_reader *rd, struct score_rule *r)
{
	const struct eval_def *function;
	struct buf why = BUF_INIT(256);

	if (r->eval.p == NULL || auth_rule_known(r->eval))
		return;
	function = eval_find(r->eval);
	if (function != NULL) {
		compile_argument(rd, r, function);
		return;
	}
	buf_printf(&why, "eval:%.*s", STR_FMT(r->eval));
	drop_rule(rd, r, asks_network(r) ? LEFT_NETWORK : LEFT_FUNCTION, why.p);
	buf_free(&why);
}

/* ---- metas ---- */

static void
add_matching(const struct ruleset *set, const struct score_rule *self,
    struct str glob, struct buf *out)
{
	const struct score_rule *r;
	size_t n = 0;

	buf_addc(out, '(');
	for (r = set->first; r != NULL; r = r->next)
		if (r != self && r->kind != RULE_KIND_COUNT &&
		    rule_glob(glob, r->name))
			buf_printf(out, "%s%.*s", n++ ? "+" : "",
			    STR_FMT(r->name));
	buf_adds(out, n == 0 ? "0)" : ")");
}

/* rules_matching(A*) becomes a sum, local_tests_only a number. */
static bool
expand_meta(const struct ruleset *set, const struct ruleset_how *how,
    const struct score_rule *r, struct buf *out)
{
	static const char call[] = "rules_matching(";
	struct str rest = r->text, local = STR("local_tests_only");
	ptrdiff_t end;

	while (rest.n > 0) {
		if (str_starts(rest, local)) {
			buf_addc(out, how->local_only ? '1' : '0');
			rest = str_sub(rest, local.n, rest.n);
		} else if (str_starts(rest, str_of(call)) &&
		    (end = str_chr(rest, ')')) > 0) {
			add_matching(set, r,
			    str_trim(str_sub(rest, sizeof(call) - 1,
				(size_t)end - sizeof(call) + 1)),
			    out);
			rest = str_sub(rest, (size_t)end + 1, rest.n);
		} else {
			buf_addc(out, rest.p[0]);
			rest = str_sub(rest, 1, rest.n);
		}
	}
	return !out->failed;
}

static void
compile_meta(struct rule_reader *rd, const struct ruleset_how *how,
    struct score_rule *r)
{
	struct buf out = BUF_INIT(META_TEXT_MAX), why = BUF_INIT(1024);
	struct str text = r->text;
	bool ok = true;

	if (str_find(text, STR("rules_matching(")) >= 0 ||
	    str_find(text, STR("local_tests_only")) >= 0) {
		ok = expand_meta(rd->set, how, r, &out);
		text = arena_str(rd->set->arena, buf_str(&out));
	}
	if (ok && text.p != NULL)
		r->meta = meta_parse(rd->set->arena, text, &why);
	if (!ok || r->meta == NULL)
		drop_rule(rd, r, LEFT_MISTAKE,
		    why.n ? why.p : "the expression is too long");
	buf_free(&out);
	buf_free(&why);
}

static bool
resolve_meta(struct ruleset *set, struct score_rule *r)
{
	struct score_rule *named;
	size_t i;

	while (meta_name(r->meta, r->nreads).p != NULL)
		r->nreads++;
	r->reads = arena_alloc(set->arena, (r->nreads + 1) * sizeof(*r->reads));
	if (r->reads == NULL)
		return false;
	for (i = 0; i < r->nreads; i++) {
		named = map_get(set->by_name, meta_name(r->meta, i));
		if (named != NULL && named->kind != RULE_KIND_COUNT)
			r->reads[i] = named;
	}
	return true;
}

/* Whether all metas that r reads are settled.  A meta that is off never has
 * an answer in SpamAssassin, and neither has one that reads it. */
static bool
settle_meta(struct score_rule *r, const bool *settled)
{
	bool off = r->off;
	size_t i;

	for (i = 0; i < r->nreads; i++) {
		if (r->reads[i] == NULL || r->reads[i]->kind != RULE_META)
			continue;
		if (!settled[r->reads[i]->index])
			return false;
		off = off || r->reads[i]->off;
	}
	r->off = off;
	return true;
}

/* A meta that reads itself, by whatever way, never hits. */
static void
settle_metas(struct rule_reader *rd, size_t count)
{
	bool *settled = mem_alloc(count + 1), again = true;
	struct score_rule *r;

	while (again) {
		again = false;
		for (r = rd->set->first; r != NULL; r = r->next)
			if (r->kind == RULE_META && !settled[r->index] &&
			    settle_meta(r, settled))
				settled[r->index] = again = true;
	}
	for (r = rd->set->first; r != NULL; r = r->next)
		if (r->kind == RULE_META && !settled[r->index])
			drop_rule(rd, r, LEFT_MISTAKE, "it depends on itself");
	free(settled);
}

static void
finish_metas(struct rule_reader *rd, const struct ruleset_how *how)
{
	struct score_rule *r;
	size_t count = 0, i;

	for (r = rd->set->first; r != NULL; r = r->next)
		if (r->kind == RULE_META)
			compile_meta(rd, how, r);
	for (r = rd->set->first; r != NULL; r = r->next) {
		r->index = count++;
		if (r->kind == RULE_META && !resolve_meta(rd->set, r))
			drop_rule(rd, r, LEFT_MISTAKE, "no memory");
	}
	settle_metas(rd, count);
	/* Those that read one that was dropped just now. */
	for (r = rd->set->first; r != NULL; r = r->next)
		for (i = 0; r->kind == RULE_META && i < r->nreads; i++)
			if (r->reads[i] != NULL &&
			    r->reads[i]->kind == RULE_KIND_COUNT)
				r->reads[i] = NULL;
}

/* ---- the whole ---- */

/* Those that are in force, numbered; names alone are not rules.  Rules that
 * capture something for others come first. */
static void
number_rules(struct ruleset *set)
{
	struct score_rule *lists[2], **tails[2] = { &lists[0], &lists[1] };
	struct score_rule *r;

	for (r = set->first; r != NULL; r = r->next)
		if (r->kind != RULE_KIND_COUNT) {
			*tails[!r->perl.captures] = r;
			tails[!r->perl.captures] = &r->next;
		}
	*tails[1] = NULL;
	*tails[0] = lists[1];
	set->first = lists[0];
	set->tail = NULL;
	for (r = set->first; r != NULL; r = r->next)
		r->index = set->count++;
}

/* The rings of options become lists with their first at the head. */
static void
open_options(struct ruleset *set)
{
	struct map_iter it = { 0 };
	struct rule_option *last, *first;
	struct str name;
	void *value;
	struct map *opened = map_new(false);

	while (map_next(set->options, &it, &name, &value)) {
		last = value;
		first = last->next;
		last->next = NULL;
		map_put(opened, name, first);
	}
	map_free(&set->options, NULL);
	set->options = opened;
}

static void
finish(struct rule_reader *rd, const struct ruleset_how *how)
{
	struct score_rule *r;

	for (r = rd->set->first; r != NULL; r = r->next) {
		if (r->kind == RULE_KIND_COUNT)
			continue;
		rule_read_tflags(r);
		set_score(r, how);
		expand_tags(rd, r);
		if (r->perl.captures)
			r->priority = CAPTURE_PRIORITY;
		if (r->kind != RULE_KIND_COUNT)
			find_function(rd, r);
	}
	finish_metas(rd, how);
	number_rules(rd->set);
	open_options(rd->set);
	rd->set->lists = eval_lists_new(rd->set->arena, rd->set);
	rd->set->plan = plan_new(rd->set, how->subs);
}

static bool
read_globs(struct rule_reader *rd, struct str globs, struct buf *err)
{
	struct buf pattern = BUF_INIT(4096);
	struct str word;
	glob_t found;
	size_t i;
	bool ok = true;

	while (ok && (word = rule_word(&globs)).n > 0) {
		buf_truncate(&pattern, 0);
		buf_addstr(&pattern, word);
		if (glob(pattern.p, 0, NULL, &found) != 0) {
			buf_printf(err, "%s: no such file", pattern.p);
			ok = false;
			break;
		}
		for (i = 0; ok && i < found.gl_pathc; i++)
			ok = rule_file_read(rd, found.gl_pathv[i], err);
		globfree(&found);
	}
	buf_free(&pattern);
	return ok;
}

static void
tell_problems(const struct ruleset *set, struct buf *problems)
{
	const struct rule_left *l;

	for (l = set->left; l != NULL; l = l->next)
		if (l->kind == LEFT_MISTAKE)
			buf_printf(problems,
			    "%s:%u: left out: %.*s%s%.*s: %.*s\n", l->file,
			    l->line, STR_FMT(l->word), l->name.n ? " " : "",
			    STR_FMT(l->name), STR_FMT(l->why));
}

static struct ruleset *
ruleset_new(struct rule_reader *rd, const struct ruleset_how *how)
{
	struct ruleset *set = mem_alloc(sizeof(*set));

	set->arena = arena_new(RULESET_ARENA);
	set->by_name = map_new(false);
	set->options = map_new(false);
	set->tail = &set->first;
	set->left_tail = &set->left;
	set->test_tail = &set->tests;
	set->required = SCORE_REQUIRED;
	rule_reader_begin(rd, set);
	rd->world.plugins = how->plugins;
	rd->world.local_only = how->local_only;
	/* As Debian has it: rules by their new names alone. */
	map_put(rd->compat, STR("welcomelist_blocklist"), rd);
	return set;
}

struct ruleset *
ruleset_load_how(struct str globs, const struct ruleset_how *how,
    struct buf *problems, struct buf *err)
{
	struct rule_reader rd;
	struct ruleset *set = ruleset_new(&rd, how);
	bool ok = read_globs(&rd, globs, err);

	finish(&rd, how);
	rule_reader_end(&rd);
	tell_problems(set, problems);
	if (!ok)
		ruleset_free(&set);
	return set;
}

struct ruleset *
ruleset_load(struct str globs, struct buf *problems, struct buf *err)
{
	return ruleset_load_how(globs, &(struct ruleset_how){ .every = false },
	    problems, err);
}

struct ruleset *
ruleset_parse(struct str text, const struct ruleset_how *how,
    struct buf *problems)
{
	struct rule_reader rd;
	struct ruleset *set = ruleset_new(&rd, how);

	rd.no_include = true;
	rule_file_text(&rd, "text", text);
	finish(&rd, how);
	rule_reader_end(&rd);
	tell_problems(set, problems);
	return set;
}

void
ruleset_free(struct ruleset **set)
{
	struct map_iter it = { 0 };
	struct str name;
	void *value;
	size_t i;

	if (*set == NULL)
		return;
	plan_free(&(*set)->plan);
	while (map_next((*set)->by_name, &it, &name, &value))
		rule_free_regexes(value);
	for (i = 0; i < (*set)->nredirectors; i++)
		regex_free(&(*set)->redirectors[i]);
	free((*set)->redirectors);
	map_free(&(*set)->by_name, NULL);
	map_free(&(*set)->options, NULL);
	eval_lists_free(&(*set)->lists);
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
	return set->left_count[LEFT_MISTAKE] + set->left_count[LEFT_FUNCTION] +
	    set->left_count[LEFT_NETWORK];
}

bool
ruleset_has(const struct ruleset *set, struct str rule)
{
	const struct score_rule *r = map_get(set->by_name, rule);

	return r != NULL && r->kind != RULE_KIND_COUNT;
}

double
ruleset_required(const struct ruleset *set)
{
	return set->required;
}

bool
ruleset_want(struct ruleset *set, struct str rule)
{
	const struct score_rule *r = map_get(set->by_name, rule);

	if (!ruleset_has(set, rule))
		return false;
	plan_want(set->plan, r);
	return true;
}
