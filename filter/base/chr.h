/*
 * chr - what kind of character a byte is.
 *
 * ASCII's kinds, whatever the locale; a number that is no byte's is of none.
 * There are two sorts of white space: that of header fields, and that of
 * regexes, which has VT and FF too.  Defined here, as they are asked for
 * every byte of a message.  Any thread may call these.
 */
#ifndef BASE_CHR_H
#define BASE_CHR_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CHR_DIGIT	= 1 << 0,
	CHR_ALPHA	= 1 << 1,
	CHR_UNDERSCORE	= 1 << 2,
	CHR_SPACE	= 1 << 3,	/* SP HT CR LF */
	CHR_PAGE	= 1 << 4	/* VT FF */
};

extern const unsigned char chr_kinds[256];

static inline bool
chr_is(int c, unsigned int kinds)
{
	return (unsigned int)c < 256 && (chr_kinds[c] & kinds) != 0;
}

static inline bool
chr_space(int c)	/* SP HT CR LF */
{
	return chr_is(c, CHR_SPACE);
}

static inline bool
chr_white(int c)	/* \s of a regex */
{
	return chr_is(c, CHR_SPACE | CHR_PAGE);
}

static inline bool
chr_digit(int c)
{
	return chr_is(c, CHR_DIGIT);
}

static inline bool
chr_alpha(int c)
{
	return chr_is(c, CHR_ALPHA);
}

static inline bool
chr_alnum(int c)
{
	return chr_is(c, CHR_ALPHA | CHR_DIGIT);
}

static inline bool
chr_word(int c)		/* \w of a regex */
{
	return chr_is(c, CHR_ALPHA | CHR_DIGIT | CHR_UNDERSCORE);
}

static inline int
chr_lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* The length of the UTF-8 character that p begins with, n > 0 (RFC 3629,
 * section 4); if there is none, minus how many bytes could have begun one. */
int	chr_utf8_len(const unsigned char *p, size_t n);

#endif
