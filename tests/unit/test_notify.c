#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/notify.h"

#define T0 1700000000000LL

static struct services services;
static char file[] = "/tmp/test_notify.XXXXXX";

static int
setup(void **state)
{
	int fd;

	(void)state;
	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	clock_fake(T0);
	snprintf(file, sizeof(file), "/tmp/test_notify.XXXXXX");
	fd = mkstemp(file);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(file);
	store_close(&services.store);
	clock_fake(-1);
	return 0;
}

/* Waits until the file holds n bytes, 2 s at most. */
static void
file_has(const char *want)
{
	char got[1000];
	size_t n = 0;

	for (int i = 0; i < 200; i++) {
		FILE *f = fopen(file, "r");

		n = fread(got, 1, sizeof(got) - 1, f);
		fclose(f);
		got[n] = '\0';
		if (n >= strlen(want))
			break;
		usleep(10000);
	}
	assert_string_equal(got, want);
}

static bool
run(const char *command, const char *key)
{
	char out[64], value[] = "KEY=$(touch /nowhere) ; it's";
	char *envp[] = { out, value, NULL };
	struct notice n = { .how = NOTIFY_COMMAND,
		.to = str_of(command),
		.same = str_of(command),
		.key = str_of(key) };

	snprintf(out, sizeof(out), "OUT=%s", file);
	n.facts = envp;
	return notify_send(&services, &n);
}

static void
once_an_hour(void)
{
	assert_true(
	    run("printf '%s\\n' \"$KEY\" >> $OUT; echo noise; cat", "user=a"));
	file_has("$(touch /nowhere) ; it's\n");
	assert_false(
	    run("printf '%s\\n' \"$KEY\" >> $OUT; echo noise; cat", "user=a"));
	clock_fake_advance(NOTIFY_EVERY_MS - 1);
	assert_false(
	    run("printf '%s\\n' \"$KEY\" >> $OUT; echo noise; cat", "user=a"));
	assert_true(run("printf 2 >> $OUT", "user=a"));
	file_has("$(touch /nowhere) ; it's\n2");
	assert_true(run("printf 3 >> $OUT", "user=b"));
	file_has("$(touch /nowhere) ; it's\n23");
	clock_fake_advance(1);
	assert_true(run("printf 4 >> $OUT; exit 3", "user=b2"));
	file_has("$(touch /nowhere) ; it's\n234");
	assert_false(run("", "user=c"));
}

static void
test_with_store(void **state)
{
	struct buf err = BUF_INIT(1000);

	(void)state;
	services.store = store_open(STR("memory:"), &err);
	once_an_hour();
}

static void
test_without_store(void **state)
{
	(void)state;
	clock_fake_advance(10 * NOTIFY_EVERY_MS);
	once_an_hour();
}

static atomic_int runs;

static void *
run_same(void *arg)
{
	(void)arg;
	runs += run("true", "user=many");
	return NULL;
}

/* Many sessions of one login find the same at once: one of them tells. */
static void
test_many_at_once(void **state)
{
	pthread_t threads[16];
	struct buf err = BUF_INIT(1000);

	(void)state;
	clock_fake_advance(30 * NOTIFY_EVERY_MS);
	services.store = store_open(STR("memory:"), &err);
	for (int round = 0; round < 20; round++) {
		runs = 0;
		clock_fake_advance(NOTIFY_EVERY_MS);
		for (int i = 0; i < 16; i++)
			assert_int_equal(0,
			    pthread_create(&threads[i], NULL, run_same, NULL));
		for (int i = 0; i < 16; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(runs, 1);
	}
}

/* Four run, as many wait as there is room for, the next one is skipped. */
static void
test_queue(void **state)
{
	const int most = NOTIFY_AT_ONCE + NOTIFY_WAITING;
	char key[20], command[100], go[sizeof(file) + 4];
	int taken = 0;

	(void)state;
	clock_fake_advance(50 * NOTIFY_EVERY_MS);
	snprintf(go, sizeof(go), "%s.go", file);
	snprintf(command, sizeof(command),
	    "until [ -e %s ]; do sleep 0.02; done; printf x >> $OUT", go);
	for (int i = 0; i < NOTIFY_AT_ONCE; i++) {
		snprintf(key, sizeof(key), "n=%d", i);
		taken += run(command, key);
	}
	usleep(200000); /* each thread has taken one */
	for (int i = NOTIFY_AT_ONCE; i < most + 1; i++) {
		snprintf(key, sizeof(key), "n=%d", i);
		taken += run(command, key);
	}
	assert_int_equal(taken, most);
	close(creat(go, 0600));
	for (int i = 0; i < 300; i++) {
		struct stat st;

		if (stat(file, &st) == 0 && st.st_size == most)
			break;
		usleep(10000);
	}
	/* skipped for want of room is not told: it may run later */
	assert_true(run("true", key));
	assert_false(run("true", key));
	unlink(go);
}

/* ---- a server that takes one connection ---- */

struct peer {
	pthread_t thread;
	int fd;
	unsigned int port;
	const char *const *answers; /* one for each line; NULL: HTTP */
	struct buf got;
};

static void
answer_lines(struct peer *p, FILE *in, FILE *out)
{
	const char *const *answer = p->answers;
	char line[2000];
	bool data = false;

	fprintf(out, "%s\r\n", *answer++);
	fflush(out);
	while (*answer != NULL && fgets(line, sizeof(line), in) != NULL) {
		buf_adds(&p->got, line);
		if (data && strcmp(line, ".\r\n") != 0)
			continue;
		data = strncmp(line, "DATA", 4) == 0;
		fprintf(out, "%s\r\n", *answer++);
		fflush(out);
	}
}

static void
answer_http(struct peer *p, FILE *in, FILE *out)
{
	size_t length = 0;
	char line[2000];

	while (fgets(line, sizeof(line), in) != NULL && line[0] != '\r') {
		buf_adds(&p->got, line);
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			length = strtoul(line + 15, NULL, 10);
	}
	while (length-- > 0)
		buf_addc(&p->got, (char)fgetc(in));
	fputs("HTTP/1.1 204 No Content\r\n\r\n", out);
	fflush(out);
}

static void *
peer_main(void *arg)
{
	struct peer *p = arg;
	int fd = accept(p->fd, NULL, NULL);
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");

	if (p->answers != NULL)
		answer_lines(p, in, out);
	else
		answer_http(p, in, out);
	fclose(in);
	fclose(out);
	return NULL;
}

static void
peer_start(struct peer *p, const char *const *answers)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	*p = (struct peer){ .answers = answers, .got = BUF_INIT(100000) };
	p->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(p->fd, 1), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &n), 0);
	p->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void
