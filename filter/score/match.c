#include "score/match.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "score/auth_rule.h"
#include "score/eval.h"
#include "score/links.h"

#define LOOK_EVERY     16 /* matches between two looks at the clock */
#define SLOW_US	       4000 /* that many were slow: time each of them */
#define FEW_RULES      4
#define OCTETS_A_RULE  75

/* --- rules that take too much ------------------------------------------- */

static void
rule_strike(struct match *m, const struct score_rule *r, const char *why)
{
	struct plan *plan = m->set->plan;
	struct plan_health *h = &plan->health[r->index];
	int64_t until;

	m->out[r->index] = 1;
	m->limited = true;
	metric_inc(METRIC_RULES_LIMITED);
	if (!atomic_exchange(&h->told, true))
		log_event(LOG_EV_SCORE, "qid=%.*s rule=%.*s problem=%s",
		    STR_FMT(m->txn->queue_id), STR_FMT(r->name), why);
	if (atomic_fetch_add(&h->strikes, 1) + 1 < MATCH_STRIKES)
		return;
	atomic_store(&h->strikes, 0);
	until = clock_mono_ms() + MATCH_PAUSE_MS;
	atomic_store(&h->off_until, until);
	atomic_store(&plan->all_on, until);
	log_event(LOG_EV_SCORE, "rule=%.*s problem=%s pause_s=%d",
	    STR_FMT(r->name), "too much for too many messages",
	    MATCH_PAUSE_MS / 1000);
}

/* Rules that pause are out from the start. */
static void
rules_pause(struct match *m)
{
	struct plan *plan = m->set->plan;
	int64_t now = clock_mono_ms();
	size_t i;

	if (atomic_load_explicit(&plan->all_on, memory_order_acquire) <= now)
		return;
	for (i = 0; i < plan->count; i++)
		if (atomic_load_explicit(&plan->health[i].off_until,
			memory_order_relaxed) > now) {
			m->out[i] = 1;
			m->limited = true;
		}
}

static void
be_careful(struct match *m)
{
	size_t n = m->set->plan->count;

	m->spent_us = arena_alloc(m->arena, n * sizeof(*m->spent_us));
	m->suspect = arena_alloc(m->arena, n * sizeof(*m->suspect));
	m->careful = m->spent_us != NULL && m->suspect != NULL;
}

static bool
out_of_time(struct match *m, const struct score_rule *r)
{
	int64_t now, took;

	if (m->stopped)
		return true;
	if (m->looks++ % LOOK_EVERY != 0)
		return false;
	now = clock_mono_us();
	took = now - m->last_us;
	m->last_us = now;
	if (!m->careful && took > SLOW_US && m->looks > 1)
		be_careful(m);
	if (now / 1000 < m->stop_ms)
		return false;
	log_event(LOG_EV_SCORE, "qid=%.*s rule=%.*s problem=%s",
	    STR_FMT(m->txn->queue_id), STR_FMT(r->name), "no time was left");
	m->limited = true;
	return m->stopped = true;
}

/* The real time is cheap to ask for, but others' work is in it: a rule that
 * seems too slow is measured again by what it computes. */
static int64_t
rule_clock(const struct match *m, const struct score_rule *r)
{
	return m->suspect[r->index] ? clock_thread_us() : clock_mono_us();
}

static void
rule_spent(struct match *m, const struct score_rule *r)
{
	if (m->suspect[r->index])
		rule_strike(m, r, "it took too long");
	m->suspect[r->index] = true;
	m->spent_us[r->index] = 0;
}

/* A regex of the rule; from and to may be NULL. */
static enum regex_answer
search_for(struct match *m, const struct score_rule *r,
    const struct regex *regex, struct str subject, size_t start, size_t *from,
    size_t *to)
{
	enum regex_answer a;
	int64_t began;

	if (m->out[r->index] || out_of_time(m, r))
		return REGEX_LIMIT;
	began = m->careful ? rule_clock(m, r) : 0;
	a = regex_search(regex, subject, start, from, to, from != NULL);
	if (a == REGEX_LIMIT) {
		rule_strike(m, r, "match limit");
	} else if (m->careful) {
		m->spent_us[r->index] += rule_clock(m, r) - began;
		if (m->spent_us[r->index] > MATCH_RULE_MS * 1000)
			rule_spent(m, r);
	}
	return a;
}

