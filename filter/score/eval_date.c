/*
 * What a message says about when it was written, against when its relays
 * had it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "score/eval.h"
#include "score/eval_pattern.h"

#define HOUR		3600.0
#define YEAR		31556952.0	/* 365.2425 days */
#define TIMES_MAX	200

struct eval_dates {
	double		 date, fetched;	/* seconds since 1970 */
	double		 received[TIMES_MAX];
	size_t		 count;
	bool		 has_date, has_fetched;
};

/* Names of zones that mailers write, minutes east of Greenwich. */
static const struct {
	const char	*name;
	int		 minutes;
} zones[] = { { "ACDT", 630 }, { "ACST", 570 }, { "ADT", -180 },
	{ "AEDT", 660 }, { "AEST", 600 }, { "AKDT", -480 }, { "AKST", -540 },
	{ "AST", -240 }, { "AWST", 480 }, { "BRST", -120 }, { "BRT", -180 },
	{ "BST", 60 }, { "CDT", -300 }, { "CEST", 120 }, { "CET", 60 },
	{ "CST", -360 }, { "EDT", -240 }, { "EEST", 180 }, { "EET", 120 },
	{ "EST", -300 }, { "GMT", 0 }, { "HADT", -540 }, { "HAST", -600 },
	{ "HKT", 480 }, { "HST", -600 }, { "IDT", 180 }, { "IST", 60 },
	{ "JST", 540 }, { "KST", 540 }, { "MDT", -360 }, { "MEST", 120 },
	{ "MESZ", 120 }, { "MET", 60 }, { "MEZ", 60 }, { "MSD", 240 },
	{ "MSK", 180 }, { "MST", -420 }, { "NDT", -150 }, { "NST", -210 },
	{ "NZDT", 780 }, { "NZST", 720 }, { "PDT", -420 }, { "PHT", 480 },
	{ "PST", -480 }, { "SGT", 480 }, { "UT", 0 }, { "UTC", 0 },
	{ "WEST", 60 }, { "WET", 0 } };

static int
month_of(struct str name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int i;

	for (i = 0; i < 12; i++)
		if (strncasecmp(name.p, names + 3 * i, 3) == 0)
			return i;
	return 0;
}

/* Digits alone; more than fit are as good as none. */
static int
number(struct str digits)
{
	uint64_t n;

	return str_u64(digits, &n) && n < 100000 ? (int)n : 0;
}

static int
zone_minutes(struct str s)
{
	struct str g[3];
	size_t i;

	if (eval_groups(EVAL_RE_DATE_ZONE, s, g, 3)) {
		int minutes = number(g[1]) * 60 + number(g[2]);

		return g[0].p[0] == '-' ? -minutes : minutes;
	}
	if (eval_groups(EVAL_RE_DATE_ZONE_NAME, s, g, 1))
		for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
			if (str_eq(g[0], str_of(zones[i].name)))
				return zones[i].minutes;
	return 0;
}

static int
days_in(int month, int year)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	if (month == 1 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month];
}

/* A time that does not exist becomes the nearest that does. */
static double
seconds_of(struct tm *tm, int minutes_east)
{
	double t;

	if (tm->tm_sec > 59)
		tm->tm_sec = 59;
	if (tm->tm_min > 59)
		tm->tm_min = 59;
	if (tm->tm_hour > 23)
		tm->tm_hour = 23;
	if (tm->tm_mday > days_in(tm->tm_mon, tm->tm_year)) {
		tm->tm_mday = 1;
		if (++tm->tm_mon > 11) {
			tm->tm_mon = 0;
			tm->tm_year++;
		}
	}
	if (tm->tm_year > 2037)
		tm->tm_year = 2037;
	if (tm->tm_year < 1970)
		tm->tm_year = 1970;
	tm->tm_year -= 1900;
	t = (double)timegm(tm) - minutes_east * 60.0;
	return t < 0 ? 0 : t;
}

/* What is left when a piece that was understood is taken out. */
static struct str
without(struct arena *a, struct str s, struct str first, struct str last)
{
	size_t from = (size_t)(first.p - s.p);
	size_t to = (size_t)(last.p - s.p) + last.n;

	return arena_join(a, str_sub(s, 0, from), str_sub(s, to, s.n), STR(""));
}

/* RFC 5322 section 3.3, and what mailers make of it.  false: no date. */
static bool
parse_date(struct arena *a, struct str text, double *seconds)
{
	struct buf b = BUF_INIT(1024);
	struct tm tm = { 0 };
	struct str s, g[3];
	size_t i;

	text = str_sub(text, 0, 512);
	buf_addc(&b, ' ');
	for (i = 0; i < text.n; i++) {
		buf_addc(&b, text.p[i]);
		if (text.p[i] == ',')
			buf_addc(&b, ' ');
	}
	buf_addc(&b, ' ');
	s = eval_squeeze(a, buf_str(&b));
	buf_free(&b);
	if (eval_groups(EVAL_RE_DATE_DMY, s, g, 3) ||
	    eval_groups(EVAL_RE_DATE_SHORT, s, g, 3)) {
		tm.tm_mday = number(g[0]);
		tm.tm_mon = month_of(g[1]);
	} else if (eval_groups(EVAL_RE_DATE_MDY, s, g, 3)) {
		tm.tm_mon = month_of(g[0]);
		tm.tm_mday = number(g[1]);
	} else {
		return false;
	}
	tm.tm_year = number(g[2]);
	if (g[2].n == 2 && tm.tm_year < 50)
		tm.tm_year += 2000;
	else if (g[2].n != 4)
		tm.tm_year += 1900;
	/* Where the time stands within the date it is taken with it. */
	s = without(a, s, g[0], g[2]);
	if (s.p != NULL && eval_groups(EVAL_RE_DATE_TIME, s, g, 3)) {
		tm.tm_hour = number(g[0]);
		tm.tm_min = number(g[1]);
		tm.tm_sec = number(g[2]);
	}
	*seconds = seconds_of(&tm, zone_minutes(s));
	return true;
}

