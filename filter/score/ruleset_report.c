#include "score/rule.h"
#include "score/ruleset.h"

struct counts {
	size_t		 all, exists, evals;
};

static void
report_kind(const struct ruleset *set, enum rule_kind kind, struct buf *out)
{
	const struct score_rule *r;
	struct counts n = { 0 };

	for (r = set->first; r != NULL; r = r->next)
		if (r->kind == kind) {
			n.all++;
			n.exists += r->exists;
			n.evals += r->eval.p != NULL;
		}
	if (n.all == 0)
		return;
	buf_printf(out, "\t%-11s %5zu", rule_kind_word(kind), n.all);
	if (n.exists > 0)
		buf_printf(out, ", %zu of them exists:", n.exists);
	if (n.evals > 0)
		buf_printf(out, ", %zu of them eval:", n.evals);
	buf_addc(out, '\n');
}

static void
report_left(const struct ruleset *set, enum rule_left_kind kind,
    struct buf *out)
{
	const struct rule_left *l, *n;
	size_t same;

	for (l = set->left; l != NULL; l = n) {
		/* Lines of one kind in a row are told as one. */
		same = 1;
		for (n = l->next; n != NULL && kind == LEFT_OPTION &&
		     n->kind == kind && l->kind == kind && n->file == l->file &&
		     str_eq(n->word, l->word);
		     n = n->next)
			same++;
		if (l->kind != kind)
			continue;
		buf_printf(out, "%s:%u: left out: %.*s%s%.*s: %.*s", l->file,
		    l->line, STR_FMT(l->word), l->name.n ? " " : "",
		    STR_FMT(l->name), STR_FMT(l->why));
		if (same > 1)
			buf_printf(out, " (%zu lines)", same);
		buf_addc(out, '\n');
	}
}

void
ruleset_report(const struct ruleset *set, struct buf *out)
{
	const struct rule_test *t;
	size_t tests = 0;
	int i;

	for (i = 0; i < LEFT_KIND_COUNT; i++)
		report_left(set, (enum rule_left_kind)i, out);
	buf_printf(out, "%zu score rules of %zu files in force:\n", set->count,
	    set->files);
	for (i = 0; i < RULE_KIND_COUNT; i++)
		report_kind(set, (enum rule_kind)i, out);
	for (t = set->tests; t != NULL; t = t->next)
		tests++;
	if (tests > 0)
		buf_printf(out, "\t%-11s %5zu\n", "test lines", tests);
	for (i = 0; i < LEFT_KIND_COUNT; i++)
		if (set->left_count[i] > 0)
			buf_printf(out, "\t%-11s %5zu %s\n", "left out",
			    set->left_count[i],
			    rule_left_text((enum rule_left_kind)i));
}