peer_got(struct peer *p, const char *want)
{
	if (strstr(p->got.p, want) == NULL)
		fail_msg("no %s in:\n%s", want, p->got.p);
}

static char queue_id[] = "POSTERN_QUEUE_ID=4ABC";
static char sender[] = "POSTERN_SENDER=\"quoted\"@x.org";
static char other[] = "PATH=/bin";
static char nothing[] = "POSTERN_RCPT=";
static char *facts[] = { queue_id, sender, other, nothing, NULL };

static void
test_mail(void **state)
{
	static const char *const answers[] = { "220 x", "250 x", "250 x",
		"250 x", "354 x", "250 x", "221 x", NULL };
	char via[64];
	struct peer p;
	struct notice n = { .how = NOTIFY_MAIL,
		.to = STR("postmaster@example.org"),
		.same = STR("a mail"),
		.key = STR("user=alice"),
		.text = STR("alice \303\274 is over"),
		.hostname = STR("mx.example.net"),
		.facts = facts };

	(void)state;
	clock_fake_advance(100 * NOTIFY_EVERY_MS);
	peer_start(&p, answers);
	snprintf(via, sizeof(via), "smtp://127.0.0.1:%u", p.port);
	n.via = str_of(via);
	assert_true(notify_send(&services, &n));
	assert_false(notify_send(&services, &n));
	pthread_join(p.thread, NULL);
	peer_got(&p, "EHLO mx.example.net\r\n");
	peer_got(&p, "MAIL FROM:<>");
	peer_got(&p, "RCPT TO:<postmaster@example.org>");
	peer_got(&p, "From: postern <postmaster@mx.example.net>\r\n");
	peer_got(&p, "Subject: postern: alice ?? is over\r\n");
	peer_got(&p, "Auto-Submitted: auto-generated\r\n");
	peer_got(&p, "\r\n\r\nalice \303\274 is over\r\n");
	peer_got(&p, "queue_id     4ABC\r\n");
	peer_got(&p, "sender       \"quoted\"@x.org\r\n");
	assert_null(strstr(p.got.p, "/bin"));
	assert_null(strstr(p.got.p, "rcpt "));
	buf_free(&p.got);
	close(p.fd);
}

static void
test_http(void **state)
{
	char url[64];
	struct peer p;
	struct notice n = { .how = NOTIFY_HTTP,
		.same = STR("a post"),
		.key = STR("user=alice"),
		.text = STR("over"),
		.hostname = STR("mx.example.net"),
		.facts = facts };

	(void)state;
	clock_fake(T0 + 200 * NOTIFY_EVERY_MS);
	peer_start(&p, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", p.port);
	n.to = str_of(url);
	assert_true(notify_send(&services, &n));
	pthread_join(p.thread, NULL);
	peer_got(&p, "POST /hook HTTP/1.1\r\n");
	peer_got(&p, "Content-Type: application/json\r\n");
	peer_got(&p,
	    "{\"time\":1700720000,\"host\":\"mx.example.net\","
	    "\"key\":\"user=alice\",\"notice\":\"over\","
	    "\"queue_id\":\"4ABC\","
	    "\"sender\":\"\\\"quoted\\\"@x.org\"}");
	buf_free(&p.got);
	close(p.fd);
}

static int told;

static void
tell(const struct notice *n)
{
	told += str_eq(n->to, STR("exit 1"));
}

static void
test_told_elsewhere(void **state)
{
	struct services quiet = { .notify = tell };
	struct notice n = { .how = NOTIFY_COMMAND,
		.to = STR("exit 1"),
		.same = STR("elsewhere"),
		.key = STR("user=alice") };

	(void)state;
	clock_fake_advance(300 * NOTIFY_EVERY_MS);
	assert_true(notify_send(&quiet, &n));
	assert_false(notify_send(&quiet, &n));
	assert_int_equal(told, 1);
}

/* Those who gave notices have left: what a library kept for them is freed. */
static int
threads_gone(void **state)
{
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 2000 && n != 1; i++) {
		DIR *tasks = opendir("/proc/self/task");
		struct dirent *e;

		assert_non_null(tasks);
		for (n = 0; (e = readdir(tasks)) != NULL;)
			n += e->d_name[0] != '.';
		closedir(tasks);
		usleep(1000);
	}
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_with_store),
		T(test_without_store),
		T(test_many_at_once),
		T(test_queue),
		T(test_mail),
		T(test_http),
		T(test_told_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, threads_gone);
}
