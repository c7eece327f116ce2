#include <string.h>

#include "score/tree.h"

#define NESTING_MAX	50
#define COUNT_MAX	100000
#define PATTERN_MAX	(256 * 1024)

struct parser {
	struct arena	*arena;
	struct str	 text;
	size_t		 pos;
	unsigned int	 depth;
	bool		 extended;	/* x: white space means nothing */
	bool		 lost;		/* what follows is not understood */
	bool		 octets;	/* o: letters of Latin-1 have cases */
	struct tree	 none;		/* where there is no room */
};

/* Bytes as the regex sees them, before they are folded. */
struct class {
	struct byte_set	 has;
	bool		 wide;		/* has what is not told one by one */
};

/* Of a set's words: letters stand in word 1, small ones 32 bits above the
 * large ones, and those of Latin-1 are word 3, in the same way. */
#define LETTERS_WORD	1
#define LARGE_LETTERS	UINT64_C(0x07fffffe)
#define LATIN_WORD	3

static struct tree *parse_choice(struct parser *);

/* --- nodes -------------------------------------------------------------- */

/* Never NULL: what there is no room for is not understood. */
static struct tree *
node(struct parser *p, enum tree_kind kind)
{
	struct tree *t = arena_alloc(p->arena, sizeof(*t));

	if (t == NULL) {
		p->lost = true;
		return &p->none;
	}
	t->kind = kind;
	return t;
}

static uint64_t
halves_changed(uint64_t word)
{
	return word << 32 | word >> 32;
}

static struct tree *
node_class(struct parser *p, const struct class *class)
{
	struct tree *t = node(p, TREE_BYTE);
	uint64_t large = class->has.word[LETTERS_WORD] & LARGE_LETTERS;

	t->bytes = class->has;
	t->bytes.word[LETTERS_WORD] ^= large;
	t->bytes.word[LETTERS_WORD] |= large << 32;
	if (p->octets)
		t->bytes.word[LATIN_WORD] |=
		    halves_changed(t->bytes.word[LATIN_WORD]);
	return t;
}

static struct tree *
node_byte(struct parser *p, int c)
{
	struct class class = { .wide = false };

	byte_set_add(&class.has, c & 255);
	return node_class(p, &class);
}

/* --- reading ------------------------------------------------------------ */

static int
peek(const struct parser *p)
{
	return p->pos < p->text.n ? (unsigned char)p->text.p[p->pos] : -1;
}

static bool
accept(struct parser *p, const char *word)
{
	size_t at = p->pos;

	for (; *word != '\0'; word++, at++)
		if (at >= p->text.n || p->text.p[at] != *word)
			return false;
	p->pos = at;
	return true;
}

