#include "daemon/maillog.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "daemon/maillog_time.h"

#define CONNECTIONS_MAX 16384 /* open at once */
#define NAMES_MAX 10000 /* recipients of one message that are named */
#define NAME_MAX 512 /* bytes of an address, a login, a queue id */

/* One smtpd process serves one client at a time. */
struct connection {
	uint64_t id;
	struct addr client;
	char *name;
};

struct waiting {
	struct waiting *next;
	struct maillog_event event;
	char *name, *user, *sender, *queue_id;
	char **rcpts; /* event.rcpts' bytes, as the client named them */
	size_t room;
	struct map *seen; /* recipients as delivered; as named, behind \1 */
	uint64_t nrcpt, delivered; /* how many are to be, and were */
	bool queued, complete, dropped;
};

struct maillog {
	void (*event)(void *, const struct maillog_event *);
	void *arg;
	struct maillog_time time;
	struct maillog_stats stats;
	struct map *connections; /* by program and pid */
	struct map *messages; /* that wait, by queue id */
	struct waiting *first, **last;
	size_t waiting, names;
	uint64_t next_id;
};

/* A log line behind its time: who writes it, about what, and what. */
struct entry {
	struct str tag; /* "postfix/smtpd[123]" */
	struct str program; /* "smtpd" */
	struct str queue_id; /* "" for NOQUEUE and none */
	struct str text;
	int64_t at_ms;
};

static char *
copy(struct str s)
{
	s = str_sub(s, 0, NAME_MAX);
	return mem_strndup(s.n > 0 ? s.p : "", s.n);
}

/* --- what waits -------------------------------------------------------- */

static void
waiting_free(struct waiting *w)
{
	for (size_t i = 0; i < w->event.nrcpts; i++)
		free(w->rcpts[i]);
	free(w->rcpts);
	map_free(&w->seen, NULL);
	free(w->name);
	free(w->user);
	free(w->sender);
	free(w->queue_id);
	free(w);
}

static struct waiting *
waiting_add(struct maillog *m, enum maillog_kind kind, int64_t at_ms)
{
	struct waiting *w = mem_alloc(sizeof(*w));

	w->event.kind = kind;
	w->event.at_ms = at_ms;
	w->complete = kind != MAILLOG_MESSAGE;
	*m->last = w;
	m->last = &w->next;
	m->waiting++;
	return w;
}

static void
tell(struct maillog *m, struct waiting *w)
{
	struct maillog_event *e = &w->event;
	struct str *rcpts = mem_alloc((e->nrcpts + 1) * sizeof(*rcpts));

	for (size_t i = 0; i < e->nrcpts; i++)
		rcpts[i] = str_of(w->rcpts[i]);
	e->rcpts = rcpts;
	e->client_name = str_of(w->name);
	e->user = str_of(w->user);
	e->sender = str_of(w->sender);
	e->queue_id = str_of(w->queue_id);
	if (e->kind == MAILLOG_MESSAGE) {
		/* Aliases are many for one that the client named. */
		if (w->nrcpt > w->delivered)
			e->unnamed = w->nrcpt - w->delivered;
		m->stats.messages++;
		m->stats.recipients += e->nrcpts + e->unnamed;
		m->stats.unnamed += e->unnamed;
	} else if (e->kind == MAILLOG_REFUSED) {
		m->stats.refused++;
	}
	m->event(m->arg, e);
	free(rcpts);
}

static void
let_go_first(struct maillog *m)
{
	struct waiting *w = m->first;

	m->first = w->next;
	if (m->first == NULL)
		m->last = &m->first;
	m->waiting--;
	m->names -= w->event.nrcpts;
	if (w->event.kind == MAILLOG_MESSAGE && !w->dropped)
		map_del(m->messages, str_of(w->queue_id));
	if (w->event.kind == MAILLOG_MESSAGE && !w->queued && !w->dropped)
		m->stats.unfinished++;
	else if (!w->dropped)
		tell(m, w);
	waiting_free(w);
}

static void
let_go(struct maillog *m, int64_t now)
{
	while (m->first != NULL &&
	    (m->first->complete || m->first->dropped ||
		m->first->event.at_ms < now - MAILLOG_HOLD_MS ||
		m->waiting > MAILLOG_WAITING || m->names > MAILLOG_NAMES))
		let_go_first(m);
}

/* It waits no longer, and nobody hears of it. */
static void
drop(struct maillog *m, struct waiting *w)
{
	map_del(m->messages, str_of(w->queue_id));
	w->dropped = true;
}

