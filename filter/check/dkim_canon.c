#include "check/dkim_canon.h"

#include <openssl/evp.h>
#include <string.h>

void
dkim_hash_begin(struct dkim_hash *h, bool sha1)
{
	h->n = 0;
	h->md = EVP_MD_CTX_new();
	if (h->md == NULL ||
	    EVP_DigestInit_ex(h->md, sha1 ? EVP_sha1() : EVP_sha256(), NULL) ==
		1)
		return;
	dkim_hash_drop(h);
}

void
dkim_hash_drop(struct dkim_hash *h)
{
	EVP_MD_CTX_free(h->md);
	h->md = NULL;
}

void
dkim_hash_copy(struct dkim_hash *h, const struct dkim_hash *from)
{
	*h = *from;
	h->md = from->md != NULL ? EVP_MD_CTX_new() : NULL;
	if (h->md != NULL && EVP_MD_CTX_copy_ex(h->md, from->md) != 1)
		dkim_hash_drop(h);
}

static void
digest(struct dkim_hash *h, const void *data, size_t n)
{
	if (h->md != NULL && EVP_DigestUpdate(h->md, data, n) != 1)
		dkim_hash_drop(h);
}

void
dkim_hash_add(struct dkim_hash *h, const void *data, size_t n)
{
	if (n == 0)
		return;
	if (n > sizeof(h->out) - h->n) {
		digest(h, h->out, h->n);
		h->n = 0;
	}
	if (n > sizeof(h->out)) {
		digest(h, data, n);
		return;
	}
	memcpy(h->out + h->n, data, n);
	h->n += n;
}

size_t
dkim_hash_end(struct dkim_hash *h, unsigned char out[DKIM_DIGEST_MAX])
{
	unsigned int n = 0;

	digest(h, h->out, h->n);
	if (h->md != NULL && EVP_DigestFinal_ex(h->md, out, &n) != 1)
		n = 0;
	dkim_hash_drop(h);
	return n;
}

/* --- fields ------------------------------------------------------------- */

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* A fold is a line end; where white space does not follow (no MTA tells such
 * a value) nothing else can be made of it. */
