#include "check/dkim_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check/taglist.h"

#define DER_MAX (DKIM_KEY_TEXT_MAX / 4 * 3 + 3)

/* --- base64 ------------------------------------------------------------- */

/* Of each character, plus one; 0: it is none of them. */
static const unsigned char base64_digits[256] = {
	['A'] = 1,
	['B'] = 2,
	['C'] = 3,
	['D'] = 4,
	['E'] = 5,
	['F'] = 6,
	['G'] = 7,
	['H'] = 8,
	['I'] = 9,
	['J'] = 10,
	['K'] = 11,
	['L'] = 12,
	['M'] = 13,
	['N'] = 14,
	['O'] = 15,
	['P'] = 16,
	['Q'] = 17,
	['R'] = 18,
	['S'] = 19,
	['T'] = 20,
	['U'] = 21,
	['V'] = 22,
	['W'] = 23,
	['X'] = 24,
	['Y'] = 25,
	['Z'] = 26,
	['a'] = 27,
	['b'] = 28,
	['c'] = 29,
	['d'] = 30,
	['e'] = 31,
	['f'] = 32,
	['g'] = 33,
	['h'] = 34,
	['i'] = 35,
	['j'] = 36,
	['k'] = 37,
	['l'] = 38,
	['m'] = 39,
	['n'] = 40,
	['o'] = 41,
	['p'] = 42,
	['q'] = 43,
	['r'] = 44,
	['s'] = 45,
	['t'] = 46,
	['u'] = 47,
	['v'] = 48,
	['w'] = 49,
	['x'] = 50,
	['y'] = 51,
	['z'] = 52,
	['0'] = 53,
	['1'] = 54,
	['2'] = 55,
	['3'] = 56,
	['4'] = 57,
	['5'] = 58,
	['6'] = 59,
	['7'] = 60,
	['8'] = 61,
	['9'] = 62,
	['+'] = 63,
	['/'] = 64,
};

bool
dkim_base64_decode(struct str s, unsigned char *out, size_t max, size_t *n)
{
	unsigned int bits = 0, held = 0;
	size_t pad = 0;

	*n = 0;
	while (pad < 2 && s.n > pad && s.p[s.n - 1 - pad] == '=')
		pad++;
	s.n -= pad;
	if (s.n == 0 || s.n % 4 == 1 || (pad > 0 && (s.n + pad) % 4 != 0))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned int digit = base64_digits[(unsigned char)s.p[i]];

		if (digit == 0)
			return false;
		held = (held << 6 | (digit - 1)) & 0xffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (*n == max)
			return false;
		out[(*n)++] = (unsigned char)(held >> bits);
	}
	return true;
}

void
dkim_base64_encode(struct buf *out, const unsigned char *data, size_t n)
{
	unsigned char text[68];
	size_t step;

	for (; n > 0; data += step, n -= step) {
		step = n < 48 ? n : 48;
		buf_add(out, text,
		    (size_t)EVP_EncodeBlock(text, data, (int)step));
	}
}

/* --- records ------------------------------------------------------------ */

/* Is the word one of the list "a:b:c"? */
static bool
list_has(struct str list, struct str word)
{
	while (list.p != NULL)
		if (str_ieq(str_trim(str_cut(list, ':', &list)), word))
			return true;
	return false;
}

static const struct {
	const char *name;
	unsigned int bit;
} record_tags[] = { { "v", 1 }, { "h", 2 }, { "k", 4 }, { "n", 8 }, { "p", 16 },
	{ "s", 32 }, { "t", 64 }, { "g", 128 } };

#define NTAGS (sizeof(record_tags) / sizeof(record_tags[0]))

/* One tag; g= was taken out by RFC 6376, what is unknown is passed over. */
static const char *
take(struct arena *a, struct dkim_record *r, struct str name, struct str value,
    unsigned int *seen)
{
	bool first = *seen == 0;
	size_t i = 0;

	*seen |= 1u << 31;
	while (i < NTAGS && !str_eq(name, str_of(record_tags[i].name)))
		i++;
	if (i == NTAGS)
		return NULL;
	if (*seen & record_tags[i].bit)
		return "a tag of the key is there twice";
	*seen |= record_tags[i].bit;
	switch (*record_tags[i].name) {
	case 'v':
		if (!first || !str_eq(value, STR("DKIM1")))
			return "the key is of another version";
		break;
	case 'h':
		r->h = value;
		break;
	case 'k':
		r->k = value;
		break;
	case 'p':
		r->p = taglist_squeeze(a, value);
		break;
	case 's':
		r->s = value;
		break;
	case 't':
		r->testing = list_has(value, STR("y"));
		r->strict = list_has(value, STR("s"));
		break;
	}
	return NULL;
}

