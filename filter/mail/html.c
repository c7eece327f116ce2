#include "mail/html.h"

#include <string.h>

#define ENTITY_MAX    10 /* the longest name we know, and "#x10ffff" */
#define URL_MAX_BYTES 4096
#define NBSP	      0xa0

struct html {
	struct str s;
	size_t i;
	struct buf *out;
	bool text; /* there is any */
	char owed; /* white space before the next character; NUL: none */
	void (*on_url)(void *, struct str);
	void *arg;
};

struct entity {
	const char *name;
	uint32_t c;
};

/* In order of strcmp(). */
static const struct entity entities[] = {
	{ "AMP", '&' },
	{ "Auml", 0xc4 },
	{ "Eacute", 0xc9 },
	{ "GT", '>' },
	{ "LT", '<' },
	{ "Ouml", 0xd6 },
	{ "QUOT", '"' },
	{ "Uuml", 0xdc },
	{ "aacute", 0xe1 },
	{ "acirc", 0xe2 },
	{ "aelig", 0xe6 },
	{ "agrave", 0xe0 },
	{ "amp", '&' },
	{ "apos", '\'' },
	{ "aring", 0xe5 },
	{ "atilde", 0xe3 },
	{ "auml", 0xe4 },
	{ "bdquo", 0x201e },
	{ "bull", 0x2022 },
	{ "ccedil", 0xe7 },
	{ "cent", 0xa2 },
	{ "colon", ':' },
	{ "comma", ',' },
	{ "commat", '@' },
	{ "copy", 0xa9 },
	{ "deg", 0xb0 },
	{ "divide", 0xf7 },
	{ "dollar", '$' },
	{ "eacute", 0xe9 },
	{ "ecirc", 0xea },
	{ "egrave", 0xe8 },
	{ "emsp", 0x2003 },
	{ "ensp", 0x2002 },
	{ "equals", '=' },
	{ "euml", 0xeb },
	{ "euro", 0x20ac },
	{ "excl", '!' },
	{ "frac12", 0xbd },
	{ "gt", '>' },
	{ "hellip", 0x2026 },
	{ "iacute", 0xed },
	{ "iexcl", 0xa1 },
	{ "iquest", 0xbf },
	{ "laquo", 0xab },
	{ "ldquo", 0x201c },
	{ "lpar", '(' },
	{ "lsaquo", 0x2039 },
	{ "lsquo", 0x2018 },
	{ "lt", '<' },
	{ "mdash", 0x2014 },
	{ "middot", 0xb7 },
	{ "nbsp", NBSP },
	{ "ndash", 0x2013 },
	{ "ntilde", 0xf1 },
	{ "num", '#' },
	{ "oacute", 0xf3 },
	{ "ocirc", 0xf4 },
	{ "ouml", 0xf6 },
	{ "para", 0xb6 },
	{ "percnt", '%' },
	{ "period", '.' },
	{ "pound", 0xa3 },
	{ "quot", '"' },
	{ "raquo", 0xbb },
	{ "rdquo", 0x201d },
	{ "reg", 0xae },
	{ "rpar", ')' },
	{ "rsaquo", 0x203a },
	{ "rsquo", 0x2019 },
	{ "sbquo", 0x201a },
	{ "sect", 0xa7 },
	{ "shy", 0xad },
	{ "sol", '/' },
	{ "szlig", 0xdf },
	{ "thinsp", 0x2009 },
	{ "times", 0xd7 },
	{ "trade", 0x2122 },
	{ "uacute", 0xfa },
	{ "uuml", 0xfc },
	{ "yen", 0xa5 },
	{ "zwj", 0x200d },
	{ "zwnj", 0x200c },
};

/* Tags that begin a new line; closing ones as well. */
static const char *const blocks[] = { "address", "article", "aside",
	"blockquote", "body", "br", "center", "dd", "div", "dl", "dt",
	"fieldset", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
	"head", "header", "hr", "html", "li", "main", "nav", "ol", "option",
	"p", "pre", "section", "table", "tbody", "tfoot", "thead", "title",
	"tr", "ul" };

/* Attributes whose value is a link. */
static const char *const links[] = { "action", "background", "cite", "data",
	"formaction", "href", "longdesc", "poster", "src" };

static bool
listed(const char *const *words, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq(s, str_of(words[i])))
			return true;
	return false;
}

static void
put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, c);
	} else if (c < 0x800) {
		buf_addc(b, 0xc0 | c >> 6);
		buf_addc(b, 0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		buf_addc(b, 0xe0 | c >> 12);
		buf_addc(b, 0x80 | (c >> 6 & 0x3f));
		buf_addc(b, 0x80 | (c & 0x3f));
	} else {
		buf_addc(b, 0xf0 | c >> 18);
		buf_addc(b, 0x80 | (c >> 12 & 0x3f));
		buf_addc(b, 0x80 | (c >> 6 & 0x3f));
		buf_addc(b, 0x80 | (c & 0x3f));
	}
}

