/* Whatever metas say, and whoever is not asked for it: they come to what
 * plain arithmetic makes of all the rules they read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/psl.h"
#include "check/check.h"
#include "score/meta.h"
#include "score/plan.h"
#include "score/score.h"

#define METAS	 12
#define RULESETS 60
#define MESSAGES 20

/* One of each way to know of a rule: words of a text, one that nothing but
 * its regex says anything of, a field that is there, and so on. */
enum {
	BODY_WORD,
	BODY_SCORED,
	BODY_ODD,
	URI_WORD,
	FIELD_THERE,
	FIELD_WORD,
	FIELD_NOT,
	FIELD_UNSET,
	FUNCTION,
	LEAVES
};

static const char *const leaves[LEAVES] = {
	"body __A /alphabet/\n",
	"body B /bravissimo/\n",
	"body __C /[0-9]c/\n",
	"uri __D /deltaplane/\n",
	"header __E exists:X-Echo\n",
	"header __F X-Fox =~ /foxtrott/\n",
	"header __G X-Golf !~ /golfing/\n",
	"header __H X-Hotel =~ /hotelier/ [if-unset: hotelier]\n",
	"header __I eval:check_for_missing_to_header()\n",
};

static const char *const leaf_names[LEAVES] = { "__A", "B", "__C", "__D", "__E",
	"__F", "__G", "__H", "__I" };

struct world {
	char names[LEAVES + METAS][8];
	char texts[METAS][2048];
	double values[LEAVES + METAS];
	size_t count; /* of names that have a value */
};

static struct services services;
static uint32_t seed = 11;

