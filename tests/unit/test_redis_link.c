/*
 * Batches under way when a connection breaks: a relay stands between the store
 * and its server, and decides what the server gets and which answers come
 * back.
 */
#include "redis_fixture.h"

#include <poll.h>
#include <stdatomic.h>

/* What becomes of the batches that are held back when there are `wanted'. */
struct fate {
	int wanted;
	int forwarded; /* so many of them reach the server */
	bool answered; /* and are answered; else the connection breaks */
	bool out_of_memory; /* the first is refused instead */
};

static struct relay {
	pthread_t thread;
	char path[120], spec[160];
	int listener, server;
	atomic_int client;
	atomic_int seen; /* of those held back */
	atomic_int every; /* breaks at random, once in so many */
	atomic_int broken;
	struct fate fate;
	atomic_bool armed, stop;
	unsigned int seed;
} relay;

static bool
read_some(int fd, struct buf *b, size_t n)
{
	char piece[4096];
	ssize_t got;

	while (n > 0) {
		got = recv(fd, piece, n < sizeof(piece) ? n : sizeof(piece), 0);
		if (got <= 0)
			return false;
		buf_add(b, piece, (size_t)got);
		n -= (size_t)got;
	}
	return true;
}

/* A line with its number, after a letter. */
static bool
read_number(int fd, struct buf *b, char *letter, long *n)
{
	size_t from = b->n;

	do {
		if (!read_some(fd, b, 1))
			return false;
	} while (b->p[b->n - 1] != '\n');
	buf_addc(b, '\0');
	buf_truncate(b, b->n - 1);
	*letter = b->p[from];
	*n = strtol(b->p + from + 1, NULL, 10);
	return true;
}

/* Anything of RESP: a command, or an answer. */
static bool
read_value(int fd, struct buf *b)
{
	char letter;
	long n, values = 1;

	while (values-- > 0) {
		if (!read_number(fd, b, &letter, &n))
			return false;
		if (letter == '*' && n > 0)
			values += n;
		if (letter == '$' && n >= 0 && !read_some(fd, b, (size_t)n + 2))
			return false;
	}
	return true;
}

static bool
write_all(int fd, const struct buf *b)
{
	return send(fd, b->p, b->n, MSG_NOSIGNAL) == (ssize_t)b->n;
}

static int
connect_to(const char *where)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", where);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
is_batch(const struct buf *b)
{
	return memmem(b->p, b->n < 40 ? b->n : 40, "EVALSHA", 7) != NULL;
}

/* To the server, and the answer to nobody or to the client. */
static bool
pass(const struct buf *command, bool back)
{
	struct buf answer = BUF_INIT(SIZE_MAX);
	bool ok = write_all(relay.server, command) &&
	    read_value(relay.server, &answer) &&
	    (!back || write_all(relay.client, &answer));

	buf_free(&answer);
	return ok;
}

static bool
refuse(void)
{
	static const char text[] = "-OOM command not allowed\r\n";

	return send(relay.client, text, sizeof(text) - 1, MSG_NOSIGNAL) > 0;
}

/* Holds back what comes until all are there; false: the connection breaks. */
static bool
relay_fate(struct buf *first)
{
	struct fate f = relay.fate;
	struct buf held[4] = { *first };
	bool ok = true;
	int n = 1;

	*first = BUF_INIT(SIZE_MAX);
	atomic_store(&relay.seen, 1);
	for (; ok && n < f.wanted; n++) {
		held[n] = BUF_INIT(SIZE_MAX);
		ok = read_value(relay.client, &held[n]);
		atomic_store(&relay.seen, n + 1);
	}
	if (ok && f.out_of_memory)
		ok = refuse();
	for (int i = f.out_of_memory; ok && i < f.forwarded; i++)
		ok = pass(&held[i], f.answered);
	atomic_store(&relay.armed, false);
	for (int i = 0; i < n; i++)
		buf_free(&held[i]);
	return ok && f.answered;
}

