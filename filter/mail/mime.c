#include "mail/mime.h"

#include <gmime/gmime.h>
#include <pthread.h>
#include <string.h>

#include "mail/charset.h"
#include "mail/html.h"
#include "mail/inspect.h"
#include "mail/link.h"
#include "mail/mime_cut.h"
#include "mail/oddity.h"
#include "mail/uuencode.h"

#define FIELD_MAX_BYTES (16 * 1024)
#define FIELD_MAX_COUNT 8 /* of one name */
#define TYPE_MAX_BYTES	200
#define ENCODED_MAX	10 /* messages opened that are base64 */
#define META_MAX_BYTES	1024 /* where a <meta> charset may stand */
#define UUENCODED_MAX	50 /* files in texts */
#define TAGS_MAX	100000 /* of all HTML */

struct walk {
	struct arena *arena;
	struct content *content;
	struct buf text; /* all text, later content->text */
	struct text_part **texts_tail;
	struct attachment **attachments_tail;
	struct link_set links;
	struct inspect inspect;
	unsigned int encoded, uuencoded;
	size_t tags; /* of HTML */
	bool full; /* the arena is */
};

static void
init_once(void)
{
	g_mime_init();
}

static void
mime_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
}

/* A cap was met. */
static void
cut(struct walk *w, unsigned int odd)
{
	w->content->truncated |= odd != 0;
	w->content->odd |= odd;
}

static void
broken(struct walk *w, bool is)
{
	w->content->broken |= is;
	w->content->odd |= is ? ODD(MIME_BROKEN) : 0;
}

static struct str
keep(struct walk *w, struct str s)
{
	struct str kept = arena_str(w->arena, s.p == NULL ? STR("") : s);

	w->full |= kept.p == NULL;
	return kept;
}

/*
 * What GMime reads: of the message's own header the fields about content
 * alone, then the body.
 */

static void
add_field(struct walk *w, struct buf *head, const struct header *h)
{
	struct str value = header_unfold(w->arena, h->value);

	if (value.p == NULL) {
		w->full = true;
		return;
	}
	if (value.n > FIELD_MAX_BYTES)
		cut(w, ODD(MIME_HEADERS));
	buf_addstr(head, h->name);
	buf_adds(head, ": ");
	buf_addstr(head, str_sub(value, 0, FIELD_MAX_BYTES));
	buf_addc(head, '\n');
}

