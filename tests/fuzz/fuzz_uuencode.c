/* A text with files in it. */
#include <assert.h>
#include <stdint.h>

#include "mail/uuencode.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size }, name;
	struct buf out = BUF_INIT(size);
	size_t left = size;

	while (uuencode_next(&text, &name, &out)) {
		assert(text.n < left);
		left = text.n;
		assert(name.p >= (const char *)data && name.n > 0);
		buf_truncate(&out, 0);
	}
	buf_free(&out);
	return 0;
}
