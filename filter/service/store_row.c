#include "service/store_row.h"

#include <stdlib.h>
#include <string.h>

#include "service/store_cell.h"

static void
counter_read(struct store_counter *k, struct store_row *row)
{
	struct members_of of = store_cell_members(k);

	row->window_ms = k->window_ms;
	row->head = k->slots.head;
	row->nslots = 0;
	row->expires_ms = slots_end_ms(&k->slots, k->window_ms);
	row->distinct = k->members != NULL;
	if (!row->distinct) {
		row->nslots = slots_save(&k->slots, row->slots);
		return;
	}
	/* Who is held now may have been seen a moment ago. */
	if (k->reserved)
		row->expires_ms =
		    slots_leave_ms(&k->slots, k->window_ms, UINT64_MAX);
	row->nmembers =
	    members_save(&of, row->id == 0, &row->all_members, &row->members);
}

void
store_row_free(struct store_row *row)
{
	free(row->members);
	row->members = NULL;
}

void
store_row_secret(struct store_memory *m, uint64_t secret[2], bool load)
{
	for (int i = 0; i < 2; i++)
		if (load)
			m->secret[i] = secret[i];
		else
			secret[i] = m->secret[i];
}

void
store_row_read(struct store_memory *m, struct store_cell *c,
    struct store_row *row)
{
	struct store_shard *s = store_cell_shard(m, c->hash);

	row->kind = c->kind;
	row->space = store_cell_space(c);
	row->key = store_cell_key(c);
	pthread_mutex_lock(&s->lock);
	c->queued = false;
	c->refs++;
	row->id = c->id;
	row->members = NULL;
	row->distinct = false;
	row->heir = c->heir;
	if (c->kind == STORE_COUNTER) {
		counter_read(store_cell_counter(c), row);
	} else {
		struct store_note *o = store_cell_note(c);

		row->expires_ms = o->expires_ms;
		row->nvalue = o->nvalue;
		if (o->nvalue)
			memcpy(row->value, o->value, o->nvalue);
	}
	pthread_mutex_unlock(&s->lock);
}

void
store_row_hold(struct store_memory *m, struct store_cell *c)
{
	struct store_shard *s = store_cell_shard(m, c->hash);

	pthread_mutex_lock(&s->lock);
	c->queued = false;
	c->refs++;
	pthread_mutex_unlock(&s->lock);
}

void
store_row_saved(struct store_memory *m, struct store_cell *c, int64_t id)
{
	struct store_shard *s = store_cell_shard(m, c->hash);

	pthread_mutex_lock(&s->lock);
	c->id = id;
	c->heir = false;
	c->refs--;
	store_cell_drop_if_empty(m, s, c);
	pthread_mutex_unlock(&s->lock);
}

void
store_row_unsaved(struct store_memory *m, struct store_cell *c)
{
	struct store_shard *s = store_cell_shard(m, c->hash);

	pthread_mutex_lock(&s->lock);
	c->refs--;
	if (c->kind == STORE_COUNTER)
		members_unsaved(store_cell_counter(c)->members);
	store_cell_changed(m, c);
	pthread_mutex_unlock(&s->lock);
}

void
store_row_resave(struct store_memory *m)
{
	struct store_cell *c;

	for (size_t i = 0; i < STORE_SHARDS; i++) {
		struct store_shard *s = &m->shards[i];

		pthread_mutex_lock(&s->lock);
		for (size_t b = 0; b < s->nbuckets; b++)
			for (c = s->buckets[b]; c; c = c->next) {
				c->id = 0;
				store_cell_changed(m, c);
			}
		pthread_mutex_unlock(&s->lock);
	}
}

/* Members of a time that has not come yet were seen just now. */
static void
members_take(struct store_counter *k, const struct store_row *row,
    int64_t index)
{
	struct members_of of = store_cell_members(k);
	int64_t ahead = row->head > index ? row->head - index : 0;

	slots_advance(&k->slots, index);
	for (size_t i = 0; i < row->nmembers; i++)
		members_load(&of, row->members[i].hash,
		    row->members[i].last - ahead);
}

/* A row from a time that has not come yet counts as from now. */
static bool
counter_load(struct store_counter *k, const struct store_row *row, int64_t now,
    bool twice)
{
	int64_t index = slots_index(now, row->window_ms);
	struct slots read;

	if (row->distinct) {
		members_take(k, row, index);
		return true;
	}
	if (!slots_load(&read, row->head, row->slots, row->nslots))
		return false;
	if (read.head > index)
		slots_shift(&read, index);
	if (twice) {
		slots_advance(&k->slots, index);
		slots_add(&k->slots, slots_sum(&read));
		slots_free(&read);
	} else {
		k->slots = read;
	}
	return true;
}

/* How often it counted is not on disk; what it holds tells enough. */
static void
counter_warm(struct store_memory *m, struct store_counter *k)
{
	uint64_t sum = slots_sum(&k->slots);

	k->uses = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
	while (k->cell.heat < 30 && k->uses >= (uint32_t)2 << k->cell.heat)
		k->cell.heat++;
	store_cell_weigh(m, k);
}

bool
store_row_load(struct store_memory *m, const struct store_row *row, bool *twice)
{
	struct store_name name = store_cell_name(row->kind, row->space,
	    row->key, row->kind == STORE_COUNTER ? row->window_ms : 0);
	struct store_shard *s = store_cell_shard(m, name.hash);
	struct store_cell *c;
	bool good = true;

	if (row->kind == STORE_COUNTER && row->window_ms <= 0)
		return false;
	pthread_mutex_lock(&s->lock);
	*twice = store_cell_find(s, &name) != NULL;
	c = store_cell_get(m, &name);
	if (c == NULL)
		good = false;
	else if (row->kind == STORE_COUNTER)
		good = counter_load(store_cell_counter(c), row,
		    store_cell_now(m), *twice);
	else
		store_cell_set_note(m, store_cell_note(c),
		    (struct str){ row->value, row->nvalue }, row->expires_ms);
	if (good && row->kind == STORE_COUNTER)
		counter_warm(m, store_cell_counter(c));
	if (good && *twice)
		store_cell_changed(m, c);
	else if (good)
		c->id = row->id;
	pthread_mutex_unlock(&s->lock);
	return good;
}
