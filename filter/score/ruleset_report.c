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

/* Each function that rules in force call, and how many do. */
static void
report_evals(const struct ruleset *set, struct buf *out)
{
	const struct score_rule *r, *other;
	size_t n;

	for (r = set->first; r != NULL; r = r->next) {
		if (r->eval.p == NULL)
			continue;
		for (other = set->first; other != r; other = other->next)
			if (str_eq(other->eval, r->eval))
				break;
		if (other != r)
			continue;
		for (n = 0; other != NULL; other = other->next)
			n += str_eq(other->eval, r->eval);
		buf_printf(out, "\teval:%.*s %zu\n", STR_FMT(r->eval), n);
	}
}

/* Lines of one word in a row are told as one. */
static const struct rule_left *
same_lines(const struct rule_left *l, size_t *count)
{
	const struct rule_left *last = l;

	*count = 1;
	if (l->kind != LEFT_OPTION)
		return l;
	while (last->next != NULL && last->next->kind == l->kind &&
	    last->next->file == l->file && str_eq(last->next->word, l->word)) {
		last = last->next;
		(*count)++;
	}
	return last;
}

static void
report_left(const struct ruleset *set, enum rule_left_kind kind,
    struct buf *out)
{
	const struct rule_left *l, *last;
	size_t count;

	for (l = set->left; l != NULL; l = last->next) {
		last = same_lines(l, &count);
		if (l->kind != kind)
			continue;
		buf_printf(out, "%s:%u: left out: %.*s%s%.*s: %.*s", l->file,
		    l->line, STR_FMT(l->word), l->name.n ? " " : "",
		    STR_FMT(l->name), STR_FMT(l->why));
		if (count > 1)
			buf_printf(out, " (%zu lines, up to %u)", count,
			    last->line);
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
	report_evals(set, out);
	for (t = set->tests; t != NULL; t = t->next)
		tests++;
	if (set->noptions > 0)
		buf_printf(out, "\t%-11s %5zu\n", "options", set->noptions);
	if (tests > 0)
		buf_printf(out, "\t%-11s %5zu\n", "test lines", tests);
	for (i = 0; i < LEFT_KIND_COUNT; i++)
		if (set->left_count[i] > 0)
			buf_printf(out, "\t%-11s %5zu %s\n", "left out",
			    set->left_count[i],
			    rule_left_text((enum rule_left_kind)i));
}
