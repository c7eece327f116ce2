/*
 * table - lists that conditions look things up in.
 *
 * An entry is what it looks like: an address or prefix (192.0.2.0/24, ::1), a
 * mail address (user@example.org, or @example.org for all of a domain), a regex
 * (/.../i), or a word: a domain, a login, a name.  ".example.org" stands for
 * the domain and everything below it.  Letters' case does not matter.
 *
 * A file table is reread when its inode, size or times change, looked at no
 * more than once a second, and not within the second of the change, by
 * table_refresh() off the hot path; readers hold a reference to an immutable
 * set meanwhile.  A file that can't be read or has a bad line keeps the old
 * set and logs LOG_EV_TABLE, once for each change.
 */
#ifndef POLICY_TABLE_H
#define POLICY_TABLE_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/str.h"
#include "policy/diag.h"
#include "policy/fact.h"

struct table;

/* What is wrong with an entry or its value, for tables that are more
 * than a list; a warning keeps the entry. */
enum table_fault { TABLE_FINE, TABLE_BAD_ENTRY, TABLE_BAD_VALUE,
    TABLE_WARN_VALUE };
/* *at: which part is wrong, where that is not all of the entry or value. */
typedef enum table_fault table_judge_fn(const void *arg, struct str entry,
		    struct str value, struct buf *why, struct str *at);

struct table	*table_new(struct str name);
/* Judges every line of a file, now and when it is reread. */
void		 table_set_judge(struct table *, table_judge_fn *,
		    const void *arg);
void		 table_free(struct table **);
struct str	 table_name(const struct table *);
size_t		 table_count(const struct table *);
/* An inline entry; false with *why. */
bool		 table_add(struct table *, struct str entry, struct buf *why);
bool		 table_add_value(struct table *, struct str entry,
		    struct str value, struct buf *why);
/* After the last inline entry: makes lookups of addresses fast. */
void		 table_seal(struct table *);
/* Loads PATH: an entry a line, # comments, what follows an entry on its line
 * is its value.  Mistakes go to the diag with the table file's own lines. */
bool		 table_load(struct table *, struct str path, struct place where,
		    struct diag *);
void		 table_refresh(struct table *);
/* Any of the value's texts; an unknown value must not come here. */
bool		 table_has(const struct table *, const struct value *);
/* The value that stands behind an entry in a file ("" if none). */
bool		 table_lookup(const struct table *, struct str key,
		    struct arena *, struct str *value);
/* The same, added to a buffer. */
bool		 table_value(const struct table *, struct str key,
		    struct buf *value);
/* The next word of such a value; "": no more, or a comment. */
struct str	 table_word(struct str *value);

#endif
