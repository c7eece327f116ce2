#include "milter/packet.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

#define LENGTH_BYTES	4	/* in front of a command, in network order */

/* Not in mfapi.h.  NULL: what *command says has no data, or is less than a
 * space and says why there is none. */
char *mi_rd_cmd(int fd, struct timeval *timeout, char *command, size_t *len,
    char *name);

static char *(*library_read)(int, struct timeval *, char *, size_t *, char *);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct packets *mine;

static void
find_library(void)
{
	void *found = dlsym(RTLD_NEXT, "mi_rd_cmd");

	assert(found != NULL);
	memcpy(&library_read, &found, sizeof(found));
}

void
packets_begin(struct packets *p)
{
	if (p != NULL)
		p->whole = p->taken = 0;
	mine = p;
}

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
		pthread_once(&once, find_library);
		return library_read(fd, timeout, command, len, name);
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
