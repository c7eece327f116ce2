/*
 * resolve - binds the names of a parsed policy and checks what it means.
 *
 * Kinds, stages, words, what is never reached or never used; then sums up
 * what must be collected for the rules.  All mistakes go to the diag.  One
 * loading thread, after all files are read.
 */
#ifndef POLICY_RESOLVE_H
#define POLICY_RESOLVE_H

#include "policy/parse.h"

void	resolve_policy(struct parse *);

#endif
