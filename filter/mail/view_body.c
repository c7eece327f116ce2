#include "mail/view_body.h"

#include <string.h>

#include "mail/body.h"
#include "mail/view_charset.h"
#include "mail/view_html.h"

#define SCAN_SLACK 1024 /* how far behind it a good place may be */

struct lines {
	struct arena *arena;
	struct view_lines *out;
	size_t room;
	bool full;
};

static void
add_line(struct lines *l, struct str line)
{
	size_t room = l->room > 0 ? l->room * 2 : 32;
	struct str *bigger;

	if (l->full)
		return;
	if (l->out->count == l->room) {
		bigger = arena_alloc(l->arena, room * sizeof(*bigger));
		if (bigger == NULL) {
			l->full = true;
			return;
		}
		if (l->out->count > 0)
			memcpy(bigger, l->out->line,
			    l->out->count * sizeof(*bigger));
		l->out->line = bigger;
		l->room = room;
	}
	l->out->line[l->out->count++] = line;
}

static bool
is_html(const struct view_part *p)
{
	struct str s = p->name;

	return str_eq(p->type, STR("text/html")) || str_iends(s, STR(".htm")) ||
	    str_iends(s, STR(".html")) || str_iends(s, STR(".shtm")) ||
	    str_iends(s, STR(".shtml"));
}

/* text/..., message/..., or what its name says is HTML. */
static bool
is_raw_text(const struct view_part *p)
{
	struct str rest, media = str_cut(p->type, '/', &rest);

	if (str_eq(p->type, STR("text/calendar")))
		return false;
	/* "text-x" is text as well, "textx" is not. */
	if (str_starts(media, STR("text")))
		media = str_sub(media, 4, media.n);
	else if (str_starts(media, STR("message")))
		media = str_sub(media, 7, media.n);
	else
		return is_html(p);
	return is_html(p) || media.n == 0 ||
	    (!chr_alnum((unsigned char)media.p[0]) && media.p[0] != '_');
}

/*
 * Chunks of rawbody.
 */

/* The first c at or behind `from' that is not too far behind. */
static ptrdiff_t
find_near(struct str s, size_t from, char c)
{
	struct str range = str_sub(s, from, SCAN_SLACK + 1);
	ptrdiff_t at = str_chr(range, c);

	return at < 0 ? at : (ptrdiff_t)from + at;
}

/* Cut at a good place behind so many bytes: behind the first of these. */
static struct str
cut_scan(struct str s, size_t scan, const char *places)
{
	ptrdiff_t at = -1;

	if (s.n <= scan)
		return s;
	for (; *places != '\0' && at < 0; places++)
		at = find_near(s, scan, *places);
	return str_sub(s, 0, at < 0 ? scan : (size_t)at + 1);
}

/* Pieces between one and two times VIEW_LINE_MAX. */
static void
add_chunks(struct lines *l, struct str s)
{
	static const char places[] = "\n> ";

	while (s.n > VIEW_LINE_MAX) {
		struct str window;
		ptrdiff_t at = -1;

		if (s.n <= (size_t)2 * VIEW_LINE_MAX)
			break;
		window = str_sub(s, VIEW_LINE_MAX, VIEW_LINE_MAX);
		for (size_t i = 0; places[i] != '\0' && at < 0; i++)
			at = str_chr(window, places[i]);
		at = at < 0 ? VIEW_LINE_MAX : at + VIEW_LINE_MAX;
		add_line(l, str_sub(s, 0, (size_t)at + 1));
		s = str_sub(s, (size_t)at + 1, s.n);
	}
	add_line(l, s);
}

bool
view_body_chunks(struct arena *a, struct view *v)
{
	struct lines l = { .arena = a, .out = &v->rawbody };

	for (struct view_part *p = v->parts; p != NULL; p = p->next)
		if (p->leaf && p->type.n > 0 && is_raw_text(p))
			add_chunks(&l,
			    cut_scan(p->decoded, VIEW_RAWBODY_SCAN, "\n> "));
	return !l.full;
}

/*
 * Lines of body.
 */

/* How many bytes the first n characters have. */
static size_t
char_bytes(struct str s, size_t n)
{
	size_t i = 0;

	for (; i < s.n; i++)
		if ((s.p[i] & 0xc0) != 0x80 && n-- == 0)
			break;
	return i;
}

/* The text of a part no longer than scan characters, or a little more. */
static void
cut_text(struct buf *b, size_t from)
{
	struct str s = str_sub(buf_str(b), from, b->n), slack;
	size_t n, keep;
	ptrdiff_t at;

	if (s.n <= VIEW_BODY_SCAN)
		return;
	n = keep = char_bytes(s, VIEW_BODY_SCAN);
	if (n == s.n)
		return;
	slack = str_sub(s, n, s.n);
	slack.n = char_bytes(slack, SCAN_SLACK + 1);
	at = str_chr(slack, '\n');
	if (at < 0)
		at = str_chr(slack, ' ');
	if (at >= 0)
		keep = n + (size_t)at + 1;
	buf_truncate(b, from + keep);
}

/* false: the arena is full. */
static bool
render_html(struct arena *a, struct view_part *p, struct str utf8,
    struct buf *out, bool *wide)
{
	p->html = view_html_render(a, utf8, p->decoded.n, out, wide);
	return p->html != NULL;
}

/* *wide: characters beyond ASCII are what they are, not bytes. */
static bool
render_part(struct arena *a, struct view *v, struct view_part *p,
    struct buf *out, bool *wide)
{
	struct buf utf8 = BUF_INIT(4 * (size_t)BODY_MAX_DECODED);
	size_t from = out->n;
	bool is_wide, ok = true;

