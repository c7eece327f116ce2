#include "daemon/admin_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check/limit.h"

#define BLOCK_SPACE STR("block")

struct collecting {
	struct admin_rows *rows;
	const struct policy *policy;
	const struct admin_key *who;
};

/* Blocks first, the longest ahead; then those nearest to their limits. */
static int
compare(const void *va, const void *vb)
{
	const struct admin_row *a = va, *b = vb;
	int diff;

	if (a->block != b->block)
		return a->block ? -1 : 1;
	if (a->block && a->expires_ms != b->expires_ms)
		return a->expires_ms > b->expires_ms ? -1 : 1;
	if (a->share != b->share)
		return a->share > b->share ? -1 : 1;
	diff = strcmp(a->key, b->key);
	if (diff == 0 && !a->block)
		diff = strcmp(a->counter, b->counter);
	if (diff == 0 && a->window_ms != b->window_ms)
		return a->window_ms < b->window_ms ? -1 : 1;
	return diff;
}

static void
row_free(struct admin_row *row)
{
	free(row->key);
	free(row->counter);
	free(row->by);
}

/* The rows are a heap with the last one on top, which is the first to go. */
static void
sift_up(struct admin_rows *r, size_t i)
{
	struct admin_row row = r->rows[i];

	for (; i > 0 && compare(&row, &r->rows[(i - 1) / 2]) > 0;
	     i = (i - 1) / 2)
		r->rows[i] = r->rows[(i - 1) / 2];
	r->rows[i] = row;
}

static void
sift_down(struct admin_rows *r)
{
	struct admin_row row = r->rows[0];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < r->n) {
		if (child + 1 < r->n &&
		    compare(&r->rows[child + 1], &r->rows[child]) > 0)
			child++;
		if (compare(&r->rows[child], &row) <= 0)
			break;
		r->rows[i] = r->rows[child];
		i = child;
	}
	r->rows[i] = row;
}

/* Takes the row. */
static void
rows_add(struct admin_rows *r, struct admin_row *row)
{
	if (r->n < r->max) {
		if ((r->n & (r->n - 1)) == 0)
			r->rows = mem_resize(r->rows,
			    (r->n ? 2 * r->n : 1) * sizeof(*row));
		r->rows[r->n++] = *row;
		sift_up(r, r->n - 1);
	} else if (r->n > 0 && compare(row, &r->rows[0]) < 0) {
		row_free(&r->rows[0]);
		r->rows[0] = *row;
		sift_down(r);
	} else {
		row_free(row);
	}
}

static void
take_limit(struct admin_row *row, const struct limit *l, size_t k,
    struct str key)
{
	uint64_t max[LIMIT_WINDOWS_MAX];

	limit_maxima(l, key, max);
	row->limit = l;
	row->window = &l->windows[k];
	row->max = max[k];
	row->share = (double)row->used / (double)(row->max ? row->max : 1);
}

/* "submission/messages" and the window's length, in the policy. */
static void
find_limit(const struct policy *p, const struct store_seen *seen,
    struct admin_row *row)
{
	struct str unit, name = str_cut(seen->limit, '/', &unit);

	for (size_t i = 0; i < p->nlimits; i++) {
		const struct limit *l = p->limits[i];

		if (!str_eq(l->name, name))
			continue;
		for (size_t k = 0; k < l->count; k++)
			if (l->windows[k].window_ms == seen->window_ms &&
			    str_eq(unit,
				str_of(limit_unit_word(l->windows[k].unit))))
				take_limit(row, l, k, seen->key);
	}
}

static bool
see_block(struct collecting *c, const struct store_seen *seen)
{
	struct admin_row row = { .block = true,
		.expires_ms = seen->expires_ms };

	if (!str_eq(seen->limit, BLOCK_SPACE))
		return true;
	if (c->who != NULL && !admin_key_means(c->who, seen->key))
		return true;
	c->rows->blocks++;
	row.key = mem_strndup(seen->key.p, seen->key.n);
	row.by = mem_strndup(seen->value.n ? seen->value.p : "", seen->value.n);
	rows_add(c->rows, &row);
	return true;
}

static bool
see(void *arg, const struct store_seen *seen)
{
	struct collecting *c = arg;
	struct admin_row row = { .window_ms = seen->window_ms,
		.used = seen->used };

	if (seen->note)
		return see_block(c, seen);
	if (c->who != NULL && !admin_key_means(c->who, seen->key))
		return true;
	find_limit(c->policy, seen, &row);
	if (row.limit == NULL && c->who == NULL)
		return true;
	c->rows->counters++;
	row.key = mem_strndup(seen->key.p, seen->key.n);
	row.counter = mem_strndup(seen->limit.p, seen->limit.n);
	rows_add(c->rows, &row);
	return true;
}

void
admin_rows_collect(struct admin_rows *r, size_t max, struct store *store,
    const struct policy *p, const struct admin_key *who)
{
	struct collecting c = { r, p, who };

	*r = (struct admin_rows){ .max = max };
	store_each(store, see, &c);
	if (r->n > 0)
		qsort(r->rows, r->n, sizeof(r->rows[0]), compare);
}

void
admin_rows_free(struct admin_rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		row_free(&r->rows[i]);
	free(r->rows);
	*r = (struct admin_rows){ .max = 0 };
}

void
admin_rows_times(const struct admin_row *row, struct store *store,
    int64_t *room_ms, int64_t *empty_ms)
{
	struct store_window w = { .limit = str_of(row->counter),
		.key = str_of(row->key),
		.window_ms = row->window_ms,
		.max = row->max,
		.room = 1 };
	struct store_usage usage = { .used = 0 };

	*room_ms = *empty_ms = 0;
	if (row->limit != NULL && store_peek(store, &w, &usage) == STORE_OVER)
		*room_ms = usage.retry_ms;
	/* As much as there is now fits when nothing of it is left. */
	w.max = w.room = row->used;
	if (store_peek(store, &w, &usage) == STORE_OVER)
		*empty_ms = usage.retry_ms;
}
