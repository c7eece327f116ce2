/*
 * authres_cases - messages with results of all kinds, drawn from a stranger's
 * bytes or by chance, and what Authentication-Results have to say of them.
 */
#ifndef TESTS_UNIT_AUTHRES_CASES_H
#define TESTS_UNIT_AUTHRES_CASES_H

#include "authres_reader.h"
#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"

#define CASES_TEXT_MAX	40
#define CASES_SHOWN_MAX	300	/* of a value; what is longer is cut */

/* Bytes that are given, zeros behind them; or where there are none, chance. */
struct cases {
	const uint8_t	*p;
	size_t		 n;
	uint64_t	 seed;		/* not 0 */
	struct arena	*arena;
	struct reader	*want;
	struct checks	 on_session, on_txn;
	struct spf_result spf;
	struct dkim_result dkim;
	struct dkim_signature signatures[DKIM_MAX_SIGNATURES];
	struct dmarc_result dmarc;
	struct arc_result arc;
};

static inline uint8_t
cases_byte(struct cases *c)
{
	if (c->p != NULL) {
		if (c->n == 0)
			return 0;
		c->n--;
		return *c->p++;
	}
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 7;
	c->seed ^= c->seed << 17;
	return (uint8_t)(c->seed >> 32);
}

static inline bool
cases_maybe(struct cases *c)
{
	return cases_byte(c) & 1;
}

/* By chance it is printable, and most often harmless. */
static inline struct str
cases_text(struct cases *c)
{
	static const char calm[] = "abcdefghijklmnopqrstuvwxyz0123456789-.-.";
	char text[CASES_TEXT_MAX];
	size_t n = cases_byte(c) % CASES_TEXT_MAX;
	bool odd = c->p == NULL && cases_byte(c) % 4 == 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t b = cases_byte(c);

		text[i] = c->p != NULL ? (char)b :
		    odd		       ? (char)(' ' + b % 95) :
					 calm[b % (sizeof(calm) - 1)];
	}
	return arena_str(c->arena, (struct str){ text, n });
}

static inline enum auth_result
cases_result(struct cases *c)
{
	return AUTH_NONE + cases_byte(c) % (AUTH_COUNT - AUTH_NONE);
}

static inline struct reader_result *
cases_want(struct cases *c, const char *method, enum auth_result result)
{
	struct reader_result *r = &c->want->results[c->want->nresults++];

	*r = (struct reader_result){ .method = str_of(method),
		.result = str_of(auth_result_word(result)) };
	return r;
}

/* Without a value: how it is shown is not said, nor whether it is. */
static inline void
cases_prop(struct reader_result *r, const char *name, struct str value)
{
	bool plain = value.n <= CASES_SHOWN_MAX;

	for (size_t i = 0; i < value.n; i++)
		plain &= value.p[i] >= ' ' && value.p[i] < 0x7f;
	if (value.n > 0)
		r->props[r->nprops++] = (struct reader_prop){ str_of(name),
			plain ? value : STR_NONE };
}

static inline void
cases_client(struct cases *c, struct session *s, char text[ADDR_TEXT_MAX])
{
	s->client.family = cases_maybe(c) ? ADDR_V4 : ADDR_V6;
	for (int i = 0; i < (s->client.family == ADDR_V4 ? 4 : 16); i++)
		s->client.b[i] = cases_maybe(c) ? cases_byte(c) : 0;
	addr_format(&s->client, text);
}

static inline void
cases_iprev(struct cases *c, struct str client)
{
	struct checks *k = &c->on_session;
	struct reader_result *r;

	if (!cases_maybe(c))
		return;
	k->ptr_done = true;
	k->ptr_unknown = cases_maybe(c);
	r = cases_want(c, "iprev", k->ptr_unknown ? AUTH_TEMPERROR : AUTH_FAIL);
	cases_prop(r, "policy.iprev", client);
}

static inline void
cases_spf(struct cases *c, struct txn *t)
{
	struct reader_result *r;

	if (!cases_maybe(c))
		return;
	c->on_txn.spf = &c->spf;
	c->spf = (struct spf_result){ .result = cases_result(c),
		.helo = cases_maybe(c) };
	c->spf.problem = cases_text(c);
	c->spf.domain = cases_text(c);
	r = cases_want(c, "spf", c->spf.result);
	cases_prop(r, "reason", c->spf.problem);
	if (c->spf.helo)
		cases_prop(r, "smtp.helo", c->spf.domain);
	else
		cases_prop(r, "smtp.mailfrom",
		    t->sender.domain.n > 0 ? t->sender.text : c->spf.domain);
}

