/*
 * rule - one rule of a ruleset, as it is matched.
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
#include "score/perl_regex.h"
#include "score/regex.h"
#include "score/rule_trust.h"

/* What a rule looks at, and its word in a rule file. */
#define RULE_KINDS(X)							\
	X(HEADER,	"header")					\
	X(BODY,		"body")						\
	X(RAWBODY,	"rawbody")					\
	X(MIMEHEADER,	"mimeheader")					\
	X(FULL,		"full")						\
	X(URI,		"uri")						\
	X(URI_DETAIL,	"uri_detail")					\
	X(META,		"meta")

enum rule_kind {
#define X(id, word) RULE_##id,
	RULE_KINDS(X)
#undef X
	RULE_KIND_COUNT			/* named, not defined */
};

/* What a uri_detail rule asks of a URI: all of it must be so. */
#define RULE_DETAILS(X)							\
	X(RAW,		"raw")						\
	X(TYPE,		"type")						\
	X(CLEANED,	"cleaned")					\
	X(TEXT,		"text")						\
	X(DOMAIN,	"domain")					\
	X(HOST,		"host")

enum rule_detail {
#define X(id, word) DETAIL_##id,
	RULE_DETAILS(X)
#undef X
	RULE_DETAIL_COUNT
};

struct rule_asks {
	struct regex	*regex;		/* NULL: not asked */
	bool		 negate;
};

/* tflags range= of a mimeheader: parts from 1. */
#define RULE_PARTS_MAX	1000
#define RULE_HITS_MAX	1000	/* of a mimeheader with tflags multiple */

struct score_rule {
	struct score_rule *next;
	size_t		 index;		/* in the ruleset, from 0 */
	enum rule_kind	 kind;
	struct str	 name;
	struct str	 describe;
	const char	*file;
	unsigned int	 line;
	double		 scores[4];	/* SpamAssassin's four columns */
	double		 score;		/* the one that counts */
	bool		 scored;	/* a score line named it */
	bool		 off;		/* score 0 and the like: not asked,
					 * and 0 in a meta */
	int		 priority;	/* lower ones first; metas last */
	/* header, mimeheader, body, rawbody, full, uri */
	struct str	 field;		/* "Subject", "ALL", "ToCc" */
	unsigned int	 flags;		/* enum field_flag */
	bool		 exists;	/* header NAME exists:Field */
	bool		 negate;	/* !~ */
	struct str	 if_unset;	/* p NULL: not given */
	struct regex	*regex;		/* NULL: none, or it has templates */
	struct str	 pattern, re_flags; /* as regex_new() would take them */
	struct perl_regex perl;		/* templates, captures; its regex
					 * is ours */
	struct rule_asks *asks;		/* uri_detail: RULE_DETAIL_COUNT */
	/* tflags */
	struct str	 tflags;
	bool		 multiple;	/* each match counts */
	unsigned int	 most;		/* multiple maxhits=N; UINT_MAX
					 * without N; else 1 */
	bool		 net, nice, learn;
	bool		 nosubject;	/* body: the subject is not asked */
	bool		 concat;	/* mimeheader: all parts as one text */
	unsigned int	 first_part, last_part;
	/* eval:NAME(args), of header, body, rawbody and full */
	struct str	 eval;		/* p NULL: a regex */
	struct str	*args;
	size_t		 nargs;
	/* meta: as it was written, compiled, and who it reads (NULL: nobody) */
	struct str	 text;
	struct meta	*meta;
	struct score_rule **reads;	/* in the order of meta_name() */
	size_t		 nreads;
};

/* What a line of a rule file is that does not make a rule. */
struct rule_option {
	struct rule_option *next;
	struct str	 value;
	size_t		 order;		/* among the options of all names */
};

struct rule_test {
	struct rule_test *next;
	struct str	 rule;
	bool		 ok;		/* text must make it hit */
	struct str	 text;
	const char	*file;
	unsigned int	 line;
};

/* A line that is not in force. */
#define RULE_LEFTS(X)							\
	X(MISTAKE,	"not understood")				\
	X(FUNCTION,	"functions that are not done here")		\
	X(NETWORK,	"asked of the network by SpamAssassin alone")	\
	X(PLUGIN,	"for plugins that are not here")		\
	X(CONDITION,	"behind a condition that is not met")		\
	X(OPTION,	"options without a meaning here")		\
	X(LANGUAGE,	"in another language")

enum rule_left_kind {
#define X(id, text) LEFT_##id,
	RULE_LEFTS(X)
#undef X
	LEFT_KIND_COUNT
};

struct rule_left {
	struct rule_left *next;
	enum rule_left_kind kind;
	const char	*file;
	unsigned int	 line, last;	/* the same, but of a block */
	struct str	 word;		/* the line's first, "header" */
	struct str	 name;		/* of a rule; "" if none */
	struct str	 why;
	size_t		 count;		/* rules, of a block; else 1 */
};

struct ruleset {
	struct arena	*arena;
	struct map	*by_name;
	struct score_rule *first, **tail;	/* in the files' order */
	size_t		 count;
	size_t		 files;
	struct rule_left *left, **left_tail;
	size_t		 left_count[LEFT_KIND_COUNT];
	struct map	*options;	/* name: struct rule_option, in order */
	struct eval_lists *lists;	/* of addresses and hosts in them */
	size_t		 noptions;
	struct rule_test *tests, **test_tail;
	struct regex	**redirectors;	/* redirector_pattern */
	size_t		 nredirectors;
	struct rule_trust trust;
	double		 required;
	struct plan	*plan;		/* score/plan.h; once it is loaded */
};

/*
 * Reads the words behind a rule's kind and name into *rule.  false with the
 * reason in *why.
 */
bool	rule_parse(struct arena *, struct score_rule *, struct str rest,
	    struct buf *why);
/* Its tflags, once all files are read. */
void	rule_read_tflags(struct score_rule *);
void	rule_free_regexes(struct score_rule *);
/* The rule matches what its perl says now. */
void	rule_use_perl(struct score_rule *);
bool	rule_kind_parse(struct str word, enum rule_kind *);
const char *rule_kind_word(enum rule_kind);
/* SpamAssassin's: letters, digits and _, no digit first, 100 at most. */
bool	rule_name_valid(struct str name);
const char *rule_left_text(enum rule_left_kind);
/* SpamAssassin's * and ?, all of the name. */
bool	rule_glob(struct str glob, struct str name);

#endif
