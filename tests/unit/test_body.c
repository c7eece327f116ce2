#include "mail/body.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

struct mail {
	struct arena *arena;
	struct headers headers;
	struct body body;
	const struct content *content;
};

static void
mail_free(struct mail *m)
{
	arena_free(&m->arena);
	body_free(&m->body);
}

/* Takes a message apart as an MTA does: folds with LF alone, body as is. */
static void
mail_read(struct mail *m, struct str text)
{
	struct str line, rest = text, name, value;
	struct str field = STR_NONE;

	*m = (struct mail){ .arena = arena_new(32 << 20) };
	body_init(&m->body, 16 << 20);
	while (rest.n > 0) {
		line = str_cut(rest, '\n', &rest);
		if (line.n > 0 && chr_space((unsigned char)line.p[0]) &&
		    field.p != NULL && str_trim(line).n > 0) {
			field.n = line.p + line.n - field.p;
			continue;
		}
		if (field.p != NULL && str_chr(field, ':') > 0) {
			name = str_cut(field, ':', &value);
			assert_true(
			    header_add(m->arena, &m->headers, name, value));
		}
		field = line;
		if (str_trim(line).n == 0)
			break;
	}
	if (rest.n > 0)
		body_add(&m->body, rest.p, rest.n);
	m->content = body_content(&m->body, m->arena, &m->headers);
}

static void
mail_of(struct mail *m, const char *text)
{
	mail_read(m, str_of(text));
	assert_non_null(m->content);
}

