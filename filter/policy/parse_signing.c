/*
 * Whom we sign for: the statement `signing', the action `sign', their keys.
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "check/dkim_signer.h"
#include "policy/parse.h"

/* A DNS name of at least `labels' labels. */
static bool
is_name(struct str s, unsigned int labels)
{
	struct str label;

	if (s.n == 0 || s.n > 200)
		return false;
	while (s.p != NULL) {
		label = str_cut(s, '.', &s);
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!chr_alnum((unsigned char)label.p[i]) &&
			    label.p[i] != '-' && label.p[i] != '_')
				return false;
		if (labels > 0)
			labels--;
	}
	return labels == 0;
}

static bool
text_read(struct parse *p, const char *what, struct token *t)
{
	const struct token *next = lex_peek(p->lex);

	if (next->kind != TOKEN_WORD && next->kind != TOKEN_STRING) {
		parse_expected(p, next, what);
		return false;
	}
	*t = lex_next(p->lex);
	return true;
}

/* "selector S" and its like; in a file of keys S alone. */
static bool
part_read(struct parse *p, const char *word, const char *what, bool bare,
    struct token *t)
{
	char quoted[40];

	if (!bare) {
		snprintf(quoted, sizeof(quoted), "`%s'", word);
		if (!parse_is_word(lex_peek(p->lex), word)) {
			parse_expected(p, lex_peek(p->lex), quoted);
			return false;
		}
		lex_next(p->lex);
	}
	return text_read(p, what, t);
}

/* relaxed, simple, or one for the header and one for the body. */
static bool
canon_set(struct dkim_signer *signer, struct str text)
{
	struct str body, header = str_cut(text, '/', &body);

	if (body.p == NULL)
		body = header;
	signer->relaxed_header = str_eq(header, STR("relaxed"));
	signer->relaxed_body = str_eq(body, STR("relaxed"));
	return (signer->relaxed_header || str_eq(header, STR("simple"))) &&
	    (signer->relaxed_body || str_eq(body, STR("simple")));
}

static bool
canon_read(struct parse *p, struct dkim_signer *signer)
{
	struct token t;

	if (!parse_is_word(lex_peek(p->lex), "canon"))
		return true;
	lex_next(p->lex);
	if (!text_read(p, "relaxed, simple, or one of each: relaxed/simple",
		&t))
		return false;
	if (canon_set(signer, t.text))
		return true;
	diag_error(p->diag, t.place,
	    "a canonicalization is relaxed, simple, relaxed/simple or "
	    "simple/relaxed");
	return false;
}

/* The domain is read; entry "": for nobody's From, the action says when. */
static struct dkim_signer *
signer_read(struct parse *p, const struct token *domain, bool bare, bool listed)
{
	struct parse_key_at *at = parse_alloc(p, sizeof(*at));
	struct policy *policy = p->policy;
	struct str name = domain->text;
	struct token selector, key;

	if (listed && str_starts(name, STR(".")))
		name = str_sub(name, 1, name.n);
	if (!is_name(name, 2)) {
		diag_error(p->diag, domain->place, "not a domain name");
		return NULL;
	}
	if (!part_read(p, "selector", "a selector", bare, &selector) ||
	    !part_read(p, "key", "the path of a key file", bare, &key))
		return NULL;
	if (!is_name(selector.text, 1)) {
		diag_error(p->diag, selector.place, "not a selector");
		return NULL;
	}
	if (policy->signers == NULL)
		policy->signers = dkim_signers_new();
	at->signer = dkim_signers_add(policy->signers,
	    listed ? domain->text : STR_NONE, name, selector.text);
	at->signer->keyfile = parse_path(p, key.text);
	at->place = key.place;
	if (p->keys_tail == NULL)
		p->keys_tail = &p->keys;
	*p->keys_tail = at;
	p->keys_tail = &at->next;
	if (!canon_read(p, at->signer))
		return NULL;
	policy->sign_simple |= !at->signer->relaxed_body;
	return at->signer;
}

