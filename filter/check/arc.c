#include "check/arc.h"

#include <string.h>

#include "base/clock.h"
#include "check/dkim_canon.h"
#include "check/dkim_key.h"
#include "check/dkim_signature.h"

/* For older signatures: as much of the header is hashed again. */
#define OLDEST_BYTES (4 * 1024 * 1024)

#define CLOCK_SLACK 3600 /* seconds that a signer's clock may be ahead */

/* One signature that is to be verified, a seal's or a message signature's. */
struct task {
	const struct header *field;
	const struct dkim_tags *tags;
	unsigned int instance;
	struct lookup *key;
	size_t ndigest;
	unsigned char digest[DKIM_DIGEST_MAX];
};

enum form { SIMPLE, RELAXED, FORMS };

/* A body hash; all signatures that want the same one share it. */
struct body_track {
	struct dkim_body canon;
	bool wanted;
	size_t ndigest;
	unsigned char digest[DKIM_DIGEST_MAX];
};

struct arc_state {
	struct arc_chain chain;
	struct task *seals, *signatures; /* chain.count of each */
	struct body_track bodies[FORMS];
	bool eom;
};

static enum form
form_of(const struct dkim_tags *t)
{
	return t->relaxed_body ? RELAXED : SIMPLE;
}

static void
state_free(void *arg)
{
	struct arc_state *state = arg;

	for (int form = 0; form < FORMS; form++)
		dkim_hash_drop(&state->bodies[form].canon.hash);
}

/*
 * The header is complete.
 */

static void
start_body(struct arc_state *state, const struct dkim_tags *t)
{
	struct body_track *body = &state->bodies[form_of(t)];

	if (!body->wanted)
		dkim_body_begin(&body->canon, t->relaxed_body, false,
		    DKIM_NO_LIMIT);
	body->wanted = true;
}

static bool
start_task(struct txn *txn, struct task *task, const struct header *field,
    const struct arc_tags *tags)
{
	struct str name = arena_printf(txn->arena, "%.*s._domainkey.%.*s",
	    STR_FMT(tags->dkim.s), STR_FMT(tags->dkim.d));

	if (name.p == NULL)
		return false;
	task->field = field;
	task->tags = &tags->dkim;
	task->instance = tags->i;
	task->key =
	    resolver_start(txn->checks->services->resolver, name, DNS_TXT);
	return check_keep_lookup(txn->arena, task->key);
}

/* Signatures that are not well-formed have no task. */
static bool
start_set(struct txn *txn, struct arc_state *state, unsigned int i)
{
	const struct arc_set *set = &state->chain.sets[i];

	if (!start_task(txn, &state->seals[i], set->seal, &set->as))
		return false;
	if (set->ams_problem != NULL)
		return true;
	start_body(state, &set->ams.dkim);
	return start_task(txn, &state->signatures[i], set->signature,
	    &set->ams);
}

/* false: no memory. */
static bool
start(struct txn *txn, struct arc_state *state)
{
	struct arc_chain *chain = &state->chain;
	size_t n;

	if (!arc_chain_read(txn->arena, &txn->headers, chain))
		return false;
	if (chain->count == 0 || chain->problem != NULL)
		return true;
	n = chain->count * sizeof(struct task);
	state->seals = arena_alloc(txn->arena, n);
	state->signatures = arena_alloc(txn->arena, n);
	if (state->seals == NULL || state->signatures == NULL ||
	    !arena_cleanup(txn->arena, state_free, state))
		return false;
	for (unsigned int i = chain->count; i-- > 0;)
		if (!start_set(txn, state, i))
			return false;
	return true;
}

void
arc_feed_eoh(struct txn *txn)
{
	struct arc_result *r;
	struct arc_state *state;

	/* What had no room once is not begun again with each chunk. */
	if (txn->checks->arc != NULL || arena_overflowed(txn->arena))
		return;
	r = arena_alloc(txn->arena, sizeof(*r));
	state = arena_alloc(txn->arena, sizeof(*state));
	if (r == NULL || state == NULL || !start(txn, state))
		return;
	r->state = state;
	txn->checks->arc = r;
}

void
arc_feed_body(struct txn *txn, const void *data, size_t n)
{
	struct arc_state *state;

	arc_feed_eoh(txn);
	if (txn->checks->arc == NULL)
		return;
	state = txn->checks->arc->state;
	for (int form = 0; form < FORMS && !state->eom; form++)
		if (state->bodies[form].wanted)
			dkim_body_add(&state->bodies[form].canon, data, n);
}

/*
 * The end.
 */

static void
finish_bodies(struct arc_state *state)
{
	struct body_track *body;

	for (body = state->bodies; body < state->bodies + FORMS; body++)
		if (body->wanted && !state->eom)
			body->ndigest =
			    dkim_body_end(&body->canon, body->digest);
	state->eom = true;
}

