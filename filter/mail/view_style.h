/*
 * view_style - how text in HTML looks, as far as it tells what can be read.
 *
 * A stack of the elements that change colour, size and visibility, kept as
 * SpamAssassin keeps it: what closes is what was opened last under that name,
 * cells and rows close each other.
 *
 * Linear: an end tag that nothing was opened for costs nothing.  Beyond
 * VIEW_STYLE_DEPTH elements are counted, not kept.  One thread at a time.
 */
#ifndef MAIL_VIEW_STYLE_H
#define MAIL_VIEW_STYLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define VIEW_STYLE_DEPTH 100000

enum style_tag { STYLE_NONE, STYLE_A, STYLE_BASEFONT, STYLE_BIG, STYLE_BODY,
	STYLE_DIV, STYLE_FONT, STYLE_P, STYLE_SMALL, STYLE_SPAN,
	STYLE_TABLE, STYLE_TD, STYLE_TR, STYLE_TAGS };

/* 0xRRGGBB, or one of: */
#define STYLE_INVALID	  0x1000000u
#define STYLE_EMPTY	  0x1000001u	/* "#" alone */
#define STYLE_TRANSPARENT 0x1000002u

struct style {
	uint32_t	 fg, bg;
	int32_t		 size;
	uint8_t		 tag;
	bool		 no_display, hidden;
};

/* The attributes that count; p NULL where it is not there. */
struct style_attrs {
	struct str	 text, color, size, style;
	bool		 any;		/* one that this tag may have */
};

struct style_stack {
	struct style	*v;
	size_t		 n, cap;
	size_t		 open[STYLE_TAGS];
	long		 basefont, min_size, max_size;
	bool		 truncated;
};

void	view_style_init(struct style_stack *);
void	view_style_free(struct style_stack *);
void	view_style_open(struct style_stack *, enum style_tag,
	    const struct style_attrs *);
void	view_style_close(struct style_stack *, enum style_tag);
/* The style of text now. */
const struct style *view_style_top(const struct style_stack *);
/* No one can read text of it; *contrast and *invalid say why, if so. */
bool	view_style_invisible(const struct style *, bool *contrast,
	    bool *invalid);

#endif
