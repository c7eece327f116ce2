/*
 * view - a message as rules of SpamAssassin's syntax see it.
 *
 * The same message reads differently to a body rule (decoded, rendered,
 * paragraphs of normal text, the subject on top), a rawbody rule (decoded,
 * not rendered, in chunks), a full rule (as it came) and a mimeheader rule
 * (the fields of each part).  view_make() computes all of it once; what a
 * stranger can make large is capped, and `truncated' says that a cap was met.
 *
 * Everything lives in the arena given, and points into no memory but that
 * and the body's.  Any thread, one message each.
 */
#ifndef MAIL_VIEW_H
#define MAIL_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/header.h"
#include "mail/html_facts.h"

#define VIEW_LINE_MAX	2048	/* a line of body, half a chunk of rawbody */

struct view_lines {
	struct str	*line;
	size_t		 count;
};

enum view_encoding { VIEW_PLAIN, VIEW_BASE64, VIEW_QUOTED };

/* A node of the MIME tree, depth first, the message itself first. */
struct view_part {
	struct view_part *next;
	const struct view_part *parent;	/* NULL: the message itself */
	struct headers	 headers;	/* its own fields */
	struct str	 type;		/* effective, "text/html", lower case */
	struct str	 charset;	/* as declared; p NULL if it is not */
	struct str	 name;		/* file name, decoded; "" if none */
	struct str	 raw;		/* as it came, LF, still encoded */
	struct str	 decoded;	/* of text and message leaves, see
					 * view_part_decode() for others */
	struct str	 rendered;	/* of text that body shows: UTF-8,
					 * before lines are made of it */
	struct html_facts *html;	/* NULL: not rendered as HTML */
	enum view_encoding encoding;
	unsigned int	 depth;		/* 0: the message */
	bool		 leaf;
	bool		 message;	/* a message inside, with fields of
					 * its own; its parent is the part
					 * that holds it */
};

struct view {
	struct view_lines body;		/* [0]: the subject */
	struct view_lines rawbody;
	struct str	 full;		/* fields, empty line, body; LF */
	struct str	 body_text;	/* of it what is behind the fields */
	struct view_part *parts;
	size_t		 part_count;
	struct html_facts *html;	/* of all HTML parts, in their order */
	/* What MIME says wrong: SpamAssassin's words for it. */
	bool		 missing_mime_headers;
	bool		 missing_mime_head_body_separator;
	bool		 mime_epilogue_exists;
	bool		 boundary_open;	/* begun and never ended */
	bool		 truncated;	/* a cap was met */
	bool		 broken;	/* MIME that nobody should send */
};

/* NULL only when the arena is full.  body: raw, CR LF or LF. */
const struct view *view_make(struct arena *, const struct headers *,
		    struct str body);

/* The transfer encoding of a leaf undone, at most max bytes of it, and
 * whatever it had to leave out said in *cut (may be NULL).  p NULL: the arena
 * is full. */
struct str	 view_part_decode(struct arena *, const struct view_part *,
		    size_t max, bool *cut);
/* A field's value as rules see it: unfolded, RFC 2047 words decoded, UTF-8
 * (the last of that name; p NULL if there is none or the arena is full). */
struct str	 view_part_field(struct arena *, const struct headers *,
		    struct str name);
/* Cuts a raw message (LF or CR LF) where SpamAssassin does: header fields,
 * of which some may be broken, and body.  false: the arena is full. */
bool		 view_part_split(struct arena *, struct str raw,
		    struct headers *, struct str *body);

#endif
