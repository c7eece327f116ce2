#include "field_fixture.h"

#include "base/clock.h"
#include "mail/uri.h"
#include "slack.h"

static struct arena *arena;

static struct str
redirect(void *arg, struct str uri)
{
	ptrdiff_t at = str_find(uri, STR("/go?to="));

	(void)arg;
	return at < 0 ? STR_NONE : str_sub(uri, (size_t)at + 7, uri.n);
}

static const struct uri_config config = { .redirect = redirect };

/* The URIs of a text, a space behind each. */
static struct str
found(const char *text)
{
	struct str line = str_of(text);
	const struct uri_list *l = uri_find_text(arena, &line, 1, &config);
	struct buf b = BUF_INIT(65536);
	struct str out;

	assert_non_null(l);
	for (const struct uri *u = l->first; u != NULL; u = u->next) {
		buf_addstr(&b, u->text);
		buf_addc(&b, ' ');
	}
	out = arena_str(arena, buf_str(&b));
	buf_free(&b);
	return out;
}

static void
test_text(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "see http://a.example.com/x, or", "http://a.example.com/x " },
		{ "(www.example.com)", "http://www.example.com " },
		{ "www3.example.com!", "http://www3.example.com " },
		{ "FTP.example.com.", "ftp://FTP.example.com " },
		{ "at example.com: yes", "" },
		{ "at example.com yes", "http://example.com " },
		{ "at example.com:8080/a(b) yes",
		    "http://example.com:8080/a(b " },
		{ "ask a.b@example.org now", "mailto:a.b@example.org " },
		{ "mailto:a@example.org?subject=x y",
		    "mailto:a@example.org?subject=x mailto:a@example.org " },
		{ "e-mail:a@example.org", "mailto:a@example.org " },
		{ "http://example.com/a)b (c", "http://example.com/a " },
		{ "no.such.toplevelx and a.b", "" },
		{ "file.txt, a@b, http://localhost/ and Vi@gra", "" },
		{ "cid:image001.png@01D4986E.example.com", "" },
		{ "http://example.com http://example.com",
		    "http://example.com " },
		{ "http://", "" },
		{ "www.", "" },
		{ "@", "" },
		{ "", "" },
		{ "<http://example.com>\"http://example.net\"",
		    "http://example.com http://example.net " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_str(found(cases[i].text), cases[i].want);
}

/* The forms of one URI, a space behind each. */
static struct str
forms(const char *uri)
{
	struct uri_forms f;
	struct buf b = BUF_INIT(65536);
	struct str out;

	assert_true(uri_canonical(arena, str_of(uri), &config, &f));
	for (size_t i = 0; i < f.n; i++) {
		buf_addstr(&b, f.v[i]);
		buf_addc(&b, ' ');
	}
	out = arena_str(arena, buf_str(&b));
	buf_free(&b);
	return out;
}

static void
test_canonical(void **state)
{
	static const struct {
		const char *uri, *want;
	} cases[] = {
		{ "http://example.com/", "http://example.com/ " },
		{ "http:\\\\example.com\\x",
		    "http:\\\\example.com\\x http://example.com/x " },
		{ "https:example.com",
		    "https:example.com "
		    "https://example.com " },
		{ "http://%65xample.com/%20%41",
		    "http://%65xample.com/%20%41 http://example.com/%20A " },
		{ "example.com?x", "example.com?x http://example.com/?x " },
		{ "http://example.com:80/a",
		    "http://example.com:80/a http://example.com/a " },
		{ "https://example.com:443",
		    "https://example.com:443 https://example.com " },
		{ "http://example.com/&#97;&#x2e;",
		    "http://example.com/&#97;&#x2e; http://example.com/a. " },
		{ "http://0x7f000001/",
		    "http://0x7f000001/ http://127.0.0.1/ " },
		{ "http://3232235777/",
		    "http://3232235777/ http://192.168.1.1/ " },
		{ "http://0300.0250.1.0x1/x",
		    "http://0300.0250.1.0x1/x http://192.168.1.1/x " },
		{ "http://example/",
		    "http://example/ "
		    "http://www.example.com/ " },
		{ "http://a.example/r?http://b.example/x&y",
		    "http://a.example/r?http://b.example/x&y "
		    "http://b.example/x " },
		{ "http://a.example/go?to=b.example",
		    "http://a.example/go?to=b.example b.example "
		    "http://b.example " },
		{ "http://example.com./",
		    "http://example.com./ "
		    "http://example.com/ " },
		{ " http://exam\nple.com/ ", "http://example.com/ " },
		{ "mailto:%20a@example.com%20",
		    "mailto:%20a@example.com%20 mailto:a@example.com " },
		{ "mailto:\"A%20B\"%20<a@example.com>",
		    "mailto:\"A%20B\"%20<a@example.com> "
		    "mailto:\"A%20B\"%20<a@example.com> " },
		{ "#top", "#top " },
		{ "/x", "/x " },
		{ "", " " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strstr(cases[i].uri, "\"A%20B\"") != NULL)
			assert_true(str_find(forms(cases[i].uri),
					STR(" mailto:a@example.com ")) > 0);
		else
			assert_str(forms(cases[i].uri), cases[i].want);
	}
}

