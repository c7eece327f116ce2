#include "check/dmarc_record.h"

#include <string.h>

/*
 * The tags of a record.  Unlike a DKIM tag-list it survives what is no tag:
 * "Syntax errors in the remainder of the record SHOULD be discarded in favor
 * of default values (if any) or ignored outright" (section 6.3).
 */
static bool
next_tag(struct str *rest, struct str *name, struct str *value)
{
	struct str tag;

	if (rest->p == NULL)
		return false;
	tag = str_cut(*rest, ';', rest);
	*name = str_trim(str_cut(tag, '=', value));
	if (value->p == NULL)
		*name = STR("");
	*value = str_trim(*value);
	return true;
}

bool
dmarc_record_is(struct str txt)
{
	struct str name, value;

	return next_tag(&txt, &name, &value) && str_ieq(name, STR("v")) &&
	    str_eq(value, STR("DMARC1"));
}

static bool
policy_parse(struct str value, enum dmarc_policy *out)
{
	static const enum dmarc_policy all[] = { DMARC_NONE, DMARC_QUARANTINE,
		DMARC_REJECT };
	size_t i;

	for (i = 0; i < 3; i++)
		if (str_ieq(value, str_of(dmarc_policy_word(all[i])))) {
			*out = all[i];
			return true;
		}
	return false;
}

/* RFC 3986 section 3.1; behind it no space or control character. */
static bool
uri_valid(struct str uri)
{
	ptrdiff_t colon = str_chr(uri, ':');
	size_t i;

	if (colon < 1 || (size_t)colon + 1 >= uri.n ||
	    !chr_alpha((unsigned char)uri.p[0]))
		return false;
	for (i = 1; i < (size_t)colon; i++)
		if (!chr_alnum((unsigned char)uri.p[i]) &&
		    memchr("+-.", uri.p[i], 3) == NULL)
			return false;
	for (; i < uri.n; i++)
		if ((unsigned char)uri.p[i] <= ' ' || uri.p[i] == 0x7f)
			return false;
	return true;
}

/* Is there one report address that could be used?  "mailto:a@b, ..." */
static bool
has_reports(struct str rua)
{
	struct str uri, rest = rua;
	ptrdiff_t at;

	while (rest.p) {
		uri = str_trim(str_cut(rest, ',', &rest));
		if (!uri_valid(uri))
			continue;
		at = str_chr(uri, '@');
		if (!str_istarts(uri, STR("mailto:")) ||
		    (at > 7 && (size_t)at + 1 < uri.n && uri.p[at + 1] != '!'))
			return true;
	}
	return false;
}

static void
take_percent(struct str value, struct dmarc_record *r)
{
	uint64_t n;

	if (value.n <= 3 && str_u64(value, &n) && n <= 100)
		r->percent = (unsigned int)n;
}

/* What has been seen of a record. */
struct seen {
	bool bad_policy, sp, np, reports;
};

enum tag_id {
	TAG_P,
	TAG_SP,
	TAG_NP,
	TAG_ADKIM,
	TAG_ASPF,
	TAG_PCT,
	TAG_RUA,
	TAG_COUNT
};

static void
take_tag(struct dmarc_record *r, struct seen *seen, enum tag_id tag,
    struct str value)
{
	switch (tag) {
	case TAG_P:
		seen->bad_policy |= !policy_parse(value, &r->policy);
		break;
	case TAG_SP:
		seen->sp = policy_parse(value, &r->subdomains);
		seen->bad_policy |= !seen->sp;
		break;
	case TAG_NP:
		seen->np = policy_parse(value, &r->nonexistent);
		break;
	case TAG_ADKIM:
		r->strict_dkim = str_ieq(value, STR("s"));
		break;
	case TAG_ASPF:
		r->strict_spf = str_ieq(value, STR("s"));
		break;
	case TAG_PCT:
		take_percent(value, r);
		break;
	case TAG_RUA:
		seen->reports = has_reports(value);
		break;
	case TAG_COUNT:
		break;
	}
}

/* The tag of that name that is not in *had; TAG_COUNT: nothing for us. */
static enum tag_id
find_tag(struct str name, unsigned int *had)
{
	static const char *const names[TAG_COUNT] = { "p", "sp", "np", "adkim",
		"aspf", "pct", "rua" };
	enum tag_id tag = TAG_P;

	while (tag < TAG_COUNT && !str_ieq(name, str_of(names[tag])))
		tag++;
	if (tag < TAG_COUNT && (*had & 1u << tag))
		return TAG_COUNT;
	*had |= 1u << tag;
	return tag;
}

bool
dmarc_record_parse(struct str txt, struct dmarc_record *r)
{
	struct seen seen = { false };
	struct str name, value;
	unsigned int had = 0;

	*r = (struct dmarc_record){ .percent = 100 };
	if (!dmarc_record_is(txt))
		return false;
	while (next_tag(&txt, &name, &value))
		take_tag(r, &seen, find_tag(name, &had), value);
	if (!(had & 1u << TAG_P) || seen.bad_policy) {
		r->policy = r->subdomains = r->nonexistent = DMARC_NONE;
		return seen.reports;
	}
	if (!seen.sp)
		r->subdomains = r->policy;
	if (!seen.np)
		r->nonexistent = r->subdomains;
	return true;
}
