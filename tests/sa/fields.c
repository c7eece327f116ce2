/*
 * fields FILE...: what header and uri rules see of each message, in the form
 * of fields.pl.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/psl.h"
#include "daemon/message.h"
#include "mail/field.h"
#include "mail/uri.h"

#define TLDS "/usr/share/spamassassin/20_aux_tlds.cf"

static struct tld_set *tlds;
static char *specs[200];
static size_t nspecs;

static void
emit(struct str file, const char *what, struct str value)
{
	printf("%.*s\t%s\t", STR_FMT(file), what);
	if (value.p == NULL) {
		puts("null");
		return;
	}
	putchar('"');
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c < ' ' || c > '~' || c == '\\' || c == '"')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	puts("\"");
}

static void
show(void *arg, struct message *m)
{
	struct session *s = session_new();
	struct txn *txn = txn_begin(s, 64 * 1024 * 1024);
	const struct message_field *f;
	struct fields *fields;
	unsigned int flags;
	struct str name;
	struct arena *a = arena_new(256 * 1024 * 1024);
	const struct uri *u;

	(void)arg;
	for (f = m->fields; f != NULL; f = f->next)
		header_add(txn->arena, &txn->headers, f->name, f->value);
	fields = field_open(txn->arena, txn, NULL, tlds);
	for (size_t i = 0; i < nspecs; i++) {
		field_parse(str_of(specs[i]), &name, &flags);
		emit(m->label, specs[i], field_get(fields, name, flags));
	}
	for (u = uri_find(a, view_make(a, &txn->headers, m->body),
		 &(struct uri_config){ .tlds = tlds })
		     ->first;
	     u != NULL; u = u->next)
		emit(m->label, "uri", u->text);
	arena_free(&a);
	session_free(&s);
}

/* The top levels that SpamAssassin goes by. */
static void
load_tlds(void)
{
	FILE *f = fopen(TLDS, "r");
	char line[4096], *word, *rest;

	tlds = tld_set_new();
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		word = strtok_r(line, " \t\n", &rest);
		if (word == NULL || strncmp(word, "util_rb_", 8) != 0)
			continue;
		while ((word = strtok_r(NULL, " \t\n", &rest)) != NULL)
			tld_set_add(tlds, str_of(word));
	}
	if (f != NULL)
		fclose(f);
}

int
main(int argc, char **argv)
{
	struct buf err = BUF_INIT(4096);
	char line[256];

	while (nspecs < 200 && fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		specs[nspecs++] = strdup(line);
	}
	psl_global_init();
	load_tlds();
	for (int i = 1; i < argc; i++)
		message_each(argv[i], show, NULL, &err);
	fputs(err.p != NULL ? err.p : "", stderr);
	return 0;
}
