/* Any bytes as a field's value. */
#include <assert.h>
#include <stdint.h>

#include "check/authres.h"
#include "mail/charset.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str value = { (const char *)data, size }, decoded;
	struct arena *a = arena_new(8 << 20);
	size_t count = 0;
	bool more;

	header_unfold(a, value);
	decoded = header_decode(a, value);
	assert(decoded.p == NULL || utf8_valid(decoded));
	for (struct mailbox *m = header_mailboxes(a, value, 20, &more);
	     m != NULL; m = m->next) {
		assert(m->name.p != NULL && m->addr.p != NULL);
		assert(m->domain.p != NULL);
		count++;
	}
	assert(count <= 20);
	authres_forged(value, STR("mx.example.net"));
	arena_free(&a);
	return 0;
}