/* An answer to one question of several: what is wrong, or what is not known
 * (then the others still count). */
struct finding {
	const char *wrong, *unknown;
	const struct task *task; /* NULL: the chain as a whole */
};

/* Of several records at a selector the first that fits; NULL with *why. */
static struct evp_pkey_ctx_st *
find_key(struct arena *a, const struct dns_answer *answer, struct str algorithm,
    const char **why)
{
	struct dkim_record record;
	struct evp_pkey_ctx_st *key;

	*why = "there is no key";
	for (size_t i = 0; answer->status == DNS_OK && i < answer->count; i++) {
		*why = dkim_record_parse(a, answer->records[i].data, &record);
		if (*why == NULL)
			*why = dkim_record_fits(&record, algorithm);
		if (*why != NULL)
			continue;
		key = dkim_key_get(&record);
		*why = key != NULL ? NULL : "the key can't be read";
		return key;
	}
	return NULL;
}

static const char *
try_key(struct evp_pkey_ctx_st *key, const struct task *task)
{
	unsigned int bits = dkim_key_bits(dkim_key_itself(key));

	if (bits > 0 && bits < DKIM_KEY_BITS_MIN)
		return "the key is too short";
	if (!dkim_key_verifies(key, task->digest, task->ndigest, task->tags->b))
		return "the signature does not verify";
	return NULL;
}

static struct finding
verify(const struct txn *txn, const struct task *task)
{
	const struct dns_answer *answer =
	    lookup_wait(task->key, check_deadline(txn->session));
	struct finding f = { .task = task };
	struct evp_pkey_ctx_st *key;

	if (task->ndigest == 0)
		f.unknown = "the hash failed";
	else if (answer->status == DNS_SERVFAIL ||
	    answer->status == DNS_TIMEOUT)
		f.unknown = dns_status_word(answer->status);
	if (f.unknown != NULL)
		return f;
	key = find_key(txn->arena, answer, task->tags->a, &f.wrong);
	if (key != NULL)
		f.wrong = try_key(key, task);
	dkim_key_free(key);
	return f;
}

static bool
body_matches(const struct body_track *body, struct str bh)
{
	unsigned char want[DKIM_DIGEST_MAX];
	size_t n;

	return dkim_base64_decode(bh, want, sizeof(want), &n) &&
	    n == body->ndigest && memcmp(want, body->digest, n) == 0;
}

static const char *
body_problem(const struct arc_state *state, const struct dkim_tags *t)
{
	const struct body_track *body = &state->bodies[form_of(t)];

	if (t->have_l && t->l < body->canon.length)
		return "l= leaves content unsigned";
	if (t->have_l && t->l > body->canon.length)
		return "l= is more than there is";
	return body_matches(body, t->bh) ? NULL :
					   "the body hash does not verify";
}

static const char *
time_problem(const struct dkim_tags *t)
{
	int64_t now = clock_wall_ms() / 1000;

	if (t->have_x && t->x <= t->t)
		return "x= is not after t=";
	if (t->have_x && (int64_t)t->x < now)
		return "the signature has expired";
	if ((int64_t)t->t > now + CLOCK_SLACK)
		return "the signature is of the future";
	return NULL;
}

/* RFC 6376 section 3.7: the fields of h=, then this one without b=. */
static void
hash_message(const struct headers *headers, struct task *task)
{
	const struct dkim_tags *t = task->tags;
	struct dkim_hash hash;

	dkim_hash_begin(&hash, false);
	dkim_hash_fields(&hash, headers, t->h, DKIM_NAMES_MAX, task->field,
	    t->relaxed_header);
	dkim_hash_signature(&hash, task->field->name, task->field->value,
	    t->b_from, t->b_to, t->relaxed_header);
	task->ndigest = dkim_hash_end(&hash, task->digest);
}

static struct finding
verify_signature(struct txn *txn, struct arc_state *state, unsigned int i)
{
	struct task *task = &state->signatures[i];
	struct finding f = { .task = task };
	unsigned int froms = header_count(&txn->headers, STR("From"));

	if (state->chain.sets[i].ams_problem != NULL)
		f = (struct finding){ state->chain.sets[i].ams_problem, NULL,
			NULL };
	if (f.wrong == NULL && task->tags->from_signed < froms)
		f.wrong = "a From field is not signed";
	if (f.wrong == NULL)
		f.wrong = time_problem(task->tags);
	if (f.wrong == NULL)
		f.wrong = body_problem(state, task->tags);
	if (f.wrong != NULL)
		return f;
	hash_message(&txn->headers, task);
	return verify(txn, task);
}

static void
hash_field(struct dkim_hash *hash, const struct header *h)
{
	dkim_hash_field(hash, h->name, h->value, true);
}

