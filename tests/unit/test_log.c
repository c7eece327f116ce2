#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

#define AT(line) "2026-11-22T10:00:00.123Z " line

static int saved, file;
static char *text;

/* From here on stderr goes to a file in memory. */
static void
capture(void)
{
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	file = memfd_create("stderr", 0);
	fcntl(file, F_SETFL, O_APPEND);	/* as a log is opened */
	dup2(file, STDERR_FILENO);
}

static const char *
captured(void)
{
	off_t n = lseek(file, 0, SEEK_END);

	dup2(saved, STDERR_FILENO);
	close(saved);
	free(text);
	text = calloc(1, (size_t)n + 1);
	assert_int_equal(pread(file, text, (size_t)n, 0), n);
	close(file);
	return text;
}

static int
setup(void **state)
{
	(void)state;
	clock_fake(1795341600123);
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	clock_fake(-1);
	free(text);
	text = NULL;
	return 0;
}

static void
test_line(void **state)
{
	(void)state;
	capture();
	log_event(LOG_EV_MESSAGE, "id=%s n=%d", "4cXyz", 3);
	log_event(LOG_EV_START, "%s", "");
	assert_string_equal(captured(),
	    AT("info event=message id=4cXyz n=3\n")
		AT("info event=start \"\"\n"));
}

static void
test_conversions(void **state)
{
	(void)state;
	capture();
	log_event(LOG_EV_STORE,
	    "a=%d b=%u c=%ld d=%lu e=%lld f=%llu g=%zu h=%c i=%x j=%.2f "
	    "k=100%% l=%.*s m=%.3s n=%f",
	    -1, 4000000000u, -5000000000L, 5000000000UL, -6LL, 6ULL, (size_t)7,
	    'x', 255u, 1.005, 2, "abc", "defg", 0.5);
	assert_string_equal(captured(),
	    AT("error event=store a=-1 b=4000000000 c=-5000000000 "
	       "d=5000000000 e=-6 f=6 g=7 h=x i=ff j=1.00 k=100% l=ab m=def "
	       "n=0.500000\n"));
}

static void
test_hostile_values(void **state)
{
	const char *volatile none = NULL; /* gcc must not know */

	(void)state;
	capture();
	log_event(LOG_EV_REFUSED, "helo=%s from=%.*s c=%c none=%s",
	    "x\r\nevent=forged \x1b[31m", 5, "a\"b\\c", '\n', none);
	assert_string_equal(captured(),
	    AT("info event=refused "
	       "helo=\"x\\x0d\\x0aevent=forged \\x1b[31m\" "
	       "from=\"a\\\"b\\\\c\" c=\"\\x0a\" none=\"\"\n"));
}

static void
test_prebuilt_line(void **state)
{
	(void)state;
	capture();
	log_line(LOG_EV_DNS, STR("name=a\nevent=forged"));
	assert_string_equal(captured(),
	    AT("warn event=dns name=a?event=forged\n"));
}

static void
test_long_values(void **state)
{
	char *big = malloc(100000);
	const char *line;

	(void)state;
	memset(big, 'a', 99999);
	big[99999] = '\0';
	capture();
	log_event(LOG_EV_RULE, "v=%s n=%d", big, 7);
	line = captured();
	assert_in_range(strlen(line), 1000, 1200);
	assert_non_null(strstr(line, "a... n=7\n"));

	memset(big, '\n', 99999);
	capture();
	log_event(LOG_EV_RULE, "v=%s w=%s x=%s", big, big, big);
	line = captured();
	assert_in_range(strlen(line), 4000, 8192);
	assert_non_null(strstr(line, " truncated=yes\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);

	memset(big, 'b', 99999);
	capture();
	log_line(LOG_EV_RULE, (struct str){ big, 99999 });
	line = captured();
	assert_in_range(strlen(line), 7900, 8192);
	assert_non_null(strstr(line, "bb truncated=yes\n"));
	free(big);
}

static void
test_levels(void **state)
{
	(void)state;
	capture();
	log_event(LOG_EV_DEBUG, "x=%d", 1);
	assert_string_equal(captured(), "");
	assert_false(log_wants(LOG_EV_DEBUG));
	assert_true(log_wants(LOG_EV_MESSAGE));
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	assert_false(log_wants(LOG_EV_DNS));
	assert_true(log_wants(LOG_EV_STORE));
	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	assert_true(log_wants(LOG_EV_DEBUG));
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_DEBUG);
	capture();
	log_event(LOG_EV_INTERNAL, "x=%d", 1);
	assert_string_equal(captured(), "");
}

static void
test_words(void **state)
{
	(void)state;
	assert_string_equal(log_event_word(LOG_EV_RELOAD_FAILED),
	    "reload-failed");
	for (int i = 0; i < LOG_EV_COUNT; i++) {
		assert_true(strlen(log_event_word(i)) > 0);
		assert_true(strlen(log_event_help(i)) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(log_event_word(i),
			    log_event_word(j));
	}
}

static void *
log_much(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_event(LOG_EV_MESSAGE, "thread=%s n=%d end=yes",
		    (const char *)arg, i);
	return NULL;
}

/* Lines of several threads never mix. */
static void
test_threads(void **state)
{
	static char names[4][8] = { "one", "two", "three", "four" };
	pthread_t t[4];
	char *line, *rest;
	int n = 0;

	(void)state;
	capture();
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, log_much, names[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	captured();
	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		assert_ptr_equal(strstr(line, AT("info event=message ")), line);
		assert_string_equal(line + strlen(line) - 8, " end=yes");
		assert_null(strstr(line + 1, AT("")));
		n++;
	}
	assert_int_equal(n, 2000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conversions, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_hostile_values, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_prebuilt_line, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_long_values, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test(test_words),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
