/* Any bytes as HTML: the text is never much longer than what it came from. */
#include <assert.h>
#include <stdint.h>

#include "mail/html.h"
#include "mail/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
on_url(void *arg, struct str url)
{
	link_add(arg, url);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str html = { (const char *)data, size };
	struct arena *a = arena_new(8 << 20);
	struct buf out = BUF_INIT(2 * size + 16);
	struct link_set links;

	link_set_init(&links, a);
	html_text(html, &out, on_url, &links);
	assert(!out.failed);
	link_find(&links, buf_str(&out));
	link_find(&links, html);
	for (struct url *u = links.first; u != NULL; u = u->next)
		assert(u->text.n <= LINK_MAX_BYTES);
	link_set_free(&links);
	buf_free(&out);
	arena_free(&a);
	return 0;
}
