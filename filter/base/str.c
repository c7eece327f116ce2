#include "base/str.h"

#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

/* Eight bytes at once are a word; what is true of each of them. */
#define EACH_BYTE ((uint64_t)0x0101010101010101)

/* Slices. */

static int
order_size(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return r != 0 ? r : order_size(a.n, b.n);
}

static int
bytes_icmp(const char *a, const char *b, size_t n)
{
	int x, y;

	for (size_t i = 0; i < n; i++) {
		x = chr_lower((unsigned char)a[i]);
		y = chr_lower((unsigned char)b[i]);
		if (x != y)
			return x - y;
	}
	return 0;
}

int
str_icmp(struct str a, struct str b)
{
	int r = bytes_icmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return r != 0 ? r : order_size(a.n, b.n);
}

bool
str_iends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	    str_ieq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && chr_space((unsigned char)s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && chr_space((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str
str_cut(struct str s, char c, struct str *rest)
{
	ptrdiff_t at = str_chr(s, c);

	if (at < 0) {
		*rest = STR_NONE;
		return s;
	}
	*rest = str_sub(s, (size_t)at + 1, s.n);
	return str_sub(s, 0, (size_t)at);
}

size_t
str_until(struct str s, const char *ends)
{
	bool is_end[256] = { false };
	size_t n = 0;

	while (*ends != '\0')
		is_end[(unsigned char)*ends++] = true;
	while (n < s.n && !is_end[(unsigned char)s.p[n]])
		n++;
	return n;
}

ptrdiff_t
str_find(struct str hay, struct str needle)
{
	const char *at;

	if (needle.n == 0)
		return 0;
	if (hay.n < needle.n)
		return -1;
	at = memmem(hay.p, hay.n, needle.p, needle.n);
	return at != NULL ? at - hay.p : -1;
}

bool
str_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!chr_digit((unsigned char)s.p[i]) ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

/* The highest bit of a byte says something of it: how many do. */
static inline size_t
count_high(uint64_t w)
{
	return (w >> 7 & EACH_BYTE) * EACH_BYTE >> 56;
}

size_t
str_count(struct str s, char c)
{
	const uint64_t wanted = EACH_BYTE * (unsigned char)c;
	size_t i = 0, n = 0;
	uint64_t w;

	/* What is not 0 has a bit among the low seven, or the highest. */
	for (; s.n - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, s.p + i, sizeof(w));
		w ^= wanted;
		n += count_high(
		    ~(w | ((w & EACH_BYTE * 0x7f) + EACH_BYTE * 0x7f)));
	}
	for (; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

/* The high bit of each byte that is c or more. */
static inline uint64_t
bytes_from(uint64_t w, unsigned int c)
{
	return ((w & EACH_BYTE * 0x7f) + EACH_BYTE * (0x80 - c)) | w;
}

size_t
str_words(struct str s)
{
	uint64_t w, next, good;
	size_t n;

	for (n = 0; s.n - n > sizeof(w); n += sizeof(w)) {
		memcpy(&w, s.p + n, sizeof(w));
		memcpy(&next, s.p + n + 1, sizeof(next));
		good = bytes_from(next, ' ' + 1) & ~next;
		good = (good | bytes_from(w, ' ' + 1)) & bytes_from(w, ' ');
		if ((good & ~w & EACH_BYTE * 0x80) != EACH_BYTE * 0x80)
			break;
	}
	return n;
}

size_t
str_ascii(struct str s)
{
	size_t i = 0;
	uint64_t w;

	for (; s.n - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, s.p + i, sizeof(w));
		if ((w & EACH_BYTE * 0x80) != 0)
			break;
	}
	while (i < s.n && (unsigned char)s.p[i] < 0x80)
		i++;
	return i;
}

size_t
str_chars(struct str s)
{
	size_t i = 0, n = 0;
	uint64_t w;

	for (; s.n - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, s.p + i, sizeof(w));
		n += count_high(~w | w << 1);
	}
	for (; i < s.n; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Hashing: SipHash-1-3 (Aumasson, Bernstein), the key drawn once. */

static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void
hash_seed(void)
{
	if (getrandom(hash_key, sizeof(hash_key), 0) ==
	    (ssize_t)sizeof(hash_key))
		return;
	hash_key[0] = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15;
	hash_key[1] = (uint64_t)getpid() * 0xbf58476d1ce4e5b9;
}

static inline uint64_t
rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* Eight bytes at once: the letters A to Z become small. */
static inline uint64_t
fold_word(uint64_t w)
{
	uint64_t low = w & EACH_BYTE * 0x7f;
	uint64_t from_a = low + EACH_BYTE * (0x80 - 'A');
	uint64_t above_z = low + EACH_BYTE * (0x7f - 'Z');

	return w | ((from_a ^ above_z) & ~w & EACH_BYTE * 0x80) >> 2;
}

static inline uint64_t
load_byte(const char *p, size_t i)
{
	return (uint64_t)(unsigned char)p[i] << 8 * i;
}

/* Fewer than eight bytes, the first the lowest; what is read twice is the
 * same. */
static inline uint64_t
load_tail(const char *p, size_t n)
{
	uint32_t first, last;

	if (n == 0)
		return 0;
	if (n < 4)
		return load_byte(p, 0) | load_byte(p, n / 2) |
		    load_byte(p, n - 1);
	memcpy(&first, p, 4);
	memcpy(&last, p + n - 4, 4);
	return le32toh(first) | (uint64_t)le32toh(last) << 8 * (n - 4);
}

static inline uint64_t
sip_hash(struct str s, bool fold, const uint64_t key[2])
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573 };
	uint64_t w;
	size_t i;

	for (i = 0; s.n - i >= 8; i += 8) {
		memcpy(&w, s.p + i, 8);
		w = fold ? fold_word(le64toh(w)) : le64toh(w);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	w = load_tail(s.p + i, s.n - i);
	w = (fold ? fold_word(w) : w) | (uint64_t)s.n << 56;
	v[3] ^= w;
	sip_round(v);
	v[0] ^= w;
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
str_hash(struct str s)
{
	pthread_once(&hash_once, hash_seed);
	return sip_hash(s, false, hash_key);
}

uint64_t
str_hash_keyed(struct str s, const uint64_t key[2])
{
	return sip_hash(s, false, key);
}

uint64_t
str_ihash(struct str s)
{
	pthread_once(&hash_once, hash_seed);
	return sip_hash(s, true, hash_key);
}

/*
 * Finding without case, in linear time whatever both hold.  What is short is
 * found in a window of small letters that goes over the text; for the rest
 * there is a rolling hash modulo a prime, to a base that nobody outside can
 * know.
 */

#define IFIND_SHORT	128
#define IFIND_WINDOW	1024

static void
lower_bytes(char *out, const char *p, size_t n)
{
	uint64_t w;

	for (; n >= sizeof(w); n -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		w = fold_word(w);
		memcpy(out, &w, sizeof(w));
		p += sizeof(w);
		out += sizeof(w);
	}
	while (n-- > 0)
		*out++ = (char)chr_lower((unsigned char)*p++);
}

static ptrdiff_t
ifind_short(struct str hay, struct str needle)
{
	char small[IFIND_SHORT], window[IFIND_WINDOW];
	const char *at;
	size_t n;

	lower_bytes(small, needle.p, needle.n);
	for (size_t from = 0; hay.n - from >= needle.n;
	     from += n - needle.n + 1) {
		n = hay.n - from < sizeof(window) ? hay.n - from :
						    sizeof(window);
		lower_bytes(window, hay.p + from, n);
		at = memmem(window, n, small, needle.n);
		if (at != NULL)
			return (ptrdiff_t)(from + (size_t)(at - window));
	}
	return -1;
}

#define ROLL_PRIME	0x7fffffffu

static uint64_t
roll_mod(uint64_t x)
{
	x = (x & ROLL_PRIME) + (x >> 31);
	x = (x & ROLL_PRIME) + (x >> 31);
	return x >= ROLL_PRIME ? x - ROLL_PRIME : x;
}

static uint64_t
roll_in(uint64_t h, uint64_t base, char c)
{
	return roll_mod(h * base + (uint64_t)chr_lower((unsigned char)c));
}

/* The weight of the byte that leaves a window of n bytes. */
static uint64_t
roll_weight(uint64_t base, size_t n)
{
	uint64_t w = 1;

	while (n-- > 0)
		w = roll_mod(w * base);
	return w;
}

static ptrdiff_t
ifind_long(struct str hay, struct str needle)
{
	uint64_t base, weight, gone, want = 0, have = 0;
	size_t n = needle.n;

	pthread_once(&hash_once, hash_seed);
	base = 256 + hash_key[0] % (ROLL_PRIME - 512);
	weight = roll_weight(base, n);
	for (size_t i = 0; i < n; i++) {
		want = roll_in(want, base, needle.p[i]);
		have = roll_in(have, base, hay.p[i]);
	}
	for (size_t i = n;; i++) {
		if (want == have && bytes_icmp(hay.p + i - n, needle.p, n) == 0)
			return (ptrdiff_t)(i - n);
		if (i == hay.n)
			return -1;
		gone = (uint64_t)chr_lower((unsigned char)hay.p[i - n]);
		have = roll_in(have, base, hay.p[i]);
		have = roll_mod(have + ROLL_PRIME - roll_mod(gone * weight));
	}
}

ptrdiff_t
str_ifind(struct str hay, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (hay.n < needle.n)
		return -1;
	return needle.n <= IFIND_SHORT ? ifind_short(hay, needle) :
					 ifind_long(hay, needle);
}

/* Buffers. */

#define BUF_FIRST	256	/* most never need more */

/* Room for n more bytes and a NUL. */
static bool
buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap;

	if (b->failed || n > b->max || b->n > b->max - n ||
	    b->n + n == SIZE_MAX) {
		b->failed = true;
		return false;
	}
	if (b->n + n < cap)
		return true;
	if (cap < BUF_FIRST)
		cap = BUF_FIRST;
	while (cap <= b->n + n)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	if (b->max < cap - 1)
		cap = b->max + 1;
	b->p = mem_resize(b->p, cap);
	b->cap = cap;
	return true;
}

void
buf_add_grown(struct buf *b, const void *p, size_t n)
{
	if (!buf_room(b, n))
		return;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		b->failed = true;
	else if (buf_room(b, (size_t)n)) {
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		b->n += (size_t)n;
	}
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_truncate(struct buf *b, size_t n)
{
	if (n >= b->n)
		return;
	b->n = n;
	b->p[n] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

static void
json_ascii(struct buf *b, char c)
{
	static const char named[] = "\"\\\b\f\n\r\t";
	const char *at = c != '\0' ? strchr(named, c) : NULL;

	if (at != NULL) {
		buf_addc(b, '\\');
		buf_addc(b, "\"\\bfnrt"[at - named]);
	} else if ((unsigned char)c < 0x20 || c == 0x7f)
		buf_printf(b, "\\u%04x", (unsigned int)c);
	else
		buf_addc(b, c);
}

void
buf_json(struct buf *b, struct str s)
{
	size_t start = b->n;
	int len;

	buf_addc(b, '"');
	for (size_t i = 0; i < s.n && !b->failed;) {
		len = chr_utf8_len((const unsigned char *)s.p + i, s.n - i);
		if (len == 1)
			json_ascii(b, s.p[i]);
		else if (len > 1)
			buf_add(b, s.p + i, (size_t)len);
		else
			buf_adds(b, "\xef\xbf\xbd");
		i += (size_t)abs(len);
	}
	buf_addc(b, '"');
	if (b->failed)
		buf_truncate(b, start);
}

/* May stand in a log line without quotes. */
static bool
quoted_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"' ||
		    s.p[i] == '\\' || s.p[i] == '=')
			return false;
	}
	return s.n > 0;
}

void
buf_quoted(struct buf *b, struct str s)
{
	size_t start = b->n;
	unsigned char c;

	if (quoted_plain(s)) {
		buf_addstr(b, s);
		return;
	}
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n && !b->failed; i++) {
		c = (unsigned char)s.p[i];
		if (c < ' ' || c > '~')
			buf_printf(b, "\\x%02x", c);
		else {
			if (c == '"' || c == '\\')
				buf_addc(b, '\\');
			buf_addc(b, (char)c);
		}
	}
	buf_addc(b, '"');
	if (b->failed)
		buf_truncate(b, start);
}
