#include "service/redis_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

#define HOPS_MAX   5
#define REPLY_MAX  ((size_t)16 << 20)
#define LOOK_US	   120
#define FAR	   8
#define SLICE_US   2000 /* others had the processor for a slice of time */
#define CROWDED_US (20 * 1000)

struct redis_wire {
	int fd;
	SSL_CTX *tls;
	SSL *ssl;
	redisReader *reader;
	int64_t crowded_us; /* until then others want all processors */
	unsigned int far; /* so many answers are not looked for */
};

/* Tests freeze clock.h's time; waiting needs the machine's. */
static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static int64_t
now_ms(void)
{
	return now_us() / 1000;
}

static bool
say_errno(struct buf *why, const char *what)
{
	char text[128];
	int error = errno;

	buf_printf(why, "%s: %s", what, strerror_r(error, text, sizeof(text)));
	return false;
}

static bool
wait_for(int fd, short events, int64_t until, struct buf *why)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int rc;

	do {
		left = until - now_ms();
		rc = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (rc < 0 && errno == EINTR);
	if (rc > 0)
		return true;
	if (rc < 0)
		return say_errno(why, "poll");
	buf_printf(why, "no answer within %d ms", REDIS_TIMEOUT_MS);
	return false;
}

static bool
wire_connect(struct redis_wire *w, const struct sockaddr *sa, socklen_t len,
    struct buf *why)
{
	int error = 0, on = 1;
	socklen_t size = sizeof(error);

	w->fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		return say_errno(why, "socket");
	if (sa->sa_family != AF_UNIX)
		setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(w->fd, sa, len) != 0) {
		if (errno != EINPROGRESS)
			return say_errno(why, "connect");
		if (!wait_for(w->fd, POLLOUT, now_ms() + REDIS_TIMEOUT_MS, why))
			return false;
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &size);
		errno = error;
	}
	return error == 0 || say_errno(why, "connect");
}

/* One call a piece where nothing but the kernel is asked: it waits itself. */
static void
wire_block(struct redis_wire *w)
{
	struct timeval most = { REDIS_TIMEOUT_MS / 1000,
		REDIS_TIMEOUT_MS % 1000 * 1000 };

	setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) & ~O_NONBLOCK);
}

static bool
connect_unix(struct redis_wire *w, const char *path, struct buf *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path)) {
		buf_adds(why, "the path of the socket is too long");
		return false;
	}
	memcpy(un.sun_path, path, strlen(path));
	return wire_connect(w, (struct sockaddr *)&un, sizeof(un), why);
}

static bool
connect_inet(struct redis_wire *w, const char *host, const char *port,
    struct buf *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	bool ok = false;
	int rc;

	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0) {
		buf_printf(why, "%s: %s", host, gai_strerror(rc));
		return false;
	}
	for (a = list; a && !ok; a = a->ai_next) {
		if (w->fd >= 0)
			close(w->fd);
		buf_truncate(why, 0);
		ok = wire_connect(w, a->ai_addr, a->ai_addrlen, why);
	}
	freeaddrinfo(list);
	return ok;
}

/* What TLS waits for now; false: it has failed. */
static bool
tls_wait(struct redis_wire *w, int rc, int64_t until, struct buf *why)
{
	char text[200];
	unsigned long error;
	long verified;

	switch (SSL_get_error(w->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(w->fd, POLLIN, until, why);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(w->fd, POLLOUT, until, why);
	default:
		verified = SSL_get_verify_result(w->ssl);
		error = ERR_get_error();
		ERR_error_string_n(error, text, sizeof(text));
		if (verified != X509_V_OK)
			buf_printf(why, "TLS: %s",
			    X509_verify_cert_error_string(verified));
		else
			buf_printf(why, "TLS: %s",
			    error ? text : "connection closed");
		return false;
	}
}

static bool
tls_start(struct redis_wire *w, const char *host, const char *ca,
    struct buf *why)
{
	int64_t until = now_ms() + REDIS_TIMEOUT_MS;
	unsigned char ip[sizeof(struct in6_addr)];
	bool is_ip = inet_pton(AF_INET, host, ip) == 1 ||
	    inet_pton(AF_INET6, host, ip) == 1;
	int rc;

	w->tls = SSL_CTX_new(TLS_client_method());
	if (w->tls == NULL ||
	    (ca ? SSL_CTX_load_verify_locations(w->tls, ca, NULL) :
		  SSL_CTX_set_default_verify_paths(w->tls)) != 1 ||
	    (w->ssl = SSL_new(w->tls)) == NULL) {
		buf_printf(why, "TLS: %s can't be read", ca ? ca : "CA list");
		return false;
	}
	SSL_set_verify(w->ssl, SSL_VERIFY_PEER, NULL);
	if (is_ip) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), host);
	} else {
		SSL_set1_host(w->ssl, host);
		SSL_set_tlsext_host_name(w->ssl, host);
	}
	SSL_set_fd(w->ssl, w->fd);
	ERR_clear_error();
	while ((rc = SSL_connect(w->ssl)) != 1)
		if (!tls_wait(w, rc, until, why))
			return false;
	return true;
}

