/*
 * Mail that says it comes from one of the big webmail providers, and has not
 * the Received fields that these write.
 */
#include "score/eval.h"
#include "score/eval_pattern.h"

static struct str
received(const struct eval *e)
{
	return eval_squeeze(e->arena, eval_field(e, "Received"));
}

/* Mailing list managers that take Received fields away: nothing can be said
 * about what is left. */
static bool
received_removed(struct eval *e, const struct score_rule *r)
{
	struct str rcvd = eval_field(e, "Received");

	(void)r;
	if (!eval_has_field(e, "Received"))
		return true;
	if (eval_matches(EVAL_RE_EZMLM, eval_field(e, "Mailing-List")) &&
	    eval_matches(EVAL_RE_EZMLM_TO, eval_field(e, "Delivered-To")) &&
	    eval_matches(EVAL_RE_QMAIL_RECEIVED, rcvd))
		return true;
	return eval_matches(EVAL_RE_MSN_GROUPS, rcvd);
}

static bool
fake_aol_relay(struct eval *e, const struct score_rule *r)
{
	struct str rcvd = received(e);

	(void)r;
	return eval_matches(EVAL_RE_AOL_RELAY, rcvd) &&
	    !eval_matches(EVAL_RE_AOL_REAL, rcvd);
}

static bool
msn_groups(struct eval *e, const struct score_rule *r)
{
	struct str list, server, id, want;

	(void)r;
	if (!eval_groups(EVAL_RE_MSN_LIST, eval_field(e, "To"), &list, 1) ||
	    !eval_groups(EVAL_RE_MSN_PICKUP, eval_field(e, "Received"), &server,
		1))
		return false;
	id = eval_field(e, "Message-Id");
	if (str_eq(list, STR("notifications"))) {
		want = arena_printf(e->arena, "@%.*s", STR_FMT(server));
		return str_starts(id, STR("<")) && str_find(id, want) > 1;
	}
	want = arena_printf(e->arena, "<%.*s-", STR_FMT(list));
	if (!str_starts(id, want) ||
	    str_find(id, STR("@groups.msn.com>")) < (ptrdiff_t)want.n)
		return false;
	want =
	    arena_printf(e->arena, "%.*s-bounce@groups.msn.com", STR_FMT(list));
	return str_find(eval_field(e, "EnvelopeFrom:addr"), want) >= 0;
}

/* Hotmail's own ways, and those of which nothing can be said. */
static bool
hotmail_excused(struct eval *e, const struct score_rule *r, struct str rcvd)
{
	if (eval_matches(EVAL_RE_HOTMAIL_PICKUP, rcvd) || msn_groups(e, r) ||
	    received_removed(e, r))
		return true;
	return (eval_matches(EVAL_RE_IP, eval_field(e, "X-Originating-Ip")) &&
		   eval_matches(EVAL_RE_HOTMAIL_BY_IP, rcvd)) ||
	    (eval_matches(EVAL_RE_HOTMAIL_ORIGIN,
		 eval_field(e, "X-OriginatorOrg")) &&
		eval_matches(EVAL_RE_HOTMAIL_BY_ORIGIN, rcvd));
}

/* Few messages speak of Hotmail at all. */
static bool
hotmail_forged(struct eval *e, const struct score_rule *r)
{
	struct str rcvd = received(e);

	return eval_matches(EVAL_RE_HOTMAIL_HELO, rcvd) &&
	    !hotmail_excused(e, r, rcvd);
}

static bool
hotmail_from_alone(struct eval *e, const struct score_rule *r)
{
	struct str rcvd;

	if (!eval_matches(EVAL_RE_HOTMAIL_FROM, eval_field(e, "From:addr")))
		return false;
	rcvd = received(e);
	return !eval_matches(EVAL_RE_HOTMAIL_HELO, rcvd) &&
	    !hotmail_excused(e, r, rcvd);
}

static bool
eudoramail(struct eval *e, const struct score_rule *r)
{
	if (!eval_matches(EVAL_RE_EUDORAMAIL_FROM, eval_field(e, "From:addr")))
		return false;
	return !received_removed(e, r) &&
	    !(eval_matches(EVAL_RE_EUDORAMAIL_BY, received(e)) &&
		eval_matches(EVAL_RE_IP, eval_field(e, "X-Sender-Ip")));
}

static bool
yahoo(struct eval *e, const struct score_rule *r)
{
	const struct relays *relays = field_relays(e->fields);
	struct str from = eval_field(e, "From:addr"), rcvd;

	if (!eval_matches(EVAL_RE_YAHOO_FROM, from) || received_removed(e, r))
		return false;
	rcvd = received(e);
	if (eval_field(e, "Resent-From").n > 0 &&
	    eval_field(e, "Resent-To").n > 0 &&
	    eval_field(e, "X-Received").n > 0)
		rcvd = eval_squeeze(e->arena, eval_field(e, "X-Received"));
	if (relays != NULL &&
	    (eval_matches(EVAL_RE_YAHOO_TRUSTED, relays->trusted) ||
		eval_matches(EVAL_RE_YAHOO_UNTRUSTED, relays->untrusted)))
		return false;
	return !eval_matches(EVAL_RE_YAHOO_RECEIVED, rcvd) &&
	    !(eval_matches(EVAL_RE_YAHOO_BULK, rcvd) &&
		eval_matches(EVAL_RE_YAHOO_REPLY, from));
}

static bool
juno(struct eval *e, const struct score_rule *r)
{
	struct str rcvd, mailer;

	if (!eval_matches(EVAL_RE_JUNO_FROM, eval_field(e, "From:addr")) ||
	    received_removed(e, r))
		return false;
	rcvd = eval_field(e, "Received");
	mailer = eval_field(e, "X-Mailer");
	if (eval_field(e, "X-Originating-IP").n > 0)
		return !eval_matches(EVAL_RE_JUNO_NEW, rcvd) ||
		    str_find(mailer, STR("Juno ")) < 0;
	/* Without that field the older form is not complete either. */
	return true;
}

static bool
gmail(struct eval *e, const struct score_rule *r)
{
	(void)r;
	return eval_matches(EVAL_RE_GMAIL_FROM, eval_field(e, "From:addr")) &&
	    !eval_matches(EVAL_RE_GMAIL_X, eval_field(e, "X-Received")) &&
	    !eval_matches(EVAL_RE_GMAIL_RECEIVED, eval_field(e, "Received")) &&
	    !(eval_field(e, "X-Gm-Message-State").n >= 60 &&
		eval_field(e, "X-Google-Smtp-Source").n >= 60);
}

const struct eval_def eval_forged_defs[] = {
	{ "check_for_fake_aol_relay_in_rcvd", fake_aol_relay, 0, 0 },
	{ "check_for_forged_eudoramail_received_headers", eudoramail, 0, 0 },
	{ "check_for_forged_gmail_received_headers", gmail, 0, 0 },
	{ "check_for_forged_hotmail_received_headers", hotmail_forged, 0, 0 },
	{ "check_for_forged_juno_received_headers", juno, 0, 0 },
	{ "check_for_forged_yahoo_received_headers", yahoo, 0, 0 },
	{ "check_for_msn_groups_headers", msn_groups, 0, 0 },
	{ "check_for_no_hotmail_received_headers", hotmail_from_alone, 0, 0 },
	{ "gated_through_received_hdr_remover", received_removed, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
