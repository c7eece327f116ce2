#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SLOTS_MIN	16

enum slot_state { SLOT_FREE, SLOT_DELETED, SLOT_USED };

struct slot {
	enum slot_state	 state;
	uint64_t	 hash;
	char		*key;
	size_t		 n;
	void		*value;
};

struct map {
	struct slot	*slots;		/* a power of two, probed in a row */
	size_t		 size;
	size_t		 count;		/* in use */
	size_t		 filled;	/* in use or deleted */
	bool		 fold;
};

struct map *
map_new(bool fold)
{
	struct map *m = mem_alloc(sizeof(*m));

	m->fold = fold;
	return m;
}

void
map_free(struct map **mp, void (*free_value)(void *))
{
	struct map *m = *mp;

	if (m == NULL)
		return;
	for (size_t i = 0; i < m->size; i++) {
		if (m->slots[i].state != SLOT_USED)
			continue;
		if (free_value != NULL)
			free_value(m->slots[i].value);
		free(m->slots[i].key);
	}
	free(m->slots);
	free(m);
	*mp = NULL;
}

size_t
map_count(const struct map *m)
{
	return m->count;
}

static uint64_t
map_hash(const struct map *m, struct str key)
{
	return m->fold ? str_ihash(key) : str_hash(key);
}

static bool
slot_is(const struct map *m, const struct slot *s, uint64_t hash,
    struct str key)
{
	struct str have = { s->key, s->n };

	if (s->state != SLOT_USED || s->hash != hash)
		return false;
	return m->fold ? str_ieq(have, key) : str_eq(have, key);
}

static struct slot *
map_find(const struct map *m, uint64_t hash, struct str key)
{
	struct slot *s;

	if (m->size == 0)
		return NULL;
	for (size_t i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
		s = &m->slots[i];
		if (s->state == SLOT_FREE)
			return NULL;
		if (slot_is(m, s, hash, key))
			return s;
	}
}

/* The first slot free for a key that is not in the map. */
static struct slot *
map_vacant(const struct map *m, uint64_t hash)
{
	size_t i = hash & (m->size - 1);

	while (m->slots[i].state == SLOT_USED)
		i = (i + 1) & (m->size - 1);
	return &m->slots[i];
}

static void
map_rebuild(struct map *m)
{
	struct slot *old = m->slots;
	size_t old_size = m->size;

	m->size = SLOTS_MIN;
	while (m->size < m->count * 2 + 2)
		m->size *= 2;
	m->slots = mem_alloc(m->size * sizeof(*m->slots));
	m->filled = m->count;
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].state == SLOT_USED)
			*map_vacant(m, old[i].hash) = old[i];
	}
	free(old);
}

void *
map_get(const struct map *m, struct str key)
{
	struct slot *s;

	if (m->count == 0)
		return NULL;
	s = map_find(m, map_hash(m, key), key);
	return s != NULL ? s->value : NULL;
}

void *
map_put(struct map *m, struct str key, void *value)
{
	uint64_t hash = map_hash(m, key);
	struct slot *s = map_find(m, hash, key);
	void *old;

	if (s != NULL) {
		old = s->value;
		s->value = value;
		return old;
	}
	/* At least a quarter stays free, so every probe ends. */
	if (m->filled + 1 > m->size / 4 * 3)
		map_rebuild(m);
	s = map_vacant(m, hash);
	if (s->state == SLOT_FREE)
		m->filled++;
	m->count++;
	*s = (struct slot){ SLOT_USED, hash, mem_alloc(key.n + 1), key.n,
		value };
	if (key.n > 0)
		memcpy(s->key, key.p, key.n);
	return NULL;
}

void *
map_del(struct map *m, struct str key)
{
	struct slot *s = map_find(m, map_hash(m, key), key);
	void *old;

	if (s == NULL)
		return NULL;
	old = s->value;
	free(s->key);
	*s = (struct slot){ .state = SLOT_DELETED };
	m->count--;
	return old;
}

bool
map_next(const struct map *m, struct map_iter *it, struct str *key,
    void **value)
{
	const struct slot *s;

	while (it->slot < m->size) {
		s = &m->slots[it->slot++];
		if (s->state != SLOT_USED)
			continue;
		if (key != NULL)
			*key = (struct str){ s->key, s->n };
		if (value != NULL)
			*value = s->value;
		return true;
	}
	return false;
}
