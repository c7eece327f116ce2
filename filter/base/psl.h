/*
 * psl - the public suffix list: where the registered part of a name begins.
 *
 * The newest of Debian's file and the list that libpsl was built with, which
 * nobody else sees.  Read once at the start and never written again, so any
 * thread may ask.  Names are lower case A-labels without the last dot.
 */
#ifndef BASE_PSL_H
#define BASE_PSL_H

#include <stdbool.h>

#include "base/str.h"

bool		psl_global_init(void);	/* false: there is no list */
void		psl_global_free(void);
/* "example.co.uk" of "www.example.co.uk": a slice of it, "" if there is
 * none.  At most 253 bytes. */
struct str	psl_domain(struct str name);
/* Is it a top level that names are registered under? */
bool		psl_top_level(struct str label);

#endif
