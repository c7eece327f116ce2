#include "mail/verdict.h"

#include <string.h>

#define REPLY_MAX_LINES 32
#define REPLY_MAX_LINE	900 /* libmilter takes 980 with the codes */

static const char *const action_words[] = {
	[ACTION_NONE] = "none",
	[ACTION_ACCEPT] = "accept",
	[ACTION_REJECT] = "reject",
	[ACTION_TEMPFAIL] = "tempfail",
	[ACTION_DISCARD] = "discard",
	[ACTION_QUARANTINE] = "quarantine",
};

const char *
action_word(enum action a)
{
	return action_words[a];
}

void
verdict_init(struct verdict *v)
{
	*v = (struct verdict){ .action = ACTION_NONE };
}

static bool
copy_str(struct arena *a, struct str *to, struct str from)
{
	*to = STR_NONE;
	if (from.n == 0)
		return true;
	*to = arena_str(a, from);
	return to->p != NULL;
}

/* What holds for every message of a connection: a hold and a discard have
 * no answer of their own at connect and HELO. */
static bool
inherit_action(struct arena *a, struct verdict *v, const struct verdict *from)
{
	if (!copy_str(a, &v->quarantine, from->quarantine))
		return false;
	if (from->action != ACTION_DISCARD && from->action != ACTION_QUARANTINE)
		return true;
	v->action = from->action;
	return copy_str(a, &v->rule, from->rule);
}

bool
verdict_inherit(struct arena *a, struct verdict *v, const struct verdict *from)
{
	v->score += from->score;
	for (const struct tag *t = from->tags; t != NULL; t = t->next)
		if (!verdict_tag(a, v, t->name))
			return false;
	for (const struct edit *e = from->edits; e != NULL; e = e->next)
		if (!verdict_edit(a, v, e->op, e->name, e->value, e->nth))
			return false;
	return inherit_action(a, v, from);
}

bool
verdict_tag(struct arena *a, struct verdict *v, struct str name)
{
	struct tag *t;

	if (verdict_has_tag(v, name))
		return true;
	t = arena_alloc(a, sizeof(*t));
	if (t == NULL || !copy_str(a, &t->name, name))
		return false;
	t->next = v->tags;
	v->tags = t;
	return true;
}

bool
verdict_has_tag(const struct verdict *v, struct str name)
{
	for (const struct tag *t = v->tags; t != NULL; t = t->next)
		if (str_ieq(t->name, name))
			return true;
	return false;
}

/* The name of a new field is RFC 5322 section 3.6.8 ftext; that of a field
 * received is what the stranger wrote, and must be found again. */
static bool
edit_name(struct arena *a, struct str name, bool is_new, struct str *out)
{
	char *p = arena_alloc(a, name.n + 1);
	size_t n = 0;

	if (p == NULL)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];

		if (c == '\0' || c == '\r' || c == '\n')
			continue;
		if (is_new && (c <= ' ' || c >= 0x7f || c == ':'))
			continue;
		p[n++] = c;
	}
	*out = (struct str){ p, n };
	return true;
}

static bool
chr_dropped(char c)
{
	return c == '\0' || c == '\r';
}

/* Behind the LF at i: where the next line that has text begins, 0 if none
 * does.  A line of white space alone would end the header for some. */
static size_t
next_line(struct str value, size_t i)
{
	size_t line = i + 1;

	for (i++; i < value.n; i++) {
		if (value.p[i] == '\n')
			line = i + 1;
		else if (!chr_space(value.p[i]) && !chr_dropped(value.p[i]))
			break;
	}
	if (i == value.n)
		return 0;
	while (chr_dropped(value.p[line]))
		line++;
	return line;
}

static bool
edit_value(struct arena *a, struct str value, struct str *out)
{
	char *p = arena_alloc(a, 2 * value.n + 1);
	size_t n = 0;

	if (p == NULL)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		size_t line;

		if (chr_dropped(value.p[i]))
			continue;
		p[n++] = value.p[i];
		if (value.p[i] != '\n')
			continue;
		line = next_line(value, i);
		if (line == 0) {
			n--;
			break;
		}
		if (value.p[line] != ' ' && value.p[line] != '\t')
			p[n++] = '\t';
		i = line - 1;
	}
	*out = (struct str){ p, n };
	return true;
}

static struct edit *
edit_find(const struct verdict *v, struct str name, unsigned int nth)
{
	for (struct edit *e = v->edits; e != NULL; e = e->next)
		if ((e->op == EDIT_CHANGE || e->op == EDIT_REMOVE) &&
		    e->nth == nth && str_ieq(e->name, name))
			return e;
	return NULL;
}

/* A field removed stays removed, whatever order it was asked in; of two
 * changes the later one holds. */
static void
edit_settle(struct edit *e, enum edit_op op, struct str value)
{
	if (op == EDIT_REMOVE) {
		e->op = EDIT_REMOVE;
		e->value = STR_NONE;
	} else if (e->op == EDIT_CHANGE) {
		e->value = value;
	}
}

