/*
 * link - the web links of a message, each once.
 *
 * http, https and ftp; a bare "www." name counts as http.  What browsers
 * forgive is put right (tabs inside, backslashes, missing slashes), anything
 * else of a link stays as written.  A set takes LINK_MAX_COUNT links of at
 * most LINK_MAX_BYTES each; what is past that is left out and `truncated'
 * set.
 *
 * The links live in the arena, what is needed to know them again on the heap
 * until link_set_free().  One thread at a time.
 */
#ifndef MAIL_LINK_H
#define MAIL_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "mail/body.h"

#define LINK_MAX_COUNT	1000
#define LINK_MAX_BYTES	2048

struct link_set {
	struct arena	*arena;
	struct map	*seen;
	struct url	*first, **tail;
	size_t		 count;
	bool		 truncated;
	bool		 full;		/* the arena is */
};

void	link_set_init(struct link_set *, struct arena *);
void	link_set_free(struct link_set *);
/* As found in an attribute; what is no web link is passed over. */
void	link_add(struct link_set *, struct str);
/* Adds every link that stands in a text. */
void	link_find(struct link_set *, struct str text);

struct uri_list;

/* A registered domain that links lead to, or an address in its place. */
struct link_domain {
	struct link_domain *next;
	struct str	 text;
	struct addr	 addr;		/* ADDR_NONE: it is a domain */
};

/* Its host, in lower case A-labels; "" where there is none, or where it is
 * an address, in whatever form browsers take, which is in *addr. */
struct str	 link_host(struct arena *, struct str link, struct addr *);
/* Each once (base/psl.h), of the links first, in their order, and then of
 * the URIs that rules see and browsers don't (mail/uri.h; may be NULL): names
 * without a scheme, what stands in another's query, redirectors' targets.
 * false: the arena is full. */
bool		 link_domains(struct arena *, const struct url *,
		    const struct uri_list *, struct link_domain **first);

#endif
