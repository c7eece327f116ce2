/*
 * parse - policy files to settings, tables, limits and rules.
 *
 * One struct parse is one loading: the includes being read, the names
 * defined so far, where the next rule goes.  A statement with a mistake is
 * told to the diag and skipped as a whole, so that one mistake makes one
 * message.  Names in conditions stay words; resolve.c binds them when all
 * files are read.  One loading thread.
 *
 * The arena of a policy has no cap (an administrator sizes it), so that its
 * allocations don't fail; the files' sizes are limited here.
 */
#ifndef POLICY_PARSE_H
#define POLICY_PARSE_H

#include "base/map.h"
#include "policy/lex.h"
#include "policy/policy.h"

#define PARSE_FILE_MAX		(1024 * 1024)	/* bytes of one file */
#define PARSE_TOTAL_MAX		(8 * PARSE_FILE_MAX)
#define PARSE_INCLUDE_MAX	16		/* files inside each other */
#define PARSE_NESTING_MAX	50		/* parentheses, `not' */
#define PARSE_CONDITION_MAX	500		/* terms of one condition */

enum name_kind { NAME_TABLE, NAME_DNSBL, NAME_LIMIT, NAME_KINDS };

/* A table, list or limit by its name. */
struct named {
	struct named	*next;
	enum name_kind	 kind;
	struct str	 name;
	struct place	 place;
	void		*object;
	bool		 used;
	bool		 charged;	/* a limit: some rule reserves of it */
};

/* A key to sign with, and where it is said so. */
struct parse_key_at {
	struct parse_key_at *next;
	struct dkim_signer *signer;
	struct place	 place;
};

struct parse_file {			/* being read */
	struct parse_file *outer;
	const struct source *source;
	struct place	 included;	/* where */
};

struct parse {
	struct policy	*policy;
	struct arena	*arena;		/* the policy's */
	struct diag	*diag;
	struct lexer	*lex;		/* of the innermost file */
	struct lex_macros *macros;
	struct parse_file *file;
	unsigned int	 depth;		/* of files inside each other */
	size_t		 total;		/* bytes read */
	struct str	 root;		/* folder of the policy file, with / */
	struct map	*by_name[NAME_KINDS];
	struct named	*named, **named_tail;
	struct rule	**tails[STAGE_COUNT];
	struct source	**sources_tail;
	unsigned int	 nsources;
	bool		 unclosed;	/* a brace is missing before the next
					 * token, which begins a statement */
	bool		 inside;	/* a condition: its braces are closed
					 * before the next action */
	unsigned int	 terms, nesting;	/* of the current condition */
	struct parse_key_at *keys, **keys_tail;	/* to sign with */
};

void		 parse_init(struct parse *, struct policy *, struct diag *);
void		 parse_done(struct parse *);
/* Reads a file with all it includes; `at' is who asked for it. */
void		 parse_file(struct parse *, struct str path, struct place at);
/* A file of something else than statements: fn reads one at a time. */
void		 parse_file_of(struct parse *, struct str path, struct place at,
		    void (*fn)(struct parse *));
/* The same for a text that is in memory already (tests). */
void		 parse_text(struct parse *, struct str name, struct str text);
const char	*parse_kind_word(enum name_kind);

/* For parse.c, parse_rule.c and resolve.c. */
void		*parse_alloc(struct parse *, size_t);
/* "expected X, found Y" at t, silent where t was already told of. */
void		 parse_expected(struct parse *, const struct token *t,
		    const char *what);
bool		 parse_is_word(const struct token *, const char *word);
/* A relative path is relative to the file that it stands in. */
struct str	 parse_path(struct parse *, struct str path);
/* { entries }; the brace is the next token.  False where something in it
 * was no entry; a bad entry has been told, and the rest can be read. */
bool		 parse_entries(struct parse *, struct table *);
/* The statement has to end here. */
bool		 parse_end(struct parse *);
/* Compiled and owned by the policy; NULL with a mistake told. */
struct regex	*parse_regex(struct parse *, const struct token *);
struct table	*parse_new_table(struct parse *, struct str name);

/* A key at the lexer's place; false: something else stands there. */
bool		 parse_key(struct parse *, struct key *);
/* From the first to the end of the second, where they share a line. */
struct place	 parse_place_join(struct place, struct place);
/* Characters, not bytes. */
unsigned int	 parse_width(struct str);

/* parse_define.c: the opening brace; false with a mistake told. */
bool		 parse_brace(struct parse *, struct token *open);
/* Statements; `word' is their first, read already. */
void		 parse_table(struct parse *, const struct token *word);
void		 parse_dnsbl(struct parse *, const struct token *word);
void		 parse_uribl(struct parse *, const struct token *word);
void		 parse_limit(struct parse *, const struct token *word);
void		 parse_dmarc(struct parse *, const struct token *word);
/* Skips an entry that is not understood, to the next line or brace. */
void		 parse_skip_entry(struct parse *);
/* The next token inside braces, newlines and commas skipped; false at the
 * closing brace, which is read, or where it is missing, which is told. */
bool		 parse_brace_next(struct parse *, const struct token *open,
		    struct token *);

/* parse_signing.c */
void		 parse_signing(struct parse *, const struct token *word);
/* What stands behind the action `sign'; false with a mistake told. */
bool		 parse_sign(struct parse *, struct rule *);
/* Reads the keys when the settings are known, and tells what is wrong. */
void		 parse_signing_end(struct parse *);

struct verb_def {
	const char	*word;
	bool		 ends;		/* nothing is asked after it */
	enum stage	 stage;		/* the earliest it may stand in */
};

/* parse.c: can't be an entry or a rule. */
bool		 parse_is_statement(const struct token *);
/* parse_rule.c */
const struct verb_def *parse_verb(enum verb);
bool		 parse_is_verb(struct str word);
/* parse_rule.c: a rule at the lexer's place, added to its stage (STAGE_COUNT:
 * the stage was a mistake); false: it had a mistake and was skipped. */
bool		 parse_rule(struct parse *, enum stage, bool shadow);
/* parse_condition.c: what stands behind `if'; NULL with a mistake told. */
struct expr	*parse_condition(struct parse *);

#endif
