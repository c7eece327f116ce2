/*
 * report - a judgement on paper: for people, or as one JSON object a line.
 *
 * The JSON's keys are an interface: scripts rely on them (see postern(8)).
 * Reads the session after road_message() (or after the stage that
 * refused it); nothing is kept.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include "base/str.h"
#include "mail/session.h"
#include "policy/road.h"

struct judgement {
	struct str	 file;
	struct session	*session;
	enum action	 action;
	enum stage	 stage;
	struct reply	 reply;
	struct str	 rule;
	const struct edit *edits;
	struct str	 quarantine;
};

void	report_json(const struct judgement *, struct buf *out);
void	report_text(const struct judgement *, struct buf *out);

#endif
