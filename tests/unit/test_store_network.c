/*
 * Redis over a network that is cut, with a replica that takes over, in TLS,
 * and as a cluster.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>

#include "redis_fixture.h"

/* --- servers, each in a folder of its own ------------------------------- */

struct server {
	pid_t pid;
	int port;
	char folder[80];
};

static struct server servers[2];

static int
listen_tcp(int *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

/* Nobody else has it, nor the port of a cluster's bus beside it. */
static int
free_port(void)
{
	int port, fd;

	do {
		fd = listen_tcp(&port);
		close(fd);
	} while (port > 55000);
	return port;
}

/* Commands of the fixture go to this one. */
static void
talk_to(const struct server *s)
{
	snprintf(redis_socket, sizeof(redis_socket), "%s/sock", s->folder);
}

static void
run_server(struct server *s, const char *const *more)
{
	char port[16], name[100];
	const char *argv[40] = { "redis-server", "--unixsocket", name, "--dir",
		s->folder, "--appendonly", "yes", "--appendfsync", "always",
		"--save", "", "--port" };
	size_t n = 12;
	int quiet;

	snprintf(port, sizeof(port), "%d", s->port);
	snprintf(name, sizeof(name), "%s/sock", s->folder);
	argv[n++] = more && strcmp(more[0], "--tls-port") == 0 ? "0" : port;
	for (; more && *more && n < 39; more++)
		argv[n++] = strcmp(*more, "PORT") == 0 ? port : *more;
	quiet = open("/dev/null", O_RDWR);
	dup2(quiet, 1);
	dup2(quiet, 2);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void
server_start(int i, const char *const *more)
{
	struct server *s = &servers[i];

	snprintf(s->folder, sizeof(s->folder), "%s/%d", dir, i);
	mkdir(s->folder, 0700);
	s->port = free_port();
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		run_server(s, more);
	talk_to(s);
	for (int k = 0; k < 1000 && !redis_answers(); k++)
		usleep(10000);
	assert_true(redis_answers());
}

static void
server_kill(struct server *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
}

static int
network_teardown(void **state)
{
	server_kill(&servers[0]);
	server_kill(&servers[1]);
	return teardown(state);
}

#define NEEDS_SERVER()                     \
	do {                               \
		if (!redis_is_installed()) \
			skip();            \
	} while (0)

/* What a server says to a command, as far as it fits. */
static void
ask(const struct server *s, const char *line, char answer[4096])
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	ssize_t n;
	int fd;

	talk_to(s);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", redis_socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_true(send(fd, line, strlen(line), MSG_NOSIGNAL) > 0);
	assert_true(send(fd, "\r\n", 2, MSG_NOSIGNAL) > 0);
	n = recv(fd, answer, 4095, 0);
	assert_true(n > 0);
	answer[n] = '\0';
	close(fd);
}

static void
wait_says(const struct server *s, const char *line, const char *what)
{
	char answer[4096] = "";

	for (int i = 0; i < 1500; i++) {
		ask(s, line, answer);
		if (strstr(answer, what))
			return;
		usleep(10000);
	}
	fail_msg("%s: %s", line, answer);
}

/* --- a network that can be cut ------------------------------------------ */

#define PAIRS_MAX 64

static atomic_bool cut, wire_ends;
/* How many connections go deaf before the answer to the taking of a lease,
 * and before that to a batch. */
static atomic_int lose_leases, lose_batches;
static int wire_listens, wire_to;
static size_t npairs;
static struct pair {
	int fd[2]; /* the client's, the server's */
	bool deaf;
} pairs[PAIRS_MAX];

static void
pair_close(size_t i)
{
	close(pairs[i].fd[0]);
	close(pairs[i].fd[1]);
	pairs[i] = pairs[--npairs];
}

static void
pair_open(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)wire_to),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int from = accept(wire_listens, NULL, NULL), to;

	to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (npairs == PAIRS_MAX ||
	    connect(to, (struct sockaddr *)&in, sizeof(in)) != 0) {
		close(from);
		close(to);
		return;
	}
	pairs[npairs++] = (struct pair){ .fd = { from, to } };
}

