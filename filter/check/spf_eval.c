#include <stdlib.h>
#include <string.h>

#include "check/spf_eval.h"
#include "service/dns_answer.h"

/* RFC 7208 section 4.6.4. */
#define MAX_TERMS 10 /* terms that cause lookups, over includes */
#define MAX_HOSTS 10 /* names of one mx or ptr */

/* One evaluation; domains change on the way, the counts go on. */
struct spf_run {
	struct arena *arena;
	struct resolver *resolver;
	int64_t deadline;
	struct spf_macros macros;
	unsigned int terms, voids, voids_max;
	unsigned int started; /* lookups, ahead of their terms */
	bool term_void; /* the term being evaluated is counted as void */
	bool have_validated;
	struct str validated; /* %{p} */
	struct str problem;
	struct str mechanism; /* what decided, in the outermost record */
	unsigned int depth; /* of includes */
};

/* What a term says: it matched, it did not, or the run ends here. */
enum match { MATCH_NO, MATCH_YES, MATCH_TEMPERROR, MATCH_PERMERROR };

static enum auth_result check_host(struct spf_run *, struct str domain,
    struct str *exp, struct str *exp_domain);

/* What strangers wrote becomes printable ASCII. */
static void
make_plain(char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			text[i] = '?';
}

static void
problem(struct spf_run *run, const char *what, struct str about)
{
	struct buf text = BUF_INIT(512);

	if (run->problem.n > 0)
		return;
	buf_adds(&text, what);
	buf_adds(&text, about.n ? ": " : "");
	buf_addstr(&text, about);
	make_plain(text.p, text.n);
	run->problem = arena_str(run->arena, buf_str(&text));
	buf_free(&text);
}

static enum match
perm(struct spf_run *run, const char *what, struct str about)
{
	problem(run, what, about);
	return MATCH_PERMERROR;
}

/* What a name that DNS can't carry finds. */
static const struct dns_answer no_name = { .status = DNS_NXDOMAIN };

/* NULL: temporary failure.  The answer lives as long as the arena. */
static const struct dns_answer *
ask(struct spf_run *run, struct str name, enum dns_type type)
{
	const struct dns_answer *answer;
	struct lookup *lookup = NULL;
	char normal[DNS_NAME_MAX + 1];

	if (arena_overflowed(run->arena)) {
		problem(run, "out of memory", STR_NONE);
		return NULL;
	}
	if (!dns_name_normal(name, normal))
		return &no_name;
	answer =
	    resolver_ask(run->resolver, name, type, run->deadline, &lookup);
	check_keep_lookup(run->arena, lookup);
	if (arena_overflowed(run->arena)) /* the answer is gone */
		return NULL;
	if (answer->status != DNS_OK && answer->status != DNS_NODATA &&
	    answer->status != DNS_NXDOMAIN) {
		problem(run, dns_status_word(answer->status), name);
		return NULL;
	}
	return answer;
}

/*
 * Section 4.6.4 limits "the number of terms for which DNS queries return"
 * nothing: a term counts once, however many of its mx hosts are void.  A
 * name that can't be asked is no query.  true: one too many.
 */
static bool
too_void(struct spf_run *run, const struct dns_answer *answer)
{
	if (answer->status == DNS_OK || answer == &no_name || run->term_void)
		return false;
	run->term_void = true;
	return ++run->voids > run->voids_max;
}

static enum dns_type
client_type(const struct spf_run *run)
{
	return run->macros.client.family == ADDR_V6 ? DNS_AAAA : DNS_A;
}

/* Is the client within bits of one of these A or AAAA records? */
static bool
client_among(const struct spf_run *run, const struct dns_answer *answer,
    unsigned int bits)
{
	const struct addr *client = &run->macros.client;
	struct addr_net net = { .bits = bits };
	size_t i, len = client->family == ADDR_V6 ? 16 : 4;

	for (i = 0; i < answer->count; i++) {
		if (answer->records[i].data.n != len)
			continue;
		net.addr = (struct addr){ .family = client->family };
		memcpy(net.addr.b, answer->records[i].data.p, len);
		addr_mask(&net.addr, bits);
		if (addr_in_net(client, &net))
			return true;
	}
	return false;
}

