#include "service/store_writer.h"

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

#define WAIT_MAX_MS   5000
#define RETRY_MIN_MS  100
#define RETRY_MAX_MS  5000
#define TIDY_EVERY_MS 1000

struct queue {
	struct store_cell **cells;
	size_t n, cap;
};

struct store_writer {
	const struct store_writer_ops *ops;
	void *arg;
	struct store_health *health;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t work, done;
	struct queue queue;
	uint64_t pushed, saved; /* cells ever queued, and saved */
	size_t taken; /* cells being saved now */
	bool stop, idle, down;
};

/* Tests freeze clock.h's time; waiting needs the machine's. */
static struct timespec
from_now(long ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

void
store_writer_changed(void *arg, struct store_cell *c)
{
	struct store_writer *w = arg;
	struct queue *q = &w->queue;

	pthread_mutex_lock(&w->lock);
	if (q->n == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 64;
		q->cells = mem_resize(q->cells, q->cap * sizeof(*q->cells));
	}
	q->cells[q->n++] = c;
	w->pushed++;
	if (w->idle)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
}

enum store_result
store_writer_wait(struct store_writer *w)
{
	struct timespec until = from_now(WAIT_MAX_MS);
	uint64_t mine;
	int rc = 0;
	bool ok;

	pthread_mutex_lock(&w->lock);
	mine = w->pushed;
	while (w->saved < mine && !w->down && rc == 0)
		rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
	ok = w->saved >= mine;
	pthread_mutex_unlock(&w->lock);
	return ok ? STORE_OK : STORE_DOWN;
}

uint64_t
store_writer_pending(struct store_writer *w)
{
	uint64_t n;

	pthread_mutex_lock(&w->lock);
	n = w->queue.n + w->taken;
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* Sleeps until there is work, the time is over, or the end; locked. */
static void
writer_sleep(struct store_writer *w, long ms, bool for_work)
{
	struct timespec until = from_now(ms);
	int rc = 0;

	w->idle = true;
	while (!w->stop && rc == 0 && !(for_work && w->queue.n))
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
	w->idle = false;
}

/* Saves one group.  Locked on entry and on return, not between. */
static bool
writer_group(struct store_writer *w, struct queue *spare)
{
	struct queue taken = w->queue;
	uint64_t last = w->pushed;
	struct buf why = BUF_INIT(1024);
	bool ok;

	w->queue = (struct queue){ spare->cells, 0, spare->cap };
	w->taken = taken.n;
	pthread_mutex_unlock(&w->lock);
	ok = w->ops->save(w->arg, taken.cells, taken.n, &why);
	store_health_set(w->health, ok ? "" : why.n ? why.p : "failed");
	pthread_mutex_lock(&w->lock);
	/* What failed was queued again and counted anew. */
	w->saved = ok ? last : w->saved;
	w->taken = 0;
	w->down = !ok;
	pthread_cond_broadcast(&w->done);
	buf_free(&why);
	*spare = taken;
	return ok;
}

static void *
writer_main(void *arg)
{
	struct store_writer *w = arg;
	struct queue spare = { NULL, 0, 0 };
	long pause = RETRY_MIN_MS;
	bool ok = true;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		if (ok)
			writer_sleep(w, TIDY_EVERY_MS, true);
		else
			writer_sleep(w, pause, false);
		if (w->queue.n || !ok)
			ok = writer_group(w, &spare);
		if (w->stop && (w->queue.n == 0 || !ok))
			break;
		pause = ok ? RETRY_MIN_MS : pause * 2;
		if (pause > RETRY_MAX_MS)
			pause = RETRY_MAX_MS;
		pthread_mutex_unlock(&w->lock);
		if (ok)
			w->ops->tidy(w->arg);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	free(spare.cells);
	return NULL;
}

struct store_writer *
store_writer_new(const struct store_writer_ops *ops, void *arg,
    struct store_health *health)
{
	struct store_writer *w = mem_alloc(sizeof(*w));
	pthread_condattr_t attr;

	w->ops = ops;
	w->arg = arg;
	w->health = health;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->done, &attr);
	pthread_condattr_destroy(&attr);
	return w;
}

bool
store_writer_start(struct store_writer *w)
{
	w->running = pthread_create(&w->thread, NULL, writer_main, w) == 0;
	return w->running;
}

void
store_writer_free(struct store_writer **wp)
{
	struct store_writer *w = *wp;

	if (w == NULL)
		return;
	if (w->running) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->work);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w->queue.cells);
	free(w);
	*wp = NULL;
}
