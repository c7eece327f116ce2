#include "mail/view_style.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define COLOR_NAME_MAX 20
#define COLOR_TEXT_MAX 100 /* longer is no colour that anyone knows */
#define SIZE_LIMIT     1000000

/* The names of CSS 3, in order of strcmp(). */
static const struct {
	char name[COLOR_NAME_MAX + 1];
	uint32_t rgb;
} colors[] = {
	{ "aliceblue", 0xf0f8ff },
	{ "antiquewhite", 0xfaebd7 },
	{ "aqua", 0x00ffff },
	{ "aquamarine", 0x7fffd4 },
	{ "azure", 0xf0ffff },
	{ "beige", 0xf5f5dc },
	{ "bisque", 0xffe4c4 },
	{ "black", 0x000000 },
	{ "blanchedalmond", 0xffebcd },
	{ "blue", 0x0000ff },
	{ "blueviolet", 0x8a2be2 },
	{ "brown", 0xa52a2a },
	{ "burlywood", 0xdeb887 },
	{ "cadetblue", 0x5f9ea0 },
	{ "chartreuse", 0x7fff00 },
	{ "chocolate", 0xd2691e },
	{ "coral", 0xff7f50 },
	{ "cornflowerblue", 0x6495ed },
	{ "cornsilk", 0xfff8dc },
	{ "crimson", 0xdc143c },
	{ "cyan", 0x00ffff },
	{ "darkblue", 0x00008b },
	{ "darkcyan", 0x008b8b },
	{ "darkgoldenrod", 0xb8860b },
	{ "darkgray", 0xa9a9a9 },
	{ "darkgreen", 0x006400 },
	{ "darkgrey", 0xa9a9a9 },
	{ "darkkhaki", 0xbdb76b },
	{ "darkmagenta", 0x8b008b },
	{ "darkolivegreen", 0x556b2f },
	{ "darkorange", 0xff8c00 },
	{ "darkorchid", 0x9932cc },
	{ "darkred", 0x8b0000 },
	{ "darksalmon", 0xe9967a },
	{ "darkseagreen", 0x8fbc8f },
	{ "darkslateblue", 0x483d8b },
	{ "darkslategray", 0x2f4f4f },
	{ "darkslategrey", 0x2f4f4f },
	{ "darkturquoise", 0x00ced1 },
	{ "darkviolet", 0x9400d3 },
	{ "deeppink", 0xff1493 },
	{ "deepskyblue", 0x00bfff },
	{ "dimgray", 0x696969 },
	{ "dimgrey", 0x696969 },
	{ "dodgerblue", 0x1e90ff },
	{ "firebrick", 0xb22222 },
	{ "floralwhite", 0xfffaf0 },
	{ "forestgreen", 0x228b22 },
	{ "fuchsia", 0xff00ff },
	{ "gainsboro", 0xdcdcdc },
	{ "ghostwhite", 0xf8f8ff },
	{ "gold", 0xffd700 },
	{ "goldenrod", 0xdaa520 },
	{ "gray", 0x808080 },
	{ "green", 0x008000 },
	{ "greenyellow", 0xadff2f },
	{ "grey", 0x808080 },
	{ "honeydew", 0xf0fff0 },
	{ "hotpink", 0xff69b4 },
	{ "indianred", 0xcd5c5c },
	{ "indigo", 0x4b0082 },
	{ "ivory", 0xfffff0 },
	{ "khaki", 0xf0e68c },
	{ "lavender", 0xe6e6fa },
	{ "lavenderblush", 0xfff0f5 },
	{ "lawngreen", 0x7cfc00 },
	{ "lemonchiffon", 0xfffacd },
	{ "lightblue", 0xadd8e6 },
	{ "lightcoral", 0xf08080 },
	{ "lightcyan", 0xe0ffff },
	{ "lightgoldenrodyellow", 0xfafad2 },
	{ "lightgray", 0xd3d3d3 },
	{ "lightgreen", 0x90ee90 },
	{ "lightgrey", 0xd3d3d3 },
	{ "lightpink", 0xffb6c1 },
	{ "lightsalmon", 0xffa07a },
	{ "lightseagreen", 0x20b2aa },
	{ "lightskyblue", 0x87cefa },
	{ "lightslategray", 0x778899 },
	{ "lightslategrey", 0x778899 },
	{ "lightsteelblue", 0xb0c4de },
	{ "lightyellow", 0xffffe0 },
	{ "lime", 0x00ff00 },
	{ "limegreen", 0x32cd32 },
	{ "linen", 0xfaf0e6 },
	{ "magenta", 0xff00ff },
	{ "maroon", 0x800000 },
	{ "mediumaquamarine", 0x66cdaa },
	{ "mediumblue", 0x0000cd },
	{ "mediumorchid", 0xba55d3 },
	{ "mediumpurple", 0x9370db },
	{ "mediumseagreen", 0x3cb371 },
	{ "mediumslateblue", 0x7b68ee },
	{ "mediumspringgreen", 0x00fa9a },
	{ "mediumturquoise", 0x48d1cc },
	{ "mediumvioletred", 0xc71585 },
	{ "midnightblue", 0x191970 },
	{ "mintcream", 0xf5fffa },
	{ "mistyrose", 0xffe4e1 },
	{ "moccasin", 0xffe4b5 },
	{ "navajowhite", 0xffdead },
	{ "navy", 0x000080 },
	{ "oldlace", 0xfdf5e6 },
	{ "olive", 0x808000 },
	{ "olivedrab", 0x6b8e23 },
	{ "orange", 0xffa500 },
	{ "orangered", 0xff4500 },
	{ "orchid", 0xda70d6 },
	{ "palegoldenrod", 0xeee8aa },
	{ "palegreen", 0x98fb98 },
	{ "paleturquoise", 0xafeeee },
	{ "palevioletred", 0xdb7093 },
	{ "papayawhip", 0xffefd5 },
	{ "peachpuff", 0xffdab9 },
	{ "peru", 0xcd853f },
	{ "pink", 0xffc0cb },
	{ "plum", 0xdda0dd },
	{ "powderblue", 0xb0e0e6 },
	{ "purple", 0x800080 },
	{ "red", 0xff0000 },
	{ "rosybrown", 0xbc8f8f },
	{ "royalblue", 0x4169e1 },
	{ "saddlebrown", 0x8b4513 },
	{ "salmon", 0xfa8072 },
	{ "sandybrown", 0xf4a460 },
	{ "seagreen", 0x2e8b57 },
	{ "seashell", 0xfff5ee },
	{ "sienna", 0xa0522d },
	{ "silver", 0xc0c0c0 },
	{ "skyblue", 0x87ceeb },
	{ "slateblue", 0x6a5acd },
	{ "slategray", 0x708090 },
	{ "slategrey", 0x708090 },
	{ "snow", 0xfffafa },
	{ "springgreen", 0x00ff7f },
	{ "steelblue", 0x4682b4 },
	{ "tan", 0xd2b48c },
	{ "teal", 0x008080 },
	{ "thistle", 0xd8bfd8 },
	{ "tomato", 0xff6347 },
	{ "turquoise", 0x40e0d0 },
	{ "violet", 0xee82ee },
	{ "wheat", 0xf5deb3 },
	{ "white", 0xffffff },
	{ "whitesmoke", 0xf5f5f5 },
	{ "yellow", 0xffff00 },
	{ "yellowgreen", 0x9acd32 },
};

