/* Functions about the text of a message. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "score/eval.h"
#include "score/eval_pattern.h"

#define STOCK_KINDS_MAX	32
#define STOCK_TEXT_MAX	(64 * 1024)

static bool
has_word_character(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (chr_word((unsigned char)s.p[i]))
			return true;
	return false;
}

/* The next run of characters that are no space; "" at the end. */
static struct str
next_word(struct str *rest)
{
	size_t from = 0, to;
	struct str word;

	while (from < rest->n && chr_white((unsigned char)rest->p[from]))
		from++;
	for (to = from; to < rest->n && !chr_white((unsigned char)rest->p[to]);)
		to++;
	word = str_sub(*rest, from, to - from);
	*rest = str_sub(*rest, to, rest->n);
	return word;
}

/* Counts each word of the text; the map's values are size_t of the arena. */
static void
count_words(struct arena *a, struct map *words, struct str text)
{
	struct str word;
	size_t *n;

	while ((word = next_word(&text)).n > 0) {
		if (!has_word_character(word))
			continue;
		n = map_get(words, word);
		if (n == NULL) {
			n = arena_alloc(a, sizeof(*n));
			if (n == NULL)
				return;
			map_put(words, word, n);
		}
		++*n;
	}
}

static bool
is_inside(const struct view_part *p, const struct view_part *container)
{
	for (; p != NULL; p = p->parent)
		if (p == container)
			return true;
	return false;
}

static bool
has_image(const struct view_part *p)
{
	const struct html_tag *t;

	if (p->html == NULL)
		return false;
	for (t = p->html->tags_by_name; t != NULL; t = t->next)
		if (str_eq(t->name, STR("img")))
			return true;
	return false;
}

/* Words of the HTML that its text version has less often. */
static size_t
words_missing(const struct map *html, const struct map *text)
{
	struct map_iter it = { 0 };
	const size_t *there;
	struct str word;
	void *n;
	size_t missing = 0;

	while (map_next(html, &it, &word, &n)) {
		there = map_get(text, word);
		missing += there == NULL || *there < *(const size_t *)n;
	}
	return missing;
}

/* How much the versions of one multipart/alternative differ, in percent. */
static void
compare_versions(struct eval *e, const struct view_part *container)
{
	struct map *html = map_new(false), *text = map_new(false);
	const struct view_part *p;
	double share;
	bool image = false;
	size_t all;

	for (p = container; p != NULL; p = p->next) {
		if (!p->leaf || p->rendered.p == NULL ||
		    !is_inside(p, container))
			continue;
		count_words(e->arena, p->html != NULL ? html : text,
		    p->rendered);
		image |= has_image(p);
	}
	all = map_count(html);
	if (all == 0 && image)
		all = 1;	/* an image alone says something as well */
	if (all > 0) {
		e->difference_html = (double)all;
		e->difference_text = (double)map_count(text);
		share = map_count(html) == 0 ?
		    100 :
		    (double)words_missing(html, text) / (double)all * 100;
		if (share > e->difference)
			e->difference = share;
	}
	map_free(&html, NULL);
	map_free(&text, NULL);
}

/* Outlook's invitations are HTML and a calendar, without a text. */
static bool
is_invitation(const struct view_part *p)
{
	static const char *const types[] = { "multipart/alternative",
		"text/html", "text/calendar" };
	size_t i;

	for (i = 0; i < 3; i++, p = p->next)
		if (p == NULL || !str_eq(p->type, str_of(types[i])))
			return false;
	return p == NULL;
}

static void
find_difference(struct eval *e)
{
	const struct view_part *p;
	unsigned int most = 20;

	if (e->difference_known)
		return;
	e->difference_known = true;
	if (is_invitation(e->view->parts))
		return;
	for (p = e->view->parts; p != NULL && most > 0; p = p->next)
		if (str_eq(p->type, STR("multipart/alternative"))) {
			compare_versions(e, p);
			most--;
		}
}

static bool
alternative_difference(struct eval *e, const struct score_rule *r)
{
	find_difference(e);
	return (eval_number(r, 0) == 0 || e->difference > eval_number(r, 0)) &&
	    (eval_open(r, 1) || e->difference <= eval_number(r, 1));
}

static bool
alternative_count(struct eval *e, const struct score_rule *r)
{
	find_difference(e);
	return e->difference_html > eval_number(r, 1) &&
	    e->difference_text / e->difference_html > eval_number(r, 0);
}

static bool
blank_line_ratio(struct eval *e, const struct score_rule *r)
{
	double least = eval_number(r, 2), lines = 0, blank = 0, ratio;
	struct str rest, line;
	size_t i;

	for (i = 0; i < e->view->rawbody.count; i++) {
		rest = e->view->rawbody.line[i];
		while (rest.p != NULL && rest.n > 0) {
			line = str_cut(rest, '\n', &rest);
			lines++;
			blank += next_word(&line).n == 0;
		}
	}
	ratio = lines < (least < 1 ? 1 : least) ? -1 : 100 * blank / lines;
	return (eval_number(r, 0) == 0 && ratio <= eval_number(r, 1)) ||
	    eval_above_upto(r, 0, ratio);
}

