#include "mail/view_html.h"

#include <string.h>

#include "mail/view_charset.h"
#include "mail/view_render.h"

static bool
is_element(struct str name, const struct tag_def *def)
{
	return view_tag_is_namespace(name) ||
	    (def != NULL && def->flags == VIEW_TAG_KNOWN);
}

/* The tag of that name; NULL: it is new, and there is no room. */
static struct entry *
find_tag(struct render *r, struct str name, bool *is_new)
{
	struct entry **slot = &r->slots[str_hash(name) % RENDER_SLOTS], *e;

	for (e = *slot; e != NULL; e = e->older)
		if (str_eq(e->tag.name, name))
			break;
	*is_new = e == NULL;
	if (e != NULL)
		return e;
	if (r->tag_count >= VIEW_HTML_TAGS) {
		r->facts->truncated = true;
		return NULL;
	}
	r->tag_count++;
	e = arena_alloc(r->arena, sizeof(*e));
	if (e == NULL) {
		r->full = true;
		return NULL;
	}
	e->tag.name = view_text_keep(r, name, true);
	e->def = view_tag_find(name);
	e->element = is_element(name, e->def);
	e->older = *slot;
	*slot = e;
	*r->tags_tail = &e->tag;
	r->tags_tail = &e->tag.next;
	return e;
}

static void
count_tag(struct render *r, struct html_tag *tag, bool element, bool is_new,
    int step)
{
	struct html_facts *f = r->facts;

	f->tags++;
	f->tags_seen += is_new;
	f->elements += element;
	f->elements_seen += element && is_new;
	if (tag == NULL)
		return;
	tag->inside += step;
	if (tag->inside < 0) {
		tag->inside = 0;
		f->closed_extra++;
	}
}

/* Tags that are asked for with each piece of text. */
static void
note_tag(struct render *r, struct html_tag *tag)
{
	if (str_eq(tag->name, STR("a")))
		r->in_a = tag;
	else if (str_eq(tag->name, STR("title")))
		r->in_title = tag;
	else if (str_eq(tag->name, STR("script")))
		r->in_script = tag;
	else if (str_eq(tag->name, STR("style")))
		r->in_style = tag;
}

static void
on_known_tag(struct render *r, const struct tag_def *def, bool start,
    struct str attrs)
{
	bool wide = r->source_wide;

	if (start)
		view_attr_read(r, attrs, def->uri, &wide);
	if (def->style != STYLE_NONE && start)
		view_attr_style(r, def->style);
	else if (def->style != STYLE_NONE)
		view_style_close(&r->style, def->style);
	view_text_space(r, def->space);
	if (start) {
		view_attr_uris(r, def, wide);
		view_attr_test(r, str_of(def->name), wide);
	} else {
		r->facts->closed_html |= strcmp(def->name, "html") == 0;
		r->facts->closed_body |= strcmp(def->name, "body") == 0;
	}
}

static void
on_tag(struct render *r, const struct html_token *t)
{
	char lower[256];
	struct str name = t->name;
	const struct tag_def *def;
	struct entry *e;
	bool is_new, element;

	/* Longer ones differ in what is left of them, or do not. */
	name.n = name.n < sizeof(lower) ? name.n : sizeof(lower);
	for (size_t i = 0; i < name.n; i++)
		lower[i] = (char)chr_lower((unsigned char)name.p[i]);
	name.p = lower;
	e = find_tag(r, name, &is_new);
	if (e != NULL && is_new)
		note_tag(r, &e->tag);
	def = e != NULL ? e->def : view_tag_find(name);
	element = e != NULL ? e->element : is_element(name, def);
	count_tag(r, e != NULL ? &e->tag : NULL, element, is_new,
	    t->kind == HTML_START ? 1 : -1);
	if (def != NULL)
		on_known_tag(r, def, t->kind == HTML_START, t->text);
}

static void
on_declaration(struct render *r, const struct html_token *t)
{
	struct entry *e;
	bool is_new;

	if (!str_istarts(t->text, STR("<!doctype")))
		return;
	r->facts->elements++;
	r->facts->tags++;
	e = find_tag(r, STR("!doctype"), &is_new);
	if (e != NULL)
		e->tag.inside = 0;
}

/*
 * The whole.
 */

/* A letter, a digit, or what is beyond ASCII and no space. */
static bool
is_word(struct str s, size_t i, bool wide)
{
	if (!(s.p[i] & 0x80))
		return chr_word((unsigned char)s.p[i]);
	return wide && view_charset_space(str_sub(s, i, s.n), wide) == 0;
}

static size_t
entity_blank(struct str s)
{
	return str_starts(s, STR("&nbsp;")) ? 6 : 0;
}

/* "<br />" is "<br>"; 0: s begins with nothing of that kind. */
static size_t
empty_tag(struct str s, bool wide, size_t *name)
{
	size_t i = 1, n;

	while (i < s.n && is_word(s, i, wide))
		i++;
	*name = i;
	if (i == 1)
		return 0;
	while ((n = view_charset_space(str_sub(s, i, s.n), wide)) > 0 ||
	    (n = entity_blank(str_sub(s, i, s.n))) > 0)
		i += n;
	return i + 1 < s.n && s.p[i] == '/' && s.p[i + 1] == '>' ? i + 2 : 0;
}

