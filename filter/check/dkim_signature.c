#include <string.h>

#include "check/dkim_signature.h"
#include "check/taglist.h"

bool
dkim_name_valid(struct str s, bool dotted)
{
	size_t i, label = 0;
	bool dot = false;

	if (s.n == 0 || s.n > 253)
		return false;
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			dot = true;
			continue;
		}
		if (!chr_alnum(c) && c != '-' && c != '_')
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && (dot || !dotted);
}

bool
dkim_base64_valid(struct str s)
{
	size_t i, pad = 0;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '=')
			pad++;
		else if (pad > 0 || (!chr_alnum(c) && c != '+' && c != '/'))
			return false;
	}
	/* Padding may be missing, but not be too much (section 2.10). */
	return s.n > pad && pad <= 2 && (s.n - pad) % 4 != 1 &&
	    (pad == 0 || s.n % 4 == 0);
}

static const char *
take_version(struct dkim_tags *t, struct str v)
{
	(void)t;
	return str_eq(v, STR("1")) ? NULL : "v= is not 1";
}

static const char *
take_algorithm(struct dkim_tags *t, struct str v)
{
	if (!str_ieq(v, STR("rsa-sha256")) && !str_ieq(v, STR("rsa-sha1")) &&
	    !str_ieq(v, STR("ed25519-sha256")))
		return "unknown algorithm";
	t->a = v;
	t->sha1 = str_ieq(v, STR("rsa-sha1"));
	return NULL;
}

const char *
dkim_take_b(struct dkim_tags *t, struct str v)
{
	if (!dkim_base64_valid(v))
		return "b= is not base64";
	t->b = v;
	return NULL;
}

const char *
dkim_take_bh(struct dkim_tags *t, struct str v)
{
	t->bh = v;
	return dkim_base64_valid(v) ? NULL : "bh= is not base64";
}

const char *
dkim_take_canon(struct dkim_tags *t, struct str v)
{
	struct str body, header = str_cut(v, '/', &body);

	t->c = v;
	t->relaxed_body = str_ieq(body, STR("relaxed"));
	t->relaxed_header = str_ieq(header, STR("relaxed"));
	if ((str_ieq(header, STR("relaxed")) ||
		str_ieq(header, STR("simple"))) &&
	    (body.p == NULL || t->relaxed_body || str_ieq(body, STR("simple"))))
		return NULL;
	return "unknown canonicalization";
}

const char *
dkim_take_domain(struct dkim_tags *t, struct str v)
{
	if (!dkim_name_valid(v, true))
		return "d= is not a domain name";
	t->d = v;
	return NULL;
}

static const char *
take_headers(struct dkim_tags *t, struct str v)
{
	struct str name, rest = v;
	unsigned int n = 0;

	t->h = v;
	while (rest.p != NULL) {
		name = str_cut(rest, ':', &rest);
		if (name.n == 0)
			return "h= has an empty name";
		if (++n > DKIM_NAMES_MAX)
			return "h= has too many names";
		if (str_ieq(name, STR("from")))
			t->from_signed++;
	}
	return t->from_signed > 0 ? NULL : "h= does not name From";
}

/* "=40" and the like (RFC 6376 section 2.11), in place. */
static struct str
decode_hex(struct str v)
{
	static const char hex[] = "0123456789ABCDEF";
	const char *high, *low;
	char *out = (char *)v.p;
	size_t i, n = 0;

	for (i = 0; i < v.n; i++) {
		if (v.p[i] == '=' && i + 2 < v.n &&
		    (high = memchr(hex, v.p[i + 1], 16)) != NULL &&
		    (low = memchr(hex, v.p[i + 2], 16)) != NULL) {
			out[n++] = (char)((high - hex) << 4 | (low - hex));
			i += 2;
		} else
			out[n++] = v.p[i];
	}
	return (struct str){ v.p, n };
}

static const char *
take_identity(struct dkim_tags *t, struct str v)
{
	size_t i;

	t->i = decode_hex(v);
	for (i = 0; i < t->i.n; i++)
		if ((unsigned char)t->i.p[i] <= ' ' || t->i.p[i] == 0x7f)
			break;
	if (i == t->i.n && str_rchr(t->i, '@') >= 0)
		return NULL;
	t->i = STR("");
	return "i= is not an address";
}

const char *
dkim_take_length(struct dkim_tags *t, struct str v)
{
	t->have_l = true;
	return v.n <= 18 && str_u64(v, &t->l) ? NULL : "l= is not a number";
}

const char *
dkim_take_query(struct dkim_tags *t, struct str v)
{
	struct str rest = v;

	(void)t;
	while (rest.p != NULL)
		if (str_ieq(str_cut(rest, ':', &rest), STR("dns/txt")))
			return NULL;
	return "q= has no method we know";
}

const char *
dkim_take_selector(struct dkim_tags *t, struct str v)
{
	if (!dkim_name_valid(v, false))
		return "s= is not a name";
	t->s = v;
	return NULL;
}

