#include "daemon/limits_report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check/limit.h"
#include "policy/ast.h"

static void
add_time(struct buf *out, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char text[64] = "";
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &tm);
	buf_adds(out, text);
}

static void
json_text(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, value);
}

static void
json_time(struct buf *out, const char *name, int64_t ms)
{
	buf_printf(out, ",\"%s\":\"", name);
	add_time(out, ms);
	buf_addc(out, '"');
}

/* Keys have no white space; the rest of what a terminal might take ill. */
static void
add_key(struct buf *out, const char *key)
{
	for (; *key != '\0'; key++)
		if (*key > ' ' && *key <= '~')
			buf_addc(out, *key);
		else
			buf_printf(out, "%%%02X", (unsigned char)*key);
}

/* The hit first, the most often hit ahead; then those that came nearest. */
static int
compare(const void *va, const void *vb)
{
	const struct limits_entry *a = *(const struct limits_entry *const *)va;
	const struct limits_entry *b = *(const struct limits_entry *const *)vb;

	if (a->hits != b->hits)
		return a->hits > b->hits ? -1 : 1;
	if (a->hit != b->hit)
		return a->hit ? 1 : -1;
	if (a->share != b->share)
		return a->share > b->share ? -1 : 1;
	return strcmp(a->key, b->key);
}

static bool
is_unlimited(const struct limits_entry *e)
{
	return e->limit != NULL && e->max == LIMIT_UNLIMITED;
}

static void
json_entry(struct buf *out, const struct limits_entry *e)
{
	buf_printf(out, "{\"kind\":\"%s\"", e->hits > 0 ? "hit" : "near");
	json_text(out, "key", str_of(e->key));
	if (e->limit != NULL) {
		json_text(out, "limit", e->limit->name);
		json_text(out, "unit",
		    str_of(limit_unit_word(e->window->unit)));
		buf_printf(out, ",\"window\":%lld,\"used\":%llu",
		    (long long)e->window->window_ms / 1000,
		    (unsigned long long)e->used);
		if (is_unlimited(e))
			buf_adds(out, ",\"max\":null,\"percent\":0.0");
		else
			buf_printf(out, ",\"max\":%llu,\"percent\":%.1f",
			    (unsigned long long)e->max, 100 * e->share);
		json_time(out, "at", e->at_ms);
	} else {
		buf_adds(out, ",\"limit\":null");
	}
	if (e->hits > 0) {
		buf_printf(out, ",\"times\":%llu", (unsigned long long)e->hits);
		json_time(out, "first", e->first_ms);
		json_time(out, "last", e->last_ms);
		json_text(out, "rule", e->rule->where);
		json_text(out, "source", e->rule->source);
	}
	buf_adds(out, "}\n");
}

static void
text_window(struct buf *out, const struct limits_entry *e)
{
	if (e->limit == NULL) {
		buf_adds(out, "blocked");
		return;
	}
	buf_printf(out, "%.*s: ", STR_FMT(e->limit->name));
	if (!is_unlimited(e))
		buf_printf(out, "%llu ", (unsigned long long)e->max);
	buf_printf(out, "%s/%.*s", limit_unit_word(e->window->unit),
	    STR_FMT(e->window->text));
}

static void
text_hit(struct buf *out, const struct limits_entry *e)
{
	buf_printf(out, "%6llu times  ", (unsigned long long)e->hits);
	add_key(out, e->key);
	buf_adds(out, "  ");
	text_window(out, e);
	buf_adds(out, "\n              from ");
	add_time(out, e->first_ms);
	buf_adds(out, " to ");
	add_time(out, e->last_ms);
	buf_printf(out, "\n              %.*s: ", STR_FMT(e->rule->where));
	buf_addstr(out, e->rule->source);
	buf_addc(out, '\n');
}

static void
text_near(struct buf *out, const struct limits_entry *e)
{
	buf_printf(out, "%6.0f%%  ", 100 * (is_unlimited(e) ? 0 : e->share));
	add_key(out, e->key);
	buf_printf(out, "  %llu of ", (unsigned long long)e->used);
	text_window(out, e);
	buf_adds(out, ", ");
	add_time(out, e->at_ms);
	buf_addc(out, '\n');
}

