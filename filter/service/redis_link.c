#include "service/redis_link.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "service/redis_wire.h"

#define BATCH_MAX    256
#define LEASE_MS     30000
#define BEAT_MS	     5000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define TRIES_MAX    5
#define ID_LEN	     16

/* The script, as the assembler finds it from the top of the sources. */
__asm__(".section .rodata\n"
	".global redis_link_script, redis_link_script_end\n"
	"redis_link_script: .incbin \"filter/service/store_redis.lua\"\n"
	"redis_link_script_end: .byte 0\n"
	".previous\n");
extern const char redis_link_script[], redis_link_script_end[];

/* Takes the lease over: what it said, and the secret all posterns share. */
#define BEGIN                                                         \
	"local had = redis.call('GET', KEYS[1]) "                     \
	"local now = ARGV[2] if now == '' then "                      \
	"local t = redis.call('TIME') "                               \
	"now = string.format('%.0f', t[1] * 1000 + "                  \
	"math.floor(t[2] / 1000)) end "                               \
	"redis.call('SET', KEYS[1], ARGV[1] .. ':0:' .. now .. ':', " \
	"'PX', 86400000) redis.call('SET', KEYS[2], ARGV[3], 'NX') "  \
	"return { had or '', redis.call('GET', KEYS[2]) }"

struct ops {
	struct redis_op *head, **tail;
	size_t n;
};

/* A caller who waits, for all of his operations or to be the next to send. */
struct redis_waiter {
	sem_t sem;
	size_t left;
	bool leads;
};

struct redis_link {
	struct redis_url url;
	struct store_health *health;
	redis_settled *settled;
	void *arg;
	char proc[ID_LEN + 1], lease[64];
	pthread_t thread;
	bool running;
	/* whoever is busy has these alone */
	struct redis_wire *wire;
	size_t node;
	char epoch[ID_LEN + 1], sent_epoch[ID_LEN + 1], sha[41];
	uint64_t seq, sent_seq;
	struct ops unsure; /* their answer was lost */
	bool warned;
	/* what follows */
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct ops queue;
	size_t taken;
	bool up, stop, idle, has_secret;
	bool busy; /* somebody has the wire */
	uint64_t lost, secret[2];
};

static void
ops_init(struct ops *q)
{
	*q = (struct ops){ .tail = &q->head };
}

static void
ops_add(struct ops *q, struct redis_op *op)
{
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
	q->n++;
}

static struct redis_op *
ops_take(struct ops *q)
{
	struct redis_op *op = q->head;

	if (op == NULL)
		return NULL;
	q->head = op->next;
	if (q->head == NULL)
		q->tail = &q->head;
	q->n--;
	return op;
}

/* `from' before what q has; from is empty then. */
static void
ops_put_back(struct ops *q, struct ops *from)
{
	struct ops all;
	struct redis_op *op;

	ops_init(&all);
	while ((op = ops_take(from)) != NULL)
		ops_add(&all, op);
	while ((op = ops_take(q)) != NULL)
		ops_add(&all, op);
	ops_init(q);
	while ((op = ops_take(&all)) != NULL)
		ops_add(q, op);
}

struct redis_op *
redis_op_new(char letter)
{
	struct redis_op *op = mem_alloc(sizeof(*op));

	op->letter = letter;
	op->keys = BUF_INIT(SIZE_MAX);
	op->args = BUF_INIT(SIZE_MAX);
	return op;
}

void
redis_op_key(struct redis_op *op, struct str s)
{
	redis_wire_word(&op->keys, s);
	op->nkeys++;
}

void
redis_op_arg(struct redis_op *op, struct str s)
{
	redis_wire_word(&op->args, s);
	op->nargs++;
}

void
redis_op_num(struct redis_op *op, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	redis_op_arg(op, str_of(text));
}

static void
op_free(struct redis_op *op)
{
	buf_free(&op->keys);
	buf_free(&op->args);
	free(op->text);
	free(op);
}

/* Frees it when neither a caller nor the link has it. */
static void
op_drop(struct redis_op *op)
{
	if (!op->waited && !op->queued)
		op_free(op);
}

/* The caller hears of it; locked.  Who is told may be gone at once. */
static void
op_finish(struct redis_op *op, bool ok)
{
	struct redis_waiter *w = op->waiter;

	if (op->done)
		return; /* the caller has heard otherwise */
	op->done = true;
	op->ok = ok;
	op->waiter = NULL;
	if (w && --w->left == 0)
		sem_post(&w->sem);
}

