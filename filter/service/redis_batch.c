#include "service/redis_batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NUMBER_LEN 8
#define NUMBERS	   (REDIS_OUT_MAX - 1) /* of a result, besides its code */
#define HEAD_LEN   29 /* of all operations */

/* --- numbers ----------------------------------------------------------- */

static void
put_bits(struct buf *b, uint64_t bits, size_t n)
{
	char bytes[NUMBER_LEN];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(bits >> (8 * i));
	buf_add(b, bytes, n);
}

void
redis_put_number(struct buf *b, int64_t n)
{
	double number = (double)n;
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	put_bits(b, bits, NUMBER_LEN);
}

void
redis_put_short(struct buf *b, size_t n)
{
	put_bits(b, n, 2);
}

void
redis_put_text(struct buf *b, struct str s)
{
	redis_put_short(b, s.n);
	buf_addstr(b, s);
}

/* Of what the script has counted; anything else is 0. */
int64_t
redis_get_number(const char *p)
{
	uint64_t bits = 0;
	double number;

	for (size_t i = 0; i < NUMBER_LEN; i++)
		bits |= (uint64_t)(unsigned char)p[i] << (8 * i);
	memcpy(&number, &bits, sizeof(number));
	return isfinite(number) && fabs(number) < 9e15 ? (int64_t)number : 0;
}

/* --- operations -------------------------------------------------------- */

struct redis_op *
redis_op_new(char letter, int64_t first, size_t n)
{
	struct redis_op *op = mem_alloc(sizeof(*op));

	op->letter = letter;
	op->keys = BUF_INIT(SIZE_MAX);
	op->args = BUF_INIT(SIZE_MAX);
	buf_addc(&op->args, letter);
	redis_put_number(&op->args, first);
	redis_put_short(&op->args, n);
	return op;
}

void
redis_op_key(struct redis_op *op, struct str s)
{
	redis_wire_word(&op->keys, s);
	op->nkeys++;
}

void
redis_op_free(struct redis_op *op)
{
	buf_free(&op->keys);
	buf_free(&op->args);
	free(op->text);
	free(op);
}

/* --- queues ------------------------------------------------------------ */

void
redis_ops_init(struct redis_ops *q)
{
	*q = (struct redis_ops){ .tail = &q->head };
}

void
redis_ops_add(struct redis_ops *q, struct redis_op *op)
{
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
	q->n++;
}

struct redis_op *
redis_ops_take(struct redis_ops *q)
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

void
redis_ops_put_back(struct redis_ops *q, struct redis_ops *from)
{
	if (from->n == 0)
		return;
	*from->tail = q->head;
	if (q->n == 0)
		q->tail = from->tail;
	q->head = from->head;
	q->n += from->n;
	redis_ops_init(from);
}

void
redis_ops_batch(struct redis_ops *q, struct redis_ops *batch)
{
	size_t nkeys = 0;

	while (q->n && batch->n < REDIS_BATCH_MAX &&
	    (batch->n == 0 || nkeys + q->head->nkeys < REDIS_BATCH_KEYS_MAX)) {
		nkeys += q->head->nkeys;
		redis_ops_add(batch, redis_ops_take(q));
	}
}

/* --- batches ----------------------------------------------------------- */

void
redis_batch_write(struct buf *out, const struct redis_ops *batch,
    const struct redis_batch_head *head)
{
	size_t nkeys = 1, nargs = HEAD_LEN;
	char number[24];

	for (struct redis_op *op = batch->head; op; op = op->next) {
		nkeys += op->nkeys;
		nargs += op->args.n;
	}
	redis_wire_head(out, 6 + nkeys);
	redis_wire_word(out, STR("EVALSHA"));
	redis_wire_word(out, head->sha);
	snprintf(number, sizeof(number), "%zu", nkeys);
	redis_wire_word(out, str_of(number));
	redis_wire_word(out, head->lease);
	for (struct redis_op *op = batch->head; op; op = op->next)
		buf_addstr(out, buf_str(&op->keys));
	redis_wire_word(out, head->was);
	redis_wire_word(out, head->is);
	redis_wire_length(out, nargs);
	redis_put_number(out, head->now_ms);
	redis_put_number(out, head->lease_ms);
	redis_put_number(out, head->stay_ms);
	buf_addc(out, head->expire);
	redis_put_short(out, head->before);
	redis_put_short(out, batch->n);
	for (struct redis_op *op = batch->head; op; op = op->next)
		buf_addstr(out, buf_str(&op->args));
	buf_add(out, "\r\n", 2);
}

/* Does the answer have three numbers for it, besides its code? */
static bool
tells_numbers(const struct redis_op *op, char code)
{
	return op->letter == 'P' || op->letter == 'U' ||
	    (op->letter == 'R' && code == '1');
}

/* A string with all results; where notes were found a list of it and them. */
static const redisReply *
answer_results(const redisReply *r, size_t *texts)
{
	*texts = 0;
	if (r->type == REDIS_REPLY_STRING)
		return r;
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 2)
		return NULL;
	for (size_t i = 0; i < r->elements; i++)
		if (r->element[i]->type != REDIS_REPLY_STRING)
			return NULL;
	*texts = r->elements - 1;
	return r->element[0];
}

static bool
answer_fits(const struct redis_ops *batch, const redisReply *r)
{
	size_t texts, need = batch->n;
	const redisReply *all = answer_results(r, &texts);
	const char *code;

	if (all == NULL || all->len < batch->n)
		return false;
	code = all->str;
	for (struct redis_op *op = batch->head; op; op = op->next, code++) {
		if (*code < '0' || *code > '2')
			return false;
		if (op->letter == 'V' && *code == '0' && texts-- == 0)
			return false;
		if (tells_numbers(op, *code))
			need += NUMBERS * NUMBER_LEN;
	}
	return all->len == need && texts == 0;
}

bool
redis_batch_read(struct redis_ops *batch, const redisReply *r)
{
	const redisReply *text;
	const char *code, *numbers;
	size_t texts;

	if (!answer_fits(batch, r))
		return false;
	code = answer_results(r, &texts)->str;
	numbers = code + batch->n;
	texts = 1;
	for (struct redis_op *op = batch->head; op; op = op->next, code++) {
		op->out[0] = *code - '0';
		if (tells_numbers(op, *code))
			for (size_t i = 1; i <= NUMBERS; i++) {
				op->out[i] = redis_get_number(numbers);
				numbers += NUMBER_LEN;
			}
		if (op->letter == 'V' && *code == '0') {
			text = r->element[texts++];
			op->text = mem_alloc(text->len + 1);
			memcpy(op->text, text->str, text->len);
			op->ntext = text->len;
		}
	}
	return true;
}
