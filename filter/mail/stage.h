/*
 * stage - the five points of an SMTP transaction where postern decides.
 *
 * One table: a stage's number, its word in the policy file and in logs.
 */
#ifndef MAIL_STAGE_H
#define MAIL_STAGE_H

#include <stdbool.h>

#include "base/str.h"

#define STAGES(X)							\
	X(CONNECT,	"connect")					\
	X(HELO,		"helo")						\
	X(MAIL,		"mail")						\
	X(RCPT,		"rcpt")						\
	X(MESSAGE,	"message")

enum stage {
#define X(id, word) STAGE_##id,
	STAGES(X)
#undef X
	STAGE_COUNT
};

const char	*stage_word(enum stage);
bool		 stage_parse(struct str word, enum stage *);

#endif
