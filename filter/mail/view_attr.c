#include "mail/view_render.h"

#include <string.h>

#include "mail/html_uri.h"
#include "mail/view_charset.h"
#include "mail/view_line.h"

#define FACE_MAX_BYTES 1000

static const char *const attr_names[ATTRS] = { "action", "background",
	"bgcolor", "color", "content", "data-saferedirecturl", "face", "height",
	"href", "http-equiv", "size", "src", "style", "text", "width" };

static bool
is_word(int c)
{
	return chr_alnum(c) || c == '_' || c >= 0x80;
}

/* Trimmed, U+00A0 as well. */
static struct str
trim_uri(struct str s)
{
	size_t n;

	while ((n = view_charset_space(s, true)) > 0)
		s = str_sub(s, n, s.n);
	for (;;) {
		struct str end = str_sub(s, s.n > 3 ? s.n - 3 : 0, 3);

		while (end.n > 0 && view_charset_space(end, true) != end.n)
			end = str_sub(end, 1, end.n);
		if (end.n == 0)
			return s;
		s.n -= end.n;
	}
}

static void
add_link(struct render *r, struct str tag, struct str written, bool wide)
{
	static const char *const absolute[] = { "data:", "mailto:", "file:",
		"cid:", "tel:" };
	struct buf uri = BUF_INIT(3 * VIEW_HTML_URI_MAX);
	struct html_link *link;
	bool done = false;

	if (written.n == 0)
		return;
	if (r->link_count >= VIEW_HTML_LINKS) {
		r->facts->truncated = true;
		return;
	}
	for (size_t i = 0; i < sizeof(absolute) / sizeof(absolute[0]); i++)
		done |= str_istarts(written, str_of(absolute[i]));
	if (done)
		buf_addstr(&uri, written);
	else
		html_uri_resolve(&uri, r->base, written);
	link = uri.n > 0 ? arena_alloc(r->arena, sizeof(*link)) : NULL;
	r->full |= uri.n > 0 && link == NULL;
	if (link != NULL) {
		link->tag = tag;
		link->uri = view_text_keep(r, buf_str(&uri), wide);
		link->written = view_text_keep(r, written, wide);
		*r->links_tail = link;
		r->links_tail = &link->next;
		r->link_count++;
	}
	buf_free(&uri);
}

static struct str
canon_uri(struct render *r, struct str s)
{
	s = trim_uri(s);
	if (s.n <= VIEW_HTML_URI_MAX)
		return s;
	r->facts->uri_truncated = true;
	s.n = VIEW_HTML_URI_MAX;
	while (s.n > 0 && (s.p[s.n] & 0xc0) == 0x80)
		s.n--;
	return s;
}

/* "x/href": a slash where a blank should be. */
static bool
is_misspelt(struct str name, const char *wanted)
{
	struct str rest = name, w = str_of(wanted);
	ptrdiff_t slash;

	while ((slash = str_chr(rest, '/')) >= 0) {
		if (slash > 0 && is_word((unsigned char)rest.p[slash - 1]) &&
		    str_istarts(str_sub(rest, (size_t)slash + 1, rest.n), w))
			return true;
		rest = str_sub(rest, (size_t)slash + 1, rest.n);
		/* What stands before the next one is behind this one. */
	}
	return false;
}

static int
find_attr(struct str name, enum uri_kind kind, bool *again)
{
	if (kind == URI_HREF && is_misspelt(name, "href")) {
		*again = true;
		return ATTR_HREF;
	}
	if (kind == URI_SRC && is_misspelt(name, "src")) {
		*again = true;
		return ATTR_SRC;
	}
	for (int i = 0; i < ATTRS; i++)
		if (str_ieq(name, str_of(attr_names[i])))
			return i;
	return -1;
}

/* The first of each name counts. */
void
view_attr_read(struct render *r, struct str rest, enum uri_kind kind,
    bool *wide)
{
	struct str name, value;

	if (r->has_values) {
		memset(r->value, 0, sizeof(r->value));
		memset(r->value_at, 0, sizeof(r->value_at));
		buf_truncate(&r->decoded, 0);
		r->has_values = false;
	}
	while (html_attribute(&rest, &name, &value)) {
		bool again = false;
		int i = find_attr(name, kind, &again);

		if (i < 0 || (r->value[i].p != NULL && !again))
			continue;
		r->has_values = true;
		r->value_at[i] = 0;
		if (value.p == NULL)
			value = name;
		r->value[i] = value;
		if (value.n > 0 && memchr(value.p, '&', value.n) != NULL) {
			size_t from = r->decoded.n;

			html_decode(&r->decoded, value, false, wide);
			r->value_at[i] = from + 1;
			r->value[i].n = r->decoded.n - from;
		}
	}
	for (int i = 0; r->has_values && i < ATTRS; i++)
		if (r->value_at[i] > 0)
			r->value[i].p = r->decoded.p + r->value_at[i] - 1;
}

