#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/admin_key.h"

/* What an admin writes, and the normal form; "": it is a value alone. */
static const struct {
	const char *text, *normal, *words;
} forms[] = {
	{ "user=Alice", "user=alice", "user" },
	{ "sender=Alice+tag@Example.ORG", "sender=alice@example.org",
	    "sender" },
	{ "sender=prvs=1234567890=bob@example.org", "sender=bob@example.org",
	    "sender" },
	{ "sender.domain=EXAMPLE.org.", "sender.domain=example.org",
	    "sender.domain" },
	{ "client=192.0.2.1", "client=192.0.2.1", "client" },
	{ "client=::ffff:192.0.2.1", "client=192.0.2.1", "client" },
	{ "client=192.0.2.77/24", "client=192.0.2.0/24", "client/24" },
	{ "client=2001:db8::5/64", "client=2001:db8::/64", "client/64" },
	{ "helo=Mail.Example.org.", "helo=mail.example.org", "helo" },
	{ "rcpt=Bob@example.net", "rcpt=bob@example.net", "rcpt" },
	{ "rcpt.domain=Example.net", "rcpt.domain=example.net", "rcpt.domain" },
	{ "from.domain=Example.net", "from.domain=example.net", "from.domain" },
	{ "all", "all", "all" },
	{ "user=a+client=192.0.2.1/24", "user=a+client=192.0.2.0/24",
	    "user+client/24" },
	{ "user=a+b", "user=a%2Bb", "user" },
	{ "user=a%2Bb", "user=a%2Bb", "user" },
	{ "user=a+all", "user=a+all", "user+all" },
	{ "user=50%", "user=50%25", "user" },
	{ "alice", "", "" },
	{ "192.0.2.1", "", "" },
	{ "alice@example.org", "", "" },
	{ "user", "", "" },
	{ "a=b@example.org", "", "" },
};

static void
test_forms(void **state)
{
	struct arena *arena = arena_new(1024 * 1024);
	struct buf err = BUF_INIT(4096);
	struct admin_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		assert_true(
		    admin_key_parse(arena, str_of(forms[i].text), &k, &err));
		assert_int_equal(k.text.n, strlen(forms[i].normal));
		assert_memory_equal(k.text.n ? k.text.p : "", forms[i].normal,
		    k.text.n);
		assert_true(str_eq(k.words, str_of(forms[i].words)));
		assert_true((k.value.n > 0) == (forms[i].normal[0] == '\0'));
	}
	assert_int_equal(err.n, 0);
	arena_free(&arena);
}

static void
test_mistakes(void **state)
{
	static const char *const bad[] = { "", "usr=alice",
		"user=", "sender=", "sender=<>", "client=nonsense",
		"client=192.0.2.1/0", "client=192.0.2.1/x", "foo=bar+user=a" };
	struct arena *arena = arena_new(1024 * 1024);
	struct buf err = BUF_INIT(65536);
	struct admin_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_truncate(&err, 0);
		assert_false(admin_key_parse(arena, str_of(bad[i]), &k, &err));
		assert_true(err.n > 0);
	}
	buf_free(&err);
	arena_free(&arena);
}

static const struct {
	const char *text, *key;
	bool means;
} cases[] = {
	{ "user=alice", "user=alice", true },
	{ "user=alice", "user=alice2", false },
	{ "user=alice", "sender=alice", false },
	{ "user=alice", "user=alice+client=192.0.2.1", true },
	{ "user=alice", "client=192.0.2.1+user=alice", true },
	{ "user=alice+client=192.0.2.1", "user=alice+client=192.0.2.1", true },
	{ "user=alice+client=192.0.2.1", "user=alice", false },
	{ "alice", "user=alice", true },
	{ "ALICE", "helo=alice", true },
	{ "alice", "user=malice", false },
	{ "alice", "sender=alice@example.org", false },
	{ "a b", "user=a%20b", true },
	{ "alice+x@example.org", "sender=alice@example.org", true },
	{ "alice+x@example.org", "user=alice%2Bx@example.org", true },
	{ "192.0.2.1", "client=192.0.2.1", true },
	{ "192.0.2.1", "client=192.0.2.0/24", true },
	{ "192.0.2.1", "client=192.0.3.0/24", false },
	{ "192.0.2.1", "client=192.0.2.10", false },
	{ "192.0.2.1", "helo=192.0.2.1", true },
	{ "2001:DB8:0::1", "client=2001:db8::1", true },
	{ "2001:db8::1", "client=2001:db8::/64+user=a", true },
	{ "client=192.0.2.1", "client=192.0.2.0/24", true },
	{ "client=192.0.2.0/24", "client=192.0.2.1", false },
	{ "all", "all", true },
	{ "all", "user=all", false },
	{ "example.org", "sender.domain=example.org", true },
};

static void
test_means(void **state)
{
	struct arena *arena = arena_new(1024 * 1024);
	struct buf err = BUF_INIT(4096);
	struct admin_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(
		    admin_key_parse(arena, str_of(cases[i].text), &k, &err));
		if (admin_key_means(&k, str_of(cases[i].key)) != cases[i].means)
			fail_msg("%s, %s", cases[i].text, cases[i].key);
	}
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