const char *
dkim_take_time(struct dkim_tags *t, struct str v)
{
	return v.n <= 12 && str_u64(v, &t->t) ? NULL : "t= is not a number";
}

const char *
dkim_take_expiry(struct dkim_tags *t, struct str v)
{
	t->have_x = true;
	return v.n <= 12 && str_u64(v, &t->x) ? NULL : "x= is not a number";
}

static const struct dkim_tag_def signature_defs[] = {
	{ "v", take_version, "v= is missing" },
	{ "a", take_algorithm, "a= is missing" },
	{ "b", dkim_take_b, "b= is missing" },
	{ "bh", dkim_take_bh, "bh= is missing" },
	{ "d", dkim_take_domain, "d= is missing" },
	{ "h", take_headers, "h= is missing" },
	{ "s", dkim_take_selector, "s= is missing" },
	{ "c", dkim_take_canon, NULL },
	{ "i", take_identity, NULL },
	{ "l", dkim_take_length, NULL },
	{ "q", dkim_take_query, NULL },
	{ "t", dkim_take_time, NULL },
	{ "x", dkim_take_expiry, NULL },
	{ NULL, NULL, NULL },
};

static struct str
identity_domain(const struct dkim_tags *t)
{
	ptrdiff_t at = str_rchr(t->i, '@');

	return t->i.n > 0 ? str_sub(t->i, (size_t)at + 1, t->i.n) : t->d;
}

/* i= is at d= or below it. */
static bool
identity_fits(const struct dkim_tags *t)
{
	struct str domain = identity_domain(t);

	return str_ieq(domain, t->d) ||
	    (domain.n > t->d.n && str_iends(domain, t->d) &&
		domain.p[domain.n - t->d.n - 1] == '.');
}

bool
dkim_identity_strict(const struct dkim_tags *t)
{
	return str_ieq(identity_domain(t), t->d);
}

static void
value_place(struct str field, struct str value, size_t *from, size_t *to)
{
	*from = (size_t)(value.p - field.p);
	*to = *from + value.n;
	while (*from > 0 && chr_space((unsigned char)field.p[*from - 1]))
		--*from;
	while (*to < field.n && chr_space((unsigned char)field.p[*to]))
		++*to;
}

/* What a value may have is VALCHAR (section 3.2); i= may have UTF-8 as well
 * (RFC 8616 section 5), d= and s= are looked at closer. */
static bool
chars_valid(struct str name, struct str value)
{
	bool utf8 = str_eq(name, STR("i"));
	size_t i;

	for (i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c > ' ' && c < 0x7f) || chr_space(c) || (utf8 && c > 0x7f))
			continue;
		return false;
	}
	return true;
}

static const char *
take_tag(struct arena *a, const struct dkim_tag_def *defs, struct dkim_tags *t,
    struct str name, struct str value, unsigned int *seen)
{
	const char *wrong;
	struct str v;
	size_t i = 0;

	while (defs[i].name != NULL &&
	    (defs[i].name[0] != name.p[0] ||
		!str_eq(name, str_of(defs[i].name))))
		i++;
	if (defs[i].name != NULL) {
		if (*seen & 1u << i)
			return "a tag is there twice";
		*seen |= 1u << i;
		v = taglist_squeeze(a, value);
		wrong = v.p ? defs[i].take(t, v) : "out of memory";
		if (wrong != NULL)
			return wrong;
	}
	return chars_valid(name, value) ?
	    NULL :
	    "a tag has bytes that it may not have";
}

bool
dkim_tags_read(struct arena *a, const struct dkim_tag_def *defs,
    struct str value, struct dkim_tags *t, const char **why)
{
	struct taglist l = TAGLIST(value);
	struct str name, v;
	unsigned int seen = 0;
	const char *first = NULL, *w;

	*t = (struct dkim_tags){ 0 };
	if (value.n > DKIM_FIELD_MAX || memchr(value.p, '\0', value.n)) {
		*why = "the field is too long or has a NUL";
		return false;
	}
	while (taglist_next(&l, &name, &v)) {
		if (str_eq(name, STR("b")))
			value_place(value, v, &t->b_from, &t->b_to);
		w = take_tag(a, defs, t, name, v, &seen);
		if (first == NULL)
			first = w;
	}
	if (l.broken && first == NULL)
		first = "not a tag list";
	for (size_t i = 0; defs[i].name != NULL && first == NULL; i++)
		if (!(seen & 1u << i))
			first = defs[i].missing;
	*why = first;
	return first == NULL;
}

/* What tags must be to each other. */
static const char *
relations(const struct dkim_tags *t)
{
	if (!identity_fits(t))
		return "i= is not below d=";
	if (t->have_x && t->t > 0 && t->x <= t->t)
		return "x= is not after t=";
	return NULL;
}

bool
dkim_tags_parse(struct arena *a, struct str value, struct dkim_tags *t,
    const char **why)
{
	if (dkim_tags_read(a, signature_defs, value, t, why))
		*why = relations(t);
	return *why == NULL;
}
