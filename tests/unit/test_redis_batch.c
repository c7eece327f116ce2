/*
 * Batches as bytes, and answers that nobody should believe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/redis_batch.h"

/* A batch of operations with these letters. */
static void
batch_of(struct redis_ops *q, const char *letters)
{
	redis_ops_init(q);
	for (; *letters; letters++)
		redis_ops_add(q, redis_op_new(*letters, 0, 0));
}

static void
batch_free(struct redis_ops *q)
{
	struct redis_op *op;

	while ((op = redis_ops_take(q)) != NULL)
		redis_op_free(op);
}

/* Is this the answer to a batch of these?  *first: what it made of the first
 * operation. */
static bool
answers(const char *letters, const char *bytes, size_t n,
    struct redis_op *first)
{
	redisReader *reader = redisReaderCreate();
	struct redis_ops batch;
	void *reply = NULL;
	bool ok;

	batch_of(&batch, letters);
	redisReaderFeed(reader, bytes, n);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	ok = redis_batch_read(&batch, reply);
	if (first) {
		*first = *batch.head;
		batch.head->text = NULL;
	}
	freeReplyObject(reply);
	redisReaderFree(reader);
	batch_free(&batch);
	return ok;
}

#define ANSWERS(letters, lit) answers(letters, lit, sizeof(lit) - 1, NULL)
#define NUMBERS		      "12345678ABCDEFGHabcdefgh"

static void
test_answers(void **state)
{
	/* 7.0, -1.0 and 2^52 */
	static const char three[] = "$25\r\n1"
				    "\0\0\0\0\0\0\x1c\x40"
				    "\0\0\0\0\0\0\xf0\xbf"
				    "\0\0\0\0\0\0\x30\x43\r\n";
	struct redis_op op;

	(void)state;
	assert_true(answers("R", three, sizeof(three) - 1, &op));
	assert_int_equal(op.out[0], 1);
	assert_int_equal(op.out[1], 7);
	assert_int_equal(op.out[2], -1);
	assert_int_equal(op.out[3], (int64_t)1 << 52);
	assert_true(ANSWERS("CGN", "$3\r\n020\r\n"));
	assert_true(ANSWERS("R", "$1\r\n0\r\n"));
	assert_true(ANSWERS("CRC", "$27\r\n010" NUMBERS "\r\n"));
	assert_true(ANSWERS("PRU", "$51\r\n000" NUMBERS NUMBERS "\r\n"));
	assert_true(ANSWERS("", "$0\r\n\r\n"));
	assert_true(answers("VV", "*2\r\n$2\r\n01\r\n$3\r\na\0b\r\n", 21, &op));
	assert_int_equal(op.ntext, 3);
	assert_memory_equal(op.text, "a\0b", 3);
	free(op.text);
}

/* Neither finite nor a count: nothing rather than undefined behaviour. */
static void
test_numbers_without_sense(void **state)
{
	static const char odd[] = "$25\r\n0"
				  "\0\0\0\0\0\0\xf8\x7f"
				  "\0\0\0\0\0\0\xf0\xff"
				  "\xff\xff\xff\xff\xff\xff\xef\x7f\r\n";
	struct redis_op op;

	(void)state;
	assert_true(answers("P", odd, sizeof(odd) - 1, &op));
	for (int i = 1; i < REDIS_OUT_MAX; i++)
		assert_int_equal(op.out[i], 0);
}

