#include "score/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/chr.h"
#include "base/clock.h"
#include "base/mem.h"

#define MATCH_LIMIT	1000000
#define DEPTH_LIMIT	10000
#define HEAP_LIMIT_KB	20000
#define JIT_STACK_FIRST (32 * 1024)
#define JIT_STACK_MAX	(1024 * 1024)
#define PAIRS_MAX	32
#define PATTERN_MAX	(1024 * 1024)
#define LONG_SUBJECT	(16 * 1024)
#define LOOK_EVERY	16 /* items matched between looks at the clock */

/*
 * PCRE2 counts what it tries again, not what it reads: a pattern may read
 * all of a subject from each place of it, and meet no limit.  Where subjects
 * are long a second code is used, slower, which calls us at each item of the
 * pattern so that we can look at the clock.
 */
struct regex {
	pcre2_code *code;
	_Atomic bool ready; /* it has its machine code */
	pcre2_code *timed; /* NULL until it is needed */
	_Atomic bool timed_ready;
	uint32_t options;
	bool octets;
	bool plain; /* letters and digits: what stands there is what matches */
	size_t length;
	char pattern[];
};

/* What one thread needs to match, made at its first match. */
struct matcher {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static pcre2_compile_context *compile_context, *octet_context;
/* Making machine code changes a regex; nobody matches with it meanwhile. */
static pthread_mutex_t jit_lock = PTHREAD_MUTEX_INITIALIZER;

static void
matcher_free(void *arg)
{
	struct matcher *m = arg;

	if (m == NULL)
		return;
	pcre2_jit_stack_free(m->stack);
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	free(m);
}

static pcre2_compile_context *
context_new(void)
{
	pcre2_compile_context *c = pcre2_compile_context_create(NULL);

	if (c != NULL) {
		pcre2_set_newline(c, PCRE2_NEWLINE_LF);
		pcre2_set_max_pattern_length(c, PATTERN_MAX);
	}
	return c;
}

/*
 * PCRE2's tables begin with 256 octets of lower case and 256 of the other
 * case.  The upper half gets Latin-1's letters, all but those whose other
 * case is no octet.
 */
static const uint8_t *
octet_tables(void)
{
	uint8_t *t = (uint8_t *)(uintptr_t)pcre2_maketables(NULL);
	unsigned int c;

	if (t == NULL || t['A'] != 'a' || t[256 + 'A'] != 'a' ||
	    t[256 + 'a'] != 'A')
		return t;
	for (c = 0xc0; c <= 0xde; c++) {
		if (c == 0xd7)
			continue;
		t[c] = (uint8_t)(c + 0x20);
		t[256 + c] = (uint8_t)(c + 0x20);
		t[256 + c + 0x20] = (uint8_t)c;
	}
	return t;
}

static void
global_init(void)
{
	pthread_key_create(&key, matcher_free);
	compile_context = context_new();
	octet_context = context_new();
	if (octet_context != NULL)
		pcre2_set_character_tables(octet_context, octet_tables());
}

static struct matcher *
matcher_get(void)
{
	struct matcher *m;

	pthread_once(&once, global_init);
	m = pthread_getspecific(key);
	if (m != NULL)
		return m;
	m = mem_alloc(sizeof(*m));
	m->context = pcre2_match_context_create(NULL);
	m->data = pcre2_match_data_create(PAIRS_MAX, NULL);
	if (m->context == NULL || m->data == NULL ||
	    pthread_setspecific(key, m) != 0) {
		matcher_free(m);
		return NULL;
	}
	/* Without a stack of its own JIT code uses 32 KB of the thread's. */
	m->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
	if (m->stack != NULL)
		pcre2_jit_stack_assign(m->context, NULL, m->stack);
	pcre2_set_match_limit(m->context, MATCH_LIMIT);
	pcre2_set_depth_limit(m->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(m->context, HEAP_LIMIT_KB);
	return m;
}

static bool
options_parse(struct str flags, uint32_t *options, struct buf *err)
{
	/* Without `u' no pattern may switch UTF on by itself: then a subject
	 * that is not UTF-8 would be an error. */
	*options = PCRE2_NEVER_BACKSLASH_C;
	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i':
			*options |= PCRE2_CASELESS;
			break;
		case 'm':
			*options |= PCRE2_MULTILINE;
			break;
		case 's':
			*options |= PCRE2_DOTALL;
			break;
		case 'x':
			*options |= PCRE2_EXTENDED;
			break;
		case 'n':
			*options |= PCRE2_NO_AUTO_CAPTURE;
			break;
		case 'u':
			*options |=
			    PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
			break;
		case 'o':
			*options |= PCRE2_DUPNAMES;
			break;
		default:
			buf_printf(err,
			    "unknown flag `%c'; flags are i, m, "
			    "s, x and u",
			    flags.p[i]);
			return false;
		}
	}
	if (!(*options & PCRE2_UTF))
		*options |= PCRE2_NEVER_UTF;
	return true;
}

