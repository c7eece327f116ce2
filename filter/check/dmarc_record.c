#include "check/dmarc_record.h"

#include "check/taglist.h"

bool
dmarc_record_is(struct str txt)
{
	struct taglist l = TAGLIST(txt);
	struct str name, value;

	return taglist_next(&l, &name, &value) && str_ieq(name, STR("v")) &&
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

/* Is there one report address that could be used?  "mailto:a@b, ..." */
static bool
has_reports(struct str rua)
{
	struct str uri, rest = rua;

	while (rest.p) {
		uri = str_trim(str_cut(rest, ',', &rest));
		if (str_istarts(uri, STR("mailto:")) && uri.n > 9 &&
		    str_chr(uri, '@') > 7)
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

/* Which of p, sp and rua were seen. */
struct seen {
	bool p, sp, bad_policy, reports;
};

static void
take_tag(struct dmarc_record *r, struct seen *seen, struct str name,
    struct str value)
{
	if (str_ieq(name, STR("p")) && !seen->p) {
		seen->p = policy_parse(value, &r->policy);
		seen->bad_policy |= !seen->p;
	} else if (str_ieq(name, STR("sp")) && !seen->sp) {
		seen->sp = policy_parse(value, &r->subdomains);
		seen->bad_policy |= !seen->sp;
	} else if (str_ieq(name, STR("adkim")))
		r->strict_dkim = str_ieq(value, STR("s"));
	else if (str_ieq(name, STR("aspf")))
		r->strict_spf = str_ieq(value, STR("s"));
	else if (str_ieq(name, STR("pct")))
		take_percent(value, r);
	else if (str_ieq(name, STR("rua")))
		seen->reports = has_reports(value);
}

bool
dmarc_record_parse(struct str txt, struct dmarc_record *r)
{
	struct taglist l = TAGLIST(txt);
	struct str name, value;
	struct seen seen = { false };

	*r = (struct dmarc_record){ .percent = 100 };
	if (!dmarc_record_is(txt))
		return false;
	while (taglist_next(&l, &name, &value))
		take_tag(r, &seen, name, value);
	if (!seen.p || seen.bad_policy) {
		r->policy = r->subdomains = DMARC_NONE;
		return seen.reports;
	}
	if (!seen.sp)
		r->subdomains = r->policy;
	return true;
}
