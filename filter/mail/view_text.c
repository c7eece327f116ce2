#include "mail/view_render.h"

#include <string.h>

#include "mail/view_charset.h"
#include "mail/view_line.h"

struct str
view_text_keep(struct render *r, struct str s, bool wide)
{
	struct str kept = arena_str(r->arena, s.p == NULL ? STR("") : s);
	char *p = (char *)(uintptr_t)kept.p;
	size_t n = 0;

	r->full |= p == NULL;
	if (wide || p == NULL)
		return kept;
	for (size_t i = 0; i < kept.n; i++) {
		unsigned int c = (unsigned char)p[i];

		if (c >= 0xc2 && c <= 0xc3 && i + 1 < kept.n)
			c = (c & 3) << 6 | (p[++i] & 0x3f);
		p[n++] = (char)c;
	}
	return (struct str){ p, n };
}

void
view_text_string(struct render *r, struct strings *list, struct str text,
    bool wide)
{
	struct html_string *s;

	if (list->room == 0) {
		r->facts->truncated = true;
		return;
	}
	list->room--;
	s = arena_alloc(r->arena, sizeof(*s));
	if (s == NULL) {
		r->full = true;
		return;
	}
	if (text.n > RENDER_STRING_MAX)
		r->facts->truncated = true;
	s->text = view_text_keep(r, str_sub(text, 0, RENDER_STRING_MAX), wide);
	*list->tail = s;
	list->tail = &s->next;
}

void
view_text_space(struct render *r, enum space space)
{
	static const char *const text[] = { "", " ", "\n", "\n\n" };

	if (space == SPACE_NONE)
		return;
	if (r->last == LAST_TEXT && r->out->n > r->last_start &&
	    r->out->p[r->out->n - 1] == ' ')
		buf_truncate(r->out, r->out->n - 1);
	r->last = LAST_SPACE;
	r->last_start = r->out->n;
	buf_adds(r->out, text[space]);
}

/* Runs of white space become a blank; so does the pair that U+00A0 looks
 * like where UTF-8 was taken for bytes. */
static void
add_collapsed(struct buf *out, struct str s)
{
	size_t i = 0, from = 0;

	while (i < s.n) {
		bool pair = s.p[i] == '\xc3' &&
		    str_starts(str_sub(s, i, 4), STR("\xc3\x82\xc2\xa0"));

		if (!pair && !chr_white((unsigned char)s.p[i])) {
			i++;
			continue;
		}
		buf_add(out, s.p + from, i - from);
		buf_addc(out, ' ');
		if (pair)
			i += 4;
		else
			while (i < s.n && chr_white((unsigned char)s.p[i]))
				i++;
		from = i;
	}
	buf_add(out, s.p + from, i - from);
}

static bool
is_empty(struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		if (chr_white((unsigned char)s.p[i]))
			i++;
		else if (str_starts(str_sub(s, i, 4), STR("\xc3\x82\xc2\xa0")))
			i += 4;
		else
			return false;
	}
	return true;
}

/* A letter, a digit or what is beyond ASCII. */
static bool
is_letter(int c)
{
	return c >= 0x80 || chr_alnum(c) || (c < ' ' && !chr_white(c)) ||
	    c == 0x7f;
}

/* Text that goes on in the middle of a word behind a tag. */
static void
count_obfuscation(struct render *r, struct str text, bool wide)
{
	struct str all = buf_str(r->out), end;

	if (r->last == LAST_NONE || all.n == r->last_start || text.n == 0 ||
	    !is_letter((unsigned char)text.p[0]) ||
	    !is_letter((unsigned char)all.p[all.n - 1]) ||
	    (wide && view_charset_space(text, true) > 0))
		return;
	end = str_sub(all,
	    all.n - (all.n - r->last_start >= 3 ? 3 : all.n - r->last_start),
	    3);
	while (r->last_wide && end.n > 1) {
		if (view_charset_space(end, true) == end.n)
			return;
		end = str_sub(end, 1, end.n);
	}
	r->facts->obfuscation++;
}

void
view_text_append(struct render *r, struct buf *b, struct str s)
{
	if (b->n + s.n > RENDER_STRING_MAX) {
		r->facts->truncated = true;
		s = str_sub(s, 0, RENDER_STRING_MAX - b->n);
	}
	buf_addstr(b, s);
}

void
view_text_end_anchor(struct render *r)
{
	if (r->anchor != NULL)
		r->anchor->text =
		    view_text_keep(r, buf_str(&r->anchor_text), r->anchor_wide);
	buf_truncate(&r->anchor_text, 0);
	r->anchor_wide = false;
}

void
view_text_end_title(struct render *r)
{
	if (r->in_title_now)
		view_text_string(r, &r->titles, buf_str(&r->title_text),
		    r->title_wide);
	r->in_title_now = r->title_wide = false;
	buf_truncate(&r->title_text, 0);
}

void
view_text_add(struct render *r, const struct html_token *t)
{
	struct html_facts *f = r->facts;
	struct str text = t->text;
	bool wide = r->source_wide, hidden = false;
	size_t start;

	if (r->in_script != NULL && r->in_script->inside > 0) {
		view_text_string(r, &r->scripts, text, wide);
		return;
	}
	if (r->in_style != NULL && r->in_style->inside > 0)
		return;
	if (!t->literal && memchr(text.p, '&', text.n) != NULL) {
		buf_truncate(&r->piece, 0);
		html_decode(&r->piece, text, true, &wide);
		text = buf_str(&r->piece);
	}
	r->wide |= wide;
	if (r->in_a != NULL && r->in_a->inside > 0) {
		view_text_append(r, &r->anchor_text, text);
		r->anchor_wide |= wide;
	}
	if (r->in_title != NULL && r->in_title->inside > 0) {
		view_text_append(r, &r->title_text, text);
		r->title_wide |= wide;
	}
	if (!is_empty(text))
		hidden = view_style_invisible(view_style_top(&r->style),
		    &f->font_low_contrast, &f->font_invalid_color);
	count_obfuscation(r, text, wide);
	start = r->out->n;
	/* One blank is enough. */
	if (r->last == LAST_SPACE && !hidden) {
		if (text.n > 0 && chr_white((unsigned char)text.p[0]))
			while (
			    text.n > 0 && chr_white((unsigned char)text.p[0]))
				text = str_sub(text, 1, text.n);
		else if (str_starts(text, STR("\xc3\x82\xc2\xa0")))
			text = str_sub(text, 4, text.n);
	}
	add_collapsed(r->out, text);
	r->last = hidden ? LAST_HIDDEN : LAST_TEXT;
	r->last_start = start;
	r->last_wide = wide;
}
