#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_FIRST	((size_t)4 * 1024)
#define BLOCK_LAST	((size_t)1024 * 1024)
#define ALIGNMENT	_Alignof(max_align_t)

struct block {
	struct block	*next;
	size_t		 size, used;
	_Alignas(max_align_t) unsigned char data[];
};

struct cleanup {
	struct cleanup	*next;
	void		 (*fn)(void *);
	void		*obj;
};

struct arena {
	size_t		 cap, used;
	size_t		 block_size;	/* of the next block */
	struct block	*blocks;	/* the first one is being filled */
	struct cleanup	*cleanups;
	bool		 overflowed;
};

struct arena *
arena_new(size_t cap)
{
	struct arena *a = mem_alloc(sizeof(*a));

	a->cap = cap;
	a->block_size = BLOCK_FIRST;
	return a;
}

static void
arena_run_cleanups(struct arena *a)
{
	struct cleanup *c;

	while ((c = a->cleanups) != NULL) {
		a->cleanups = c->next;
		c->fn(c->obj);
	}
}

/* Does it stay, for what comes next? */
static bool
block_stays(const struct block *b)
{
#ifdef ARENA_EMULATE
	(void)b;
	return false;
#else
	return b->next == NULL && b->size == BLOCK_FIRST;
#endif
}

void
arena_reset(struct arena *a)
{
	struct block *b;

	arena_run_cleanups(a);
	while ((b = a->blocks) != NULL && !block_stays(b)) {
		a->blocks = b->next;
		free(b);
	}
	if (b != NULL)
		b->used = 0;
	a->used = 0;
	a->block_size = b != NULL ? 2 * BLOCK_FIRST : BLOCK_FIRST;
	a->overflowed = false;
}

void
arena_free(struct arena **ap)
{
	if (*ap == NULL)
		return;
	arena_reset(*ap);
	free((*ap)->blocks);
	free(*ap);
	*ap = NULL;
}

bool
arena_overflowed(const struct arena *a)
{
	return a->overflowed;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

static struct block *
block_new(size_t size)
{
	struct block *b = malloc(sizeof(*b) + size);

	if (b == NULL)
		return NULL;
	b->next = NULL;
	b->size = size;
	b->used = 0;
	return b;
}

#ifdef ARENA_EMULATE

/* The object ends where its block ends: ASAN sees the first byte past it. */
static void *
arena_place(struct arena *a, size_t want, size_t step)
{
	struct block *b = block_new(want);

	(void)step;
	if (b == NULL)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	return b->data;
}

#else

/* A block of its own goes behind the one being filled, whose rest stays. */
static void *
arena_place_alone(struct arena *a, size_t step)
{
	struct block *b = block_new(step);

	if (b == NULL)
		return NULL;
	b->used = step;
	if (a->blocks != NULL) {
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else
		a->blocks = b;
	return b->data;
}

static void *
arena_place(struct arena *a, size_t want, size_t step)
{
	struct block *b = a->blocks;
	void *p;

	(void)want;
	if (b == NULL || b->size - b->used < step) {
		if (step > a->block_size / 4)
			return arena_place_alone(a, step);
		if ((b = block_new(a->block_size)) == NULL)
			return NULL;
		if (a->block_size < BLOCK_LAST)
			a->block_size *= 2;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->data + b->used;
	b->used += step;
	return p;
}

#endif

/* The bytes are not zeroed. */
static void *
arena_take(struct arena *a, size_t n)
{
	size_t step;
	void *p = NULL;

	if (n <= a->cap - a->used) {
		step = n > 0 ? n : 1;
		step = (step + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
		if (step >= n && step <= a->cap - a->used)
			p = arena_place(a, n, step);
	}
	if (p == NULL) {
		a->overflowed = true;
		return NULL;
	}
	a->used += step;
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_take(a, n);

	return p != NULL ? memset(p, 0, n) : NULL;
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *p;

	if (s.n == SIZE_MAX || (p = arena_take(a, s.n + 1)) == NULL)
		return STR_NONE;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){ p, s.n };
}

struct str
arena_join(struct arena *a, struct str x, struct str y, struct str z)
{
	size_t n = x.n + y.n + z.n;
	char *p = arena_take(a, n + 1), *at;

	if (p == NULL)
		return STR_NONE;
	at = x.n > 0 ? mempcpy(p, x.p, x.n) : p;
	at = y.n > 0 ? mempcpy(at, y.p, y.n) : at;
	at = z.n > 0 ? mempcpy(at, z.p, z.n) : at;
	*at = '\0';
	return (struct str){ p, n };
}

char *
arena_strdup(struct arena *a, const char *s)
{
	/* The bytes are the arena's own, hence writable. */
	return (char *)(uintptr_t)arena_str(a, str_of(s)).p;
}

struct str
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && (p = arena_take(a, (size_t)n + 1)) != NULL)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return p != NULL ? (struct str){ p, (size_t)n } : STR_NONE;
}

bool
arena_cleanup(struct arena *a, void (*fn)(void *), void *obj)
{
	struct cleanup *c = arena_alloc(a, sizeof(*c));

	if (c == NULL) {
		fn(obj);
		return false;
	}
	*c = (struct cleanup){ a->cleanups, fn, obj };
	a->cleanups = c;
	return true;
}
