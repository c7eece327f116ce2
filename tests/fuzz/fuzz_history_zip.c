/* A record comes back as it was; packed bytes of others do no harm. */
#include <stdlib.h>
#include <string.h>

#include "service/history_zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool held)
{
	if (!held)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };
	unsigned char *packed = malloc(HISTORY_ZIP_ROOM(size));
	char *back = malloc(size + 1);
	size_t n = history_zip(s, packed);

	must(n <= HISTORY_ZIP_ROOM(size));
	must(history_unzip((struct str){ (char *)packed, n }, back, size));
	must(memcmp(back, data, size) == 0);
	(void)history_unzip(s, back, size + 1);
	free(back);
	free(packed);
	return 0;
}
