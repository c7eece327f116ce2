/*
 * A rule file is a stranger's where an administrator copies it from one:
 * whatever it says, it is loaded or told of, in bounded time and memory.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "score/ruleset.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ruleset_how how = { .every = n > 0 && (data[0] & 1) };
	struct buf problems = BUF_INIT(1 << 20), report = BUF_INIT(1 << 20);
	struct ruleset *set;

	set = ruleset_parse((struct str){ (const char *)data, n }, &how,
	    &problems);
	if (set == NULL)
		abort();
	ruleset_report(set, &report);
	ruleset_free(&set);
	buf_free(&problems);
	buf_free(&report);
	return 0;
}
