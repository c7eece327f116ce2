#include <stdint.h>

#include "base/psl.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/dmarc_record.h"
#include "check/spf.h"

#define FIELDS_MAX    8 /* From fields that are looked at */
#define MAILBOXES_MAX 32 /* of one of them */

static const char *const policy_words[] = {
	[DMARC_NONE] = "none",
	[DMARC_QUARANTINE] = "quarantine",
	[DMARC_REJECT] = "reject",
};

const char *
dmarc_policy_word(enum dmarc_policy policy)
{
	return policy_words[policy];
}

struct str
dmarc_org_domain(struct arena *a, struct str domain)
{
	struct str name = envelope_domain(a, domain);

	if (name.p == NULL || name.n == 0 || name.p[0] == '[')
		return STR("");
	return psl_domain(name);
}

/* The domains that From names, each once. */
struct author {
	struct str domains[DMARC_MAX_DOMAINS];
	size_t n;
	bool without; /* an address has no domain */
	const char *problem; /* DMARC can't speak about such a From */
};

static void
add_domain(struct arena *a, struct author *author, struct str domain)
{
	struct str name = envelope_domain(a, domain);
	size_t i;

	if (name.p == NULL || name.n == 0 || name.p[0] == '[') {
		author->without = true;
		return;
	}
	for (i = 0; i < author->n; i++)
		if (str_eq(author->domains[i], name))
			return;
	if (author->n == DMARC_MAX_DOMAINS)
		author->problem = "From names too many domains";
	else
		author->domains[author->n++] = name;
}

static void
add_field(struct txn *txn, struct author *author, const struct header *h)
{
	const struct mailbox *m;
	bool more = false;

	m = header_mailboxes(txn->arena, h->value, MAILBOXES_MAX, &more);
	author->without |= m == NULL;
	for (; m; m = m->next)
		add_domain(txn->arena, author, m->domain);
	if (more)
		author->problem = "From names too many addresses";
}

/* Section 6.6.1 says what becomes of those that are not just one address. */
static void
find_author(struct txn *txn, struct author *author)
{
	unsigned int nth, n = header_count(&txn->headers, STR("From"));

	*author = (struct author){ .n = 0 };
	for (nth = 1; nth <= n && nth <= FIELDS_MAX; nth++)
		add_field(txn, author,
		    header_get(&txn->headers, STR("From"), nth));
	if (n == 0)
		author->problem = "no From field";
	else if (n > 1)
		author->problem = "several From fields";
}

static struct str
record_name(struct arena *a, struct str domain)
{
	return arena_printf(a, "_dmarc.%.*s", STR_FMT(domain));
}

static void
start_lookup(struct txn *txn, struct str domain)
{
	struct str name = record_name(txn->arena, domain);

	if (name.p != NULL)
		(void)check_keep_lookup(txn->arena,
		    resolver_start(txn->checks->services->resolver, name,
			DNS_TXT));
}

void
dmarc_start(struct txn *txn)
{
	struct author author;
	struct str org;
	size_t i;

	find_author(txn, &author);
	for (i = 0; i < author.n; i++) {
		org = dmarc_org_domain(txn->arena, author.domains[i]);
		start_lookup(txn, author.domains[i]);
		if (org.n > 0 && !str_eq(org, author.domains[i]))
			start_lookup(txn, org);
	}
}

/* A record, and how it was come by. */
struct found {
	struct dmarc_record record;
	bool several, from_org;
};

/* Section 6.6.3 for one name; AUTH_PASS stands for "here it is". */
static enum auth_result
fetch_record(struct txn *txn, struct str domain, struct found *f,
    struct dmarc_result *r)
{
	struct str name = record_name(txn->arena, domain);
	const struct dns_answer *answer;
	struct lookup *lookup = NULL;
	struct str found = STR_NONE;
	size_t i, n = 0;

	if (name.p == NULL)
		return AUTH_TEMPERROR;
	answer = resolver_ask(txn->checks->services->resolver, name, DNS_TXT,
	    check_deadline(txn->session), &lookup);
	if (!check_keep_lookup(txn->arena, lookup))
		return AUTH_TEMPERROR;
	if (answer->status == DNS_SERVFAIL || answer->status == DNS_TIMEOUT) {
		r->problem = arena_printf(txn->arena, "%s: %.*s",
		    dns_status_word(answer->status), STR_FMT(name));
		return AUTH_TEMPERROR;
	}
	for (i = 0; i < answer->count; i++)
		if (dmarc_record_is(answer->records[i].data)) {
			found = answer->records[i].data;
			n++;
		}
	if (n == 0)
		return AUTH_NONE;
	/* "policy discovery terminates and DMARC processing is not applied" */
	r->problem = STR("several DMARC records");
	f->several = n > 1;
	if (n > 1)
		return AUTH_NONE;
	r->problem = STR("the DMARC record has no valid policy");
	if (!dmarc_record_parse(found, &f->record))
		return AUTH_PERMERROR;
	r->problem = STR("");
	return AUTH_PASS;
}

