/* Functions about the MIME structure and how parts are encoded. */
#include <stddef.h>
#include <string.h>

#include "score/eval.h"
#include "score/eval_pattern.h"

#define QP_LINE_MAX	78	/* as RFC 5322; RFC 2045 says 76 */
#define UPPER_MIN	200	/* characters from which on a share is told */

/* What check_for_mime() may be asked for, and how. */
#define EVAL_MIME_COUNTS(X)						\
	X(base64_count, "mime_base64_count")				\
	X(base64_encoded_text, "mime_base64_encoded_text")		\
	X(body_html_count, "mime_body_html_count")			\
	X(body_text_count, "mime_body_text_count")			\
	X(attachment, "mime_attachment")				\
	X(bad_iso_charset, "mime_bad_iso_charset")			\
	X(missing_boundary, "mime_missing_boundary")			\
	X(alternative, "mime_multipart_alternative")			\
	X(multipart_ratio, "mime_multipart_ratio")			\
	X(qp_count, "mime_qp_count")					\
	X(qp_long_line, "mime_qp_long_line")				\
	X(qp_ratio, "mime_qp_ratio")					\
	X(ascii_text_illegal, "mime_ascii_text_illegal")		\
	X(text_unicode_ratio, "mime_text_unicode_ratio")		\
	X(limit_exceeded, "mimepart_limit_exceeded")

struct eval_mime {
#define X(member, word) double member;
	EVAL_MIME_COUNTS(X)
#undef X
	double		 qp_bytes, qp_needless, normal, unicode;
	double		 last_text, last_html;	/* bytes; < 0: none */
	bool		 caps_charset;
};

static const struct {
	const char	*word;
	size_t		 offset;
} counts[] = {
#define X(member, word) { word, offsetof(struct eval_mime, member) },
	EVAL_MIME_COUNTS(X)
#undef X
};

/* What a part says of itself. */
struct part {
	const struct view_part *p;
	struct str	 encoding, disposition, charset;
};

static struct str
part_field(struct eval *e, const struct view_part *p, struct str name)
{
	return str_trim(
	    eval_lower(e->arena, view_part_field(e->arena, &p->headers, name)));
}

static bool
contains(struct str hay, struct str needle)
{
	return str_find(hay, needle) >= 0;
}

