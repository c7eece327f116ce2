#include "service/redis_link.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/gate.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/redis_lease.h"
#include "service/redis_wire.h"

#define BEAT_MS	     5000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define TRIES_MAX    5
#define MENDS_MAX    3
#define STAY_EVERY   1000 /* batches; of beats, less than REDIS_STAY_MS */

/* A caller who waits: he goes, without a lock, when nothing is left. */
struct redis_waiter {
	_Atomic size_t left;
};

/* A batch on its way. */
struct flight {
	struct redis_ops ops;
	uint64_t seq;
};

struct redis_link {
	struct redis_url url;
	struct store_health *health;
	redis_settled *settled;
	void *arg;
	pthread_t thread;
	bool running;
	/* of the one who connects; the same as long as the link is up */
	struct redis_wire *wire;
	size_t node;
	struct redis_lease lease;
	bool warned;
	/* what follows is locked */
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread */
	struct redis_ops queue;
	struct flight flight;
	/* Of the batch under way and the next, by turns: where those sleep who
	 * wait for it. */
	struct gate gates[2];
	unsigned int round; /* the batch under way is in gates[round % 2] */
	struct buf out; /* of the one who is busy */
	size_t crowd; /* about how many operations come at a time */
	bool busy; /* somebody sends a batch and waits for its answer */
	bool up, stop, idle, has_secret;
	unsigned int mends;
	/* a batch whose answer was lost, and its epoch */
	struct flight unsure;
	char unsure_epoch[REDIS_ID_LEN + 1];
	uint64_t lost, secret[2];
};

/* --- operations -------------------------------------------------------- */

/* Frees it when neither a caller nor the link has it. */
static void
op_drop(struct redis_op *op)
{
	if (!op->waited && !op->queued)
		redis_op_free(op);
}

/* The caller hears of it, as soon as he is woken; locked. */
static void
op_finish(struct redis_op *op, bool ok)
{
	struct redis_waiter *w = op->waiter;

	if (op->done)
		return; /* the caller has heard otherwise */
	op->done = true;
	op->ok = ok;
	op->waiter = NULL;
	if (w)
		atomic_fetch_sub(&w->left, 1); /* op may be gone now */
}

/* The same, and the link is done with it. */
static void
op_finish_leave(struct redis_op *op, bool ok)
{
	op->queued = false;
	if (op->waited)
		op_finish(op, ok);
	else
		redis_op_free(op);
}

static void
op_leave(struct redis_op *op)
{
	op->queued = false;
	op_drop(op);
}

void
redis_op_end(struct redis_link *k, struct redis_op *op)
{
	if (op->ok) { /* the link has left it */
		redis_op_free(op);
		return;
	}
	pthread_mutex_lock(&k->lock);
	op->waited = false;
	op_drop(op);
	pthread_mutex_unlock(&k->lock);
}

void
redis_link_lock(struct redis_link *k)
{
	pthread_mutex_lock(&k->lock);
}

void
redis_link_unlock(struct redis_link *k)
{
	pthread_mutex_unlock(&k->lock);
}

static void
link_add(struct redis_link *k, struct redis_op *op)
{
	op->queued = true;
	redis_ops_add(&k->queue, op);
}

void
redis_link_queue_locked(struct redis_link *k, struct redis_op *op)
{
	op->sure = true;
	if (k->queue.n >= REDIS_PENDING_MAX) {
		k->lost++;
		redis_op_free(op);
		return;
	}
	link_add(k, op);
	/* else whoever has the next answer sends it */
	if (k->idle && k->up && !k->busy)
		pthread_cond_signal(&k->work);
}

void
redis_link_queue(struct redis_link *k, struct redis_op *op)
{
	pthread_mutex_lock(&k->lock);
	redis_link_queue_locked(k, op);
	pthread_mutex_unlock(&k->lock);
}

