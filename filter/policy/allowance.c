#include "policy/allowance.h"

#include "mail/envelope.h"
#include "policy/setting.h"

#define KEY_MAX 2048 /* bytes of a key that are looked up */

/* ---- values ---- */

static struct str
joined(struct str first, struct str last)
{
	return (struct str){ first.p, (size_t)(last.p + last.n - first.p) };
}

/* "messages/1h" to the window of the limit that it is. */
static const struct limit_window *
window_find(const struct limit *limit, struct str text)
{
	struct str time, unit = str_cut(text, '/', &time);
	enum limit_unit which;
	int64_t ms;

	if (!limit_unit_parse(unit, &which) || !setting_time(time, &ms))
		return NULL;
	for (size_t i = 0; i < limit->count; i++)
		if (limit->windows[i].unit == which &&
		    limit->windows[i].window_ms == ms)
			return &limit->windows[i];
	return NULL;
}

static void
tell_windows(const struct limit *limit, struct str text, struct buf *why)
{
	buf_printf(why, "limit `%.*s' has no `%.*s'; it has",
	    STR_FMT(limit->name), STR_FMT(text));
	for (size_t i = 0; i < limit->count; i++)
		buf_printf(why, "%s %s/%.*s", i > 0 ? "," : "",
		    limit_unit_word(limit->windows[i].unit),
		    STR_FMT(limit->windows[i].text));
}

static bool
window_read(const struct limit *limit, struct str number, struct str *rest,
    uint64_t *max, struct buf *why, struct str *at)
{
	const struct limit_window *w;
	struct str first = table_word(rest), text = first;
	uint64_t n;

	*at = number;
	if (!setting_size(number, &n)) {
		buf_adds(why,
		    "expected `unlimited', or a number and a unit such as "
		    "5000 messages/1h");
		return false;
	}
	if (str_eq(first, STR("rejected")) || str_eq(first, STR("distinct")))
		text = joined(first, table_word(rest));
	if (text.n > 0)
		*at = text;
	w = window_find(limit, text);
	if (text.n == 0) {
		buf_printf(why, "%.*s of what? such as %.*s messages/1h",
		    STR_FMT(number), STR_FMT(number));
		return false;
	}
	if (w == NULL) {
		tell_windows(limit, text, why);
		return false;
	}
	if (w->unit != LIMIT_BYTES &&
	    !chr_digit((unsigned char)number.p[number.n - 1])) {
		*at = number;
		buf_adds(why, "K, M and G go with bytes only");
		return false;
	}
	max[w - limit->windows] = n;
	return true;
}

bool
allowance_parse(const struct limit *limit, struct str value, uint64_t *max,
    struct buf *why, struct str *at)
{
	struct str rest = value, word = table_word(&rest);
	bool all = str_eq(word, STR("unlimited"));

	for (size_t i = 0; i < limit->count; i++)
		max[i] = all ? LIMIT_UNLIMITED : limit->windows[i].max;
	*at = STR_NONE;
	if (word.n == 0) {
		buf_adds(why,
		    "expected `unlimited', or a number and a unit such as "
		    "5000 messages/1h");
		return false;
	}
	if (all) {
		*at = table_word(&rest);
		if (at->n > 0)
			buf_adds(why, "nothing may stand behind `unlimited'");
		return at->n == 0;
	}
	for (; word.n > 0; word = table_word(&rest))
		if (!window_read(limit, word, &rest, max, why, at))
			return false;
	return true;
}

/* ---- entries ---- */

static bool
is_mailbox(const struct key *key)
{
	return key->count == 1 &&
	    (key->parts[0].part == KEY_SENDER ||
		key->parts[0].part == KEY_RCPT);
}

/* An address as keys have it: without tags. */
static bool
mailbox_normal(struct str entry, struct buf *why)
{
	struct arena *a = arena_new(16 * 1024);
	struct address address;
	bool ok = true;

	if (envelope_parse(a, entry, &address) && address.base.n > 0 &&
	    !str_ieq(address.base, entry)) {
		buf_printf(why, "as a key this address is %.*s",
		    STR_FMT(address.base));
		ok = false;
	}
	arena_free(&a);
	return ok;
}

static bool
entry_normal(const struct limit *limit, struct str entry, struct buf *why)
{
	if (entry.n == 0 || entry.p[0] == '/')
		return true;
	if (limit->key.count > 1 && str_chr(entry, '=') < 0) {
		buf_adds(why,
		    "a key of several parts is written whole: "
		    "user=alice+client=192.0.2.1");
		return false;
	}
	if (is_mailbox(&limit->key) && str_chr(entry, '@') > 0)
		return mailbox_normal(entry, why);
	return true;
}

enum table_fault
allowance_judge(const void *arg, struct str entry, struct str value,
    struct buf *why, struct str *at)
{
	const struct limit *limit = arg;
	uint64_t max[LIMIT_WINDOWS_MAX];

	if (!entry_normal(limit, entry, why))
		return TABLE_BAD_ENTRY;
	if (!allowance_parse(limit, value, max, why, at))
		return TABLE_BAD_VALUE;
	return TABLE_FINE;
}

/* ---- lookups ---- */

static int
hex(char c)
{
	ptrdiff_t at =
	    str_chr(STR("0123456789abcdef"), (char)chr_lower((unsigned char)c));

	return (int)at;
}

/* A key's value without the marks that keep its parts apart. */
static void
plain_value(struct str value, struct buf *out)
{
	for (size_t i = 0; i < value.n; i++) {
		int high = -1, low = -1;

		if (value.p[i] == '%' && i + 2 < value.n) {
			high = hex(value.p[i + 1]);
			low = hex(value.p[i + 2]);
		}
		if (high < 0 || low < 0) {
			buf_addc(out, value.p[i]);
			continue;
		}
		buf_addc(out, (char)(high << 4 | low));
		i += 2;
	}
}

/* What the table has it under: the value of a key of one part. */
static void
entry_of(const struct limit *limit, struct str key, struct buf *out)
{
	struct str value, name = str_cut(key, '=', &value);

	if (limit->key.count != 1 || value.p == NULL) {
		buf_addstr(out, limit->key.count == 1 ? name : key);
		return;
	}
	/* "192.0.2.0/24": its first address is in every prefix around it */
	if (limit->key.parts[0].part == KEY_CLIENT)
		value = str_cut(value, '/', &name);
	plain_value(value, out);
}

bool
allowance_find(const struct limit *limit, struct str key, uint64_t *max)
{
	struct buf entry = BUF_INIT(KEY_MAX), value = BUF_INIT(KEY_MAX);
	struct buf why = BUF_INIT(1000);
	struct str at;
	bool found;

	entry_of(limit, key, &entry);
	found = table_value(limit->own_from, buf_str(&entry), &value) &&
	    allowance_parse(limit, buf_str(&value), max, &why, &at);
	buf_free(&entry);
	buf_free(&value);
	buf_free(&why);
	return found;
}
