#include "policy/table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "score/regex.h"

#define FILE_MAX	((off_t)512 * 1024 * 1024)
#define ENTRY_MAX	1000		/* bytes of one entry */
#define LOOK_EVERY_MS	1000
#define LENGTHS		129		/* prefix lengths 0..128 */

/* A word, mail address, @domain or .domain, lower case. */
struct entry {
	struct str	 key, value;
};

struct net {
	struct addr_net	 net;
	struct str	 value;
};

struct pattern {
	struct regex	*regex;
	struct str	 text, value;
};

struct chunk {
	struct chunk	*next;
	char		 text[];
};

/*
 * What a table holds at one time; never changes once it is published.
 * Words are an open hash of indexes into entries[], prefixes are sorted, so
 * that one binary search for each prefix length in use finds an address.
 */
struct set {
	atomic_uint	 refs;
	struct chunk	*chunks;	/* keys and values point into them */
	struct entry	*entries;
	size_t		 nentries, entries_cap;
	uint32_t	*slots;		/* index + 1; 0: free */
	size_t		 nslots;	/* a power of two */
	bool		 has_dot, has_at;
	struct net	*nets;
	size_t		 nnets, nets_cap;
	bool		 lengths[2][LENGTHS];	/* by family */
	bool		 sorted;
	struct pattern	*patterns;
	size_t		 npatterns;
};

struct table {
	struct str	 name;
	struct set	*set;		/* lock: the pointer and a ref of it */
	pthread_mutex_t	 lock;
	char		*path;		/* NULL: inline */
	table_judge_fn	*judge;		/* NULL: any value will do */
	const void	*judge_arg;
	dev_t		 dev;
	ino_t		 ino;
	off_t		 size;
	struct timespec	 mtime, ctime;
	int64_t		 looked_ms;
	bool		 missing;	/* at the last look; logged once */
};

static struct set *
set_new(void)
{
	struct set *s = mem_alloc(sizeof(*s));

	atomic_init(&s->refs, 1);
	return s;
}

static char *
set_text(struct set *s, size_t n)
{
	struct chunk *c = mem_alloc(sizeof(*c) + n + 1);

	c->next = s->chunks;
	s->chunks = c;
	return c->text;
}

static void
set_release(struct set *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (size_t i = 0; i < s->npatterns; i++)
		regex_free(&s->patterns[i].regex);
	free(s->patterns);
	free(s->nets);
	free(s->slots);
	free(s->entries);
	while (s->chunks != NULL) {
		struct chunk *c = s->chunks;

		s->chunks = c->next;
		free(c);
	}
	free(s);
}

static struct set *
set_take(const struct table *t)
{
	struct table *w = (struct table *)(uintptr_t)t;
	struct set *s;

	pthread_mutex_lock(&w->lock);
	s = w->set;
	atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&w->lock);
	return s;
}

/* ---- words ---- */

static size_t
slot_of(const struct set *s, struct str key)
{
	size_t i = (size_t)str_hash(key) & (s->nslots - 1);

	while (
	    s->slots[i] != 0 && !str_eq(s->entries[s->slots[i] - 1].key, key))
		i = (i + 1) & (s->nslots - 1);
	return i;
}

static void
slots_grow(struct set *s, size_t nslots)
{
	free(s->slots);
	s->nslots = nslots;
	s->slots = mem_alloc(nslots * sizeof(*s->slots));
	for (size_t i = 0; i < s->nentries; i++)
		s->slots[slot_of(s, s->entries[i].key)] = (uint32_t)i + 1;
}

/* The first of two equal entries counts. */
static void
word_add(struct set *s, struct str key, struct str value)
{
	size_t slot;

	if (2 * (s->nentries + 1) > s->nslots)
		slots_grow(s, s->nslots == 0 ? 16 : 2 * s->nslots);
	slot = slot_of(s, key);
	if (s->slots[slot] != 0)
		return;
	if (s->nentries == s->entries_cap) {
		s->entries_cap = s->entries_cap == 0 ? 16 : 2 * s->entries_cap;
		s->entries = mem_resize(s->entries,
		    s->entries_cap * sizeof(*s->entries));
	}
	s->entries[s->nentries++] = (struct entry){ key, value };
	s->slots[slot] = (uint32_t)s->nentries;
	s->has_dot = s->has_dot || key.p[0] == '.';
	s->has_at = s->has_at || key.p[0] == '@';
}

static const struct entry *
word_find(const struct set *s, struct str key)
{
	size_t slot;

	if (s->nentries == 0)
		return NULL;
	slot = slot_of(s, key);
	return s->slots[slot] == 0 ? NULL : &s->entries[s->slots[slot] - 1];
}