static enum regex_answer
search(struct match *m, const struct score_rule *r, struct str subject,
    size_t start, size_t *from, size_t *to)
{
	const struct regex *regex = r->regex;

	if (regex == NULL && !m->out[r->index])
		regex = capture_regex(&m->captures, r, subject);
	if (regex == NULL)
		return REGEX_LIMIT;
	return search_for(m, r, regex, subject, start, from, to);
}

/* --- one rule, one text ------------------------------------------------- */

static bool
enough(const struct match *m, const struct score_rule *r)
{
	return m->count[r->index] >= r->most;
}

/* A rule may count each letter of a text. */
static void
count_byte(struct match *m, const struct score_rule *r, struct str subject,
    char byte)
{
	double *count = &m->count[r->index];

	if (m->out[r->index] || out_of_time(m, r))
		return;
	*count += (double)str_count(subject, byte);
	if (*count > r->most)
		*count = r->most;
}

/* Every match in the text, up to the rule's maxhits. */
static void
count_sifted(struct match *m, const struct score_rule *r, struct str subject)
{
	int byte = r->multiple && r->regex != NULL ? regex_byte(r->regex) : -1;
	size_t start = 0, from, to;

	if (byte >= 0) {
		count_byte(m, r, subject, (char)byte);
		return;
	}
	while (!enough(m, r) && start <= subject.n) {
		if (search(m, r, subject, start, &from, &to) != REGEX_YES)
			return;
		m->count[r->index]++;
		if (r->perl.captures)
			capture_take(&m->captures, r, subject, start);
		start = to > from ? to : to + 1;
	}
}

/* The same in a text that the rule was not found for. */
static void
count_in(struct match *m, const struct score_rule *r, struct str subject)
{
	if (!m->out[r->index] && plan_may(m->set->plan, r, subject))
		count_sifted(m, r, subject);
}

void
match_text(struct match *m, const struct score_rule *r, struct str text)
{
	count_sifted(m, r, text);
}

/* Is it asked only if a meta needs it? */
static bool
late(const struct match *m, const struct score_rule *r)
{
	return m->set->plan->late[r->index];
}

/* Rules that nothing but their regex says anything of. */
static void
count_each(struct match *m, const struct plan_list *list)
{
	size_t i;

	for (i = 0; i < list->count && !m->stopped; i++)
		if (!late(m, list->rule[i])) {
			match_rule(m, list->rule[i]);
			demand_known(m, list->rule[i]);
		}
}

/* --- body, rawbody and uri rules ---------------------------------------- */

/* tflags nosubject: the first line of a body is the subject. */
static bool
passes_over(const struct score_rule *r, bool first)
{
	return first && r->nosubject;
}

/* A rule that could match. */
static void
count_text(struct match *m, const struct score_rule *r, const struct str *text,
    bool first)
{
	if (m->stopped || enough(m, r) || passes_over(r, first))
		return;
	if (late(m, r)) {
		demand_text(m, r, text);
	} else {
		count_sifted(m, r, *text);
		demand_known(m, r);
	}
}

/* Of the rules that wait those that could match. */
static void
wait_end(struct match *m)
{
	struct match_wait *w = &m->wait;
	uint32_t could;
	size_t i;

	sieve_ask(w->ask, w->count);
	for (i = 0; i < w->count; i++)
		for (could = w->ask[i].could; could != 0; could &= could - 1)
			count_text(m,
			    sieve_rule(w->ask[i].group,
				(size_t)__builtin_ctz(could)),
			    w->ask[i].text, w->first[i]);
	w->count = 0;
}

/* Many are asked at a time: the text must last until wait_end(). */
static void
wait_for(struct match *m, struct sieve_group *group, const struct str *text,
    bool first)
{
	struct match_wait *w = &m->wait;

	if (w->count == MATCH_WAITING)
		wait_end(m);
	w->ask[w->count] = (struct sieve_ask){ .group = group, .text = text };
	w->first[w->count++] = first;
}

static void
wait_for_all(struct match *m, const struct sieve *sieve, const struct str *text,
    bool first)
{
	size_t i;

	for (i = 0; sieve != NULL && i < sieve->count; i++)
		wait_for(m, sieve->group[i], text, first);
}

