/*
 * limit - how much a key may send: asked, reserved, committed, given back.
 *
 * limit_over() asks for what this event would use and reserves it.  A charge
 * belongs to the recipient that was asked about (stage rcpt), or to the
 * message.  The stages:
 *   limit_event()     a new event begins (connect, MAIL, each RCPT, message)
 *   limit_over()      any number of times; one answer a limit and event
 *   limit_keep()      the event was let pass: its charges stay reserved
 *   limit_drop()      the event was refused: its charges are given back
 *   limit_commit()    the message was accepted: all kept charges count
 * What is neither committed nor dropped is given back with the txn's arena.
 * Nothing here points into a policy once a call has returned.
 *
 * What an event costs: `messages' one a message, carried by its first kept
 * recipient; `recipients' one at rcpt, at message what is accepted and not
 * yet held; at mail none, but one must fit; `bytes' the declared size, at
 * message the real one; `connections' one a connection, counted when it is
 * let pass; each `distinct' member one where the window does not remember
 * it.  `rejected recipients' are only read.  A key with a recipient in
 * it is asked at message for every accepted one.
 *
 * limit_commit() counts what was asked only before it was known (all
 * recipients of a limit asked at mail alone, bytes beyond those declared)
 * even past the maximum; so that this does not happen, the policy asks rules
 * that refuse again when it is known.  Rules in shadow charge as others do, or
 * their limits would never fill.
 */
#ifndef CHECK_LIMIT_H
#define CHECK_LIMIT_H

#include "check/check.h"
#include "check/key.h"

/* Units known now; the table is the one place to add more. */
#define LIMIT_UNITS(X)							\
	X(CONNECTIONS,	"connections",	STAGE_CONNECT)			\
	X(MESSAGES,	"messages",	STAGE_MAIL)			\
	X(RECIPIENTS,	"recipients",	STAGE_MAIL)			\
	X(BYTES,	"bytes",	STAGE_MAIL)			\
	X(REJECTED,	"rejected recipients", STAGE_CONNECT)		\
	X(MAILBOXES,	"distinct recipients", STAGE_RCPT)		\
	X(CLIENTS,	"distinct clients", STAGE_CONNECT)		\
	X(SENDERS,	"distinct senders", STAGE_MAIL)			\
	X(COUNTRIES,	"distinct countries", STAGE_CONNECT)

enum limit_unit {
#define X(id, word, stage) LIMIT_##id,
	LIMIT_UNITS(X)
#undef X
	LIMIT_UNIT_COUNT
};

struct limit_window {
	enum limit_unit	 unit;
	uint64_t	 max;
	int64_t		 window_ms;
	struct str	 text;		/* "1h", for {limit.window} */
};

struct limit {
	struct str	 name;
	struct key	 key;
	struct limit_window *windows;
	size_t		 count;
	/* Keys with maxima of their own: false where this one (its text) has
	 * none, else max[] is set, one a window.  NULL: no key has. */
	bool		 (*own)(const struct limit *, struct str key,
			    uint64_t *max);
	const void	*own_from;	/* whatever own() reads */
};

#define LIMIT_WINDOWS_MAX 16
#define LIMIT_UNLIMITED	UINT64_MAX	/* counted all the same */

enum limit_answer { LIMIT_FREE, LIMIT_OVER, LIMIT_UNKNOWN };

/* What {limit.name}, {limit.max}, {limit.window}, {limit.used}, {limit.retry}
 * say; about the window that is full. */
struct limit_info {
	const struct limit *limit;
	const struct limit_window *window;
	struct str	 key;
	uint64_t	 max;		/* for this key */
	uint64_t	 used;
	int64_t		 retry_ms;
};

const char	*limit_unit_word(enum limit_unit);
bool		 limit_unit_parse(struct str, enum limit_unit *);
bool		 limit_unit_distinct(enum limit_unit);
/* The first stage it can be asked at. */
enum stage	 limit_unit_stage(enum limit_unit);
bool		 limit_only_read(const struct limit *);	/* REJECTED alone */
/* What a key may use, one a window: its own maxima or the limit's. */
void		 limit_maxima(const struct limit *, struct str key,
		    uint64_t *max);
void		 limit_event(struct session *, enum stage);
/* LIMIT_FREE where the message has no such key, LIMIT_UNKNOWN when the store
 * is down or missing; what passes then is counted when the store is back. */
enum limit_answer limit_over(struct session *, const struct limit *,
		    enum stage, struct limit_info *);
/* Would this event bring it to that share of a maximum, 1 to 100?  Reserves
 * nothing; what the event has reserved already is part of what is used. */
enum limit_answer limit_near(struct session *, const struct limit *,
		    enum stage, unsigned int percent, struct limit_info *);
/* Has this message, so far, got what it asked of the limit? */
bool		 limit_granted(struct session *, const struct limit *);
void		 limit_keep(struct session *, enum stage);
void		 limit_drop(struct session *, enum stage);
/* Before the MTA is told "accept".  false: the store is down; the charges are
 * counted in memory and stand, unless limit_drop() takes them back. */
bool		 limit_commit(struct txn *);
/* Counts one rejected recipient for each of those limits. */
void		 limit_count_rejected(struct session *,
		    const struct limit *const *limits, size_t n);

/* Blocks: a note under the key's text. */
bool		 block_set(struct services *, struct str key, int64_t for_ms,
		    struct str by);
enum limit_answer block_check(struct services *, struct str key,
		    int64_t *until_ms);

#endif
