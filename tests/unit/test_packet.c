#include <sys/socket.h>
#include <sys/time.h>

#include <libmilter/mfapi.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "milter/packet.h"

#define TIMED_OUT	1	/* libmilter's words for why there is nothing */
#define ENDED		5
#define TOO_LARGE	7

char *mi_rd_cmd(int fd, struct timeval *timeout, char *command, size_t *len,
    char *name);
int mi_wr_cmd(int fd, struct timeval *timeout, int command, char *data,
    size_t len);

static int mta, filter;		/* both ends of a connection */
static struct packets packets;

/* What the engine asks before it reads. */
static bool
readable(void)
{
	struct pollfd pfd = { .fd = filter, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static int
setup(void **state)
{
	const struct timeval soon = { .tv_usec = 20000 };
	int fd[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
		return -1;
	mta = fd[0];
	filter = fd[1];
	packets_begin(&packets, filter, &soon);
	return readable() ? -1 : 0;	/* the engine asks first */
}

static int
teardown(void **state)
{
	(void)state;
	close(filter);
	return close(mta);
}

static void
send_bytes(const void *p, size_t n)
{
	assert_int_equal(write(mta, p, n), n);
}

static void
send_command(char command, size_t n, char fill)
{
	size_t len = n + 1;
	char *p = malloc(n + 5);

	p[0] = (char)(len >> 24);
	p[1] = (char)(len >> 16);
	p[2] = (char)(len >> 8);
	p[3] = (char)len;
	p[4] = command;
	memset(p + 5, fill, n);
	send_bytes(p, n + 5);
	free(p);
}

static char
receive(size_t n, char fill)
{
	struct timeval soon = { .tv_usec = 20000 };
	char command, name[] = "test", *data;
	size_t len = 4711, i;

	data = mi_rd_cmd(filter, &soon, &command, &len, name);
	assert_int_equal(len, n);
	assert_int_equal(data != NULL, n > 0);
	for (i = 0; i < n; i++)
		assert_int_equal(data[i], fill);
	free(data);
	return command;
}

/* There is something to read until the last one is handed out. */
static void
test_many_at_once(void **state)
{
	(void)state;
	send_command('L', 20, 'l');
	send_command('N', 0, ' ');
	send_command('B', 300, 'b');
	packets_wait(&packets);
	assert_true(readable());
	assert_int_equal(receive(20, 'l'), 'L');
	assert_true(readable());
	/* What comes meanwhile is not lost. */
	send_command('E', 0, ' ');
	assert_int_equal(receive(0, ' '), 'N');
	assert_true(readable());
	assert_int_equal(receive(300, 'b'), 'B');
	packets_wait(&packets);
	assert_true(readable());
	assert_int_equal(receive(0, ' '), 'E');
	assert_false(readable());
	assert_int_equal(receive(0, ' '), TIMED_OUT);
	assert_true(readable());
}

static void
test_not_whole(void **state)
{
	static const unsigned char half[] = { 0, 0, 0, 3, 'L' };

	(void)state;
	send_command('D', 5, 'd');
	send_bytes(half, sizeof(half));
	assert_int_equal(receive(5, 'd'), 'D');
	assert_true(readable());
	assert_int_equal(receive(0, ' '), TIMED_OUT);
}

static void
test_in_pieces(void **state)
{
	static const unsigned char begin[] = { 0, 0 }, end[] = { 0, 3, 'L' };

	(void)state;
	send_command('D', 5, 'd');
	send_bytes(begin, sizeof(begin));
	assert_int_equal(receive(5, 'd'), 'D');
	send_bytes(end, sizeof(end));
	send_bytes("ll", 2);
	assert_int_equal(receive(2, 'l'), 'L');
	assert_false(readable());
}

/* More than is read at once. */
static void
test_large(void **state)
{
	(void)state;
	send_command('L', 10, 'l');
	send_command('B', PACKET_BYTES, 'b');
	send_command('E', 0, ' ');
	assert_int_equal(receive(10, 'l'), 'L');
	assert_int_equal(receive(PACKET_BYTES, 'b'), 'B');
	assert_int_equal(receive(0, ' '), 'E');
	assert_false(readable());
}

/* As large as there is room for, to the byte. */
static void
test_full(void **state)
{
	(void)state;
	send_command('B', PACKET_BYTES - 5, 'b');
	send_command('E', 0, ' ');
	assert_int_equal(receive(PACKET_BYTES - 5, 'b'), 'B');
	assert_int_equal(receive(0, ' '), 'E');
	assert_false(readable());
}

static void
test_lengths_that_lie(void **state)
{
	static const unsigned char huge[] = { 255, 255, 255, 255, 'B', 'b' };
	static const unsigned char much[] = { 0x7f, 255, 255, 255, 'B', 'b' };
	static const unsigned char none[] = { 0, 0, 0, 0, 'N' };
	const struct timeval soon = { .tv_usec = 20000 };

	(void)state;
	send_bytes(none, sizeof(none));
	assert_int_equal(receive(0, ' '), 'N');
	send_bytes(huge, sizeof(huge));
	assert_int_equal(receive(0, ' '), TOO_LARGE);
	packets_begin(&packets, filter, &soon);
	assert_false(readable());
	send_bytes(much, sizeof(much));
	assert_int_equal(receive(0, ' '), TOO_LARGE);
}

static void
test_end(void **state)
{
	(void)state;
	send_command('Q', 0, ' ');
	shutdown(mta, SHUT_WR);
	assert_int_equal(receive(0, ' '), 'Q');
	packets_wait(&packets);
	assert_true(readable());
	assert_int_equal(receive(0, ' '), ENDED);
}

/* An engine that does not ask us, and a thread that never began. */
static void
test_not_asked(void **state)
{
	const struct timeval soon = { .tv_usec = 20000 };
	char c;

	(void)state;
	packets_begin(&packets, filter, &soon);
	send_command('L', 3, 'l');
	send_command('E', 0, ' ');
	packets_wait(&packets);
	assert_int_equal(receive(3, 'l'), 'L');
	assert_int_equal(receive(0, ' '), 'E');
	/* One that is silent for too long is hung up on. */
	packets_wait(&packets);
	assert_int_equal(recv(mta, &c, 1, MSG_DONTWAIT), 0);
}

static void
test_without(void **state)
{
	(void)state;
	packets_end();
	send_command('L', 3, 'l');
	send_command('E', 0, ' ');
	assert_int_equal(receive(3, 'l'), 'L');
	assert_int_equal(receive(0, ' '), 'E');
}

/* --- answers ------------------------------------------------------------ */

static int
answer(int command, size_t n, char fill)
{
	struct timeval soon = { .tv_usec = 20000 };
	char *data = malloc(n + 1);
	int rc;

	memset(data, fill, n);
	rc = mi_wr_cmd(filter, &soon, command, n > 0 ? data : NULL, n);
	free(data);
	return rc;
}

/* The MTA's next packet. */
static void
assert_answer(char command, size_t n, char fill)
{
	unsigned char head[5];
	char *data = malloc(n + 1);
	size_t i;

	assert_int_equal(recv(mta, head, 5, MSG_DONTWAIT), 5);
	assert_int_equal(head[0], 0);
	assert_int_equal(head[1] << 16 | head[2] << 8 | head[3], n + 1);
	assert_int_equal(head[4], command);
	if (n > 0)
		assert_int_equal(recv(mta, data, n, MSG_WAITALL), n);
	for (i = 0; i < n; i++)
		assert_int_equal(data[i], fill);
	free(data);
}

static void
assert_no_answer(void)
{
	char c;

	assert_int_equal(recv(mta, &c, 1, MSG_DONTWAIT), -1);
}

static void
test_edits_wait(void **state)
{
	(void)state;
	assert_int_equal(answer('c', 0, ' '), MI_SUCCESS);
	assert_answer('c', 0, ' ');
	assert_int_equal(answer('h', 30, 'h'), MI_SUCCESS);
	assert_int_equal(answer('m', 3, 'm'), MI_SUCCESS);
	assert_no_answer();
	assert_int_equal(answer('y', 5, 'y'), MI_SUCCESS);
	assert_answer('h', 30, 'h');
	assert_answer('m', 3, 'm');
	assert_answer('y', 5, 'y');
	assert_no_answer();
}

/* They keep their order, whoever writes them. */
static void
test_edits_that_are_large(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(answer('h', 100, 'h'), MI_SUCCESS);
	assert_int_equal(answer('i', PACKET_ANSWER, 'i'), MI_SUCCESS);
	assert_int_equal(answer('m', 100, 'm'), MI_SUCCESS);
	assert_int_equal(answer('c', 0, ' '), MI_SUCCESS);
	assert_answer('h', 100, 'h');
	assert_answer('i', PACKET_ANSWER, 'i');
	assert_answer('m', 100, 'm');
	assert_answer('c', 0, ' ');
	for (i = 0; i < 20; i++)
		assert_int_equal(answer('h', 995, 'h'), MI_SUCCESS);
	assert_int_equal(answer('a', 0, ' '), MI_SUCCESS);
	for (i = 0; i < 20; i++)
		assert_answer('h', 995, 'h');
	assert_answer('a', 0, ' ');
	assert_no_answer();
}

/* As much as there is room for, to the byte. */
static void
test_answer_full(void **state)
{
	(void)state;
	assert_int_equal(answer('h', PACKET_ANSWER - 10, 'h'), MI_SUCCESS);
	assert_no_answer();
	assert_int_equal(answer('c', 0, ' '), MI_SUCCESS);
	assert_answer('h', PACKET_ANSWER - 10, 'h');
	assert_answer('c', 0, ' ');
	assert_int_equal(answer('h', PACKET_ANSWER - 9, 'h'), MI_SUCCESS);
	assert_int_equal(answer('c', 0, ' '), MI_SUCCESS);
	assert_answer('h', PACKET_ANSWER - 9, 'h');
	assert_answer('c', 0, ' ');
}

static void
test_nobody_reads(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100000 && answer('p', 1000, 'p') == MI_SUCCESS; i++)
		continue;
	assert_in_range(i, 1, 99999);
	shutdown(mta, SHUT_RD);
	assert_int_equal(answer('c', 0, ' '), MI_FAILURE);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_many_at_once),
		TEST(test_not_whole),
		TEST(test_in_pieces),
		TEST(test_large),
		TEST(test_full),
		TEST(test_lengths_that_lie),
		TEST(test_end),
		TEST(test_not_asked),
		TEST(test_without),
		TEST(test_edits_wait),
		TEST(test_edits_that_are_large),
		TEST(test_answer_full),
		TEST(test_nobody_reads),
	};

	smfi_setmaxdatasize(100000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