static bool
among(int c, const char *chars)
{
	return c > 0 && strchr(chars, c) != NULL;
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

static int
parse_octal(struct parser *p, int most)
{
	int c = 0;

	for (; most > 0 && peek(p) >= '0' && peek(p) <= '7'; most--) {
		c = c * 8 + peek(p) - '0';
		p->pos++;
	}
	return c > 255 ? -1 : c;
}

/* The byte that an escape stands for; -1: it is not one byte. */
static int
escape_byte(struct parser *p, int c)
{
	static const char names[] = "nrtfea", bytes[] = "\n\r\t\f\033\a";

	if (!chr_alnum(c))
		return c;
	if (c == 'x')
		return parse_hex(p);
	if (c == '0')
		return parse_octal(p, 2);
	return among(c, names) ? bytes[strchr(names, c) - names] : -1;
}

/* \d, \w, \s and their opposites; others that stand for one byte stand for
 * any. */
static bool
escape_class(int c, struct class *class)
{
	static const struct byte_set none,
	    digits = { { 0x03ff000000000000 } },
	    words = { { 0x03ff000000000000, 0x07fffffe87fffffe } },
	    spaces = { { 0x0000000100003e00 } };
	int low = chr_lower(c), i;
	struct byte_set in = low == 'd' ? digits :
	    low == 'w'			? words :
	    low == 's'			? spaces :
					  none;

	if (!among(c, "dDwWsShHvVN"))
		return false;
	if (!among(c, "dws"))
		for (i = 0; i < 4; i++)
			in.word[i] = ~in.word[i];
	byte_set_join(&class->has, &in);
	return true;
}

/* What follows \g, \k and \p: a name in some kind of brackets. */
static void
skip_name(struct parser *p)
{
	static const char open[] = "{<'", close[] = "}>'";
	ptrdiff_t end = -1;

	if (among(peek(p), open))
		end = str_chr(str_sub(p->text, p->pos + 1, p->text.n),
		    close[strchr(open, peek(p)) - open]);
	if (end < 0)
		p->lost = true;
	else
		p->pos += 2 + (size_t)end;
}

static void
skip_property(struct parser *p)
{
	if (chr_alpha(peek(p)))
		p->pos++;
	else
		skip_name(p);
}

static struct tree *
node_empty(struct parser *p, enum tree_place place)
{
	struct tree *t = node(p, TREE_EMPTY);

	t->place = place;
	return t;
}

static struct tree *
parse_escape(struct parser *p)
{
	struct class class = { .wide = false };
	int c = peek(p), byte;

	p->pos++;
	if (among(c, "bBAzZGK"))
		return node_empty(p,
		    c == 'A'	 ? TREE_LINE_START :
			c == 'b' ? TREE_WORD_EDGE :
				   TREE_ANYWHERE);
	if (escape_class(c, &class))
		return node_class(p, &class);
	if (c >= '1' && c <= '9') {
		while (chr_digit(peek(p)))
			p->pos++;
		return node(p, TREE_ANY);
	}
	if (c == 'k' || c == 'g')
		skip_name(p);
	if (c == 'p' || c == 'P')
		skip_property(p);
	if (among(c, "kgpPRX"))
		return node(p, TREE_ANY);
	byte = c < 0 ? -1 : escape_byte(p, c);
	p->lost = p->lost || byte < 0;
	return node_byte(p, byte);
}

/* --- classes ------------------------------------------------------------ */

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

static void
class_fill(struct class *class)
{
	memset(&class->has, 0xff, sizeof(class->has));
	class->wide = true;
}

/* One member, in *c; false: it was more than one byte, and is added. */
static bool
class_member(struct parser *p, struct class *class, int *c)
{
	*c = peek(p);
	p->pos++;
	if (*c == '[' && among(peek(p), ":.=")) {
		skip_posix(p);
		class_fill(class);
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
	if (escape_class(*c, class))
		return false;
	if (*c == 'p' || *c == 'P') {
		skip_property(p);
		class_fill(class);
		return false;
	}
	if (*c >= '1' && *c <= '7') {
		p->pos--;
		*c = parse_octal(p, 3);
	} else {
		*c = *c < 0 ? -1 : escape_byte(p, *c);
	}
	p->lost = p->lost || *c < 0;
	return !p->lost;
}

static void
class_add(struct class *class, int from, int to)
{
	int c;

	for (c = from; c <= to && c < 256; c++)
		byte_set_add(&class->has, c);
}

/* What stands for the same letters, in the other case. */
static struct byte_set
other_case(struct byte_set s)
{
	uint64_t *ascii = &s.word[LETTERS_WORD], letters;

	letters = *ascii & (LARGE_LETTERS | LARGE_LETTERS << 32);
	*ascii = (*ascii ^ letters) | halves_changed(letters);
	s.word[LATIN_WORD] = halves_changed(s.word[LATIN_WORD]);
	return s;
}

/* [^a]: without flag i an A fits, and that folds to the same. */
static void
class_negate(struct class *class)
{
	struct byte_set other = other_case(class->has);
	int i;

	for (i = 0; i < 4; i++)
		class->has.word[i] = class->wide ?
		    UINT64_MAX :
		    ~(class->has.word[i] & other.word[i]);
}

static struct tree *
parse_class(struct parser *p)
{
	struct class class = { .wide = false };
	bool negated = accept(p, "^"), first = true;
	int from, to;

	for (; !p->lost && (first || peek(p) != ']'); first = false) {
		if (peek(p) < 0) {
			p->lost = true;
			break;
		}
		if (!class_member(p, &class, &from))
			continue;
		to = from;
		if (peek(p) == '-' && p->pos + 1 < p->text.n &&
		    p->text.p[p->pos + 1] != ']') {
			p->pos++;
			if (!class_member(p, &class, &to))
				class_fill(&class);
		}
		class_add(&class, from, to);
	}
	p->pos++;
	if (negated)
		class_negate(&class);
	return node_class(p, &class);
}

/* --- groups ------------------------------------------------------------- */

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
		else if (!among(c, "imsnaJ"))
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

static bool
accept_name(struct parser *p)
{
	if (!accept(p, "?<") && !accept(p, "?P<") && !accept(p, "?'"))
		return false;
	p->pos--;
	skip_name(p);
	return true;
}

/* Behind "("; *flags: it was no group but flags for what follows. */
static struct tree *
parse_group(struct parser *p, bool *flags)
{
	bool extended = p->extended, look;
	struct tree *t;

	*flags = false;
	look = accept_look(p);
	if (peek(p) == '*')
		p->lost = true;
	else if (!look && !accept_name(p) && !accept(p, "?:") &&
	    !accept(p, "?>") && !accept(p, "?|") && accept(p, "?") &&
	    !parse_inline_flags(p)) {
		*flags = true;
		return node(p, TREE_EMPTY);
	}
	if (p->depth == NESTING_MAX)
		p->lost = true;
	if (p->lost)
		return node(p, TREE_ANY);
	p->depth++;
	t = parse_choice(p);
	p->depth--;
	p->extended = extended;
	if (!accept(p, ")"))
		p->lost = true;
	return look ? node(p, TREE_EMPTY) : t;
}

/* --- quantifiers -------------------------------------------------------- */

static bool
parse_count(struct parser *p, unsigned int *n)
{
	size_t start = p->pos;

	for (*n = 0; chr_digit(peek(p)) && *n < COUNT_MAX; p->pos++)
		*n = *n * 10 + (unsigned int)(peek(p) - '0');
	return p->pos > start;
}

/* {n}, {n,} or {n,m}; otherwise the brace is a letter. */
static bool
parse_braces(struct parser *p, unsigned int *least, unsigned int *most)
{
	size_t start = p->pos;

	p->pos++;
	/* Perl has {,m}, PCRE2 has not always. */
	if (accept(p, ",")) {
		p->lost = true;
		return false;
	}
	if (parse_count(p, least)) {
		*most = *least;
		if (accept(p, ",") && !parse_count(p, most))
			*most = 0;
		else if (*most == 0)
			*most = 1;	/* {0}: a little more than it is */
		if (accept(p, "}"))
			return true;
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
	} else if (among(c, "*+?")) {
		p->pos++;
	} else {
		return false;
	}
	skip_extended(p);
	if (peek(p) == '?' || peek(p) == '+')
		p->pos++;
	return true;
}

/* --- all of it ---------------------------------------------------------- */

/* *flags: nothing that a quantifier could follow. */
static struct tree *
parse_atom(struct parser *p, bool *flags)
{
	struct class all;
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
		class_fill(&all);
		return node_class(p, &all);
	case '^':
		return node_empty(p, TREE_LINE_START);
	case '$':
		return node_empty(p, TREE_ANYWHERE);
	case '*':
	case '+':
	case '?':
		p->lost = true;
		return node(p, TREE_ANY);
	default:
		return node_byte(p, c);
	}
}

static struct tree *
parse_sequence(struct parser *p)
{
	struct tree *s = node(p, TREE_SEQUENCE), **tail = &s->child, *t;
	unsigned int least, most;
	struct tree *repeat;
	bool flags;

	for (;;) {
		skip_extended(p);
		if (p->lost || peek(p) < 0 || peek(p) == '|' || peek(p) == ')')
			break;
		t = parse_atom(p, &flags);
		if (!flags && parse_quantifier(p, &least, &most)) {
			repeat = node(p, TREE_REPEAT);
			repeat->child = t;
			repeat->least = least;
			repeat->most = most;
			t = repeat;
		}
		*tail = t;
		tail = &t->next;
	}
	return s;
}

static struct tree *
parse_choice(struct parser *p)
{
	struct tree *first = parse_sequence(p), **tail = &first->next, *t;

	if (p->lost || peek(p) != '|')
		return first;
	t = node(p, TREE_CHOICE);
	t->child = first;
	while (!p->lost && accept(p, "|")) {
		*tail = parse_sequence(p);
		tail = &(*tail)->next;
	}
	return t;
}

const struct tree *
tree_of(struct arena *a, struct str pattern, struct str flags)
{
	struct parser p = { .arena = a, .text = pattern };
	const struct tree *t;

	/* Unicode's case: a Kelvin sign is a k there. */
	if (str_chr(flags, 'u') >= 0 || pattern.n > PATTERN_MAX)
		return NULL;
	p.extended = str_chr(flags, 'x') >= 0;
	p.octets = str_chr(flags, 'o') >= 0;
	t = parse_choice(&p);
	return p.lost || p.pos < pattern.n ? NULL : t;
}
