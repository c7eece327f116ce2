/* A message: its Content-* fields up to the first empty line, then the body
 * as it is. */
#include <assert.h>
#include <stdint.h>

#include "mail/body.h"
#include "mail/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct str
read_head(struct arena *a, struct headers *hs, struct str rest)
{
	while (rest.n > 0) {
		struct str line = str_cut(rest, '\n', &rest), value;

		if (line.n == 0)
			break;
		line = str_cut(line, ':', &value);
		if (value.p != NULL)
			header_add(a, hs, line, value);
	}
	return rest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str mail = { (const char *)data, size };
	struct arena *a = arena_new(32 << 20);
	struct headers hs = { .first = NULL };
	const struct content *c;
	struct body b;

	mail = read_head(a, &hs, mail);
	body_init(&b, 1 << 20);
	body_add(&b, mail.p, mail.n);
	c = body_content(&b, a, &hs);
	assert(c != NULL);
	assert(c->parts <= BODY_MAX_PARTS && c->depth <= BODY_MAX_DEPTH);
	assert(c->text.n <= BODY_MAX_DECODED);
	for (struct attachment *at = c->attachments; at != NULL; at = at->next)
		assert(utf8_valid(at->name));
	for (struct text_part *t = c->texts; t != NULL; t = t->next)
		assert(t->text.p >= c->text.p &&
		    t->text.p + t->text.n <= c->text.p + c->text.n);
	body_free(&b);
	arena_free(&a);
	return 0;
}