void
redis_wire_close(struct redis_wire **wp)
{
	struct redis_wire *w = *wp;

	if (w == NULL)
		return;
	SSL_free(w->ssl);
	SSL_CTX_free(w->tls);
	if (w->fd >= 0)
		close(w->fd);
	if (w->reader)
		redisReaderFree(w->reader);
	free(w);
	*wp = NULL;
}

void
redis_wire_cut(struct redis_wire *w)
{
	shutdown(w->fd, SHUT_RDWR);
}

void
redis_wire_yield(struct redis_wire *w)
{
	int64_t began = now_us(), now;

	if (began < w->crowded_us)
		return;
	sched_yield();
	now = now_us();
	if (now - began > SLICE_US)
		w->crowded_us = now + CROWDED_US;
}

/*
 * An answer is there in some 50 us, and where the processor goes to sleep with
 * its threads it takes as long to be woken: so looks for it for a while.  Not
 * for a few answers after one that was not there so soon: the server is far.
 * 0: not yet.
 */
static ssize_t
wire_look(struct redis_wire *w, char *p, size_t n)
{
	int64_t began = now_us();
	ssize_t rc;

	if (w->far > 0) {
		w->far--;
		return 0;
	}
	do {
		rc = recv(w->fd, p, n, MSG_DONTWAIT);
		if (rc >= 0 || errno != EAGAIN)
			return rc > 0 ? rc : 0;
		redis_wire_yield(w);
	} while (began > w->crowded_us && now_us() - began < LOOK_US);
	w->far = FAR;
	return 0;
}

/* One piece out or in: how many bytes, 0 after a wait, -1 at the end. */
static ssize_t
wire_piece(struct redis_wire *w, bool out, char *p, size_t n, int64_t until,
    struct buf *why)
{
	ssize_t rc;

	if (w->ssl) {
		ERR_clear_error();
		rc = out ? SSL_write(w->ssl, p, (int)n) :
			   SSL_read(w->ssl, p, (int)n);
		if (rc > 0)
			return rc;
		return tls_wait(w, (int)rc, until, why) ? 0 : -1;
	}
	if (!out && (rc = wire_look(w, p, n)) > 0)
		return rc;
	/* recv() would wake up as well when the server has read what we sent */
	if (!out && !wait_for(w->fd, POLLIN, until, why))
		return -1;
	rc = out ? send(w->fd, p, n, MSG_NOSIGNAL) : recv(w->fd, p, n, 0);
	if (rc > 0)
		return rc;
	if (rc == 0 && !out) {
		buf_adds(why, "connection closed");
		return -1;
	}
	if (rc < 0 && errno != EAGAIN && errno != EINTR) {
		say_errno(why, out ? "send" : "recv");
		return -1;
	}
	return wait_for(w->fd, out ? POLLOUT : POLLIN, until, why) ? 0 : -1;
}

bool
redis_wire_send(struct redis_wire *w, struct str bytes, struct buf *why)
{
	int64_t until = now_ms() + REDIS_TIMEOUT_MS;
	char *p = (char *)(uintptr_t)bytes.p;
	ssize_t n;

	for (size_t sent = 0; sent < bytes.n; sent += n) {
		n = wire_piece(w, true, p + sent,
		    bytes.n - sent < INT32_MAX ? bytes.n - sent : INT32_MAX,
		    until, why);
		if (n < 0)
			return false;
	}
	return true;
}

redisReply *
redis_wire_reply(struct redis_wire *w, struct buf *why)
{
	int64_t until = now_ms() + REDIS_TIMEOUT_MS;
	void *reply = NULL;
	char piece[16384];
	size_t got = 0;
	ssize_t n;

	for (;;) {
		if (redisReaderGetReply(w->reader, &reply) != REDIS_OK) {
			buf_printf(why, "not a Redis server: %s",
			    w->reader->errstr);
			return NULL;
		}
		if (reply)
			return reply;
		n = wire_piece(w, false, piece, sizeof(piece), until, why);
		if (n < 0)
			return NULL;
		got += (size_t)n;
		if (got > REPLY_MAX) {
			buf_adds(why, "an answer that is too long");
			return NULL;
		}
		redisReaderFeed(w->reader, piece, (size_t)n);
	}
}

void
redis_wire_number(struct buf *b, uint64_t n)
{
	char text[24], *p = text + sizeof(text);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_add(b, p, (size_t)(text + sizeof(text) - p));
}

void
redis_wire_head(struct buf *b, size_t n)
{
	buf_addc(b, '*');
	redis_wire_number(b, n);
	buf_add(b, "\r\n", 2);
}

void
redis_wire_length(struct buf *b, size_t n)
{
	buf_addc(b, '$');
	redis_wire_number(b, n);
	buf_add(b, "\r\n", 2);
}

