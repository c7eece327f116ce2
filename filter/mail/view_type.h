/*
 * view_type - a Content-Type as SpamAssassin takes it apart.
 *
 * It takes what others would refuse: no grammar, but the first thing that
 * looks like a parameter of that name.  Linear.  Any thread.
 */
#ifndef MAIL_VIEW_TYPE_H
#define MAIL_VIEW_TYPE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/header.h"

struct view_type {
	struct str	 type;		/* "text/plain" for most of text */
	struct str	 boundary;	/* p NULL: none */
	struct str	 charset;	/* p NULL: none */
	struct str	 name;
	bool		 missing;	/* there is none: type is a guess */
};

/* false: the arena is full. */
bool		 view_type_parse(struct arena *, const struct headers *,
		    struct view_type *);
struct str	 view_type_boundary(struct str content_type);

#endif
