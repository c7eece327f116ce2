/*
 * fact_get - what the getters of facts are made of; for fact*.c alone.
 *
 * A getter fills in a value whose kind is set and that is neither absent nor
 * unknown yet.  Lists live in the arena of what is decided now.
 */
#ifndef POLICY_FACT_GET_H
#define POLICY_FACT_GET_H

#include "policy/fact.h"

typedef void	fact_getter(struct session *, const struct fact_ref *,
    struct value *);

/* Absent where the text is empty. */
void	fact_set_text(struct value *, struct str);
void	fact_set_word(struct value *, const char *);
void	fact_set_unknown(struct value *, const char *why);
/* For facts of the message; before there is one: NULL, and absent. */
struct txn *fact_txn_of(struct session *, struct value *);

struct fact_list {
	struct str	*items;
	size_t		 n, room;
};

/* Room for n texts; false with the value settled when there is nothing to
 * list, or no memory. */
bool	fact_list_begin(struct session *, size_t n, struct fact_list *,
	    struct value *);
void	fact_list_add(struct fact_list *, struct str);
void	fact_list_end(const struct fact_list *, struct value *);

/* Where it comes from (fact_geo.c). */
fact_getter fact_get_country, fact_get_asn;
/* The text at an offset of every element of a chain whose `next' comes
 * first. */
void	fact_set_chain(struct session *, const void *first, size_t offset,
	    struct value *);
/* NULL: *out is unknown or absent. */
const struct content *fact_content_of(struct session *, struct value *out);

/* What is attached (fact_content.c). */
fact_getter fact_get_attachment_name, fact_get_attachment_type,
    fact_get_attachment_magic, fact_get_attachment_mismatch,
    fact_get_attachment_macro, fact_get_archive_name,
    fact_get_archive_encrypted, fact_get_urls, fact_get_urls_domain;

/* Who sent it (fact_auth.c). */
fact_getter fact_get_spf, fact_get_spf_explanation, fact_get_spf_domain,
    fact_get_spf_helo, fact_get_spf_received,
    fact_get_dkim, fact_get_dkim_domain, fact_get_dmarc,
    fact_get_dmarc_policy, fact_get_arc, fact_get_arc_domain,
    fact_get_arc_spf, fact_get_arc_dkim, fact_get_arc_dmarc;

#endif
