#include "mail/view.h"

#include <string.h>

#include "mail/view_body.h"
#include "mail/view_part.h"

/* With LF where all lines end in CR LF, as an MTA sends them, else as it is;
 * returns the end. */
static char *
add_lf(char *out, struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *lf;
	char *at = out;

	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf == p || lf[-1] != '\r')
			return mempcpy(out, s.p, s.n);
		at = mempcpy(at, p, (size_t)(lf - 1 - p));
		*at++ = '\n';
		p = lf + 1;
	}
	return p < end ? mempcpy(at, p, (size_t)(end - p)) : at;
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