static bool
is_hex_upper(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* =XX of a character that needs no encoding. */
static bool
needless(char high, char low)
{
	switch (high) {
	case '0':
		return low == '9';
	case '3':
		return low != 'D' && is_hex_upper(low);
	case '7':
		return low != 'F' && is_hex_upper(low);
	case '2':
	case '4':
	case '5':
	case '6':
		return is_hex_upper(low);
	default:
		return false;
	}
}

/* Blanks encoded at a line's end have a reason to be. */
static size_t
encoded_blanks_at_end(struct str line)
{
	size_t n = 0;

	line = str_trim(line);
	while (line.n >= 3 &&
	    (memcmp(line.p + line.n - 3, "=20", 3) == 0 ||
		memcmp(line.p + line.n - 3, "=09", 3) == 0)) {
		line.n -= 3;
		n++;
	}
	return n;
}

static void
count_quoted(struct eval_mime *m, struct str line)
{
	size_t i = 0, n = 0;
	ptrdiff_t at;

	if (str_starts(line, STR("SPAM: ")))
		return;
	if (line.n + 1 > QP_LINE_MAX + 1)
		m->qp_long_line = 1;
	m->qp_bytes += (double)line.n + 1;
	for (; (at = str_chr(str_sub(line, i, line.n), '=')) >= 0; i++) {
		i += (size_t)at;
		if (i + 2 < line.n && needless(line.p[i + 1], line.p[i + 2]))
			n++;
	}
	if (n > 0)
		m->qp_needless +=
		    (double)n - (double)encoded_blanks_at_end(line);
}

static bool
is_entity(struct str line, size_t i)
{
	size_t k;

	if (i + 8 > line.n || memcmp(line.p + i, "&#x", 3) != 0 ||
	    line.p[i + 7] != ';')
		return false;
	for (k = 3; k < 7; k++)
		if (!is_hex_upper(line.p[i + k]))
			return false;
	return true;
}

static void
count_entities(struct eval_mime *m, struct str line)
{
	ptrdiff_t at;
	size_t i, n = 0;

	for (i = 0; (at = str_chr(str_sub(line, i, line.n), '&')) >= 0;) {
		i += (size_t)at;
		if (is_entity(line, i)) {
			n++;
			i += 7;
		}
		i++;
	}
	m->normal += (double)(line.n + 1 - 8 * n);
	m->unicode += (double)n;
}

static bool
has_non_ascii(struct str line)
{
	return str_ascii(line) < line.n || str_chr(line, '\0') >= 0 ||
	    str_chr(line, '\r') >= 0;
}

static void
read_lines(struct eval_mime *m, const struct part *part)
{
	bool plain = str_eq(part->p->type, STR("text/plain"));
	bool quoted = str_eq(part->encoding, STR("quoted-printable"));
	bool ascii = plain &&
	    (part->charset.n == 0 || str_eq(part->charset, STR("us-ascii")));
	bool open = plain &&
	    (part->encoding.n == 0 || str_eq(part->encoding, STR("7bit")) ||
		str_eq(part->encoding, STR("8bit")));
	struct str rest = part->p->raw, line;

	if (!quoted && !ascii && !open)
		return;
	while (rest.p != NULL && rest.n > 0) {
		line = str_cut(rest, '\n', &rest);
		if (quoted)
			count_quoted(m, line);
		if (ascii && has_non_ascii(line))
			m->ascii_text_illegal++;
		if (open)
			count_entities(m, line);
	}
}

static void
read_charset(struct eval_mime *m, struct str charset)
{
	if (charset.n == 0)
		return;
	if (eval_matches(EVAL_RE_ISO_CHARSET, charset) &&
	    !eval_matches(EVAL_RE_ISO_GOOD, charset))
		m->bad_iso_charset = 1;
	if (eval_matches(EVAL_RE_CAPS_CHARSET, charset))
		m->caps_charset = true;
}

static void
read_fields(struct eval_mime *m, const struct part *part)
{
	bool base64 = contains(part->encoding, STR("base64"));
	bool text = str_starts(part->p->type, STR("text"));

	if (str_eq(part->p->type, STR("multipart/alternative")))
		m->alternative = 1;
	if (str_eq(part->p->type, STR("text/html")))
		m->body_html_count++;
	else if (text)
		m->body_text_count++;
	m->base64_count += base64;
	m->qp_count +=
	    !base64 && contains(part->encoding, STR("quoted-printable"));
	m->attachment += contains(part->disposition, STR("attachment"));
	if (text && base64 &&
	    (part->charset.n == 0 ||
		eval_matches(EVAL_RE_ASCII_CHARSET, part->charset)) &&
	    !str_starts(part->disposition, STR("attachment")) &&
	    !str_starts(part->disposition, STR("inline")))
		m->base64_encoded_text = 1;
	read_charset(m, part->charset);
}

/* Of an alternative the sizes of its last text and HTML count. */
static void
read_size(struct eval_mime *m, const struct part *part)
{
	bool counts_here = m->alternative != 0;
	double size = counts_here ? (double)part->p->raw.n : 0;

	if (contains(part->disposition, STR("attachment")))
		return;
	if (str_eq(part->p->type, STR("text/html")))
		m->last_html = size;
	else if (str_eq(part->p->type, STR("text/plain")))
		m->last_text = size;
}

static void
read_part(struct eval *e, struct eval_mime *m, const struct view_part *p)
{
	struct part part = { .p = p,
		.encoding = part_field(e, p, STR("Content-Transfer-Encoding")),
		.disposition = part_field(e, p, STR("Content-Disposition")),
		.charset = eval_lower(e->arena, p->charset) };

	read_fields(m, &part);
	if (!p->leaf)
		return;
	read_size(m, &part);
	read_lines(m, &part);
}

static struct eval_mime *
mime(struct eval *e)
{
	struct eval_mime *m = e->mime;
	const struct view_part *p;
	struct str charset;

	if (m != NULL)
		return m;
	m = e->mime = arena_alloc(e->arena, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->multipart_ratio = 1;
	m->last_text = m->last_html = -1;
	for (p = e->view->parts; p != NULL; p = p->next)
		read_part(e, m, p);
	if (eval_groups(EVAL_RE_CHARSET_PARAM, eval_field(e, "Content-Type"),
		&charset, 1) &&
	    eval_matches(EVAL_RE_CAPS_CHARSET, charset))
		m->caps_charset = true;
	if (m->qp_bytes > 0) {
		m->qp_ratio = m->qp_needless / m->qp_bytes;
		m->qp_count = m->qp_needless;
	}
	if (m->normal > 0)
		m->text_unicode_ratio = m->unicode / m->normal;
	if (m->alternative != 0 && m->last_text >= 0 && m->last_html > 0)
		m->multipart_ratio = m->last_text / m->last_html;
	m->missing_boundary = e->view->boundary_open;
	m->limit_exceeded = e->view->truncated;
	return m;
}

static bool
for_mime(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);
	size_t i;

	for (i = 0; m != NULL && i < sizeof(counts) / sizeof(counts[0]); i++)
		if (str_eq(eval_arg(r, 0), str_of(counts[i].word)))
			return *(const double *)((const char *)m +
				   counts[i].offset) != 0;
	return false;
}

static bool
is_html_mail(const struct eval *e)
{
	return str_istarts(eval_field(e, "Content-Type"), STR("text/html"));
}

static bool
any_html(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);

	(void)r;
	return is_html_mail(e) || (m != NULL && m->body_html_count > 0);
}

