#include <sys/wait.h>

#include "auth_fixture.h"
#include "check/spf.h"

/*
 * Tests that others wrote, and random ones with another implementation's
 * answers: a program writes them as the lines that spf_suite.py describes.
 */

struct difference {
	const char *name, *why;
};

static const struct difference none[] = { { NULL, NULL } };

static const struct difference stalwart[] = {
	{ "all.yml: All test: 1",
	    "4.6: \"The syntax of the record is validated first, and if there "
	    "are any syntax errors anywhere in the record, check_host() "
	    "returns immediately with the result \"permerror\"\"; `ip:' "
	    "is no mechanism, and \"-all moo\" of the RFC's suite is the "
	    "same" },
	{ "exists.yml: Exists: 2",
	    "5.7: \"The resulting domain name is used for a DNS A RR lookup "
	    "(even when the connection type is IPv6).  If any A record is "
	    "returned, this mechanism matches\"; there are AAAA records only" },
	{ "macro.yml: Macro expansion 2: 2",
	    "5.7: the same; `exists' finds an AAAA record" },
	{ NULL, NULL },
};

static bool
is_expected(const struct difference *d, const char *name)
{
	for (; d->name; d++)
		if (strcmp(d->name, name) == 0)
			return true;
	return false;
}

struct suite {
	const struct difference *differences;
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
			return true;
	return false;
}

/* How long a lookup that is never answered is waited for. */
#define WAIT_MS 60

static const struct spf_result *
judge(struct fixture *f, bool both)
{
	const struct spf_result *r;

	if (both) {
		spf_start_helo(f->txn);
		r = spf_check_helo(f->txn);
		assert_non_null(r);
		if (r->result != AUTH_PASS)
			return r;
	}
	spf_start(f->txn);
	return spf_check(f->txn);
}

/* An explanation is compared where one is expected; DEFAULT: the domain has
 * none of its own, and we say nothing in its name. */
static void
suite_case(struct suite *s, char **field)
{
	struct fixture *f = &s->f;
	const struct spf_result *r;
	const char *word, *why = field[6];
	bool ok;

	if (f->services.resolver == NULL)
		f->services.resolver = fixture_resolver(buf_str(&s->zone));
	fixture_begin(f, WAIT_MS);
	fixture_envelope(f, field[2], field[3], field[4]);
	r = judge(f, strcmp(field[0], "both") == 0);
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
	if (ok == is_expected(s->differences, field[1])) {
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
	} else if (strcmp(field[0], "say") == 0) {
		print_message("%s\n", field[1]);
	} else {
		assert_int_equal(n, 7);
		suite_case(s, field);
	}
}

/* Runs what the command prints; its exit status. */
static int
suite_run(struct suite *s, const char *command)
{
	size_t size = 0;
	char *line = NULL;
	FILE *in;

	s->zone = (struct buf)BUF_INIT(16 << 20);
	s->f.services.hostname = STR("receiver.example.com");
	in = popen(command, "r");
	assert_non_null(in);
	while (getline(&line, &size, in) > 0)
		suite_line(s, line);
	free(line);
	resolver_free(&s->f.services.resolver);
	buf_free(&s->zone);
	return pclose(in);
}

/* Every difference is in the list, and nothing else is. */
static void
suite_file(struct suite *s, const char *name, unsigned int total)
{
	const struct difference *d = s->differences;
	char path[512], command[700];

	if (!fixture_data(name, path, sizeof(path)))
		skip();
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/spf_suite.py '%s'", path);
	assert_int_equal(suite_run(s, command), 0);
	print_message("%s: %u of %u\n", name, s->passed, s->total);
	for (; d->name; d++)
		print_message("  %s: RFC 7208 %s\n", d->name, d->why);
	assert_int_equal(s->total, total);
	assert_int_equal(s->unexpected, 0);
}

static void
test_rfc7208(void **state)
{
	struct suite s = { .differences = none };

	(void)state;
	suite_file(&s, "spf/pyspf/test/rfc7208-tests.yml", 203);
}

static void
test_rfc4408(void **state)
{
	struct suite s = { .differences = none };

	(void)state;
	suite_file(&s, "spf/pyspf/test/rfc4408-tests.yml", 191);
}

/* It has no limit of void lookups, which section 4.6.4 allows to set. */
static void
test_stalwart(void **state)
{
	struct suite s = { .differences = stalwart };

	(void)state;
	s.f.services.spf_voids_max = 10;
	suite_file(&s, "spf/mail-auth/resources/spf", 163);
}

/* The same cases every time; `make spf-random' asks for more. */
static void
test_random(void **state)
{
	struct suite s = { .differences = none };
	const char *cases = getenv("SPF_CASES"), *seed = getenv("SPF_SEED");
	char command[200];
	int status;

	(void)state;
	snprintf(command, sizeof(command),
	    "/usr/bin/python3 tests/unit/spf_random.py '%.20s' '%.20s'",
	    cases ? cases : "300", seed ? seed : "1");
	status = suite_run(&s, command);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
	print_message("random: %u of %u\n", s.passed, s.total);
	assert_true(s.total >= 300);
	assert_int_equal(s.passed, s.total);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7208),
		cmocka_unit_test(test_rfc4408),
		cmocka_unit_test(test_stalwart),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
