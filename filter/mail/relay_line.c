#include <string.h>

#include "mail/relay.h"
#include "mail/relay_form.h"

/* One Received field: what any MTA may say anywhere in it is read first, then
 * the form it has tells the rest. */

#define LINE_MAX_BYTES 8192

static bool
contains(struct str s, const char *what)
{
	return str_find(s, str_of(what)) >= 0;
}

/* Each run of space becomes one; none at the ends, nor a lone `;'. */
static struct str
flatten(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 2);
	size_t n = 0;

	if (p == NULL)
		return STR_NONE;
	s = str_sub(s, 0, LINE_MAX_BYTES);
	for (size_t i = 0; i < s.n; i++) {
		if (!chr_white((unsigned char)s.p[i]))
			p[n++] = s.p[i];
		else if (n > 0 && p[n - 1] != ' ')
			p[n++] = ' ';
	}
	while (n > 0 && p[n - 1] == ' ')
		n--;
	while (n > 0 && p[n - 1] == ';') {
		n--;
		if (n > 0 && p[n - 1] == ' ')
			n--;
	}
	return (struct str){ p, n };
}

/* The date at the end. */

static bool
all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_digit((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static bool
is_month(struct str s)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (size_t i = 0; s.n == 3 && i + 3 < sizeof(names); i += 3)
		if (memcmp(names + i, s.p, 3) == 0)
			return true;
	return false;
}

static bool
is_weekday(struct str s)
{
	static const char names[] = "MonTueWedThuFriSatSun";

	for (size_t i = 0; s.n == 3 && i + 3 < sizeof(names); i += 3)
		if (memcmp(names + i, s.p, 3) == 0)
			return true;
	return false;
}

static bool
is_time(struct str s)
{
	size_t parts = 0;

	for (struct str rest = s; rest.p != NULL; parts++)
		if (parts == 3 || !all_digits(str_cut(rest, ':', &rest)))
			return false;
	return parts >= 2;
}

/* Takes the last word off s. */
static struct str
last_word(struct str *s)
{
	ptrdiff_t at = str_rchr(*s, ' ');
	struct str word = str_sub(*s, (size_t)(at + 1), s->n);

	s->n = at < 0 ? 0 : (size_t)at;
	return word;
}

static bool
is_edge(struct str s, size_t i)
{
	return i > 0 && (s.p[i - 1] == ' ' || s.p[i - 1] == ';');
}

static struct str
without_date(struct str line)
{
	struct str s = line, zone = last_word(&s), when = last_word(&s);
	struct str year = last_word(&s), month = last_word(&s);
	size_t i = s.n;

	if (zone.n == 0 || !is_time(when) || !all_digits(year) ||
	    !is_month(month))
		return line;
	while (i > 0 && chr_digit((unsigned char)s.p[i - 1]))
		i--;
	if (i == s.n || !is_edge(s, i))
		return line;
	if (i >= 6 && s.p[i - 1] == ' ' && s.p[i - 2] == ',' &&
	    is_weekday(str_sub(s, i - 5, 3)) && is_edge(s, i - 5))
		i -= 5;
	while (is_edge(s, i))
		i--;
	return str_sub(line, 0, i);
}

/* "])by" lacks a space. */
static struct str
with_space(struct arena *a, struct str s)
{
	ptrdiff_t at = str_find(s, STR(")by "));
	char *p;

	if (at < 0)
		return s;
	p = arena_alloc(a, s.n + 2);
	if (p == NULL)
		return STR_NONE;
	memcpy(p, s.p, (size_t)at + 1);
	p[at + 1] = ' ';
	memcpy(p + at + 2, s.p + at + 1, s.n - (size_t)at - 1);
	return (struct str){ p, s.n + 1 };
}

/* What stands anywhere. */

static bool
is_helo_char(int c)
{
	return chr_alnum(c) ||
	    (c != '\0' && strchr("-.^+_&:=?!@%*$\\/", c) != NULL);
}

/* The run of HELO's characters behind `mark', where mark begins a word. */
static struct str
helo_behind(struct str s, const char *mark)
{
	struct str m = str_of(mark);
	size_t i = 0;
	ptrdiff_t at;

	while ((at = str_find(str_sub(s, i, s.n), m)) >= 0) {
		size_t from = i + (size_t)at, end = from + m.n;

		i = end;
		if (from > 0 && chr_word((unsigned char)s.p[from - 1]))
			continue;
		while (end < s.n && is_helo_char((unsigned char)s.p[end]))
			end++;
		if (end > i)
			return str_sub(s, i, end - i);
	}
	return STR("");
}

static struct str
find_helo(struct str s)
{
	struct str helo = helo_behind(s, "helo=");
	struct str old, new;

	if (helo.n > 0)
		return helo;
	old = helo_behind(s, "HELO ");
	new = helo_behind(s, "EHLO ");
	return old.n == 0 || (new.n > 0 && new.p < old.p) ? new : old;
}

static struct str
find_id(struct str s)
{
	size_t i = 0;
	ptrdiff_t at;

	while ((at = str_find(str_sub(s, i, s.n), STR(" id "))) >= 0) {
		size_t from, end;

		i += (size_t)at + 3;
		from = i + 1 + (i + 1 < s.n && s.p[i + 1] == '<');
		for (end = from; end < s.n && s.p[end] != ' ' &&
		     strchr("<>;", s.p[end]) == NULL;
		     end++)
			continue;
		if (end >= from + 3)
			return str_sub(s, from, end - from);
	}
	return STR("");
}

static struct str
word_behind(struct str s, const char *mark)
{
	ptrdiff_t at = str_find(s, str_of(mark));
	struct str rest;

	if (at < 0)
		return STR("");
	return str_cut(str_sub(s, (size_t)at + strlen(mark), s.n), ' ', &rest);
}

/* The envelope sender that some note, without what ends the sentence. */
static bool
find_envfrom(struct str s, struct str *out)
{
	static const char *const marks[] = { "return-path: ", "return-path ",
		"envelope-sender ", "envelope-sender=", "envelope-from ",
		"envelope-from=" };
	ptrdiff_t best = -1;
	size_t length = 0;
	struct str rest;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		ptrdiff_t at = str_ifind(s, str_of(marks[i]));

		if (at < 0 || (best >= 0 && at >= best))
			continue;
		best = at;
		length = strlen(marks[i]);
	}
	if (best < 0)
		return false;
	*out = str_cut(str_sub(s, (size_t)best + length, s.n), ' ', &rest);
	while (out->n > 0 && !chr_word((unsigned char)out->p[out->n - 1]))
		out->n--;
	return out->n > 0;
}

