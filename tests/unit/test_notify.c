#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/notify.h"

#define T0 1700000000000LL

static struct services services;
static char file[] = "/tmp/test_notify.XXXXXX";

static int
setup(void **state)
{
	int fd;

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	clock_fake(T0);
	snprintf(file, sizeof(file), "/tmp/test_notify.XXXXXX");
	fd = mkstemp(file);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(file);
	store_close(&services.store);
	clock_fake(-1);
	return 0;
}

/* Waits until the file holds n bytes, 2 s at most. */
static void
file_has(const char *want)
{
	char got[1000];
	size_t n = 0;

	for (int i = 0; i < 200; i++) {
		FILE *f = fopen(file, "r");

		n = fread(got, 1, sizeof(got) - 1, f);
		fclose(f);
		got[n] = '\0';
		if (n >= strlen(want))
			break;
		usleep(10000);
	}
	assert_string_equal(got, want);
}

static bool
run(const char *command, const char *key)
{
	char out[64], value[] = "KEY=$(touch /nowhere) ; it's";
	char *envp[] = { out, value, NULL };

	snprintf(out, sizeof(out), "OUT=%s", file);
	return notify_run(&services, str_of(command), str_of(key), envp);
}

static void
once_an_hour(void)
{
	assert_true(
	    run("printf '%s\\n' \"$KEY\" >> $OUT; echo noise; cat", "user=a"));
	file_has("$(touch /nowhere) ; it's\n");
	assert_false(
	    run("printf '%s\\n' \"$KEY\" >> $OUT; echo noise; cat", "user=a"));
	clock_fake_advance(NOTIFY_EVERY_MS - 1);
	assert_false(
	    run("printf '%s\\n' \"$KEY\" >> $OUT; echo noise; cat", "user=a"));
	assert_true(run("printf 2 >> $OUT", "user=a"));
	file_has("$(touch /nowhere) ; it's\n2");
	assert_true(run("printf 3 >> $OUT", "user=b"));
	file_has("$(touch /nowhere) ; it's\n23");
	clock_fake_advance(1);
	assert_true(run("printf 4 >> $OUT; exit 3", "user=b2"));
	file_has("$(touch /nowhere) ; it's\n234");
	assert_false(run("", "user=c"));
}

static void
test_with_store(void **state)
{
	struct buf err = BUF_INIT(1000);

	(void)state;
	services.store = store_open(STR("memory:"), &err);
	once_an_hour();
}

static void
test_without_store(void **state)
{
	(void)state;
	once_an_hour();
}

/* Commands end a moment after what they wrote is there. */
static void
wait_for_room(void)
{
	usleep(100000);
}

static void
test_four_at_once(void **state)
{
	char key[20], command[100];

	(void)state;
	clock_fake_advance(50 * NOTIFY_EVERY_MS);
	wait_for_room();
	snprintf(command, sizeof(command),
	    "while [ -e %s ]; do sleep 0.02; done", file);
	for (int i = 0; i < NOTIFY_AT_ONCE + 1; i++) {
		snprintf(key, sizeof(key), "n=%d", i);
		assert_int_equal(run(command, key), i < NOTIFY_AT_ONCE);
	}
	unlink(file);
	/* skipped for want of room is not told: it may run later */
	for (int i = 0; i < 100 && !run("true", key); i++)
		usleep(20000);
	assert_false(run("true", key));
	wait_for_room();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_with_store),
		T(test_without_store),
		T(test_four_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
