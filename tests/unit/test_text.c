#include "policy_fixture.h"

#include "policy/text.h"

struct part {
	const char	*literal;	/* or */
	enum fact_id	 fact;
};

static struct str
render(struct world *w, const struct part *parts, size_t n)
{
	struct text texts[8] = { 0 };

	assert_true(n <= 8);
	for (size_t i = 0; i < n; i++) {
		texts[i].next = i + 1 < n ? &texts[i + 1] : NULL;
		if (parts[i].literal != NULL)
			texts[i].literal = str_of(parts[i].literal);
		else
			texts[i].fact.def = fact_by_id(parts[i].fact);
	}
	return text_render(w->s, STAGE_MESSAGE, texts);
}

static void
assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(got), want);
}

static struct world
begin(void)
{
	struct world w = world_begin("", "", false);

	world_connect(&w, "192.0.2.1");
	world_mail(&w, "<a@example.org>", NULL);
	return w;
}

static void
test_parts(void **state)
{
	static const struct part parts[] = { { "from ", 0 },
		{ NULL, FACT_SENDER }, { " at ", 0 }, { NULL, FACT_CLIENT },
		{ ", user ", 0 }, { NULL, FACT_USER } };
	struct world w = begin();

	(void)state;
	assert_str(render(&w, parts, 6),
	    "from a@example.org at 192.0.2.1, user ");
	assert_str(render(&w, parts, 1), "from ");
	assert_int_equal(text_render(w.s, STAGE_MAIL, NULL).n, 0);
	world_end(&w);
}

/* What a stranger wrote stays on one line; what the policy wrote need not. */
static void
test_control_characters(void **state)
{
	static const struct part parts[] = { { "one\ntwo ", 0 },
		{ NULL, FACT_HELO } };
	struct world w = begin();

	(void)state;
	w.s->helo = STR("x\r\nRSET\t\x01\x7f\0y");
	assert_str(render(&w, parts, 2), "one\ntwo x  RSET    y");
	world_end(&w);
}

static void
test_long_facts(void **state)
{
	static const struct part parts[] = { { NULL, FACT_HELO },
		{ NULL, FACT_HELO }, { NULL, FACT_HELO }, { NULL, FACT_HELO },
		{ NULL, FACT_HELO } };
	struct world w = begin();
	size_t n = 100000;
	char *big = malloc(n);

	(void)state;
	memset(big, 'x', n);
	w.s->helo = (struct str){ big, n };
	assert_int_equal(render(&w, parts, 1).n, 8192);
	assert_true(render(&w, parts, 5).n <= 32768);
	assert_true(render(&w, parts, 3).n == 3 * 8192);
	free(big);
	w.s->helo = STR_NONE;
	world_end(&w);
}

static void
test_numbers(void **state)
{
	struct world w = begin();
	struct value v = { .kind = VALUE_NUMBER };

	(void)state;
	v.number = 1e9;
	assert_str(fact_text(w.s->arena, &v), "1000000000");
	v.number = 0.1 + 0.2;
	assert_str(fact_text(w.s->arena, &v), "0.3");
	v.number = -2.25;
	assert_str(fact_text(w.s->arena, &v), "-2.25");
	v.unknown = true;
	assert_str(fact_text(w.s->arena, &v), "unknown");
	world_end(&w);
}

static void
test_lists(void **state)
{
	struct world w = begin();
	struct str items[3000];
	struct value v = { .kind = VALUE_LIST,
		.items = items,
		.nitems = 2,
		.text = STR("one") };

	(void)state;
	items[0] = STR("one");
	items[1] = STR("two");
	assert_str(fact_text(w.s->arena, &v), "one, two");
	for (size_t i = 0; i < 3000; i++)
		items[i] = STR("0123456789");
	v.nitems = 3000;
	assert_int_equal(fact_text(w.s->arena, &v).n, 8192);
	world_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_long_facts),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