/* How the client had logged in, if it had. */

static const char *const auth_protocols[] = { "ESMTPA", "ESMTPSA", "LMTPA",
	"LMTPSA", "UTF8SMTPA", "UTF8SMTPSA", "UTF8LMTPA", "UTF8LMTPSA", "ASMTP",
	"HTTP", "HTTPS", "HTTPU" };

static struct str
auth_protocol(struct str s)
{
	size_t i = 0;
	ptrdiff_t at;

	if (!contains(s, " by "))
		return STR("");
	while ((at = str_ifind(str_sub(s, i, s.n), STR(" with "))) >= 0) {
		struct str rest, word;

		i += (size_t)at + 5;
		word = str_cut(str_sub(s, i + 1, s.n), ' ', &rest);
		word = str_cut(word, ';', &rest);
		for (size_t k = 0;
		     k < sizeof(auth_protocols) / sizeof(auth_protocols[0]);
		     k++)
			if (str_ieq(word, str_of(auth_protocols[k])))
				return word;
	}
	return STR("");
}

static struct str
auth_webmail(struct str s)
{
	ptrdiff_t at = str_ifind(s, STR(" (via HTTP"));
	struct str word, rest;

	if (at < 0 || !contains(s, " by "))
		return STR("");
	word = str_cut(str_sub(s, (size_t)at + 6, s.n), ')', &rest);
	if (word.n > 5 || rest.p == NULL ||
	    (rest.n > 0 && rest.p[0] != ' ' && rest.p[0] != ';'))
		return STR("");
	return word;
}

/* Text and slots put together: what `text' has for %x. */
static struct str
auth_text(struct arena *a, const struct relay_line *l, const char *text)
{
	struct buf b = BUF_INIT(LINE_MAX_BYTES);
	struct str out;

	for (; *text != '\0'; text++) {
		if (*text == '%')
			buf_addstr(&b, l->slot[SLOT_AUTH]);
		else if (*text == '^')
			buf_addstr(&b, l->slot[SLOT_SUB]);
		else
			buf_addc(&b, *text);
	}
	out = arena_str(a, buf_str(&b));
	buf_free(&b);
	return out;
}

