#include "check/authres.h"

#include <stdio.h>
#include <string.h>

#include "check/arc.h"
#include "check/dkim.h"
#include "check/dmarc.h"
#include "check/spf.h"
#include "mail/charset.h"

#define ID_MAX_BYTES	512 /* no authserv-id of ours is as long */
#define VALUE_MAX_BYTES 300 /* of one property */
#define HEADER_B_BYTES	12 /* RFC 6008 section 4: at least 8 */
#define LINE_COLUMNS	76
#define FIRST_COLUMN	24 /* "Authentication-Results: " */
#define MAKE_MAX_BYTES	(128 * 1024)

/*
 * Forged fields.
 */

size_t
authres_skip_cfws(struct str s, size_t i)
{
	size_t depth = 0;

	for (; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\\' && depth > 0)
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && !chr_space((unsigned char)c) &&
		    c != '\0')
			break;
	}
	return i < s.n ? i : s.n;
}

struct id {
	char text[ID_MAX_BYTES];
	size_t n;
};

static void
id_add(struct id *id, char c)
{
	if (id->n < sizeof(id->text))
		id->text[id->n++] = c;
}

static size_t
id_quoted(struct id *id, struct str s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		if (s.p[i] != '\r' && s.p[i] != '\n')
			id_add(id, s.p[i]);
	}
	return i + 1;
}

/* RFC 2045 section 5.1 token. */
static bool
is_token(unsigned char c)
{
	return c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* Reads the first word.  Some readers would put a name together that has
 * comments around its dots (RFC 5322 section 4.4), so that counts too. */
static struct str
id_read(struct id *id, struct str s)
{
	size_t i = authres_skip_cfws(s, 0), next;

	id->n = 0;
	while (i < s.n) {
		size_t from = i;

		if (s.p[i] == '"')
			i = id_quoted(id, s, i);
		while (i < s.n && is_token(s.p[i]))
			id_add(id, s.p[i++]);
		next = authres_skip_cfws(s, i);
		if (i == from || next >= s.n ||
		    (next > i && s.p[next] != '.' &&
			(id->n == 0 || id->text[id->n - 1] != '.')))
			break;
		i = next;
	}
	return str_trim((struct str){ id->text, id->n });
}

static struct str
without_dot(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static bool
same_name(struct str a, struct str b)
{
	struct arena *scratch;
	struct str x, y;
	bool same;

	a = without_dot(a);
	b = without_dot(b);
	if (str_ieq(a, b))
		return a.n > 0;
	scratch = arena_new(16 * 1024);
	x = envelope_domain(scratch, a);
	y = envelope_domain(scratch, b);
	same = x.p != NULL && y.p != NULL && str_eq(x, y);
	arena_free(&scratch);
	return same;
}

bool
authres_forged(struct str value, struct str authserv_id)
{
	struct id id;

	return same_name(id_read(&id, value), authserv_id);
}

bool
authres_strip(struct txn *t, struct str authserv_id)
{
	for (const struct header *h = t->headers.first; h != NULL;
	     h = h->next) {
		if (!str_ieq(str_trim(h->name), STR("Authentication-Results")))
			continue;
		if (!authres_forged(h->value, authserv_id))
			continue;
		if (!verdict_edit(t->arena, &t->verdict, EDIT_REMOVE, h->name,
			STR_NONE, h->nth))
			return false;
	}
	return !t->headers.truncated;
}

/*
 * Ours.
 */

struct out {
	struct buf b;
	size_t column;
	unsigned int results;
};

/* A word and the space or the fold before it. */
static void
put(struct out *o, struct str word)
{
	bool fold = o->column + 1 + word.n > LINE_COLUMNS;

	buf_adds(&o->b, fold ? "\n\t" : " ");
	buf_addstr(&o->b, word);
	o->column = (fold ? 8 : o->column + 1) + word.n;
}

/* Each result begins a line of its own. */
static void
put_result(struct out *o, const char *method, enum auth_result result)
{
	struct buf word = BUF_INIT(100);

	buf_adds(&o->b, ";");
	o->column = LINE_COLUMNS;
	buf_printf(&word, "%s=%s", method, auth_result_word(result));
	put(o, buf_str(&word));
	buf_free(&word);
	o->results++;
}

/* pvalue is a token, or [local]@domain (section 2.2). */
static bool
is_bare(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token(s.p[i]) && s.p[i] != '@')
			return false;
	return s.n > 0;
}

/* A stranger's text: no control characters, UTF-8, not endless. */
static void
put_property(struct out *o, const char *name, struct str value)
{
	struct buf text = BUF_INIT(3 * VALUE_MAX_BYTES);
	struct buf word = BUF_INIT(8 * VALUE_MAX_BYTES);
	bool bare;

	if (value.n == 0)
		return;
	charset_add_guess(&text, str_sub(value, 0, VALUE_MAX_BYTES));
	value = buf_str(&text);
	bare = is_bare(value);
	buf_adds(&word, name);
	buf_adds(&word, bare ? "=" : "=\"");
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = value.p[i];

		if (c < ' ' || c == 0x7f)
			continue;
		if (c == '"' || c == '\\')
			buf_addc(&word, '\\');
		buf_addc(&word, c);
	}
	if (!bare)
		buf_addc(&word, '"');
	put(o, buf_str(&word));
	buf_free(&word);
	buf_free(&text);
}

