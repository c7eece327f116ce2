#include "mail/view_part.h"

#include <string.h>

#include "mail/body.h"
#include "mail/field.h"
#include "mail/view_line.h"
#include "mail/view_type.h"

#define BLANK_LINES_MAX	 20 /* in a row, more are dropped */
#define NAME_MAX_BYTES	 256 /* of a message's field names and values */
#define VALUE_MAX_BYTES	 8192
#define BAD_FIELDS_MAX	 3
#define BLOCK_MAX_FIELDS 1000 /* of one part */
#define BLOCK_MAX_BYTES	 (128 * 1024)
#define HEAD_MAX_FIELDS	 20000 /* of all parts */
#define HEAD_MAX_BYTES	 (1024 * 1024)

struct node {
	struct view_part part; /* first: a part is its node */
	struct node *up, *first, *last, *sibling;
	struct node *queued;
	struct str boundary; /* p NULL: none */
	struct str body;
	unsigned int levels; /* that may be below it */
	bool typed; /* it has a Content-Type */
};

struct walk {
	struct arena *arena;
	struct view *view;
	struct node *queue, **queue_tail;
	size_t head_fields, head_bytes;
	size_t decoded; /* bytes, of all parts */
	bool full;
};

/*
 * Fields.
 */

struct str
view_part_field(struct arena *a, const struct headers *hs, struct str name)
{
	const struct header *h = header_last(hs, name);

	if (h == NULL)
		return STR_NONE;
	return field_decode(a, h->name, str_sub(h->value, 0, VALUE_MAX_BYTES));
}

static bool
head_room(struct walk *w, const struct headers *hs, size_t bytes)
{
	if (hs->count >= BLOCK_MAX_FIELDS || hs->bytes >= BLOCK_MAX_BYTES ||
	    w->head_fields >= HEAD_MAX_FIELDS ||
	    w->head_bytes + bytes >= HEAD_MAX_BYTES) {
		w->view->truncated = true;
		return false;
	}
	w->head_fields++;
	w->head_bytes += bytes;
	return true;
}

/* A part's field with its folds.  A name that a blank follows is another
 * name. */
static void
add_field(struct walk *w, struct headers *hs, struct str field)
{
	size_t n = view_line_field(field, false);
	struct str value = str_sub(field, n + 1, field.n);

	if (n == 0 || !head_room(w, hs, field.n))
		return;
	while (value.n > 0 && chr_white((unsigned char)value.p[0]))
		value = str_sub(value, 1, value.n);
	w->full |= !header_add(w->arena, hs, str_sub(field, 0, n),
	    view_line_drop_lf(value));
}

/*
 * Nodes.
 */

static struct node *
add_node(struct walk *w, struct node *up)
{
	struct node *n;

	if (w->view->part_count >= BODY_MAX_PARTS) {
		w->view->truncated = true;
		return NULL;
	}
	n = arena_alloc(w->arena, sizeof(*n));
	if (n == NULL) {
		w->full = true;
		return NULL;
	}
	w->view->part_count++;
	n->part.leaf = true;
	n->part.name = STR("");
	n->up = up;
	if (up == NULL)
		return n;
	n->part.depth = up->part.depth + 1;
	n->part.parent = &up->part;
	up->part.leaf = false;
	if (up->last != NULL)
		up->last->sibling = n;
	else
		up->first = n;
	up->last = n;
	return n;
}

static void
enqueue(struct walk *w, struct node *n)
{
	*w->queue_tail = n;
	w->queue_tail = &n->queued;
}

static bool
is_multipart(const struct node *n)
{
	return str_starts(n->part.type, STR("multipart/"));
}

/*
 * A message: its body.
 */

/* A run of blank lines, of which too many are cut out of the middle. */
struct blanks {
	size_t lines, head; /* head: how many of the first stay */
	const char *start, *head_end;
	const char *last[BLANK_LINES_MAX - 1]; /* ring of where lines begin */
};

static void
blanks_add(struct blanks *b, struct str line, bool at_top)
{
	if (b->lines == 0) {
		b->start = line.p;
		b->head = at_top ? 2 : 1;
	}
	b->last[b->lines % (BLANK_LINES_MAX - 1)] = line.p;
	b->lines++;
	if (b->lines == b->head)
		b->head_end = line.p + line.n;
}

