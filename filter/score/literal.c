#include <string.h>

#include "score/literal.h"

#define NESTING_MAX	50
#define EXACT_MAX	LITERAL_STRINGS
#define CLASS_MAX	4	/* bytes of a class that are told apart */
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

struct parser {
	struct arena	*arena;
	struct str	 text;
	size_t		 pos;
	unsigned int	 depth;
	bool		 extended;	/* x: white space means nothing */
	bool		 lost;		/* what follows is not understood */
};

static const struct str nothing = { "", 0 };
static const struct exact empty = { &nothing, 1 };
static const struct exact anything = { NULL, 0 };

static struct node parse_choice(struct parser *);

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

static double
string_odds(struct str s)
{
	double odds = 1;
	size_t i;

	for (i = 0; i < s.n; i++)
		odds *= 2 * byte_odds((unsigned char)s.p[i]);
	return odds;
}

/* Strings that hold another one of the set say nothing of their own. */
static struct exact
reduce(struct arena *a, struct exact e)
{
	struct str *kept = arena_alloc(a, e.count * sizeof(*kept));
	size_t i, j, n = 0;

	if (kept == NULL)
		return anything;
	for (i = 0; i < e.count; i++) {
		for (j = 0; j < e.count; j++)
			if (j != i && str_find(e.text[i], e.text[j]) >= 0 &&
			    (e.text[j].n < e.text[i].n || j < i))
				break;
		if (j == e.count)
			kept[n++] = e.text[i];
	}
	return (struct exact){ kept, n };
}

/* One more set that must be met; the rarest ones stay. */
static void
must_add(struct literals *must, struct literal_set set)
{
	size_t i, worst = 0;

	if (must->count < LITERAL_SETS) {
		must->set[must->count++] = set;
		return;
	}
	for (i = 1; i < must->count; i++)
		if (must->set[i].odds > must->set[worst].odds)
			worst = i;
	if (set.odds < must->set[worst].odds)
		must->set[worst] = set;
}

static void
must_join(struct literals *must, const struct literals *more)
{
	size_t i;

	for (i = 0; i < more->count; i++)
		must_add(must, more->set[i]);
}

/* What must be met because a run of the pattern is one of these strings. */
static void
must_exact(struct arena *a, struct literals *must, struct exact e)
{
	struct literal_set set = { 0 };
	size_t i;

	if (e.count == 0)
		return;
	e = reduce(a, e);
	for (i = 0; i < e.count; i++) {
		if (e.text[i].n < LITERAL_SHORTEST)
			return;
		set.odds += string_odds(e.text[i]);
	}
	set.text = e.text;
	set.count = e.count;
	if (set.count > 0)
		must_add(must, set);
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
	all = arena_alloc(a, left.count * right.count * sizeof(*all));
	for (i = 0; all != NULL && i < left.count; i++)
		for (j = 0; j < right.count; j++) {
			if (left.text[i].n + right.text[j].n > LITERAL_LONGEST)
				return anything;
			all[n] = arena_printf(a, "%.*s%.*s",
			    STR_FMT(left.text[i]), STR_FMT(right.text[j]));
			if (all[n++].p == NULL)
				return anything;
		}
	return (struct exact){ all, n };
}