/* A line of a file: DOMAIN SELECTOR KEYFILE [canon C]. */
static void
file_line(struct parse *p)
{
	struct token t = lex_next(p->lex);

	if (t.kind == TOKEN_NEWLINE)
		return;
	if (t.kind != TOKEN_WORD && t.kind != TOKEN_STRING)
		parse_expected(p, &t, "a domain");
	else if (signer_read(p, &t, true, true) != NULL && parse_end(p))
		return;
	lex_skip_statement(p->lex);
}

static void
signing_file(struct parse *p)
{
	struct token t;

	lex_next(p->lex);
	if (!text_read(p, "the path of a file", &t))
		return;
	if (lex_peek(p->lex)->kind != TOKEN_NEWLINE &&
	    lex_peek(p->lex)->kind != TOKEN_END) {
		parse_expected(p, lex_peek(p->lex), "the end of the line");
		return;
	}
	parse_file_of(p, parse_path(p, t.text), t.place, file_line);
}

void
parse_signing(struct parse *p, const struct token *word)
{
	struct token open, t;

	(void)word;
	if (parse_is_word(lex_peek(p->lex), "file")) {
		signing_file(p);
		return;
	}
	if (lex_peek(p->lex)->kind != TOKEN_LBRACE) {
		parse_expected(p, lex_peek(p->lex), "`{' or `file'");
		return;
	}
	open = lex_next(p->lex);
	while (parse_brace_next(p, &open, &t)) {
		if (t.kind != TOKEN_WORD && t.kind != TOKEN_STRING) {
			parse_expected(p, &t, "a domain or `}'");
			parse_skip_entry(p);
		} else if (signer_read(p, &t, false, true) == NULL)
			parse_skip_entry(p);
	}
}

bool
parse_sign(struct parse *p, struct rule *r)
{
	struct token t;

	if (lex_peek(p->lex)->kind != TOKEN_STRING)
		return true;
	t = lex_next(p->lex);
	r->name = t.text;
	r->name_place = t.place;
	r->signer = signer_read(p, &t, false, false);
	return r->signer != NULL;
}

/* --- when all is read --------------------------------------------------- */

/* The user that the daemon becomes; our own where none is said. */
static unsigned int
daemon_user(const struct parse *p)
{
	struct str rest, user = p->policy->settings.text[SETTING_USER];
	const struct passwd *pw;
	char name[256];

	user = str_cut(user, ':', &rest);
	if (user.n == 0 || user.n >= sizeof(name))
		return 0;
	snprintf(name, sizeof(name), "%.*s", STR_FMT(user));
	pw = getpwnam(name);
	return pw != NULL ? pw->pw_uid : 0;
}

static void
check_rules(struct parse *p)
{
	const struct parse_key_at *at = p->keys;
	struct rule *r;

	while (at != NULL &&
	    dkim_signers_find(p->policy->signers, at->signer->domain) == NULL)
		at = at->next;
	if (at != NULL)
		return;
	for (r = p->policy->rules[STAGE_MESSAGE]; r != NULL; r = r->next)
		if (r->verb == VERB_SIGN && r->signer == NULL)
			diag_error(p->diag, r->place,
			    "`sign' alone wants a `signing' list of domains "
			    "and keys");
}

/* Whoever only checks a policy may lack the daemon's right to read a key. */
void
parse_signing_end(struct parse *p)
{
	unsigned int user = p->keys != NULL ? daemon_user(p) : 0;
	struct buf why = BUF_INIT(1000);
	enum dkim_load load;

	for (struct parse_key_at *at = p->keys; at != NULL; at = at->next) {
		struct dkim_signer *signer = at->signer;

		buf_truncate(&why, 0);
		load = dkim_signer_load(p->policy->signers, signer, user, &why);
		if (load != DKIM_LOAD_OK)
			(load == DKIM_LOAD_BAD ? diag_error :
						 diag_warn)(p->diag, at->place,
			    "%s %.*s: %.*s",
			    load == DKIM_LOAD_DOUBT ? "signing with" :
						      "cannot sign with",
			    STR_FMT(signer->keyfile), STR_FMT(buf_str(&why)));
	}
	buf_free(&why);
	check_rules(p);
}
