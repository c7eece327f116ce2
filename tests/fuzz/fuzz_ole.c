/* A compound file, read twice, as two attachments of a message. */
#include <assert.h>
#include <stdint.h>

#include "mail/ole.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = { (const char *)data, size };
	struct ole_findings one = { .vba = false }, two;

	ole_read(bytes, &one);
	two = one;
	ole_read(bytes, &two);
	assert(two.read <= OLE_MAX_READ && two.unpacked <= OLE_MAX_SOURCE);
	assert(two.cut || one.starts == two.starts);
	return 0;
}
