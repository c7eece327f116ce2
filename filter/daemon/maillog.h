/*
 * maillog - mail of the past, as a log of Postfix tells of it.
 *
 * Lines go in as they stand in the log (syslog's time stamps, RFC 3339 ones,
 * those of `journalctl -o short-iso'); connections, messages and refused
 * recipients come out, in the order of time.  One message is told on many
 * lines: smtpd says who brings it, qmgr from whom and to how many, each
 * delivery one recipient.  So an event waits, and those behind it, until all
 * recipients are known, or MAILLOG_HOLD_MS of the log's time have passed; no
 * more than MAILLOG_WAITING events wait.  Recipients that are not named by
 * then are counted all the same (unnamed).
 *
 * Not told: mail that was refused, or given up, after its envelope; what
 * another filter refused; mail that comes back from a content filter; notices
 * of Postfix itself.  A log names no HELO name of accepted mail, no sizes
 * that clients declared, and no content.
 *
 * A stranger has written some of a log: whatever a line says, a maillog takes
 * bounded memory and time linear in its bytes.  Lines that are no log
 * lines are counted.  One thread.  Strings of an event live for the call.
 */
#ifndef DAEMON_MAILLOG_H
#define DAEMON_MAILLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

#define MAILLOG_HOLD_MS	(10 * 60 * 1000)
#define MAILLOG_WAITING	20000	/* events */
#define MAILLOG_NAMES	500000	/* recipients of messages that wait */
#define MAILLOG_LINE_MAX 16384	/* bytes of a line that are read */

enum maillog_kind {
	MAILLOG_CONNECT,
	MAILLOG_MESSAGE,
	MAILLOG_REFUSED,	/* a recipient, by the MTA itself */
	MAILLOG_DISCONNECT
};

struct maillog_event {
	enum maillog_kind kind;
	int64_t		 at_ms;
	uint64_t	 connection;	/* from 1; 0: its begin is not logged */
	struct addr	 client;	/* ADDR_NONE: local submission */
	struct str	 client_name;	/* "" for "unknown" */
	struct str	 user, queue_id;
	struct str	 sender;	/* without <> */
	uint64_t	 size;
	const struct str *rcpts;	/* as the client named them */
	size_t		 nrcpts;
	uint64_t	 unnamed;
};

struct maillog_stats {
	uint64_t	 lines, bad, foreign;	/* foreign: of other programs */
	uint64_t	 messages, recipients, refused;
	uint64_t	 filtered;	/* refused by a filter or for content */
	uint64_t	 unfinished;	/* begun, and never queued */
	uint64_t	 unnamed;	/* recipients */
	int64_t		 first_ms, last_ms;	/* 0: no line */
};

struct maillog;

/* now_ms: for time stamps without a year; they lie before it. */
struct maillog	*maillog_new(int64_t now_ms,
		    void (*event)(void *, const struct maillog_event *),
		    void *arg);
void		 maillog_line(struct maillog *, struct str line);
/* Tells what still waits. */
void		 maillog_end(struct maillog *);
const struct maillog_stats *maillog_stats(const struct maillog *);
void		 maillog_free(struct maillog **);

#endif
