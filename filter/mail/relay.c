#include "mail/relay.h"

#include "mail/field_get.h"
#include "mail/relay_form.h"

#define MICROSOFT_IP                                                   \
	"X-MS-Exchange-CrossTenant-OriginalAttributedTenantConnecting" \
	"Ip"

/* The longest prefix that fits decides. */
bool
relay_in_nets(const struct relay_nets *nets, const struct addr *addr)
{
	const struct relay_net *best = NULL;

	if (addr_is_loopback(addr))
		return true;
	for (size_t i = 0; nets != NULL && i < nets->n; i++) {
		const struct relay_net *n = &nets->nets[i];

		if (addr_in_net(addr, &n->net) &&
		    (best == NULL || n->net.bits > best->net.bits))
			best = n;
	}
	return best != NULL && !best->except;
}

/* The networks in force: where one kind is told alone, it is both. */
static struct relay_trust
effective(const struct relay_trust *told)
{
	struct relay_trust t = { 0 };

	if (told != NULL)
		t = *told;
	if (t.internal.n == 0)
		t.internal = t.trusted;
	else if (t.trusted.n == 0)
		t.trusted = t.internal;
	return t;
}

struct walk {
	struct arena *arena;
	struct relays *relays;
	struct relay **tail;
	struct relay_trust trust;
	bool in_trusted, in_internal, found_msa;
	struct str next_envfrom; /* a scanner told it of the hop before */
	bool have_envfrom;
};

static bool
addr_of(const struct relay *r, struct addr *addr)
{
	return addr_parse(r->ip, addr);
}

/* Is the chain of hosts we believe still whole with this one? */
static void
judge(struct walk *w, struct relay *r)
{
	struct addr addr = { .family = ADDR_NONE };
	bool known = addr_of(r, &addr);

	if (!w->in_trusted || w->found_msa)
		return;
	if (r->auth.n == 0 &&
	    !(known && relay_in_nets(&w->trust.trusted, &addr))) {
		w->in_trusted = w->in_internal = false;
		return;
	}
	if (r->auth.n == 0 &&
	    !(known && relay_in_nets(&w->trust.internal, &addr)))
		w->in_internal = false;
	if (known && w->trust.msa.n > 0 && relay_in_nets(&w->trust.msa, &addr))
		w->found_msa = r->msa = true;
}

static void
append(struct walk *w, struct relay *r)
{
	judge(w, r);
	r->trusted = w->in_trusted;
	r->internal = w->in_internal;
	*w->tail = r;
	w->tail = &r->next;
	w->relays->count++;
}

/* A mail fetcher took it from a mailbox: what is newer is of no interest, if
 * all of it is ours. */
static void
restart(struct walk *w)
{
	if (!w->in_trusted)
		return;
	w->relays->first = NULL;
	w->relays->count = 0;
	w->tail = &w->relays->first;
}

static bool
take_field(struct walk *w, struct str value)
{
	struct relay *r = arena_alloc(w->arena, sizeof(*r));
	bool have = w->have_envfrom;
	enum relay_answer answer;

	if (r == NULL)
		return false;
	w->have_envfrom = false;
	answer = relay_parse(w->arena, value, r);
	w->relays->unparsed += answer == RELAY_NO;
	if (answer == RELAY_FETCHED)
		restart(w);
	if (answer == RELAY_SKIP && r->has_envfrom) {
		w->have_envfrom = true;
		w->next_envfrom = r->envfrom;
	}
	if (answer == RELAY_YES) {
		if (have && w->next_envfrom.n > 0) {
			r->envfrom = w->next_envfrom;
			r->has_envfrom = true;
		}
		append(w, r);
	}
	w->relays->last_trusted += w->in_trusted;
	w->relays->last_internal += w->in_internal;
	return true;
}

/* Some webmail programs note the browser's address in a field of its own. */
static bool
take_origins(struct walk *w, const struct headers *hs)
{
	static const char *const names[] = { "X-Yahoo-Post-IP",
		"X-Originating-IP", "X-Apparently-From", "X-SenderIP",
		"X-AOL-IP", MICROSOFT_IP };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct str name = str_of(names[i]), s, line;
		const struct header *h = header_last(hs, name);
		size_t at, n = 0;

		if (h == NULL)
			continue;
		s = str_sub(h->value, 0, 1024);
		for (at = 0; at < s.n && n == 0;)
			if ((n = relay_ip_at(s, at)) == 0)
				at++;
		if (n == 0)
			continue;
		line = arena_printf(w->arena, "from X-Originating-IP: %.*s",
		    (int)n, s.p + at);
		if (line.p == NULL || !take_field(w, line))
			return false;
	}
	return true;
}

