#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/control.h"
#include "daemon/socket.h"

#define REQUEST_MAX	8192
#define PART_SIZE	(64 * 1024)	/* of a long answer */
#define PART_MAX	(8 * 1024 * 1024)
#define ANSWER_MAX	(512 * 1024 * 1024)

static struct {
	int		 fd;
	pthread_t	 thread;	/* accepts */
	bool		 started;
	control_handler	 handler;
	pthread_mutex_t	 lock;		/* guards the rest */
	pthread_cond_t	 changed;
	int		 clients[CONTROL_CLIENTS_MAX]; /* -1: nobody */
	size_t		 nclients, turns, waiting;
	bool		 stopping;
} control = { .fd = -1,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER };

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

/* --- a request --------------------------------------------------------- */

static int
hex_digit(char c)
{
	int lower = chr_lower((unsigned char)c);

	if (chr_digit((unsigned char)c))
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* In place: what comes out is never longer. */
static struct str
decode(struct str arg)
{
	char *out = (char *)arg.p;
	size_t n = 0;

	for (size_t i = 0; i < arg.n; i++) {
		int high = -1, low = -1;

		if (arg.p[i] == '%' && arg.n - i > 2) {
			high = hex_digit(arg.p[i + 1]);
			low = hex_digit(arg.p[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			out[n++] = arg.p[i];
		}
	}
	return (struct str){ out, n };
}

/* false: more words than any request has. */
static bool
parse_request(struct control_call *call, struct str line)
{
	struct str rest, word;

	call->name = str_cut(line, ' ', &rest);
	while (rest.p != NULL) {
		word = str_cut(rest, ' ', &rest);
		if (word.n == 0)
			continue;
		if (call->nargs == CONTROL_ARGS_MAX)
			return false;
		call->args[call->nargs++] = decode(word);
	}
	return true;
}

static void
name_peer(struct control_call *call)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);
	struct passwd pw, *found = NULL;
	char text[4096];

	if (getsockopt(call->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		cred.uid = (uid_t)-1;
	call->uid = cred.uid;
	if (cred.uid != (uid_t)-1 &&
	    getpwuid_r(cred.uid, &pw, text, sizeof(text), &found) == 0 &&
	    found != NULL)
		snprintf(call->user, sizeof(call->user), "%s", pw.pw_name);
	else
		snprintf(call->user, sizeof(call->user), "uid %ld",
		    (long)(int)cred.uid);
}

/* --- its answer -------------------------------------------------------- */

static void
send_part(struct control_call *call, struct str head)
{
	if (!call->gone)
		call->gone = !write_all(call->fd, head) ||
		    !write_all(call->fd, buf_str(&call->out)) ||
		    call->out.failed;
	buf_truncate(&call->out, 0);
	call->begun = true;
}

bool
control_flush(struct control_call *call)
{
	if (call->out.n >= PART_SIZE)
		send_part(call, call->begun ? STR_NONE : STR("ok\n"));
	return !call->gone;
}

bool
control_turn(struct control_call *call)
{
	bool ok = false;

	pthread_mutex_lock(&control.lock);
	if (control.waiting == CONTROL_WAITING_MAX) {
		buf_adds(&call->out, "too many ask for long answers\n");
	} else {
		control.waiting++;
		while (control.turns == CONTROL_TURNS && !control.stopping)
			pthread_cond_wait(&control.changed, &control.lock);
		control.waiting--;
		ok = !control.stopping;
	}
	if (ok)
		control.turns++;
	call->turn = ok;
	pthread_mutex_unlock(&control.lock);
	return ok;
}

static void
end_turn(void)
{
	pthread_mutex_lock(&control.lock);
	control.turns--;
	pthread_cond_broadcast(&control.changed);
	pthread_mutex_unlock(&control.lock);
}

static void
serve_http(struct control_call *call, struct str request)
{
	struct buf head = BUF_INIT(1024);
	bool found = str_starts(request, STR("GET /metrics "));

	call->name = STR("metrics");
	found = found && control.handler(call);
	if (!found)
		buf_truncate(&call->out, 0);
	buf_printf(&head,
	    "HTTP/1.0 %s\r\nContent-Type: text/plain; "
	    "version=0.0.4\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n",
	    found ? "200 OK" : "404 Not Found", call->out.n);
	send_part(call, buf_str(&head));
	buf_free(&head);
}

static void
serve_request(struct control_call *call, struct str request)
{
	bool ok = parse_request(call, request);

	if (ok)
		ok = control.handler(call);
	else
		buf_adds(&call->out, "too many words\n");
	if (call->out.n > 0 && call->out.p[call->out.n - 1] != '\n')
		buf_addc(&call->out, '\n');
	buf_adds(&call->out, ".\n");
	send_part(call,
	    call->begun ? STR_NONE :
		ok	? STR("ok\n") :
			  STR("error\n"));
}

static void
serve(int fd)
{
	struct control_call call = { .fd = fd, .out = BUF_INIT(PART_MAX) };
	char line[REQUEST_MAX];
	struct str request;

	request = read_request(fd, line, sizeof(line));
	name_peer(&call);
	if (str_starts(request, STR("GET ")))
		serve_http(&call, request);
	else if (request.n > 0)
		serve_request(&call, request);
	buf_free(&call.out);
	if (call.turn)
		end_turn();
}

/* --- who is served ----------------------------------------------------- */

/* Waits for a free place; NULL: there is no time for clients any more. */
static int *
take_client(int fd)
{
	int *place = NULL;

	pthread_mutex_lock(&control.lock);
	while (control.nclients == CONTROL_CLIENTS_MAX && !control.stopping)
		pthread_cond_wait(&control.changed, &control.lock);
	if (!control.stopping) {
		place = control.clients;
		while (*place != -1)
			place++;
		*place = fd;
		control.nclients++;
	}
	pthread_mutex_unlock(&control.lock);
	return place;
}

static void
drop_client(int *place)
{
	pthread_mutex_lock(&control.lock);
	close(*place);
	*place = -1;
	control.nclients--;
	pthread_cond_broadcast(&control.changed);
	pthread_mutex_unlock(&control.lock);
}

static void *
client_thread(void *arg)
{
	int *place = arg;

	serve(*place);
	drop_client(place);
	return NULL;
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

static void
start_client(int fd)
{
	int *place = take_client(fd);
	pthread_t thread;

	if (place == NULL)
		close(fd);
	else if (pthread_create(&thread, NULL, client_thread, place) == 0)
		pthread_detach(thread);
	else
		drop_client(place);
}

static void *
control_thread(void *arg)
{
	int fd;

	(void)arg;
	for (;;) {
		fd = accept4(control.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1) {
			start_client(fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (stopping())
			return NULL;
		sleep(1);	/* no descriptor, no memory */
	}
}

bool
control_start(int fd, control_handler handler)
{
	control.fd = fd;
	control.handler = handler;
	control.stopping = false;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control.clients[i] = -1;
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
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control.clients[i] != -1)
			shutdown(control.clients[i], SHUT_RDWR);
	pthread_cond_broadcast(&control.changed);
	while (control.nclients > 0)
		pthread_cond_wait(&control.changed, &control.lock);
	pthread_mutex_unlock(&control.lock);
	pthread_join(control.thread, NULL);
	close(control.fd);
	control.started = false;
}

/* --- the client's side ------------------------------------------------- */

void
control_add_arg(struct buf *request, struct str arg)
{
	buf_addc(request, ' ');
	for (size_t i = 0; i < arg.n; i++) {
		unsigned char c = (unsigned char)arg.p[i];

		if (c <= ' ' || c == 0x7f || c == '%')
			buf_printf(request, "%%%02X", c);
		else
			buf_addc(request, (char)c);
	}
}

static int
print_answer(struct str answer)
{
	struct str rest, first = str_cut(answer, '\n', &rest);
	bool ok = str_eq(first, STR("ok"));

	if (rest.n < 2 || !str_eq(str_sub(rest, rest.n - 2, 2), STR(".\n"))) {
		fputs("postern: the daemon gave no whole answer\n", stderr);
		return 1;
	}
	rest.n -= 2;
	if (rest.n > 0)
		fwrite(rest.p, 1, rest.n, ok ? stdout : stderr);
	return ok ? 0 : 1;
}

int
control_ask(struct str path, struct str request)
{
	struct buf err = BUF_INIT(1024), answer = BUF_INIT(ANSWER_MAX);
	char chunk[65536];
	ssize_t got;
	int fd, status;

	fd = socket_connect(path, &err);
	if (fd == -1) {
		fprintf(stderr, "postern: %s\nIs the daemon running?\n", err.p);
		buf_free(&err);
		return 1;
	}
	write_all(fd, request);
	write_all(fd, STR("\n"));
	while ((got = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&answer, chunk, (size_t)got);
	close(fd);
	status = print_answer(buf_str(&answer));
	buf_free(&answer);
	return status;
}