/* --- the whole --------------------------------------------------------- */

#define COUNTS(X)                         \
	X(lines, "lines")                 \
	X(bad, "bad lines")               \
	X(foreign, "of other programs")   \
	X(messages, "messages")           \
	X(recipients, "recipients")       \
	X(unnamed, "of them not named")   \
	X(refused, "recipients refused")  \
	X(filtered, "refused by a filter") \
	X(unfinished, "without an end")

static void
json_summary(struct buf *out, const struct maillog_stats *st,
    const struct limits_found *f)
{
	buf_printf(out, "{\"kind\":\"summary\",\"keys\":%zu,\"left_out\":%llu",
	    f->n, (unsigned long long)f->left_out);
#define X(field, words) \
	buf_printf(out, ",\"" #field "\":%llu", (unsigned long long)st->field);
	COUNTS(X)
#undef X
	if (st->first_ms != 0) {
		json_time(out, "first", st->first_ms);
		json_time(out, "last", st->last_ms);
	}
	buf_adds(out, "}\n");
}

static void
text_summary(struct buf *out, const struct maillog_stats *st,
    const struct limits_found *f)
{
	const char *comma = "";

#define X(field, words)                                                    \
	if (st->field > 0) {                                               \
		buf_printf(out, "%s%llu %s", comma,                        \
		    (unsigned long long)st->field, words);                 \
		comma = ", ";                                              \
	}
	COUNTS(X)
#undef X
	if (st->first_ms != 0) {
		buf_adds(out, "\nfrom ");
		add_time(out, st->first_ms);
		buf_adds(out, " to ");
		add_time(out, st->last_ms);
	}
	buf_addc(out, '\n');
	if (f->left_out > 0)
		buf_printf(out,
		    "%llu times there was no room to remember a key\n",
		    (unsigned long long)f->left_out);
}

static bool
asks_limit(const struct expr *x, const struct limit *l)
{
	for (; x != NULL; x = x->right)
		if ((x->op == EXPR_OVER && x->limit == l) ||
		    asks_limit(x->left, l))
			return true;
	return false;
}

/* A limit that no rule asks counts nothing, and hits nobody. */
static void
text_unasked(struct buf *out, const struct policy *p)
{
	for (size_t i = 0; i < p->nlimits; i++) {
		bool asked = false;

		for (int stage = 0; stage < STAGE_COUNT; stage++)
			for (const struct rule *r = p->rules[stage]; r != NULL;
			     r = r->next)
				if (asks_limit(r->condition, p->limits[i]))
					asked = true;
		if (!asked)
			buf_printf(out, "note: no rule asks `over %.*s'\n",
			    STR_FMT(p->limits[i]->name));
	}
}

void
limits_report(struct limits_found *f, const struct policy *p,
    const struct maillog_stats *st, bool json, size_t others, struct buf *out)
{
	size_t hit = 0, i, end = f->n;

	if (f->n > 0)
		qsort(f->entries, f->n, sizeof(f->entries[0]), compare);
	while (hit < f->n && f->entries[hit]->hits > 0)
		hit++;
	while (end > hit && f->entries[end - 1]->hit)
		end--;
	if (json) {
		for (i = 0; i < end && (i < hit || i - hit < others); i++)
			json_entry(out, f->entries[i]);
		json_summary(out, st, f);
		return;
	}
	text_summary(out, st, f);
	text_unasked(out, p);
	buf_printf(out,
	    hit > 0 ? "\nwould have been hit:\n" :
		      "\nnobody would have been hit\n");
	for (i = 0; i < hit; i++)
		text_hit(out, f->entries[i]);
	if (i < end && others > 0)
		buf_adds(out, "\nthe nearest of the others:\n");
	for (; i < end && i - hit < others; i++)
		text_near(out, f->entries[i]);
	if (i < end)
		buf_printf(out, "(%zu more: --all)\n", end - i);
}
