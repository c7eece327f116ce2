#define ZLIB_CONST
#include "service/history_zip.h"

#include <pthread.h>
#include <string.h>
#include <zlib.h>

/* RFC 1951 section 3.2.5 */
#define END_OF_BLOCK	256
#define LENGTHS		257	/* the first symbol of a length */
#define LENGTH_MIN	4	/* that is looked for; 3 would do */
#define LENGTH_MAX	258
#define LONGEST		285	/* the symbol of LENGTH_MAX */
#define SYMBOLS		288
#define DISTANCE_BITS	5
#define WINDOW		32768

#define PLACE_BITS	11

/* What policy/record.c writes, and rules that much mail hits; what is likely
 * to stand together does. */
static const char words[] =
    "I\trule\t\nI\treason\t\nI\treply\t550 5.7.1 451 4.7.1 quarantine "
    "discard tempfail reject\nI\tstage\tconnect\nI\tstage\thelo\n"
    "I\tstage\tmail\nI\tstage\trcpt\nI\tuser\tunknown fail softfail "
    "neutral permerror temperror policy BAYES_99 BAYES_00 FREEMAIL_FROM "
    "URIBL_BLOCKED RCVD_IN_ RAZOR2_ HEADER_FROM_DIFFERENT_DOMAINS "
    "MISSING_MID MIME_HTML_ONLY MAILING_LIST_MULTI HTML_IMAGE_RATIO_02 T_ "
    "I\tclient\t192.168.\nI\tclient_name\tmail.example.com\n"
    "I\thelo\tmail.example.org\nI\tfrom\tnoreply@gmail.com\nI\tid\t1\n"
    "I\tverdict\taccept\nI\tstage\tmessage\nI\tsize\t1\n"
    "I\tspf\tnone\nI\tdkim\tnone\nI\tdmarc\tnone\nI\tspf\tpass\n"
    "I\tdkim\tpass\nI\tdmarc\tpass\nI\tarc\tnone\nI\tscore\t0.0\n"
    "I\tms\t1\nH\tHTML_MESSAGE\t0.001\nH\tSPF_HELO_NONE\t0.001\n"
    "H\tSPF_HELO_PASS\t-0.001\nH\tSPF_PASS\t-0.001\n"
    "H\tDMARC_MISSING\t0.001\nH\tDMARC_PASS\t-0.001\n"
    "H\tDKIM_SIGNED\t0.100\nH\tDKIM_VALID\t-0.100\n"
    "H\tDKIM_VALID_AU\t-0.100\nH\tDKIM_VALID_EF\t-0.100\n"
    "T\t@example.com\taccept\t\nR\tpostern.conf:10\trcpt\tno\t0\ttag \""
    "if spf = fail\t\nF\tspf\tpass\t0\t1\nF\tscore.report\tYes, score=10.0 "
    "required=5.0 tests=\nR\tpostern.conf:1\tmessage\tno\t0\treject "
    "if score > \t\nF\tdmarc\tpass\t0\t1\nR\tpostern.conf:1\tmessage\tyes\t0\t"
    "header \"X-Spam-Status\" \"{score.report}\"\tNo, score=0.0 required=5.0 "
    "tests=DKIM_SIGNED,DKIM_VALID,\\n\\tDKIM_VALID_AU,SPF_HELO_NONE,SPF_PASS "
    "autolearn=no\nF\tdkim\tpass\t0\t1\n";

#define WORDS	(sizeof(words) - 1)

struct code {
	unsigned short	 bits;	/* the first to go out is the lowest */
	unsigned char	 n;
};

/* Where four bytes stood last, by their hash: a place, plus one.  Places
 * count from the beginning of the words, behind which the text is. */
struct seen {
	uint32_t	 last[1 << PLACE_BITS];
};

/* For all texts the same. */
static struct {
	struct code	 codes[SYMBOLS];
	struct seen	 words;
	uLong		 sum;	/* of the words */
} tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* --- bits --------------------------------------------------------------- */

struct out {
	unsigned char	*p;
	uint64_t	 held;	/* the lowest goes first */
	unsigned int	 n;	/* bits held */
};

static inline void
put_bits(struct out *o, unsigned int bits, unsigned int n)
{
	o->held |= (uint64_t)bits << o->n;
	for (o->n += n; o->n >= 8; o->n -= 8) {
		*o->p++ = (unsigned char)o->held;
		o->held >>= 8;
	}
}

static inline void
put_symbol(struct out *o, unsigned int symbol)
{
	put_bits(o, tables.codes[symbol].bits, tables.codes[symbol].n);
}

static unsigned int
reversed(unsigned int bits, unsigned int n)
{
	unsigned int r = 0;

	for (; n > 0; n--, bits >>= 1)
		r = r << 1 | (bits & 1);
	return r;
}

static unsigned int
log2_of(unsigned int n)
{
	return 31 - (unsigned int)__builtin_clz(n);
}

