/*
 * dkim_canon - the two canonicalizations of RFC 6376 section 3.4, straight
 * into a hash.
 *
 * What is hashed passes through a small buffer, nothing is kept: linear, and
 * bounded whatever the message is.  A body comes in chunks of any size, lines
 * ended by CRLF; a lone CR or LF is a byte like any other there.  In a field a
 * LF is a fold, with or without its CR, as MTAs tell values.
 * A hash in use holds memory of the crypto library until dkim_hash_end() or
 * dkim_hash_drop().  A failure of that library shows at the end, as no digest.
 * One thread at a time for each hash.
 */
#ifndef CHECK_DKIM_CANON_H
#define CHECK_DKIM_CANON_H

#include "base/str.h"
#include "mail/header.h"

#define DKIM_DIGEST_MAX	32	/* SHA-256; SHA-1 has 20 */

struct evp_md_ctx_st;

struct dkim_hash {
	struct evp_md_ctx_st *md;	/* NULL: failed, or ended */
	size_t		 n;
	char		 out[2048];
};

void	dkim_hash_begin(struct dkim_hash *, bool sha1);
void	dkim_hash_add(struct dkim_hash *, const void *, size_t);
/* The digest's length; 0: it failed. */
size_t	dkim_hash_end(struct dkim_hash *, unsigned char[DKIM_DIGEST_MAX]);
void	dkim_hash_drop(struct dkim_hash *);
/* Begins one with all that another has got so far; both go on. */
void	dkim_hash_copy(struct dkim_hash *, const struct dkim_hash *from);

/* A field with its CRLF. */
void	dkim_hash_field(struct dkim_hash *, struct str name, struct str value,
	    bool relaxed);
/* A signature field: the value without bytes [from, to), no CRLF. */
void	dkim_hash_signature(struct dkim_hash *, struct str name,
	    struct str value, size_t from, size_t to, bool relaxed);
/* The fields that h= names, each from the last one up; `self', the field that
 * is verified, is never one of them (section 5.4.2).  At most the first `most'
 * names are read. */
void	dkim_hash_fields(struct dkim_hash *, const struct headers *,
	    struct str names, size_t most, const struct header *self,
	    bool relaxed);

struct dkim_body {
	struct dkim_hash hash;
	bool		 relaxed;
	bool		 cr, space;	/* not yet written */
	uint64_t	 ends;		/* CRLFs not yet written */
	bool		 any;		/* something was written */
	uint64_t	 limit;		/* of l= */
	uint64_t	 length;	/* canonical, beyond the limit too */
};

#define DKIM_NO_LIMIT	UINT64_MAX

void	dkim_body_begin(struct dkim_body *, bool relaxed, bool sha1,
	    uint64_t limit);
void	dkim_body_add(struct dkim_body *, const void *, size_t);
/* As dkim_hash_end(); `length' is whole then. */
size_t	dkim_body_end(struct dkim_body *, unsigned char[DKIM_DIGEST_MAX]);

#endif
