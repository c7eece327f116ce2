#include "mail/body.h"

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
