/* Any bytes as text, and as one URI. */
#include <assert.h>
#include <stdint.h>

#include "base/psl.h"
#include "mail/uri.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return psl_global_init() ? 0 : 1;
}

static struct str
redirect(void *arg, struct str uri)
{
	ptrdiff_t at = str_find(uri, STR("?to="));

	(void)arg;
	return at < 0 ? STR_NONE : str_sub(uri, (size_t)at + 4, uri.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct uri_forms forms;
	struct uri_config config = { .redirect = redirect };
	struct str text = { (const char *)data, size };
	struct arena *a = arena_new(64 << 20);
	const struct uri_list *l = uri_find_text(a, &text, 1, &config);
	size_t n = 0;

	assert(l != NULL);
	for (const struct uri *u = l->first; u != NULL; u = u->next, n++) {
		assert(u->text.p != NULL && u->text.n <= URI_MAX_LENGTH);
		assert(u->host.n >= u->domain.n);
	}
	assert(n == l->count);
	assert(uri_canonical(a, text, &config, &forms));
	assert(forms.n > 0);
	arena_free(&a);
	return 0;
}
