#include "mail/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/psl.h"
#include "mail/uri.h"

static void
assert_host(const char *link, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	struct str host = link_host(a, str_of(link), &addr);

	if (addr.family != ADDR_NONE) {
		assert_int_equal(host.n, 0);
		addr_format(&addr, text);
		host = str_of(text);
	}
	if (!str_eq(host, str_of(want)))
		fail_msg("%s: \"%.*s\", not \"%s\"", link, STR_FMT(host), want);
	arena_free(&a);
}

static void
test_host(void **state)
{
	(void)state;
	assert_host("http://Example.ORG/a@b.c", "example.org");
	assert_host("http://example.org:80?x", "example.org");
	assert_host("http://a:b@example.org.#x", "example.org");
	assert_host("http://a@b@example.org\\@c", "example.org");
	assert_host("http://ex%61mple.org", "example.org");
	assert_host("http://b\xc3\xbc"
		    "cher.example",
	    "xn--bcher-kva.example");
	assert_host("http://", "");
	assert_host("http://@/", "");
	assert_host("no link", "");
	assert_host("http://a%00b/", "");
	assert_host("http://[::1", "");
	assert_host("http://[]/", "");
}

static void
test_address(void **state)
{
	(void)state;
	assert_host("http://192.0.2.1/", "192.0.2.1");
	assert_host("http://192.0.2.1./", "192.0.2.1");
	assert_host("http://3221225985/", "192.0.2.1");
	assert_host("http://0xC0000201/", "192.0.2.1");
	assert_host("http://0300.0.01001/", "192.0.2.1");
	assert_host("http://192.513/", "192.0.2.1");
	assert_host("http://127.0x./", "127.0.0.0");
	assert_host("http://%31%39%32.0.2.1/", "192.0.2.1");
	assert_host("http://[2001:DB8::1]:80/", "2001:db8::1");
	assert_host("http://4294967296/", "");
	assert_host("http://99999999999999999999999/", "");
	assert_host("http://1.2.3.4.5/", "");
	assert_host("http://256.0.0.1/", "");
	assert_host("http://08.0.0.1/", "");
}

static void
test_domains(void **state)
{
	static const char *const links[] = { "http://www.example.co.uk/",
		"http://example.co.uk", "http://co.uk/", "http://localhost/",
		"http://192.0.2.1/", "http://3221225985/",
		"https://x.EXAMPLE.org", "http://b.github.io/" };
	static const char *const want[] = { "example.co.uk", "192.0.2.1",
		"example.org", "b.github.io" };
	struct arena *a = arena_new(1 << 20), *small;
	struct link_set set;
	struct link_domain *d;

	(void)state;
	link_set_init(&set, a);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		link_add(&set, str_of(links[i]));
	assert_true(link_domains(a, set.first, NULL, &d));
	for (size_t i = 0; i < 4; i++, d = d->next) {
		assert_non_null(d);
		assert_true(str_eq(d->text, str_of(want[i])));
		assert_int_equal(d->addr.family, i == 1 ? ADDR_V4 : ADDR_NONE);
	}
	assert_null(d);
	assert_true(link_domains(a, NULL, NULL, &d));
	assert_null(d);
	link_set_free(&set);
	small = arena_new(64);
	assert_false(link_domains(small, set.first, NULL, &d));
	arena_free(&small);
	arena_free(&a);
}

/* What rules see behind what browsers see: names, not addresses of mail. */
static void
test_uris(void **state)
{
	static const struct str lines[] = {
		{ "shop.Example.org and www.example.com", 37 },
		{ "me@mail.example.net, http://192.0.2.1/", 38 },
		{ "http://example.org/?http://x.example.info", 41 },
	};
	static const char *const want[] = { "example.com", "example.org",
		"192.0.2.1", "example.info" };
	struct arena *a = arena_new(1 << 20);
	const struct uri_list *uris = uri_find_text(a, lines, 3, NULL);
	struct link_domain *d;
	struct link_set set;

	(void)state;
	assert_non_null(uris);
	link_set_init(&set, a);
	link_add(&set, STR("http://www.example.com/"));
	assert_true(link_domains(a, set.first, uris, &d));
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++, d = d->next) {
		assert_non_null(d);
		if (!str_eq(d->text, str_of(want[i])))
			fail_msg("%.*s, not %s", STR_FMT(d->text), want[i]);
		assert_int_equal(d->addr.family, i == 2 ? ADDR_V4 : ADDR_NONE);
	}
	assert_null(d);
	link_set_free(&set);
	arena_free(&a);
}

static int
begin(void **state)
{
	(void)state;
	return psl_global_init() ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	psl_global_free();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_uris),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
