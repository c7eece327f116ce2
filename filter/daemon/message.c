#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "daemon/message.h"

#define FILE_MAX	(512UL * 1024 * 1024)
#define BAD_LINES_MAX	3	/* that are no fields, among them */

struct walk {
	void		(*fn)(void *, struct message *);
	void		*arg;
	struct buf	*err;
};

static bool
read_all(FILE *f, const char *path, struct buf *text, struct buf *err)
{
	char chunk[65536];
	size_t got;

	while ((got = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(text, chunk, got);
	if (ferror(f)) {
		buf_printf(err, "%s: %s", path, strerror(errno));
		return false;
	}
	if (text->failed) {
		buf_printf(err, "%s: larger than %lu MB", path, FILE_MAX >> 20);
		return false;
	}
	return true;
}

/* A line without its end; *rest is what follows. */
static struct str
next_line(struct str text, struct str *rest)
{
	struct str line = str_cut(text, '\n', rest);

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* The value of a field with its folds: lines joined by LF. */
static struct str
field_value(struct arena *a, struct str first, struct str *rest, bool *ok)
{
	struct buf value = BUF_INIT(FILE_MAX);
	struct str copy;

	buf_addstr(&value, first);
	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t')) {
		buf_addc(&value, '\n');
		buf_addstr(&value, next_line(*rest, rest));
	}
	copy = arena_str(a, buf_str(&value));
	*ok = copy.p != NULL;
	buf_free(&value);
	return copy;
}

/* A field name, perhaps white space, a colon (RFC 5322 section 2.2). */
static bool
is_field(struct str line)
{
	size_t i = 0;

	while (i < line.n && line.p[i] > ' ' && line.p[i] < 0x7f &&
	    line.p[i] != ':')
		i++;
	if (i == 0)
		return false;
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n && line.p[i] == ':';
}

/* Is the header section over?  A few lines that are no fields, and what
 * belongs to them, are passed over as SpamAssassin does. */
static bool
at_body(struct str *text, unsigned int *bad)
{
	struct str line, rest;

	for (;;) {
		line = next_line(*text, &rest);
		if (line.n == 0) {
			*text = rest;
			return true;
		}
		if (str_starts(line, STR("--")))
			return true;
		if (is_field(line))
			return false;
		if (line.p[0] != ' ' && line.p[0] != '\t' &&
		    ++*bad > BAD_LINES_MAX)
			return true;
		if (str_chr(line, ':') > 0)
			return false;
		*text = rest;
	}
}

/* Adds a field; false at the end of the header section. */
static bool
parse_field(struct message *m, struct message_field ***tail, struct str *text,
    unsigned int *bad)
{
	struct str rest, value, line;
	struct message_field *f;
	ptrdiff_t colon;
	bool ok;

	if (at_body(text, bad))
		return false;
	line = next_line(*text, &rest);
	colon = str_chr(line, ':');
	f = arena_alloc(m->arena, sizeof(*f));
	value = str_sub(line, (size_t)colon + 1, line.n);
	value = field_value(m->arena, value, &rest, &ok);
	*text = rest;
	if (f == NULL || !ok)
		return false;
	f->name = str_trim(str_sub(line, 0, (size_t)colon));
	f->value = value;
	**tail = f;
	*tail = &f->next;
	return true;
}

static struct str
crlf_body(struct arena *a, struct str text)
{
	struct buf out = BUF_INIT(2 * FILE_MAX);
	struct str line, body;
	bool ended;

	while (text.p != NULL && text.n > 0) {
		line = next_line(text, &text);
		ended = text.p != NULL;
		buf_addstr(&out, line);
		if (ended)
			buf_adds(&out, "\r\n");
	}
	body = arena_str(a, buf_str(&out));
	buf_free(&out);
	return body;
}

static bool
parse(struct walk *w, const char *label, struct str text)
{
	struct message m = { .label = str_of(label) };
	struct message_field **tail = &m.fields;
	unsigned int bad = 0;
	bool ok;

	m.arena = arena_new(4 * FILE_MAX);
	if (str_starts(text, STR("From ")))
		next_line(text, &text);
	while (parse_field(&m, &tail, &text, &bad))
		continue;
	m.body = crlf_body(m.arena, text);
	ok = !arena_overflowed(m.arena);
	if (ok)
		w->fn(w->arg, &m);
	else
		buf_printf(w->err, "%s: too large", label);
	arena_free(&m.arena);
	return ok;
}

/* mboxrd: ">From " inside of a message was "From " once. */
static void
add_mbox_line(struct buf *one, struct str line, bool ended)
{
	size_t quotes = 0;

	while (quotes < line.n && line.p[quotes] == '>')
		quotes++;
	if (quotes > 0 &&
	    str_starts(str_sub(line, quotes, line.n), STR("From ")))
		line = str_sub(line, 1, line.n);
	buf_addstr(one, line);
	if (ended)
		buf_addc(one, '\n');
}

static bool
parse_mbox(struct walk *w, const char *path, struct str text)
{
	struct buf one = BUF_INIT(FILE_MAX), label = BUF_INIT(8192);
	struct str line;
	bool blank = true, ok = true;
	unsigned int n = 0;

	while (ok && text.p != NULL && text.n > 0) {
		line = str_cut(text, '\n', &text);
		if (blank && str_starts(line, STR("From ")) && one.n > 0) {
			buf_truncate(&label, 0);
			buf_printf(&label, "%s:%u", path, ++n);
			ok = parse(w, label.p, buf_str(&one));
			buf_truncate(&one, 0);
		}
		add_mbox_line(&one, line, text.p != NULL);
		blank = str_trim(line).n == 0;
	}
	if (ok && one.n > 0) {
		buf_truncate(&label, 0);
		buf_printf(&label, "%s:%u", path, ++n);
		ok = parse(w, label.p, buf_str(&one));
	}
	buf_free(&one);
	buf_free(&label);
	return ok;
}

static bool
walk_file(struct walk *w, const char *path, FILE *f)
{
	struct buf text = BUF_INIT(FILE_MAX);
	bool ok = read_all(f, path, &text, w->err);

	if (ok && str_iends(str_of(path), STR(".mbox")))
		ok = parse_mbox(w, path, buf_str(&text));
	else if (ok)
		ok = parse(w, path, buf_str(&text));
	buf_free(&text);
	return ok;
}

static int
not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static bool
walk_folder(struct walk *w, const char *path)
{
	struct dirent **names;
	struct buf file = BUF_INIT(8192);
	int i, n = scandir(path, &names, not_hidden, alphasort);
	bool ok = n >= 0;

	if (!ok)
		buf_printf(w->err, "%s: %s", path, strerror(errno));
	for (i = 0; i < n; i++) {
		if (ok) {
			buf_truncate(&file, 0);
			buf_printf(&file, "%s/%s", path, names[i]->d_name);
			ok = message_each(file.p, w->fn, w->arg, w->err);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	buf_free(&file);
	return ok;
}

bool
message_each(const char *path, void (*fn)(void *, struct message *), void *arg,
    struct buf *err)
{
	struct walk w = { fn, arg, err };
	struct stat st;
	FILE *f;
	bool ok;

	if (strcmp(path, "-") == 0)
		return walk_file(&w, "-", stdin);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return walk_folder(&w, path);
	if ((f = fopen(path, "rb")) == NULL) {
		buf_printf(err, "%s: %s", path, strerror(errno));
		return false;
	}
	ok = walk_file(&w, path, f);
	fclose(f);
	return ok;
}

struct str
message_field(const struct message *m, struct str name)
{
	const struct message_field *f;

	for (f = m->fields; f != NULL; f = f->next)
		if (str_ieq(f->name, name))
			return f->value;
	return STR_NONE;
}