/* One, or two if another is there at once; the server gets none to all. */
static void
relay_break(const struct buf *first)
{
	struct pollfd p = { .fd = relay.client, .events = POLLIN };
	struct buf second = BUF_INIT(SIZE_MAX);
	int n = 1, forwarded;

	if (poll(&p, 1, 1) == 1 && read_value(relay.client, &second))
		n = 2;
	forwarded = rand_r(&relay.seed) % (n + 1);
	if (forwarded > 0)
		pass(first, false);
	if (forwarded > 1)
		pass(&second, false);
	atomic_fetch_add(&relay.broken, n);
	buf_free(&second);
}

static bool
relay_one(struct buf *b)
{
	int every = atomic_load(&relay.every);

	buf_truncate(b, 0);
	if (!read_value(relay.client, b))
		return false;
	if (is_batch(b) && atomic_load(&relay.armed))
		return relay_fate(b);
	if (is_batch(b) && every && rand_r(&relay.seed) % every == 0) {
		relay_break(b);
		return false;
	}
	return pass(b, true);
}

static void *
relay_main(void *arg)
{
	struct buf b = BUF_INIT(SIZE_MAX);

	(void)arg;
	while (!atomic_load(&relay.stop)) {
		relay.client = accept(relay.listener, NULL, NULL);
		relay.server = connect_to(redis_socket);
		while (relay_one(&b))
			continue;
		close(relay.client);
		close(relay.server);
	}
	buf_free(&b);
	return NULL;
}

static int
relay_setup(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (redis_setup(state) != 0)
		return -1;
	relay = (struct relay){ .seed = 1 };
	snprintf(relay.path, sizeof(relay.path), "%s/relay.sock", dir);
	snprintf(relay.spec, sizeof(relay.spec), "redis+unix://%s?clock=client",
	    relay.path);
	memcpy(un.sun_path, relay.path, strlen(relay.path));
	relay.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(relay.listener, (struct sockaddr *)&un, sizeof(un)) != 0 ||
	    listen(relay.listener, 8) != 0)
		return -1;
	return pthread_create(&relay.thread, NULL, relay_main, NULL);
}

static int
relay_teardown(void **state)
{
	int fd;

	atomic_store(&relay.stop, true);
	/* a test that failed has left its store open */
	shutdown(atomic_load(&relay.client), SHUT_RDWR);
	fd = connect_to(relay.path); /* for who accepts */
	if (fd >= 0)
		close(fd);
	pthread_join(relay.thread, NULL);
	close(relay.listener);
	return redis_teardown(state);
}

static void
hold(struct fate f)
{
	relay.fate = f;
	atomic_store(&relay.seen, 0);
	atomic_store(&relay.armed, true);
}

static void
wait_for_seen(int n)
{
	for (int i = 0; i < 5000 && atomic_load(&relay.seen) < n; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&relay.seen), n);
}

/* (The relay has room for one connection: store_stats() opens another.) */
static void
wait_until_up(struct store *st)
{
	struct store_window w = window("nobody", HOUR, 1, 0);

	for (int i = 0; i < 5000 && store_peek(st, &w, NULL) != STORE_OK; i++)
		usleep(1000);
	assert_int_equal(store_peek(st, &w, NULL), STORE_OK);
}

#define BEAT_LESS 4.0 /* seconds: whom nobody wakes waits for a beat, 5 */

static double
real_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- two batches ---------------------------------------------------------- */

struct committer {
	struct store *store;
	struct store_held *held;
	enum store_result result;
	pthread_t thread;
};

static void *
commit_main(void *arg)
{
	struct committer *c = arg;

	c->result = store_commit(c->store, &c->held);
	return NULL;
}

static void
commit_begin(struct committer *c)
{
	assert_int_equal(pthread_create(&c->thread, NULL, commit_main, c), 0);
}

