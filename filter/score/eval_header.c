/* Functions about header fields and addresses. */
#include <stdlib.h>
#include <string.h>

#include "mail/tld.h"
#include "score/eval.h"
#include "score/eval_pattern.h"

#define RECIPIENTS_MAX	256
#define SORTED_MIN	7	/* recipients from which on order says much */
#define SIMILAR_MIN	5
#define SIMILAR_BYTES	2
#define FIELD_COUNT_MAX	1000

static bool
is_control(unsigned char c)
{
	return c < 0x20 && c != '\t' && c != '\n' && c != '\r';
}

static bool
valid_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i;
	int n;

	for (i = 0; i < s.n; i += (size_t)n)
		if ((n = chr_utf8_len(p + i, s.n - i)) <= 0)
			return false;
	return true;
}

/* Bytes that should have been encoded: field, least ratio, least number. */
static bool
illegal_chars(struct eval *e, const struct score_rule *r)
{
	struct str name = eval_arg(r, 0), s;
	size_t i, high = 0, controls = 0, signs = 0, illegal;
	unsigned char c;
	bool raw;

	raw = name.n > 4 && str_ieq(str_sub(name, name.n - 4, 4), STR(":raw"));
	if (raw)
		name.n -= 4;
	s = field_get(e->fields, name, FIELD_RAW);
	if (str_trim(s).n == 0)
		return false;
	for (i = 0; i < s.n; i++) {
		c = (unsigned char)s.p[i];
		high += c >= 0x80;
		controls += is_control(c);
		signs += c == 0xa2 || c == 0xa3 || c == 0xae;
		if (c == 0x7f)
			high++;
	}
	if (high > 0 && controls == 0 && valid_utf8(s) &&
	    memchr(s.p, 0x7f, s.n) == NULL)
		return false;
	illegal = high + controls;
	if (illegal > 0 && str_ieq(name, STR("Subject")) && signs == 1)
		illegal--;
	return (double)illegal / (double)s.n >= eval_number(r, 1) &&
	    (double)illegal >= eval_number(r, 2);
}

static bool
missing_to(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return eval_field(e, "To").n == 0 &&
	    eval_field(e, "Apparently-To").n == 0;
}

static bool
same_sender(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return str_ieq(eval_field(e, "EnvelopeFrom:addr"),
	    eval_field(e, "From:addr"));
}

/* The last two labels of what is behind the @. */
static struct str
short_domain(struct str addr)
{
	ptrdiff_t at = str_rchr(addr, '@');
	struct str domain, two;

	if (at < 0)
		return STR("");
	domain = str_sub(addr, (size_t)at + 1, addr.n);
	return eval_groups(EVAL_RE_TWO_LABELS, domain, &two, 1) ? two : domain;
}

static bool
other_domains(struct eval *e, const struct score_rule *r)
{
	struct str from = short_domain(eval_field(e, "From:addr"));
	struct str sender = short_domain(eval_field(e, "EnvelopeFrom:addr"));

	(void)r;
	return from.n > 0 && sender.n > 0 && !str_ieq(from, sender);
}

/* Recipients in the order of the fields, but for repetitions in a row. */
static size_t
recipients(struct eval *e, struct str out[RECIPIENTS_MAX])
{
	static const char *const names[] = { "ToCc", "Bcc" };
	struct str last = STR("");
	struct field_values v;
	size_t i, k, n = 0, seen = 0;

	for (i = 0; i < 2 && seen < SIMILAR_MIN; i++) {
		v = field_list(e->fields, str_of(names[i]), FIELD_ADDR);
		seen += v.n;
		for (k = 0; k < v.n && n < RECIPIENTS_MAX; k++) {
			if (str_ieq(v.v[k], last))
				continue;
			last = out[n++] = v.v[k];
		}
	}
	return n;
}

static bool
sorted_recipients(struct eval *e, const struct score_rule *r)
{
	struct str all[RECIPIENTS_MAX];
	size_t i, n = recipients(e, all);

	(void)r;
	for (i = 1; i < n; i++)
		if (str_cmp(all[i - 1], all[i]) > 0)
			return false;
	return n >= SORTED_MIN;
}

static struct str
host_of(struct str addr)
{
	ptrdiff_t at = str_chr(addr, '@');

	return at < 0 ? STR("") : str_sub(addr, (size_t)at + 1, addr.n);
}