static const struct {
	const char *when; /* must be there */
	const char *form;
	const char *auth; /* %: the x slot, ^: the s slot */
} auth_forms[] = {
	{ " by mx.google.com with ESMTPS id ", "%_.(version=%xl cipher=%s))",
	    "GMail - transport=% cipher=^" },
	{ "] (AUTH: ", "from %_.)] (AUTH: %xl %_+%{, %_.%}) by ", "%" },
	{ ") (AUTH: ", "from %_.]) (AUTH: %xl %_+%{, %_.%}) by ", "%" },
	{ "authenticated",
	    "from %_.]%{ (%_p)%}) %_.(%_.authenticated%_.)%_. by", "Sendmail" },
	{ "authenticated", "from %_.)] %_.(%_.authenticated%_.)%_. by",
	    "Sendmail" },
	{ " by mail.gmx.",
	    "%_.from %_* (%E %_*) [%j] by %xl (%_)) with %{E%}SMTP", NULL },
	{ " (authenticated as ", "%_.) by %_, (%_+) (authenticated as %_,) id ",
	    "CriticalPath" },
	{ ") (Authenticated sender: ",
	    "%_.) (Authenticated sender: %_+) by %_+ (%x)) with ",
	    "Postfix (%)" },
	{ " (account ", "%_.CommuniGate Pro HTTP", "Communigate" },
	{ " (account ", "%_.CommuniGate Pro SMTP", "Communigate" },
	{ " (account ", "%_.CommuniGate Pro XIMSS", "Communigate" },
	{ " (account ", "%_.CommuniGate Pro IMAP", "Communigate" },
	{ " with Microsoft Exchange Server HTTP-DAV",
	    "%_. with Microsoft Exchange Server HTTP-DAV%|", "HTTP-DAV" },
};

static const struct {
	const char *name;
	const char *ok[5];
} auth_values[] = {
	{ "] (AUTH: ", { "LOGIN", "PLAIN", "DIGEST-MD5", "CRAM-MD5" } },
	{ ") (AUTH: ", { "LOGIN", "PLAIN", "DIGEST-MD5", "CRAM-MD5" } },
	{ " by mail.gmx.", { "mail.gmx.net", "mail.gmx.com" } },
};

static bool
auth_value_ok(const char *when, struct str x)
{
	for (size_t i = 0; i < sizeof(auth_values) / sizeof(auth_values[0]);
	     i++) {
		if (strcmp(auth_values[i].name, when) != 0)
			continue;
		for (size_t k = 0; auth_values[i].ok[k] != NULL; k++)
			if (str_eq(x, str_of(auth_values[i].ok[k])))
				return true;
		return false;
	}
	return true;
}

static size_t
run_of(struct str s, size_t *i, bool letters, bool digits)
{
	size_t from = *i;

	for (; *i < s.n; (*i)++) {
		unsigned char c = (unsigned char)s.p[*i];

		if (!(letters && c >= 'a' && c <= 'z') &&
		    !(digits && chr_digit(c)))
			break;
	}
	return *i - from;
}

/* Google's ids of mail from its own users: "5sm123456qkb.7.2024.01.02...". */
static bool
is_gmail_user(struct str s)
{
	ptrdiff_t at = str_find(s, STR("google.com with ESMTPS id ")), sm;
	struct str id;
	size_t i, n;

	if (at < 0)
		return true;
	id = str_sub(s, (size_t)at + 26, 64);
	sm = str_find(id, STR("sm"));
	for (i = 0; sm > 0 && i < (size_t)sm; i++)
		if (!chr_alnum((unsigned char)id.p[i]))
			return false;
	if (sm < 1 || sm > 4)
		return false;
	i = (size_t)sm + 2;
	n = run_of(id, &i, false, true);
	if (n < 2 || n > 9 || run_of(id, &i, true, false) != 3)
		return false;
	for (size_t k = 0; k < 2; k++, i += n) {
		if (i >= id.n || id.p[i++] != '.')
			return false;
		n = run_of(id, &(size_t){ i }, false, true);
		if (k == 0 ? n < 1 || n > 3 : n != 4)
			return false;
	}
	return i < id.n && id.p[i] == '.';
}

