/*
 * uri - the URIs of a message as uri rules see them.
 *
 * Found in the rendered text and in HTML attributes, each in the form it was
 * written and in those a mail reader or a redirector would make of it
 * (percent decoding, numeric hosts, missing scheme).  The order is that of
 * the text, then that of the HTML; SpamAssassin promises none.
 *
 * Linear: more than URI_MAX_COUNT places or URI_MAX_BYTES of forms are left
 * out, and `truncated' says so.  What a redirector's URI leads to is the
 * business of whoever has the patterns (struct uri_config).
 *
 * Values live in the arena given.  Any thread, one message each.
 */
#ifndef MAIL_URI_H
#define MAIL_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/tld.h"
#include "mail/view.h"

#define URI_MAX_COUNT	2000
#define URI_MAX_BYTES	(4UL * 1024 * 1024)
#define URI_MAX_LENGTH	8192	/* more of one is not seen */
#define URI_MAX_FORMS	64	/* of one */

/* A form, each once in a message. */
struct uri {
	struct uri	*next;
	struct str	 text;
	struct str	 host;		/* lower case; "" if it has none */
	struct str	 domain;	/* registered part, or the address */
	bool		 from_html;	/* an attribute, not the text */
	bool		 anchor;	/* <a href> */
};

/* A place where a URI stands, and the forms of it. */
struct uri_place {
	struct uri_place *next;
	struct str	 written;	/* with a scheme put before it */
	struct str	 tag;		/* "a", "img" ...; "" for the text, and
					 * for an anchor as it is written */
	bool		 from_html;
	bool		 schemeless;	/* as written */
	bool		 unlinked;	/* nor "www."; a host's name alone */
	const struct uri **forms;
	size_t		 nforms;
};

struct uri_list {
	struct uri	*first;
	size_t		 count;
	struct uri_place *places;
	bool		 truncated;
};

/* What rule files say about URIs.  Both members may be NULL. */
struct uri_config {
	const struct tld_set *tlds;
	/* The target in a redirector's URI; p NULL where it is none. */
	struct str	(*redirect)(void *arg, struct str uri);
	void		*arg;
};

/* NULL only when the arena is full. */
const struct uri_list *uri_find(struct arena *, const struct view *,
		    const struct uri_config *);
/* The same for text alone. */
const struct uri_list *uri_find_text(struct arena *, const struct str *line,
		    size_t n, const struct uri_config *);

/* The forms of one URI, itself among them. */
struct uri_forms {
	struct str	 v[URI_MAX_FORMS];
	size_t		 n;
	bool		 truncated;
};

/* false: the arena is full. */
bool		 uri_canonical(struct arena *, struct str,
		    const struct uri_config *, struct uri_forms *);
/* Its host, or "" where that can't be looked up; *domain: the registered
 * part of it. */
struct str	 uri_host(struct arena *, struct str uri,
		    const struct tld_set *, struct str *domain);
/* %21 to %7E decoded; space, controls, 8-bit and <>"% encoded. */
struct str	 uri_encode(struct arena *, struct str);

/* What stands at *at or behind it in a text that looks like a URI; *at moves
 * behind it.  false: nothing more. */
enum uri_kind { URI_SCHEME, URI_MAIL, URI_BARE };

struct uri_ahead {
	size_t		 from, end;	/* no delimiter is between them */
};

#define URI_MARKS	3

struct uri_text {
	struct str	 s;
	size_t		 at;
	const struct tld_set *tlds;
	struct uri_ahead ahead[4];
	size_t		 behind[URI_MARKS];	/* the next mark of each kind */
	size_t		 marked;	/* up to there something may begin */
};

bool		 uri_text_next(struct uri_text *, enum uri_kind *,
		    struct str *found, struct str *host);

#endif
