#include "mail/view.h"

#include <string.h>

#include "mail/view_body.h"
#include "mail/view_part.h"

/* All its lines end in CR LF, as an MTA sends them. */
static bool
is_crlf(struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *lf;

	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf == s.p || lf[-1] != '\r')
			return false;
		p = lf + 1;
	}
	return true;
}

/* Returns the end; out may be NULL for the length alone. */
static size_t
add_lf(char *out, struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *cr;
	size_t n = 0;

	if (!is_crlf(s)) {
		if (out != NULL)
			memcpy(out, s.p, s.n);
		return s.n;
	}
	while (p < end) {
		cr = memchr(p, '\r', (size_t)(end - p));
		if (cr == NULL)
			cr = end;
		if (out != NULL)
			memcpy(out + n, p, (size_t)(cr - p));
		n += (size_t)(cr - p);
		p = cr;
		if (p < end && (p + 1 == end || p[1] != '\n')) {
			if (out != NULL)
				out[n] = '\r';
			n++;
		}
		p += p < end;
	}
	return n;
}

static char *
add_fields(char *out, const struct headers *hs)
{
	for (const struct header *h = hs->first; h != NULL; h = h->next) {
		memcpy(out, h->name.p, h->name.n);
		out += h->name.n;
		*out++ = ':';
		out += add_lf(out, h->value);
		*out++ = '\n';
	}
	*out++ = '\n';
	return out;
}

/* The message as it came, with LF. */
static bool
make_full(struct arena *a, struct view *v, const struct headers *hs,
    struct str body)
{
	size_t n = 1;
	char *p, *at;

	for (const struct header *h = hs->first; h != NULL; h = h->next)
		n += h->name.n + 2 + add_lf(NULL, h->value);
	n += add_lf(NULL, body);
	p = arena_alloc(a, n + 1);
	if (p == NULL)
		return false;
	at = add_fields(p, hs);
	v->full = (struct str){ p, n };
	v->body_text = str_sub(v->full, (size_t)(at - p), n);
	add_lf(at, body);
	return true;
}

const struct view *
view_make(struct arena *a, const struct headers *hs, struct str body)
{
	struct view *v = arena_alloc(a, sizeof(*v));

	if (v == NULL || !make_full(a, v, hs, body) ||
	    !view_part_tree(a, v, hs) || !view_body_lines(a, v, hs) ||
	    !view_body_chunks(a, v))
		return NULL;
	return v;
}
