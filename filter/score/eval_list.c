#include "score/eval_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "score/eval.h"
#include "score/rule_text.h"

#define HOST_LABELS_MAX	10

struct glob {
	struct glob	*next;
	struct str	 pattern;	/* lower case */
	struct str	 beside;	/* the line's second word */
};

struct eval_list {
	struct map	*exact;		/* entry: any value but NULL */
	struct map	*globs;		/* ending(pattern): struct glob */
};

struct eval_lists {
	struct arena	*arena;
	struct map	*by_name;	/* newest name: struct eval_list */
};

/* Lists of addresses: the name that functions use, and the lines that fill
 * it, or take away from it. */
static const struct {
	const char	*list, *line;
	bool		 away;
} sources[] = {
	{ "welcomelist_from", "welcomelist_from", false },
	{ "welcomelist_from", "whitelist_from", false },
	{ "welcomelist_from", "unwelcomelist_from", true },
	{ "welcomelist_from", "unwhitelist_from", true },
	{ "welcomelist_to", "welcomelist_to", false },
	{ "welcomelist_to", "whitelist_to", false },
	{ "blocklist_from", "blocklist_from", false },
	{ "blocklist_from", "blacklist_from", false },
	{ "blocklist_from", "unblocklist_from", true },
	{ "blocklist_from", "unblacklist_from", true },
	{ "blocklist_to", "blocklist_to", false },
	{ "blocklist_to", "blacklist_to", false },
	{ "more_spam_to", "more_spam_to", false },
	{ "all_spam_to", "all_spam_to", false },
	{ "welcomelist_allows_relays", "welcomelist_allows_relays", false },
	{ "welcomelist_allows_relays", "whitelist_allows_relays", false },
	{ "welcomelist_auth", "welcomelist_auth", false },
	{ "welcomelist_auth", "whitelist_auth", false },
	{ "welcomelist_auth", "unwelcomelist_auth", true },
	{ "welcomelist_auth", "unwhitelist_auth", true },
	{ "def_welcomelist_auth", "def_welcomelist_auth", false },
	{ "def_welcomelist_auth", "def_whitelist_auth", false },
	{ "welcomelist_from_spf", "welcomelist_from_spf", false },
	{ "welcomelist_from_spf", "whitelist_from_spf", false },
	{ "def_welcomelist_from_spf", "def_welcomelist_from_spf", false },
	{ "def_welcomelist_from_spf", "def_whitelist_from_spf", false },
	{ "freemail_domains", "freemail_domains", false },
	{ "freemail_welcomelist", "freemail_welcomelist", false },
	{ "freemail_welcomelist", "freemail_whitelist", false },
};

static const struct {
	const char	*list, *line;
} pair_sources[] = {
	{ "welcomelist_from_rcvd", "welcomelist_from_rcvd" },
	{ "welcomelist_from_rcvd", "whitelist_from_rcvd" },
	{ "def_welcomelist_from_rcvd", "def_welcomelist_from_rcvd" },
	{ "def_welcomelist_from_rcvd", "def_whitelist_from_rcvd" },
	{ "welcomelist_from_dkim", "welcomelist_from_dkim" },
	{ "welcomelist_from_dkim", "whitelist_from_dkim" },
	{ "def_welcomelist_from_dkim", "def_welcomelist_from_dkim" },
	{ "def_welcomelist_from_dkim", "def_whitelist_from_dkim" },
};

/* Lists by a name in parentheses; where a line has none, this one. */
static const struct {
	const char	*line, *name;
	char		 kind;		/* ' ' hosts, '@' addresses */
	bool		 away;
} named_sources[] = {
	{ "enlist_uri_host", NULL, ' ', false },
	{ "delist_uri_host", NULL, ' ', true },
	{ "blocklist_uri_host", "BLOCK", ' ', false },
	{ "blacklist_uri_host", "BLOCK", ' ', false },
	{ "welcomelist_uri_host", "WELCOME", ' ', false },
	{ "whitelist_uri_host", "WELCOME", ' ', false },
	{ "enlist_addrlist", NULL, '@', false },
};

