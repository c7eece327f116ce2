#include "mail/envelope.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "mail/charset.h"

#define PATH_MAX_BYTES	 1024 /* RFC 5321 asks for 256 */
#define DOMAIN_MAX_BYTES 253
#define LABEL_MAX_BYTES	 63

static const struct str empty = { "", 0 };

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static struct str
lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		p[i] = chr_lower((unsigned char)s.p[i]);
	return (struct str){ p, s.n };
}

/* Letters, digits, hyphens, and the underscore that real names have. */
static bool
is_name(struct str s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > DOMAIN_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!chr_alnum(c) && c != '-' && c != '_')
			return false;
		if (++label > LABEL_MAX_BYTES)
			return false;
	}
	return label > 0;
}

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" in one form (RFC 5321 section
 * 4.1.3); other literals are kept. */
static struct str
literal(struct arena *a, struct str s)
{
	struct str inner = str_sub(s, 1, s.n - 2);
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	if (has_control(s) || str_chr(inner, '[') >= 0 ||
	    str_chr(inner, ']') >= 0)
		return STR_NONE;
	if (addr_parse(inner, &addr)) {
		addr_format(&addr, text);
		return arena_printf(a,
		    addr.family == ADDR_V6 ? "[ipv6:%s]" : "[%s]", text);
	}
	if (str_chr(inner, ':') <= 0)
		return STR_NONE;
	return lower(a, s);
}

static struct str
to_alabels(struct arena *a, struct str s)
{
	struct str out = STR_NONE;
	uint8_t *alabels = NULL;
	char *z;

	if (!utf8_valid(s) || memchr(s.p, '\0', s.n) != NULL)
		return STR_NONE;
	z = arena_alloc(a, s.n + 1);
	if (z == NULL)
		return STR_NONE;
	memcpy(z, s.p, s.n);
	if (idn2_lookup_u8((uint8_t *)z, &alabels,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK) {
		struct str name = str_of((char *)alabels);

		if (name.n > 0 && name.p[name.n - 1] == '.')
			name.n--;
		if (is_name(name))
			out = lower(a, name);
	}
	idn2_free(alabels);
	return out;
}

struct str
envelope_domain(struct arena *a, struct str s)
{
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return literal(a, s);
	if (s.n == 0 || s.n > PATH_MAX_BYTES)
		return STR_NONE;
	if (s.p[s.n - 1] == '.')
		s.n--;
	if (str_ascii(s) < s.n)
		return to_alabels(a, s);
	return is_name(s) ? lower(a, s) : STR_NONE;
}

/* RFC 5322 section 3.2.3 atext, and beyond ASCII RFC 6532 section 3.2. */
static bool
is_atext(unsigned char c)
{
	return chr_alnum(c) || c >= 0x80 ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_dot_atom(struct str s)
{
	bool dot = true;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '.' && !is_atext(s.p[i]))
			return false;
		if (s.p[i] == '.' && dot)
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

/* local@domain, the local part quoted where it needs it. */
static struct str
join(struct arena *a, struct str local, struct str domain)
{
	bool quote = !is_dot_atom(local);
	char *p = arena_alloc(a, 2 * local.n + domain.n + 4);
	size_t n = 0;

	if (p == NULL)
		return STR_NONE;
	if (quote)
		p[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (quote && (local.p[i] == '"' || local.p[i] == '\\'))
			p[n++] = '\\';
		p[n++] = local.p[i];
	}
	if (quote)
		p[n++] = '"';
	if (domain.n > 0) {
		p[n++] = '@';
		memcpy(p + n, domain.p, domain.n);
		n += domain.n;
	}
	return (struct str){ p, n };
}

/* Behind "@a,@b:", or 0 where it does not end; a literal may have colons. */
static size_t
source_route(struct str s)
{
	bool bracket = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '[')
			bracket = true;
		else if (s.p[i] == ']')
			bracket = false;
		else if (s.p[i] == ':' && !bracket)
			return i + 1;
	}
	return 0;
}

struct split {
	struct str local; /* unquoted */
	struct str domain; /* as written */
	bool at; /* there is an @ */
	bool clean; /* RFC 5321's grammar */
	bool unclosed; /* a quote without its end */
};