static unsigned int
term_bits(const struct spf_run *run, const struct spf_term *t)
{
	return run->macros.client.family == ADDR_V6 ? t->bits6 : t->bits4;
}

static enum match
match_addresses(struct spf_run *run, struct str name, unsigned int bits)
{
	const struct dns_answer *answer = ask(run, name, client_type(run));

	if (answer == NULL)
		return MATCH_TEMPERROR;
	if (too_void(run, answer))
		return perm(run, "too many void lookups", name);
	return client_among(run, answer, bits) ? MATCH_YES : MATCH_NO;
}

static enum match
match_a(struct spf_run *run, const struct spf_term *t, struct str name)
{
	return match_addresses(run, name, term_bits(run, t));
}

static int
by_preference(const void *a, const void *b)
{
	const struct dns_record *x = a, *y = b;
	size_t n = x->data.n < y->data.n ? x->data.n : y->data.n;
	int order = (int)x->pref - (int)y->pref;

	if (order == 0)
		order = memcmp(x->data.p, y->data.p, n);
	if (order == 0)
		order = (x->data.n > y->data.n) - (x->data.n < y->data.n);
	return order;
}

/* MX records in an order of their own, so that which of them are the first
 * ten does not depend on the name server's mood.  NULL: no memory. */
static const struct dns_record *
sorted_hosts(struct spf_run *run, const struct dns_answer *answer)
{
	struct dns_record *hosts =
	    arena_alloc(run->arena, (answer->count + 1) * sizeof(*hosts));

	if (hosts == NULL)
		return NULL;
	if (answer->count > 0)
		memcpy(hosts, answer->records, answer->count * sizeof(*hosts));
	qsort(hosts, answer->count, sizeof(*hosts), by_preference);
	return hosts;
}

/*
 * Section 4.6.4: "the evaluation of each MX record MUST NOT result in
 * querying more than 10 address records.  If this limit is exceeded, the mx
 * mechanism MUST produce a permerror": the eleventh is too many, a match
 * among ten is a match.
 */
static enum match
match_mx(struct spf_run *run, const struct spf_term *t, struct str name)
{
	const struct dns_answer *answer = ask(run, name, DNS_MX);
	const struct dns_record *hosts;
	enum match m;
	size_t i;

	if (answer == NULL)
		return MATCH_TEMPERROR;
	if (too_void(run, answer))
		return perm(run, "too many void lookups", name);
	if ((hosts = sorted_hosts(run, answer)) == NULL)
		return MATCH_TEMPERROR;
	for (i = 0; i < answer->count; i++) {
		if (i == MAX_HOSTS)
			return perm(run, "more than 10 MX records", name);
		m = match_addresses(run, hosts[i].data, term_bits(run, t));
		if (m != MATCH_NO)
			return m;
	}
	return MATCH_NO;
}

static enum match
match_exists(struct spf_run *run, const struct spf_term *t, struct str name)
{
	const struct dns_answer *answer = ask(run, name, DNS_A);

	(void)t;
	if (answer == NULL)
		return MATCH_TEMPERROR;
	if (too_void(run, answer))
		return perm(run, "too many void lookups", name);
	return answer->status == DNS_OK ? MATCH_YES : MATCH_NO;
}

/* The client's PTR records; NULL: DNS failed. */
static const struct dns_answer *
client_names(struct spf_run *run)
{
	struct str old = run->problem;
	char name[128];
	struct str zone;
	const struct dns_answer *answer;

	addr_reverse(&run->macros.client, name);
	zone = arena_printf(run->arena, "%s.%s", name,
	    run->macros.client.family == ADDR_V6 ? "ip6.arpa" : "in-addr.arpa");
	answer = ask(run, zone, DNS_PTR);
	run->problem = old; /* failure is no error here, section 5.5 */
	return answer;
}

