#include "check/arc_set.h"

#include "check/authres.h"

/*
 * Tags of a seal and of a message signature: DKIM's, and a few of their own.
 */

static struct arc_tags *
arc_tags_of(struct dkim_tags *t)
{
	return (struct arc_tags *)t; /* its first member */
}

static const char *
take_algorithm(struct dkim_tags *t, struct str v)
{
	t->a = v;
	if (str_ieq(v, STR("rsa-sha256")) || str_ieq(v, STR("ed25519-sha256")))
		return NULL;
	return "unknown algorithm";
}

static const char *
take_cv(struct dkim_tags *t, struct str v)
{
	enum arc_cv *cv = &arc_tags_of(t)->cv;

	if (str_ieq(v, STR("none")))
		*cv = ARC_CV_NONE;
	else if (str_ieq(v, STR("pass")))
		*cv = ARC_CV_PASS;
	else if (str_ieq(v, STR("fail")))
		*cv = ARC_CV_FAIL;
	else
		return "cv= is not none, pass or fail";
	return NULL;
}

/* The seal covers ARC fields alone, and no seal is covered by a signature
 * (RFC 8617 sections 4.1.2 and 4.1.3). */
static const char *
take_headers(struct dkim_tags *t, struct str v)
{
	struct str name, rest = v;
	unsigned int n = 0;

	t->h = v;
	while (rest.p != NULL) {
		name = str_cut(rest, ':', &rest);
		if (++n > DKIM_NAMES_MAX)
			return "h= has too many names";
		if (str_ieq(name, STR("ARC-Seal")))
			return "h= names ARC-Seal";
		t->from_signed += str_ieq(name, STR("From"));
	}
	return t->from_signed > 0 ? NULL : "h= does not name From";
}

static const char *
refuse_headers(struct dkim_tags *t, struct str v)
{
	(void)t;
	(void)v;
	return "a seal has h=";
}

/* 0: that is none. */
static unsigned int
instance_of(struct str v)
{
	uint64_t n = 0;

	return v.n <= 2 && str_u64(v, &n) && n <= ARC_MAX_SETS ?
	    (unsigned int)n :
	    0;
}

static const char *
take_instance(struct dkim_tags *t, struct str v)
{
	arc_tags_of(t)->i = instance_of(v);
	return arc_tags_of(t)->i > 0 ? NULL : "i= is not 1 to 50";
}

/* i= comes first: what is wrong with it concerns the whole chain. */
static const struct dkim_tag_def seal_defs[] = {
	{ "i", take_instance, "i= is missing" },
	{ "a", take_algorithm, "a= is missing" },
	{ "b", dkim_take_b, "b= is missing" },
	{ "cv", take_cv, "cv= is missing" },
	{ "d", dkim_take_domain, "d= is missing" },
	{ "s", dkim_take_selector, "s= is missing" },
	{ "h", refuse_headers, NULL },
	{ "t", dkim_take_time, NULL },
	{ NULL, NULL, NULL },
};

static const struct dkim_tag_def signature_defs[] = {
	{ "i", take_instance, "i= is missing" },
	{ "a", take_algorithm, "a= is missing" },
	{ "b", dkim_take_b, "b= is missing" },
	{ "bh", dkim_take_bh, "bh= is missing" },
	{ "d", dkim_take_domain, "d= is missing" },
	{ "h", take_headers, "h= is missing" },
	{ "s", dkim_take_selector, "s= is missing" },
	{ "c", dkim_take_canon, NULL },
	{ "l", dkim_take_length, NULL },
	{ "q", dkim_take_query, NULL },
	{ "t", dkim_take_time, NULL },
	{ "x", dkim_take_expiry, NULL },
	{ NULL, NULL, NULL },
};

bool
arc_seal_parse(struct arena *a, struct str value, struct arc_tags *t,
    const char **why)
{
	*t = (struct arc_tags){ 0 };
	return dkim_tags_read(a, seal_defs, value, &t->dkim, why);
}

bool
arc_signature_parse(struct arena *a, struct str value, struct arc_tags *t,
    const char **why)
{
	*t = (struct arc_tags){ 0 };
	return dkim_tags_read(a, signature_defs, value, &t->dkim, why);
}

/*
 * ARC-Authentication-Results: an instance, then what RFC 8601 has.
 */

static struct str
read_word(struct str s, size_t *i)
{
	size_t from = *i = authres_skip_cfws(s, *i);

	while (*i < s.n &&
	    (chr_alnum((unsigned char)s.p[*i]) || s.p[*i] == '-' ||
		s.p[*i] == '_'))
		++*i;
	return str_sub(s, from, *i - from);
}

static bool
read_sign(struct str s, size_t *i, char c)
{
	*i = authres_skip_cfws(s, *i);
	if (*i >= s.n || s.p[*i] != c)
		return false;
	++*i;
	return true;
}

unsigned int
arc_results_instance(struct str value, struct str *rest)
{
	unsigned int n;
	size_t i = 0;

	if (!str_eq(read_word(value, &i), STR("i")) ||
	    !read_sign(value, &i, '='))
		return 0;
	n = instance_of(read_word(value, &i));
	if (!read_sign(value, &i, ';'))
		return 0;
	*rest = str_sub(value, i, value.n - i);
	return n;
}

static size_t
skip_quoted(struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		if (s.p[i] == '\\')
			i++;
	return i < s.n ? i + 1 : s.n;
}

