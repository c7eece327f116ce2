/*
 * uri - the URIs of a message as uri rules see them.
 *
 * Found in the rendered text and in HTML attributes, each in the form it was
 * written and in those a mail reader or a redirector would make of it
 * (percent decoding, numeric hosts, missing scheme).  Each once, in the order
 * SpamAssassin asks them is not promised.
 *
 * Values live in the arena given.  Any thread, one message each.
 */
#ifndef MAIL_URI_H
#define MAIL_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/view.h"

#define URI_MAX_COUNT	2000

struct uri {
	struct uri	*next;
	struct str	 text;
	struct str	 host;		/* lower case; "" if none */
	struct str	 domain;	/* registered domain; "" if none */
	bool		 from_html;	/* an attribute, not the text */
	bool		 anchor;	/* <a href> */
};

struct uri_list {
	struct uri	*first;
	size_t		 count;
	bool		 truncated;
};

/* NULL only when the arena is full. */
const struct uri_list *uri_find(struct arena *, const struct view *);

#endif
