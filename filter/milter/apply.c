#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metric.h"
#include "milter/apply.h"

#define REPLY_MAX_LINES	32	/* smfi_setmlreply(3) */
#define REPLY_MAX_LINE	980
#define HOLD_MAX_REASON	400

/* A line of a reply as libmilter wants it: `%' doubled, short enough. */
static char *
reply_line(struct arena *a, struct str line)
{
	char *out = arena_alloc(a, 2 * line.n + 1), *w = out;
	size_t i;

	if (out == NULL)
		return NULL;
	for (i = 0; i < line.n && w - out < REPLY_MAX_LINE - 1; i++) {
		if (line.p[i] == '%')
			*w++ = '%';
		*w++ = line.p[i];
	}
	*w = '\0';
	return out;
}

static int
set_lines(SMFICTX *ctx, const char *code, const char *enhanced, char **l)
{
	return smfi_setmlreply(ctx, code, enhanced, l[0], l[1], l[2], l[3],
	    l[4], l[5], l[6], l[7], l[8], l[9], l[10], l[11], l[12], l[13],
	    l[14], l[15], l[16], l[17], l[18], l[19], l[20], l[21], l[22],
	    l[23], l[24], l[25], l[26], l[27], l[28], l[29], l[30], l[31],
	    NULL);
}

static bool
set_reply(SMFICTX *ctx, struct arena *a, const struct reply *reply)
{
	char *lines[REPLY_MAX_LINES] = { NULL };
	char code[16];
	struct str rest = reply->text;
	size_t n = 0;

	snprintf(code, sizeof(code), "%d", reply->code);
	while (n < REPLY_MAX_LINES && rest.p != NULL) {
		lines[n] = reply_line(a, str_cut(rest, '\n', &rest));
		if (lines[n++] == NULL)
			return false;
	}
	if (n == 0)
		return false;
	return set_lines(ctx, code, reply->enhanced, lines) == MI_SUCCESS;
}

sfsistat
apply_reply(SMFICTX *ctx, enum action action, const struct reply *reply)
{
	struct arena *a = arena_new(256 * 1024);

	/* Without a text of ours the MTA uses its own: still the answer. */
	if (reply->code != 0 && !set_reply(ctx, a, reply))
		log_event(LOG_EV_MTA, "what=reply code=%d text=%.*s",
		    reply->code, STR_FMT(reply->text));
	arena_free(&a);
	return action == ACTION_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

/* With SMFIP_HDR_LEADSPC the space after the colon is ours to give, else the
 * MTA puts one there. */
static char *
edit_value(struct arena *a, const struct offer *offer, struct str value)
{
	bool space = (offer->protocol & SMFIP_HDR_LEADSPC) != 0 &&
	    value.n > 0 && value.p[0] != ' ' && value.p[0] != '\t';
	struct str text;

	if ((offer->protocol & SMFIP_HDR_LEADSPC) == 0 &&
	    str_starts(value, STR(" ")))
		value = str_sub(value, 1, value.n);
	text = arena_join(a, space ? STR(" ") : STR(""), value, STR(""));
	return (char *)text.p;
}

/* Deletes from the last to the first: each deletion renumbers those below. */
static bool
remove_fields(SMFICTX *ctx, struct session *s, const char *name,
    unsigned int nth)
{
	unsigned int i, last = nth;

	if (nth == 0)
		last = header_count(&s->txn->headers, str_of(name));
	for (i = last; i >= (nth == 0 ? 1 : nth) && i > 0; i--)
		if (smfi_chgheader(ctx, (char *)name, (int)i, NULL) !=
		    MI_SUCCESS)
			return false;
	return true;
}

static bool
apply_edit(SMFICTX *ctx, const struct offer *offer, struct session *s,
    const struct edit *e)
{
	char *name = (char *)arena_str(s->txn->arena, e->name).p;
	char *value = NULL;

	if (name == NULL)
		return false;
	if (e->op == EDIT_REMOVE)
		return remove_fields(ctx, s, name, e->nth);
	if ((value = edit_value(s->txn->arena, offer, e->value)) == NULL)
		return false;
	switch (e->op) {
	case EDIT_ADD:
		return smfi_addheader(ctx, name, value) == MI_SUCCESS;
	case EDIT_INSERT:
		return smfi_insheader(ctx, 0, name, value) == MI_SUCCESS;
	case EDIT_CHANGE:
		return smfi_chgheader(ctx, name, (int)e->nth, value) ==
		    MI_SUCCESS;
	case EDIT_REMOVE:
		break;
	}
	return false;
}

static bool
edit_allowed(const struct offer *offer, const struct edit *e)
{
	unsigned long needed = e->op == EDIT_ADD || e->op == EDIT_INSERT ?
	    SMFIF_ADDHDRS :
	    SMFIF_CHGHDRS;

	return (offer->actions & needed) != 0;
}

/* Insertions go last, so that the numbers of the others hold. */
static bool
apply_edits(SMFICTX *ctx, const struct offer *offer, struct session *s,
    const struct edit *edits)
{
	const struct edit *e;
	bool inserts;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		for (e = edits; e != NULL; e = e->next) {
			inserts = e->op == EDIT_INSERT;
			if (inserts != (pass == 1))
				continue;
			if (!edit_allowed(offer, e))
				log_event(LOG_EV_MTA,
				    "what=header-edit-not-offered name=%.*s",
				    STR_FMT(e->name));
			else if (!apply_edit(ctx, offer, s, e))
				return false;
		}
	}
	return true;
}