/* Who speaks to us is the newest relay, and no field tells of it yet. */
static bool
take_client(struct walk *w, const struct txn *txn)
{
	const struct session *s = txn->session;
	char ip[ADDR_TEXT_MAX];
	struct relay *r;

	if (s->client.family == ADDR_NONE)
		return true;
	r = arena_alloc(w->arena, sizeof(*r));
	if (r == NULL)
		return false;
	addr_format(&s->client, ip);
	r->ip = arena_str(w->arena, str_of(ip));
	r->rdns = relay_value(w->arena, s->client_name);
	r->helo = relay_value(w->arena, s->helo);
	r->by = relay_value(w->arena, s->mta_name);
	r->id = relay_value(w->arena, txn->queue_id);
	r->ident = r->envfrom = r->auth = STR("");
	if (txn->user.n > 0)
		r->auth = txn->auth_method.n > 0 ?
		    relay_value(w->arena, txn->auth_method) :
		    STR("ESMTPA");
	r->no_rdns = r->rdns.n == 0;
	append(w, r);
	return r->ip.p != NULL;
}

static void
add_safe(struct buf *b, const char *name, struct str s)
{
	buf_addc(b, ' ');
	buf_adds(b, name);
	buf_addc(b, '=');
	buf_addstr(b, s);
}

static void
add_text(struct buf *b, const struct relay *r)
{
	if (b->n > 0)
		buf_addc(b, ' ');
	buf_addc(b, '[');
	add_safe(b, "ip", r->ip);
	add_safe(b, "rdns", r->rdns);
	add_safe(b, "helo", r->helo);
	add_safe(b, "by", r->by);
	add_safe(b, "ident", r->ident);
	add_safe(b, "envfrom", r->envfrom);
	add_safe(b, "intl", r->internal ? STR("1") : STR("0"));
	add_safe(b, "id", r->id);
	add_safe(b, "auth", r->auth);
	add_safe(b, "msa", r->msa ? STR("1") : STR("0"));
	buf_adds(b, " ]");
}

enum kind { TRUSTED, UNTRUSTED, INTERNAL, EXTERNAL };

static bool
is_of(const struct relay *r, enum kind kind)
{
	bool yes =
	    kind == TRUSTED || kind == UNTRUSTED ? r->trusted : r->internal;

	return yes == (kind == TRUSTED || kind == INTERNAL);
}

static struct str
text_of(struct walk *w, enum kind kind)
{
	struct buf b = BUF_INIT(HEADER_MAX_BYTES);
	const struct relay *r;
	struct str text;

	for (r = w->relays->first; r != NULL; r = r->next)
		if (is_of(r, kind))
			add_text(&b, r);
	text = arena_str(w->arena, buf_str(&b));
	buf_free(&b);
	return text;
}

static bool
take_fields(struct walk *w, const struct headers *hs)
{
	const struct header *h = header_get(hs, STR("Received"), 1);
	unsigned int n = 0;
	struct str s;

	for (; h != NULL && n < RELAY_MAX_COUNT; h = h->next) {
		if (!str_ieq(h->name, STR("Received")))
			continue;
		n++;
		s = field_decode(w->arena, h->name,
		    str_sub(h->value, 0, FIELD_MAX_VALUE));
		if (s.p == NULL || !take_field(w, s))
			return false;
	}
	return take_origins(w, hs);
}

const struct relays *
relay_find(struct arena *a, const struct txn *txn,
    const struct relay_trust *trust)
{
	struct walk w = { .arena = a, .in_trusted = true, .in_internal = true };
	struct relays *rs = w.relays = arena_alloc(a, sizeof(*rs));

	if (rs == NULL)
		return NULL;
	w.trust = effective(trust);
	w.tail = &rs->first;
	rs->last_trusted = rs->last_internal = -1;
	if (!take_client(&w, txn) || !take_fields(&w, &txn->headers))
		return NULL;
	rs->trusted = text_of(&w, TRUSTED);
	rs->untrusted = text_of(&w, UNTRUSTED);
	rs->internal = text_of(&w, INTERNAL);
	rs->external = text_of(&w, EXTERNAL);
	return rs->external.p != NULL ? rs : NULL;
}
