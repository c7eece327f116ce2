/*
 * The time that a log line begins with.
 */
#include <string.h>
#include <time.h>

#include "daemon/maillog_time.h"

#define HALF_YEAR  (INT64_C(183) * 86400 * 1000)
#define DAY_MS	   (INT64_C(86400) * 1000)

static bool
digits(struct str s, size_t at, size_t n, int *value)
{
	int v = 0;

	if (at + n > s.n)
		return false;
	for (size_t i = at; i < at + n; i++) {
		if (!chr_digit((unsigned char)s.p[i]))
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	*value = v;
	return true;
}

static bool
clock_part(struct str s, size_t at, struct tm *tm)
{
	return digits(s, at, 2, &tm->tm_hour) && tm->tm_hour < 24 &&
	    digits(s, at + 3, 2, &tm->tm_min) && tm->tm_min < 60 &&
	    digits(s, at + 6, 2, &tm->tm_sec) && tm->tm_sec <= 60 &&
	    s.p[at + 2] == ':' && s.p[at + 5] == ':';
}

/* Behind the seconds: ".123456", then "Z", "+01:00" or "+0100". */
static bool
fraction_and_zone(struct str s, int64_t *ms, struct str *rest)
{
	int hours = 0, minutes = 0, unit = 100;
	size_t i = 0, sign;

	if (i < s.n && (s.p[i] == '.' || s.p[i] == ','))
		for (i++; i < s.n && chr_digit((unsigned char)s.p[i]); i++) {
			*ms += (s.p[i] - '0') * unit;
			unit /= 10;
		}
	if (i < s.n && s.p[i] == 'Z') {
		*rest = str_sub(s, i + 1, s.n);
		return true;
	}
	sign = i;
	if (i == s.n || (s.p[i] != '+' && s.p[i] != '-') ||
	    !digits(s, i + 1, 2, &hours))
		return false;
	i += 3;
	if (i < s.n && s.p[i] == ':')
		i++;
	if (!digits(s, i, 2, &minutes))
		return false;
	*ms -= (s.p[sign] == '-' ? -1 : 1) *
	    (hours * INT64_C(3600000) + minutes * INT64_C(60000));
	*rest = str_sub(s, i + 2, s.n);
	return true;
}

static bool
rfc3339(struct str s, int64_t *ms, struct str *rest)
{
	struct tm tm = { 0 };
	int year, month;

	if (!digits(s, 0, 4, &year) || !digits(s, 5, 2, &month) ||
	    !digits(s, 8, 2, &tm.tm_mday) || s.n < 20 || s.p[4] != '-' ||
	    s.p[7] != '-' || s.p[10] != 'T' || !clock_part(s, 11, &tm) ||
	    year < 1970 || month < 1 || month > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31)
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	*ms = (int64_t)timegm(&tm) * 1000;
	return fraction_and_zone(str_sub(s, 19, s.n), ms, rest);
}

static int64_t
local_ms(struct tm tm, int year)
{
	tm.tm_year = year - 1900;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * 1000;
}

/* The year is that of the line before, or the next; the first line's is the
 * last in which it was not in the future. */
static int64_t
with_year(struct maillog_time *t, const struct tm *tm)
{
	time_t now = (time_t)(t->now_ms / 1000);
	struct tm local;
	int64_t ms;

	if (t->year == 0) {
		localtime_r(&now, &local);
		t->year = local.tm_year + 1900;
		if (local_ms(*tm, t->year) > t->now_ms + DAY_MS)
			t->year--;
	}
	ms = local_ms(*tm, t->year);
	if (t->last_ms - ms > HALF_YEAR) {
		t->year++;
		ms = local_ms(*tm, t->year);
	} else if (ms - t->last_ms > HALF_YEAR && t->last_ms != 0) {
		/* A late line of the old year. */
		ms = local_ms(*tm, t->year - 1);
	}
	return ms;
}

/* "Nov  2 06:02:28" */
static bool
syslog_stamp(struct maillog_time *t, struct str s, int64_t *ms,
    struct str *rest)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { 0 };
	size_t m = 0;

	if (s.n < 16 || s.p[3] != ' ' || s.p[6] != ' ' || s.p[15] != ' ')
		return false;
	while (m < 12 && memcmp(s.p, months + 3 * m, 3) != 0)
		m++;
	if (m == 12 || !clock_part(s, 7, &tm))
		return false;
	if (s.p[4] == ' ' ? !digits(s, 5, 1, &tm.tm_mday) :
			    !digits(s, 4, 2, &tm.tm_mday))
		return false;
	if (tm.tm_mday < 1 || tm.tm_mday > 31)
		return false;
	tm.tm_mon = (int)m;
	*rest = str_sub(s, 15, s.n);
	/* mktime() is dear, and a second has many lines. */
	if (t->cached != 0 && memcmp(t->stamp, s.p, sizeof(t->stamp)) == 0) {
		*ms = t->cached;
		return true;
	}
	*ms = with_year(t, &tm);
	memcpy(t->stamp, s.p, sizeof(t->stamp));
	t->cached = *ms;
	return true;
}

bool
maillog_time_read(struct maillog_time *t, struct str line, int64_t *ms,
    struct str *rest)
{
	if (!rfc3339(line, ms, rest) && !syslog_stamp(t, line, ms, rest))
		return false;
	if (*ms <= 0 || *ms > t->now_ms + DAY_MS)
		return false;
	/* Lines of several processes may be late; time never goes back. */
	if (*ms < t->last_ms)
		*ms = t->last_ms;
	t->last_ms = *ms;
	return true;
}
