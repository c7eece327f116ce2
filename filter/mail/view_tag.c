#include "mail/view_tag.h"

#include "mail/view_style.h"

#define KNOWN VIEW_TAG_KNOWN
#define TRICK VIEW_TAG_TRICK

/* In order of strcmp(). */
static const struct tag_def tag_defs[] = {
	{ "a", KNOWN, SPACE_NONE, URI_HREF, STYLE_A },
	{ "abbr", KNOWN, 0, 0, 0 },
	{ "acronym", KNOWN, 0, 0, 0 },
	{ "address", KNOWN, 0, 0, 0 },
	{ "applet", KNOWN, 0, 0, 0 },
	{ "area", KNOWN, 0, URI_HREF, 0 },
	{ "b", KNOWN, 0, 0, 0 },
	{ "base", KNOWN, 0, URI_BASE, 0 },
	{ "basefont", KNOWN, 0, 0, STYLE_BASEFONT },
	{ "bdo", KNOWN, 0, 0, 0 },
	{ "bgsound", TRICK, 0, URI_SRC, 0 },
	{ "big", KNOWN, 0, 0, STYLE_BIG },
	{ "blockquote", KNOWN, SPACE_PARAGRAPH, 0, 0 },
	{ "body", KNOWN, 0, URI_BACKGROUND, STYLE_BODY },
	{ "br", KNOWN, SPACE_LINE, 0, 0 },
	{ "button", KNOWN, 0, 0, 0 },
	{ "caption", KNOWN, 0, 0, 0 },
	{ "center", KNOWN, 0, 0, 0 },
	{ "cite", KNOWN, 0, 0, 0 },
	{ "code", KNOWN, 0, 0, 0 },
	{ "col", KNOWN, 0, 0, 0 },
	{ "colgroup", KNOWN, 0, 0, 0 },
	{ "dd", KNOWN, SPACE_BLANK, 0, 0 },
	{ "del", KNOWN, 0, 0, 0 },
	{ "dfn", KNOWN, 0, 0, 0 },
	{ "dir", KNOWN, 0, 0, 0 },
	{ "div", KNOWN, SPACE_LINE, 0, STYLE_DIV },
	{ "dl", KNOWN, 0, 0, 0 },
	{ "dt", KNOWN, SPACE_BLANK, 0, 0 },
	{ "em", KNOWN, 0, 0, 0 },
	{ "embed", TRICK, SPACE_BLANK, URI_SRC, 0 },
	{ "fieldset", KNOWN, 0, 0, 0 },
	{ "font", KNOWN, 0, 0, STYLE_FONT },
	{ "form", KNOWN, 0, URI_ACTION, 0 },
	{ "frame", KNOWN, 0, URI_SRC, 0 },
	{ "frameset", KNOWN, 0, 0, 0 },
	{ "h1", KNOWN, SPACE_BLANK, 0, 0 },
	{ "h2", KNOWN, SPACE_BLANK, 0, 0 },
	{ "h3", KNOWN, SPACE_BLANK, 0, 0 },
	{ "h4", KNOWN, SPACE_BLANK, 0, 0 },
	{ "h5", KNOWN, SPACE_BLANK, 0, 0 },
	{ "h6", KNOWN, SPACE_BLANK, 0, 0 },
	{ "head", KNOWN, 0, 0, 0 },
	{ "hr", KNOWN, SPACE_PARAGRAPH, 0, 0 },
	{ "html", KNOWN, 0, 0, 0 },
	{ "i", KNOWN, 0, 0, 0 },
	{ "iframe", KNOWN, 0, URI_SRC, 0 },
	{ "img", KNOWN, 0, URI_SRC, 0 },
	{ "input", KNOWN, 0, 0, 0 },
	{ "ins", KNOWN, 0, 0, 0 },
	{ "isindex", KNOWN, 0, 0, 0 },
	{ "kbd", KNOWN, 0, 0, 0 },
	{ "label", KNOWN, 0, 0, 0 },
	{ "legend", KNOWN, 0, 0, 0 },
	{ "li", KNOWN, SPACE_BLANK, 0, 0 },
	{ "link", KNOWN, 0, URI_HREF, 0 },
	{ "listing", TRICK, SPACE_PARAGRAPH, 0, 0 },
	{ "map", KNOWN, 0, 0, 0 },
	{ "menu", KNOWN, 0, 0, 0 },
	{ "meta", KNOWN, 0, URI_META, 0 },
	{ "nobr", KNOWN, 0, 0, 0 },
	{ "noframes", KNOWN, 0, 0, 0 },
	{ "noscript", KNOWN, 0, 0, 0 },
	{ "object", KNOWN, 0, 0, 0 },
	{ "ol", KNOWN, 0, 0, 0 },
	{ "optgroup", KNOWN, 0, 0, 0 },
	{ "option", KNOWN, 0, 0, 0 },
	{ "p", KNOWN, SPACE_PARAGRAPH, 0, STYLE_P },
	{ "param", KNOWN, 0, 0, 0 },
	{ "plaintext", TRICK, SPACE_PARAGRAPH, 0, 0 },
	{ "pre", KNOWN, SPACE_PARAGRAPH, 0, 0 },
	{ "q", KNOWN, 0, 0, 0 },
	{ "s", KNOWN, 0, 0, 0 },
	{ "samp", KNOWN, 0, 0, 0 },
	{ "script", KNOWN, 0, URI_SRC, 0 },
	{ "select", KNOWN, 0, 0, 0 },
	{ "small", KNOWN, 0, 0, STYLE_SMALL },
	{ "span", KNOWN, 0, 0, STYLE_SPAN },
	{ "strike", KNOWN, 0, 0, 0 },
	{ "strong", KNOWN, 0, 0, 0 },
	{ "style", KNOWN, 0, 0, 0 },
	{ "sub", KNOWN, 0, 0, 0 },
	{ "sup", KNOWN, 0, 0, 0 },
	{ "table", KNOWN, 0, URI_BACKGROUND, STYLE_TABLE },
	{ "tbody", KNOWN, 0, 0, 0 },
	{ "td", KNOWN, SPACE_BLANK, URI_BACKGROUND, STYLE_TD },
	{ "textarea", KNOWN, 0, 0, 0 },
	{ "tfoot", KNOWN, 0, 0, 0 },
	{ "th", KNOWN, SPACE_BLANK, 0, STYLE_TD },
	{ "thead", KNOWN, 0, 0, 0 },
	{ "title", KNOWN, SPACE_PARAGRAPH, 0, 0 },
	{ "tr", KNOWN, 0, URI_BACKGROUND, STYLE_TR },
	{ "tt", KNOWN, 0, 0, 0 },
	{ "u", KNOWN, 0, 0, 0 },
	{ "ul", KNOWN, 0, 0, 0 },
	{ "var", KNOWN, 0, 0, 0 },
	{ "x-sigsep", KNOWN, 0, 0, 0 },
	{ "x-tab", KNOWN, 0, 0, 0 },
	{ "xmp", TRICK, SPACE_PARAGRAPH, 0, 0 },
};

const struct tag_def *
view_tag_find(struct str name)
{
	size_t low = 0, high = sizeof(tag_defs) / sizeof(tag_defs[0]);

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = str_cmp(name, str_of(tag_defs[mid].name));

		if (order == 0)
			return &tag_defs[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

bool
view_tag_is_namespace(struct str s)
{
	size_t i = 2;

	if (!str_starts(s, STR("o:"))) {
		i = 4;
		if (s.n < 4 || !str_starts(s, STR("st")) ||
		    !chr_digit((unsigned char)s.p[2]) || s.p[3] != ':')
			return false;
	}
	if (s.n > i + 1 && s.p[s.n - 1] == '/')
		s.n--;
	if (i >= s.n)
		return false;
	for (; i < s.n; i++)
		if (!chr_alnum((unsigned char)s.p[i]) && !(s.p[i] & 0x80) &&
		    s.p[i] != '_' && s.p[i] != '-')
			return false;
	return true;
}
