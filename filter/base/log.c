#include "base/log.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_LIMIT	8000	/* what syslog daemons take */
#define VALUE_LIMIT	1024

static const struct {
	enum log_level	 level;
	const char	*word, *help;
} events[] = {
#define X(id, level, word, help) { LOG_LEVEL_##level, word, help },
	LOG_EVENTS(X)
#undef X
};

static const struct {
	const char	*word;
	int		 priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warn", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

static _Atomic int log_to = LOG_TO_STDERR;
static _Atomic int log_most = LOG_LEVEL_INFO;

void
log_open(enum log_to to, enum log_level most)
{
	if (to == LOG_TO_SYSLOG)
		openlog("postern", LOG_PID | LOG_NDELAY, LOG_MAIL);
	atomic_store(&log_most, (int)most);
	atomic_store(&log_to, (int)to);
}

bool
log_wants(enum log_event ev)
{
	return atomic_load(&log_to) != LOG_TO_NOWHERE &&
	    (int)events[ev].level <= atomic_load(&log_most);
}

const char *
log_event_word(enum log_event ev)
{
	return events[ev].word;
}

const char *
log_event_help(enum log_event ev)
{
	return events[ev].help;
}

/* One conversion of a format: "%.*s" has star, conv 's'. */
struct conv {
	char		 type;
	char		 length;	/* 'l', 'L' for ll, 'z' or 0 */
	bool		 star;
	int		 precision;	/* -1: none */
};

/* Reads what stands behind '%'; returns what stands behind that. */
static const char *
conv_read(const char *p, struct conv *c)
{
	*c = (struct conv){ .precision = -1 };
	if (*p == '.') {
		c->precision = 0;
		for (p++; chr_digit(*p) && c->precision < 100; p++)
			c->precision = c->precision * 10 + (*p - '0');
		if (*p == '*') {
			c->star = true;
			p++;
		}
	}
	if (*p == 'z' || *p == 'l')
		c->length = *p++;
	if (c->length == 'l' && *p == 'l') {
		c->length = 'L';
		p++;
	}
	c->type = *p;
	return *p != '\0' ? p + 1 : p;
}

static void
add_value(struct buf *b, struct str s)
{
	struct buf clipped = BUF_INIT(VALUE_LIMIT + 3);

	if (s.n <= VALUE_LIMIT) {
		buf_quoted(b, s);
		return;
	}
	buf_addstr(&clipped, str_sub(s, 0, VALUE_LIMIT));
	buf_adds(&clipped, "...");
	buf_quoted(b, buf_str(&clipped));
	buf_free(&clipped);
}

/* A va_list inside a struct may be handed down by address portably. */
struct args {
	va_list	ap;
};

static void
add_text(struct buf *b, const struct conv *c, struct args *args)
{
	int limit = c->star ? va_arg(args->ap, int) : c->precision;
	const char *s = va_arg(args->ap, const char *);

	size_t n = 0;

	if (s != NULL)
		n = limit >= 0 ? strnlen(s, (size_t)limit) : strlen(s);
	add_value(b, (struct str){ s, n });
}

static void
add_signed(struct buf *b, const struct conv *c, struct args *args)
{
	long long v;

	if (c->length == 'L')
		v = va_arg(args->ap, long long);
	else if (c->length == 'l')
		v = va_arg(args->ap, long);
	else if (c->length == 'z')
		v = va_arg(args->ap, ssize_t);
	else
		v = va_arg(args->ap, int);
	buf_printf(b, "%lld", v);
}

static void
add_unsigned(struct buf *b, const struct conv *c, struct args *args)
{
	unsigned long long v;

	if (c->length == 'L')
		v = va_arg(args->ap, unsigned long long);
	else if (c->length == 'l')
		v = va_arg(args->ap, unsigned long);
	else if (c->length == 'z')
		v = va_arg(args->ap, size_t);
	else
		v = va_arg(args->ap, unsigned int);
	buf_printf(b, c->type == 'x' ? "%llx" : "%llu", v);
}

static void
add_conv(struct buf *b, const struct conv *c, struct args *args)
{
	char one;

	switch (c->type) {
	case '%':
		buf_addc(b, '%');
		break;
	case 's':
		add_text(b, c, args);
		break;
	case 'c':
		one = (char)va_arg(args->ap, int);
		add_value(b, (struct str){ &one, 1 });
		break;
	case 'd':
		add_signed(b, c, args);
		break;
	case 'u':
	case 'x':
		add_unsigned(b, c, args);
		break;
	case 'f':
		buf_printf(b, "%.*f", c->precision >= 0 ? c->precision : 6,
		    va_arg(args->ap, double));
		break;
	default:
		assert(!"a conversion that log_event() does not know");
	}
}

static void
add_format(struct buf *b, const char *fmt, struct args *args)
{
	struct conv c;
	size_t plain;

	while (*fmt != '\0' && !b->failed) {
		plain = strcspn(fmt, "%");
		buf_add(b, fmt, plain);
		fmt += plain;
		if (*fmt == '%') {
			fmt = conv_read(fmt + 1, &c);
			add_conv(b, &c, args);
		}
	}
}

static void
add_time(struct buf *b)
{
	int64_t ms = clock_wall_ms();
	time_t seconds = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "%s.%03dZ ", text, (int)(ms % 1000));
}

static void
line_begin(struct buf *b, enum log_event ev)
{
	if (atomic_load(&log_to) == LOG_TO_STDERR) {
		add_time(b);
		buf_printf(b, "%s ", levels[events[ev].level].word);
	}
	buf_printf(b, "event=%s", events[ev].word);
}

static void
line_send(struct buf *b, enum log_event ev)
{
	if (b->failed) {
		/* What did not fit is missing; what is there is whole. */
		b->failed = false;
		b->max += 32;
		buf_adds(b, " truncated=yes");
	}
	if (atomic_load(&log_to) == LOG_TO_SYSLOG)
		syslog(LOG_MAIL | levels[events[ev].level].priority, "%s",
		    b->p);
	else {
		b->max += 1;
		buf_addc(b, '\n');
		if (write(STDERR_FILENO, b->p, b->n) < 0)
			b->failed = true;	/* dropped */
	}
	buf_free(b);
}

void
log_event(enum log_event ev, const char *fmt, ...)
{
	struct buf b = BUF_INIT(LINE_LIMIT);
	struct args args;

	if (!log_wants(ev))
		return;
	line_begin(&b, ev);
	if (*fmt != '\0')
		buf_addc(&b, ' ');
	va_start(args.ap, fmt);
	add_format(&b, fmt, &args);
	va_end(args.ap);
	line_send(&b, ev);
}

void
log_line(enum log_event ev, struct str line)
{
	struct buf b = BUF_INIT(LINE_LIMIT);
	size_t start;

	if (!log_wants(ev))
		return;
	line_begin(&b, ev);
	buf_addc(&b, ' ');
	start = b.n;
	buf_addstr(&b, str_sub(line, 0, LINE_LIMIT - start));
	/* Whoever built it was to quote; a line break would forge a line. */
	for (size_t i = start; i < b.n; i++) {
		if ((unsigned char)b.p[i] < ' ' || b.p[i] == 0x7f)
			b.p[i] = '?';
	}
	b.failed = line.n > LINE_LIMIT - start;
	line_send(&b, ev);
}
