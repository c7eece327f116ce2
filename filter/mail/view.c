#include "mail/view.h"

#include <string.h>

#include "mail/view_body.h"
#include "mail/view_part.h"

/* The length of text with LF alone. */
static size_t
lf_length(struct str s)
{
	size_t n = s.n;
	const char *p = s.p, *end = s.p + s.n;

	while (p < end && (p = memchr(p, '\r', (size_t)(end - p))) != NULL) {
		p++;
		if (p < end && *p == '\n')
			n--;
	}
	return n;
}

static char *
add_lf(char *out, struct str s)
{
	const char *p = s.p, *end = s.p + s.n, *cr;

	while (p < end) {
		cr = memchr(p, '\r', (size_t)(end - p));
		if (cr == NULL)
			cr = end;
		memcpy(out, p, (size_t)(cr - p));
		out += cr - p;
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
		memcpy(out, h->name.p, h->name.n);
		out += h->name.n;
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
	size_t n = 1;
	char *p, *at;

	for (const struct header *h = hs->first; h != NULL; h = h->next)
		n += h->name.n + 2 + lf_length(h->value);
	n += lf_length(body);
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
