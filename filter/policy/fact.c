#include "policy/fact.h"

#include <math.h>
#include <stddef.h>

#include "base/clock.h"
#include "check/dnsbl.h"
#include "check/limit.h"
#include "policy/fact_get.h"
#include "policy/policy.h"
#include "policy/trace.h"
#include "score/score.h"

#define FROM_MAX      20 /* mailboxes of a From field looked at */

/* A value that doesn't change any more, by fact and argument. */
struct fact_memo {
	struct fact_memo *next;
	enum fact_id id;
	struct str arg;
	struct value value;
};

void
fact_set_text(struct value *out, struct str text)
{
	out->text = text;
	out->absent = text.n == 0;
}

void
fact_set_word(struct value *out, const char *word)
{
	out->text = str_of(word);
}

void
fact_set_unknown(struct value *out, const char *why)
{
	out->unknown = true;
	out->why = why;
}

struct txn *
fact_txn_of(struct session *s, struct value *out)
{
	if (s->txn == NULL)
		out->absent = true;
	return s->txn;
}

/* --- lists ------------------------------------------------------------- */

bool
fact_list_begin(struct session *s, size_t n, struct fact_list *list,
    struct value *out)
{
	*list = (struct fact_list){ .room = n };
	if (n == 0) {
		out->absent = true;
		return false;
	}
	list->items = arena_alloc(session_arena(s), n * sizeof(*list->items));
	if (list->items == NULL)
		fact_set_unknown(out, "memory");
	return list->items != NULL;
}

void
fact_list_add(struct fact_list *list, struct str text)
{
	if (text.n > 0 && list->n < list->room)
		list->items[list->n++] = text;
}

void
fact_list_end(const struct fact_list *list, struct value *out)
{
	out->items = list->items;
	out->nitems = list->n;
	out->absent = list->n == 0;
	if (list->n > 0)
		out->text = list->items[0];
}

/* --- the connection ---------------------------------------------------- */

static void
get_client(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	out->addr = s->client;
	out->absent = s->client.family == ADDR_NONE;
}

static void
get_client_name(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	fact_set_text(out, s->client_name);
}

static void
get_client_ptr(struct session *s, const struct fact_ref *ref, struct value *out)
{
	bool unknown = false;

	(void)ref;
	fact_set_text(out, iprev_check(s, &unknown));
	if (unknown)
		fact_set_unknown(out, "DNS");
}

static void
get_helo(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	fact_set_text(out, s->helo);
}

/* --- the envelope ------------------------------------------------------ */

static void
get_tls_version(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);

	(void)ref;
	if (txn != NULL)
		fact_set_text(out, txn->tls_version);
}

/* One part of the envelope sender; each is absent for <>. */
static void
set_sender(struct session *s, size_t offset, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);

	if (txn != NULL)
		fact_set_text(out,
		    *(struct str *)((char *)&txn->sender + offset));
}

static void
get_sender(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	set_sender(s, offsetof(struct address, text), out);
	if (out->absent)
		set_sender(s, offsetof(struct address, raw), out);
}

static void
get_sender_local(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_sender(s, offsetof(struct address, local), out);
}

static void
get_sender_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_sender(s, offsetof(struct address, domain), out);
}

static void
get_sender_base(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_sender(s, offsetof(struct address, base), out);
}

static void
get_user(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);

	(void)ref;
	if (txn != NULL)
		fact_set_text(out, txn->user);
}

static void
get_auth_method(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);

	(void)ref;
	if (txn != NULL)
		fact_set_text(out, txn->auth_method);
}

static void
get_size_declared(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	out->number = s->txn != NULL ? (double)s->txn->size_declared : 0;
}