static void
put_auth(struct out *o, const struct txn *t)
{
	if (t->user.n == 0)
		return;
	put_result(o, "auth", AUTH_PASS);
	put_property(o, "smtp.auth", t->user);
}

static void
put_iprev(struct out *o, const struct session *s)
{
	const struct checks *c = s->checks;
	char client[ADDR_TEXT_MAX];

	if (c == NULL || !c->ptr_done || s->client.family == ADDR_NONE)
		return;
	put_result(o, "iprev",
	    c->ptr_name.n > 0  ? AUTH_PASS :
		c->ptr_unknown ? AUTH_TEMPERROR :
				 AUTH_FAIL);
	addr_format(&s->client, client);
	put_property(o, "policy.iprev", str_of(client));
}

static void
put_spf(struct out *o, const struct txn *t)
{
	const struct spf_result *spf = t->checks->spf;

	if (spf == NULL || spf->result == AUTH_UNKNOWN)
		return;
	put_result(o, "spf", spf->result);
	put_property(o, "reason", spf->problem);
	if (spf->helo)
		put_property(o, "smtp.helo", spf->domain);
	else
		put_property(o, "smtp.mailfrom",
		    t->sender.domain.n > 0 ? t->sender.text : spf->domain);
}

static void
put_dkim(struct out *o, const struct txn *t)
{
	const struct dkim_result *dkim = t->checks->dkim;

	if (dkim == NULL || dkim->result == AUTH_UNKNOWN)
		return;
	if (dkim->signatures == NULL)
		put_result(o, "dkim", dkim->result);
	for (const struct dkim_signature *s = dkim->signatures; s != NULL;
	     s = s->next) {
		put_result(o, "dkim", s->result);
		put_property(o, "reason", s->problem);
		put_property(o, "header.d", s->domain);
		put_property(o, "header.i", s->identity);
		put_property(o, "header.s", s->selector);
		put_property(o, "header.a", s->algorithm);
		put_property(o, "header.b", str_sub(s->b, 0, HEADER_B_BYTES));
	}
}

static void
put_dmarc(struct out *o, const struct txn *t)
{
	const struct dmarc_result *dmarc = t->checks->dmarc;
	struct buf comment = BUF_INIT(40);

	if (dmarc == NULL || dmarc->result == AUTH_UNKNOWN)
		return;
	put_result(o, "dmarc", dmarc->result);
	if (dmarc->has_record &&
	    (dmarc->result == AUTH_FAIL || dmarc->override.n > 0)) {
		buf_printf(&comment, "(p=%s)",
		    dmarc_policy_word(dmarc->published));
		put(o, buf_str(&comment));
	}
	buf_free(&comment);
	put_property(o, "reason", dmarc->problem);
	put_property(o, "header.from", dmarc->domain);
	if (dmarc->result == AUTH_FAIL)
		put_property(o, "policy.dmarc",
		    str_of(dmarc_policy_word(dmarc->policy)));
}

/* RFC 8617 section 10.1 has the properties. */
static void
put_arc(struct out *o, const struct txn *t)
{
	const struct arc_result *arc = t->checks->arc;
	const struct addr *client = &t->session->client;
	char text[ADDR_TEXT_MAX];

	if (arc == NULL || arc->result == AUTH_UNKNOWN)
		return;
	put_result(o, "arc", arc->result);
	put_property(o, "reason", arc->problem);
	if (arc->result == AUTH_NONE)
		return;
	if (client->family != ADDR_NONE) {
		addr_format(client, text);
		put_property(o, "smtp.remote-ip", str_of(text));
	}
	if (arc->result != AUTH_PASS || !arc->oldest_known)
		return;
	snprintf(text, sizeof(text), "%u", arc->oldest_pass);
	put_property(o, "header.oldest-pass", str_of(text));
}

struct str
authres_make(struct txn *t, struct str authserv_id)
{
	struct out o = { .b = BUF_INIT(MAKE_MAX_BYTES) };
	struct str value;

	buf_addstr(&o.b, authserv_id);
	o.column = FIRST_COLUMN + authserv_id.n;
	put_auth(&o, t);
	put_iprev(&o, t->session);
	if (t->checks != NULL) {
		put_spf(&o, t);
		put_dkim(&o, t);
		put_dmarc(&o, t);
		put_arc(&o, t);
	}
	if (o.results == 0)
		buf_adds(&o.b, "; none");
	value = arena_str(t->arena, buf_str(&o.b));
	buf_free(&o.b);
	return value;
}
