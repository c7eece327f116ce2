/*
 * mime - the parts of a message, by GMime, which nobody else sees.
 *
 * What GMime would spend seconds and hundreds of megabytes on (parts,
 * header fields, parameters by the hundred thousand) is cut off before it
 * sees the message; `truncated' says so.  Depth, decoded size and
 * the number of links have caps of their own.  Nothing of GMime outlives the
 * call: what is returned lives in the arena.  Any thread, one message each.
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "mail/body.h"

/* NULL only when the arena is full. */
struct content	*mime_parse(struct arena *, const struct headers *,
		    struct str body);

#endif
