/*
 * view - a message as rules of SpamAssassin's syntax see it.
 *
 * The same message reads differently to a body rule (decoded, rendered,
 * paragraphs of normal text, the subject on top), a rawbody rule (decoded,
 * not rendered, in chunks), a full rule (as it came) and a mimeheader rule
 * (the fields of each part).  view_make() computes all of it once; what a
 * stranger can make large is capped, and `truncated' says that a cap was met.
 *
 * Everything lives in the arena given.  Any thread, one message each.
 */
#ifndef MAIL_VIEW_H
#define MAIL_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/header.h"

struct view_lines {
	struct str	*line;
	size_t		 count;
};

/* A node of the MIME tree, depth first, the message itself first. */
struct view_part {
	struct view_part *next;
	struct headers	 headers;	/* its own fields */
	struct str	 type;		/* effective, "text/html", lower case */
	struct str	 charset;	/* as declared */
	struct str	 name;		/* file name, decoded; "" if none */
	struct str	 raw;		/* as it came, still encoded */
	struct str	 decoded;	/* transfer encoding undone; leaves only */
	unsigned int	 depth;		/* 0: the message */
	bool		 leaf;
};

struct view {
	struct view_lines body;		/* [0]: the subject */
	struct view_lines rawbody;
	struct str	 full;		/* header fields, empty line, body; LF */
	struct view_part *parts;
	struct str	 visible_html;	/* rendered text of HTML parts */
	struct str	 invisible_html;
	bool		 truncated;	/* a cap was met */
	bool		 broken;	/* MIME that nobody should send */
};

/* NULL only when the arena is full.  body: raw, CR LF or LF. */
const struct view *view_make(struct arena *, const struct headers *,
		    struct str body);

#endif
