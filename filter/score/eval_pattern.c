#include "score/eval_pattern.h"

#include <assert.h>
#include <pthread.h>

#include "score/regex.h"

#define GROUPS_MAX	4

static const struct {
	const char	*text, *flags;
} texts[EVAL_PATTERN_COUNT] = {
#define X(id, text, flags) [EVAL_RE_##id] = { text, flags },
	EVAL_PATTERNS(X)
#undef X
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct regex *compiled[EVAL_PATTERN_COUNT];

static void
compile_all(void)
{
	struct buf err = BUF_INIT(1024);
	size_t i, at;

	for (i = 0; i < EVAL_PATTERN_COUNT; i++) {
		compiled[i] = regex_new(str_of(texts[i].text),
		    str_of(texts[i].flags), &err, &at);
		assert(compiled[i] != NULL);
	}
	buf_free(&err);
}

static const struct regex *
pattern(enum eval_pattern id)
{
	pthread_once(&once, compile_all);
	return compiled[id];
}

bool
eval_matches(enum eval_pattern id, struct str s)
{
	return regex_match(pattern(id), s) == REGEX_YES;
}

bool
eval_groups(enum eval_pattern id, struct str s, struct str group[], size_t n)
{
	size_t from[GROUPS_MAX + 1], to[GROUPS_MAX + 1], i;

	assert(n <= GROUPS_MAX);
	if (regex_search(pattern(id), s, 0, from, to, n + 1) != REGEX_YES)
		return false;
	for (i = 0; i < n; i++)
		group[i] = str_sub(s, from[i + 1], to[i + 1] - from[i + 1]);
	return true;
}

bool
eval_next(enum eval_pattern id, struct str s, size_t start, size_t *begin,
    size_t *end, struct str *group)
{
	size_t from[2], to[2];

	if (start > s.n ||
	    regex_search(pattern(id), s, start, from, to, 2) != REGEX_YES)
		return false;
	*begin = from[0];
	*end = to[0];
	if (group != NULL)
		*group = str_sub(s, from[1], to[1] - from[1]);
	return true;
}
