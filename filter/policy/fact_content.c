/* What is attached to a message, and what its links lead to. */
#include <stddef.h>

#include "mail/archive.h"
#include "mail/link.h"
#include "mail/oddity.h"
#include "policy/fact_get.h"
#include "policy/policy.h"
#include "score/links.h"

void
fact_get_attachment_name(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->attachments,
		    offsetof(struct attachment, name), out);
}

void
fact_get_attachment_type(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->attachments,
		    offsetof(struct attachment, type), out);
}

void
fact_get_attachment_magic(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->attachments,
		    offsetof(struct attachment, magic), out);
}

void
fact_get_attachment_mismatch(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->mismatches, offsetof(struct note, text),
		    out);
}

void
fact_get_attachment_macro(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->macros, offsetof(struct note, text), out);
}

void
fact_get_archive_name(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->members,
		    offsetof(struct archive_member, name), out);
}

void
fact_get_archive_encrypted(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->encrypted, offsetof(struct note, text),
		    out);
}

void
fact_get_urls(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->urls, offsetof(struct url, text), out);
}

bool
fact_link_domains(struct txn *txn, const struct link_domain **first)
{
	struct checks *checks = txn->checks;
	struct link_domain *domains;
	const struct content *c;
	const struct links *links;

	*first = checks->domains;
	if (checks->domains_done)
		return true;
	c = body_content(&txn->body, txn->arena, &txn->headers);
	links = links_find(txn, txn->session->policy->ruleset);
	if (c == NULL || links == NULL ||
	    !link_domains(txn->arena, c->urls, links->uris, &domains))
		return false;
	if (links->uris->truncated)
		txn->body.content->odd |= ODD(LINKS_MANY);
	checks->domains_done = true;
	*first = checks->domains = domains;
	return true;
}

void
fact_get_urls_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);
	const struct link_domain *first;

	(void)ref;
	if (txn == NULL)
		return;
	if (fact_link_domains(txn, &first))
		fact_set_chain(s, first, offsetof(struct link_domain, text),
		    out);
	else
		fact_set_unknown(out, "memory");
}