/* Numbers go in groups, whose size doubles after four of lengths and after
 * two of distances; the bits within a group follow its code as they are. */
static void
put_match(struct out *o, unsigned int length, unsigned int distance)
{
	unsigned int n = length - 3, extra = n < 8 ? 0 : log2_of(n) - 2;

	if (length == LENGTH_MAX) {
		put_symbol(o, LONGEST);
	} else {
		put_symbol(o, LENGTHS + 4 * extra + (n >> extra));
		put_bits(o, n & ((1U << extra) - 1), extra);
	}
	n = distance - 1;
	extra = n < 4 ? 0 : log2_of(n) - 1;
	put_bits(o, reversed(2 * extra + (n >> extra), DISTANCE_BITS),
	    DISTANCE_BITS);
	put_bits(o, n & ((1U << extra) - 1), extra);
}

/* --- the text ----------------------------------------------------------- */

static uint32_t *
place_of(struct seen *seen, const char *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return &seen->last[w * 2654435761U >> (32 - PLACE_BITS)];
}

/* How much of the text from `from' on is the same as at a place. */
static size_t
match_length(struct str s, size_t from, size_t place)
{
	const char *p = place < WORDS ? words + place : s.p + (place - WORDS);
	size_t n = 0, most = s.n - from;

	if (place < WORDS && most > WORDS - place)
		most = WORDS - place;
	if (most > LENGTH_MAX)
		most = LENGTH_MAX;
	while (n < most && p[n] == s.p[from + n])
		n++;
	return n;
}

static void
put_text(struct out *o, struct str s)
{
	struct seen seen = tables.words;
	size_t i = 0, n, back;
	uint32_t *last;

	while (i + LENGTH_MIN <= s.n) {
		last = place_of(&seen, s.p + i);
		back = WORDS + i + 1 - *last;
		n = *last > 0 && back <= WINDOW ?
		    match_length(s, i, *last - 1) :
		    0;
		*last = (uint32_t)(WORDS + i + 1);
		if (n >= LENGTH_MIN) {
			put_match(o, (unsigned int)n, (unsigned int)back);
			i += n;
		} else {
			put_symbol(o, (unsigned char)s.p[i++]);
		}
	}
	while (i < s.n)
		put_symbol(o, (unsigned char)s.p[i++]);
}

/* --- the frame ---------------------------------------------------------- */

static uLong
sum_of(const char *p, size_t n)
{
	return adler32(adler32(0, NULL, 0), (const Bytef *)p, (uInt)n);
}

static void
put_sum(struct out *o, uLong sum)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*o->p++ = (unsigned char)(sum >> shift);
}

/* RFC 1951 section 3.2.6 */
static struct code
fixed_code(unsigned int symbol)
{
	unsigned int bits, n = 8;

	if (symbol < 144) {
		bits = 0x30 + symbol;
	} else if (symbol < 256) {
		bits = 0x190 + (symbol - 144);
		n = 9;
	} else if (symbol < 280) {
		bits = symbol - 256;
		n = 7;
	} else {
		bits = 0xc0 + (symbol - 280);
	}
	return (
	    struct code){ (unsigned short)reversed(bits, n), (unsigned char)n };
}

static void
make_tables(void)
{
	for (unsigned int i = 0; i < SYMBOLS; i++)
		tables.codes[i] = fixed_code(i);
	for (uint32_t i = 0; i + LENGTH_MIN <= WORDS; i++)
		*place_of(&tables.words, words + i) = i + 1;
	tables.sum = sum_of(words, WORDS);
}

size_t
history_zip(struct str s, unsigned char *out)
{
	struct out o = { .p = out };

	pthread_once(&once, make_tables);
	/* Deflated, a window of 32 KB, a dictionary: a multiple of 31. */
	*o.p++ = 0x78;
	*o.p++ = 0x20;
	put_sum(&o, tables.sum);
	put_bits(&o, 1, 1);	/* the last block */
	put_bits(&o, 1, 2);	/* of fixed codes */
	put_text(&o, s);
	put_symbol(&o, END_OF_BLOCK);
	put_bits(&o, 0, 7);	/* to a whole byte */
	put_sum(&o, sum_of(s.p, s.n));
	return (size_t)(o.p - out);
}

bool
history_unzip(struct str packed, char *out, size_t n)
{
	z_stream z = { .next_in = (const Bytef *)packed.p,
		.avail_in = (uInt)packed.n,
		.next_out = (Bytef *)out,
		.avail_out = (uInt)n };
	int status;

	if (inflateInit(&z) != Z_OK)
		return false;
	status = inflate(&z, Z_FINISH);
	if (status == Z_NEED_DICT &&
	    inflateSetDictionary(&z, (const Bytef *)words, WORDS) == Z_OK)
		status = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return status == Z_STREAM_END && z.avail_out == 0;
}
