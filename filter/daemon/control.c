#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/control.h"
#include "daemon/socket.h"

#define REQUEST_MAX	4096
#define ANSWER_MAX	(8 * 1024 * 1024)

static struct {
	int		 fd;
	pthread_t	 thread;
	bool		 started;
	control_handler	 handler;
	pthread_mutex_t	 lock;		/* guards the rest */
	int		 client;	/* -1: nobody is served */
	bool		 stopping;
} control = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .client = -1 };

/* false: a client that is served too long, byte by byte as it may be. */
static bool
wait_until(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t left;
	int n;

	do {
		left = deadline - clock_mono_ms();
		n = left > 0 ? poll(&pfd, 1, (int)left) : 0;
	} while (n == -1 && errno == EINTR);
	return n > 0;
}

static int64_t
deadline(void)
{
	return clock_mono_ms() + CONTROL_TIMEOUT_S * 1000;
}

/* The first line; what follows it (HTTP headers) is of no interest. */
static struct str
read_request(int fd, char *line, size_t size)
{
	int64_t until = deadline();
	size_t n = 0;
	ssize_t got;

	while (n < size && memchr(line, '\n', n) == NULL &&
	    wait_until(fd, POLLIN, until)) {
		got = recv(fd, line + n, size - n, MSG_DONTWAIT);
		if (got == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return str_trim(
	    str_cut((struct str){ line, n }, '\n', &(struct str){ 0 }));
}

static bool
write_all(int fd, struct str text)
{
	int64_t until = deadline();
	ssize_t put;

	while (text.n > 0 && wait_until(fd, POLLOUT, until)) {
		put = send(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (put <= 0)
			return false;
		text.p += put;
		text.n -= (size_t)put;
	}
	return text.n == 0;
}

static void
serve_http(int fd, struct str request)
{
	struct buf answer = BUF_INIT(ANSWER_MAX), page = BUF_INIT(ANSWER_MAX);
	bool found = str_starts(request, STR("GET /metrics ")) &&
	    control.handler(STR("metrics"), &page);

	buf_printf(&answer,
	    "HTTP/1.0 %s\r\nContent-Type: text/plain; "
	    "version=0.0.4\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n",
	    found ? "200 OK" : "404 Not Found", page.n);
	buf_addstr(&answer, buf_str(&page));
	write_all(fd, buf_str(&answer));
	buf_free(&answer);
	buf_free(&page);
}

static void
serve(int fd)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	char line[REQUEST_MAX];
	struct str request;
	bool ok;

	request = read_request(fd, line, sizeof(line));
	if (str_starts(request, STR("GET "))) {
		serve_http(fd, request);
	} else if (request.n > 0) {
		ok = control.handler(request, &answer);
		write_all(fd, ok ? STR("ok\n") : STR("error\n"));
		write_all(fd, buf_str(&answer));
	}
	buf_free(&answer);
}

/* false: there is no time for clients any more. */
static bool
take_client(int fd)
{
	bool ok;

	pthread_mutex_lock(&control.lock);
	control.client = fd;
	ok = !control.stopping;
	pthread_mutex_unlock(&control.lock);
	return ok;
}

static bool
stopping(void)
{
	bool yes;

	pthread_mutex_lock(&control.lock);
	yes = control.stopping;
	pthread_mutex_unlock(&control.lock);
	return yes;
}

static void *
control_thread(void *arg)
{
	int fd;

	(void)arg;
	for (;;) {
		fd = accept4(control.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (stopping())
				return NULL;
			sleep(1);	/* no descriptor, no memory */
			continue;
		}
		if (take_client(fd))
			serve(fd);
		take_client(-1);
		close(fd);
	}
}

bool
control_start(int fd, control_handler handler)
{
	control.fd = fd;
	control.handler = handler;
	control.started =
	    pthread_create(&control.thread, NULL, control_thread, NULL) == 0;
	return control.started;
}

void
control_stop(void)
{
	if (!control.started)
		return;
	pthread_mutex_lock(&control.lock);
	control.stopping = true;
	shutdown(control.fd, SHUT_RDWR);
	if (control.client != -1)
		shutdown(control.client, SHUT_RDWR);
	pthread_mutex_unlock(&control.lock);
	pthread_join(control.thread, NULL);
	close(control.fd);
	control.started = false;
}

int
control_ask(struct str path, const char *request)
{
	struct buf err = BUF_INIT(1024), answer = BUF_INIT(ANSWER_MAX);
	char chunk[8192];
	struct str rest;
	ssize_t got;
	bool ok;
	int fd;

	fd = socket_connect(path, &err);
	if (fd == -1) {
		fprintf(stderr, "postern: %s\nIs the daemon running?\n", err.p);
		buf_free(&err);
		return 1;
	}
	write_all(fd, str_of(request));
	write_all(fd, STR("\n"));
	while ((got = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&answer, chunk, (size_t)got);
	close(fd);
	ok = str_eq(str_cut(buf_str(&answer), '\n', &rest), STR("ok"));
	if (rest.n > 0)
		fwrite(rest.p, 1, rest.n, ok ? stdout : stderr);
	else if (!ok)
		fputs("postern: the daemon gave no answer\n", stderr);
	buf_free(&answer);
	return ok ? 0 : 1;
}
