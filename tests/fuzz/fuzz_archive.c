/* An attachment, whatever it is: the same twice, as two of a message. */
#include <assert.h>
#include <stdint.h>

#include "mail/archive.h"
#include "mail/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
on_file(void *arg, struct str name, struct str bytes)
{
	(void)name;
	*(size_t *)arg += bytes.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = { (const char *)data, size };
	struct arena *arena = arena_new(4 << 20);
	enum filetype type = filetype_of(bytes), told;
	struct archive a;
	size_t unpacked = 0, n = 0;

	archive_init(&a, arena, on_file, &unpacked);
	told = archive_list(&a, STR_NONE, bytes, type);
	assert(told < FILETYPE_COUNT);
	archive_list(&a, STR_NONE, bytes, FILETYPE_ZIP);
	archive_list(&a, STR_NONE, bytes, FILETYPE_TAR);
	archive_list(&a, STR_NONE, bytes, FILETYPE_SEVENZ);
	for (struct archive_member *m = a.first; m != NULL; m = m->next) {
		assert(utf8_valid(m->name));
		n++;
	}
	assert(n == a.count && n <= ARCHIVE_MAX_MEMBERS);
	assert(a.unpacked <= ARCHIVE_MAX_UNPACKED);
	assert(a.peeks <= ARCHIVE_MAX_PEEKS);
	filetype_mismatch(told, bytes, bytes);
	arena_free(&arena);
	return 0;
}