/* The rules that the prefilter named. */
static void
count_found(struct match *m, const struct str *text, bool first)
{
	const struct plan *plan = m->set->plan;
	struct sieve_group *slow;
	const struct score_rule *r;
	size_t i;

	for (i = 0; i < m->scratch.nfound && !m->stopped; i++) {
		r = plan->by_index[m->scratch.found[i]];
		slow = plan_slow(plan, r);
		if (plan->together[r->index] != NULL)
			wait_for(m, plan->together[r->index], text, first);
		else if (slow == NULL)
			count_text(m, r, text, first);
		else if (!enough(m, r) && !passes_over(r, first))
			wait_for(m, slow, text, first);
	}
}

static void
count_rule(struct match *m, const struct score_rule *r, const struct str *line,
    size_t n)
{
	size_t i;

	for (i = 0; i < n && !enough(m, r) && !m->out[r->index] && !m->stopped;
	     i++)
		if (!passes_over(r, i == 0))
			count_in(m, r, line[i]);
}

static void
count_lines(struct match *m, enum rule_kind kind, enum prefilter_text text,
    const struct str *line, size_t n)
{
	const struct plan *plan = m->set->plan;
	size_t i;

	for (i = 0; i < n && plan->prefilter != NULL && !m->stopped; i++) {
		prefilter_pass(plan->prefilter, text, line[i], &m->scratch);
		count_found(m, &line[i], i == 0);
		wait_for_all(m, plan->sieve[kind], &line[i], i == 0);
	}
	count_each(m, &plan->alone[kind]);
}

static bool
uri_lines(struct match *m)
{
	const struct uri *u;
	size_t n = 0;

	m->uri = arena_alloc(m->arena, (m->uris->count + 1) * sizeof(*m->uri));
	if (m->uri == NULL)
		return false;
	for (u = m->uris->first; u != NULL && n < m->uris->count; u = u->next)
		m->uri[n++] = u->text;
	m->nuri = n;
	return true;
}

/* --- header and mimeheader rules ---------------------------------------- */

static void
count_header(struct match *m, const struct score_rule *r, struct str value)
{
	struct str text = value.p != NULL ? value : r->if_unset;
	size_t from, to;

	if (r->exists)
		m->count[r->index] = value.p != NULL;
	else if (r->negate)
		m->count[r->index] = !m->out[r->index] &&
		    (!plan_may(m->set->plan, r, text) ||
			search(m, r, text, 0, &from, &to) == REGEX_NO);
	else
		count_in(m, r, text);
}

static struct str
value_of(struct match *m, const struct plan_field *field)
{
	struct match_value *v = &m->values[field - m->set->plan->fields];

	if (!v->known)
		v->text = field_get(m->fields, field->name, field->flags);
	v->known = true;
	return v->text;
}

static struct str
value_for(struct match *m, const struct score_rule *r)
{
	uint32_t field = m->set->plan->field_of[r->index];

	if (field == PLAN_NO_FIELD)
		return field_get(m->fields, r->field, r->flags);
	return value_of(m, &m->set->plan->fields[field]);
}

static void
count_found_in(struct match *m, const struct score_rule *r,
    const struct plan_field *field)
{
	if (late(m, r)) {
		demand_whole(m, r);
		return;
	}
	count_in(m, r, value_of(m, field));
	demand_known(m, r);
}

/* Is a pass over the value dearer than to ask its rules?  It takes as long
 * for a rule as for so many octets. */
static bool
pass_is_dear(struct match *m, const struct plan_field *field)
{
	return field->covered.count <= FEW_RULES ||
	    value_of(m, field).n / OCTETS_A_RULE > field->covered.count;
}

static void
count_covered(struct match *m, const struct plan_field *field)
{
	const struct plan *plan = m->set->plan;
	uint32_t self = (uint32_t)(field - plan->fields);
	struct match_value *v = &m->values[self];
	size_t i, n;

	if (pass_is_dear(m, field)) {
		for (i = 0; i < field->covered.count && !m->stopped; i++)
			count_found_in(m, field->covered.rule[i], field);
		return;
	}
	prefilter_pass(plan->prefilter, PREFILTER_HEADER, value_of(m, field),
	    &m->scratch);
	for (i = n = 0; i < m->scratch.nfound; i++)
		if (plan->field_of[m->scratch.found[i]] == self)
			m->scratch.found[n++] = m->scratch.found[i];
	m->scratch.nfound = n;
	count_found(m, &v->text, false);
}