/* This recipient at rcpt; every accepted one at message. */
static void
set_rcpt(struct session *s, size_t offset, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);
	struct fact_list list;
	size_t n = 0;

	if (txn == NULL)
		return;
	if (txn->rcpt != NULL) {
		fact_set_text(out,
		    *(struct str *)((char *)&txn->rcpt->addr + offset));
		return;
	}
	for (const struct rcpt *r = txn->rcpts; r != NULL; r = r->next)
		n += rcpt_accepted(r);
	if (!fact_list_begin(s, n, &list, out))
		return;
	for (struct rcpt *r = txn->rcpts; r != NULL; r = r->next)
		if (rcpt_accepted(r))
			fact_list_add(&list,
			    *(struct str *)((char *)&r->addr + offset));
	fact_list_end(&list, out);
}

static void
get_rcpt(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	set_rcpt(s, offsetof(struct address, text), out);
}

static void
get_rcpt_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_rcpt(s, offsetof(struct address, domain), out);
}

static void
get_recipients(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	out->number = s->txn != NULL ? s->txn->accepted : 0;
}

/* --- the header -------------------------------------------------------- */

static void
get_header(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);
	struct fact_list list;

	if (txn == NULL)
		return;
	if (!fact_list_begin(s, header_count(&txn->headers, ref->arg), &list,
		out))
		return;
	for (const struct header *h = txn->headers.first; h != NULL;
	     h = h->next)
		if (str_ieq(h->name, ref->arg))
			fact_list_add(&list,
			    header_decode(txn->arena, h->value));
	fact_list_end(&list, out);
	/* A field with nothing in it is there all the same. */
	out->absent = false;
}

static void
get_subject(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);
	const struct header *h;

	(void)ref;
	if (txn == NULL)
		return;
	h = header_get(&txn->headers, STR("Subject"), 1);
	if (h == NULL)
		out->absent = true;
	else
		out->text = header_decode(txn->arena, h->value);
}

/* What each mailbox of every From field says: several From fields are a
 * trick, and a condition should see whichever a reader is shown. */
static void
set_from(struct session *s, size_t offset, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);
	struct fact_list list;
	struct mailbox *m;
	bool more;

	if (txn == NULL || !fact_list_begin(s, FROM_MAX, &list, out))
		return;
	for (const struct header *h = txn->headers.first; h != NULL;
	     h = h->next) {
		if (!str_ieq(h->name, STR("From")))
			continue;
		m = header_mailboxes(txn->arena, h->value, FROM_MAX, &more);
		for (; m != NULL && list.n < list.room; m = m->next)
			fact_list_add(&list,
			    *(struct str *)((char *)m + offset));
		if (list.n == list.room)
			break;
	}
	fact_list_end(&list, out);
}

static void
get_from(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	set_from(s, offsetof(struct mailbox, addr), out);
}

static void
get_from_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	(void)ref;
	set_from(s, offsetof(struct mailbox, domain), out);
}

static void
get_from_name(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	set_from(s, offsetof(struct mailbox, name), out);
}

/* --- the content ------------------------------------------------------- */

const struct content *
fact_content_of(struct session *s, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);
	const struct content *c;

	if (txn == NULL)
		return NULL;
	c = body_content(&txn->body, txn->arena, &txn->headers);
	if (c == NULL)
		fact_set_unknown(out, "memory");
	return c;
}

/* The text at an offset of every element of a list; `next' comes first in
 * each of them. */
void
fact_set_chain(struct session *s, const void *first, size_t offset,
    struct value *out)
{
	struct fact_list list;
	size_t n = 0;
	const void *e;

	for (e = first; e != NULL; e = *(void *const *)e)
		n++;
	if (!fact_list_begin(s, n, &list, out))
		return;
	for (e = first; e != NULL; e = *(void *const *)e)
		fact_list_add(&list,
		    *(const struct str *)((const char *)e + offset));
	fact_list_end(&list, out);
}

static void
get_body(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct content *c = fact_content_of(s, out);

	(void)ref;
	if (c != NULL)
		fact_set_chain(s, c->texts, offsetof(struct text_part, text),
		    out);
}

