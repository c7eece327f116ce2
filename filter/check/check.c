#include "check/check.h"

#include "base/clock.h"

static const char *const words[] = {
#define X(id, word) [AUTH_##id] = word,
	AUTH_RESULTS(X)
#undef X
};

const char *
auth_result_word(enum auth_result result)
{
	return words[result];
}

bool
auth_result_parse(struct str word, enum auth_result *result)
{
	for (int i = 0; i < AUTH_COUNT; i++) {
		if (str_ieq(str_of(words[i]), word)) {
			*result = (enum auth_result)i;
			return true;
		}
	}
	return false;
}

static struct checks *
checks_new(struct arena *arena, struct services *services)
{
	struct checks *c = arena_alloc(arena, sizeof(*c));

	if (c != NULL)
		c->services = services;
	return c;
}

struct checks *
check_attach_session(struct session *s, struct services *services)
{
	return s->checks = checks_new(s->arena, services);
}

struct checks *
check_attach_txn(struct txn *t, struct services *services)
{
	return t->checks = checks_new(t->arena, services);
}

int64_t
check_deadline(const struct session *s)
{
	int64_t stage = s->deadline;
	int64_t message = s->txn != NULL ? s->txn->deadline : 0;

	if (stage == 0 && message == 0)
		return clock_mono_ms() + CHECK_WAIT_MS;
	if (stage == 0 || message == 0)
		return stage + message;
	return stage < message ? stage : message;
}

static void
release(void *lookup)
{
	struct lookup *l = lookup;

	lookup_release(&l);
}

bool
check_keep_lookup(struct arena *arena, struct lookup *lookup)
{
	return arena_cleanup(arena, release, lookup);
}
