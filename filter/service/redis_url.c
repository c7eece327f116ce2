#include "service/redis_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define DB_MAX	     1000000
#define DEFAULT_PORT "6379"

enum kind { PLAIN, TLS, UNIX };

static const struct {
	struct str prefix;
	enum kind kind;
} schemes[] = {
	{ { "redis://", 8 }, PLAIN },
	{ { "rediss://", 9 }, TLS },
	{ { "redis+unix://", 13 }, UNIX },
};

#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

bool
redis_url_is(struct str s)
{
	return str_starts(s, STR("redis:")) || str_starts(s, STR("rediss:")) ||
	    str_starts(s, STR("redis+"));
}

static int
hex_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, chr_lower(c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* NULL: a % without two digits, or a NUL. */
static char *
decode(struct str s)
{
	char *out = mem_alloc(s.n + 1);
	size_t n = 0;
	int high, low;

	for (size_t i = 0; i < s.n; i++) {
		out[n] = s.p[i];
		if (s.p[i] == '%') {
			high = i + 2 < s.n ? hex_of(s.p[i + 1]) : -1;
			low = i + 2 < s.n ? hex_of(s.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				out[n] = '\0';
			else
				out[n] = high << 4 | low;
			i += 2;
		}
		if (out[n++] == '\0') {
			free(out);
			return NULL;
		}
	}
	return out;
}

bool
redis_url_host(struct str s, char **host, char **port)
{
	struct str name = s, number = STR(DEFAULT_PORT);
	ptrdiff_t end;
	uint64_t n;

	if (s.n && s.p[0] == '[') {
		if ((end = str_chr(s, ']')) < 0)
			return false;
		name = str_sub(s, 1, end - 1);
		s = str_sub(s, end + 1, s.n);
		if (s.n && s.p[0] != ':')
			return false;
		if (s.n)
			number = str_sub(s, 1, s.n);
	} else if ((end = str_rchr(s, ':')) >= 0) {
		name = str_sub(s, 0, end);
		number = str_sub(s, end + 1, s.n);
	}
	if (name.n == 0 || memchr(name.p, '\0', name.n) ||
	    !str_u64(number, &n) || n == 0 || n > 65535)
		return false;
	*host = mem_strndup(name.p, name.n);
	*port = mem_strndup(number.p, number.n);
	return true;
}

static bool
url_hosts(struct redis_url *u, struct str list, struct buf *why)
{
	struct str one;

	do {
		one = str_cut(list, ',', &list);
		if (u->nhosts == REDIS_HOSTS_MAX ||
		    !redis_url_host(one, &u->host[u->nhosts],
			&u->port[u->nhosts])) {
			buf_printf(why,
			    "\"%.*s\" is not a HOST or HOST:PORT, or one "
			    "too many",
			    STR_FMT(one));
			return false;
		}
		u->nhosts++;
	} while (list.p != NULL);
	return true;
}

static bool
url_db(struct redis_url *u, struct str text, struct buf *why)
{
	uint64_t n;

	if (!str_u64(text, &n) || n > DB_MAX) {
		buf_printf(why, "\"%.*s\" is not the number of a database",
		    STR_FMT(text));
		return false;
	}
	u->db = n;
	return true;
}

static bool
url_options(struct redis_url *u, struct str list, struct buf *why)
{
	struct str one, value;

	while (list.n) {
		one = str_cut(list, '&', &list);
		one = str_cut(one, '=', &value);
		if (str_eq(one, STR("db"))) {
			if (!url_db(u, value, why))
				return false;
		} else if (str_eq(one, STR("ca")) && u->tls && value.n) {
			free(u->ca);
			u->ca = mem_strndup(value.p, value.n);
		} else if (str_eq(one, STR("clock")) &&
		    str_eq(value, STR("client"))) {
			u->own_clock = true;
		} else {
			buf_printf(why, "no such option: \"%.*s\"",
			    STR_FMT(one));
			return false;
		}
	}
	return true;
}

static bool
url_login(struct redis_url *u, struct str login, struct buf *why)
{
	struct str password, user = str_cut(login, ':', &password);

	if (password.p == NULL) {
		buf_adds(why, "a login is [USER]:PASSWORD");
		return false;
	}
	u->password = decode(password);
	u->user = user.n ? decode(user) : NULL;
	if (u->password == NULL || (user.n && u->user == NULL)) {
		buf_adds(why, "a % in a login needs two hexadecimal digits");
		return false;
	}
	return true;
}

static bool
url_fill(struct redis_url *u, struct str s, bool is_unix, struct buf *why)
{
	struct str options, db;
	ptrdiff_t at;

	s = str_cut(s, '?', &options);
	if ((at = str_rchr(s, '@')) >= 0) {
		if (!url_login(u, str_sub(s, 0, at), why))
			return false;
		s = str_sub(s, at + 1, s.n);
	}
	if (is_unix) {
		if (s.n < 2 || s.p[0] != '/' || memchr(s.p, '\0', s.n)) {
			buf_adds(why, "expected redis+unix:///PATH");
			return false;
		}
		u->path = mem_strndup(s.p, s.n);
	} else {
		s = str_cut(s, '/', &db);
		if (!url_hosts(u, s, why) || (db.n && !url_db(u, db, why)))
			return false;
	}
	return url_options(u, options, why);
}

bool
redis_url_parse(struct str s, struct redis_url *u, struct buf *why)
{
	*u = (struct redis_url){ .tls = false };
	for (size_t i = 0; i < SCHEMES; i++) {
		if (!str_starts(s, schemes[i].prefix))
			continue;
		u->tls = schemes[i].kind == TLS;
		if (url_fill(u, str_sub(s, schemes[i].prefix.n, s.n),
			schemes[i].kind == UNIX, why))
			return true;
		redis_url_free(u);
		return false;
	}
	buf_adds(why,
	    "expected redis://HOST, rediss://HOST or redis+unix:///PATH");
	return false;
}

void
redis_url_free(struct redis_url *u)
{
	free(u->user);
	free(u->password);
	free(u->path);
	free(u->ca);
	for (size_t i = 0; i < u->nhosts; i++) {
		free(u->host[i]);
		free(u->port[i]);
	}
	*u = (struct redis_url){ .tls = false };
}