static void
add_head(struct walk *w, struct buf *head, const struct headers *hs)
{
	static const struct str names[] = { { "Content-Type", 12 },
		{ "Content-Transfer-Encoding", 25 },
		{ "Content-Disposition", 19 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsigned int n = header_count(hs, names[i]);

		/* Readers differ in which of two they believe. */
		broken(w, n > 1);
		for (unsigned int nth = 1; nth <= n; nth++)
			if (nth <= FIELD_MAX_COUNT)
				add_field(w, head,
				    header_get(hs, names[i], nth));
	}
}

static GByteArray *
make_input(struct walk *w, const struct headers *hs, struct str body)
{
	struct buf head = BUF_INIT(1024 * 1024);
	GByteArray *bytes;
	unsigned int odd = 0;
	size_t n;

	add_head(w, &head, hs);
	n = mime_cut_why(buf_str(&head), body, &odd);
	cut(w, odd);
	buf_addc(&head, '\n');
	bytes = g_byte_array_sized_new((guint)(head.n + n));
	g_byte_array_append(bytes, (const guint8 *)head.p, head.n);
	if (n > 0)
		g_byte_array_append(bytes, (const guint8 *)body.p, n);
	buf_free(&head);
	return bytes;
}

/*
 * Text.
 */

/* "charset=" of a <meta>, where the part's own header says nothing. */
static struct str
meta_charset(struct str html)
{
	struct str head = str_sub(html, 0, META_MAX_BYTES);
	ptrdiff_t at = str_ifind(head, STR("charset="));
	size_t n = 0;

	if (at < 0)
		return STR_NONE;
	head = str_sub(head, at + 8, head.n);
	if (head.n > 0 && (head.p[0] == '"' || head.p[0] == '\''))
		head = str_sub(head, 1, head.n);
	while (n < head.n &&
	    (chr_alnum((unsigned char)head.p[n]) || head.p[n] == '-' ||
		head.p[n] == '_'))
		n++;
	return str_sub(head, 0, n);
}

static void
to_utf8(struct buf *out, struct str bytes, struct str charset, bool html)
{
	if (charset.n == 0 && html && !utf8_valid(bytes))
		charset = meta_charset(bytes);
	if (charset.n == 0 || !charset_add(out, charset, bytes))
		charset_add_guess(out, bytes);
}

/* Lines end in LF alone. */
static void
add_plain(struct buf *out, struct str s)
{
	struct str line, rest = s;

	while (rest.p != NULL && !out->failed) {
		line = str_cut(rest, '\n', &rest);
		if (rest.p != NULL && line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_addstr(out, line);
		if (rest.p != NULL)
			buf_addc(out, '\n');
	}
}

static void
on_link(void *arg, struct str link)
{
	link_add(arg, link);
}

/* Its place in w->text is known by the lengths alone, until all is there. */
static void
add_text_part(struct walk *w, size_t from, bool html)
{
	struct text_part *t = arena_alloc(w->arena, sizeof(*t));

	if (t == NULL) {
		w->full = true;
		return;
	}
	t->text.n = w->text.n - from;
	t->html = html;
	*w->texts_tail = t;
	w->texts_tail = &t->next;
}

static void
count_tags(struct walk *w, struct str html)
{
	ptrdiff_t at;

	while (w->tags <= TAGS_MAX && (at = str_chr(html, '<')) >= 0) {
		w->tags++;
		html = str_sub(html, (size_t)at + 1, html.n);
	}
	if (w->tags > TAGS_MAX)
		w->content->odd |= ODD(HTML_LARGE);
}

static void
add_text(struct walk *w, struct str bytes, struct str charset, bool html)
{
	size_t room = w->text.max - w->text.n, from;
	struct buf utf8 = BUF_INIT(4 * (size_t)BODY_MAX_DECODED);

	if (bytes.n > room)
		cut(w, ODD(TEXT_LARGE));
	if (html)
		count_tags(w, bytes);
	to_utf8(&utf8, str_sub(bytes, 0, room), charset, html);
	if (w->content->texts != NULL)
		buf_addc(&w->text, '\n');
	from = w->text.n;
	if (html)
		html_text(buf_str(&utf8), &w->text, on_link, &w->links);
	else
		add_plain(&w->text, buf_str(&utf8));
	if (!w->text.failed || w->text.n > from)
		add_text_part(w, from, html);
	cut(w, w->text.failed || utf8.failed ? ODD(TEXT_LARGE) : 0);
	buf_free(&utf8);
}

static void
finish_text(struct walk *w)
{
	struct str all = keep(w, buf_str(&w->text));
	const char *at = all.p;

	w->content->text = all;
	for (struct text_part *t = w->content->texts;
	     t != NULL && all.p != NULL; t = t->next) {
		t->text.p = at;
		at += t->text.n + 1;
		link_find(&w->links, t->text);
	}
}

/*
 * Parts.
 */

static struct str
type_of(struct walk *w, GMimeObject *obj)
{
	GMimeContentType *type = g_mime_object_get_content_type(obj);
	const char *media = g_mime_content_type_get_media_type(type);
	const char *sub = g_mime_content_type_get_media_subtype(type);
	struct str s = arena_printf(w->arena, "%.*s/%.*s", TYPE_MAX_BYTES,
	    media != NULL ? media : "application", TYPE_MAX_BYTES,
	    sub != NULL ? sub : "octet-stream");
	char *p = (char *)(uintptr_t)s.p;

	w->full |= p == NULL;
	for (size_t i = 0; i < s.n; i++)
		p[i] = chr_lower((unsigned char)p[i]);
	return s;
}

/* What its bytes say is found out where there are any. */
static void
add_attachment(struct walk *w, struct str name, struct str type,
    struct str bytes)
{
	struct attachment *at = arena_alloc(w->arena, sizeof(*at));

	if (at == NULL) {
		w->full = true;
		return;
	}
	at->name = keep(w, charset_guess(w->arena, name));
	at->type = type;
	at->size = bytes.n;
	at->magic = STR("");
	*w->attachments_tail = at;
	w->attachments_tail = &at->next;
	if (bytes.n > 0 && at->name.p != NULL)
		inspect_file(&w->inspect, at, bytes);
}

/* Files that were sent as text, before there was MIME. */
static void
find_uuencoded(struct walk *w, struct str text)
{
	struct buf bytes = BUF_INIT(text.n);
	struct str name;

	while (!w->full && uuencode_next(&text, &name, &bytes)) {
		if (w->uuencoded++ >= UUENCODED_MAX) {
			cut(w, ODD(MIME_PARTS));
			break;
		}
		add_attachment(w, name, STR("application/octet-stream"),
		    buf_str(&bytes));
		buf_truncate(&bytes, 0);
	}
	buf_free(&bytes);
}

static struct str
bytes_of(GMimeStream *mem)
{
	const GByteArray *bytes = GMIME_STREAM_MEM(mem)->buffer;

	return (struct str){ (const char *)bytes->data, bytes->len };
}

static struct str
charset_of(GMimeObject *obj)
{
	return str_of(g_mime_object_get_content_type_parameter(obj, "charset"));
}

/* No part is longer decoded than it is encoded: room for that is asked for
 * once, where growing would take twice as much. */
static GMimeStream *
decode(GMimeDataWrapper *content)
{
	GMimeStream *from, *mem;
	gint64 n = 0;

	if (content != NULL) {
		from = g_mime_data_wrapper_get_stream(content);
		n = g_mime_stream_length(from);
	}
	mem = g_mime_stream_mem_new_with_byte_array(
	    g_byte_array_sized_new(n > 0 ? (guint)n : 0));
	if (content != NULL)
		g_mime_data_wrapper_write_to_stream(content, mem);
	return mem;
}

static void walk_part(struct walk *, GMimeObject *, unsigned int);

/* A message that was sent as base64, which RFC 2046 section 5.2.1 forbids and
 * people's programs open all the same. */
static void
take_encoded_message(struct walk *w, GMimeStream *mem, unsigned int depth)
{
	GMimeParser *parser;
	GMimeMessage *message;
	unsigned int odd = 0;
	size_t n;

	/* Each may have as many parts as a message may. */
	if (w->encoded++ >= ENCODED_MAX || depth >= BODY_MAX_DEPTH) {
		cut(w,
		    depth >= BODY_MAX_DEPTH ? ODD(MIME_DEEP) : ODD(MIME_PARTS));
		return;
	}
	n = mime_cut_why(STR("Content-Type: message/rfc822\n"), bytes_of(mem),
	    &odd);
	cut(w, odd);
	g_byte_array_set_size(GMIME_STREAM_MEM(mem)->buffer, n);
	g_mime_stream_reset(mem);
	parser = g_mime_parser_new_with_stream(mem);
	message = g_mime_parser_construct_message(parser, NULL);
	if (message != NULL) {
		walk_part(w, message->mime_part, depth + 1);
		g_object_unref(message);
	}
	g_object_unref(parser);
}

static void
take_leaf(struct walk *w, GMimePart *part, unsigned int depth)
{
	GMimeObject *obj = GMIME_OBJECT(part);
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	const char *name = g_mime_part_get_filename(part);
	struct str type = type_of(w, obj);
	bool text = str_starts(type, STR("text/"));
	GMimeStream *mem = decode(content);

	if (content != NULL && text)
		add_text(w, bytes_of(mem), charset_of(obj),
		    str_eq(type, STR("text/html")));
	if (!text || (name != NULL && *name != '\0'))
		add_attachment(w, str_of(name), type, bytes_of(mem));
	if (content != NULL && text)
		find_uuencoded(w, bytes_of(mem));
	if (content != NULL && str_eq(type, STR("message/rfc822")))
		take_encoded_message(w, mem, depth);
	g_object_unref(mem);
}

static void
take_multipart(struct walk *w, GMimeMultipart *mp, unsigned int depth)
{
	int n = g_mime_multipart_get_count(mp);
	const char *prologue;

	broken(w, n <= 0 || !mp->write_end_boundary);
	for (int i = 0; i < n && !w->full; i++)
		walk_part(w, g_mime_multipart_get_part(mp, i), depth + 1);
	/* Without parts all of it went there; people may still read it. */
	prologue = n <= 0 ? g_mime_multipart_get_prologue(mp) : NULL;
	if (prologue != NULL)
		add_text(w, str_of(prologue), STR_NONE, false);
}

static void
take_message(struct walk *w, GMimeMessagePart *mp, unsigned int depth)
{
	GMimeMessage *message = g_mime_message_part_get_message(mp);
	GMimeObject *obj = GMIME_OBJECT(mp);
	const char *name =
	    g_mime_object_get_content_disposition_parameter(obj, "filename");

	if (name == NULL)
		name = g_mime_object_get_content_type_parameter(obj, "name");
	if (name != NULL || message == NULL)
		add_attachment(w, str_of(name), type_of(w, obj), STR_NONE);
	if (message != NULL && message->mime_part != NULL)
		walk_part(w, message->mime_part, depth + 1);
}

/* Never deeper than BODY_MAX_DEPTH. */
static void
walk_part(struct walk *w, GMimeObject *obj, unsigned int depth)
{
	struct content *c = w->content;

	if (obj == NULL || w->full)
		return;
	if (c->parts >= BODY_MAX_PARTS || depth > BODY_MAX_DEPTH) {
		cut(w,
		    depth > BODY_MAX_DEPTH ? ODD(MIME_DEEP) : ODD(MIME_PARTS));
		return;
	}
	c->parts++;
	if (depth > c->depth)
		c->depth = depth;
	if (GMIME_IS_MULTIPART(obj))
		take_multipart(w, GMIME_MULTIPART(obj), depth);
	else if (GMIME_IS_MESSAGE_PART(obj))
		take_message(w, GMIME_MESSAGE_PART(obj), depth);
	else if (GMIME_IS_PART(obj))
		take_leaf(w, GMIME_PART(obj), depth);
}

static void
parse(struct walk *w, const struct headers *hs, struct str body)
{
	GByteArray *bytes = make_input(w, hs, body);
	GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(bytes);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeObject *top;

	g_mime_parser_set_format(parser, GMIME_FORMAT_MESSAGE);
	top = g_mime_parser_construct_part(parser, NULL);
	if (top != NULL) {
		walk_part(w, top, 1);
		g_object_unref(top);
	} else {
		broken(w, true);
	}
	g_object_unref(parser);
	g_object_unref(stream);
}

struct content *
mime_parse(struct arena *a, const struct headers *hs, struct str body)
{
	struct content *c = arena_alloc(a, sizeof(*c));
	struct walk w = { .arena = a,
		.content = c,
		.text = BUF_INIT(BODY_MAX_DECODED) };

	if (c == NULL)
		return NULL;
	mime_init();
	w.texts_tail = &c->texts;
	w.attachments_tail = &c->attachments;
	link_set_init(&w.links, a);
	inspect_init(&w.inspect, a, c);
	parse(&w, hs, body);
	finish_text(&w);
	w.full |= !inspect_end(&w.inspect);
	c->urls = w.links.first;
	cut(&w, w.links.truncated ? ODD(LINKS_MANY) : 0);
	w.full |= w.links.full;
	link_set_free(&w.links);
	buf_free(&w.text);
	return w.full ? NULL : c;
}