static bool
begin_alike(struct str a, struct str b)
{
	return str_eq(str_sub(a, 0, SIMILAR_BYTES),
	    str_sub(b, 0, SIMILAR_BYTES));
}

static bool
similar_recipients(struct eval *e, const struct score_rule *r)
{
	struct str all[RECIPIENTS_MAX], x, y;
	size_t i, k, n = recipients(e, all), hits = 0;
	double ratio = 0;

	for (i = 0; n >= SIMILAR_MIN && i < n; i++)
		for (k = i + 1; k < n; k++) {
			x = host_of(all[i]);
			y = host_of(all[k]);
			hits += begin_alike(all[i], all[k]);
			hits += begin_alike(x, y) && !str_eq(x, y);
		}
	if (n >= SIMILAR_MIN)
		ratio = (double)hits / ((double)n * (double)(n - 1) / 2);
	return eval_in_range(r, 0, ratio);
}

static bool
subject_all_caps(struct eval *e, const struct score_rule *r)
{
	struct str s = str_trim(eval_field(e, "Subject"));
	size_t begin, end, i, upper = 0;
	bool space = false;

	(void)r;
	if (eval_next(EVAL_RE_REPLY_WORDS, s, 0, &begin, &end, NULL))
		s = str_sub(s, end, s.n);
	if (s.n < 10 ||
	    eval_matches(EVAL_RE_CAPS_ENCODED, eval_field(e, "Subject:raw")))
		return false;
	for (i = 0; i < s.n; i++) {
		space |= chr_space((unsigned char)s.p[i]);
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return false;
		upper += s.p[i] >= 'A' && s.p[i] <= 'Z';
	}
	return space && upper > 0;
}

static bool
is_word(struct str s, size_t i)
{
	return i < s.n && (chr_alnum((unsigned char)s.p[i]) || s.p[i] == '_');
}

/* \b of a regex, in front of s.p[i]. */
static bool
at_edge(struct str s, size_t i)
{
	return (i > 0 && is_word(s, i - 1)) != is_word(s, i);
}

static bool
address_in_subject(struct str subject, struct str addr)
{
	struct str rest = subject;
	ptrdiff_t found;
	size_t at = 0;

	while ((found = str_ifind(rest, addr)) >= 0) {
		at += (size_t)found;
		if (at_edge(subject, at) && at_edge(subject, at + addr.n))
			return true;
		at++;
		rest = str_sub(subject, at, subject.n);
	}
	return false;
}

/* NUL is no mark. */
static bool
is_mark(struct str s, size_t i, const char *marks)
{
	return i < s.n && s.p[i] != '\0' && strchr(marks, s.p[i]) != NULL;
}

/* "re: [word] user", "user, ...", "user", ", user!" */
static bool
user_in_subject(struct str s, struct str user)
{
	struct str rest;
	size_t i;

	s = str_trim(s);
	if (str_ieq(s, user))
		return true;
	if (str_starts(s, user) && is_mark(s, user.n, ",:;!?- \t")) {
		rest = str_trim(str_sub(s, user.n, s.n));
		if (is_mark(rest, 0, ",:;!?-") &&
		    (rest.n == 1 || chr_space((unsigned char)rest.p[1])))
			return true;
	}
	if (str_istarts(s, STR("re:")) || str_istarts(s, STR("fw:"))) {
		rest = str_trim(str_sub(s, 3, s.n));
		if (str_ieq(rest, user))
			return true;
		for (i = 0; is_word(rest, i);)
			i++;
		return i > 0 && i < rest.n &&
		    chr_space((unsigned char)rest.p[i]) &&
		    str_ieq(str_trim(str_sub(rest, i, rest.n)), user);
	}
	if (s.n > 1 && s.p[0] == ',' && is_mark(s, s.n - 1, ",:;!?-"))
		return str_ieq(str_trim(str_sub(s, 1, s.n - 2)), user);
	return false;
}

static bool
to_in_subject(struct eval *e, const struct score_rule *r)
{
	struct str to = eval_field(e, "To:addr"), rest;
	struct str subject = eval_field(e, "Subject");

	if (to.n == 0 || subject.n == 0)
		return false;
	if (str_eq(eval_arg(r, 0), STR("address")))
		return address_in_subject(subject, to);
	return str_eq(eval_arg(r, 0), STR("user")) &&
	    user_in_subject(subject, str_cut(to, '@', &rest));
}

