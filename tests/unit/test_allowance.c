#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/allowance.h"

#define HOUR (3600 * 1000LL)

static struct limit_window windows[] = {
	{ LIMIT_MESSAGES, 100, HOUR, STR("1h") },
	{ LIMIT_BYTES, 1000, 24 * HOUR, STR("1d") },
	{ LIMIT_CLIENTS, 4, HOUR, STR("1h") },
};

static struct limit limit = { .name = STR("sub"),
	.windows = windows,
	.count = 3 };

static void
key_is(const char *text)
{
	const char *why;
	size_t at;

	assert_true(key_parse(str_of(text), &limit.key, &why, &at));
}

static void
test_values(void **state)
{
	static const struct {
		const char *value;
		uint64_t max[3];
	} rows[] = {
		{ "200 messages/1h", { 200, 1000, 4 } },
		{ "200 messages/60m  # as asked", { 200, 1000, 4 } },
		{ "9 distinct clients/1h 2K bytes/1d", { 100, 2048, 9 } },
		{ "0 messages/1h", { 0, 1000, 4 } },
		{ "unlimited",
		    { LIMIT_UNLIMITED, LIMIT_UNLIMITED, LIMIT_UNLIMITED } },
	};
	struct buf why = BUF_INIT(1000);
	uint64_t max[LIMIT_WINDOWS_MAX];
	struct str at;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(allowance_parse(&limit, str_of(rows[i].value), max,
		    &why, &at));
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(max[k], rows[i].max[k]);
	}
	assert_int_equal(why.n, 0);
	buf_free(&why);
}

static void
test_mistakes(void **state)
{
	static const struct {
		const char *value, *at;
	} rows[] = {
		{ "", "" },
		{ "# nothing", "" },
		{ "many messages/1h", "many" },
		{ "-1 messages/1h", "-1" },
		{ "5", "5" },
		{ "5 messages", "messages" },
		{ "5 messages/1d", "messages/1d" },
		{ "5 messages/1h 6 recipients/1h", "recipients/1h" },
		{ "5 distinct  senders/1h", "distinct  senders/1h" },
		{ "5 distinct", "distinct" },
		{ "5K messages/1h", "5K" },
		{ "unlimited messages/1h", "messages/1h" },
	};
	struct buf why = BUF_INIT(1000);
	uint64_t max[LIMIT_WINDOWS_MAX];
	struct str at;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_false(allowance_parse(&limit, str_of(rows[i].value), max,
		    &why, &at));
		assert_true(why.n > 0);
		assert_true(str_eq(at, str_of(rows[i].at)));
		buf_truncate(&why, 0);
	}
	buf_free(&why);
}

static uint64_t
messages_of(const char *key)
{
	uint64_t max[LIMIT_WINDOWS_MAX];

	limit_maxima(&limit, str_of(key), max);
	return max[0];
}

static void
test_lookups(void **state)
{
	static const char *const entries[][2] = {
		{ "alice", "1 messages/1h" },
		{ "bob+x", "2 messages/1h" },
		{ "50%20", "3 messages/1h" },
		{ "@lists.example.net", "4 messages/1h" },
		{ "192.0.2.0/24", "5 messages/1h" },
		{ "2001:db8::/32", "6 messages/1h" },
		{ "user=eve+client=192.0.2.1", "7 messages/1h" },
		{ "/^news-/", "8 messages/1h" },
	};
	struct table *table = table_new(STR("override"));
	struct buf why = BUF_INIT(1000);

	(void)state;
	limit.own = allowance_find;
	limit.own_from = table;
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		assert_true(table_add_value(table, str_of(entries[i][0]),
		    str_of(entries[i][1]), &why));
	table_seal(table);
	key_is("user");
	assert_int_equal(messages_of("user=alice"), 1);
	assert_int_equal(messages_of("user=bob%2Bx"), 2);
	assert_int_equal(messages_of("user=50%2520"), 3);
	assert_int_equal(messages_of("user=joe@lists.example.net"), 4);
	assert_int_equal(messages_of("user=news-7"), 8);
	assert_int_equal(messages_of("user=mallory"), 100);
	key_is("client/24");
	assert_int_equal(messages_of("client=192.0.2.0/24"), 5);
	assert_int_equal(messages_of("client=2001:db8:1:2::/64"), 6);
	assert_int_equal(messages_of("client=198.51.100.0/24"), 100);
	key_is("user+client");
	assert_int_equal(messages_of("user=eve+client=192.0.2.1"), 7);
	assert_int_equal(messages_of("user=alice+client=192.0.2.1"), 100);
	key_is("all");
	assert_int_equal(messages_of("all"), 100);
	buf_free(&why);
	table_free(&table);
	limit.own = NULL;
}

static void
judged(const char *entry, const char *value, enum table_fault want)
{
	struct buf why = BUF_INIT(1000);
	struct str at = STR_NONE;

	assert_int_equal(allowance_judge(&limit, str_of(entry), str_of(value),
			     &why, &at),
	    want);
	assert_int_equal(why.n == 0, want == TABLE_FINE);
	buf_free(&why);
}

static void
test_judge(void **state)
{
	(void)state;
	key_is("sender");
	judged("bob@example.org", "unlimited", TABLE_FINE);
	judged("Bob@Example.org", "unlimited", TABLE_FINE);
	judged("@example.org", "unlimited", TABLE_FINE);
	judged("/x+y@z/", "unlimited", TABLE_FINE);
	judged("bob+tag@example.org", "unlimited", TABLE_BAD_ENTRY);
	judged("prvs=1234abcdef=bob@example.org", "unlimited", TABLE_BAD_ENTRY);
	judged("bob@example.org", "lots", TABLE_BAD_VALUE);
	key_is("user");
	judged("bob+tag@example.org", "unlimited", TABLE_FINE);
	key_is("user+client");
	judged("alice", "unlimited", TABLE_BAD_ENTRY);
	judged("user=alice+client=192.0.2.1", "unlimited", TABLE_FINE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