/* Two commits, each in a batch of its own, both under way; costs 1 and 2. */
static void
commit_two(struct store *st, struct committer c[2], struct fate f)
{
	struct store_window w;

	for (int i = 0; i < 2; i++) {
		w = window("user=x", HOUR, 100, 1 + (uint64_t)i);
		c[i] = (struct committer){ .store = st };
		assert_int_equal(store_reserve(st, &w, 1, &c[i].held, NULL),
		    STORE_OK);
	}
	hold(f);
	for (int i = 0; i < 2; i++) {
		commit_begin(&c[i]);
		if (i == 0)
			wait_for_seen(1);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(c[i].thread, NULL);
}

/* Whatever of both the server ran, what is kept counts once, and what is given
 * back not at all. */
static void
settle(struct store *st, struct fate f, int kept, bool at_once, uint64_t *sum)
{
	struct committer c[2];

	commit_two(st, c, f);
	if (!at_once)
		wait_until_up(st);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(c[i].result, STORE_DOWN);
		if (kept & (1 << i))
			store_keep(st, &c[i].held);
		else
			store_refund(st, &c[i].held);
	}
	*sum += (uint64_t)kept;
	wait_until_up(st);
	assert_int_equal(used(st, "user=x", HOUR), *sum);
}

static void
test_answers_lost(void **state)
{
	struct store *st;
	uint64_t sum = 0;

	(void)state;
	NEEDS_REDIS();
	st = open_as(relay.spec);
	for (int ran = 0; ran <= 2; ran++)
		for (int kept = 0; kept < 4; kept++)
			settle(st, (struct fate){ 2, ran, false, false }, kept,
			    (ran + kept) % 2 == 0, &sum);
	store_close(&st);
}

/* The server refuses the first, and so does not run the second. */
static void
test_first_refused(void **state)
{
	struct store *st;
	uint64_t sum = 0;

	(void)state;
	NEEDS_REDIS();
	st = open_as(relay.spec);
	for (int kept = 0; kept < 4; kept++)
		settle(st, (struct fate){ 2, 2, true, true }, kept, kept == 1,
		    &sum);
	store_close(&st);
}

/* A server that forgets is told again, and nobody hears of it. */
static void
test_both_forgotten(void **state)
{
	static const char *const forget[] = { "SCRIPT FLUSH", "FLUSHALL" };
	struct store_window w = window("user=x", HOUR, 100, 1);
	struct committer c[2];
	struct store *st;
	double began;

	(void)state;
	NEEDS_REDIS();
	st = open_as(relay.spec);
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 2; k++) {
			c[k] = (struct committer){ .store = st };
			assert_int_equal(store_reserve(st, &w, 1, &c[k].held,
					     NULL),
			    STORE_OK);
		}
		redis_say(forget[i]);
		began = real_seconds();
		hold((struct fate){ 2, 2, true, false });
		commit_begin(&c[0]);
		wait_for_seen(1);
		commit_begin(&c[1]);
		for (int k = 0; k < 2; k++) {
			pthread_join(c[k].thread, NULL);
			assert_int_equal(c[k].result, STORE_OK);
		}
		assert_true(real_seconds() - began < BEAT_LESS);
		assert_int_equal(used(st, "user=x", HOUR), 2);
	}
	store_close(&st);
}

/* What nobody waits for is under way, and a commit after it. */
static void
test_counted_and_lost(void **state)
{
	struct store_window w = window("user=x", HOUR, 1000, 4);
	struct committer c = { 0 };
	struct store *st;
	uint64_t sum = 0;

	(void)state;
	NEEDS_REDIS();
	st = open_as(relay.spec);
	for (int ran = 0; ran <= 2; ran++) {
		c = (struct committer){ .store = st };
		assert_int_equal(store_reserve(st, &w, 1, &c.held, NULL),
		    STORE_OK);
		hold((struct fate){ 2, ran, false, false });
		assert_int_equal(store_count(st, &w), STORE_OK);
		wait_for_seen(1);
		commit_begin(&c);
		pthread_join(c.thread, NULL);
		assert_int_equal(c.result, STORE_DOWN);
		store_keep(st, &c.held);
		sum += 8;
		wait_until_up(st);
		assert_int_equal(used(st, "user=x", HOUR), sum);
	}
	store_close(&st);
}

