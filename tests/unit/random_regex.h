/*
 * random_regex - regexes and texts made of few letters, so that they match
 * each other often.
 */
#ifndef RANDOM_REGEX_H
#define RANDOM_REGEX_H

#include <stdint.h>

#include "base/str.h"

static uint32_t seed = 7;

static unsigned int
pick(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void
random_pattern(struct buf *out, unsigned int depth)
{
	static const char *const atoms[] = { "v", "x", "q", "[xq]", "[^x]",
		"\\W", "\\d", "z", "Z", "\\xe0", "[v\\xc0]", ".", "\\b", "j",
		"[j-k]", "^", "\\A", "\\s" };
	static const char *const repeats[] = { "", "", "", "?", "*", "+", "{2}",
		"{1,3}", "{0,2}", "{0,90}", "{2,90}" };
	unsigned int i, n = 2 + pick(4);

	for (i = 0; i < n; i++) {
		if (depth > 0 && pick(3) == 0) {
			buf_adds(out, "(?:");
			random_pattern(out, depth - 1);
			if (pick(2) == 0) {
				buf_addc(out, '|');
				random_pattern(out, depth - 1);
			}
			buf_addc(out, ')');
		} else {
			buf_adds(out, atoms[pick(18)]);
		}
		buf_adds(out, repeats[pick(11)]);
	}
}

static void
random_text(char *text, size_t n)
{
	static const char bytes[] = "vxqzj-1 \xe0\xc0VZ\n";
	size_t i;

	for (i = 0; i < n; i++)
		text[i] = bytes[pick(sizeof(bytes) - 1)];
}

#endif
