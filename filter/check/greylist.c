#include "check/greylist.h"

#include <string.h>

#include "base/clock.h"
#include "check/key.h"

#define TRIPLE_SPACE STR("greylist")
#define NET_SPACE    STR("greylist-net")
#define RENEW_MS     (24 * 3600 * 1000LL)

/* What is kept about a triple: when it was first seen, and whether it has
 * come back; "WAIT 1700000000000" or "PASS 1700000000000". */
struct triple {
	bool known;
	int64_t since_ms;
};

static bool
triple_read(const struct buf *b, struct triple *t)
{
	struct str rest, word = str_cut(buf_str(b), ' ', &rest);
	uint64_t ms;

	if (rest.p == NULL || !str_u64(rest, &ms))
		return false;
	t->known = str_eq(word, STR("PASS"));
	t->since_ms = (int64_t)ms;
	return true;
}

static enum store_result
triple_write(struct store *store, struct str key, const struct triple *t,
    int64_t expires_ms)
{
	struct buf b = BUF_INIT(64);
	enum store_result result;

	buf_printf(&b, "%s %lld", t->known ? "PASS" : "WAIT",
	    (long long)t->since_ms);
	result =
	    store_note_put(store, TRIPLE_SPACE, key, buf_str(&b), expires_ms);
	buf_free(&b);
	return result;
}

static struct str
triple_key(struct txn *txn, struct str *net)
{
	static const struct key client = { .parts = { { KEY_CLIENT, 24, 0 } },
		.count = 1 };
	static const struct key rcpt = { .parts = { { KEY_RCPT, 0, 0 } },
		.count = 1 };
	static const struct key sender = { .parts = { { KEY_SENDER, 0, 0 } },
		.count = 1 };
	struct str from = key_make(txn->arena, txn->session, &sender);
	struct str to = key_make(txn->arena, txn->session, &rcpt);

	*net = key_make(txn->arena, txn->session, &client);
	if (net->p == NULL || to.p == NULL)
		return STR_NONE;
	return arena_printf(txn->arena, "%.*s+%.*s+%.*s", STR_FMT(*net),
	    STR_FMT(from), STR_FMT(to));
}

/* How many triples of the network have passed. */
static enum store_result
net_passes(struct store *store, struct str net, uint64_t *passes,
    int64_t *expires_ms)
{
	struct buf b = BUF_INIT(STORE_VALUE_MAX);
	enum store_result result;

	*passes = 0;
	*expires_ms = 0;
	result = store_note_get(store, NET_SPACE, net, &b, expires_ms);
	if (result == STORE_OK && !str_u64(buf_str(&b), passes))
		*passes = 0;
	buf_free(&b);
	return result;
}

static enum store_result
net_write(struct store *store, struct str net, uint64_t passes, int64_t now)
{
	struct buf b = BUF_INIT(32);
	enum store_result result;

	buf_printf(&b, "%llu", (unsigned long long)passes);
	result = store_note_put(store, NET_SPACE, net, buf_str(&b),
	    now + GREYLIST_KNOWN_MS);
	buf_free(&b);
	return result;
}

static enum greylist_answer
first_seen(struct store *store, struct str key, int64_t now, int64_t delay_ms,
    int64_t *retry_ms)
{
	struct triple t = { .known = false, .since_ms = now };

	*retry_ms = delay_ms;
	if (triple_write(store, key, &t, now + GREYLIST_RETRY_MS) == STORE_DOWN)
		return GREYLIST_UNKNOWN;
	return GREYLIST_WAIT;
}

/* A triple that may pass is remembered; once a day is often enough. */
static enum greylist_answer
let_pass(struct store *store, struct str key, struct str net,
    const struct triple *t, int64_t expires_ms)
{
	int64_t now = clock_wall_ms(), net_expires;
	struct triple known = { .known = true, .since_ms = t->since_ms };
	uint64_t passes;

	if (t->known && expires_ms - now > GREYLIST_KNOWN_MS - RENEW_MS)
		return GREYLIST_PASS;
	if (triple_write(store, key, &known, now + GREYLIST_KNOWN_MS) ==
	    STORE_DOWN)
		return GREYLIST_UNKNOWN;
	if (!t->known) {
		net_passes(store, net, &passes, &net_expires);
		net_write(store, net, passes + 1, now);
	}
	return GREYLIST_PASS;
}

static bool
net_is_known(struct store *store, struct str net)
{
	int64_t now = clock_wall_ms(), expires_ms;
	uint64_t passes;

	net_passes(store, net, &passes, &expires_ms);
	if (passes < GREYLIST_AUTO)
		return false;
	if (expires_ms - now <= GREYLIST_KNOWN_MS - RENEW_MS)
		net_write(store, net, passes, now);
	return true;
}

static enum greylist_answer
judge(struct store *store, struct str key, struct str net, int64_t delay_ms,
    int64_t *retry_ms)
{
	int64_t now = clock_wall_ms(), expires_ms = 0;
	struct buf b = BUF_INIT(STORE_VALUE_MAX);
	struct triple t = { 0 };
	bool seen;

	if (net_is_known(store, net))
		return GREYLIST_PASS;
	seen = store_note_get(store, TRIPLE_SPACE, key, &b, &expires_ms) ==
		STORE_OK &&
	    triple_read(&b, &t);
	buf_free(&b);
	if (!seen)
		return first_seen(store, key, now, delay_ms, retry_ms);
	if (!t.known && now < t.since_ms + delay_ms) {
		*retry_ms = t.since_ms + delay_ms - now;
		if (*retry_ms > delay_ms) /* the clock was set back */
			*retry_ms = delay_ms;
		return GREYLIST_WAIT;
	}
	return let_pass(store, key, net, &t, expires_ms);
}

enum greylist_answer
greylist_check(struct txn *txn, int64_t delay_ms, int64_t *retry_ms)
{
	struct store *store;
	struct str key, net;

	*retry_ms = 0;
	if (txn->checks == NULL || txn->checks->services->store == NULL)
		return GREYLIST_UNKNOWN;
	store = txn->checks->services->store;
	key = triple_key(txn, &net);
	if (key.p == NULL) /* a local pipe: nobody to wait for */
		return arena_overflowed(txn->arena) ? GREYLIST_UNKNOWN :
						      GREYLIST_PASS;
	return judge(store, key, net, delay_ms, retry_ms);
}
