/*
 * auth_rule - SpamAssassin's functions about SPF, DKIM, DMARC and ARC,
 * answered from our own checks.
 *
 * The stock files name their rules (SPF_PASS, DKIM_VALID_AU, DMARC_REJECT);
 * here are the functions that they call.  auth_rule_value() may wait for
 * DNS, at most until check_deadline(), as the check it asks does.  A result
 * that could not be had is a rule that does not hit.
 */
#ifndef SCORE_AUTH_RULE_H
#define SCORE_AUTH_RULE_H

#include <stdbool.h>

#include "base/str.h"
#include "mail/session.h"
#include "score/ruleset.h"

struct score_rule;

/* What rules in force ask about a message. */
enum auth_rule_wants {
	AUTH_RULE_SPF		= 1 << 0,
	AUTH_RULE_SPF_HELO	= 1 << 1,
	AUTH_RULE_DKIM		= 1 << 2,
	AUTH_RULE_DMARC		= 1 << 3,
	AUTH_RULE_ARC		= 1 << 4
};

unsigned int	 auth_rule_wants(const struct ruleset *);
bool		 auth_rule_known(struct str function);
/* 1 if it hits, else 0; 0 for functions that are not known here. */
double		 auth_rule_value(struct txn *, const struct score_rule *);

#endif
