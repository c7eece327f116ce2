/* Functions about addresses of providers where anybody may have one. */
#include <string.h>

#include "mail/tld.h"
#include "score/eval.h"
#include "score/eval_list.h"
#include "score/eval_pattern.h"

#define BODY_MAX       40 /* addresses that are looked at */
#define LINK_MAX       20
#define HEADER_MAX     64
#define BODY_EMAILS    5 /* more of them: it is a list of people */
#define BODY_FREEMAILS 3

struct eval_freemail {
	struct str found[BODY_MAX]; /* in the body, lower case */
	size_t count;
	bool too_many;
};

static bool
is_freemail(const struct eval *e, struct str addr)
{
	const struct eval_lists *lists = e->set->lists;
	ptrdiff_t at = str_rchr(addr, '@');
	struct str domain = str_sub(addr, (size_t)(at + 1), addr.n);

	/* The first is seldom so. */
	return at > 0 && eval_list_has(lists, "freemail_domains", domain) &&
	    !eval_list_has(lists, "freemail_welcomelist", addr) &&
	    !eval_list_has(lists, "freemail_welcomelist", domain) &&
	    !eval_matches(EVAL_RE_ROLE_ADDRESS, addr);
}

/* Labels behind the last top level that exists are no part of it. */
static struct str
within_tld(const struct eval *e, struct str addr)
{
	ptrdiff_t at = str_rchr(addr, '@'), dot;

	while ((dot = str_rchr(addr, '.')) > at) {
		if (tld_known(e->tlds, str_sub(addr, (size_t)dot + 1, addr.n)))
			return addr;
		addr.n = (size_t)dot;
	}
	return STR_NONE;
}

static bool
known(const struct str *list, size_t n, struct str addr)
{
	while (n > 0)
		if (str_eq(list[--n], addr))
			return true;
	return false;
}

static size_t
add_address(struct eval *e, struct str list[BODY_MAX], size_t n,
    struct str addr)
{
	addr = within_tld(e, eval_lower(e->arena, addr));
	if (addr.n > 0 && n < BODY_MAX && !known(list, n, addr))
		list[n++] = addr;
	return n;
}

/* Every match made a blank. */
static struct str
blank_out(struct arena *a, enum eval_pattern id, struct str s)
{
	struct buf out = BUF_INIT(64 * 1024);
	size_t at = 0, begin, end;

	while (eval_next(id, s, at, &begin, &end, NULL) && end > begin) {
		buf_addstr(&out, str_sub(s, at, begin - at));
		buf_addc(&out, ' ');
		at = end;
	}
	if (at > 0) {
		buf_addstr(&out, str_sub(s, at, s.n));
		s = arena_str(a, buf_str(&out));
	}
	buf_free(&out);
	return s;
}

static size_t
addresses_of_links(struct eval *e, struct str list[BODY_MAX])
{
	const struct html_facts *h;
	const struct html_link *l;
	struct str addr;
	size_t n = 0;

	for (h = e->view->html; h != NULL; h = h->next)
		for (l = h->links; l != NULL && n < LINK_MAX; l = l->next)
			if (str_ieq(l->tag, STR("a")) &&
			    str_istarts(l->uri, STR("mailto:")) &&
			    eval_groups(EVAL_RE_EMAIL,
				str_sub(l->uri, 7, l->uri.n), &addr, 1))
				n = add_address(e, list, n, addr);
	return n;
}

/* Those in <> or in front of "wrote:" are quoted, not offered. */
static size_t
addresses_of_text(struct eval *e, struct str list[BODY_MAX], size_t n)
{
	struct str line, addr;
	size_t i, at, begin, end;

	for (i = 0; i < e->view->body.count && n < BODY_MAX; i++) {
		line = e->view->body.line[i];
		if (str_chr(line, '@') < 0)
			continue;
		line = blank_out(e->arena, EVAL_RE_URL_WITH_EMAIL, line);
		line = blank_out(e->arena, EVAL_RE_EMAIL_QUOTED, line);
		for (at = 0;
		     eval_next(EVAL_RE_EMAIL, line, at, &begin, &end, &addr) &&
		     end > at;
		     at = end)
			n = add_address(e, list, n, addr);
	}
	return n;
}