static unsigned int
pick(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void
random_text(const struct world *w, struct buf *out, unsigned int depth)
{
	static const char *const operators[] = { "&&", "||", "&&", "||", "&&",
		"+", "+", "-", "*", "^", "<", ">", ">=", "==", "?" };
	const char *op = operators[pick(15)];

	if (pick(4) == 0)
		buf_addc(out, '!');
	if (depth == 0 || pick(4) == 0) {
		if (pick(6) == 0)
			buf_addc(out, (int)('0' + pick(4)));
		else
			buf_adds(out, w->names[pick((unsigned int)w->count)]);
		return;
	}
	buf_addc(out, '(');
	random_text(w, out, depth - 1);
	buf_printf(out, " %s ", op);
	random_text(w, out, depth - 1);
	if (*op == '?') {
		buf_addc(out, ':');
		random_text(w, out, depth - 1);
	}
	buf_addc(out, ')');
}

/* Metas that read leaves and metas before them; half of them are wanted. */
static void
world_make(struct world *w, struct buf *rules)
{
	struct buf text = BUF_INIT(sizeof(w->texts[0]));
	size_t i;

	for (i = 0; i < LEAVES; i++) {
		snprintf(w->names[i], sizeof(w->names[i]), "%s", leaf_names[i]);
		buf_adds(rules, leaves[i]);
	}
	for (i = 0; i < METAS; i++) {
		w->count = LEAVES + i;
		buf_truncate(&text, 0);
		random_text(w, &text, 4);
		snprintf(w->texts[i], sizeof(w->texts[i]), "%s", text.p);
		snprintf(w->names[w->count], sizeof(w->names[0]), "%sM%zu",
		    pick(2) == 0 ? "__" : "", i);
		buf_printf(rules, "meta %s %s\n", w->names[w->count],
		    w->texts[i]);
	}
	buf_free(&text);
}

static void
add_field(struct txn *t, const char *name, const char *value)
{
	assert_true(
	    header_add(t->arena, &t->headers, str_of(name), str_of(value)));
}

static void
add_line(struct txn *t, const char *line)
{
	body_add(&t->body, line, strlen(line));
	body_add(&t->body, "\r\n\r\n", 4);
}

static struct txn *
message(struct session *s, struct world *w)
{
	struct txn *t = txn_begin(s, 1 << 20);
	double *v = w->values;
	size_t i;

	for (i = 0; i < LEAVES; i++)
		v[i] = pick(3) == 0;
	assert_non_null(check_attach_txn(t, &services));
	add_field(t, "From", " a@example.org");
	if (v[FIELD_THERE] != 0)
		add_field(t, "X-Echo", " 1");
	if (pick(2) == 0 || v[FIELD_WORD] != 0)
		add_field(t, "X-Fox",
		    v[FIELD_WORD] != 0 ? " foxtrott" : " foxes");
	if (v[FIELD_NOT] == 0)
		add_field(t, "x-golf", " golfing");
	if (v[FIELD_UNSET] == 0)
		add_field(t, "X-Hotel", " none");
	if (v[FUNCTION] == 0)
		add_field(t, "To", " b@example.net");
	add_line(t, "Hello");
	if (v[BODY_WORD] != 0)
		add_line(t, "The alphabet");
	if (v[BODY_SCORED] != 0)
		add_line(t, "Bravo, bravissimo");
	if (v[BODY_ODD] != 0)
		add_line(t, "Room 9c");
	if (v[URI_WORD] != 0)
		add_line(t, "http://example.com/deltaplane");
	return t;
}

static double
value_of(const struct world *w, struct str name)
{
	size_t i;

	for (i = 0; i < w->count; i++)
		if (str_eq(name, str_of(w->names[i])))
			return w->values[i];
	fail_msg("no value of %.*s", STR_FMT(name));
	return 0;
}

struct reader {
	const struct world *world;
	const struct meta *meta;
};

static double
read_value(void *arg, size_t i)
{
	const struct reader *r = arg;

	return value_of(r->world, meta_name(r->meta, i));
}

/* What they count for each other: 1 where it is below 0. */
static void
calculate(struct world *w)
{
	struct arena *a = arena_new(1 << 20);
	struct buf why = BUF_INIT(1024);
	struct reader r = { .world = w };
	double value;
	size_t i;

	for (i = 0; i < METAS; i++) {
		r.meta = meta_parse(a, str_of(w->texts[i]), &why);
		assert_non_null(r.meta);
		w->count = LEAVES + i;
		value = meta_eval(r.meta, read_value, &r);
		w->values[LEAVES + i] = value < 0 ? 1 : value;
	}
	w->count = LEAVES + METAS;
	buf_free(&why);
	arena_free(&a);
}

static void
assert_hits(const struct world *w, const struct score_result *r)
{
	const struct score_hit *hit;
	size_t i, hits = 0;
	double value;

	for (hit = r->hits; hit != NULL; hit = hit->next) {
		value = value_of(w, hit->rule);
		if (hit->times != value)
			fail_msg("%.*s: %g, not %g", STR_FMT(hit->rule),
			    hit->times, value);
		hits++;
	}
	for (i = 0; i < w->count; i++)
		hits -= w->values[i] > 0 && w->names[i][0] != '_';
	assert_int_equal(hits, 0);
}

static void
judge(struct world *w, const struct ruleset *set)
{
	struct session *s = session_new();
	const struct score_result *r = score_run(message(s, w), set);

	assert_non_null(r);
	assert_false(r->limited);
	calculate(w);
	assert_hits(w, r);
	session_free(&s);
}

static void
test_metas(void **state)
{
	struct ruleset_how how = { .every = false };
	struct world *w = calloc(1, sizeof(*w));
	struct buf rules, problems;
	struct ruleset *set;
	unsigned int i, k;

	(void)state;
	for (i = 0; i < RULESETS; i++) {
		rules = BUF_INIT(65536);
		problems = BUF_INIT(65536);
		world_make(w, &rules);
		set = ruleset_parse(buf_str(&rules), &how, &problems);
		assert_int_equal(problems.n, 0);
		if (i % 8 == 7)
			plan_no_prefilter(set);
		for (k = 0; k < MESSAGES; k++)
			judge(w, set);
		ruleset_free(&set);
		buf_free(&rules);
		buf_free(&problems);
	}
	free(w);
}

/* A rule that a policy names has its hits though no meta needs it. */
static void
test_wanted(void **state)
{
	struct ruleset_how how = { .every = false };
	struct buf problems = BUF_INIT(4096);
	struct ruleset *set = ruleset_parse(STR("body __A /alphabet/\n"
						"body __B /bravissimo/\n"
						"header __E exists:X-Echo\n"
						"meta __M __B || __E\n"
						"meta N !__A && !__E\n"),
	    &how, &problems);
	struct session *s = session_new();
	struct txn *t = txn_begin(s, 1 << 20);
	const struct score_result *r;

	(void)state;
	assert_true(ruleset_want(set, STR("__A")));
	assert_true(ruleset_want(set, STR("__M")));
	assert_non_null(check_attach_txn(t, &services));
	add_field(t, "X-Echo", " 1");
	add_line(t, "alphabet, bravissimo");
	r = score_run(t, set);
	assert_non_null(r);
	assert_true(score_hit(r, STR("__A")));
	assert_true(score_hit(r, STR("__M")));
	assert_false(score_hit(r, STR("N")));
	session_free(&s);
	ruleset_free(&set);
	buf_free(&problems);
}

static int
setup(void **state)
{
	(void)state;
	psl_global_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	psl_global_free();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metas),
		cmocka_unit_test(test_wanted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