static void
get_size(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)ref;
	out->number = s->txn != NULL ? (double)txn_size(s->txn) : 0;
}

/* --- the score --------------------------------------------------------- */

/* NULL without rule files; *out unknown when there was no memory. */
static const struct score_result *
score_of(struct session *s, struct value *out)
{
	const struct score_result *score;

	if (s->txn == NULL || s->policy == NULL || s->policy->ruleset == NULL)
		return NULL;
	if ((score = score_run(s->txn, s->policy->ruleset)) == NULL)
		fact_set_unknown(out, "memory");
	return score;
}

static void
get_score(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct score_result *score = score_of(s, out);

	(void)ref;
	out->number = session_verdict(s)->score;
	if (score != NULL)
		out->number += score->score;
	/* 0.7 and 0.1 are 0.8, not a little less. */
	out->number = round(out->number * 1000) / 1000;
}

static void
get_hits(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct score_result *score = score_of(s, out);

	(void)ref;
	if (out->unknown)
		return;
	fact_set_chain(s, score != NULL ? score->hits : NULL,
	    offsetof(struct score_hit, rule), out);
}

static void
get_score_report(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct score_result none = { 0 };
	const struct score_result *score = score_of(s, out);
	double required = SCORE_REQUIRED;

	(void)ref;
	if (out->unknown)
		return;
	if (score != NULL)
		required = ruleset_required(s->policy->ruleset);
	fact_set_text(out,
	    score_report(session_arena(s), score != NULL ? score : &none,
		session_verdict(s)->score, required));
}

/* --- as they come ------------------------------------------------------ */

static void
get_queue_id(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct txn *txn = fact_txn_of(s, out);

	(void)ref;
	if (txn != NULL)
		fact_set_text(out, txn->queue_id);
}

static void
get_hostname(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct str name = STR_NONE;

	(void)ref;
	if (s->policy != NULL)
		name = s->policy->settings.text[SETTING_HOSTNAME];
	if (name.n == 0 && s->checks != NULL && s->checks->services != NULL)
		name = s->checks->services->hostname;
	fact_set_text(out, name);
}

static void
get_now(struct session *s, const struct fact_ref *ref, struct value *out)
{
	(void)s;
	(void)ref;
	out->number = (double)(clock_wall_ms() / 1000);
}

/* The limit last found over, in this message or else on this connection. */
static const struct limit_info *
over_of(struct session *s, struct value *out)
{
	const struct limit_info *over = NULL;

	if (s->txn != NULL && s->txn->trace != NULL)
		over = s->txn->trace->over;
	if (over == NULL && s->trace != NULL)
		over = s->trace->over;
	if (over == NULL || over->limit == NULL || over->window == NULL) {
		out->absent = true;
		return NULL;
	}
	return over;
}

static void
get_limit_name(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct limit_info *over = over_of(s, out);

	(void)ref;
	if (over != NULL)
		fact_set_text(out, over->limit->name);
}

/* 200M rather than 209715200, where it is exact. */
static struct str
amount_text(struct arena *arena, uint64_t n)
{
	static const char suffix[] = { 'G', 'M', 'K' };
	unsigned int shift = 30;

	for (size_t i = 0; i < sizeof(suffix); i++, shift -= 10)
		if (n >= 1ULL << shift && n % (1ULL << shift) == 0)
			return arena_printf(arena, "%llu%c",
			    (unsigned long long)(n >> shift), suffix[i]);
	return arena_printf(arena, "%llu", (unsigned long long)n);
}

static void
get_limit_max(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct limit_info *over = over_of(s, out);
	struct arena *arena = session_arena(s);
	struct str n;

	(void)ref;
	if (over == NULL)
		return;
	n = over->window->unit == LIMIT_BYTES ?
	    amount_text(arena, over->max) :
	    arena_printf(arena, "%llu", (unsigned long long)over->max);
	fact_set_text(out,
	    arena_printf(arena, "%.*s %s", STR_FMT(n),
		limit_unit_word(over->window->unit)));
}

