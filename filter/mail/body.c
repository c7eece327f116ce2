#include "mail/body.h"

#include "mail/mime.h"

void
body_init(struct body *b, size_t max_kept)
{
	*b = (struct body){ .raw = BUF_INIT(max_kept) };
}

void
body_add(struct body *b, const void *p, size_t n)
{
	size_t room = b->raw.max - b->raw.n;

	b->size += n;
	if (n > room) {
		n = room;
		b->truncated = true;
	}
	buf_add(&b->raw, p, n);
}

void
body_free(struct body *b)
{
	buf_free(&b->raw);
	b->content = NULL;
}

const struct content *
body_content(struct body *b, struct arena *a, const struct headers *hs)
{
	if (b->content == NULL) {
		b->content = mime_parse(a, hs, buf_str(&b->raw));
		if (b->content != NULL && b->truncated)
			b->content->truncated = true;
	}
	return b->content;
}
