#include <sys/resource.h>

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "daemon/control.h"
#include "daemon/server.h"
#include "daemon/socket.h"
#include "milter/glue.h"
#include "milter/threads.h"
#include "score/score.h"

#define STOP_WAIT_MS	1500	/* within the two seconds a stop may take */
#define ERROR_MAX	(64 * 1024)

static struct {
	const struct server_options *options;
	struct services	 services;
	struct listen	 listen, control;	/* as opened */
	pthread_mutex_t	 reload_lock;
	int64_t		 started_ms;
	atomic_bool	 ending;
	atomic_bool	 listener_failed;
	int		 ready_fd;	/* the parent waits here; -1: none */
} server = { .reload_lock = PTHREAD_MUTEX_INITIALIZER, .ready_fd = -1 };

static bool
complain(const char *what, const struct buf *err)
{
	fprintf(stderr, "postern: %s%s%s\n", what, err->n ? ": " : "",
	    err->n ? err->p : "");
	return false;
}

static void
print_diag(const struct diag *diag, struct buf *out)
{
	diag_print(diag, out);
}

/* "stderr info", "syslog warn" */
static void
open_log(const struct policy *p)
{
	static const char *const levels[] = { "error", "warn", "info",
		"debug" };
	struct str level, to = str_cut(p->settings.text[SETTING_LOG], ' ',
	    &level);
	enum log_level most = LOG_LEVEL_INFO;
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (str_ieq(str_trim(level), str_of(levels[i])))
			most = (enum log_level)i;
	log_open(str_ieq(to, STR("syslog")) ? LOG_TO_SYSLOG : LOG_TO_STDERR,
	    most);
}

/* A descriptor for each connection, a few more for everything else. */
static void
raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* "USER" or "USER:GROUP"; without the setting nothing changes. */
static bool
drop_privileges(struct str setting, struct buf *err)
{
	char name[256], group[256] = "";
	struct str rest;
	struct passwd *pw;
	struct group *gr = NULL;

	if (setting.n == 0 || geteuid() != 0)
		return true;
	snprintf(name, sizeof(name), "%.*s",
	    STR_FMT(str_cut(setting, ':', &rest)));
	snprintf(group, sizeof(group), "%.*s", STR_FMT(rest));
	if ((pw = getpwnam(name)) == NULL) {
		buf_printf(err, "no user \"%s\"", name);
		return false;
	}
	if (group[0] != '\0' && (gr = getgrnam(group)) == NULL) {
		buf_printf(err, "no group \"%s\"", group);
		return false;
	}
	if (initgroups(name, gr ? gr->gr_gid : pw->pw_gid) == -1 ||
	    setgid(gr ? gr->gr_gid : pw->pw_gid) == -1 ||
	    setuid(pw->pw_uid) == -1) {
		buf_printf(err, "become %s: %s", name, strerror(errno));
		return false;
	}
	return true;
}

/*
 * Into the background.  The parent stays until the child is ready, so that
 * a start script sees a failure.
 */
static bool
daemonize(void)
{
	int fds[2];
	char status = 1;

	if (pipe(fds) == -1)
		return false;
	switch (fork()) {
	case -1:
		return false;
	case 0:
		close(fds[0]);
		server.ready_fd = fds[1];
		setsid();
		return true;
	default:
		close(fds[1]);
		if (read(fds[0], &status, 1) != 1)
			status = 1;
		_exit(status);
	}
}

static void
tell_ready(void)
{
	FILE *null;

	socket_notify("READY=1");
	if (server.ready_fd == -1)
		return;
	if ((null = fopen("/dev/null", "r+")) != NULL) {
		dup2(fileno(null), STDIN_FILENO);
		dup2(fileno(null), STDOUT_FILENO);
		fclose(null);
	}
	(void)!write(server.ready_fd, "", 1);
	close(server.ready_fd);
	server.ready_fd = -1;
}

/* What only a restart changes; a reload says so instead of ignoring it. */
static void
warn_fixed(const struct policy *old, const struct policy *new)
{
	static const enum setting fixed[] = { SETTING_LISTEN, SETTING_CONTROL,
		SETTING_STATE, SETTING_RESOLVER, SETTING_USER };
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!str_eq(old->settings.text[fixed[i]],
		    new->settings.text[fixed[i]]))
			log_event(LOG_EV_RELOAD, "note=%s new=%.*s",
			    "takes effect at the next start",
			    STR_FMT(new->settings.text[fixed[i]]));
}