static void
get_limit_window(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct limit_info *over = over_of(s, out);

	(void)ref;
	if (over != NULL)
		fact_set_text(out, over->window->text);
}

static void
get_limit_used(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct limit_info *over = over_of(s, out);

	(void)ref;
	if (over != NULL)
		out->number = (double)over->used;
}

static void
get_limit_retry(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct limit_info *over = over_of(s, out);

	(void)ref;
	if (over != NULL)
		fact_set_text(out,
		    fact_duration(session_arena(s), over->retry_ms));
}

static void
get_limit_key(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct limit_info *over = over_of(s, out);

	(void)ref;
	if (over != NULL)
		fact_set_text(out, over->key);
}

static const struct dnsbl_result *
listed_of(struct session *s, struct value *out)
{
	const struct dnsbl_result *listed = NULL;

	if (s->txn != NULL && s->txn->trace != NULL)
		listed = s->txn->trace->listed;
	if (listed == NULL && s->trace != NULL)
		listed = s->trace->listed;
	if (listed == NULL || listed->list == NULL) {
		out->absent = true;
		return NULL;
	}
	return listed;
}

static void
get_dnsbl_name(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct dnsbl_result *listed = listed_of(s, out);

	(void)ref;
	if (listed != NULL)
		fact_set_text(out, listed->list->name);
}

static void
get_dnsbl_zone(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct dnsbl_result *listed = listed_of(s, out);

	(void)ref;
	if (listed != NULL)
		fact_set_text(out, listed->list->zone);
}

static void
get_dnsbl_domain(struct session *s, const struct fact_ref *ref,
    struct value *out)
{
	const struct dnsbl_result *listed = listed_of(s, out);

	(void)ref;
	if (listed != NULL)
		fact_set_text(out, listed->domain);
}

static void
get_dnsbl_code(struct session *s, const struct fact_ref *ref, struct value *out)
{
	const struct dnsbl_result *listed = listed_of(s, out);
	char text[ADDR_TEXT_MAX];

	(void)ref;
	if (listed == NULL)
		return;
	addr_format(&listed->code, text);
	fact_set_text(out, arena_str(session_arena(s), str_of(text)));
}

/* --- asking ------------------------------------------------------------ */