/* A date within a Received field. */
static bool
received_date(struct arena *a, struct str line, double *seconds)
{
	struct str date;

	return eval_groups(EVAL_RE_RECEIVED_DATE, line, &date, 1) &&
	    parse_date(a, date, seconds);
}

static void
read_date_field(struct eval *e, struct eval_dates *d)
{
	static const char *const names[] = { "Resent-Date", "Date" };
	struct field_values v;
	size_t i, k;

	for (i = 0; i < 2 && !d->has_date; i++) {
		v = field_list(e->fields, str_of(names[i]), 0);
		for (k = 0; k < v.n && !d->has_date; k++)
			d->has_date =
			    parse_date(e->arena, str_trim(v.v[k]), &d->date);
	}
}

/*
 * Fields of the host's own, on top, when it fetched the mail from a mailbox:
 * their dates say when that was, not when the mail came.
 */
static void
read_received(struct eval *e, struct eval_dates *d)
{
	struct str rest = eval_field(e, "Received"), line[TIMES_MAX];
	size_t n = 0, first = 0, local = 0, i;
	double t;

	while (rest.p != NULL && rest.n > 0 && n < TIMES_MAX) {
		line[n] = str_cut(rest, '\n', &rest);
		if (str_trim(line[n]).n > 0)
			n++;
	}
	if (n == 0)
		return;
	if (eval_matches(EVAL_RE_RECEIVED_LOCAL, line[0]))
		local = 1;
	if (local < n && eval_matches(EVAL_RE_FETCHMAIL, line[local]))
		first = local + 1;
	for (i = 0; i < first; i++)
		if (received_date(e->arena, line[i], &t) &&
		    t <= (double)clock_wall_ms() / 1000 &&
		    (!d->has_fetched || t > d->fetched)) {
			d->fetched = t;
			d->has_fetched = true;
		}
	for (i = first; i < n; i++)
		if (received_date(e->arena, line[i], &t))
			d->received[d->count++] = t;
}

static struct eval_dates *
dates(struct eval *e)
{
	if (e->dates != NULL)
		return e->dates;
	e->dates = arena_alloc(e->arena, sizeof(*e->dates));
	if (e->dates == NULL)
		return NULL;
	read_date_field(e, e->dates);
	read_received(e, e->dates);
	return e->dates;
}

/* Date minus the nearest of the relays' times; 0 where nothing is known. */
static double
shift(const struct eval_dates *d)
{
	size_t i, n = d->count;
	double best;

	if (!d->has_date || n == 0)
		return 0;
	/* The first relay is often the sender itself. */
	if (n > 1 && d->date == d->received[n - 1])
		n--;
	best = d->date - d->received[0];
	for (i = 1; i < n; i++)
		if (fabs(d->date - d->received[i]) < fabs(best))
			best = d->date - d->received[i];
	return best;
}

static bool
shifted_date(struct eval *e, const struct score_rule *r)
{
	const struct eval_dates *d = dates(e);

	return d != NULL && eval_in_range(r, 0, shift(d) / HOUR);
}

static int
newest_first(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

static bool
received_within_months(struct eval *e, const struct score_rule *r)
{
	const struct eval_dates *d = dates(e);
	double t[4];
	size_t n = 0;

	if (d == NULL)
		return false;
	if (d->has_date)
		t[n++] = d->date;
	if (d->count > 0)
		t[n++] = d->received[0];
	if (d->has_fetched)
		t[n++] = d->fetched;
	if (d->has_date && d->count > 0)
		t[n++] = d->date - shift(d);
	qsort(t, n, sizeof(t[0]), newest_first);
	return eval_in_range(r, 0,
	    ((double)clock_wall_ms() / 1000 - (n > 0 ? t[(n - 1) / 2] : 0)) /
		(YEAR / 12));
}

/* Outlook's message ids hold the time; forged ones hold another. */
static bool
outlook_id_is_off(uint32_t token, double seconds)
{
	double expected =
	    floor(seconds * 0.0023283064365387 + 27111902.8329849);

	return fabs((double)token - expected) >= 250;
}

static bool
outlook_message_id(struct eval *e, const struct score_rule *r)
{
	struct str hex;
	char text[9] = "";
	uint32_t token;
	double t = 0;

	(void)r;
	if (!eval_groups(EVAL_RE_OUTLOOK_ID, eval_field(e, "MESSAGEID"), &hex,
		1))
		return false;
	memcpy(text, hex.p, 8);
	token = (uint32_t)strtoul(text, NULL, 16);
	parse_date(e->arena, str_trim(eval_field(e, "Date")), &t);
	if (!outlook_id_is_off(token, t))
		return false;
	t = 0;
	received_date(e->arena, eval_field(e, "Received"), &t);
	return outlook_id_is_off(token, t);
}

const struct eval_def eval_date_defs[] = {
	{ "check_for_shifted_date", shifted_date, 0, 0 },
	{ "check_outlook_message_id", outlook_message_id, 0, 0 },
	{ "received_within_months", received_within_months, 0, 0 },
	{ NULL, NULL, 0, 0 },
};
