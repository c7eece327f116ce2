#include "daemon/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "check/limit.h"
#include "daemon/admin_key.h"
#include "daemon/admin_rows.h"
#include "policy/fact.h"
#include "policy/setting.h"

#define ARENA_MAX     (256 * 1024)
#define BLOCK_MAX_MS  (INT64_C(10) * 365 * 86400 * 1000)
#define KEY_WIDTH     40
#define WHAT_WIDTH    34

/* --- requests ---------------------------------------------------------- */

static bool
take_option(struct admin *a, size_t *i)
{
	struct control_call *call = a->call;
	struct str word = call->args[*i];
	struct str *value = NULL;

	if (str_eq(word, STR("--json")))
		a->json = true;
	else if (str_eq(word, STR("--all")))
		a->all = true;
	else if (str_eq(word, STR("--client")))
		value = &a->client;
	else if (str_eq(word, STR("--from")))
		value = &a->from;
	else if (str_eq(word, STR("--to")))
		value = &a->to;
	else
		return false;
	if (value == NULL)
		return true;
	if (++*i == call->nargs)
		return false;
	*value = call->args[*i];
	return true;
}

bool
admin_read(struct admin *a, struct control_call *call)
{
	a->call = call;
	for (size_t i = 0; i < call->nargs; i++) {
		if (str_starts(call->args[i], STR("--"))) {
			if (take_option(a, &i))
				continue;
		} else if (a->nwords < ADMIN_WORDS_MAX) {
			a->words[a->nwords++] = call->args[i];
			continue;
		}
		buf_printf(&call->out, "%.*s: what is ", STR_FMT(call->name));
		buf_quoted(&call->out,
		    i < call->nargs ? call->args[i] : STR_NONE);
		buf_adds(&call->out, "?\n");
		return false;
	}
	return true;
}

void
admin_audit(const struct control_call *call, const char *what, struct str key,
    long long number)
{
	struct buf line = BUF_INIT(8192);

	buf_printf(&line, "what=%s", what);
	if (key.n > 0) {
		buf_adds(&line, " key=");
		buf_quoted(&line, key);
		buf_printf(&line, " %s=%lld",
		    strcmp(what, "block") == 0 ? "seconds" : "counters",
		    number);
	}
	buf_adds(&line, " by=");
	buf_quoted(&line, str_of(call->user));
	buf_printf(&line, " uid=%ld", (long)(int)call->uid);
	log_line(LOG_EV_ADMIN, buf_str(&line));
	buf_free(&line);
}

static bool
no_store(struct admin *a)
{
	if (a->services->store != NULL)
		return false;
	buf_adds(&a->call->out, "there is no state store\n");
	return true;
}

/* Where a server keeps it all nothing is known while that is away: what was
 * not found is not "nothing". */
static bool
is_away(struct admin *a)
{
	if (store_note_get(a->services->store, STR("block"), STR("?"), NULL,
		NULL) != STORE_DOWN)
		return false;
	buf_adds(&a->call->out, "the state store is down\n");
	return true;
}

/* --- rows as text and as JSON ------------------------------------------ */

static void
json_text(struct buf *out, const char *name, struct str value)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, value);
}

/* It has no white space; what a terminal might take ill can be written in a
 * KEY as well as it is printed here. */
static void
add_key(struct buf *out, const char *key)
{
	for (; *key != '\0'; key++)
		if (*key > ' ' && *key <= '~')
			buf_addc(out, *key);
		else
			buf_printf(out, "%%%02X", (unsigned char)*key);
}

static void
add_time(struct buf *out, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_adds(out, text);
}

static long long
seconds_up(int64_t ms)
{
	return ms > 0 ? (long long)((ms + 999) / 1000) : 0;
}

static void
json_block(struct buf *out, const struct admin_row *row)
{
	buf_adds(out, "{\"kind\":\"block\"");
	json_text(out, "key", str_of(row->key));
	buf_adds(out, ",\"until\":\"");
	add_time(out, row->expires_ms);
	buf_printf(out, "\",\"seconds\":%lld",
	    seconds_up(row->expires_ms - clock_wall_ms()));
	json_text(out, "by", str_of(row->by));
	buf_adds(out, "}\n");
}

static void
json_counter(struct buf *out, const struct admin_row *row, int64_t room_ms,
    int64_t empty_ms)
{
	struct str unit, name = str_cut(str_of(row->counter), '/', &unit);

	buf_adds(out, "{\"kind\":\"limit\"");
	json_text(out, "key", str_of(row->key));
	json_text(out, "limit", name);
	json_text(out, "unit", unit);
	buf_printf(out, ",\"used\":%llu", (unsigned long long)row->used);
	if (row->limit != NULL && row->max == LIMIT_UNLIMITED)
		buf_adds(out, ",\"max\":null,\"percent\":0.0");
	else if (row->limit != NULL)
		buf_printf(out, ",\"max\":%llu,\"percent\":%.1f",
		    (unsigned long long)row->max, 100 * row->share);
	else
		buf_adds(out, ",\"max\":null,\"percent\":null");
	buf_printf(out,
	    ",\"window\":%lld,\"room_in\":%lld,\"empty_in\":%lld}\n",
	    seconds_up(row->window_ms), seconds_up(room_ms),
	    seconds_up(empty_ms));
}