static bool
delete_recipients(SMFICTX *ctx, const struct offer *offer, struct session *s)
{
	struct rcpt *r;
	struct str arg;

	for (r = s->txn->rcpts; r != NULL; r = r->next) {
		if (r->action != ACTION_DISCARD || r->mta_refused)
			continue;
		arg =
		    arena_printf(s->txn->arena, "<%.*s>", STR_FMT(r->addr.raw));
		if ((offer->actions & SMFIF_DELRCPT) == 0 || arg.p == NULL ||
		    smfi_delrcpt(ctx, (char *)arg.p) != MI_SUCCESS)
			return false;
	}
	return true;
}

/* The reason becomes a line of the MTA's queue file. */
static bool
hold(SMFICTX *ctx, const struct offer *offer, struct str reason)
{
	char text[HOLD_MAX_REASON + 1];
	size_t i;

	if ((offer->actions & SMFIF_QUARANTINE) == 0)
		return false;
	if (reason.n == 0)
		reason = STR("held by policy");
	reason = str_sub(reason, 0, HOLD_MAX_REASON);
	for (i = 0; i < reason.n; i++)
		text[i] = (unsigned char)reason.p[i] < ' ' ? ' ' : reason.p[i];
	text[i] = '\0';
	return smfi_quarantine(ctx, text) == MI_SUCCESS;
}

static sfsistat
not_applied(SMFICTX *ctx, struct session *s, const char *what)
{
	static const struct reply reply = { .code = 451,
		.enhanced = "4.3.0",
		.text = { "a filter's changes could not be applied", 39 } };

	metric_inc(METRIC_INTERNAL);
	log_event(LOG_EV_MTA, "id=%llu what=%s qid=%.*s answer=tempfail",
	    (unsigned long long)s->id, what, STR_FMT(s->txn->queue_id));
	return apply_reply(ctx, ACTION_TEMPFAIL, &reply);
}

sfsistat
apply_outcome(SMFICTX *ctx, const struct offer *offer, struct session *s,
    const struct outcome *out)
{
	switch (out->action) {
	case ACTION_REJECT:
	case ACTION_TEMPFAIL:
		return apply_reply(ctx, out->action, &out->reply);
	case ACTION_DISCARD:
		return SMFIS_DISCARD;
	case ACTION_NONE:
	case ACTION_ACCEPT:
	case ACTION_QUARANTINE:
		break;
	}
	if (!apply_edits(ctx, offer, s, out->edits))
		return not_applied(ctx, s, "header-edit-failed");
	if (!delete_recipients(ctx, offer, s))
		return not_applied(ctx, s, "recipient-delete-failed");
	if (out->action == ACTION_QUARANTINE &&
	    !hold(ctx, offer, out->quarantine))
		return not_applied(ctx, s, "quarantine-failed");
	return SMFIS_ACCEPT;
}
