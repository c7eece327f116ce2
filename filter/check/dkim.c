#include <opendkim/dkim.h>
#include <stdio.h>
#include <string.h>

#include "check/dkim.h"
#include "check/dkim_signature.h"
#include "check/taglist.h"

#define MIN_RSA_BITS 1024 /* RFC 8301 section 3.2 */
#define FIELD_MAX    (HEADER_MAX_BYTES * 2) /* LF becomes CRLF */

/* One DKIM-Signature field of the message. */
struct track {
	struct dkim_signature *report;
	struct dkim_tags tags;
	unsigned int nth; /* among fields of that name */
	bool live; /* given to the library */
	struct lookup *key;
	enum dns_status key_status;
	bool asked;
	const char *key_problem;
};

struct dkim_state {
	struct resolver *resolver;
	int64_t deadline;
	DKIM *handle; /* NULL: nothing to verify */
	struct track tracks[DKIM_MAX_SIGNATURES];
	size_t ntracks;
	unsigned int froms; /* From fields of the message */
	bool eoh;
	bool count_body; /* a signature has l= */
	struct dkim_length length;
};

static DKIM_LIB *library;

static bool
same_key(const struct track *t, DKIM_SIGINFO *sig)
{
	return t->live &&
	    str_ieq(t->tags.s, str_of((char *)dkim_sig_getselector(sig))) &&
	    str_ieq(t->tags.d, str_of((char *)dkim_sig_getdomain(sig)));
}

/* The library may hand out a value with its folds; a tag that it could not
 * read has none. */
static bool
same_tag(DKIM_SIGINFO *sig, const char *name, struct str want)
{
	u_char tag[4];
	const char *p;
	size_t i = 0;

	(void)snprintf((char *)tag, sizeof(tag), "%s", name);
	p = (const char *)dkim_sig_gettagvalue(sig, false, tag);
	if (p == NULL)
		return true;
	for (; *p != '\0'; p++) {
		if (chr_space((unsigned char)*p))
			continue;
		if (i == want.n || want.p[i++] != *p)
			return false;
	}
	return i == want.n;
}

/* One domain may sign several times with one key: what is judged of a
 * signature must be what was verified. */
static bool
same_signature(const struct track *t, DKIM_SIGINFO *sig)
{
	return same_key(t, sig) && same_tag(sig, "a", t->tags.a) &&
	    same_tag(sig, "bh", t->tags.bh) && same_tag(sig, "b", t->tags.b);
}

/*
 * Several TXT records at one selector are nobody's standard; the first whose
 * k= fits the signature is meant.
 */
static struct str
choose_key(const struct dns_answer *answer, struct str algorithm)
{
	size_t i;

	for (i = 0; i < answer->count; i++)
		if (dkim_key_fits(answer->records[i].data, algorithm))
			return answer->records[i].data;
	return STR_NONE;
}

/*
 * The library's question for a key.  TRYAGAIN would end its work on all
 * signatures, so a temporary failure is kept here and answered as "none".
 */
static DKIM_CBSTAT
key_lookup(DKIM *handle, DKIM_SIGINFO *sig, u_char *buf, size_t buflen)
{
	struct dkim_state *state = dkim_get_user_context(handle);
	struct str algorithm = str_of(
	    (const char *)dkim_sig_gettagvalue(sig, false, (u_char *)"a"));
	const struct dns_answer *answer;
	struct track *t = state->tracks;
	struct str key;

	while (t < state->tracks + state->ntracks &&
	    !(same_key(t, sig) && str_ieq(t->tags.a, algorithm) &&
		t->key != NULL && !t->asked))
		t++;
	if (t == state->tracks + state->ntracks)
		return DKIM_CBSTAT_NOTFOUND;
	t->asked = true;
	answer = lookup_wait(t->key, state->deadline);
	t->key_status = answer->status;
	if (answer->status != DNS_OK)
		return DKIM_CBSTAT_NOTFOUND;
	key = choose_key(answer, algorithm);
	if (key.p == NULL || key.n >= buflen) {
		t->key_problem = key.p ? "the key is too long" :
					 "the key is of another type";
		return DKIM_CBSTAT_NOTFOUND;
	}
	memcpy(buf, key.p, key.n);
	buf[key.n] = '\0';
	return DKIM_CBSTAT_CONTINUE;
}