uint64_t
redis_link_pending(struct redis_link *k)
{
	uint64_t n;

	pthread_mutex_lock(&k->lock);
	n = k->queue.n + k->flight.ops.n;
	pthread_mutex_unlock(&k->lock);
	return n;
}

bool
redis_link_secret(struct redis_link *k, uint64_t secret[2])
{
	bool has;

	pthread_mutex_lock(&k->lock);
	has = k->has_secret;
	memcpy(secret, k->secret, sizeof(k->secret));
	pthread_mutex_unlock(&k->lock);
	return has;
}

/* --- connections and the lease ----------------------------------------- */

/* Says what became of the batch whose answer was lost; what has to be done in
 * the end is sent once more. */
static void
link_settle(struct redis_link *k, struct str lease)
{
	struct flight *f = &k->unsure;
	struct str codes = STR_NONE;
	struct redis_ops again;
	struct redis_op *op;
	int64_t when = 0;
	bool run;

	redis_ops_init(&again);
	run = redis_lease_tells(lease, k->unsure_epoch, f->seq, f->ops.n,
	    &codes, &when);
	for (size_t i = 0; (op = redis_ops_take(&f->ops)) != NULL; i++) {
		if (run)
			op->out[0] = codes.p[i] - '0';
		if (op->sure && !run) {
			redis_ops_add(&again, op);
			continue;
		}
		if (!op->sure)
			k->settled(k->arg, op, run ? REDIS_RUN : REDIS_NOT_RUN,
			    when);
		op_leave(op);
	}
	redis_ops_put_back(&k->queue, &again);
}

/* The lease is ours, and it is known what was run before. */
static bool
link_begin(struct redis_link *k, struct buf *why)
{
	struct buf said = BUF_INIT(4096);
	bool ok;

	ok = redis_lease_load(&k->lease, k->wire, why) &&
	    redis_lease_begin(&k->lease, k->wire, &said, why);
	if (ok) {
		pthread_mutex_lock(&k->lock);
		k->flight.seq = 0;
		link_settle(k, buf_str(&said));
		memcpy(k->secret, k->lease.secret, sizeof(k->secret));
		k->has_secret = true;
		pthread_mutex_unlock(&k->lock);
	}
	buf_free(&said);
	return ok;
}

static bool
link_connect(struct redis_link *k, bool *refused, struct buf *why)
{
	uint64_t lost;

	k->wire = redis_wire_open(&k->url, k->node, STR(REDIS_PREFIX "try"),
	    refused, why);
	if (k->wire == NULL || !link_begin(k, why)) {
		redis_wire_close(&k->wire);
		k->node++;
		return false;
	}
	if (!k->warned)
		redis_lease_warn(k->wire, k->health->spec);
	k->warned = true;
	pthread_mutex_lock(&k->lock);
	k->up = true;
	lost = k->lost;
	k->lost = 0;
	pthread_mutex_unlock(&k->lock);
	store_health_set(k->health, "");
	if (lost)
		log_event(LOG_EV_STORE, "store=%.*s lost=%llu",
		    STR_FMT(k->health->spec), (unsigned long long)lost);
	return true;
}

/* --- batches ------------------------------------------------------------ */

/* Locked, as all below are on entry and on return; on the way they are not. */
static bool
link_may_go(const struct redis_link *k)
{
	return k->up && !k->busy && k->queue.n > 0;
}

static void
flight_write(struct redis_link *k, const struct flight *f)
{
	char was[64], is[64];
	struct redis_batch_head head = { .sha = str_of(k->lease.sha),
		.lease = str_of(k->lease.name),
		.lease_ms = REDIS_LEASE_MS,
		.stay_ms = f->seq % STAY_EVERY == 0 ? REDIS_STAY_MS : 0,
		.now_ms = k->url.own_clock ? clock_wall_ms() : -1,
		.expire = !k->url.own_clock };

	snprintf(was, sizeof(was), "%s:%llu:", k->lease.epoch,
	    (unsigned long long)f->seq - 1);
	snprintf(is, sizeof(is), "%s:%llu:", k->lease.epoch,
	    (unsigned long long)f->seq);
	head.was = str_of(was);
	head.is = str_of(is);
	buf_truncate(&k->out, 0);
	redis_batch_write(&k->out, &f->ops, &head);
}

