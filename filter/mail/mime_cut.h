/*
 * mime_cut - how much of a message the MIME parser may see.
 *
 * Parts, header fields and parameters by the hundred thousand cost GMime
 * seconds and hundreds of megabytes.  mime_cut() walks over the lines once
 * and finds where the first of these caps is met.  It takes at least
 * those lines for header fields and boundaries that GMime does: a boundary
 * written in an unusual way makes every line that begins with "--" one.
 *
 * Linear, no memory but the stack.  Any thread.
 */
#ifndef MAIL_MIME_CUT_H
#define MAIL_MIME_CUT_H

#include <stddef.h>

#include "base/str.h"

#define MIME_CUT_PARTS		2050	/* boundaries, and messages inside */
#define MIME_CUT_BLOCK_LINES	1000	/* of the header of one part */
#define MIME_CUT_BLOCK_BYTES	(128 * 1024)
#define MIME_CUT_HEAD_LINES	20000	/* of all parts */
#define MIME_CUT_HEAD_BYTES	(1024 * 1024)
#define MIME_CUT_PARAMETERS	5000
#define MIME_CUT_BOUNDARIES	64
/* A line that begins with "--" is compared with each boundary. */
#define MIME_CUT_COMPARES	(8 * 1000 * 1000)

/* head: the message's own Content-* fields, in lines; the bytes of body that
 * are within all caps. */
size_t	mime_cut(struct str head, struct str body);
/* The same; says which cap was met in *odd, as ODD() of mail/oddity.h. */
size_t	mime_cut_why(struct str head, struct str body, unsigned int *odd);

#endif
