#include "policy/text.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define TEXT_MAX	8192	/* bytes of one fact in a text */
#define RENDER_MAX	32768	/* bytes of a whole text */

struct str
fact_duration(struct arena *arena, int64_t ms)
{
	static const struct {
		int64_t		 s;
		char		 unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t s = ms > 0 ? (ms + 999) / 1000 : 0;
	size_t i = 0;

	/* Rounded up: nobody is told to come back too early. */
	while (i < 3 && s < 2 * units[i].s && s != units[i].s)
		i++;
	return arena_printf(arena, "%lld%c",
	    (long long)((s + units[i].s - 1) / units[i].s), units[i].unit);
}

static struct str
number_text(struct arena *arena, double n)
{
	struct str s;

	if (n == floor(n) && fabs(n) < 1e15)
		return arena_printf(arena, "%.0f", n);
	s = arena_printf(arena, "%.3f", n);
	while (s.n > 0 && s.p[s.n - 1] == '0')
		s.n--;
	return s;
}

static struct str
list_text(struct arena *arena, const struct value *v)
{
	size_t n = 0;
	char *p, *end;

	for (size_t i = 0; i < v->nitems && n < TEXT_MAX; i++)
		n += v->items[i].n + 2;
	if (n > TEXT_MAX)
		n = TEXT_MAX;
	if ((p = arena_alloc(arena, n + 1)) == NULL)
		return STR_NONE;
	end = p;
	for (size_t i = 0; i < v->nitems; i++) {
		struct str sep = i > 0 ? STR(", ") : STR_NONE;
		struct str item = v->items[i];

		sep = str_sub(sep, 0, n - (size_t)(end - p));
		if (sep.n > 0)
			memcpy(end, sep.p, sep.n);
		end += sep.n;
		item = str_sub(item, 0, n - (size_t)(end - p));
		if (item.n > 0)
			memcpy(end, item.p, item.n);
		end += item.n;
	}
	return (struct str){ p, (size_t)(end - p) };
}

struct str
fact_text(struct arena *arena, const struct value *v)
{
	char addr[ADDR_TEXT_MAX];

	if (v->unknown)
		return STR("unknown");
	if (v->absent)
		return STR("");
	switch (v->kind) {
	case VALUE_NUMBER:
		return number_text(arena, v->number);
	case VALUE_ADDR:
		addr_format(&v->addr, addr);
		return arena_str(arena, str_of(addr));
	default:
		if (v->nitems > 1)
			return list_text(arena, v);
		return str_sub(v->text, 0, TEXT_MAX);
	}
}

/* What a fact says must stay one line of the text around it; the report of
 * the score is folded on purpose. */
static void
add_fact(struct buf *out, struct str s, bool keep_folds)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < ' ' || c == 0x7f) && !keep_folds)
			c = ' ';
		buf_addc(out, (char)c);
	}
}

static void
render_fact(struct session *s, struct arena *arena, struct trace *trace,
    enum stage stage, const struct text *t, struct buf *out)
{
	int64_t start = clock_mono_us();
	struct value value;
	struct str said;

	fact_get(s, &t->fact, &value);
	said = fact_text(arena, &value);
	trace_fact(trace, str_of(t->fact.def->name), said, value.unknown,
	    clock_mono_us() - start, stage);
	add_fact(out, said, t->fact.def->id == FACT_SCORE_REPORT);
}

struct str
text_render(struct session *s, enum stage stage, const struct text *text)
{
	struct arena *arena = session_arena(s);
	struct trace *trace = trace_of(s);
	struct buf out = BUF_INIT(RENDER_MAX);
	struct str result;

	if (text != NULL && text->next == NULL && text->fact.def == NULL)
		return text->literal;
	for (; text != NULL; text = text->next) {
		if (text->fact.def == NULL)
			buf_addstr(&out, text->literal);
		else
			render_fact(s, arena, trace, stage, text, &out);
	}
	result = arena_str(arena, buf_str(&out));
	buf_free(&out);
	return result;
}