static struct eval_list *
find_or_add(struct eval_lists *all, struct str name)
{
	struct eval_list *list = map_get(all->by_name, name);

	if (list != NULL)
		return list;
	list = mem_alloc(sizeof(*list));
	list->exact = map_new(true);
	list->globs = map_new(false);
	map_put(all->by_name, name, list);
	return list;
}

/*
 * The last two words, each behind a dot or an @, of what a glob ends in: who
 * matches it ends in the same.  A glob that has no two is asked of everybody.
 */
static struct str
ending(struct str s)
{
	size_t i, words = 0;

	for (i = s.n; i > 0 && s.p[i - 1] != '*' && s.p[i - 1] != '?'; i--)
		if ((s.p[i - 1] == '.' || s.p[i - 1] == '@') && ++words == 2)
			return str_sub(s, i, s.n);
	return STR("");
}

static void
glob_add(struct eval_lists *all, struct eval_list *list, struct str pattern,
    struct str beside)
{
	struct glob *g = arena_alloc(all->arena, sizeof(*g));
	struct str end;

	if (g == NULL)
		return;
	g->pattern = eval_lower(all->arena, pattern);
	g->beside = eval_lower(all->arena, beside);
	end = ending(g->pattern);
	g->next = map_get(list->globs, end);
	map_put(list->globs, end, g);
}

static void
list_add(struct eval_lists *all, struct eval_list *list, struct str entry)
{
	if (str_chr(entry, '*') < 0 && str_chr(entry, '?') < 0)
		map_put(list->exact, entry, list);
	else
		glob_add(all, list, entry, STR(""));
}

static void
list_remove(struct eval_lists *all, struct eval_list *list, struct str entry)
{
	struct str pattern = eval_lower(all->arena, entry);
	struct glob *first, **at;

	map_del(list->exact, entry);
	first = map_get(list->globs, ending(pattern));
	for (at = &first; *at != NULL;)
		if (str_eq((*at)->pattern, pattern))
			*at = (*at)->next;
		else
			at = &(*at)->next;
	if (first != NULL)
		map_put(list->globs, ending(pattern), first);
	else
		map_del(list->globs, ending(pattern));
}

static void
change(struct eval_lists *all, struct eval_list *list, struct str words,
    bool away)
{
	struct str word;

	while ((word = rule_word(&words)).n > 0)
		if (away)
			list_remove(all, list, word);
		else
			list_add(all, list, word);
}

static const struct rule_option *
option(const struct ruleset *set, const char *line)
{
	return map_get(set->options, str_of(line));
}

static void
read_addresses(struct eval_lists *all, const struct ruleset *set, bool away)
{
	const struct rule_option *o;
	size_t i;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (sources[i].away != away)
			continue;
		for (o = option(set, sources[i].line); o != NULL; o = o->next)
			change(all, find_or_add(all, str_of(sources[i].list)),
			    o->value, away);
	}
}

static void
read_pairs(struct eval_lists *all, const struct ruleset *set)
{
	const struct rule_option *o;
	struct eval_list *list;
	struct str rest, addr;
	size_t i;

	for (i = 0; i < sizeof(pair_sources) / sizeof(pair_sources[0]); i++) {
		list = find_or_add(all, str_of(pair_sources[i].list));
		o = option(set, pair_sources[i].line);
		for (; o != NULL; o = o->next) {
			rest = o->value;
			addr = rule_word(&rest);
			glob_add(all, list, addr, rule_word(&rest));
		}
	}
}

/* Lists that the admin named are kept with their kind in front: the names
 * without are ours. */
static struct eval_list *
named_list(struct eval_lists *all, char kind, struct str name)
{
	return find_or_add(all,
	    arena_printf(all->arena, "%c%.*s", kind, STR_FMT(name)));
}

/* The list's name: the line's own, or its first word, "(NAME)". */
static struct str
list_name(const char *given, struct str *rest)
{
	struct str word;

	if (given != NULL)
		return str_of(given);
	word = rule_word(rest);
	return word.n > 2 && word.p[0] == '(' ? str_sub(word, 1, word.n - 2) :
						STR_NONE;
}

