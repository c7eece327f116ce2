#include <libmilter/mfapi.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "milter/apply.h"
#include "milter/glue.h"
#include "milter/threads.h"
#include "policy/road.h"

#define CONN_MAGIC	0x706f7374u

/* A connection as libmilter's private pointer knows it. */
struct conn {
	unsigned int	 magic;
	struct session	*session;	/* NULL before xxfi_connect */
	struct offer	 offer;
	struct policy	*policy;	/* what was negotiated for */
	struct conn	*next;		/* in glue.left */
};

static struct {
	struct services	*services;
	pthread_mutex_t	 lock;		/* guards policy */
	struct policy	*policy;
	atomic_bool	 stopping;
	atomic_bool	 hurried;	/* what callbacks waited for is lost */
	atomic_bool	 gone;		/* nothing shared is there any more */
	atomic_int	 busy;		/* callbacks that run now */
	struct conn	*left;		/* closed too late; under the lock */
} glue = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct policy *
glue_policy(void)
{
	struct policy *p;

	pthread_mutex_lock(&glue.lock);
	p = policy_ref(glue.policy);
	pthread_mutex_unlock(&glue.lock);
	return p;
}

void
glue_set_policy(struct policy *policy)
{
	struct policy *old;

	policy_ref(policy);
	pthread_mutex_lock(&glue.lock);
	old = glue.policy;
	glue.policy = policy;
	pthread_mutex_unlock(&glue.lock);
	if (old != NULL)
		policy_release(&old);
}

/* false: the daemon is ending, nothing shared may be touched. */
static bool
enter(void)
{
	atomic_fetch_add(&glue.busy, 1);
	if (!atomic_load(&glue.stopping))
		return true;
	atomic_fetch_sub(&glue.busy, 1);
	return false;
}

static sfsistat
leave(sfsistat answer)
{
	/* What was not found out must not let anything pass. */
	if (atomic_load(&glue.hurried) &&
	    (answer == SMFIS_CONTINUE || answer == SMFIS_ACCEPT))
		answer = SMFIS_TEMPFAIL;
	atomic_fetch_sub(&glue.busy, 1);
	return answer;
}

/*
 * The same where the MTA may have been told (`step', SMFIP_NR_*) not to wait:
 * libmilter complains in the log about every other answer there.
 */
static sfsistat
leave_step(const struct conn *c, unsigned long step, sfsistat answer)
{
	answer = leave(answer);
	return (c->offer.protocol & step) != 0 ? SMFIS_NOREPLY : answer;
}

static struct conn *
conn_get(SMFICTX *ctx)
{
	struct conn *c = smfi_getpriv(ctx);

	assert(c == NULL || c->magic == CONN_MAGIC);
	return c;
}

static struct str
macro(SMFICTX *ctx, const char *name)
{
	return str_of(smfi_getsymval(ctx, (char *)name));
}

/*
 * The steps the MTA may leave out, and the replies it need not wait for:
 * SMFIP_NO* where nothing reads the stage, SMFIP_NR_* where no rule of it can
 * end anything.  Postfix keeps a command without a reply in its buffer until
 * one that has a reply: where lookups start at a stage, it gets its reply.
 */
static unsigned long
steps_for(const struct policy *p)
{
	unsigned int needs = road_needs(p);
	unsigned long steps = SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_NR_HDR |
	    SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_HDR_LEADSPC;

	if (!p->stage_decides[STAGE_CONNECT] && p->ndnsbls == 0 &&
	    (needs & NEED_PTR) == 0)
		steps |= SMFIP_NR_CONN;
	if (!p->stage_decides[STAGE_HELO])
		steps |= SMFIP_NR_HELO;
	if (!p->stage_decides[STAGE_MAIL] &&
	    (needs & (NEED_SPF | NEED_SPF_HELO)) == 0)
		steps |= SMFIP_NR_MAIL;
	if (!p->stage_decides[STAGE_RCPT])
		steps |= SMFIP_NR_RCPT;
	if ((needs & NEED_RCPT_REJ) != 0)
		steps |= SMFIP_RCPT_REJ;
	if ((needs & NEED_HEADERS) == 0)
		steps |= SMFIP_NOHDRS | SMFIP_NOEOH;
	if ((needs &
		(NEED_CONTENT | NEED_BODY_SIZE | NEED_DKIM | NEED_ARC |
		    NEED_SIGN)) == 0)
		steps |= SMFIP_NOBODY;
	return steps;
}

