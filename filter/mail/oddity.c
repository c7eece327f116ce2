#include "mail/oddity.h"

#include <string.h>

#include "mail/session.h"

static const char *const names[] = {
#define X(id, name, content, help) [ODDITY_##id] = name,
	ODDITIES(X)
#undef X
};

static const bool contents[] = {
#define X(id, name, content, help) [ODDITY_##id] = content,
	ODDITIES(X)
#undef X
};

bool
oddity_find(struct str name, enum oddity *odd)
{
	for (int i = 0; i < ODDITY_COUNT; i++)
		if (str_eq(name, str_of(names[i]))) {
			*odd = (enum oddity)i;
			return true;
		}
	return false;
}

bool
oddity_needs_content(enum oddity odd)
{
	return contents[odd];
}

static bool
has_nul(struct str s)
{
	return s.n > 0 && memchr(s.p, '\0', s.n) != NULL;
}

static bool
header_has_nul(const struct headers *hs)
{
	for (const struct header *h = hs->first; h != NULL; h = h->next)
		if (has_nul(h->name) || has_nul(h->value))
			return true;
	return false;
}

static bool
content_is(struct txn *txn, enum oddity odd, bool *full)
{
	const struct content *c =
	    body_content(&txn->body, txn->arena, &txn->headers);

	*full = c == NULL;
	return c != NULL && (c->odd >> odd & 1) != 0;
}

bool
oddity_has(struct txn *txn, enum oddity odd, bool *full)
{
	*full = false;
	switch (odd) {
	case ODDITY_HEADER_MANY:
		return txn->headers.count > HEADER_MAX_COUNT;
	case ODDITY_HEADER_LONG:
		return txn->headers.bytes > HEADER_MAX_BYTES;
	case ODDITY_HEADER_NUL:
		return header_has_nul(&txn->headers);
	case ODDITY_BODY_CUT:
		return txn->body.truncated;
	case ODDITY_BODY_NUL:
		return has_nul(buf_str(&txn->body.raw));
	default:
		return content_is(txn, odd, full);
	}
}

/* Up to and with its dot. */
static struct str
family(struct str name)
{
	return str_sub(name, 0, (size_t)(str_chr(name, '.') + 1));
}

bool
oddity_reserved(struct str name)
{
	struct str own = family(name);

	for (int i = 0; i < ODDITY_COUNT && own.n > 0; i++)
		if (str_eq(own, family(str_of(names[i]))))
			return true;
	return false;
}

const char *const *
oddity_names(size_t *n)
{
	*n = ODDITY_COUNT;
	return names;
}