/*
 * Those whose answers came together soon ask again together: lets those run
 * first who can.  A big batch costs the server less an operation, and all of
 * us fewer times to be woken.
 */
static void
link_gather(struct redis_link *k)
{
	pthread_mutex_unlock(&k->lock);
	redis_wire_yield(k->wire);
	pthread_mutex_lock(&k->lock);
}

/* What is queued goes as one batch. */
static void
link_board(struct redis_link *k)
{
	size_t n = k->queue.n;

	if (n < k->crowd)
		n = k->crowd - (k->crowd - n + 7) / 8;
	k->crowd = n;
	redis_ops_batch(&k->queue, &k->flight.ops);
	for (struct redis_op *op = k->flight.ops.head; op; op = op->next)
		op->sent = true;
	k->flight.seq++;
	k->round++;
}

/* What the server will never take is given up at last. */
static void
flight_tried(struct redis_link *k, struct flight *f)
{
	struct redis_op *op;
	struct redis_ops left;

	redis_ops_init(&left);
	while ((op = redis_ops_take(&f->ops)) != NULL) {
		if (!op->sure || ++op->tries < TRIES_MAX) {
			redis_ops_add(&left, op);
			continue;
		}
		k->lost++;
		op_finish_leave(op, false);
	}
	redis_ops_put_back(&f->ops, &left);
}

/* Those who wait are told; what must be done stays. */
static void
link_down(struct redis_link *k, const char *why)
{
	struct flight *f = &k->flight;
	struct redis_ops left;
	struct redis_op *op;

	k->up = false;
	pthread_mutex_unlock(&k->lock);
	redis_wire_close(&k->wire);
	store_health_set(k->health, why);
	pthread_mutex_lock(&k->lock);
	for (op = f->ops.head; op; op = op->next)
		op_finish(op, false);
	redis_ops_put_back(&k->unsure.ops, &f->ops);
	k->unsure.seq = f->seq;
	memcpy(k->unsure_epoch, k->lease.epoch, sizeof(k->lease.epoch));
	redis_ops_init(&left);
	while ((op = redis_ops_take(&k->queue)) != NULL)
		if (op->sure) {
			redis_ops_add(&left, op);
			op_finish(op, false);
		} else {
			op_finish_leave(op, false);
		}
	redis_ops_put_back(&k->queue, &left);
	pthread_cond_signal(&k->work);
}

/* The server has forgotten the script, or our lease, and so has not run the
 * batch: it is to be sent again. */
static bool
link_mend(struct redis_link *k, struct buf *why)
{
	bool ok;

	if (++k->mends > MENDS_MAX) {
		buf_adds(why, "the server forgets what it was told");
		return false;
	}
	pthread_mutex_unlock(&k->lock);
	ok = link_begin(k, why);
	pthread_mutex_lock(&k->lock);
	if (!ok)
		return false;
	for (struct redis_op *op = k->flight.ops.head; op; op = op->next)
		op->sent = false;
	redis_ops_put_back(&k->queue, &k->flight.ops);
	return true;
}

static bool
is_forgotten(const redisReply *r)
{
	struct str text = { r->str, r->len };

	return r->type == REDIS_REPLY_ERROR &&
	    (str_starts(text, STR("NOSCRIPT")) ||
		str_starts(text, STR("STALE")) ||
		str_starts(text, STR("ERR STALE")));
}

