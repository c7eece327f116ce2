#include <string.h>

#include "mail/field_get.h"

static const struct {
	struct str word;
	unsigned int flags;
} forms[] = {
	{ { "raw", 3 }, FIELD_RAW },
	{ { "addr", 4 }, FIELD_ADDR },
	{ { "name", 4 }, FIELD_NAME },
	{ { "first", 5 }, FIELD_FIRST },
	{ { "last", 4 }, FIELD_LAST },
	{ { "host", 4 }, FIELD_HOST },
	{ { "domain", 6 }, FIELD_HOST | FIELD_DOMAIN },
	{ { "ip", 2 }, FIELD_IP },
	{ { "revip", 5 }, FIELD_IP | FIELD_REVIP },
};

bool
field_parse(struct str spec, struct str *name, unsigned int *flags)
{
	struct str rest, word;
	bool all = true;

	*flags = 0;
	*name = str_cut(spec, ':', &rest);
	while (rest.p != NULL) {
		size_t i, n = sizeof(forms) / sizeof(forms[0]);

		word = str_cut(rest, ':', &rest);
		for (i = 0; i < n && !str_eq(word, forms[i].word);)
			i++;
		if (i < n)
			*flags |= forms[i].flags;
		all &= i < n;
	}
	return all;
}

struct fields *
field_open(struct arena *a, struct txn *txn, const struct relay_trust *trust,
    const struct tld_set *tlds)
{
	struct fields *f = arena_alloc(a, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->arena = a;
	f->txn = txn;
	f->trust = trust;
	f->tlds = tlds;
	f->ndecoded = txn->headers.count < HEADER_MAX_COUNT ?
	    txn->headers.count :
	    HEADER_MAX_COUNT;
	f->decoded = arena_alloc(a, f->ndecoded * sizeof(*f->decoded));
	if (f->decoded == NULL)
		return NULL;
	f->relays = relay_find(a, txn, trust);
	return f->relays != NULL ? f : NULL;
}

const struct relays *
field_relays(struct fields *f)
{
	return f->relays;
}

bool
field_push(struct fields *f, struct field_values *out, struct str s)
{
	if (s.p == NULL)
		return false;
	if (out->n == out->max) {
		size_t max = out->max > 0 ? 2 * out->max : 4;
		struct str *v = arena_alloc(f->arena, max * sizeof(*v));

		if (v == NULL)
			return false;
		if (out->n > 0)
			memcpy(v, out->v, out->n * sizeof(*v));
		out->v = v;
		out->max = max;
	}
	out->v[out->n++] = s;
	return true;
}

/* s and an LF. */
static struct str
with_lf(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 2);

	if (p == NULL)
		return STR_NONE;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\n';
	return (struct str){ p, s.n + 1 };
}

struct str
field_raw(struct fields *f, const struct header *h)
{
	if (h->value.n >= FIELD_MAX_VALUE)
		return str_sub(h->value, 0, FIELD_MAX_VALUE);
	return with_lf(f->arena, h->value);
}

struct str
field_unfolded(struct fields *f, const struct header *h)
{
	struct str s = field_raw(f, h);
	char *p = s.p != NULL ? arena_alloc(f->arena, s.n + 1) : NULL;
	size_t n = 0;

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n;) {
		if (s.p[i] != '\n' || i + 1 == s.n ||
		    !chr_white((unsigned char)s.p[i + 1])) {
			p[n++] = s.p[i++];
			continue;
		}
		p[n++] = ' ';
		while (i < s.n && chr_white((unsigned char)s.p[i]))
			i++;
	}
	return (struct str){ p, n };
}

struct str
field_decoded(struct fields *f, const struct header *h)
{
	struct str *kept = h->at < f->ndecoded ? &f->decoded[h->at] : NULL, s;

	if (kept != NULL && kept->p != NULL)
		return *kept;
	s = field_decode(f->arena, h->name,
	    str_sub(h->value, 0, FIELD_MAX_VALUE));
	/* The arena has put a NUL there. */
	if (s.p != NULL)
		((char *)(uintptr_t)s.p)[s.n++] = '\n';
	if (kept != NULL)
		*kept = s;
	return s;
}

void
field_add_named(struct fields *f, struct field_values *out, struct str name,
    struct str (*form)(struct fields *, const struct header *))
{
	const struct header *h = header_get(&f->txn->headers, name, 1);
	size_t size = 0;

	for (; h != NULL && size < FIELD_MAX_NAME; h = h->next) {
		if (!str_ieq(h->name, name))
			continue;
		if (!field_push(f, out, form(f, h)))
			break;
		size += out->v[out->n - 1].n;
	}
}

