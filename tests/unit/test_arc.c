#include "message_fixture.h"

#include "check/arc.h"

/* --- the validation suite, through tests/unit/arc_suite.py --- */

#define SUITE_TOTAL 171
#define SUITE_PASS  169

static const char *const expected_differences[] = {
	/* An h= without From: RFC 6376 section 6.1.1 has the verifier ignore
	 * such a signature, and RFC 8617 section 4.1.2 says nothing else. */
	"ams_fields_h_empty",
	/* No c=, signed with relaxed/relaxed: RFC 6376 section 3.5 says that
	 * this means simple/simple, and RFC 8617 has no other default. */
	"ams_fields_c_na",
	NULL,
};

static bool
is_expected(const char *name)
{
	for (size_t i = 0; expected_differences[i] != NULL; i++)
		if (strcmp(expected_differences[i], name) == 0)
			return true;
	return false;
}

/* The message as an MTA tells it, in chunks of seven bytes. */
static void
arc_message(struct fixture *f, struct str text)
{
	struct str body;

	fixture_message(f, text);
	arc_feed_eoh(f->txn);
	body = buf_str(&f->txn->body.raw);
	for (size_t i = 0; i < body.n; i += 7)
		arc_feed_body(f->txn, body.p + i,
		    body.n - i < 7 ? body.n - i : 7);
}

struct suite {
	struct buf zone;
	struct fixture f;
	unsigned int total, passed, unexpected;
};

static struct str
from_hex(const char *hex, char *out)
{
	size_t n = 0;
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		out[n++] = (char)byte;
	return (struct str){ out, n };
}

static void
suite_case(struct suite *s, const char *name, const char *want, char *hex)
{
	const struct arc_result *r;
	const char *word;
	bool ok;

	if (s->f.services.resolver == NULL)
		s->f.services.resolver = fixture_resolver(buf_str(&s->zone));
	fixture_begin(&s->f, 2000);
	arc_message(&s->f, from_hex(hex, hex));
	r = arc_check(s->f.txn);
	assert_non_null(r);
	word = auth_result_word(r->result);
	/* Left open is a chain whose sealer says that it has failed. */
	ok = strcmp(word, want[0] != '\0' ? want : "fail") == 0;
	s->total++;
	s->passed += ok;
	s->unexpected += ok == is_expected(name);
	if (ok == is_expected(name))
		print_error("%s: %s (%.*s), not %s\n", name, word,
		    STR_FMT(r->problem), want);
	fixture_end(&s->f);
}

static void
suite_line(struct suite *s, char *line)
{
	char *field[4] = { line, NULL, NULL, NULL }, *p = line;
	int n = 1;

	line[strcspn(line, "\n")] = '\0';
	while (n < 4 && (p = strchr(p, '\t')) != NULL) {
		*p++ = '\0';
		field[n++] = p;
	}
	if (strcmp(field[0], "scenario") == 0) {
		resolver_free(&s->f.services.resolver);
		buf_truncate(&s->zone, 0);
	} else if (strcmp(field[0], "zone") == 0) {
		buf_adds(&s->zone, field[1]);
		buf_addc(&s->zone, '\n');
	} else {
		assert_int_equal(n, 4);
		suite_case(s, field[1], field[2], field[3]);
	}
}

static void
test_suite(void **state)
{
	struct suite s = { .zone = BUF_INIT(1 << 20) };
	char path[512], command[700];
	static char line[65536];
	FILE *in;

	(void)state;
	if (!fixture_data("dmarc/arc_test_suite/tests/"
			  "arc-draft-validation-tests.yml",
		path, sizeof(path)))
		skip();
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/arc_suite.py '%s'", path);
	in = popen(command, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		suite_line(&s, line);
	assert_int_equal(pclose(in), 0);
	resolver_free(&s.f.services.resolver);
	buf_free(&s.zone);
	print_message("ARC suite: %u of %u\n", s.passed, s.total);
	assert_int_equal(s.total, SUITE_TOTAL);
	assert_int_equal(s.unexpected, 0);
	assert_true(s.passed >= SUITE_PASS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
