#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "check/dkim.h"

#define MIN_RSA_BITS 1024
#define SIGNED_MAX   (HEADER_MAX_BYTES + 16384)
#define LINE_MAX_LEN 72 /* of the field's own folds */

/*
 * What is signed, every one that is there (RFC 6376 section 5.4.1).  From is
 * named once more than it occurs, so that none can be added.
 */
static const char *const signed_names[] = { "From", "Reply-To", "Subject",
	"Date", "To", "Cc", "Message-ID", "In-Reply-To", "References",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"Content-ID", "Content-Description", "Resent-Date", "Resent-From",
	"Resent-To", "Resent-Cc", "List-Id", "List-Help", "List-Unsubscribe",
	"List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner",
	"List-Archive" };

#define NSIGNED (sizeof(signed_names) / sizeof(signed_names[0]))

/* Relaxed body canonicalization into a hash (RFC 6376 section 3.4.4). */
struct body_hash {
	EVP_MD_CTX *md;
	char out[4096];
	size_t n;
	uint64_t ends; /* line ends not yet written */
	bool space, any;
};

static void
body_out(struct body_hash *b, char c)
{
	if (b->n == sizeof(b->out)) {
		EVP_DigestUpdate(b->md, b->out, b->n);
		b->n = 0;
	}
	b->out[b->n++] = c;
}

static void
body_end_lines(struct body_hash *b)
{
	for (; b->ends > 0; b->ends--) {
		body_out(b, '\r');
		body_out(b, '\n');
	}
}

static void
body_byte(struct body_hash *b, char c)
{
	if (c == ' ' || c == '\t') {
		b->space = true;
		return;
	}
	body_end_lines(b);
	if (b->space)
		body_out(b, ' ');
	b->space = false;
	b->any = true;
	body_out(b, c);
}

static bool
hash_body(struct str body, unsigned char digest[32])
{
	struct body_hash b = { .md = EVP_MD_CTX_new() };
	size_t i;
	bool ok;

	if (b.md == NULL)
		return false;
	ok = EVP_DigestInit_ex(b.md, EVP_sha256(), NULL) == 1;
	for (i = 0; ok && i < body.n; i++) {
		if (body.p[i] == '\r' && i + 1 < body.n &&
		    body.p[i + 1] == '\n') {
			b.ends++;
			b.space = false;
			i++;
		} else
			body_byte(&b, body.p[i]);
	}
	b.ends = b.any ? 1 : 0;
	body_end_lines(&b);
	ok = ok && EVP_DigestUpdate(b.md, b.out, b.n) == 1 &&
	    EVP_DigestFinal_ex(b.md, digest, NULL) == 1;
	EVP_MD_CTX_free(b.md);
	return ok;
}

static void
add_base64(struct buf *out, const unsigned char *data, size_t n)
{
	unsigned char text[1400];

	if (n > 1024) {
		out->failed = true;
		return;
	}
	EVP_EncodeBlock(text, data, (int)n);
	buf_adds(out, (const char *)text);
}

/* Relaxed header canonicalization (section 3.4.2), without the CRLF. */
static void
add_relaxed(struct buf *out, struct str name, struct str value)
{
	bool space = false, any = false;
	size_t i;

	for (i = 0; i < name.n; i++)
		if (!chr_space((unsigned char)name.p[i]))
			buf_addc(out,
			    (char)chr_lower((unsigned char)name.p[i]));
	buf_addc(out, ':');
	for (i = 0; i < value.n; i++) {
		if (chr_space((unsigned char)value.p[i])) {
			space = any;
			continue;
		}
		if (space)
			buf_addc(out, ' ');
		space = false;
		any = true;
		buf_addc(out, value.p[i]);
	}
}

/* Names for h= and their fields for the hash, last one of a name first;
 * not those that the message will have lost. */
static void
add_headers(const struct txn *txn, struct buf *names, struct buf *data)
{
	const struct headers *headers = &txn->headers;
	const struct header *h;
	unsigned int nth;
	size_t i;

	for (i = 0; i < NSIGNED; i++) {
		struct str name = str_of(signed_names[i]);

		for (nth = header_count(headers, name); nth > 0; nth--) {
			if (verdict_removes(&txn->verdict, name, nth))
				continue;
			h = header_get(headers, name, nth);
			buf_printf(names, "%s%s", names->n ? ":" : "",
			    signed_names[i]);
			add_relaxed(data, h->name, h->value);
			buf_adds(data, "\r\n");
		}
	}
	buf_adds(names, names->n ? ":From" : "From");
}

/* Adds a long text, broken into lines behind any byte (sep 0) or only behind
 * the separator. */
static void
add_folded(struct buf *out, struct str text, char sep)
{
	size_t i, line = 0, room = LINE_MAX_LEN - 8;

	for (i = 0; i < text.n; i++) {
		buf_addc(out, text.p[i]);
		line++;
		if (line >= room && i + 1 < text.n &&
		    (sep == '\0' || text.p[i] == sep)) {
			buf_adds(out, "\n\t ");
			line = 0;
		}
	}
}

