/*
 * message_fixture - a message from a text, told as an MTA tells it: header
 * values with their leading space and LF folds, the body with CRLF, in chunks.
 */
#ifndef TESTS_UNIT_MESSAGE_FIXTURE_H
#define TESTS_UNIT_MESSAGE_FIXTURE_H

#include "auth_fixture.h"
#include "check/arc.h"
#include "check/dkim.h"

static inline struct buf
fixture_read(const char *path)
{
	struct buf b = BUF_INIT(8 << 20);
	char block[4096];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		fail_msg("%s is not there", path);
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&b, block, n);
	fclose(f);
	return b;
}

static inline void
fixture_field(struct fixture *f, struct str field)
{
	struct str value, name = str_cut(field, ':', &value);
	char *copy;
	size_t i, n = 0;

	if (value.p == NULL)
		return;
	copy = arena_alloc(f->txn->arena, value.n + 1);
	assert_non_null(copy);
	for (i = 0; i < value.n; i++)
		if (value.p[i] != '\r')
			copy[n++] = value.p[i];
	assert_true(header_add(f->txn->arena, &f->txn->headers, name,
	    (struct str){ copy, n }));
	dkim_feed_header(f->txn, f->txn->headers.last);
}

static inline void
fixture_body_bytes(struct fixture *f, const char *p, size_t n)
{
	body_add(&f->txn->body, p, n);
	dkim_feed_body(f->txn, p, n);
}

/* Lines may end in LF or CRLF. */
static inline void
fixture_body(struct fixture *f, struct str s)
{
	struct buf out = BUF_INIT(8 << 20);
	size_t i, step;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_addc(&out, '\r');
		buf_addc(&out, s.p[i]);
	}
	for (i = 0; i < out.n; i += step) {
		step = out.n - i < 7 ? out.n - i : 7;
		fixture_body_bytes(f, out.p + i, step);
	}
	buf_free(&out);
}

static inline void
fixture_message(struct fixture *f, struct str text)
{
	size_t i = 0, from;

	while (i < text.n) {
		from = i;
		do {
			while (i < text.n && text.p[i++] != '\n')
				;
		} while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t'));
		if (str_trim(str_sub(text, from, i - from)).n == 0)
			break;
		struct str field = str_sub(text, from, i - from);
		while (field.n > 0 && (field.p[field.n - 1] == '\n' ||
					  field.p[field.n - 1] == '\r'))
			field.n--;
		fixture_field(f, field);
	}
	dkim_feed_eoh(f->txn);
	fixture_body(f, str_sub(text, i, text.n));
}

/* The same, for ARC as well. */
static inline void
fixture_arc_message(struct fixture *f, struct str text)
{
	struct str body;

	fixture_message(f, text);
	arc_feed_eoh(f->txn);
	body = buf_str(&f->txn->body.raw);
	for (size_t i = 0; i < body.n; i += 7)
		arc_feed_body(f->txn, body.p + i,
		    body.n - i < 7 ? body.n - i : 7);
}

#endif
