/*
 * condition - the `if' of rule files: what is here, and in which version.
 *
 * SpamAssassin's words: version, perl_version, local_tests_only, plugin(X),
 * can(X::f), has(X::f), numbers and operators.  The version is that whose
 * rules are run (4.0.1); a plugin is here when its work is done.
 */
#ifndef SCORE_CONDITION_H
#define SCORE_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "base/str.h"

#define CONDITION_VERSION	"4.000001"

struct condition {
	const char *const *plugins;	/* NULL at the end; NULL: our own */
	const struct map *loaded;	/* more of them, by loadplugin */
	const struct map *compat;	/* by enable_compat */
	bool		 local_only;
};

/* false with the reason in *why: it can't be read, and counts as not true. */
bool	condition_eval(const struct condition *, struct str text, bool *yes,
	    struct buf *why);
/* "Mail::SpamAssassin::Plugin::X" or X alone. */
bool	condition_plugin(const struct condition *, struct str name);

#endif