static fact_getter *const getters[FACT_COUNT] = {
	[FACT_CLIENT] = get_client,
	[FACT_CLIENT_NAME] = get_client_name,
	[FACT_CLIENT_PTR] = get_client_ptr,
	[FACT_COUNTRY] = fact_get_country,
	[FACT_ASN] = fact_get_asn,
	[FACT_HELO] = get_helo,
	[FACT_TLS_VERSION] = get_tls_version,
	[FACT_SENDER] = get_sender,
	[FACT_SENDER_LOCAL] = get_sender_local,
	[FACT_SENDER_DOMAIN] = get_sender_domain,
	[FACT_SENDER_BASE] = get_sender_base,
	[FACT_USER] = get_user,
	[FACT_AUTH_METHOD] = get_auth_method,
	[FACT_SIZE_DECLARED] = get_size_declared,
	[FACT_SPF] = fact_get_spf,
	[FACT_SPF_EXPLANATION] = fact_get_spf_explanation,
	[FACT_SPF_DOMAIN] = fact_get_spf_domain,
	[FACT_SPF_HELO] = fact_get_spf_helo,
	[FACT_SPF_RECEIVED] = fact_get_spf_received,
	[FACT_RCPT] = get_rcpt,
	[FACT_RCPT_DOMAIN] = get_rcpt_domain,
	[FACT_RECIPIENTS] = get_recipients,
	[FACT_HEADER] = get_header,
	[FACT_SUBJECT] = get_subject,
	[FACT_FROM] = get_from,
	[FACT_FROM_DOMAIN] = get_from_domain,
	[FACT_FROM_NAME] = get_from_name,
	[FACT_BODY] = get_body,
	[FACT_SIZE] = get_size,
	[FACT_ATTACHMENT_NAME] = fact_get_attachment_name,
	[FACT_ATTACHMENT_TYPE] = fact_get_attachment_type,
	[FACT_ATTACHMENT_MAGIC] = fact_get_attachment_magic,
	[FACT_ATTACHMENT_MISMATCH] = fact_get_attachment_mismatch,
	[FACT_ATTACHMENT_MACRO] = fact_get_attachment_macro,
	[FACT_ARCHIVE_NAME] = fact_get_archive_name,
	[FACT_ARCHIVE_ENCRYPTED] = fact_get_archive_encrypted,
	[FACT_URLS] = fact_get_urls,
	[FACT_URLS_DOMAIN] = fact_get_urls_domain,
	[FACT_DKIM] = fact_get_dkim,
	[FACT_DKIM_DOMAIN] = fact_get_dkim_domain,
	[FACT_DMARC] = fact_get_dmarc,
	[FACT_DMARC_POLICY] = fact_get_dmarc_policy,
	[FACT_ARC] = fact_get_arc,
	[FACT_ARC_DOMAIN] = fact_get_arc_domain,
	[FACT_ARC_SPF] = fact_get_arc_spf,
	[FACT_ARC_DKIM] = fact_get_arc_dkim,
	[FACT_ARC_DMARC] = fact_get_arc_dmarc,
	[FACT_SCORE] = get_score,
	[FACT_HITS] = get_hits,
	[FACT_SCORE_REPORT] = get_score_report,
	[FACT_QUEUE_ID] = get_queue_id,
	[FACT_HOSTNAME] = get_hostname,
	[FACT_NOW] = get_now,
	[FACT_LIMIT_NAME] = get_limit_name,
	[FACT_LIMIT_MAX] = get_limit_max,
	[FACT_LIMIT_WINDOW] = get_limit_window,
	[FACT_LIMIT_USED] = get_limit_used,
	[FACT_LIMIT_RETRY] = get_limit_retry,
	[FACT_LIMIT_KEY] = get_limit_key,
	[FACT_DNSBL_NAME] = get_dnsbl_name,
	[FACT_DNSBL_ZONE] = get_dnsbl_zone,
	[FACT_DNSBL_DOMAIN] = get_dnsbl_domain,
	[FACT_DNSBL_CODE] = get_dnsbl_code,
};

/* Facts of the whole message are final once it has come; the score is not,
 * rules add to it. */
static struct trace *
memo_home(const struct session *s, const struct fact_def *def)
{
	if (def->stage != STAGE_MESSAGE || s->txn == NULL ||
	    def->id == FACT_SCORE || def->id == FACT_SCORE_REPORT)
		return NULL;
	return s->txn->trace;
}

static const struct value *
memo_find(const struct trace *home, const struct fact_ref *ref)
{
	for (const struct fact_memo *m = home->memo; m != NULL; m = m->next)
		if (m->id == ref->def->id && str_ieq(m->arg, ref->arg))
			return &m->value;
	return NULL;
}

static void
memo_add(struct trace *home, const struct fact_ref *ref,
    const struct value *value)
{
	struct fact_memo *m = arena_alloc(home->arena, sizeof(*m));

	if (m == NULL)
		return;
	m->id = ref->def->id;
	m->arg = ref->arg;
	m->value = *value;
	m->next = home->memo;
	home->memo = m;
}

void
fact_get(struct session *s, const struct fact_ref *ref, struct value *out)
{
	struct trace *home = memo_home(s, ref->def);
	const struct value *known = home ? memo_find(home, ref) : NULL;

	if (known != NULL) {
		*out = *known;
		return;
	}
	*out = (struct value){ .kind = ref->def->kind };
	getters[ref->def->id](s, ref, out);
	if (out->unknown)
		out->absent = false;
	if (home != NULL)
		memo_add(home, ref, out);
}