/* The last @ outside of quotes parts the two. */
static bool
split(struct arena *a, struct str s, struct split *out)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0, local_n = 0;
	ptrdiff_t at = -1;
	bool quoted = false, was_quoted = false;

	if (p == NULL)
		return false;
	out->clean = true;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\' && i + 1 < s.n && at < 0) {
			out->clean &= quoted;
			p[n++] = s.p[++i];
		} else if (c == '"' && at < 0) {
			/* Quotes are all of the local part or they are odd. */
			out->clean &= quoted || i == 0;
			quoted = !quoted;
			was_quoted = true;
			if (!quoted && i + 1 < s.n && s.p[i + 1] != '@')
				out->clean = false;
		} else {
			if (c == '@' && !quoted) {
				out->clean &= at < 0;
				at = i;
				local_n = n;
			}
			p[n++] = c;
		}
	}
	out->at = at >= 0;
	out->local = (struct str){ p, out->at ? local_n : n };
	out->domain = out->at ? str_sub(s, at + 1, s.n) : empty;
	out->unclosed = quoted;
	if (!was_quoted && !is_dot_atom(out->local))
		out->clean = false;
	return true;
}

static bool
keep_as_it_came(struct arena *a, struct address *addr)
{
	addr->text = addr->local = addr->raw;
	addr->domain = empty;
	addr->base = lower(a, addr->raw);
	return addr->base.p != NULL;
}

static bool
set_domain(struct arena *a, struct str written, struct address *addr)
{
	addr->domain = envelope_domain(a, written);
	if (addr->domain.p == NULL) {
		addr->valid = false;
		if (written.n > 0 && written.p[written.n - 1] == '.')
			written.n--;
		addr->domain = lower(a, written);
	}
	return addr->domain.p != NULL;
}

/*
 * The base form.  A tag is taken off only where the whole shape is there;
 * what merely looks like one stays part of the name.
 */

struct base {
	struct str local, domain;
};

