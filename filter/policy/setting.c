#include "policy/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/history.h"
#include "service/redis_url.h"

#define TIME_MAX_MS    (10LL * 366 * 24 * 3600 * 1000)
#define MTA_TIMEOUT_MS 30000 /* Postfix' milter_command_timeout */
#define BODY_MAX_MAX   (1ULL << 30)
#define STATE_MAX_MIN  (1ULL << 20)

static const struct {
	const char *words, *def, *help;
} table[SETTING_COUNT] = {
#define X(id, w, d, h) [SETTING_##id] = { .words = w, .def = d, .help = h },
	SETTINGS(X)
#undef X
};

const char *
setting_words(enum setting s)
{
	return table[s].words;
}

const char *
setting_default(enum setting s)
{
	return table[s].def;
}

const char *
setting_help(enum setting s)
{
	return table[s].help;
}

enum setting
setting_find(struct str first, struct str second)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct str rest, word;

		word = str_cut(str_of(table[s].words), ' ', &rest);
		if (str_eq(word, first) &&
		    (rest.p == NULL || str_eq(rest, second)))
			return s;
	}
	return SETTING_COUNT;
}

bool
setting_is_first_word(struct str word)
{
	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct str rest, first;

		first = str_cut(str_of(table[s].words), ' ', &rest);
		if (rest.p != NULL && str_eq(first, word) &&
		    setting_find(word, STR_NONE) == SETTING_COUNT)
			return true;
	}
	return false;
}

bool
setting_time(struct str s, int64_t *ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 } };
	size_t digits = 0;
	uint64_t n;

	while (digits < s.n && chr_digit((unsigned char)s.p[digits]))
		digits++;
	if (!str_u64(str_sub(s, 0, digits), &n))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (!str_eq(str_sub(s, digits, s.n), str_of(units[i].unit)))
			continue;
		if (n > (uint64_t)(TIME_MAX_MS / units[i].ms))
			return false;
		*ms = (int64_t)n * units[i].ms;
		return true;
	}
	return false;
}

bool
setting_size(struct str s, uint64_t *bytes)
{
	unsigned int shift = 0;
	uint64_t n;

	if (s.n == 0)
		return false;
	switch (s.p[s.n - 1]) {
	case 'G':
		shift += 10;
		/* FALLTHROUGH */
	case 'M':
		shift += 10;
		/* FALLTHROUGH */
	case 'K':
		shift += 10;
		s.n--;
	}
	if (!str_u64(s, &n) || n > UINT64_MAX >> (shift + 1))
		return false;
	*bytes = n << shift;
	return true;
}

bool
setting_number(struct str s, double *number)
{
	char text[32];
	size_t i = s.n > 0 && s.p[0] == '-', digits = 0, dots = 0;

	if (s.n >= sizeof(text))
		return false;
	for (; i < s.n; i++) {
		if (chr_digit((unsigned char)s.p[i]))
			digits++;
		else if (s.p[i] == '.')
			dots++;
		else
			return false;
	}
	if (digits == 0 || dots > 1)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*number = strtod(text, NULL);
	return true;
}

static struct str
absolute(const struct setting_in *in, struct str path)
{
	if (path.n > 0 && path.p[0] == '/')
		return path;
	return arena_printf(in->arena, "%.*s%.*s", STR_FMT(in->dir),
	    STR_FMT(path));
}

/* "sqlite:PATH" with a relative PATH made one that can be opened. */
static struct str
absolute_spec(const struct setting_in *in, struct str spec, struct str prefix)
{
	return arena_printf(in->arena, "%.*s%.*s", STR_FMT(prefix),
	    STR_FMT(absolute(in, str_sub(spec, prefix.n, spec.n))));
}

static bool
fail_at(const struct setting_in *in, size_t i, const char *what)
{
	diag_error(in->diag, i < in->n ? in->words[i].place : in->place, "%s",
	    what);
	return false;
}

static bool
fail_words(const struct setting_in *in, size_t i, const char *what,
    const char *const *known, size_t n)
{
	fail_at(in, i, what);
	diag_suggest(in->diag, in->words[i].text, known, n);
	return false;
}

static bool
listen_port(struct str s, unsigned int *port)
{
	uint64_t n;

	if (!str_u64(s, &n) || n < 1 || n > 65535)
		return false;
	*port = (unsigned int)n;
	return true;
}

static bool
listen_inet(const struct setting_in *in, struct str spec,
    enum addr_family family, struct listen *l)
{
	struct str host, port = str_cut(spec, '@', &host);

