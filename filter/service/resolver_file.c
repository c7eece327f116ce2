#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "service/resolver_backend.h"

#define FILE_MAX      (64 * 1024 * 1024)
#define VALUE_MAX     (64 * 1024)
#define DEFAULT_TTL_S 60
#define DELAY_MAX_MS  600000
#define CHAIN_MAX     10 /* CNAMEs followed */

enum fault { FAULT_NONE, FAULT_SERVFAIL, FAULT_TIMEOUT };

/* The records of one type at one name. */
struct rrset {
	struct rrset *next;
	enum dns_type type;
	enum fault fault;
	int64_t delay_ms, ttl_s;
	struct dns_build build;
};

struct zone {
	struct map *names; /* first struct rrset of each name */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct resolver_queue waiting; /* soonest first */
	bool stop;
	pthread_t thread;
};

/* Reading. */

struct reader {
	struct zone *zone;
	struct str rest; /* of the line */
	const char *why;
};

static struct str
reader_word(struct reader *rd)
{
	struct str s = str_trim(rd->rest);
	size_t n = 0;

	while (n < s.n && !chr_space(s.p[n]))
		n++;
	rd->rest = str_trim(str_sub(s, n, s.n));
	return str_sub(s, 0, n);
}

static bool
reader_fail(struct reader *rd, const char *why)
{
	rd->why = why;
	return false;
}

static struct rrset *
rrset_find(struct rrset *set, enum dns_type type)
{
	while (set != NULL && set->type != type)
		set = set->next;
	return set;
}

static struct rrset *
rrset_at(struct zone *z, struct str name, enum dns_type type)
{
	struct rrset *first = map_get(z->names, name);
	struct rrset *set = rrset_find(first, type);

	if (set != NULL)
		return set;
	set = mem_alloc(sizeof(*set));
	set->type = type;
	set->ttl_s = DEFAULT_TTL_S;
	set->next = first;
	dns_build_begin(&set->build);
	map_put(z->names, name, set);
	return set;
}

static void
rrset_free(void *p)
{
	struct rrset *set = p, *next;

	for (; set != NULL; set = next) {
		next = set->next;
		dns_build_free(&set->build);
		free(set);
	}
}

static bool
read_number(struct str word, size_t from, uint64_t max, int64_t *out)
{
	uint64_t v;

	if (!str_u64(str_sub(word, from, word.n), &v) || v > max)
		return false;
	*out = (int64_t)v;
	return true;
}

/* "!servfail" and the like, as many as there are. */
static bool
read_faults(struct reader *rd, struct rrset *set)
{
	while (str_starts(rd->rest, STR("!"))) {
		struct str word = reader_word(rd);

		if (str_eq(word, STR("!servfail")))
			set->fault = FAULT_SERVFAIL;
		else if (str_eq(word, STR("!timeout")))
			set->fault = FAULT_TIMEOUT;
		else if (str_starts(word, STR("!delay="))) {
			if (!read_number(word, 7, DELAY_MAX_MS, &set->delay_ms))
				return reader_fail(rd, "bad delay");
		} else if (str_starts(word, STR("!ttl="))) {
			if (!read_number(word, 5, 1U << 30, &set->ttl_s))
				return reader_fail(rd, "bad ttl");
		} else
			return reader_fail(rd, "unknown fault");
	}
	return true;
}

static bool
read_addr(struct reader *rd, struct rrset *set)
{
	size_t n = set->type == DNS_A ? 4 : 16;
	struct str text = reader_word(rd);
	struct addr a;
	uint8_t b[16] = { [10] = 0xff, [11] = 0xff };

	if (!addr_parse(text, &a) || (n == 4 && str_chr(text, ':') >= 0))
		return reader_fail(rd, "bad address");
	if (n == 4 && a.family != ADDR_V4)
		return reader_fail(rd, "bad address");
	if (n == 16 && a.family == ADDR_V4)
		memcpy(b + 12, a.b, 4); /* was IPv4-mapped */
	else
		memcpy(b, a.b, n);
	if (n == 16 && str_chr(text, ':') < 0)
		return reader_fail(rd, "bad address");
	dns_build_add(&set->build, 0, (struct str){ (const char *)b, n });
	return true;
}

