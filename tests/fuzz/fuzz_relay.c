/* Any bytes as a Received field, and as the fields that rules read. */
#include <assert.h>
#include <stdint.h>

#include "base/psl.h"
#include "mail/field.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return psl_global_init() ? 0 : 1;
}

/* A value that can end the text it stands in would tell lies. */
static void
must_be_one(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		assert(s.p[i] != ' ' && s.p[i] != ']' && s.p[i] != '[');
}

static void
ask(struct fields *f, const char *spec)
{
	unsigned int flags;
	struct str name, s;

	assert(field_parse(str_of(spec), &name, &flags));
	s = field_get(f, name, flags);
	assert(s.p != NULL || s.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const specs[] = { "Received", "From:addr",
		"From:name", "From:raw", "From:host", "From:domain", "From:ip",
		"From:revip", "From:addr:domain", "ToCc:addr", "ALL", "ALL:raw",
		"ALL-EXTERNAL", "ALL-TRUSTED:raw", "MESSAGEID",
		"EnvelopeFrom" };
	struct str value = { (const char *)data, size };
	struct session *s = session_new();
	struct relay r;
	struct fields *f;

	txn_begin(s, 1024);
	if (relay_parse(s->txn->arena, value, &r) == RELAY_YES) {
		must_be_one(r.ip);
		must_be_one(r.rdns);
		must_be_one(r.helo);
		must_be_one(r.by);
		must_be_one(r.ident);
		must_be_one(r.envfrom);
	}
	header_add(s->txn->arena, &s->txn->headers, STR("Received"), value);
	header_add(s->txn->arena, &s->txn->headers, STR("From"), value);
	header_add(s->txn->arena, &s->txn->headers, STR("To"), value);
	header_add(s->txn->arena, &s->txn->headers, STR("X-Originating-IP"),
	    value);
	f = field_open(s->txn->arena, s->txn, NULL, NULL);
	for (size_t i = 0; f != NULL && i < sizeof(specs) / sizeof(specs[0]);
	     i++)
		ask(f, specs[i]);
	session_free(&s);
	return 0;
}