static bool
is_within(struct str name, struct str domain)
{
	return str_ieq(name, domain) ||
	    (name.n > domain.n && str_iends(name, domain) &&
		name.p[name.n - domain.n - 1] == '.');
}

/* The addresses of a PTR name; NULL: DNS failed, "that domain name is
 * skipped" (section 5.5). */
static const struct dns_answer *
name_addresses(struct spf_run *run, struct str name)
{
	struct str old = run->problem;
	const struct dns_answer *answer = ask(run, name, client_type(run));

	run->problem = old;
	return answer;
}

static bool
points_back(struct spf_run *run, const struct dns_answer *answer)
{
	return answer &&
	    client_among(run, answer,
		run->macros.client.family == ADDR_V6 ? 128 : 32);
}

static enum match
match_ptr(struct spf_run *run, const struct spf_term *t, struct str name)
{
	const struct dns_answer *names = client_names(run), *back;
	size_t i;

	(void)t;
	if (names == NULL)
		return MATCH_NO;
	if (too_void(run, names))
		return perm(run, "too many void lookups", name);
	for (i = 0; i < names->count && i < MAX_HOSTS; i++) {
		if (!is_within(names->records[i].data, name))
			continue;
		back = name_addresses(run, names->records[i].data);
		if (points_back(run, back))
			return MATCH_YES;
		if (back && too_void(run, back))
			return perm(run, "too many void lookups", name);
	}
	return MATCH_NO;
}

/* %{p}: the domain itself, else one below it, else any (section 7.3). */
static struct str
validated_name(void *arg)
{
	struct spf_run *run = arg;
	const struct dns_answer *names;
	struct str domain = run->macros.domain, best = STR("unknown");
	int rank = 0, r;
	size_t i;

	if (run->have_validated)
		return run->validated;
	names = client_names(run);
	for (i = 0; names && i < names->count && i < MAX_HOSTS; i++) {
		struct str name = names->records[i].data;

		r = str_ieq(name, domain) ? 3 : is_within(name, domain) ? 2 : 1;
		if (r > rank && points_back(run, name_addresses(run, name))) {
			rank = r;
			best = name;
		}
	}
	run->have_validated = true;
	run->validated = best;
	return best;
}

static enum match
match_include(struct spf_run *run, const struct spf_term *t, struct str name)
{
	enum auth_result result;

	(void)t;
	run->depth++;
	result = check_host(run, name, NULL, NULL);
	run->depth--;
	switch (result) {
	case AUTH_PASS:
		return MATCH_YES;
	case AUTH_TEMPERROR:
		return MATCH_TEMPERROR;
	case AUTH_PERMERROR:
		return MATCH_PERMERROR;
	case AUTH_NONE:
		return perm(run, "include of a domain without SPF", name);
	default:
		return MATCH_NO;
	}
}

static enum match
match_all(struct spf_run *run, const struct spf_term *t, struct str name)
{
	(void)run;
	(void)t;
	(void)name;
	return MATCH_YES;
}

static enum match
match_net(struct spf_run *run, const struct spf_term *t, struct str name)
{
	(void)name;
	return addr_in_net(&run->macros.client, &t->net) ? MATCH_YES : MATCH_NO;
}

static const struct {
	enum match (
	    *match)(struct spf_run *, const struct spf_term *, struct str name);
	bool counted; /* among the terms that cause lookups */
} matchers[] = {
	[SPF_ALL] = { match_all, false },
	[SPF_INCLUDE] = { match_include, true },
	[SPF_A] = { match_a, true },
	[SPF_MX] = { match_mx, true },
	[SPF_PTR] = { match_ptr, true },
	[SPF_IP4] = { match_net, false },
	[SPF_IP6] = { match_net, false },
	[SPF_EXISTS] = { match_exists, true },
};

