/*
 * str - slices of text, and a buffer that grows.
 *
 * A struct str points into memory somebody else owns and need not end in
 * NUL.  A struct buf owns heap memory and has a limit: an addition past it
 * is left out whole, and so is every later one; `failed' remembers it until
 * buf_free(), so a caller checks once.
 * Case is ASCII's alone, whatever the locale.  Any thread may call these.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char	*p;
	size_t		 n;
};

#define STR(lit)	((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NONE	((struct str){ NULL, 0 })
/* For printf: "%.*s" with STR_FMT(s). */
#define STR_FMT(s)	(int)(s).n, (s).p ? (s).p : ""

struct str	str_of(const char *cstr);	/* NULL gives STR_NONE */
bool		str_eq(struct str, struct str);
bool		str_ieq(struct str, struct str);
int		str_cmp(struct str, struct str);
int		str_icmp(struct str, struct str);
bool		str_starts(struct str, struct str prefix);
bool		str_istarts(struct str, struct str prefix);
bool		str_iends(struct str, struct str suffix);
struct str	str_trim(struct str);			/* SP HT CR LF */
struct str	str_sub(struct str, size_t from, size_t n); /* clipped */
/* Cuts at the first c: returns what is before it, *rest what is behind it
 * (rest->p == NULL where c does not occur). */
struct str	str_cut(struct str, char c, struct str *rest);
ptrdiff_t	str_chr(struct str, char c);		/* -1: not there */
ptrdiff_t	str_rchr(struct str, char c);
ptrdiff_t	str_find(struct str hay, struct str needle);
ptrdiff_t	str_ifind(struct str hay, struct str needle);
bool		str_u64(struct str, uint64_t *);	/* decimal, all of it */
uint64_t	str_hash(struct str);			/* seeded per process */
uint64_t	str_ihash(struct str);			/* equal for str_ieq */
/* The same in every process that has the key. */
uint64_t	str_hash_keyed(struct str, const uint64_t key[2]);
int		chr_lower(int c);
bool		chr_space(int c);			/* SP HT CR LF */
bool		chr_digit(int c);
bool		chr_alpha(int c);
bool		chr_alnum(int c);
/* The length of the UTF-8 character that p begins with, n > 0 (RFC 3629,
 * section 4); if there is none, minus how many bytes could have begun one. */
int		chr_utf8_len(const unsigned char *p, size_t n);

struct buf {
	char	*p;		/* NUL-terminated once anything was added */
	size_t	 n, cap, max;
	bool	 failed;
};

#define BUF_INIT(limit)	((struct buf){ .max = (limit) })

void		buf_add(struct buf *, const void *, size_t);
void		buf_addc(struct buf *, char);
void		buf_adds(struct buf *, const char *);
void		buf_addstr(struct buf *, struct str);
void		buf_printf(struct buf *, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));
void		buf_vprintf(struct buf *, const char *fmt, va_list)
		    __attribute__((format(printf, 2, 0)));
void		buf_truncate(struct buf *, size_t n);
void		buf_free(struct buf *);
struct str	buf_str(const struct buf *);
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void		buf_json(struct buf *, struct str);
/* As log values want it: bare where plain, else quoted, \xNN for the rest. */
void		buf_quoted(struct buf *, struct str);

#endif
