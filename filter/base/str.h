/*
 * str - slices of text, and a buffer that grows.
 *
 * A struct str points into memory somebody else owns and need not end in
 * NUL.  A struct buf owns heap memory and has a limit: an addition past it
 * is left out whole, and so is every later one; `failed' remembers it until
 * buf_free(), so a caller checks once.
 * Case is ASCII's alone, whatever the locale.  Any thread may call these.
 * Those that others call for every byte or word are defined here.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/chr.h"

struct str {
	const char	*p;
	size_t		 n;
};

#define STR(lit)	((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NONE	((struct str){ NULL, 0 })
/* For printf: "%.*s" with STR_FMT(s). */
#define STR_FMT(s)	(int)(s).n, (s).p ? (s).p : ""

static inline struct str
str_of(const char *cstr)	/* NULL gives STR_NONE */
{
	return (struct str){ cstr, cstr != NULL ? strlen(cstr) : 0 };
}

static inline struct str
str_sub(struct str s, size_t from, size_t n)	/* clipped */
{
	from = from < s.n ? from : s.n;
	s.n = n < s.n - from ? n : s.n - from;
	if (s.p != NULL)
		s.p += from;
	return s;
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

static inline ptrdiff_t
str_chr(struct str s, char c)			/* -1: not there */
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at != NULL ? at - s.p : -1;
}

static inline ptrdiff_t
str_rchr(struct str s, char c)
{
	const char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	return at != NULL ? at - s.p : -1;
}

int		str_cmp(struct str, struct str);
int		str_icmp(struct str, struct str);

static inline bool
str_ieq(struct str a, struct str b)
{
	return a.n == b.n && str_icmp(a, b) == 0;
}

static inline bool
str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq(str_sub(s, 0, prefix.n), prefix);
}

bool		str_iends(struct str, struct str suffix);
struct str	str_trim(struct str);			/* SP HT CR LF */
/* Cuts at the first c: returns what is before it, *rest what is behind it
 * (rest->p == NULL where c does not occur). */
struct str	str_cut(struct str, char c, struct str *rest);
/* How much of it is before the first of these, none of which is NUL. */
size_t		str_until(struct str, const char *ends);
ptrdiff_t	str_find(struct str hay, struct str needle);
ptrdiff_t	str_ifind(struct str hay, struct str needle);
bool		str_u64(struct str, uint64_t *);	/* decimal, all of it */
size_t		str_count(struct str, char c);	/* how many are there */
/* How many bytes of ASCII it begins with. */
size_t		str_ascii(struct str);
/* How many bytes it begins with, by eights, that are words of ASCII and single
 * blanks in front of them. */
size_t		str_words(struct str);
/* The characters of UTF-8: bytes that continue none. */
size_t		str_chars(struct str);
uint64_t	str_hash(struct str);			/* seeded per process */
uint64_t	str_ihash(struct str);			/* equal for str_ieq */
/* The same in every process that has the key. */
uint64_t	str_hash_keyed(struct str, const uint64_t key[2]);

struct buf {
	char	*p;		/* NUL-terminated once anything was added */
	size_t	 n, cap, max;
	bool	 failed;
};

#define BUF_INIT(limit)	((struct buf){ .max = (limit) })

/* What does not fit without growing; for buf_add() alone. */
void		buf_add_grown(struct buf *, const void *, size_t);

static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (b->failed || n >= b->cap - b->n || n == 0) {
		buf_add_grown(b, p, n);
		return;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

static inline void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

static inline void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline void
buf_addstr(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

static inline struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p != NULL ? b->p : "", b->n };
}

void		buf_printf(struct buf *, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));
void		buf_vprintf(struct buf *, const char *fmt, va_list)
		    __attribute__((format(printf, 2, 0)));
void		buf_truncate(struct buf *, size_t n);
void		buf_free(struct buf *);
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void		buf_json(struct buf *, struct str);
/* As log values want it: bare where plain, else quoted, \xNN for the rest. */
void		buf_quoted(struct buf *, struct str);

#endif
