/*
 * diag - the mistakes of a policy, all of one run, each with its place.
 *
 * A mistake is "file:line:col: message", the source line quoted, the place
 * underlined, with a suggestion where a word is close to a known one.
 * Warnings don't keep a policy from loading.  Belongs to one loading thread.
 */
#ifndef POLICY_DIAG_H
#define POLICY_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define DIAG_MAX	100		/* mistakes told; more are counted */

struct source {				/* one file of a policy */
	struct source	*next;
	struct str	 name;		/* as shown */
	struct str	 text;
	unsigned int	 order;		/* mistakes are told in this order */
};

struct place {
	const struct source *source;
	unsigned int	 line, col;	/* 1-based; col counts characters;
					 * line 0: the file as a whole */
	unsigned int	 len;		/* to underline; at least 1 */
};

struct diag;

struct diag	*diag_new(void);
void		 diag_free(struct diag **);
void		 diag_error(struct diag *, struct place, const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));
void		 diag_warn(struct diag *, struct place, const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));
/* Adds "did you mean `x'?" to the last mistake when one word is close
 * (Damerau-Levenshtein, without case). */
void		 diag_suggest(struct diag *, struct str word,
		    const char *const *known, size_t n);
size_t		 diag_errors(const struct diag *);
size_t		 diag_warnings(const struct diag *);
void		 diag_print(const struct diag *, struct buf *out);

#endif