static struct str
find_auth(struct arena *a, struct str s)
{
	struct str auth = auth_protocol(s);

	for (size_t i = 0;
	     auth.n == 0 && i < sizeof(auth_forms) / sizeof(auth_forms[0]);
	     i++) {
		struct relay_line l = { .s = s };

		if (!contains(s, auth_forms[i].when) || !is_gmail_user(s) ||
		    !relay_form_match(&l, auth_forms[i].form) ||
		    !auth_value_ok(auth_forms[i].when, l.slot[SLOT_AUTH]))
			continue;
		if (auth_forms[i].auth == NULL)
			auth = auth_text(a, &l,
			    contains(s, " with ESMTP") ? "GMX (ESMTP / %)" :
							 "GMX (SMTP / %)");
		else
			auth = auth_text(a, &l, auth_forms[i].auth);
		if (str_eq(auth, STR("Postfix (Postfix)")))
			auth = STR("Postfix");
	}
	return auth.n > 0 ? auth : auth_webmail(s);
}

/* The forms. */

struct parse {
	struct arena *arena;
	struct relay *relay;
	struct relay_line line;
	enum relay_family family;
	bool asked; /* the MTA looks names up */
	bool scanner; /* the envelope sender is the next hop's */
};

static enum relay_family
family_of(struct str s)
{
	const struct relay_form *f;

	for (f = relay_families; f->form != NULL; f++) {
		struct relay_line l = { .s = s };

		if (relay_form_match(&l, f->form))
			break;
	}
	return f->family;
}

/* qmail's name in the slot: "unknown" tells that nobody looked. */
static void
take_qmail(struct parse *p)
{
	struct relay_line *l = &p->line;
	const struct relay_form *f;

	for (f = relay_qmail_forms; f->form != NULL; f++)
		if (relay_form_match(l, f->form))
			break;
	if (f->form != NULL && f->flags & FORM_SAME)
		l->slot[SLOT_HELO] = l->slot[SLOT_RDNS];
	p->asked = !str_eq(l->slot[SLOT_RDNS], STR("unknown"));
	if (!p->asked)
		l->slot[SLOT_RDNS] = STR("");
}

/* "ident@name", "IDENT:ident@name". */
static void
take_ident(struct relay_line *l)
{
	struct str name = l->slot[SLOT_RDNS], rest, ident;

	ident = str_cut(name, '@', &rest);
	if (rest.p == NULL)
		return;
	if (str_starts(ident, STR("IDENT:")))
		ident = str_sub(ident, 6, ident.n);
	l->slot[SLOT_IDENT] = ident;
	l->slot[SLOT_RDNS] = rest;
}

static void
take_sub(struct relay_line *l)
{
	struct str sub = l->slot[SLOT_SUB], ident, helo;

	helo = word_behind(sub, "helo=");
	ident = word_behind(sub, "ident=");
	if (helo.n > 0)
		l->slot[SLOT_HELO] = helo;
	if (contains(sub, "ident="))
		l->slot[SLOT_IDENT] = ident;
}

static struct str
angled_behind(struct str s, const char *mark)
{
	struct str word = word_behind(s, mark);
	ptrdiff_t end = str_rchr(word, '>');

	return end > 0 ? str_sub(word, 0, (size_t)end) : STR("");
}

static void
take_xmail(struct parse *p)
{
	struct str s = angled_behind(p->line.s, " id <");

	if (s.n > 0)
		p->line.slot[SLOT_ID] = s;
	s = angled_behind(p->line.s, " from <");
	if (s.n > 0) {
		p->line.slot[SLOT_ENVFROM] = s;
		p->relay->has_envfrom = true;
	}
}

/* The suffix is the name's too; the address stands first, if it does. */
static void
take_hotmail(struct relay_line *l)
{
	size_t n = relay_ip_at(l->s, 0);

	l->slot[SLOT_BY].n += strlen(".hotmail.msn.com");
	if (n > 0 && n < l->s.n && l->s.p[n] == ' ')
		l->slot[SLOT_IP] = str_sub(l->s, 0, n);
}

static bool
form_applies(const struct parse *p, const struct relay_form *f)
{
	struct str s = p->line.s;

	if (f->family != FAMILY_ANY && f->family != p->family)
		return false;
	if (f->flags & FORM_NOT_QMAIL && contains(s, " (qmail-") &&
	    contains(s, ") with "))
		return false;
	if (f->flags & FORM_WORDS && !contains(s, strrchr(f->form, '%') + 2))
		return false;
	if (f->flags & FORM_WEBMAIL)
		return contains(s, " (SquirrelMail authenticated user ") ||
		    contains(s, " (NaSMail authenticated user ");
	return true;
}