/* White space runs become one space or line break, and none at the edges. */
static void
owe(struct html *h, char c)
{
	if (h->owed != '\n')
		h->owed = c;
}

static void
put_owed(struct html *h)
{
	if (h->owed != '\0' && h->text)
		buf_addc(h->out, h->owed);
	h->owed = '\0';
	h->text = true;
}

static void
put_char(struct html *h, uint32_t c)
{
	if (c == '\0')
		return;
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' ||
	    c == NBSP) {
		owe(h, ' ');
		return;
	}
	put_owed(h);
	put_utf8(h->out, c);
}

static uint32_t
named(struct str name)
{
	size_t low = 0, high = sizeof(entities) / sizeof(entities[0]);

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = str_cmp(name, str_of(entities[mid].name));

		if (order == 0)
			return entities[mid].c;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return 0;
}

static uint32_t
numeric(struct str digits)
{
	unsigned int base = 10;
	uint32_t c = 0;

	if (digits.n > 0 && (digits.p[0] == 'x' || digits.p[0] == 'X')) {
		base = 16;
		digits = str_sub(digits, 1, digits.n);
	}
	if (digits.n == 0)
		return 0;
	for (size_t i = 0; i < digits.n; i++) {
		int d = chr_lower((unsigned char)digits.p[i]);

		d = chr_digit(d)	 ? d - '0' :
		    d >= 'a' && d <= 'f' ? d - 'a' + 10 :
					   99;
		if ((unsigned int)d >= base)
			return 0;
		c = c * base + d;
		if (c > 0x10ffff)
			return 0xfffd;
	}
	if (c == 0 || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	return c;
}

/* The character of "&...;" at s, and how long it is; 0 if it is none.  The
 * semicolon may be missing. */
static uint32_t
entity_at(struct str s, size_t *len)
{
	size_t n = 1, most = s.n < ENTITY_MAX ? s.n : ENTITY_MAX;
	bool hash = s.n > 1 && s.p[1] == '#';
	uint32_t c;

	/* Leading zeros may be many: &#0000065; */
	if (hash) {
		for (n = 2;
		     n < s.n && n < 64 && chr_alnum((unsigned char)s.p[n]); n++)
			if (!chr_digit((unsigned char)s.p[n]) &&
			    !(chr_lower((unsigned char)s.p[n]) <= 'f') &&
			    !(n == 2 &&
				chr_lower((unsigned char)s.p[n]) == 'x'))
				break;
		c = numeric(str_sub(s, 2, n - 2));
	} else {
		while (n < most && chr_alnum((unsigned char)s.p[n]))
			n++;
		c = named(str_sub(s, 1, n - 1));
	}
	*len = n + (n < s.n && s.p[n] == ';');
	return c;
}

static void
decode_into(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t len = 1;
		uint32_t c =
		    s.p[i] == '&' ? entity_at(str_sub(s, i, s.n), &len) : 0;

		if (c != 0) {
			put_utf8(b, c);
			i += len;
		} else {
			buf_addc(b, s.p[i++]);
		}
	}
}

static void
take_link(struct html *h, struct str name, struct str value)
{
	struct buf b = BUF_INIT(URL_MAX_BYTES);

	if (h->on_url == NULL || value.n == 0 ||
	    !listed(links, sizeof(links) / sizeof(links[0]), name))
		return;
	decode_into(&b, str_sub(value, 0, URL_MAX_BYTES));
	h->on_url(h->arg, buf_str(&b));
	buf_free(&b);
}

static void
skip_space(struct html *h)
{
	while (h->i < h->s.n &&
	    (chr_space((unsigned char)h->s.p[h->i]) || h->s.p[h->i] == '\f' ||
		h->s.p[h->i] == '\0'))
		h->i++;
}

static bool
ends_name(char c)
{
	return chr_space((unsigned char)c) || c == '>' || c == '/' ||
	    c == '=' || c == '\0' || c == '\f';
}

static struct str
take_name(struct html *h)
{
	size_t from = h->i;

	while (h->i < h->s.n && !ends_name(h->s.p[h->i]))
		h->i++;
	return str_sub(h->s, from, h->i - from);
}

