#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/log.h"
#include "base/metric.h"
#include "milter/threads.h"

/*
 * libmilter's side of the bargain.  These are not in mfapi.h: mi_engine()
 * handles one command of a connection and says whether more may come,
 * mi_clr_ctx() closes it and frees what the library holds for it.
 */
#define ENGINE_CONTINUE	1
#define LIBMILTER_OK	0
#define LIBMILTER_FAILED (-1)

int	mi_engine(void *ctx);
void	mi_clr_ctx(void *ctx);

/* What we define in the library's stead. */
int	mi_pool_controller_init(void);
int	mi_start_session(void *ctx);
int	mi_control_startup(char *name);

/* Deep enough for PCRE2's and GMime's frames, small enough for thousands. */
#define THREAD_STACK	(512 * 1024)

static atomic_long running;

static void *
connection_thread(void *ctx)
{
	while (mi_engine(ctx) == ENGINE_CONTINUE)
		continue;
	mi_clr_ctx(ctx);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* In place of the pool's controller: there is nothing to control. */
int
mi_pool_controller_init(void)
{
	return LIBMILTER_OK;
}

/* Called by the library's listener for each connection it has accepted. */
int
mi_start_session(void *ctx)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	atomic_fetch_add(&running, 1);
	error = pthread_create(&thread, &attr, connection_thread, ctx);
	pthread_attr_destroy(&attr);
	if (error == 0)
		return LIBMILTER_OK;
	atomic_fetch_sub(&running, 1);
	metric_inc(METRIC_INTERNAL);
	log_event(LOG_EV_INTERNAL, "what=thread error=%d connections=%ld",
	    error, atomic_load(&running));
	return LIBMILTER_FAILED;
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