/* A display name as it is shown: space is one, quotes around it go. */
static struct str
shown_name(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	bool space = false;

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++) {
		if (chr_white((unsigned char)s.p[i])) {
			space = n > 0;
			continue;
		}
		if (space)
			p[n++] = ' ';
		space = false;
		p[n++] = s.p[i];
	}
	if (n == 0)
		return s; /* nothing but space stays */
	if (n >= 2 && p[0] == '\'' && p[n - 1] == '\'')
		return (struct str){ p + 1, n - 2 };
	return (struct str){ p, n };
}

static struct field_values
addresses_of(struct fields *f, const struct field_values *in,
    unsigned int flags)
{
	struct field_values out = { 0 };
	struct field_address *fa;

	for (size_t i = 0; i < in->n; i++) {
		fa = field_addresses(f->arena, in->v[i]);
		for (; fa != NULL; fa = fa->next) {
			struct str s = fa->address;

			if (!(flags & FIELD_ADDR) && fa->phrase.p != NULL) {
				s = fa->phrase;
				if (!(flags & FIELD_RAW))
					s = shown_name(f->arena,
					    field_decode_phrase(f->arena,
						STR(""), s));
			} else if (!(flags & FIELD_ADDR)) {
				continue;
			}
			field_push(f, &out, s);
		}
	}
	return out;
}

static bool
is_label_char(int c)
{
	return chr_alnum(c) || c == '-';
}

/* Does s, up to i, end in a dot and a top level, and nothing of a name
 * follow? */
static bool
ends_host(struct fields *f, struct str s, size_t i)
{
	size_t from = i;
	int next = i < s.n ? (unsigned char)s.p[i] : ' ';

	if (is_label_char(next) || next == '.' || next == '_')
		return false;
	while (from > 0 && is_label_char((unsigned char)s.p[from - 1]))
		from--;
	return from > 1 && from < i && s.p[from - 1] == '.' &&
	    tld_known(f->tlds, str_sub(s, from, i - from));
}

/* The longest name at the start of s, without space; "" if there is none. */
static struct str
host_at(struct fields *f, struct str s)
{
	size_t n = 0;

	while (n < s.n && n < 320 && !chr_white((unsigned char)s.p[n]))
		n++;
	while (n > 0 && !ends_host(f, s, n))
		n--;
	return str_sub(s, 0, n);
}

/* Behind the last @ of a line that has a name behind it. */
static struct str
host_behind_at(struct fields *f, struct str line)
{
	struct str host = STR(""), left = line;
	ptrdiff_t at;

	while (host.n == 0 && (at = str_rchr(left, '@')) >= 0) {
		host = host_at(f, str_sub(line, (size_t)at + 1, line.n));
		left = str_sub(line, 0, (size_t)at);
	}
	return host;
}

/* A name behind an @, else anywhere. */
static struct str
find_host(struct fields *f, struct str s)
{
	struct str host = STR(""), rest = s;

	while (host.n == 0 && rest.p != NULL)
		host = host_behind_at(f, str_cut(rest, '\n', &rest));
	if (host.n > 0 && tld_name_valid(host))
		return host;
	for (size_t i = 0; i < s.n;) {
		bool inside = chr_white((unsigned char)s.p[i]) ||
		    (i > 0 &&
			(s.p[i - 1] == '.' || s.p[i - 1] == '_' ||
			    s.p[i - 1] == '-'));

		host = inside ? STR("") : host_at(f, str_sub(s, i, s.n));
		if (host.n > 0 && tld_name_valid(host))
			return host;
		i += host.n > 0 ? host.n : 1;
	}
	return STR("");
}

static struct str
lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)chr_lower((unsigned char)s.p[i]);
	return (struct str){ p, s.n };
}

static struct str
host_of(struct fields *f, struct str s, unsigned int flags)
{
	struct str host;
	ptrdiff_t at;

	if (flags & FIELD_ADDR) {
		at = str_rchr(s, '@');
		host = at >= 0 ? str_sub(s, (size_t)at + 1, s.n) : STR("");
	} else {
		host = find_host(f, s);
	}
	if (host.n > 0 && flags & FIELD_DOMAIN)
		host = tld_domain(f->tlds, lower(f->arena, host));
	return host;
}

static bool
is_word_at(struct str s, size_t i)
{
	return i < s.n && (chr_alnum((unsigned char)s.p[i]) || s.p[i] == '_');
}

static bool
word_edge(struct str s, size_t i)
{
	return (i > 0 && is_word_at(s, i - 1)) != is_word_at(s, i);
}

static struct str
ip_of(struct fields *f, struct str s, unsigned int flags)
{
	struct addr addr;
	char text[80];
	size_t n = 0, i;

	for (i = 0; i < s.n; i++) {
		if ((i > 0 && s.p[i - 1] == '.') || !word_edge(s, i))
			continue;
		n = relay_ip_at(s, i);
		if (n > 0 && word_edge(s, i + n) &&
		    (i + n == s.n || s.p[i + n] != '.'))
			break;
	}
	if (i == s.n)
		return STR("");
	s = str_sub(s, i, n);
	if (!(flags & FIELD_REVIP))
		return s;
	if (!addr_parse(s, &addr))
		return STR("");
	addr_reverse(&addr, text);
	return arena_str(f->arena, str_of(text));
}

