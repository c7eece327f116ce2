#include "check/dkim.h"

#include <string.h>

#include "base/clock.h"
#include "check/dkim_canon.h"
#include "check/dkim_key.h"
#include "check/dkim_signature.h"

#define CLOCK_SLACK 3600 /* seconds that a signer's clock may be ahead */

/* One DKIM-Signature field of the message. */
struct track {
	struct dkim_signature *report;
	const struct header *field;
	struct dkim_tags tags;
	bool live; /* it can be verified */
	struct body_track *body;
	struct lookup *key;
	size_t ndigest; /* of the header */
	unsigned char digest[DKIM_DIGEST_MAX];
};

/* A body hash; signatures that want the same one share it. */
struct body_track {
	struct dkim_body body;
	bool sha1;
	size_t ndigest;
	unsigned char digest[DKIM_DIGEST_MAX];
};

struct dkim_state {
	struct resolver *resolver;
	int64_t deadline;
	struct track tracks[DKIM_MAX_SIGNATURES];
	size_t ntracks;
	struct body_track *bodies[DKIM_MAX_SIGNATURES];
	size_t nbodies;
	unsigned int froms; /* From fields of the message */
	bool eoh, eom;
};

bool
dkim_global_init(void)
{
	return true;
}

void
dkim_global_free(void)
{
	dkim_keys_forget();
}

static void
state_free(void *arg)
{
	struct dkim_state *state = arg;
	size_t i;

	for (i = 0; i < state->nbodies; i++)
		dkim_hash_drop(&state->bodies[i]->body.hash);
}

static struct dkim_state *
state_get(struct txn *txn)
{
	struct dkim_result **r = &txn->checks->dkim;
	struct dkim_state *state;

	if (*r)
		return (*r)->state;
	state = arena_alloc(txn->arena, sizeof(*state));
	*r = arena_alloc(txn->arena, sizeof(**r));
	if (*r == NULL || state == NULL ||
	    !arena_cleanup(txn->arena, state_free, state)) {
		*r = NULL;
		return NULL;
	}
	state->resolver = txn->checks->services->resolver;
	(*r)->state = state;
	return state;
}

static void
start_key(struct txn *txn, struct dkim_state *state, struct track *t)
{
	struct str name = arena_printf(txn->arena, "%.*s._domainkey.%.*s",
	    STR_FMT(t->tags.s), STR_FMT(t->tags.d));

	if (name.p == NULL)
		return;
	t->key = resolver_start(state->resolver, name, DNS_TXT);
	check_keep_lookup(txn->arena, t->key);
	if (arena_overflowed(txn->arena))
		t->key = NULL;
}

static void
judge(struct track *t, enum auth_result result, const char *problem)
{
	t->report->result = result;
	t->report->problem = str_of(problem);
}

static void
add_signature(struct txn *txn, struct dkim_state *state, const struct header *h)
{
	struct dkim_signature **tail = &txn->checks->dkim->signatures;
	struct dkim_signature *sig = arena_alloc(txn->arena, sizeof(*sig));
	struct track *t = &state->tracks[state->ntracks];
	const char *why = NULL;

	if (sig == NULL)
		return;
	while (*tail)
		tail = &(*tail)->next;
	*tail = sig;
	t->report = sig;
	t->field = h;
	state->ntracks++;
	t->live = dkim_tags_parse(txn->arena, h->value, &t->tags, &why);
	sig->domain = t->tags.d;
	sig->selector = t->tags.s;
	sig->algorithm = t->tags.a;
	sig->identity = t->tags.i;
	sig->b = t->tags.b;
	if (t->live)
		start_key(txn, state, t);
	else
		judge(t, AUTH_NEUTRAL, why ? why : "out of memory");
}

void
dkim_feed_header(struct txn *txn, const struct header *h)
{
	bool signature = str_ieq(h->name, STR("DKIM-Signature"));
	bool from = str_ieq(h->name, STR("From"));
	struct dkim_state *state;

	if ((!signature && !from) || (state = state_get(txn)) == NULL)
		return;
	if (from)
		state->froms++;
	else if (state->ntracks < DKIM_MAX_SIGNATURES)
		add_signature(txn, state, h);
}

