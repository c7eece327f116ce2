#include <string.h>

#include "score/literal.h"
#include "score/tree.h"

#define EXACT_MAX	48
#define CLASS_MAX	4	/* bytes of a class that are told apart */
#define ODDS_COMMON	5e-3	/* met in most texts */
#define COMMON_FACTOR	10	/* of common trigrams */
#define COPIES_MAX	3	/* of a{3}: written out */

/* Any of these strings, and nothing else; count 0: anything. */
struct exact {
	const struct str *text;
	size_t		 count;
};

/* What is known of a part of a pattern. */
struct node {
	struct exact	 exact;
	struct literals	 must;
};

/* A sequence in work: `run' is what stands at its end. */
struct sequence {
	struct exact	 run;
	struct literals	 must;
	bool		 whole;		/* run is all of it so far */
};

static const struct str nothing = { "", 0 };
static const struct exact empty = { &nothing, 1 };
static const struct exact anything = { NULL, 0 };

static struct node node_of(struct arena *, const struct tree *);

/* --- sets of strings ---------------------------------------------------- */

/* How often a letter stands in a mail, in thousandths; others are rare. */
static double
byte_odds(unsigned char c)
{
	static const unsigned char letters[26] = { 65, 15, 28, 35, 100, 20, 18,
		40, 60, 3, 8, 38, 25, 58, 62, 20, 2, 55, 55, 75, 25, 10, 16, 4,
		17, 3 };

	if (c >= 'a' && c <= 'z')
		return letters[c - 'a'] / 1000.0;
	if (c == ' ')
		return 0.15;
	return 0.01;
}

/* Three bytes that stand in words of most mails. */
static bool
is_common(const char *p)
{
	static const char common[][4] = { "the", "he ", " th", "ing", "ng ",
		"and", "nd ", " an", "you", " yo", "our", "for", "ion", "tio",
		"ent", "ver", "all", "ter", "pro", "con", "thi", "hat", "wit",
		"ail", "com", ".co", "net", "htt", "ttp", "tp:", "p:/", "://",
		"www", "---" };
	size_t i;

	for (i = 0; i < sizeof(common) / sizeof(*common); i++)
		if (memcmp(p, common[i], 3) == 0)
			return true;
	return false;
}

double
literal_odds(struct str s)
{
	double odds = 1;
	size_t i;

	for (i = 0; i < s.n; i++) {
		odds *= 2 * byte_odds((unsigned char)s.p[i]);
		if (i >= 2 && is_common(s.p + i - 2))
			odds *= COMMON_FACTOR;
	}
	return odds;
}

/* A bit for each byte in it, several bytes having the same: where one is
 * missing there the string does not hold it. */
static uint64_t
bytes_in(struct str s)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < s.n; i++)
		bytes |= UINT64_C(1) << (s.p[i] & 63);
	return bytes;
}

/* Strings that hold another one of the set say nothing of their own. */
static struct exact
reduce(struct arena *a, struct exact e)
{
	struct str *kept = arena_alloc(a, e.count * sizeof(*kept));
	uint64_t bytes[LITERAL_STRINGS];
	size_t i, j, n = 0;

	if (kept == NULL)
		return anything;
	for (i = 0; i < e.count; i++)
		bytes[i] = bytes_in(e.text[i]);
	for (i = 0; i < e.count; i++) {
		for (j = 0; j < e.count; j++)
			if (j != i && (bytes[j] & ~bytes[i]) == 0 &&
			    str_find(e.text[i], e.text[j]) >= 0 &&
			    (e.text[j].n < e.text[i].n || j < i))
				break;
		if (j == e.count)
			kept[n++] = e.text[i];
	}
	return (struct exact){ kept, n };
}

/* One more set that must be met; the rarest ones stay, the first of them
 * first. */
static void
must_add(struct literals *must, struct literal_set set)
{
	size_t i = must->count;

	if (i < LITERAL_SETS)
		must->count++;
	else if (set.odds >= must->set[--i].odds)
		return;
	for (; i > 0 && must->set[i - 1].odds > set.odds; i--)
		must->set[i] = must->set[i - 1];
	must->set[i] = set;
}

