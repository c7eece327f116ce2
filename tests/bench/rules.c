/*
 * rules - what the stock rules cost one message: prefiltered, and each rule
 * asked by itself.
 *
 * usage: rules MESSAGE...
 */
#include <stdio.h>
#include <time.h>

#include "base/psl.h"
#include "check/check.h"
#include "daemon/message.h"
#include "score/plan.h"
#include "score/score.h"

#define STOCK	"/usr/share/spamassassin/*.cf"
#define ROUNDS	20

static struct services services;
static struct ruleset *set;
static double best;

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
judge(void *arg, struct message *m)
{
	const struct message_field *f;
	struct session *s;
	struct txn *t;
	double began, took;
	int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		s = session_new();
		t = txn_begin(s, 16 << 20);
		if (check_attach_txn(t, &services) != NULL)
			for (f = m->fields; f != NULL; f = f->next)
				header_add(t->arena, &t->headers, f->name,
				    f->value);
		body_add(&t->body, m->body.p, m->body.n);
		began = cpu_us();
		score_run(t, set);
		took = cpu_us() - began;
		if (best == 0 || took < best)
			best = took;
		session_free(&s);
	}
}

static double
measure(const char *path, struct buf *err)
{
	best = 0;
	message_each(path, judge, NULL, err);
	return best;
}

int
main(int argc, char **argv)
{
	struct buf problems = BUF_INIT(1 << 20), err = BUF_INIT(4096);
	double began = cpu_us(), loaded, with, without;
	int i;

	psl_global_init();
	set = ruleset_load(STR(STOCK), &problems, &err);
	loaded = cpu_us() - began;
	for (i = 1; set != NULL && i < argc; i++) {
		with = measure(argv[i], &err);
		plan_no_prefilter(set);
		without = measure(argv[i], &err);
		printf("loaded in %.0f ms; prefiltered %.0f us, "
		       "rule by rule %.0f us: %.1f times\n",
		    loaded / 1000, with, without, without / with);
		ruleset_free(&set);
		if (i + 1 < argc)
			set = ruleset_load(STR(STOCK), &problems, &err);
	}
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&err);
	psl_global_free();
	return err.n > 0;
}
