#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "score/automaton.h"
#include "score/regex.h"

#define REGEXES	3
#define TEXTS	4

/* The text, and parts of it; each by all together and by one alone. */
static void
ask_all(struct automaton *all, struct automaton *one, struct str text,
    struct automaton_ask ask[2 * TEXTS])
{
	size_t i;

	for (i = 0; i < 2 * TEXTS; i++)
		ask[i] = (struct automaton_ask){ .automaton =
						     i % 2 == 0 ? all : one,
			.text = str_sub(text, i / 2 * text.n / TEXTS, text.n) };
	automaton_ask(ask, 2 * TEXTS);
}

/* No match is missed, and one of several says what it says alone. */
static void
check(struct automaton *all, struct automaton *one, struct str pattern,
    size_t number, struct str text)
{
	struct buf err = BUF_INIT(1024);
	struct regex *re;
	struct automaton_ask ask[2 * TEXTS];
	size_t at, i;
	bool may;

	re = regex_new(pattern, STR("i"), &err, &at);
	ask_all(all, one, text, ask);
	for (i = 0; i < 2 * TEXTS; i += 2) {
		may = ask[i].may >> number & 1;
		if (may != (ask[i + 1].may != 0) && !ask[i].gave_up &&
		    !ask[i + 1].gave_up)
			abort();
		if (!may && re != NULL &&
		    regex_match(re, ask[i].text) == REGEX_YES)
			abort();
	}
	regex_free(&re);
	buf_free(&err);
}

/* The first lines are patterns, the rest is a text. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct automaton_regex regex[REGEXES];
	struct automaton *all, *one;
	size_t i;

	for (i = 0; i < REGEXES; i++)
		regex[i] = (struct automaton_regex){ str_cut(text, '\n', &text),
			STR("i") };
	all = automaton_new(regex, REGEXES);
	for (i = 0; i < REGEXES && all != NULL; i++) {
		one = automaton_new(&regex[i], 1);
		if (one != NULL)
			check(all, one, regex[i].pattern, i, text);
		automaton_free(&one);
	}
	automaton_free(&all);
	return 0;
}
