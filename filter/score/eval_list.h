/*
 * eval_list - lists of addresses, domains and hosts in rule files.
 *
 * Lines such as "welcomelist_from *@example.net", "freemail_domains ..." and
 * "blocklist_uri_host ..." make lists that functions of rules ask.  Entries
 * may hold * and ?; "un" in front takes entries out, wherever it stands.
 * Older names (whitelist, blacklist) are the same lists.
 *
 * Made once a ruleset is loaded; then only read, by any thread.
 */
#ifndef SCORE_EVAL_LIST_H
#define SCORE_EVAL_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

struct eval_list;
struct eval_lists;
struct ruleset;

/* Never NULL; everything lives in the arena given but some maps. */
struct eval_lists *eval_lists_new(struct arena *, const struct ruleset *);
void		 eval_lists_free(struct eval_lists **);
/* list: its newest name; value: lower case.  One with many entries is not
 * slower than one with few. */
bool		 eval_list_has(const struct eval_lists *, const char *list,
		    struct str value);
bool		 eval_list_empty(const struct eval_lists *, const char *list);
/* Of lines that have an address and beside it whom its mail must be from (a
 * domain, "[192.0.2.0/24]", or "" for the address' own): is there one for
 * this address, all lower case, whose second word fits? */
bool		 eval_list_pairs(const struct eval_lists *, const char *list,
		    struct str addr,
		    bool (*fits)(void *arg, struct str word), void *arg);
/* Of "enlist_addrlist (NAME)". */
bool		 eval_list_has_address(const struct eval_lists *,
		    struct str name, struct str value);
/* That of "enlist_uri_host (NAME)"; NULL: there is none. */
const struct eval_list *eval_list_hosts(const struct eval_lists *,
		    struct str name);
/* The host itself or any domain above it. */
bool		 eval_list_has_host(const struct eval_list *, struct str host);

#endif