static void
read_named(struct eval_lists *all, const struct ruleset *set, bool away)
{
	const struct rule_option *o;
	struct str rest, name;
	size_t i;

	for (i = 0; i < sizeof(named_sources) / sizeof(named_sources[0]); i++) {
		if (named_sources[i].away != away)
			continue;
		o = option(set, named_sources[i].line);
		for (; o != NULL; o = o->next) {
			rest = o->value;
			name = list_name(named_sources[i].name, &rest);
			if (name.n > 0)
				change(all,
				    named_list(all, named_sources[i].kind,
					name),
				    rest, away);
		}
	}
}

struct eval_lists *
eval_lists_new(struct arena *a, const struct ruleset *set)
{
	struct eval_lists *all = mem_alloc(sizeof(*all));

	all->arena = a;
	all->by_name = map_new(false);
	read_addresses(all, set, false);
	read_addresses(all, set, true);
	read_pairs(all, set);
	read_named(all, set, false);
	read_named(all, set, true);
	return all;
}

static void
list_free(void *arg)
{
	struct eval_list *list = arg;

	map_free(&list->exact, NULL);
	map_free(&list->globs, NULL);
	free(list);
}

void
eval_lists_free(struct eval_lists **all)
{
	if (*all == NULL)
		return;
	map_free(&(*all)->by_name, list_free);
	free(*all);
	*all = NULL;
}

bool
eval_list_has_address(const struct eval_lists *all, struct str name,
    struct str value)
{
	char key[128];

	snprintf(key, sizeof(key), "@%.*s", STR_FMT(name));
	return eval_list_has(all, key, value);
}

/* The first in a row that matches. */
static const struct glob *
glob_match(const struct glob *g, struct str value)
{
	while (g != NULL && !rule_glob(g->pattern, value))
		g = g->next;
	return g;
}

bool
eval_list_has(const struct eval_lists *all, const char *name, struct str value)
{
	const struct eval_list *list = map_get(all->by_name, str_of(name));
	struct str end = ending(value);

	if (list == NULL || value.n == 0)
		return false;
	return map_get(list->exact, value) != NULL ||
	    glob_match(map_get(list->globs, STR("")), value) != NULL ||
	    (end.n > 0 && glob_match(map_get(list->globs, end), value) != NULL);
}

bool
eval_list_empty(const struct eval_lists *all, const char *name)
{
	const struct eval_list *list = map_get(all->by_name, str_of(name));

	return list == NULL ||
	    (map_count(list->exact) == 0 && map_count(list->globs) == 0);
}

static bool
any_fits(const struct glob *g, struct str addr,
    bool (*fits)(void *, struct str), void *arg)
{
	while ((g = glob_match(g, addr)) != NULL) {
		if (fits(arg, g->beside))
			return true;
		g = g->next;
	}
	return false;
}

bool
eval_list_pairs(const struct eval_lists *all, const char *name, struct str addr,
    bool (*fits)(void *, struct str), void *arg)
{
	const struct eval_list *list = map_get(all->by_name, str_of(name));
	struct str end = ending(addr);

	if (list == NULL)
		return false;
	return any_fits(map_get(list->globs, STR("")), addr, fits, arg) ||
	    (end.n > 0 && any_fits(map_get(list->globs, end), addr, fits, arg));
}

const struct eval_list *
eval_list_hosts(const struct eval_lists *all, struct str name)
{
	char key[128];

	snprintf(key, sizeof(key), " %.*s", STR_FMT(name));
	return map_get(all->by_name, str_of(key));
}

bool
eval_list_has_host(const struct eval_list *list, struct str host)
{
	ptrdiff_t dot;
	int labels;

	for (labels = 0; labels < HOST_LABELS_MAX; labels++) {
		if (map_get(list->exact, host) != NULL)
			return true;
		dot = str_chr(host, '.');
		if (dot < 0)
			break;
		host = str_sub(host, (size_t)dot + 1, host.n);
	}
	return false;
}