static struct eval_freemail *
body_freemails(struct eval *e)
{
	struct eval_freemail *f = e->freemail;
	struct str list[BODY_MAX];
	size_t i, n;

	if (f != NULL)
		return f;
	f = e->freemail = arena_alloc(e->arena, sizeof(*f));
	if (f == NULL)
		return NULL;
	n = addresses_of_links(e, list);
	n = addresses_of_text(e, list, n);
	f->too_many = n >= BODY_EMAILS;
	for (i = 0; i < n && !f->too_many; i++) {
		if (!is_freemail(e, list[i]))
			continue;
		f->found[f->count++] = list[i];
		f->too_many = f->count >= BODY_FREEMAILS;
	}
	return f;
}

static bool
wanted(struct eval *e, const struct score_rule *r, struct str addr)
{
	return r->regex == NULL || eval_regex(e, r, addr) == REGEX_YES;
}

/* Addresses of a field, lower case; "From:addr" says the same as "From". */
static size_t
field_emails(struct eval *e, struct str spec, struct str list[HEADER_MAX])
{
	struct field_values v;
	unsigned int flags;
	struct str name;
	size_t i, n = 0;

	field_parse(spec, &name, &flags);
	v = field_list(e->fields, name, flags | FIELD_ADDR);
	for (i = 0; i < v.n && n < HEADER_MAX; i++)
		list[n++] = str_trim(eval_lower(e->arena, v.v[i]));
	return n;
}

static bool
freemail_header(struct eval *e, const struct score_rule *r)
{
	struct str list[HEADER_MAX];
	size_t i, n = field_emails(e, eval_arg(r, 0), list);

	for (i = 0; i < n; i++)
		if (is_freemail(e, list[i]) && wanted(e, r, list[i]))
			return true;
	return false;
}

static bool
freemail_from(struct eval *e, const struct score_rule *r)
{
	size_t i, n;
	const struct str *list = eval_from_addresses(e, &n);

	for (i = 0; i < n; i++)
		if (is_freemail(e, list[i]) && wanted(e, r, list[i]))
			return true;
	return false;
}

static bool
freemail_body(struct eval *e, const struct score_rule *r)
{
	const struct eval_freemail *f = body_freemails(e);
	size_t i;

	for (i = 0; f != NULL && !f->too_many && i < f->count; i++)
		if (wanted(e, r, f->found[i]))
			return true;
	return false;
}

static bool
any_freemail(const struct eval *e, const struct str *list, size_t n)
{
	while (n > 0)
		if (is_freemail(e, list[--n]))
			return true;
	return false;
}

/* One of the body is another than one of the header. */
static bool
body_has_another(struct eval *e, const struct str *list, size_t n)
{
	const struct eval_freemail *f = body_freemails(e);
	size_t i, k;

	if (f == NULL || f->too_many)
		return false;
	for (i = 0; i < f->count; i++)
		for (k = 0; k < n; k++)
			if (!str_eq(f->found[i], list[k]))
				return true;
	return false;
}

/* Answers go to another freemail address than the mail came from. */
static bool
freemail_replyto(struct eval *e, const struct score_rule *r)
{
	struct str from[HEADER_MAX], reply[HEADER_MAX];
	size_t nfrom = field_emails(e, STR("From"), from), i;
	size_t nreply = field_emails(e, STR("Reply-To"), reply);
	bool from_is = any_freemail(e, from, nfrom);
	bool reply_is = any_freemail(e, reply, nreply), same = false;
	bool both = str_eq(eval_arg(r, 0), STR("reply"));

	if (eval_matches(EVAL_RE_BULK_SENDER, eval_field(e, "EnvelopeFrom")))
		return false;
	for (i = 0; i < nfrom; i++)
		same |= known(reply, nreply, from[i]);
	if (from_is && reply_is && !same)
		return true;
	if (!both && !reply_is)
		return false;
	if (both && ((nreply > 0 && !reply_is) || !from_is))
		return false;
	return !both || reply_is ? body_has_another(e, reply, nreply) :
				   body_has_another(e, from, nfrom);
}

const struct eval_def eval_freemail_defs[] = {
	{ "check_freemail_body", freemail_body, 1, 0 },
	{ "check_freemail_from", freemail_from, 1, 0 },
	{ "check_freemail_header", freemail_header, 2, 0 },
	{ "check_freemail_replyto", freemail_replyto, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
