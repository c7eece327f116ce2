/*
 * auth_fixture - a message on its way, with DNS from a zone in a string.
 */
#ifndef TESTS_UNIT_AUTH_FIXTURE_H
#define TESTS_UNIT_AUTH_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "check/check.h"

struct fixture {
	struct services	 services;
	struct session	*session;
	struct txn	*txn;
};

static inline struct resolver *
fixture_resolver(struct str zone)
{
	char path[] = "/tmp/postern-zone-XXXXXX", spec[64];
	int fd = mkstemp(path);
	struct buf err = BUF_INIT(4096);
	struct resolver *r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, zone.p, zone.n), (ssize_t)zone.n);
	close(fd);
	snprintf(spec, sizeof(spec), "file:%s", path);
	r = resolver_new(str_of(spec), &err);
	unlink(path);
	if (r == NULL)
		fail_msg("zone: %.*s", STR_FMT(buf_str(&err)));
	buf_free(&err);
	return r;
}

/* A message that waits at most wait_ms in all for the zone. */
static inline void
fixture_begin(struct fixture *f, int64_t wait_ms)
{
	f->session = session_new();
	f->txn = txn_begin(f->session, 1 << 20);
	f->session->deadline = f->txn->deadline = clock_mono_ms() + wait_ms;
	assert_non_null(check_attach_session(f->session, &f->services));
	assert_non_null(check_attach_txn(f->txn, &f->services));
}

static inline void
fixture_end(struct fixture *f)
{
	session_free(&f->session);
}

static inline void
fixture_envelope(struct fixture *f, const char *client, const char *helo,
    const char *sender)
{
	assert_true(addr_parse(str_of(client), &f->session->client));
	f->session->helo = arena_str(f->session->arena, str_of(helo));
	assert_true(envelope_parse(f->txn->arena, str_of(sender),
	    &f->txn->sender));
}

/* The path of a file of the shared test data; NULL: it is not there. */
static inline const char *
fixture_data(const char *name, char *path, size_t size)
{
	const char *data = getenv("DATA");

	snprintf(path, size, "%s/%s", data ? data : "../shared/data", name);
	return access(path, R_OK) == 0 ? path : NULL;
}

#endif