static pcre2_code *
code_new(const struct regex *re, uint32_t options, int *code,
    PCRE2_SIZE *offset)
{
	return pcre2_compile((PCRE2_SPTR)re->pattern, re->length, options, code,
	    offset, re->octets ? octet_context : compile_context);
}

static bool
is_plain(struct str pattern, uint32_t options)
{
	size_t i;

	for (i = 0; i < pattern.n; i++)
		if (!chr_alnum(pattern.p[i]))
			return false;
	return pattern.n > 0 && !(options & PCRE2_CASELESS);
}

struct regex *
regex_new(struct str pattern, struct str flags, struct buf *err, size_t *at)
{
	uint32_t options;
	int code;
	PCRE2_SIZE offset = 0;
	PCRE2_UCHAR text[256];
	struct regex *re;

	*at = pattern.n;
	if (!options_parse(flags, &options, err))
		return NULL;
	pthread_once(&once, global_init);
	re = mem_alloc(sizeof(*re) + pattern.n);
	re->options = options;
	re->octets = str_chr(flags, 'o') >= 0;
	re->plain = is_plain(pattern, options);
	re->length = pattern.n;
	if (pattern.n > 0)
		memcpy(re->pattern, pattern.p, pattern.n);
	re->code = code_new(re, options, &code, &offset);
	if (re->code == NULL) {
		pcre2_get_error_message(code, text, sizeof(text));
		buf_adds(err, (const char *)text);
		*at = offset > pattern.n ? pattern.n : offset;
		free(re);
		return NULL;
	}
	return re;
}

void
regex_free(struct regex **re)
{
	if (*re == NULL)
		return;
	pcre2_code_free((*re)->code);
	pcre2_code_free((*re)->timed);
	free(*re);
	*re = NULL;
}

/* Where JIT can't (a pattern it does not know) the interpreter runs. */
static void
make_ready(const struct regex *re)
{
	struct regex *r = (struct regex *)(uintptr_t)re;

	pthread_mutex_lock(&jit_lock);
	if (!atomic_load_explicit(&r->ready, memory_order_relaxed)) {
		pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
		atomic_store_explicit(&r->ready, true, memory_order_release);
	}
	pthread_mutex_unlock(&jit_lock);
}

static void
make_timed(const struct regex *re)
{
	struct regex *r = (struct regex *)(uintptr_t)re;
	PCRE2_SIZE offset;
	int code;

	pthread_mutex_lock(&jit_lock);
	if (!atomic_load_explicit(&r->timed_ready, memory_order_relaxed)) {
		r->timed = code_new(r, r->options | PCRE2_AUTO_CALLOUT, &code,
		    &offset);
		if (r->timed != NULL)
			pcre2_jit_compile(r->timed, PCRE2_JIT_COMPLETE);
		atomic_store_explicit(&r->timed_ready, true,
		    memory_order_release);
	}
	pthread_mutex_unlock(&jit_lock);
}

struct watch {
	int64_t stop_us; /* of monotonic time: look closer */
	int64_t stop_thread_us;
	unsigned int looks;
};