	if (!is_html(p) || p->decoded.n == 0) {
		is_wide = view_charset_add(out, p->charset, p->decoded);
	} else {
		is_wide = view_charset_add(&utf8, p->charset, p->decoded);
		ok = render_html(a, p, buf_str(&utf8), out, &is_wide);
	}
	v->truncated |= utf8.failed || out->failed ||
	    (p->html != NULL && p->html->truncated);
	*wide |= is_wide;
	buf_free(&utf8);
	cut_text(out, from);
	p->rendered = arena_str(a, str_sub(buf_str(out), from, out->n - from));
	return ok && p->rendered.p != NULL;
}

static bool
is_rendered(const struct view_part *p)
{
	return p->leaf && p->type.n > 0 &&
	    (str_eq(p->type, STR("text/plain")) || is_html(p));
}

/* How much of the text at i is words of ASCII, and one blank before each. */
static size_t
words_len(struct str s, size_t i)
{
	const signed char *p = (const signed char *)s.p + i;
	size_t left = s.n - i, n = str_words(str_sub(s, i, left));

	while (n < left &&
	    (p[n] > ' ' || (p[n] == ' ' && n + 1 < left && p[n + 1] > ' ')))
		n++;
	return n;
}

/* White space: what holds two line ends or more becomes an LF, other runs
 * become a blank.  NUL is an LF as well. */
static size_t
even_space(char *out, struct str s, bool wide)
{
	size_t i = 0, n = 0;

	while (i < s.n) {
		const char *first, *last;
		size_t end = i + words_len(s, i), step;

		if (end > i) {
			memcpy(out + n, s.p + i, end - i);
			n += end - i;
			i = end;
			continue;
		}
		while (
		    (step = view_charset_space(str_sub(s, end, s.n), wide)) > 0)
			end += step;
		if (end == i) {
			out[n++] = s.p[i] == '\0' ? '\n' : s.p[i];
			i++;
			continue;
		}
		first = memchr(s.p + i, '\n', end - i);
		last = memrchr(s.p + i, '\n', end - i);
		if (first == NULL || first == last) {
			out[n++] = ' ';
		} else {
			if (first > s.p + i)
				out[n++] = ' ';
			out[n++] = '\n';
			if (last + 1 < s.p + end)
				out[n++] = ' ';
		}
		i = end;
	}
	return n;
}

/* Characters up to U+00FF become bytes; there are no others. */
static size_t
narrow(char *p, size_t n)
{
	size_t k = str_ascii((struct str){ p, n });

	for (size_t i = k; i < n; i++) {
		unsigned int c = (unsigned char)p[i];

		if (c >= 0x80 && i + 1 < n)
			c = (c & 3) << 6 | (p[++i] & 0x3f);
		p[k++] = (char)c;
	}
	return k;
}

/* Lines with their LF; what is longer is cut at a blank. */
static void
add_lines(struct lines *l, struct str s)
{
	while (s.n > 0) {
		const char *lf = memchr(s.p, '\n', s.n);
		struct str line = s;
		size_t n;

		if (lf != NULL)
			line.n = (size_t)(lf - s.p) + 1;
		s = str_sub(s, line.n, s.n);
		while (line.n > VIEW_LINE_MAX) {
			ptrdiff_t at =
			    str_rchr(str_sub(line, 0, VIEW_LINE_MAX + 1), ' ');

			n = at >= 0 ? (size_t)at + 1 : VIEW_LINE_MAX;
			add_line(l, str_sub(line, 0, n));
			line = str_sub(line, n, line.n);
		}
		add_line(l, line);
	}
}

static bool
render_parts(struct arena *a, struct view *v, struct buf *out, bool *wide)
{
	struct html_facts **tail = &v->html;
	bool any = false;

	for (struct view_part *p = v->parts; p != NULL; p = p->next) {
		any |= p->leaf && p->type.n > 0;
		if (p->leaf && p->type.n > 0 && out->n > 0)
			buf_addc(out, '\n');
		if (!is_rendered(p))
			continue;
		if (!render_part(a, v, p, out, wide))
			return false;
		if (p->html != NULL) {
			*tail = p->html;
			tail = &p->html->next;
		}
	}
	return any;
}

static bool
join_lines(struct arena *a, struct view *v, struct str subject, struct str text,
    bool wide)
{
	struct lines l = { .arena = a, .out = &v->body };
	char *p = arena_alloc(a, subject.n + 1 + text.n + 1);
	size_t n = subject.n;

	if (p == NULL)
		return false;
	if (n > 0)
		memcpy(p, subject.p, n);
	p[n++] = '\n';
	text.n = even_space(p + n, text, wide);
	if (!wide)
		text.n = narrow(p + n, text.n);
	add_lines(&l, (struct str){ p, n + text.n });
	return !l.full;
}

bool
view_body_lines(struct arena *a, struct view *v, const struct headers *hs)
{
	struct buf text = BUF_INIT(4 * (size_t)BODY_MAX_DECODED);
	struct str subject = view_part_field(a, hs, STR("Subject"));
	bool wide = false, ok = true;
	size_t before = 0;

	for (struct view_part *p = v->parts; p != NULL; p = p->next)
		before += p->leaf && p->type.n > 0;
	if (before > 0)
		ok = render_parts(a, v, &text, &wide) &&
		    join_lines(a, v, subject, buf_str(&text), wide);
	buf_free(&text);
	return ok;
}
