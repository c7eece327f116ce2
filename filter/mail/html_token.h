/*
 * html_token - HTML cut into tags, text and comments.
 *
 * Cuts where Perl's HTML::Parser does, which SpamAssassin reads HTML with:
 * quotes hide `>', a comment ends at "-->" or, where there is none, at the
 * first `>'; the content of script, style, xmp, iframe, textarea and title is
 * text up to its own end tag; marked sections are known.
 *
 * Tokens point into the text given.  Linear in it, whatever it is.  Values
 * only; any thread.
 */
#ifndef MAIL_HTML_TOKEN_H
#define MAIL_HTML_TOKEN_H

#include <stdbool.h>

#include "base/str.h"

#define HTML_MAX_SECTIONS 32	/* marked ones, inside each other */

enum html_kind { HTML_START, HTML_END, HTML_TEXT, HTML_COMMENT, HTML_DECL };

struct html_token {
	enum html_kind	 kind;
	struct str	 text;		/* all of it; of a tag its attributes */
	struct str	 name;		/* of a tag, as written */
	bool		 literal;	/* text whose entities stay */
};

struct html_lexer {
	struct str	 s;
	size_t		 at;		/* what is not yet cut begins here */
	const char	*literal;	/* the element whose content this is */
	const char	*pending;	/* an end tag that is owed */
	struct html_token held;		/* comes behind the owed one */
	bool		 holds;
	bool		 flushing;	/* the end was met once */
	bool		 cdata;		/* text whose entities stay */
	bool		 short_comments;	/* `>' ends them */
	unsigned int	 endless;	/* literal elements without an end */
	unsigned char	 sections[HTML_MAX_SECTIONS];
	unsigned int	 depth;
};

void	html_lexer_init(struct html_lexer *, struct str html);
/* false: there are no more. */
bool	html_next(struct html_lexer *, struct html_token *);

/* The next attribute of *rest, at first a start tag's text; false: no more.
 * value.p is NULL where there is none; quotes are off. */
bool	html_attribute(struct str *rest, struct str *name, struct str *value);

/* Appends s with its entities decoded.  wide: s is decoded text, not bytes;
 * it becomes so with a character above 255.  prefix: names may run on. */
void	html_decode(struct buf *, struct str s, bool prefix, bool *wide);

#endif