/* false: mistakes, told in *out; the running policy stays. */
static bool
reload(struct buf *out)
{
	struct diag *diag = diag_new();
	struct policy *new, *old;

	pthread_mutex_lock(&server.reload_lock);
	new = policy_load(server.options->conf, server.options->shadow, diag);
	print_diag(diag, out);
	if (new == NULL) {
		metric_inc(METRIC_RELOADS_FAILED);
		log_event(LOG_EV_RELOAD_FAILED, "conf=%s mistakes=%zu first=%s",
		    server.options->conf, diag_errors(diag),
		    out->n ? out->p : "");
		buf_adds(out, "the running policy stays in force\n");
	} else {
		old = glue_policy();
		warn_fixed(old, new);
		policy_release(&old);
		open_log(new);
		glue_set_policy(new);
		metric_inc(METRIC_RELOADS);
		log_event(LOG_EV_RELOAD, "conf=%s rules=%zu",
		    server.options->conf, new->nrules);
		policy_release(&new);
	}
	pthread_mutex_unlock(&server.reload_lock);
	diag_free(&diag);
	return new != NULL || out->n == 0;
}

static void
status(struct buf *out, bool json)
{
	struct store_stats stats = { 0 };
	struct policy *p = glue_policy();
	int64_t up = (clock_wall_ms() - server.started_ms) / 1000;
	int i;

	if (server.services.store != NULL)
		store_stats(server.services.store, &stats);
	if (json) {
		buf_adds(out, "{\"pid\":");
		buf_printf(out, "%ld,\"uptime\":%lld,\"policy\":",
		    (long)getpid(), (long long)up);
		buf_json(out, str_of(server.options->conf));
		buf_printf(out, ",\"rules\":%zu,\"shadow\":%s,"
		    "\"store\":{\"keys\":%llu,\"notes\":%llu,\"bytes\":%llu,"
		    "\"pending\":%llu,\"down\":%s},\"counters\":", p->nrules,
		    p->shadow ? "true" : "false",
		    (unsigned long long)stats.keys,
		    (unsigned long long)stats.notes,
		    (unsigned long long)stats.disk_bytes,
		    (unsigned long long)stats.pending,
		    stats.down ? "true" : "false");
		metric_json(out);
		buf_adds(out, "}\n");
	} else {
		buf_printf(out, "postern %ld, up %lldd %02lld:%02lld:%02lld, "
		    "policy %s%s, %zu rules\n", (long)getpid(),
		    (long long)(up / 86400), (long long)(up / 3600 % 24),
		    (long long)(up / 60 % 60), (long long)(up % 60),
		    server.options->conf, p->shadow ? " (shadow)" : "",
		    p->nrules);
		buf_printf(out, "state %.*s: %s, %llu keys, %llu notes, "
		    "%llu bytes\n",
		    STR_FMT(p->settings.text[SETTING_STATE]),
		    stats.down ? "DOWN" : "well",
		    (unsigned long long)stats.keys,
		    (unsigned long long)stats.notes,
		    (unsigned long long)stats.disk_bytes);
		for (i = 0; i < METRIC_COUNT; i++)
			buf_printf(out, "%-24s %12lld  %s\n",
			    metric_name((enum metric)i),
			    (long long)metric_get((enum metric)i),
			    metric_help((enum metric)i));
	}
	policy_release(&p);
}

static bool
handle(struct str request, struct buf *out)
{
	if (str_eq(request, STR("status")) ||
	    str_eq(request, STR("status json"))) {
		status(out, request.n > 6);
		return true;
	}
	if (str_eq(request, STR("metrics"))) {
		metric_prometheus(out);
		return true;
	}
	if (str_eq(request, STR("reload"))) {
		if (!reload(out))
			return false;
		buf_adds(out, "reloaded\n");
		return true;
	}
	buf_printf(out, "unknown request \"%.*s\"\n", STR_FMT(request));
	return false;
}

static void *
listener_thread(void *arg)
{
	(void)arg;
	if (!glue_run()) {
		atomic_store(&server.listener_failed, true);
		kill(getpid(), SIGTERM);
	}
	return NULL;
}

static void *
ticker_thread(void *arg)
{
	const struct timespec second = { .tv_sec = 1 };
	struct policy *p;

	(void)arg;
	while (!atomic_load(&server.ending)) {
		p = glue_policy();
		policy_refresh(p);
		policy_release(&p);
		nanosleep(&second, NULL);
	}
	return NULL;
}

