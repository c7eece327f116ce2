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
#include <string.h>

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
packets_begin(struct packets *p)
{
	if (p != NULL)
		p->whole = p->taken = p->kept = 0;
	mine = p;
}

/* --- commands ----------------------------------------------------------- */

/* Of the packet at p, with its length; 0: it is not whole. */
static size_t
packet_size(const unsigned char *p, size_t n)
{
	size_t len;

	if (n < LENGTH_BYTES + 1)
		return 0;
	len =
	    (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	return len > 0 && len <= n - LENGTH_BYTES ? LENGTH_BYTES + len : 0;
}

/* false: there is nothing for us. */
static bool
packets_look(struct packets *p, int fd)
{
	ssize_t n =
	    recv(fd, p->bytes, sizeof(p->bytes), MSG_PEEK | MSG_DONTWAIT);
	size_t seen = n > 0 ? (size_t)n : 0, size;

	p->whole = p->taken = 0;
	while ((size = packet_size(p->bytes + p->whole, seen - p->whole)) > 0)
		p->whole += size;
	return p->whole > 0;
}

/* They are still there, and nobody else reads.  Should they not be, the
 * engine finds the end of the connection next. */
static void
packets_take_out(struct packets *p, int fd)
{
	if (recv(fd, p->bytes, p->whole, MSG_WAITALL) != (ssize_t)p->whole)
		shutdown(fd, SHUT_RDWR);
	p->whole = p->taken = 0;
}

char *
mi_rd_cmd(int fd, struct timeval *timeout, char *command, size_t *len,
    char *name)
{
	struct packets *p = mine;
	const unsigned char *at;
	char *data = NULL;
	size_t size;

	if (p == NULL || (p->whole == 0 && !packets_look(p, fd))) {
		pthread_once(&once, library_find);
		return library.read(fd, timeout, command, len, name);
	}
	at = p->bytes + p->taken;
	size = packet_size(at, p->whole - p->taken);
	*command = (char)at[LENGTH_BYTES];
	*len = size - LENGTH_BYTES - 1;
	if (*len > 0) {
		data = mem_alloc(*len);		/* the engine frees it */
		memcpy(data, at + LENGTH_BYTES + 1, *len);
	}
	p->taken += size;
	if (p->taken == p->whole)
		packets_take_out(p, fd);
	return data;
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