/* What is made uniform before HTML is read. */
static void
prepare(struct buf *out, struct str s, bool wide)
{
	size_t i = 0, from = 0, n, name;

	for (; i < s.n; i++) {
		struct str rest, instead;

		if (s.p[i] != '&' && s.p[i] != '<' && s.p[i] != '\xe2')
			continue;
		rest = str_sub(s, i, s.n);
		switch (s.p[i]) {
		case '&':
			n = entity_blank(rest);
			instead = STR(" ");
			break;
		case '<':
			n = empty_tag(rest, wide, &name);
			instead = str_sub(rest, 0, name);
			break;
		default:
			n = str_starts(rest, STR("\xe2\x80\x9c")) ||
				str_starts(rest, STR("\xe2\x80\x9d")) ?
			    3 :
			    0;
			instead = STR("\"");
			break;
		}
		if (n == 0)
			continue;
		buf_add(out, s.p + from, i - from);
		buf_addstr(out, instead);
		if (s.p[i] == '<')
			buf_addc(out, '>');
		i += n - 1;
		from = i + 1;
	}
	buf_add(out, s.p + from, s.n - from);
}

static double
ratio(size_t part, size_t whole)
{
	return whole > 0 ? (double)part / (double)whole : -1;
}

static void
finish(struct render *r, size_t source_bytes)
{
	struct html_facts *f = r->facts;
	struct str text = str_sub(buf_str(r->out), r->start, r->out->n);
	size_t spaces = 0, n;

	view_text_end_anchor(r);
	view_text_end_title(r);
	f->min_size = r->style.min_size;
	f->max_size = r->style.max_size;
	f->truncated |= r->style.truncated;
	f->html_length = str_chars(text);
	for (size_t i = 0; i<text.n; i += n> 0 ? n : 1) {
		n = view_charset_space(str_sub(text, i, text.n), r->wide);
		spaces += n > 0;
	}
	f->non_space_len = f->html_length - spaces;
	f->ratio = source_bytes > 0 ?
	    ((double)source_bytes - (double)f->html_length) /
		(double)source_bytes :
	    -1;
	f->closed_extra_ratio = ratio(f->closed_extra, f->tags);
	f->bad_tag_ratio =
	    f->elements > 0 ? ratio(f->tags - f->elements, f->tags) : -1;
	f->non_element_ratio = f->elements_seen > 0 ?
	    ratio(f->tags_seen - f->elements_seen, f->tags_seen) :
	    -1;
	f->obfuscation_ratio =
	    f->obfuscation > 0 ? ratio(f->obfuscation, f->tags) : -1;
}

static void
render_init(struct render *r)
{
	struct html_facts *f = r->facts;

	view_style_init(&r->style);
	r->tags_tail = &f->tags_by_name;
	r->links_tail = &f->links;
	r->anchors_tail = &f->anchors;
	r->titles = (struct strings){ &f->titles, VIEW_HTML_STRINGS };
	r->comments = (struct strings){ &f->comments, VIEW_HTML_STRINGS };
	r->scripts = (struct strings){ &f->scripts, VIEW_HTML_STRINGS };
	r->charsets = (struct strings){ &f->charsets, VIEW_HTML_STRINGS };
	r->base = STR("");
	r->start = r->last_start = r->out->n;
}

struct html_facts *
view_html_render(struct arena *a, struct str html, size_t source_bytes,
    struct buf *out, bool *wide)
{
	struct render r = { .arena = a,
		.out = out,
		.source_wide = *wide,
		.anchor_text = BUF_INIT(RENDER_STRING_MAX),
		.title_text = BUF_INIT(RENDER_STRING_MAX),
		.piece = BUF_INIT(2 * html.n + 64),
		.decoded = BUF_INIT(2 * html.n + 64),
		.facts = arena_alloc(a, sizeof(struct html_facts)) };
	struct buf source = BUF_INIT(html.n);
	struct html_lexer lexer;
	struct html_token t;

	if (r.facts == NULL)
		return NULL;
	render_init(&r);
	r.facts->length = str_chars(html);
	prepare(&source, html, *wide);
	html_lexer_init(&lexer, buf_str(&source));
	while (!r.full && html_next(&lexer, &t)) {
		if (t.kind == HTML_TEXT)
			view_text_add(&r, &t);
		else if (t.kind == HTML_COMMENT)
			view_text_string(&r, &r.comments, t.text, true);
		else if (t.kind == HTML_DECL)
			on_declaration(&r, &t);
		else
			on_tag(&r, &t);
	}
	finish(&r, source_bytes);
	*wide = r.wide;
	view_style_free(&r.style);
	buf_free(&r.anchor_text);
	buf_free(&r.title_text);
	buf_free(&r.piece);
	buf_free(&r.decoded);
	buf_free(&source);
	return r.full ? NULL : r.facts;
}
