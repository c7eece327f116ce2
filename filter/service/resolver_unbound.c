#include <sys/eventfd.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <unbound.h>

#include "base/addr.h"
#include "base/mem.h"
#include "service/resolver_backend.h"

#define RESOLV_CONF   "/etc/resolv.conf"
#define ROOT_KEY      "/usr/share/dns/root.key"
#define CLASS_IN      1
#define RCODE_NOERROR 0

/*
 * libunbound is touched by the dispatcher alone: what others want done they
 * leave in a queue and wake it.
 */
struct unbound {
	struct ub_ctx *ctx;
	int wake; /* eventfd */
	pthread_t thread;
	struct resolver_queue open; /* asked; the dispatcher's own */
	pthread_mutex_t lock; /* the rest: */
	struct resolver_queue wanted;
	bool stop, cancels;
};

/* The library's limits are made for one program that asks now and then; the
 * caches are small because the table of futures stands in front.  What it
 * remembers of dead servers (infra-*) is best left alone: it fails at once
 * while a server is gone and asks again within a second of its return. */
static const struct {
	const char *name, *value;
} settings[] = {
	{ "outgoing-range:", "2048" },
	{ "num-queries-per-thread:", "4096" },
	{ "outgoing-num-tcp:", "64" },
	{ "msg-cache-size:", "4m" },
	{ "rrset-cache-size:", "8m" },
	{ "cache-max-ttl:", "3600" },
	{ "cache-max-negative-ttl:", "300" },
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
	{ "do-not-query-localhost:", "no" },
	/* A server that we forward to has lookups of its own to do: asking it
	 * again after 376 ms, as is usual, would throw the answer away that
	 * is on its way. */
	{ "unknown-server-time-limit:", "1128" },
};

/* Names that the library answers NXDOMAIN by itself (RFC 6761); where we
 * forward, that is for the server to say. */
static const char *const local_zones[] = { "test.", "invalid.", "onion." };

static bool
context_error(struct buf *err, const char *what, int code)
{
	if (code != 0)
		buf_printf(err, "%s: %s", what, ub_strerror(code));
	return code == 0;
}

static bool
context_set(struct ub_ctx *ctx, struct buf *err)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!context_error(err, settings[i].name,
			ub_ctx_set_option(ctx, settings[i].name,
			    settings[i].value)))
			return false;
	ub_ctx_debugout(ctx, NULL);
	return context_error(err, "threads", ub_ctx_async(ctx, 1));
}

/* "192.0.2.1", "2001:db8::1@5353" */
static bool
forward_to(struct ub_ctx *ctx, struct str server, struct buf *err)
{
	struct str port, host = str_cut(server, '@', &port);
	char text[64];
	struct addr a;
	uint64_t n = 53;

	if (!addr_parse(host, &a) || a.family == ADDR_NONE ||
	    (port.p != NULL && (!str_u64(port, &n) || n == 0 || n > 65535)) ||
	    server.n >= sizeof(text)) {
		buf_printf(err, "\"%.*s\" is not an address of a DNS server",
		    STR_FMT(server));
		return false;
	}
	snprintf(text, sizeof(text), "%.*s", STR_FMT(server));
	return context_error(err, text, ub_ctx_set_fwd(ctx, text));
}

static bool
forward_to_all(struct ub_ctx *ctx, struct str list, struct buf *err)
{
	struct str rest = list;

	while (rest.p != NULL)
		if (!forward_to(ctx, str_trim(str_cut(rest, ',', &rest)), err))
			return false;
	return true;
}

static bool
context_point(struct ub_ctx *ctx, struct str spec, struct buf *err)
{
	if (str_eq(spec, STR("recursive")))
		return access(ROOT_KEY, R_OK) != 0 ||
		    context_error(err, ROOT_KEY,
			ub_ctx_add_ta_file(ctx, ROOT_KEY));
	if (str_eq(spec, STR("system"))) {
		if (!context_error(err, RESOLV_CONF,
			ub_ctx_resolvconf(ctx, RESOLV_CONF)))
			return false;
	} else if (!forward_to_all(ctx, spec, err))
		return false;
	for (size_t i = 0; i < sizeof(local_zones) / sizeof(local_zones[0]);
	     i++)
		if (!context_error(err, local_zones[i],
			ub_ctx_zone_remove(ctx, local_zones[i])))
			return false;
	return true;
}

static struct ub_ctx *
context_new(struct str spec, struct buf *err)
{
	struct ub_ctx *ctx = ub_ctx_create();

	if (ctx == NULL) {
		buf_adds(err, "can't create a DNS context");
		return NULL;
	}
	if (context_set(ctx, err) && context_point(ctx, spec, err))
		return ctx;
	ub_ctx_delete(ctx);
	return NULL;
}