static bool
only_html(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);

	(void)r;
	return is_html_mail(e) ||
	    (m != NULL && m->body_html_count > 0 && m->body_text_count == 0);
}

static bool
text_to_html(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);

	return m != NULL && eval_in_range(r, 0, m->multipart_ratio);
}

static bool
ascii_illegal(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);

	(void)r;
	return m != NULL && m->ascii_text_illegal > 0;
}

static bool
unicode_ratio(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);

	return m != NULL && eval_arg(r, 0).n > 0 &&
	    m->text_unicode_ratio >= eval_number(r, 0);
}

static bool
qp_ratio(struct eval *e, const struct score_rule *r)
{
	const struct eval_mime *m = mime(e);

	return m != NULL && m->qp_ratio >= eval_number(r, 0);
}

static bool
parse_flag(struct eval *e, const struct score_rule *r)
{
	const struct view *v = e->view;
	const struct {
		struct str	word;
		bool		is;
	} flags[] = {
		{ STR("missing_mime_headers"), v->missing_mime_headers },
		{ STR("missing_mime_head_body_separator"),
		    v->missing_mime_head_body_separator },
		{ STR("mime_epilogue_exists"), v->mime_epilogue_exists },
		{ STR("truncated_header"),
		    v->parts != NULL && v->parts->headers.truncated },
	};
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (str_eq(eval_arg(r, 0), flags[i].word))
			return flags[i].is;
	return false;
}

struct cases {
	size_t upper, lower; /* digits are as good as small letters */
};

typedef unsigned char bytes __attribute__((vector_size(16)));

#define BLOCKS_MAX 255 /* counted in a byte each */

static void
count_blocks(struct cases *c, const char *p, size_t blocks)
{
	bytes upper = { 0 }, lower = { 0 }, v;
	size_t i;

	for (; blocks > 0; blocks--, p += sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		/* What is so is -1. */
		upper -= (bytes)(v - 'A' < 26);
		lower -= (bytes)(v - 'a' < 26) + (bytes)(v - '0' < 10);
	}
	for (i = 0; i < sizeof(v); i++) {
		c->upper += upper[i];
		c->lower += lower[i];
	}
}

