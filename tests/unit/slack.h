/*
 * Time that a test gives.  A sanitizer's build is slower: POSTERN_SLACK says
 * how many times, as it does for tests/wire.
 */

#ifndef POSTERN_SLACK_H
#define POSTERN_SLACK_H

#include <stdint.h>
#include <stdlib.h>

static int64_t
slack(int64_t ms)
{
	const char *times = getenv("POSTERN_SLACK");

	return times != NULL ? ms * strtol(times, NULL, 10) : ms;
}

#endif
