/*
 * eval - the functions that rules call: eval:NAME(args).
 *
 * A rule whose function is not in the table is left out when it is loaded.
 */
#ifndef SCORE_EVAL_H
#define SCORE_EVAL_H

#include "base/str.h"

struct eval_def;

const struct eval_def *eval_find(struct str name);

#endif
