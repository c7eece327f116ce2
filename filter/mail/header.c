#include "mail/header.h"

#include <string.h>

#include "mail/charset.h"

#define DECODE_MAX_SWITCHES 100 /* changes of character set a value */
#define WORD_MAX_CHARSET    60

static size_t
wire_bytes(struct str name, struct str value)
{
	size_t n = name.n + 1 + value.n + 2;

	for (size_t i = 0; i < value.n; i++)
		n += value.p[i] == '\n' && (i == 0 || value.p[i - 1] != '\r');
	return n;
}

/* The hash goes first: names can be long and differ in their last byte. */
static bool
is_named(const struct header *h, uint64_t hash, struct str name)
{
	return h->hash == hash && str_ieq(h->name, name);
}

/* Most names that are asked for are not there: their length tells. */
static uint64_t
length_bit(struct str name)
{
	return (uint64_t)1 << name.n % 64;
}

static void
link_field(struct headers *hs, struct header *h)
{
	struct header **bucket, *o;

	h->hash = str_ihash(h->name);
	hs->lengths |= length_bit(h->name);
	bucket = &hs->by_name[h->hash % HEADER_BUCKETS];
	for (o = *bucket; o != NULL && !is_named(o, h->hash, h->name);)
		o = o->older;
	h->nth = o != NULL ? o->nth + 1 : 1;
	h->older = *bucket;
	*bucket = h;
	if (hs->last != NULL)
		hs->last->next = h;
	else
		hs->first = h;
	hs->last = h;
}

bool
header_add(struct arena *a, struct headers *hs, struct str name,
    struct str value)
{
	struct header *h;

	hs->count++;
	hs->bytes += wire_bytes(name, value);
	/* White space before the colon is no part of the name. */
	name = str_trim(name);
	if (hs->count > HEADER_MAX_COUNT || hs->bytes > HEADER_MAX_BYTES) {
		hs->truncated = true;
		return true;
	}
	h = arena_alloc(a, sizeof(*h));
	if (h == NULL)
		return false;
	h->name = arena_str(a, name.p == NULL ? STR("") : name);
	h->value = arena_str(a, value.p == NULL ? STR("") : value);
	h->at = (unsigned int)hs->count - 1;
	if (h->name.p == NULL || h->value.p == NULL)
		return false;
	link_field(hs, h);
	return true;
}

const struct header *
header_get(const struct headers *hs, struct str name, unsigned int nth)
{
	const struct header *h;
	uint64_t hash;

	if ((hs->lengths & length_bit(name)) == 0)
		return NULL;
	hash = str_ihash(name);
	h = hs->by_name[hash % HEADER_BUCKETS];
	while (h != NULL && (h->nth != nth || !is_named(h, hash, name)))
		h = h->older;
	return h;
}

static const struct header *
last_named(const struct headers *hs, uint64_t hash, struct str name)
{
	const struct header *h = hs->by_name[hash % HEADER_BUCKETS];

	while (h != NULL && !is_named(h, hash, name))
		h = h->older;
	return h;
}

const struct header *
header_last(const struct headers *hs, struct str name)
{
	if ((hs->lengths & length_bit(name)) == 0)
		return NULL;
	return last_named(hs, str_ihash(name), name);
}

bool
header_has(const struct headers *hs, uint64_t hash, struct str name)
{
	return last_named(hs, hash, name) != NULL;
}

unsigned int
header_count(const struct headers *hs, struct str name)
{
	const struct header *h = header_last(hs, name);

	return h != NULL ? h->nth : 0;
}

/* RFC 5322 section 2.2.3.  A line break that is no fold becomes a space. */
struct str
header_unfold(struct arena *a, struct str value)
{
	char *p;
	size_t n = 0;

	value = str_trim(value);
	p = arena_alloc(a, value.n + 1);
	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] != '\r' && value.p[i] != '\n')
			p[n++] = value.p[i];
		else if (!chr_space((unsigned char)value.p[i + 1]))
			p[n++] = ' ';
	}
	return (struct str){ p, n };
}

/* An encoded word, RFC 2047 section 2: =?charset[*language]?B|Q?text?= */
struct word {
	struct str charset, text;
	bool base64;
	size_t length;
};

/* Each part ends at the next `?', so a scan of many false starts stays
 * linear.  Spaces inside are not allowed, but many write them. */
