/*
 * option - the settings of SpamAssassin that are not rules, by their kind.
 *
 * Rule files hold lines that say nothing to a filter of ours, or that other
 * parts of it read: each is known here, so that what is not known is a
 * mistake.  Names as in rule files, in lower case with _.
 */
#ifndef SCORE_OPTION_H
#define SCORE_OPTION_H

#include <stdbool.h>

#include "base/str.h"

#define OPTION_KINDS(X)							\
	X(LIST,		"list for eval functions")			\
	X(URI,		"how URIs are read")				\
	X(RELAY,	"which hosts are trusted")			\
	X(NETWORK,	"network test")					\
	X(LEARN,	"Bayes and reputation")				\
	X(REPORT,	"what SpamAssassin writes into a message")	\
	X(PLUGIN,	"option of a plugin")				\
	X(DAEMON,	"how SpamAssassin runs")

enum option_kind {
#define X(id, text) OPTION_##id,
	OPTION_KINDS(X)
#undef X
	OPTION_KIND_COUNT
};

/* false: SpamAssassin has no such setting. */
bool	option_find(struct str name, enum option_kind *);
const char *option_kind_text(enum option_kind);
/* Whether some part of the filter reads such lines. */
bool	option_kind_is_read(enum option_kind);

#endif
