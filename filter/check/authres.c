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
#define HEADER_B_BYTES	8 /* RFC 6008 section 4: at least so many */
#define LINE_COLUMNS	76
#define FIRST_COLUMN	24 /* "Authentication-Results: " */
#define MAKE_MAX_BYTES	(128 * 1024)

/*
 * Forged fields.
 */

static size_t
skip_cfws(struct str s, size_t i, bool *open)
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
	*open = depth > 0;
	return i < s.n ? i : s.n;
}

size_t
authres_skip_cfws(struct str s, size_t from)
{
	bool open;

	return skip_cfws(s, from, &open);
}

struct id {
	char text[ID_MAX_BYTES];
	size_t n;
	bool broken; /* a quote or a comment is never closed */
};

/* Other readers take control characters for white space. */
static size_t
id_skip(struct id *id, struct str s, size_t i)
{
	bool open;

	for (;; i++) {
		i = skip_cfws(s, i, &open);
		id->broken |= open;
		if (i >= s.n || ((unsigned char)s.p[i] > ' ' && s.p[i] != 0x7f))
			return i;
	}
}

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
	id->broken |= i >= s.n;
	return i < s.n ? i + 1 : s.n;
}

/* RFC 2045 section 5.1 token. */
static bool
is_token(unsigned char c)
{
	return chr_alnum(c) ||
	    (c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL);
}

/* Reads the first word.  Some readers would put a name together that has
 * comments around its dots (RFC 5322 section 4.4), so that counts too. */
static struct str
id_read(struct id *id, struct str s)
{
	size_t i = id_skip(id, s, 0), next;

	while (i < s.n) {
		size_t from = i;

		if (s.p[i] == '"')
			i = id_quoted(id, s, i);
		while (i < s.n && is_token(s.p[i]))
			id_add(id, s.p[i++]);
		next = id_skip(id, s, i);
		if (i == from || next >= s.n ||
		    (next > i && s.p[next] != '.' &&
			(id->n == 0 || id->text[id->n - 1] != '.')))
			break;
		i = next;
	}
	return str_trim((struct str){ id->text, id->n });
}

/* Takes out what cannot be seen: blanks and joiners beyond ASCII. */
static struct str
id_visible(struct id *id)
{
	static const struct str unseen[] = {
		{ "\xc2\x85", 2 }, /* U+0085 */
		{ "\xc2\xa0", 2 }, /* U+00A0 */
		{ "\xc2\xad", 2 }, /* U+00AD */
		{ "\xe1\x9a\x80", 3 }, /* U+1680 */
		{ "\xe2\x80", 2 }, /* U+2000 to U+203F */
		{ "\xe2\x81\x9f", 3 }, /* U+205F */
		{ "\xe2\x81\xa0", 3 }, /* U+2060 */
		{ "\xe3\x80\x80", 3 }, /* U+3000 */
		{ "\xef\xbb\xbf", 3 }, /* U+FEFF */
	};
	struct str rest = { id->text, id->n };
	size_t n = 0, k;

	while (rest.n > 0) {
		for (k = 0; k < sizeof(unseen) / sizeof(*unseen); k++)
			if (str_starts(rest, unseen[k]))
				break;
		if (k < sizeof(unseen) / sizeof(*unseen))
			rest = str_sub(rest, 3 - (unseen[k].p[0] == '\xc2'),
			    rest.n);
		else {
			id->text[n++] = rest.p[0];
			rest = str_sub(rest, 1, rest.n);
		}
	}
	return str_trim((struct str){ id->text, n });
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

static bool
claims(struct str value, struct str authserv_id)
{
	struct id id = { .n = 0 };

	if (same_name(id_read(&id, value), authserv_id) ||
	    same_name(id_visible(&id), authserv_id))
		return true;
	/* What nobody can read right may be read as ours. */
	return id.broken && authserv_id.n > 0 &&
	    str_ifind(value, authserv_id) >= 0;
}

bool
authres_forged(struct str value, struct str authserv_id)
{
	struct arena *scratch;
	struct str decoded;
	bool forged = claims(value, authserv_id);

	/* Some decode a field before they parse it. */
	if (forged || str_find(value, STR("=?")) < 0)
		return forged;
	scratch = arena_new(64 * 1024);
	decoded = header_decode(scratch, str_sub(value, 0, 4 * ID_MAX_BYTES));
	forged = decoded.p != NULL && claims(decoded, authserv_id);
	arena_free(&scratch);
	return forged;
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
	bool utf8; /* an internationalized message */
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
	buf_adds(&word, method);
	buf_addc(&word, '=');
	buf_adds(&word, auth_result_word(result));
	put(o, buf_str(&word));
	buf_free(&word);
	o->results++;
}

/* RFC 5322 section 3.2.3 dot-atom. */
static bool
is_dot_atom(struct str s)
{
	bool dot = true;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c != '.' && !chr_alnum(c) &&
		    (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL))
			return false;
		if (c == '.' && dot)
			return false;
		dot = c == '.';
	}
	return !dot;
}

static bool
is_domain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_alnum((unsigned char)s.p[i]) && s.p[i] != '-' &&
		    s.p[i] != '_' && s.p[i] != '.')
			return false;
	return is_dot_atom(s);
}

/* A token; all else is quoted, UTF-8 as well. */
static bool
is_bare(struct str s)
{
	size_t i = 0;

	while (i < s.n && is_token(s.p[i]) && (unsigned char)s.p[i] < 0x80)
		i++;
	return s.n > 0 && i == s.n;
}

