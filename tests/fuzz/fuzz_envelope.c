/* Any bytes as an envelope argument: parts within bounds, and the normal
 * form read again is itself. */
#include <assert.h>
#include <stdint.h>

#include "mail/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str arg = { (const char *)data, size };
	struct arena *a = arena_new(1 << 20);
	struct address one, two;

	if (envelope_parse(a, arg, &one) && one.valid) {
		assert(envelope_parse(a, one.text, &two));
		assert(two.valid);
		assert(str_eq(one.text, two.text));
		assert(str_eq(one.local, two.local));
		assert(str_eq(one.domain, two.domain));
		assert(str_eq(one.base, two.base));
	}
	envelope_domain(a, arg);
	arena_free(&a);
	return 0;
}