static bool
is_fold(struct str s, size_t i)
{
	return s.p[i] == '\n' ||
	    (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n');
}

static bool
is_word(struct str s, size_t i)
{
	return (unsigned char)s.p[i] > ' ' ||
	    (!is_wsp(s.p[i]) && !is_fold(s, i));
}

struct relax {
	bool space, any;
};

/* Section 3.4.2: folds go, white space becomes one space, none at the ends.
 * `state' is carried over the parts of one value. */
static void
relaxed_value(struct dkim_hash *h, struct relax *state, struct str value)
{
	size_t i = 0, from;

	while (i < value.n) {
		if (!is_word(value, i)) {
			state->space |= is_wsp(value.p[i]);
			i++;
			continue;
		}
		from = i;
		while (i < value.n && is_word(value, i))
			i++;
		if (state->space && state->any)
			dkim_hash_add(h, " ", 1);
		state->space = false;
		state->any = true;
		dkim_hash_add(h, value.p + from, i - from);
	}
}

/* Section 3.4.1: as on the wire, where each fold is CRLF. */
static void
simple_value(struct dkim_hash *h, struct str value)
{
	size_t i, from = 0;

	for (i = 0; i < value.n; i++) {
		if (value.p[i] != '\n' || (i > 0 && value.p[i - 1] == '\r'))
			continue;
		dkim_hash_add(h, value.p + from, i - from);
		dkim_hash_add(h, "\r", 1);
		from = i;
	}
	dkim_hash_add(h, value.p + from, value.n - from);
}

static void
hash_name(struct dkim_hash *h, struct str name, bool relaxed)
{
	char lower[64];
	size_t i, n;

	if (!relaxed)
		dkim_hash_add(h, name.p, name.n);
	for (name = str_trim(name); relaxed && name.n > 0;
	     name = str_sub(name, n, name.n)) {
		n = name.n < sizeof(lower) ? name.n : sizeof(lower);
		for (i = 0; i < n; i++)
			lower[i] = (char)chr_lower((unsigned char)name.p[i]);
		dkim_hash_add(h, lower, n);
	}
	dkim_hash_add(h, ":", 1);
}

void
dkim_hash_signature(struct dkim_hash *h, struct str name, struct str value,
    size_t from, size_t to, bool relaxed)
{
	struct str before = str_sub(value, 0, from);
	struct str behind = str_sub(value, to, value.n);
	struct relax state = { 0 };

	hash_name(h, name, relaxed);
	if (relaxed) {
		relaxed_value(h, &state, before);
		relaxed_value(h, &state, behind);
	} else {
		simple_value(h, before);
		simple_value(h, behind);
	}
}

void
dkim_hash_field(struct dkim_hash *h, struct str name, struct str value,
    bool relaxed)
{
	dkim_hash_signature(h, name, value, value.n, value.n, relaxed);
	dkim_hash_add(h, "\r\n", 2);
}

/* How often `name' stands in the part of the list before `end'. */
static unsigned int
count_before(struct str names, const char *end, struct str name)
{
	struct str rest = { names.p, (size_t)(end - names.p) };
	unsigned int n = 0;

	while (rest.p != NULL)
		n += str_ieq(str_trim(str_cut(rest, ':', &rest)), name);
	return n;
}

static const struct header *
pick(const struct headers *headers, struct str name, unsigned int used,
    const struct header *self)
{
	unsigned int count = header_count(headers, name);

	if (self != NULL && str_ieq(self->name, name) &&
	    used >= count - self->nth)
		used++;
	return used < count ? header_get(headers, name, count - used) : NULL;
}

void
dkim_hash_fields(struct dkim_hash *h, const struct headers *headers,
    struct str names, size_t most, const struct header *self, bool relaxed)
{
	struct str name, rest = names;
	const struct header *field;
	unsigned int used;

	while (rest.p != NULL && most-- > 0) {
		name = str_trim(str_cut(rest, ':', &rest));
		used = count_before(names, name.p, name);
		field = pick(headers, name, used, self);
		if (field != NULL)
			dkim_hash_field(h, field->name, field->value, relaxed);
	}
}

/* --- bodies ------------------------------------------------------------- */

void
dkim_body_begin(struct dkim_body *b, bool relaxed, bool sha1, uint64_t limit)
{
	b->relaxed = relaxed;
	b->cr = b->space = b->any = false;
	b->ends = b->length = 0;
	b->limit = limit;
	dkim_hash_begin(&b->hash, sha1);
}

static void
body_write(struct dkim_body *b, const char *p, size_t n)
{
	uint64_t room = b->limit > b->length ? b->limit - b->length : 0;

	dkim_hash_add(&b->hash, p, n < room ? n : (size_t)room);
	b->length += n;
	b->any = true;
}

/* Text that begins and ends with no white space (relaxed), without a CR. */
static void
body_text(struct dkim_body *b, const char *p, size_t n)
{
	for (; b->ends > 0; b->ends--)
		body_write(b, "\r\n", 2);
	if (b->space)
		body_write(b, " ", 1);
	b->space = false;
	body_write(b, p, n);
}

static bool
is_plain(const struct dkim_body *b, char c)
{
	return (unsigned char)c > ' ' ||
	    (c != '\r' && !(b->relaxed && is_wsp(c)));
}

/* How many bytes stand as they are: in relaxed words and one space between
 * them. */
static size_t
unchanged_len(const struct dkim_body *b, const char *p, size_t n)
{
	size_t i =
	    n > 0 && is_plain(b, *p) ? str_words((struct str){ p, n }) : 0;

	while (i < n &&
	    (is_plain(b, p[i]) ||
		(i > 0 && p[i] == ' ' && i + 1 < n && is_plain(b, p[i + 1]))))
		i++;
	return i;
}

void
dkim_body_add(struct dkim_body *b, const void *data, size_t n)
{
	const char *p = data, *end;
	size_t same;

	if (n == 0)
		return;
	for (end = p + n; p < end;) {
		if (b->cr) {
			b->cr = false;
			if (*p == '\n') {
				b->ends++;
				b->space = false;
				p++;
				continue;
			}
			body_text(b, "\r", 1);
		}
		same = unchanged_len(b, p, (size_t)(end - p));
		if (same > 0)
			body_text(b, p, same);
		p += same;
		for (; p < end && !is_plain(b, *p) && !b->cr; p++) {
			b->cr = *p == '\r';
			b->space |= !b->cr;
		}
	}
}

/* Empty lines at the end do not count, the last line ends in CRLF; an empty
 * body is CRLF in simple, nothing in relaxed. */
size_t
dkim_body_end(struct dkim_body *b, unsigned char out[DKIM_DIGEST_MAX])
{
	if (b->cr)
		body_text(b, "\r", 1);
	if (b->any || !b->relaxed)
		body_write(b, "\r\n", 2);
	return dkim_hash_end(&b->hash, out);
}