static void
count_field(struct match *m, const struct plan_field *field)
{
	const struct score_rule *r;
	size_t i;

	count_each(m, &field->alone);
	if (!field->made &&
	    !header_has(&m->txn->headers, field->hash, field->name))
		return;
	for (i = 0; i < field->exists.count; i++) {
		r = field->exists.rule[i];
		m->count[r->index] = 1;
		demand_known(m, r);
	}
	if (field->covered.count > 0)
		count_covered(m, field);
	if (field->sieve != NULL) {
		value_of(m, field);
		wait_for_all(m, field->sieve,
		    &m->values[field - m->set->plan->fields].text, false);
	}
}

/* The parts that tflags range= leaves, as one text. */
static struct str
parts_joined(struct match *m, const struct score_rule *r)
{
	struct buf text = BUF_INIT(HEADER_MAX_BYTES);
	const struct view_part *part;
	struct str value;
	unsigned int n = 0;

	for (part = m->view->parts; part != NULL; part = part->next) {
		if (++n < r->first_part || n > r->last_part)
			continue;
		part_text(&m->parts, r, part, n - 1, &value);
		buf_addstr(&text, value);
		if (text.n == 0 || text.p[text.n - 1] != '\n')
			buf_addc(&text, '\n');
	}
	value = arena_str(m->arena, buf_str(&text));
	buf_free(&text);
	return value;
}

/* The hits of the first part that has any. */
static void
count_parts(struct match *m, const struct score_rule *r)
{
	const struct view_part *part = r->concat ? NULL : m->view->parts;
	unsigned int n = 0;
	struct str text;

	if (r->concat)
		count_in(m, r, parts_joined(m, r));
	for (; part != NULL && m->count[r->index] == 0 && !m->stopped;
	     part = part->next) {
		if (++n < r->first_part || n > r->last_part)
			continue;
		if (part_text(&m->parts, r, part, n - 1, &text))
			count_in(m, r, text);
	}
	if (r->negate)
		m->count[r->index] =
		    m->count[r->index] == 0 && !m->stopped && !m->out[r->index];
}

/* --- URIs --------------------------------------------------------------- */

/* Does one of the texts answer as the rule asks? */
static bool
answers(struct match *m, const struct score_rule *r,
    const struct rule_asks *ask, const struct str *text, size_t n)
{
	enum regex_answer a;
	size_t i;

	for (i = 0; i < n; i++) {
		a = search_for(m, r, ask->regex, text[i], 0, NULL, NULL);
		if (a != REGEX_LIMIT && (a == REGEX_YES) != ask->negate)
			return true;
	}
	return false;
}

/* What one place says to each question of a uri_detail rule. */
static bool
place_answers(struct match *m, const struct score_rule *r,
    const struct uri_place *place)
{
	struct str text[URI_MAX_FORMS];
	size_t i, n;
	int d;

	for (d = 0; d < RULE_DETAIL_COUNT; d++) {
		if (r->asks[d].regex == NULL)
			continue;
		n = d == DETAIL_TEXT ? 0 : 1;
		text[0] = d == DETAIL_RAW ? place->written :
		    place->tag.n > 0	  ? place->tag :
					    STR("parsed");
		if (d == DETAIL_CLEANED || d == DETAIL_DOMAIN ||
		    d == DETAIL_HOST)
			for (n = i = 0; i < place->nforms && n < URI_MAX_FORMS;
			     i++)
				text[n++] = d == DETAIL_CLEANED ?
				    place->forms[i]->text :
				    d == DETAIL_HOST ? place->forms[i]->host :
						       place->forms[i]->domain;
		if (!answers(m, r, &r->asks[d], text, n))
			return false;
	}
	return true;
}

static void
count_detail(struct match *m, const struct score_rule *r)
{
	const struct uri_place *place;

	for (place = m->uris->places; place != NULL && !m->out[r->index];
	     place = place->next)
		if (place_answers(m, r, place)) {
			m->count[r->index] = 1;
			return;
		}
}

