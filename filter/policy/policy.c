#include "policy/policy.h"

#include <stdlib.h>

#include "base/mem.h"
#include "policy/parse.h"
#include "policy/resolve.h"
#include "policy/setting.h"

static void
policy_free(struct policy *policy)
{
	for (size_t i = 0; i < policy->ntables; i++)
		table_free(&policy->tables[i]);
	for (size_t i = 0; i < policy->nregexes; i++)
		regex_free(&policy->regexes[i]);
	free(policy->tables);
	free(policy->regexes);
	free(policy->dnsbls);
	free(policy->limits);
	free(policy->rejected_limits);
	arena_free(&policy->arena);
	free(policy);
}

static bool
policy_load_rules(struct parse *p)
{
	diag_error(p->diag, p->policy->settings.place[SETTING_RULES],
	    "this build has no score layer");
	return false;
}

bool
policy_has_rule(const struct policy *policy, struct str name)
{
	(void)policy;
	(void)name;
	return true;
}

struct policy *
policy_load(const char *path, bool shadow, struct diag *diag)
{
	struct policy *policy = mem_alloc(sizeof(*policy));
	struct parse p;

	atomic_init(&policy->refs, 1);
	policy->arena = arena_new(SIZE_MAX);
	policy->shadow = shadow;
	parse_init(&p, policy, diag);
	parse_file(&p, str_of(path), (struct place){ .source = NULL });
	setting_defaults(&policy->settings, policy->arena, diag);
	if (policy->settings.text[SETTING_RULES].n > 0)
		policy_load_rules(&p);
	resolve_policy(&p);
	parse_done(&p);
	if (diag_errors(diag) == 0)
		return policy;
	policy_free(policy);
	return NULL;
}

struct policy *
policy_ref(struct policy *policy)
{
	atomic_fetch_add(&policy->refs, 1);
	return policy;
}

void
policy_release(struct policy **policy)
{
	if (*policy != NULL && atomic_fetch_sub(&(*policy)->refs, 1) == 1)
		policy_free(*policy);
	*policy = NULL;
}

void
policy_refresh(struct policy *policy)
{
	for (size_t i = 0; i < policy->ntables; i++)
		table_refresh(policy->tables[i]);
}