bool
verdict_edit(struct arena *a, struct verdict *v, enum edit_op op,
    struct str name, struct str value, unsigned int nth)
{
	bool is_new = op == EDIT_ADD || op == EDIT_INSERT;
	struct edit *e;

	if (!edit_name(a, name, is_new, &name))
		return false;
	if (op == EDIT_REMOVE)
		value = STR_NONE;
	else if (!edit_value(a, value, &value))
		return false;
	if (name.n == 0)
		return true;
	e = is_new ? NULL : edit_find(v, name, nth);
	if (e != NULL) {
		edit_settle(e, op, value);
		return true;
	}
	e = arena_alloc(a, sizeof(*e));
	if (e == NULL)
		return false;
	*e = (struct edit){ NULL, op, name, value, is_new ? 0 : nth };
	if (v->edits_tail == NULL)
		v->edits_tail = &v->edits;
	*v->edits_tail = e;
	v->edits_tail = &e->next;
	return true;
}

bool
verdict_removes(const struct verdict *v, struct str name, unsigned int nth)
{
	for (const struct edit *e = v->edits; e != NULL; e = e->next)
		if (e->op == EDIT_REMOVE && (e->nth == 0 || e->nth == nth) &&
		    str_ieq(e->name, name))
			return true;
	return false;
}

/* RFC 5321 section 4.2: [45][0-5][0-9] and a space, or nothing more. */
static int
take_code(struct str *text)
{
	const char *p = text->p;

	if (text->n < 3 || (p[0] != '4' && p[0] != '5') || p[1] < '0' ||
	    p[1] > '5' || !chr_digit(p[2]))
		return 0;
	if (text->n > 3 && !chr_space(p[3]))
		return 0;
	*text = str_trim(str_sub(*text, 3, text->n));
	return (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
}

static size_t
digits(struct str s, size_t at)
{
	size_t n = 0;

	while (at + n < s.n && n < 4 && chr_digit(s.p[at + n]))
		n++;
	return n;
}

/* RFC 3463 section 2: class "." 1*3digit "." 1*3digit. */
static bool
take_enhanced(struct str *text, char out[12])
{
	size_t subject, detail, n;

	if (text->n < 5 || (text->p[0] != '4' && text->p[0] != '5') ||
	    text->p[1] != '.')
		return false;
	subject = digits(*text, 2);
	if (subject == 0 || subject > 3 || 2 + subject >= text->n ||
	    text->p[2 + subject] != '.')
		return false;
	detail = digits(*text, 3 + subject);
	if (detail == 0 || detail > 3)
		return false;
	n = 3 + subject + detail;
	if (n < text->n && !chr_space(text->p[n]))
		return false;
	memcpy(out, text->p, n);
	out[n] = '\0';
	*text = str_trim(str_sub(*text, n, text->n));
	return true;
}

/* The end of a line cut to what a reply bears, not inside of a character. */
static size_t
line_cut(const char *p, size_t n)
{
	if (n <= REPLY_MAX_LINE)
		return n;
	n = REPLY_MAX_LINE;
	while (n > REPLY_MAX_LINE - 4 && (p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static bool
reply_text(struct arena *a, struct str text, struct str *out)
{
	char *p = arena_alloc(a, text.n + 1);
	size_t n = 0, start = 0;
	unsigned int lines = 1;

	if (p == NULL)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];

		if (c == '\n') {
			n = start + line_cut(p + start, n - start);
			if (lines++ == REPLY_MAX_LINES)
				break;
			p[n++] = '\n';
			start = n;
		} else if (c == '\t') {
			p[n++] = ' ';
		} else if (c >= ' ' && c != 0x7f) {
			p[n++] = c;
		}
	}
	n = start + line_cut(p + start, n - start);
	p[n] = '\0';
	*out = (struct str){ p, n };
	return true;
}

bool
reply_make(struct arena *a, enum action action, struct str text,
    struct reply *r)
{
	bool reject = action == ACTION_REJECT, agrees;
	char class = reject ? '5' : '4';
	struct str rest;
	char enhanced[12] = "";
	int code;

	*r = (struct reply){ .code = 0 };
	text = str_trim(text);
	if (!reject && action != ACTION_TEMPFAIL)
		return reply_text(a, text, &r->text);
	rest = text;
	code = take_code(&rest);
	take_enhanced(&rest, enhanced);
	agrees = (code == 0 || code / 100 == class - '0') &&
	    (enhanced[0] == '\0' || enhanced[0] == class);
	if (!agrees) {
		code = 0;
		enhanced[0] = '\0';
		rest = text;
	}
	if (rest.n == 0)
		rest =
		    reject ? STR("refused by policy") : STR("try again later");
	r->code = code != 0 ? code : reject ? 550 : 451;
	memcpy(r->enhanced, enhanced, sizeof(enhanced));
	if (enhanced[0] == '\0')
		memcpy(r->enhanced, reject ? "5.7.1" : "4.7.1", 6);
	return reply_text(a, rest, &r->text) && agrees;
}
