/*
 * replace_tag - "<A>" in a rule's regex, which stands for a piece of regex.
 *
 * replace_tag, replace_pre, replace_inter and replace_post lines name the
 * pieces; rules named by replace_rules are expanded when all files are read.
 * A tag may hold others, five deep.
 */
#ifndef SCORE_REPLACE_TAG_H
#define SCORE_REPLACE_TAG_H

#include <stdbool.h>

#include "base/map.h"
#include "base/str.h"

struct replace_tags {
	struct map	*tag, *pre, *inter, *post;	/* to struct str */
};

/* Tags that nobody has named stay as they are.  false: it grew too long. */
bool	replace_tags(const struct replace_tags *, struct str pattern,
	    struct buf *out);

#endif