static EVP_PKEY *
load_key(struct str keyfile, const char **why)
{
	char path[4096];
	EVP_PKEY *key;
	FILE *f;
	int type;

	if (keyfile.n >= sizeof(path)) {
		*why = "the key file's name is too long";
		return NULL;
	}
	snprintf(path, sizeof(path), "%.*s", STR_FMT(keyfile));
	f = fopen(path, "re");
	if (f == NULL) {
		*why = "the key file can't be opened";
		return NULL;
	}
	key = PEM_read_PrivateKey(f, NULL, NULL, (void *)"");
	fclose(f);
	type = key ? EVP_PKEY_base_id(key) : EVP_PKEY_NONE;
	if (type == EVP_PKEY_ED25519 ||
	    (type == EVP_PKEY_RSA && EVP_PKEY_bits(key) >= MIN_RSA_BITS))
		return key;
	*why = "not a private RSA key of 1024 bits or more, nor an Ed25519 key";
	EVP_PKEY_free(key);
	return NULL;
}

/* RSA signs the data by way of SHA-256, Ed25519 the hash (RFC 8463). */
static bool
make_signature(EVP_PKEY *key, struct str data, struct buf *out)
{
	bool rsa = EVP_PKEY_base_id(key) == EVP_PKEY_RSA;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char digest[32], sig[1024];
	size_t n = sizeof(sig);
	bool ok = md != NULL;

	if (ok && !rsa)
		ok = EVP_Digest(data.p, data.n, digest, NULL, EVP_sha256(),
			 NULL) == 1;
	ok = ok &&
	    EVP_DigestSignInit(md, NULL, rsa ? EVP_sha256() : NULL, NULL,
		key) == 1;
	if (rsa)
		ok = ok &&
		    EVP_DigestSign(md, sig, &n, (const unsigned char *)data.p,
			data.n) == 1;
	else
		ok = ok &&
		    EVP_DigestSign(md, sig, &n, digest, sizeof(digest)) == 1;
	EVP_MD_CTX_free(md);
	if (ok)
		add_base64(out, sig, n);
	return ok;
}

/* The field up to its empty b=. */
static bool
make_field(const struct txn *txn, EVP_PKEY *key, struct str domain,
    struct str selector, struct buf *value, struct buf *data)
{
	bool rsa = EVP_PKEY_base_id(key) == EVP_PKEY_RSA;
	struct buf names = BUF_INIT(SIGNED_MAX);
	unsigned char digest[32];
	bool ok = hash_body(buf_str(&txn->body.raw), digest);

	add_headers(txn, &names, data);
	buf_printf(value, " v=1; a=%s-sha256; c=relaxed/relaxed;",
	    rsa ? "rsa" : "ed25519");
	buf_printf(value, "\n\td=%.*s; s=%.*s;", STR_FMT(domain),
	    STR_FMT(selector));
	buf_printf(value, "\n\tt=%lld; h=", (long long)clock_wall_ms() / 1000);
	add_folded(value, buf_str(&names), ':');
	buf_adds(value, ";\n\tbh=");
	add_base64(value, digest, sizeof(digest));
	buf_adds(value, ";\n\tb=");
	add_relaxed(data, STR("dkim-signature"), buf_str(value));
	ok = ok && !names.failed && !value->failed && !data->failed;
	buf_free(&names);
	return ok;
}

static bool
sign(struct txn *txn, EVP_PKEY *key, struct str domain, struct str selector,
    struct str *out)
{
	struct buf value = BUF_INIT(65536), data = BUF_INIT(SIGNED_MAX);
	struct buf b = BUF_INIT(2048);
	bool ok = make_field(txn, key, domain, selector, &value, &data) &&
	    make_signature(key, buf_str(&data), &b);

	if (ok) {
		add_folded(&value, buf_str(&b), '\0');
		*out = arena_str(txn->arena, buf_str(&value));
		ok = out->p != NULL && !value.failed;
	}
	buf_free(&b);
	buf_free(&data);
	buf_free(&value);
	return ok;
}

bool
dkim_sign_message(struct txn *txn, struct str domain, struct str selector,
    struct str keyfile, struct str *value, const char **why)
{
	struct str out = STR_NONE;
	EVP_PKEY *key;
	bool ok;

	*why = "the message was not kept whole";
	if (txn->headers.truncated || txn->body.truncated)
		return false;
	*why = "the message has no From field";
	if (header_count(&txn->headers, STR("From")) == 0)
		return false;
	key = load_key(keyfile, why);
	if (key == NULL)
		return false;
	ok = sign(txn, key, domain, selector, &out);
	EVP_PKEY_free(key);
	*why = ok ? NULL : "signing failed";
	if (ok)
		*value = out;
	return ok;
}
