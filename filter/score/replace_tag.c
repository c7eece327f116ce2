#include "score/replace_tag.h"

#define PASSES_MAX	6

/* "<...>" with neither < nor > inside, from *at on: its length; *at is where
 * it begins. */
static size_t
find_tag(struct str in, size_t *at)
{
	size_t i, open = in.n;

	for (i = *at; i < in.n; i++) {
		if (in.p[i] == '<') {
			open = i;
		} else if (in.p[i] == '>' && open < i) {
			if (i > open + 1) {
				*at = open;
				return i + 1 - open;
			}
			open = in.n;
		}
	}
	return 0;
}

/* The value of "<WORD NAME>", which is cut out of the pattern. */
static struct str
take_modifier(struct buf *pattern, const char *word, const struct map *values)
{
	struct str in = buf_str(pattern), name;
	struct buf rest = BUF_INIT(pattern->max);
	const struct str *value = NULL;
	ptrdiff_t at = str_find(in, str_of(word)), end;

	if (at < 0)
		return STR_NONE;
	name = str_sub(in, (size_t)at + str_of(word).n, in.n);
	end = str_chr(name, '>');
	if (end < 1)
		return STR_NONE;
	value = map_get(values, str_sub(name, 0, (size_t)end));
	buf_addstr(&rest, str_sub(in, 0, (size_t)at));
	buf_addstr(&rest, str_sub(name, (size_t)end + 1, name.n));
	buf_free(pattern);
	*pattern = rest;
	return value != NULL ? *value : STR_NONE;
}

static bool
has_tag(struct str text)
{
	size_t at = 0;

	return find_tag(text, &at) > 0;
}

/* One round over the pattern; *again: a tag brought tags of its own. */
static void
pass(const struct replace_tags *t, struct buf *pattern, struct buf *out,
    bool *again)
{
	struct str pre = take_modifier(pattern, "<pre ", t->pre);
	struct str post = take_modifier(pattern, "<post ", t->post);
	struct str inter = take_modifier(pattern, "<inter ", t->inter);
	struct str in = buf_str(pattern);
	const struct str *value;
	size_t from = 0, at = 0, n, tags = 0;

	*again = false;
	while ((n = find_tag(in, &at)) > 0) {
		if (at > from)
			buf_addstr(out, str_sub(in, from, at - from));
		else if (tags > 0)
			buf_addstr(out, inter);
		buf_addstr(out, pre);
		value = map_get(t->tag, str_sub(in, at + 1, n - 2));
		if (value != NULL)
			*again |= has_tag(*value);
		buf_addstr(out, value ? *value : str_sub(in, at, n));
		buf_addstr(out, post);
		tags++;
		from = at += n;
	}
	buf_addstr(out, str_sub(in, from, in.n));
}

bool
replace_tags(const struct replace_tags *t, struct str pattern, struct buf *out)
{
	struct buf in = BUF_INIT(out->max);
	bool again = true;
	unsigned int n;

	buf_addstr(&in, pattern);
	for (n = 0; again && n < PASSES_MAX && !in.failed; n++) {
		buf_truncate(out, 0);
		pass(t, &in, out, &again);
		if (again) {
			buf_truncate(&in, 0);
			buf_addstr(&in, buf_str(out));
		}
	}
	again = in.failed || out->failed;
	buf_free(&in);
	return !again;
}