static const struct {
	int		 stage;
	const char	*macros;
} macro_lists[] = {
	{ SMFIM_CONNECT, "j _ {daemon_name} {client_name} {client_ptr} v" },
	{ SMFIM_HELO, "{tls_version} {cipher} {cipher_bits}" },
	{ SMFIM_ENVFROM,
	    "i {auth_authen} {auth_type} {mail_addr} {tls_version} {cipher}" },
	{ SMFIM_ENVRCPT, "i {rcpt_mailer} {rcpt_host} {rcpt_addr}" },
	{ SMFIM_EOM, "i {msg_id}" },
};

static void
ask_macros(SMFICTX *ctx)
{
	size_t i;

	for (i = 0; i < sizeof(macro_lists) / sizeof(macro_lists[0]); i++)
		if (smfi_setsymlist(ctx, macro_lists[i].stage,
			(char *)macro_lists[i].macros) != MI_SUCCESS)
			log_event(LOG_EV_MTA, "what=setsymlist macros=%s",
			    macro_lists[i].macros);
}

#define ACTIONS_WANTED                                                      \
	(SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_DELRCPT | SMFIF_QUARANTINE | \
	    SMFIF_SETSYMLIST)

/* An MTA that offers less is told of once, not on every connection. */
static void
log_missing(unsigned long actions, unsigned long steps)
{
	static atomic_bool told;

	if (((ACTIONS_WANTED & ~actions) == 0 && steps == 0) ||
	    atomic_exchange(&told, true))
		return;
	log_event(LOG_EV_MTA,
	    "what=offers-less missing-actions=%lx missing-protocol=%lx",
	    ACTIONS_WANTED & ~actions, steps);
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long protocol,
    unsigned long f2, unsigned long f3, unsigned long *want_actions,
    unsigned long *want_protocol, unsigned long *want2, unsigned long *want3)
{
	struct conn *c;
	unsigned long steps;

	(void)f2;
	(void)f3;
	if (!enter())
		return SMFIS_REJECT;
	c = mem_alloc(sizeof(*c));
	c->magic = CONN_MAGIC;
	c->policy = glue_policy();
	steps = steps_for(c->policy);
	log_missing(actions, steps & ~protocol);
	c->offer.actions = actions & ACTIONS_WANTED;
	c->offer.protocol = protocol & steps;
	*want_actions = c->offer.actions;
	*want_protocol = c->offer.protocol;
	*want2 = *want3 = 0;
	if (actions & SMFIF_SETSYMLIST)
		ask_macros(ctx);
	smfi_setpriv(ctx, c);
	return leave(SMFIS_CONTINUE);
}

static sfsistat
answer(SMFICTX *ctx, const struct decision *d)
{
	if (d->action == ACTION_REJECT || d->action == ACTION_TEMPFAIL)
		return apply_reply(ctx, d->action, &d->reply);
	/* Never SMFIS_ACCEPT before the end of a message: some Postfix
	 * releases carry it over to the next message of the session. */
	return SMFIS_CONTINUE;
}