static void
must_join(struct literals *must, const struct literals *more)
{
	size_t i;

	for (i = 0; i < more->count; i++)
		must_add(must, more->set[i]);
}

/* A short string, or not even a short word between blanks. */
static bool
is_everywhere(struct str s)
{
	return s.n < LITERAL_SHORTEST || str_trim(s).n < 2;
}

/* What must be met because a run of the pattern is one of these strings. */
static void
must_exact(struct arena *a, struct literals *must, struct exact e)
{
	struct literal_set set = { 0 };
	size_t i;

	for (i = 0; i < e.count; i++)
		if (is_everywhere(e.text[i]))
			return;
	if (e.count > 1)
		e = reduce(a, e);
	for (i = 0; i < e.count; i++)
		set.odds += literal_odds(e.text[i]);
	set.text = e.text;
	set.count = e.count;
	if (set.count > 0)
		must_add(must, set);
}

static bool
join(struct arena *a, struct str left, struct str right, struct str *joined)
{
	char *p = NULL;

	if (left.n + right.n <= LITERAL_LONGEST)
		p = arena_alloc(a, left.n + right.n);
	if (p == NULL)
		return false;
	memcpy(p, left.p, left.n);
	memcpy(p + left.n, right.p, right.n);
	*joined = (struct str){ p, left.n + right.n };
	return true;
}

/* Every string of one before every string of the other. */
static struct exact
cross(struct arena *a, struct exact left, struct exact right)
{
	size_t i, j, n = 0;
	struct str *all;

	if (left.count == 0 || right.count == 0 ||
	    left.count * right.count > EXACT_MAX)
		return anything;
	if (left.count == 1 && left.text[0].n == 0)
		return right;
	all = arena_alloc(a, left.count * right.count * sizeof(*all));
	for (i = 0; all != NULL && i < left.count; i++)
		for (j = 0; j < right.count; j++)
			if (!join(a, left.text[i], right.text[j], &all[n++]))
				return anything;
	return (struct exact){ all, n };
}

static struct exact
both(struct arena *a, struct exact x, struct exact y)
{
	struct str *all;

	if (x.count == 0 || y.count == 0 || x.count + y.count > LITERAL_STRINGS)
		return anything;
	all = arena_alloc(a, (x.count + y.count) * sizeof(*all));
	if (all == NULL)
		return anything;
	memcpy(all, x.text, x.count * sizeof(*all));
	memcpy(all + x.count, y.text, y.count * sizeof(*all));
	return (struct exact){ all, x.count + y.count };
}

/* --- sequences ---------------------------------------------------------- */

/* Here anything may stand; the run before it is over. */
static void
sequence_break(struct arena *a, struct sequence *s, struct exact next)
{
	must_exact(a, &s->must, s->run);
	s->run = next;
	s->whole = false;
}

static void
sequence_add(struct arena *a, struct sequence *s, const struct node *node)
{
	struct exact joined = cross(a, s->run, node->exact);

	if (joined.count > 0) {
		s->run = joined;
		return;
	}
	must_join(&s->must, &node->must);
	sequence_break(a, s, node->exact.count > 0 ? node->exact : empty);
}

static struct node
sequence_end(struct arena *a, struct sequence *s)
{
	struct node node = { .must = s->must };

	if (s->whole)
		node.exact = s->run;
	else
		must_exact(a, &node.must, s->run);
	return node;
}

/* All that a node asks for, its exact strings too. */
static struct literals
node_must(struct arena *a, const struct node *node)
{
	struct literals must = node->must;

	must_exact(a, &must, node->exact);
	return must;
}