static struct str
trim_space(struct str s)
{
	while (s.n > 0 && chr_white((unsigned char)s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && chr_white((unsigned char)s.p[0]))
		s = str_sub(s, 1, s.n);
	return s;
}

/*
 * Colours.
 */

static bool
find_color(struct str s, uint32_t *rgb)
{
	size_t low = 0, high = sizeof(colors) / sizeof(colors[0]);

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = str_cmp(s, str_of(colors[mid].name));

		if (order == 0) {
			*rgb = colors[mid].rgb;
			return true;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

static int
hex_value(int c)
{
	if (chr_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "#rgb" and "#rrggbb", and what people write for them. */
static uint32_t
read_hex(struct str s)
{
	char digits[6] = "000000";
	uint32_t rgb = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < 6; i++)
		if (hex_value((unsigned char)s.p[i]) >= 0)
			digits[n++] = s.p[i];
	if (n == 0)
		return STYLE_EMPTY;
	for (size_t i = n < 6 && n > 3 ? 3 : n; i < 6; i++)
		digits[i] = '0';
	for (size_t i = 0; i < 6; i++)
		rgb = rgb << 4 |
		    (uint32_t)hex_value(
			(unsigned char)digits[n < 6 ? i / 2 : i]);
	return rgb;
}

/* Three numbers in rgb( ), each with a percent sign or none of them. */
static bool
read_rgb(struct str s, uint32_t *rgb)
{
	struct buf hex = BUF_INIT(COLOR_TEXT_MAX);
	ptrdiff_t at = str_find(s, STR("rgb("));
	bool percent = false, ok = at >= 0;
	size_t i = ok ? (size_t)at + 4 : 0;

	for (int k = 0; k < 3 && ok; k++) {
		unsigned long v = 0;
		size_t from;

		while (k > 0 && i < s.n && chr_white((unsigned char)s.p[i]))
			i++;
		for (from = i; i < s.n && chr_digit((unsigned char)s.p[i]); i++)
			v = v < 1000000000 ?
			    v * 10 + (unsigned long)(s.p[i] - '0') :
			    v;
		ok = i > from;
		if (k == 0)
			percent = i < s.n && s.p[i] == '%';
		if (percent) {
			ok = ok && i < s.n && s.p[i] == '%';
			v = (unsigned long)((double)v / 100 * 255);
			i++;
		}
		buf_printf(&hex, "%02lx", v);
		while (k == 2 && i < s.n && chr_white((unsigned char)s.p[i]))
			i++;
		ok = ok && i < s.n && s.p[i++] == (k < 2 ? ',' : ')');
	}
	if (ok)
		*rgb = read_hex(buf_str(&hex));
	buf_free(&hex);
	return ok;
}

static uint32_t
read_color(struct str written)
{
	char space[COLOR_TEXT_MAX];
	struct str s = trim_space(written);
	uint32_t rgb;

	if (s.n > sizeof(space))
		return STYLE_INVALID;
	for (size_t i = 0; i < s.n; i++)
		space[i] = (char)chr_lower((unsigned char)s.p[i]);
	s.p = space;
	if (find_color(s, &rgb) || read_rgb(s, &rgb))
		return rgb;
	if (s.n == 0 || s.p[0] != '#')
		return STYLE_INVALID;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '#' && hex_value((unsigned char)s.p[i]) < 0)
			return STYLE_INVALID;
	return read_hex(s);
}

/* Of "rgb(1, 2, 3)" in a style the digits and commas are all that counts. */
static uint32_t
read_style_rgb(struct str s)
{
	uint32_t v[3] = { 0, 0, 0 };
	int k = 0;

	for (size_t i = 0; i < s.n && k < 3; i++) {
		if (s.p[i] == ',')
			k++;
		else if (chr_digit((unsigned char)s.p[i]) && v[k] < 256)
			v[k] = v[k] * 10 + (uint32_t)(s.p[i] - '0');
	}
	for (k = 0; k < 3; k++)
		v[k] = v[k] < 255 ? v[k] : 255;
	return v[0] << 16 | v[1] << 8 | v[2];
}

/*
 * style="..."
 */

static struct str
drop_important(struct str s)
{
	struct str t = s;

	if (!str_iends(t, STR("important")))
		return s;
	t = trim_space(str_sub(t, 0, t.n - 9));
	if (t.n == 0 || t.p[t.n - 1] != '!')
		return s;
	t.n--;
	while (t.n > 0 && chr_white((unsigned char)t.p[t.n - 1]))
		t.n--;
	return t;
}

static void
set_color(uint32_t *color, struct str value)
{
	value = drop_important(value);
	if (str_ifind(value, STR("rgb")) >= 0)
		*color = read_style_rgb(value);
	else if (str_ieq(value, STR("transparent")))
		*color = STYLE_TRANSPARENT;
	else if (!str_ieq(value, STR("inherit")))
		*color = read_color(value);
}

/* Words of a CSS value; commas begin a new layer, brackets and quotes hold
 * together what is in them. */
struct words {
	struct str rest;
	bool layer; /* the word is the first of one */
};

static bool
next_word(struct words *w, struct str *word)
{
	char stack[3] = { 0 };
	size_t i = 0, from, depth = 0;

	w->layer = false;
	while (i < w->rest.n && (w->rest.p[i] == ' ' || w->rest.p[i] == ','))
		w->layer |= w->rest.p[i++] == ',';
	for (from = i; i < w->rest.n; i++) {
		char c = w->rest.p[i];

		if (depth == 0 && (c == ' ' || c == ','))
			break;
		if (depth > 0 && c == stack[depth - 1]) {
			depth--;
			if (depth == 0 && c == ')') {
				i++;
				break;
			}
		} else if (depth == 0 && c == '(') {
			stack[depth++] = ')';
		} else if ((c == '"' || c == '\'') &&
		    (depth == 0 || (depth == 1 && stack[0] == ')'))) {
			stack[depth++] = c;
		}
	}
	*word = str_sub(w->rest, from, i - from);
	w->rest = str_sub(w->rest, i, w->rest.n);
	return word->n > 0;
}

/* The first colour of the layer at the bottom. */
static void
set_background(uint32_t *color, struct str value)
{
	struct words w = { .rest = value };
	struct str word;
	uint32_t found = STYLE_INVALID;
	bool have = false;

	while (next_word(&w, &word)) {
		uint32_t c;

		if (w.layer)
			have = false;
		if (have)
			continue;
		c = word.n <= COLOR_TEXT_MAX ? read_color(word) : STYLE_INVALID;
		have = c != STYLE_INVALID;
		found = have ? c : w.layer ? STYLE_INVALID : found;
	}
	if (found != STYLE_INVALID)
		*color = found;
}

static void
set_property(struct style *s, struct str name, struct str value)
{
	if (str_eq(name, STR("display")))
		s->no_display = str_ieq(value, STR("none"));
	else if (str_eq(name, STR("visibility")))
		s->hidden = str_ieq(value, STR("hidden"));
}

static bool
is_property_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_alpha((unsigned char)s.p[i]) && s.p[i] != '_' &&
		    s.p[i] != '-')
			return false;
	return s.n > 0;
}

static void
read_declaration(struct style *s, struct str text)
{
	struct str value, name = str_cut(text, ':', &value);

	if (value.p == NULL)
		return;
	value = trim_space(value);
	while (name.n > 0 && chr_white((unsigned char)name.p[0]))
		name = str_sub(name, 1, name.n);
	/* A value is one line, and there is one. */
	if (value.n == 0 || memchr(value.p, '\n', value.n) != NULL)
		return;
	if (str_ieq(name, STR("color")))
		set_color(&s->fg, value);
	else if (str_ieq(name, STR("background-color")))
		set_color(&s->bg, value);
	else if (str_eq(name, STR("background")))
		set_background(&s->bg, value);
	else if (is_property_name(name = trim_space(name)))
		set_property(s, name, value);
}

static void
read_style(struct style *s, struct str text, uint32_t parent_bg)
{
	struct str rest = text;

	while (rest.p != NULL)
		read_declaration(s, str_cut(rest, ';', &rest));
	if (s->bg == STYLE_TRANSPARENT)
		s->bg = parent_bg;
	if (s->fg == STYLE_TRANSPARENT)
		s->fg = s->bg;
}

/*
 * The stack.
 */

void
view_style_init(struct style_stack *st)
{
	*st =
	    (struct style_stack){ .basefont = 3, .min_size = 3, .max_size = 3 };
	st->cap = 64;
	st->v = mem_alloc(st->cap * sizeof(*st->v));
	st->v[st->n++] = (struct style){ .bg = 0xffffff, .size = 3 };
}

void
view_style_free(struct style_stack *st)
{
	free(st->v);
	st->v = NULL;
}

const struct style *
view_style_top(const struct style_stack *st)
{
	return &st->v[st->n - 1];
}

static void
push(struct style_stack *st, const struct style *s)
{
	if (st->n >= VIEW_STYLE_DEPTH) {
		st->truncated = true;
		return;
	}
	if (st->n == st->cap) {
		st->cap *= 2;
		st->v = mem_resize(st->v, st->cap * sizeof(*st->v));
	}
	st->v[st->n++] = *s;
	st->open[s->tag]++;
}

static enum style_tag
pop(struct style_stack *st)
{
	enum style_tag tag = st->v[--st->n].tag;

	st->open[tag]--;
	return tag;
}

/* A cell or row ends those before it, where one is open. */
static void
close_cells(struct style_stack *st, enum style_tag tag)
{
	if (st->open[tag] == 0)
		return;
	while (st->n > 1) {
		enum style_tag top = st->v[st->n - 1].tag;

		if (top != STYLE_FONT && top != STYLE_TD &&
		    (top != STYLE_TR || tag != STYLE_TR))
			break;
		pop(st);
	}
}

static bool
read_long(struct str s, size_t i, long *out)
{
	size_t from = i;
	long v = 0;

	for (; i < s.n && chr_digit((unsigned char)s.p[i]); i++)
		if (v < SIZE_LIMIT)
			v = v * 10 + (s.p[i] - '0');
	*out = v;
	return i > from;
}

/* "+1" and "-2" are relative. */
static void
read_size(const struct style_stack *st, struct str s, int32_t *size)
{
	size_t i = 0;
	bool sign;
	long v;

	while (i < s.n && chr_white((unsigned char)s.p[i]))
		i++;
	sign = i < s.n && (s.p[i] == '+' || s.p[i] == '-');
	if (!read_long(s, sign ? i + 1 : i, &v))
		return;
	if (!sign)
		*size = (int32_t)v;
	else
		*size = (int32_t)(st->basefont + (s.p[i] == '-' ? -v : v));
}

static bool
open_basefont(struct style_stack *st, struct str s)
{
	size_t i = 0;
	long v;

	while (i < s.n && chr_white((unsigned char)s.p[i]))
		i++;
	if (s.p == NULL || !read_long(s, i, &v))
		return false;
	st->basefont = v;
	return true;
}

void
view_style_open(struct style_stack *st, enum style_tag tag,
    const struct style_attrs *at)
{
	struct style s;

	if (tag == STYLE_BASEFONT && open_basefont(st, at->size))
		return;
	if (tag == STYLE_TD || tag == STYLE_TR)
		close_cells(st, tag);
	s = *view_style_top(st);
	s.tag = (uint8_t)tag;
	if (tag == STYLE_BIG || tag == STYLE_SMALL) {
		s.size += tag == STYLE_BIG ? 1 : -1;
		push(st, &s);
		return;
	}
	if (at->text.p != NULL)
		s.fg = read_color(at->text);
	if (at->color.p != NULL)
		s.fg = read_color(at->color);
	if (at->size.p != NULL)
		read_size(st, at->size, &s.size);
	if (at->style.p != NULL)
		read_style(&s, at->style, view_style_top(st)->bg);
	if (at->any && s.size > st->max_size)
		st->max_size = s.size;
	else if (at->any && s.size < st->min_size)
		st->min_size = s.size;
	push(st, &s);
}

void
view_style_close(struct style_stack *st, enum style_tag tag)
{
	if (tag == STYLE_BODY || st->open[tag] == 0)
		return;
	while (pop(st) != tag)
		continue;
}

static bool
is_rgb(uint32_t color)
{
	return color <= 0xffffff;
}

/* Brightness tells colours apart that the eye does. */
static bool
is_near(uint32_t a, uint32_t b)
{
	double red = (double)(a >> 16) - (double)(b >> 16);
	double green = (double)(a >> 8 & 0xff) - (double)(b >> 8 & 0xff);
	double blue = (double)(a & 0xff) - (double)(b & 0xff);

	red *= 0.2126;
	green *= 0.7152;
	blue *= 0.0722;
	return red * red + green * green + blue * blue < 12 * 12;
}

bool
view_style_invisible(const struct style *s, bool *contrast, bool *invalid)
{
	if (s->fg == s->bg ||
	    (is_rgb(s->fg) && is_rgb(s->bg) && is_near(s->fg, s->bg))) {
		*contrast = true;
		return true;
	}
	if (s->fg == STYLE_INVALID || s->bg == STYLE_INVALID) {
		*invalid = true;
		return true;
	}
	return s->size <= 1 || s->no_display || s->hidden;
}