static struct field_values
parts_of(struct fields *f, const struct field_values *in, unsigned int flags)
{
	struct field_values out = { 0 };

	for (size_t i = 0; i < in->n; i++) {
		struct str s = flags & FIELD_HOST ?
		    host_of(f, in->v[i], flags) :
		    ip_of(f, in->v[i], flags);

		if (s.n > 0)
			field_push(f, &out, s);
	}
	return out;
}

/* These ignore every form but raw. */
static bool
is_all(struct str name)
{
	return str_eq(name, STR("ALL")) || str_starts(name, STR("ALL-"));
}

static struct field_values
make_list(struct fields *f, struct str name, unsigned int flags)
{
	struct field_values v = { 0 };

	if (!field_pseudo(f, &v, name, flags))
		field_add_named(f, &v, name,
		    flags & (FIELD_RAW | FIELD_ADDR | FIELD_NAME) ?
			field_raw :
			field_decoded);
	else if (is_all(name))
		return v;
	if (v.n > 1 && flags & FIELD_FIRST)
		v.n = 1;
	else if (v.n > 1 && flags & FIELD_LAST)
		v = (struct field_values){ v.v + v.n - 1, 1, 1 };
	if (flags & (FIELD_ADDR | FIELD_NAME))
		v = addresses_of(f, &v, flags);
	if (flags & (FIELD_HOST | FIELD_IP))
		v = parts_of(f, &v, flags);
	return v;
}

static size_t
slot_of(struct str name, unsigned int flags)
{
	size_t h = flags;

	for (size_t i = 0; i < name.n; i++)
		h = h * 31 + (unsigned char)name.p[i];
	return h % FIELD_SLOTS;
}

/* NULL: the arena is full. */
static struct field_answer *
answer_for(struct fields *f, struct str name, unsigned int flags)
{
	struct field_answer **slot = &f->answers[slot_of(name, flags)], *a;

	for (a = *slot; a != NULL; a = a->next)
		if (a->flags == flags && str_eq(a->name, name))
			return a;
	a = arena_alloc(f->arena, sizeof(*a));
	if (a == NULL || (a->name = arena_str(f->arena, name)).p == NULL)
		return NULL;
	a->flags = flags;
	a->values = make_list(f, name, flags);
	a->next = *slot;
	return *slot = a;
}

struct field_values
field_list(struct fields *f, struct str name, unsigned int flags)
{
	const struct field_answer *a = answer_for(f, name, flags);

	return a != NULL ? a->values : (struct field_values){ 0 };
}

static struct str
join(struct arena *a, const struct field_values *v)
{
	size_t n = 0;
	bool lf;
	char *p;

	if (v->n <= 1)
		return v->n == 1 ? v->v[0] : STR_NONE;
	lf = v->v[0].n == 0 || v->v[0].p[v->v[0].n - 1] != '\n';
	for (size_t i = 0; i < v->n; i++)
		n += v->v[i].n + lf;
	p = arena_alloc(a, n + 1);
	if (p == NULL)
		return STR_NONE;
	n = 0;
	for (size_t i = 0; i < v->n; i++) {
		if (lf && i > 0)
			p[n++] = '\n';
		memcpy(p + n, v->v[i].p, v->v[i].n);
		n += v->v[i].n;
	}
	return (struct str){ p, n };
}

struct str
field_get(struct fields *f, struct str name, unsigned int flags)
{
	struct field_answer *a = answer_for(f, name, flags);

	if (a == NULL)
		return STR_NONE;
	if (!a->is_joined) {
		a->joined = join(f->arena, &a->values);
		a->is_joined = true;
	}
	return a->joined;
}

static struct str
all_of_part(struct arena *a, const struct view_part *part, unsigned int flags)
{
	struct session session = { 0 };
	struct txn txn = { .session = &session, .headers = part->headers };
	struct fields f = { .arena = a,
		.txn = &txn,
		.relays = &(struct relays){ .last_trusted = -1 } };

	return field_get(&f, STR("ALL"), flags);
}

struct str
field_of_part(struct arena *a, const struct view_part *part, struct str name,
    unsigned int flags)
{
	struct fields f = { .arena = a };
	const struct header *h;

	if (str_eq(name, STR("ALL")))
		return all_of_part(a, part, flags);
	h = header_last(&part->headers, name);
	if (h == NULL)
		return STR_NONE;
	return flags & FIELD_RAW ? field_raw(&f, h) : field_decoded(&f, h);
}