/* --- pieces of text ---------------------------------------------------- */

/* What stands between two texts; STR_NONE where either is missing. */
static struct str
between(struct str text, struct str begin, struct str end)
{
	ptrdiff_t at = str_find(text, begin), to;

	if (at < 0)
		return STR_NONE;
	text = str_sub(text, (size_t)at + begin.n, text.n);
	if (end.n == 0)
		return text;
	to = str_find(text, end);
	return to < 0 ? STR_NONE : str_sub(text, 0, (size_t)to);
}

/* "name[192.0.2.1]" or "name[192.0.2.1]:12345"; false: no such thing. */
static bool
read_client(struct str text, struct addr *client, struct str *name)
{
	ptrdiff_t open = str_chr(text, '[');
	struct str rest, addr;

	if (open <= 0)
		return false;
	*name = str_sub(text, 0, (size_t)open);
	if (str_eq(*name, STR("unknown")))
		*name = STR_NONE;
	addr = str_cut(str_sub(text, (size_t)open + 1, text.n), ']', &rest);
	if (rest.p == NULL)
		return false;
	if (addr_parse(addr, client))
		return true;
	/* "localhost[private/filter]", "unknown[unknown]" */
	*client = (struct addr){ .family = ADDR_NONE };
	return true;
}

/* 5 to 20 letters and digits, then ": ". */
static bool
read_queue_id(struct str text, struct str *id, struct str *rest)
{
	size_t n = 0;

	while (n < text.n && n <= 20 && chr_alnum((unsigned char)text.p[n]))
		n++;
	if (n < 5 || n > 20 || text.n - n < 2 || text.p[n] != ':' ||
	    text.p[n + 1] != ' ')
		return false;
	*id = str_sub(text, 0, n);
	*rest = str_sub(text, n + 2, text.n);
	return true;
}

/* " host postfix/smtpd[123]: 4XqABC: client=..."; false: no log line. */
static bool
read_entry(struct str line, struct entry *e)
{
	struct str host, tag, rest;
	ptrdiff_t slash;

	if (line.n < 2 || line.p[0] != ' ')
		return false;
	host = str_cut(str_sub(line, 1, line.n), ' ', &rest);
	tag = str_cut(rest, ' ', &e->text);
	if (host.n == 0 || tag.n < 2 || tag.p[tag.n - 1] != ':')
		return false;
	e->tag = str_sub(tag, 0, tag.n - 1);
	e->program = str_cut(e->tag, '[', &rest);
	slash = str_rchr(e->program, '/');
	if (slash < 0)
		e->program = STR_NONE; /* not a part of Postfix */
	else
		e->program =
		    str_sub(e->program, (size_t)slash + 1, e->program.n);
	e->queue_id = STR_NONE;
	if (read_queue_id(e->text, &e->queue_id, &rest)) {
		e->text = rest;
		if (str_eq(e->queue_id, STR("NOQUEUE")))
			e->queue_id = STR_NONE;
	}
	return true;
}

/* --- connections ------------------------------------------------------- */

static void
connection_free(void *p)
{
	struct connection *c = p;

	free(c->name);
	free(c);
}

static void
connection_end(struct maillog *m, const struct entry *e)
{
	struct connection *c = map_del(m->connections, e->tag);
	struct waiting *w;

	if (c == NULL)
		return;
	w = waiting_add(m, MAILLOG_DISCONNECT, e->at_ms);
	w->event.connection = c->id;
	connection_free(c);
}

static void
connection_begin(struct maillog *m, const struct entry *e, struct str from)
{
	struct connection *c;
	struct waiting *w;
	struct addr client;
	struct str name;

	connection_end(m, e); /* whose end is not logged */
	if (!read_client(from, &client, &name) ||
	    map_count(m->connections) >= CONNECTIONS_MAX)
		return;
	c = mem_alloc(sizeof(*c));
	c->id = ++m->next_id;
	c->client = client;
	c->name = copy(name);
	map_put(m->connections, e->tag, c);
	w = waiting_add(m, MAILLOG_CONNECT, e->at_ms);
	w->event.connection = c->id;
	w->event.client = client;
	w->name = copy(name);
}

/* Whoever is named on this line, on the connection of its process. */
static bool
take_client(struct maillog *m, struct waiting *w, const struct entry *e,
    struct str text)
{
	const struct connection *c = map_get(m->connections, e->tag);
	struct str name;