/* --- many ---------------------------------------------------------------- */

#define THREADS	  8
#define DECISIONS 400

struct user {
	struct store *store;
	pthread_t thread;
	unsigned int seed;
	uint64_t counted;
};

/* Whoever is told nothing waits until somebody is there again. */
static void
decide(struct user *u)
{
	char key[16];
	struct store_held *h;
	struct store_window w;

	snprintf(key, sizeof(key), "user=%d", rand_r(&u->seed) % 3);
	w = window(key, HOUR, 1000000, 1 + rand_r(&u->seed) % 3);
	while (store_reserve(u->store, &w, 1, &h, NULL) != STORE_OK)
		usleep(2000);
	if (rand_r(&u->seed) % 4 == 0) {
		store_refund(u->store, &h);
		return;
	}
	if (store_commit(u->store, &h) != STORE_OK) {
		if (rand_r(&u->seed) % 2) {
			store_refund(u->store, &h);
			return;
		}
		store_keep(u->store, &h);
	}
	u->counted += w.cost;
}

static void *
user_main(void *arg)
{
	for (int i = 0; i < DECISIONS; i++)
		decide(arg);
	return NULL;
}

static void
test_broken_at_random(void **state)
{
	struct user users[THREADS];
	uint64_t counted = 0;
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	st = open_as(relay.spec);
	atomic_store(&relay.every, 60);
	for (int i = 0; i < THREADS; i++) {
		users[i] =
		    (struct user){ .store = st, .seed = 17 + (unsigned int)i };
		pthread_create(&users[i].thread, NULL, user_main, &users[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(users[i].thread, NULL);
		counted += users[i].counted;
	}
	atomic_store(&relay.every, 0);
	wait_until_up(st);
	assert_true(atomic_load(&relay.broken) > 5);
	assert_int_equal(used(st, "user=0", HOUR) + used(st, "user=1", HOUR) +
		used(st, "user=2", HOUR),
	    counted);
	store_close(&st);
}

/* --- called ------------------------------------------------------------- */

#define CALLERS 5
#define ROUNDS	2000

/* Nobody comes until all have gone: who is not called stays. */
static pthread_barrier_t all_gone;
static atomic_bool late;

static void *
caller_main(void *arg)
{
	struct user *u = arg;
	double began;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&all_gone);
		if (atomic_load(&late))
			break;
		usleep(rand_r(&u->seed) % 60);
		began = real_seconds();
		if (charge(u->store, window("user=x", HOUR, 1000000, 1)) ==
		    STORE_OK)
			u->counted++;
		if (real_seconds() - began > BEAT_LESS)
			atomic_store(&late, true);
	}
	return NULL;
}

static void
test_everybody_is_called(void **state)
{
	struct user users[CALLERS];
	struct store *st;

	(void)state;
	NEEDS_REDIS();
	pthread_barrier_init(&all_gone, NULL, CALLERS);
	st = open_as(redis_spec);
	for (int i = 0; i < CALLERS; i++) {
		users[i] =
		    (struct user){ .store = st, .seed = (unsigned int)i };
		pthread_create(&users[i].thread, NULL, caller_main, &users[i]);
	}
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(users[i].thread, NULL);
		assert_false(atomic_load(&late));
		assert_int_equal(users[i].counted, ROUNDS);
	}
	store_close(&st);
	pthread_barrier_destroy(&all_gone);
}

#define R(f) cmocka_unit_test_setup_teardown(f, relay_setup, relay_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		R(test_answers_lost),
		R(test_first_refused),
		R(test_both_forgotten),
		R(test_counted_and_lost),
		R(test_broken_at_random),
		R(test_everybody_is_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
