/*
 * replay - SMTP conversations from text files, judged without a socket.
 *
 * Each file brings a policy, perhaps DNS records and tables, and a talk with
 * what is expected of it; README tells the format.  The road is the one that
 * the milter takes (policy/road.h), on a clock that stands still.
 */
#include <sys/stat.h>

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/psl.h"
#include "check/check.h"
#include "check/dkim.h"
#include "check/notify.h"
#include "policy/diag.h"
#include "policy/policy.h"
#include "policy/road.h"
#include "policy/trace.h"

#define START_MS 1700000000000LL
#define LIMIT	 (16 * 1024 * 1024)

struct replay {
	const char	*path;
	char		 dir[64];
	struct str	 rest;		/* of the talk */
	unsigned int	 line;
	unsigned int	 asked, failed;	/* expectations */

	struct services	 services;
	struct store	*store;
	struct policy	*policy, *next;	/* in force; after `reload' */
	struct session	*session;
	FILE		*log;
	long		 logged;	/* before the step asked about */

	struct decision	 decision;	/* the last answer */
	struct outcome	 outcome;	/* where `ended' */
	bool		 ended;
	bool		 open;		/* an answer nobody has looked at */
};

static void fail(struct replay *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
fail(struct replay *r, const char *fmt, ...)
{
	va_list ap;

	printf("%s:%u: ", r->path, r->line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	r->failed++;
}

/* A pattern of the shell's kind over one line of text. */
static bool
matches(struct str pattern, struct str text)
{
	char *p = mem_strndup(pattern.p ? pattern.p : "", pattern.n);
	char *t = mem_strndup(text.p ? text.p : "", text.n);
	bool yes;

	for (char *c = t; *c != '\0'; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	yes = fnmatch(p, t, 0) == 0;
	free(p);
	free(t);
	return yes;
}

static struct str
take_word(struct str *rest)
{
	struct str word;

	*rest = str_trim(*rest);
	word = str_cut(*rest, ' ', rest);
	*rest = str_trim(*rest);
	return word;
}

/* --- sections ---------------------------------------------------------- */

static bool
read_file(const char *path, struct buf *out)
{
	char chunk[8192];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	fclose(f);
	return true;
}

static void
path_in(const struct replay *r, struct str name, char out[128])
{
	snprintf(out, 128, "%s/%.*s", r->dir, STR_FMT(name));
}

/* A section to a file of its name; @DIR@ is the folder they are in. */
static void
write_section(const struct replay *r, struct str name, struct str text)
{
	char path[128];
	ptrdiff_t at;
	FILE *f;

	path_in(r, name, path);
	if ((f = fopen(path, "w")) == NULL)
		return;
	while ((at = str_find(text, STR("@DIR@"))) >= 0) {
		fwrite(text.p, 1, (size_t)at, f);
		fputs(r->dir, f);
		text = str_sub(text, (size_t)at + 5, text.n);
	}
	if (text.n > 0)
		fwrite(text.p, 1, text.n, f);
	fclose(f);
}

static struct str
section_file(struct str head)
{
	struct str rest = head, word = take_word(&rest);

	if (str_eq(word, STR("policy")))
		return rest.n > 0 ? rest : STR("postern.conf");
	if (str_eq(word, STR("table")) || str_eq(word, STR("file")))
		return rest;
	return word;
}

/* Cuts the file into sections; leaves the talk in r->rest. */
static void
split(struct replay *r, struct str all)
{
	struct str line, name = STR_NONE, rest = all;
	const char *begin = all.p;
	unsigned int n = 0;

	while (rest.n > 0) {
		line = str_cut(rest, '\n', &rest);
		n++;
		if (!str_starts(line, STR("--- ")))
			continue;
		if (name.n > 0)
			write_section(r, name,
			    (struct str){ begin, (size_t)(line.p - begin) });
		name = section_file(str_sub(line, 4, line.n));
		begin = rest.p;
		if (str_eq(name, STR("talk"))) {
			r->rest = rest;
			r->line = n;
			return;
		}
	}
}

static struct policy *
load(struct replay *r, struct str name)
{
	struct diag *diag = diag_new();
	struct buf text = BUF_INIT(LIMIT);
	struct policy *p;
	char path[128];

	path_in(r, name, path);
	p = policy_load(path, false, diag);
	if (p == NULL) {
		diag_print(diag, &text);
		fail(r, "%.*s does not load:\n%.*s", STR_FMT(name),
		    STR_FMT(buf_str(&text)));
	}
	buf_free(&text);
	diag_free(&diag);
	return p;
}

/* Nobody is told: a line of the log says who would be. */
static void
tell(const struct notice *n)
{
	static const char *const ways[] = { [NOTIFY_COMMAND] = "command",
		[NOTIFY_MAIL] = "mail",
		[NOTIFY_HTTP] = "http" };

	log_event(LOG_EV_NOTIFY, "what=given how=%s to=%.*s key=%.*s text=%.*s",
	    ways[n->how], STR_FMT(n->to), STR_FMT(n->key), STR_FMT(n->text));
}

static bool
start(struct replay *r)
{
	struct buf err = BUF_INIT(4096), spec = BUF_INIT(256);
	char zone[128];

	path_in(r, STR("zone"), zone);
	if (access(zone, R_OK) != 0)
		write_section(r, STR("zone"), STR_NONE);
	buf_printf(&spec, "file:%s", zone);
	r->services.resolver = resolver_new(buf_str(&spec), &err);
	r->store = store_open(STR("memory:"), &err);
	r->services.store = r->store;
	r->services.hostname = STR("mx.example.net");
	r->services.notify = tell;
	if (r->services.resolver == NULL || r->store == NULL)
		fail(r, "%.*s", STR_FMT(buf_str(&err)));
	else
		r->policy = load(r, STR("postern.conf"));
	buf_free(&err);
	buf_free(&spec);
	return r->policy != NULL;
}

static void
stop(struct replay *r)
{
	road_end(&r->session);
	if (r->next != NULL)
		policy_release(&r->next);
	if (r->policy != NULL)
		policy_release(&r->policy);
	store_close(&r->store);
	resolver_free(&r->services.resolver);
}

/* --- what the client says ---------------------------------------------- */

static void
answered(struct replay *r)
{
	r->ended = false;
	r->open = true;
}

static void
say_connect(struct replay *r, struct str rest)
{
	struct road_client client = { .daemon_name = STR("smtpd") };
	struct str addr = take_word(&rest);

	road_end(&r->session);
	if (!str_eq(addr, STR("local")) && !addr_parse(addr, &client.addr))
		fail(r, "not an address: %.*s", STR_FMT(addr));
	client.name = rest;
	r->session = road_begin(&r->services, r->policy);
	road_connect(r->session, &client, &r->decision);
	answered(r);
}

static void
say_helo(struct replay *r, struct str rest)
{
	road_helo(r->session, rest, &r->decision);
	answered(r);
}

static void
say_mail(struct replay *r, struct str rest)
{
	struct road_sender from = { .arg = take_word(&rest) };
	struct str word, value;

	while (rest.n > 0) {
		word = str_cut(take_word(&rest), '=', &value);
		if (str_eq(word, STR("user")))
			from.user = value;
		else if (str_eq(word, STR("auth")))
			from.auth_method = value;
		else if (str_eq(word, STR("tls")))
			from.tls_version = value;
		else if (str_eq(word, STR("qid")))
			from.queue_id = value;
		else if (str_eq(word, STR("size")))
			str_u64(value, &from.size);
		else if (str_eq(word, STR("local")))
			from.non_smtp = true;
		else
			fail(r, "mail: what is %.*s?", STR_FMT(word));
	}
	road_mail(r->session, r->next != NULL ? r->next : r->policy, &from,
	    &r->decision);
	answered(r);
}

static void
say_rcpt(struct replay *r, struct str rest)
{
	struct str arg = take_word(&rest);

	road_rcpt(r->session, arg, str_eq(rest, STR("refused")), &r->decision);
	answered(r);
}

static struct str
next_line(struct replay *r)
{
	r->line++;
	return str_cut(r->rest, '\n', &r->rest);
}

/* Folded values keep their LF, as the MTA gives them. */
static void
send_header(struct replay *r, struct str field)
{
	struct str value, name = str_cut(field, ':', &value);

	road_header(r->session, name, value);
}

static bool
send_headers(struct replay *r)
{
	struct buf field = BUF_INIT(LIMIT);
	struct str line = STR_NONE;

	while (r->rest.n > 0) {
		line = next_line(r);
		if (line.n > 0 && chr_space(line.p[0]) && field.n > 0) {
			buf_addc(&field, '\n');
			buf_addstr(&field, line);
			continue;
		}
		if (field.n > 0)
			send_header(r, buf_str(&field));
		buf_truncate(&field, 0);
		if (line.n == 0 || str_eq(line, STR(".")))
			break;
		buf_addstr(&field, line);
	}
	buf_free(&field);
	road_eoh(r->session);
	return line.n == 0;
}

static void
send_body(struct replay *r)
{
	struct str line;
	bool more = true;

	while (r->rest.n > 0) {
		line = next_line(r);
		if (str_eq(line, STR(".")))
			return;
		if (more)
			more = road_body(r->session, line.p, line.n) &&
			    road_body(r->session, "\r\n", 2);
	}
}

static void
send_filler(struct replay *r, struct str size)
{
	static const char text[] =
	    "All work and no play makes a dull mail.\r\n";
	uint64_t n = 0, step = sizeof(text) - 1;

	if (size.n == 0)
		return;
	if (!str_u64(size, &n))
		fail(r, "not a number: %.*s", STR_FMT(size));
	while (n > 0) {
		if (step > n)
			step = n;
		if (!road_body(r->session, text, step))
			break;
		n -= step;
	}
}

static void
say_data(struct replay *r, struct str rest)
{
	struct str word, value, qid = STR_NONE, fill = STR_NONE;

	while (rest.n > 0) {
		word = str_cut(take_word(&rest), '=', &value);
		if (str_eq(word, STR("qid")))
			qid = value;
		else if (str_eq(word, STR("fill")))
			fill = value;
		else
			fail(r, "data: what is %.*s?", STR_FMT(word));
	}
	if (send_headers(r))
		send_body(r);
	send_filler(r, fill);
	road_message(r->session, qid, &r->outcome);
	r->ended = true;
	r->open = true;
}

static void
say_rset(struct replay *r, struct str rest)
{
	(void)rest;
	road_abort(r->session);
}

static void
say_quit(struct replay *r, struct str rest)
{
	(void)rest;
	road_end(&r->session);
}

static void
say_wait(struct replay *r, struct str rest)
{
	static const char units[] = "smhd";
	static const int64_t ms[] = { 1000, 60000, 3600000, 86400000 };
	const char *unit;
	uint64_t n;

	unit = rest.n > 0 ? strchr(units, rest.p[rest.n - 1]) : NULL;
	if (unit == NULL || !str_u64(str_sub(rest, 0, rest.n - 1), &n))
		fail(r, "wait: not a time: %.*s", STR_FMT(rest));
	else
		clock_fake_advance((int64_t)n * ms[unit - units]);
}

static void
say_store(struct replay *r, struct str rest)
{
	r->services.store = str_eq(rest, STR("down")) ? NULL : r->store;
}

/* Taken by the next MAIL and the next connection. */
static void
say_reload(struct replay *r, struct str rest)
{
	struct policy *p = load(r, rest);

	if (p == NULL)
		return;
	if (r->next != NULL)
		policy_release(&r->next);
	r->next = p;
}

/* --- what is expected -------------------------------------------------- */

static struct str
reply_line(struct buf *out, const struct reply *reply)
{
	buf_printf(out, "%d %s ", reply->code, reply->enhanced);
	buf_addstr(out, reply->text);
	return buf_str(out);
}

static void
answer_text(const struct replay *r, struct buf *out)
{
	enum action action = r->ended ? r->outcome.action : r->decision.action;

	if (action == ACTION_REJECT || action == ACTION_TEMPFAIL)
		reply_line(out,
		    r->ended ? &r->outcome.reply : &r->decision.reply);
	else if (!r->ended)
		buf_adds(out, "continue");
	else
		buf_adds(out, action_word(action));
	if (r->ended && action == ACTION_QUARANTINE) {
		buf_addc(out, ' ');
		buf_addstr(out, r->outcome.quarantine);
	}
}

static void
expect_answer(struct replay *r, struct str want)
{
	struct buf got = BUF_INIT(LIMIT);

	answer_text(r, &got);
	if (!matches(want, buf_str(&got)))
		fail(r, "expected %.*s, got %.*s", STR_FMT(want),
		    STR_FMT(buf_str(&got)));
	buf_free(&got);
	r->open = false;
}

/* Nobody may be refused unnoticed: no expectation means `go on'. */
static void
check_open(struct replay *r)
{
	if (r->open)
		expect_answer(r, r->ended ? STR("accept") : STR("continue"));
	r->open = false;
}

static bool
has_edit(const struct replay *r, bool removed, struct str name,
    struct str pattern)
{
	for (const struct edit *e = r->outcome.edits; e != NULL; e = e->next)
		if ((e->op == EDIT_REMOVE) == removed &&
		    str_ieq(e->name, name) &&
		    (removed || matches(pattern, str_trim(e->value))))
			return true;
	return false;
}

static void
print_edits(const struct replay *r)
{
	for (const struct edit *e = r->outcome.edits; e != NULL; e = e->next)
		printf("\t%s %.*s: %.*s (%u)\n",
		    e->op == EDIT_REMOVE ? "strip" : "header", STR_FMT(e->name),
		    STR_FMT(e->value), e->nth);
}

static bool
edit_holds(struct replay *r, struct str rest)
{
	struct str value, name = str_cut(rest, ':', &value);

	return has_edit(r, false, str_trim(name),
	    value.p != NULL ? str_trim(value) : STR("*"));
}

static bool
strip_holds(struct replay *r, struct str rest)
{
	return has_edit(r, true, rest, STR_NONE);
}

static bool
edits_hold(struct replay *r, struct str rest)
{
	(void)rest;
	return r->outcome.edits != NULL;
}

static bool
rule_holds(struct replay *r, struct str rest)
{
	struct str rule = r->outcome.rule;

	if (!r->ended)
		rule = r->decision.rule ? r->decision.rule->where : STR_NONE;
	return str_iends(rule, rest) && rule.n > 0;
}

static bool
stage_holds(struct replay *r, struct str rest)
{
	return r->ended && str_eq(str_of(stage_word(r->outcome.stage)), rest);
}

static bool
deleted_holds(struct replay *r, struct str rest)
{
	if (r->session == NULL || r->session->txn == NULL)
		return false;
	for (struct rcpt *c = r->session->txn->rcpts; c != NULL; c = c->next)
		if (c->action == ACTION_DISCARD && !c->mta_refused &&
		    str_eq(c->addr.text, rest))
			return r->outcome.discarded > 0;
	return false;
}

static bool
line_holds(struct str text, struct str pattern)
{
	struct buf whole = BUF_INIT(4096);
	bool any = false;

	buf_printf(&whole, "*%.*s*", STR_FMT(pattern));
	while (text.n > 0 && !any)
		any = matches(buf_str(&whole), str_cut(text, '\n', &text));
	buf_free(&whole);
	return any;
}

static bool
log_holds(struct replay *r, struct str rest)
{
	struct buf text = BUF_INIT(LIMIT);
	char chunk[4096];
	size_t n;
	bool any;

	fflush(stderr);
	fseek(r->log, r->logged, SEEK_SET);
	while ((n = fread(chunk, 1, sizeof(chunk), r->log)) > 0)
		buf_add(&text, chunk, n);
	any = line_holds(buf_str(&text), rest);
	buf_free(&text);
	return any;
}

static bool
trace_holds(struct replay *r, struct str rest)
{
	struct buf text = BUF_INIT(LIMIT);
	bool any;

	if (r->session == NULL)
		return false;
	trace_print(r->session->trace, &text);
	if (r->session->txn != NULL)
		trace_print(r->session->txn->trace, &text);
	any = line_holds(buf_str(&text), rest);
	buf_free(&text);
	return any;
}

static bool
unknown_holds(struct replay *r, struct str rest)
{
	const struct trace_fact *f;

	if (r->session == NULL)
		return false;
	f = trace_of(r->session) ? trace_of(r->session)->facts : NULL;
	for (; f != NULL; f = f->next)
		if (f->unknown && str_eq(f->name, rest))
			return true;
	return false;
}

/* --- the talk ---------------------------------------------------------- */

static const struct {
	const char	*word;
	void		(*say)(struct replay *, struct str);
	bool		 needs_session;
} commands[] = {
	{ "connect", say_connect, false },
	{ "helo", say_helo, true },
	{ "mail", say_mail, true },
	{ "rcpt", say_rcpt, true },
	{ "data", say_data, true },
	{ "rset", say_rset, true },
	{ "quit", say_quit, false },
	{ "wait", say_wait, false },
	{ "store", say_store, false },
	{ "reload", say_reload, false },
};

static const struct {
	const char	*word;
	bool		(*holds)(struct replay *, struct str);
} questions[] = {
	{ "header", edit_holds },
	{ "strip", strip_holds },
	{ "edits", edits_hold },
	{ "rule", rule_holds },
	{ "stage", stage_holds },
	{ "deleted", deleted_holds },
	{ "log", log_holds },
	{ "trace", trace_holds },
	{ "unknown", unknown_holds },
};

static bool
run_question(struct replay *r, struct str line)
{
	struct str rest = line, word = take_word(&rest);
	bool no = str_eq(word, STR("no"));

	if (no)
		word = take_word(&rest);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (!str_eq(word, str_of(questions[i].word)))
			continue;
		r->asked++;
		if (questions[i].holds(r, rest) == no) {
			fail(r, "not so: %.*s", STR_FMT(line));
			print_edits(r);
		}
		return true;
	}
	return false;
}

static void
run_command(struct replay *r, struct str line)
{
	struct str rest = line, word = take_word(&rest);

	check_open(r);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!str_eq(word, str_of(commands[i].word)))
			continue;
		fseek(r->log, 0, SEEK_END);
		r->logged = ftell(r->log);
		if (commands[i].needs_session && r->session == NULL)
			fail(r, "nobody is connected");
		else
			commands[i].say(r, rest);
		return;
	}
	fail(r, "what is this: %.*s", STR_FMT(line));
}