/* Fills up to the column, two blanks at least. */
static void
pad(struct buf *out, size_t start, size_t width)
{
	do
		buf_addc(out, ' ');
	while (out->n < start + width || out->p[out->n - 2] != ' ');
}

static void
text_block(struct buf *out, const struct admin_row *row, struct arena *arena)
{
	size_t start = out->n;

	buf_adds(out, "blocked  ");
	add_key(out, row->key);
	pad(out, start, KEY_WIDTH + 9);
	buf_printf(out, "for %.*s, until ",
	    STR_FMT(fact_duration(arena, row->expires_ms - clock_wall_ms())));
	add_time(out, row->expires_ms);
	buf_adds(out, ", by ");
	buf_quoted(out, str_of(row->by));
	buf_addc(out, '\n');
}

static void
text_counter(struct buf *out, const struct admin_row *row, int64_t room_ms,
    int64_t empty_ms, struct arena *arena)
{
	struct str unit, name = str_cut(str_of(row->counter), '/', &unit);
	size_t start = out->n;

	if (row->limit != NULL)
		buf_printf(out, "%6.0f%%  ", 100 * row->share);
	else
		buf_adds(out, "      -  ");
	add_key(out, row->key);
	pad(out, start, KEY_WIDTH + 9);
	start = out->n;
	buf_printf(out, "%llu", (unsigned long long)row->used);
	if (row->limit != NULL && row->max != LIMIT_UNLIMITED)
		buf_printf(out, " of %llu", (unsigned long long)row->max);
	buf_printf(out, " %.*s/%.*s", STR_FMT(unit),
	    STR_FMT(row->window != NULL ?
		    row->window->text :
		    fact_duration(arena, row->window_ms)));
	pad(out, start, WHAT_WIDTH);
	buf_addstr(out, name);
	if (room_ms > 0)
		buf_printf(out, ", room in %.*s",
		    STR_FMT(fact_duration(arena, room_ms)));
	buf_printf(out, ", empty in %.*s",
	    STR_FMT(fact_duration(arena, empty_ms)));
	if (row->limit == NULL)
		buf_adds(out, " (the policy has no such limit)");
	buf_addc(out, '\n');
}

static bool
print_row(struct admin *a, const struct admin_row *row)
{
	struct buf *out = &a->call->out;
	int64_t room_ms, empty_ms;
	struct arena *arena;

	if (row->block && a->json) {
		json_block(out, row);
		return control_flush(a->call);
	}
	arena = arena_new(ARENA_MAX);
	if (row->block) {
		text_block(out, row, arena);
	} else {
		admin_rows_times(row, a->services->store, &room_ms, &empty_ms);
		if (a->json)
			json_counter(out, row, room_ms, empty_ms);
		else
			text_counter(out, row, room_ms, empty_ms, arena);
	}
	arena_free(&arena);
	return control_flush(a->call);
}

static void
print_rows(struct admin *a, const struct admin_rows *rows)
{
	size_t all = rows->counters + rows->blocks, i = 0;

	while (i < rows->n && print_row(a, &rows->rows[i]))
		i++;
	if (!a->json && rows->n < all)
		buf_printf(&a->call->out, "(%zu more%s)\n", all - rows->n,
		    a->all ? "" : ": --all");
}

/* --- the requests ------------------------------------------------------ */

bool
admin_who(struct admin *a)
{
	struct admin_rows rows;
	bool ok;

	if (no_store(a))
		return false;
	admin_rows_collect(&rows, a->all ? ADMIN_ROWS_MAX : ADMIN_ROWS,
	    a->services->store, a->policy, NULL);
	ok = !is_away(a);
	if (ok && rows.n == 0 && !a->json)
		buf_adds(&a->call->out,
		    "nobody has used anything, nobody is blocked\n");
	if (ok)
		print_rows(a, &rows);
	admin_rows_free(&rows);
	return ok;
}

bool
admin_show(struct admin *a)
{
	struct arena *arena;
	struct admin_rows rows;
	struct admin_key key;
	bool ok;

	if (no_store(a))
		return false;
	arena = arena_new(ARENA_MAX);
	ok = admin_key_parse(arena, a->words[0], &key, &a->call->out);
	if (ok) {
		admin_rows_collect(&rows, ADMIN_ROWS_MAX, a->services->store,
		    a->policy, &key);
		ok = !is_away(a);
		if (ok && rows.n == 0 && !a->json) {
			buf_quoted(&a->call->out, a->words[0]);
			buf_adds(&a->call->out,
			    ": nothing is used, nothing is blocked\n");
		}
		a->all = true;
		if (ok)
			print_rows(a, &rows);
		admin_rows_free(&rows);
	}
	arena_free(&arena);
	return ok;
}

