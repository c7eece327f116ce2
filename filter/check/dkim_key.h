/*
 * dkim_key - public keys out of DNS (RFC 6376 section 3.6.1, RFC 8463), and
 * what is done with keys.
 *
 * dkim_record_parse() reads a record to the letter; a record that the RFC
 * calls invalid has no key.  Parsing the key itself and making ready to verify
 * with it are a good part of a verification, so the last ones are kept: a
 * table of fixed size, shared by all threads, a lock for each place, none held
 * while anything waits.  What dkim_key_get() gives is a copy for one thread
 * and one verification, and wants a dkim_key_free(); the struct evp_pkey_st in
 * it may be used by many threads at once.  Texts stay with the record or its
 * arena.
 */
#ifndef CHECK_DKIM_KEY_H
#define CHECK_DKIM_KEY_H

#include "base/arena.h"
#include "base/str.h"

#define DKIM_KEY_BITS_MIN 1024	/* of RSA: RFC 8301 section 3.2 */
#define DKIM_KEY_BITS_MAX 8192	/* more would only cost time */
#define DKIM_KEY_EXPONENT_MAX 64 /* bits, of RSA; all in use have 17 or less */
#define DKIM_KEY_TEXT_MAX 4096	/* of p=; more is no key */

struct evp_pkey_st;
struct evp_pkey_ctx_st;

struct dkim_record {
	struct str	 k, p;		/* p: white space removed */
	struct str	 h, s;		/* p NULL: not said, all are fine */
	bool		 testing;	/* t=y */
	bool		 strict;	/* t=s */
};

/* NULL, or why the record is no key record (static). */
const char	*dkim_record_parse(struct arena *, struct str text,
		    struct dkim_record *);
/* NULL, or why the record is not for mail signed by that algorithm ("a="). */
const char	*dkim_record_fits(const struct dkim_record *, struct str a);
/* NULL: p= is not a key of that kind. */
struct evp_pkey_ctx_st *dkim_key_get(const struct dkim_record *);
void		 dkim_key_free(struct evp_pkey_ctx_st *);
struct evp_pkey_st *dkim_key_itself(struct evp_pkey_ctx_st *);
/* RSA; 0 for Ed25519. */
unsigned int	 dkim_key_bits(struct evp_pkey_st *);
/* `b' is base64 without white space. */
bool		 dkim_key_verifies(struct evp_pkey_ctx_st *,
		    const unsigned char *digest, size_t n, struct str b);
/* Adds the signature in base64.  The digest is a SHA-256. */
bool		 dkim_key_signs(struct evp_pkey_st *,
		    const unsigned char *digest, size_t n, struct buf *out);
/* The p= of a private or public key. */
bool		 dkim_key_text(struct evp_pkey_st *, struct buf *out);
/* Padding may be missing (section 2.10); no white space.  false: it is not
 * base64, or it is longer than `max'. */
bool		 dkim_base64_decode(struct str, unsigned char *out, size_t max,
		    size_t *n);
void		 dkim_base64_encode(struct buf *out, const unsigned char *,
		    size_t);
void		 dkim_keys_forget(void);	/* frees those kept */

#endif