/* The same, and the link is done with it. */
static void
op_finish_leave(struct redis_op *op, bool ok)
{
	op->queued = false;
	if (op->waited)
		op_finish(op, ok);
	else
		op_free(op);
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
		op_free(op);
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
link_add(struct redis_link *k, struct redis_op *op, bool wake)
{
	op->queued = true;
	ops_add(&k->queue, op);
	if (wake && k->idle)
		pthread_cond_signal(&k->work);
}

void
redis_link_queue_locked(struct redis_link *k, struct redis_op *op)
{
	op->sure = true;
	if (k->queue.n < REDIS_PENDING_MAX) {
		link_add(k, op, true);
		return;
	}
	k->lost++;
	op_free(op);
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
	n = k->queue.n + k->taken;
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

/* --- the thread -------------------------------------------------------- */

static void
random_id(char out[ID_LEN + 1])
{
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), 0) < 0)
		id = (uint64_t)clock_mono_us() * 0x9e3779b97f4a7c15;
	snprintf(out, ID_LEN + 1, "%016llx", (unsigned long long)id);
}

static struct str
own_time(struct redis_link *k, char out[24])
{
	if (!k->url.own_clock)
		return STR("");
	snprintf(out, 24, "%lld", (long long)clock_wall_ms());
	return str_of(out);
}

static bool
link_load_script(struct redis_link *k, struct buf *why)
{
	struct str script = { redis_link_script,
		redis_link_script_end - redis_link_script };
	redisReply *r;
	bool ok;

	r = redis_wire_ask(k->wire,
	    (struct str[]){ STR("SCRIPT"), STR("LOAD"), script }, 3, why);
	if (r == NULL)
		return false;
	ok = r->type == REDIS_REPLY_STRING && r->len == 40;
	if (ok)
		memcpy(k->sha, r->str, 41);
	else
		buf_adds(why, "SCRIPT LOAD gave no name");
	freeReplyObject(r);
	return ok;
}

/* What the lease said: "epoch:seq:time:codes". */
struct lease {
	struct str epoch, seq, when, codes;
};

static bool
lease_is_ours(struct redis_link *k, const struct lease *had)
{
	uint64_t seq;

	return k->unsure.n && str_eq(had->epoch, str_of(k->sent_epoch)) &&
	    str_u64(had->seq, &seq) && seq == k->sent_seq &&
	    had->codes.n == k->unsure.n;
}

/* Says what became of the batch whose answer was lost. */
static void
link_settle(struct redis_link *k, struct str text)
{
	struct lease had;
	struct redis_op *op;
	struct ops again;
	uint64_t when = 0;
	bool run;

	had.epoch = str_cut(text, ':', &text);
	had.seq = str_cut(text, ':', &text);
	had.when = str_cut(text, ':', &had.codes);
	ops_init(&again);
	pthread_mutex_lock(&k->lock);
	run = lease_is_ours(k, &had) && str_u64(had.when, &when);
	for (size_t i = 0; (op = ops_take(&k->unsure)) != NULL; i++) {
		if (run)
			op->out[0] = had.codes.p[i] - '0';
		if (op->sure && !run) {
			ops_add(&again, op);
			continue;
		}
		if (!op->sure)
			k->settled(k->arg, op, run ? REDIS_RUN : REDIS_NOT_RUN,
			    (int64_t)when);
		op_leave(op);
	}
	ops_put_back(&k->queue, &again);
	pthread_mutex_unlock(&k->lock);
}

/* The lease is ours in a new epoch: older batches can't be run any more. */
static bool
link_begin(struct redis_link *k, struct buf *why)
{
	char now[24], secret[2 * ID_LEN + 1], epoch[ID_LEN + 1];
	redisReply *r;
	bool ok;

	random_id(epoch);
	random_id(secret);
	random_id(secret + ID_LEN);
	r = redis_wire_ask(k->wire,
	    (struct str[]){ STR("EVAL"), STR(BEGIN), STR("2"), str_of(k->lease),
		STR(REDIS_PREFIX "s"), str_of(epoch), own_time(k, now),
		str_of(secret) },
	    8, why);
	if (r == NULL)
		return false;
	ok = r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	    r->element[0]->type == REDIS_REPLY_STRING &&
	    r->element[1]->type == REDIS_REPLY_STRING &&
	    r->element[1]->len == 2 * ID_LEN;
	if (ok) {
		memcpy(k->epoch, epoch, sizeof(epoch));
		k->seq = 0;
		link_settle(k,
		    (struct str){ r->element[0]->str, r->element[0]->len });
		pthread_mutex_lock(&k->lock);
		memcpy(secret, r->element[1]->str, 2 * ID_LEN);
		k->secret[1] = strtoull(secret + ID_LEN, NULL, 16);
		secret[ID_LEN] = '\0';
		k->secret[0] = strtoull(secret, NULL, 16);
		k->has_secret = true;
		pthread_mutex_unlock(&k->lock);
	} else {
		buf_adds(why, "no lease to be had");
	}
	freeReplyObject(r);
	return ok;
}