/* ".example.org" for example.org and all below it. */
static const struct entry *
domain_find(const struct set *s, struct str domain)
{
	char dotted[ENTRY_MAX + 1];
	struct str d;

	if (!s->has_dot || domain.n == 0 || domain.n >= ENTRY_MAX)
		return NULL;
	dotted[0] = '.';
	memcpy(dotted + 1, domain.p, domain.n);
	d = (struct str){ dotted, domain.n + 1 };
	while (d.n > 1) {
		const struct entry *e = word_find(s, d);
		ptrdiff_t dot;

		if (e != NULL)
			return e;
		dot = str_chr(str_sub(d, 1, d.n), '.');
		if (dot < 0)
			break;
		d = str_sub(d, (size_t)dot + 1, d.n);
	}
	return NULL;
}

/* ---- addresses ---- */

static int
net_cmp(const void *va, const void *vb)
{
	const struct net *a = va, *b = vb;
	int order = addr_cmp(&a->net.addr, &b->net.addr);

	if (a->net.addr.family != b->net.addr.family)
		return a->net.addr.family < b->net.addr.family ? -1 : 1;
	if (order != 0)
		return order;
	return a->net.bits < b->net.bits ? -1 : a->net.bits > b->net.bits;
}

static void
net_add(struct set *s, const struct addr_net *net, struct str value)
{
	if (s->nnets == s->nets_cap) {
		s->nets_cap = s->nets_cap == 0 ? 16 : 2 * s->nets_cap;
		s->nets = mem_resize(s->nets, s->nets_cap * sizeof(*s->nets));
	}
	s->nets[s->nnets++] = (struct net){ *net, value };
	s->lengths[net->addr.family == ADDR_V6][net->bits] = true;
	s->sorted = false;
}

static void
set_finish(struct set *s)
{
	if (!s->sorted && s->nnets > 1)
		qsort(s->nets, s->nnets, sizeof(*s->nets), net_cmp);
	s->sorted = true;
}

/* While entries are still being added. */
static const struct net *
net_scan(const struct set *s, const struct addr *addr)
{
	for (size_t i = 0; i < s->nnets; i++)
		if (addr_in_net(addr, &s->nets[i].net))
			return &s->nets[i];
	return NULL;
}

static const struct net *
net_find(const struct set *s, const struct addr *addr)
{
	bool v6 = addr->family == ADDR_V6;

	if (addr->family == ADDR_NONE)
		return NULL;
	if (!s->sorted)
		return net_scan(s, addr);
	for (unsigned int bits = v6 ? 129 : 33; s->nnets > 0 && bits-- > 0;) {
		struct net key = { .net = { .addr = *addr, .bits = bits } };
		const struct net *found;

		if (!s->lengths[v6][bits])
			continue;
		addr_mask(&key.net.addr, bits);
		found = bsearch(&key, s->nets, s->nnets, sizeof(key), net_cmp);
		if (found != NULL)
			return found;
	}
	return NULL;
}

/* Meant as an address?  "192.0.2.300", "2001:db8::g/32", "10.0.0.0/8". */
static bool
looks_like_net(struct str s)
{
	size_t digits = 0, dots = 0, colons = 0, others = 0;
	ptrdiff_t slash = str_chr(s, '/');

	for (size_t i = 0; i < (slash < 0 ? s.n : (size_t)slash); i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (chr_digit(c))
			digits++;
		else if (c == '.')
			dots++;
		else if (c == ':')
			colons++;
		else if (chr_lower(c) < 'a' || chr_lower(c) > 'f')
			others++;
	}
	if (slash >= 0)
		return others == 0 && dots + colons > 0;
	return (colons > 1 && str_chr(s, '@') < 0) ||
	    (dots == 3 && digits + dots == s.n && digits > 3);
}

/* ---- entries ---- */

static char *
lower(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)chr_lower((unsigned char)p[i]);
	return p;
}

static bool
pattern_add(struct set *s, struct str entry, struct str value, struct buf *why,
    size_t *at)
{
	size_t end = (size_t)str_rchr(entry, '/');
	struct pattern p = { .text = entry, .value = value };

	*at = 0;
	if (end == 0) {
		buf_adds(why, "the regex has no closing slash");
		return false;
	}
	p.regex = regex_new(str_sub(entry, 1, end - 1),
	    str_sub(entry, end + 1, entry.n), why, at);
	*at += 1;
	if (p.regex == NULL)
		return false;
	s->patterns =
	    mem_resize(s->patterns, (s->npatterns + 1) * sizeof(*s->patterns));
	s->patterns[s->npatterns++] = p;
	return true;
}

