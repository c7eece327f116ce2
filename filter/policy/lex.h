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
	struct str	 text;		/* WORD; STRING unescaped; REGEX pattern */
	struct str	 flags;		/* REGEX */
	struct place	 place;
};

struct lexer;

struct lexer	*lex_new(struct arena *, const struct source *, struct diag *);
/* Skips what is left of the current token stream's line, for recovery. */
void		 lex_skip_line(struct lexer *);
const struct token *lex_peek(struct lexer *);
struct token	 lex_next(struct lexer *);
struct token	 lex_regex(struct lexer *);	/* the next token, as /.../flags */

#endif