static bool
info_says(struct redis_link *k, struct str section, struct str line)
{
	struct buf ignored = BUF_INIT(1024);
	redisReply *r;
	bool says = false;

	r = redis_wire_ask(k->wire, (struct str[]){ STR("INFO"), section }, 2,
	    &ignored);
	if (r && r->type == REDIS_REPLY_STRING)
		says = str_find((struct str){ r->str, r->len }, line) >= 0;
	if (r)
		freeReplyObject(r);
	buf_free(&ignored);
	return says;
}

/* What makes a server forget; said once. */
static void
link_warn(struct redis_link *k)
{
	struct str spec = k->health->spec;

	if (k->warned)
		return;
	k->warned = true;
	if (info_says(k, STR("persistence"), STR("aof_enabled:0")))
		log_event(LOG_EV_STORE,
		    "store=%.*s warning=\"the server keeps no append-only "
		    "file: it forgets when it dies\"",
		    STR_FMT(spec));
	if (!info_says(k, STR("memory"), STR("maxmemory:0\r")) &&
	    !info_says(k, STR("memory"), STR("maxmemory_policy:noeviction")))
		log_event(LOG_EV_STORE,
		    "store=%.*s warning=\"the server may evict keys, and "
		    "limits with them\"",
		    STR_FMT(spec));
}

static bool
link_connect(struct redis_link *k, bool *refused, struct buf *why)
{
	uint64_t lost;

	k->wire = redis_wire_open(&k->url, k->node, STR(REDIS_PREFIX "try"),
	    refused, why);
	if (k->wire == NULL || !link_load_script(k, why) ||
	    !link_begin(k, why)) {
		redis_wire_close(&k->wire);
		k->node++;
		return false;
	}
	link_warn(k);
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

/* Those who wait are told; what must be done stays. */
static void
link_down(struct redis_link *k, struct ops *batch, const char *why)
{
	struct ops left;
	struct redis_op *op;

	redis_wire_close(&k->wire);
	store_health_set(k->health, why);
	ops_init(&left);
	pthread_mutex_lock(&k->lock);
	k->up = false;
	k->taken = 0;
	while ((op = ops_take(batch)) != NULL) {
		ops_add(&k->unsure, op);
		op_finish(op, false);
	}
	while ((op = ops_take(&k->queue)) != NULL)
		if (op->sure) {
			ops_add(&left, op);
			op_finish(op, false);
		} else {
			op_finish_leave(op, false);
		}
	ops_put_back(&k->queue, &left);
	pthread_mutex_unlock(&k->lock);
}

static void
batch_write(struct redis_link *k, const struct ops *batch, struct buf *out)
{
	size_t nkeys = 1, nargs = 8;
	char now[24], number[24];
	struct redis_op *op;
	bool plain = true;

	for (op = batch->head; op; op = op->next) {
		plain = plain && op->plain;
		nkeys += op->nkeys;
		nargs += op->nargs + 1;
	}
	redis_wire_head(out, 3 + nkeys + nargs);
	redis_wire_word(out, STR("EVALSHA"));
	redis_wire_word(out, str_of(k->sha));
	snprintf(number, sizeof(number), "%zu", nkeys);
	redis_wire_word(out, str_of(number));
	redis_wire_word(out, str_of(k->lease));
	for (op = batch->head; op; op = op->next)
		buf_addstr(out, buf_str(&op->keys));
	redis_wire_word(out, own_time(k, now));
	redis_wire_word(out, str_of(k->epoch));
	snprintf(number, sizeof(number), "%llu", (unsigned long long)k->seq);
	redis_wire_word(out, str_of(number));
	snprintf(number, sizeof(number), "%d", LEASE_MS);
	redis_wire_word(out, str_of(number));
	redis_wire_word(out, str_of(k->proc));
	redis_wire_word(out, k->url.own_clock ? STR("0") : STR("1"));
	redis_wire_word(out, plain ? STR("1") : STR("0"));
	snprintf(number, sizeof(number), "%zu", batch->n);
	redis_wire_word(out, str_of(number));
	for (op = batch->head; op; op = op->next) {
		redis_wire_word(out, (struct str){ &op->letter, 1 });
		buf_addstr(out, buf_str(&op->args));
	}
}

static void
op_result(struct redis_op *op, const redisReply *r)
{
	/* of plain operations, where everything fitted */
	if (r->type == REDIS_REPLY_INTEGER)
		op->out[2] = r->integer;
	for (size_t i = 0; i < r->elements && i < REDIS_OUT_MAX; i++) {
		const redisReply *e = r->element[i];

		if (e->type == REDIS_REPLY_INTEGER)
			op->out[i] = e->integer;
		else if (e->type == REDIS_REPLY_STRING && op->text == NULL) {
			op->text = mem_strndup(e->str, e->len);
			op->ntext = e->len;
		}
	}
}

static void
batch_done(struct redis_link *k, struct ops *batch, const redisReply *r)
{
	struct redis_op *op;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; (op = ops_take(batch)) != NULL; i++) {
		op_result(op, r->element[i]);
		op_finish_leave(op, true);
	}
	k->taken = 0;
	pthread_mutex_unlock(&k->lock);
}

