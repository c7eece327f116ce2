/* A message with its head.  What begins with `<' is one HTML part. */
#include <assert.h>
#include <stdint.h>

#include "mail/body.h"
#include "mail/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_lines(const struct view_lines *lines, size_t most)
{
	size_t bytes = 0;

	for (size_t i = 0; i < lines->count; i++) {
		assert(lines->line[i].n <= most);
		bytes += lines->line[i].n > 0 ? lines->line[i].p[0] != 0 : 0;
	}
	assert(bytes <= lines->count);
}

static void
check_parts(const struct view *v)
{
	size_t count = 0;

	for (const struct view_part *p = v->parts; p != NULL; p = p->next) {
		count++;
		assert(p->depth <= 2 * BODY_MAX_DEPTH);
		assert(p->decoded.n <= BODY_MAX_DECODED);
	}
	assert(count == v->part_count && count <= BODY_MAX_PARTS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str mail = { (const char *)data, size }, body;
	struct arena *a = arena_new(64 << 20);
	struct headers hs = { .first = NULL };
	const struct view *v;

	if (size > 0 && data[0] == '<') {
		header_add(a, &hs, STR("Content-Type"),
		    STR("text/html; charset=utf-8"));
		body = mail;
	} else if (!view_part_split(a, mail, &hs, &body)) {
		assert(false);
	}
	v = view_make(a, &hs, body);
	assert(v != NULL);
	check_lines(&v->body, VIEW_LINE_MAX + 1); /* with its blank */
	check_lines(&v->rawbody, 2 * VIEW_LINE_MAX);
	check_parts(v);
	arena_free(&a);
	return 0;
}
