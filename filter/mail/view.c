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

/* No more than s.n bytes; returns the end. */
static char *
add_lf(char *out, struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *cr;

	if (!is_crlf(s))
		return mempcpy(out, s.p, s.n);
	while (p < end) {
		cr = memchr(p, '\r', (size_t)(end - p));
		if (cr == NULL)
			cr = end;
		out = mempcpy(out, p, (size_t)(cr - p));
		p = cr;
		if (p < end && (p + 1 == end || p[1] != '\n'))
			*out++ = '\r';
		p += p < end;
	}
	return out;
}

static char *
add_fields(char *out, const struct headers *hs)
{
	for (const struct header *h = hs->first; h != NULL; h = h->next) {
		out = mempcpy(out, h->name.p, h->name.n);
		*out++ = ':';
		out = add_lf(out, h->value);
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
	size_t room = 1 + body.n + 1;
	char *p, *at, *end;

	for (const struct header *h = hs->first; h != NULL; h = h->next)
		room += h->name.n + 2 + h->value.n;
	p = arena_alloc(a, room);
	if (p == NULL)
		return false;
	at = add_fields(p, hs);
	end = add_lf(at, body);
	v->full = (struct str){ p, (size_t)(end - p) };
	v->body_text = (struct str){ at, (size_t)(end - at) };
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
