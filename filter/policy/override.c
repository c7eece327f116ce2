#include "policy/override.h"

#include <time.h>

#include "base/clock.h"
#include "policy/policy.h"

#define VALUE_MAX_BYTES 64
#define DAY_S		86400

/* Digits and nothing else; -1 for anything that is none. */
static int
digits(struct str s, size_t from, size_t n)
{
	uint64_t number;

	return str_u64(str_sub(s, from, n), &number) ? (int)number : -1;
}

/* "2026-12-31" to the end of that day; false where there is no such day. */
static bool
date_end(struct str s, int64_t *ms)
{
	struct tm day = { .tm_mday = digits(s, 8, 2) }, back;
	time_t t;

	if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || day.tm_mday < 1)
		return false;
	day.tm_year = digits(s, 0, 4) - 1900;
	day.tm_mon = digits(s, 5, 2) - 1;
	back = day;
	t = timegm(&back);
	if (day.tm_year < 0 || back.tm_mon != day.tm_mon ||
	    back.tm_mday != day.tm_mday)
		return false;
	*ms = ((int64_t)t + DAY_S) * 1000;
	return true;
}

static bool
policy_word(struct str word, struct override *o)
{
	o->pass = str_ieq(word, STR("pass"));
	for (o->policy = DMARC_NONE; !o->pass && o->policy <= DMARC_REJECT;
	     o->policy++)
		if (str_ieq(word, str_of(dmarc_policy_word(o->policy))))
			return true;
	o->policy = DMARC_NONE;
	return o->pass;
}

bool
override_parse(struct str value, struct override *o, const char **why)
{
	struct str until;

	*o = (struct override){ .until_ms = 0 };
	*why = "expected none, quarantine, reject or pass, and perhaps "
	       "`until 2026-12-31'";
	if (value.n > VALUE_MAX_BYTES || !policy_word(table_word(&value), o))
		return false;
	until = table_word(&value);
	if (until.n == 0)
		return true;
	if (!str_ieq(until, STR("until")))
		return false;
	*why = "a day is written 2026-12-31";
	if (!date_end(table_word(&value), &o->until_ms))
		return false;
	*why = "nothing may stand behind the day";
	return table_word(&value).n == 0;
}

static bool
is_domain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_alnum((unsigned char)s.p[i]) && s.p[i] != '-' &&
		    s.p[i] != '_' && s.p[i] != '.')
			return false;
	return s.n > 0 && s.n <= 253;
}

/* The form that From domains are looked up in. */
static bool
domain_normal(struct str domain, struct buf *why)
{
	struct arena *a = arena_new(16 * 1024);
	bool dotted = domain.n > 1 && domain.p[0] == '.';
	struct str normal =
	    envelope_domain(a, str_sub(domain, dotted, domain.n));
	bool ok = false;

	if (normal.p == NULL || !is_domain(normal))
		buf_adds(why,
		    "not a domain, such as example.org or "
		    ".example.org");
	else if (!str_ieq(normal, str_sub(domain, dotted, domain.n)))
		buf_printf(why, "this domain is written %s%.*s",
		    dotted ? "." : "", STR_FMT(normal));
	else
		ok = true;
	arena_free(&a);
	return ok;
}

static bool
is_over(const struct override *o)
{
	return o->until_ms > 0 && clock_wall_ms() >= o->until_ms;
}

enum table_fault
override_judge(const void *arg, struct str domain, struct str value,
    struct buf *why, struct str *at)
{
	struct override o;
	const char *what;

	(void)arg;
	(void)at;
	if (!domain_normal(domain, why))
		return TABLE_BAD_ENTRY;
	if (!override_parse(value, &o, &what)) {
		buf_adds(why, what);
		return TABLE_BAD_VALUE;
	}
	if (!is_over(&o))
		return TABLE_FINE;
	buf_adds(why, "this day is over: the entry is ignored");
	return TABLE_WARN_VALUE;
}

/* ".x.example.org" to ".example.org"; false at the end. */
static bool
climb(struct str *dotted)
{
	ptrdiff_t dot = str_chr(str_sub(*dotted, 1, dotted->n), '.');

	if (dot < 0)
		return false;
	*dotted = str_sub(*dotted, (size_t)dot + 1, dotted->n);
	return true;
}

bool
override_find(struct txn *txn, struct str domain, struct dmarc_override *found)
{
	const struct table *table = txn->session->policy->dmarc_override;
	struct str key = domain, dotted, value;
	struct override o;
	const char *why;

	if (table == NULL)
		return false;
	dotted = arena_printf(txn->arena, ".%.*s", STR_FMT(domain));
	/* A dotted key finds the nearest entry at it or above. */
	while (dotted.n > 1 && table_lookup(table, key, txn->arena, &value) &&
	    override_parse(value, &o, &why)) {
		if (!is_over(&o)) {
			*found = (struct dmarc_override){ .policy = o.policy,
				.pass = o.pass,
				.text = value };
			return true;
		}
		if (key.p == dotted.p && !climb(&dotted))
			return false;
		key = dotted;
	}
	return false;
}
