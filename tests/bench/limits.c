/*
 * limits SPEC KEYS THREADS SECONDS ROUNDS [SERVER-PID]: decisions a second on
 * a store that has KEYS counters.  A decision is a reservation and its commit,
 * as a message that is accepted makes them, on a key drawn at random.  Prints
 * a line for each round: decisions a second, microseconds of CPU a decision
 * (and what the process SERVER-PID used), the 50th, 99th and 99.9th of a
 * hundred in microseconds, and bytes a key in memory and on disk.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "service/store.h"

#define DAY	    (24 * 3600 * 1000LL)
#define SAMPLES_MAX 4000000
#define THREADS_MAX 64

struct worker {
	struct store *store;
	pthread_t thread;
	unsigned int seed;
	long keys, n, failed;
	float *us;
};

static atomic_bool stop;

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static double
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec * 1e6 + u.ru_utime.tv_usec +
	    u.ru_stime.tv_sec * 1e6 + u.ru_stime.tv_usec;
}

/* What another process has used; the system counts in ticks. */
static double
server_us(const char *pid)
{
	unsigned long user, sys;
	char path[64], line[1024] = "", *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	if (p == NULL ||
	    sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&user, &sys) != 2)
		return 0;
	return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static struct store_window
window_of(long i, char key[48])
{
	snprintf(key, 48, "user=%07ld@example.net", i);
	return (struct store_window){ .limit = STR("submission/recipients"),
		.key = str_of(key),
		.window_ms = DAY,
		.max = 1000000,
		.cost = 1 };
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct store_window win;
	struct store_held *h;
	char key[48];
	double t;

	while (!atomic_load(&stop) && w->n < SAMPLES_MAX) {
		win = window_of(rand_r(&w->seed) % w->keys, key);
		t = now_us();
		if (store_reserve(w->store, &win, 1, &h, NULL) != STORE_OK ||
		    store_commit(w->store, &h) != STORE_OK)
			w->failed++;
		w->us[w->n++] = (float)(now_us() - t);
	}
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

static void
fill(struct store *st, long keys)
{
	struct store_window w;
	struct store_held *h;
	char key[48];

	for (long i = 0; i < keys; i++) {
		w = window_of(i, key);
		if (i % 1000 != 999) {
			store_count(st, &w);
			continue;
		}
		if (store_reserve(st, &w, 1, &h, NULL) == STORE_OK &&
		    store_commit(st, &h) != STORE_OK)
			store_keep(st, &h);
	}
}

static void
report(struct store *st, struct worker *w, int threads, double us, double cpu,
    double server)
{
	float *all = calloc((size_t)threads * SAMPLES_MAX, sizeof(float));
	struct store_stats stats;
	long n = 0, failed = 0;

	for (int i = 0; i < threads; i++) {
		for (long k = 0; k < w[i].n; k++)
			all[n++] = w[i].us[k];
		failed += w[i].failed;
	}
	qsort(all, n, sizeof(float), by_value);
	store_stats(st, &stats);
	printf("{\"per_second\":%.0f,\"cpu_us\":%.2f,\"server_us\":%.2f,"
	       "\"p50\":%.1f,"
	       "\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"failed\":%ld,"
	       "\"keys\":%llu,\"memory\":%llu,\"disk\":%llu}\n",
	    n / us * 1e6, cpu / n, server / n, all[n / 2],
	    all[(long)(n * 0.99)], all[(long)(n * 0.999)], all[n - 1], failed,
	    (unsigned long long)stats.keys,
	    (unsigned long long)stats.memory_bytes,
	    (unsigned long long)stats.disk_bytes);
	free(all);
}

/* A round: as many decisions as there is time for. */
static void
measure(struct store *st, struct worker *w, int threads, long seconds,
    const char *pid)
{
	double from = now_us(), cpu = cpu_us();
	double server = pid ? server_us(pid) : 0;

	atomic_store(&stop, false);
	for (int i = 0; i < threads; i++) {
		w[i].n = w[i].failed = 0;
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	nanosleep(&(struct timespec){ seconds, 0 }, NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < threads; i++)
		pthread_join(w[i].thread, NULL);
	report(st, w, threads, now_us() - from, cpu_us() - cpu,
	    pid ? server_us(pid) - server : 0);
}

int
main(int argc, char **argv)
{
	static struct worker w[THREADS_MAX];
	struct buf err = BUF_INIT(4096);
	struct store *st;
	long keys, rounds;
	int threads;

	if (argc != 6 && argc != 7)
		return 2;
	keys = strtol(argv[2], NULL, 10);
	threads = (int)strtol(argv[3], NULL, 10);
	rounds = strtol(argv[5], NULL, 10);
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	st = store_open(str_of(argv[1]), &err);
	if (st == NULL || keys < 1 || threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "limits: %s\n", err.n ? err.p : "usage");
		return 1;
	}
	fill(st, keys);
	for (int i = 0; i < threads; i++)
		w[i] = (struct worker){ .store = st,
			.seed = (unsigned int)i + 1,
			.keys = keys,
			.us = calloc(SAMPLES_MAX, sizeof(float)) };
	while (rounds-- > 0)
		measure(st, w, threads, strtol(argv[4], NULL, 10),
		    argc == 7 ? argv[6] : NULL);
	store_close(&st);
	return 0;
}
