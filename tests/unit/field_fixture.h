/*
 * field_fixture - a message's fields from a text, for rules to look at.
 */
#ifndef TESTS_UNIT_FIELD_FIXTURE_H
#define TESTS_UNIT_FIELD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/psl.h"
#include "mail/field.h"

/* "Name: value\n value\nName: value\n" */
static inline void
fixture_fields(struct txn *txn, const char *text)
{
	struct str rest = str_of(text), line, value, name;

	while (rest.p != NULL && rest.n > 0) {
		size_t n = 0;

		do {
			const char *end = memchr(rest.p + n, '\n', rest.n - n);

			n = end != NULL ? (size_t)(end - rest.p) + 1 : rest.n;
		} while (n < rest.n &&
		    (rest.p[n] == ' ' || rest.p[n] == '\t'));
		line = str_sub(rest, 0, n);
		rest = str_sub(rest, n, rest.n);
		if (line.p[line.n - 1] == '\n')
			line.n--;
		name = str_cut(line, ':', &value);
		header_add(txn->arena, &txn->headers, name, value);
	}
}

static inline void
assert_str(struct str s, const char *want)
{
	if (s.p == NULL || !str_eq(s, str_of(want)))
		print_error("got \"%.*s\", want \"%s\"\n", STR_FMT(s), want);
	assert_non_null(s.p);
	assert_true(str_eq(s, str_of(want)));
}

#endif
