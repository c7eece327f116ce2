/*
 * log - one line an event, key=value, to stderr or syslog.
 *
 * Every event is a row of LOG_EVENTS: its word stands in the line as
 * event=WORD, and the manual's table is made from the rows.  Values that a
 * stranger sent are escaped here (buf_quoted), never by the caller.
 * Any thread may log; a line is written whole.  A log that can't be written
 * is dropped: logging never fails a message.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/str.h"

#define LOG_EVENTS(X)							\
	X(START, INFO, "start", "the daemon listens")			\
	X(STOP, INFO, "stop", "the daemon ends")			\
	X(RELOAD, INFO, "reload", "a new policy is in force")		\
	X(RELOAD_FAILED, ERROR, "reload-failed",			\
	    "a policy has mistakes; the old one stays")			\
	X(MESSAGE, INFO, "message", "a message was judged")		\
	X(REFUSED, INFO, "refused",					\
	    "a connection, HELO, sender or recipient was refused")	\
	X(SHADOW, INFO, "shadow", "what a shadow rule would have done")	\
	X(RULE, INFO, "rule", "a rule's log action")			\
	X(DNS, WARN, "dns", "a lookup failed or passed its deadline")	\
	X(SCORE, WARN, "score",						\
	    "a message was too much for a score rule")			\
	X(STORE, ERROR, "store", "the state store failed or is back")	\
	X(TABLE, WARN, "table", "a table file was reread or can't be")	\
	X(MTA, WARN, "mta", "the MTA offers less than the policy wants") \
	X(BLOCK, WARN, "block", "a key was blocked or released")	\
	X(ADMIN, WARN, "admin", "a command changed something")		\
	X(NOTIFY, WARN, "notify",					\
	    "a notice was given, or could not be")			\
	X(SIGN, WARN, "sign", "a message could not be signed")		\
	X(OVERFLOW, WARN, "overflow",					\
	    "a message needed more memory than allowed")		\
	X(INTERNAL, ERROR, "internal", "something that should not happen") \
	X(DEBUG, DEBUG, "debug", "details for debugging")

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG };

enum log_event {
#define X(id, level, word, help) LOG_EV_##id,
	LOG_EVENTS(X)
#undef X
	LOG_EV_COUNT
};

enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_NOWHERE };

void	log_open(enum log_to, enum log_level most);
/* fmt names keys and values: log_event(LOG_EV_DNS, "name=%s ms=%d", n, ms).
 * Every %s and %.*s value is quoted as needed (buf_quoted); also known:
 * %d %u %ld %lu %lld %llu %zu %c %x %.Nf %%. */
void	log_event(enum log_event, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* A line the caller built as key=value with buf_quoted(). */
void	log_line(enum log_event, struct str line);
bool	log_wants(enum log_event);
const char *log_event_word(enum log_event);
const char *log_event_help(enum log_event);

#endif
