#include "policy/trace.h"

#include <string.h>

#include "policy/ast.h"

const char *
truth_word(enum truth truth)
{
	static const char *const words[] = {
		[TRUTH_FALSE] = "no",
		[TRUTH_TRUE] = "yes",
		[TRUTH_UNKNOWN] = "unknown",
	};

	return words[truth];
}

struct trace *
trace_of(const struct session *s)
{
	return s->txn != NULL ? s->txn->trace : s->trace;
}

struct trace *
trace_new(struct arena *arena, size_t max)
{
	struct trace *t = arena_alloc(arena, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->arena = arena;
	t->max = max;
	t->rules_tail = &t->rules;
	t->facts_tail = &t->facts;
	t->reads_tail = &t->reads;
	return t;
}

/* Room in the arena, as long as the trace's share lasts. */
static void *
trace_alloc(struct trace *t, size_t n)
{
	if (t->used + n > t->max) {
		t->left_out++;
		return NULL;
	}
	t->used += n;
	return arena_alloc(t->arena, n);
}

static struct str
trace_copy(struct trace *t, struct str s)
{
	char *p;

	s = str_sub(s, 0, TRACE_VALUE_MAX);
	if (s.n == 0 || (p = trace_alloc(t, s.n + 1)) == NULL)
		return STR_NONE;
	memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

void
trace_rule(struct trace *t, const struct rule *rule, enum truth truth,
    struct str detail)
{
	struct trace_rule *r;

	if (t == NULL)
		return;
	if ((r = trace_alloc(t, sizeof(*r))) != NULL) {
		r->rule = rule;
		r->truth = truth;
		r->detail = trace_copy(t, detail);
		r->reads = t->reads;
		*t->rules_tail = r;
		t->rules_tail = &r->next;
	}
	t->reads = NULL;
	t->reads_tail = &t->reads;
}

static struct trace_fact *
trace_find(const struct trace *t, struct str name, struct str value,
    bool unknown, enum stage stage)
{
	struct trace_fact *f;

	for (size_t i = 0; i < TRACE_RECENT; i++) {
		f = t->recent[i];
		if (f != NULL && f->stage == stage && f->unknown == unknown &&
		    str_eq(f->name, name) && str_eq(f->value, value))
			return f;
	}
	return NULL;
}

void
trace_fact(struct trace *t, struct str name, struct str value, bool unknown,
    int64_t cost_us, enum stage stage)
{
	struct trace_fact *f;
	struct trace_read *read;

	if (t == NULL)
		return;
	value = str_sub(value, 0, TRACE_VALUE_MAX);
	f = trace_find(t, name, value, unknown, stage);
	if (f == NULL) {
		if ((f = trace_alloc(t, sizeof(*f))) == NULL)
			return;
		f->name = trace_copy(t, name);
		f->value = trace_copy(t, value);
		f->unknown = unknown;
		f->cost_us = cost_us;
		f->stage = stage;
		*t->facts_tail = f;
		t->facts_tail = &f->next;
		t->recent[t->nfacts++ % TRACE_RECENT] = f;
	}
	if ((read = trace_alloc(t, sizeof(*read))) == NULL)
		return;
	read->fact = f;
	*t->reads_tail = read;
	t->reads_tail = &read->next;
}

static void
print_fact(const struct trace_fact *f, struct buf *out)
{
	buf_addstr(out, f->name);
	buf_addc(out, '=');
	if (f->unknown)
		buf_adds(out, "?");
	else
		buf_quoted(out, f->value);
	if (f->cost_us >= 1000)
		buf_printf(out, " (%lld ms)", (long long)f->cost_us / 1000);
}

void
trace_print(const struct trace *t, struct buf *out)
{
	if (t == NULL)
		return;
	for (const struct trace_rule *r = t->rules; r != NULL; r = r->next) {
		buf_addstr(out, r->rule->where);
		buf_printf(out, " %s: %s", stage_word(r->rule->stage),
		    truth_word(r->truth));
		buf_adds(out, r->rule->shadow ? " (shadow)  " : "  ");
		buf_addstr(out, r->rule->source);
		for (const struct trace_read *f = r->reads; f != NULL;
		     f = f->next) {
			buf_adds(out, f == r->reads ? "  [" : ", ");
			print_fact(f->fact, out);
		}
		if (r->reads != NULL)
			buf_addc(out, ']');
		if (r->detail.n > 0) {
			buf_adds(out, "  -> ");
			buf_quoted(out, r->detail);
		}
		buf_addc(out, '\n');
	}
	if (t->left_out > 0)
		buf_printf(out, "(%zu more not kept)\n", t->left_out);
}

static void
json_field(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, "\"%s\":", name);
	buf_json(out, value);
}

static void
json_facts(const struct trace_rule *r, struct buf *out)
{
	buf_adds(out, ",\"facts\":[");
	for (const struct trace_read *f = r->reads; f != NULL; f = f->next) {
		if (f != r->reads)
			buf_addc(out, ',');
		buf_addc(out, '{');
		json_field(out, "name", f->fact->name);
		buf_addc(out, ',');
		json_field(out, "value", f->fact->value);
		buf_printf(out, ",\"unknown\":%s,\"us\":%lld}",
		    f->fact->unknown ? "true" : "false",
		    (long long)f->fact->cost_us);
	}
	buf_addc(out, ']');
}

void
trace_json(const struct trace *t, struct buf *out)
{
	buf_addc(out, '[');
	for (const struct trace_rule *r = t ? t->rules : NULL; r != NULL;
	     r = r->next) {
		buf_adds(out, r == t->rules ? "{" : ",{");
		json_field(out, "rule", r->rule->where);
		buf_addc(out, ',');
		json_field(out, "stage", str_of(stage_word(r->rule->stage)));
		buf_addc(out, ',');
		json_field(out, "answer", str_of(truth_word(r->truth)));
		buf_addc(out, ',');
		json_field(out, "detail", r->detail);
		json_facts(r, out);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static bool
named_before(const struct trace *t, const struct trace_fact *fact)
{
	for (const struct trace_fact *f = t->facts; f != fact; f = f->next)
		if (f->unknown && str_eq(f->name, fact->name))
			return true;
	return false;
}

void
trace_json_unknown(const struct trace *t, struct buf *out, size_t *n)
{
	const struct trace_fact *f;

	for (f = t ? t->facts : NULL; f != NULL; f = f->next) {
		if (!f->unknown || named_before(t, f))
			continue;
		if ((*n)++ > 0)
			buf_addc(out, ',');
		buf_json(out, f->name);
	}
}