/* Signals are for the main thread's sigwait() alone. */
static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void
wait_for_end(const sigset_t *set)
{
	struct buf out;
	int sig;

	for (;;) {
		if (sigwait(set, &sig) != 0)
			continue;
		if (sig != SIGHUP)
			return;
		socket_notify("RELOADING=1");
		out = BUF_INIT(ERROR_MAX);
		reload(&out);
		buf_free(&out);
		socket_notify("READY=1");
	}
}

static bool
open_services(const struct policy *p, struct buf *err)
{
	struct services *sv = &server.services;

	/* The hostname outlives the policy it came from. */
	sv->hostname = p->settings.text[SETTING_HOSTNAME];
	sv->store = store_open(p->settings.text[SETTING_STATE], err);
	if (sv->store == NULL)
		return complain("state", err);
	sv->resolver = resolver_new(p->settings.text[SETTING_RESOLVER], err);
	if (sv->resolver == NULL)
		return complain("resolver", err);
	if (!dkim_global_init())
		return complain("libopendkim can't be set up", err);
	if (!dmarc_global_init())
		return complain("the public suffix list can't be read", err);
	return true;
}

static void
close_services(void)
{
	struct services *sv = &server.services;

	store_close(&sv->store);
	resolver_free(&sv->resolver);
	dkim_global_free();
	dmarc_global_free();
}

static bool
open_sockets(int *fd, int *control_fd, struct buf *err)
{
	*control_fd = -1;
	if ((*fd = socket_listen(&server.listen, err)) == -1)
		return complain("listen", err);
	if (server.control.kind != LISTEN_OFF &&
	    (*control_fd = socket_listen(&server.control, err)) == -1)
		return complain("control", err);
	return true;
}

static bool
start_threads(int fd, int control_fd, struct policy *p)
{
	pthread_t thread;
	struct buf none = BUF_INIT(1);

	if (!glue_init(fd, &server.services, p))
		return complain("libmilter does not take the socket", &none);
	if (control_fd != -1 && !control_start(control_fd, handle))
		return complain("no thread for the control socket", &none);
	if (pthread_create(&thread, NULL, listener_thread, NULL) != 0 ||
	    pthread_detach(thread) != 0 ||
	    pthread_create(&thread, NULL, ticker_thread, NULL) != 0 ||
	    pthread_detach(thread) != 0)
		return complain("no thread", &none);
	return true;
}

/* The order matters: nothing shared goes while a callback runs. */
static int
finish(void)
{
	bool drained;

	socket_notify("STOPPING=1");
	atomic_store(&server.ending, true);
	drained = glue_stop(STOP_WAIT_MS);
	control_stop();
	log_event(LOG_EV_STOP, "messages=%lld connections=%ld drained=%s",
	    (long long)metric_get(METRIC_MESSAGES), threads_running(),
	    drained ? "yes" : "no");
	socket_remove(&server.listen);
	socket_remove(&server.control);
	if (!drained)
		_exit(0);	/* those that still run may use the services */
	close_services();
	return atomic_load(&server.listener_failed) ? 1 : 0;
}

static int
serve(struct policy *p)
{
	struct buf err = BUF_INIT(ERROR_MAX);
	int fd, control_fd;
	sigset_t signals;
	bool started;

	server.listen = p->settings.listen;
	server.control = p->settings.control;
	block_signals(&signals);
	started = open_sockets(&fd, &control_fd, &err) &&
	    drop_privileges(p->settings.text[SETTING_USER], &err);
	if (!started && err.n > 0)
		complain("start", &err);
	started = started && open_services(p, &err) &&
	    start_threads(fd, control_fd, p);
	buf_free(&err);
	if (!started) {
		socket_remove(&server.listen);
		return 1;
	}
	tell_ready();
	log_event(LOG_EV_START, "conf=%s rules=%zu listen=%.*s",
	    server.options->conf, p->nrules,
	    STR_FMT(p->settings.text[SETTING_LISTEN]));
	wait_for_end(&signals);
	return finish();
}

int
server_run(const struct server_options *options)
{
	struct diag *diag = diag_new();
	struct buf out = BUF_INIT(ERROR_MAX);
	struct policy *p;

	server.options = options;
	server.started_ms = clock_wall_ms();
	raise_limits();
	p = policy_load(options->conf, options->shadow, diag);
	print_diag(diag, &out);
	if (out.n > 0)
		fwrite(out.p, 1, out.n, stderr);
	buf_free(&out);
	diag_free(&diag);
	if (p == NULL)
		return 3;
	open_log(p);
	if (!options->foreground && !daemonize()) {
		perror("postern: fork");
		return 1;
	}
	/* The first policy's texts (hostname, sockets) serve to the end. */
	return serve(p);
}