static void
test_wrong_answers(void **state)
{
	(void)state;
	assert_false(ANSWERS("C", "*0\r\n"));
	assert_false(ANSWERS("C", "*-1\r\n"));
	assert_false(ANSWERS("C", "*1\r\n$1\r\n0\r\n"));
	assert_false(ANSWERS("C", "+0\r\n"));
	assert_false(ANSWERS("C", "-ERR no\r\n"));
	assert_false(ANSWERS("C", "*1\r\n:0\r\n"));
	assert_false(ANSWERS("C", "$-1\r\n"));
	assert_false(ANSWERS("C", "*1\r\n*1\r\n$1\r\n0\r\n"));
	assert_false(ANSWERS("C", "$1\r\n3\r\n"));
	assert_false(ANSWERS("C", "$1\r\n/\r\n"));
	assert_false(ANSWERS("C", "$0\r\n\r\n"));
	assert_false(ANSWERS("C", "$2\r\n00\r\n"));
	assert_false(ANSWERS("", "$1\r\n0\r\n"));
	assert_false(ANSWERS("R", "$1\r\n1\r\n"));
	assert_false(ANSWERS("R", "$25\r\n0" NUMBERS "\r\n"));
	assert_false(ANSWERS("R", "$24\r\n1ABCDEFGHABCDEFGH1234567\r\n"));
	assert_false(ANSWERS("R", "$26\r\n1" NUMBERS "0\r\n"));
	/* a text too many, too few, or that is none */
	assert_false(ANSWERS("C", "*2\r\n$1\r\n0\r\n$1\r\nx\r\n"));
	assert_false(ANSWERS("V", "$1\r\n0\r\n"));
	assert_false(ANSWERS("V", "*2\r\n$1\r\n1\r\n$1\r\nx\r\n"));
	assert_false(ANSWERS("V", "*2\r\n$1\r\n0\r\n:1\r\n"));
}

static void
test_batches_are_bounded(void **state)
{
	struct redis_ops q, batch;
	struct redis_op *op;

	(void)state;
	redis_ops_init(&q);
	for (int i = 0; i < 600; i++) {
		op = redis_op_new('C', 0, 0);
		redis_op_key(op, STR("k"));
		redis_ops_add(&q, op);
	}
	redis_ops_init(&batch);
	redis_ops_batch(&q, &batch);
	assert_int_equal(batch.n, REDIS_BATCH_MAX);
	assert_int_equal(q.n, 600 - REDIS_BATCH_MAX);
	/* back where they were, in their order */
	redis_ops_put_back(&q, &batch);
	assert_int_equal(batch.n, 0);
	assert_int_equal(q.n, 600);
	q.head->nkeys = REDIS_BATCH_KEYS_MAX + 1;
	redis_ops_batch(&q, &batch);
	assert_int_equal(batch.n, 1);
	batch_free(&batch);
	batch_free(&q);
	/* nothing comes before nothing */
	redis_ops_put_back(&q, &batch);
	assert_null(redis_ops_take(&q));
	redis_ops_add(&q, redis_op_new('C', 0, 0));
	redis_ops_put_back(&batch, &q);
	assert_int_equal(batch.n, 1);
	redis_ops_add(&batch, redis_op_new('G', 0, 0));
	assert_int_equal(batch.head->next->letter, 'G');
	batch_free(&batch);
}

static void
test_written(void **state)
{
	static const char wanted[] =
	    "*8\r\n$7\r\nEVALSHA\r\n$3\r\nsha\r\n$1\r\n2\r\n$1\r\nl\r\n"
	    "$2\r\nk\0\r\n$4\r\ne:0:\r\n$4\r\ne:1:\r\n$45\r\n"
	    "\0\0\0\0\0\0\xf0\xbf" /* -1.0 */
	    "\0\0\0\0\0\x4c\xdd\x40" /* 30000.0 */
	    "\0\0\0\0\0\0\0\x40" /* 2.0 */
	    "\1\3\1\1\0" /* expire, 259 before, 1 */
	    "W\0\0\0\0\0\0\x14\x40\0\0\3\0a:b\r\n";
	struct redis_op *op = redis_op_new('W', 5, 0);
	struct buf out = BUF_INIT(SIZE_MAX);
	struct redis_ops batch;

	(void)state;
	redis_ops_init(&batch);
	redis_op_key(op, STR("k\0"));
	redis_put_text(&op->args, STR("a:b"));
	redis_ops_add(&batch, op);
	redis_batch_write(&out, &batch,
	    &(struct redis_batch_head){ .sha = STR("sha"),
		.lease = STR("l"),
		.was = STR("e:0:"),
		.is = STR("e:1:"),
		.before = 259,
		.now_ms = -1,
		.lease_ms = 30000,
		.stay_ms = 2,
		.expire = true });
	assert_int_equal(out.n, sizeof(wanted) - 1);
	assert_memory_equal(out.p, wanted, out.n);
	buf_free(&out);
	batch_free(&batch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_numbers_without_sense),
		cmocka_unit_test(test_wrong_answers),
		cmocka_unit_test(test_batches_are_bounded),
		cmocka_unit_test(test_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