/* The entry's letters are made lower case where they are. */
static bool
set_add(struct set *s, char *p, size_t n, struct str value, struct buf *why,
    size_t *at)
{
	struct str entry = { p, n };
	struct addr_net net;
	const char *problem = NULL;

	*at = 0;
	if (n == 0 || n > ENTRY_MAX) {
		buf_adds(why,
		    n == 0 ? "an empty entry" :
			     "an entry of more than 1000 bytes");
		return false;
	}
	if (p[0] == '/')
		return pattern_add(s, entry, value, why, at);
	if (addr_net_parse(entry, &net, &problem)) {
		net_add(s, &net, value);
		return true;
	}
	if (looks_like_net(entry)) {
		buf_adds(why, problem ? problem : "not an address or prefix");
		return false;
	}
	lower(p, n);
	word_add(s, entry, value);
	return true;
}

/* ---- tables ---- */

struct table *
table_new(struct str name)
{
	struct table *t = mem_alloc(sizeof(*t));

	t->name.p = mem_strndup(name.p ? name.p : "", name.n);
	t->name.n = name.n;
	t->set = set_new();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
table_free(struct table **tp)
{
	struct table *t = *tp;

	if (t == NULL)
		return;
	set_release(t->set);
	pthread_mutex_destroy(&t->lock);
	free(t->path);
	free((char *)(uintptr_t)t->name.p);
	free(t);
	*tp = NULL;
}

struct str
table_name(const struct table *t)
{
	return t->name;
}

size_t
table_count(const struct table *t)
{
	struct set *s = set_take(t);
	size_t n = s->nentries + s->nnets + s->npatterns;

	set_release(s);
	return n;
}

void
table_set_judge(struct table *t, table_judge_fn *judge, const void *arg)
{
	t->judge = judge;
	t->judge_arg = arg;
}

bool
table_add_value(struct table *t, struct str entry, struct str value,
    struct buf *why)
{
	char *text = set_text(t->set, entry.n + value.n);
	size_t at;

	if (entry.n > 0)
		memcpy(text, entry.p, entry.n);
	if (value.n > 0)
		memcpy(text + entry.n, value.p, value.n);
	value.p = text + entry.n;
	return set_add(t->set, text, entry.n, value, why, &at);
}

bool
table_add(struct table *t, struct str entry, struct buf *why)
{
	return table_add_value(t, entry, STR_NONE, why);
}

void
table_seal(struct table *t)
{
	set_finish(t->set);
}

/* ---- files ---- */

/* Where the entry at the start of a line ends; a regex may have blanks. */
static size_t
entry_length(struct str line)
{
	size_t i = 0;

	if (line.p[0] == '/')
		for (i = 1; i < line.n && line.p[i] != '/'; i++)
			if (line.p[i] == '\\')
				i++;
	while (i < line.n && !chr_space((unsigned char)line.p[i]))
		i++;
	return i < line.n ? i : line.n;
}

struct loading {
	struct set	*set;
	table_judge_fn	*judge;
	const void	*judge_arg;
	struct source	 source;
	struct diag	*diag;
	unsigned int	 line;
	bool		 ok;
};

/* false: the line is a mistake, which has been told. */
static bool
line_judge(struct loading *l, const char *start, struct str entry,
    struct str value)
{
	struct place place = { .source = &l->source, .line = l->line };
	struct buf why = BUF_INIT(1000);
	enum table_fault fault = TABLE_FINE;
	struct str at = STR_NONE;

	if (l->judge != NULL)
		fault = l->judge(l->judge_arg, entry, value, &why, &at);
	if (at.n == 0)
		at = value.n == 0 || fault == TABLE_BAD_ENTRY ? entry : value;
	place.col = (unsigned int)(at.p - start) + 1;
	place.len = (unsigned int)at.n;
	if (fault == TABLE_WARN_VALUE)
		diag_warn(l->diag, place, "%.*s", STR_FMT(buf_str(&why)));
	else if (fault != TABLE_FINE)
		diag_error(l->diag, place, "%.*s", STR_FMT(buf_str(&why)));
	buf_free(&why);
	return fault == TABLE_FINE || fault == TABLE_WARN_VALUE;
}

static void
line_add(struct loading *l, char *start, struct str line)
{
	size_t n = entry_length(line), at;
	size_t before = (size_t)(line.p - start);
	struct str value = str_trim(str_sub(line, n, line.n));
	struct buf why = BUF_INIT(1000);

	if (value.n > 0 && value.p[0] == '#')
		value.n = 0;
	if (!line_judge(l, start, str_sub(line, 0, n), value)) {
		l->ok = false;
		return;
	}
	if (!set_add(l->set, start + before, n, value, &why, &at)) {
		l->ok = false;
		diag_error(l->diag,
		    (struct place){ .source = &l->source,
			.line = l->line,
			.col = (unsigned int)(before + at) + 1,
			.len = at > 0 || n == 0 ? 1 : (unsigned int)n },
		    "%.*s", STR_FMT(buf_str(&why)));
	}
	buf_free(&why);
}

static bool
lines_add(struct loading *l, char *text, size_t n)
{
	char *p = text, *end = text + n;

	for (l->line = 1; p < end; l->line++) {
		char *nl = memchr(p, '\n', (size_t)(end - p));
		struct str line = { p, (size_t)((nl ? nl : end) - p) };

		line = str_trim(line);
		if (memchr(line.p, '\0', line.n) != NULL) {
			diag_error(l->diag,
			    (struct place){ .source = &l->source,
				.line = l->line,
				.col = 1,
				.len = 1 },
			    "a NUL byte in the line");
			l->ok = false;
		} else if (line.n > 0 && line.p[0] != '#')
			line_add(l, p, line);
		p = nl ? nl + 1 : end;
	}
	return l->ok;
}

static const char *
file_read(int fd, const struct stat *st, struct set *set, struct str *text)
{
	char *mem;
	size_t n = 0, size = (size_t)st->st_size;

	if (S_ISDIR(st->st_mode))
		return "it is a directory";
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_size > FILE_MAX)
		return "it is larger than 512 MB";
	mem = set_text(set, size);
	while (n < size) {
		ssize_t got = read(fd, mem + n, size - n);

		if (got < 0)
			return strerror(errno);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*text = (struct str){ mem, n };
	return NULL;
}

static void
identity_keep(struct table *t, const struct stat *st)
{
	t->dev = st->st_dev;
	t->ino = st->st_ino;
	t->size = st->st_size;
	t->mtime = st->st_mtim;
	t->ctime = st->st_ctim;
}

static bool
time_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The time of a change as well: what could not be read may be readable now. */
static bool
identity_same(const struct table *t, const struct stat *st)
{
	return t->dev == st->st_dev && t->ino == st->st_ino &&
	    t->size == st->st_size && time_same(&t->mtime, &st->st_mtim) &&
	    time_same(&t->ctime, &st->st_ctim);
}

/*
 * The file as a set, NULL where it can't be read or has a bad line: mistakes
 * are in the diag, those of the file as a whole at `where'.
 */
static struct set *
file_load(struct table *t, struct place where, struct diag *diag)
{
	struct loading l = { .set = set_new(),
		.judge = t->judge,
		.judge_arg = t->judge_arg,
		.diag = diag,
		.ok = true };
	const char *why = NULL;
	struct stat st;
	struct str text;
	int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) != 0)
		why = strerror(errno);
	else {
		identity_keep(t, &st);
		why = file_read(fd, &st, l.set, &text);
	}
	if (fd >= 0)
		close(fd);
	if (why != NULL)
		diag_error(diag, where, "cannot read %s: %s", t->path, why);
	else {
		l.source.name = str_of(t->path);
		l.source.text = text;
		l.source.order = UINT_MAX / 2 + where.line;
		lines_add(&l, (char *)(uintptr_t)text.p, text.n);
	}
	if (why != NULL || !l.ok) {
		set_release(l.set);
		return NULL;
	}
	set_finish(l.set);
	return l.set;
}

