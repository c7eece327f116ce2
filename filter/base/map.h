/*
 * map - a hash table from text to a pointer.
 *
 * Keys are copied; values belong to the caller, who may give map_free() a
 * function for them.  A map with `fold' compares ASCII letters without case.
 * Not locked: whoever shares a map guards it.  The hash is seeded per
 * process, so a stranger can't aim for collisions.  Memory is base/mem.h's.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct map;

struct map_iter {
	size_t	slot;
};

struct map	*map_new(bool fold);
void		 map_free(struct map **, void (*free_value)(void *));
size_t		 map_count(const struct map *);
void		*map_get(const struct map *, struct str key);
/* Returns the value replaced, NULL if the key is new. */
void		*map_put(struct map *, struct str key, void *value);
void		*map_del(struct map *, struct str key);	/* the value removed */
/* Any order: for (it = (struct map_iter){0}; map_next(m, &it, &k, &v);)
 * What is there may be deleted on the way, nothing may be put. */
bool		 map_next(const struct map *, struct map_iter *,
		    struct str *key, void **value);

#endif
