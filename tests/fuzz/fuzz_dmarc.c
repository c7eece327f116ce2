/* DMARC records, tag lists and organizational domains. */
#include <stdlib.h>

#include "base/psl.h"
#include "check/dmarc_record.h"
#include "check/taglist.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool held)
{
	if (!held)
		abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return psl_global_init() ? 0 : 1;
}

static void
check_record(struct str s)
{
	struct dmarc_record r;

	if (dmarc_record_parse(s, &r)) {
		must(dmarc_record_is(s));
		must(r.percent <= 100);
		must(dmarc_policy_word(r.policy) != NULL);
		must(dmarc_policy_word(r.subdomains) != NULL);
		must(dmarc_policy_word(r.nonexistent) != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s = { (const char *)data, n }, name, value, org;
	struct taglist l = TAGLIST(s);
	struct arena *a = arena_new(1 << 20);
	struct buf text = BUF_INIT(1 << 20);
	struct dmarc_record r;
	size_t tags = 0;

	while (taglist_next(&l, &name, &value))
		tags++;
	must(tags <= n / 2 + 1);
	buf_adds(&text, "v=DMARC1;");
	buf_addstr(&text, s);
	check_record(s);
	check_record(buf_str(&text));
	/* What follows a good record takes nothing away from it. */
	buf_truncate(&text, 0);
	buf_adds(&text, "v=DMARC1;p=reject;sp=none;np=quarantine;pct=7;");
	buf_addstr(&text, s);
	must(dmarc_record_parse(buf_str(&text), &r));
	must(r.policy == DMARC_REJECT && r.subdomains == DMARC_NONE);
	must(r.nonexistent == DMARC_QUARANTINE && r.percent == 7);
	org = dmarc_org_domain(a, s);
	must(org.n <= 253 && str_eq(dmarc_org_domain(a, org), org));
	buf_free(&text);
	arena_free(&a);
	return 0;
}