/* Quoted to its quote or, unclosed, to the end: as browsers read it. */
static struct str
take_value(struct html *h)
{
	size_t from = h->i;
	const char *end;
	char quote;

	if (h->i < h->s.n && (h->s.p[h->i] == '"' || h->s.p[h->i] == '\'')) {
		quote = h->s.p[h->i];
		from = ++h->i;
		end = memchr(h->s.p + from, quote, h->s.n - from);
		h->i = end != NULL ? (size_t)(end - h->s.p) : h->s.n;
		struct str value = str_sub(h->s, from, h->i - from);
		h->i += end != NULL;
		return value;
	}
	while (h->i < h->s.n && h->s.p[h->i] != '>' &&
	    !chr_space((unsigned char)h->s.p[h->i]))
		h->i++;
	return str_sub(h->s, from, h->i - from);
}

static void
attributes(struct html *h)
{
	while (h->i < h->s.n && h->s.p[h->i] != '>') {
		struct str name, value = STR_NONE;

		skip_space(h);
		name = take_name(h);
		skip_space(h);
		if (h->i < h->s.n && h->s.p[h->i] == '=') {
			h->i++;
			skip_space(h);
			value = take_value(h);
		} else if (name.n == 0 && h->i < h->s.n &&
		    h->s.p[h->i] != '>') {
			h->i++;
		}
		take_link(h, name, value);
	}
	if (h->i < h->s.n)
		h->i++;
}

/* Behind needle, or the end of the text. */
static void
skip_past(struct html *h, struct str needle)
{
	ptrdiff_t at = str_find(str_sub(h->s, h->i, h->s.n), needle);

	h->i = at < 0 ? h->s.n : h->i + at + needle.n;
}

/* A comment ends in "-->" or "--!>"; "<!-->" and "<!--->" are whole ones. */
static void
skip_comment(struct html *h)
{
	const char *begin = h->s.p + h->i + 4, *end = h->s.p + h->s.n, *p;

	for (p = begin; p < end; p++) {
		p = memchr(p, '>', end - p);
		if (p == NULL)
			break;
		if (memcmp(p - 2, "--", 2) == 0 ||
		    (p - begin >= 3 && memcmp(p - 3, "--!", 3) == 0)) {
			h->i = p + 1 - h->s.p;
			return;
		}
	}
	h->i = h->s.n;
}

/* To "</script" and the like; its attributes are read as those of a tag. */
static void
skip_raw(struct html *h, struct str name)
{
	while (h->i < h->s.n) {
		const char *p = memchr(h->s.p + h->i, '<', h->s.n - h->i);

		if (p == NULL)
			break;
		h->i = p + 1 - h->s.p;
		if (h->i < h->s.n && h->s.p[h->i] == '/' &&
		    str_istarts(str_sub(h->s, h->i + 1, h->s.n), name)) {
			h->i += 1 + name.n;
			attributes(h);
			return;
		}
	}
	h->i = h->s.n;
}

static bool
is_raw(struct str name)
{
	return str_ieq(name, STR("script")) || str_ieq(name, STR("style"));
}

/* At "<"; false where it is an ordinary character. */
static bool
take_tag(struct html *h)
{
	struct str s = str_sub(h->s, h->i, h->s.n), name;
	bool closing = s.n > 1 && s.p[1] == '/';
	size_t letter = closing ? 2 : 1;

	if (str_starts(s, STR("<!--"))) {
		skip_comment(h);
		return true;
	}
	if (s.n > 1 && (s.p[1] == '!' || s.p[1] == '?')) {
		skip_past(h, STR(">"));
		return true;
	}
	if (s.n <= letter || !chr_alpha((unsigned char)s.p[letter]))
		return false;
	h->i += letter;
	name = take_name(h);
	if (listed(blocks, sizeof(blocks) / sizeof(blocks[0]), name))
		owe(h, '\n');
	else if (str_ieq(name, STR("td")) || str_ieq(name, STR("th")) ||
	    str_ieq(name, STR("img")))
		owe(h, ' ');
	attributes(h);
	if (!closing && is_raw(name))
		skip_raw(h, name);
	return true;
}

void
html_text(struct str html, struct buf *out, void (*on_url)(void *, struct str),
    void *arg)
{
	struct html h = { .s = html,
		.out = out,

		.on_url = on_url,
		.arg = arg };

	while (h.i < h.s.n && !out->failed) {
		unsigned char c = h.s.p[h.i];
		size_t len = 1;
		uint32_t entity;

		if (c == '<' && take_tag(&h))
			continue;
		if (c == '&' &&
		    (entity = entity_at(str_sub(h.s, h.i, h.s.n), &len)) != 0) {
			put_char(&h, entity);
			h.i += len;
		} else if (c < 0x80) {
			put_char(&h, c);
			h.i++;
		} else {
			/* a byte of UTF-8, or what the caller left of it */
			put_owed(&h);
			buf_addc(out, c);
			h.i++;
		}
	}
}
