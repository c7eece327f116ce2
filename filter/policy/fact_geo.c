#include "policy/fact_get.h"
#include "policy/policy.h"
#include "service/geoip.h"

/* false with the value settled. */
static bool
known(enum geoip_answer answer, struct value *out)
{
	if (answer == GEOIP_UNKNOWN)
		fact_set_unknown(out, "geoip");
	out->absent = answer == GEOIP_NONE;
	return answer == GEOIP_FOUND;
}

static struct geoip *
geoip_of(const struct session *s)
{
	return s->policy != NULL ? s->policy->geoip : NULL;
}

void
fact_get_country(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	struct geoip *geoip = geoip_of(s);
	enum geoip_answer answer = GEOIP_UNKNOWN;
	char code[3];

	(void)ref;
	if (geoip != NULL)
		answer = geoip_country(geoip, &s->client, code);
	if (known(answer, out))
		fact_set_text(out, arena_str(session_arena(s), str_of(code)));
}

void
fact_get_asn(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct geoip *geoip = geoip_of(s);
	enum geoip_answer answer = GEOIP_UNKNOWN;
	uint32_t asn;

	(void)ref;
	if (geoip != NULL)
		answer = geoip_asn(geoip, &s->client, &asn);
	if (known(answer, out))
		fact_set_text(out, arena_printf(session_arena(s), "AS%u", asn));
}

struct str
fact_country(const struct session *s)
{
	struct geoip *geoip = geoip_of(s);
	char code[3];

	if (geoip == NULL ||
	    geoip_country(geoip, &s->client, code) != GEOIP_FOUND)
		return STR_NONE;
	return arena_str(s->txn != NULL ? s->txn->arena : s->arena,
	    str_of(code));
}