static bool
read_name(struct reader *rd, struct rrset *set, uint16_t pref)
{
	struct str word = reader_word(rd);
	char name[DNS_NAME_MAX + 1];

	if (str_eq(word, STR(".")))
		name[0] = '\0';
	else if (!dns_name_normal(word, name))
		return reader_fail(rd, "bad name as a value");
	dns_build_add(&set->build, pref, str_of(name));
	return true;
}

static bool
read_mx(struct reader *rd, struct rrset *set)
{
	int64_t pref;

	if (!read_number(reader_word(rd), 0, UINT16_MAX, &pref))
		return reader_fail(rd, "bad preference");
	return read_name(rd, set, (uint16_t)pref);
}

/* One character of a quoted string at s.p[0]; returns how long it was. */
static size_t
read_char(struct str s, struct buf *text)
{
	unsigned int code;

	if (s.p[0] != '\\' || s.n == 1) {
		buf_addc(text, s.p[0]);
		return 1;
	}
	if (s.n < 4 || !chr_digit(s.p[1]) || !chr_digit(s.p[2]) ||
	    !chr_digit(s.p[3])) {
		buf_addc(text, s.p[1]);
		return 2;
	}
	code = (unsigned int)((s.p[1] - '0') * 100 + (s.p[2] - '0') * 10 +
	    (s.p[3] - '0'));
	buf_addc(text, (char)(code & 0xff));
	return 4;
}

static bool
read_txt(struct reader *rd, struct rrset *set)
{
	struct buf text = BUF_INIT(VALUE_MAX);
	struct str s = rd->rest;
	bool ok = s.n > 0;

	while (ok && s.n > 0) {
		ok = s.p[0] == '"';
		s = str_sub(s, 1, s.n);
		while (s.n > 0 && s.p[0] != '"')
			s = str_sub(s, read_char(s, &text), s.n);
		ok = ok && s.n > 0;
		s = str_trim(str_sub(s, 1, s.n));
	}
	rd->rest = STR_NONE;
	if (ok && !text.failed)
		dns_build_add(&set->build, 0, buf_str(&text));
	else
		ok = reader_fail(rd, "TXT wants strings in double quotes");
	buf_free(&text);
	return ok;
}

static bool
read_value(struct reader *rd, struct rrset *set)
{
	switch (set->type) {
	case DNS_A:
	case DNS_AAAA:
		return read_addr(rd, set);
	case DNS_MX:
		return read_mx(rd, set);
	case DNS_TXT:
		return read_txt(rd, set);
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		break;
	}
	return read_name(rd, set, 0);
}

/* A name may have \DDD for what does not fit into a word, such as a space. */
static bool
read_owner(struct reader *rd, char name[DNS_NAME_MAX + 1])
{
	struct buf text = BUF_INIT(4 * DNS_NAME_MAX);
	struct str s = reader_word(rd);
	bool ok;

	while (s.n > 0)
		s = str_sub(s, read_char(s, &text), s.n);
	ok = !text.failed && dns_name_normal(buf_str(&text), name);
	buf_free(&text);
	return ok;
}

static bool
read_line(struct reader *rd)
{
	char name[DNS_NAME_MAX + 1];
	struct rrset *set;
	enum dns_type type;

	rd->rest = str_trim(rd->rest);
	if (rd->rest.n == 0 || rd->rest.p[0] == '#' || rd->rest.p[0] == ';')
		return true;
	if (!read_owner(rd, name))
		return reader_fail(rd, "bad name");
	if (!dns_type_parse(reader_word(rd), &type))
		return reader_fail(rd, "unknown record type");
	set = rrset_at(rd->zone, str_of(name), type);
	if (!read_faults(rd, set))
		return false;
	if (rd->rest.n == 0 && set->fault != FAULT_NONE)
		return true;
	if (!read_value(rd, set))
		return false;
	if (rd->rest.n > 0)
		return reader_fail(rd, "more than one value");
	return true;
}