/* A byte order mark hides in links. */
static struct str
drop_marks(struct render *r, struct str s)
{
	static const struct str mark = { "\xef\xbb\xbf", 3 };
	struct buf out = BUF_INIT(s.n);
	ptrdiff_t at;

	if (s.p == NULL || str_find(s, mark) < 0)
		return s;
	while ((at = str_find(s, mark)) >= 0) {
		buf_add(&out, s.p, (size_t)at);
		s = str_sub(s, (size_t)at + 3, s.n);
	}
	buf_addstr(&out, s);
	s = view_text_keep(r, buf_str(&out), true);
	buf_free(&out);
	return s;
}

/* The last "url=" of the first line, up to a semicolon. */
static struct str
refresh_uri(struct str s)
{
	struct str rest = s, found = STR_NONE;
	ptrdiff_t at;
	size_t i = 0;

	while ((at = str_ifind(rest, STR("url"))) >= 0) {
		size_t k = (size_t)at + 3;

		if ((at == 0 ? rest.p == s.p :
			       !is_word((unsigned char)rest.p[at - 1]))) {
			while (
			    k < rest.n && chr_white((unsigned char)rest.p[k]))
				k++;
			if (k < rest.n && rest.p[k] == '=')
				found = str_sub(rest, k + 1, rest.n);
		}
		rest = str_sub(rest, (size_t)at + 3, rest.n);
		if (rest.p == NULL)
			break;
	}
	while (found.n > 0 && chr_white((unsigned char)found.p[0]))
		found = str_sub(found, 1, found.n);
	while (i < found.n && found.p[i] != ';')
		i++;
	return str_sub(found, 0, i);
}

static void
set_base(struct render *r, struct str uri, bool wide)
{
	struct buf base = BUF_INIT(VIEW_HTML_URI_MAX + 1);

	if (html_uri_base(&base, uri))
		r->base = view_text_keep(r, buf_str(&base), wide);
	buf_free(&base);
}

void
view_attr_uris(struct render *r, const struct tag_def *def, bool wide)
{
	struct str tag = str_of(def->name), uri = STR_NONE;
	struct str *v = r->value;

	switch ((enum uri_kind)def->uri) {
	case URI_BACKGROUND:
		uri = v[ATTR_BACKGROUND];
		break;
	case URI_HREF:
		v[ATTR_HREF] = drop_marks(r, v[ATTR_HREF]);
		add_link(r, tag, canon_uri(r, v[ATTR_HREF]), wide);
		uri = v[ATTR_SAFE_URL];
		break;
	case URI_SRC:
		uri = v[ATTR_SRC];
		break;
	case URI_ACTION:
		uri = v[ATTR_ACTION];
		break;
	case URI_BASE:
		uri = canon_uri(r, v[ATTR_HREF]);
		add_link(r, tag, uri, wide);
		set_base(r, uri, wide);
		return;
	case URI_META:
		if (str_ifind(v[ATTR_EQUIV], STR("refresh")) >= 0)
			uri = refresh_uri(v[ATTR_CONTENT]);
		break;
	case URI_NONE:
		return;
	}
	add_link(r, tag, canon_uri(r, uri), wide);
}

/* Pixels, or per cent of a screen of 800 by 600. */
static double
image_side(struct str s, double percent)
{
	double v = 0;
	size_t i = 0;

	while (i < s.n && chr_digit((unsigned char)s.p[i]))
		v = v * 10 + (s.p[i++] - '0');
	if (i > 0 && i < s.n && s.p[i] == '%') {
		v *= percent;
		i++;
	}
	if (i < s.n && s.p[i] == '\n')
		i++;
	return i == 0 || i < s.n || v <= 0 ? 200 : v;
}

/* One name of a font list; what is behind it in *i. */
static bool
face_name(struct str s, size_t *i, bool first)
{
	size_t k = *i, from;
	bool letter;

	while (k < s.n && chr_white((unsigned char)s.p[k]))
		k++;
	if (k < s.n &&
	    (s.p[k] == '"' || s.p[k] == '\'' || (first && s.p[k] == '.')))
		k++;
	else if (first && k > *i && s.p[k - 1] == ' ')
		k--;
	from = k;
	while (k < s.n &&
	    (chr_alpha((unsigned char)s.p[k]) || s.p[k] == ' ' ||
		s.p[k] == '-'))
		k++;
	letter = k > from && chr_alpha((unsigned char)s.p[k - 1]) &&
	    (chr_alpha((unsigned char)s.p[from]) ||
		(first && s.p[from] == ' '));
	if (!letter || k - from < 2)
		return false;
	if (k < s.n && chr_digit((unsigned char)s.p[k]))
		k++;
	if (k < s.n && (s.p[k] == '"' || s.p[k] == '\''))
		k++;
	*i = k;
	return true;
}

