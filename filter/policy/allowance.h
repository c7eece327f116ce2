/*
 * allowance - what single keys may use in place of a limit's own maxima.
 *
 * `override' in a limit is a table: an entry is whom it is about, its value
 * new maxima for windows that the limit has, or `unlimited'.  A window that
 * the value does not name keeps the limit's maximum.  For a key of one part
 * the entry is its value (a login, an address, a prefix, @example.org for all
 * of a domain); for a key of several parts the whole key as `postern show'
 * has it, user=alice+client=192.0.2.1.
 *
 * allowance_judge() is the table's while it is read, with the struct limit as
 * its argument; allowance_find() is the limit's own(), from any thread.
 */
#ifndef POLICY_ALLOWANCE_H
#define POLICY_ALLOWANCE_H

#include "check/limit.h"
#include "policy/table.h"

/* "5000 messages/1h 20000 recipients/1d" over the limit's maxima; false with
 * *why, *at being the word that is wrong. */
bool		 allowance_parse(const struct limit *, struct str value,
		    uint64_t *max, struct buf *why, struct str *at);
table_judge_fn	 allowance_judge;
bool		 allowance_find(const struct limit *, struct str key,
		    uint64_t *max);

#endif
