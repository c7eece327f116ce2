#include "score/automaton.h"

#include <stdlib.h>

#include "base/mem.h"
#include "score/states.h"

#define LANES	4
#define AT_ONCE	16	/* bytes */
#define TRIES	2	/* to read a text: states may get lost */

struct automaton {
	struct states	*states;
};

struct automaton *
automaton_new(const struct automaton_regex *regex, size_t n)
{
	struct automaton *a;
	struct states *states;
	struct nodes nodes;
	size_t i;

	nodes_begin(&nodes, n);
	for (i = 0; i < n; i++)
		nodes_add(&nodes, i, regex[i].pattern, regex[i].flags);
	nodes_ready(&nodes);
	states = states_new(&nodes);
	if (states == NULL)
		return NULL;
	a = mem_alloc(sizeof(*a));
	a->states = states;
	return a;
}

void
automaton_free(struct automaton **a)
{
	if (*a == NULL)
		return;
	states_free(&(*a)->states);
	free(*a);
	*a = NULL;
}

/* --- lanes -------------------------------------------------------------- */

/* A text that is read. */
struct lane {
	struct automaton_ask *ask;	/* NULL: none */
	struct run	 run;
	uint32_t	 all;		/* a bit for each regex */
	int		 tries;
	const unsigned char *p, *end;
};

/* Texts that no lane has taken yet. */
struct queue {
	struct automaton_ask *next, *end;
};

static void
lane_begin(struct lane *l)
{
	struct str text = l->ask->text;

	states_begin(l->ask->automaton->states, &l->run);
	l->p = (const unsigned char *)(text.n > 0 ? text.p : "");
	l->end = l->p + text.n;
}

static void
lane_end(struct lane *l, uint32_t may, bool gave_up)
{
	l->ask->may = may;
	l->ask->gave_up = gave_up;
	l->ask = NULL;
}

static void
lane_again(struct lane *l)
{
	if (--l->tries > 0)
		lane_begin(l);
	else
		lane_end(l, l->all, true);
}

/* The text is read, or more of it would say nothing. */
static void
lane_done(struct lane *l)
{
	if (states_valid(&l->run))
		lane_end(l, states_met(&l->run), false);
	else
		lane_again(l);
}

/* Up to a move that is unknown, which is made. */
static void
lane_step(struct lane *l)
{
	enum states_answer answer;
	uint32_t move;

	for (; l->p < l->end; l->p++) {
		move = states_look(&l->run, *l->p);
		if (move == MOVE_UNKNOWN)
			break;
		states_go(&l->run, move);
	}
	if (l->p == l->end) {
		lane_done(l);
		return;
	}
	answer = states_learn(&l->run, *l->p);
	if (answer == STATES_LOST)
		lane_again(l);
	else if (answer == STATES_TOO_MANY)
		lane_end(l, l->all, true);
}

/* Reads nothing, as long as it is asked to. */
static void
lane_idle(struct lane *l)
{
	static const unsigned char text[AT_ONCE];
	static const struct table table = { .moves = { 0, STATE_FIRST } };

	l->run = (struct run){ .table = &table, .row = STATE_FIRST };
	l->p = text;
}

/* So that it has AT_ONCE bytes to read, or none at all. */
static void
lane_fill(struct lane *l, struct queue *q)
{
	for (;;) {
		if (l->ask == NULL) {
			if (q->next == q->end)
				break;
			l->ask = q->next++;
			l->all = l->ask->automaton->states->all;
			l->tries = TRIES;
			lane_begin(l);
		}
		if (states_met(&l->run) == l->all)
			lane_done(l);
		else if (l->end - l->p < AT_ONCE)
			lane_step(l);
		else
			return;
	}
	lane_idle(l);
}

/* Where it is after AT_ONCE bytes: with all moves known, or not. */
static void
lane_went(struct lane *l, const struct run *r)
{
	if (l->ask == NULL)
		return;
	if (r->row == MOVE_UNKNOWN) {
		lane_step(l);
		return;
	}
	l->run.row = r->row;
	l->run.seen = r->seen;
	l->p += AT_ONCE;
}

static void
go(struct run *r, unsigned char byte)
{
	states_go(r, states_look(r, byte));
}

/* A move waits for the one before it, but not for those of other lanes. */
static void
lanes_read(struct lane lane[LANES])
{
	struct run a = lane[0].run, b = lane[1].run, c = lane[2].run,
		   d = lane[3].run;
	const unsigned char *p[LANES] = { lane[0].p, lane[1].p, lane[2].p,
		lane[3].p };
	size_t i;

	for (i = 0; i < AT_ONCE; i++) {
		go(&a, p[0][i]);
		go(&b, p[1][i]);
		go(&c, p[2][i]);
		go(&d, p[3][i]);
	}
	lane_went(&lane[0], &a);
	lane_went(&lane[1], &b);
	lane_went(&lane[2], &c);
	lane_went(&lane[3], &d);
}

void
automaton_ask(struct automaton_ask *ask, size_t n)
{
	struct queue q = { ask, ask + n };
	struct lane lane[LANES];
	bool busy = true;
	size_t i;

	for (i = 0; i < LANES; i++)
		lane[i].ask = NULL;
	while (busy) {
		for (busy = false, i = 0; i < LANES; i++) {
			lane_fill(&lane[i], &q);
			busy = busy || lane[i].ask != NULL;
		}
		if (busy)
			lanes_read(lane);
	}
}

bool
automaton_may(struct automaton *a, struct str text)
{
	struct automaton_ask ask = { .automaton = a, .text = text };

	automaton_ask(&ask, 1);
	return ask.may != 0;
}

unsigned int
automaton_forgotten(const struct automaton *a)
{
	return states_forgotten(a->states);
}
