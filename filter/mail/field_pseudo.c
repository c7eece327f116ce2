#include <string.h>

#include "mail/field_get.h"

#define ALWAYS ((ptrdiff_t)-2)

/* Fields of these names are made by us: a stranger's are not seen. */
static bool
is_forged(struct str name)
{
	static const char *const kinds[] = { "trusted", "untrusted", "internal",
		"external" };

	if (!str_istarts(name, STR("x-spam-relays-")))
		return false;
	name = str_sub(name, 14, name.n);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_ieq(name, str_of(kinds[i])))
			return true;
	return false;
}

/* "Name: value" and LF, or as it came. */
static struct str
all_line(struct fields *f, const struct header *h, bool raw)
{
	struct str mark = raw ? STR(":") : STR(": ");
	struct str value = raw ? h->value : field_decoded(f, h);
	char *p = arena_alloc(f->arena, h->name.n + mark.n + value.n + 2), *at;

	if (p == NULL || value.p == NULL)
		return STR_NONE;
	at = mempcpy(p, h->name.p, h->name.n);
	at = mempcpy(at, mark.p, mark.n);
	at = mempcpy(at, value.p, value.n);
	if (raw)
		*at++ = '\n';
	return (struct str){ p, (size_t)(at - p) };
}

/* Where the fields are too much, the names that came first have all of
 * theirs, and those past the bound have none. */
static void
drop_lines(struct fields *f, struct field_values *lines)
{
	const struct header *first, *h;
	bool *keep = arena_alloc(f->arena, lines->n + 1);
	size_t size = 0, from = 0, i, n = 0;
	bool over = false;

	if (keep == NULL)
		return;
	for (first = f->txn->headers.first; first != NULL && !over;
	     first = first->next, from++) {
		if (first->nth != 1)
			continue;
		for (h = first, i = from; h != NULL && !over;
		     h = h->next, i++) {
			if (h->hash != first->hash)
				continue;
			size += lines->v[i].n;
			over = size > FIELD_MAX_ALL;
			keep[i] = !over;
		}
	}
	for (i = 0; i < lines->n; i++)
		if (keep[i])
			lines->v[n++] = lines->v[i];
	lines->n = n;
}

static const struct field_values *
all_lines(struct fields *f)
{
	const struct header *h;
	size_t size = 0;
	struct str line;

	if (f->have_lines)
		return &f->lines;
	f->have_lines = true;
	for (h = f->txn->headers.first; h != NULL; h = h->next) {
		line = is_forged(h->name) ? STR("") : all_line(f, h, false);
		if (!field_push(f, &f->lines, line))
			break;
		size += line.n;
	}
	if (size > FIELD_MAX_ALL && h == NULL)
		drop_lines(f, &f->lines);
	return &f->lines;
}

static void
raw_lines(struct fields *f, struct field_values *out)
{
	const struct header *h;

	for (h = f->txn->headers.first; h != NULL; h = h->next)
		if (!field_push(f, out, all_line(f, h, true)))
			break;
}

/*
 * The fields that stand between two Received fields, by their numbers from
 * the top, both included.  What stands above the first belongs to a range
 * that begins ALWAYS.
 */
static void
add_range(struct fields *f, struct field_values *out, ptrdiff_t start,
    ptrdiff_t end, bool raw)
{
	struct field_values raws = { 0 };
	const struct field_values *lines = &raws;
	ptrdiff_t at = -1;

	if (raw)
		raw_lines(f, &raws);
	else
		lines = all_lines(f);
	for (size_t i = 0; i < lines->n; i++) {
		at += str_istarts(lines->v[i], STR("Received:"));
		if (start != ALWAYS && at < start)
			continue;
		if (end != ALWAYS && at > end)
			break;
		if (!field_push(f, out, lines->v[i]) ||
		    (end != ALWAYS && at == end))
			break;
	}
}

static void
add_all(struct fields *f, struct field_values *out, bool raw)
{
	add_range(f, out, ALWAYS, ALWAYS, raw);
}

static void
add_named(struct fields *f, struct field_values *out, struct str name, bool raw)
{
	field_add_named(f, out, name, raw ? field_unfolded : field_decoded);
}

