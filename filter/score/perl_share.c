#include "score/perl_share.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define SHARE_MIN	24	/* a shorter group is cheaper where it is */
#define DEPTH_MAX	250	/* PCRE2's own limit */

/* A (?:...) group, with its parentheses. */
struct group {
	size_t		 start, end;
	size_t		 same;		/* the first of this text */
	unsigned int	 count;		/* of its text; at the first */
	bool		 repeated;	/* a {n,m} is behind it */
	bool		 apart;		/* it can't be a subroutine */
	bool		 used;		/* at the first: it is called */
	bool		 written;	/* at the first: it is defined */
};

struct sharer {
	struct str	 in;
	struct group	*groups;
	size_t		 n, cap;
	size_t		 stack[DEPTH_MAX];	/* group, SIZE_MAX: other */
	bool		 fixed[DEPTH_MAX];	/* flags differ inside */
	size_t		 depth;
};

/* The length of what begins at i and is no parenthesis. */
static size_t
atom_len(struct str in, size_t i)
{
	size_t n;

	if (in.p[i] == '\\')
		return i + 1 < in.n ? 2 : 1;
	if (in.p[i] != '[')
		return 1;
	n = i + 1;
	if (n < in.n && in.p[n] == '^')
		n++;
	if (n < in.n && in.p[n] == ']')
		n++;
	while (n < in.n && in.p[n] != ']') {
		if (in.p[n] == '[' && n + 1 < in.n && in.p[n + 1] == ':') {
			ptrdiff_t end =
			    str_find(str_sub(in, n, in.n), STR(":]"));

			n += end > 0 ? (size_t)end + 2 : 1;
		} else
			n += in.p[n] == '\\' ? 2 : 1;
	}
	return n < in.n ? n + 1 - i : in.n - i;
}

/* Back references count groups, and a subroutine forgets its own. */
static bool
is_reference(struct str in, size_t i)
{
	return in.p[i] == '\\' && i + 1 < in.n &&
	    strchr("123456789kg", in.p[i + 1]) != NULL;
}

static void
set_apart(struct sharer *s)
{
	size_t i;

	for (i = 0; i < s->depth; i++)
		if (s->stack[i] != SIZE_MAX)
			s->groups[s->stack[i]].apart = true;
}

static bool
group_open(struct sharer *s, size_t i)
{
	struct str rest = str_sub(s->in, i, s->in.n);
	bool plain = str_starts(rest, STR("(?:"));
	bool fixed = s->depth > 0 && s->fixed[s->depth - 1];
	int third = rest.n > 2 && rest.p[1] == '?' ? rest.p[2] : 0;

	if (s->depth == DEPTH_MAX)
		return false;
	/* It captures, or changes the flags of what follows. */
	if (third == 0 || third == 'P' || third == '\'' ||
	    (third == '<' && rest.n > 3 && strchr("=!", rest.p[3]) == NULL))
		set_apart(s);
	else if (third == '^' || third == '-' || chr_alpha(third)) {
		set_apart(s);
		fixed = true;
	}
	s->stack[s->depth] = SIZE_MAX;
	s->fixed[s->depth++] = fixed;
	if (!plain || fixed)
		return true;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 256;
		s->groups = mem_resize(s->groups, s->cap * sizeof(*s->groups));
	}
	s->groups[s->n] = (struct group){ .start = i, .same = s->n };
	s->stack[s->depth - 1] = s->n++;
	return true;
}

/* PCRE2 writes out a group as often as its quantifier says. */
static void
group_close(struct group *g, struct str in, size_t end)
{
	g->end = end;
	g->repeated = end + 1 < in.n && in.p[end] == '{' &&
	    chr_digit((unsigned char)in.p[end + 1]);
}

/* An unfinished one at the end tells that something was misread. */
static bool
find_groups(struct sharer *s)
{
	size_t i = 0;

	while (i < s->in.n) {
		if (is_reference(s->in, i))
			return false;
		if (s->in.p[i] == '(') {
			if (!group_open(s, i++))
				return false;
		} else if (s->in.p[i] == ')') {
			if (s->depth == 0)
				return false;
			i++;
			if (s->stack[--s->depth] != SIZE_MAX)
				group_close(&s->groups[s->stack[s->depth]],
				    s->in, i);
		} else
			i += atom_len(s->in, i);
	}
	return s->depth == 0;
}

static struct str
group_text(const struct sharer *s, const struct group *g)
{
	return str_sub(s->in, g->start, g->end - g->start);
}

/* The map's values are group numbers plus one. */
static bool
count_groups(struct sharer *s)
{
	struct map *seen = map_new(false);
	bool any = false;
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct group *g = &s->groups[i];
		uintptr_t first;

		if (g->apart || g->end - g->start < SHARE_MIN)
			continue;
		first = (uintptr_t)map_get(seen, group_text(s, g));
		if (first == 0)
			map_put(seen, group_text(s, g), (void *)(i + 1));
		else
			g->same = first - 1;
		s->groups[g->same].count += 1 + g->repeated;
		any |= s->groups[g->same].count > 1;
	}
	map_free(&seen, NULL);
	return any;
}

/* The text from one place to another, its repeated groups called; next is the
 * first group that may be. */
static void
emit(struct sharer *s, size_t from, size_t to, size_t next, struct buf *out)
{
	struct group *g;
	size_t n;

	while (from < to) {
		while (next < s->n && s->groups[next].start < from)
			next++;
		g = next < s->n ? &s->groups[next] : NULL;
		n = (g != NULL && g->start < to ? g->start : to) - from;
		if (n > 0) {
			buf_addstr(out, str_sub(s->in, from, n));
			from += n;
			continue;
		}
		if (!g->apart && s->groups[g->same].count > 1) {
			s->groups[g->same].used = true;
			buf_printf(out, "(?&s%zu)", g->same);
			from = g->end;
		} else {
			buf_addc(out, s->in.p[from++]);
			next++;
		}
	}
}

bool
perl_share(struct str pattern, struct buf *out)
{
	struct sharer s = { .in = pattern };
	struct buf main = BUF_INIT(out->max);
	bool ok = find_groups(&s) && count_groups(&s), again = ok;
	size_t i;

	if (ok) {
		emit(&s, 0, pattern.n, 0, &main);
		buf_adds(out, "(?(DEFINE)");
	}
	while (again) {
		again = false;
		for (i = 0; i < s.n; i++) {
			struct group *g = &s.groups[i];

			if (!g->used || g->written)
				continue;
			g->written = true;
			buf_printf(out, "(?<s%zu>", i);
			emit(&s, g->start, g->end, i + 1, out);
			buf_addc(out, ')');
			again = true;
		}
	}
	if (ok) {
		buf_addc(out, ')');
		buf_addstr(out, buf_str(&main));
	}
	ok = ok && !out->failed && !main.failed;
	buf_free(&main);
	free(s.groups);
	return ok;
}
