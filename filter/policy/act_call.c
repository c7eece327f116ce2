/*
 * Rules that call others: programs to notify, the key to sign with.
 */
#include <stdio.h>

#include "check/dkim_sign.h"
#include "check/notify.h"
#include "policy/eval.h"
#include "policy/text.h"

/* The keys of whom the message says it is from; NULL: none are listed. */
static const struct dkim_signer *
signers_of_author(struct eval *e, const char **why)
{
	struct txn *txn = e->session->txn;
	const struct header *from = header_get(&txn->headers, STR("From"), 1);
	const struct dkim_signer *signer = NULL;
	struct mailbox *author = NULL;
	bool more;

	*why = "not signed: no From address";
	if (from != NULL)
		author = header_mailboxes(e->arena, from->value, 1, &more);
	if (author == NULL || author->domain.n == 0)
		return NULL;
	if (e->session->policy->signers != NULL)
		signer = dkim_signers_find(e->session->policy->signers,
		    author->domain);
	*why = "not signed: no key for the domain of From";
	return signer;
}

/* The field itself is made when all edits are settled: road.c. */
void
act_sign(struct eval *e, const struct rule *rule)
{
	const struct dkim_signer *signer = rule->signer;
	const char *why = NULL;

	if (signer == NULL)
		signer = signers_of_author(e, &why);
	if (signer == NULL) {
		e->detail = str_of(why);
		return;
	}
	e->detail = signer->domain;
	dkim_sign_want(e->session->txn, signer, rule->signer == NULL);
}

/* --- notify ------------------------------------------------------------ */

#define ENV_MAX	  32 /* variables */
#define ENV_ARGS  8 /* facts in a command */
#define ENV_BYTES 1000 /* of one value */

struct env {
	struct arena *arena;
	char *vars[ENV_MAX + 1]; /* ends in NULL */
	size_t n;
};

/* A variable ends at the first NUL; other control characters become spaces,
 * so that a value stays one line wherever the program writes it. */
static void
env_add(struct env *env, const char *name, struct str value)
{
	struct str var;
	char *p;

	value = str_sub(value, 0, ENV_BYTES);
	var = arena_printf(env->arena, "%s=%.*s", name, STR_FMT(value));
	if (var.n == 0 || env->n == ENV_MAX)
		return;
	p = arena_strdup(env->arena, var.p);
	if (p == NULL)
		return;
	for (char *c = p; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	env->vars[env->n++] = p;
}

static void
env_fact(struct env *env, struct session *s, const char *name, enum fact_id id)
{
	struct fact_ref ref = { .def = fact_by_id(id) };
	struct value value;

	fact_get(s, &ref, &value);
	env_add(env, name, fact_text(env->arena, &value));
}

/* Where the shell is behind a text. */
struct quoting {
	char mark; /* ' or " that is open, or 0 */
	bool escaped; /* the next character is itself */
};

static void
quoting_read(struct quoting *q, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (q->escaped)
			q->escaped = false;
		else if (c == '\\' && q->mark != '\'')
			q->escaped = true;
		else if (c == q->mark)
			q->mark = 0;
		else if (q->mark == 0 && (c == '\'' || c == '"'))
			q->mark = c;
	}
}

/* One word, or part of one, whatever the value is. */
static void
add_variable(struct buf *command, struct quoting *q, const char *name)
{
	if (q->escaped || q->mark == '"')
		buf_printf(command, "${%s}", name);
	else if (q->mark == '\'')
		buf_printf(command, "'\"${%s}\"'", name);
	else
		buf_printf(command, "\"${%s}\"", name);
	q->escaped = false;
}

/*
 * The command as the shell gets it.  A fact never stands in it itself: what
 * a stranger wrote would be run.  {sender} becomes "${POSTERN_ARG1}", and
 * the sender the value of that variable; in quotes, so that it is never split
 * into more words than one.
 */
static struct str
notify_command(struct eval *e, const struct rule *rule, struct env *env)
{
	struct buf command = BUF_INIT(16384);
	struct quoting quoting = { 0 };
	struct str result;
	unsigned int nargs = 0;
	char name[32];

	for (const struct text *t = rule->text; t != NULL; t = t->next) {
		struct text alone = *t;

		if (t->fact.def == NULL) {
			buf_addstr(&command, t->literal);
			quoting_read(&quoting, t->literal);
			continue;
		}
		alone.next = NULL;
		snprintf(name, sizeof(name), "POSTERN_ARG%u", ++nargs);
		add_variable(&command, &quoting, name);
		if (nargs <= ENV_ARGS)
			env_add(env, name,
			    text_render(e->session, e->stage, &alone));
	}
	result = arena_str(e->arena, buf_str(&command));
	buf_free(&command);
	return result;
}