/* Other programs' message ids too: lists move the field of the author. */
static void
add_message_ids(struct fields *f, struct field_values *out, bool raw)
{
	static const char *const names[] = { "X-Message-Id",
		"Resent-Message-Id", "X-Original-Message-ID", "Message-Id" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add_named(f, out, str_of(names[i]), raw);
}

/* The address that some MTA noted in a field of its own, if no hop was
 * noted above it.  false: look on. */
static bool
envelope_of_field(struct fields *f, const char *name, bool give_up)
{
	struct field_values v =
	    field_list(f, str_of(name), FIELD_FIRST | FIELD_ADDR);
	const struct header *h;
	bool received = false;

	if (v.n == 0)
		return false;
	for (h = f->txn->headers.first; h != NULL; h = h->next) {
		if (received && str_ieq(h->name, str_of(name)))
			return give_up;
		received |= str_ieq(h->name, STR("Received"));
	}
	f->envelope = v.v[0];
	return true;
}

/* A list's X-Sender beside fetchmail's trace: no field can be trusted. */
static bool
fetched_from_list(struct fields *f)
{
	struct field_values v =
	    field_list(f, STR("X-Sender"), FIELD_FIRST | FIELD_ADDR);

	if (v.n == 0 || str_chr(v.v[0], '@') < 0)
		return false;
	return str_find(field_get(f, STR("Received"), 0), STR("(fetchmail")) >=
	    0;
}

static const struct relay *
last_hop(const struct relays *relays)
{
	const struct relay *r = relays->first, *hop = NULL;

	for (; r != NULL; r = r->next) {
		hop = r;
		if (!r->trusted)
			break;
	}
	return hop;
}

/* What the fields of a file tell of its envelope sender. */
static void
guess_envelope(struct fields *f)
{
	const struct relay *hop = last_hop(f->relays);

	if (hop != NULL && hop->has_envfrom &&
	    (hop->envfrom.n == 0 || str_chr(hop->envfrom, '@') > 0)) {
		f->envelope = hop->envfrom;
		return;
	}
	if (fetched_from_list(f))
		return;
	if (!envelope_of_field(f, "X-Envelope-From", true) &&
	    !envelope_of_field(f, "Envelope-Sender", false) &&
	    !envelope_of_field(f, "Return-Path", false) &&
	    header_count(&f->txn->headers, STR("Return-Path")) == 0 &&
	    f->txn->sender.text.n > 0)
		f->envelope = f->txn->sender.text;
}

static struct str
envelope_from(struct fields *f)
{
	const struct txn *txn = f->txn;

	if (f->have_envelope)
		return f->envelope;
	f->have_envelope = true;
	if (txn->non_smtp || txn->session->client.family != ADDR_NONE) {
		f->envelope = txn->sender.text;
		if (f->envelope.p == NULL)
			f->envelope = STR("");
	} else {
		guess_envelope(f);
	}
	return f->envelope;
}

/* Names of which the case counts. */
static bool
all_pseudo(struct fields *f, struct field_values *out, struct str name,
    bool raw)
{
	ptrdiff_t trusted = f->relays->last_trusted + 1;
	ptrdiff_t internal = f->relays->last_internal + 1;

	if (str_eq(name, STR("ALL")))
		add_all(f, out, raw);
	else if (str_eq(name, STR("ALL-TRUSTED")))
		add_range(f, out, ALWAYS, trusted, raw);
	else if (str_eq(name, STR("ALL-INTERNAL")))
		add_range(f, out, ALWAYS, internal, raw);
	else if (str_eq(name, STR("ALL-UNTRUSTED")))
		add_range(f, out, trusted, ALWAYS, raw);
	else if (str_eq(name, STR("ALL-EXTERNAL")))
		add_range(f, out, internal, ALWAYS, raw);
	else if (str_eq(name, STR("MESSAGEID")))
		add_message_ids(f, out, raw);
	else
		return false;
	return true;
}

static bool
relay_pseudo(struct fields *f, struct field_values *out, struct str name)
{
	const struct relays *r = f->relays;
	const struct {
		struct str name, text;
	} lists[] = {
		{ { "X-Spam-Relays-Trusted", 21 }, r->trusted },
		{ { "X-Spam-Relays-Untrusted", 23 }, r->untrusted },
		{ { "X-Spam-Relays-Internal", 22 }, r->internal },
		{ { "X-Spam-Relays-External", 22 }, r->external },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (str_ieq(name, lists[i].name)) {
			field_push(f, out, lists[i].text);
			return true;
		}
	return false;
}

bool
field_made(struct str name)
{
	return str_istarts(name, STR("ALL")) ||
	    str_istarts(name, STR("X-Spam-Relays-")) ||
	    str_ieq(name, STR("MESSAGEID")) ||
	    str_ieq(name, STR("EnvelopeFrom")) || str_ieq(name, STR("ToCc"));
}

bool
field_pseudo(struct fields *f, struct field_values *out, struct str name,
    unsigned int flags)
{
	bool raw = flags & FIELD_RAW;

	if (all_pseudo(f, out, name, raw) || relay_pseudo(f, out, name))
		return true;
	if (str_ieq(name, STR("EnvelopeFrom"))) {
		if (envelope_from(f).p != NULL)
			field_push(f, out, f->envelope);
		return true;
	}
	if (str_ieq(name, STR("ToCc"))) {
		add_named(f, out, STR("To"), raw);
		add_named(f, out, STR("Cc"), raw);
		return true;
	}
	return false;
}