/* Section 5.1.1: a seal covers all sets up to its own, oldest first, each in
 * the order results, signature, seal, and itself without b=. */
static void
hash_seals(struct arc_state *state)
{
	struct dkim_hash running, copy;

	dkim_hash_begin(&running, false);
	for (unsigned int i = 0; i < state->chain.count; i++) {
		const struct arc_set *set = &state->chain.sets[i];
		struct task *task = &state->seals[i];

		hash_field(&running, set->results);
		hash_field(&running, set->signature);
		dkim_hash_copy(&copy, &running);
		dkim_hash_signature(&copy, set->seal->name, set->seal->value,
		    set->as.dkim.b_from, set->as.dkim.b_to, true);
		task->ndigest = dkim_hash_end(&copy, task->digest);
		hash_field(&running, set->seal);
	}
	dkim_hash_drop(&running);
}

/* Newest first (section 5.2 step 6). */
static struct finding
verify_seals(struct txn *txn, struct arc_state *state)
{
	struct finding all = { 0 }, f;

	hash_seals(state);
	for (unsigned int i = state->chain.count; i-- > 0;) {
		f = verify(txn, &state->seals[i]);
		if (f.wrong != NULL)
			return f;
		if (all.unknown == NULL && f.unknown != NULL)
			all = f;
	}
	return all;
}

static struct finding
verify_chain(struct txn *txn, struct arc_state *state)
{
	struct finding signature, seals;

	signature = verify_signature(txn, state, state->chain.count - 1);
	if (signature.wrong != NULL)
		return signature;
	seals = verify_seals(txn, state);
	return seals.wrong != NULL || signature.unknown == NULL ? seals :
								  signature;
}

/* Section 5.2 step 5, for who reads the results later. */
static void
find_oldest(struct txn *txn, struct arc_result *r)
{
	struct finding f = { 0 };
	unsigned int i = r->state->chain.count - 1;
	size_t hashed = 0;

	for (; i > 0; i--) {
		f = verify_signature(txn, r->state, i - 1);
		hashed += txn->headers.bytes;
		if (hashed > OLDEST_BYTES)
			f.unknown = "the header is too large";
		if (f.wrong != NULL || f.unknown != NULL)
			break;
	}
	r->oldest_pass = i > 0 ? i + 1 : 0;
	r->oldest_known = f.unknown == NULL;
}

static bool
tell_domains(struct txn *txn, struct arc_result *r)
{
	const struct arc_chain *chain = &r->state->chain;

	r->domains =
	    arena_alloc(txn->arena, chain->count * sizeof(*r->domains));
	if (r->domains == NULL)
		return false;
	r->count = chain->count;
	for (unsigned int i = 0; i < r->count; i++)
		r->domains[i] = chain->sets[r->count - 1 - i].as.dkim.d;
	return true;
}

static void
tell_claims(struct arc_result *r)
{
	struct str first = r->state->chain.sets[0].results->value;

	r->spf = arc_results_find(first, STR("spf"), false);
	r->dkim = arc_results_find(first, STR("dkim"), true);
	r->dmarc = arc_results_find(first, STR("dmarc"), false);
}

/* "ARC-Seal i=2: there is no key" */
static struct str
explain(struct txn *txn, const struct finding *f)
{
	const char *why = f->wrong != NULL ? f->wrong : f->unknown;

	if (why == NULL || f->task == NULL)
		return str_of(why);
	return arena_printf(txn->arena, "%.*s i=%u: %s",
	    STR_FMT(f->task->field->name), f->task->instance, why);
}

static void
judge(struct txn *txn, struct arc_result *r)
{
	struct arc_state *state = r->state;
	struct finding f = { .wrong = state->chain.problem };

	r->result = AUTH_NONE;
	if (state->chain.count == 0 && f.wrong == NULL)
		return;
	finish_bodies(state);
	if (f.wrong == NULL)
		f = verify_chain(txn, state);
	r->result = f.wrong != NULL ? AUTH_FAIL :
	    f.unknown != NULL	    ? AUTH_TEMPERROR :
				      AUTH_PASS;
	r->problem = explain(txn, &f);
	if (r->result == AUTH_FAIL || !tell_domains(txn, r) ||
	    r->result != AUTH_PASS)
		return;
	tell_claims(r);
	find_oldest(txn, r);
}

const struct arc_result *
arc_check(struct txn *txn)
{
	struct arc_result *r;

	arc_feed_eoh(txn);
	r = txn->checks->arc;
	if (r == NULL || arena_overflowed(txn->arena))
		return NULL;
	if (r->result == AUTH_UNKNOWN)
		judge(txn, r);
	return arena_overflowed(txn->arena) ? NULL : r;
}
