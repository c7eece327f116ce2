/*
 * Random reservations, commits, refunds and leaps of time, judged by a model
 * that keeps every timestamp: never more than the maximum in any interval as
 * long as the window, never refused when even the last 61/60 of it holds
 * room, and nothing left behind.  STORE_EVENTS says how many, STORE_SEED
 * which.
 */
#include "redis_fixture.h"

#define COUNTERS 16
#define MEMBERS	 12
#define OPEN_MAX 12
#define SHARES	 3

/* What the model knows of one counter. */
struct counter {
	bool distinct;
	char key[24];
	int64_t window;
	uint64_t max;
	/* units: every commit, and where the last window and 61/60 begin */
	struct {
		int64_t at;
		uint64_t units;
	} * past;
	size_t n, cap, strict, loose;
	uint64_t in_strict, in_loose, reserved;
	/* members: when last, and how many reservations */
	int64_t last[MEMBERS];
	int open[MEMBERS];
};

struct share {
	struct counter *counter;
	uint64_t cost;
	int member;
};

struct open {
	struct store *store;
	struct store_held *held;
	struct share shares[SHARES];
	size_t n;
};

static struct counter counters[COUNTERS];
static struct open open_now[OPEN_MAX];
static unsigned int seed;
static int64_t now;
static uint64_t passed, refused;

static unsigned int
pick(unsigned int n)
{
	return (unsigned int)rand_r(&seed) / 7 % n;
}

static void
model_begin(void)
{
	static const int64_t windows[] = { 7919, 60 * 1000, HOUR, 24 * HOUR };

	now = T0;
	clock_fake(now);
	passed = refused = 0;
	memset(open_now, 0, sizeof(open_now));
	for (int i = 0; i < COUNTERS; i++) {
		struct counter *c = &counters[i];

		free(c->past);
		*c = (struct counter){ .distinct = i % 2,
			.window = windows[i / 2 % 4],
			.max = i % 2 ? 2 + (uint64_t)pick(6) :
				       4 + (uint64_t)pick(40) };
		snprintf(c->key, sizeof(c->key), "user=%d", i);
		for (int m = 0; m < MEMBERS; m++)
			c->last[m] = INT64_MIN / 2;
	}
}

static int64_t
latest(const struct counter *c)
{
	return c->window + (c->window + 59) / 60;
}

static void
counter_now(struct counter *c)
{
	for (; c->strict < c->n && c->past[c->strict].at < now - c->window;
	     c->strict++)
		c->in_strict -= c->past[c->strict].units;
	for (; c->loose < c->n && c->past[c->loose].at < now - latest(c);
	     c->loose++)
		c->in_loose -= c->past[c->loose].units;
}

static uint64_t
members_in(const struct counter *c, int64_t span, bool with_open)
{
	uint64_t n = 0;

	for (int m = 0; m < MEMBERS; m++)
		n += c->last[m] >= now - span || (with_open && c->open[m]);
	return n;
}

static uint64_t
at_least(struct counter *c)
{
	counter_now(c);
	return c->distinct ? members_in(c, c->window, true) :
			     c->in_strict + c->reserved;
}

static uint64_t
at_most(struct counter *c)
{
	counter_now(c);
	return c->distinct ? members_in(c, latest(c), true) :
			     c->in_loose + c->reserved;
}

/* Might the store have refused this? */
static bool
may_refuse(const struct share *sh)
{
	struct counter *c = sh->counter;

	if (!c->distinct)
		return at_most(c) + sh->cost > c->max;
	return !c->open[sh->member] && c->last[sh->member] < now - c->window &&
	    at_most(c) + 1 > c->max;
}

static void
share_open(struct share *sh, int by)
{
	if (sh->counter->distinct)
		sh->counter->open[sh->member] += by;
	else
		sh->counter->reserved += (uint64_t)by * sh->cost;
}

static void
share_commit(struct share *sh)
{
	struct counter *c = sh->counter;

	share_open(sh, -1);
	if (c->distinct) {
		c->last[sh->member] = now;
		assert_true(members_in(c, c->window, false) <= c->max);
		return;
	}
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 64;
		c->past = realloc(c->past, c->cap * sizeof(*c->past));
	}
	counter_now(c);
	c->past[c->n].at = now;
	c->past[c->n++].units = sh->cost;
	c->in_strict += sh->cost;
	c->in_loose += sh->cost;
	assert_true(c->in_strict <= c->max);
}

static struct store_window
share_window(const struct share *sh, char who[8])
{
	const struct counter *c = sh->counter;

	if (!c->distinct)
		return window(c->key, c->window, c->max, sh->cost);
	snprintf(who, 8, "m%d", sh->member);
	return member(c->key, c->window, c->max, who);
}

/* What the store says is used lies between what it must and may say. */
static void
look(struct store *st, struct counter *c)
{
	uint64_t is = c->distinct ? members(st, c->key, c->window) :
				    used(st, c->key, c->window);

	assert_in_range(is, at_least(c), at_most(c));
}

