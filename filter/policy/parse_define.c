#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/allowance.h"
#include "policy/override.h"
#include "policy/parse.h"
#include "policy/setting.h"

#define WINDOW_MAX_MS (53LL * 7 * 24 * 3600 * 1000)
#define RANGES_MAX    256

/* Where a name is taken already, that is a mistake; the first one counts. */
static void
name_add(struct parse *p, enum name_kind kind, const struct token *name,
    void *object)
{
	struct named *n = map_get(p->by_name[kind], name->text);

	if (n != NULL) {
		diag_error(p->diag, name->place,
		    "%s `%.*s' is defined already, at %.*s:%u",
		    parse_kind_word(kind), STR_FMT(name->text),
		    STR_FMT(n->place.source->name), n->place.line);
		return;
	}
	n = parse_alloc(p, sizeof(*n));
	n->kind = kind;
	n->name = arena_str(p->arena, name->text);
	n->place = name->place;
	n->object = object;
	*p->named_tail = n;
	p->named_tail = &n->next;
	map_put(p->by_name[kind], n->name, n);
}

/* A name behind its keyword; false with a mistake told. */
static bool
name_read(struct parse *p, const char *what, struct token *name)
{
	*name = lex_next(p->lex);
	if (name->kind == TOKEN_WORD)
		return true;
	parse_expected(p, name, what);
	if (name->kind == TOKEN_LBRACE)
		lex_unread(p->lex, name);
	return false;
}

