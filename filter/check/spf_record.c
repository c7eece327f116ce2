#include <string.h>

#include "check/spf_record.h"

static const struct {
	const char *word;
	enum spf_mechanism mechanism;
	enum { ARG_NONE, ARG_MAY, ARG_MUST } domain;
	bool cidr;
} mechanisms[] = {
	{ "all", SPF_ALL, ARG_NONE, false },
	{ "include", SPF_INCLUDE, ARG_MUST, false },
	{ "a", SPF_A, ARG_MAY, true },
	{ "mx", SPF_MX, ARG_MAY, true },
	{ "ptr", SPF_PTR, ARG_MAY, false },
	{ "ip4", SPF_IP4, ARG_MUST, true },
	{ "ip6", SPF_IP6, ARG_MUST, true },
	{ "exists", SPF_EXISTS, ARG_MUST, false },
};

#define NMECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

bool
spf_record_is(struct str txt)
{
	const struct str version = STR("v=spf1");

	return str_istarts(txt, version) &&
	    (txt.n == version.n || txt.p[version.n] == ' ');
}

/* "0" or digits without a leading zero, up to max, all of s. */
static bool
cidr_number(struct str s, unsigned int max, unsigned int *out)
{
	uint64_t n;

	if (s.n == 0 || s.n > 3 || (s.n > 1 && s.p[0] == '0'))
		return false;
	if (!str_u64(s, &n) || n > max)
		return false;
	*out = (unsigned int)n;
	return true;
}

/* [ "/" n4 ] [ "//" n6 ], all of s. */
static bool
dual_cidr(struct str s, unsigned int *bits4, unsigned int *bits6)
{
	ptrdiff_t two = str_find(s, STR("//"));
	struct str four = s, six = STR_NONE;

	if (two >= 0) {
		four = str_sub(s, 0, (size_t)two);
		six = str_sub(s, (size_t)two + 2, s.n);
		if (!cidr_number(six, 128, bits6))
			return false;
	}
	if (four.n == 0)
		return two >= 0;
	return four.p[0] == '/' &&
	    cidr_number(str_sub(four, 1, four.n), 32, bits4);
}

/*
 * A domain-spec may contain slashes of its own but can't end in a CIDR
 * length, so the lengths are the longest tail that reads as such.  A tail
 * has at most "/32//128", which bounds the search.
 */
static struct str
cut_dual_cidr(struct str s, unsigned int *bits4, unsigned int *bits6)
{
	size_t i, from = s.n > 8 ? s.n - 8 : 0;

	for (i = from; i < s.n; i++)
		if (s.p[i] == '/' &&
		    dual_cidr(str_sub(s, i, s.n), bits4, bits6))
			return str_sub(s, 0, i);
	return s;
}

/* toplabel: alphanumerics with an inner "-" or at least one letter. */
static bool
toplabel_valid(struct str s)
{
	bool special = false;
	size_t i;

	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (i = 0; i < s.n; i++) {
		if (!chr_alnum((unsigned char)s.p[i]) && s.p[i] != '-')
			return false;
		if (!chr_digit((unsigned char)s.p[i]))
			special = true;
	}
	return special;
}

/* Where the last macro-expand of a valid macro-string ends; 0: none. */
static size_t
last_macro_end(struct str s)
{
	size_t i, end = 0;

	for (i = 0; i + 1 < s.n; i++) {
		if (s.p[i] != '%')
			continue;
		if (s.p[i + 1] == '{')
			while (s.p[i] != '}')
				i++;
		else
			i++;
		end = i + 1;
	}
	return end;
}

/* macro-string, then a macro-expand or "." toplabel [ "." ]. */
static bool
domain_spec_valid(struct str s)
{
	struct str tail;
	ptrdiff_t dot;
	size_t end;

	if (s.n == 0 || !spf_macro_valid(s, false))
		return false;
	end = last_macro_end(s);
	if (end == s.n)
		return true;
	tail = str_sub(s, end, s.n);
	if (tail.p[tail.n - 1] == '.')
		tail.n--;
	dot = str_rchr(tail, '.');
	return dot >= 0 &&
	    toplabel_valid(str_sub(tail, (size_t)dot + 1, tail.n));
}

static bool
fail(struct spf_record *r, const char *problem, struct str near)
{
	r->problem = problem;
	r->near = str_sub(near, 0, 60);
	return false;
}

/* ip4-network: four numbers without leading zeros; addr_parse() takes no
 * others, but it also takes forms that the grammar here does not have. */
static bool
network_valid(enum spf_mechanism m, struct str s, struct addr *out)
{
	size_t i;

	if (m == SPF_IP6 && str_chr(s, ':') < 0)
		return false;
	for (i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];

		if (m == SPF_IP4 ? !chr_digit(c) && c != '.' :
				   !chr_digit(c) && c != '.' && c != ':' &&
			    !(chr_lower(c) >= 'a' && chr_lower(c) <= 'f'))
			return false;
	}
	return addr_parse(s, out);
}

/*
 * Our addresses have one form, IPv4 for the mapped range, so a network of
 * mapped addresses is one of IPv4 addresses.
 */