static void
event_reserve(struct store *st, struct open *o)
{
	struct store_window w[SHARES];
	enum store_result result;
	char who[SHARES][8];
	bool may = false;
	unsigned int first = pick(COUNTERS);

	o->store = st;
	o->n = 1 + pick(SHARES);
	for (size_t i = 0; i < o->n; i++) {
		/* five apart: never the same counter twice */
		o->shares[i] =
		    (struct share){ &counters[(first + i * 5) % COUNTERS],
			    1 + pick(3), (int)pick(MEMBERS) };
		w[i] = share_window(&o->shares[i], who[i]);
		may = may || may_refuse(&o->shares[i]);
	}
	result = store_reserve(st, w, o->n, &o->held, NULL);
	if (result == STORE_OVER) {
		assert_true(may);
		assert_null(o->held);
		refused++;
		return;
	}
	assert_int_equal(result, STORE_OK);
	for (size_t i = 0; i < o->n; i++)
		share_open(&o->shares[i], 1);
	passed++;
}

/* Less is needed than was reserved. */
static void
event_change(struct open *o)
{
	struct share *sh = &o->shares[0];

	if (sh->counter->distinct || sh->cost < 2)
		return;
	share_open(sh, -1);
	sh->cost--;
	share_open(sh, 1);
	store_change(o->store, o->held, 0, sh->cost);
	look(o->store, sh->counter);
}

static void
event_end(struct open *o, bool commit)
{
	if (commit)
		assert_int_equal(store_commit(o->store, &o->held), STORE_OK);
	else
		store_refund(o->store, &o->held);
	assert_null(o->held);
	for (size_t i = 0; i < o->n; i++)
		if (commit)
			share_commit(&o->shares[i]);
		else
			share_open(&o->shares[i], -1);
	/* by then it was done, whoever asks */
	look(o->store, o->shares[0].counter);
}

/* Waits for what is under way, and renews the lease of the process. */
static void
drain(struct store *const st[2])
{
	for (int i = 0; i < 2; i++)
		if (st[i])
			store_note_get(st[i], STR("no"), STR("note"), NULL,
			    NULL);
}

/* A process that lives renews its lease, however time leaps. */
static void
leap(struct store *const st[2], int64_t step)
{
	drain(st);
	now += step;
	clock_fake_advance(step);
	drain(st);
}

static void
event(struct store *const st[2])
{
	struct open *o = &open_now[pick(OPEN_MAX)];
	int64_t step = 0;

	switch (pick(8)) {
	case 0:
		step = pick(40) ? pick(HOUR / 30) : pick(3 * HOUR);
		break;
	case 1:
		step = pick(400);
		break;
	default:
		break;
	}
	if (step)
		leap(st, step);
	if (o->held == NULL)
		event_reserve(st[st[1] ? pick(2) : 0], o);
	else if (pick(10) == 0)
		event_change(o);
	else
		event_end(o, pick(4) != 0);
	if (pick(16) == 0)
		look(st[0], &counters[pick(COUNTERS)]);
}

static bool
nothing(void *arg, const struct store_seen *s)
{
	(void)arg;
	fail_msg("left behind: %.*s %.*s %llu", STR_FMT(s->limit),
	    STR_FMT(s->key), (unsigned long long)s->used);
	return false;
}

static void
property(const char *const specs[2], long part)
{
	const char *text = getenv("STORE_EVENTS");
	struct store *st[2] = { open_as(specs[0]), NULL };
	long events = text ? strtol(text, NULL, 10) : part;

	text = getenv("STORE_SEED");
	seed = text ? (unsigned int)strtol(text, NULL, 10) : 20;
	print_message("%ld events, seed %u\n", events, seed);
	if (specs[1])
		st[1] = open_as(specs[1]);
	model_begin();
	for (long i = 0; i < events; i++)
		event(st);
	for (int i = 0; i < OPEN_MAX; i++)
		if (open_now[i].held)
			event_end(&open_now[i], i % 2);
	assert_true(passed > (uint64_t)events / 20);
	assert_true(refused > (uint64_t)events / 20);
	clock_fake_advance(25 * HOUR);
	store_each(st[0], nothing, NULL);
	for (int i = 0; i < 2; i++)
		if (st[i])
			store_close(&st[i]);
	for (int i = 0; i < COUNTERS; i++) {
		free(counters[i].past);
		counters[i] = (struct counter){ .past = NULL };
	}
}

static void
test_property_memory(void **state)
{
	(void)state;
	property((const char *const[2]){ "memory:", NULL }, 100000);
}

static void
test_property_sqlite(void **state)
{
	(void)state;
	property((const char *const[2]){ spec, NULL }, 20000);
}

/* Two posterns on one server. */
static void
test_property_redis(void **state)
{
	(void)state;
	NEEDS_REDIS();
	property((const char *const[2]){ redis_spec, redis_spec }, 20000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define R(f) cmocka_unit_test_setup_teardown(f, redis_setup, redis_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_property_memory),
		T(test_property_sqlite),
		R(test_property_redis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
