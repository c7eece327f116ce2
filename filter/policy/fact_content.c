/* What is attached to a message, and what its links lead to. */
#include <stddef.h>

#include "mail/archive.h"
#include "mail/link.h"
#include "policy/fact_get.h"

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

void
fact_get_urls_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->domains,
		    offsetof(struct link_domain, text), out);
}
