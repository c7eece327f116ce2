#include "mail/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "mail/body.h"
#include "slack.h"

static struct arena *arena;

static int
begin(void **state)
{
	(void)state;
	arena = arena_new((size_t)32 << 20);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static const struct view *
make(struct str raw)
{
	struct headers *hs = arena_alloc(arena, sizeof(*hs));
	struct str body;
	const struct view *v;

	assert_true(view_part_split(arena, raw, hs, &body));
	v = view_make(arena, hs, body);
	assert_non_null(v);
	return v;
}

static void
assert_text(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

/* All lines, each with a bar behind it. */
static void
assert_lines(const struct view_lines *lines, const char *want)
{
	struct buf all = BUF_INIT(1 << 20);

	for (size_t i = 0; i < lines->count; i++) {
		buf_addstr(&all, lines->line[i]);
		buf_addc(&all, '|');
	}
	assert_text(buf_str(&all), want);
	buf_free(&all);
}

/* "0 multipart/mixed, 1 text/plain". */
static void
assert_parts(const struct view *v, const char *want)
{
	struct buf all = BUF_INIT(1 << 16);

	for (const struct view_part *p = v->parts; p != NULL; p = p->next)
		buf_printf(&all, "%s%u %.*s", all.n > 0 ? ", " : "", p->depth,
		    STR_FMT(p->type));
	assert_text(buf_str(&all), want);
	buf_free(&all);
}

static const struct view_part *
part(const struct view *v, size_t n)
{
	const struct view_part *p = v->parts;

	while (n-- > 0 && p != NULL)
		p = p->next;
	assert_non_null(p);
	return p;
}

static void
test_plain(void **state)
{
	const struct view *v;

	(void)state;
	v = make(STR("From: a@b\nSubject: =?utf-8?q?caf=C3=A9?=\n x\n\n"
		     "one  two\nthree\n\n \nfour\n"));
	assert_lines(&v->body, "caf\xc3\xa9 x\n|one two three\n|four |");
	assert_lines(&v->rawbody, "one  two\nthree\n\n \nfour\n|");
	assert_text(v->full,
	    "From: a@b\nSubject: =?utf-8?q?caf=C3=A9?=\n x\n\n"
	    "one  two\nthree\n\n \nfour\n");
	assert_text(v->body_text, "one  two\nthree\n\n \nfour\n");
	assert_false(v->truncated);
	v = make(STR("A: b\r\n\r\nx\r\n.\r\n"));
	assert_text(v->full, "A: b\n\nx\n.\n");
	v = make(STR(""));
	assert_lines(&v->body, "\n|");
	assert_lines(&v->rawbody, "|");
}

static void
test_tree(void **state)
{
	const struct view *v;

	(void)state;
	v = make(STR("Content-Type: multipart/mixed; boundary=\"a\"\n\n"
		     "preamble\n--a\nContent-Type: multipart/alternative;\n"
		     "\tboundary=b\n\n--b\n\nplain\n--b\n"
		     "Content-Type: text/html; charset=utf-8\n"
		     "Content-Transfer-Encoding: base64\n\n"
		     "PGI+aHRtbDwvYj4=\n--b--\n--a\n"
		     "Content-Type: image/gif; name=\"x.gif\"\n\nGIF\n--a--\n"
		     "epilogue\n"));
	assert_parts(v,
	    "0 multipart/mixed, 1 multipart/alternative, "
	    "2 text/plain, 2 text/html, 1 image/gif");
	assert_lines(&v->body, "\n|plain html |");
	assert_lines(&v->rawbody, "plain|<b>html</b>|");
	assert_text(part(v, 4)->name, "x.gif");
	assert_text(part(v, 4)->raw, "GIF");
	assert_text(view_part_decode(arena, part(v, 3), 5, NULL), "<b>");
	assert_true(part(v, 3)->parent == part(v, 1));
	assert_true(v->mime_epilogue_exists);
	assert_true(v->missing_mime_headers);
	assert_false(v->broken);
}

static void
test_broken_tree(void **state)
{
	const struct view *v;

	(void)state;
	/* Never closed; the part's header has no end. */
	v = make(STR("Content-Type: multipart/mixed; boundary=a\n\n--a\n"
		     "Content-Type: text/html\nno field\nbody"));
	assert_parts(v, "0 multipart/mixed, 1 text/html");
	assert_lines(&v->rawbody, "no field\nbody|");
	assert_true(v->missing_mime_head_body_separator);
	assert_true(v->boundary_open && v->broken);
	/* No boundary at all, and one that does not occur. */
	v = make(STR("Content-Type: multipart/mixed\n\ntext\nmore\n"));
	assert_parts(v, "0 text/plain");
	assert_lines(&v->rawbody, "\ntext\nmore\n|");
	assert_true(v->broken);
	v = make(STR("Content-Type: multipart/mixed; boundary=a\n\n\ntext\n"));
	assert_parts(v, "0 multipart/mixed, 1 text/plain");
	assert_lines(&v->body, "\n|text |");
	assert_true(v->broken);
	/* A name with a blank behind it is another name. */
	v = make(STR("Content-Type: multipart/mixed; boundary=a\n\n--a\n"
		     "Content-Type : text/html\n\n<b>\n--a--\n"));
	assert_parts(v, "0 multipart/mixed, 1 text/plain");
	/* The same boundary inside. */
	v = make(STR("Content-Type: multipart/mixed; boundary=a\n\n--a\n"
		     "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n"
		     "--a--\n--a--\n"));
	assert_parts(v, "0 multipart/mixed, 1 multipart/mixed, 2 text/plain");
}

static void
test_message_inside(void **state)
{
	const struct view *v;

	(void)state;
	v = make(STR("Content-Type: message/rfc822\n\nSubject: inner\n"
		     "Content-Type: text/html\n\n<p>hi"));
	assert_parts(v, "0 message/rfc822, 1 text/html");
	assert_true(part(v, 1)->message);
	assert_lines(&v->body, "\n|\n|hi|");
	assert_text(view_part_field(arena, &part(v, 1)->headers,
			STR("subject")),
	    "inner");
	v = make(STR("Content-Type: multipart/digest; boundary=a\n\n--a\n\n"
		     "A: b\n\nx\n--a--\n"));
	assert_parts(v, "0 multipart/digest, 1 message/rfc822, 2 text/plain");
	v = make(STR("Content-Type: message/rfc822\n"
		     "Content-Transfer-Encoding: base64\n\n"
		     "QTogYg0KDQp4DQo=\n"));
	assert_parts(v, "0 message/rfc822, 1 text/plain");
	assert_lines(&v->rawbody, "x\n|");
}

static void
test_types(void **state)
{
	static const struct {
		const char *field, *type, *name;
	} cases[] = {
		{ "text/plain charset=utf-8", "text/plain", "" },
		{ "TEXT/Enriched; x", "text/plain", "" },
		{ "text/x-vcard", "text/x-vcard", "" },
		{ "textual/x", "textual/x", "" },
		{ "application/\"pdf\"; name='a b.pdf'", "application/pdf",
		    "a b.pdf" },
		{ "a/b; name*0=\"x\"; name*1=y.z", "a/b", "xy.z" },
		{ "a/b; filename=f; name=n", "a/b", "f" },
		{ "a/b; xname=n", "a/b", "" },
		{ "0", "text/plain", "" },
		{ "", "text/plain", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str raw = arena_printf(arena, "Content-Type: %s\n\nx\n",
		    cases[i].field);
		const struct view *v = make(raw);

		assert_text(v->parts->type, cases[i].type);
		assert_text(v->parts->name, cases[i].name);
	}
}

static void
test_encodings(void **state)
{
	static const struct {
		const char *encoding, *raw, *text;
	} cases[] = {
		{ "quoted-printable", "a=3D=\nb \t\nc=2", "a=b\nc=2" },
		{ "quoted-printable", "=  \n=4", "=4" },
		{ "quoted-printable", "a=0D=0Ab=3=\nD", "a\nb=" },
		{ "base64", "aGVs\nbG8=\n", "hello" },
		{ "base64", "aGVsbG8", "hello" },
		{ "base64", "aGV*sbG8=\n", "hello" },
		{ "BASE64", "aGVsbA==bG8=", "hell\1\xb1\xbc" },
		{ "base64", "aGVs-bA==bG8=", "hell\xff\xf6\xc6" },
		{ "base64", "!", "" },
		{ "uuencode", "aGVs", "aGVs" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str raw = arena_printf(arena,
		    "Content-Type: text/plain\n"
		    "Content-Transfer-Encoding: %s\n\n%s",
		    cases[i].encoding, cases[i].raw);
		const struct view *v = make(raw);
		struct str s = v->parts->decoded;

		if (i == 6)
			s = str_sub(s, 0, 4);
		assert_text(i == 6 || i == 7 ? str_sub(s, 0, 4) : s,
		    i == 6 || i == 7 ? "hell" : cases[i].text);
	}
}

static void
test_charsets(void **state)
{
	static const struct {
		const char *charset, *raw, *text;
	} cases[] = {
		{ "us-ascii", "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "us-ascii", "caf\xe9", "caf\xc3\xa9" },
		{ "utf-8", "\x80\x81", "\xe2\x82\xac\xef\xbf\xbd" },
		{ "iso-8859-1", "\x93x\x94", "\xe2\x80\x9cx\xe2\x80\x9d" },
		{ "koi8-r", "\xf0\xd2", "\xd0\x9f\xd1\x80" },
		{ "gb2312", "\xc4\xe3", "\xe4\xbd\xa0" },
		{ "gb2312", "\xc4\xe3\xff", "\xc3\x84\xc3\xa3\xc3\xbf" },
		{ "shift_jis", "\x82\xb1\\", "\xe3\x81\x93\\" },
		{ "iso-2022-jp", "\x1b$B$3\x1b(B", "\xe3\x81\x93" },
		{ "utf-7", "a+AOk-b",
		    "a\xc3\xa9"
		    "b" },
		{ "x-unknown", "\xe9", "\xc3\xa9" },
		{ "//TRANSLIT", "\xe9", "\xc3\xa9" },
		{ "utf-8", "a\xc2\xa0\xe2\x80\x83 b", "a b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str raw = arena_printf(arena,
		    "Content-Type: text/plain; charset=%s\n\n%s",
		    cases[i].charset, cases[i].raw);
		const struct view *v = make(raw);

		assert_int_equal(v->body.count, 2);
		assert_text(v->body.line[1], cases[i].text);
	}
	/* UTF-16 without a mark; a damaged one is bytes. */
	assert_text(make(STR("Content-Type: text/plain; charset=utf-16\n\n"
			     "h\0\xe9\0 \0"))
			->body.line[1],
	    "h\xc3\xa9 ");
}

static void
test_long_lines(void **state)
{
	struct buf raw = BUF_INIT(1 << 20);
	const struct view *v;

	(void)state;
	buf_adds(&raw, "A: b\n\n");
	for (int i = 0; i < 2000; i++)
		buf_adds(&raw, "word ");
	v = make(buf_str(&raw));
	assert_int_equal(v->body.count, 6);
	assert_int_equal(v->body.line[1].n, 2045);
	for (size_t i = 0; i < v->body.count; i++)
		assert_true(v->body.line[i].n <= VIEW_LINE_MAX);
	assert_int_equal(v->rawbody.count, 4);
	assert_int_equal(v->rawbody.line[0].n, 2050);
	/* 30 empty lines are 20. */
	buf_truncate(&raw, 6);
	buf_addc(&raw, 'x');
	for (int i = 0; i < 31; i++)
		buf_addc(&raw, '\n');
	buf_addc(&raw, 'y');
	v = make(buf_str(&raw));
	assert_int_equal(v->parts->raw.n, 2 + 20 + 1);
	buf_free(&raw);
}

static void
test_head(void **state)
{
	struct headers hs = { .first = NULL };
	struct str body;

	(void)state;
	assert_true(view_part_split(arena,
	    STR("From x Mon\nA : b\n c\nodd line\nB:d\n\nbody"), &hs, &body));
	assert_text(body, "body");
	assert_int_equal(hs.count, 2);
	assert_text(header_get(&hs, STR("a"), 1)->value, " b\n c");
	hs = (struct headers){ .first = NULL };
	assert_true(
	    view_part_split(arena, STR("A: b\n--x\nC: d\n"), &hs, &body));
	assert_text(body, "--x\nC: d\n");
	hs = (struct headers){ .first = NULL };
	assert_true(view_part_split(arena, STR("a\nb\nc\nd\ne\n"), &hs, &body));
	assert_text(body, "d\ne\n");
	assert_int_equal(hs.count, 0);
}

/* Many times the piece. */
static struct str
repeat(const char *head, const char *piece, size_t n)
{
	size_t h = strlen(head), m = strlen(piece);
	char *p = malloc(h + n * m);

	assert_non_null(p);
	memcpy(p, head, h);
	for (size_t i = 0; i < n; i++)
		memcpy(p + h + i * m, piece, m);
	return (struct str){ p, h + n * m };
}

static void
test_bombs(void **state)
{
#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"
#define HTML  "Content-Type: text/html\n\n"
	static const struct {
		const char *head, *piece;
		size_t n;
		bool truncated;
	} cases[] = {
		{ "", MIXED "--b\n", 10000, true },
		{ "", "Content-Type: message/rfc822\n\n", 10000, true },
		{ MIXED, "--b\n\nx\n", 100000, true },
		{ MIXED "--b\n", "A: b\n", 100000, true },
		{ HTML, "<div>", 400000, true },
		{ HTML "<a ", "b=c ", 50000, true },
		{ HTML, "<title>x", 200000, true },
		{ HTML, "<a href=\"", 200000, true },
		{ HTML, "<", 1000000, false },
		{ "\n", "\0x", 1, false },
		{ "Content-Transfer-Encoding: quoted-printable\n\n", "= ",
		    500000, false },
		{ "Content-Type: text/plain\n"
		  "Content-Transfer-Encoding: base64\n\n",
		    "AAAA", 3200000, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str raw =
		    repeat(cases[i].head, cases[i].piece, cases[i].n);
		int64_t start = clock_mono_ms();
		const struct view *v = make(raw);

		assert_int_equal(v->truncated, cases[i].truncated);
		assert_true(clock_mono_ms() - start < slack(5000));
		assert_true(v->part_count <= BODY_MAX_PARTS);
		free((void *)(uintptr_t)raw.p);
		arena_reset(arena);
	}
}

static void
test_arena_full(void **state)
{
	static const struct str raw = { MIXED
		"--b\n" HTML "<a href=x>y</a>\n--b\n\nz\n--b--\n",
		sizeof(
		    MIXED "--b\n" HTML "<a href=x>y</a>\n--b\n\nz\n--b--\n") };
	struct headers hs;
	struct str body;
	bool made = false;

	(void)state;
	for (size_t cap = 256; !made; cap += 64) {
		struct arena *a = arena_new(cap);

		assert_true(cap < 100000);
		hs = (struct headers){ .first = NULL };
		made = view_part_split(a, raw, &hs, &body) &&
		    view_make(a, &hs, body) != NULL;
		assert_true(made || arena_overflowed(a));
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, begin, end),
		cmocka_unit_test_setup_teardown(test_tree, begin, end),
		cmocka_unit_test_setup_teardown(test_broken_tree, begin, end),
		cmocka_unit_test_setup_teardown(test_message_inside, begin,
		    end),
		cmocka_unit_test_setup_teardown(test_types, begin, end),
		cmocka_unit_test_setup_teardown(test_encodings, begin, end),
		cmocka_unit_test_setup_teardown(test_charsets, begin, end),
		cmocka_unit_test_setup_teardown(test_long_lines, begin, end),
		cmocka_unit_test_setup_teardown(test_head, begin, end),
		cmocka_unit_test_setup_teardown(test_bombs, begin, end),
		cmocka_unit_test_setup_teardown(test_arena_full, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