/* A callback without a session is a fault of ours, never an accept. */
static sfsistat
no_session(const char *where)
{
	metric_inc(METRIC_INTERNAL);
	log_event(LOG_EV_INTERNAL, "what=no-session callback=%s", where);
	return leave(SMFIS_TEMPFAIL);
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *sa)
{
	struct conn *c = conn_get(ctx);
	struct road_client client = { 0 };
	struct decision d = { 0 };

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session != NULL)
		return no_session("connect");
	if (sa != NULL)
		addr_of_sockaddr(sa, &client.addr);
	client.name = str_of(host);
	client.daemon_name = macro(ctx, "{daemon_name}");
	client.mta_name = macro(ctx, "j");
	c->session = road_begin(glue.services, c->policy);
	road_connect(c->session, &client, &d);
	/* smfi_setreply() is not allowed here: the MTA has its own text. */
	if (d.action == ACTION_REJECT)
		return leave(SMFIS_REJECT);
	return leave_step(c, SMFIP_NR_CONN,
	    d.action == ACTION_TEMPFAIL ? SMFIS_TEMPFAIL : SMFIS_CONTINUE);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct conn *c = conn_get(ctx);
	struct decision d = { 0 };

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL)
		return no_session("helo");
	road_helo(c->session, str_of(name), &d);
	return leave_step(c, SMFIP_NR_HELO, answer(ctx, &d));
}

/*
 * The policy for a new message: the one in force, unless it needs what was
 * not negotiated for this connection; then the connection stays with its own.
 */
static struct policy *
policy_for_message(const struct conn *c)
{
	struct policy *p = glue_policy();
	unsigned long left_out = SMFIP_NOHDRS | SMFIP_NOBODY | SMFIP_NR_CONN |
	    SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT;
	unsigned long steps;

	if (p == c->policy)
		return p;
	steps = steps_for(p);
	if ((c->offer.protocol & left_out & ~steps) != 0 ||
	    (steps & SMFIP_RCPT_REJ & ~c->offer.protocol) != 0)
		policy_release(&p);
	return p;
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct conn *c = conn_get(ctx);
	struct road_sender sender = { 0 };
	struct decision d = { 0 };
	struct policy *p;

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL)
		return no_session("mail");
	sender.arg = str_of(argv[0]);
	sender.size = envelope_size(argv[0] != NULL ? argv + 1 : argv);
	/* cleanup(8) plays a client without writing brackets. */
	sender.non_smtp = sender.arg.n == 0 || sender.arg.p[0] != '<';
	sender.user = macro(ctx, "{auth_authen}");
	sender.auth_method = macro(ctx, "{auth_type}");
	sender.tls_version = macro(ctx, "{tls_version}");
	sender.tls_cipher = macro(ctx, "{cipher}");
	sender.queue_id = macro(ctx, "i");
	p = policy_for_message(c);
	road_mail(c->session, p, &sender, &d);
	if (p != NULL)
		policy_release(&p);
	return leave_step(c, SMFIP_NR_MAIL, answer(ctx, &d));
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	struct conn *c = conn_get(ctx);
	struct decision d = { 0 };
	bool refused;

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL)
		return no_session("rcpt");
	refused = str_eq(macro(ctx, "{rcpt_mailer}"), STR("error"));
	road_rcpt(c->session, str_of(argv[0]), refused, &d);
	return leave_step(c, SMFIP_NR_RCPT, answer(ctx, &d));
}

/* As it stands in the message: an MTA without SMFIP_HDR_LEADSPC keeps the
 * space behind the colon to itself. */
