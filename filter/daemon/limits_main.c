/*
 * The command `postern limits try': reads logs, gzip'd ones as well.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/cli.h"
#include "daemon/limits_try.h"

#define LOGS_MAX  1000
#define NEAREST	  20
#define CHUNK	  (64 * 1024)

struct options {
	const char *conf;
	const char *logs[LOGS_MAX];
	size_t nlogs;
	bool json, all;
};

/* --- the logs ---------------------------------------------------------- */

/* A line that is longer than any is read as far as it counts. */
struct lines {
	struct maillog *log;
	char text[MAILLOG_LINE_MAX];
	size_t n;
};

static void
lines_add(struct lines *l, const char *p, size_t n)
{
	const char *end;
	size_t part, room;

	while (n > 0) {
		end = memchr(p, '\n', n);
		part = end != NULL ? (size_t)(end - p) : n;
		room = sizeof(l->text) - l->n;
		memcpy(l->text + l->n, p, part < room ? part : room);
		l->n += part < room ? part : room;
		if (end == NULL)
			return;
		maillog_line(l->log, (struct str){ l->text, l->n });
		l->n = 0;
		p += part + 1;
		n -= part + 1;
	}
}

static bool
read_log(struct maillog *log, const char *path)
{
	bool std = strcmp(path, "-") == 0;
	gzFile f = std ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rb");
	struct lines *lines;
	const char *why;
	int got, error = 0;
	char *chunk;

	if (f == NULL) {
		fprintf(stderr, "postern limits: %s: %s\n", path,
		    strerror(errno));
		return false;
	}
	lines = mem_alloc(sizeof(*lines));
	chunk = mem_alloc(CHUNK);
	lines->log = log;
	while ((got = gzread(f, chunk, CHUNK)) > 0)
		lines_add(lines, chunk, (size_t)got);
	if (lines->n > 0)
		lines_add(lines, "\n", 1);
	why = gzerror(f, &error);
	if (got < 0 || (error != Z_OK && error != Z_STREAM_END))
		fprintf(stderr, "postern limits: %s: %s\n", path,
		    error == Z_ERRNO ? strerror(errno) : why);
	else
		error = 0;
	gzclose(f);
	free(lines);
	free(chunk);
	return error == 0;
}

/* --- the command ------------------------------------------------------- */

static bool
read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "log", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	o->conf = CLI_DEFAULT_CONF;
	while ((opt = getopt_long(argc, argv, "c:", known, NULL)) != -1) {
		if (opt == 'c')
			o->conf = optarg;
		else if (opt == 'j')
			o->json = true;
		else if (opt == 'a')
			o->all = true;
		else if (opt == 'l' && o->nlogs < LOGS_MAX)
			o->logs[o->nlogs++] = optarg;
		else
			return false;
	}
	if (optind < argc)
		o->conf = argv[optind++];
	return optind == argc && o->nlogs > 0;
}

static int
try_logs(const struct options *o, struct limits_try *t)
{
	struct maillog *log = maillog_new(clock_wall_ms(), limits_try_event, t);
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	bool ok = true;

	for (size_t i = 0; i < o->nlogs; i++)
		ok = read_log(log, o->logs[i]) && ok;
	maillog_end(log);
	limits_try_report(t, maillog_stats(log), o->json,
	    o->all ? SIZE_MAX : NEAREST, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	maillog_free(&log);
	return ok ? 0 : CLI_USAGE;
}

static int
try_policy(const struct options *o)
{
	struct buf err = BUF_INIT(4096);
	struct limits_try *t;
	struct policy *p;
	int status = 1;

	log_open(LOG_TO_NOWHERE, LOG_LEVEL_ERROR);
	p = cli_load_policy(o->conf, false, stderr);
	if (p == NULL)
		return CLI_BAD_POLICY;
	if ((t = limits_try_new(p, &err)) != NULL)
		status = try_logs(o, t);
	else
		fprintf(stderr, "postern limits: %s\n", err.p);
	limits_try_free(&t);
	policy_release(&p);
	buf_free(&err);
	return status;
}

int
limits_main(int argc, char **argv)
{
	struct options *o;
	int status;

	if (argc < 2 || strcmp(argv[1], "try") != 0)
		return cli_usage("limits");
	o = mem_alloc(sizeof(*o));
	if (read_options(argc - 1, argv + 1, o))
		status = try_policy(o);
	else
		status = cli_usage("limits");
	free(o);
	return status;
}