/* A list of what the lease said, and the secret; SCAN's begins with "0". */
static bool
is_lease(const char *piece, ssize_t n)
{
	return n > 8 && memcmp(piece, "*2\r\n$", 5) == 0 && piece[6] != '\r';
}

/* The results of less than ten operations. */
static bool
is_batch(const char *piece, ssize_t n)
{
	return n > 5 && piece[0] == '$' && memcmp(piece + 2, "\r\n0", 3) == 0;
}

static bool
is_one_of(bool is, atomic_int *left)
{
	return is && *left > 0 && (*left)-- > 0;
}

/* What comes on one side goes out on the other; false: it has ended. */
static bool
pass_on(struct pair *p, int side)
{
	char piece[16384];
	ssize_t n = recv(p->fd[side], piece, sizeof(piece), 0);

	if (side == 1 &&
	    (is_one_of(is_lease(piece, n), &lose_leases) ||
		is_one_of(is_batch(piece, n), &lose_batches)))
		p->deaf = true;
	if (n > 0 && side == 1 && p->deaf)
		return true;
	return n > 0 &&
	    send(p->fd[1 - side], piece, (size_t)n, MSG_NOSIGNAL) == n;
}

static void *
wire_main(void *arg)
{
	struct pollfd p[1 + 2 * PAIRS_MAX];
	size_t n;

	while (!wire_ends) {
		if (cut) { /* nothing gets through, nobody is told */
			usleep(1000);
			continue;
		}
		n = 2 * npairs + 1;
		p[0] = (struct pollfd){ .fd = wire_listens, .events = POLLIN };
		for (size_t i = 1; i < n; i++)
			p[i] = (struct pollfd){ .events = POLLIN,
				.fd = pairs[(i - 1) / 2].fd[(i - 1) % 2] };
		poll(p, n, 20);
		if (cut)
			continue;
		for (size_t i = n - 1; i > 0; i--)
			if (p[i].revents &&
			    !pass_on(&pairs[(i - 1) / 2], (i - 1) % 2)) {
				pair_close((i - 1) / 2);
				break;
			}
		if (p[0].revents)
			pair_open();
	}
	while (npairs)
		pair_close(npairs - 1);
	close(wire_listens);
	return arg;
}

static struct store *busy_store;
static atomic_bool enough;
static atomic_int accepted, kept, refused_down;

/* Accepts what it can; what it could not commit it takes back, or accepts all
 * the same, in turn. */
static void *
sender(void *arg)
{
	struct store_window w = window("user=x", HOUR, 1000000, 1);
	struct store_held *h;

	while (!enough) {
		if (store_reserve(busy_store, &w, 1, &h, NULL) != STORE_OK) {
			refused_down++;
			usleep(2000);
		} else if (store_commit(busy_store, &h) == STORE_OK) {
			accepted++;
		} else {
			if (refused_down++ % 2) {
				kept++;
				store_keep(busy_store, &h);
			} else {
				store_refund(busy_store, &h);
			}
		}
	}
	return arg;
}

static pthread_t wire_thread, senders[8];

static void
senders_run(const char *as)
{
	enough = false;
	accepted = kept = refused_down = 0;
	busy_store = open_as(as);
	for (int i = 0; i < 8; i++)
		pthread_create(&senders[i], NULL, sender, NULL);
}

/* What is counted is what they accepted. */
static void
senders_join(void)
{
	enough = true;
	for (int i = 0; i < 8; i++)
		pthread_join(senders[i], NULL);
	assert_int_equal(used(busy_store, "user=x", HOUR), accepted + kept);
	store_close(&busy_store);
}

/* Eight senders on a store behind a network that can be cut. */
static void
senders_start(void)
{
	char as[100];
	int port;

	server_start(0, NULL);
	wire_to = servers[0].port;
	wire_listens = listen_tcp(&port);
	cut = wire_ends = false;
	lose_leases = lose_batches = 0;
	assert_int_equal(pthread_create(&wire_thread, NULL, wire_main, NULL),
	    0);
	snprintf(as, sizeof(as), "redis://127.0.0.1:%d?clock=client", port);
	senders_run(as);
	for (int i = 0; i < 3; i++) {
		usleep(200000);
		assert_int_equal(refused_down, 0);
	}
}