static bool
message_id_not_usable(struct eval *e, const struct score_rule *r)
{
	const struct eval_def *removed =
	    eval_find(STR("gated_through_received_hdr_remover"));

	return eval_matches(EVAL_RE_LEAVE_LIST,
		   str_trim(eval_field(e, "List-Unsubscribe"))) ||
	    eval_hits(removed, e, r) ||
	    eval_matches(EVAL_RE_WACKY_MTA, eval_field(e, "Received"));
}

/* How many fields of that name there are, the same text once. */
static bool
field_count(struct eval *e, const struct score_rule *r)
{
	struct field_values v = field_list(e->fields, eval_arg(r, 0), 0);
	size_t i, k, n = 0;

	for (i = 0; i < v.n && i < FIELD_COUNT_MAX; i++) {
		for (k = 0; k < i && !str_eq(v.v[i], v.v[k]);)
			k++;
		n += k == i;
	}
	return (double)n >= eval_number(r, 1) && (double)n <= eval_number(r, 2);
}

/* "%RANDOM_WORD" that a mailer forgot to fill in. */
static bool
unresolved_template(struct eval *e, const struct score_rule *r)
{
	struct str rest = eval_field(e, "ALL"), line;

	(void)r;
	while (rest.p != NULL && rest.n > 0) {
		line = str_cut(rest, '\n', &rest);
		if (eval_matches(EVAL_RE_TEMPLATE, line) &&
		    !eval_matches(EVAL_RE_TEMPLATE_FIELDS, line))
			return true;
	}
	return false;
}

static bool
ratware_name_id(struct eval *e, const struct score_rule *r)
{
	struct str from = eval_field(e, "From"), id, addr;
	size_t begin, end, at = 0;

	(void)r;
	if (!eval_groups(EVAL_RE_RATWARE_ID, eval_field(e, "MESSAGEID"), &id,
		1))
		return false;
	while (eval_next(EVAL_RE_QUOTED_FROM, from, at, &begin, &end, &addr)) {
		if (str_eq(addr, id))
			return true;
		at = end;
	}
	return false;
}

/* An envelope sender that has the recipient in it, "dom-user@". */
static bool
ratware_envelope(struct eval *e, const struct score_rule *r)
{
	struct str to = eval_field(e, "To:addr"), dom, user, rest, hay;
	struct str from = eval_field(e, "EnvelopeFrom:addr");
	ptrdiff_t found;
	size_t at = 0;

	(void)r;
	if (from.n == 0 || eval_matches(EVAL_RE_SRS, from))
		return false;
	user = str_cut(to, '@', &rest);
	dom = tld_domain(e->tlds, eval_lower(e->arena, rest));
	if (user.n == 0 || dom.n == 0)
		return false;
	for (hay = from; (found = str_ifind(hay, dom)) >= 0;
	     hay = str_sub(from, ++at, from.n)) {
		at += (size_t)found;
		rest = str_sub(from, at + dom.n + 1, from.n);
		if (at_edge(from, at) && str_istarts(rest, user) &&
		    rest.n > user.n && rest.p[user.n] == '@')
			return true;
	}
	return false;
}

const struct eval_def eval_header_defs[] = {
	{ "check_equal_from_domains", other_domains, 0, 0 },
	{ "check_for_matching_env_and_hdr_from", same_sender, 0, 0 },
	{ "check_for_missing_to_header", missing_to, 0, 0 },
	{ "check_for_to_in_subject", to_in_subject, 0, 0 },
	{ "check_header_count_range", field_count, 0, 0 },
	{ "check_illegal_chars", illegal_chars, 0, 0 },
	{ "check_messageid_not_usable", message_id_not_usable, 0, 0 },
	{ "check_ratware_envelope_from", ratware_envelope, 0, 0 },
	{ "check_ratware_name_id", ratware_name_id, 0, 0 },
	{ "check_unresolved_template", unresolved_template, 0, 0 },
	{ "similar_recipients", similar_recipients, 0, 0 },
	{ "sorted_recipients", sorted_recipients, 0, 0 },
	{ "subject_is_all_caps", subject_all_caps, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