static bool
word_parse(struct str s, struct word *w)
{
	struct str rest;

	if (!str_starts(s, STR("=?")))
		return false;
	w->charset = str_cut(str_sub(s, 2, s.n), '?', &rest);
	if (w->charset.n == 0 || w->charset.n > WORD_MAX_CHARSET ||
	    rest.n < 2 || rest.p[1] != '?')
		return false;
	w->charset = str_cut(w->charset, '*', &(struct str){ 0 });
	w->base64 = chr_lower((unsigned char)rest.p[0]) == 'b';
	if (!w->base64 && chr_lower((unsigned char)rest.p[0]) != 'q')
		return false;
	w->text = str_cut(str_sub(rest, 2, rest.n), '?', &rest);
	if (rest.n == 0 || rest.p[0] != '=')
		return false;
	w->length = rest.p + 1 - s.p;
	return true;
}

static int
hex_digit(unsigned char c)
{
	if (chr_digit(c))
		return c - '0';
	c = chr_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
add_q(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		int high, low;

		if (s.p[i] == '_') {
			buf_addc(b, ' ');
			continue;
		}
		if (s.p[i] != '=' || i + 2 >= s.n ||
		    (high = hex_digit(s.p[i + 1])) < 0 ||
		    (low = hex_digit(s.p[i + 2])) < 0) {
			buf_addc(b, s.p[i]);
			continue;
		}
		buf_addc(b, high << 4 | low);
		i += 2;
	}
}

static int
base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (chr_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void
add_base64(struct buf *b, struct str s)
{
	uint32_t bits = 0;
	unsigned int have = 0;

	for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
		int d = base64_digit(s.p[i]);

		if (d < 0)
			continue;
		bits = bits << 6 | d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_addc(b, bits >> have & 0xff);
		}
	}
}

struct decoder {
	struct buf out;
	struct buf run; /* bytes of encoded words in a row */
	struct str charset; /* of the run; p NULL: there is none */
	unsigned int switches;
};

/* A character may be cut between two words, so a run of one character set is
 * decoded as a whole. */
static void
flush_run(struct decoder *d)
{
	if (d->charset.p == NULL)
		return;
	if (!charset_add(&d->out, d->charset, buf_str(&d->run)))
		charset_add_guess(&d->out, buf_str(&d->run));
	buf_truncate(&d->run, 0);
	d->charset = STR_NONE;
}

static bool
take_word(struct decoder *d, const struct word *w)
{
	if (d->charset.p == NULL || !str_ieq(d->charset, w->charset)) {
		if (!charset_known(w->charset) ||
		    d->switches++ >= DECODE_MAX_SWITCHES)
			return false;
		flush_run(d);
		d->charset = w->charset;
	}
	(w->base64 ? add_base64 : add_q)(&d->run, w->text);
	return true;
}

/* White space between two encoded words is not there (section 6.2). */
static void
take_plain(struct decoder *d, struct str s, bool word_follows)
{
	if (s.n == 0)
		return;
	if (d->charset.p != NULL && word_follows && str_trim(s).n == 0)
		return;
	flush_run(d);
	charset_add_guess(&d->out, s);
}

static void
decode_words(struct decoder *d, struct str s)
{
	size_t done = 0, i = 0;
	struct word w;

	while (i < s.n) {
		const char *at = memchr(s.p + i, '=', s.n - i);

		if (at == NULL)
			break;
		i = at - s.p;
		if (!word_parse(str_sub(s, i, s.n), &w)) {
			i++;
			continue;
		}
		take_plain(d, str_sub(s, done, i - done), true);
		if (!take_word(d, &w))
			take_plain(d, str_sub(s, i, w.length), false);
		i += w.length;
		done = i;
	}
	take_plain(d, str_sub(s, done, s.n), false);
	flush_run(d);
}

struct str
header_decode(struct arena *a, struct str value)
{
	struct decoder d = { .charset = STR_NONE };
	struct str s = header_unfold(a, value), out;

	if (s.p == NULL)
		return STR_NONE;
	if (str_find(s, STR("=?")) < 0)
		return charset_guess(a, s);
	/* Every character set here gives at most 3 bytes for one, but UTF-16
	 * and UTF-7, that write their bytes at length. */
	d.out = BUF_INIT(4 * s.n + 16);
	d.run = BUF_INIT(s.n + 16);
	decode_words(&d, s);
	out = arena_str(a, buf_str(&d.out));
	buf_free(&d.out);
	buf_free(&d.run);
	return out;
}
