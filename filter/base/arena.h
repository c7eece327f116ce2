/*
 * arena - memory that lives as long as one connection or one message.
 *
 * An arena grows in blocks up to a cap.  A request past the cap returns NULL
 * and marks the arena overflowed until it is reset; whoever answers the MTA
 * asks arena_overflowed() and gives a temporary failure.  Nothing is freed
 * alone: arena_reset() or arena_free() releases everything, after running
 * the cleanups registered for foreign objects, last registered first.
 * Built with -DARENA_EMULATE every request is a malloc of its own, so that
 * AddressSanitizer sees each edge.
 *
 * An arena belongs to one thread at a time.  arena_new() ends the process
 * when there is no memory (base/mem.h).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;

struct arena	*arena_new(size_t cap);
void		 arena_free(struct arena **);
void		 arena_reset(struct arena *);	/* cleanups, then empty */
bool		 arena_overflowed(const struct arena *);
size_t		 arena_used(const struct arena *);

/* Zeroed and aligned for any object; NULL when the cap is reached. */
void		*arena_alloc(struct arena *, size_t n);
/* A copy with a NUL behind it; {NULL, 0} when the cap is reached. */
struct str	 arena_str(struct arena *, struct str);
/* The same of three texts, one behind the other. */
struct str	 arena_join(struct arena *, struct str, struct str, struct str);
/* The same as a C string; NULL when the cap is reached. */
char		*arena_strdup(struct arena *, const char *);
struct str	 arena_printf(struct arena *, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));
/* Calls fn(obj) when the arena is reset or freed; false: called already. */
bool		 arena_cleanup(struct arena *, void (*fn)(void *), void *obj);

#endif
