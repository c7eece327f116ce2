#include "mail/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "slack.h"

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static void
on_url(void *arg, struct str url)
{
	buf_addstr(arg, url);
	buf_addc(arg, ' ');
}

static void
check(const char *html, const char *text, const char *urls)
{
	struct buf out = BUF_INIT(4096), links = BUF_INIT(4096);

	html_text(str_of(html), &out, on_url, &links);
	assert_str(buf_str(&out), text);
	assert_str(buf_str(&links), urls);
	buf_free(&out);
	buf_free(&links);
}

static void
test_text(void **state)
{
	(void)state;
	check("a  b\r\n\tc", "a b c", "");
	check("<html><body><p>one</p><p>two<br>three</body>", "one\ntwo\nthree",
	    "");
	check("V<b>ia</b>gra", "Viagra", "");
	check("a<td>b<td>c", "a b c", "");
	check("a<!-- x > -- <b> -->b", "ab", "");
	check("a<!-->b<!--->c", "abc", "");
	check("a<!-- b --!>c<!--!>d-->e", "ace", "");
	check("a<!doctype html>b<?php x ?>c", "abc", "");
	check("<style>p{}</style>x<SCRIPT src='j.js'>if(a<b)\"</scrip\""
	      "</SCRIPT >y",
	    "xy", "j.js ");
	check("a < b <3 </ c", "a < b <3 </ c", "");
	check("\xc3\xbc <i>\xc3\xa4</i>", "\xc3\xbc \xc3\xa4", "");
	check("", "", "");
}

static void
test_entities(void **state)
{
	(void)state;
	check("&lt;a&gt; &amp;amp; &quot;&apos;", "<a> &amp; \"'", "");
	check("&#65;&#x42;&#X43;&#0000068;&#69", "ABCDE", "");
	check("&euro;&auml;&zwnj;", "\xe2\x82\xac\xc3\xa4\xe2\x80\x8c", "");
	check("&#x1F600;", "\xf0\x9f\x98\x80", "");
	check("a&nbsp;&nbsp;b", "a b", "");
	check("AT&T &nonsense; &; & &#; &#x; &#xg;",
	    "AT&T &nonsense; &; & "
	    "&#; &#x; &#xg;",
	    "");
	check("&#0;&#xd800;&#x110000;&#99999999999999999999;",
	    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "");
	check("&copy", "\xc2\xa9", "");
}

static void
test_links(void **state)
{
	(void)state;
	check("<a href=http://x.org/a?b>t</a>", "t", "http://x.org/a?b ");
	check("<A class=c HREF = 'h:1' id>", "", "h:1 ");
	check("<a href=\"a&amp;b&#47;c\">", "", "a&b/c ");
	check("<a x=\"href=no\" href=\"yes\">", "", "yes ");
	check("<img src=i.png/><form action=f>", "", "i.png/ f ");
	check("<a/href=\"u\"/>", "", "u ");
	check("<a\nhref\n=\n\"u\">", "", "u ");
	check("</a href=u>", "", "u ");
	check("<a href=\"u", "", "u ");
	check("<a href=>b", "b", "");
	check("<a href", "", "");
}

static void
test_nul(void **state)
{
	struct buf out = BUF_INIT(100);

	(void)state;
	html_text(STR("Via\0gra<\0b>&\0<b\0>x"), &out, NULL, NULL);
	assert_str(buf_str(&out), "Viagra<b>&x");
	buf_free(&out);
}

/* What is quadratic takes minutes here. */
static void
test_linear(void **state)
{
	static const char *const pieces[] = { "<", "<div>", "<a href=", "&",
		"&#", "&#x0", "<!--", "<!", "<script>", "</script", "\"<a b='",
		"<a ", "<a b=\"", "</", "<a\0", "-->", "<style></", " ",
		"<b " };
	struct buf in = BUF_INIT(16 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf out = BUF_INIT(32 << 20), links = BUF_INIT(32 << 20);
		int64_t began = clock_mono_ms();

		buf_truncate(&in, 0);
		while (in.n < 1 << 20)
			buf_adds(&in, pieces[i]);
		html_text(buf_str(&in), &out, on_url, &links);
		assert_true(clock_mono_ms() - began < slack(2000));
		assert_false(out.failed);
		buf_free(&out);
		buf_free(&links);
	}
	buf_free(&in);
}

static void
test_limit(void **state)
{
	struct buf out = BUF_INIT(5);

	(void)state;
	html_text(STR("abcdefgh"), &out, NULL, NULL);
	assert_str(buf_str(&out), "abcde");
	assert_true(out.failed);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_entities),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
