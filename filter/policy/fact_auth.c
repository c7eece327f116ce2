#include <stddef.h>

#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "policy/fact_get.h"

/* An RFC 8601 word.  temperror is a value here; conditions other than one
 * that names it take it for unknown (cond.c). */
static void
set_result(struct value *out, enum auth_result result)
{
	if (result == AUTH_UNKNOWN)
		fact_set_unknown(out, "not evaluated");
	else
		fact_set_word(out, auth_result_word(result));
}

static const struct spf_result *
spf_of(struct session *s, struct value *out)
{
	const struct spf_result *spf;

	if (fact_txn_of(s, out) == NULL)
		return NULL;
	if ((spf = spf_check(s->txn)) == NULL)
		fact_set_unknown(out, "memory");
	return spf;
}

void
fact_get_spf(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct spf_result *spf = spf_of(s, out);

	(void)ref;
	if (spf != NULL)
		set_result(out, spf->result);
}

void
fact_get_spf_explanation(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct spf_result *spf = spf_of(s, out);

	(void)ref;
	if (spf != NULL)
		fact_set_text(out, spf->explanation);
}

void
fact_get_spf_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct spf_result *spf = spf_of(s, out);

	(void)ref;
	if (spf != NULL)
		fact_set_text(out, spf->domain);
}

void
fact_get_spf_helo(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct spf_result *spf;

	(void)ref;
	if (fact_txn_of(s, out) == NULL)
		return;
	if ((spf = spf_check_helo(s->txn)) == NULL)
		fact_set_unknown(out, "memory");
	else
		set_result(out, spf->result);
}

void
fact_get_spf_received(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct spf_result *spf = spf_of(s, out);

	(void)ref;
	if (spf != NULL)
		fact_set_text(out, spf_received(s->txn, spf));
}

static const struct dkim_result *
dkim_of(struct session *s, struct value *out)
{
	const struct dkim_result *dkim;

	if (fact_txn_of(s, out) == NULL)
		return NULL;
	if ((dkim = dkim_check(s->txn)) == NULL)
		fact_set_unknown(out, "memory");
	return dkim;
}

void
fact_get_dkim(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct dkim_result *dkim = dkim_of(s, out);

	(void)ref;
	if (dkim != NULL)
		set_result(out, dkim->result);
}

void
fact_get_dkim_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct dkim_result *dkim = dkim_of(s, out);
	const struct dkim_signature *sig;
	struct fact_list list;

	(void)ref;
	if (dkim == NULL ||
	    !fact_list_begin(s, DKIM_MAX_SIGNATURES, &list, out))
		return;
	for (sig = dkim->signatures; sig != NULL; sig = sig->next)
		if (sig->result == AUTH_PASS)
			fact_list_add(&list, sig->domain);
	fact_list_end(&list, out);
	if (list.n == 0 && dkim->result == AUTH_TEMPERROR)
		fact_set_unknown(out, "DNS");
}

static const struct dmarc_result *
dmarc_of(struct session *s, struct value *out)
{
	const struct dmarc_result *dmarc;

	if (fact_txn_of(s, out) == NULL)
		return NULL;
	if ((dmarc = dmarc_check(s->txn)) == NULL)
		fact_set_unknown(out, "memory");
	return dmarc;
}

/* A failure is named by what the domain wants done about it. */
void
fact_get_dmarc(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct dmarc_result *dmarc = dmarc_of(s, out);

	(void)ref;
	if (dmarc == NULL)
		return;
	if (dmarc->result == AUTH_FAIL && dmarc->policy != DMARC_NONE)
		fact_set_word(out, dmarc_policy_word(dmarc->policy));
	else
		set_result(out, dmarc->result);
}

void
fact_get_dmarc_policy(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct dmarc_result *dmarc = dmarc_of(s, out);

	(void)ref;
	if (dmarc == NULL)
		return;
	switch (dmarc->result) {
	case AUTH_PASS:
	case AUTH_FAIL:
		fact_set_word(out, dmarc_policy_word(dmarc->policy));
		break;
	case AUTH_TEMPERROR:
	case AUTH_UNKNOWN:
		fact_set_unknown(out, "DNS");
		break;
	default:
		out->absent = true;
	}
}

static const struct arc_result *
arc_of(struct session *s, struct value *out)
{
	const struct arc_result *arc;

	if (fact_txn_of(s, out) == NULL)
		return NULL;
	if ((arc = arc_check(s->txn)) == NULL)
		fact_set_unknown(out, "memory");
	return arc;
}

void
fact_get_arc(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct arc_result *arc = arc_of(s, out);

	(void)ref;
	if (arc != NULL)
		set_result(out, arc->result);
}

/* Only a chain that passed says anything; one whose keys could not be had
 * might. */
static const struct arc_result *
passed_arc(struct session *s, struct value *out)
{
	const struct arc_result *arc = arc_of(s, out);

	if (arc == NULL || arc->result == AUTH_PASS)
		return arc;
	if (arc->result == AUTH_TEMPERROR || arc->result == AUTH_UNKNOWN)
		fact_set_unknown(out, "DNS");
	else
		out->absent = true;
	return NULL;
}

void
fact_get_arc_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct arc_result *arc = arc_of(s, out);
	struct fact_list list;

	(void)ref;
	if (arc == NULL || !fact_list_begin(s, arc->count, &list, out))
		return;
	/* Nothing at all, or these: a key that its owner keeps from us is no
	 * way around a rule about others. */
	if (arc->result != AUTH_PASS)
		fact_set_unknown(out, "DNS");
	for (unsigned int i = 0; i < arc->count; i++)
		fact_list_add(&list, arc->domains[i]);
	fact_list_end(&list, out);
}

/* What the first sealer found, at an offset of the result. */
static void
set_claim(struct session *s, size_t offset, struct value *out)
{
	const struct arc_result *arc = passed_arc(s, out);
	enum auth_result claim;

	if (arc == NULL)
		return;
	claim = *(const enum auth_result *)((const char *)arc + offset);
	if (claim == AUTH_UNKNOWN)
		out->absent = true;
	else
		fact_set_word(out, auth_result_word(claim));
}

void
fact_get_arc_spf(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_claim(s, offsetof(struct arc_result, spf), out);
}

void
fact_get_arc_dkim(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_claim(s, offsetof(struct arc_result, dkim), out);
}

void
fact_get_arc_dmarc(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_claim(s, offsetof(struct arc_result, dmarc), out);
}
