#include "policy/policy.h"

#include <stdlib.h>

#include "base/mem.h"
#include "check/dkim_signer.h"
#include "policy/parse.h"
#include "policy/resolve.h"
#include "policy/setting.h"
#include "score/ruleset.h"
#include "service/geoip.h"

#define LEFT_OUT_TOLD 10
#define PROBLEMS_MAX  (1024 * 1024)

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
	ruleset_free(&policy->ruleset);
	geoip_free(&policy->geoip);
	dkim_signers_free(&policy->signers);
	arena_free(&policy->arena);
	free(policy);
}

/* What a rule file has that is left out: the first lines, and how many. */
static void
warn_left_out(struct parse *p, const struct buf *problems)
{
	struct place at = p->policy->settings.place[SETTING_RULES];
	struct str line, rest = buf_str(problems);
	size_t lines = 0;

	while (rest.p != NULL && rest.n > 0) {
		line = str_cut(rest, '\n', &rest);
		if (line.n > 0 && lines++ < LEFT_OUT_TOLD)
			diag_warn(p->diag, at, "%.*s", STR_FMT(line));
	}
	if (lines > LEFT_OUT_TOLD)
		diag_warn(p->diag, at, "%zu lines more are left out",
		    lines - LEFT_OUT_TOLD);
}

static void
policy_load_rules(struct parse *p)
{
	struct settings *set = &p->policy->settings;
	struct buf problems = BUF_INIT(PROBLEMS_MAX);
	struct buf err = BUF_INIT(4000);

	p->policy->ruleset =
	    ruleset_load(set->text[SETTING_RULES], &problems, &err);
	if (p->policy->ruleset == NULL)
		diag_error(p->diag, set->place[SETTING_RULES], "%.*s",
		    STR_FMT(buf_str(&err)));
	else
		warn_left_out(p, &problems);
	buf_free(&problems);
	buf_free(&err);
}

bool
policy_want_rule(const struct policy *policy, struct str name)
{
	return policy->ruleset == NULL || ruleset_want(policy->ruleset, name);
}

/* A database that is not there yet keeps nobody from starting. */
static void
policy_load_geoip(struct parse *p)
{
	struct settings *set = &p->policy->settings;
	struct str path, rest = set->text[SETTING_GEOIP];
	struct buf err = BUF_INIT(4000);

	p->policy->geoip = geoip_new();
	while (rest.p != NULL && rest.n > 0) {
		path = arena_str(p->arena, str_cut(rest, ' ', &rest));
		if (!geoip_add(p->policy->geoip, path.p, &err))
			diag_warn(p->diag, set->place[SETTING_GEOIP], "%.*s",
			    STR_FMT(buf_str(&err)));
		buf_truncate(&err, 0);
	}
	buf_free(&err);
}

static void
policy_begin(struct parse *p, bool shadow, struct diag *diag)
{
	struct policy *policy = mem_alloc(sizeof(*policy));

	atomic_init(&policy->refs, 1);
	policy->arena = arena_new(SIZE_MAX);
	policy->shadow = shadow;
	parse_init(p, policy, diag);
}

/* What is left to do when all files are read. */
static struct policy *
policy_end(struct parse *p)
{
	struct policy *policy = p->policy;

	setting_defaults(&policy->settings, policy->arena, p->diag);
	if (policy->settings.text[SETTING_RULES].n > 0)
		policy_load_rules(p);
	if (policy->settings.text[SETTING_GEOIP].n > 0)
		policy_load_geoip(p);
	parse_signing_end(p);
	resolve_policy(p);
	parse_done(p);
	if (diag_errors(p->diag) == 0)
		return policy;
	policy_free(policy);
	return NULL;
}

struct policy *
policy_load(const char *path, bool shadow, struct diag *diag)
{
	struct parse p;

	policy_begin(&p, shadow, diag);
	parse_file(&p, str_of(path), (struct place){ .source = NULL });
	return policy_end(&p);
}

struct policy *
policy_load_settings(const char *path, struct diag *diag)
{
	struct policy *policy;
	struct parse p;

	policy_begin(&p, false, diag);
	policy = p.policy;
	parse_file(&p, str_of(path), (struct place){ .source = NULL });
	setting_defaults(&policy->settings, policy->arena, diag);
	parse_done(&p);
	if (policy->sources == NULL)
		policy_release(&policy);
	return policy;
}

struct policy *
policy_load_text(struct str name, struct str text, bool shadow,
    struct diag *diag)
{
	struct parse p;

	policy_begin(&p, shadow, diag);
	parse_text(&p, name, text);
	return policy_end(&p);
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
	if (policy->geoip != NULL)
		geoip_refresh(policy->geoip);
}