/* The share of blanks in the line that has most of them. */
static double
most_blanks(const struct view_lines *body)
{
	size_t i, blanks, others;
	double most = -1, share;

	for (i = 0; i < body->count; i++) {
		if (body->line[i].n <= 5)
			continue;
		blanks = str_count(body->line[i], ' ');
		others = body->line[i].n - blanks;
		share = blanks > others || others == 0 ?
		    100 :
		    (double)(100 * blanks / others);
		if (share > most)
			most = share;
	}
	return most;
}

static bool
vertical_words(struct eval *e, const struct score_rule *r)
{
	double to = eval_number(r, 1);

	if (!e->vertical_known) {
		e->vertical = most_blanks(&e->view->body);
		e->vertical_known = true;
	}
	return e->vertical >= eval_number(r, 0) &&
	    e->vertical < (to >= 100 ? 101 : to);
}

static const struct view_part *
first_plain(const struct view *v)
{
	const struct view_part *p;

	for (p = v->parts; p != NULL; p = p->next)
		if (str_eq(p->type, STR("text/plain")))
			return p;
	return NULL;
}

/* Letters alone, lower case. */
static struct str
letters(struct arena *a, struct str s)
{
	struct str low = eval_lower(a, s);
	char *out = arena_alloc(a, low.n + 1);
	size_t i, n = 0;

	if (out == NULL)
		return STR("");
	for (i = 0; i < low.n; i++)
		if (low.p[i] >= 'a' && low.p[i] <= 'z')
			out[n++] = low.p[i];
	return (struct str){ out, n };
}

/* "Symbol: ABCD", "Target Price: $5": how many different such words. */
static bool
stock_info(struct eval *e, const struct score_rule *r)
{
	const struct view_part *p = first_plain(e->view);
	struct str text, label, word, kinds[STOCK_KINDS_MAX];
	size_t at = 0, begin, end, i, n = 0;

	text = str_sub(p != NULL ? p->rendered : STR(""), 0, STOCK_TEXT_MAX);
	while (n < STOCK_KINDS_MAX &&
	    eval_next(EVAL_RE_STOCK_LINE, text, at, &begin, &end, &label)) {
		at = end > at ? end : at + 1;
		if (!eval_groups(EVAL_RE_STOCK_WORD, letters(e->arena, label),
			&word, 1))
			continue;
		for (i = 0; i < n && !str_eq(kinds[i], word);)
			i++;
		if (i == n)
			kinds[n++] = word;
	}
	return (double)n >= eval_number(r, 0);
}

static bool
body_length(struct eval *e, const struct score_rule *r)
{
	return (double)e->view->body_text.n <= eval_number(r, 0);
}

/* Where the last "-- " divides the first plain text.  false: no such part. */
static bool
signature(struct eval *e, double *body, double *rest)
{
	const struct view_part *p = first_plain(e->view);
	struct str text;
	size_t at = 0, begin, end;

	if (p == NULL)
		return false;
	text = p->decoded;
	*body = (double)text.n;
	*rest = 0;
	while (eval_next(EVAL_RE_SIGNATURE, text, at, &begin, &end, NULL)) {
		at = end + 1;
		if (text.n - end <= 4)
			break;
		*body = (double)begin;
		*rest = (double)(text.n - end);
	}
	return true;
}

static bool
within(const struct score_rule *r, double value, double most)
{
	return value >= eval_number(r, 0) &&
	    value <= (eval_open(r, 1) ? most : eval_number(r, 1));
}

static bool
plain_length(struct eval *e, const struct score_rule *r)
{
	double body, rest;

	return signature(e, &body, &rest) && within(r, body, 1e18);
}

static bool
signature_length(struct eval *e, const struct score_rule *r)
{
	double body, rest;

	return signature(e, &body, &rest) && within(r, rest, 1e18);
}

static bool
signature_ratio(struct eval *e, const struct score_rule *r)
{
	double body, rest;

	return signature(e, &body, &rest) &&
	    within(r, rest > 0 ? body / rest : 1e6, 1e6);
}

const struct eval_def eval_body_defs[] = {
	{ "check_blank_line_ratio", blank_line_ratio, 0, 0 },
	{ "check_body_length", body_length, 0, 0 },
	{ "check_stock_info", stock_info, 0, 0 },
	{ "multipart_alternative_difference", alternative_difference, 0, 0 },
	{ "multipart_alternative_difference_count", alternative_count, 0, 0 },
	{ "plaintext_body_length", plain_length, 0, 0 },
	{ "plaintext_body_sig_ratio", signature_ratio, 0, 0 },
	{ "plaintext_sig_length", signature_length, 0, 0 },
	{ "tvd_vertical_words", vertical_words, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
