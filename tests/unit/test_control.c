/*
 * Many ask the daemon at once: who reads slowly, or asks for much, holds up
 * neither the quick answers nor the end.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/control.h"

#define MANY	 25
#define SOON_MS	 1000	/* much less than CONTROL_TIMEOUT_S */
#define CLIENTS	 (CONTROL_CLIENTS_MAX + 10)

static struct sockaddr_un at = { .sun_family = AF_UNIX };
static atomic_int at_once, most, long_ones;
static atomic_bool hold;

/* "all": without end; "work": takes a while, and may be held up. */
static bool
answer(struct control_call *call)
{
	static const char line[1024] = "x\n";
	bool ok = true;
	int now;

	if (str_eq(call->name, STR("quick"))) {
		buf_adds(&call->out, "quickly\n");
		return true;
	}
	if (!control_turn(call))
		return false;
	long_ones++;
	now = ++at_once;
	if (now > most)
		most = now;
	if (str_eq(call->name, STR("all")))
		while (ok) {
			buf_add(&call->out, line, sizeof(line));
			ok = control_flush(call);
		}
	do
		usleep(10000);
	while (hold);
	buf_adds(&call->out, "worked\n");
	at_once--;
	return true;
}

static int
setup(void **state)
{
	static int nth;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/test_control.%ld.%d",
	    (long)getpid(), nth++);
	at_once = most = long_ones = 0;
	hold = false;
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
		listen(fd, 256) == 0 && control_start(fd, answer) ?
	    0 :
	    -1;
}

static int
teardown(void **state)
{
	(void)state;
	hold = false;
	control_stop();
	return unlink(at.sun_path);
}

static int
ask(const char *request)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (request != NULL)
		assert_true(write(fd, request, strlen(request)) > 0);
	return fd;
}

/* The whole answer, and the end of the connection. */
static void
said(int fd, char *answer_text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (
	    n + 1 < size && (got = read(fd, answer_text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	answer_text[n] = '\0';
	close(fd);
}

static void
is_quick(void)
{
	int64_t began = clock_mono_ms();
	char text[200];

	said(ask("quick\n"), text, sizeof(text));
	assert_string_equal(text, "ok\nquickly\n.\n");
	assert_in_range(clock_mono_ms() - began, 0, SOON_MS);
}

static void
test_who_does_not_read(void **state)
{
	int fds[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = ask(i % 2 ? "all\n" : "all");
	while (long_ones == 0)
		usleep(1000);
	is_quick();
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void
test_each_in_turn(void **state)
{
	char text[200];
	int fds[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = ask("work\n");
	is_quick();
	for (int i = 0; i < MANY; i++) {
		said(fds[i], text, sizeof(text));
		assert_string_equal(text, "ok\nworked\n.\n");
	}
	assert_int_equal(long_ones, MANY);
	assert_int_equal(most, CONTROL_TURNS);
}

static int
answered(const int *fds, int n)
{
	struct pollfd pfd;
	int ready = 0;

	for (int i = 0; i < n; i++) {
		pfd = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		ready += poll(&pfd, 1, 0);
	}
	return ready;
}

static void
test_too_many(void **state)
{
	int fds[CONTROL_TURNS + CONTROL_WAITING_MAX + 5], refused = 0;
	const int n = sizeof(fds) / sizeof(fds[0]);
	char text[200];

	(void)state;
	hold = true;
	for (int i = 0; i < n; i++)
		fds[i] = ask("work\n");
	is_quick();
	while (answered(fds, n) < 5)
		usleep(1000);
	hold = false;
	for (int i = 0; i < n; i++) {
		said(fds[i], text, sizeof(text));
		if (strncmp(text, "error\ntoo many", 14) == 0)
			refused++;
		else
			assert_string_equal(text, "ok\nworked\n.\n");
	}
	assert_int_equal(refused, 5);
}

/* More than are served at once wait to be accepted, and are not lost. */
static void
test_no_place(void **state)
{
	int fds[CLIENTS], quick;
	char text[200];

	(void)state;
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ask(NULL);
	quick = ask("quick\n");
	usleep(100000);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	said(quick, text, sizeof(text));
	assert_string_equal(text, "ok\nquickly\n.\n");
}

static void
test_end(void **state)
{
	int64_t began;
	int fds[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = ask(i % 3 == 0 ? "all\n" :
			i % 3 == 1	? "work\n" :
					  NULL);
	while (long_ones == 0)
		usleep(1000);
	began = clock_mono_ms();
	control_stop();
	assert_in_range(clock_mono_ms() - began, 0, SOON_MS);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_who_does_not_read),
		T(test_each_in_turn),
		T(test_too_many),
		T(test_no_place),
		T(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
