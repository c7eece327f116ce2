#include "policy/text.h"

#include <math.h>
#include <stdio.h>
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

static size_t
number_print(double n, char *out, size_t room)
{
	size_t len;

	if (n == floor(n) && fabs(n) < 1e15)
		return (size_t)snprintf(out, room, "%.0f", n);
	len = (size_t)snprintf(out, room, "%.3f", n);
	while (fabs(n) < 1e15 && len > 0 && out[len - 1] == '0')
		len--;
	return len;
}

/* The items, joined, as far as there is room. */
static size_t
list_print(const struct value *v, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < v->nitems && n < room; i++) {
		const struct str parts[] = { i > 0 ? STR(", ") : STR_NONE,
			v->items[i] };

		for (size_t k = 0; k < 2; k++) {
			struct str part = str_sub(parts[k], 0, room - n);

			if (part.n > 0)
				memcpy(out + n, part.p, part.n);
			n += part.n;
		}
	}
	return n;
}

static struct str
list_text(struct arena *arena, const struct value *v)
{
	size_t room = 0;
	char *p;

	for (size_t i = 0; i < v->nitems && room < TEXT_MAX; i++)
		room += v->items[i].n + 2;
	if (room > TEXT_MAX)
		room = TEXT_MAX;
	if ((p = arena_alloc(arena, room + 1)) == NULL)
		return STR_NONE;
	return (struct str){ p, list_print(v, p, room) };
}

struct str
fact_brief(const struct value *v, char out[FACT_BRIEF])
{
	size_t n;

	if (v->unknown)
		return STR("unknown");
	if (v->absent)
		return STR("");
	if (v->kind == VALUE_NUMBER)
		n = number_print(v->number, out, FACT_BRIEF);
	else if (v->kind == VALUE_ADDR) {
		addr_format(&v->addr, out);
		n = strlen(out);
	} else if (v->nitems > 1)
		n = list_print(v, out, FACT_BRIEF);
	else
		return str_sub(v->text, 0, FACT_BRIEF);
	return (struct str){ out, n < FACT_BRIEF ? n : FACT_BRIEF - 1 };
}

struct str
fact_text(struct arena *arena, const struct value *v)
{
	char brief[FACT_BRIEF];

	if (v->unknown || v->absent)
		return fact_brief(v, brief);
	if (v->kind == VALUE_NUMBER || v->kind == VALUE_ADDR)
		return arena_str(arena, fact_brief(v, brief));
	if (v->nitems > 1)
		return list_text(arena, v);
	return str_sub(v->text, 0, TEXT_MAX);
}

/* What a fact says must stay one line of the text around it; the report of
 * the score and a Received-SPF value are folded on purpose. */
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
	add_fact(out, said,
	    t->fact.def->id == FACT_SCORE_REPORT ||
		t->fact.def->id == FACT_SPF_RECEIVED);
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
