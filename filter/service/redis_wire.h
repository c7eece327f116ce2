/*
 * redis_wire - a connection to a Redis or Valkey server: commands out,
 * replies in, each within a time.
 *
 * One thread at a time; without TLS, one may send while another waits for a
 * reply.  Whatever fails makes the connection useless: why was said, and it is
 * to be closed.  Replies are hiredis' own structures, for freeReplyObject().
 */
#ifndef SERVICE_REDIS_WIRE_H
#define SERVICE_REDIS_WIRE_H

#include <hiredis/hiredis.h>

#include "base/str.h"
#include "service/redis_url.h"

#define REDIS_TIMEOUT_MS 1000

struct redis_wire;

/*
 * Connects to the node `first' (of the hosts there are, and so on round),
 * logs in, and follows where a cluster says that `key' lives.  *refused:
 * somebody answered, and does not want us.
 */
struct redis_wire *redis_wire_open(const struct redis_url *, size_t first,
    struct str key, bool *refused, struct buf *why);
void		 redis_wire_close(struct redis_wire **);
/* Who sends or waits, fails at once: any thread, before it is closed. */
void		 redis_wire_cut(struct redis_wire *);
bool		 redis_wire_send(struct redis_wire *, struct str bytes,
		    struct buf *why);
/* Lets others run who can; not for a while, where there are so many that it
 * takes long. */
void		 redis_wire_yield(struct redis_wire *);
/* NULL: nothing came in time, or no RESP.  Errors are replies, too. */
redisReply	*redis_wire_reply(struct redis_wire *, struct buf *why);
/* One command of n words; NULL with *why for errors as well. */
redisReply	*redis_wire_ask(struct redis_wire *, const struct str *words,
    size_t n, struct buf *why);
/* The bytes of a command: its head for n words, then each word; or a word's
 * length, n bytes of the caller's, and "\r\n". */
void		 redis_wire_head(struct buf *, size_t n);
void		 redis_wire_word(struct buf *, struct str);
void		 redis_wire_length(struct buf *, size_t n);
/* In decimal. */
void		 redis_wire_number(struct buf *, uint64_t);

#endif