/* node{least,most}; most 0: without end. */
static void
sequence_repeat(struct arena *a, struct sequence *s, struct node node,
    unsigned int least, unsigned int most)
{
	unsigned int i;

	if (least == 0 && most == 1) {
		node.exact = both(a, node.exact, empty);
		node.must.count = 0;
		sequence_add(a, s, &node);
		return;
	}
	if (least == 0) {
		sequence_break(a, s, empty);
		return;
	}
	for (i = 0; i < least && i < COPIES_MAX; i++)
		if (i == 0 || node.exact.count > 0)
			sequence_add(a, s, &node);
	/* Of the copies that may follow, the last is known. */
	if (most != least || least > COPIES_MAX)
		sequence_break(a, s, node.exact.count > 0 ? node.exact : empty);
}

/* --- trees -------------------------------------------------------------- */

/* All white space is one. */
static struct byte_set
set_plain(const struct byte_set *s)
{
	struct byte_set plain = { { 0 } }, left = *s;
	int c;

	while (byte_set_take(&left, &c))
		byte_set_add(&plain, literal_plain((unsigned char)c));
	return plain;
}

static struct node
node_bytes(struct arena *a, const struct tree *t)
{
	struct byte_set left = set_plain(&t->bytes);
	size_t count = byte_set_count(&left), n = 0;
	struct str *texts = NULL;
	char *p;
	int c;

	if (count > 0 && count <= CLASS_MAX)
		texts = arena_alloc(a, count * (sizeof(*texts) + 1));
	if (texts == NULL)
		return (struct node){ 0 };
	p = (char *)(texts + count);
	while (byte_set_take(&left, &c)) {
		p[n] = (char)c;
		texts[n] = (struct str){ p + n, 1 };
		n++;
	}
	return (struct node){ .exact = { texts, n } };
}

static struct node
node_sequence(struct arena *a, const struct tree *t)
{
	struct sequence s = { .run = empty, .whole = true };
	struct node node;

	for (t = t->child; t != NULL; t = t->next) {
		if (t->kind == TREE_REPEAT) {
			sequence_repeat(a, &s, node_of(a, t->child), t->least,
			    t->most);
			continue;
		}
		node = node_of(a, t);
		sequence_add(a, &s, &node);
	}
	return sequence_end(a, &s);
}

/* Each branch meets the sets of its own: the rarest of each together are one
 * set, so are the next. */
static void
must_merge(struct arena *a, struct literals *all, const struct literals *branch)
{
	struct exact joined;
	size_t i, n = 0;

	for (i = 0; i < all->count && i < branch->count; i++) {
		joined = both(a,
		    (struct exact){ all->set[i].text, all->set[i].count },
		    (struct exact){ branch->set[i].text,
			branch->set[i].count });
		if (joined.count == 0)
			continue;
		all->set[n++] = (struct literal_set){ joined.text, joined.count,
			all->set[i].odds + branch->set[i].odds };
	}
	all->count = n;
}

static struct node
node_choice(struct arena *a, const struct tree *t)
{
	struct node node = { 0 }, branch;
	bool first = true;

	for (t = t->child; t != NULL; t = t->next, first = false) {
		branch = node_of(a, t);
		branch.must = node_must(a, &branch);
		if (first) {
			node = branch;
		} else {
			node.exact = both(a, node.exact, branch.exact);
			must_merge(a, &node.must, &branch.must);
		}
	}
	if (node.exact.count > 0)	/* tells as much */
		node.must.count = 0;
	return node;
}

static struct node
node_of(struct arena *a, const struct tree *t)
{
	switch (t->kind) {
	case TREE_EMPTY:
		return (struct node){ .exact = empty };
	case TREE_BYTE:
		return node_bytes(a, t);
	case TREE_SEQUENCE:
		return node_sequence(a, t);
	case TREE_CHOICE:
		return node_choice(a, t);
	case TREE_REPEAT:	/* stands in sequences alone */
	case TREE_ANY:
		break;
	}
	return (struct node){ 0 };
}

bool
literal_sets(struct arena *a, const struct tree *t, struct literals *out)
{
	struct node node = node_of(a, t);

	*out = node_must(a, &node);
	while (out->count > 1 && out->set[out->count - 1].odds > ODDS_COMMON)
		out->count--;
	return out->count > 0;
}
