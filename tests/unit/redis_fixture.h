/*
 * A redis-server of our own on a socket in the test's folder; the store's
 * time is the fake clock's.  Where there is no such program, tests skip.
 */
#ifndef TESTS_REDIS_FIXTURE_H
#define TESTS_REDIS_FIXTURE_H

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store_fixture.h"

static pid_t redis_pid;
static char redis_spec[160], redis_real_spec[160], redis_socket[100];

static inline bool
redis_answers(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char pong[16] = "";
	bool ok;
	int fd;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", redis_socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok = connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
	    send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
	    recv(fd, pong, sizeof(pong) - 1, 0) > 0 &&
	    strncmp(pong, "+PONG", 5) == 0;
	close(fd);
	return ok;
}

/* The server of the folder, with what it has saved. */
static inline void
redis_start(void)
{
	int quiet;

	redis_pid = fork();
	assert_true(redis_pid >= 0);
	if (redis_pid == 0) {
		quiet = open("/dev/null", O_RDWR);
		dup2(quiet, 1);
		dup2(quiet, 2);
		execlp("redis-server", "redis-server", "--port", "0",
		    "--unixsocket", redis_socket, "--dir", dir, "--appendonly",
		    "yes", "--appendfsync", "always", "--save", "",
		    "--maxmemory-policy", "noeviction", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && !redis_answers(); i++)
		usleep(10000);
	assert_true(redis_answers());
}

static inline void
redis_stop(int sig)
{
	if (redis_pid > 0) {
		kill(redis_pid, sig);
		waitpid(redis_pid, NULL, 0);
	}
	redis_pid = 0;
}

static inline bool
redis_is_installed(void)
{
	static const char *const places[] = { "/usr/bin/redis-server",
		"/usr/local/bin/redis-server" };

	return access(places[0], X_OK) == 0 || access(places[1], X_OK) == 0;
}

static inline int
redis_setup(void **state)
{
	if (setup(state) != 0)
		return -1;
	snprintf(redis_socket, sizeof(redis_socket), "%s/redis.sock", dir);
	snprintf(redis_spec, sizeof(redis_spec), "redis+unix://%s?clock=client",
	    redis_socket);
	snprintf(redis_real_spec, sizeof(redis_real_spec), "redis+unix://%s",
	    redis_socket);
	if (redis_is_installed())
		redis_start();
	return 0;
}

static inline int
redis_teardown(void **state)
{
	redis_stop(SIGKILL);
	return teardown(state);
}

#define NEEDS_REDIS()           \
	do {                    \
		if (!redis_pid) \
			skip(); \
	} while (0)

/* A command for the server, past the store. */
static inline void
redis_say(const char *line)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char answer[256];
	int fd;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", redis_socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_true(send(fd, line, strlen(line), MSG_NOSIGNAL) > 0);
	assert_true(send(fd, "\r\n", 2, MSG_NOSIGNAL) > 0);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	assert_true(answer[0] != '-');
	close(fd);
}

static inline bool
is_down(struct store *st)
{
	struct store_stats s;

	store_stats(st, &s);
	return s.down;
}

static inline void
wait_until(struct store *st, bool down)
{
	for (int i = 0; i < 1500 && is_down(st) != down; i++)
		usleep(10000);
	assert_int_equal(is_down(st), down);
}

#endif
