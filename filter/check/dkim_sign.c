#include "check/dkim_sign.h"

#include <string.h>

#include "base/clock.h"
#include "check/dkim_canon.h"

#define NAMES_MAX    256 /* in h= */
#define VALUE_MAX    65536
#define LINE_MAX_LEN 64 /* of the field's own folds */
#define BODY_LINE    998 /* RFC 5322 section 2.1.1; more is broken on the way */

/*
 * What is signed, each one that is there (RFC 6376 section 5.4.1), and
 * what is named once more, so that none can be added.  Sendmail adds a Date
 * below us, so one that is not there is not ruled out.
 */
static const struct {
	const char *name;
	enum { ALONE, MORE_IF_THERE, MORE } more;
} signed_names[] = { { "From", MORE }, { "Reply-To", ALONE },
	{ "Subject", MORE }, { "Date", MORE_IF_THERE }, { "To", MORE },
	{ "Cc", ALONE }, { "Message-ID", ALONE }, { "In-Reply-To", ALONE },
	{ "References", ALONE }, { "MIME-Version", ALONE },
	{ "Content-Type", ALONE }, { "Content-Transfer-Encoding", ALONE },
	{ "Content-ID", ALONE }, { "Content-Description", ALONE },
	{ "Resent-Date", ALONE }, { "Resent-From", ALONE },
	{ "Resent-To", ALONE }, { "Resent-Cc", ALONE }, { "List-Id", ALONE },
	{ "List-Help", ALONE }, { "List-Unsubscribe", ALONE },
	{ "List-Unsubscribe-Post", ALONE }, { "List-Subscribe", ALONE },
	{ "List-Post", ALONE }, { "List-Owner", ALONE },
	{ "List-Archive", ALONE } };

#define NSIGNED (sizeof(signed_names) / sizeof(signed_names[0]))

struct sign_body {
	bool used, ended;
	struct dkim_body body;
	size_t ndigest;
	unsigned char digest[DKIM_DIGEST_MAX];
};

struct dkim_sign_state {
	struct dkim_wanted wanted;
	struct sign_body bodies[2]; /* simple, relaxed */
	size_t line; /* bytes of the line that comes */
	bool long_line;
};

static void
state_free(void *arg)
{
	struct dkim_sign_state *state = arg;

	dkim_hash_drop(&state->bodies[0].body.hash);
	dkim_hash_drop(&state->bodies[1].body.hash);
}

static struct dkim_sign_state *
state_get(struct txn *txn)
{
	struct dkim_sign_state *state = txn->checks->sign;

	if (state != NULL)
		return state;
	state = arena_alloc(txn->arena, sizeof(*state));
	if (state == NULL || !arena_cleanup(txn->arena, state_free, state))
		return NULL;
	return txn->checks->sign = state;
}

static struct sign_body *
body_get(struct dkim_sign_state *state, bool relaxed)
{
	struct sign_body *b = &state->bodies[relaxed];

	if (!b->used)
		dkim_body_begin(&b->body, relaxed, false, DKIM_NO_LIMIT);
	b->used = true;
	return b;
}

static void
count_lines(struct dkim_sign_state *state, const char *p, size_t n)
{
	const char *end = p + n, *lf;

	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		state->line += (size_t)(lf + 1 - p);
		state->long_line |= state->line > BODY_LINE + 2;
		state->line = 0;
		p = lf + 1;
	}
	state->line += (size_t)(end - p);
	state->long_line |= state->line > BODY_LINE + 2;
}

void
dkim_sign_body(struct txn *txn, bool simple, const void *data, size_t n)
{
	struct dkim_sign_state *state = state_get(txn);

	if (state == NULL || n == 0)
		return;
	dkim_body_add(&body_get(state, true)->body, data, n);
	if (simple)
		dkim_body_add(&body_get(state, false)->body, data, n);
	count_lines(state, data, n);
}

static bool
is_wanted(const struct dkim_wanted *w, const struct dkim_signer *signer)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_ieq(w->signers[i]->domain, signer->domain) &&
		    str_ieq(w->signers[i]->selector, signer->selector))
			return true;
	return false;
}

bool
dkim_sign_want(struct txn *txn, const struct dkim_signer *signer, bool list)
{
	struct dkim_sign_state *state = state_get(txn);
	struct dkim_wanted *w;

	if (state == NULL)
		return false;
	w = &state->wanted;
	for (; signer != NULL; signer = list ? signer->next : NULL) {
		if (is_wanted(w, signer))
			continue;
		if (w->n < DKIM_SIGN_MAX)
			w->signers[w->n++] = signer;
		else
			w->too_many = true;
	}
	return true;
}

const struct dkim_wanted *
dkim_sign_wanted(const struct txn *txn)
{
	const struct dkim_sign_state *state = txn->checks->sign;

	return state != NULL && state->wanted.n > 0 ? &state->wanted : NULL;
}

