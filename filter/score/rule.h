/*
 * rule - one rule of a ruleset, as score/score.c matches it.
 *
 * Inside of score/ only.  Rules live in their ruleset's arena and do not
 * change after loading.
 */
#ifndef SCORE_RULE_H
#define SCORE_RULE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "score/meta.h"
#include "score/regex.h"

/* What a rule looks at, and its word in a rule file. */
#define RULE_KINDS(X)							\
	X(HEADER,	"header")					\
	X(BODY,		"body")						\
	X(RAWBODY,	"rawbody")					\
	X(MIMEHEADER,	"mimeheader")					\
	X(FULL,		"full")						\
	X(URI,		"uri")						\
	X(META,		"meta")

enum rule_kind {
#define X(id, word) RULE_##id,
	RULE_KINDS(X)
#undef X
	RULE_KIND_COUNT
};

/* How a header rule reads its field: the suffix behind the name. */
enum rule_form { FORM_DECODED, FORM_RAW, FORM_ADDR, FORM_NAME };

struct score_rule {
	struct score_rule *next;
	size_t		 index;		/* in the ruleset, from 0 */
	enum rule_kind	 kind;
	struct str	 name;
	struct str	 describe;
	double		 score;
	bool		 scored;	/* a score line named it */
	/* header, body, full, uri */
	struct str	 field;		/* "Subject", "ALL", "ToCc" */
	enum rule_form	 form;
	bool		 exists;	/* header NAME exists:Field */
	bool		 negate;	/* !~ */
	struct str	 if_unset;
	struct regex	*regex;
	struct str	 pattern, re_flags; /* as regex_new() took them */
	unsigned int	 flags;		/* header: enum field_flag */
	unsigned int	 most;		/* tflags multiple maxhits=N; else 1 */
	bool		 net, nice;	/* tflags */
	/* eval:NAME(args), of any kind but meta and uri */
	struct str	 eval;		/* STR_NONE: a regex */
	struct str	*args;
	size_t		 nargs;
	/* meta */
	struct meta	*meta;
};

struct ruleset {
	struct arena	*arena;
	struct map	*by_name;
	struct score_rule *first, **tail;	/* in the files' order */
	size_t		 count, left_out;
	double		 required;
};

/*
 * Reads the words behind a rule's kind and name into *rule.  false with the
 * reason in *why.
 */
bool	rule_parse(struct arena *, struct score_rule *, struct str rest,
	    struct buf *why);
bool	rule_kind_parse(struct str word, enum rule_kind *);
const char *rule_kind_word(enum rule_kind);

#endif
