/* Times, sizes, numbers, socket addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/setting.h"

static void
test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "8s", 8000 }, { "500ms", 500 }, { "10m", 600000 },
		{ "1h", 3600000 }, { "2d", 172800000 }, { "1w", 604800000 },
		{ "0s", 0 } };
	static const char *const bad[] = { "", "8", "s", "8 s", "-1s", "1.5h",
		"1y", "1ss", "99999999999999999999s", "999999999w", "+1s" };
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(setting_time(str_of(good[i].text), &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(setting_time(str_of(bad[i]), &ms));
	assert_false(setting_time(STR_NONE, &ms));
}

static void
test_sizes(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(setting_size(STR("512"), &n) && n == 512);
	assert_true(setting_size(STR("16K"), &n) && n == 16384);
	assert_true(setting_size(STR("16M"), &n) && n == 16777216);
	assert_true(setting_size(STR("3G"), &n) && n == 3ULL << 30);
	assert_false(setting_size(STR(""), &n));
	assert_false(setting_size(STR("K"), &n));
	assert_false(setting_size(STR("1k"), &n));
	assert_false(setting_size(STR("10MB"), &n));
	assert_false(setting_size(STR("-1"), &n));
	assert_false(setting_size(STR("18446744073709551615G"), &n));
}

static void
test_numbers(void **state)
{
	double n;

	(void)state;
	assert_true(setting_number(STR("-1.5"), &n) && n == -1.5);
	assert_true(setting_number(STR("15"), &n) && n == 15);
	assert_true(setting_number(STR(".5"), &n) && n == 0.5);
	assert_false(setting_number(STR(""), &n));
	assert_false(setting_number(STR("-"), &n));
	assert_false(setting_number(STR("1.2.3"), &n));
	assert_false(setting_number(STR("1e5"), &n));
	assert_false(setting_number(STR("inf"), &n));
	assert_false(setting_number(STR("0x10"), &n));
	assert_false(
	    setting_number(STR("1111111111111111111111111111111111111"), &n));
}

/* The words of `text' as the value of a setting; false: a mistake. */
static bool
set(struct settings *s, struct arena *a, enum setting which, const char *text)
{
	struct token words[8];
	struct diag *diag = diag_new();
	struct setting_in in = { .arena = a,
		.diag = diag,
		.dir = STR("conf/"),
		.words = words };
	struct str rest = str_of(text);
	bool ok;

	while (rest.p != NULL && rest.n > 0) {
		words[in.n] = (struct token){ .kind = TOKEN_WORD };
		words[in.n++].text = str_cut(rest, ' ', &rest);
	}
	ok = setting_set(s, which, &in);
	assert_int_equal(ok, diag_errors(diag) == 0);
	diag_free(&diag);
	return ok;
}

static void
test_listen(void **state)
{
	static const char *const bad[] = { "unix:", "inet:0@127.0.0.1",
		"inet:x", "inet6:1@127.0.0.1", "tcp:1", "off", "unix:/a mode",
		"unix:/a mode 66", "unix:/a mode 0888", "unix:/a 0660",
		"inet:1@127.0.0.1 mode 0660" };
	struct arena *a = arena_new(1 << 20);
	struct settings s = { 0 };

	(void)state;
	assert_true(set(&s, a, SETTING_LISTEN,
	    "unix:/run/p mode 0660 group postfix user root"));
	assert_int_equal(s.listen.kind, LISTEN_UNIX);
	assert_int_equal(s.listen.mode, 0660);
	assert_true(str_eq(s.listen.path, STR("/run/p")));
	assert_true(str_eq(s.listen.group, STR("postfix")));
	assert_true(str_eq(s.listen.user, STR("root")));
	assert_true(set(&s, a, SETTING_LISTEN, "unix:p"));
	assert_true(str_eq(s.listen.path, STR("conf/p")));
	assert_int_equal(s.listen.mode, -1);
	assert_true(set(&s, a, SETTING_LISTEN, "inet:8891@192.0.2.1"));
	assert_int_equal(s.listen.kind, LISTEN_INET);
	assert_int_equal(s.listen.port, 8891);
	assert_true(set(&s, a, SETTING_LISTEN, "inet6:8891@::1"));
	assert_int_equal(s.listen.addr.family, ADDR_V6);
	assert_true(set(&s, a, SETTING_LISTEN, "systemd"));
	assert_int_equal(s.listen.kind, LISTEN_SYSTEMD);
	assert_true(set(&s, a, SETTING_CONTROL, "off"));
	assert_int_equal(s.control.kind, LISTEN_OFF);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(set(&s, a, SETTING_LISTEN, bad[i]));
	arena_free(&a);
}

static void
test_paths_and_globs(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct settings s = { 0 };

	(void)state;
	assert_true(set(&s, a, SETTING_STATE, "sqlite:state.db"));
	assert_true(str_eq(s.text[SETTING_STATE], STR("sqlite:conf/state.db")));
	assert_true(set(&s, a, SETTING_RESOLVER, "file:/zone"));
	assert_true(str_eq(s.text[SETTING_RESOLVER], STR("file:/zone")));
	assert_true(set(&s, a, SETTING_RULES, "a/*.cf /b/*.cf"));
	assert_true(set(&s, a, SETTING_RULES, "c.cf"));
	assert_true(str_eq(s.text[SETTING_RULES],
	    STR("conf/a/*.cf /b/*.cf conf/c.cf")));
	arena_free(&a);
}

/* Every default is a value that its own setting takes. */
static void
test_defaults(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct diag *diag = diag_new();
	struct settings s = { 0 };

	(void)state;
	setting_defaults(&s, a, diag);
	assert_int_equal(diag_errors(diag) + diag_warnings(diag), 0);
	assert_int_equal(s.deadline_stage_ms, 8000);
	assert_int_equal(s.deadline_message_ms, 20000);
	assert_int_equal(s.body_max, 16 << 20);
	assert_false(s.fault_tempfail);
	assert_int_equal(s.listen.kind, LISTEN_UNIX);
	assert_int_equal(s.control.mode, 0600);
	assert_true(s.text[SETTING_HOSTNAME].n > 0);
	diag_free(&diag);
	arena_free(&a);
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(setting_find(STR("deadline"), STR("message")),
	    SETTING_DEADLINE_MESSAGE);
	assert_int_equal(setting_find(STR("deadline"), STR("x")),
	    SETTING_COUNT);
	assert_int_equal(setting_find(STR("log"), STR("syslog")), SETTING_LOG);
	assert_true(setting_is_first_word(STR("body")));
	assert_false(setting_is_first_word(STR("log")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_paths_and_globs),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