/* What the form's flags say of its slots. */
static void
take_form(struct parse *p, const struct relay_form *f)
{
	struct relay_line *l = &p->line;

	p->asked |= (f->flags & FORM_ASKED) != 0;
	if (f->flags & FORM_SAME)
		l->slot[SLOT_HELO] = l->slot[SLOT_RDNS];
	if (f->flags & FORM_SUB)
		take_sub(l);
	if (f->flags & FORM_UNKNOWN &&
	    str_eq(l->slot[SLOT_RDNS], STR("unknown")))
		l->slot[SLOT_RDNS] = STR("");
	if (f->flags & FORM_NO_ID)
		l->slot[SLOT_ID] = STR("");
	if (f->flags & FORM_IDENT)
		take_ident(l);
	if (f->flags & FORM_XMAIL)
		take_xmail(p);
	if (f->flags & FORM_HOTMAIL)
		take_hotmail(l);
	if (f->flags & FORM_QMAIL)
		take_qmail(p);
	p->scanner = (f->flags & FORM_SCANNER) != 0;
}

static enum relay_answer
try_forms(struct parse *p)
{
	struct relay_line *l = &p->line;
	const struct relay_form *f;

	for (f = relay_forms; f->form != NULL; f++) {
		if (!form_applies(p, f) || !relay_form_match(l, f->form))
			continue;
		take_form(p, f);
		if (f->flags & FORM_SKIP)
			return RELAY_SKIP;
		if (f->flags & FORM_FETCHED)
			return RELAY_FETCHED;
		if (f->flags & FORM_GO_ON ||
		    (f->flags & FORM_IF_IP && l->slot[SLOT_IP].n == 0))
			continue;
		return RELAY_YES;
	}
	if (l->slot[SLOT_HELO].n == 0)
		l->slot[SLOT_HELO] = word_behind(l->s, "");
	return RELAY_NO;
}

/* Lines that begin otherwise: simta and a virus scanner. */
static enum relay_answer
try_odd(struct parse *p)
{
	struct relay_line *l = &p->line;

	if (str_starts(l->s, STR("FROM "))) {
		if (!relay_form_match(l,
			"FROM %h+ (%r+ [%i]) BY %b+ "
			"%{(%_)) WITH SMTP %}ID %?<%nl%?>%{ FOR <%_+>%}%$"))
			return RELAY_NO;
		p->asked = true;
		if (str_eq(l->slot[SLOT_RDNS], STR("unverified")))
			l->slot[SLOT_RDNS] = STR("");
		return RELAY_YES;
	}
	if (!str_starts(l->s, STR("(from ")))
		return RELAY_NO;
	if (relay_form_match(l, "(from %h* [%i]) by %b+ (NAVGW %_.) with "))
		return RELAY_YES;
	if (relay_form_match(l, "(from %_+@localhost) by %_+ ") ||
	    relay_form_match(l, "(from %_+@%_)) by %_+(jqueuemail) id %_+"))
		return RELAY_SKIP;
	return RELAY_NO;
}

/* Not from one host to another. */
static bool
is_local(struct str s)
{
	struct relay_line l = { .s = s };
	ptrdiff_t at = str_find(s, STR("with local for"));
	struct str host, rest;

	if (at > 0 && !chr_word((unsigned char)s.p[at - 1]) &&
	    ((size_t)at + 14 == s.n || !chr_word((unsigned char)s.p[at + 14])))
		return true;
	if (!str_istarts(s, STR("from ")))
		return false;
	l.s = str_sub(s, 5, s.n);
	host = str_cut(l.s, ' ', &rest);
	if (!str_istarts(rest, STR("by ")) || host.n == 0)
		return false;
	rest = str_sub(rest, 3, rest.n);
	at = str_chr(rest, ';');
	if (at <= 0 || str_chr(str_sub(rest, 0, (size_t)at - 1), ' ') >= 0)
		return false;
	if (rest.p[0] == ' ' || rest.p[0] == ';')
		return false;
	/* An address in brackets, and be it no good one, tells enough. */
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host = str_sub(host, 1, host.n - 2);
		while (host.n > 0 &&
		    (chr_digit((unsigned char)host.p[0]) || host.p[0] == '.'))
			host = str_sub(host, 1, host.n);
		return host.n > 0;
	}
	return true;
}

struct str
relay_value(struct arena *a, struct str s)
{
	struct str out = arena_str(a, s.p != NULL ? s : STR(""));
	char *p = (char *)(uintptr_t)out.p;

	for (size_t i = 0; i < out.n; i++)
		if (!chr_alnum((unsigned char)p[i]) &&
		    (chr_white((unsigned char)p[i]) || p[i] == '\0' ||
			strchr("#[]()<>|", p[i]) != NULL))
			p[i] = '!';
	return out;
}