/* The offset behind the next semicolon that is neither quoted nor in a
 * comment. */
static size_t
next_part(struct str s, size_t i)
{
	while (i < s.n) {
		if (s.p[i] == ';')
			return i + 1;
		if (s.p[i] == '"')
			i = skip_quoted(s, i);
		else if (s.p[i] == '(')
			i = authres_skip_cfws(s, i);
		else
			i++;
	}
	return s.n;
}

/* "dkim/1 (comment) = pass"; "" where that is not the method. */
static struct str
part_result(struct str s, size_t i, struct str method)
{
	if (!str_ieq(read_word(s, &i), method))
		return STR_NONE;
	if (read_sign(s, &i, '/'))
		read_word(s, &i);
	return read_sign(s, &i, '=') ? read_word(s, &i) : STR_NONE;
}

enum auth_result
arc_results_find(struct str value, struct str method, bool any)
{
	enum auth_result found = AUTH_UNKNOWN, result;
	struct str s, word;
	size_t i;

	if (arc_results_instance(value, &s) == 0)
		return AUTH_UNKNOWN;
	for (i = next_part(s, 0); i < s.n; i = next_part(s, i)) {
		word = part_result(s, i, method);
		if (word.n == 0)
			continue;
		if (!auth_result_parse(word, &result))
			result = AUTH_UNKNOWN;
		if (!any || result == AUTH_PASS)
			return result;
		if (found == AUTH_UNKNOWN)
			found = result;
	}
	return found;
}

/*
 * The chain.
 */

enum kind { KIND_NONE, KIND_RESULTS, KIND_SIGNATURE, KIND_SEAL };

static enum kind
kind_of(struct str name)
{
	if (str_ieq(name, STR("ARC-Authentication-Results")))
		return KIND_RESULTS;
	if (str_ieq(name, STR("ARC-Message-Signature")))
		return KIND_SIGNATURE;
	return str_ieq(name, STR("ARC-Seal")) ? KIND_SEAL : KIND_NONE;
}

static const char *
add_results(struct arc_chain *c, const struct header *h)
{
	struct str rest;
	unsigned int i = arc_results_instance(h->value, &rest);

	if (i == 0)
		return "ARC-Authentication-Results has no instance";
	if (c->sets[i - 1].results != NULL)
		return "two ARC-Authentication-Results of one instance";
	c->sets[i - 1].results = h;
	if (i > c->count)
		c->count = i;
	return NULL;
}

static const char *
add_seal(struct arena *a, struct arc_chain *c, const struct header *h)
{
	struct arc_tags t;
	const char *why;

	if (!arc_seal_parse(a, h->value, &t, &why))
		return why;
	if (c->sets[t.i - 1].seal != NULL)
		return "two ARC-Seals of one instance";
	c->sets[t.i - 1].seal = h;
	c->sets[t.i - 1].as = t;
	if (t.i > c->count)
		c->count = t.i;
	return NULL;
}

/* Only the newest one has to be in order: later hops may have broken the
 * others, and have said so. */
static const char *
add_signature(struct arena *a, struct arc_chain *c, const struct header *h)
{
	struct arc_tags t;
	const char *why;

	(void)arc_signature_parse(a, h->value, &t, &why);
	if (t.i == 0)
		return why;
	if (c->sets[t.i - 1].signature != NULL)
		return "two ARC-Message-Signatures of one instance";
	c->sets[t.i - 1].signature = h;
	c->sets[t.i - 1].ams = t;
	c->sets[t.i - 1].ams_problem = why;
	if (t.i > c->count)
		c->count = t.i;
	return NULL;
}

static const char *
add_field(struct arena *a, struct arc_chain *c, const struct header *h,
    enum kind kind)
{
	if (h->value.p == NULL)
		return "an empty field";
	switch (kind) {
	case KIND_RESULTS:
		return add_results(c, h);
	case KIND_SIGNATURE:
		return add_signature(a, c, h);
	default:
		return add_seal(a, c, h);
	}
}

/* RFC 8617 section 5.2, steps 2 and 3. */
static const char *
check_structure(const struct arc_chain *c)
{
	if (c->sets[c->count - 1].as.cv == ARC_CV_FAIL)
		return "the newest seal says cv=fail";
	for (unsigned int i = 0; i < c->count; i++) {
		const struct arc_set *s = &c->sets[i];

		if (s->results == NULL || s->signature == NULL ||
		    s->seal == NULL)
			return "an ARC Set is not complete";
		if (s->as.cv != (i == 0 ? ARC_CV_NONE : ARC_CV_PASS))
			return "a cv= does not fit its place in the chain";
	}
	return c->sets[c->count - 1].ams_problem;
}

bool
arc_chain_read(struct arena *a, const struct headers *headers,
    struct arc_chain *c)
{
	const struct header *h;
	enum kind kind;

	*c = (struct arc_chain){ 0 };
	for (h = headers->first; h != NULL && c->problem == NULL; h = h->next) {
		if ((kind = kind_of(h->name)) == KIND_NONE)
			continue;
		if (c->sets == NULL)
			c->sets =
			    arena_alloc(a, ARC_MAX_SETS * sizeof(*c->sets));
		if (c->sets == NULL)
			return false;
		c->problem = add_field(a, c, h, kind);
	}
	if (c->problem == NULL && c->count > 0)
		c->problem = headers->truncated ? "the header is too large" :
						  check_structure(c);
	return !arena_overflowed(a);
}