/* All goes on. */
static void
senders_end(void)
{
	int before;

	wait_until(busy_store, false);
	before = accepted;
	for (int i = 0; i < 200 && accepted <= before + 100; i++)
		usleep(10000);
	assert_true(accepted > before + 100);
	senders_join();
	wire_ends = true;
	pthread_join(wire_thread, NULL);
}

/* 5 s without a network: whatever was on its way counts once or not at all,
 * as the one who sent it was told. */
static void
test_cut_off(void **state)
{
	int before;

	(void)state;
	NEEDS_SERVER();
	senders_start();
	cut = true;
	usleep(200000); /* the last answers come in */
	before = accepted;
	usleep(4800000);
	assert_int_equal(accepted, before);
	assert_true(refused_down > 8);
	cut = false;
	senders_end();
}

/* Batches are run but nobody hears of it, nor of the first try to find out. */
static void
test_answers_lost(void **state)
{
	(void)state;
	NEEDS_SERVER();
	senders_start();
	for (int i = 1; i <= 2; i++) {
		lose_leases = i;
		lose_batches = 1;
		wait_until(busy_store, true);
		wait_until(busy_store, false);
		assert_int_equal(lose_batches, 0);
		assert_int_equal(lose_leases, 0);
	}
	assert_true(refused_down > 0);
	senders_end();
}

/* --- failover ----------------------------------------------------------- */

static long long
offset_of(const struct server *s)
{
	char answer[4096] = "";
	const char *at;

	ask(s, "INFO replication", answer);
	at = strstr(answer, "\nmaster_repl_offset:");
	return at ? strtoll(at + 20, NULL, 10) : -1;
}

/* The replica has all that the other has said so far. */
static void
wait_replicated(void)
{
	long long wanted = offset_of(&servers[0]);

	for (int i = 0; i < 1000 && offset_of(&servers[1]) < wanted; i++)
		usleep(10000);
	assert_true(offset_of(&servers[1]) >= wanted);
}

