#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "score/score.h"

/* SpamAssassin's: lines of 79 columns, a tab being 8, broken behind a comma or
 * a blank; the name of the field counts on the first. */
#define NAME_WIDTH	15	/* "X-Spam-Status: " */
#define TAB_WIDTH	8
#define LINE_WIDTH	79
#define REPORT_MAX	(256 * 1024)

static int
by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* "A,B", in the alphabet's order; "none". */
static void
add_names(struct buf *out, struct arena *a, const struct score_hit *hits)
{
	const struct score_hit *hit;
	struct str *names;
	size_t n = 0, i;

	for (hit = hits; hit != NULL; hit = hit->next)
		n++;
	names = arena_alloc(a, (n + 1) * sizeof(*names));
	if (n == 0 || names == NULL) {
		buf_adds(out, "none");
		return;
	}
	for (n = 0, hit = hits; hit != NULL; hit = hit->next)
		names[n++] = hit->rule;
	qsort(names, n, sizeof(*names), by_name);
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(out, ',');
		buf_addstr(out, names[i]);
	}
}

/* Up to and with the next place where a line may be broken. */
static struct str
next_piece(struct str text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if (text.p[i] == ' ' || text.p[i] == ',')
			return str_sub(text, 0, i + 1);
	return text;
}

static void
fold(struct buf *out, struct str text)
{
	size_t width = NAME_WIDTH;
	bool empty = true;
	struct str piece;

	while (text.n > 0) {
		piece = next_piece(text);
		if (!empty && width + piece.n > LINE_WIDTH) {
			while (out->n > 0 && out->p[out->n - 1] == ' ')
				buf_truncate(out, out->n - 1);
			buf_adds(out, "\n\t");
			width = TAB_WIDTH;
		}
		buf_addstr(out, piece);
		width += piece.n;
		empty = false;
		text = str_sub(text, piece.n, text.n);
	}
}

/* As printf() rounds, 2.25 to 2.2; but a message under its limit is not shown
 * with it by rounding: a tenth less then, and Perl has no zero behind 1. */
static void
add_score(struct buf *out, double total, double required)
{
	char text[32], limit[32];

	snprintf(text, sizeof(text), "%.1f", total);
	snprintf(limit, sizeof(limit), "%.1f", required);
	if (total < required && strtod(text, NULL) >= strtod(limit, NULL))
		snprintf(text, sizeof(text), "%.15g",
		    strtod(limit, NULL) - 0.1);
	buf_printf(out, ", score=%s required=%s tests=", text, limit);
}

struct str
score_report(struct arena *a, const struct score_result *result, double extra,
    double required)
{
	struct buf plain = BUF_INIT(REPORT_MAX), text = BUF_INIT(REPORT_MAX);
	double total = extra + (result != NULL ? result->score : 0);
	struct str copy;

	total = round(total * 1000) / 1000;
	buf_adds(&plain, total >= required ? "Yes" : "No");
	add_score(&plain, total, required);
	add_names(&plain, a, result != NULL ? result->hits : NULL);
	buf_adds(&plain, " autolearn=no");
	fold(&text, buf_str(&plain));
	copy = arena_str(a, buf_str(&text));
	buf_free(&plain);
	buf_free(&text);
	return copy;
}