static void
unbound_wake(struct unbound *u)
{
	uint64_t one = 1;

	/* Fails only when the dispatcher has been woken 2^64 times over. */
	while (write(u->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* The dispatcher's side. */

static enum dns_status
result_status(const struct ub_result *result)
{
	if (result->bogus)
		return DNS_SERVFAIL;
	if (result->havedata)
		return DNS_OK;
	if (result->nxdomain)
		return DNS_NXDOMAIN;
	return result->rcode == RCODE_NOERROR ? DNS_NODATA : DNS_SERVFAIL;
}

static void
on_result(void *arg, int err, struct ub_result *result)
{
	struct resolver_query *q = arg;
	struct unbound *u = q->backend;
	struct dns_answer *answer;
	struct dns_build b;
	enum dns_status status = DNS_SERVFAIL;
	size_t size;
	int64_t ttl_s = 0;
	bool secure = false;

	dns_build_begin(&b);
	if (err == 0 && result != NULL) {
		status = result_status(result);
		secure = result->secure && !result->bogus;
		ttl_s = result->ttl;
		for (size_t i = 0; status == DNS_OK && i < DNS_MAX_RECORDS &&
		     result->data[i] != NULL;
		     i++)
			dns_build_rdata(&b, q->type,
			    (const uint8_t *)result->data[i],
			    result->len[i] > 0 ? (size_t)result->len[i] : 0);
	}
	ub_resolve_free(result);
	TAILQ_REMOVE(&u->open, q, link);
	answer = dns_build_end(&b, status, secure, &size);
	resolver_done(q, answer, size, ttl_s);
}

/* libunbound reads names as zone files do: a backslash escapes. */
static void
name_escape(const char *name, char out[2 * DNS_NAME_MAX + 1])
{
	for (; *name != '\0'; name++) {
		if (*name == '\\')
			*out++ = '\\';
		*out++ = *name;
	}
	*out = '\0';
}

static void
dispatch_ask(struct unbound *u, struct resolver_query *q)
{
	char name[2 * DNS_NAME_MAX + 1];

	name_escape(q->name, name);
	TAILQ_INSERT_TAIL(&u->open, q, link);
	if (ub_resolve_async(u->ctx, name, q->type, CLASS_IN, q, on_result,
		&q->id) == 0)
		return;
	TAILQ_REMOVE(&u->open, q, link);
	resolver_done_status(q, DNS_SERVFAIL, false, 0);
}

static void
dispatch_cancels(struct unbound *u)
{
	struct resolver_queue ended = TAILQ_HEAD_INITIALIZER(ended);
	struct resolver_query *q, *next;

	pthread_mutex_lock(&u->lock);
	for (q = TAILQ_FIRST(&u->open); q != NULL; q = next) {
		next = TAILQ_NEXT(q, link);
		if (!q->cancelled || ub_cancel(u->ctx, q->id) != 0)
			continue;
		TAILQ_REMOVE(&u->open, q, link);
		TAILQ_INSERT_TAIL(&ended, q, link);
	}
	pthread_mutex_unlock(&u->lock);
	while ((q = TAILQ_FIRST(&ended)) != NULL) {
		TAILQ_REMOVE(&ended, q, link);
		resolver_done_status(q, DNS_TIMEOUT, false, 0);
	}
}

/* Takes what was left in the queue; false: it is time to end. */
static bool
dispatch_wanted(struct unbound *u)
{
	struct resolver_queue wanted = TAILQ_HEAD_INITIALIZER(wanted);
	struct resolver_query *q;
	bool stop, cancels;

	pthread_mutex_lock(&u->lock);
	TAILQ_CONCAT(&wanted, &u->wanted, link);
	stop = u->stop;
	cancels = u->cancels;
	u->cancels = false;
	pthread_mutex_unlock(&u->lock);
	while ((q = TAILQ_FIRST(&wanted)) != NULL) {
		TAILQ_REMOVE(&wanted, q, link);
		if (stop)
			resolver_done_status(q, DNS_TIMEOUT, false, 0);
		else
			dispatch_ask(u, q);
	}
	if (cancels)
		dispatch_cancels(u);
	return !stop;
}

static void *
dispatch(void *arg)
{
	struct unbound *u = arg;
	struct pollfd fds[] = {
		{ .fd = u->wake, .events = POLLIN },
		{ .fd = ub_fd(u->ctx), .events = POLLIN },
	};
	uint64_t count;

	resolver_block_signals();
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents != 0 &&
		    read(u->wake, &count, sizeof(count)) > 0 &&
		    !dispatch_wanted(u))
			return NULL;
		if (fds[1].revents != 0)
			ub_process(u->ctx);
	}
}

/* Everybody's side. */

static void
unbound_ask(void *state, struct resolver_query *q)
{
	struct unbound *u = state;

	q->backend = u;
	pthread_mutex_lock(&u->lock);
	TAILQ_INSERT_TAIL(&u->wanted, q, link);
	pthread_mutex_unlock(&u->lock);
	unbound_wake(u);
}

static void
unbound_cancel(void *state, struct resolver_query *q)
{
	struct unbound *u = state;

	pthread_mutex_lock(&u->lock);
	q->cancelled = true;
	u->cancels = true;
	pthread_mutex_unlock(&u->lock);
	unbound_wake(u);
}

static void
unbound_free(struct unbound *u)
{
	ub_ctx_delete(u->ctx);
	if (u->wake >= 0)
		close(u->wake);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static void *
unbound_open(struct str spec, struct buf *err)
{
	struct ub_ctx *ctx = context_new(spec, err);
	struct unbound *u;

	if (ctx == NULL)
		return NULL;
	u = mem_alloc(sizeof(*u));
	u->ctx = ctx;
	TAILQ_INIT(&u->open);
	TAILQ_INIT(&u->wanted);
	pthread_mutex_init(&u->lock, NULL);
	u->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->wake >= 0 && pthread_create(&u->thread, NULL, dispatch, u) == 0)
		return u;
	buf_adds(err, "can't start the DNS thread");
	unbound_free(u);
	return NULL;
}

/* libunbound calls nobody back about what it kills. */
static void
unbound_close(void *state)
{
	struct unbound *u = state;
	struct resolver_query *q;

	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_mutex_unlock(&u->lock);
	unbound_wake(u);
	pthread_join(u->thread, NULL);
	while ((q = TAILQ_FIRST(&u->open)) != NULL) {
		TAILQ_REMOVE(&u->open, q, link);
		resolver_done_status(q, DNS_TIMEOUT, false, 0);
	}
	unbound_free(u);
}

const struct resolver_backend resolver_unbound = {
	.open = unbound_open,
	.close = unbound_close,
	.ask = unbound_ask,
	.cancel = unbound_cancel,
};