/* A domain-spec for the domain in force; p NULL: nothing is left of it. */
static struct str
expand(struct spf_run *run, struct str spec)
{
	struct buf out = BUF_INIT(64 * 1024);
	struct str name = STR_NONE;

	if (spf_macro_name(&run->macros, spec, &out))
		name = arena_str(run->arena, buf_str(&out));
	buf_free(&out);
	return name;
}

static enum match
match_term(struct spf_run *run, const struct spf_term *t)
{
	struct str name = run->macros.domain;

	if (!matchers[t->mechanism].counted)
		return matchers[t->mechanism].match(run, t, name);
	if (++run->terms > MAX_TERMS)
		return perm(run, "more than 10 terms need DNS", name);
	run->term_void = false;
	if (t->domain.n > 0)
		name = expand(run, t->domain);
	return matchers[t->mechanism].match(run, t, name);
}

static enum dns_type
term_type(const struct spf_run *run, const struct spf_term *t)
{
	switch (t->mechanism) {
	case SPF_INCLUDE:
		return DNS_TXT;
	case SPF_MX:
		return DNS_MX;
	case SPF_EXISTS:
		return DNS_A;
	default:
		return client_type(run);
	}
}

/*
 * The terms from here on that need DNS and no macros are looked up at once,
 * so that a slow server is waited for once; in all no more of them than
 * may be evaluated.
 */
static void
start_ahead(struct spf_run *run, const struct spf_term *t)
{
	unsigned int terms = run->terms;

	for (; t && t->mechanism != SPF_ALL && terms < MAX_TERMS; t = t->next) {
		if (!matchers[t->mechanism].counted)
			continue;
		terms++;
		if (t->mechanism == SPF_PTR || str_chr(t->domain, '%') >= 0)
			continue;
		if (run->started++ >= MAX_TERMS)
			return;
		check_keep_lookup(run->arena,
		    resolver_start(run->resolver,
			t->domain.n > 0 ? t->domain : run->macros.domain,
			term_type(run, t)));
	}
}

bool
spf_is_fqdn(struct str name)
{
	size_t i, label = 0, dots = 0;

	if (name.n == 0 || name.n > SPF_NAME_MAX)
		return false;
	for (i = 0; i < name.n; i++) {
		if (name.p[i] != '.') {
			if (++label > 63)
				return false;
			continue;
		}
		if (label == 0)
			return false;
		label = 0;
		dots++;
	}
	return dots > 0 && label > 0 && name.p[0] != '[';
}

/* Section 4.5: the one record; AUTH_PASS stands for "here it is". */
static enum auth_result
fetch_record(struct spf_run *run, struct str domain, struct spf_record *record)
{
	const struct dns_answer *answer = ask(run, domain, DNS_TXT);
	const struct dns_record *found = NULL;
	size_t i;

	if (answer == NULL)
		return AUTH_TEMPERROR;
	for (i = 0; i < answer->count; i++) {
		if (!spf_record_is(answer->records[i].data))
			continue;
		if (found) {
			problem(run, "several SPF records", domain);
			return AUTH_PERMERROR;
		}
		found = &answer->records[i];
	}
	if (found == NULL)
		return AUTH_NONE;
	if (spf_record_parse(run->arena, found->data, record))
		return AUTH_PASS;
	if (arena_overflowed(run->arena))
		return AUTH_TEMPERROR;
	problem(run, record->problem, record->near);
	return AUTH_PERMERROR;
}

static enum auth_result
redirect(struct spf_run *run, struct str spec, struct str *exp,
    struct str *exp_domain)
{
	enum auth_result result;
	struct str target;