static void
policy_push(void ***list, size_t *n, void *object)
{
	*list = mem_resize(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = object;
}

struct table *
parse_new_table(struct parse *p, struct str name)
{
	struct table *t = table_new(name);

	policy_push((void ***)&p->policy->tables, &p->policy->ntables, t);
	return t;
}

unsigned int
parse_width(struct str s)
{
	unsigned int n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* The place of one byte of a regex's pattern or flags. */
static struct place
regex_place(const struct token *t, struct str part, size_t before, size_t at)
{
	struct place place = t->place;

	if (place.len > 1) {
		place.col +=
		    (unsigned int)before + parse_width(str_sub(part, 0, at));
		place.len = 1;
	}
	return place;
}

struct regex *
parse_regex(struct parse *p, const struct token *t)
{
	struct buf err = BUF_INIT(1000);
	struct regex *re;
	size_t at;

	for (size_t i = 0; i < t->flags.n; i++)
		if (memchr("imsxu", t->flags.p[i], 5) == NULL) {
			diag_error(p->diag,
			    regex_place(t, t->flags, parse_width(t->text) + 2,
				i),
			    "unknown flag `%c'; flags are i, m, s, x and u",
			    t->flags.p[i]);
			return NULL;
		}
	re = regex_new(t->text, t->flags, &err, &at);
	if (re == NULL)
		diag_error(p->diag, regex_place(t, t->text, 1, at),
		    "in this regex: %.*s", STR_FMT(buf_str(&err)));
	else
		policy_push((void ***)&p->policy->regexes, &p->policy->nregexes,
		    re);
	buf_free(&err);
	return re;
}

/* ---- braces with entries ---- */

static void
entry_add(struct parse *p, struct table *table, const struct token *t)
{
	struct buf why = BUF_INIT(1000);
	struct str entry = t->text;
	bool ok = true;

	if (t->kind == TOKEN_REGEX) {
		struct regex *re = parse_regex(p, t);

		ok = re != NULL;
		entry = arena_printf(p->arena, "/%.*s/%.*s", STR_FMT(t->text),
		    STR_FMT(t->flags));
	}
	if (ok && !table_add(table, entry, &why))
		diag_error(p->diag, t->place, "%.*s", STR_FMT(buf_str(&why)));
	buf_free(&why);
}

/* Reads the opening brace; its place is in *open. */
bool
parse_brace(struct parse *p, struct token *open)
{
	if (lex_peek(p->lex)->kind != TOKEN_LBRACE) {
		parse_expected(p, lex_peek(p->lex), "`{'");
		return false;
	}
	*open = lex_next(p->lex);
	return true;
}

/*
 * Does a line inside braces begin what can only follow a closing one?  In
 * a table that is a statement with a brace of its own, in a condition's
 * table also an action.
 */
static bool
brace_missing(struct parse *p)
{
	const struct token *t = lex_peek(p->lex);

	if (t->kind != TOKEN_WORD)
		return false;
	if (p->inside && parse_is_verb(t->text))
		return true;
	return parse_is_statement(t) && lex_line_has(p->lex, '{');
}

bool
parse_brace_next(struct parse *p, const struct token *open, struct token *t)
{
	for (;;) {
		if (lex_at_slash(p->lex)) {
			*t = lex_regex(p->lex);
			return true;
		}
		*t = lex_next(p->lex);
		if (t->kind == TOKEN_RBRACE)
			return false;
		if (t->kind == TOKEN_END ||
		    (t->kind == TOKEN_NEWLINE && brace_missing(p))) {
			diag_error(p->diag, open->place,
			    "this `{' is never closed");
			p->unclosed = true;
			return false;
		}
		if (t->kind != TOKEN_NEWLINE && t->kind != TOKEN_COMMA)
			return true;
	}
}

bool
parse_entries(struct parse *p, struct table *table)
{
	struct token open, t;
	bool ok = true;

	if (!parse_brace(p, &open))
		return false;
	while (parse_brace_next(p, &open, &t)) {
		if (t.kind == TOKEN_WORD || t.kind == TOKEN_STRING ||
		    t.kind == TOKEN_REGEX)
			entry_add(p, table, &t);
		else {
			parse_expected(p, &t, "an entry or `}'");
			ok = false;
		}
	}
	table_seal(table);
	return ok;
}

/* ---- statements ---- */

/* Behind `file'. */
static void
parse_table_file(struct parse *p, struct table *table)
{
	struct token t = lex_next(p->lex);

	if (t.kind != TOKEN_STRING && t.kind != TOKEN_WORD) {
		parse_expected(p, &t, "the path of a file");
		return;
	}
	table_load(table, parse_path(p, t.text), t.place, p->diag);
}

void
parse_table(struct parse *p, const struct token *word)
{
	struct token name, t;
	struct table *table;

	(void)word;
	if (!name_read(p, "a name for the table", &name))
		return;
	table = parse_new_table(p, name.text);
	name_add(p, NAME_TABLE, &name, table);
	if (lex_peek(p->lex)->kind == TOKEN_LBRACE) {
		parse_entries(p, table);
		return;
	}
	t = lex_next(p->lex);
	if (!parse_is_word(&t, "file")) {
		parse_expected(p, &t, "`{' or `file'");
		return;
	}
	parse_table_file(p, table);
}

static bool
range_parse(struct str text, struct dnsbl_range *range, const char **why)
{
	struct str to, from = str_cut(text, '-', &to);

	if (!addr_parse(from, &range->from) ||
	    !addr_parse(to.p ? to : from, &range->to) ||
	    range->from.family != ADDR_V4 || range->to.family != ADDR_V4) {
		*why = "a range is 127.0.0.2 or 127.0.0.2-127.0.0.11";
		return false;
	}
	if (range->from.b[0] != 127 || range->to.b[0] != 127) {
		*why = "a DNS list answers with addresses in 127.0.0.0/8";
		return false;
	}
	if (addr_cmp(&range->from, &range->to) > 0) {
		*why = "the range ends before it begins";
		return false;
	}
	return true;
}

static void
parse_ranges(struct parse *p, struct dnsbl *list)
{
	struct token open, t;

	if (!parse_brace(p, &open))
		return;
	list->ranges = parse_alloc(p, RANGES_MAX * sizeof(*list->ranges));
	while (parse_brace_next(p, &open, &t)) {
		const char *why;

		if (t.kind != TOKEN_WORD) {
			parse_expected(p, &t, "an address or a range");
		} else if (list->nranges == RANGES_MAX)
			diag_error(p->diag, t.place, "more than %d ranges",
			    RANGES_MAX);
		else if (!range_parse(t.text, &list->ranges[list->nranges],
			     &why))
			diag_error(p->diag, t.place, "%s", why);
		else
			list->nranges++;
	}
}

static bool
is_domain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_alnum((unsigned char)s.p[i]) &&
		    memchr("-._", s.p[i], 3) == NULL)
			return false;
	return s.n > 0 && s.n <= 200 && s.p[0] != '.' && str_chr(s, '.') > 0 &&
	    str_find(s, STR("..")) < 0;
}

