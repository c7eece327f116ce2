/*
 * spf_eval - check_host() of RFC 7208, for one identity.
 *
 * A record is parsed whole by spf_record.c before anything of it is acted
 * on, and every count that a stranger's record could drive is bounded
 * (section 4.6.4).  What is found lives in the query's arena.  Waits until
 * the query's deadline at most; never fails: an error is a result.  A full
 * arena is the caller's to see.  Any thread.
 */
#ifndef CHECK_SPF_EVAL_H
#define CHECK_SPF_EVAL_H

#include "check/spf.h"
#include "check/spf_record.h"

/* Terms whose lookups find nothing; section 4.6.4 recommends two. */
#define SPF_VOIDS_MAX	2

struct spf_query {
	struct arena	*arena;
	struct resolver	*resolver;
	int64_t		 deadline;	/* mono ms */
	struct spf_macros macros;	/* all but validated and arg */
	unsigned int	 voids_max;	/* 0: SPF_VOIDS_MAX */
};

/* Section 4.3: a name of several labels, none empty or over 63 bytes. */
bool		 spf_is_fqdn(struct str name);
/* Fills in result, explanation, problem and mechanism. */
void		 spf_eval(const struct spf_query *, struct spf_result *out);

#endif