bool
dkim_global_init(void)
{
	unsigned int flags =
	    DKIM_LIBFLAGS_DELAYSIGPROC | DKIM_LIBFLAGS_BADSIGHANDLES;
	/* Short keys are verified as well: what they are worth we say. */
	unsigned int least_bits = 1;

	library = dkim_init(NULL, NULL);
	if (library == NULL)
		return false;
	if (dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags,
		sizeof(flags)) != DKIM_STAT_OK ||
	    dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS,
		&least_bits, sizeof(least_bits)) != DKIM_STAT_OK ||
	    dkim_set_key_lookup(library, key_lookup) != DKIM_STAT_OK) {
		dkim_global_free();
		return false;
	}
	return true;
}

void
dkim_global_free(void)
{
	if (library)
		dkim_close(library);
	library = NULL;
}

static void
handle_free(void *arg)
{
	struct dkim_state *state = arg;

	if (state->handle)
		dkim_free(state->handle);
	state->handle = NULL;
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
	    !arena_cleanup(txn->arena, handle_free, state)) {
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
	t->nth = h->nth;
	state->ntracks++;
	t->live = dkim_tags_parse(txn->arena, h->value, &t->tags, &why);
	sig->domain = t->tags.d;
	sig->selector = t->tags.s;
	sig->algorithm = t->tags.a;
	sig->identity = t->tags.i;
	sig->b = str_sub(t->tags.b, 0, 8);
	if (!t->live) {
		sig->result = AUTH_NEUTRAL;
		sig->problem = str_of(why ? why : "out of memory");
		return;
	}
	state->count_body |= t->tags.have_l;
	start_key(txn, state, t);
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

/* "Name: value" as on the wire: the folds become CRLF again. */
static void
put_field(struct buf *out, const struct header *h)
{
	size_t i, from = 0;

	buf_truncate(out, 0);
	buf_addstr(out, h->name);
	buf_addc(out, ':');
	for (i = 0; i < h->value.n; i++) {
		if (h->value.p[i] != '\n' ||
		    (i > 0 && h->value.p[i - 1] == '\r'))
			continue;
		buf_add(out, h->value.p + from, i - from);
		buf_addc(out, '\r');
		from = i;
	}
	buf_add(out, h->value.p + from, h->value.n - from);
}

/* Signature fields that are not to be verified are not shown. */
static bool
is_shown(const struct dkim_state *state, const struct header *h)
{
	size_t i;

	if (h->name.n == 0 || h->value.p == NULL)
		return false;
	if (!str_ieq(h->name, STR("DKIM-Signature")))
		return true;
	for (i = 0; i < state->ntracks; i++)
		if (state->tracks[i].nth == h->nth)
			return state->tracks[i].live;
	return false;
}

static void
feed_library(struct dkim_state *state, const struct headers *headers)
{
	struct buf field = BUF_INIT(FIELD_MAX);
	const struct header *h;
	DKIM_STAT status;

	state->handle =
	    dkim_verify(library, (const u_char *)"postern", NULL, &status);
	if (state->handle == NULL)
		return;
	(void)dkim_set_user_context(state->handle, state);
	for (h = headers->first; h; h = h->next) {
		if (!is_shown(state, h))
			continue;
		put_field(&field, h);
		(void)dkim_header(state->handle, (u_char *)field.p, field.n);
	}
	buf_free(&field);
	status = dkim_eoh(state->handle);
	if (status != DKIM_STAT_OK)
		handle_free(state);
}

void
dkim_feed_eoh(struct txn *txn)
{
	struct dkim_state *state = state_get(txn);
	size_t i, live = 0;

	if (state == NULL || state->eoh)
		return;
	state->eoh = true;
	for (i = 0; i < state->ntracks; i++)
		live += state->tracks[i].live;
	if (live > 0 && library && !txn->headers.truncated &&
	    !arena_overflowed(txn->arena))
		feed_library(state, &txn->headers);
}

void
dkim_feed_body(struct txn *txn, const void *data, size_t n)
{
	struct dkim_state *state = state_get(txn);

	if (state == NULL || state->handle == NULL || n == 0)
		return;
	(void)dkim_body(state->handle, (u_char *)data, n);
	if (state->count_body)
		dkim_length_add(&state->length, data, n);
}

static void
judge(struct track *t, enum auth_result result, const char *problem)
{
	t->report->result = result;
	t->report->problem = str_of(problem);
}

/* The signature is valid; is it one that we take? */
static void
judge_valid(const struct dkim_state *state, struct track *t)
{
	bool rsa = str_istarts(t->tags.a, STR("rsa-"));
	unsigned int bits = t->report->key_bits;

	if (str_ieq(t->tags.a, STR("rsa-sha1")))
		judge(t, AUTH_POLICY, "rsa-sha1 is too weak");
	else if (rsa && bits < MIN_RSA_BITS)
		judge(t, AUTH_POLICY, "the key is too short");
	else if (t->tags.have_l &&
	    t->tags.l < dkim_length_get(&state->length, t->tags.relaxed_body))
		judge(t, AUTH_POLICY, "l= leaves content unsigned");
	else if (t->tags.from_signed < state->froms)
		judge(t, AUTH_POLICY, "a From field is not signed");
	else
		judge(t, AUTH_PASS, "");
}

static const struct {
	int error;
	enum auth_result result;
} errors[] = {
	{ DKIM_SIGERROR_EXPIRED, AUTH_FAIL },
	{ DKIM_SIGERROR_FUTURE, AUTH_FAIL },
	{ DKIM_SIGERROR_BADSIG, AUTH_FAIL },
	{ DKIM_SIGERROR_TOOLARGE_L, AUTH_FAIL },
	{ DKIM_SIGERROR_SUBDOMAIN, AUTH_FAIL },
	{ DKIM_SIGERROR_KEYTOOSMALL, AUTH_POLICY },
	{ DKIM_SIGERROR_NOKEY, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYFAIL, AUTH_PERMERROR },
	{ DKIM_SIGERROR_DNSSYNTAX, AUTH_PERMERROR },
	{ DKIM_SIGERROR_MULTIREPLY, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYVERSION, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYUNKNOWNHASH, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYHASHMISMATCH, AUTH_PERMERROR },
	{ DKIM_SIGERROR_NOTEMAILKEY, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYTYPEMISSING, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYTYPEUNKNOWN, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYREVOKED, AUTH_PERMERROR },
	{ DKIM_SIGERROR_KEYDECODE, AUTH_PERMERROR },
};

/* Everything else that the library can say of a signature: neutral. */
static void
judge_error(struct track *t, int error)
{
	const char *text = dkim_sig_geterrorstr(error);
	size_t i;

	judge(t, AUTH_NEUTRAL, text ? text : "not verified");
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].error == error)
			t->report->result = errors[i].result;
}

