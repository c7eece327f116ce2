/*
 * chain_pass - passes of chains, once more for each kind of registers.
 *
 * A part of score/chain.c, which includes it with
 *
 *	vec		some lanes, a vector type
 *	PASS(function)	the function's name for that type
 *	TARGET		attributes: for which machines
 *
 * and takes PASS(block) from it.
 */

#define LANES	   (sizeof(vec) / sizeof(uint64_t))
#define VECS_MAX   (CHAIN_LANES / LANES)
#define INLINE	   TARGET static inline __attribute__((always_inline))

/* The states behind one more byte.  Loops are unrolled for each block so that
 * states stay in registers. */
INLINE void
PASS(step)(vec *state, const vec *begin, const vec *moves, char byte, size_t n)
{
	const vec *at = moves + 2 * n * (unsigned char)byte;
	size_t i;

#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		state[i] = (((state[i] << 1) | begin[i]) & at[i]) |
		    (state[i] & at[n + i]);
}

INLINE bool
PASS(is_none)(const vec *state, size_t n)
{
	uint64_t any = 0;
	vec all = { 0 };
	size_t i;

#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		all |= state[i];
#pragma GCC unroll 4
	for (i = 0; i < LANES; i++)
		any |= all[i];
	return any == 0;
}

/* What began before the text goes on in it until nothing is open. */
INLINE void
PASS(rest)(const vec *moves, struct str text, vec *state, size_t n)
{
	const vec none[VECS_MAX] = { { 0 } };
	size_t at = 0, end;

	while (at < text.n && !PASS(is_none)(state, n)) {
		end = text.n - at > REST_BYTES ? at + REST_BYTES : text.n;
		for (; at < end; at++)
			PASS(step)(state, none, moves, text.p[at], n);
	}
}

/* Each step waits for the one before it, so a few parts of a text that go on
 * side by side take little longer than one.  A chain runs in one of them, or
 * it begins in one and goes on in the next, beside those that begin there. */
INLINE void
PASS(parts)(const struct block *b, struct str text, uint64_t *met, size_t n,
    size_t parts)
{
	const vec *moves = (const vec *)b->moves, *ends = (const vec *)b->end;
	vec begin[VECS_MAX], state[PARTS_MAX][VECS_MAX] = { { { 0 } } };
	vec all[VECS_MAX] = { { 0 } }, open[VECS_MAX] = { { 0 } };
	size_t length = text.n / parts, at, part, i;

	memcpy(begin, b->begin, sizeof(begin));
	for (at = 0; at < length; at++)
#pragma GCC unroll 4
		for (part = 0; part < parts; part++)
			PASS(step)(state[part], begin, moves,
			    text.p[part * length + at], n);
	for (at = parts * length; at < text.n; at++)
		PASS(step)(state[parts - 1], begin, moves, text.p[at], n);
#pragma GCC unroll 4
	for (part = 0; part < parts; part++) {
		PASS(rest)(moves, part_of(text, part, parts), open, n);
#pragma GCC unroll 4
		for (i = 0; i < n; i++) {
			open[i] |= state[part][i];
			all[i] |= open[i] & ends[i];
			open[i] &= ~ends[i];
		}
	}
	memcpy(met, all, n * sizeof(*all));
}

#undef vec
#undef PASS
#undef TARGET
#undef LANES
#undef VECS_MAX
#undef INLINE