	if (++run->terms > MAX_TERMS) {
		problem(run, "more than 10 terms need DNS", spec);
		return AUTH_PERMERROR;
	}
	run->term_void = false;
	target = expand(run, spec);
	result = check_host(run, target, exp, exp_domain);
	if (result == AUTH_NONE) {
		problem(run, "redirect to a domain without SPF", target);
		return AUTH_PERMERROR;
	}
	return result;
}

/* Sections 4.6 and 4.7: the terms in order, then redirect, then neutral. */
static enum auth_result
evaluate(struct spf_run *run, const struct spf_record *record, struct str *exp,
    struct str *exp_domain)
{
	const struct spf_term *t;
	bool ahead = false;

	for (t = record->terms; t; t = t->next) {
		if (!ahead && matchers[t->mechanism].counted) {
			start_ahead(run, t);
			ahead = true;
		}
		switch (match_term(run, t)) {
		case MATCH_NO:
			continue;
		case MATCH_TEMPERROR:
			return AUTH_TEMPERROR;
		case MATCH_PERMERROR:
			return AUTH_PERMERROR;
		case MATCH_YES:
			if (run->depth == 0)
				run->mechanism = t->text;
			if (exp && record->exp.p) {
				*exp = record->exp;
				*exp_domain = run->macros.domain;
			}
			return t->on_match;
		}
	}
	if (record->redirect.p)
		return redirect(run, record->redirect, exp, exp_domain);
	return AUTH_NEUTRAL;
}

/*
 * Section 4.  The depth of includes and redirects is bounded by MAX_TERMS.
 * exp: where the exp= modifier of the record that decided goes, with its
 * domain; NULL inside of an include, whose explanation is not asked.
 */
static enum auth_result
check_host(struct spf_run *run, struct str domain, struct str *exp,
    struct str *exp_domain)
{
	struct str outer = run->macros.domain;
	struct spf_record record;
	enum auth_result result;

	if (!spf_is_fqdn(domain))
		return AUTH_NONE;
	result = fetch_record(run, domain, &record);
	if (result != AUTH_PASS)
		return result;
	run->macros.domain = domain;
	run->have_validated = false; /* %{p} depends on the domain */
	result = evaluate(run, &record, exp, exp_domain);
	run->macros.domain = outer;
	run->have_validated = false;
	return result;
}

/* Section 6.2; "" where there is none or anything is wrong with it. */
static struct str
explain(struct spf_run *run, struct str spec, struct str domain)
{
	const struct dns_answer *answer;
	struct buf text = BUF_INIT(64 * 1024);
	struct str name, out = STR("");

	run->macros.domain = domain;
	run->have_validated = false;
	name = expand(run, spec);
	if (name.n == 0)
		return out;
	answer = ask(run, name, DNS_TXT);
	if (answer == NULL || answer->count != 1 ||
	    !spf_macro_valid(answer->records[0].data, true))
		return out;
	spf_macro_text(&run->macros, answer->records[0].data, &text);
	make_plain(text.p, text.n);
	if (text.n > 0)
		out = arena_str(run->arena, buf_str(&text));
	buf_free(&text);
	return out;
}

void
spf_eval(const struct spf_query *q, struct spf_result *out)
{
	struct spf_run run = {
		.arena = q->arena,
		.resolver = q->resolver,
		.deadline = q->deadline,
		.macros = q->macros,
		.voids_max = q->voids_max > 0 ? q->voids_max : SPF_VOIDS_MAX,
	};
	struct str exp = STR_NONE, exp_domain = STR_NONE, old;

	run.macros.validated = validated_name;
	run.macros.arg = &run;
	run.mechanism = STR("");
	out->explanation = out->problem = STR("");
	out->result = check_host(&run, q->macros.domain, &exp, &exp_domain);
	out->mechanism = run.mechanism;
	old = run.problem;
	if (out->result == AUTH_FAIL && exp.p)
		out->explanation = explain(&run, exp, exp_domain);
	if (out->result == AUTH_TEMPERROR || out->result == AUTH_PERMERROR)
		out->problem = old;
}