static bool
is_temporary(enum dns_status status)
{
	return status == DNS_SERVFAIL || status == DNS_TIMEOUT;
}

/*
 * PASSED alone says only that the header's signature verified: with a body
 * hash that does not match it is set as well.
 */
static void
judge_signature(const struct dkim_state *state, struct track *t,
    DKIM_SIGINFO *sig)
{
	int error = dkim_sig_geterror(sig);
	unsigned int flags = dkim_sig_getflags(sig);

	(void)dkim_sig_getkeysize(sig, &t->report->key_bits);
	if (is_temporary(t->key_status))
		judge(t, AUTH_TEMPERROR, dns_status_word(t->key_status));
	else if (t->key_problem)
		judge(t, AUTH_PERMERROR, t->key_problem);
	else if (dkim_sig_getbh(sig) == DKIM_SIGBH_MISMATCH)
		judge(t, AUTH_FAIL, "the body hash does not verify");
	else if (error != DKIM_SIGERROR_OK)
		judge_error(t, error);
	else if (!(flags & DKIM_SIGFLAG_PASSED))
		judge(t, AUTH_FAIL, "the signature does not verify");
	else if (dkim_sig_getbh(sig) != DKIM_SIGBH_MATCH)
		judge(t, AUTH_FAIL, "the body was not hashed");
	else
		judge_valid(state, t);
}

/* The library lists signatures in the order in which it was shown them. */
static void
judge_all(struct dkim_state *state, const struct headers *headers)
{
	const char *none =
	    headers->truncated ? "the header is too large" : "not verified";
	DKIM_SIGINFO **sigs = NULL;
	int n = 0, at = 0;
	size_t i;

	if (state->handle) {
		(void)dkim_eom(state->handle, NULL);
		if (dkim_getsiglist(state->handle, &sigs, &n) != DKIM_STAT_OK)
			n = 0;
	}
	for (i = 0; i < state->ntracks; i++) {
		struct track *t = &state->tracks[i];

		if (!t->live)
			continue;
		if (at < n && same_signature(t, sigs[at]))
			judge_signature(state, t, sigs[at++]);
		else
			judge(t, AUTH_NEUTRAL, none);
	}
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
	judge_all(state, &txn->headers);
	handle_free(state);
	r = txn->checks->dkim;
	choose_best(r);
	return r;
}