static bool
parse_network(struct spf_term *t, struct str arg)
{
	bool four = t->mechanism == SPF_IP4;
	unsigned int bits = four ? 32 : 128;
	ptrdiff_t slash = str_chr(arg, '/');
	struct str text = arg;

	if (slash >= 0) {
		text = str_sub(arg, 0, (size_t)slash);
		if (!cidr_number(str_sub(arg, (size_t)slash + 1, arg.n), bits,
			&bits))
			return false;
	}
	if (!network_valid(t->mechanism, text, &t->net.addr))
		return false;
	if (!four && t->net.addr.family == ADDR_V4) {
		if (bits < 96) { /* wider than the mapped range */
			t->net.addr = (struct addr){ .family = ADDR_V6 };
			memset(t->net.addr.b + 10, 0xff, 2);
		} else
			bits -= 96;
	}
	t->net.bits = bits;
	addr_mask(&t->net.addr, bits);
	return true;
}

static bool
parse_directive(struct spf_term *t, struct spf_record *r, struct str term)
{
	static const char marks[] = "+-~?";
	static const enum auth_result results[] = { AUTH_PASS, AUTH_FAIL,
		AUTH_SOFTFAIL, AUTH_NEUTRAL };
	const char *mark = memchr(marks, term.p[0], 4);
	struct str name, arg = STR_NONE, whole = term;
	size_t i, n;

	t->text = whole;
	t->on_match = mark ? results[mark - marks] : AUTH_PASS;
	if (mark)
		term = str_sub(term, 1, term.n);
	for (n = 0; n < term.n && term.p[n] != ':' && term.p[n] != '/';)
		n++;
	name = str_sub(term, 0, n);
	for (i = 0; i < NMECHANISMS; i++)
		if (str_ieq(name, str_of(mechanisms[i].word)))
			break;
	if (i == NMECHANISMS)
		return fail(r, "unknown mechanism", whole);
	t->mechanism = mechanisms[i].mechanism;
	t->bits4 = 32;
	t->bits6 = 128;
	arg = str_sub(term, n, term.n);
	if (t->mechanism == SPF_IP4 || t->mechanism == SPF_IP6) {
		if (arg.n == 0 || arg.p[0] != ':' ||
		    !parse_network(t, str_sub(arg, 1, arg.n)))
			return fail(r, "bad address", whole);
		return true;
	}
	if (mechanisms[i].cidr)
		arg = cut_dual_cidr(arg, &t->bits4, &t->bits6);
	if (arg.n == 0 && mechanisms[i].domain != ARG_MUST)
		return true;
	if (arg.n == 0 || arg.p[0] != ':' || mechanisms[i].domain == ARG_NONE)
		return fail(r, "bad argument of a mechanism", whole);
	t->domain = str_sub(arg, 1, arg.n);
	if (!domain_spec_valid(t->domain))
		return fail(r, "bad domain-spec", whole);
	return true;
}

/* The length of "name=" where the term is a modifier, else 0. */
static size_t
modifier_name(struct str term)
{
	size_t i;

	if (!chr_alpha((unsigned char)term.p[0]))
		return 0;
	for (i = 1; i < term.n; i++) {
		if (term.p[i] == '=')
			return i + 1;
		if (!chr_alnum((unsigned char)term.p[i]) &&
		    !memchr("-_.", term.p[i], 3))
			return 0;
	}
	return 0;
}

static bool
parse_modifier(struct spf_record *r, struct str term, size_t namelen)
{
	struct str value = str_sub(term, namelen, term.n);
	struct str name = str_sub(term, 0, namelen - 1);
	struct str *slot = str_ieq(name, STR("redirect")) ? &r->redirect :
	    str_ieq(name, STR("exp"))			  ? &r->exp :
							    NULL;

	if (slot == NULL) {
		if (!spf_macro_valid(value, false))
			return fail(r, "bad macro in a modifier", term);
		return true;
	}
	if (slot->p)
		return fail(r, "modifier given twice", term);
	if (!domain_spec_valid(value))
		return fail(r, "bad domain-spec", term);
	*slot = value;
	return true;
}

static bool
parse_term(struct arena *a, struct spf_record *r, struct str term,
    struct spf_term ***tail)
{
	size_t namelen = modifier_name(term);
	struct spf_term *t;

	if (namelen > 0)
		return parse_modifier(r, term, namelen);
	t = arena_alloc(a, sizeof(*t));
	if (t == NULL)
		return fail(r, "out of memory", STR_NONE);
	if (!parse_directive(t, r, term))
		return false;
	**tail = t;
	*tail = &t->next;
	return true;
}

bool
spf_record_parse(struct arena *a, struct str txt, struct spf_record *out)
{
	struct spf_term **tail = &out->terms;
	size_t i, from;

	*out = (struct spf_record){ 0 };
	tail = &out->terms;
	if (!spf_record_is(txt))
		return fail(out, "not an SPF record", txt);
	for (i = STR("v=spf1").n; i < txt.n;) {
		if (txt.p[i] == ' ') {
			i++;
			continue;
		}
		for (from = i; i < txt.n && txt.p[i] != ' ';)
			i++;
		if (!parse_term(a, out, str_sub(txt, from, i - from), &tail))
			return false;
	}
	return true;
}
