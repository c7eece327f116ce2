/*
 * random_regex - regexes and texts made of few letters, so that they match
 * each other often.
 */
#ifndef RANDOM_REGEX_H
#define RANDOM_REGEX_H

#include <stdint.h>

#include "base/str.h"

static uint32_t seed = 7;

static inline unsigned int
pick(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* What regexes are made of; each list ends with NULL. */
struct grammar {
	const char *const *atoms, *const *repeats, *const *open;
	unsigned int least; /* atoms in a row */
};

static const struct grammar few_letters = {
	.atoms = (const char *const[]){ "v", "x", "q", "[xq]", "[^x]", "\\W",
	    "\\d", "z", "Z", "\\xe0", "[v\\xc0]", ".", "\\b", "j", "[j-k]",
	    "^", "\\A", "\\s", NULL },
	.repeats = (const char *const[]){ "", "", "", "?", "*", "+", "{2}",
	    "{1,3}", "{0,2}", "{0,90}", "{2,90}", NULL },
	.open = (const char *const[]){ "(?:", NULL },
	.least = 2,
};

static inline const char *
pick_one(const char *const *list)
{
	unsigned int n = 0;

	while (list[n])
		n++;
	return list[pick(n)];
}

static inline void
random_pattern(struct buf *out, const struct grammar *g, unsigned int depth)
{
	unsigned int n = g->least + pick(4);

	for (unsigned int i = 0; i < n; i++) {
		if (depth > 0 && pick(3) == 0) {
			buf_adds(out, pick_one(g->open));
			random_pattern(out, g, depth - 1);
			if (pick(2) == 0) {
				buf_addc(out, '|');
				random_pattern(out, g, depth - 1);
			}
			buf_addc(out, ')');
		} else {
			buf_adds(out, pick_one(g->atoms));
		}
		buf_adds(out, pick_one(g->repeats));
	}
}

static inline void
random_text(char *text, size_t n)
{
	static const char bytes[] = "vxqzj-1 \xe0\xc0VZ\n";
	size_t i;

	for (i = 0; i < n; i++)
		text[i] = bytes[pick(sizeof(bytes) - 1)];
}

#endif