static void
set_swap(struct table *t, struct set *set)
{
	struct set *old;

	pthread_mutex_lock(&t->lock);
	old = t->set;
	t->set = set;
	pthread_mutex_unlock(&t->lock);
	set_release(old);
}

bool
table_load(struct table *t, struct str path, struct place where,
    struct diag *diag)
{
	struct set *set;

	free(t->path);
	t->path = mem_strndup(path.p, path.n);
	t->looked_ms = clock_mono_ms();
	set = file_load(t, where, diag);
	if (set == NULL)
		return false;
	set_swap(t, set);
	return true;
}

static void
log_failed(const struct table *t, const struct diag *diag)
{
	struct buf text = BUF_INIT(4000);
	struct str first, rest;

	diag_print(diag, &text);
	first = str_cut(buf_str(&text), '\n', &rest);
	log_event(LOG_EV_TABLE, "table=%s file=%s problem=%.*s kept=%zu",
	    t->name.p, t->path, STR_FMT(first), table_count(t));
	buf_free(&text);
}

/* A file that was changed within the second may still be half of it. */
static bool
is_fresh(const struct stat *st)
{
	int64_t age = clock_wall_ms() - (int64_t)st->st_mtim.tv_sec * 1000 -
	    st->st_mtim.tv_nsec / 1000000;

	return age >= 0 && age < LOOK_EVERY_MS;
}