/* What the server will never take is given up at last. */
static void
batch_tried(struct redis_link *k, struct ops *batch)
{
	struct redis_op *op;
	struct ops left;

	ops_init(&left);
	pthread_mutex_lock(&k->lock);
	while ((op = ops_take(batch)) != NULL) {
		if (!op->sure || ++op->tries < TRIES_MAX) {
			ops_add(&left, op);
			continue;
		}
		k->lost++;
		op_finish_leave(op, false);
	}
	ops_put_back(batch, &left);
	pthread_mutex_unlock(&k->lock);
}

enum batch_end { BATCH_DONE, BATCH_AGAIN, BATCH_FAILED };

static enum batch_end
batch_answer(struct redis_link *k, struct ops *batch, const redisReply *r,
    struct buf *why)
{
	struct str text = { r->str, r->len };

	if (r->type == REDIS_REPLY_ARRAY && r->elements == batch->n) {
		batch_done(k, batch, r);
		return BATCH_DONE;
	}
	if (r->type != REDIS_REPLY_ERROR) {
		buf_adds(why, "an answer that makes no sense");
		return BATCH_FAILED;
	}
	if (str_starts(text, STR("NOSCRIPT")))
		return link_load_script(k, why) ? BATCH_AGAIN : BATCH_FAILED;
	if (str_starts(text, STR("STALE")) ||
	    str_starts(text, STR("ERR STALE")))
		return link_begin(k, why) ? BATCH_AGAIN : BATCH_FAILED;
	buf_addstr(why, text);
	batch_tried(k, batch);
	return BATCH_FAILED;
}

static bool
batch_send(struct redis_link *k, struct ops *batch, struct buf *why)
{
	struct buf out;
	enum batch_end end;
	redisReply *r;
	int tries = 0;

	do {
		out = BUF_INIT(SIZE_MAX);
		k->seq++;
		k->sent_seq = k->seq;
		memcpy(k->sent_epoch, k->epoch, sizeof(k->epoch));
		batch_write(k, batch, &out);
		end = BATCH_FAILED;
		r = NULL;
		if (redis_wire_send(k->wire, buf_str(&out), why))
			r = redis_wire_reply(k->wire, why);
		buf_free(&out);
		if (r)
			end = batch_answer(k, batch, r, why);
		if (r)
			freeReplyObject(r);
	} while (end == BATCH_AGAIN && ++tries < 3);
	return end == BATCH_DONE;
}

static void
link_sleep(struct redis_link *k, long ms, bool for_work)
{
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
	while (!k->stop && rc == 0 && !(for_work && k->queue.n))
		rc = pthread_cond_timedwait(&k->work, &k->lock, &until);
	k->idle = false;
}

/*
 * The wire goes to the first of those who wait, if anybody does; only he is
 * woken for it, unless he is the one who has it.  Locked.
 */
static void
link_release(struct redis_link *k, const struct redis_waiter *me)
{
	struct redis_op *op = k->up ? k->queue.head : NULL;

	while (op && op->waiter == NULL)
		op = op->next;
	k->busy = op != NULL;
	if (op) {
		op->waiter->leads = true;
		if (op->waiter != me)
			sem_post(&op->waiter->sem);
		return;
	}
	pthread_cond_broadcast(&k->done);
	if (k->queue.n)
		pthread_cond_signal(&k->work);
}

/* Sends what is queued, or nothing, to keep the lease; by who is busy.  Locked
 * on entry and on return, not between. */
