#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/key.h"

struct fixture {
	struct session *s;
	struct arena *a;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->s = session_new();
	f->a = arena_new(1 << 20);
	addr_parse(STR("192.0.2.77"), &f->s->client);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	session_free(&f->s);
	arena_free(&f->a);
	free(f);
	return 0;
}

static void
mail(struct fixture *f, const char *sender, const char *user)
{
	struct txn *t = txn_begin(f->s, 1000);

	assert_true(envelope_parse(t->arena, str_of(sender), &t->sender));
	t->user = str_of(user);
}

static void
is(struct fixture *f, const char *key, const char *want)
{
	struct key k;
	const char *why;
	size_t at;
	struct str got;

	assert_true(key_parse(str_of(key), &k, &why, &at));
	got = key_make(f->a, f->s, &k);
	if (want == NULL)
		assert_null(got.p);
	else
		assert_string_equal(got.p ? got.p : "(none)", want);
}

static void
wrong(const char *text, size_t where, const char *what)
{
	struct key k;
	const char *why = NULL;
	size_t at = 999;

	assert_false(key_parse(str_of(text), &k, &why, &at));
	assert_int_equal(at, where);
	assert_non_null(strstr(why, what));
}

static void
test_parse(void **state)
{
	struct key k;
	const char *why;
	size_t at;

	(void)state;
	assert_true(key_parse(STR("client/24+sender.domain"), &k, &why, &at));
	assert_int_equal(k.count, 2);
	assert_int_equal(k.parts[0].part, KEY_CLIENT);
	assert_int_equal(k.parts[0].bits, 24);
	assert_int_equal(k.parts[1].part, KEY_SENDER_DOMAIN);
	assert_int_equal(key_stage(&k), STAGE_MAIL);
	assert_true(key_parse(STR("client+from.domain+helo"), &k, &why, &at));
	assert_int_equal(key_stage(&k), STAGE_MESSAGE);
	assert_true(key_parse(STR("all"), &k, &why, &at));
	assert_int_equal(key_stage(&k), STAGE_CONNECT);
	wrong("", 0, "made of user");
	wrong("user+", 5, "made of user");
	wrong("user+nobody", 5, "made of user");
	wrong("User", 0, "made of user");
	wrong("user/24", 0, "only client");
	wrong("all+client/0", 4, "1 to 128");
	wrong("client/129", 0, "1 to 128");
	wrong("client/", 0, "1 to 128");
	wrong("client/64/56", 0, "client/24/64");
	wrong("client/24/", 0, "client/24/64");
	wrong("client/24/129", 0, "client/24/64");
	wrong("client/24/64/", 0, "client/24/64");
	wrong("user+client//64", 5, "1 to 128");
	wrong("client/99999999999999999999999", 0, "1 to 128");
	wrong("all+all+all+all+all+all+all", 24, "six parts");
}

static void
test_client(void **state)
{
	struct fixture *f = *state;

	is(f, "client", "client=192.0.2.77");
	is(f, "client/24", "client=192.0.2.0/24");
	is(f, "client/64", "client=192.0.2.77");
	is(f, "client/24/56", "client=192.0.2.0/24");
	is(f, "all+client/8", "all+client=192.0.0.0/8");
	addr_parse(STR("2001:db8:1:2:3:4:5:6"), &f->s->client);
	is(f, "client/24", "client=2001:db8:1:2::/64");
	is(f, "client/48", "client=2001:db8:1::/48");
	is(f, "client", "client=2001:db8:1:2::/64");
	is(f, "client/128", "client=2001:db8:1:2:3:4:5:6");
	is(f, "client/24/56", "client=2001:db8:1::/56");
	is(f, "client/24/32", "client=2001:db8::/32");
	f->s->client.family = ADDR_NONE;
	is(f, "client", NULL);
	is(f, "all+client/24", NULL);
}

static void
test_no_txn_no_key(void **state)
{
	struct fixture *f = *state;

	is(f, "user", NULL);
	is(f, "sender", NULL);
	is(f, "rcpt", NULL);
	is(f, "from.domain", NULL);
	is(f, "helo", NULL);
	is(f, "all", "all");
	mail(f, "<>", "");
	is(f, "user", NULL);
	is(f, "sender", NULL);
	is(f, "sender.domain", NULL);
	is(f, "rcpt.domain", NULL);
	is(f, "client+user", NULL);
}

static void
test_cannot_be_dodged(void **state)
{
	struct fixture *f = *state;
	const char *same[] = { "<joe@example.org>", "<Joe@EXAMPLE.org>",
		"<joe+tag@example.org>", "<prvs=1234567890=joe@example.org>",
		"<@relay.example:joe@example.org>" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		mail(f, same[i], "Alice");
		is(f, "sender", "sender=joe@example.org");
		is(f, "user+sender.domain",
		    "user=alice+sender.domain=example.org");
	}
	assert_non_null(txn_add_rcpt(f->s->txn, STR("<Bob+x@Example.NET>")));
	is(f, "rcpt", "rcpt=bob@example.net");
	is(f, "rcpt.domain", "rcpt.domain=example.net");
	f->s->helo = STR("MX.Example.Org.");
	is(f, "helo", "helo=mx.example.org");
	header_add(f->s->txn->arena, &f->s->txn->headers, STR("From"),
	    STR(" \"x@evil\" <a@News.Example.Org>"));
	is(f, "from.domain", "from.domain=news.example.org");
}

static void
test_signs_are_escaped(void **state)
{
	struct fixture *f = *state;
	char *huge = malloc(100000);

	f->s->helo = STR("x+client=9.9.9.9\r\n%2b");
	is(f, "helo+client",
	    "helo=x%2Bclient=9.9.9.9%0D%0A%252b"
	    "+client=192.0.2.77");
	f->s->helo = (struct str){ "a\0b", 3 };
	is(f, "helo", "helo=a%00b");
	memset(huge, '+', 100000);
	f->s->helo = (struct str){ huge, 100000 };
	{
		struct key k = { .parts = { { .part = KEY_HELO } },
			.count = 1 };

		assert_int_equal(key_make(f->a, f->s, &k).n, 5 + 255 * 3);
	}
	free(huge);
}

static void
test_arena_full(void **state)
{
	struct fixture *f = *state;
	struct arena *small = arena_new(64);
	struct key k = { .parts = { { .part = KEY_CLIENT } }, .count = 1 };

	while (arena_alloc(small, 8) != NULL)
		;
	assert_null(key_make(small, f->s, &k).p);
	arena_free(&small);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_parse),
		T(test_client),
		T(test_no_txn_no_key),
		T(test_cannot_be_dodged),
		T(test_signs_are_escaped),
		T(test_arena_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