static void
count_case(struct cases *c, struct str s)
{
	char rest[sizeof(bytes)] = { 0 };
	size_t blocks;

	for (; s.n >= sizeof(bytes);
	     s = str_sub(s, blocks * sizeof(bytes), s.n)) {
		blocks = s.n / sizeof(bytes);
		if (blocks > BLOCKS_MAX)
			blocks = BLOCKS_MAX;
		count_blocks(c, s.p, blocks);
	}
	if (s.n > 0)
		memcpy(rest, s.p, s.n);
	count_blocks(c, rest, 1);
}

/* Of letters and digits in lines of several words. */
static double
upper_share(struct eval *e)
{
	size_t i, begin, end, length = 0;
	struct cases c = { 0 };
	const struct eval_mime *m = mime(e);
	struct str line;

	if (m == NULL || m->caps_charset)
		return 0;
	for (i = 0; i < e->view->body.count; i++) {
		line = e->view->body.line[i];
		if (!eval_matches(EVAL_RE_INNER_SPACE, line) ||
		    eval_matches(EVAL_RE_LINGERING_BASE64, line))
			continue;
		begin = end = line.n;
		eval_next(EVAL_RE_SHIFT_JIS, line, 0, &begin, &end, NULL);
		length += line.n - (end - begin);
		count_case(&c, str_sub(line, 0, begin));
		count_case(&c, str_sub(line, end, line.n));
	}
	if (length < UPPER_MIN || c.upper + c.lower == 0)
		return 0;
	return (double)c.upper / (double)(c.upper + c.lower) * 100;
}

static bool
uppercase(struct eval *e, const struct score_rule *r)
{
	if (!e->upper_known) {
		e->upper = upper_share(e);
		e->upper_known = true;
	}
	return eval_above_upto(r, 0, e->upper);
}

static bool
is_ordinary_alternative(struct str type)
{
	return str_eq(type, STR("multipart/related")) ||
	    str_eq(type, STR("application/rtf")) ||
	    str_istarts(type, STR("text/"));
}

/* A child of multipart/alternative that is no text. */
static bool
alternative_non_text(struct eval *e, const struct score_rule *r)
{
	const struct view_part *p;

	(void)r;
	for (p = e->view->parts; p != NULL; p = p->next)
		if (p->leaf && p->parent != NULL &&
		    str_eq(p->parent->type, STR("multipart/alternative")) &&
		    !is_ordinary_alternative(p->type))
			return true;
	return false;
}

static size_t
longest_line(struct str text)
{
	struct str line;
	size_t most = 0;

	while (text.p != NULL && text.n > 0) {
		line = str_cut(text, '\n', &text);
		if (line.n + 1 > most)
			most = line.n + 1;
	}
	return most;
}

static bool
base64_length(struct eval *e, const struct score_rule *r)
{
	const struct view_part *p;
	size_t most = 0, n;

	for (p = e->view->parts; p != NULL; p = p->next) {
		if (!p->leaf || str_eq(p->type, STR("application/ics")) ||
		    !str_eq(part_field(e, p, STR("Content-Transfer-Encoding")),
			STR("base64")))
			continue;
		n = longest_line(p->raw);
		if (n > most)
			most = n;
	}
	return (double)most >= eval_number(r, 0) &&
	    (eval_open(r, 1) || (double)most <= eval_number(r, 1));
}

const struct eval_def eval_mime_defs[] = {
	{ "check_abundant_unicode_ratio", unicode_ratio, 0, 0 },
	{ "check_base64_length", base64_length, 0, 0 },
	{ "check_for_ascii_text_illegal", ascii_illegal, 0, 0 },
	{ "check_for_mime", for_mime, 0, 0 },
	{ "check_for_mime_html", any_html, 0, 0 },
	{ "check_for_mime_html_only", only_html, 0, 0 },
	{ "check_for_uppercase", uppercase, 0, 0 },
	{ "check_ma_non_text", alternative_non_text, 0, 0 },
	{ "check_mime_multipart_ratio", text_to_html, 0, 0 },
	{ "check_msg_parse_flags", parse_flag, 0, 0 },
	{ "check_qp_ratio", qp_ratio, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
