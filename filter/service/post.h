/*
 * post - hands a text to another machine: JSON by HTTP, a mail by SMTP.
 *
 * Each call waits for the other side, timeout_ms at most; it is for threads
 * that have nothing else to do.  Only http, https, smtp and smtps URLs are
 * spoken to, and none is followed elsewhere.  false with a text: it was not
 * taken.  post_init() comes once, before there are threads.  No other state.
 */
#ifndef SERVICE_POST_H
#define SERVICE_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

bool	post_init(void);
/* Anything but a 2xx status is a failure. */
bool	post_http(const char *url, struct str json, int64_t timeout_ms,
	    struct buf *err);
/* From the null sender (RFC 5321 section 4.5.5); CRLF lines. */
bool	post_mail(const char *url, const char *rcpt, struct str mail,
	    int64_t timeout_ms, struct buf *err);

#endif