static struct exact
both(struct arena *a, struct exact x, struct exact y)
{
	struct str *all;

	if (x.count == 0 || y.count == 0 || x.count + y.count > EXACT_MAX)
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
sequence_break(struct parser *p, struct sequence *s, struct exact next)
{
	must_exact(p->arena, &s->must, s->run);
	s->run = next;
	s->whole = false;
}

static void
sequence_add(struct parser *p, struct sequence *s, const struct node *node)
{
	struct exact joined = cross(p->arena, s->run, node->exact);

	if (joined.count > 0) {
		s->run = joined;
		return;
	}
	must_join(&s->must, &node->must);
	sequence_break(p, s, node->exact.count > 0 ? node->exact : empty);
}

static struct node
sequence_end(struct parser *p, struct sequence *s)
{
	struct node node = { .must = s->must };

	if (s->whole)
		node.exact = s->run;
	else
		must_exact(p->arena, &node.must, s->run);
	return node;
}

/* All that a node asks for, its exact strings too. */
static struct literals
node_must(struct parser *p, const struct node *node)
{
	struct literals must = node->must;

	must_exact(p->arena, &must, node->exact);
	return must;
}

/* node{least,most}; most 0: without end. */
static void
sequence_repeat(struct parser *p, struct sequence *s, struct node node,
    unsigned int least, unsigned int most)
{
	unsigned int i;

	if (least == 0 && most == 1) {
		node.exact = both(p->arena, node.exact, empty);
		node.must.count = 0;
		sequence_add(p, s, &node);
		return;
	}
	if (least == 0) {
		sequence_break(p, s, empty);
		return;
	}
	for (i = 0; i < least && i < COPIES_MAX; i++)
		if (i == 0 || node.exact.count > 0)
			sequence_add(p, s, &node);
	/* Of the copies that may follow, the last is known. */
	if (most != least || least > COPIES_MAX)
		sequence_break(p, s, node.exact.count > 0 ? node.exact : empty);
}

/* --- the pattern -------------------------------------------------------- */

static int
peek(const struct parser *p)
{
	return p->pos < p->text.n ? (unsigned char)p->text.p[p->pos] : -1;
}

static bool
accept(struct parser *p, const char *word)
{
	if (!str_starts(str_sub(p->text, p->pos, p->text.n), str_of(word)))
		return false;
	p->pos += strlen(word);
	return true;
}

static struct node
node_byte(struct parser *p, int c)
{
	struct str *s = arena_alloc(p->arena, sizeof(*s));
	char byte = (char)chr_lower(c);

	if (s != NULL)
		*s = arena_str(p->arena, (struct str){ &byte, 1 });
	/* A NUL has no place in what arena_printf() joins. */
	if (s == NULL || s->p == NULL || c == 0)
		return (struct node){ 0 };
	return (struct node){ .exact = { s, 1 } };
}

static struct node
node_empty(void)
{
	return (struct node){ .exact = empty };
}

static int
hex_digit(int c)
{
	if (chr_digit(c))
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind "\x": at most two digits, or any number in braces.  -1: lost. */
static int
parse_hex(struct parser *p)
{
	bool braces = accept(p, "{");
	int c = 0, digits = 0;

	while (hex_digit(peek(p)) >= 0 && (braces || digits < 2)) {
		c = c * 16 + hex_digit(peek(p));
		p->pos++;
		if (++digits > 4)
			return -1;
	}
	if (digits == 0 || c > 255 || (braces && !accept(p, "}")))
		return -1;
	return c;
}

/* The byte that an escape stands for; -1: it is not one byte. */
static int
escape_byte(struct parser *p, int c)
{
	static const char names[] = "nrtfea", bytes[] = "\n\r\t\f\033\a";
	const char *at;

	if (!chr_alnum(c))
		return c;
	if (c == 'x') {
		c = parse_hex(p);
		p->lost = p->lost || c < 0;
		return c;
	}
	at = strchr(names, c);
	return at != NULL ? bytes[at - names] : -1;
}

/* What follows \g, \k and \p: a name in some kind of brackets, or a word. */
static void
skip_name(struct parser *p)
{
	static const char open[] = "{<'", close[] = "}>'";
	const char *at = peek(p) > 0 ? strchr(open, peek(p)) : NULL;
	ptrdiff_t end;

	if (at == NULL) {
		p->lost = true;
		return;
	}
	end =
	    str_chr(str_sub(p->text, p->pos + 1, p->text.n), close[at - open]);
	if (end < 0)
		p->lost = true;
	else
		p->pos += 2 + (size_t)end;
}

static struct node
parse_escape(struct parser *p)
{
	int c = peek(p), byte;

	if (c < 0) {
		p->lost = true;
		return (struct node){ 0 };
	}
	p->pos++;
	if (strchr("bBAzZGK", c) != NULL && c != 0)
		return node_empty();
	if (strchr("dDwWsSNRXhHvV", c) != NULL)
		return (struct node){ 0 };
	if (c >= '1' && c <= '9') {
		while (chr_digit(peek(p)))
			p->pos++;
		return (struct node){ 0 };
	}
	if (c == 'k' || c == 'g' || c == 'p' || c == 'P') {
		if ((c == 'p' || c == 'P') && chr_alpha(peek(p)))
			p->pos++;
		else
			skip_name(p);
		return (struct node){ 0 };
	}
	byte = escape_byte(p, c);
	p->lost = p->lost || byte < 0;
	return byte < 0 ? (struct node){ 0 } : node_byte(p, byte);
}

/* Behind "[": the ":alpha:]" of a POSIX class. */
static void
skip_posix(struct parser *p)
{
	int kind = peek(p);

	for (p->pos++; chr_alpha(peek(p)) || peek(p) == '^';)
		p->pos++;
	if (peek(p) != kind)
		p->lost = true;
	p->pos++;
	if (!accept(p, "]"))
		p->lost = true;
}

/* One member of a class, in *c; false: it is not one byte. */
static bool
class_member(struct parser *p, int *c)
{
	*c = peek(p);
	p->pos++;
	if (*c == '[' && strchr(":.=", peek(p)) != NULL && peek(p) > 0) {
		skip_posix(p);
		return false;
	}
	if (*c != '\\')
		return true;
	*c = peek(p);
	p->pos++;
	if (*c == 'b') {
		*c = '\b';
		return true;
	}
	if (*c > 0 && strchr("dDwWsShHvV", *c) != NULL)
		return false;
	if (*c == 'p' || *c == 'P') {
		if (chr_alpha(peek(p)))
			p->pos++;
		else
			skip_name(p);
		return false;
	}
	*c = *c < 0 ? -1 : escape_byte(p, *c);
	p->lost = p->lost || *c < 0;
	return !p->lost;
}

struct class {
	bool		 has[256];
	bool		 wide;		/* more than is worth counting */
};

static void
class_add(struct class *class, int from, int to)
{
	int c;

	for (c = from; c <= to && c < 256; c++)
		class->has[chr_lower(c)] = true;
}

static struct node
class_node(struct parser *p, const struct class *class)
{
	struct node node = { 0 }, byte;
	int c, n = 0;

	if (class->wide || class->has[0])
		return node;
	for (c = 1; c < 256; c++)
		n += class->has[c];
	for (c = 1; n <= CLASS_MAX && c < 256; c++) {
		if (!class->has[c])
			continue;
		byte = node_byte(p, c);
		if (byte.exact.count == 0)
			return byte;
		node.exact = node.exact.count == 0 ?
		    byte.exact :
		    both(p->arena, node.exact, byte.exact);
	}
	return node;
}

static struct node
parse_class(struct parser *p)
{
	struct class class = { 0 };
	bool first = true;
	int from, to;

	class.wide = accept(p, "^");
	for (; !p->lost && (first || peek(p) != ']'); first = false) {
		if (peek(p) < 0) {
			p->lost = true;
			break;
		}
		if (!class_member(p, &from)) {
			class.wide = true;
			continue;
		}
		to = from;
		if (peek(p) == '-' && p->pos + 1 < p->text.n &&
		    p->text.p[p->pos + 1] != ']') {
			p->pos++;
			if (!class_member(p, &to))
				class.wide = true;
		}
		class_add(&class, from, to);
	}
	p->pos++;
	return p->lost ? (struct node){ 0 } : class_node(p, &class);
}

/* "(?i-x:" and "(?i)": of the letters x alone matters here. */
static bool
parse_inline_flags(struct parser *p)
{
	bool on = true;
	int c;

	if (accept(p, "^"))
		p->extended = false;
	for (;; p->pos++) {
		c = peek(p);
		if (c == '-')
			on = false;
		else if (c == 'x')
			p->extended = on;
		else if (c < 0 || strchr("imsnaJ", c) == NULL)
			break;
	}
	if (c != ':' && c != ')')
		p->lost = true;
	p->pos++;
	return c == ':';
}

static bool
accept_look(struct parser *p)
{
	return accept(p, "?=") || accept(p, "?!") || accept(p, "?<=") ||
	    accept(p, "?<!");
}

/* Behind "("; *flags: it was no group but flags for what follows. */
static struct node
parse_group(struct parser *p, bool *flags)
{
	bool extended = p->extended, look = false;
	struct node node;

	*flags = false;
	if (peek(p) == '*') {
		p->lost = true;
	} else if (accept_look(p)) {
		look = true;
	} else if (accept(p, "?<") || accept(p, "?P<")) {
		p->pos--;
		skip_name(p);
	} else if (accept(p, "?'")) {
		p->pos--;
		skip_name(p);
	} else if (!accept(p, "?:") && !accept(p, "?>") && !accept(p, "?|") &&
	    accept(p, "?") && !parse_inline_flags(p)) {
		*flags = true;
		return node_empty();
	}
	if (p->lost || p->depth == NESTING_MAX) {
		p->lost = true;
		return (struct node){ 0 };
	}
	p->depth++;
	node = parse_choice(p);
	p->depth--;
	p->extended = extended;
	if (!accept(p, ")"))
		p->lost = true;
	return look ? node_empty() : node;
}

static bool
parse_count(struct parser *p, unsigned int *n)
{
	size_t start = p->pos;

	for (*n = 0; chr_digit(peek(p)) && *n < 100000; p->pos++)
		*n = *n * 10 + (unsigned int)(peek(p) - '0');
	return p->pos > start;
}

/* {n}, {n,} or {n,m}; otherwise the brace is a letter. */
static bool
parse_braces(struct parser *p, unsigned int *least, unsigned int *most)
{
	size_t start = p->pos;

	p->pos++;
	if (accept(p, ",")) {
		p->lost = true;
		return false;
	}
	if (parse_count(p, least)) {
		*most = *least;
		if (accept(p, ",") && !parse_count(p, most))
			*most = 0;
		if (accept(p, "}")) {
			/* {0} matches nothing at all. */
			if (*least == 0 && *most == 0)
				*most = 2;
			return true;
		}
	}
	p->pos = start;
	return false;
}

/* White space and comments of x. */
static void
skip_extended(struct parser *p)
{
	while (p->extended && !p->lost) {
		if (chr_space(peek(p)) || peek(p) == '\f' || peek(p) == '\v')
			p->pos++;
		else if (peek(p) == '#')
			while (peek(p) >= 0 && peek(p) != '\n')
				p->pos++;
		else
			break;
	}
}

static bool
parse_quantifier(struct parser *p, unsigned int *least, unsigned int *most)
{
	int c;

	skip_extended(p);
	c = peek(p);
	*least = c == '+';
	*most = c == '?';
	if (c == '{') {
		if (!parse_braces(p, least, most))
			return false;
	} else if (c == '*' || c == '+' || c == '?') {
		p->pos++;
	} else {
		return false;
	}
	skip_extended(p);
	if (peek(p) == '?' || peek(p) == '+')
		p->pos++;
	return true;
}

/* *flags: nothing that a quantifier could follow. */
static struct node
parse_atom(struct parser *p, bool *flags)
{
	int c = peek(p);

	*flags = false;
	p->pos++;
	switch (c) {
	case '\\':
		return parse_escape(p);
	case '[':
		return parse_class(p);
	case '(':
		return parse_group(p, flags);
	case '.':
		return (struct node){ 0 };
	case '^':
	case '$':
		return node_empty();
	case '*':
	case '+':
	case '?':
		p->lost = true;
		return (struct node){ 0 };
	default:
		return node_byte(p, c);
	}
}

static struct node
parse_sequence(struct parser *p)
{
	struct sequence s = { .run = empty, .whole = true };
	unsigned int least, most;
	struct node node;
	bool flags;

	for (;;) {
		skip_extended(p);
		if (p->lost || peek(p) < 0 || peek(p) == '|' || peek(p) == ')')
			break;
		node = parse_atom(p, &flags);
		if (!flags && parse_quantifier(p, &least, &most))
			sequence_repeat(p, &s, node, least, most);
		else
			sequence_add(p, &s, &node);
	}
	return sequence_end(p, &s);
}

/* One set that some branch's every match meets: the best of each, together. */
static void
choice_join(struct parser *p, struct literal_set *all,
    const struct literals *branch)
{
	const struct literal_set *best = &branch->set[0];
	struct exact joined;
	size_t i;

	for (i = 1; i < branch->count; i++)
		if (branch->set[i].odds < best->odds)
			best = &branch->set[i];
	joined = both(p->arena, (struct exact){ all->text, all->count },
	    (struct exact){ best->text, best->count });
	all->text = joined.text;
	all->count = joined.count;
	all->odds += best->odds;
}

static struct node
parse_choice(struct parser *p)
{
	struct node node = parse_sequence(p), next;
	struct literals must;
	struct literal_set all;
	bool known;

	if (peek(p) != '|')
		return node;
	must = node_must(p, &node);
	known = must.count > 0;
	all = (struct literal_set){ 0 };
	if (known) {
		all = must.set[0];
		for (size_t i = 1; i < must.count; i++)
			if (must.set[i].odds < all.odds)
				all = must.set[i];
	}
	while (!p->lost && accept(p, "|")) {
		next = parse_sequence(p);
		node.exact = both(p->arena, node.exact, next.exact);
		must = node_must(p, &next);
		known = known && must.count > 0;
		if (known)
			choice_join(p, &all, &must);
		known = known && all.count > 0;
	}
	node.must.count = 0;
	if (known && node.exact.count == 0)
		must_add(&node.must, all);
	return node;
}

bool
literals_of(struct arena *a, struct str pattern, struct str flags,
    struct literals *out)
{
	struct parser p = { .arena = a, .text = pattern };
	struct node node;

	*out = (struct literals){ 0 };
	/* Unicode's case: a Kelvin sign is a k there. */
	if (str_chr(flags, 'u') >= 0)
		return false;
	p.extended = str_chr(flags, 'x') >= 0;
	node = parse_choice(&p);
	if (p.lost || p.pos < pattern.n)
		return false;
	*out = node_must(&p, &node);
	return out->count > 0;
}
