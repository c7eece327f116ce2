#include "mail/mime_cut.h"

#include <string.h>

#include "mail/oddity.h"

struct cut {
	struct str boundaries[MIME_CUT_BOUNDARIES];
	size_t nboundaries;
	bool odd; /* there may be boundaries unknown */
	bool digest; /* parts are messages by default */
	bool in_head;
	/* of the header block being read */
	bool behind_boundary, message, typed;
	size_t lines, bytes;
	/* of all */
	size_t parts, all_lines, all_bytes, parameters, compares;
};

static void
block_begin(struct cut *c, bool behind_boundary)
{
	c->in_head = true;
	c->behind_boundary = behind_boundary;
	c->message = c->typed = false;
	c->lines = c->bytes = 0;
	c->parts++;
}

/* A part that is a message has a header of its own behind its header. */
static void
block_end(struct cut *c)
{
	c->in_head = false;
	if (c->message || (c->digest && c->behind_boundary && !c->typed))
		block_begin(c, false);
}

static bool
plain_boundary_char(unsigned char ch)
{
	return ch > ' ' && ch < 0x7f && ch != '"' && ch != '\\' && ch != ';' &&
	    ch != '(' && ch != '%';
}

/* s stands behind the word "boundary".  Only the plain beginning of the value
 * is kept: whatever the rest means, the real boundary begins with it. */
static void
learn_boundary(struct cut *c, struct str s)
{
	struct str value;
	size_t n = 0;

	s = str_trim(s);
	if (s.n == 0 || s.p[0] != '=') {
		c->odd = true;
		return;
	}
	value = str_trim(str_sub(s, 1, s.n));
	if (value.n > 0 && value.p[0] == '"')
		value = str_sub(value, 1, value.n);
	while (n < value.n && plain_boundary_char(value.p[n]))
		n++;
	if (n == 0 || str_starts(value, STR("=?")) ||
	    c->nboundaries == MIME_CUT_BOUNDARIES)
		c->odd = true;
	else
		c->boundaries[c->nboundaries++] = str_sub(value, 0, n);
}

/* "message", but not the field "Message-ID". */
static bool
names_message(struct str line)
{
	ptrdiff_t at = str_ifind(line, STR("message"));
	size_t end = at + 7;

	return at >= 0 &&
	    (end >= line.n ||
		(line.p[end] != '-' && !chr_alnum((unsigned char)line.p[end])));
}

static void
head_line(struct cut *c, struct str line)
{
	ptrdiff_t at;

	c->lines++;
	c->bytes += line.n;
	c->all_lines++;
	c->all_bytes += line.n;
	for (size_t i = 0; i < line.n; i++)
		c->parameters += line.p[i] == ';';
	c->odd |= memchr(line.p, '\0', line.n) != NULL;
	c->message |= names_message(line);
	c->typed |= str_istarts(line, STR("content-type"));
	c->digest |= str_ifind(line, STR("digest")) >= 0;
	line = str_trim(line);
	while ((at = str_ifind(line, STR("boundary"))) >= 0) {
		line = str_sub(line, at + 8, line.n);
		learn_boundary(c, line);
	}
}

static bool
is_boundary(struct cut *c, struct str line)
{
	if (!str_starts(line, STR("--")))
		return false;
	c->compares += c->nboundaries;
	line = str_sub(line, 2, line.n);
	for (size_t i = 0; i < c->nboundaries; i++)
		if (str_starts(line, c->boundaries[i]))
			return true;
	return c->odd;
}

/* 0: within all caps. */
static unsigned int
over(const struct cut *c)
{
	if (c->parts > MIME_CUT_PARTS || c->compares > MIME_CUT_COMPARES)
		return ODD(MIME_PARTS);
	return c->lines > MIME_CUT_BLOCK_LINES ||
		c->bytes > MIME_CUT_BLOCK_BYTES ||
		c->all_lines > MIME_CUT_HEAD_LINES ||
		c->all_bytes > MIME_CUT_HEAD_BYTES ||
		c->parameters > MIME_CUT_PARAMETERS ?
	    ODD(MIME_HEADERS) :
	    0;
}

static void
body_line(struct cut *c, struct str line)
{
	if (is_boundary(c, line))
		block_begin(c, true);
	else if (!c->in_head)
		return;
	else if (line.n == 0 || (line.n == 1 && line.p[0] == '\r'))
		block_end(c);
	else
		head_line(c, line);
}

/* One line with what ends it taken off; *next is where the next begins. */
static struct str
line_at(struct str s, size_t at, size_t *next)
{
	const char *lf = memchr(s.p + at, '\n', s.n - at);
	size_t end = lf != NULL ? (size_t)(lf - s.p) : s.n;

	*next = lf != NULL ? end + 1 : s.n;
	return str_sub(s, at, end - at);
}

size_t
mime_cut(struct str head, struct str body)
{
	return mime_cut_why(head, body, &(unsigned int){ 0 });
}

size_t
mime_cut_why(struct str head, struct str body, unsigned int *odd)
{
	struct cut c = { .nboundaries = 0 };
	unsigned int why;
	size_t next;

	block_begin(&c, false);
	for (size_t at = 0; at < head.n; at = next)
		head_line(&c, line_at(head, at, &next));
	block_end(&c);
	for (size_t at = 0; at < body.n; at = next) {
		body_line(&c, line_at(body, at, &next));
		if ((why = over(&c)) != 0) {
			*odd |= why;
			return at;
		}
	}
	return body.n;
}
