/* A policy file of any text: loaded or refused with mistakes that can be
 * printed, and freed. */
#include <assert.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Other files are not this text's doing. */
static bool
reads_files(struct str text)
{
	static const char *const words[] = { "include", "file", "rules" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_find(text, str_of(words[i])) >= 0)
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = { (const char *)data, n };
	struct buf out = BUF_INIT(4 * 1024 * 1024);
	struct diag *diag;
	struct policy *policy;

	if (reads_files(text))
		return 0;
	diag = diag_new();
	policy = policy_load_text(STR("fuzz.conf"), text, false, diag);
	assert((policy != NULL) == (diag_errors(diag) == 0));
	diag_print(diag, &out);
	assert(!out.failed && (policy != NULL || out.n > 0));
	policy_release(&policy);
	diag_free(&diag);
	buf_free(&out);
	return 0;
}
