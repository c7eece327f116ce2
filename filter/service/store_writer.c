#include "service/store_writer.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
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

enum told { TOLD_NOTHING, TOLD_TO_SAVE, TOLD_SAVED, TOLD_DOWN };

/* Who waits, on its own stack: it may go when it has been woken, or has left
 * the list by itself. */
struct waiter {
	struct waiter *next;
	uint64_t mine; /* content when so many are saved */
	enum told answer; /* TOLD_NOTHING while it stands in the list */
	atomic_int told; /* the answer, when all else was read */
	sem_t woken;
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
	struct waiter *first, **last; /* the longest waiting first */
	bool busy; /* somebody saves, or is to, or has it all alone */
	unsigned int turn; /* those who want it alone are next */
	bool slow; /* the last group took long: the thread saves */
	bool stop, asleep, down;
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

/* Saves one group, busy.  Locked on entry and on return, not between. */
static bool
writer_group(struct store_writer *w)
{
	struct queue taken = w->queue;
	uint64_t last = w->pushed;
	struct buf why = BUF_INIT(1024);
	int64_t began = now_ms();
	bool ok;

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
	buf_free(&why);
	return ok;
}

static bool
may_save(const struct store_writer *w)
{
	return !w->busy && !w->turn && !w->slow && w->running;
}

/* The first of those who wait is told, and goes over to another list. */
static void
first_told(struct store_writer *w, enum told told, struct waiter ***to)
{
	struct waiter *x = w->first;

	w->first = x->next;
	if (w->first == NULL)
		w->last = &w->first;
	x->next = NULL;
	x->answer = told;
	**to = x;
	*to = &x->next;
}

/*
 * The one place that wakes who waits: those who are content, and the first of
 * the others, to save next if nobody does.  Each by itself, or all would run
 * only to find that it is not their turn.  Locked on entry, not on return.
 */
static void
writer_tell(struct store_writer *w)
{
	struct waiter *told = NULL, **end = &told, *next;

	while (w->first && w->first->mine <= w->saved)
		first_told(w, TOLD_SAVED, &end);
	while (w->first && w->down)
		first_told(w, TOLD_DOWN, &end);
	if (w->turn) {
		pthread_cond_broadcast(&w->done);
	} else if (w->first && may_save(w)) {
		w->busy = true;
		first_told(w, TOLD_TO_SAVE, &end);
	}
	pthread_mutex_unlock(&w->lock);
	for (; told; told = next) {
		next = told->next;
		atomic_store(&told->told, told->answer);
		sem_post(&told->woken);
	}
}

/* Saves what has gathered; busy, and not locked. */
static bool
writer_save(struct store_writer *w, uint64_t mine, bool crowd)
{
	bool ok;

	/* Let those come who are about to: a group costs more than a row. */
	if (crowd)
		sched_yield();
	pthread_mutex_lock(&w->lock);
	writer_group(w);
	ok = w->saved >= mine;
	w->busy = false;
	writer_tell(w);
	return ok;
}

/* Leaves the list, where it still stands there: too late for an answer. */
static void
waiter_leave(struct store_writer *w, struct waiter *me)
{
	struct waiter **at = &w->first;

	pthread_mutex_lock(&w->lock);
	if (me->answer != TOLD_NOTHING) {
		pthread_mutex_unlock(&w->lock);
		while (sem_wait(&me->woken) != 0)
			;
		return;
	}
	while (*at != me)
		at = &(*at)->next;
	*at = me->next;
	if (w->last == &me->next)
		w->last = at;
	me->told = TOLD_DOWN;
	w->down = true;
	store_health_set(w->health, "the disk does not answer");
	writer_tell(w);
}

/* Locked on entry, not on return. */
static enum told
waiter_wait(struct store_writer *w, struct waiter *me)
{
	struct timespec until = from_now(WAIT_MAX_MS);
	int rc;

	sem_init(&me->woken, 0, 0);
	*w->last = me;
	w->last = &me->next;
	w->crowd_ms = now_ms();
	if (w->slow)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	do
		rc = sem_clockwait(&me->woken, CLOCK_MONOTONIC, &until);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
		waiter_leave(w, me);
	sem_destroy(&me->woken);
	return atomic_load(&me->told);
}

enum store_result
store_writer_wait(struct store_writer *w)
{
	struct waiter me = { .answer = TOLD_NOTHING };
	enum told told;
	bool crowd = false, ok;

	pthread_mutex_lock(&w->lock);
	me.mine = w->pushed;
	if (w->saved >= me.mine || w->down) {
		ok = w->saved >= me.mine;
		pthread_mutex_unlock(&w->lock);
		return ok ? STORE_OK : STORE_DOWN;
	}
	if (may_save(w)) {
		w->busy = true;
		crowd = now_ms() - w->crowd_ms < CROWD_MS;
		pthread_mutex_unlock(&w->lock);
		told = TOLD_TO_SAVE;
	} else {
		told = waiter_wait(w, &me);
		crowd = true;
	}
	ok = told == TOLD_SAVED ||
	    (told == TOLD_TO_SAVE && writer_save(w, me.mine, crowd));
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
	return w->queue.n >= MANY || (w->slow && w->first && w->queue.n);
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
	writer_tell(w);
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
	bool ok = true, last;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		writer_sleep(w, writer_pause(w, ok, &pause, &seen), ok);
		writer_turn(w);
		ok = !w->down;
		w->busy = true;
		if (w->queue.n || !ok)
			ok = writer_group(w);
		w->busy = false;
		last = w->stop && (w->queue.n == 0 || !ok);
		writer_tell(w);
		if (last)
			break;
		if (ok)
			store_writer_alone(w, w->ops->tidy, w->arg);
		pthread_mutex_lock(&w->lock);
	}
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
	w->last = &w->first;
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