static struct str
field_value(const struct conn *c, const char *value)
{
	if ((c->offer.protocol & SMFIP_HDR_LEADSPC) != 0 ||
	    c->session->txn == NULL || value == NULL)
		return str_of(value);
	return arena_printf(c->session->txn->arena, " %s", value);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct conn *c = conn_get(ctx);

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL)
		return no_session("header");
	/* A full arena is answered at the end of the message. */
	(void)road_header(c->session, str_of(name), field_value(c, value));
	return leave_step(c, SMFIP_NR_HDR, SMFIS_CONTINUE);
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	struct conn *c = conn_get(ctx);

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL)
		return no_session("eoh");
	road_eoh(c->session);
	return leave_step(c, SMFIP_NR_EOH, SMFIS_CONTINUE);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *chunk, size_t len)
{
	struct conn *c = conn_get(ctx);
	bool more;

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL)
		return no_session("body");
	more = road_body(c->session, chunk, len);
	/* Only an MTA that waits for a reply can be told to skip the rest. */
	return leave_step(c, SMFIP_NR_BODY, more ? SMFIS_CONTINUE : SMFIS_SKIP);
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	struct conn *c = conn_get(ctx);
	struct outcome out = { 0 };
	sfsistat result;

	if (!enter())
		return SMFIS_TEMPFAIL;
	if (c == NULL || c->session == NULL || c->session->txn == NULL)
		return no_session("eom");
	road_message(c->session, macro(ctx, "i"), &out);
	result = apply_outcome(ctx, &c->offer, c->session, &out);
	road_abort(c->session);
	return leave(result);
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct conn *c = conn_get(ctx);

	if (!enter())
		return SMFIS_CONTINUE;
	if (c != NULL && c->session != NULL)
		road_abort(c->session);
	return leave(SMFIS_CONTINUE);
}

/* What it refers to may be freed by now: it ends with the process. */
static void
conn_leave(struct conn *c)
{
	pthread_mutex_lock(&glue.lock);
	c->next = glue.left;
	glue.left = c;
	pthread_mutex_unlock(&glue.lock);
}

/* Goes on while the daemon is ending, so that reservations are given back. */
static sfsistat
on_close(SMFICTX *ctx)
{
	struct conn *c = conn_get(ctx);

	if (c == NULL)
		return SMFIS_CONTINUE;
	smfi_setpriv(ctx, NULL);
	atomic_fetch_add(&glue.busy, 1);
	if (atomic_load(&glue.gone)) {
		conn_leave(c);
		return leave(SMFIS_CONTINUE);
	}
	if (c->session != NULL)
		road_end(&c->session);
	policy_release(&c->policy);
	free(c);
	return leave(SMFIS_CONTINUE);
}

bool
glue_init(int fd, struct services *services, struct policy *policy)
{
	static char name[] = "postern";
	struct smfiDesc desc = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = ACTIONS_WANTED,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eoh = on_eoh,
		.xxfi_body = on_body,
		.xxfi_eom = on_eom,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};
	const char *why;
	char conn[32];

	glue.services = services;
	glue_set_policy(policy);
	if (!threads_check(&why))
		log_event(LOG_EV_MTA, "what=libmilter why=%s", why);
	/* Debian's libmilter takes a socket that already listens. */
	snprintf(conn, sizeof(conn), "fd:%d", fd);
	return smfi_register(desc) == MI_SUCCESS &&
	    smfi_setconn(conn) == MI_SUCCESS &&
	    smfi_settimeout(THREADS_IDLE_S) == MI_SUCCESS;
}

bool
glue_run(void)
{
	return smfi_main() == MI_SUCCESS;
}

static bool
glue_drain(int ms)
{
	const struct timespec tick = { .tv_nsec = 5 * 1000 * 1000 };
	int waited;

	for (waited = 0; atomic_load(&glue.busy) > 0; waited += 5) {
		if (waited >= ms)
			return false;
		nanosleep(&tick, NULL);
	}
	/* The engine writes an answer just after its callback returned. */
	nanosleep(&tick, NULL);
	return true;
}

bool
glue_stop(int ms)
{
	/* Not smfi_stop(): it waits up to five seconds for the listener. */
	atomic_store(&glue.stopping, true);
	if (!glue_drain(ms * 2 / 3)) {
		atomic_store(&glue.hurried, true);
		resolver_hurry(glue.services->resolver);
		if (!glue_drain(ms / 6))
			return false;
	}
	/* Connections that close after this leave everything alone. */
	atomic_store(&glue.gone, true);
	return glue_drain(ms / 6);
}