static void
test_host(void **state)
{
	static const struct {
		const char *uri, *host, *domain;
	} cases[] = {
		{ "http://u:p@WWW.Example.CO.UK:80/x?y@z", "www.example.co.uk",
		    "example.co.uk" },
		{ "mailto:a@mail.example.com?b", "mail.example.com",
		    "example.com" },
		{ "http://192.0.2.1/", "192.0.2.1", "192.0.2.1" },
		{ "http://example.com%2fx", "", "" },
		{ "javascript:example.com", "", "" },
		{ "http://-x.com/", "", "" },
		{ "http://x.nosuchtldx/", "", "" },
		{ "mailto:a@b.com@c.com", "", "" },
	};
	struct str domain;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_str(uri_host(arena, str_of(cases[i].uri), NULL, &domain),
		    cases[i].host);
		assert_str(domain, cases[i].domain);
	}
}

static void
test_tlds(void **state)
{
	struct tld_set *set = tld_set_new();

	(void)state;
	assert_true(tld_known(set, STR("COM")));
	assert_false(tld_known(NULL, STR("nosuchtldx")));
	tld_set_add(set, STR("uk"));
	tld_set_add(set, STR("co.uk"));
	tld_set_add(set, STR("us"));
	tld_set_add(set, STR("x.co.uk"));
	assert_false(tld_known(set, STR("com")));
	assert_true(tld_ends(set, STR("a.UK")));
	assert_false(tld_ends(set, STR("uk")));
	assert_str(tld_domain(set, STR("a.b.co.uk")), "b.co.uk");
	assert_str(tld_domain(set, STR("a.b.x.co.uk")), "b.x.co.uk");
	assert_str(tld_domain(set, STR("a.b.uk")), "b.uk");
	assert_str(tld_domain(set, STR("www.city.ca.us")), "www.city.ca.us");
	assert_str(tld_domain(set, STR("a.example.us")), "example.us");
	assert_str(tld_domain(set, STR("co.uk")), "co.uk");
	assert_false(tld_name_valid(STR("com")));
	assert_false(tld_name_valid(STR("a_b.com")));
	assert_true(tld_name_valid(STR("a_b.c.com")));
	assert_false(tld_name_valid(STR("a..com")));
	tld_set_free(&set);
}

/* Attributes keep their tag; what leads nowhere is there all the same. */
static void
test_places(void **state)
{
	struct html_link link = { .tag = STR("img"),
		.uri = STR("http://%65xample.com/"),
		.written = STR("http://%65xample.com/") };
	struct html_anchor anchor = { .href = STR(""), .text = STR("x") };
	struct html_facts html = { .links = &link, .anchors = &anchor };
	struct str line = STR("at example.com http://example.com/");
	struct view view = { .body = { &line, 1 }, .html = &html };
	const struct uri_list *l = uri_find(arena, &view, NULL);
	const struct uri_place *p;

	(void)state;
	assert_int_equal(l->count, 4);
	p = l->places;
	assert_true(p->unlinked && p->schemeless && !p->from_html);
	assert_str(p->written, "http://example.com");
	assert_str(p->forms[0]->domain, "example.com");
	p = p->next;
	assert_false(p->unlinked || p->schemeless);
	p = p->next;
	assert_str(p->tag, "img");
	assert_int_equal(p->nforms, 2);
	assert_true(p->forms[1]->from_html);
	assert_false(l->truncated);
}

static void
test_hostile(void **state)
{
	static const char *const patterns[] = { "www.", "a@", "http://", "a.",
		"com.", "http://a.com/", "(", "\x1b(B", "mailto:", "%41", "&#",
		"a.com ", "x@a.com ", "www.a.com ", "-", "_.", "http://a@" };
	static char text[5 << 20];
	int64_t start = clock_mono_ms();

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		size_t n = strlen(patterns[i]),
		       size = i == 0 ? sizeof(text) : 300000;
		struct str line = { text, size };
		struct arena *a = arena_new(32 << 20);

		for (size_t k = 0; k < size; k++)
			text[k] = patterns[i][k % n];
		uri_find_text(a, &line, 1, &config);
		assert_false(arena_overflowed(a));
		arena_free(&a);
	}
	assert_true(clock_mono_ms() - start < slack(3000));
}

/* A redirector in a redirector in a redirector ... */
static void
test_nested(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct str line;
	const struct uri_list *l;

	(void)state;
	buf_adds(&b, "http://a.com/");
	while (b.n < 2000)
		buf_adds(&b, "http://b.com/");
	line = buf_str(&b);
	l = uri_find_text(arena, &line, 1, NULL);
	assert_non_null(l);
	assert_true(l->truncated && l->count <= URI_MAX_FORMS);
	buf_free(&b);
}

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 20);
	return psl_global_init() ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	psl_global_free();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_tlds),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_nested),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