static void
run_line(struct replay *r, struct str line)
{
	ptrdiff_t arrow;

	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return;
	arrow = str_find(line, STR("=> "));
	if (arrow < 0) {
		if (!run_question(r, line))
			run_command(r, line);
		return;
	}
	if (arrow > 0)
		run_command(r, str_trim(str_sub(line, 0, (size_t)arrow)));
	r->asked++;
	expect_answer(r, str_trim(str_sub(line, (size_t)arrow + 3, line.n)));
}

/* Where a sanitizer's report would go, if there is one. */
extern void __sanitizer_set_report_fd(void *) __attribute__((weak));

static void
log_begin(struct replay *r)
{
	r->log = tmpfile();
	if (r->log == NULL || dup2(fileno(r->log), STDERR_FILENO) < 0) {
		printf("no temporary file for the log\n");
		exit(2);
	}
}

static bool
play(const char *path)
{
	const char *tmp = getenv("TMPDIR");
	struct replay r = { .path = path };
	struct buf all = BUF_INIT(LIMIT);

	snprintf(r.dir, sizeof(r.dir), "%s/replay.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (!read_file(path, &all) || mkdtemp(r.dir) == NULL) {
		printf("%s: can't be read\n", path);
		return false;
	}
	/* From the real clock: lookups that time out do so in real time. */
	clock_fake(-1);
	clock_fake(START_MS);
	log_begin(&r);
	split(&r, buf_str(&all));
	if (r.rest.n == 0)
		fail(&r, "no talk");
	else if (start(&r)) {
		while (r.rest.n > 0)
			run_line(&r, next_line(&r));
		check_open(&r);
		if (r.asked == 0)
			fail(&r, "nothing is expected");
	}
	stop(&r);
	fclose(r.log);
	buf_free(&all);
	return r.failed == 0;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int
main(int argc, char **argv)
{
	int bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (__sanitizer_set_report_fd != NULL)
		__sanitizer_set_report_fd((void *)STDOUT_FILENO);
	(void)umask(077); /* files of talks may be private keys */
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	if (!dkim_global_init() || !psl_global_init()) {
		printf("DKIM or the public suffix list is not there\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		bool as_expected;

		alarm(20);
		as_expected = play(argv[i]);
		printf("%s %s\n", as_expected ? "ok" : "not ok",
		    base_name(argv[i]));
		bad += !as_expected;
	}
	psl_global_free();
	dkim_global_free();
	return bad > 0 || argc < 2;
}