/* Where the text goes on that was left off at `done'. */
static const char *
blanks_end(struct blanks *b, struct buf *out, const char *done)
{
	size_t lines = b->lines, most = BLANK_LINES_MAX + b->head - 1;

	b->lines = 0;
	if (lines <= most)
		return done;
	buf_add(out, done, (size_t)(b->head_end - done));
	return b->last[lines % (BLANK_LINES_MAX - 1)];
}

/* More than BLANK_LINES_MAX blank lines in a row become so many.  `blank_top'
 * has room for an LF in front of a body that is a copy. */
static struct str
squeeze_blanks(struct walk *w, struct str body)
{
	struct buf out = BUF_INIT(body.n + 1);
	struct blanks b = { .lines = 0 };
	struct str rest = body, line, copy = body;
	const char *done = body.p;

	while (rest.n > 0) {
		line = view_line_take(&rest);
		if (chr_white((unsigned char)line.p[0]) &&
		    view_line_is_blank(line))
			blanks_add(&b, line,
			    line.p == body.p ||
				(b.lines > 0 && b.start == body.p));
		else if (b.lines > 0)
			done = blanks_end(&b, &out, done);
	}
	if (b.lines > 0)
		done = blanks_end(&b, &out, done);
	if (done != body.p) {
		buf_add(&out, done, (size_t)(body.p + body.n - done));
		copy = arena_str(w->arena, buf_str(&out));
		w->full |= copy.p == NULL;
	}
	buf_free(&out);
	return copy;
}

/* A multipart's body that begins with neither a boundary nor an empty line
 * gets one: nothing in it is a field of the message. */
static struct str
guard_multipart(struct walk *w, struct node *n, struct str body)
{
	struct str line, rest = body, after;
	struct str b = n->boundary;
	char *p;

	if (!is_multipart(n) || body.n == 0)
		return body;
	line = view_line_take(&rest);
	if (rest.n == 0 || view_line_is_blank(line))
		return body;
	after = str_sub(line, 2, line.n);
	if (b.p != NULL && str_starts(line, STR("--")) && str_starts(after, b))
		return body;
	p = arena_alloc(w->arena, body.n + 1);
	if (p == NULL) {
		w->full = true;
		return body;
	}
	p[0] = '\n';
	memcpy(p + 1, body.p, body.n);
	return (struct str){ p, body.n + 1 };
}

static void
begin_message(struct walk *w, struct node *n, struct str body,
    unsigned int levels)
{
	struct view_type ct;

	w->full |= !view_type_parse(w->arena, &n->part.headers, &ct);
	n->part.type = ct.type;
	n->boundary = ct.boundary;
	n->typed = !ct.missing;
	n->levels = levels;
	n->body = guard_multipart(w, n, squeeze_blanks(w, body));
	enqueue(w, n);
}

/*
 * A message inside: its head.
 */

static struct str
drop_cr(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' || i + 1 == s.n || s.p[i + 1] != '\n')
			p[n++] = s.p[i];
	return (struct str){ p, n };
}

static bool
ends_crlf(struct str line)
{
	return line.n > 1 && line.p[line.n - 1] == '\n' &&
	    line.p[line.n - 2] == '\r';
}

/* CR LF is an end of line where the first or the last line has it. */
static struct str
lf_lines(struct arena *a, struct str s)
{
	struct str rest = s, first, last;
	ptrdiff_t lf;

	if (s.n == 0)
		return s;
	first = view_line_take(&rest);
	lf = str_rchr(str_sub(s, 0, s.n - 1), '\n');
	last = str_sub(s, lf < 0 ? 0 : (size_t)lf + 1, s.n);
	return ends_crlf(first) || ends_crlf(last) ? drop_cr(a, s) : s;
}

/* "From " of a mailbox file, unless a colon makes a field of it. */
static bool
is_from_line(struct str line)
{
	size_t i = 5;

	if (!str_starts(line, STR("From")) || line.n < 5 ||
	    !chr_white((unsigned char)line.p[4]))
		return false;
	while (i < line.n && chr_white((unsigned char)line.p[i]))
		i++;
	/* Of several blanks one may be left to stand before the colon. */
	return i == line.n || line.p[i] != ':' || i > 5;
}