/* NAME "zone" { ranges } */
static struct dnsbl *
list_read(struct parse *p)
{
	struct dnsbl *list = parse_alloc(p, sizeof(*list));
	struct token name, zone;

	if (!name_read(p, "a name for the list", &name))
		return list;
	list->name = name.text;
	name_add(p, NAME_DNSBL, &name, list);
	policy_push((void ***)&p->policy->dnsbls, &p->policy->ndnsbls, list);
	zone = lex_next(p->lex);
	if (zone.kind != TOKEN_STRING && zone.kind != TOKEN_WORD) {
		parse_expected(p, &zone, "the DNS zone of the list");
		return list;
	}
	list->zone = zone.text;
	if (zone.text.n > 1 && zone.text.p[zone.text.n - 1] == '.')
		list->zone.n--;
	if (!is_domain(list->zone))
		diag_error(p->diag, zone.place, "not a DNS zone");
	if (lex_peek(p->lex)->kind == TOKEN_LBRACE)
		parse_ranges(p, list);
	return list;
}

void
parse_dnsbl(struct parse *p, const struct token *word)
{
	(void)word;
	list_read(p);
}

void
parse_uribl(struct parse *p, const struct token *word)
{
	(void)word;
	list_read(p)->domains = true;
}

/* "messages/1h" or the second half of "rejected recipients/10m". */
static bool
window_unit(struct parse *p, const struct token *t, const struct token *first,
    struct limit_window *w)
{
	static const char *const known[] = {
#define X(id, word, stage) word,
		LIMIT_UNITS(X)
#undef X
	};
	struct str window, unit = str_cut(t->text, '/', &window);
	struct place place = t->place;

	if (first != NULL) {
		place = parse_place_join(first->place, place);
		unit = arena_printf(p->arena, "%.*s %.*s", STR_FMT(first->text),
		    STR_FMT(unit));
	}
	if (!limit_unit_parse(unit, &w->unit)) {
		diag_error(p->diag, place, "unknown unit `%.*s'",
		    STR_FMT(unit));
		diag_suggest(p->diag, unit, known, LIMIT_UNIT_COUNT);
		return false;
	}
	if (window.p == NULL || window.n == 0) {
		diag_error(p->diag, place, "per what time? such as %.*s/1h",
		    STR_FMT(t->text));
		return false;
	}
	if (!setting_time(window, &w->window_ms) || w->window_ms < 1000 ||
	    w->window_ms > WINDOW_MAX_MS) {
		diag_error(p->diag, place,
		    "a window is a time from 1s to "
		    "53w, such as 10m, 1h or 1d");
		return false;
	}
	w->text = window;
	return true;
}

static bool
window_max(struct parse *p, const struct token *t, struct limit_window *w)
{
	if (t->kind == TOKEN_WORD && setting_size(t->text, &w->max))
		return true;
	parse_expected(p, t, "a number and a unit, such as 100 messages/1h");
	return false;
}

/* N UNIT/WINDOW, behind which the lexer stands whether it was right or not. */
static bool
parse_window(struct parse *p, const struct token *max, struct limit_window *w)
{
	struct token t, first;
	bool two;

	if (!window_max(p, max, w))
		return false;
	if (lex_peek(p->lex)->kind != TOKEN_WORD) {
		parse_expected(p, lex_peek(p->lex),
		    "a unit, such as "
		    "messages/1h");
		return false;
	}
	t = first = lex_next(p->lex);
	two = parse_is_word(&t, "rejected") || parse_is_word(&t, "distinct");
	if (two) {
		if (lex_peek(p->lex)->kind != TOKEN_WORD) {
			parse_expected(p, lex_peek(p->lex),
			    "what is counted, such as recipients/1h");
			return false;
		}
		t = lex_next(p->lex);
	}
	if (!window_unit(p, &t, two ? &first : NULL, w))
		return false;
	if (w->unit != LIMIT_BYTES &&
	    !chr_digit((unsigned char)max->text.p[max->text.n - 1])) {
		diag_error(p->diag, max->place,
		    "K, M and G go with bytes only");
		return false;
	}
	return true;
}

void
parse_skip_entry(struct parse *p)
{
	while (lex_peek(p->lex)->kind != TOKEN_NEWLINE &&
	    lex_peek(p->lex)->kind != TOKEN_END &&
	    lex_peek(p->lex)->kind != TOKEN_COMMA &&
	    lex_peek(p->lex)->kind != TOKEN_RBRACE)
		lex_next(p->lex);
}