/* The From domain's own record, or its organizational domain's. */
static enum auth_result
find_record(struct txn *txn, struct found *found, struct dmarc_result *r)
{
	enum auth_result result;

	result = fetch_record(txn, r->domain, found, r);
	if (result != AUTH_NONE || found->several || r->org.n == 0 ||
	    str_eq(r->org, r->domain))
		return result;
	found->from_org = true;
	return fetch_record(txn, r->org, found, r);
}

/*
 * RFC 9091 section 2.7: "there is an NXDOMAIN or NODATA response for A, AAAA,
 * and MX records".  DNS_OK: it exists, DNS_NXDOMAIN: it does not.
 */
static enum dns_status
find_existence(struct txn *txn, struct str domain)
{
	static const enum dns_type types[] = { DNS_MX, DNS_A, DNS_AAAA };
	struct lookup *lookups[3];
	enum dns_status status, result = DNS_NXDOMAIN;
	int64_t deadline = check_deadline(txn->session);
	size_t i, n = 0;

	for (i = 0; i < 3; i++) {
		lookups[n] = resolver_start(txn->checks->services->resolver,
		    domain, types[i]);
		n += check_keep_lookup(txn->arena, lookups[n]);
	}
	for (i = 0; i < n; i++) {
		status = lookup_wait(lookups[i], deadline)->status;
		if (status == DNS_OK)
			return DNS_OK;
		if (status != DNS_NXDOMAIN && status != DNS_NODATA)
			result = status;
	}
	return n < 3 ? DNS_SERVFAIL : result;
}

/* Section 3.1: strict is the same name, relaxed the same organization. */
static bool
aligned(struct txn *txn, const struct dmarc_result *r, struct str domain,
    bool strict)
{
	struct str name = envelope_domain(txn->arena, domain);

	if (name.p == NULL || name.n == 0)
		return false;
	if (str_eq(name, r->domain))
		return true;
	return !strict && r->org.n > 0 &&
	    str_eq(dmarc_org_domain(txn->arena, name), r->org);
}

/* What aligned identifiers say: pass, temperror, or fail. */
static enum auth_result
ask_spf(struct txn *txn, const struct dmarc_result *r, bool strict)
{
	const struct spf_result *spf = spf_check(txn);

	if (spf == NULL)
		return AUTH_TEMPERROR;
	if ((spf->result == AUTH_PASS || spf->result == AUTH_TEMPERROR) &&
	    aligned(txn, r, spf->domain, strict))
		return spf->result;
	return AUTH_FAIL;
}

static enum auth_result
ask_dkim(struct txn *txn, const struct dmarc_result *r, bool strict)
{
	const struct dkim_result *dkim = dkim_check(txn);
	const struct dkim_signature *s;
	enum auth_result best = AUTH_FAIL;

	if (dkim == NULL)
		return AUTH_TEMPERROR;
	for (s = dkim->signatures; s; s = s->next) {
		if ((s->result != AUTH_PASS && s->result != AUTH_TEMPERROR) ||
		    !aligned(txn, r, s->domain, strict))
			continue;
		if (s->result == AUTH_PASS)
			return AUTH_PASS;
		best = AUTH_TEMPERROR;
	}
	return best;
}

/* FNV-1a: the same in every process, unlike str_hash(). */
static uint32_t
hash_add(uint32_t hash, struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		hash = (hash ^ (unsigned char)s.p[i]) * 16777619u;
	return hash;
}

/* Section 6.6.4: is the message one of the percentage? */
static bool
in_sample(const struct headers *headers, unsigned int percent)
{
	static const char *const names[] = { "Message-ID", "From", "Date",
		"Subject" };
	uint32_t hash = 2166136261u;
	const struct header *h;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		h = header_get(headers, str_of(names[i]), 1);
		if (h)
			hash = hash_add(hash, str_trim(h->value));
	}
	hash ^= hash >> 16;
	return hash % 100 < percent;
}

/* Outside of the sample the next milder policy holds. */
static void
sample(struct txn *txn, unsigned int percent, struct dmarc_result *r)
{
	r->policy = r->published;
	if (r->policy == DMARC_NONE || percent >= 100 ||
	    in_sample(&txn->headers, percent))
		return;
	r->policy = r->policy == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
	if (r->result == AUTH_FAIL)
		r->problem =
		    arena_printf(txn->arena, "sampled out, pct=%u", percent);
}

