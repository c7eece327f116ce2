/*
 * text - "text with {facts}", written out.
 *
 * The result lives in the arena of the message, or of the connection where
 * there is none; "" when the arena is full.  Control characters that a fact
 * brings become spaces, so that a stranger can't add lines to a reply or a
 * header field.  Facts that are read stand in the trace.  One fact adds at
 * most 8 KB, a whole text is at most 32 KB.
 */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include "base/str.h"
#include "mail/session.h"
#include "policy/ast.h"
#include "policy/trace.h"

/* May compute facts, and so wait. */
struct str	text_render(struct session *, enum stage, const struct text *);

#endif