static inline void
cases_signature(struct cases *c, struct dkim_signature *s)
{
	struct reader_result *r;

	*s = (struct dkim_signature){ .result = cases_result(c) };
	s->problem = cases_text(c);
	s->domain = cases_text(c);
	s->identity = cases_text(c);
	s->selector = cases_text(c);
	s->algorithm = STR("rsa-sha256");
	s->b = cases_text(c);
	r = cases_want(c, "dkim", s->result);
	cases_prop(r, "reason", s->problem);
	cases_prop(r, "header.d", s->domain);
	cases_prop(r, "header.i", s->identity);
	cases_prop(r, "header.s", s->selector);
	cases_prop(r, "header.a", s->algorithm);
	/* As much of it as is needed. */
	if (s->b.n > 0)
		r->props[r->nprops++] =
		    (struct reader_prop){ STR("header.b"), STR_NONE };
}

static inline void
cases_dkim(struct cases *c)
{
	struct dkim_signature **tail = &c->dkim.signatures;
	size_t n = cases_byte(c) % (DKIM_MAX_SIGNATURES + 2);

	if (n > DKIM_MAX_SIGNATURES)
		return;
	c->on_txn.dkim = &c->dkim;
	c->dkim.result = cases_result(c);
	if (n == 0)
		cases_want(c, "dkim", c->dkim.result);
	for (size_t i = 0; i < n; i++) {
		cases_signature(c, &c->signatures[i]);
		*tail = &c->signatures[i];
		tail = &c->signatures[i].next;
	}
}

static inline void
cases_dmarc(struct cases *c)
{
	struct dmarc_result *d = &c->dmarc;
	struct reader_result *r;

	if (!cases_maybe(c))
		return;
	c->on_txn.dmarc = d;
	d->result = cases_result(c);
	d->policy = cases_byte(c) % (DMARC_REJECT + 1);
	d->published = cases_byte(c) % (DMARC_REJECT + 1);
	d->has_record = cases_maybe(c);
	d->problem = cases_text(c);
	d->domain = cases_text(c);
	r = cases_want(c, "dmarc", d->result);
	cases_prop(r, "reason", d->problem);
	cases_prop(r, "header.from", d->domain);
	if (d->result == AUTH_FAIL)
		cases_prop(r, "policy.dmarc",
		    str_of(dmarc_policy_word(d->policy)));
}

static inline void
cases_arc(struct cases *c, struct str client)
{
	struct reader_result *r;

	if (!cases_maybe(c))
		return;
	c->on_txn.arc = &c->arc;
	c->arc.result = cases_maybe(c) ? AUTH_PASS : AUTH_NONE;
	c->arc.oldest_known = true;
	r = cases_want(c, "arc", c->arc.result);
	if (c->arc.result == AUTH_NONE)
		return;
	cases_prop(r, "header.oldest-pass", STR("0"));
	cases_prop(r, "smtp.remote-ip", client);
}

/* Fills the message; *want is what is to be read of it.  Everything lives as
 * long as the txn and the cases. */
static inline void
cases_draw(struct cases *c, struct txn *t, struct reader *want)
{
	char client[ADDR_TEXT_MAX];
	struct str shown;

	*want = (struct reader){ .nresults = 0 };
	c->want = want;
	c->arena = t->arena;
	t->session->checks = &c->on_session;
	t->checks = &c->on_txn;
	if (cases_maybe(c)) {
		t->user = cases_text(c);
		if (t->user.n > 0)
			cases_prop(cases_want(c, "auth", AUTH_PASS),
			    "smtp.auth", t->user);
	}
	(void)envelope_parse(t->arena, cases_text(c), &t->sender);
	cases_client(c, t->session, client);
	shown = arena_str(t->arena, str_of(client));
	cases_iprev(c, shown);
	cases_spf(c, t);
	cases_dkim(c);
	cases_dmarc(c);
	cases_arc(c, shown);
}

static inline bool
cases_same_props(const struct reader_result *want,
    const struct reader_result *got)
{
	size_t k = 0;

	for (size_t i = 0; i < want->nprops; i++) {
		const struct reader_prop *p = &want->props[i];
		bool here = k < got->nprops &&
		    str_eq(got->props[k].name, p->name);

		if (p->value.p != NULL &&
		    (!here || !str_eq(got->props[k].value, p->value)))
			return false;
		k += here;
	}
	return k == got->nprops;
}

/* Does a field say what it was written from? */
static inline bool
cases_same(const struct reader *want, const struct reader *got)
{
	for (size_t i = 0; i < want->nresults && i < got->nresults; i++)
		if (!str_eq(want->results[i].method, got->results[i].method) ||
		    !str_eq(want->results[i].result, got->results[i].result) ||
		    !cases_same_props(&want->results[i], &got->results[i]))
			return false;
	return want->nresults == got->nresults;
}

#endif