static bool
zone_read(struct zone *z, struct str text, const char **why, size_t *line)
{
	struct reader rd = { .zone = z };
	struct str rest = text;

	for (*line = 1; rest.p != NULL; (*line)++) {
		rd.rest = str_cut(rest, '\n', &rest);
		if (!read_line(&rd)) {
			*why = rd.why;
			return false;
		}
	}
	return true;
}

static bool
slurp(const char *path, struct buf *text)
{
	FILE *f = fopen(path, "re");
	char block[16384];
	size_t n;
	bool ok;

	if (f == NULL)
		return false;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(text, block, n);
	ok = !ferror(f) && !text->failed;
	fclose(f);
	return ok;
}

/* Answering. */

/* RFC 4592, roughly: the longest "*.suffix" that there is. */
static struct rrset *
zone_find(const struct zone *z, const char *name)
{
	struct rrset *set = map_get(z->names, str_of(name));
	char wild[DNS_NAME_MAX + 3];

	while (set == NULL && (name = strchr(name, '.')) != NULL) {
		snprintf(wild, sizeof(wild), "*%s", name);
		set = map_get(z->names, str_of(wild));
		name++;
	}
	return set;
}

/* The set that answers: of the type, or of the alias to follow. */
static struct rrset *
set_for(struct rrset *first, enum dns_type type)
{
	struct rrset *set = rrset_find(first, type);

	return set != NULL ? set : rrset_find(first, DNS_CNAME);
}

static void
query_answer(struct resolver_query *q, const struct dns_build *records,
    enum dns_status status)
{
	struct dns_build b;

	dns_build_begin(&b);
	if (records != NULL)
		dns_build_copy(&b, records);
	q->answer = dns_build_end(&b, status, false, &q->size);
}

/* Fills in answer, TTL and delay; false: never to be answered. */
static bool
zone_resolve(struct zone *z, struct resolver_query *q)
{
	const char *name = q->name;
	int64_t delay_ms = 0;

	q->ttl_s = DEFAULT_TTL_S;
	for (int hop = 0; hop < CHAIN_MAX; hop++) {
		struct rrset *first = zone_find(z, name);
		struct rrset *set = set_for(first, q->type);

		if (set == NULL) {
			query_answer(q, NULL,
			    first != NULL ? DNS_NODATA : DNS_NXDOMAIN);
			q->due_ms = delay_ms;
			return true;
		}
		delay_ms += set->delay_ms;
		q->due_ms = delay_ms;
		if (set->ttl_s < q->ttl_s || set->type == q->type)
			q->ttl_s = set->ttl_s;
		if (set->fault != FAULT_NONE) {
			query_answer(q, NULL,
			    set->fault == FAULT_TIMEOUT ? DNS_TIMEOUT :
							  DNS_SERVFAIL);
			return set->fault != FAULT_TIMEOUT;
		}
		if (set->type == q->type) {
			query_answer(q, &set->build, DNS_OK);
			return true;
		}
		name = set->build.data.p;
	}
	query_answer(q, NULL, DNS_SERVFAIL);
	return true;
}

static void
query_end(struct resolver_query *q)
{
	resolver_done(q, q->answer, q->size, q->ttl_s);
}

static void
file_ask(void *state, struct resolver_query *q)
{
	struct zone *z = state;
	struct resolver_query *at;
	bool answered = zone_resolve(z, q);

	if (answered && q->due_ms == 0) {
		query_end(q);
		return;
	}
	q->due_ms = answered ? clock_mono_ms() + q->due_ms : INT64_MAX;
	pthread_mutex_lock(&z->lock);
	TAILQ_FOREACH_REVERSE(at, &z->waiting, resolver_queue, link)
	if (at->due_ms <= q->due_ms)
		break;
	if (at != NULL)
		TAILQ_INSERT_AFTER(&z->waiting, at, q, link);
	else
		TAILQ_INSERT_HEAD(&z->waiting, q, link);
	pthread_cond_signal(&z->changed);
	pthread_mutex_unlock(&z->lock);
}