static bool
link_batch(struct redis_link *k)
{
	struct buf why = BUF_INIT(1024);
	struct ops batch;
	bool ok;

	ops_init(&batch);
	while (k->queue.n && batch.n < BATCH_MAX) {
		k->queue.head->sent = true;
		ops_add(&batch, ops_take(&k->queue));
	}
	k->taken = batch.n;
	pthread_mutex_unlock(&k->lock);
	ok = batch_send(k, &batch, &why);
	if (!ok)
		link_down(k, &batch, why.n ? why.p : "failed");
	buf_free(&why);
	pthread_mutex_lock(&k->lock);
	return ok;
}

/* Locked; false where there is nothing to wait for. */
static bool
link_enter(struct redis_link *k, struct redis_op *op, struct redis_waiter *w)
{
	op->waited = true;
	if (!k->up) {
		if (op->sure && k->queue.n < REDIS_PENDING_MAX)
			link_add(k, op, true);
		op_finish(op, false);
		return false;
	}
	op->waiter = w;
	link_add(k, op, false);
	return true;
}

static void
waiter_sleep(struct redis_waiter *w)
{
	while (sem_wait(&w->sem) != 0)
		continue; /* EINTR */
}

void
redis_link_run(struct redis_link *k, struct redis_op **ops, size_t n)
{
	struct redis_waiter w = { .leads = false };

	sem_init(&w.sem, 0, 0);
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < n; i++)
		w.left += link_enter(k, ops[i], &w);
	if (w.left && !k->busy)
		k->busy = w.leads = true;
	while (w.left) {
		if (w.leads) {
			w.leads = false;
			link_batch(k);
			link_release(k, &w);
			continue;
		}
		pthread_mutex_unlock(&k->lock);
		waiter_sleep(&w);
		if (!w.leads) { /* then everything is done */
			sem_destroy(&w.sem);
			return;
		}
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	sem_destroy(&w.sem);
}

static bool
link_again(struct redis_link *k)
{
	struct buf why = BUF_INIT(1024);
	bool refused, ok;

	ok = link_connect(k, &refused, &why);
	if (!ok)
		store_health_set(k->health, why.n ? why.p : "failed");
	buf_free(&why);
	return ok;
}

/* Connects; locked on entry and on return, not between. */
static bool
link_up(struct redis_link *k)
{
	bool ok;

	pthread_mutex_unlock(&k->lock);
	ok = link_again(k);
	pthread_mutex_lock(&k->lock);
	return ok;
}

/* Whoever waits sends for himself; this one keeps the link, and the rest. */
static void *
link_main(void *arg)
{
	struct redis_link *k = arg;
	long pause = RETRY_MIN_MS;
	bool ok = true;

	pthread_mutex_lock(&k->lock);
	for (;;) {
		if (k->up)
			link_sleep(k, BEAT_MS, true);
		else
			link_sleep(k, pause, false);
		while (k->busy)
			pthread_cond_wait(&k->done, &k->lock);
		if (k->stop && k->queue.n == 0)
			break;
		k->busy = true;
		ok = k->up ? link_batch(k) : link_up(k);
		link_release(k, NULL);
		if (k->stop && !ok)
			break;
		if (ok)
			pause = RETRY_MIN_MS;
		else
			pause =
			    pause * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause * 2;
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
	ops_init(&k->queue);
	ops_init(&k->unsure);
	random_id(k->proc);
	snprintf(k->lease, sizeof(k->lease), REDIS_PREFIX "l:%s", k->proc);
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->work, &attr);
	pthread_cond_init(&k->done, &attr);
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
ops_free(struct ops *q)
{
	struct redis_op *op;

	while ((op = ops_take(q)) != NULL)
		op_free(op);
}

void
redis_link_close(struct redis_link **kp)
{
	struct redis_link *k = *kp;
	struct buf ignored = BUF_INIT(1024);
	struct redis_op *op;
	redisReply *r;

	if (k->running) {
		pthread_mutex_lock(&k->lock);
		k->stop = true;
		pthread_cond_signal(&k->work);
		pthread_mutex_unlock(&k->lock);
		pthread_join(k->thread, NULL);
	}
	if (k->wire) {
		r = redis_wire_ask(k->wire,
		    (struct str[]){ STR("DEL"), str_of(k->lease) }, 2,
		    &ignored);
		if (r)
			freeReplyObject(r);
	}
	buf_free(&ignored);
	redis_wire_close(&k->wire);
	while ((op = ops_take(&k->unsure)) != NULL) {
		if (!op->sure)
			k->settled(k->arg, op, REDIS_NOT_RUN, 0);
		op_free(op);
	}
	ops_free(&k->queue);
	pthread_cond_destroy(&k->work);
	pthread_cond_destroy(&k->done);
	pthread_mutex_destroy(&k->lock);
	free(k);
	*kp = NULL;
}