/* What the record asks for this domain's mail. */
static void
choose_policy(struct txn *txn, const struct found *f, struct dmarc_result *r)
{
	const struct dmarc_record *record = &f->record;
	enum dns_status exists = DNS_OK;

	if (f->from_org && record->nonexistent != record->subdomains)
		exists = find_existence(txn, r->domain);
	r->published = !f->from_org ? record->policy :
	    exists == DNS_NXDOMAIN  ? record->nonexistent :
				      record->subdomains;
	if (exists != DNS_OK && exists != DNS_NXDOMAIN &&
	    r->result == AUTH_FAIL) {
		r->result = AUTH_TEMPERROR;
		r->problem = arena_printf(txn->arena, "%s: %.*s",
		    dns_status_word(exists), STR_FMT(r->domain));
	}
	sample(txn, record->percent, r);
}

/*
 * "If neither passes and one or both of them fail due to a temporary error,
 * the Receiver evaluating the message is unable to conclude that the DMARC
 * mechanism had a permanent failure" (section 6.6.2).
 */
static void
judge(struct txn *txn, const struct dmarc_record *record,
    struct dmarc_result *r)
{
	enum auth_result spf, dkim;

	r->result = AUTH_PASS;
	r->problem = STR("");
	spf = ask_spf(txn, r, record->strict_spf);
	if (spf == AUTH_PASS)
		return;
	dkim = ask_dkim(txn, r, record->strict_dkim);
	if (dkim == AUTH_PASS)
		return;
	r->result = AUTH_FAIL;
	if (spf == AUTH_TEMPERROR || dkim == AUTH_TEMPERROR) {
		r->result = AUTH_TEMPERROR;
		r->problem = STR("an aligned identifier could not be checked");
	}
}

static void
apply_override(struct txn *txn, const struct found *f,
    const struct dmarc_override *o, struct dmarc_result *r)
{
	r->published = f->from_org ? f->record.subdomains : f->record.policy;
	r->override = o->text;
	r->policy = o->pass ? r->published : o->policy;
	if (r->result == AUTH_PASS || (r->result != AUTH_FAIL && !o->pass))
		return;
	if (o->pass)
		r->result = AUTH_PASS;
	r->problem =
	    arena_printf(txn->arena, "local override: %.*s", STR_FMT(o->text));
}

/* One From domain. */
static void
check_domain(struct txn *txn, struct str domain, struct dmarc_result *r)
{
	struct checks *checks = txn->checks;
	struct found found = { .several = false };
	struct dmarc_override o;
	bool overridden;

	*r = (struct dmarc_result){ .domain = domain, .problem = STR("") };
	r->org = dmarc_org_domain(txn->arena, domain);
	overridden = checks->dmarc_override != NULL &&
	    checks->dmarc_override(txn, domain, &o);
	r->result = find_record(txn, &found, r);
	r->has_record = r->result == AUTH_PASS;
	if (!r->has_record && !overridden)
		return;
	if (!r->has_record)
		found = (struct found){ .record.percent = 100 };
	judge(txn, &found.record, r);
	if (overridden)
		apply_override(txn, &found, &o, r);
	else
		choose_policy(txn, &found, r);
}

/* How bad an answer is where From names several domains.  What could not be
 * found out may be worse than a failure that nobody is asked to act on. */
static int
badness(const struct dmarc_result *r)
{
	switch (r->result) {
	case AUTH_FAIL:
		return r->policy == DMARC_NONE ? 4 : 10 + (int)r->policy;
	case AUTH_TEMPERROR:
		return 5;
	case AUTH_PERMERROR:
		return 3;
	case AUTH_NONE:
		return 2;
	default:
		return 1;
	}
}

static void
check_author(struct txn *txn, struct dmarc_result *worst)
{
	struct author author;
	struct dmarc_result r;
	size_t i;

	find_author(txn, &author);
	*worst = (struct dmarc_result){ .result = AUTH_PASS,
		.domain = STR(""),
		.org = STR(""),
		.problem = STR("") };
	for (i = 0; i < author.n; i++) {
		check_domain(txn, author.domains[i], &r);
		if (i == 0 || badness(&r) > badness(worst))
			*worst = r;
	}
	/* "no aligned identifier could be extracted" (section 11.2) */
	if (author.without && worst->result == AUTH_PASS) {
		worst->result = AUTH_NONE;
		worst->problem = STR("From has an address without a domain");
	}
	if (author.problem && worst->result != AUTH_FAIL) {
		worst->result = AUTH_PERMERROR;
		worst->problem = str_of(author.problem);
	}
}

const struct dmarc_result *
dmarc_check(struct txn *txn)
{
	struct checks *checks = txn->checks;
	struct dmarc_result *r;

	if (checks->dmarc)
		return checks->dmarc;
	r = arena_alloc(txn->arena, sizeof(*r));
	if (r == NULL)
		return NULL;
	check_author(txn, r);
	if (arena_overflowed(txn->arena))
		return NULL;
	checks->dmarc = r;
	return r;
}