static void
assert_str(struct str s, const char *want)
{
	if (!str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_true(str_eq(s, str_of(want)));
}

static void
test_plain(void **state)
{
	struct mail m;

	(void)state;
	mail_of(&m,
	    "Subject: x\n\nHello\r\nworld http://Example.org/a?b=c.\r\n"
	    "www.example.net, mailto:a@b.c (https://x.org/y)");
	assert_str(m.content->text,
	    "Hello\nworld http://Example.org/a?b=c.\n"
	    "www.example.net, mailto:a@b.c (https://x.org/y)");
	assert_int_equal(m.content->parts, 1);
	assert_false(m.content->broken);
	assert_false(m.content->truncated);
	assert_null(m.content->attachments);
	assert_str(m.content->urls->text, "http://Example.org/a?b=c");
	assert_str(m.content->urls->next->text, "http://www.example.net");
	assert_str(m.content->urls->next->next->text, "https://x.org/y");
	assert_null(m.content->urls->next->next->next);
	/* it is parsed once */
	assert_ptr_equal(m.content, body_content(&m.body, m.arena, &m.headers));
	mail_free(&m);
	mail_of(&m, "Subject: x\n\n");
	assert_int_equal(m.content->text.n, 0);
	mail_free(&m);
}

static void
test_charsets(void **state)
{
	struct mail m;

	(void)state;
	mail_of(&m,
	    "Content-Type: text/plain; charset=iso-8859-1\n"
	    "Content-Transfer-Encoding: quoted-printable\n\n=FCber=\nall");
	assert_str(m.content->text,
	    "\xc3\xbc"
	    "berall");
	mail_free(&m);
	mail_of(&m,
	    "Content-Type: text/plain; charset=koi8-r\n"
	    "Content-Transfer-Encoding: base64\n\n8NLJ18XU\n");
	assert_str(m.content->text,
	    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5"
	    "\xd1\x82");
	mail_free(&m);
	mail_of(&m,
	    "Content-Type: text/plain; charset=ISO_8859-2:1987\n\n"
	    "\xb1");
	assert_str(m.content->text, "\xc4\x85");
	mail_free(&m);
	mail_of(&m, "Content-Type: text/plain; charset=x-nonsense\n\n\x80 5");
	assert_str(m.content->text, "\xe2\x82\xac 5");
	mail_free(&m);
	mail_of(&m,
	    "Content-Type: text/plain; charset=us-ascii\n\n"
	    "\xc3\xbc");
	assert_str(m.content->text, "\xc3\xbc");
	mail_free(&m);
	mail_of(&m, "Content-Type: text/html\n\n<meta charset=\"koi8-r\">\xf0");
	assert_str(m.content->text, "\xd0\x9f");
	mail_free(&m);
}

static const char mixed[] =
    "Content-Type: multipart/mixed;\n boundary=\"=_x\"\n\n"
    "not shown\n"
    "--=_x\n"
    "Content-Type: multipart/alternative; boundary=inner\n\n"
    "--inner\n\nplain\n"
    "--inner\nContent-Type: text/html\n\n"
    "<p>rich <a href='http://h.org/?a=1&amp;b=2'>x</a>\n"
    "--inner--\n"
    "--=_x\n"
    "Content-Type: application/x-msdownload; name=b.exe\n"
    "Content-Disposition: attachment;\n"
    " filename*0*=utf-8''%C3%BC; filename*1=\".exe\"\n"
    "Content-Transfer-Encoding: base64\n\naGVsbG8=\n"
    "--=_x\n"
    "Content-Type: Application/PDF;\n"
    " name=\"=?utf-8?B?w7w=?=.pdf\"\n\nx\n"
    "--=_x\n"
    "Content-Type: message/rfc822\n\n"
    "Subject: inside\nContent-Type: text/plain\n\ninner text\n"
    "--=_x\n"
    "Content-Type: text/plain\nContent-Disposition: attachment;"
    " filename=notes.txt\n\nnotes\n"
    "--=_x--\n";

static void
test_parts(void **state)
{
	const struct attachment *at;
	struct mail m;

	(void)state;
	mail_of(&m, mixed);
	assert_str(m.content->text, "plain\nrich x\ninner text\nnotes");
	assert_str(m.content->texts->text, "plain");
	assert_false(m.content->texts->html);
	assert_str(m.content->texts->next->text, "rich x");
	assert_true(m.content->texts->next->html);
	assert_str(m.content->urls->text, "http://h.org/?a=1&b=2");
	assert_int_equal(m.content->parts, 9);
	assert_int_equal(m.content->depth, 3);
	assert_false(m.content->broken);
	assert_false(m.content->truncated);
	at = m.content->attachments;
	assert_str(at->name, "\xc3\xbc.exe");
	assert_str(at->type, "application/x-msdownload");
	assert_int_equal(at->size, 5);
	at = at->next;
	assert_str(at->name, "\xc3\xbc.pdf");
	assert_str(at->type, "application/pdf");
	at = at->next;
	assert_str(at->name, "notes.txt");
	assert_str(at->type, "text/plain");
	assert_null(at->next);
	mail_free(&m);
}

static void
test_encoded_message(void **state)
{
	struct mail m;

	(void)state;
	/* "Subject: x", an empty line, "hidden" */
	mail_of(&m,
	    "Content-Type: message/rfc822\n"
	    "Content-Transfer-Encoding: base64\n\n"
	    "U3ViamVjdDogeAoKaGlkZGVu\n");
	assert_str(m.content->text, "hidden");
	assert_int_equal(m.content->depth, 2);
	mail_free(&m);
}

static void
test_broken(void **state)
{
	struct mail m;

	(void)state;
	mail_of(&m,
	    "Content-Type: multipart/mixed; boundary=x\n\n"
	    "--x\n\nno end\n");
	assert_true(m.content->broken);
	assert_str(m.content->text, "no end\n");
	mail_free(&m);
	mail_of(&m, "Content-Type: multipart/mixed\n\nhidden text\n");
	assert_true(m.content->broken);
	assert_true(str_find(m.content->text, STR("hidden text")) >= 0);
	mail_free(&m);
	mail_of(&m, "Content-Type: text/plain\nContent-Type: text/html\n\nx");
	assert_true(m.content->broken);
	mail_free(&m);
	mail_of(&m,
	    "Content-Type: multipart/mixed; boundary=x\n"
	    "Content-Transfer-Encoding: base64\n\n"
	    "--x\n\ntext\n--x--\n");
	assert_true(m.content->parts >= 1);
	mail_free(&m);
}

/* Builds head, then n times piece. */
static struct mail
mail_many(const char *head, const char *piece, size_t n)
{
	struct buf b = BUF_INIT(64 << 20);
	struct mail m;
	int64_t began = clock_mono_ms(), took;

	buf_adds(&b, head);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, piece);
	mail_read(&m, buf_str(&b));
	buf_free(&b);
	took = clock_mono_ms() - began;
	if (took > 400)
		print_error("%.60s: %ld ms\n", head, (long)took);
	/* far less without a sanitizer */
	assert_true(took < 5000);
	return m;
}