static int
watch_look(pcre2_callout_block *block, void *arg)
{
	struct watch *w = arg;
	int64_t now, left;

	(void)block;
	if (++w->looks % LOOK_EVERY != 0 ||
	    (now = clock_mono_us()) < w->stop_us)
		return 0;
	/* Others may have had the processor meanwhile. */
	left = w->stop_thread_us - clock_thread_us();
	w->stop_us = now + left;
	return left > 0 ? 0 : PCRE2_ERROR_MATCHLIMIT;
}

static int
match_timed(const struct regex *re, struct str subject, size_t start,
    struct matcher *m)
{
	struct watch w = { 0 };
	int rc;

	if (!atomic_load_explicit(&re->timed_ready, memory_order_acquire))
		make_timed(re);
	if (re->timed == NULL)
		return PCRE2_ERROR_MATCHLIMIT;
	w.stop_us = clock_mono_us() + REGEX_MAX_MS * 1000;
	w.stop_thread_us = clock_thread_us() + REGEX_MAX_MS * 1000;
	pcre2_set_callout(m->context, watch_look, &w);
	rc = pcre2_match(re->timed, (PCRE2_SPTR)subject.p, subject.n, start, 0,
	    m->data, m->context);
	pcre2_set_callout(m->context, NULL, NULL);
	return rc;
}

static int
match(const struct regex *re, struct str subject, size_t start,
    struct matcher *m)
{
	if (subject.n - start > LONG_SUBJECT)
		return match_timed(re, subject, start, m);
	if (!atomic_load_explicit(&re->ready, memory_order_acquire))
		make_ready(re);
	return pcre2_match(re->code, (PCRE2_SPTR)(subject.p ? subject.p : ""),
	    subject.n, start, 0, m->data, m->context);
}

/* A rule may count each letter of a text: without PCRE2 that is cheap. */
static enum regex_answer
search_plain(const struct regex *re, struct str subject, size_t start,
    size_t from[], size_t to[], size_t pairs)
{
	const char *found = NULL;
	size_t i;

	if (subject.n - start >= re->length)
		found = memmem(subject.p + start, subject.n - start,
		    re->pattern, re->length);
	if (found == NULL)
		return REGEX_NO;
	for (i = 0; i < pairs; i++)
		from[i] = to[i] = 0;
	if (pairs > 0) {
		from[0] = (size_t)(found - subject.p);
		to[0] = from[0] + re->length;
	}
	return REGEX_YES;
}

enum regex_answer
regex_search(const struct regex *re, struct str subject, size_t start,
    size_t from[], size_t to[], size_t pairs)
{
	struct matcher *m;
	int rc;

	if (start > subject.n)
		return REGEX_NO;
	if (re->plain)
		return search_plain(re, subject, start, from, to, pairs);
	m = matcher_get();
	if (m == NULL)
		return REGEX_LIMIT;
	rc = match(re, subject, start, m);
	if (rc == PCRE2_ERROR_NOMATCH)
		return REGEX_NO;
	if (rc < 0)
		return REGEX_LIMIT;
	for (size_t i = 0; i < pairs; i++) {
		const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
		bool set = i < PAIRS_MAX && (rc == 0 || i < (size_t)rc) &&
		    v[2 * i] != PCRE2_UNSET && v[2 * i] <= v[2 * i + 1];

		from[i] = set ? v[2 * i] : 0;
		to[i] = set ? v[2 * i + 1] : 0;
	}
	return REGEX_YES;
}

enum regex_answer
regex_match(const struct regex *re, struct str subject)
{
	return regex_search(re, subject, 0, NULL, NULL, 0);
}

int
regex_byte(const struct regex *re)
{
	return re->plain && re->length == 1 ? (unsigned char)*re->pattern : -1;
}

struct str
regex_group(const struct regex *re, size_t i, size_t *number)
{
	uint32_t count = 0, size = 0;
	PCRE2_SPTR names;

	pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &count);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	if (i >= count ||
	    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &names) != 0)
		return STR_NONE;
	names += i * size;
	*number = (size_t)names[0] << 8 | names[1];
	return str_of((const char *)names + 2);
}