/* What the batch came to; false: the link goes down. */
static bool
link_answer(struct redis_link *k, const redisReply *r, struct buf *why)
{
	struct flight *f = &k->flight;
	struct redis_op *op;

	if (is_forgotten(r))
		return link_mend(k, why);
	if (r->type == REDIS_REPLY_ERROR) {
		buf_add(why, r->str, r->len);
		flight_tried(k, f);
		return false;
	}
	if (!redis_batch_read(&f->ops, r)) {
		buf_adds(why, "an answer that makes no sense");
		return false;
	}
	k->mends = 0;
	while ((op = redis_ops_take(&f->ops)) != NULL)
		op_finish_leave(op, true);
	return true;
}

/* Those whose batch it was; where the link is down, all.  Not locked. */
static void
link_wake(struct redis_link *k, unsigned int round, bool up)
{
	gate_open(&k->gates[round % 2], GATE_ALL);
	if (!up)
		gate_open(&k->gates[(round + 1) % 2], GATE_ALL);
}

/* Sends what is queued, or nothing, to keep the lease; waits for the answer,
 * and wakes those who waited for it. */
static void
link_trip(struct redis_link *k)
{
	struct buf why = BUF_INIT(1024);
	redisReply *r = NULL;
	unsigned int round;
	bool up;

	k->busy = true;
	if (k->queue.n < k->crowd)
		link_gather(k);
	link_board(k);
	round = k->round;
	pthread_mutex_unlock(&k->lock);
	flight_write(k, &k->flight);
	if (redis_wire_send(k->wire, buf_str(&k->out), &why))
		r = redis_wire_reply(k->wire, &why);
	pthread_mutex_lock(&k->lock);
	if (r == NULL || !link_answer(k, r, &why))
		link_down(k, why.n ? why.p : "failed");
	k->busy = false;
	up = k->up;
	pthread_mutex_unlock(&k->lock);
	link_wake(k, round, up);
	if (r)
		freeReplyObject(r);
	buf_free(&why);
	pthread_mutex_lock(&k->lock);
}

static bool
ops_waited(const struct redis_ops *q)
{
	for (const struct redis_op *op = q->head; op; op = op->next)
		if (op->waiter)
			return true;
	return false;
}

/* Before one goes who could have sent what is queued: another does it now.
 * Locked before, not after. */
static void
link_leave(struct redis_link *k)
{
	struct gate *gate = NULL;

	if (link_may_go(k) && ops_waited(&k->queue))
		gate = &k->gates[(k->round + 1) % 2];
	else if (link_may_go(k) && k->idle)
		pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->lock);
	if (gate)
		gate_open(gate, 1);
}

/* False where there is nothing to wait for. */
static bool
link_enter(struct redis_link *k, struct redis_op *op, struct redis_waiter *w)
{
	op->waited = true;
	if (!k->up) {
		if (op->sure && k->queue.n < REDIS_PENDING_MAX)
			link_add(k, op);
		op_finish(op, false);
		return false;
	}
	op->waiter = w;
	link_add(k, op);
	return true;
}

/* Until the batch with his last operation has been under way, or somebody has
 * to send it.  Locked before, not after. */
static void
link_wait(struct redis_link *k, const struct redis_op *last)
{
	struct gate *g = &k->gates[(k->round + !last->sent) % 2];
	uint32_t number = gate_number(g);

	pthread_mutex_unlock(&k->lock);
	gate_wait(g, number);
}

void
redis_link_run(struct redis_link *k, struct redis_op **ops, size_t n)
{
	struct redis_waiter w = { .left = 0 };

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < n; i++)
		if (link_enter(k, ops[i], &w))
			w.left++;
	while (w.left > 0) {
		if (link_may_go(k)) {
			link_trip(k);
			continue;
		}
		link_wait(k, ops[n - 1]);
		if (w.left == 0)
			return;
		pthread_mutex_lock(&k->lock);
	}
	link_leave(k);
}

/* --- the thread ---------------------------------------------------------- */

static bool
link_has_work(struct redis_link *k)
{
	return k->stop || link_may_go(k);
}