static bool
is_face(struct str s)
{
	size_t i = 0;

	if (s.n > FACE_MAX_BYTES || !face_name(s, &i, true))
		return false;
	while (i < s.n && s.p[i] == ',') {
		i++;
		if (!face_name(s, &i, false))
			return false;
	}
	if (i < s.n && s.p[i] == ';')
		i++;
	if (i < s.n && s.p[i] == '\n')
		i++;
	return i == s.n;
}

static void
begin_anchor(struct render *r, bool wide)
{
	struct html_anchor *a;

	view_text_end_anchor(r);
	r->anchor = NULL;
	if (r->anchor_count >= VIEW_HTML_LINKS) {
		r->facts->truncated = true;
		return;
	}
	r->anchor_count++;
	a = arena_alloc(r->arena, sizeof(*a));
	if (a == NULL) {
		r->full = true;
		return;
	}
	a->href = view_text_keep(r, canon_uri(r, r->value[ATTR_HREF]), wide);
	a->text = STR("");
	*r->anchors_tail = a;
	r->anchors_tail = &a->next;
	r->anchor = a;
}

static void
add_charset(struct render *r, struct str content)
{
	struct str rest = content;
	ptrdiff_t at;

	while ((at = str_ifind(rest, STR("charset"))) >= 0) {
		bool word = at > 0 && is_word((unsigned char)rest.p[at - 1]);
		size_t n = 0;

		rest = str_sub(rest, (size_t)at + 7, rest.n);
		while (rest.n > 0 && chr_white((unsigned char)rest.p[0]))
			rest = str_sub(rest, 1, rest.n);
		if (word || rest.n == 0 || rest.p[0] != '=')
			continue;
		rest = str_sub(rest, 1, rest.n);
		while (rest.n > 0 && chr_white((unsigned char)rest.p[0]))
			rest = str_sub(rest, 1, rest.n);
		if (rest.n > 0 && (rest.p[0] == '"' || rest.p[0] == '\''))
			rest = str_sub(rest, 1, rest.n);
		while (n < rest.n && rest.p[n] != '"' && rest.p[n] != '\'')
			n++;
		if (n > 0)
			view_text_string(r, &r->charsets, str_sub(rest, 0, n),
			    true);
		return;
	}
}

static void
test_image(struct render *r)
{
	struct str *v = r->value;

	if (r->in_a != NULL && r->in_a->inside > 0)
		view_text_append(r, &r->anchor_text, STR("<img>\n"));
	if (v[ATTR_WIDTH].p != NULL && v[ATTR_HEIGHT].p != NULL)
		r->facts->image_area += image_side(v[ATTR_WIDTH], 8) *
		    image_side(v[ATTR_HEIGHT], 6);
}

void
view_attr_test(struct render *r, struct str tag, bool wide)
{
	struct str *v = r->value;

	if (str_eq(tag, STR("font")) && v[ATTR_FACE].p != NULL)
		r->facts->font_face_bad |= !is_face(v[ATTR_FACE]);
	else if (str_eq(tag, STR("img")))
		test_image(r);
	else if (str_eq(tag, STR("form")))
		r->facts->form_action_mailto |=
		    str_ifind(v[ATTR_ACTION], STR("mailto:")) >= 0;
	else if (str_eq(tag, STR("object")) || str_eq(tag, STR("embed")))
		r->facts->embeds = true;
	else if (str_eq(tag, STR("a")))
		begin_anchor(r, wide);
	else if (str_eq(tag, STR("meta")) &&
	    str_ifind(v[ATTR_EQUIV], STR("content-type")) >= 0)
		add_charset(r, v[ATTR_CONTENT]);
	if (str_eq(tag, STR("title"))) {
		view_text_end_title(r);
		r->in_title_now = true;
	}
}

/* Which attributes each tag may have that say how its text looks. */
void
view_attr_style(struct render *r, enum style_tag tag)
{
	struct str *v = r->value;
	struct style_attrs at = { .any = false };
	bool font = tag == STYLE_FONT || tag == STYLE_BASEFONT;

	if (tag == STYLE_BODY) {
		at.text = v[ATTR_TEXT];
		at.any = at.text.p != NULL || v[ATTR_BGCOLOR].p != NULL ||
		    v[ATTR_BACKGROUND].p != NULL;
	} else if (font) {
		at.color = v[ATTR_COLOR];
		at.size = v[ATTR_SIZE];
		at.any = at.color.p != NULL || at.size.p != NULL ||
		    v[ATTR_FACE].p != NULL;
	} else {
		at.style = v[ATTR_STYLE];
		at.any = at.style.p != NULL ||
		    (v[ATTR_BGCOLOR].p != NULL &&
			(tag == STYLE_TABLE || tag == STYLE_TD ||
			    tag == STYLE_TR));
	}
	view_style_open(&r->style, tag, &at);
}
