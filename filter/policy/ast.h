/*
 * ast - a policy as the parser leaves it and the evaluator reads it.
 *
 * Everything here lives in the policy's memory and never changes after
 * loading; any thread reads it.  parse.c makes the shapes and leaves names as
 * words; resolve.c binds them (fact, table, list, limit, regex) and checks
 * kinds and stages; eval.c only reads.
 */
#ifndef POLICY_AST_H
#define POLICY_AST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "check/dnsbl.h"
#include "check/key.h"
#include "check/limit.h"
#include "check/notify.h"
#include "policy/diag.h"
#include "policy/fact.h"
#include "policy/table.h"
#include "score/regex.h"

enum expr_op {
	EXPR_AND, EXPR_OR, EXPR_NOT,	/* left, right */
	EXPR_FACT,			/* fact is there: `user' */
	EXPR_CMP,			/* fact cmp literal */
	EXPR_MATCH,			/* fact ~ /regex/, fact !~ /regex/ */
	EXPR_IN,			/* fact in TABLE */
	EXPR_LISTED,			/* listed LIST */
	EXPR_OVER,			/* over LIMIT */
	EXPR_RULE,			/* rule NAME */
	EXPR_TAG,			/* tag NAME */
	EXPR_BLOCKED			/* blocked KEY */
};

enum cmp { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

struct literal {
	enum { LITERAL_TEXT, LITERAL_NUMBER, LITERAL_NET } kind;
	struct str	 text;
	double		 number;	/* sizes in bytes, times in seconds */
	struct addr_net	 net;
};

struct expr {
	enum expr_op	 op;
	struct place	 place;
	struct expr	*left, *right;
	struct str	 name;		/* what it asks about */
	struct place	 name_place;
	struct str	 arg;		/* header("Name") */
	enum cmp	 cmp;
	bool		 negate;	/* !~ */
	struct literal	 literal;
	struct place	 literal_place;
	struct str	 pattern, flags;
	/* bound by resolve.c */
	struct fact_ref	 fact;
	struct regex	*regex;
	struct table	*table;
	const struct dnsbl *list;
	const struct limit *limit;
	unsigned int	 percent;	/* over LIMIT at N%; 0: over */
	struct key	 key;
};

/* "text with {facts}" */
struct text {
	struct text	*next;
	struct str	 literal;	/* used where fact.def is NULL */
	struct fact_ref	 fact;
	struct place	 place;
};

/* id, words, ends the stage, earliest stage it may stand in */
#define VERBS(X)							\
	X(ACCEPT,	"accept",	true,	CONNECT)		\
	X(NEXT,		"next",		true,	CONNECT)		\
	X(REJECT,	"reject",	true,	CONNECT)		\
	X(TEMPFAIL,	"tempfail",	true,	CONNECT)		\
	X(DISCARD,	"discard",	true,	MAIL)			\
	X(QUARANTINE,	"quarantine",	true,	MAIL)			\
	X(HEADER,	"header",	false,	CONNECT)		\
	X(INSERT,	"insert",	false,	CONNECT)		\
	X(STRIP,	"strip",	false,	CONNECT)		\
	X(SCORE,	"score",	false,	CONNECT)		\
	X(TAG,		"tag",		false,	CONNECT)		\
	X(BLOCK,	"block",	false,	CONNECT)		\
	X(GREYLIST,	"greylist",	false,	RCPT)			\
	X(DELAY,	"delay",	false,	CONNECT)		\
	X(NOTIFY,	"notify",	false,	CONNECT)		\
	X(SIGN,		"sign",		false,	MESSAGE)		\
	X(LOG,		"log",		false,	CONNECT)

enum verb {
#define X(id, word, ends, stage) VERB_##id,
	VERBS(X)
#undef X
	VERB_COUNT
};

struct dkim_signer;		/* check/dkim_signer.h */

struct rule {
	struct rule	*next;
	enum stage	 stage;
	enum verb	 verb;
	bool		 shadow;
	struct place	 place;
	struct str	 where;		/* "postern.conf:12" */
	struct str	 source;	/* the line, trimmed, for the trace */
	struct expr	*condition;	/* NULL: always */
	struct text	*text;		/* reply, reason, header value, message,
					 * notify's command or notice; NULL:
					 * none */
	struct str	 name;		/* of header, tag; sign's domain, if
					 * it has one; whom notify tells */
	enum notify_how	 how;		/* notify */
	struct place	 name_place;
	double		 number;	/* score */
	int64_t		 time_ms;	/* block, delay, greylist */
	struct key	 key;		/* block */
	const struct dkim_signer *signer;	/* sign; NULL: the list's */
	/* A refusal that asks a limit before all of what it counts is known
	 * is asked again at these stages; limit NULL: it is not. */
	struct {
		const struct limit *limit;
		struct rule *next;	/* of those asked again there */
	} again[STAGE_COUNT];
	atomic_ulong	 fired;
};

#endif
