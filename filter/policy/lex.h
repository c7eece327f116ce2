/*
 * lex - a policy file to tokens.
 *
 * Words are runs of anything but white space and the punctuation below;
 * what a word means is the parser's business.  A regex is read only where
 * the parser asks for one (after `~'), so `/' needs no quoting elsewhere.
 * A newline is a token: statements end at it.  Macros ($name) are expanded
 * here.  One loading thread; everything in the policy's arena.
 */
#ifndef POLICY_LEX_H
#define POLICY_LEX_H

#include <stdbool.h>

#include "base/arena.h"
#include "policy/diag.h"

enum token_kind {
	TOKEN_END, TOKEN_NEWLINE, TOKEN_WORD, TOKEN_STRING, TOKEN_REGEX,
	TOKEN_LBRACE, TOKEN_RBRACE, TOKEN_LPAREN, TOKEN_RPAREN, TOKEN_COMMA,
	TOKEN_EQ, TOKEN_NE, TOKEN_LT, TOKEN_LE, TOKEN_GT, TOKEN_GE,
	TOKEN_MATCH, TOKEN_NOT_MATCH, TOKEN_BAD
};

struct token {
	enum token_kind	 kind;
	struct str	 text;		/* strings unescaped */
	struct str	 raw;		/* STRING: as written between quotes;
					 * none where a macro made it */
	struct str	 flags;		/* REGEX */
	struct place	 place;		/* of a macro: where it is used */
};

#define LEX_MACRO_MAX	1000		/* tokens of one macro */
#define LEX_MACROS_MAX	200000		/* tokens from macros in all */

struct lex_macros;			/* of a whole policy */
struct lexer;

struct lex_macros *lex_macros_new(struct arena *);
void		 lex_macros_free(struct lex_macros **);
/* False where the name is taken: *first is where. */
bool		 lex_define(struct lex_macros *, const struct token *name,
		    const struct token *value, size_t n, struct place *first);
void		 lex_warn_unused(const struct lex_macros *, struct diag *);

/* False with an error where the source is not plain UTF-8 text. */
bool		 lex_check_text(const struct source *, struct diag *);
struct lexer	*lex_new(struct arena *, struct lex_macros *,
		    const struct source *, struct diag *);
const struct token *lex_peek(struct lexer *);
struct token	 lex_next(struct lexer *);
/* Gives the token read last back. */
void		 lex_unread(struct lexer *, const struct token *);
/* The next token as /.../flags; TOKEN_BAD where it is none. */
struct token	 lex_regex(struct lexer *);
/* Whether the next token begins with a slash. */
bool		 lex_at_slash(struct lexer *);
/* Whether c comes before the end of the line the next token is on. */
bool		 lex_line_has(struct lexer *, char c);
/*
 * For recovery: skips what is left of a statement, with the braces it
 * opens, up to the newline or closing brace that ends it; reports nothing.
 */
void		 lex_skip_statement(struct lexer *);
/* The source from one place up to the token read last. */
struct str	 lex_source(const struct lexer *, const char *from);
/* Where the next token begins. */
const char	*lex_mark(struct lexer *);
/* For messages: "`word'", "end of line". */
void		 lex_describe(const struct token *, char *out, size_t size);

#endif
