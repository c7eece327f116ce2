/*
 * view_render - what the files that render HTML have in common.
 *
 * view_html.c walks over the tokens; view_text.c adds to the text and to
 * lists of strings; view_attr.c reads the attributes of start tags.  For
 * those three alone.
 */
#ifndef MAIL_VIEW_RENDER_H
#define MAIL_VIEW_RENDER_H

#include "mail/html_token.h"
#include "mail/view_html.h"
#include "mail/view_style.h"
#include "mail/view_tag.h"

#define RENDER_STRING_MAX (64 * 1024)	/* of one title, script, anchor */
#define RENDER_SLOTS	  128		/* of tag names */

/* The attributes that anything is made of. */
enum render_attr {
	ATTR_ACTION,
	ATTR_BACKGROUND,
	ATTR_BGCOLOR,
	ATTR_COLOR,
	ATTR_CONTENT,
	ATTR_SAFE_URL,
	ATTR_FACE,
	ATTR_HEIGHT,
	ATTR_HREF,
	ATTR_EQUIV,
	ATTR_SIZE,
	ATTR_SRC,
	ATTR_STYLE,
	ATTR_TEXT,
	ATTR_WIDTH,
	ATTRS
};

/* What was added to the text last. */
enum render_last { LAST_NONE, LAST_TEXT, LAST_SPACE, LAST_HIDDEN };

/* A tag name seen, in a chain of those of one slot. */
struct entry {
	struct html_tag	 tag;
	const struct tag_def *def;	/* NULL: of no known tag */
	bool		 element;
	struct entry	*older;
};

/* A list that grows at its end. */
struct strings {
	struct html_string **tail;
	size_t		 room;
};

struct render {
	struct arena	*arena;
	struct html_facts *facts;
	struct buf	*out;
	size_t		 start, last_start; /* in out */
	enum render_last last;
	bool		 source_wide, wide;
	struct style_stack style;
	struct entry	*slots[RENDER_SLOTS];
	struct html_tag	**tags_tail;
	struct html_tag	*in_a, *in_title, *in_script, *in_style;
	size_t		 tag_count, link_count, anchor_count;
	struct strings	 titles, comments, scripts, charsets;
	struct html_link **links_tail;
	struct html_anchor **anchors_tail, *anchor;
	struct buf	 anchor_text, title_text, piece;
	bool		 in_title_now, anchor_wide, title_wide;
	bool		 last_wide; /* what was added last is characters */
	struct str	 value[ATTRS];
	size_t		 value_at[ATTRS]; /* in decoded, plus one */
	struct buf	 decoded;
	bool		 has_values;	/* any of these is set */
	struct str	 base;
	bool		 full;
};

/* view_text.c: */

/* Into the arena.  What is not wide is bytes: a character up to U+00FF is
 * one. */
struct str view_text_keep(struct render *, struct str, bool wide);
void	view_text_string(struct render *, struct strings *, struct str,
	    bool wide);
void	view_text_space(struct render *, enum space);
void	view_text_append(struct render *, struct buf *, struct str);
void	view_text_end_anchor(struct render *);
void	view_text_end_title(struct render *);
void	view_text_add(struct render *, const struct html_token *);

/* view_attr.c: */

/* Reads what is wanted of a start tag's attributes; then the URIs and facts
 * in them. */
void	view_attr_read(struct render *, struct str attrs, enum uri_kind,
	    bool *wide);
void	view_attr_style(struct render *, enum style_tag);
void	view_attr_uris(struct render *, const struct tag_def *, bool wide);
void	view_attr_test(struct render *, struct str tag, bool wide);

#endif
