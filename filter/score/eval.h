/*
 * eval - the functions that rules call: "header NAME eval:function(args)".
 *
 * They are SpamAssassin's, by name and meaning, as far as nothing but the
 * message is needed; who asks SPF, DKIM and DMARC is score/auth_rule.h.
 * eval_find() gives a function when a ruleset is loaded, eval_hits() asks
 * it about a message.  What several of them need (dates, the MIME summary)
 * is computed once a message and kept in struct eval.
 *
 * Inside of score/ only.  One thread a message; what is kept lives in the
 * message's arena.
 */
#ifndef SCORE_EVAL_H
#define SCORE_EVAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/field.h"
#include "mail/session.h"
#include "mail/uri.h"
#include "mail/view.h"
#include "score/regex.h"
#include "score/rule.h"

#define EVAL_REGEX_MS	50	/* a rule's regex may take, of a message */

struct eval_dates;
struct eval_freemail;
struct eval_images;
struct eval_mime;

struct eval_addresses {
	struct str	*list;		/* NULL: not made yet */
	size_t		 n;
};

/* A message as the functions see it.  The first seven are the caller's, the
 * rest is zero at first. */
struct eval {
	struct arena	*arena;
	struct txn	*txn;
	struct fields	*fields;
	const struct view *view;
	const struct uri_list *uris;
	const struct ruleset *set;	/* for its options */
	const struct tld_set *tlds;	/* NULL: the public suffix list */
	struct eval_dates *dates;
	struct eval_freemail *freemail;
	struct eval_images *images;
	struct eval_mime *mime;
	struct eval_addresses from, to;
	int64_t		 spent_us;	/* by this rule's regex */
	bool		 too_slow;	/* it has no more answers */
	double		 upper, vertical, difference;
	double		 difference_html, difference_text;
	bool		 upper_known, vertical_known, difference_known;
};

struct eval_def {
	const char	*name;
	bool		(*hits)(struct eval *, const struct score_rule *);
	size_t		 regex_arg;	/* from 1: this argument is a regex,
					 * for the rule's `regex'; 0: none */
	unsigned int	 wants;		/* enum auth_rule_wants */
};

/* NULL: no such function here. */
const struct eval_def *eval_find(struct str name);
bool		 eval_hits(const struct eval_def *, struct eval *,
		    const struct score_rule *);

/* For the functions: arguments, "" where there are fewer. */
struct str	 eval_arg(const struct score_rule *, size_t i);
double		 eval_number(const struct score_rule *, size_t i);
/* It is not given, or "undef", or "inf". */
bool		 eval_open(const struct score_rule *, size_t i);
/* from <= value < to, where arguments i and i + 1 say from and to. */
bool		 eval_in_range(const struct score_rule *, size_t i,
		    double value);
/* from < value <= to. */
bool		 eval_above_upto(const struct score_rule *, size_t i,
		    double value);
/* A field by rule files' name ("From:addr"): the first address, name or
 * host, or all values of a field joined; "" if there is none. */
struct str	 eval_field(const struct eval *, const char *spec);
bool		 eval_has_field(const struct eval *, const char *spec);
struct str	 eval_lower(struct arena *, struct str);
/* Does the rule's regex match?  A rule that spent too long has no answer. */
enum regex_answer eval_regex(struct eval *, const struct score_rule *,
		    struct str subject);
/* Runs of white space made one blank. */
struct str	 eval_squeeze(struct arena *, struct str);

/* Every address that the message may be from, or to; lower case. */
#define EVAL_ADDRESSES_MAX	100
const struct str *eval_from_addresses(struct eval *, size_t *n);
const struct str *eval_to_addresses(struct eval *, size_t *n);

/* The tables of the files, ended by a NULL name. */
extern const struct eval_def eval_body_defs[];
extern const struct eval_def eval_date_defs[];
extern const struct eval_def eval_forged_defs[];
extern const struct eval_def eval_freemail_defs[];
extern const struct eval_def eval_header_defs[];
extern const struct eval_def eval_html_defs[];
extern const struct eval_def eval_mime_defs[];
extern const struct eval_def eval_relay_defs[];
extern const struct eval_def eval_trusted_defs[];
extern const struct eval_def eval_uri_defs[];
extern const struct eval_def eval_welcome_defs[];
extern const struct eval_def eval_image_defs[];

#endif
