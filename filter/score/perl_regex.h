/*
 * perl_regex - regexes as rule files write them, in Perl's words.
 *
 * perl_regex_read() takes "/x/i", "m{x}i" and all other delimiters that
 * SpamAssassin takes, and refuses what it refuses.  What PCRE2 reads
 * otherwise than Perl is rewritten; subjects are octets, as they are to
 * SpamAssassin (its /aa).  A pattern that is too large for PCRE2 is compiled
 * with its repeated groups shared.
 *
 * A pattern may name what other rules captured: %{NAME}, or a tag such as
 * %{HEADER(From:addr)}.  It has templates then and no regex; for each message
 * perl_regex_fill() makes one.
 *
 * Texts live in the arena given; the regex is the caller's to free.
 */
#ifndef SCORE_PERL_REGEX_H
#define SCORE_PERL_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "score/regex.h"

#define PERL_REGEX_TEMPLATES	8

struct perl_regex {
	struct str	 source;	/* the pattern in Perl's words */
	struct str	 pattern;	/* PCRE2's, expanded */
	struct str	 loose;		/* where it has templates: matches
					 * wherever it does, whatever they are;
					 * p NULL: no telling */
	struct str	 flags;		/* of regex_new() */
	struct str	 templates[PERL_REGEX_TEMPLATES];
	size_t		 ntemplates;
	bool		 bare;		/* each is matched as it stands: in no
					 * group, alternative or quantifier */
	bool		 captures;	/* (?<NAME>...) for other rules */
	bool		 shared;	/* too large as it stands */
	struct regex	*regex;		/* NULL where it has templates */
};

/* false with the reason in *why. */
bool	perl_regex_read(struct arena *, struct str text, struct perl_regex *,
	    struct buf *why);
/* Again with another pattern, in Perl's words; flags and all are kept.  The
 * regex there is freed on success alone. */
bool	perl_regex_change(struct arena *, struct perl_regex *,
	    struct str pattern, struct buf *why);
/* value(arg, name, buf) adds alternatives, quoted and with | between them;
 * false: there are none, and the rule has no meaning for this message.
 * NULL: so, or the pattern does not compile. */
struct regex *perl_regex_fill(const struct perl_regex *,
	    bool (*value)(void *arg, struct str name, struct buf *), void *arg);
/* Adds text as a pattern that matches it and nothing else. */
void	perl_regex_quote(struct buf *, struct str text);

#endif
