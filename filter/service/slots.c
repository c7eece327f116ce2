#include "service/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define INDEX_BITS 6
#define INDEX_MASK 63

static const uint64_t *
slots_at(const struct slots *s)
{
	return s->cap ? s->many : &s->one;
}

static uint64_t *
slots_edit(struct slots *s)
{
	return s->cap ? s->many : &s->one;
}

static uint64_t
word_count(uint64_t word)
{
	return word >> INDEX_BITS;
}

/* How many slots a word's slot is behind the newest. */
static unsigned int
word_age(const struct slots *s, uint64_t word)
{
	return ((uint64_t)s->head - word) & INDEX_MASK;
}

static uint64_t
word_make(int64_t index, uint64_t count)
{
	if (count > SLOTS_COUNT_MAX)
		count = SLOTS_COUNT_MAX;
	return count << INDEX_BITS | ((uint64_t)index & INDEX_MASK);
}

/* First moment of a slot, rounded up to the millisecond. */
static int64_t
index_ms(int64_t index, int64_t window_ms)
{
	return (index * window_ms + SLOTS_PER_WINDOW - 1) / SLOTS_PER_WINDOW;
}

int64_t
slots_index(int64_t now_ms, int64_t window_ms)
{
	return now_ms * SLOTS_PER_WINDOW / window_ms;
}

void
slots_free(struct slots *s)
{
	if (s->cap)
		free(s->many);
	s->cap = s->n = 0;
	s->one = 0;
}

/* Removes n words from place `at', back to the inline word if one is left. */
static void
slots_cut(struct slots *s, size_t at, size_t n)
{
	uint64_t *w = slots_edit(s), last;

	memmove(w + at, w + at + n, (s->n - at - n) * sizeof(*w));
	s->n -= n;
	if (s->cap && s->n <= 1) {
		last = s->n ? w[0] : 0;
		free(s->many);
		s->cap = 0;
		s->one = last;
	}
}

void
slots_advance(struct slots *s, int64_t index)
{
	const uint64_t *w = slots_at(s);
	int64_t step = index - s->head;
	size_t gone = 0;

	if (s->n == 0) {
		s->head = index > s->head ? index : s->head;
		return;
	}
	if (step <= 0)
		return;
	while (gone < s->n &&
	    (int64_t)word_age(s, w[gone]) + step > SLOTS_PER_WINDOW)
		gone++;
	if (gone)
		slots_cut(s, 0, gone);
	s->head = index;
}

uint64_t
slots_sum(const struct slots *s)
{
	const uint64_t *w = slots_at(s);
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		sum += word_count(w[i]);
		if (sum > SLOTS_COUNT_MAX)
			return SLOTS_COUNT_MAX;
	}
	return sum;
}

static void
slots_grow(struct slots *s)
{
	uint64_t one = s->one;

	if (s->cap == 0) {
		s->many = mem_alloc(4 * sizeof(*s->many));
		s->many[0] = one;
		s->cap = 4;
		return;
	}
	s->cap *= 2;
	s->many = mem_resize(s->many, s->cap * sizeof(*s->many));
}

void
slots_put(struct slots *s, int64_t index, uint64_t count)
{
	uint64_t *w = slots_edit(s);
	size_t at = s->n;
	unsigned int age;

	if (count == 0 || index > s->head || s->head - index > SLOTS_PER_WINDOW)
		return;
	age = s->head - index;
	if (count > SLOTS_COUNT_MAX)
		count = SLOTS_COUNT_MAX;
	while (at > 0 && word_age(s, w[at - 1]) < age)
		at--;
	if (at > 0 && word_age(s, w[at - 1]) == age) {
		w[at - 1] = word_make(index, word_count(w[at - 1]) + count);
		return;
	}
	if (s->n && s->n == (s->cap ? s->cap : 1)) {
		slots_grow(s);
		w = slots_edit(s);
	}
	memmove(w + at + 1, w + at, (s->n - at) * sizeof(*w));
	w[at] = word_make(index, count);
	s->n++;
}

void
slots_add(struct slots *s, uint64_t count)
{
	slots_put(s, s->head, count);
}

void
slots_take(struct slots *s, int64_t index, uint64_t count)
{
	uint64_t *w = slots_edit(s), have;

	if (index > s->head || s->head - index > SLOTS_PER_WINDOW)
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (word_age(s, w[i]) != (unsigned int)(s->head - index))
			continue;
		have = word_count(w[i]);
		if (have > count)
			w[i] = word_make(index, have - count);
		else
			slots_cut(s, i, 1);
		return;
	}
}

int64_t
slots_leave_ms(const struct slots *s, int64_t window_ms, uint64_t count)
{
	const uint64_t *w = slots_at(s);
	uint64_t gone = 0;

	for (size_t i = 0; i < s->n; i++) {
		gone += word_count(w[i]);
		if (gone >= count)
			return index_ms(s->head - word_age(s, w[i]) + SLOTS_MAX,
			    window_ms);
	}
	return index_ms(s->head + SLOTS_MAX, window_ms);
}

int64_t
slots_end_ms(const struct slots *s, int64_t window_ms)
{
	const uint64_t *w = slots_at(s);

	if (s->n == 0)
		return 0;
	return index_ms(s->head - word_age(s, w[s->n - 1]) + SLOTS_MAX,
	    window_ms);
}

size_t
slots_save(const struct slots *s, uint64_t *out)
{
	memcpy(out, slots_at(s), s->n * sizeof(*out));
	return s->n;
}

bool
slots_load(struct slots *s, int64_t head, const uint64_t *words, size_t n)
{
	unsigned int age, before = SLOTS_MAX;

	*s = (struct slots){ .head = head };
	if (n > SLOTS_MAX || head < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		age = word_age(s, words[i]);
		if (age >= before || word_count(words[i]) == 0)
			return false;
		before = age;
	}
	for (; s->cap < n && n > 1;)
		slots_grow(s);
	memcpy(slots_edit(s), words, n * sizeof(*words));
	s->n = n;
	return true;
}

void
slots_shift(struct slots *s, int64_t head)
{
	uint64_t *w = slots_edit(s);

	for (size_t i = 0; i < s->n; i++)
		w[i] = word_make(head - word_age(s, w[i]), word_count(w[i]));
	s->head = head;
}
