/*
 * arc_set - the ARC Sets of a message, read by RFC 8617 sections 4 and 5.2.
 *
 * Each hop added three fields with one instance number.  What passes here is
 * a chain without gaps or doubles, of well-formed fields, that says cv=pass
 * all the way down to a cv=none; nothing has been verified yet.  Tags are
 * copied into the arena, fields stay the message's.  Nothing here waits.
 * Any thread.
 */
#ifndef CHECK_ARC_SET_H
#define CHECK_ARC_SET_H

#include "base/arena.h"
#include "check/check.h"
#include "check/dkim_signature.h"
#include "mail/header.h"

#define ARC_MAX_SETS	50	/* RFC 8617 section 4.2.1 */

enum arc_cv { ARC_CV_MISSING, ARC_CV_NONE, ARC_CV_PASS, ARC_CV_FAIL };

struct arc_tags {
	struct dkim_tags dkim;		/* but for its i */
	unsigned int	 i;
	enum arc_cv	 cv;
};

struct arc_set {
	const struct header *results;	/* ARC-Authentication-Results */
	const struct header *signature;	/* ARC-Message-Signature */
	const struct header *seal;	/* ARC-Seal */
	struct arc_tags	 ams, as;
	const char	*ams_problem;	/* static; NULL: well-formed */
};

struct arc_chain {
	struct arc_set	*sets;		/* sets[0] is i=1 */
	unsigned int	 count;		/* 0: no field of ARC's */
	const char	*problem;	/* static; the chain has failed */
};

/* false: the arena is full. */
bool		 arc_chain_read(struct arena *, const struct headers *,
		    struct arc_chain *);

/* One field.  false: *why is set (static); i is set if that one is valid. */
bool		 arc_seal_parse(struct arena *, struct str value,
		    struct arc_tags *, const char **why);
bool		 arc_signature_parse(struct arena *, struct str value,
		    struct arc_tags *, const char **why);
/*
 * i= of an ARC-Authentication-Results field; 0: it has none.  *rest is what
 * stands behind its semicolon.
 */
unsigned int	 arc_results_instance(struct str value, struct str *rest);
/* What a method came to there: its first result, or pass where `any' is set
 * and one of them is; AUTH_UNKNOWN: it is not there, or is no known word. */
enum auth_result arc_results_find(struct str value, struct str method,
		    bool any);

#endif