const char *
dkim_record_parse(struct arena *a, struct str text, struct dkim_record *r)
{
	struct taglist l = TAGLIST(text);
	struct str name, value;
	unsigned int seen = 0;
	const char *why;

	*r = (struct dkim_record){ .k = STR("rsa") };
	while (taglist_next(&l, &name, &value))
		if ((why = take(a, r, name, value, &seen)) != NULL)
			return why;
	if (l.broken)
		return "the key is not a tag list";
	if (r->p.p == NULL)
		return "the key has no p=";
	return r->p.n > 0 ? NULL : "the key was revoked";
}

const char *
dkim_record_fits(const struct dkim_record *r, struct str a)
{
	ptrdiff_t dash = str_chr(a, '-');

	if (dash < 0 || !str_ieq(str_sub(a, 0, (size_t)dash), r->k))
		return "the key is of another type";
	if (r->h.p != NULL &&
	    !list_has(r->h, str_sub(a, (size_t)dash + 1, a.n)))
		return "the key is not for this hash";
	if (r->s.p != NULL && !list_has(r->s, STR("email")) &&
	    !list_has(r->s, STR("*")))
		return "the key is not for mail";
	return NULL;
}

/* --- keys --------------------------------------------------------------- */

/* OpenSSL bounds the exponent of large keys alone, and one as long as the
 * modulus makes each verification a hundred times as dear. */
static bool
exponent_fits(const EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	    BN_num_bits(e) <= DKIM_KEY_EXPONENT_MAX;

	BN_free(e);
	return ok;
}

/* SubjectPublicKeyInfo is what everybody publishes, a bare RSAPublicKey what
 * the RFC's text says. */
static EVP_PKEY *
parse_rsa(const unsigned char *der, size_t n)
{
	const unsigned char *p = der;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)n);

	if (key == NULL) {
		p = der;
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)n);
	}
	if (key != NULL && p == der + n &&
	    EVP_PKEY_base_id(key) == EVP_PKEY_RSA &&
	    EVP_PKEY_bits(key) <= DKIM_KEY_BITS_MAX && exponent_fits(key))
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *
key_parse(const struct dkim_record *r)
{
	unsigned char der[DER_MAX];
	size_t n;

	if (r->p.n > DKIM_KEY_TEXT_MAX ||
	    !dkim_base64_decode(r->p, der, sizeof(der), &n))
		return NULL;
	if (str_ieq(r->k, STR("rsa")))
		return parse_rsa(der, n);
	if (str_ieq(r->k, STR("ed25519")) && n == 32)
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, der,
		    n);
	return NULL;
}

static bool
is_rsa(const EVP_PKEY *key)
{
	return EVP_PKEY_base_id(key) == EVP_PKEY_RSA;
}

