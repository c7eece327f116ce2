#include "mail/view_html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mail/html_token.h"
#include "mail/html_uri.h"
#include "mail/view_style.h"

static struct arena *arena;

static int
begin(void **state)
{
	(void)state;
	arena = arena_new((size_t)4 << 20);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void
assert_text(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static struct html_facts *
render(const char *html, const char *want)
{
	struct buf out = BUF_INIT(1 << 16);
	bool wide = true;
	struct html_facts *f =
	    view_html_render(arena, str_of(html), strlen(html), &out, &wide);

	assert_non_null(f);
	if (want != NULL)
		assert_text(buf_str(&out), want);
	buf_free(&out);
	return f;
}

/* Each token as a letter and its text. */
static void
assert_tokens(const char *html, const char *want)
{
	static const char letters[] = "SETCD";
	struct html_lexer l;
	struct html_token t;
	struct buf all = BUF_INIT(4096);

	html_lexer_init(&l, str_of(html));
	while (html_next(&l, &t)) {
		struct str s = t.kind <= HTML_END ? t.name : t.text;

		buf_printf(&all, "%s%c%s:%.*s", all.n > 0 ? "|" : "",
		    letters[t.kind], t.literal ? "!" : "", STR_FMT(s));
	}
	assert_text(buf_str(&all), want);
	buf_free(&all);
}

static void
test_tokens(void **state)
{
	(void)state;
	assert_tokens("a<b c='>'>d</b \"x>y\">e", "T:a|S:b|T:d|E:b|T:e");
	assert_tokens("a <3 b", "T:a |T:<3 b");
	assert_tokens("a<b", "T:a|C:<b");
	assert_tokens("a<b c=\"d> e", "T:a|C:<b c=\"d> e");
	assert_tokens("<!-- a -- b --  >c", "C:<!-- a -- b --  >|T:c");
	assert_tokens("<!-- a > b", "C:<!-- a >|T: b");
	assert_tokens("<!x>a</>b<?c d>e", "C:<!x>|T:a|C:</>|T:b|T:e");
	assert_tokens("<!DOCTYPE \"a>b\" -- > -->c",
	    "D:<!DOCTYPE \"a>b\" -- > -->|T:c");
	assert_tokens("<script>a<b></script >c",
	    "S:script|T!:a<b>|E:script|T:c");
	assert_tokens("<style>a", "S:style|T!:a|E:style");
	assert_tokens("<textarea>a<b>", "S:textarea|T:a<b>");
	assert_tokens("<title>a<b>c", "S:title|T:a|E:title|S:b|T:c");
	assert_tokens("<![CDATA[a<b>]]>c", "T!:a<b>|T:c");
	assert_tokens("<![IGNORE[a<b>]]>c<![if x]>d", "T:c|C:<![if x]>|T:d");
	assert_tokens("", "");
	assert_tokens("<", "C:<");
}

static void
test_text(void **state)
{
	(void)state;
	render("<p>one</p> <div>two<br/>three</div>",
	    "\n\none\n\n\ntwo\nthree\n");
	render("a  <b> b</b>\n<td>c", "a  b c");
	render("V<b>ia</b>gra<script>x</script><style>y</style>", "Viagra");
	render("<title>t</title><body>x", "\n\nt\n\nx");
	render("&eacute;&#233;&euro; &ampx &notit; &foo; &#0;",
	    "\xc3\xa9\xc3\xa9\xe2\x82\xac &x \xc2\xacit; &foo; &#0;");
	render("&#xD83D;&#xDE00;", "\xf0\x9f\x98\x80");
	render("a&nbsp;&nbsp; b", "a b");
	render("<foo>x</foo><o:p>y</o:p>", "xy");
}

static void
test_links(void **state)
{
	static const char *const want[] = { "base http://a.example/b/c.html",
		"a http://a.example/d", "img cid:x", "a http://www.e.example/",
		"form mailto:f@g.example", "meta http://h.example/",
		"a http://a.example/b/i" };
	const struct html_link *l;
	struct html_facts *f;
	size_t i = 0;

	(void)state;
	f = render("<base href=http://a.example/b/c.html>"
		   "<a HREF=' ../d '>text<img src=cid:x></a>"
		   "<a href=//www.e.example/ href=2></a>"
		   "<form action=mailto:f@g.example>"
		   "<meta http-equiv=refresh content='0; "
		   "URL=http://h.example/'>"
		   "<a x/href=i&amp;j><a href=''>",
	    NULL);
	for (l = f->links; l != NULL && i < 6; l = l->next, i++) {
		struct str s = arena_printf(arena, "%.*s %.*s", STR_FMT(l->tag),
		    STR_FMT(l->uri));

		assert_text(s, want[i]);
	}
	assert_int_equal(i, 6);
	assert_text(l->uri, "http://a.example/b/i&j");
	assert_null(l->next);
	assert_text(f->anchors->text, "text<img>\n");
	assert_text(f->anchors->href, "../d");
	assert_true(f->form_action_mailto);
}

static void
test_resolve(void **state)
{
	static const char *const cases[][3] = {
		{ "", "http://a/b/../c/./d", "http://a/c/d" },
		{ "http://a/b/c", "d?e#f", "http://a/b/d?e#f" },
		{ "http://a/b/c", "/..//d", "http://a//d" },
		{ "http://a/b/c?d", "", "http://a/b/c?d" },
		{ "http://a", "b", "http://a/b" },
		{ "", "//WWW2.a/", "http://WWW2.a/" },
		{ "", "//a.b/", "//a.b/" },
		{ "http://a/b/", "http:c", "http://a/b/c" },
		{ "", "a/..", "/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = BUF_INIT(1000);

		html_uri_resolve(&b, str_of(cases[i][0]), str_of(cases[i][1]));
		assert_text(buf_str(&b), cases[i][2]);
		buf_free(&b);
	}
}

/* Text that nobody sees, and why. */
static void
test_style(void **state)
{
	static const struct {
		const char *html;
		bool contrast, invalid;
	} cases[] = {
		{ "<font color=white>x", true, false },
		{ "<font color=#FEFEFE>x", true, false },
		{ "<font color=black>x", false, false },
		{ "<font color=octarine>x", false, true },
		{ "<font color=white></font>x", false, false },
		{ "<font color=white> </font>", false, false },
		{ "<body text='#fff'>x", true, false },
		{ "<p style='color: RGB(255, 255,255)'>x", true, false },
		{ "<p style='background: url(a,b) #000'>x", true, false },
		{ "<p style='background-color:#000000 !important'>x", true,
		    false },
		{ "<td bgcolor=black>x", false, false },
		{ "<font color=white><td><font color=red><td>x", false, false },
		{ "<p style='color:inherit;color:transparent'>x", true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct html_facts *f = render(cases[i].html, NULL);

		if (f->font_low_contrast != cases[i].contrast)
			print_error("%s\n", cases[i].html);
		assert_int_equal(f->font_low_contrast, cases[i].contrast);
		assert_int_equal(f->font_invalid_color, cases[i].invalid);
	}
}

static void
test_hidden(void **state)
{
	struct style s = { .fg = 0, .bg = 0xffffff, .size = 3 };
	struct style_attrs at = { .style = STR("display: NONE"), .any = true };
	struct style_stack st;
	bool contrast = false, invalid = false;

	(void)state;
	assert_false(view_style_invisible(&s, &contrast, &invalid));
	s.size = 1;
	assert_true(view_style_invisible(&s, &contrast, &invalid));
	view_style_init(&st);
	view_style_open(&st, STYLE_DIV, &at);
	assert_true(
	    view_style_invisible(view_style_top(&st), &contrast, &invalid));
	view_style_close(&st, STYLE_SPAN);
	assert_int_equal(st.n, 2);
	view_style_close(&st, STYLE_DIV);
	assert_false(
	    view_style_invisible(view_style_top(&st), &contrast, &invalid));
	for (size_t i = 0; i < VIEW_STYLE_DEPTH + 10; i++)
		view_style_open(&st, STYLE_DIV, &at);
	assert_true(st.truncated && st.n == VIEW_STYLE_DEPTH);
	view_style_free(&st);
}

static void
test_facts(void **state)
{
	struct html_facts *f;

	(void)state;
	f = render("<!doctype html><html><b>x</b></i><foo>y</foo>"
		   "<img width=10 height=50%><font size=7 face='1'>z"
		   "<title>T</title><!-- c --><object>",
	    NULL);
	assert_int_equal(f->tags, 12);
	assert_int_equal(f->elements, 10);
	assert_int_equal(f->closed_extra, 1);
	assert_int_equal(f->obfuscation, 2);
	assert_true(f->image_area > 2999 && f->image_area < 3001);
	assert_int_equal(f->max_size, 7);
	assert_int_equal(f->min_size, 3);
	assert_true(f->font_face_bad && f->embeds);
	assert_text(f->titles->text, "T");
	assert_text(f->comments->text, "<!-- c -->");
	assert_true(f->bad_tag_ratio > 0.16 && f->bad_tag_ratio < 0.17);
	f = render("<font face=\"Arial, 'Comic Sans MS', sans-serif\">x", NULL);
	assert_false(f->font_face_bad);
	assert_true(f->obfuscation_ratio < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test_setup_teardown(test_text, begin, end),
		cmocka_unit_test_setup_teardown(test_links, begin, end),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test_setup_teardown(test_style, begin, end),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test_setup_teardown(test_facts, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