static bool
keep_field(struct arena *a, struct headers *hs, struct str field)
{
	struct str value, name = str_cut(field, ':', &value);

	if (field.n == 0 || value.p == NULL)
		return true;
	while (name.n > 0 &&
	    (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	return header_add(a, hs, str_sub(name, 0, NAME_MAX_BYTES),
	    view_line_drop_lf(str_sub(value, 0, VALUE_MAX_BYTES)));
}

/* The line ends the head; *bad counts what can be no field. */
static bool
ends_head(struct str line, unsigned int *bad)
{
	if (str_eq(line, STR("\n")) || str_starts(line, STR("--")))
		return true;
	return view_line_field(line, true) == 0 && ++*bad > BAD_FIELDS_MAX;
}

bool
view_part_split(struct arena *a, struct str raw, struct headers *hs,
    struct str *body)
{
	struct str rest = lf_lines(a, raw), line, at, field = STR("");
	unsigned int bad = 0;
	bool ok = rest.p != NULL || raw.n == 0;

	at = rest;
	if (rest.n > 0 && !is_from_line(view_line_take(&rest)))
		rest = at;
	while (ok && rest.n > 0) {
		at = rest;
		line = view_line_take(&rest);
		if (line.p[0] == ' ' || line.p[0] == '\t') {
			/* A first line may be one: of no field. */
			field.p = field.n == 0 ? line.p : field.p;
			field.n += line.n;
			continue;
		}
		ok = keep_field(a, hs, field);
		field = line;
		if (!ends_head(line, &bad))
			continue;
		field = STR("");
		if (line.p[0] != '\n')
			rest = at;
		break;
	}
	*body = rest;
	return ok && keep_field(a, hs, field);
}

/*
 * A multipart.
 */

struct scan {
	struct node *container, *part;
	struct headers headers; /* of the part begun */
	struct str field; /* not yet added; n 0: none */
	struct str body; /* lines so far; p NULL: none */
	bool in_body;
	bool long_line;
	bool nested; /* a part has the same boundary */
};

enum mark { MARK_NONE, MARK_NEXT, MARK_END };

static enum mark
boundary_of(struct str line, struct str boundary, bool may_end)
{
	enum mark mark = MARK_NEXT;

	if (!str_starts(line, STR("--")))
		return MARK_NONE;
	line = str_sub(line, 2, line.n);
	if (!str_starts(line, boundary))
		return MARK_NONE;
	line = str_sub(line, boundary.n, line.n);
	if (may_end && str_starts(line, STR("--"))) {
		mark = MARK_END;
		line = str_sub(line, 2, line.n);
	}
	return view_line_is_blank(line) ? mark : MARK_NONE;
}

static void
scan_body_line(struct scan *s, struct str line)
{
	if (s->body.p == NULL)
		s->body.p = line.p;
	s->body.n += line.n;
	s->long_line |= line.n > VIEW_LINE_MAX;
}

static void
scan_flush_field(struct walk *w, struct scan *s)
{
	if (s->field.n > 0)
		add_field(w, &s->headers, s->field);
	s->field = STR_NONE;
}

/* The fields of a part are over; a part whose last one has the boundary of
 * its container is known to hold it. */
static void
scan_end_head(struct walk *w, struct scan *s)
{
	static const struct str name = { "Content-Type", 12 };
	bool typed = str_istarts(s->field, STR("content-type:"));
	struct str ct, boundary;

	scan_flush_field(w, s);
	s->in_body = true;
	if (!typed)
		return;
	ct = view_part_field(w->arena, &s->headers, name);
	boundary = ct.p != NULL ? view_type_boundary(ct) : STR_NONE;
	if (boundary.p != NULL && str_eq(boundary, s->container->boundary))
		s->nested = true;
}

static void
scan_line(struct walk *w, struct scan *s, struct str line)
{
	if (s->in_body) {
		scan_body_line(s, line);
	} else if (view_line_field(line, true) > 0) {
		scan_flush_field(w, s);
		s->field = line;
	} else if ((line.p[0] == ' ' || line.p[0] == '\t') && s->field.n > 0) {
		s->field.n += line.n;
	} else {
		scan_end_head(w, s);
		if (str_eq(line, STR("\n")) || str_eq(line, STR("\r\n")))
			return;
		w->view->missing_mime_head_body_separator = true;
		scan_body_line(s, line);
	}
}

/* No line is longer than VIEW_LINE_MAX: an LF goes where one is. */
static struct str
cut_long_lines(struct walk *w, struct str body)
{
	struct buf out = BUF_INIT(body.n + body.n / VIEW_LINE_MAX + 1);
	struct str rest = body, line;

	while (rest.n > 0) {
		line = view_line_take(&rest);
		while (line.n > VIEW_LINE_MAX) {
			buf_add(&out, line.p, VIEW_LINE_MAX);
			buf_addc(&out, '\n');
			line = str_sub(line, VIEW_LINE_MAX, line.n);
		}
		buf_addstr(&out, line);
	}
	body = arena_str(w->arena, buf_str(&out));
	w->full |= body.p == NULL;
	buf_free(&out);
	return body;
}

/* The part read so far becomes a node; false: no more can. */
static bool
scan_finish(struct walk *w, struct scan *s, enum mark mark)
{
	struct node *up = s->container, *n = add_node(w, up);
	struct view_type ct;

	if (n == NULL)
		return false;
	if (s->long_line)
		s->body = cut_long_lines(w, s->body);
	n->body = mark != MARK_NONE ? view_line_drop_lf(s->body) : s->body;
	n->part.headers = s->headers;
	w->full |= !view_type_parse(w->arena, &n->part.headers, &ct);
	n->part.type = ct.type;
	n->typed = !ct.missing;
	if (ct.missing && str_eq(up->part.type, STR("multipart/digest")))
		n->part.type = STR("message/rfc822");
	n->boundary = ct.boundary;
	if (n->boundary.n == 0 || str_eq(n->boundary, STR("0")))
		n->boundary = up->boundary;
	n->levels = up->levels - 1;
	enqueue(w, n);
	s->headers = (struct headers){ .first = NULL };
	s->field = s->body = STR_NONE;
	s->in_body = s->long_line = false;
	return true;
}

static void
note_headless(struct walk *w, struct str rest)
{
	if (rest.n > 0 && view_line_field(rest, false) == 0)
		w->view->missing_mime_headers = true;
}

/* Behind the first boundary; all of it where there is none. */
static struct str
skip_preamble(struct walk *w, struct node *n, bool *open)
{
	struct str rest = n->body;

	while (rest.n > 0)
		if (boundary_of(view_line_take(&rest), n->boundary, false)) {
			note_headless(w, rest);
			*open = true;
			return rest;
		}
	w->view->broken = true;
	return n->body;
}

static void
note_epilogue(struct walk *w, struct str rest)
{
	for (size_t i = 0; i < rest.n; i++)
		if (!chr_white((unsigned char)rest.p[i]) && rest.p[i] != '.') {
			w->view->mime_epilogue_exists = true;
			return;
		}
}

static void
parse_multipart(struct walk *w, struct node *n)
{
	struct scan s = { .container = n };
	bool open = false;
	struct str rest = skip_preamble(w, n, &open), line;
	enum mark mark;

	n->part.leaf = false;
	while (rest.n > 0 && !w->full) {
		line = view_line_take(&rest);
		mark = boundary_of(line, n->boundary, true);
		if (mark != MARK_NONE && s.nested) {
			s.nested = mark != MARK_END;
			mark = MARK_NONE;
		}
		if (mark == MARK_NONE && rest.n > 0) {
			scan_line(w, &s, line);
			continue;
		}
		if (mark == MARK_NONE)
			scan_body_line(&s, line);
		if (!scan_finish(w, &s, mark))
			return;
		if (mark == MARK_END) {
			open = false;
			break;
		}
		note_headless(w, rest);
	}
	w->view->boundary_open |= open;
	w->view->broken |= open;
	note_epilogue(w, rest);
}

/*
 * A leaf.
 */

static struct str
disposition_name(struct walk *w, const struct headers *hs)
{
	struct str s =
	    view_part_field(w->arena, hs, STR("Content-Disposition"));
	ptrdiff_t at;
	size_t n = 0;

	while (s.n > 0 && (at = str_ifind(s, STR("name="))) >= 0) {
		s = str_sub(s, (size_t)at + 5, s.n);
		while (s.n > 0 && chr_white((unsigned char)s.p[0]))
			s = str_sub(s, 1, s.n);
		if (s.n > 0 && s.p[0] == '"')
			s = str_sub(s, 1, s.n);
		while (n < s.n && s.p[n] != '"' && s.p[n] != ';')
			n++;
		if (n > 0)
			return str_sub(s, 0, n);
	}
	return STR_NONE;
}

static enum view_encoding
encoding_of(struct walk *w, const struct headers *hs)
{
	struct str s =
	    view_part_field(w->arena, hs, STR("Content-Transfer-Encoding"));

	if (str_ieq(s, STR("quoted-printable")))
		return VIEW_QUOTED;
	return str_ieq(s, STR("base64")) ? VIEW_BASE64 : VIEW_PLAIN;
}

static void
parse_leaf(struct walk *w, struct node *n)
{
	struct view_part *p = &n->part;
	struct view_type ct;
	struct str name;

	w->full |= !view_type_parse(w->arena, &p->headers, &ct);
	if (!ct.missing)
		p->type = is_multipart(n) && n->boundary.p == NULL ?
		    STR("text/plain") :
		    ct.type;
	if (str_starts(ct.type, STR("multipart/")))
		w->view->broken = true;
	p->charset = ct.charset;
	name = disposition_name(w, &p->headers);
	if (name.n == 0)
		name = ct.name;
	p->name = name.n > 0 ? name : STR("");
	p->raw = n->body;
	p->encoding = encoding_of(w, &p->headers);
}

static bool
is_wanted(const struct view_part *p)
{
	return str_starts(p->type, STR("text")) ||
	    str_starts(p->type, STR("message")) ||
	    str_iends(p->name, STR(".htm")) ||
	    str_iends(p->name, STR(".html")) ||
	    str_iends(p->name, STR(".shtm")) ||
	    str_iends(p->name, STR(".shtml"));
}

static void
decode_leaf(struct walk *w, struct node *n)
{
	struct view_part *p = &n->part;
	bool cut = false;

	if (!is_wanted(p))
		return;
	p->decoded =
	    view_part_decode(w->arena, p, BODY_MAX_DECODED - w->decoded, &cut);
	if (p->decoded.p == NULL && p->raw.n > 0) {
		w->full = true;
		return;
	}
	w->decoded += p->decoded.n;
	w->view->truncated |= cut;
}

/* message/rfc822 is a message with a tree of its own. */
static void
open_message(struct walk *w, struct node *n)
{
	struct view_part *p = &n->part;
	struct node *inner;
	struct str body;

	if (!str_eq(p->type, STR("message/rfc822")) &&
	    !str_eq(p->type, STR("message/global")))
		return;
	if (p->decoded.n == 0)
		return;
	if (n->levels == 0) {
		w->view->truncated = true;
		return;
	}
	inner = add_node(w, n);
	if (inner == NULL)
		return;
	inner->part.message = true;
	if (!view_part_split(w->arena, p->decoded, &inner->part.headers,
		&body)) {
		w->full = true;
		return;
	}
	begin_message(w, inner, body, n->levels - 1);
}

/*
 * The tree.
 */

static void
parse_node(struct walk *w, struct node *n)
{
	if (is_multipart(n) && n->boundary.p != NULL && n->levels > 0) {
		parse_multipart(w, n);
		return;
	}
	if (is_multipart(n) && n->levels == 0)
		w->view->truncated = true;
	parse_leaf(w, n);
	decode_leaf(w, n);
	if (!w->full)
		open_message(w, n);
}

/* Depth first, without recursion. */
static void
link_parts(struct view *v, struct node *top)
{
	struct view_part **tail = &v->parts;
	struct node *n = top;

	while (n != NULL) {
		*tail = &n->part;
		tail = &n->part.next;
		if (n->first != NULL) {
			n = n->first;
			continue;
		}
		while (n != NULL && n->sibling == NULL)
			n = n->up;
		if (n != NULL)
			n = n->sibling;
	}
}

bool
view_part_tree(struct arena *a, struct view *v, const struct headers *hs)
{
	struct walk w = { .arena = a, .view = v };
	struct node *top, *n;

	w.queue_tail = &w.queue;
	top = add_node(&w, NULL);
	if (top == NULL)
		return false;
	top->part.headers = *hs;
	top->part.message = true;
	begin_message(&w, top, v->body_text, VIEW_PART_DEPTH);
	for (n = w.queue; n != NULL && !w.full; n = n->queued)
		parse_node(&w, n);
	link_parts(v, top);
	v->truncated |= hs->truncated;
	return !w.full;
}