static void
test_failover(void **state)
{
	const char *replica[] = { "--replicaof", "127.0.0.1", NULL, NULL };
	struct store_window w = window("user=x", HOUR, 10, 1);
	struct store_held *late;
	struct store *st;
	char port[16], as[120];

	(void)state;
	NEEDS_SERVER();
	server_start(0, NULL);
	snprintf(port, sizeof(port), "%d", servers[0].port);
	replica[2] = port;
	server_start(1, replica);
	wait_says(&servers[1], "INFO replication", "master_link_status:up");
	/* the replica stands first, and may not be written to */
	snprintf(as, sizeof(as),
	    "redis://127.0.0.1:%d,127.0.0.1:%d"
	    "?clock=client",
	    servers[1].port, servers[0].port);
	st = open_as(as);
	wait_until(st, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(store_reserve(st, &w, 1, &late, NULL), STORE_OK);
	wait_replicated();
	server_kill(&servers[0]);
	assert_int_equal(store_commit(st, &late), STORE_DOWN);
	store_keep(st, &late);
	wait_until(st, true);
	talk_to(&servers[1]);
	redis_say("REPLICAOF NO ONE");
	wait_until(st, false);
	/* four, and the one that was kept while nobody answered */
	assert_int_equal(used(st, "user=x", HOUR), 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(charge(st, w), STORE_OK);
	assert_int_equal(charge(st, w), STORE_OVER);
	store_close(&st);
}

/* --- TLS ---------------------------------------------------------------- */

/* Two authorities; the first has signed for "localhost". */
static bool
make_certificates(void)
{
	char command[1200];
	int status;
	pid_t pid;

	snprintf(command, sizeof(command),
	    "exec 2>/dev/null; cd %s && for ca in ca other; do openssl req "
	    "-x509 -newkey rsa:2048"
	    " -nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem"
	    " -addext basicConstraints=critical,CA:TRUE; done &&"
	    " openssl req -newkey rsa:2048 -nodes -subj /CN=localhost"
	    " -keyout server.key -out server.csr &&"
	    " echo subjectAltName=DNS:localhost >ext &&"
	    " openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key"
	    " -CAcreateserial -days 2 -extfile ext -out server.pem",
	    dir);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void
test_tls(void **state)
{
	char certificate[100], key[100], authority[100], as[300];
	const char *more[] = { "--tls-port", "PORT", "--tls-cert-file",
		certificate, "--tls-key-file", key, "--tls-ca-cert-file",
		authority, "--tls-auth-clients", "no", NULL };
	struct store *st;

	(void)state;
	NEEDS_SERVER();
	if (!make_certificates())
		skip();
	snprintf(certificate, sizeof(certificate), "%s/server.pem", dir);
	snprintf(key, sizeof(key), "%s/server.key", dir);
	snprintf(authority, sizeof(authority), "%s/ca.pem", dir);
	server_start(0, more);
	snprintf(as, sizeof(as), "rediss://localhost:%d?ca=%s&clock=client",
	    servers[0].port, authority);
	st = open_as(as);
	assert_false(is_down(st));
	assert_int_equal(charge(st, window("a", HOUR, 1, 1)), STORE_OK);
	assert_int_equal(charge(st, window("a", HOUR, 1, 1)), STORE_OVER);
	store_close(&st);
	senders_run(as);
	usleep(300000);
	assert_int_equal(refused_down, 0);
	assert_true(accepted > 8);
	senders_join();
	/* an authority that did not sign, a name that was not signed for, and
	 * no TLS at all */
	snprintf(as, sizeof(as),
	    "rediss://localhost:%d?ca=%s/other.pem&clock=client",
	    servers[0].port, dir);
	st = open_as(as);
	assert_true(is_down(st));
	assert_int_equal(charge(st, window("b", HOUR, 1, 1)), STORE_DOWN);
	store_close(&st);
	snprintf(as, sizeof(as), "rediss://127.0.0.1:%d?ca=%s&clock=client",
	    servers[0].port, authority);
	st = open_as(as);
	assert_true(is_down(st));
	store_close(&st);
	snprintf(as, sizeof(as), "redis://localhost:%d?clock=client",
	    servers[0].port);
	st = open_as(as);
	assert_true(is_down(st));
	store_close(&st);
}

/* --- a cluster ---------------------------------------------------------- */

static void
test_cluster(void **state)
{
	const char *more[] = { "--cluster-enabled", "yes", NULL };
	struct store *st[2];
	char line[100], as[100];
	int passed = 0;

	(void)state;
	NEEDS_SERVER();
	server_start(0, more);
	server_start(1, more);
	talk_to(&servers[0]);
	redis_say("CLUSTER ADDSLOTSRANGE 0 8191");
	talk_to(&servers[1]);
	redis_say("CLUSTER ADDSLOTSRANGE 8192 16383");
	snprintf(line, sizeof(line), "CLUSTER MEET 127.0.0.1 %d",
	    servers[0].port);
	redis_say(line);
	for (int i = 0; i < 2; i++)
		wait_says(&servers[i], "CLUSTER INFO", "cluster_state:ok");
	/* one of the two is sent elsewhere */
	for (int i = 0; i < 2; i++) {
		snprintf(as, sizeof(as), "redis://127.0.0.1:%d?clock=client",
		    servers[i].port);
		st[i] = open_as(as);
		assert_false(is_down(st[i]));
	}
	for (int i = 0; i < 20; i++)
		passed +=
		    charge(st[i % 2], window("user=x", HOUR, 7, 1)) == STORE_OK;
	assert_int_equal(passed, 7);
	assert_int_equal(charge(st[0], member("user=x", HOUR, 1, "m")),
	    STORE_OK);
	assert_int_equal(charge(st[1], member("user=x", HOUR, 1, "n")),
	    STORE_OVER);
	store_close(&st[0]);
	store_close(&st[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, network_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_cut_off),
		T(test_answers_lost),
		T(test_failover),
		T(test_tls),
		T(test_cluster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