/* --- all of them -------------------------------------------------------- */

static bool
match_begin(struct match *m)
{
	const struct links *links;
	size_t n = m->set->plan->count + 1;

	m->arena = m->txn->arena;
	m->last_us = clock_mono_us();
	m->count = arena_alloc(m->arena, n * sizeof(*m->count));
	m->out = arena_alloc(m->arena, n);
	m->values = arena_alloc(m->arena,
	    (m->set->plan->nfields + 1) * sizeof(*m->values));
	m->fields = field_open(m->arena, m->txn, &m->set->trust.nets,
	    m->set->plan->tlds);
	links = links_find(m->txn, m->set);
	if (m->count == NULL || m->out == NULL || m->values == NULL ||
	    m->fields == NULL || links == NULL)
		return false;
	m->view = links->view;
	m->uris = links->uris;
	m->limited |= links->limited;
	m->captures.arena = m->arena;
	m->captures.fields = m->fields;
	rules_pause(m);
	return uri_lines(m) && demand_begin(m) &&
	    (m->set->plan->prefilter == NULL ||
		prefilter_begin(m->set->plan->prefilter, m->arena,
		    &m->scratch));
}

static void
count_function(struct match *m, const struct score_rule *r)
{
	const struct eval_def *function = m->set->plan->functions[r->index];

	if (m->out[r->index] || out_of_time(m, r))
		return;
	m->eval->spent_us = 0;
	m->eval->too_slow = false;
	m->count[r->index] = function != NULL ?
	    eval_hits(function, m->eval, r) :
	    auth_rule_value(m->txn, r);
	if (m->eval->too_slow)
		rule_strike(m, r, "it took too long");
}

void
match_rule(struct match *m, const struct score_rule *r)
{
	const struct view *view = m->view;

	if (r->eval.p != NULL) {
		count_function(m, r);
		return;
	}
	switch (r->kind) {
	case RULE_HEADER:
		count_header(m, r, value_for(m, r));
		break;
	case RULE_MIMEHEADER:
		count_parts(m, r);
		break;
	case RULE_URI:
		count_rule(m, r, m->uri, m->nuri);
		break;
	case RULE_URI_DETAIL:
		count_detail(m, r);
		break;
	case RULE_FULL:
		count_in(m, r, view->full);
		break;
	case RULE_BODY:
		count_rule(m, r, view->body.line, view->body.count);
		break;
	case RULE_RAWBODY:
		count_rule(m, r, view->rawbody.line, view->rawbody.count);
		break;
	case RULE_META:
	case RULE_KIND_COUNT:
		break;
	}
}

static void
count_leaves(struct match *m)
{
	const struct plan *plan = m->set->plan;
	size_t i;

	/* The longest texts first: those that are asked together end so at
	 * about the same time. */
	count_lines(m, RULE_RAWBODY, PREFILTER_RAWBODY, m->view->rawbody.line,
	    m->view->rawbody.count);
	count_lines(m, RULE_BODY, PREFILTER_BODY, m->view->body.line,
	    m->view->body.count);
	for (i = 0; i < plan->nfields && !m->stopped; i++)
		count_field(m, &plan->fields[i]);
	count_lines(m, RULE_URI, PREFILTER_URI, m->uri, m->nuri);
	wait_end(m);
	count_each(m, &plan->eval);
	count_each(m, &plan->regex[RULE_MIMEHEADER]);
	count_each(m, &plan->regex[RULE_FULL]);
	count_each(m, &plan->regex[RULE_URI_DETAIL]);
}

bool
match_message(struct match *m)
{
	struct eval eval;

	if (!match_begin(m))
		return false;
	eval = (struct eval){ .arena = m->arena,
		.txn = m->txn,
		.fields = m->fields,
		.view = m->view,
		.uris = m->uris,
		.set = m->set,
		.tlds = m->set->plan->tlds };
	m->eval = &eval;
	part_texts_begin(&m->parts, m->set->plan, &m->scratch);
	/* Before all that wait for what they capture. */
	count_each(m, &m->set->plan->captures);
	count_leaves(m);
	demand_metas(m);
	m->eval = NULL;
	m->limited |= m->parts.limited;
	part_texts_end(&m->parts);
	return true;
}