/* The list is the thread's: it takes out what was moved to the front. */
static void
file_cancel(void *state, struct resolver_query *q)
{
	struct zone *z = state;
	struct resolver_query *at;

	pthread_mutex_lock(&z->lock);
	TAILQ_FOREACH(at, &z->waiting, link)
	if (at == q)
		break;
	if (at != NULL) {
		TAILQ_REMOVE(&z->waiting, q, link);
		q->due_ms = 0;
		TAILQ_INSERT_HEAD(&z->waiting, q, link);
		pthread_cond_signal(&z->changed);
	}
	pthread_mutex_unlock(&z->lock);
}

/* True when the first one's time has come; the lock is held. */
static bool
zone_wait(struct zone *z)
{
	struct resolver_query *first = TAILQ_FIRST(&z->waiting);
	struct timespec until;

	if (first == NULL || first->due_ms == INT64_MAX) {
		pthread_cond_wait(&z->changed, &z->lock);
		return false;
	}
	until = clock_timespec(first->due_ms);
	return pthread_cond_timedwait(&z->changed, &z->lock, &until) ==
	    ETIMEDOUT &&
	    first == TAILQ_FIRST(&z->waiting);
}

static void *
zone_thread(void *arg)
{
	struct zone *z = arg;
	struct resolver_query *q;

	resolver_block_signals();
	pthread_mutex_lock(&z->lock);
	while (!z->stop) {
		if (!zone_wait(z))
			continue;
		q = TAILQ_FIRST(&z->waiting);
		TAILQ_REMOVE(&z->waiting, q, link);
		pthread_mutex_unlock(&z->lock);
		query_end(q);
		pthread_mutex_lock(&z->lock);
	}
	pthread_mutex_unlock(&z->lock);
	return NULL;
}

static void
zone_free(struct zone *z)
{
	map_free(&z->names, rrset_free);
	free(z);
}

static struct zone *
zone_load(const char *path, struct buf *err)
{
	struct zone *z = mem_alloc(sizeof(*z));
	struct buf text = BUF_INIT(FILE_MAX);
	const char *why;
	size_t line;
	bool ok;

	z->names = map_new(false);
	TAILQ_INIT(&z->waiting);
	ok = slurp(path, &text);
	if (!ok)
		buf_printf(err, "%s: can't read it: %s", path,
		    strerror(text.failed ? EFBIG : errno));
	else if (!(ok = zone_read(z, buf_str(&text), &why, &line)))
		buf_printf(err, "%s:%zu: %s", path, line, why);
	buf_free(&text);
	if (ok)
		return z;
	zone_free(z);
	return NULL;
}

static void *
file_open(struct str spec, struct buf *err)
{
	char *path = mem_strndup(spec.p, spec.n);
	struct zone *z = zone_load(path, err);
	pthread_condattr_t attr;

	free(path);
	if (z == NULL)
		return NULL;
	pthread_mutex_init(&z->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&z->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&z->thread, NULL, zone_thread, z) == 0)
		return z;
	buf_adds(err, "can't start a thread");
	pthread_mutex_destroy(&z->lock);
	pthread_cond_destroy(&z->changed);
	zone_free(z);
	return NULL;
}

static void
file_close(void *state)
{
	struct zone *z = state;
	struct resolver_query *q;

	pthread_mutex_lock(&z->lock);
	z->stop = true;
	pthread_cond_signal(&z->changed);
	pthread_mutex_unlock(&z->lock);
	pthread_join(z->thread, NULL);
	while ((q = TAILQ_FIRST(&z->waiting)) != NULL) {
		TAILQ_REMOVE(&z->waiting, q, link);
		query_end(q);
	}
	pthread_mutex_destroy(&z->lock);
	pthread_cond_destroy(&z->changed);
	zone_free(z);
}

const struct resolver_backend resolver_file = {
	.open = file_open,
	.close = file_close,
	.ask = file_ask,
	.cancel = file_cancel,
};