/* They would share a counter, and count everything twice. */
static bool
window_again(struct parse *p, const struct limit *limit, const struct token *t,
    const struct limit_window *w)
{
	for (size_t i = 0; i < limit->count; i++) {
		const struct limit_window *o = &limit->windows[i];

		if (o->unit != w->unit || o->window_ms != w->window_ms)
			continue;
		diag_error(p->diag, t->place,
		    "%s/%.*s has a maximum already, %llu",
		    limit_unit_word(w->unit), STR_FMT(o->text),
		    (unsigned long long)o->max);
		return true;
	}
	return false;
}

/* The words up to the end of an entry, as one with single blanks. */
static struct token
entry_value(struct parse *p, const struct token *entry)
{
	struct token value = { .kind = TOKEN_WORD, .place = entry->place };

	value.text = STR("");
	while (lex_peek(p->lex)->kind == TOKEN_WORD) {
		struct token t = lex_next(p->lex);

		value.place = value.text.n == 0 ?
		    t.place :
		    parse_place_join(value.place, t.place);
		value.text =
		    arena_printf(p->arena, "%.*s%s%.*s", STR_FMT(value.text),
			value.text.n == 0 ? "" : " ", STR_FMT(t.text));
	}
	return value;
}

/* WHOM N UNIT/TIME ..., or WHOM unlimited */
static void
allowance_add(struct parse *p, const struct limit *limit, struct table *table,
    const struct token *whom)
{
	struct token value = entry_value(p, whom);
	struct buf why = BUF_INIT(1000);
	struct str at = STR_NONE;
	enum table_fault fault;

	fault = allowance_judge(limit, whom->text, value.text, &why, &at);
	if (fault == TABLE_FINE)
		table_add_value(table, whom->text, value.text, &why);
	if (why.n > 0)
		diag_error(p->diag,
		    fault == TABLE_BAD_VALUE ? value.place : whom->place,
		    "%.*s", STR_FMT(buf_str(&why)));
	buf_free(&why);
}

/* What can't be understood, with its braces. */
static void
parse_skip_braces(struct parse *p)
{
	struct token open, t;

	while (lex_peek(p->lex)->kind == TOKEN_WORD ||
	    lex_peek(p->lex)->kind == TOKEN_STRING)
		lex_next(p->lex);
	if (lex_peek(p->lex)->kind != TOKEN_LBRACE || !parse_brace(p, &open))
		return;
	while (parse_brace_next(p, &open, &t))
		;
}

/* `override file PATH' or `override { WHOM WINDOWS ... }'. */
static void
parse_allowances(struct parse *p, struct limit *limit, const struct token *word)
{
	struct table *table = parse_new_table(p,
	    arena_printf(p->arena, "override of %.*s", STR_FMT(limit->name)));
	struct token open, t;

	table_set_judge(table, allowance_judge, limit);
	if (limit->count == 0) {
		diag_error(p->diag, word->place,
		    "`override' stands behind the windows that it is about");
		parse_skip_braces(p);
		return;
	}
	limit->own = allowance_find;
	limit->own_from = table;
	if (lex_peek(p->lex)->kind != TOKEN_LBRACE) {
		t = lex_next(p->lex);
		if (parse_is_word(&t, "file"))
			parse_table_file(p, table);
		else
			parse_expected(p, &t, "`{' or `file'");
		return;
	}
	parse_brace(p, &open);
	while (parse_brace_next(p, &open, &t)) {
		if (t.kind == TOKEN_WORD)
			allowance_add(p, limit, table, &t);
		else {
			parse_expected(p, &t, "a key or `}'");
			parse_skip_entry(p);
		}
	}
	table_seal(table);
}

static void
parse_windows(struct parse *p, struct limit *limit)
{
	struct token open, t;
	bool ok = true;

	if (!parse_brace(p, &open))
		return;
	limit->windows =
	    parse_alloc(p, LIMIT_WINDOWS_MAX * sizeof(*limit->windows));
	while (parse_brace_next(p, &open, &t)) {
		struct limit_window w;

		if (limit->own != NULL) {
			diag_error(p->diag, t.place,
			    "`override' is the last in the braces");
			ok = false;
			parse_skip_entry(p);
		} else if (parse_is_word(&t, "override")) {
			parse_allowances(p, limit, &t);
		} else if (t.kind != TOKEN_WORD) {
			ok = false;
			parse_expected(p, &t,
			    "a number and a unit, such as 100 messages/1h");
		} else if (!parse_window(p, &t, &w)) {
			ok = false;
			parse_skip_entry(p);
		} else if (limit->count == LIMIT_WINDOWS_MAX) {
			diag_error(p->diag, t.place, "more than %d windows",
			    LIMIT_WINDOWS_MAX);
			parse_skip_entry(p);
		} else if (!window_again(p, limit, &t, &w))
			limit->windows[limit->count++] = w;
	}
	if (ok && limit->count == 0 && t.kind == TOKEN_RBRACE)
		diag_error(p->diag, open.place,
		    "a limit needs a number, such as 100 messages/1h");
}

