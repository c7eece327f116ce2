/*
 * html_facts - what one HTML part is like, counted while it is rendered.
 *
 * Filled by mail/view_html.c for rules that ask about tags, colours, images
 * and links; the names are those that SpamAssassin's rules use.  A ratio
 * that has nothing to be a ratio of is negative: not defined.
 *
 * Values live in the arena of the view.  Any thread, one message each.
 */
#ifndef MAIL_HTML_FACTS_H
#define MAIL_HTML_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* One for each distinct tag name, known or not. */
struct html_tag {
	struct html_tag	*next;
	struct str	 name;
	long		 inside;	/* opened and not yet closed */
};

struct html_string {
	struct html_string *next;
	struct str	 text;
};

/* A URI in an attribute, in the order of the document. */
struct html_link {
	struct html_link *next;
	struct str	 tag;		/* "a", "img", "form" ... */
	struct str	 uri;		/* made absolute with <base href> */
	struct str	 written;	/* as the attribute has it, trimmed */
};

/* What stands between <a> and </a>; "<img>\n" for an image in it. */
struct html_anchor {
	struct html_anchor *next;
	struct str	 href;		/* as written, trimmed; "" if none */
	struct str	 text;
};

struct html_facts {
	struct html_facts *next;	/* of the next HTML part */
	struct html_tag	*tags_by_name;
	struct html_link *links;
	struct html_anchor *anchors;
	struct html_string *titles, *comments, *scripts, *charsets;
	size_t		 tags, elements;
	size_t		 tags_seen, elements_seen;
	size_t		 closed_extra;
	size_t		 obfuscation;
	size_t		 length;	/* of the source, characters */
	size_t		 html_length;	/* of the text, characters */
	size_t		 non_space_len;
	double		 ratio;		/* source that is not text */
	double		 closed_extra_ratio, bad_tag_ratio;
	double		 non_element_ratio, obfuscation_ratio;
	double		 image_area;
	long		 min_size, max_size;	/* of fonts */
	bool		 font_low_contrast;
	bool		 font_invalid_color;
	bool		 font_face_bad;
	bool		 form_action_mailto;
	bool		 embeds;
	bool		 closed_html, closed_body;
	bool		 uri_truncated;
	bool		 truncated;	/* a cap was met */
};

#endif
