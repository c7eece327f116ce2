#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
} control = { .fd = -1 };

/* The first line; what follows it (HTTP headers) is of no interest. */
static struct str
read_request(int fd, char *line, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n < size && memchr(line, '\n', n) == NULL) {
		got = read(fd, line + n, size - n);
		if (got == -1 && errno == EINTR)
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
	ssize_t put;

	while (text.n > 0) {
		put = send(fd, text.p, text.n, MSG_NOSIGNAL);
		if (put == -1 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		text.p += put;
		text.n -= (size_t)put;
	}
	return true;
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
	struct timeval patience = { .tv_sec = CONTROL_TIMEOUT_S };
	struct buf answer = BUF_INIT(ANSWER_MAX);
	char line[REQUEST_MAX];
	struct str request;
	bool ok;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
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
			if (errno == EMFILE || errno == ENFILE) {
				sleep(1);
				continue;
			}
			return NULL;	/* control_stop() shut it down */
		}
		serve(fd);
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
	shutdown(control.fd, SHUT_RDWR);
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