	if (!read_client(text, &w->event.client, &name))
		return false;
	w->name = copy(name);
	if (c != NULL && addr_eq(&c->client, &w->event.client))
		w->event.connection = c->id;
	return true;
}

/* --- the lines of a message -------------------------------------------- */

static struct waiting *
message_of(struct maillog *m, const struct entry *e)
{
	return e->queue_id.n > 0 ? map_get(m->messages, e->queue_id) : NULL;
}

static struct waiting *
message_begin(struct maillog *m, const struct entry *e)
{
	struct waiting *w = message_of(m, e);

	if (w != NULL) /* queue ids come again */
		drop(m, w);
	w = waiting_add(m, MAILLOG_MESSAGE, e->at_ms);
	w->queue_id = copy(e->queue_id);
	w->seen = map_new(false);
	map_put(m->messages, e->queue_id, w);
	return w;
}

/* "client=host[addr], sasl_method=PLAIN, sasl_username=alice" */
static void
smtpd_client(struct maillog *m, const struct entry *e, struct str text)
{
	struct str rest, client = str_cut(text, ',', &rest), user;
	struct waiting *w;

	/* It has been told before it went to a content filter. */
	if (str_find(rest, STR(" orig_client=")) >= 0 ||
	    str_find(rest, STR(" orig_queue_id=")) >= 0)
		return;
	w = message_begin(m, e);
	if (!take_client(m, w, e, client)) {
		drop(m, w);
		return;
	}
	user = between(rest, STR(" sasl_username="), STR_NONE);
	w->user = copy(str_cut(user, ',', &rest));
}

/*
 * "reject: RCPT from host[addr]: 550 5.1.1 <x>: ...; from=<a> to=<b>
 * proto=ESMTP helo=<c>".  The text before may hold what a stranger chose.
 */
static void
smtpd_reject(struct maillog *m, const struct entry *e, struct str text)
{
	struct str facts = text, next, to, user;
	struct waiting *w;

	while ((next = between(facts, STR("; from=<"), STR_NONE)).p != NULL)
		facts = next;
	to = between(facts, STR("> to=<"), STR("> proto="));
	if (facts.p == text.p || to.p == NULL)
		return;
	w = waiting_add(m, MAILLOG_REFUSED, e->at_ms);
	if (!take_client(m, w, e, text)) {
		w->dropped = true;
		return;
	}
	w->sender =
	    copy(str_sub(facts, 0, (size_t)str_find(facts, STR("> to=<"))));
	user = between(facts, STR(" sasl_username=<"), STR(">"));
	w->user = copy(user);
	w->rcpts = mem_alloc(sizeof(*w->rcpts));
	w->rcpts[w->event.nrcpts++] = copy(to);
	m->names++;
}

static void
smtpd_line(struct maillog *m, const struct entry *e)
{
	static const char *const words[] = { "connect from ",
		"disconnect from ", "client=", "reject: RCPT from ",
		"milter-reject: " };
	struct str text = e->text;
	size_t i;

	for (i = 0; i < 5; i++)
		if (str_starts(text, str_of(words[i])))
			break;
	if (i == 5)
		return;
	text = str_sub(text, strlen(words[i]), text.n);
	if (i == 0)
		connection_begin(m, e, text);
	else if (i == 1)
		connection_end(m, e);
	else if (i == 2 && e->queue_id.n > 0)
		smtpd_client(m, e, text);
	else if (i == 3)
		smtpd_reject(m, e, text);
	else
		m->stats.filtered += i == 4;
}

/* Refused for its content, or by a filter at its end. */
static void
cleanup_line(struct maillog *m, const struct entry *e)
{
	struct waiting *w = message_of(m, e);

	if (!str_starts(e->text, STR("reject: ")) &&
	    !str_starts(e->text, STR("milter-reject: ")) &&
	    !str_starts(e->text, STR("milter-discard: ")) &&
	    !str_starts(e->text, STR("discard: ")))
		return;
	m->stats.filtered++;
	if (w != NULL)
		drop(m, w);
}

/* "from=<a>, size=1234, nrcpt=2 (queue active)"; "removed" */
static void
qmgr_line(struct maillog *m, const struct entry *e)
{
	struct waiting *w = message_of(m, e);
	struct str text = e->text, rest;
	uint64_t n;

	if (w == NULL)
		return;
	if (str_starts(text, STR("removed"))) {
		w->complete = true;
		return;
	}
	if (w->queued || !str_starts(text, STR("from=<")))
		return;
	w->queued = true;
	w->sender = copy(between(text, STR("from=<"), STR(">, size=")));
	if (str_u64(between(text, STR(">, size="), STR(",")), &n))
		w->event.size = n;
	rest = between(text, STR(", nrcpt="), STR_NONE);
	if (str_u64(str_cut(rest, ' ', &text), &n))
		w->nrcpt = n < UINT32_MAX ? n : UINT32_MAX;
	w->complete = w->nrcpt > 0 && w->delivered >= w->nrcpt;
}