static bool
all_alnum(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_alnum((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

/* prvs=TAG=local (draft-levine-smtp-batv), btv1==TAG==local (Barracuda),
 * msprvs1=TAG=local (SparkPost). */
static bool
strip_batv(struct base *b)
{
	static const struct {
		struct str before, after;
	} shapes[] = {
		{ { "prvs=", 5 }, { "=", 1 } },
		{ { "btv1==", 6 }, { "==", 2 } },
		{ { "msprvs1=", 8 }, { "=", 1 } },
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct str rest;
		ptrdiff_t end;

		if (!str_istarts(b->local, shapes[i].before))
			continue;
		rest = str_sub(b->local, shapes[i].before.n, b->local.n);
		end = str_find(rest, shapes[i].after);
		if (end <= 0 || end > 32 || !all_alnum(str_sub(rest, 0, end)))
			return false;
		rest = str_sub(rest, end + shapes[i].after.n, rest.n);
		if (rest.n == 0)
			return false;
		b->local = rest;
		return true;
	}
	return false;
}

static bool
is_srs_separator(struct str s)
{
	return s.n > 0 && strchr("=+-", s.p[0]) != NULL && s.p[0] != '\0';
}

/* HASH=TT=domain=local */
static bool
strip_srs0(struct arena *a, struct base *b, struct str rest)
{
	struct str domain, local;

	for (int i = 0; i < 2; i++)
		if (str_cut(rest, '=', &rest).n == 0)
			return false;
	domain = envelope_domain(a, str_cut(rest, '=', &local));
	if (domain.p == NULL || local.n == 0)
		return false;
	b->local = local;
	b->domain = domain;
	return true;
}

/* SRS0=HASH=TT=domain=local, SRS1=HASH=forwarder==HASH=TT=domain=local; the
 * separator behind the word may also be + or -. */
static bool
strip_srs(struct arena *a, struct base *b)
{
	struct str rest = str_sub(b->local, 4, b->local.n);

	if (!is_srs_separator(rest))
		return false;
	rest = str_sub(rest, 1, rest.n);
	if (str_istarts(b->local, STR("SRS0")))
		return strip_srs0(a, b, rest);
	if (!str_istarts(b->local, STR("SRS1")))
		return false;
	for (int i = 0; i < 2; i++)
		if (str_cut(rest, '=', &rest).n == 0)
			return false;
	return is_srs_separator(rest) &&
	    strip_srs0(a, b, str_sub(rest, 1, rest.n));
}

/* Is s "user=domain", with a dot in the domain? */
static bool
is_encoded_rcpt(struct str s)
{
	ptrdiff_t eq = str_rchr(s, '=');
	struct str domain;

	if (eq <= 0)
		return false;
	domain = str_sub(s, eq + 1, s.n);
	return is_name(domain) && str_chr(domain, '.') > 0;
}

/* list-return-[NUMBER-]user=domain (ezmlm), list-bounces-user=domain,
 * bounce-user=domain: what stands before the recipient remains. */
static void
strip_verp(struct base *b)
{
	static const struct str words[] = { { "return-", 7 }, { "bounces-", 8 },
		{ "bounce-", 7 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		ptrdiff_t at = str_ifind(b->local, words[i]);
		size_t end;

		if (at < 0 || (at > 0 && b->local.p[at - 1] != '-'))
			continue;
		end = at + words[i].n;
		if (!is_encoded_rcpt(str_sub(b->local, end, b->local.n)))
			continue;
		b->local.n = end - 1;
		return;
	}
}

static void
strip_plus(struct base *b)
{
	ptrdiff_t plus = str_chr(b->local, '+');

	if (plus > 0)
		b->local.n = plus;
}

static bool
set_base(struct arena *a, struct address *addr)
{
	struct base b = { addr->local, addr->domain };

	/* A forwarder may have wrapped a tagged address, not often twice. */
	for (int i = 0; i < 4; i++)
		if (!strip_batv(&b) && !strip_srs(a, &b))
			break;
	strip_verp(&b);
	strip_plus(&b);
	b.local = lower(a, b.local);
	if (b.local.p == NULL)
		return false;
	addr->base = join(a, b.local, b.domain);
	return addr->base.p != NULL;
}

/* Without its <>; one of them alone is an error. */
static struct str
without_brackets(struct str s, bool *valid)
{
	bool open = s.n > 0 && s.p[0] == '<';
	bool close = s.n > 0 && s.p[s.n - 1] == '>';

	*valid = open == close && !(open && s.n == 1);
	if (close && s.n > 1 && open)
		return str_trim(str_sub(s, 1, s.n - 2));
	return open ? str_sub(s, 1, s.n) : s;
}

bool
envelope_parse(struct arena *a, struct str arg, struct address *addr)
{
	struct split sp = { .at = false };
	struct str s;

	*addr = (struct address){ .text = empty,
		.local = empty,
		.domain = empty,
		.base = empty };
	s = without_brackets(str_trim(arg), &addr->valid);
	addr->raw = arena_str(a, s.p == NULL ? empty : s);
	if (addr->raw.p == NULL)
		return false;
	s = addr->raw;
	if (s.n == 0) {
		addr->null = addr->valid;
		return true;
	}
	if (s.p[0] == '@')
		s = str_sub(s, source_route(s), s.n);
	if (s.n > PATH_MAX_BYTES || has_control(s) || s.n == 0 ||
	    s.p[0] == '@') {
		addr->valid = false;
		return keep_as_it_came(a, addr);
	}
	if (!split(a, s, &sp))
		return false;
	if (sp.unclosed) {
		addr->valid = false;
		return keep_as_it_came(a, addr);
	}
	addr->local = sp.local;
	addr->valid &= sp.clean && utf8_valid(sp.local);
	if (!sp.at)
		addr->valid &= str_ieq(sp.local, STR("postmaster"));
	else if (!set_domain(a, sp.domain, addr))
		return false;
	addr->text = join(a, addr->local, addr->domain);
	return addr->text.p != NULL && set_base(a, addr);
}

uint64_t
envelope_size(char *const *argv)
{
	uint64_t size;

	for (; argv != NULL && *argv != NULL; argv++) {
		struct str s = str_of(*argv);

		if (str_istarts(s, STR("SIZE=")) &&
		    str_u64(str_sub(s, 5, s.n), &size))
			return size;
	}
	return 0;
}