/* The rows of one key together. */
static int
compare_keys(const void *va, const void *vb)
{
	const struct admin_row *a = va, *b = vb;

	return strcmp(a->key, b->key);
}

static void
release_key(struct admin *a, struct str key)
{
	struct buf *out = &a->call->out;
	size_t cleared = store_clear(a->services->store, key);
	bool lifted =
	    store_note_del(a->services->store, STR("block"), key) != STORE_OVER;

	admin_audit(a->call, lifted ? "release-block" : "release", key,
	    (long long)cleared);
	if (a->json) {
		buf_adds(out, "{\"kind\":\"released\"");
		json_text(out, "key", key);
		buf_printf(out, ",\"counters\":%zu,\"blocked\":%s}\n", cleared,
		    lifted ? "true" : "false");
		return;
	}
	buf_adds(out, "released ");
	add_key(out, key.p);
	buf_printf(out, ": %zu counter%s emptied%s\n", cleared,
	    cleared == 1 ? "" : "s", lifted ? ", block lifted" : "");
}

bool
admin_release(struct admin *a)
{
	struct arena *arena;
	struct admin_rows rows = { .n = 0 };
	struct admin_key key;
	bool ok;

	if (no_store(a))
		return false;
	arena = arena_new(ARENA_MAX);
	ok = admin_key_parse(arena, a->words[0], &key, &a->call->out);
	if (ok)
		admin_rows_collect(&rows, ADMIN_ROWS_MAX, a->services->store,
		    a->policy, &key);
	ok = ok && !is_away(a);
	if (ok && rows.n > 0)
		qsort(rows.rows, rows.n, sizeof(rows.rows[0]), compare_keys);
	for (size_t i = 0; ok && i < rows.n && control_flush(a->call); i++)
		if (i == 0 ||
		    strcmp(rows.rows[i].key, rows.rows[i - 1].key) != 0)
			release_key(a, str_of(rows.rows[i].key));
	if (ok && rows.n == 0) {
		buf_quoted(&a->call->out, a->words[0]);
		buf_adds(&a->call->out,
		    ": nothing is used, nothing is blocked\n");
		ok = false;
	}
	admin_rows_free(&rows);
	arena_free(&arena);
	return ok;
}

/* --- block ------------------------------------------------------------- */

static bool
asks_blocked(const struct expr *x, struct str words)
{
	for (; x != NULL; x = x->right)
		if ((x->op == EXPR_BLOCKED && str_eq(x->key.text, words)) ||
		    asks_blocked(x->left, words))
			return true;
	return false;
}

static bool
policy_asks(const struct policy *p, struct str words)
{
	for (int stage = 0; stage < STAGE_COUNT; stage++)
		for (const struct rule *r = p->rules[stage]; r != NULL;
		     r = r->next)
			if (asks_blocked(r->condition, words))
				return true;
	return false;
}

static bool
put_block(struct admin *a, const struct admin_key *key, int64_t ms)
{
	struct buf *out = &a->call->out;
	struct admin_row row = { .block = true,
		.key = (char *)key->text.p,
		.expires_ms = clock_wall_ms() + ms };
	char by[CONTROL_NAME_MAX + 16];
	bool kept;

	snprintf(by, sizeof(by), "admin %s", a->call->user);
	row.by = by;
	kept = block_set(a->services, key->text, ms, str_of(by));
	admin_audit(a->call, "block", key->text, (long long)ms / 1000);
	if (!kept) {
		buf_adds(out,
		    "the state store is down: the block is in memory alone "
		    "until it is back\n");
		return false;
	}
	print_row(a, &row);
	if (!a->json && !policy_asks(a->policy, key->words))
		buf_printf(out,
		    "note: no rule of the policy asks `blocked %.*s'\n",
		    STR_FMT(key->words));
	return true;
}

bool
admin_block(struct admin *a)
{
	struct buf *out = &a->call->out;
	struct arena *arena;
	struct admin_key key;
	int64_t ms = 0;
	bool ok;

	if (no_store(a))
		return false;
	if (!setting_time(a->words[1], &ms) || ms <= 0 || ms > BLOCK_MAX_MS) {
		buf_quoted(out, a->words[1]);
		buf_adds(out, ": a time is like 30m, 2h or 1d\n");
		return false;
	}
	arena = arena_new(ARENA_MAX);
	ok = admin_key_parse(arena, a->words[0], &key, out);
	if (ok && key.text.n == 0) {
		ok = false;
		buf_adds(out, "block whom?  Say what it is: ");
		buf_quoted(out,
		    arena_printf(arena,
			key.addr.family != ADDR_NONE ? "client=%.*s" :
			    key.base.n > 0	     ? "sender=%.*s" :
						       "user=%.*s",
			STR_FMT(key.value)));
		buf_adds(out, "\n");
	}
	ok = ok && put_block(a, &key, ms);
	arena_free(&arena);
	return ok;
}