bool
parse_key(struct parse *p, struct key *key)
{
	struct token t = lex_next(p->lex);
	struct place place = t.place;
	const char *why;
	size_t at;

	if (t.kind != TOKEN_WORD) {
		parse_expected(p, &t, "a key, such as user or client/24");
		return false;
	}
	if (key_parse(t.text, key, &why, &at))
		return true;
	*key = (struct key){ .count = 0 };
	place.col += (unsigned int)at;
	place.len = place.len > at ? place.len - (unsigned int)at : 1;
	diag_error(p->diag, place, "%s", why);
	return true;
}

void
parse_limit(struct parse *p, const struct token *word)
{
	struct limit *limit = parse_alloc(p, sizeof(*limit));
	struct token name;

	(void)word;
	if (!name_read(p, "a name for the limit", &name))
		return;
	limit->name = name.text;
	name_add(p, NAME_LIMIT, &name, limit);
	policy_push((void ***)&p->policy->limits, &p->policy->nlimits, limit);
	if (!parse_is_word(lex_peek(p->lex), "per")) {
		parse_expected(p, lex_peek(p->lex), "`per' and a key");
		return;
	}
	lex_next(p->lex);
	parse_key(p, &limit->key);
	if (parse_is_word(lex_peek(p->lex), "override")) {
		diag_error(p->diag, lex_peek(p->lex)->place,
		    "`override' stands within the braces, behind the windows");
		return;
	}
	parse_windows(p, limit);
}

/* DOMAIN POLICY [until DAY] */
static void
override_add(struct parse *p, struct table *table, const struct token *domain)
{
	struct token value = entry_value(p, domain);
	struct buf why = BUF_INIT(1000);
	struct str at = STR_NONE;
	enum table_fault fault;

	fault = override_judge(NULL, domain->text, value.text, &why, &at);
	if (fault == TABLE_WARN_VALUE)
		diag_warn(p->diag, value.place, "%.*s", STR_FMT(buf_str(&why)));
	else if (fault != TABLE_FINE)
		diag_error(p->diag,
		    fault == TABLE_BAD_ENTRY ? domain->place : value.place,
		    "%.*s", STR_FMT(buf_str(&why)));
	buf_truncate(&why, 0);
	table_add_value(table, domain->text, value.text, &why);
	buf_free(&why);
}

static void
parse_overrides(struct parse *p, struct table *table)
{
	struct token open, t;

	if (!parse_brace(p, &open))
		return;
	while (parse_brace_next(p, &open, &t)) {
		if (t.kind == TOKEN_WORD)
			override_add(p, table, &t);
		else {
			parse_expected(p, &t, "a domain or `}'");
			parse_skip_entry(p);
		}
	}
	table_seal(table);
}

void
parse_dmarc(struct parse *p, const struct token *word)
{
	struct token t = lex_next(p->lex);
	struct policy *policy = p->policy;

	if (!parse_is_word(&t, "override")) {
		parse_expected(p, &t, "`override'");
		return;
	}
	if (policy->dmarc_override != NULL)
		diag_error(p->diag, parse_place_join(word->place, t.place),
		    "`dmarc override' stands already at %.*s:%u",
		    STR_FMT(policy->override_place.source->name),
		    policy->override_place.line);
	policy->override_place = parse_place_join(word->place, t.place);
	policy->dmarc_override = parse_new_table(p, STR("dmarc override"));
	table_set_judge(policy->dmarc_override, override_judge, NULL);
	if (lex_peek(p->lex)->kind == TOKEN_LBRACE) {
		parse_overrides(p, policy->dmarc_override);
		return;
	}
	t = lex_next(p->lex);
	if (!parse_is_word(&t, "file"))
		parse_expected(p, &t, "`{' or `file'");
	else
		parse_table_file(p, policy->dmarc_override);
}