void
redis_wire_word(struct buf *b, struct str s)
{
	redis_wire_length(b, s.n);
	buf_addstr(b, s);
	buf_add(b, "\r\n", 2);
}

/* Errors are replies here. */
static redisReply *
wire_talk(struct redis_wire *w, const struct str *words, size_t n,
    struct buf *why)
{
	struct buf out = BUF_INIT(SIZE_MAX);
	bool ok;

	redis_wire_head(&out, n);
	for (size_t i = 0; i < n; i++)
		redis_wire_word(&out, words[i]);
	ok = redis_wire_send(w, buf_str(&out), why);
	buf_free(&out);
	return ok ? redis_wire_reply(w, why) : NULL;
}

redisReply *
redis_wire_ask(struct redis_wire *w, const struct str *words, size_t n,
    struct buf *why)
{
	redisReply *r = wire_talk(w, words, n, why);

	if (r == NULL || r->type != REDIS_REPLY_ERROR)
		return r;
	buf_add(why, r->str, r->len);
	freeReplyObject(r);
	return NULL;
}

static bool
wire_do(struct redis_wire *w, const struct str *words, size_t n,
    struct buf *why)
{
	redisReply *r = redis_wire_ask(w, words, n, why);

	if (r == NULL)
		return false;
	freeReplyObject(r);
	return true;
}

static bool
wire_login(struct redis_wire *w, const struct redis_url *u, struct buf *why)
{
	struct str auth[3] = { STR("AUTH") };
	char db[16];
	size_t n = 1;

	if (u->user)
		auth[n++] = str_of(u->user);
	if (u->password)
		auth[n++] = str_of(u->password);
	if (n > 1 && !wire_do(w, auth, n, why))
		return false;
	snprintf(db, sizeof(db), "%u", u->db);
	return u->db == 0 ||
	    wire_do(w, (struct str[]){ STR("SELECT"), str_of(db) }, 2, why);
}

/* Where is the key, and may it be written there?  *moved: where else. */
static bool
wire_try_key(struct redis_wire *w, struct str key, struct buf *moved,
    struct buf *why)
{
	redisReply *r;
	struct str text, slot;
	bool ok;

	/* nothing, but refused where the key is not, or on a replica */
	r = wire_talk(w, (struct str[]){ STR("PEXPIRE"), key, STR("0") }, 3,
	    why);
	if (r == NULL)
		return false;
	ok = r->type != REDIS_REPLY_ERROR;
	text = (struct str){ r->str, r->len };
	if (!ok && str_starts(text, STR("MOVED "))) {
		text = str_sub(text, 6, text.n);
		slot = str_cut(text, ' ', &text);
		(void)slot;
		buf_addstr(moved, text);
	} else if (!ok) {
		buf_addstr(why, text);
	}
	freeReplyObject(r);
	return ok;
}

/* An answer that no patience will change. */
static bool
is_refusal(struct str why)
{
	static const char *const words[] = { "ERR ", "WRONGPASS ", "NOAUTH ",
		"NOPERM " };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_starts(why, str_of(words[i])))
			return true;
	return false;
}

static struct redis_wire *
wire_new(const struct redis_url *u, const char *host, const char *port,
    struct buf *why)
{
	struct redis_wire *w = mem_alloc(sizeof(*w));

	w->fd = -1;
	w->reader = redisReaderCreate();
	if (w->reader == NULL) {
		buf_adds(why, "no memory");
	} else if (u->path ? connect_unix(w, u->path, why) :
			     connect_inet(w, host, port, why)) {
		if (!u->tls)
			wire_block(w);
		if ((!u->tls || tls_start(w, host, u->ca, why)) &&
		    wire_login(w, u, why))
			return w;
	}
	redis_wire_close(&w);
	return NULL;
}

struct redis_wire *
redis_wire_open(const struct redis_url *u, size_t first, struct str key,
    bool *refused, struct buf *why)
{
	size_t at = u->nhosts ? first % u->nhosts : 0;
	char *host = u->path ? NULL : mem_strdup(u->host[at]);
	char *port = u->path ? NULL : mem_strdup(u->port[at]);
	struct redis_wire *w = NULL;
	struct buf moved = BUF_INIT(512);
	bool more = true;

	for (int hop = 0; more && hop < HOPS_MAX; hop++) {
		buf_truncate(&moved, 0);
		w = wire_new(u, host, port, why);
		if (w == NULL || wire_try_key(w, key, &moved, why))
			break;
		redis_wire_close(&w);
		if (moved.n == 0)
			break;
		free(host);
		free(port);
		host = port = NULL;
		more = redis_url_host(buf_str(&moved), &host, &port);
	}
	if (w == NULL && why->n == 0)
		buf_adds(why, "the cluster sends us round in circles");
	*refused = w == NULL && is_refusal(buf_str(why));
	buf_free(&moved);
	free(host);
	free(port);
	return w;
}