	if (!listen_port(port, &l->port))
		return fail_at(in, 0,
		    "a port is a number from 1 to 65535: "
		    "inet:PORT@ADDRESS");
	l->kind = LISTEN_INET;
	if (host.p == NULL || str_eq(host, STR("localhost")))
		host = family == ADDR_V4 ? STR("127.0.0.1") : STR("::1");
	if (!addr_parse(host, &l->addr) || l->addr.family != family)
		return fail_at(in, 0,
		    family == ADDR_V4 ?
			"an IPv4 address stands behind the @: "
			"inet:8891@127.0.0.1" :
			"an IPv6 address stands behind the @: inet6:8891@::1");
	return true;
}

static bool
listen_mode(struct str s, int *mode)
{
	int m = 0;

	if (s.n < 3 || s.n > 4)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return false;
		m = m * 8 + (s.p[i] - '0');
	}
	*mode = m;
	return m <= 0777;
}

static bool
listen_unix(const struct setting_in *in, struct listen *l)
{
	static const char *const known[] = { "mode", "group", "user" };
	struct sockaddr_un sun;

	l->kind = LISTEN_UNIX;
	l->path = absolute(in, str_sub(in->words[0].text, 5, SIZE_MAX - 5));
	if (in->words[0].text.n == 5)
		return fail_at(in, 0, "unix: needs a path");
	if (l->path.n >= sizeof(sun.sun_path))
		return fail_at(in, 0,
		    "the path of a unix socket is at most "
		    "107 bytes long");
	for (size_t i = 1; i < in->n; i += 2) {
		struct str word = in->words[i].text;
		struct str value =
		    i + 1 < in->n ? in->words[i + 1].text : STR_NONE;

		if (value.n == 0)
			return fail_at(in, i, "a value is missing here");
		if (str_eq(word, STR("mode"))) {
			if (!listen_mode(value, &l->mode))
				return fail_at(in, i + 1,
				    "a mode is octal, "
				    "such as 0660");
		} else if (str_eq(word, STR("group")))
			l->group = value;
		else if (str_eq(word, STR("user")))
			l->user = value;
		else
			return fail_words(in, i,
			    "expected `mode', `group' or "
			    "`user'",
			    known, 3);
	}
	return true;
}

static bool
listen_set(const struct setting_in *in, struct listen *l, bool may_be_off)
{
	struct str spec = in->words[0].text;
	bool ok;

	*l = (struct listen){ .mode = -1 };
	if (str_starts(spec, STR("unix:")))
		return listen_unix(in, l);
	if (str_starts(spec, STR("inet:")))
		ok = listen_inet(in, str_sub(spec, 5, spec.n), ADDR_V4, l);
	else if (str_starts(spec, STR("inet6:")))
		ok = listen_inet(in, str_sub(spec, 6, spec.n), ADDR_V6, l);
	else if (!may_be_off && str_eq(spec, STR("systemd"))) {
		l->kind = LISTEN_SYSTEMD;
		ok = true;
	} else if (may_be_off && str_eq(spec, STR("off")))
		ok = true;
	else
		return fail_at(in, 0,
		    may_be_off ? "expected unix:PATH, inet:PORT@ADDRESS, "
				 "inet6:PORT@ADDRESS or off" :
				 "expected unix:PATH, inet:PORT@ADDRESS, "
				 "inet6:PORT@ADDRESS or systemd");
	if (ok && in->n > 1)
		return fail_at(in, 1, "nothing may stand behind this address");
	return ok;
}

static bool
state_set(const struct setting_in *in, struct str *text)
{
	struct str spec = in->words[0].text;
	struct buf why = BUF_INIT(1024);
	struct redis_url url;

	if (str_starts(spec, STR("sqlite:")) && spec.n > 7) {
		*text = absolute_spec(in, spec, STR("sqlite:"));
		return true;
	}
	if (str_eq(spec, STR("memory:")))
		return true;
	if (!redis_url_is(spec))
		return fail_at(in, 0,
		    "expected sqlite:PATH, redis://HOST, rediss://HOST, "
		    "redis+unix:///PATH or memory:");
	if (redis_url_parse(spec, &url, &why)) {
		redis_url_free(&url);
		return true;
	}
	fail_at(in, 0, why.p);
	buf_free(&why);
	return false;
}

static bool
resolver_set(const struct setting_in *in, struct str *text)
{
	static const char *const known[] = { "system", "recursive" };
	struct str spec = in->words[0].text, port, host;
	struct addr addr;
	unsigned int n;

	if (str_eq(spec, STR("system")) || str_eq(spec, STR("recursive")))
		return true;
	if (str_starts(spec, STR("file:")) && spec.n > 5) {
		*text = absolute_spec(in, spec, STR("file:"));
		return true;
	}
	host = str_cut(spec, '@', &port);
	if (addr_parse(host, &addr) &&
	    (port.p == NULL || listen_port(port, &n)))
		return true;
	return fail_words(in, 0,
	    "expected system, recursive, ADDRESS@PORT or "
	    "file:PATH",
	    known, 2);
}

