#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/socket.h"

#define BACKLOG		1024
#define SYSTEMD_FIRST_FD 3

static int
fail(int fd, struct buf *err, const char *what, struct str name)
{
	buf_printf(err, "%s %.*s: %s", what, STR_FMT(name), strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

static bool
unix_address(struct str path, struct sockaddr_un *un, struct buf *err)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (path.n == 0 || path.n >= sizeof(un->sun_path)) {
		buf_printf(err, "socket path %.*s: %zu bytes, at most %zu fit",
		    STR_FMT(path), path.n, sizeof(un->sun_path) - 1);
		return false;
	}
	memcpy(un->sun_path, path.p, path.n);
	return true;
}

int
socket_connect(struct str path, struct buf *err)
{
	struct sockaddr_un un;
	int fd;

	if (!unix_address(path, &un, err))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1)
		return fail(fd, err, "connect to", path);
	return fd;
}

/* A socket nobody answers on is left from a daemon that died. */
static bool
clear_stale(const struct sockaddr_un *un, struct buf *err)
{
	struct stat st;
	int fd, error = 0;

	if (lstat(un->sun_path, &st) == -1)
		return true;
	if (!S_ISSOCK(st.st_mode)) {
		buf_printf(err, "%s is there and is not a socket",
		    un->sun_path);
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    connect(fd, (const struct sockaddr *)un, sizeof(*un)) == -1)
		error = errno;
	if (fd != -1)
		close(fd);
	/* Only this says that nobody is there: we may just not be let in. */
	if (error == ECONNREFUSED)
		error = unlink(un->sun_path) == -1 ? errno : ENOENT;
	if (error == ENOENT)
		return true;
	if (error == 0)
		buf_printf(err, "another process listens on %s", un->sun_path);
	else
		buf_printf(err, "%s is there: %s", un->sun_path,
		    strerror(error));
	return false;
}

static bool
set_owner(const char *path, const struct listen *where, struct buf *err)
{
	struct passwd *pw = NULL;
	struct group *gr = NULL;
	char name[256];

	if (where->user.n != 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(where->user));
		if ((pw = getpwnam(name)) == NULL) {
			buf_printf(err, "socket %s: no user \"%s\"", path,
			    name);
			return false;
		}
	}
	if (where->group.n != 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(where->group));
		if ((gr = getgrnam(name)) == NULL) {
			buf_printf(err, "socket %s: no group \"%s\"", path,
			    name);
			return false;
		}
	}
	if (pw == NULL && gr == NULL)
		return true;
	if (chown(path, pw ? pw->pw_uid : (uid_t)-1,
		gr ? gr->gr_gid : (gid_t)-1) == -1) {
		fail(-1, err, "chown", where->path);
		return false;
	}
	return true;
}

/* Everything between bind() and the first client. */
static bool
open_to_clients(int fd, const struct sockaddr_un *un,
    const struct listen *where, struct buf *err)
{
	if (!set_owner(un->sun_path, where, err))
		return false;
	if (where->mode >= 0 && chmod(un->sun_path, (mode_t)where->mode) == -1)
		fail(-1, err, "chmod", where->path);
	else if (listen(fd, BACKLOG) == -1)
		fail(-1, err, "listen", where->path);
	else
		return true;
	return false;
}

static int
listen_unix(const struct listen *where, struct buf *err)
{
	struct sockaddr_un un;
	mode_t mask;
	int fd, bound;

	if (!unix_address(where->path, &un, err) || !clear_stale(&un, err))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(fd, err, "socket", where->path);
	/* Nobody gets in before owner and mode are right. */
	mask = umask(0777);
	if (where->mode < 0)
		umask(mask);
	bound = bind(fd, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (bound == -1)
		return fail(fd, err, "bind", where->path);
	if (!open_to_clients(fd, &un, where, err)) {
		unlink(un.sun_path);
		close(fd);
		return -1;
	}
	return fd;
}

static int
listen_inet(const struct listen *where, struct buf *err)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	socklen_t len;
	char addr[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX + 16];
	int fd, on = 1;

	if (where->addr.family == ADDR_V6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(where->port);
		memcpy(&in6->sin6_addr, where->addr.b, 16);
		len = sizeof(*in6);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons(where->port);
		memcpy(&in->sin_addr, where->addr.b, 4);
		len = sizeof(*in);
	}
	addr_format(&where->addr, addr);
	snprintf(text, sizeof(text), "%u@%s", where->port, addr);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(fd, err, "socket", str_of(text));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) == -1)
		return fail(fd, err, "bind", str_of(text));
	if (listen(fd, BACKLOG) == -1)
		return fail(fd, err, "listen", str_of(text));
	return fd;
}

/* sd_listen_fds(3): the sockets start at 3 and are meant for one process. */
static int
listen_systemd(struct buf *err)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t n;
	int on = 1;

	if (pid == NULL || fds == NULL || !str_u64(str_of(pid), &n) ||
	    n != (uint64_t)getpid() || !str_u64(str_of(fds), &n) || n == 0) {
		buf_adds(err,
		    "listen systemd: no socket was passed "
		    "(LISTEN_PID, LISTEN_FDS); is postern.socket enabled?");
		return -1;
	}
	fcntl(SYSTEMD_FIRST_FD, F_SETFD, FD_CLOEXEC);
	/* Fails on a unix socket, where it is not needed. */
	setsockopt(SYSTEMD_FIRST_FD, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	return SYSTEMD_FIRST_FD;
}

int
socket_listen(const struct listen *where, struct buf *err)
{
	switch (where->kind) {
	case LISTEN_UNIX:
		return listen_unix(where, err);
	case LISTEN_INET:
		return listen_inet(where, err);
	case LISTEN_SYSTEMD:
		return listen_systemd(err);
	case LISTEN_OFF:
		break;
	}
	buf_adds(err, "there is no socket to listen on");
	return -1;
}

void
socket_remove(const struct listen *where)
{
	struct sockaddr_un un;
	struct buf ignored = BUF_INIT(1024);

	if (where->kind == LISTEN_UNIX &&
	    unix_address(where->path, &un, &ignored))
		unlink(un.sun_path);
	buf_free(&ignored);
}

void
socket_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n;
	int fd;

	if (path == NULL || (n = strlen(path)) < 2 || n >= sizeof(un.sun_path))
		return;
	memcpy(un.sun_path, path, n);
	if (un.sun_path[0] == '@')
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	/* systemd not listening is not our trouble. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (struct sockaddr *)&un,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}
