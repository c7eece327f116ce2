#include "mail/filetype.h"
#include "policy/fact.h"

static const char *const spf_words[] = { "none", "fail", "pass", "neutral",
	"softfail", "temperror", "permerror", NULL };
static const char *const dkim_words[] = { "none", "pass", "fail", "neutral",
	"policy", "temperror", "permerror", NULL };
static const char *const dmarc_words[] = { "none", "pass", "fail", "reject",
	"quarantine", "temperror", "permerror", NULL };
static const char *const dmarc_policy_words[] = { "none", "quarantine",
	"reject", NULL };

static const char *const arc_words[] = { "none", "pass", "fail", "temperror",
	NULL };
static const char *const claim_words[] = { "none", "pass", "fail", "neutral",
	"softfail", "policy", "temperror", "permerror", NULL };

#define WORDS(id)                                                              \
	((id) == FACT_SPF		  ? spf_words :          \
		(id) == FACT_SPF_HELO	  ? spf_words :          \
		(id) == FACT_DKIM	  ? dkim_words :         \
		(id) == FACT_DMARC	  ? dmarc_words :        \
		(id) == FACT_DMARC_POLICY ? dmarc_policy_words : \
		(id) == FACT_ARC	  ? arc_words :          \
		(id) == FACT_ARC_SPF	  ? claim_words :        \
		(id) == FACT_ARC_DKIM	  ? claim_words :        \
		(id) == FACT_ARC_DMARC	  ? claim_words :        \
		(id) == FACT_ATTACHMENT_MAGIC ? filetype_words : \
						NULL)

static const struct fact_def defs[FACT_COUNT] = {
#define X(i, nam, st, k, arg, need, text)                                      \
	[FACT_##i] = { .id = FACT_##i,                                         \
		.name = nam,                                                   \
		.stage = STAGE_##st,                                           \
		.kind = VALUE_##k,                                             \
		.takes_arg = (arg) != 0,                                       \
		.needs = (need),                                               \
		.help = text,                                                  \
		.words = WORDS(FACT_##i) },
	FACTS(X)
#undef X
};

static const char *const names[FACT_COUNT] = {
#define X(i, nam, st, k, arg, need, text) [FACT_##i] = nam,
	FACTS(X)
#undef X
};

const struct fact_def *
fact_find(struct str name)
{
	for (size_t i = 0; i < FACT_COUNT; i++)
		if (str_eq(name, str_of(names[i])))
			return &defs[i];
	return NULL;
}

const struct fact_def *
fact_by_id(enum fact_id id)
{
	return &defs[id];
}

const char *const *
fact_names(size_t *n)
{
	*n = FACT_COUNT;
	return names;
}
