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
	static struct history_zip *zip;
	struct str s = { (const char *)data, size }, packed;
	char *back = malloc(size + 1);

	if (zip == NULL)
		zip = history_zip_new();
	packed = history_zip_pack(zip, s);
	must(packed.p != NULL);
	must(history_zip_unpack(zip, packed, back, size));
	must(memcmp(back, data, size) == 0);
	(void)history_zip_unpack(zip, s, back, size + 1);
	free(back);
	return 0;
}
