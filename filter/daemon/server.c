#include <sys/resource.h>

#include <errno.h>
#include <grp.h>
#include <malloc.h>
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
#include "base/mem.h"
#include "base/metric.h"
#include "base/psl.h"
#include "check/dkim.h"
#include "check/dkim_signer.h"
#include "daemon/admin.h"
#include "daemon/control.h"
#include "daemon/server.h"
#include "daemon/socket.h"
#include "daemon/why.h"
#include "milter/glue.h"
#include "milter/threads.h"
#include "score/score.h"
#include "service/history.h"
#include "service/post.h"

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
	enum log_to	 log_to;	/* where our log goes */
} server = { .reload_lock = PTHREAD_MUTEX_INITIALIZER, .ready_fd = -1 };

/* Says what could not be done, once; the reason may be there already. */
static bool
fail(struct buf *err, const char *what)
{
	if (err->n == 0)
		buf_adds(err, what);
	return false;
}

/* "stderr info", "syslog warn" */
static void
open_log(const struct policy *p)
{
	static const char *const levels[] = { "error", "warn", "info",
		"debug" };
	struct str level,
	    to = str_cut(p->settings.text[SETTING_LOG], ' ', &level);
	enum log_level most = LOG_LEVEL_INFO;
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (str_ieq(str_trim(level), str_of(levels[i])))
			most = (enum log_level)i;
	server.log_to =
	    str_ieq(to, STR("syslog")) ? LOG_TO_SYSLOG : LOG_TO_STDERR;
	log_open(server.log_to, most);
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

/*
 * A large message's memory goes back to the system with the message.  Left
 * alone, the allocator keeps it from the second one on, for each thread that
 * had one.
 */
static void
return_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 512 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
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

/*
 * In the background nothing of whoever started us stays open: a script that
 * reads our output would wait for its end.  A log on stderr keeps stderr.
 */
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
		if (server.log_to != LOG_TO_STDERR)
			dup2(fileno(null), STDERR_FILENO);
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

/*
 * A policy that was loaded, with all its keys.  Whoever only checks one may
 * lack the right to read them; in the daemon mail would leave unsigned.
 * Loading has named the file.
 */
static bool
is_usable(const struct policy *p)
{
	const struct dkim_signer *signer;
	size_t n = 0;

	if (p == NULL || p->signers == NULL)
		return p != NULL;
	while ((signer = dkim_signers_nth(p->signers, n++)) != NULL)
		if (signer->key == NULL)
			return false;
	return true;
}

/* Score rules in force, and lines of their files that are not. */
static size_t
score_rules(const struct policy *p)
{
	return p->ruleset != NULL ? ruleset_count(p->ruleset) : 0;
}

static size_t
left_out(const struct policy *p)
{
	return p->ruleset != NULL ? ruleset_left_out(p->ruleset) : 0;
}

/* false: mistakes, told in *out; the running policy stays. */
static bool
reload(struct buf *out)
{
	struct diag *diag = diag_new();
	struct policy *new, *old;
	struct str first, rest;
	bool ok;

	pthread_mutex_lock(&server.reload_lock);
	new = policy_load(server.options->conf, server.options->shadow, diag);
	diag_print(diag, out);
	first = str_cut(buf_str(out), '\n', &rest);
	ok = is_usable(new);
	if (!ok) {
		policy_release(&new);
		metric_inc(METRIC_RELOADS_FAILED);
		log_event(LOG_EV_RELOAD_FAILED,
		    "conf=%s mistakes=%zu first=%.*s", server.options->conf,
		    diag_errors(diag), STR_FMT(first));
		buf_adds(out, "the running policy stays in force\n");
	} else {
		old = glue_policy();
		warn_fixed(old, new);
		policy_release(&old);
		open_log(new);
		glue_set_policy(new);
		if (server.services.store != NULL)
			store_set_max(server.services.store,
			    new->settings.state_max);
		if (server.services.history != NULL &&
		    new->settings.history_bytes > 0)
			history_set(server.services.history,
			    new->settings.history_age_ms,
			    new->settings.history_bytes);
		metric_inc(METRIC_RELOADS);
		log_event(LOG_EV_RELOAD,
		    "conf=%s rules=%zu score_rules=%zu left_out=%zu",
		    server.options->conf, new->nrules, score_rules(new),
		    left_out(new));
		policy_release(&new);
	}
	pthread_mutex_unlock(&server.reload_lock);
	diag_free(&diag);
	/* Each thread that loaded rules would keep what they took. */
	malloc_trim(0);
	return ok;
}

static void
tell_status(struct buf *out, bool json)
{
	struct store_stats stats = { 0 };
	struct policy *p = glue_policy();
	int64_t up = (clock_wall_ms() - server.started_ms) / 1000;
	int i;

	if (server.services.store != NULL)
		store_stats(server.services.store, &stats);
	if (json) {
		buf_adds(out, "{\"pid\":");
		buf_printf(out,
		    "%ld,\"uptime\":%lld,\"policy\":", (long)getpid(),
		    (long long)up);
		buf_json(out, str_of(server.options->conf));
		buf_printf(out,
		    ",\"rules\":%zu,\"shadow\":%s,"
		    "\"store\":{\"keys\":%llu,\"notes\":%llu,\"bytes\":%llu,"
		    "\"pending\":%llu,\"down\":%s},\"counters\":",
		    p->nrules, p->shadow ? "true" : "false",
		    (unsigned long long)stats.keys,
		    (unsigned long long)stats.notes,
		    (unsigned long long)stats.disk_bytes,
		    (unsigned long long)stats.pending,
		    stats.down ? "true" : "false");
		metric_json(out);
		buf_adds(out, "}\n");
	} else {
		buf_printf(out,
		    "postern %ld, up %lldd %02lld:%02lld:%02lld, "
		    "policy %s%s, %zu rules\n",
		    (long)getpid(), (long long)(up / 86400),
		    (long long)(up / 3600 % 24), (long long)(up / 60 % 60),
		    (long long)(up % 60), server.options->conf,
		    p->shadow ? " (shadow)" : "", p->nrules);
		buf_printf(out,
		    "state %.*s: %s, %llu keys, %llu notes, "
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
answer_status(struct admin *a)
{
	tell_status(&a->call->out, a->json);
	return true;
}

static bool
answer_metrics(struct admin *a)
{
	metric_prometheus(&a->call->out);
	return true;
}

static bool
answer_reload(struct admin *a)
{
	admin_audit(a->call, "reload", STR_NONE, 0);
	if (!reload(&a->call->out))
		return false;
	buf_adds(&a->call->out, "reloaded\n");
	return true;
}

static const struct {
	const char	*name;
	bool		 (*answer)(struct admin *);
	size_t		 words;
	bool		 may_be_long;
} requests[] = {
	{ "status", answer_status, 0, false },
	{ "metrics", answer_metrics, 0, false },
	{ "reload", answer_reload, 0, false },
	{ "who", admin_who, 0, true },
	{ "show", admin_show, 1, true },
	{ "release", admin_release, 1, false },
	{ "block", admin_block, 2, false },
	{ "why", why_answer, 1, true },
};

#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* The policy that a request began with stays to its end. */
static bool
handle(struct control_call *call)
{
	struct admin a = { .services = &server.services };
	bool ok = false;
	size_t i;

	for (i = 0; i < REQUESTS; i++)
		if (str_eq(call->name, str_of(requests[i].name)))
			break;
	if (i == REQUESTS) {
		buf_adds(&call->out, "unknown request ");
		buf_quoted(&call->out, call->name);
		buf_addc(&call->out, '\n');
		return false;
	}
	if (!admin_read(&a, call))
		return false;
	if (a.nwords != requests[i].words &&
	    !(a.nwords == 0 && a.client.n + a.from.n + a.to.n > 0)) {
		buf_printf(&call->out, "%s takes %zu words, not %zu\n",
		    requests[i].name, requests[i].words, a.nwords);
		return false;
	}
	if (requests[i].may_be_long && !control_turn(call))
		return false;
	a.policy = glue_policy();
	ok = requests[i].answer(&a);
	policy_release(&a.policy);
	return ok;
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

/* The socket as Postfix names it; Sendmail takes our own form. */
static void
print_mta_lines(const struct policy *p)
{
	const struct listen *l = &p->settings.listen;
	char addr[ADDR_TEXT_MAX];
	struct str rest,
	    name = str_cut(p->settings.text[SETTING_LISTEN], ' ', &rest);

	printf("postern listens.  For Postfix, in main.cf:\n\n");
	if (l->kind == LISTEN_INET) {
		addr_format(&l->addr, addr);
		printf(l->addr.family == ADDR_V6 ?
			"smtpd_milters = inet:[%s]:%u\n" :
			"smtpd_milters = inet:%s:%u\n",
		    addr, l->port);
	} else {
		printf("smtpd_milters = %.*s\n", STR_FMT(name));
	}
	printf("milter_default_action = tempfail\n\n"
	       "For Sendmail, in sendmail.mc:\n\n"
	       "INPUT_MAIL_FILTER(`postern', `S=%.*s, F=T, "
	       "T=C:10s;S:60s;R:60s;E:5m')\n\n",
	    STR_FMT(name));
	fflush(stdout);
}

/* A file beside the state's, unless the policy names one. */
static char *
history_path(const struct settings *set)
{
	struct str state = set->text[SETTING_STATE];
	struct buf path = BUF_INIT(8192);
	char *result = NULL;

	if (set->history_path.n > 0)
		buf_addstr(&path, set->history_path);
	else if (str_starts(state, STR("sqlite:")))
		buf_printf(&path, "%.*s.history",
		    STR_FMT(str_sub(state, 7, state.n)));
	if (path.n > 0)
		result = mem_strdup(path.p);
	buf_free(&path);
	return result;
}

/* Mail does not depend on it: where there is no file there is memory. */
static void
open_history(const struct settings *set)
{
	struct buf err = BUF_INIT(ERROR_MAX);
	struct history **h = &server.services.history;
	char *path = history_path(set);

	if (set->history_bytes == 0) {
		free(path);
		return;
	}
	*h = history_open(path, set->history_age_ms, set->history_bytes, &err);
	if (*h == NULL) {
		log_event(LOG_EV_STORE, "history=memory why=%s", err.p);
		buf_truncate(&err, 0);
		*h = history_open(NULL, set->history_age_ms, set->history_bytes,
		    &err);
	}
	free(path);
	buf_free(&err);
}

static bool
open_services(const struct policy *p, struct buf *err)
{
	struct services *sv = &server.services;

	/* The hostname outlives the policy it came from. */
	sv->hostname = p->settings.text[SETTING_HOSTNAME];
	sv->store = store_open(p->settings.text[SETTING_STATE], err);
	if (sv->store == NULL)
		return fail(err, "the state store can't be opened");
	store_set_max(sv->store, p->settings.state_max);
	sv->resolver = resolver_new(p->settings.text[SETTING_RESOLVER], err);
	if (sv->resolver == NULL)
		return fail(err, "the resolver can't be set up");
	open_history(&p->settings);
	if (!dkim_global_init())
		return fail(err, "DKIM can't be set up");
	if (!post_init())
		return fail(err, "libcurl can't be set up");
	if (!psl_global_init())
		return fail(err, "the public suffix list can't be read");
	return true;
}

static void
close_services(void)
{
	struct services *sv = &server.services;

	history_close(&sv->history);
	store_close(&sv->store);
	resolver_free(&sv->resolver);
	dkim_global_free();
	psl_global_free();
}

static bool
open_sockets(int *fd, int *control_fd, struct buf *err)
{
	if ((*fd = socket_listen(&server.listen, err)) == -1)
		return false;
	if (server.control.kind == LISTEN_OFF)
		return true;
	*control_fd = socket_listen(&server.control, err);
	return *control_fd != -1;
}

static bool
start_threads(int fd, int control_fd, struct policy *p, struct buf *err)
{
	pthread_t thread;

	if (!glue_init(fd, &server.services, p))
		return fail(err, "libmilter does not take the socket");
	if (control_fd != -1 && !control_start(control_fd, handle))
		return fail(err, "no thread for the control socket");
	if (pthread_create(&thread, NULL, listener_thread, NULL) != 0 ||
	    pthread_detach(thread) != 0 ||
	    pthread_create(&thread, NULL, ticker_thread, NULL) != 0 ||
	    pthread_detach(thread) != 0)
		return fail(err, "no thread");
	return true;
}

/* The order matters: nothing shared goes while a callback runs. */
static int
finish(void)
{
	int status = atomic_load(&server.listener_failed) ? 1 : 0;
	bool drained;

	socket_notify("STOPPING=1");
	atomic_store(&server.ending, true);
	socket_remove(&server.listen);
	socket_remove(&server.control);
	drained = glue_stop(STOP_WAIT_MS);
	control_stop();
	log_event(LOG_EV_STOP, "messages=%lld connections=%ld drained=%s",
	    (long long)metric_get(METRIC_MESSAGES), threads_running(),
	    drained ? "yes" : "no");
	if (!drained)
		_exit(status); /* those that run may use the services */
	close_services();
	return status;
}

/* Sockets first, while we may; nothing else as root. */
static bool
start(struct policy *p)
{
	struct buf err = BUF_INIT(ERROR_MAX);
	int fd = -1, control_fd = -1;
	bool ok;

	ok = open_sockets(&fd, &control_fd, &err) &&
	    drop_privileges(p->settings.text[SETTING_USER], &err) &&
	    open_services(p, &err) && start_threads(fd, control_fd, p, &err);
	if (!ok) {
		fprintf(stderr, "postern: %s\n", err.p);
		if (fd != -1)
			socket_remove(&server.listen);
		if (control_fd != -1)
			socket_remove(&server.control);
	}
	buf_free(&err);
	return ok;
}

static int
serve(struct policy *p)
{
	sigset_t signals;

	server.listen = p->settings.listen;
	server.control = p->settings.control;
	block_signals(&signals);
	if (!start(p))
		return 1;
	if (server.options->foreground && getenv("NOTIFY_SOCKET") == NULL)
		print_mta_lines(p);
	tell_ready();
	log_event(LOG_EV_START,
	    "conf=%s rules=%zu score_rules=%zu left_out=%zu listen=%.*s",
	    server.options->conf, p->nrules, score_rules(p), left_out(p),
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
	int status;

	server.options = options;
	server.started_ms = clock_wall_ms();
	raise_limits();
	return_memory();
	p = policy_load(options->conf, options->shadow, diag);
	diag_print(diag, &out);
	if (out.n > 0)
		fwrite(out.p, 1, out.n, stderr);
	buf_free(&out);
	diag_free(&diag);
	if (!is_usable(p))
		policy_release(&p);
	if (p == NULL)
		return 3;
	open_log(p);
	if (!options->foreground && !daemonize()) {
		perror("postern: fork");
		return 1;
	}
	/* The first policy's texts (hostname, sockets) serve to the end. */
	status = serve(p);
	policy_release(&p);
	return status;
}