void
table_refresh(struct table *t)
{
	int64_t now = clock_mono_ms();
	struct diag *diag;
	struct stat st;
	struct set *set;

	if (t->path == NULL || now - t->looked_ms < LOOK_EVERY_MS)
		return;
	t->looked_ms = now;
	if (stat(t->path, &st) == 0) {
		if (!t->missing && identity_same(t, &st))
			return;
		if (is_fresh(&st))
			return;
		t->missing = false;
		identity_keep(t, &st); /* one that can't be opened, too */
	} else if (t->missing)
		return;
	else
		t->missing = true;
	diag = diag_new();
	set = file_load(t, (struct place){ .source = NULL }, diag);
	if (set != NULL) {
		set_swap(t, set);
		log_event(LOG_EV_TABLE, "table=%s file=%s entries=%zu",
		    t->name.p, t->path, table_count(t));
	} else
		log_failed(t, diag);
	diag_free(&diag);
}

/* ---- lookups ---- */

static bool
word_lookup(const struct set *s, struct str text, struct str *value)
{
	char mem[ENTRY_MAX];
	struct str key = { mem, text.n };
	const struct entry *e;
	const struct net *net;
	struct addr addr;
	ptrdiff_t at;

	if (text.n == 0 || text.n > ENTRY_MAX)
		return false;
	memcpy(mem, text.p, text.n);
	lower(mem, text.n);
	at = str_rchr(key, '@');
	e = word_find(s, key);
	if (e == NULL && at >= 0 && s->has_at)
		e = word_find(s, str_sub(key, (size_t)at, key.n));
	if (e == NULL)
		e = domain_find(s, str_sub(key, (size_t)(at + 1), key.n));
	if (e != NULL) {
		*value = e->value;
		return true;
	}
	if (s->nnets == 0 || !addr_parse(text, &addr))
		return false;
	net = net_find(s, &addr);
	if (net != NULL)
		*value = net->value;
	return net != NULL;
}

static bool
text_lookup(const struct set *s, struct str text, struct str *value)
{
	if (word_lookup(s, text, value))
		return true;
	for (size_t i = 0; i < s->npatterns; i++)
		if (regex_match(s->patterns[i].regex, text) == REGEX_YES) {
			*value = s->patterns[i].value;
			return true;
		}
	return false;
}

static bool
set_has(const struct set *s, const struct value *v)
{
	struct str ignored;

	if (v->kind == VALUE_ADDR)
		return net_find(s, &v->addr) != NULL;
	for (size_t i = 0; i < v->nitems; i++)
		if (text_lookup(s, v->items[i], &ignored))
			return true;
	return v->nitems == 0 && text_lookup(s, v->text, &ignored);
}

bool
table_has(const struct table *t, const struct value *v)
{
	struct set *s;
	bool has;

	if (v->absent || v->unknown)
		return false;
	s = set_take(t);
	has = set_has(s, v);
	set_release(s);
	return has;
}

bool
table_lookup(const struct table *t, struct str key, struct arena *arena,
    struct str *value)
{
	struct set *s = set_take(t);
	struct str found = STR_NONE;
	bool has = text_lookup(s, key, &found);

	if (has)
		*value = arena_str(arena, found.p ? found : STR(""));
	set_release(s);
	return has;
}

bool
table_value(const struct table *t, struct str key, struct buf *value)
{
	struct set *s = set_take(t);
	struct str found = STR_NONE;
	bool has = text_lookup(s, key, &found);

	if (has)
		buf_addstr(value, found);
	set_release(s);
	return has;
}

struct str
table_word(struct str *value)
{
	size_t n = 0;
	struct str word;

	*value = str_trim(*value);
	while (n < value->n && !chr_space((unsigned char)value->p[n]))
		n++;
	word = str_sub(*value, 0, n);
	*value = str_sub(*value, n, value->n);
	if (n > 0 && word.p[0] == '#')
		word.n = value->n = 0; /* where it stands, all the same */
	return word;
}
