#include "service/store_writer.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

#ifndef WAIT_MAX_MS /* tests have less patience */
#define WAIT_MAX_MS 5000
#endif
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define TICK_MS	     20 /* what nobody waits for waits so long */
#define IDLE_MS	     1000
#define MANY	     1000 /* or until there are so many */
#define SLOW_MS	     100
#define CROWD_MS     100

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
	struct queue spare;
	bool busy; /* somebody saves, or has it all alone */
	unsigned int turn; /* those who want it alone are next */
	bool slow; /* the last group took long: the thread saves */
	bool stop, asleep, down;
	size_t waiting;
	int64_t crowd_ms; /* when somebody last waited for another */
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
	if (w->asleep || q->n == MANY)
		pthread_cond_signal(&w->work);
	w->asleep = false;
	pthread_mutex_unlock(&w->lock);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Saves one group.  Locked on entry and on return, not between. */
static bool
writer_group(struct store_writer *w)
{
	struct queue taken = w->queue;
	uint64_t last = w->pushed;
	struct buf why = BUF_INIT(1024);
	int64_t began = now_ms();
	bool ok;

	w->busy = true;
	w->queue = (struct queue){ w->spare.cells, 0, w->spare.cap };
	w->taken = taken.n;
	pthread_mutex_unlock(&w->lock);
	ok = w->ops->save(w->arg, taken.cells, taken.n, &why);
	pthread_mutex_lock(&w->lock);
	store_health_set(w->health, ok ? "" : why.n ? why.p : "failed");
	/* What failed was queued again and counted anew. */
	w->saved = ok ? last : w->saved;
	w->taken = 0;
	w->down = !ok;
	w->slow = now_ms() - began >= SLOW_MS;
	w->spare = taken;
	w->busy = false;
	pthread_cond_broadcast(&w->done);
	buf_free(&why);
	return ok;
}

enum store_result
store_writer_wait(struct store_writer *w)
{
	struct timespec until = from_now(WAIT_MAX_MS);
	uint64_t mine;
	int rc = 0;
	int64_t began = now_ms();
	bool ok, stuck, crowd, saved = false;

	pthread_mutex_lock(&w->lock);
	mine = w->pushed;
	w->waiting++;
	if (w->slow)
		pthread_cond_signal(&w->work);
	while (w->saved < mine && !w->down && rc == 0) {
		if (!w->busy && !w->turn && !w->slow && w->running) {
			saved = writer_group(w);
		} else {
			w->crowd_ms = began;
			rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
		}
	}
	w->waiting--;
	crowd = saved && began - w->crowd_ms < CROWD_MS;
	ok = w->saved >= mine;
	stuck = !ok && !w->down;
	if (stuck) {
		w->down = true;
		store_health_set(w->health, "the disk does not answer");
		pthread_cond_broadcast(&w->done);
	}
	pthread_mutex_unlock(&w->lock);
	/* or one alone saves on and on, while those woken wait for a core */
	if (crowd)
		sched_yield();
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

/* Is there something that should not wait for the tick? */
static bool
wanted(const struct store_writer *w)
{
	return w->queue.n >= MANY || (w->slow && w->waiting && w->queue.n);
}

/*
 * Sleeps for a while, the end apart; locked.  When nothing came for a tick,
 * the next that comes wakes us.
 */
static void
writer_sleep(struct store_writer *w, long ms, bool for_work)
{
	struct timespec until = from_now(ms);
	int rc = 0;

	w->asleep = for_work && ms > TICK_MS;
	while (!w->stop && rc == 0 && !(for_work && wanted(w))) {
		rc = pthread_cond_timedwait(&w->work, &w->lock, &until);
		if (for_work && rc == 0)
			break;
	}
	w->asleep = false;
}

/* Waits until nobody else saves; locked. */
static void
writer_turn(struct store_writer *w)
{
	w->turn++;
	while (w->busy)
		pthread_cond_wait(&w->done, &w->lock);
	w->turn--;
}

static void
writer_tidy(struct store_writer *w)
{
	w->busy = true;
	pthread_mutex_unlock(&w->lock);
	w->ops->tidy(w->arg);
	pthread_mutex_lock(&w->lock);
	w->busy = false;
	pthread_cond_broadcast(&w->done);
}

void
store_writer_alone(struct store_writer *w, void (*f)(void *), void *arg)
{
	pthread_mutex_lock(&w->lock);
	writer_turn(w);
	w->busy = true;
	pthread_mutex_unlock(&w->lock);
	f(arg);
	pthread_mutex_lock(&w->lock);
	w->busy = false;
	pthread_cond_broadcast(&w->done);
	pthread_mutex_unlock(&w->lock);
}

/* How long until there may be something to do. */
static long
writer_pause(struct store_writer *w, bool ok, long *pause, uint64_t *seen)
{
	bool quiet = w->pushed == *seen;

	*seen = w->pushed;
	if (ok) {
		*pause = RETRY_MIN_MS;
		return quiet ? IDLE_MS : TICK_MS;
	}
	*pause = *pause * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : *pause * 2;
	return *pause / 2;
}

static void *
writer_main(void *arg)
{
	struct store_writer *w = arg;
	long pause = RETRY_MIN_MS;
	uint64_t seen = 0;
	bool ok = true;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		writer_sleep(w, writer_pause(w, ok, &pause, &seen), ok);
		writer_turn(w);
		ok = !w->down;
		if (w->queue.n || !ok)
			ok = writer_group(w);
		if (w->stop && (w->queue.n == 0 || !ok))
			break;
		if (ok)
			writer_tidy(w);
		pthread_cond_broadcast(&w->done);
	}
	pthread_mutex_unlock(&w->lock);
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
	free(w->spare.cells);
	free(w);
	*wp = NULL;
}