static bool
hostname_set(const struct setting_in *in)
{
	struct str name = in->words[0].text;

	for (size_t i = 0; i < name.n; i++)
		if (!chr_alnum((unsigned char)name.p[i]) &&
		    memchr("-._", name.p[i], 3) == NULL)
			return fail_at(in, 0,
			    "a host name has letters, "
			    "digits, hyphens and dots");
	if (name.n == 0 || name.n > 255)
		return fail_at(in, 0, "a host name has 1 to 255 characters");
	return true;
}

static bool
log_set(const struct setting_in *in)
{
	static const char *const known[] = { "stderr", "syslog", "error",
		"warn", "info", "debug" };

	for (size_t i = 0; i < in->n; i++) {
		size_t k = 0;

		while (k < 6 && !str_eq(in->words[i].text, str_of(known[k])))
			k++;
		if (k == 6)
			return fail_words(in, i,
			    "expected stderr or syslog, "
			    "and error, warn, info or debug",
			    known, 6);
		if ((k < 2) != (i == 0 && (in->n == 2 || k < 2)))
			return fail_at(in, i,
			    "expected stderr or syslog, "
			    "then error, warn, info or debug");
	}
	return true;
}

static bool
deadline_set(const struct setting_in *in, enum setting s, int64_t *ms)
{
	if (!setting_time(in->words[0].text, ms))
		return fail_at(in, 0, "expected a time such as 8s or 500ms");
	if (*ms == 0)
		return fail_at(in, 0,
		    "a deadline of no time leaves no "
		    "lookup a chance");
	if (s == SETTING_DEADLINE_STAGE && *ms >= MTA_TIMEOUT_MS)
		diag_warn(in->diag, in->words[0].place,
		    "the MTA waits 30s for an answer at most");
	return true;
}

static bool
fault_set(const struct setting_in *in, bool *tempfail)
{
	static const char *const known[] = { "accept", "tempfail" };

	*tempfail = str_eq(in->words[0].text, STR("tempfail"));
	if (!*tempfail && !str_eq(in->words[0].text, STR("accept")))
		return fail_words(in, 0, "expected accept or tempfail", known,
		    2);
	return true;
}

static bool
mta_set(const struct setting_in *in)
{
	struct str spec = in->words[0].text, host, port;
	unsigned int n;

	if (str_eq(spec, STR("sendmail")))
		return true;
	if (!str_starts(spec, STR("smtp://")))
		return fail_at(in, 0, "expected smtp://HOST:PORT or sendmail");
	host = str_sub(spec, 7, spec.n);
	port = str_sub(host, (size_t)(str_rchr(host, ':') + 1), host.n);
	if (!listen_port(port, &n) || port.n + 1 >= host.n ||
	    str_chr(host, '/') >= 0 || str_chr(host, '@') >= 0)
		return fail_at(in, 0,
		    "expected smtp://HOST:PORT, such as "
		    "smtp://127.0.0.1:25");
	return true;
}

/* One or more paths, as one text with blanks between them. */
static bool
paths_set(const struct setting_in *in, struct str *text)
{
	struct buf all = BUF_INIT(1024 * 1024);

	for (size_t i = 0; i < in->n; i++) {
		struct str path = in->words[i].text;

		for (size_t k = 0; k < path.n; k++)
			if (chr_space((unsigned char)path.p[k])) {
				buf_free(&all);
				return fail_at(in, i,
				    "this path may not have "
				    "white space in it");
			}
		buf_printf(&all, "%s%.*s", all.n > 0 ? " " : "",
		    STR_FMT(absolute(in, path)));
	}
	*text = arena_str(in->arena, buf_str(&all));
	buf_free(&all);
	return true;
}

/* "7d 100M", perhaps with the path of a file; "off" */
static bool
history_setting(struct settings *set, const struct setting_in *in)
{
	set->history_bytes = 0;
	set->history_path = STR_NONE;
	if (in->n == 1 && str_eq(in->words[0].text, STR("off")))
		return true;
	if (!setting_time(in->words[0].text, &set->history_age_ms) ||
	    set->history_age_ms == 0)
		return fail_at(in, 0, "expected a time such as 7d, or off");
	if (in->n < 2 ||
	    !setting_size(in->words[1].text, &set->history_bytes) ||
	    set->history_bytes < HISTORY_SIZE_MIN)
		return fail_at(in, in->n < 2 ? 0 : 1,
		    "expected a time and a size of 1M or more, such as "
		    "7d 100M");
	if (in->n > 2)
		set->history_path = absolute(in, in->words[2].text);
	return true;
}