/* --- the field ---------------------------------------------------------- */

/* Names for h=, each as often as dkim_hash_fields() is to take it; how many
 * there are. */
static size_t
add_names(struct buf *out, const struct headers *headers)
{
	size_t sum = 0;

	for (size_t i = 0; i < NSIGNED; i++) {
		const char *name = signed_names[i].name;
		unsigned int n = header_count(headers, str_of(name));

		if (signed_names[i].more == MORE ||
		    (signed_names[i].more == MORE_IF_THERE && n > 0))
			n++;
		sum += n;
		for (; n > 0 && sum <= NAMES_MAX; n--)
			buf_printf(out, "%s%s", out->n ? ":" : "", name);
	}
	return sum;
}

/* Adds a long text, broken into lines behind any byte (sep 0) or only behind
 * the separator. */
static void
add_folded(struct buf *out, struct str text, char sep)
{
	size_t i, line = 0;

	for (i = 0; i < text.n; i++) {
		buf_addc(out, text.p[i]);
		line++;
		if (line >= LINE_MAX_LEN && i + 1 < text.n &&
		    (sep == '\0' || text.p[i] == sep)) {
			buf_adds(out, "\n\t ");
			line = 0;
		}
	}
}

static bool
body_digest(struct sign_body *b, struct buf *out)
{
	if (!b->ended)
		b->ndigest = dkim_body_end(&b->body, b->digest);
	b->ended = true;
	dkim_base64_encode(out, b->digest, b->ndigest);
	return b->ndigest > 0;
}

/* The field up to its empty b=. */
static bool
make_value(struct dkim_sign_state *state, const struct dkim_signer *signer,
    struct str names, struct buf *out)
{
	bool ok;

	buf_printf(out, " v=1; a=%s-sha256; c=%s/%s;",
	    dkim_key_bits(signer->key) > 0 ? "rsa" : "ed25519",
	    signer->relaxed_header ? "relaxed" : "simple",
	    signer->relaxed_body ? "relaxed" : "simple");
	buf_printf(out, "\n\td=%.*s; s=%.*s;", STR_FMT(signer->domain),
	    STR_FMT(signer->selector));
	buf_printf(out, "\n\tt=%lld;\n\th=", (long long)clock_wall_ms() / 1000);
	add_folded(out, names, ':');
	buf_adds(out, ";\n\tbh=");
	ok = body_digest(body_get(state, signer->relaxed_body), out);
	buf_adds(out, ";\n\tb=");
	return ok && !out->failed;
}

static bool
sign(struct txn *txn, struct dkim_sign_state *state,
    const struct headers *headers, const struct dkim_signer *signer,
    struct str *result)
{
	struct buf names = BUF_INIT(VALUE_MAX), value = BUF_INIT(VALUE_MAX);
	struct buf b = BUF_INIT(2048);
	unsigned char digest[DKIM_DIGEST_MAX];
	struct dkim_hash hash;
	bool ok;

	ok = add_names(&names, headers) <= NAMES_MAX &&
	    make_value(state, signer, buf_str(&names), &value);
	dkim_hash_begin(&hash, false);
	dkim_hash_fields(&hash, headers, buf_str(&names), NAMES_MAX, NULL,
	    signer->relaxed_header);
	dkim_hash_signature(&hash, STR("DKIM-Signature"), buf_str(&value),
	    value.n, value.n, signer->relaxed_header);
	ok = dkim_key_signs(signer->key, digest, dkim_hash_end(&hash, digest),
		 &b) &&
	    ok;
	add_folded(&value, buf_str(&b), '\0');
	if (ok && !value.failed)
		*result = arena_str(txn->arena, buf_str(&value));
	buf_free(&b);
	buf_free(&value);
	buf_free(&names);
	return ok && result->p != NULL;
}

static bool
has_long_line(const struct headers *headers)
{
	const struct header *h;
	struct str line, rest;

	for (h = headers->first; h != NULL; h = h->next)
		for (rest = h->value; rest.p != NULL;) {
			line = str_cut(rest, '\n', &rest);
			if (line.n + h->name.n + 1 > BODY_LINE)
				return true;
		}
	return false;
}

const char *
dkim_sign_make(struct txn *txn, const struct headers *delivered,
    const struct dkim_signer *signer, struct str *value)
{
	struct dkim_sign_state *state = state_get(txn);
	struct str result = STR_NONE;

	if (state == NULL)
		return "memory";
	if (txn->headers.truncated)
		return "the header was not kept whole";
	if (header_count(delivered, STR("From")) != 1)
		return "the message has not one From field";
	if (state->long_line || has_long_line(delivered))
		return "a line is longer than 998 bytes: it would be broken";
	if (signer->key == NULL)
		return "the key could not be read";
	if (!sign(txn, state, delivered, signer, &result))
		return "it has too many fields, or signing failed";
	*value = result;
	return NULL;
}
