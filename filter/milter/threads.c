#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "milter/packet.h"
#include "milter/threads.h"

/*
 * libmilter's side of the bargain.  These are not in mfapi.h: mi_engine()
 * handles the commands of a connection until there is none for a millisecond,
 * and says whether more may come; xxfi_close has been called when it says
 * no.  mi_clr_ctx() closes the socket and frees what the library holds.
 */
#define ENGINE_CONTINUE	1
#define LIBMILTER_OK	0

/* What every libmilter has kept its connections in begins like this. */
struct context {
	pthread_t	 thread;
	int		 socket;
};

int	mi_engine(void *ctx);
void	mi_clr_ctx(void *ctx);

/* What we define in the library's stead. */
int	mi_pool_controller_init(void);
int	mi_start_session(void *ctx);
int	mi_control_startup(char *name);

/* Deep enough for PCRE2's and GMime's frames, small enough for thousands. */
#define THREAD_STACK	(512 * 1024)

/* Threads that wait for another connection: how many, and how long. */
#define POOL_MAX	8
#define POOL_WAIT_S	10

static atomic_long running;

/* -1: the library's structure is not what we know. */
static int
context_socket(const struct context *ctx)
{
	struct stat st;

	if (ctx->socket < 0 || fstat(ctx->socket, &st) == -1 ||
	    !S_ISSOCK(st.st_mode))
		return -1;
	return ctx->socket;
}

static void
serve(void *ctx)
{
	const struct timeval idle = { .tv_sec = THREADS_IDLE_S };
	struct packets packets;

	packets_begin(&packets, context_socket(ctx), &idle);
	while (mi_engine(ctx) == ENGINE_CONTINUE)
		packets_wait(&packets);
	mi_clr_ctx(ctx);
	packets_end();
	atomic_fetch_sub(&running, 1);
}

/* --- threads without a connection --------------------------------------- */

/*
 * Most connections carry one message.  A thread whose connection has ended
 * waits a while for another: what it had made to match regexes and its part
 * of the heap cost a tenth of a message.
 */
static struct {
	pthread_mutex_t	 lock;
	pthread_cond_t	 handed_one;
	size_t		 idle;		/* that nothing was handed to */
	void		*handed[POOL_MAX];
	size_t		 nhanded;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.handed_one = PTHREAD_COND_INITIALIZER };

/* false: no thread waits. */
static bool
pool_hand(void *ctx)
{
	bool handed;

	pthread_mutex_lock(&pool.lock);
	handed = pool.idle > 0;
	if (handed) {
		pool.idle--;
		pool.handed[pool.nhanded++] = ctx;
	}
	pthread_mutex_unlock(&pool.lock);
	if (handed)
		pthread_cond_signal(&pool.handed_one);
	return handed;
}

/* NULL: the thread is one too many. */
static void *
pool_wait(void)
{
	struct timespec until;
	void *ctx = NULL;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += POOL_WAIT_S;
	pthread_mutex_lock(&pool.lock);
	if (pool.idle + pool.nhanded < POOL_MAX) {
		pool.idle++;
		while (pool.nhanded == 0 && error == 0)
			error = pthread_cond_timedwait(&pool.handed_one,
			    &pool.lock, &until);
		if (pool.nhanded > 0)
			ctx = pool.handed[--pool.nhanded];
		else
			pool.idle--;
	}
	pthread_mutex_unlock(&pool.lock);
	return ctx;
}

static void *
connection_thread(void *ctx)
{
	do
		serve(ctx);
	while ((ctx = pool_wait()) != NULL);
	return NULL;
}

/*
 * Some descriptors stay for DNS, the store and tables: without any the
 * library's listener would turn in circles.
 */
static bool
room_for_one(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 || rl.rlim_cur == RLIM_INFINITY)
		return true;
	return (rlim_t)atomic_load(&running) < rl.rlim_cur - rl.rlim_cur / 4;
}

/*
 * Hangs up; the MTA then does what its administrator wants without a filter.
 * Many are turned away at once: one line a second tells of them.
 */
static void
turn_away(void *ctx, int error)
{
	static atomic_int_fast64_t told_ms;
	int_fast64_t now = clock_mono_ms(), told = atomic_load(&told_ms);

	mi_clr_ctx(ctx);
	metric_inc(METRIC_INTERNAL);
	if (told != 0 && now - told < 1000)
		return;
	atomic_store(&told_ms, now);
	log_event(LOG_EV_INTERNAL, "what=%s error=%d connections=%ld",
	    error == 0 ? "too many connections" : "no thread", error,
	    atomic_load(&running));
}

/* In place of the pool's controller: there is nothing to control. */
int
mi_pool_controller_init(void)
{
	return LIBMILTER_OK;
}

/*
 * Called by the library's listener for each connection it has accepted.  It
 * never hears of a failure: after a few in a row it would stop listening.
 */
int
mi_start_session(void *ctx)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	if (!room_for_one()) {
		turn_away(ctx, 0);
		return LIBMILTER_OK;
	}
	atomic_fetch_add(&running, 1);
	if (pool_hand(ctx))
		return LIBMILTER_OK;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	error = pthread_create(&thread, &attr, connection_thread, ctx);
	pthread_attr_destroy(&attr);
	if (error != 0) {
		atomic_fetch_sub(&running, 1);
		turn_away(ctx, error);
	}
	return LIBMILTER_OK;
}

/* Signals are the daemon's: the library would take SIGHUP for "stop". */
int
mi_control_startup(char *name)
{
	(void)name;
	return LIBMILTER_OK;
}

bool
threads_check(const char **why)
{
	if (dlsym(RTLD_NEXT, "mi_pool_controller_init") == NULL) {
		*why = "libmilter was built without a worker pool; "
		       "it starts its own threads";
		return false;
	}
	return true;
}

long
threads_running(void)
{
	return atomic_load(&running);
}