static size_t
words_allowed(enum setting s)
{
	return s == SETTING_LISTEN || s == SETTING_CONTROL ? 7 :
	    s == SETTING_RULES || s == SETTING_GEOIP	   ? SETTING_WORDS_MAX :
	    s == SETTING_LOG				   ? 2 :
	    s == SETTING_HISTORY			   ? 3 :
							     1;
}

static struct str
joined(const struct setting_in *in)
{
	struct str all = in->words[0].text;

	for (size_t i = 1; i < in->n; i++)
		all = arena_printf(in->arena, "%.*s %.*s", STR_FMT(all),
		    STR_FMT(in->words[i].text));
	return all;
}

static bool
value_set(struct settings *set, enum setting s, const struct setting_in *in,
    struct str *text)
{
	switch (s) {
	case SETTING_HOSTNAME:
		return hostname_set(in);
	case SETTING_LISTEN:
		return listen_set(in, &set->listen, false);
	case SETTING_CONTROL:
		return listen_set(in, &set->control, true);
	case SETTING_STATE:
		return state_set(in, text);
	case SETTING_HISTORY:
		return history_setting(set, in);
	case SETTING_RESOLVER:
		return resolver_set(in, text);
	case SETTING_RULES:
	case SETTING_GEOIP:
		return paths_set(in, text);
	case SETTING_LOG:
		return log_set(in);
	case SETTING_DEADLINE_STAGE:
		return deadline_set(in, s, &set->deadline_stage_ms);
	case SETTING_DEADLINE_MESSAGE:
		return deadline_set(in, s, &set->deadline_message_ms);
	case SETTING_BODY_MAX:
		if (!setting_size(in->words[0].text, &set->body_max) ||
		    set->body_max > BODY_MAX_MAX)
			return fail_at(in, 0,
			    "expected a size up to 1G, such "
			    "as 16M");
		return true;
	case SETTING_STATE_MAX:
		if (!setting_size(in->words[0].text, &set->state_max) ||
		    set->state_max < STATE_MAX_MIN)
			return fail_at(in, 0,
			    "expected a size of 1M or more, such "
			    "as 256M");
		return true;
	case SETTING_MTA:
		return mta_set(in);
	case SETTING_ON_FAULT:
		return fault_set(in, &set->fault_tempfail);
	case SETTING_USER:
	case SETTING_COUNT:
		break;
	}
	return true;
}

bool
setting_set(struct settings *set, enum setting s, const struct setting_in *in)
{
	struct str text;

	if (in->n == 0)
		return fail_at(in, 0, "this setting needs a value");
	if (in->n > words_allowed(s))
		return fail_at(in, words_allowed(s), "one word too many");
	for (size_t i = 0; i < in->n; i++)
		if (in->words[i].text.n == 0)
			return fail_at(in, i, "an empty value");
	text = joined(in);
	if (!value_set(set, s, in, &text))
		return false;
	if (s == SETTING_RULES && set->text[s].n > 0)
		text = arena_printf(in->arena, "%.*s %.*s",
		    STR_FMT(set->text[s]), STR_FMT(text));
	set->text[s] = text;
	if (set->place[s].source == NULL)
		set->place[s] = in->place;
	return true;
}

static size_t
words_split(struct str text, struct token *words)
{
	size_t n = 0;

	while (text.p != NULL && text.n > 0 && n < SETTING_WORDS_MAX) {
		words[n] = (struct token){ .kind = TOKEN_WORD };
		words[n++].text = str_cut(text, ' ', &text);
	}
	return n;
}

void
setting_defaults(struct settings *set, struct arena *arena, struct diag *diag)
{
	char host[256] = "";

	for (enum setting s = 0; s < SETTING_COUNT; s++) {
		struct token words[SETTING_WORDS_MAX];
		struct setting_in in = { .arena = arena,
			.diag = diag,
			.words = words };

		if (set->place[s].source != NULL)
			continue;
		set->text[s] = STR("");
		in.n = words_split(str_of(table[s].def), words);
		if (in.n > 0)
			setting_set(set, s, &in);
	}
	if (set->text[SETTING_HOSTNAME].n == 0 &&
	    gethostname(host, sizeof(host) - 1) == 0)
		set->text[SETTING_HOSTNAME] = arena_str(arena, str_of(host));
}
