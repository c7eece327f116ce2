#include "policy/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define QUOTE_WIDTH	120		/* columns shown of a line */
#define QUOTE_BEFORE	60		/* before a far place */
#define TAB_WIDTH	8
#define MESSAGE_MAX	1000
#define WORD_MAX	64		/* longer words get no suggestion */

/* Copies of all it tells: a diag outlives the policy that it is about. */
struct mistake {
	bool		 error;
	size_t		 seq;
	unsigned int	 order, line, col;
	char		*file;
	char		*message;
	char		*quote;		/* source line and underline, or NULL */
};

struct diag {
	struct mistake	*mistakes;
	size_t		 n, cap;
	size_t		 told[2];	/* warnings, errors that are kept */
	size_t		 seen[2];	/* that were found */
	struct mistake	*last;		/* NULL: not kept */
};

struct diag *
diag_new(void)
{
	return mem_alloc(sizeof(struct diag));
}

void
diag_free(struct diag **d)
{
	if (*d == NULL)
		return;
	for (size_t i = 0; i < (*d)->n; i++) {
		free((*d)->mistakes[i].file);
		free((*d)->mistakes[i].message);
		free((*d)->mistakes[i].quote);
	}
	free((*d)->mistakes);
	free(*d);
	*d = NULL;
}

static struct str
source_line(const struct source *src, unsigned int line)
{
	struct str rest = src->text, s = STR_NONE;

	for (unsigned int i = 0; i < line; i++) {
		if (rest.p == NULL)
			return STR_NONE;
		s = str_cut(rest, '\n', &rest);
	}
	return s;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Length of the well-formed UTF-8 character at the start of s, 0 if none. */
static size_t
character(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 :
	    c < 0xc2	    ? 0 :
	    c < 0xe0	    ? 2 :
	    c < 0xf0	    ? 3 :
	    c < 0xf5	    ? 4 :
			      0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (!is_continuation(s.p[i]))
			return 0;
	return n;
}

struct quoting {
	struct buf	*out;
	size_t		 width;		/* columns written */
	size_t		 from, to;	/* columns to underline */
};

/* One character as a terminal can show it; control characters as `?'. */
static size_t
quote_character(struct quoting *q, struct str s)
{
	size_t n = character(s);

	if (s.p[0] == '\t') {
		do {
			buf_addc(q->out, ' ');
			q->width++;
		} while (q->width % TAB_WIDTH != 0);
		return 1;
	}
	if (n == 0 || (unsigned char)s.p[0] < ' ' || s.p[0] == 0x7f)
		buf_addc(q->out, '?');
	else
		buf_add(q->out, s.p, n);
	q->width++;
	return n == 0 ? 1 : n;
}

static void
quote_line(struct quoting *q, struct str line, struct place at)
{
	unsigned int col = 1;
	unsigned int first =
	    at.col > QUOTE_WIDTH - 20 ? at.col - QUOTE_BEFORE : 1;

	if (first > 1) {
		buf_adds(q->out, "...");
		q->width = 3;
	}
	q->from = q->to = SIZE_MAX;
	for (size_t i = 0; i < line.n; col++) {
		struct str rest = str_sub(line, i, line.n);
		size_t n = character(rest);

		if (col == at.col)
			q->from = q->width;
		if (col == at.col + at.len)
			q->to = q->width;
		if (q->width >= QUOTE_WIDTH) {
			buf_adds(q->out, "...");
			break;
		}
		i += col < first ? (n == 0 ? 1 : n) : quote_character(q, rest);
	}
	if (q->from == SIZE_MAX)
		q->from = q->width;
	if (q->to == SIZE_MAX)
		q->to = q->width;
}

static char *
quote_place(struct place at)
{
	struct buf out = BUF_INIT(8 * QUOTE_WIDTH);
	struct quoting q = { .out = &out };
	struct str line;
	char *text;

	if (at.source == NULL || at.line == 0)
		return NULL;
	line = source_line(at.source, at.line);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	buf_adds(&out, "    ");
	quote_line(&q, line, at);
	buf_adds(&out, "\n    ");
	for (size_t i = 0; i < q.from; i++)
		buf_addc(&out, ' ');
	buf_addc(&out, '^');
	for (size_t i = q.from + 1; i < q.to; i++)
		buf_addc(&out, '~');
	buf_addc(&out, '\n');
	text = mem_strndup(out.p, out.n);
	buf_free(&out);
	return text;
}

static bool
is_told(const struct diag *d, const struct mistake *m)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct mistake *o = &d->mistakes[i];

		if (o->order == m->order && o->line == m->line &&
		    o->col == m->col && strcmp(o->message, m->message) == 0)
			return true;
	}
	return false;
}