/* Whom the notice is about: it is given once an hour for each. */
static struct str
notify_key(struct eval *e)
{
	const struct txn *txn = e->session->txn;
	char addr[ADDR_TEXT_MAX];

	if (txn != NULL && txn->user.n > 0)
		return arena_printf(e->arena, "user=%.*s", STR_FMT(txn->user));
	addr_format(&e->session->client, addr);
	return arena_printf(e->arena, "client=%s", addr);
}

/* The limit last found over, if there is one. */
static void
env_limit(struct env *env, struct session *s)
{
	env_fact(env, s, "POSTERN_LIMIT", FACT_LIMIT_NAME);
	env_fact(env, s, "POSTERN_LIMIT_KEY", FACT_LIMIT_KEY);
	env_fact(env, s, "POSTERN_LIMIT_MAX", FACT_LIMIT_MAX);
	env_fact(env, s, "POSTERN_LIMIT_WINDOW", FACT_LIMIT_WINDOW);
	env_fact(env, s, "POSTERN_LIMIT_USED", FACT_LIMIT_USED);
	env_fact(env, s, "POSTERN_LIMIT_RETRY", FACT_LIMIT_RETRY);
}

static void
env_all(struct env *env, struct session *s, const struct rule *rule,
    struct str key)
{
	env_add(env, "PATH", STR("/usr/local/bin:/usr/bin:/bin"));
	env_add(env, "POSTERN_KEY", key);
	env_fact(env, s, "POSTERN_CLIENT", FACT_CLIENT);
	env_fact(env, s, "POSTERN_SENDER", FACT_SENDER);
	env_fact(env, s, "POSTERN_USER", FACT_USER);
	env_fact(env, s, "POSTERN_RCPT", FACT_RCPT);
	env_fact(env, s, "POSTERN_QUEUE_ID", FACT_QUEUE_ID);
	env_limit(env, s);
	env_add(env, "POSTERN_RULE", rule->where);
	env_add(env, "POSTERN_TEXT", rule->source);
}

/* A notice comes back to this filter as mail: nobody is told of that. */
static bool
is_notice(const struct session *s)
{
	return s->txn != NULL && s->txn->sender.null && s->txn->user.n == 0 &&
	    (s->client.family == ADDR_NONE || addr_is_loopback(&s->client));
}

/* What a mail or JSON says: one line. */
static struct str
notice_text(struct eval *e, const struct rule *rule)
{
	struct str text = rule->source;
	char *line;

	if (rule->text != NULL)
		text = text_render(e->session, e->stage, rule->text);
	line = arena_strdup(e->arena, arena_str(e->arena, text).p);
	for (char *c = line; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return line != NULL ? str_of(line) : STR_NONE;
}

/* What makes two notices the same: whom they tell, and what as written. */
static struct str
notice_same(struct eval *e, const struct rule *rule)
{
	struct buf same = BUF_INIT(16384);
	struct str result;

	if (rule->text == NULL)
		return rule->source;
	buf_addstr(&same, rule->name);
	buf_addc(&same, ' ');
	for (const struct text *t = rule->text; t != NULL; t = t->next) {
		buf_addstr(&same, t->literal);
		if (t->fact.def != NULL)
			buf_printf(&same, "{%s(%.*s)}", t->fact.def->name,
			    STR_FMT(t->fact.arg));
	}
	result = arena_str(e->arena, buf_str(&same));
	buf_free(&same);
	return result;
}

void
act_notify(struct eval *e, const struct rule *rule)
{
	struct env env = { .arena = e->arena };
	struct session *s = e->session;
	const struct settings *set = &s->policy->settings;
	struct notice n = { .how = rule->how,
		.to = rule->name,
		.key = notify_key(e),
		.via = set->text[SETTING_MTA],
		.hostname = set->text[SETTING_HOSTNAME],
		.facts = env.vars };

	if (rule->how == NOTIFY_MAIL && is_notice(s))
		return;
	env_all(&env, s, rule, n.key);
	if (rule->how == NOTIFY_COMMAND)
		n.to = n.same = notify_command(e, rule, &env);
	else {
		n.text = notice_text(e, rule);
		n.same = notice_same(e, rule);
	}
	if (n.to.n == 0)
		return;
	e->detail =
	    notify_send(s->checks->services, &n) ? n.to : STR("not run");
}
