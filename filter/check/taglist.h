/*
 * taglist - "name=value; name=value", the form of DKIM signatures, DKIM keys
 * and DMARC records (RFC 6376 section 3.2).
 *
 * An iterator over text that somebody else owns: nothing is copied, nothing
 * to free, linear, any thread.
 */
#ifndef CHECK_TAGLIST_H
#define CHECK_TAGLIST_H

#include "base/arena.h"
#include "base/str.h"

struct taglist {
	struct str	 rest;
	bool		 broken;	/* a tag without "=" or a good name */
};

#define TAGLIST(text)	((struct taglist){ .rest = (text) })

/* The next tag, white space around name and value removed.  false: no more,
 * or what follows is not a tag (then broken is set). */
bool		 taglist_next(struct taglist *, struct str *name,
		    struct str *value);
/* The value of the first tag of that name; p NULL: there is none. */
struct str	 taglist_get(struct str text, struct str name);
/* All white space taken out; {NULL, 0} when the arena is full. */
struct str	 taglist_squeeze(struct arena *, struct str);

#endif
