#include "auth_fixture.h"
#include "check/spf.h"

/* The official suite through tests/unit/spf_suite.py. */

#define SUITE_TOTAL 203
#define SUITE_PASS  203

static const char *const expected_differences[] = {
	NULL,
};

static bool
is_expected(const char *name)
{
	size_t i;

	for (i = 0; expected_differences[i]; i++)
		if (strcmp(expected_differences[i], name) == 0)
			return (true);
	return (false);
}

struct suite {
	struct buf zone;
	struct fixture f;
	unsigned int total, passed, unexpected;
};

/* Is word one of the words in "a|b"? */
static bool
word_among(const char *word, const char *list)
{
	struct str rest = str_of(list);

	while (rest.p)
		if (str_eq(str_cut(rest, '|', &rest), str_of(word)))
			return (true);
	return (false);
}

static void
suite_case(struct suite *s, char **field)
{
	struct fixture *f = &s->f;
	const struct spf_result *r;
	const char *word, *why = field[6];
	bool ok;

	if (f->services.resolver == NULL)
		f->services.resolver = fixture_resolver(buf_str(&s->zone));
	fixture_begin(f, 60);
	fixture_envelope(f, field[2], field[3], field[4]);
	spf_start(f->txn);
	r = spf_check(f->txn);
	assert_non_null(r);
	word = auth_result_word(r->result);
	ok = word_among(word, field[5]);
	if (strcmp(why, "DEFAULT") == 0)
		why = "";
	if (r->result == AUTH_FAIL && field[6][0] &&
	    !str_eq(r->explanation, str_of(why)))
		ok = false;
	s->total++;
	s->passed += ok;
	if (ok == is_expected(field[1])) {
		s->unexpected++;
		print_message("%s: %s \"%.*s\" (%.*s), want %s \"%s\"\n",
		    field[1], word, STR_FMT(r->explanation),
		    STR_FMT(r->problem), field[5], field[6]);
	}
	fixture_end(f);
}

static void
suite_line(struct suite *s, char *line)
{
	char *field[7] = { line }, *p = line;
	int n = 1;

	line[strcspn(line, "\n")] = '\0';
	while (n < 7 && (p = strchr(p, '\t')) != NULL) {
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
		assert_int_equal(n, 7);
		suite_case(s, field);
	}
}

static void
test_suite(void **state)
{
	struct suite s = { .zone = BUF_INIT(1 << 20) };
	char path[512], command[700], line[8192];
	FILE *in;

	(void)state;
	if (!fixture_data("spf/pyspf/test/rfc7208-tests.yml", path,
		sizeof(path)))
		skip();
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/spf_suite.py '%s'", path);
	in = popen(command, "r");
	assert_non_null(in);
	s.f.services.hostname = STR("receiver.example.com");
	while (fgets(line, sizeof(line), in))
		suite_line(&s, line);
	assert_int_equal(pclose(in), 0);
	resolver_free(&s.f.services.resolver);
	buf_free(&s.zone);
	print_message("RFC 7208 suite: %u of %u\n", s.passed, s.total);
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

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
