#include "mail/session.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

#define HEAD_END_BYTES 2 /* CR LF between header and body */

static uint64_t
session_next_id(void)
{
	static atomic_uint_least64_t last;

	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

struct session *
session_new(void)
{
	struct session *s = mem_alloc(sizeof(*s));

	s->arena = arena_new(SESSION_ARENA_CAP);
	s->id = session_next_id();
	verdict_init(&s->verdict);
	return s;
}

void
session_free(struct session **sp)
{
	struct session *s = *sp;

	if (s == NULL)
		return;
	txn_end(s);
	arena_free(&s->arena);
	free(s);
	*sp = NULL;
}

struct txn *
txn_begin(struct session *s, size_t body_max)
{
	struct txn *t;

	txn_end(s);
	t = mem_alloc(sizeof(*t));
	t->session = s;
	t->arena = arena_new(TXN_ARENA_CAP);
	body_init(&t->body, body_max);
	verdict_init(&t->verdict);
	/* If this does not fit, the arena remembers it. */
	verdict_inherit(t->arena, &t->verdict, &s->verdict);
	s->txn = t;
	return t;
}

void
txn_end(struct session *s)
{
	struct txn *t = s->txn;

	if (t == NULL)
		return;
	/* The cleanups run while the message is still whole. */
	arena_free(&t->arena);
	body_free(&t->body);
	s->txn = NULL;
	free(t);
}

struct arena *
session_arena(struct session *s)
{
	return s->txn != NULL ? s->txn->arena : s->arena;
}

struct verdict *
session_verdict(struct session *s)
{
	return s->txn != NULL ? &s->txn->verdict : &s->verdict;
}

struct rcpt *
txn_add_rcpt(struct txn *t, struct str arg)
{
	struct rcpt **tail = t->rcpt != NULL ? &t->rcpt->next : &t->rcpts;
	struct rcpt *r = arena_alloc(t->arena, sizeof(*r));

	if (r == NULL || !envelope_parse(t->arena, arg, &r->addr))
		return NULL;
	/* t->rcpt is the last one but where a caller looked back. */
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = r;
	t->rcpt = r;
	return r;
}

bool
rcpt_accepted(const struct rcpt *r)
{
	return !r->mta_refused &&
	    (r->action == ACTION_NONE || r->action == ACTION_ACCEPT ||
		r->action == ACTION_QUARANTINE);
}

uint64_t
txn_size(const struct txn *t)
{
	return t->headers.bytes + HEAD_END_BYTES + t->body.size;
}
