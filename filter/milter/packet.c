#include "milter/packet.h"

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define LENGTH_BYTES	4	/* in front of a command, in network order */

/*
 * Not in mfapi.h.  mi_rd_cmd() gives NULL where what *command says has no
 * data, or is less than a space and says why there is no command.
 */
char *mi_rd_cmd(int fd, struct timeval *timeout, char *command, size_t *len,
    char *name);
int	 mi_wr_cmd(int fd, struct timeval *timeout, int command, char *data,
    size_t len);

/* Of these reasons. */
#define NO_COMMAND_TIMEOUT	1
#define NO_COMMAND_ERROR	4
#define NO_COMMAND_END		5
#define NO_COMMAND_TOO_LARGE	7

static struct {
	char	*(*read)(int, struct timeval *, char *, size_t *, char *);
	int	 (*write)(int, struct timeval *, int, char *, size_t);
} library;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct packets *mine;

static void
library_find(void)
{
	void *reads = dlsym(RTLD_NEXT, "mi_rd_cmd");
	void *writes = dlsym(RTLD_NEXT, "mi_wr_cmd");

	assert(reads != NULL && writes != NULL);
	memcpy(&library.read, &reads, sizeof(reads));
	memcpy(&library.write, &writes, sizeof(writes));
}

void
packets_begin(struct packets *p, int fd, const struct timeval *idle)
{
	p->fd = fd;
	p->asked = false;
	p->over = 0;
	p->from = p->to = p->kept = 0;
	if (fd == -1)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, idle, sizeof(*idle));
	mine = p;
}

void
packets_end(void)
{
	mine = NULL;
}

/* --- commands ----------------------------------------------------------- */

/* One system call.  0: nothing comes any more. */
static size_t
packets_recv(struct packets *p, void *to, size_t n, int flags)
{
	ssize_t got;

	if (p->over != 0)
		return 0;
	do
		got = recv(p->fd, to, n, flags);
	while (got == -1 && errno == EINTR);
	if (got > 0)
		return (size_t)got;
	if (got == 0 || errno == ECONNRESET)
		p->over = NO_COMMAND_END;
	else if (errno == EAGAIN)
		p->over = NO_COMMAND_TIMEOUT;
	else
		p->over = NO_COMMAND_ERROR;
	return 0;
}

static bool
packets_read(struct packets *p)
{
	size_t n = p->to - p->from, got;

	if (p->from > 0)
		memmove(p->bytes, p->bytes + p->from, n);
	got = packets_recv(p, p->bytes + n, sizeof(p->bytes) - n, 0);
	p->from = 0;
	p->to = n + got;
	return got > 0;
}

void
packets_wait(struct packets *p)
{
	char first;

	if (p->fd == -1 || p->from < p->to)
		return;
	if (p->asked)
		(void)packets_read(p);
	else if (packets_recv(p, &first, 1, MSG_PEEK) == 0)
		shutdown(p->fd, SHUT_RDWR);
}

/* What was read, and the rest from where it lies. */
static bool
packets_copy(struct packets *p, char *to, size_t n)
{
	size_t done = p->to - p->from < n ? p->to - p->from : n, got;

	memcpy(to, p->bytes + p->from, done);
	p->from += done;
	for (; done < n; done += got) {
		got = packets_recv(p, to + done, n - done, MSG_WAITALL);
		if (got == 0)
			return false;
	}
	return true;
}

/* As mi_rd_cmd(). */
static char *
packets_take(struct packets *p, char *command, size_t *len)
{
	const unsigned char *at;
	char *data;
	uint32_t size;

	*len = 0;
	while (p->to - p->from < LENGTH_BYTES + 1)
		if (!packets_read(p)) {
			*command = p->over;
			return NULL;
		}
	at = p->bytes + p->from;
	memcpy(&size, at, LENGTH_BYTES);
	size = ntohl(size);
	*command = (char)at[LENGTH_BYTES];
	p->from += LENGTH_BYTES + 1;
	if (size <= 1)
		return NULL;
	if (size - 1 > MILTER_MAX_DATA_SIZE) {
		*command = NO_COMMAND_TOO_LARGE;
		return NULL;
	}
	data = mem_resize(NULL, size - 1);	/* the engine frees it */
	if (!packets_copy(p, data, size - 1)) {
		free(data);
		*command = p->over;
		return NULL;
	}
	*len = size - 1;
	return data;
}

char *
mi_rd_cmd(int fd, struct timeval *timeout, char *command, size_t *len,
    char *name)
{
	if (mine != NULL && mine->asked)
		return packets_take(mine, command, len);
	pthread_once(&once, library_find);
	return library.read(fd, timeout, command, len, name);
}

/*
 * poll() for the whole program: the C library's, but for the engine's question
 * before each command.  (A poll() as its header has it may not read *fds.)
 */
int	stand_in_for_poll(struct pollfd *, nfds_t, int) __asm__("poll");

int
stand_in_for_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct packets *p = mine;
	struct timespec timeout = { timeout_ms / 1000,
		timeout_ms % 1000 * 1000000L };

	if (p == NULL || n != 1 || fds->fd != p->fd || fds->events != POLLIN)
		return ppoll(fds, n, timeout_ms < 0 ? NULL : &timeout, NULL);
	p->asked = true;
	fds->revents = p->from < p->to || p->over != 0 ? POLLIN : 0;
	return fds->revents != 0;
}

/* --- answers ------------------------------------------------------------ */

/* The MTA waits for more behind it. */
static bool
is_edit(int command)
{
	return command == SMFIR_ADDHEADER || command == SMFIR_INSHEADER ||
	    command == SMFIR_CHGHEADER || command == SMFIR_DELRCPT ||
	    command == SMFIR_QUARANTINE;
}

/* false: there is no room. */
static bool
packets_keep(struct packets *p, int command, const char *data, size_t len)
{
	unsigned char *at = p->answer + p->kept;
	uint32_t size = htonl((uint32_t)len + 1);

	if (len > sizeof(p->answer) ||
	    LENGTH_BYTES + 1 + len > sizeof(p->answer) - p->kept)
		return false;
	memcpy(at, &size, LENGTH_BYTES);
	at[LENGTH_BYTES] = (unsigned char)command;
	if (len > 0)
		memcpy(at + LENGTH_BYTES + 1, data, len);
	p->kept += LENGTH_BYTES + 1 + len;
	return true;
}

static bool
wait_for_room(int fd, const struct timeval *timeout)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int ms = (int)(timeout->tv_sec * 1000 + timeout->tv_usec / 1000), n;

	do
		n = poll(&pfd, 1, ms);
	while (n == -1 && errno == EINTR);
	return n == 1;
}

/* false: the MTA does not take it. */
static bool
packets_send(struct packets *p, int fd, const struct timeval *timeout)
{
	size_t sent = 0, all = p->kept;
	ssize_t n;

	p->kept = 0;
	while (sent < all) {
		n = send(fd, p->answer + sent, all - sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno != EINTR &&
		    (errno != EAGAIN || !wait_for_room(fd, timeout)))
			return false;
	}
	return true;
}

int
mi_wr_cmd(int fd, struct timeval *timeout, int command, char *data, size_t len)
{
	struct packets *p = mine;

	if (p != NULL && packets_keep(p, command, data, len)) {
		if (is_edit(command) || packets_send(p, fd, timeout))
			return MI_SUCCESS;
		return MI_FAILURE;
	}
	if (p != NULL && !packets_send(p, fd, timeout))
		return MI_FAILURE;
	pthread_once(&once, library_find);
	return library.write(fd, timeout, command, data, len);
}