/* false: it has been there. */
static bool
mark_seen(struct waiting *w, const char *prefix, struct str name)
{
	static char present;
	struct buf key = BUF_INIT(NAME_MAX + 8);
	bool new;

	buf_adds(&key, prefix);
	buf_addstr(&key, str_sub(name, 0, NAME_MAX));
	new = map_put(w->seen, buf_str(&key), &present) == NULL;
	buf_free(&key);
	return new;
}

static void
rcpt_add(struct maillog *m, struct waiting *w, struct str name)
{
	if (!mark_seen(w, "\1", name))
		return;
	if (w->event.nrcpts == w->room) {
		w->room = w->room > 0 ? 2 * w->room : 4;
		w->rcpts = mem_resize(w->rcpts, w->room * sizeof(*w->rcpts));
	}
	w->rcpts[w->event.nrcpts++] = copy(name);
	m->names++;
}

/* "to=<b>, orig_to=<a>, relay=...": a is what the client said. */
static void
delivery_line(struct maillog *m, const struct entry *e)
{
	struct waiting *w = message_of(m, e);
	struct str to, name;

	if (w == NULL || !str_starts(e->text, STR("to=<")))
		return;
	to = between(e->text, STR("to=<"), STR(">, "));
	if (to.p == NULL || w->delivered >= NAMES_MAX || !mark_seen(w, "", to))
		return;
	w->delivered++;
	name = between(str_sub(e->text, to.n + 6, e->text.n), STR(" orig_to=<"),
	    STR(">, relay="));
	rcpt_add(m, w, name.p != NULL ? name : to);
	w->complete = w->queued && w->delivered >= w->nrcpt;
}

static void
postfix_line(struct maillog *m, const struct entry *e)
{
	if (str_eq(e->program, STR("smtpd"))) {
		smtpd_line(m, e);
	} else if (str_eq(e->program, STR("cleanup"))) {
		cleanup_line(m, e);
	} else if (str_eq(e->program, STR("qmgr")) ||
	    str_eq(e->program, STR("nqmgr"))) {
		qmgr_line(m, e);
	} else if (str_eq(e->program, STR("pickup"))) {
		if (e->queue_id.n > 0 && str_starts(e->text, STR("uid=")))
			message_begin(m, e);
	} else {
		delivery_line(m, e);
	}
}

/* --- the log ----------------------------------------------------------- */

struct maillog *
maillog_new(int64_t now_ms, void (*event)(void *, const struct maillog_event *),
    void *arg)
{
	struct maillog *m = mem_alloc(sizeof(*m));

	m->event = event;
	m->arg = arg;
	m->time.now_ms = now_ms;
	m->connections = map_new(false);
	m->messages = map_new(false);
	m->last = &m->first;
	return m;
}

void
maillog_line(struct maillog *m, struct str line)
{
	struct entry e;
	struct str rest;

	m->stats.lines++;
	line = str_trim(str_sub(line, 0, MAILLOG_LINE_MAX));
	if (!maillog_time_read(&m->time, line, &e.at_ms, &rest) ||
	    !read_entry(rest, &e)) {
		m->stats.bad++;
		return;
	}
	if (m->stats.first_ms == 0)
		m->stats.first_ms = e.at_ms;
	m->stats.last_ms = e.at_ms;
	if (e.program.n == 0)
		m->stats.foreign++;
	else
		postfix_line(m, &e);
	let_go(m, e.at_ms);
}

void
maillog_end(struct maillog *m)
{
	while (m->first != NULL)
		let_go_first(m);
}

const struct maillog_stats *
maillog_stats(const struct maillog *m)
{
	return &m->stats;
}

void
maillog_free(struct maillog **mp)
{
	struct maillog *m = *mp;
	struct waiting *w;

	if (m == NULL)
		return;
	while ((w = m->first) != NULL) {
		m->first = w->next;
		waiting_free(w);
	}
	map_free(&m->connections, connection_free);
	map_free(&m->messages, NULL);
	free(m);
	*mp = NULL;
}