/* Section 3.7: the fields that h= names, then the signature itself. */
static void
hash_header(const struct headers *headers, struct track *t)
{
	bool relaxed = t->tags.relaxed_header;
	struct dkim_hash hash;

	dkim_hash_begin(&hash, t->tags.sha1);
	dkim_hash_fields(&hash, headers, t->tags.h, DKIM_NAMES_MAX, t->field,
	    relaxed);
	dkim_hash_signature(&hash, t->field->name, t->field->value,
	    t->tags.b_from, t->tags.b_to, relaxed);
	t->ndigest = dkim_hash_end(&hash, t->digest);
}

static struct body_track *
body_get(struct arena *arena, struct dkim_state *state,
    const struct dkim_tags *tags)
{
	uint64_t limit = tags->have_l ? tags->l : DKIM_NO_LIMIT;
	struct body_track *b;
	size_t i;

	for (i = 0; i < state->nbodies; i++) {
		b = state->bodies[i];
		if (b->body.relaxed == tags->relaxed_body &&
		    b->body.limit == limit && b->sha1 == tags->sha1)
			return b;
	}
	b = arena_alloc(arena, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->sha1 = tags->sha1;
	dkim_body_begin(&b->body, tags->relaxed_body, tags->sha1, limit);
	state->bodies[state->nbodies++] = b;
	return b;
}

void
dkim_feed_eoh(struct txn *txn)
{
	struct dkim_state *state = state_get(txn);
	struct track *t;
	size_t i;

	if (state == NULL || state->eoh)
		return;
	state->eoh = true;
	for (i = 0; i < state->ntracks; i++) {
		t = &state->tracks[i];
		if (t->live && txn->headers.truncated) {
			t->live = false;
			judge(t, AUTH_NEUTRAL, "the header is too large");
		}
		if (!t->live)
			continue;
		hash_header(&txn->headers, t);
		t->body = body_get(txn->arena, state, &t->tags);
		t->live = t->body != NULL;
	}
}

void
dkim_feed_body(struct txn *txn, const void *data, size_t n)
{
	struct dkim_state *state = state_get(txn);
	size_t i;

	if (state == NULL || state->eom)
		return;
	for (i = 0; i < state->nbodies; i++)
		dkim_body_add(&state->bodies[i]->body, data, n);
}

static bool
is_temporary(enum dns_status status)
{
	return status == DNS_SERVFAIL || status == DNS_TIMEOUT;
}

/*
 * What several TXT records at one selector mean is not defined (section
 * 3.6.2.2); the first that fits the signature is taken.  *why is the last
 * one's.
 */
static bool
choose_record(struct arena *a, const struct dns_answer *answer, struct track *t,
    struct dkim_record *record, const char **why)
{
	size_t i;

	*why = "there is no key";
	for (i = 0; i < answer->count; i++) {
		*why = dkim_record_parse(a, answer->records[i].data, record);
		if (*why == NULL)
			*why = dkim_record_fits(record, t->tags.a);
		if (*why == NULL)
			return true;
	}
	return false;
}

/* The result of a signature that has no key is set here. */
static struct evp_pkey_ctx_st *
find_key(struct arena *a, const struct dkim_state *state, struct track *t,
    struct dkim_record *record)
{
	const struct dns_answer *answer;
	struct evp_pkey_ctx_st *key = NULL;
	const char *why = "there is no key";

	if (t->key == NULL) {
		judge(t, AUTH_TEMPERROR, "out of memory");
		return NULL;
	}
	answer = lookup_wait(t->key, state->deadline);
	if (is_temporary(answer->status)) {
		judge(t, AUTH_TEMPERROR, dns_status_word(answer->status));
		return NULL;
	}
	if (answer->status == DNS_OK &&
	    choose_record(a, answer, t, record, &why)) {
		why = "the key can't be read";
		key = dkim_key_get(record);
	}
	if (key == NULL)
		judge(t, AUTH_PERMERROR, why);
	return key;
}

static bool
body_matches(const struct track *t)
{
	unsigned char bh[DKIM_DIGEST_MAX];
	size_t n;

	return t->body->ndigest > 0 &&
	    dkim_base64_decode(t->tags.bh, bh, sizeof(bh), &n) &&
	    n == t->body->ndigest && memcmp(bh, t->body->digest, n) == 0;
}

/* The signature is valid; is it one that we take? */
static void
judge_valid(const struct dkim_state *state, struct track *t)
{
	unsigned int bits = t->report->key_bits;

	if (t->tags.sha1)
		judge(t, AUTH_POLICY, "rsa-sha1 is too weak");
	else if (bits > 0 && bits < DKIM_KEY_BITS_MIN)
		judge(t, AUTH_POLICY, "the key is too short");
	else if (t->tags.have_l && t->tags.l < t->body->body.length)
		judge(t, AUTH_POLICY, "l= leaves content unsigned");
	else if (t->tags.from_signed < state->froms)
		judge(t, AUTH_POLICY, "a From field is not signed");
	else
		judge(t, AUTH_PASS, "");
}

static void
judge_with_key(const struct dkim_state *state, struct track *t,
    struct evp_pkey_ctx_st *key)
{
	int64_t now = clock_wall_ms() / 1000;

	if (t->ndigest == 0 || t->body->ndigest == 0)
		judge(t, AUTH_TEMPERROR, "the hash failed");
	else if (t->tags.have_x && (int64_t)t->tags.x < now)
		judge(t, AUTH_FAIL, "the signature has expired");
	else if ((int64_t)t->tags.t > now + CLOCK_SLACK)
		judge(t, AUTH_FAIL, "the signature is of the future");
	else if (t->tags.have_l && t->tags.l > t->body->body.length)
		judge(t, AUTH_FAIL, "l= is more than there is");
	else if (!body_matches(t))
		judge(t, AUTH_FAIL, "the body hash does not verify");
	else if (!dkim_key_verifies(key, t->digest, t->ndigest, t->tags.b))
		judge(t, AUTH_FAIL, "the signature does not verify");
	else
		judge_valid(state, t);
}

static void
judge_signature(struct arena *a, const struct dkim_state *state,
    struct track *t)
{
	struct dkim_record record;
	struct evp_pkey_ctx_st *key = find_key(a, state, t, &record);

	if (key == NULL)
		return;
	t->report->key_bits = dkim_key_bits(dkim_key_itself(key));
	t->report->testing = record.testing;
	if (record.strict && !dkim_identity_strict(&t->tags))
		judge(t, AUTH_PERMERROR, "the key is not for subdomains");
	else
		judge_with_key(state, t, key);
	dkim_key_free(key);
	if (record.testing && t->report->result != AUTH_PASS)
		t->report->result = AUTH_NEUTRAL;
}

static void
judge_all(struct txn *txn, struct dkim_state *state)
{
	struct body_track *b;
	size_t i;

	state->eom = true;
	for (i = 0; i < state->nbodies; i++) {
		b = state->bodies[i];
		b->ndigest = dkim_body_end(&b->body, b->digest);
	}
	for (i = 0; i < state->ntracks; i++)
		if (state->tracks[i].live)
			judge_signature(txn->arena, state, &state->tracks[i]);
}

/* Best first. */
static const enum auth_result order[] = { AUTH_PASS, AUTH_TEMPERROR,
	AUTH_POLICY, AUTH_FAIL, AUTH_PERMERROR, AUTH_NEUTRAL };

static void
choose_best(struct dkim_result *r)
{
	const struct dkim_signature *s;
	size_t i;

	r->result = AUTH_NONE;
	r->domain = STR("");
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		for (s = r->signatures; s; s = s->next)
			if (s->result == order[i]) {
				r->result = s->result;
				r->domain = s->domain;
				return;
			}
}

const struct dkim_result *
dkim_check(struct txn *txn)
{
	struct dkim_result *r = txn->checks->dkim;
	struct dkim_state *state;

	if (r && r->result != AUTH_UNKNOWN)
		return r;
	dkim_feed_eoh(txn);
	state = state_get(txn);
	if (state == NULL || arena_overflowed(txn->arena))
		return NULL;
	state->deadline = check_deadline(txn->session);
	judge_all(txn, state);
	if (arena_overflowed(txn->arena))
		return NULL;
	r = txn->checks->dkim;
	choose_best(r);
	return r;
}
