/*
 * Any bytes as a record of the history: the lines come to an end, and no field
 * is longer than what it was read from.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "policy/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = { (const char *)data, n };
	struct buf room = BUF_INIT(n + 1);
	struct record_line line;
	size_t lines = 0, total;

	while (record_next(&text, &line, &room)) {
		total = 0;
		for (size_t i = 0; i < RECORD_FIELDS; i++) {
			struct str f = line.fields[i];

			assert(f.n == 0 || memchr(f.p, f.p[0], f.n) == f.p);
			total += f.n;
		}
		assert(total <= n && ++lines <= n);
	}
	buf_free(&room);
	return 0;
}
