/*
 * setting - values of settings and of times and sizes anywhere in a policy.
 *
 * Pure functions over tokens; one loading thread.
 */
#ifndef POLICY_SETTING_H
#define POLICY_SETTING_H

#include "policy/lex.h"
#include "policy/policy.h"

#define SETTING_WORDS_MAX	16

/* "90s", "1.5h", "500ms"; s m h d w; false for anything else, negative too. */
bool		 setting_time(struct str, int64_t *ms);
/* "512", "16K", "16M", "1G": bytes. */
bool		 setting_size(struct str, uint64_t *bytes);
bool		 setting_number(struct str, double *);	/* -1.5 */

const char	*setting_words(enum setting);
const char	*setting_default(enum setting);
const char	*setting_help(enum setting);
/* The setting whose words begin with these one or two; SETTING_COUNT: none. */
enum setting	 setting_find(struct str first, struct str second);
/* Is there a setting of two words that begins with this one? */
bool		 setting_is_first_word(struct str);

/*
 * Sets one from the words behind its name; path() makes a relative path one
 * that can be opened.  False with a mistake told.
 */
struct setting_in {
	struct arena	*arena;
	struct diag	*diag;
	struct str	 dir;		/* of relative paths, with its slash */
	struct place	 place;		/* of the name */
	const struct token *words;
	size_t		 n;
};

bool		 setting_set(struct settings *, enum setting,
		    const struct setting_in *);
void		 setting_defaults(struct settings *, struct arena *,
		    struct diag *);

#endif
