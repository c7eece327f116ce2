#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "score/literal.h"
#include "score/regex.h"

static struct str
plain(struct arena *a, struct str s)
{
	unsigned char *p = arena_alloc(a, s.n + 1);
	size_t i;

	for (i = 0; i < s.n; i++)
		p[i] = literal_plain((unsigned char)s.p[i]);
	return (struct str){ (const char *)p, s.n };
}

/* The first line is a pattern, the rest a subject: where the regex matches,
 * each set must be met. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size }, pattern, subject;
	struct arena *a = arena_new(4 << 20);
	struct buf err = BUF_INIT(1024);
	const struct tree *t;
	struct literals l;
	struct regex *re;
	size_t at, i, j;

	pattern = str_cut(text, '\n', &subject);
	if ((t = tree_of(a, pattern, STR("i"))) != NULL &&
	    literal_sets(a, t, &l) &&
	    (re = regex_new(pattern, STR("i"), &err, &at)) != NULL) {
		if (regex_match(re, subject) == REGEX_YES) {
			subject = plain(a, subject);
			for (i = 0; i < l.count; i++) {
				for (j = 0; j < l.set[i].count; j++)
					if (str_find(subject,
						l.set[i].text[j]) >= 0)
						break;
				if (j == l.set[i].count)
					abort();
			}
		}
		regex_free(&re);
	}
	buf_free(&err);
	arena_free(&a);
	return 0;
}
