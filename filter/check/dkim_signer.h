/*
 * dkim_signer - the private keys that a policy signs with, and for whom.
 *
 * A struct dkim_signers is filled while a policy loads, by one thread, and is
 * then only read, by any.  A key file is read and parsed once for all entries
 * that name it; entries and keys live until dkim_signers_free().
 */
#ifndef CHECK_DKIM_SIGNER_H
#define CHECK_DKIM_SIGNER_H

#include "base/str.h"
#include "check/dkim_key.h"
#include "service/resolver.h"

struct dkim_signer {
	struct dkim_signer *next;	/* more of the same domain */
	struct str	 domain, selector, keyfile;
	struct evp_pkey_st *key;	/* NULL: it could not be read */
	bool		 relaxed_header, relaxed_body;
};

struct dkim_signers;

struct dkim_signers *dkim_signers_new(void);
void		 dkim_signers_free(struct dkim_signers **);
/* Strings are kept, not copied.  An entry ".example.org" is for that domain
 * and all below it, which are signed as example.org; "" is found by nobody. */
struct dkim_signer *dkim_signers_add(struct dkim_signers *, struct str entry,
		    struct str domain, struct str selector);
/* The keys of the nearest entry: the domain's own or of the closest
 * one above it; NULL: there is none. */
const struct dkim_signer *dkim_signers_find(const struct dkim_signers *,
		    struct str domain);
/* The nth of all, in the order they were added; NULL behind the last. */
const struct dkim_signer *dkim_signers_nth(const struct dkim_signers *,
		    size_t nth);

enum dkim_load {
	DKIM_LOAD_OK,
	DKIM_LOAD_DOUBT,	/* usable, but *why should be told */
	DKIM_LOAD_DENIED,	/* no right to read it; key is NULL */
	DKIM_LOAD_BAD		/* not usable; key is NULL */
};

/*
 * Reads signer->keyfile.  A key is bad that is no RSA key of 1,024 bits or
 * more nor an Ed25519 key, or that all may read or others may write;
 * it is in doubt if its owner is neither root nor `user' (or this process).
 */
enum dkim_load	 dkim_signer_load(struct dkim_signers *, struct dkim_signer *,
		    unsigned int user, struct buf *why);

/*
 * Asks DNS for the records of all keys, up to a deadline, and says in lines
 * where one is missing, unusable, or of another key, or was not answered.
 */
void		 dkim_signers_compare(const struct dkim_signers *,
		    struct resolver *, int64_t deadline_mono_ms,
		    struct buf *out);

#endif
