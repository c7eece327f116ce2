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

#define DEPTH 2 /* batches under way */
#define GATES 4 /* for each of them, and for the one that gathers */

struct flight {
	struct redis_ops ops;
	uint64_t seq;
	size_t before; /* operations of the one before */
};

struct redis_link {
	struct redis_url url;
	struct store_health *health;
	redis_settled *settled;
	void *arg;
	pthread_t thread;
	bool running;
	unsigned int depth;
	/* of the one who connects; the same as long as the link is up */
	struct redis_wire *wire;
	size_t node;
	struct redis_lease lease;
	bool warned;
	/* what follows is locked */
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread */
	struct redis_ops queue;
	/* Batches have numbers.  Batch n is in flights[n % DEPTH] from when it
	 * is boarded until it is answered, and who waits for it sleeps at
	 * gates[n % GATES].  One may send a batch while another waits for the
	 * answer to an older one. */
	struct flight flights[DEPTH];
	struct gate gates[GATES];
	unsigned int boarded, sent, answered; /* so many */
	bool sending, reading;
	bool held; /* nothing more is sent: something is to be mended */
	pthread_cond_t quiet; /* nobody sends any more */
	uint64_t seq; /* of the last batch, in this epoch */
	size_t before; /* operations it had */
	size_t crowd; /* about how many take part */
	struct buf out, failed; /* of who sends: the batch; what went wrong */
	bool up, stop, idle, has_secret;
	unsigned int mends;
	/* batches whose answers were lost, and their epoch */
	struct flight unsure[DEPTH];
	size_t nunsure;
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

/* Somebody will look for more to send. */
static bool
link_is_busy(const struct redis_link *k)
{
	return k->sending || k->reading || k->sent != k->answered;
}

/* Operations under way; what is answered has none. */
static size_t
link_aboard(const struct redis_link *k)
{
	size_t n = 0;

	for (size_t i = 0; i < DEPTH; i++)
		n += k->flights[i].ops.n;
	return n;
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
	if (k->idle && k->up && !link_is_busy(k))
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
	n = k->queue.n + link_aboard(k);
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

/* What has to be done in the end, and was not, is to be sent again. */
static void
flight_settle(struct redis_link *k, struct flight *f, const char *codes,
    int64_t when, struct redis_ops *again)
{
	struct redis_op *op;

	for (size_t i = 0; (op = redis_ops_take(&f->ops)) != NULL; i++) {
		if (codes)
			op->out[0] = codes[i] - '0';
		if (op->sure && !codes) {
			redis_ops_add(again, op);
			continue;
		}
		if (!op->sure)
			k->settled(k->arg, op,
			    codes ? REDIS_RUN : REDIS_NOT_RUN, when);
		op_leave(op);
	}
}

/* Says what became of the batches whose answers were lost. */
static void
link_settle(struct redis_link *k, struct str lease)
{
	struct str codes[DEPTH] = { STR_NONE };
	int64_t when[DEPTH] = { 0 };
	struct redis_ops again;

	redis_ops_init(&again);
	for (size_t i = k->nunsure; i-- > 0;) /* it tells of the last first */
		redis_lease_tells(&lease, k->unsure_epoch, k->unsure[i].seq,
		    k->unsure[i].ops.n, &codes[i], &when[i]);
	for (size_t i = 0; i < k->nunsure; i++)
		flight_settle(k, &k->unsure[i], codes[i].p, when[i], &again);
	k->nunsure = 0;
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
		k->seq = 0;
		k->before = 0;
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
static struct flight *
link_oldest(struct redis_link *k)
{
	return &k->flights[k->answered % DEPTH];
}

/*
 * A second batch goes when half of those who take part are in it.  So there
 * come to be two of about the same size, and the server has one to work on
 * while the answers of the other are handed out, and asked anew.
 */
static bool
link_is_share(const struct redis_link *k)
{
	return k->queue.n * k->depth >= k->crowd;
}

static bool
link_may_send(const struct redis_link *k)
{
	unsigned int n = k->sent - k->answered;

	if (!k->up || k->held || k->sending || k->queue.n == 0)
		return false;
	return n == 0 || (n < k->depth && link_is_share(k));
}

static bool
link_may_read(const struct redis_link *k)
{
	return k->up && !k->reading && k->sent != k->answered;
}

static void
flight_write(struct redis_link *k, const struct flight *f)
{
	char was[64], is[64];
	struct redis_batch_head head = { .sha = str_of(k->lease.sha),
		.lease = str_of(k->lease.name),
		.lease_ms = REDIS_LEASE_MS,
		.stay_ms = f->seq % STAY_EVERY == 0 ? REDIS_STAY_MS : 0,
		.before = f->before,
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
static struct flight *
link_board(struct redis_link *k)
{
	struct flight *f = &k->flights[k->boarded % DEPTH];
	size_t n = k->queue.n + link_aboard(k);

	if (n < k->crowd)
		n = k->crowd - (k->crowd - n + 7) / 8;
	k->crowd = n;
	redis_ops_batch(&k->queue, &f->ops);
	f->seq = ++k->seq;
	f->before = k->before;
	for (struct redis_op *op = f->ops.head; op; op = op->next) {
		op->sent = true;
		op->batch = k->boarded;
	}
	k->before = f->ops.n;
	k->boarded++;
	return f;
}

/* Sends what is queued, or nothing, to keep the lease. */
static void
link_send(struct redis_link *k)
{
	struct buf why = BUF_INIT(1024);
	struct flight *f;
	bool ok;

	k->sending = true;
	if (k->sent == k->answered && !link_is_share(k))
		link_gather(k);
	f = link_board(k);
	pthread_mutex_unlock(&k->lock);
	flight_write(k, f);
	ok = redis_wire_send(k->wire, buf_str(&k->out), &why);
	pthread_mutex_lock(&k->lock);
	if (!ok) { /* who waits for answers takes it from here */
		k->held = true;
		buf_addstr(&k->failed, buf_str(&why));
		redis_wire_cut(k->wire);
	}
	k->sent++;
	k->sending = false;
	if (k->held)
		pthread_cond_signal(&k->quiet);
	buf_free(&why);
}

/* Nobody sends until k->held is false again; for who reads. */
static void
link_hold(struct redis_link *k)
{
	k->held = true;
	while (k->sending)
		pthread_cond_wait(&k->quiet, &k->lock);
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
	struct redis_ops left;
	struct redis_op *op;
	struct flight *f;

	redis_wire_cut(k->wire);
	link_hold(k);
	k->up = false;
	pthread_mutex_unlock(&k->lock);
	redis_wire_close(&k->wire);
	store_health_set(k->health, k->failed.n ? k->failed.p : why);
	pthread_mutex_lock(&k->lock);
	for (; k->answered != k->sent; k->answered++) {
		f = link_oldest(k);
		for (op = f->ops.head; op; op = op->next)
			op_finish(op, false);
		k->unsure[k->nunsure].seq = f->seq;
		redis_ops_put_back(&k->unsure[k->nunsure++].ops, &f->ops);
	}
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
	k->held = false;
	buf_truncate(&k->failed, 0);
	pthread_cond_signal(&k->work);
}

/* The answers to batches after one that was not run: they were not, either.
 * Not locked. */
static bool
link_drain(struct redis_link *k, unsigned int n, struct buf *why)
{
	redisReply *r;
	bool ok = true;

	for (; ok && n > 0; n--) {
		r = redis_wire_reply(k->wire, why);
		ok = r && r->type == REDIS_REPLY_ERROR;
		if (r && !ok)
			buf_adds(why, "an answer that makes no sense");
		if (r)
			freeReplyObject(r);
	}
	return ok;
}

/* The server has forgotten the script, or our lease, and so has not run the
 * oldest batch: all are to be sent again. */
static bool
link_mend(struct redis_link *k, struct buf *why)
{
	struct flight *f;
	unsigned int n;
	bool ok;

	if (++k->mends > MENDS_MAX) {
		buf_adds(why, "the server forgets what it was told");
		return false;
	}
	link_hold(k);
	n = k->sent - k->answered;
	pthread_mutex_unlock(&k->lock);
	ok = link_drain(k, n - 1, why) && link_begin(k, why);
	pthread_mutex_lock(&k->lock);
	if (!ok)
		return false;
	while (n-- > 0) {
		f = &k->flights[(k->answered + n) % DEPTH];
		for (struct redis_op *op = f->ops.head; op; op = op->next)
			op->sent = false;
		redis_ops_put_back(&k->queue, &f->ops);
	}
	k->answered = k->sent;
	k->held = false;
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

/* What the oldest batch came to; false: the link goes down. */
static bool
link_answer(struct redis_link *k, const redisReply *r, struct buf *why)
{
	struct flight *f = link_oldest(k);
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
	k->answered++;
	return true;
}

/* Waits for an answer, and wakes those whose it is; where it is none, all whom
 * that concerns. */
static void
link_read(struct redis_link *k)
{
	struct buf why = BUF_INIT(1024);
	unsigned int first = k->answered, end;
	redisReply *r;

	k->reading = true;
	pthread_mutex_unlock(&k->lock);
	r = redis_wire_reply(k->wire, &why);
	pthread_mutex_lock(&k->lock);
	if (r == NULL || !link_answer(k, r, &why))
		link_down(k, why.n ? why.p : "failed");
	end = k->answered + !k->up; /* down: also who gathers */
	k->reading = false;
	pthread_mutex_unlock(&k->lock);
	for (; first != end; first++)
		gate_open(&k->gates[first % GATES], GATE_ALL);
	if (r)
		freeReplyObject(r);
	buf_free(&why);
	pthread_mutex_lock(&k->lock);
}

/* Of what goes with one batch. */
static bool
ops_waited(const struct redis_ops *q)
{
	const struct redis_op *op = q->head;

	for (int i = 0; op && i < REDIS_BATCH_MAX; i++, op = op->next)
		if (op->waiter)
			return true;
	return false;
}

/* Something is to be done, and nobody waits for it. */
static bool
link_has_work(struct redis_link *k)
{
	return (link_may_send(k) && !ops_waited(&k->queue)) ||
	    (link_may_read(k) && !ops_waited(&link_oldest(k)->ops));
}

/* Before one goes who could have done it: another does what is next.  Locked
 * before, not after. */
static void
link_leave(struct redis_link *k)
{
	struct gate *gate = NULL;

	if (link_may_read(k) && ops_waited(&link_oldest(k)->ops))
		gate = &k->gates[k->answered % GATES];
	else if (link_may_send(k) && ops_waited(&k->queue))
		gate = &k->gates[k->boarded % GATES];
	else if (k->idle && link_has_work(k))
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

/* Until the batch with his last operation is answered, or somebody has to do
 * something for it.  Locked before, not after. */
static void
link_wait(struct redis_link *k, const struct redis_op *last)
{
	unsigned int batch = last->sent ? last->batch : k->boarded;
	struct gate *g = &k->gates[batch % GATES];
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
		if (link_may_send(k)) {
			link_send(k);
		} else if (link_may_read(k)) {
			link_read(k);
		} else {
			link_wait(k, ops[n - 1]);
			if (w.left == 0)
				return;
			pthread_mutex_lock(&k->lock);
		}
	}
	link_leave(k);
}

/* --- the thread ---------------------------------------------------------- */

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
	while (k->up == up && !k->stop && !link_has_work(k) && rc == 0)
		rc = pthread_cond_timedwait(&k->work, &k->lock, &until);
	k->idle = false;
}

/* What nobody waits for, and the lease. */
static void
link_work(struct redis_link *k)
{
	if (link_may_send(k) || !link_is_busy(k))
		link_send(k);
	if (link_may_read(k))
		link_read(k);
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
		if (k->stop && !link_is_busy(k) && k->queue.n == 0)
			break;
		if (k->up) {
			link_work(k);
		} else if (link_is_busy(k)) {
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
	k->failed = BUF_INIT(1024);
	k->depth = url->tls ? 1 : DEPTH;
	redis_ops_init(&k->queue);
	for (size_t i = 0; i < DEPTH; i++) {
		redis_ops_init(&k->flights[i].ops);
		redis_ops_init(&k->unsure[i].ops);
	}
	redis_lease_init(&k->lease, url->own_clock);
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&k->quiet, NULL);
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
	pthread_cond_destroy(&k->quiet);
	pthread_mutex_destroy(&k->lock);
	buf_free(&k->out);
	buf_free(&k->failed);
	free(k);
	*kp = NULL;
}