/* A pvalue may also be [[local-part] "@"] domain-name (section 2.2). */
static bool
is_bare_address(struct str s)
{
	ptrdiff_t at = str_rchr(s, '@');

	return at >= 0 && is_domain(str_sub(s, (size_t)at + 1, s.n)) &&
	    (at == 0 || is_dot_atom(str_sub(s, 0, (size_t)at)));
}

/* Without control characters; of UTF-8 a "?" is left where the message is
 * not an internationalized one (RFC 6532). */
static void
add_clean(struct buf *out, struct str s, bool utf8)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c < ' ' || c == 0x7f || (!utf8 && (c & 0xc0) == 0x80))
			continue;
		buf_addc(out, utf8 || c < 0x80 ? (char)c : '?');
	}
}

/* A stranger's text as far as it can be shown, cut between characters. */
static void
clean(struct out *o, struct str value, struct buf *out)
{
	struct buf text = BUF_INIT(3 * VALUE_MAX_BYTES);
	size_t n = value.n;

	if (n > VALUE_MAX_BYTES) {
		n = VALUE_MAX_BYTES;
		while (n > VALUE_MAX_BYTES - 4 && (value.p[n] & 0xc0) == 0x80)
			n--;
	}
	value = str_sub(value, 0, n);
	if (str_ascii(value) < n) {
		charset_add_guess(&text, value);
		value = buf_str(&text);
	}
	add_clean(out, value, o->utf8);
	buf_free(&text);
}

static void
put_value(struct out *o, const char *name, struct str value, bool address)
{
	struct buf text = BUF_INIT(3 * VALUE_MAX_BYTES);
	struct buf word = BUF_INIT(8 * VALUE_MAX_BYTES);
	bool bare;

	clean(o, value, &text);
	if (text.n == 0)
		return;
	value = buf_str(&text);
	bare = is_bare(value) || (address && is_bare_address(value));
	buf_adds(&word, name);
	buf_adds(&word, bare ? "=" : "=\"");
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_addc(&word, '\\');
		buf_addc(&word, value.p[i]);
	}
	if (!bare)
		buf_addc(&word, '"');
	put(o, buf_str(&word));
	buf_free(&word);
	buf_free(&text);
}

static void
put_property(struct out *o, const char *name, struct str value)
{
	put_value(o, name, value, true);
}

static void
put_reason(struct out *o, struct str reason)
{
	put_value(o, "reason", reason, false);
}

/* [local@]domain, the domain as A-labels: the U-labels of RFC 8616 would need
 * an internationalized message. */
static void
put_domain(struct out *o, const char *name, struct str value)
{
	ptrdiff_t at = str_rchr(value, '@');
	struct str local = str_sub(value, 0, (size_t)(at + 1));
	struct str domain = str_sub(value, (size_t)(at + 1), value.n);
	struct arena *scratch = NULL;

	if (str_ascii(domain) < domain.n) {
		scratch = arena_new(16 * 1024);
		domain = envelope_domain(scratch, domain);
		if (domain.p != NULL)
			value = arena_printf(scratch, "%.*s%.*s",
			    STR_FMT(local), STR_FMT(domain));
	}
	put_property(o, name, value);
	arena_free(&scratch);
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
put_spf(struct out *o, const struct txn *t, const struct spf_result *spf)
{
	if (spf == NULL || spf->result == AUTH_UNKNOWN)
		return;
	put_result(o, "spf", spf->result);
	put_reason(o, spf->problem);
	if (spf->helo)
		put_domain(o, "smtp.helo", spf->domain);
	else
		put_domain(o, "smtp.mailfrom",
		    t->sender.domain.n > 0 ? t->sender.text : spf->domain);
}

/* So much of b= that no other signature begins with it (RFC 6008). */
static struct str
unique_b(const struct dkim_result *dkim, const struct dkim_signature *s)
{
	const struct dkim_signature *other;
	size_t n = HEADER_B_BYTES;

	for (other = dkim->signatures; other != NULL; other = other->next)
		while (other != s && n < s->b.n && n < VALUE_MAX_BYTES &&
		    str_starts(other->b, str_sub(s->b, 0, n)))
			n++;
	return str_sub(s->b, 0, n);
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
		put_reason(o, s->problem);
		put_domain(o, "header.d", s->domain);
		put_domain(o, "header.i", s->identity);
		put_property(o, "header.s", s->selector);
		put_property(o, "header.a", s->algorithm);
		put_property(o, "header.b", unique_b(dkim, s));
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
	put_reason(o, dmarc->problem);
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
	put_reason(o, arc->problem);
	if (arc->result == AUTH_NONE)
		return;
	if (arc->result == AUTH_PASS && arc->oldest_known) {
		snprintf(text, sizeof(text), "%u", arc->oldest_pass);
		put_property(o, "header.oldest-pass", str_of(text));
	}
	/* Last, as python3-authres loses a quoted property anywhere else. */
	if (client->family != ADDR_NONE) {
		addr_format(client, text);
		put_property(o, "smtp.remote-ip", str_of(text));
	}
}

struct str
authres_make(struct txn *t, struct str authserv_id)
{
	struct out o = { .b = BUF_INIT(MAKE_MAX_BYTES) };
	struct str value;

	o.utf8 = str_ascii(t->sender.text) < t->sender.text.n;
	for (const struct rcpt *r = t->rcpts; r != NULL; r = r->next)
		o.utf8 |= str_ascii(r->addr.text) < r->addr.text.n;
	buf_addstr(&o.b, authserv_id);
	o.column = FIRST_COLUMN + authserv_id.n;
	put_auth(&o, t);
	put_iprev(&o, t->session);
	if (t->checks != NULL) {
		put_spf(&o, t, t->checks->spf);
		/* Where no HELO was said there is nothing to tell of it. */
		if (t->session->helo.n > 0)
			put_spf(&o, t, t->checks->spf_helo);
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