/* Up: for something to do, or for the next beat.  Down: for the next try. */
static void
link_sleep(struct redis_link *k, long ms)
{
	bool up = k->up;
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	k->idle = true;
	while (k->up == up && !link_has_work(k) && rc == 0)
		rc = pthread_cond_timedwait(&k->work, &k->lock, &until);
	k->idle = false;
}

/* What nobody waits for, and the lease. */
static void
link_work(struct redis_link *k)
{
	if (!k->busy)
		link_trip(k);
	link_leave(k);
	pthread_mutex_lock(&k->lock);
}

/* Connects. */
static bool
link_up(struct redis_link *k)
{
	struct buf why = BUF_INIT(1024);
	bool refused, ok;

	pthread_mutex_unlock(&k->lock);
	ok = link_connect(k, &refused, &why);
	if (!ok)
		store_health_set(k->health, why.n ? why.p : "failed");
	buf_free(&why);
	pthread_mutex_lock(&k->lock);
	return ok;
}

/* Whoever waits sends and reads for himself; this one keeps the link, and
 * does the rest. */
static void *
link_main(void *arg)
{
	struct redis_link *k = arg;
	long pause = RETRY_MIN_MS;
	bool up;

	pthread_mutex_lock(&k->lock);
	for (;;) {
		up = k->up;
		link_sleep(k, up ? BEAT_MS : pause);
		if (k->up != up)
			continue;
		if (k->stop && !k->busy && k->queue.n == 0)
			break;
		if (k->up) {
			link_work(k);
		} else if (k->busy) {
			continue; /* who noticed has not told everybody yet */
		} else if (link_up(k)) {
			pause = RETRY_MIN_MS;
		} else {
			if (k->stop)
				break;
			pause =
			    pause * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause * 2;
		}
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

struct redis_link *
redis_link_open(const struct redis_url *url, redis_settled *settled, void *arg,
    struct store_health *health, struct buf *err)
{
	struct redis_link *k = mem_alloc(sizeof(*k));
	struct buf why = BUF_INIT(1024);
	pthread_condattr_t attr;
	bool refused = false;

	k->url = *url;
	k->settled = settled;
	k->arg = arg;
	k->health = health;
	k->out = BUF_INIT(SIZE_MAX);
	redis_ops_init(&k->queue);
	redis_ops_init(&k->flight.ops);
	redis_ops_init(&k->unsure.ops);
	redis_lease_init(&k->lease, url->own_clock);
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->work, &attr);
	pthread_condattr_destroy(&attr);
	if (!link_connect(k, &refused, &why) && !refused)
		store_health_set(health, why.n ? why.p : "failed");
	if (refused) {
		buf_addstr(err, buf_str(&why));
	} else {
		k->running =
		    pthread_create(&k->thread, NULL, link_main, k) == 0;
		if (!k->running)
			buf_adds(err, "no thread for the store");
	}
	buf_free(&why);
	if (!k->running)
		redis_link_close(&k);
	return k;
}

static void
ops_free(struct redis_ops *q)
{
	struct redis_op *op;

	while ((op = redis_ops_take(q)) != NULL)
		redis_op_free(op);
}

void
redis_link_close(struct redis_link **kp)
{
	struct redis_link *k = *kp;

	if (k->running) {
		pthread_mutex_lock(&k->lock);
		k->stop = true;
		pthread_cond_signal(&k->work);
		pthread_mutex_unlock(&k->lock);
		pthread_join(k->thread, NULL);
	}
	if (k->wire)
		redis_lease_end(&k->lease, k->wire);
	redis_wire_close(&k->wire);
	link_settle(k, STR(""));
	ops_free(&k->queue);
	pthread_cond_destroy(&k->work);
	pthread_mutex_destroy(&k->lock);
	buf_free(&k->out);
	free(k);
	*kp = NULL;
}