static struct str
clean_ip(struct str ip)
{
	struct str tail;
	ptrdiff_t at;

	if (str_istarts(ip, STR("IPv6:")))
		ip = str_sub(ip, 5, ip.n);
	at = str_rchr(ip, ':');
	tail = str_sub(ip, (size_t)(at + 1), ip.n);
	if (at < 4 || str_chr(tail, '.') < 0)
		return ip;
	/* ::ffff:1.2.3.4 in any writing of its zeros */
	if (!str_ieq(str_sub(ip, (size_t)at - 4, 4), STR("ffff")))
		return ip;
	for (ptrdiff_t i = 0; i < at - 4; i++)
		if (ip.p[i] != '0' && ip.p[i] != ':')
			return ip;
	return tail;
}

static struct str
clean_rdns(struct str name)
{
	while (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (str_ieq(name, STR("unknown")) || str_starts(name, STR("[")))
		return STR("");
	return name;
}

static struct str
clean_envfrom(struct str s)
{
	while (s.n > 0 && (s.p[0] == '<' || chr_white((unsigned char)s.p[0])))
		s = str_sub(s, 1, s.n);
	while (s.n > 0 &&
	    (s.p[s.n - 1] == '>' || chr_white((unsigned char)s.p[s.n - 1])))
		s.n--;
	return s;
}

static enum relay_answer
finish(struct parse *p)
{
	struct str *slot = p->line.slot;
	struct relay *r = p->relay;
	struct arena *a = p->arena;

	if (slot[SLOT_BY].n > 0 && slot[SLOT_BY].p[slot[SLOT_BY].n - 1] == ';')
		slot[SLOT_BY].n--;
	r->ip = relay_value(a, clean_ip(slot[SLOT_IP]));
	r->rdns = relay_value(a, clean_rdns(slot[SLOT_RDNS]));
	r->helo = relay_value(a, slot[SLOT_HELO]);
	r->by = relay_value(a, slot[SLOT_BY]);
	r->ident = relay_value(a, slot[SLOT_IDENT]);
	r->envfrom = relay_value(a, clean_envfrom(slot[SLOT_ENVFROM]));
	r->id = arena_str(a, slot[SLOT_ID].p != NULL ? slot[SLOT_ID] : STR(""));
	r->auth = slot[SLOT_AUTH];
	r->no_rdns = r->rdns.n == 0 && p->asked;
	return r->id.p != NULL && r->ip.p != NULL ? RELAY_YES : RELAY_NO;
}

/* No form fits: an address in brackets will do, with the name of the host
 * that tells. */
static bool
take_any_ip(struct relay_line *l)
{
	if (l->slot[SLOT_IP].n == 0)
		relay_form_match(l, "%_.[%i]");
	return l->slot[SLOT_IP].n > 0 && l->slot[SLOT_BY].n > 0;
}

enum relay_answer
relay_parse(struct arena *a, struct str value, struct relay *r)
{
	struct parse p = { .arena = a, .relay = r };
	struct relay_line *l = &p.line;
	enum relay_answer answer;
	struct str s = flatten(a, value);

	*r = (struct relay){ 0 };
	if (!str_istarts(s, STR("from ")) && !str_istarts(s, STR("(from ")))
		return RELAY_SKIP;
	if (is_local(s))
		return RELAY_SKIP;
	s = with_space(a, without_date(s));
	if (s.p == NULL)
		return RELAY_NO;
	l->slot[SLOT_ID] = find_id(s);
	l->slot[SLOT_HELO] = find_helo(s);
	l->slot[SLOT_BY] = word_behind(s, " by ");
	l->slot[SLOT_AUTH] = find_auth(a, s);
	l->s = s;
	if (str_starts(s, STR("from "))) {
		l->s = str_sub(s, 5, s.n);
		r->has_envfrom = find_envfrom(l->s, &l->slot[SLOT_ENVFROM]);
		p.family = family_of(l->s);
		answer = try_forms(&p);
		if (p.scanner && r->has_envfrom)
			r->envfrom = relay_value(a,
			    clean_envfrom(l->slot[SLOT_ENVFROM]));
	} else {
		answer = try_odd(&p);
	}
	if (answer == RELAY_NO && take_any_ip(l))
		answer = RELAY_YES;
	return answer == RELAY_YES ? finish(&p) : answer;
}