static struct mistake *
mistake_keep(struct diag *d, const struct mistake *m)
{
	if (d->n == d->cap) {
		d->cap = d->cap == 0 ? 16 : 2 * d->cap;
		d->mistakes =
		    mem_resize(d->mistakes, d->cap * sizeof(*d->mistakes));
	}
	d->mistakes[d->n] = *m;
	return &d->mistakes[d->n++];
}

static void
mistake_add(struct diag *d, bool error, struct place at, const char *fmt,
    va_list ap)
{
	struct buf text = BUF_INIT(MESSAGE_MAX);
	struct mistake m = { .error = error,
		.seq = d->n,
		.line = at.line,
		.col = at.col };

	buf_vprintf(&text, fmt, ap);
	m.message = mem_strndup(text.p ? text.p : "", text.n);
	buf_free(&text);
	m.order = at.source ? at.source->order : 0;
	d->last = NULL;
	if (is_told(d, &m)) {
		free(m.message);
		return;
	}
	d->seen[error]++;
	if (d->told[error] == DIAG_MAX) {
		free(m.message);
		return;
	}
	d->told[error]++;
	if (at.source != NULL)
		m.file = mem_strndup(at.source->name.p, at.source->name.n);
	m.quote = quote_place(at);
	d->last = mistake_keep(d, &m);
}

void
diag_error(struct diag *d, struct place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	mistake_add(d, true, at, fmt, ap);
	va_end(ap);
}

void
diag_warn(struct diag *d, struct place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	mistake_add(d, false, at, fmt, ap);
	va_end(ap);
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Damerau-Levenshtein distance (neighbours swapped count once), without
 * case; words longer than WORD_MAX are infinitely far away.
 */
static size_t
distance(struct str a, struct str b)
{
	size_t rows[3][WORD_MAX + 1];

	if (a.n > WORD_MAX || b.n > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *row = rows[i % 3], *up = rows[(i - 1) % 3];
		size_t *upup = rows[(i + 1) % 3];
		int ca = chr_lower((unsigned char)a.p[i - 1]);

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			int cb = chr_lower((unsigned char)b.p[j - 1]);

			row[j] = least(up[j - 1] + (ca != cb),
			    least(up[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 &&
			    ca == chr_lower((unsigned char)b.p[j - 2]) &&
			    cb == chr_lower((unsigned char)a.p[i - 2]))
				row[j] = least(row[j], upup[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

void
diag_suggest(struct diag *d, struct str word, const char *const *known,
    size_t n)
{
	size_t limit = word.n < 4 ? 1 : word.n < 9 ? 2 : word.n / 3;
	size_t best = SIZE_MAX;
	const char *found = NULL;
	struct buf text = BUF_INIT(MESSAGE_MAX + 2 * WORD_MAX);

	if (d->last == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		size_t far = distance(word, str_of(known[i]));

		if (far < best) {
			best = far;
			found = known[i];
		}
	}
	if (found == NULL || best > limit || best >= strlen(found))
		return;
	buf_printf(&text, "%s; did you mean `%s'?", d->last->message, found);
	free(d->last->message);
	d->last->message = mem_strndup(text.p, text.n);
	buf_free(&text);
}

size_t
diag_errors(const struct diag *d)
{
	return d->seen[true];
}

size_t
diag_warnings(const struct diag *d)
{
	return d->seen[false];
}

static int
mistake_cmp(const void *va, const void *vb)
{
	const struct mistake *a = va, *b = vb;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static void
mistake_print(const struct mistake *m, struct buf *out)
{
	if (m->file != NULL)
		buf_printf(out, "%s:", m->file);
	if (m->line > 0)
		buf_printf(out, "%u:%u:", m->line, m->col);
	buf_printf(out, "%s%s: %s\n", m->file != NULL ? " " : "",
	    m->error ? "error" : "warning", m->message);
	if (m->quote != NULL)
		buf_adds(out, m->quote);
}

void
diag_print(const struct diag *d, struct buf *out)
{
	struct mistake *sorted;

	if (d->n == 0)
		return;
	sorted = mem_alloc(d->n * sizeof(*sorted));
	memcpy(sorted, d->mistakes, d->n * sizeof(*sorted));
	qsort(sorted, d->n, sizeof(*sorted), mistake_cmp);
	for (size_t i = 0; i < d->n; i++)
		mistake_print(&sorted[i], out);
	free(sorted);
	for (int error = 1; error >= 0; error--)
		if (d->seen[error] > d->told[error])
			buf_printf(out, "... and %zu more %s\n",
			    d->seen[error] - d->told[error],
			    error ? "errors" : "warnings");
}