/* Ready to verify a SHA-256 with; Ed25519 needs nothing made ready. */
static EVP_PKEY_CTX *
key_ready(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	if (ctx == NULL || !is_rsa(key) ||
	    (EVP_PKEY_verify_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1))
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

/* For one verification. */
static EVP_PKEY_CTX *
key_copy(EVP_PKEY_CTX *key)
{
	EVP_PKEY *pkey = EVP_PKEY_CTX_get0_pkey(key);

	return is_rsa(pkey) ? EVP_PKEY_CTX_dup(key) : key_ready(pkey);
}

/* Where a key may be kept: the place is the hash's of its p=. */
#define NPLACES 256

struct place {
	pthread_mutex_t lock;
	bool rsa;
	char *text; /* NULL: empty */
	size_t n;
	EVP_PKEY_CTX *key; /* to be copied, under the lock */
};

static struct place places[NPLACES] = {
	[0 ... NPLACES - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER }
};

static EVP_PKEY_CTX *
place_find(struct place *at, struct str text, bool rsa)
{
	EVP_PKEY_CTX *key = NULL;

	pthread_mutex_lock(&at->lock);
	if (at->text != NULL && at->rsa == rsa &&
	    str_eq((struct str){ at->text, at->n }, text))
		key = key_copy(at->key);
	pthread_mutex_unlock(&at->lock);
	return key;
}

static void
place_set(struct place *at, char *text, size_t n, EVP_PKEY_CTX *key, bool rsa)
{
	char *old_text;
	EVP_PKEY_CTX *old;

	pthread_mutex_lock(&at->lock);
	old_text = at->text;
	old = at->key;
	at->text = text;
	at->n = n;
	at->key = key;
	at->rsa = rsa;
	pthread_mutex_unlock(&at->lock);
	free(old_text);
	EVP_PKEY_CTX_free(old);
}

EVP_PKEY_CTX *
dkim_key_get(const struct dkim_record *r)
{
	struct place *at = &places[str_hash(r->p) % NPLACES];
	bool rsa = str_ieq(r->k, STR("rsa"));
	EVP_PKEY_CTX *key = place_find(at, r->p, rsa), *copy;
	EVP_PKEY *parsed;
	char *text;

	if (key != NULL || (parsed = key_parse(r)) == NULL)
		return key;
	key = key_ready(parsed);
	EVP_PKEY_free(parsed);
	if (key == NULL || (copy = key_copy(key)) == NULL)
		return key;
	text = mem_alloc(r->p.n + 1);
	memcpy(text, r->p.p, r->p.n);
	place_set(at, text, r->p.n, key, rsa);
	return copy;
}

void
dkim_keys_forget(void)
{
	for (size_t i = 0; i < NPLACES; i++)
		place_set(&places[i], NULL, 0, NULL, false);
}

void
dkim_key_free(EVP_PKEY_CTX *key)
{
	EVP_PKEY_CTX_free(key);
}

EVP_PKEY *
dkim_key_itself(EVP_PKEY_CTX *key)
{
	return EVP_PKEY_CTX_get0_pkey(key);
}

unsigned int
dkim_key_bits(EVP_PKEY *key)
{
	return is_rsa(key) ? (unsigned int)EVP_PKEY_bits(key) : 0;
}

static bool
rsa_verifies(EVP_PKEY_CTX *key, const unsigned char *digest, size_t n,
    const unsigned char *sig, size_t nsig)
{
	return (n != 20 ||
		   EVP_PKEY_CTX_set_signature_md(key, EVP_sha1()) == 1) &&
	    EVP_PKEY_verify(key, sig, nsig, digest, n) == 1;
}

/* Ed25519 takes the hash for the message (RFC 8463 section 3). */
static bool
ed_verifies(EVP_MD_CTX *ctx, EVP_PKEY *key, const unsigned char *digest,
    size_t n, const unsigned char *sig, size_t nsig)
{
	return ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, sig, nsig, digest, n) == 1;
}

bool
dkim_key_verifies(EVP_PKEY_CTX *key, const unsigned char *digest, size_t n,
    struct str b)
{
	EVP_PKEY *itself = EVP_PKEY_CTX_get0_pkey(key);
	unsigned char sig[DKIM_KEY_BITS_MAX / 8];
	EVP_MD_CTX *ed;
	size_t nsig;
	bool ok;

	if (n == 0 || !dkim_base64_decode(b, sig, sizeof(sig), &nsig))
		return false;
	if (is_rsa(itself))
		return rsa_verifies(key, digest, n, sig, nsig);
	ed = EVP_MD_CTX_new();
	ok = ed_verifies(ed, itself, digest, n, sig, nsig);
	EVP_MD_CTX_free(ed);
	return ok;
}

static bool
rsa_signs(EVP_PKEY *key, const unsigned char *digest, size_t n,
    unsigned char *sig, size_t *nsig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_sign(ctx, sig, nsig, digest, n) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool
ed_signs(EVP_PKEY *key, const unsigned char *digest, size_t n,
    unsigned char *sig, size_t *nsig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(ctx, sig, nsig, digest, n) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

bool
dkim_key_signs(EVP_PKEY *key, const unsigned char *digest, size_t n,
    struct buf *out)
{
	unsigned char sig[DKIM_KEY_BITS_MAX / 8];
	size_t nsig = sizeof(sig);

	if (n == 0 ||
	    !(is_rsa(key) ? rsa_signs : ed_signs)(key, digest, n, sig, &nsig))
		return false;
	dkim_base64_encode(out, sig, nsig);
	return true;
}

bool
dkim_key_text(EVP_PKEY *key, struct buf *out)
{
	unsigned char raw[32], *der = NULL;
	size_t n = sizeof(raw);
	int length;

	if (!is_rsa(key)) {
		if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
			return false;
		dkim_base64_encode(out, raw, n);
		return true;
	}
	length = i2d_PUBKEY(key, &der);
	if (length <= 0)
		return false;
	dkim_base64_encode(out, der, (size_t)length);
	OPENSSL_free(der);
	return true;
}