static void
test_caps(void **state)
{
	struct buf deep = BUF_INIT(1 << 20);
	struct mail m;

	(void)state;
	m = mail_many("Content-Type: multipart/mixed; boundary=x\n\n",
	    "--x\n\na\n", 100000);
	assert_true(m.content->truncated);
	assert_true(m.content->parts <= BODY_MAX_PARTS);
	mail_free(&m);
	/* a boundary that hides from a plain reader */
	m = mail_many("Content-Type: multipart/mixed; boundary*=us-ascii''%78"
		      "\n\n",
	    "--x\n\na\n", 100000);
	assert_true(m.content->truncated);
	mail_free(&m);
	m = mail_many("Content-Type: multipart/mixed; boundary=x\n\n--x\n",
	    "X: y\n", 100000);
	assert_true(m.content->truncated);
	mail_free(&m);
	m = mail_many("Content-Type: multipart/mixed; boundary=x\n\n--x\n"
		      "Content-Type: a/b",
	    "; a=b", 20000);
	assert_true(m.content->truncated);
	mail_free(&m);
	m = mail_many("Content-Type: multipart/mixed; boundary=x\n\n--x\nX: ",
	    "xxxxxxxxxxxxxxxxxxxx", 250000);
	assert_true(m.content->truncated);
	mail_free(&m);
	m = mail_many("Content-Type: message/rfc822\n\n",
	    "Content-Type: message/rfc822\n\n", 20000);
	assert_true(m.content->truncated);
	assert_int_equal(m.content->depth, BODY_MAX_DEPTH);
	mail_free(&m);
	m = mail_many("Content-Type: multipart/digest; boundary=x\n\n",
	    "--x\n\nSubject: a\n\nb\n", 20000);
	assert_true(m.content->truncated);
	mail_free(&m);
	for (int i = 0; i < 2000; i++)
		buf_printf(&deep,
		    "Content-Type: multipart/mixed; "
		    "boundary=b%d\n\n--b%d\n",
		    i, i);
	mail_read(&m, buf_str(&deep));
	assert_true(m.content->truncated);
	assert_int_equal(m.content->depth, BODY_MAX_DEPTH);
	buf_free(&deep);
	mail_free(&m);
	m = mail_many("Content-Type: multipart/mixed; boundary=x\n\n",
	    "--x\nContent-Type: message/rfc822\n"
	    "Content-Transfer-Encoding: base64\n\nCmhp\n",
	    50);
	assert_true(m.content->truncated);
	assert_true(str_starts(m.content->text, STR("hi\nhi\n")));
	assert_int_equal(m.content->text.n, 10 * 3 - 1);
	mail_free(&m);
	/* no part of a mail that merely has rulers and signatures */
	m = mail_many("Content-Type: multipart/mixed; boundary=x\n\n--x\n\n",
	    "-- a\nX: y\n", 20000);
	assert_false(m.content->truncated);
	assert_int_equal(m.content->parts, 2);
	mail_free(&m);
	m = mail_many("\n", "http://x.org/a ", 200000);
	assert_null(m.content->urls->next);
	mail_free(&m);
	m = mail_many("Content-Type: text/html\n\n", "aaaaaaaaa ", 900000);
	assert_true(m.content->truncated);
	mail_free(&m);
}

static void
test_kept(void **state)
{
	struct arena *a = arena_new(65536);
	struct headers hs = { .first = NULL };
	const struct content *c;
	struct body b;

	(void)state;
	body_init(&b, 5);
	body_add(&b, "abc", 3);
	body_add(&b, "defg", 4);
	body_add(&b, "h", 1);
	assert_int_equal(b.size, 8);
	assert_true(b.truncated);
	c = body_content(&b, a, &hs);
	assert_str(c->text, "abcde");
	assert_true(c->truncated);
	body_free(&b);
	arena_free(&a);
	/* a full arena is told */
	a = arena_new(128);
	body_init(&b, 4096);
	for (int i = 0; i < 100; i++)
		body_add(&b, "0123456789", 10);
	assert_null(body_content(&b, a, &hs));
	body_free(&b);
	arena_free(&a);
}

static void *
parse_often(void *arg)
{
	for (int i = 0; i < 50; i++) {
		struct mail m;

		mail_of(&m, arg);
		if (m.content->parts != 9)
			return arg;
		mail_free(&m);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[4];
	void *wrong;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, parse_often,
				     (char *)(uintptr_t)mixed),
		    0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

static int files;

static int
try_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct buf b = BUF_INIT(16 << 20);
	struct mail m;
	char piece[65536];
	size_t n;
	FILE *f;

	(void)st;
	(void)ftw;
	if (type != FTW_F || (f = fopen(path, "rb")) == NULL)
		return 0;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&b, piece, n);
	fclose(f);
	mail_read(&m, buf_str(&b));
	if (getenv("POSTERN_SHOW") != NULL)
		print_message("%s: parts %u depth %u text %zu%s%s\n", path,
		    m.content->parts, m.content->depth, m.content->text.n,
		    m.content->truncated ? " truncated" : "",
		    m.content->broken ? " broken" : "");
	assert_non_null(m.content);
	assert_true(m.content->parts >= 1);
	assert_false(m.content->truncated);
	assert_false(m.content->text.n > 4 * m.body.size + 1024);
	for (const struct attachment *at = m.content->attachments; at != NULL;
	     at = at->next)
		assert_true(at->size <= m.body.size);
	for (const struct text_part *t = m.content->texts; t != NULL;
	     t = t->next)
		assert_true(t->text.p >= m.content->text.p &&
		    t->text.p + t->text.n <=
			m.content->text.p + m.content->text.n);
	mail_free(&m);
	buf_free(&b);
	files++;
	return 0;
}

static const char *
data_folder(void)
{
	const char *data = getenv("DATA");

	return data != NULL ? data : "../shared/data";
}

/* Odd messages that others collected. */
static void
test_collected(void **state)
{
	static const char *const folders[] = { "mime", "sa/tdata" };
	char path[4096];

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", data_folder(),
		    folders[i]);
		nftw(path, try_file, 16, FTW_PHYS);
	}
	if (files == 0)
		skip();
	assert_true(files > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_charsets),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_encoded_message),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_collected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
