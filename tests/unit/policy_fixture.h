/*
 * A policy from a text, and the services its rules ask: a zone, counters in
 * memory.
 */
#ifndef TESTS_POLICY_FIXTURE_H
#define TESTS_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "check/check.h"
#include "policy/diag.h"
#include "policy/policy.h"
#include "policy/road.h"
#include "policy/trace.h"

struct world {
	struct services	 services;
	struct policy	*policy;
	struct session	*s;
	struct decision	 d;
	struct outcome	 out;
};

static void
write_temp(char path[32], const char *text)
{
	int fd;

	snprintf(path, 32, "/tmp/postern-test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline struct policy *
policy_of_text(const char *text, bool shadow)
{
	struct diag *diag = diag_new();
	struct buf told = BUF_INIT(65536);
	struct policy *policy;
	char path[32];

	write_temp(path, text);
	policy = policy_load(path, shadow, diag);
	unlink(path);
	diag_print(diag, &told);
	if (policy == NULL)
		fail_msg("%.*s", STR_FMT(buf_str(&told)));
	buf_free(&told);
	diag_free(&diag);
	return policy;
}

static inline struct world
world_begin(const char *policy, const char *zone, bool shadow)
{
	struct world w = { .services = { .hostname = STR("mx.example") } };
	struct buf spec = BUF_INIT(64), err = BUF_INIT(1024);
	char path[32];

	write_temp(path, zone);
	buf_printf(&spec, "file:%s", path);
	w.services.resolver = resolver_new(buf_str(&spec), &err);
	assert_non_null(w.services.resolver);
	unlink(path);
	w.services.store = store_open(STR("memory:"), &err);
	assert_non_null(w.services.store);
	buf_free(&spec);
	buf_free(&err);
	w.policy = policy_of_text(policy, shadow);
	return w;
}

static inline void
world_connect(struct world *w, const char *addr)
{
	struct road_client client = { .name = STR("mail.example.org") };

	road_end(&w->s);
	assert_true(addr_parse(str_of(addr), &client.addr));
	w->s = road_begin(&w->services, w->policy);
	road_connect(w->s, &client, &w->d);
}

static inline void
world_mail(struct world *w, const char *arg, const char *user)
{
	struct road_sender from = { .arg = str_of(arg),
		.user = str_of(user) };

	road_mail(w->s, NULL, &from, &w->d);
}

static inline void
world_rcpt(struct world *w, const char *arg)
{
	road_rcpt(w->s, str_of(arg), false, &w->d);
}

static inline void
world_message(struct world *w, const char *subject)
{
	road_header(w->s, STR("Subject"), str_of(subject));
	road_eoh(w->s);
	road_body(w->s, "hello\r\n", 7);
	road_message(w->s, STR_NONE, &w->out);
}

static inline void
world_end(struct world *w)
{
	road_end(&w->s);
	policy_release(&w->policy);
	store_close(&w->services.store);
	resolver_free(&w->services.resolver);
}

#endif
