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
	struct str	 pattern;
};

struct list {
	struct map	*exact;		/* entry: any value but NULL */
	struct glob	*globs;
	struct eval_pair *pairs;
};

struct eval_lists {
	struct arena	*arena;
	struct map	*by_name;	/* newest name: struct list */
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

static struct list *
find_or_add(struct eval_lists *all, struct str name)
{
	struct list *list = map_get(all->by_name, name);

	if (list != NULL)
		return list;
	list = mem_alloc(sizeof(*list));
	list->exact = map_new(true);
	map_put(all->by_name, name, list);
	return list;
}

static void
list_add(struct eval_lists *all, struct list *list, struct str entry)
{
	struct glob *g;

	if (str_chr(entry, '*') < 0 && str_chr(entry, '?') < 0) {
		map_put(list->exact, entry, list);
		return;
	}
	g = arena_alloc(all->arena, sizeof(*g));
	if (g == NULL)
		return;
	g->pattern = eval_lower(all->arena, entry);
	g->next = list->globs;
	list->globs = g;
}

static void
list_remove(struct list *list, struct str entry)
{
	struct glob **at;

	map_del(list->exact, entry);
	for (at = &list->globs; *at != NULL;)
		if (str_ieq((*at)->pattern, entry))
			*at = (*at)->next;
		else
			at = &(*at)->next;
}

static void
change(struct eval_lists *all, struct list *list, struct str words, bool away)
{
	struct str word;

	while ((word = rule_word(&words)).n > 0)
		if (away)
			list_remove(list, word);
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
	struct eval_pair *pair;
	struct list *list;
	struct str rest;
	size_t i;

	for (i = 0; i < sizeof(pair_sources) / sizeof(pair_sources[0]); i++) {
		list = find_or_add(all, str_of(pair_sources[i].list));
		o = option(set, pair_sources[i].line);
		for (; o != NULL; o = o->next) {
			rest = o->value;
			pair = arena_alloc(all->arena, sizeof(*pair));
			if (pair == NULL)
				return;
			pair->glob = eval_lower(all->arena, rule_word(&rest));
			pair->relay = eval_lower(all->arena, rule_word(&rest));
			pair->next = list->pairs;
			list->pairs = pair;
		}
	}
}

/* Lists that the admin named are kept with their kind in front: the names
 * without are ours. */
static struct list *
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
	struct list *list = arg;

	map_free(&list->exact, NULL);
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

bool
eval_list_has(const struct eval_lists *all, const char *name, struct str value)
{
	const struct list *list = map_get(all->by_name, str_of(name));
	const struct glob *g;

	if (list == NULL || value.n == 0)
		return false;
	if (map_get(list->exact, value) != NULL)
		return true;
	for (g = list->globs; g != NULL; g = g->next)
		if (rule_glob(g->pattern, value))
			return true;
	return false;
}

bool
eval_list_empty(const struct eval_lists *all, const char *name)
{
	const struct list *list = map_get(all->by_name, str_of(name));

	return list == NULL ||
	    (map_count(list->exact) == 0 && list->globs == NULL);
}

const struct eval_pair *
eval_list_pairs(const struct eval_lists *all, const char *name)
{
	const struct list *list = map_get(all->by_name, str_of(name));

	return list != NULL ? list->pairs : NULL;
}

bool
eval_list_has_host(const struct eval_lists *all, struct str name,
    struct str host)
{
	char key[128];
	const struct list *list;
	ptrdiff_t dot;
	int labels;

	snprintf(key, sizeof(key), " %.*s", STR_FMT(name));
	list = map_get(all->by_name, str_of(key));
	for (labels = 0; list != NULL && labels < HOST_LABELS_MAX; labels++) {
		if (map_get(list->exact, host) != NULL)
			return true;
		dot = str_chr(host, '.');
		if (dot < 0)
			break;
		host = str_sub(host, (size_t)dot + 1, host.n);
	}
	return false;
}
