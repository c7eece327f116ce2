/*
 * byte_set - which of the 256 bytes a place of a regex takes.
 *
 * Inside of score/ only.  A value; any thread.
 */
#ifndef SCORE_BYTE_SET_H
#define SCORE_BYTE_SET_H

#include <stdbool.h>
#include <stdint.h>

struct byte_set {
	uint64_t	 word[4];	/* byte c: bit c % 64 of word c / 64 */
};

static inline bool
byte_set_has(const struct byte_set *s, int byte)
{
	return s->word[byte >> 6] >> (byte & 63) & 1;
}

static inline void
byte_set_add(struct byte_set *s, int byte)
{
	s->word[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

static inline void
byte_set_join(struct byte_set *s, const struct byte_set *more)
{
	int i;

	for (i = 0; i < 4; i++)
		s->word[i] |= more->word[i];
}

static inline unsigned int
byte_set_count(const struct byte_set *s)
{
	unsigned int i, n = 0;

	for (i = 0; i < 4; i++)
		n += (unsigned int)__builtin_popcountll(s->word[i]);
	return n;
}

/* Takes the lowest byte out; false: the set is empty. */
static inline bool
byte_set_take(struct byte_set *s, int *byte)
{
	int i;

	for (i = 0; i < 4; i++)
		if (s->word[i] != 0) {
			*byte = i * 64 + __builtin_ctzll(s->word[i]);
			s->word[i] &= s->word[i] - 1;
			return true;
		}
	return false;
}

#endif
