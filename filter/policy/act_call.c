/*
 * Rules that call others: programs to notify, the key to sign with.
 */
#include "base/log.h"
#include "check/dkim.h"
#include "policy/eval.h"
#include "policy/text.h"

void
act_sign(struct eval *e, const struct rule *rule)
{
	struct str value;
	const char *why = "memory";

	e->detail = rule->name;
	if (dkim_sign_message(e->session->txn, rule->name, rule->selector,
		rule->keyfile, &value, &why)) {
		verdict_edit(e->arena, e->verdict, EDIT_INSERT,
		    STR("DKIM-Signature"), value, 0);
		return;
	}
	e->detail = arena_printf(e->arena, "not signed: %s", why);
	trace_fact(e->trace, STR("sign"), e->detail, true, 0, e->stage);
	log_event(LOG_EV_INTERNAL, "id=%llu rule=%.*s key=%.*s problem=%s",
	    (unsigned long long)e->session->id, STR_FMT(rule->where),
	    STR_FMT(rule->keyfile), why);
}
